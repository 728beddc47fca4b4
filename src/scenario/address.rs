//! Addresses of socket chardevs, and which client reaches which server. Lowering joins chardevs by
//! them, and the built-in world those that steps add.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::base::MachineId;

/// Where a socket chardev listens or connects to: a name inside the scenario, never a real socket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Address {
    /// `path=`.
    Unix(String),
    /// `host=` and `port=`.
    Tcp { host: String, port: u16 },
}

/// How surely a client's address refers to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// The server listens on any address of its machine.
    Any,
    /// The server has the same address.
    Same,
}

impl Address {
    /// QMP's `SocketAddressLegacy`, the `addr` of a socket backend (QEMU 10.2.2
    /// `qapi/sockets.json`).
    fn from_qmp(addr: &Value) -> Option<Self> {
        let data = addr.get("data")?;
        let text = |key: &str| data.get(key).and_then(Value::as_str);
        match addr.get("type")?.as_str()? {
            "unix" => Some(Self::Unix(text("path")?.to_owned())),
            "inet" => Some(Self::Tcp {
                host: text("host")?.to_owned(),
                port: text("port")?.parse().ok()?,
            }),
            _ => None,
        }
    }

    /// The address of a socket that `chardev-add` makes, and whether it listens there; QMP's
    /// default is that it does (QEMU 10.2.2 `chardev/char-socket.c:1376`).
    #[must_use]
    pub fn of_backend(args: &Map<String, Value>) -> Option<(Self, bool)> {
        let backend = args.get("backend")?;
        let data = backend.get("data")?;
        let server = data.get("server").and_then(Value::as_bool).unwrap_or(true);
        (backend.get("type")? == "socket")
            .then(|| Some((Self::from_qmp(data.get("addr")?)?, server)))?
    }

    /// Whether a client in the machine `from` that connects to this address reaches a server that
    /// listens at `server` in the machine `at`. A path is known to all machines, as on one host. Of
    /// hosts, a loopback address stays in its machine; a server at `0.0.0.0` or `::` is reached by
    /// any name, since each machine is a host of its own.
    #[must_use]
    pub fn reaches(&self, from: &MachineId, server: &Self, at: &MachineId) -> Option<Reach> {
        match (self, server) {
            (Self::Unix(path), Self::Unix(other)) => (path == other).then_some(Reach::Same),
            (Self::Tcp { host, port }, Self::Tcp { host: other, port: other_port })
                if port == other_port =>
            {
                match (is_local(host), is_any(other)) {
                    (true, any) if from == at => (any || is_local(other))
                        .then_some(if host == other { Reach::Same } else { Reach::Any }),
                    (false, true) => Some(Reach::Any),
                    (false, false) if host == other => Some(Reach::Same),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Whether two servers can't both listen: in one machine at one port, or at one path.
    #[must_use]
    pub fn collides(&self, here: &MachineId, other: &Self, there: &MachineId) -> bool {
        match (self, other) {
            (Self::Unix(path), Self::Unix(other)) => path == other,
            (Self::Tcp { host, port }, Self::Tcp { host: other, port: other_port }) => {
                let same_host = host == other
                    || is_any(host)
                    || is_any(other)
                    || (is_local(host) && is_local(other));
                here == there && port == other_port && same_host
            }
            _ => false,
        }
    }
}

/// How long a client waits before it connects again: `reconnect` in seconds, or `reconnect-ms`, as
/// a map or a command-line string has it.
#[must_use]
pub fn retry(options: &Map<String, Value>) -> Option<Duration> {
    let number = |key: &str| match options.get(key)? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    let seconds = number("reconnect").map(Duration::from_secs);
    let retry = seconds.or_else(|| number("reconnect-ms").map(Duration::from_millis));
    retry.filter(|retry| !retry.is_zero())
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => f.write_str(path),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

/// A server listens on every address of its machine.
fn is_any(host: &str) -> bool {
    matches!(host, "" | "0.0.0.0" | "::" | "*")
}

/// A client stays in its machine: Linux takes an unspecified destination for the loopback one.
fn is_local(host: &str) -> bool {
    is_any(host) || matches!(host, "localhost" | "::1") || host.starts_with("127.")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn tcp(text: &str) -> Address {
        let (host, port) = text.rsplit_once(':').expect("a host and a port");
        Address::Tcp { host: host.to_owned(), port: port.parse().expect("a port") }
    }

    #[rstest]
    #[case::any_host("3.3.3.3:9003", "0.0.0.0:9003", "b", Some(Reach::Any))]
    #[case::any_host_of_six("3.3.3.3:9003", ":::9003", "b", Some(Reach::Any))]
    #[case::the_same_host("3.3.3.3:9003", "3.3.3.3:9003", "b", Some(Reach::Same))]
    #[case::its_own_name("3.3.3.3:9003", "3.3.3.3:9003", "a", Some(Reach::Same))]
    #[case::another_host("3.3.3.3:9003", "3.3.3.8:9003", "b", None)]
    #[case::another_port("3.3.3.3:9003", "0.0.0.0:9004", "b", None)]
    #[case::a_host_is_not_reached_over_its_loopback("3.3.3.3:9003", "127.0.0.1:9003", "b", None)]
    #[case::loopback("127.0.0.1:9001", "127.0.0.1:9001", "a", Some(Reach::Same))]
    #[case::loopback_by_name("localhost:9001", "127.0.0.1:9001", "a", Some(Reach::Any))]
    #[case::loopback_to_any("127.0.0.1:9001", "0.0.0.0:9001", "a", Some(Reach::Any))]
    #[case::loopback_of_another_machine("127.0.0.1:9001", "0.0.0.0:9001", "b", None)]
    #[case::loopback_to_a_host("127.0.0.1:9001", "3.3.3.3:9001", "a", None)]
    fn clients_reach_servers(
        #[case] client: &str,
        #[case] server: &str,
        #[case] at: &str,
        #[case] expected: Option<Reach>,
    ) {
        let reach = tcp(client).reaches(&"a".into(), &tcp(server), &at.into());
        assert_eq!(reach, expected);
    }

    #[rstest]
    #[case("0.0.0.0:1", "127.0.0.1:1", "a", true)]
    #[case("3.3.3.3:1", "3.3.3.4:1", "a", false)]
    #[case("0.0.0.0:1", "0.0.0.0:1", "b", false)]
    #[case("0.0.0.0:1", "0.0.0.0:2", "a", false)]
    fn servers_collide_in_one_machine(
        #[case] one: &str,
        #[case] other: &str,
        #[case] there: &str,
        #[case] expected: bool,
    ) {
        assert_eq!(tcp(one).collides(&"a".into(), &tcp(other), &there.into()), expected);
    }

    #[test]
    fn a_path_is_known_to_all_machines() {
        let path = Address::Unix("wire".to_owned());
        let reach = path.reaches(&"a".into(), &path, &"b".into());
        assert_eq!(reach, Some(Reach::Same));
        assert!(path.collides(&"a".into(), &path, &"b".into()));
    }

    #[test]
    fn qmp_writes_a_port_as_text() {
        let inet = json!({"type": "inet", "data": {"host": "3.3.3.3", "port": "9003"}});
        assert_eq!(Address::from_qmp(&inet), Some(tcp("3.3.3.3:9003")));
        let unix = json!({"type": "unix", "data": {"path": "/a"}});
        assert_eq!(Address::from_qmp(&unix), Some(Address::Unix("/a".to_owned())));
        assert_eq!(Address::from_qmp(&json!({"type": "fd"})), None);
    }
}
