//! Netdevs of two machines that are ends of one wire: `-netdev socket`, `stream` and `dgram` of command lines
//! that meet at an address. In a scenario their TAPs are ports of one bridge.

use super::Draft;
use crate::qapi::Options;

/// Where a netdev listens, and what it reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Ends {
    own: Option<String>,
    far: Option<String>,
    /// All that name this address are on one wire.
    group: Option<String>,
}

impl Draft {
    /// Joins the netdevs that meet, and names the address of those that meet nobody.
    pub(super) fn join_wires(&mut self) {
        let mut all: Vec<(usize, String, Ends)> = Vec::new();
        for (at, machine) in self.machines.iter().enumerate() {
            for wire in &machine.wires {
                all.push((at, wire.id().unwrap_or_default().to_owned(), ends(wire)));
            }
        }
        let mut taken = vec![false; all.len()];
        for one in 0..all.len() {
            if taken[one] {
                continue;
            }
            let meets = |other: &usize| {
                *other > one
                    && !taken[*other]
                    && all[*other].0 != all[one].0
                    && meet(&all[one].2, &all[*other].2)
            };
            let others: Vec<usize> = (0..all.len()).filter(meets).collect();
            if others.is_empty() {
                continue;
            }
            let joined: Vec<usize> = std::iter::once(one).chain(others).collect();
            let port = |at: &usize| {
                let (machine, id, _) = &all[*at];
                format!("{}/{id}", self.machines[*machine].name.as_deref().unwrap_or("?"))
            };
            let ports: Vec<String> = joined.iter().map(port).collect();
            let bridge = format!("wire{}", self.bridges.len());
            for (at, own) in joined.iter().zip(&ports) {
                taken[*at] = true;
                let (machine, id, _) = &all[*at];
                let far = ports.iter().filter(|far| *far != own).map(String::as_str);
                let far: Vec<&str> = far.collect();
                let note = format!(
                    "netdev {id} meets {}: the bridge {bridge} joins their TAPs",
                    far.join(", ")
                );
                self.machines[*machine].notes.push(note);
            }
            self.bridges.push((bridge, ports));
        }
    }
}

fn ends(wire: &Options) -> Ends {
    let text = |key: &str| wire.get(key).map(address);
    let of = |side: &str| {
        let get = |key: &str| wire.get(&format!("{side}{key}"));
        match get("path") {
            Some(path) => Some(path.to_owned()),
            None => {
                get("port").map(|port| address(&format!("{}:{port}", get("host").unwrap_or(""))))
            }
        }
    };
    match wire.get("type") {
        Some("socket") => Ends {
            own: text("listen").or_else(|| text("localaddr")),
            far: text("connect").or_else(|| text("udp")),
            group: text("mcast"),
        },
        Some("stream") if wire.is_on("server") => Ends { own: of("addr."), ..Ends::default() },
        Some("stream") => Ends { far: of("addr."), ..Ends::default() },
        _ => Ends { own: of("local."), far: of("remote."), ..Ends::default() },
    }
}

/// An address without the name of a host on which each program listens or connects to itself.
fn address(text: &str) -> String {
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    let is_here =
        host.is_empty() || host == "localhost" || host == "0.0.0.0" || host.starts_with("127.");
    if is_here { port.to_owned() } else { format!("{host}:{port}") }
}

/// Whether frames of one come to the other.
fn meet(one: &Ends, other: &Ends) -> bool {
    let reaches = |from: &Ends, to: &Ends| {
        let (Some(far), Some(own)) = (&from.far, &to.own) else {
            return false;
        };
        let port = |address: &str| address.rsplit(':').next().map(str::to_owned);
        // A server without an address listens at all of its host's.
        far == own || !own.contains(['/', ':']) && port(far) == port(own)
    };
    reaches(one, other) || reaches(other, one) || one.group.is_some() && one.group == other.group
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("socket,id=a,listen=:9988", "socket,id=b,connect=127.0.0.1:9988", true)]
    #[case("socket,id=a,listen=:9988", "socket,id=b,connect=10.0.0.1:9988", true)]
    #[case("socket,id=a,listen=10.0.0.2:9", "socket,id=b,connect=10.0.0.1:9", false)]
    #[case("socket,id=a,mcast=230.0.0.1:1", "socket,id=b,mcast=230.0.0.1:1", true)]
    #[case(
        "socket,id=a,udp=127.0.0.1:1,localaddr=127.0.0.1:2",
        "socket,id=b,udp=127.0.0.1:2,localaddr=:1",
        true
    )]
    #[case(
        "stream,id=a,server=on,addr.type=unix,addr.path=/x",
        "stream,id=b,addr.type=unix,addr.path=/x",
        true
    )]
    #[case(
        "dgram,id=a,local.host=h,local.port=1,remote.host=h,remote.port=2",
        "dgram,id=b,local.host=h,local.port=2,remote.host=h,remote.port=1",
        true
    )]
    #[case("socket,id=a,listen=:1", "socket,id=b,listen=:1", false)]
    fn netdevs_meet_at_an_address(#[case] one: &str, #[case] other: &str, #[case] expected: bool) {
        let read = |text: &str| ends(&Options::read(text, "type"));
        assert_eq!(meet(&read(one), &read(other)), expected);
    }
}
