//! What of a scenario reaches a real QEMU: commands, types and options that the machine's own tables
//! know, with values that name nothing of the host's.
//!
//! People run files from bug reports as root, and QEMU does as it is told: it starts programs, and
//! opens files, devices and sockets. So a scenario's words are never passed on for QEMU to judge.
//! Netdevs and chardevs that a scenario declares are made anew from what they mean, on descriptors
//! and paths of ours. Of objects and commands everything must be listed ([`Arguments`]), and a value
//! goes by its [`Role`]:
//!
//! | role | what becomes of it |
//! |---|---|
//! | a plain value | sent |
//! | an id | sent, unless it is one of ours |
//! | a QOM path | sent where it is that of an object below `/objects` |
//! | a file to read | not sent: there is none, but what this QEMU writes itself |
//! | a file to write | sent where it stays in the folder that QEMU runs in, which is the case's own, or is `/dev/null`, `/dev/zero` or `/dev/full` |
//! | the address of a socket | replaced by one in the case's folder, where `chardev-add` gives it |
//!
//! A word that no modelled version of QEMU knows is sent to those versions alone: they refuse the
//! whole command for it while they read it. What is not sent skips the case with [`NOT_SENT`].

use std::path::{Component, Path};

use serde_json::{Map, Value};

use super::{OWN, version::Version};
use crate::{
    backend::Missing,
    base::{Opened, opened},
    diag::{Code, Explanation},
    machine::{Argument, Arguments, NotModelled},
    qapi::{Role, role_of},
    scenario::{Case, Object, Verb},
};

/// The code of a case that would send something else.
pub(super) const NOT_SENT: Code = Code("TW-E070");

/// What the codes of this backend mean.
pub const EXPLANATIONS: &[Explanation] = &[Explanation {
    code: NOT_SENT,
    title: "a scenario asks a real QEMU for something that is not sent to it",
    text: "A QEMU opens files, devices and sockets and starts programs when it is told to, and \
           tapwright often runs as root. So only commands, types and options that its own model \
           knows are sent to a real QEMU, and no value that names a file, a program, a device or a \
           socket of the host: files are given by a relative path without `..` or as /dev/null, \
           /dev/zero or /dev/full, sockets get an address in the case's own folder whatever the scenario says. The case is skipped. Where \
           you trust the scenario and want exactly this, run it with --unsafe-qemu: then everything \
           is sent, from every scenario of that run.",
}];

/// Which commands are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Those that are listed.
    Listed,
    /// Everything, whatever it does to the host.
    Everything,
}

/// Why something is not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotSent {
    #[error("{0} is not among what tapwright sends to a QEMU")]
    NotListed(#[from] NotModelled),
    #[error(
        "{0}: no version of QEMU that tapwright models knows this, and this QEMU is of another one"
    )]
    Unknown(String),
    #[error("`{name}` is {path:?}, a file outside of the case's own folder")]
    File { name: String, path: String },
    #[error("`{name}` is {path:?}, a file to read, and the case's own folder has none")]
    Read { name: String, path: String },
    #[error("`{name}` is {id:?}, and names that begin with {OWN} are tapwright's own")]
    Reserved { name: String, id: String },
    #[error("`{name}` is {path:?}, which is not the path of an object below /objects")]
    Path { name: String, path: String },
    #[error("`{name}` names a socket of the host")]
    Socket { name: String },
}

/// The command whose own code gives a socket an address of ours, and the argument.
const REPLACED: (&str, &str) = ("chardev-add", "backend.data.addr");

impl Admission {
    /// Whether a QEMU of this version may be sent everything that the case says.
    ///
    /// # Errors
    /// The first thing that is not sent.
    pub(super) fn case(self, case: &Case, version: Version) -> Result<(), Missing> {
        let objects = case.objects.iter();
        let objects = objects.map(|object| ("object-add", self.object(object, version)));
        let steps = case.steps.iter().filter_map(|step| match &step.verb {
            Verb::Qmp { command, args, .. } => {
                Some((command.as_str(), self.command(command, args, version)))
            }
            Verb::ObjectAdd(object) => Some(("object-add", self.object(object, version))),
            _ => None,
        });
        for (command, sent) in objects.chain(steps) {
            sent.map_err(|reason| missing(command, &reason))?;
        }
        Ok(())
    }

    /// Whether an object may be asked for.
    pub(super) fn object(self, object: &Object, version: Version) -> Result<(), NotSent> {
        match self {
            Self::Everything => Ok(()),
            Self::Listed => {
                listed("object-add", &Arguments::of_object(&object.properties)?, version)
            }
        }
    }

    /// Whether a command may be given.
    pub(super) fn command(
        self,
        command: &str,
        args: &Map<String, Value>,
        version: Version,
    ) -> Result<(), NotSent> {
        match self {
            Self::Everything => Ok(()),
            Self::Listed => listed(command, &Arguments::of_command(command, args)?, version),
        }
    }
}

/// The reason with the code, as a case is skipped with it.
pub(super) fn missing(command: &str, reason: &NotSent) -> Missing {
    Missing(format!("{}: {command}: {reason}; --unsafe-qemu sends everything", NOT_SENT.0))
}

fn listed(command: &str, arguments: &Arguments, version: Version) -> Result<(), NotSent> {
    if let Some(unknown) = arguments.unknown.first().filter(|_| !version.is_modelled()) {
        return Err(NotSent::Unknown(unknown.clone()));
    }
    let properties = arguments.known.iter().filter(|one| one.role == Role::Property);
    let properties: Vec<&str> = properties.filter_map(|one| one.value.as_str()).collect();
    for argument in &arguments.known {
        match argument.role {
            Role::PropertyValue => {
                let roles: Vec<Role> = properties.iter().filter_map(|name| role_of(name)).collect();
                if roles.is_empty() && !version.is_modelled() {
                    return Err(NotSent::Unknown(properties.join(", ")));
                }
                roles.into_iter().try_for_each(|role| value(command, argument, role))?;
            }
            role => value(command, argument, role)?,
        }
    }
    Ok(())
}

/// Whether a value with this role may be sent. One that is no text names nothing, and is refused by
/// its type.
fn value(command: &str, argument: &Argument, role: Role) -> Result<(), NotSent> {
    let name = argument.name.clone();
    if role == Role::Socket && (command, name.as_str()) != REPLACED {
        return Err(NotSent::Socket { name });
    }
    let Some(text) = argument.value.as_str().map(str::to_owned) else {
        return Ok(());
    };
    match role {
        _ if role.is_id() && text.starts_with(OWN) => Err(NotSent::Reserved { name, id: text }),
        Role::ReadFile => Err(NotSent::Read { name, path: text }),
        Role::WriteFile if !is_writable(&text) => Err(NotSent::File { name, path: text }),
        Role::ObjectPath if !is_object(&text) => Err(NotSent::Path { name, path: text }),
        _ => Ok(()),
    }
}

/// Whether a path leads to something below the folder that it is looked up in, or to a device that
/// keeps nothing. There is no link in the folder of a case.
fn is_writable(path: &str) -> bool {
    let mut parts = Path::new(path).components();
    parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
        || matches!(opened(path), Ok(Opened::Sink(_)))
}

fn is_object(path: &str) -> bool {
    let id = path.strip_prefix("/objects/");
    id.is_some_and(|id| !id.is_empty() && !id.contains('/'))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    const MODELLED: Version = Version { major: 7, minor: 2, micro: 22 };
    const OTHER: Version = Version { major: 12, minor: 0, micro: 0 };

    fn sent(command: &str, args: &Value, version: Version) -> Result<(), NotSent> {
        Admission::Listed.command(command, args.as_object().unwrap(), version)
    }

    #[rstest]
    #[case::absolute("/tmp/x", false)]
    #[case::above("../x", false)]
    #[case::above_later("a/../../x", false)]
    #[case::root("/", false)]
    #[case::nothing("/dev/null", true)]
    #[case::full("/dev/full", true)]
    #[case::device("/dev/sda", false)]
    #[case::device_above("/dev/null/../sda", false)]
    #[case::here("./x", true)]
    #[case::itself(".", true)]
    #[case::plain("x.pcap", true)]
    #[case::below("no/x.pcap", true)]
    #[case::dots("..x", true)]
    fn a_file_stays_in_the_folder(#[case] file: &str, #[case] is_sent: bool) {
        let map = json!({"qom-type": "filter-dump", "id": "d", "netdev": "n", "file": file});
        assert_eq!(sent("object-add", &map, MODELLED).is_ok(), is_sent);
        let set = json!({"path": "/objects/d", "property": "file", "value": file});
        assert_eq!(sent("qom-set", &set, MODELLED).is_ok(), is_sent);
        for kind in ["out", "logfile"] {
            let data = json!({kind: file});
            let chardev = json!({"id": "c", "backend": {"type": "file", "data": data}});
            assert_eq!(sent("chardev-add", &chardev, MODELLED).is_ok(), is_sent, "{kind}");
        }
    }

    #[rstest]
    #[case("chardev-remove", json!({"id": "tapwright-qmp"}))]
    #[case("netdev_del", json!({"id": "tapwright-guest-hn0"}))]
    #[case("object-add", json!({"qom-type": "filter-mirror", "id": "m", "outdev": "tapwright-qmp"}))]
    #[case("qom-set", json!({"path": "/objects/m", "property": "outdev", "value": "tapwright-qmp"}))]
    fn what_is_ours_is_not_touched(#[case] command: &str, #[case] args: Value) {
        assert!(matches!(sent(command, &args, MODELLED), Err(NotSent::Reserved { .. })));
    }

    #[rstest]
    #[case("/machine")]
    #[case("/chardevs/c0")]
    #[case("/objects/f0/x")]
    #[case("/objects/../machine")]
    #[case("machine")]
    #[case("/objects/")]
    fn only_objects_are_set(#[case] path: &str) {
        let set = json!({"path": path, "property": "status", "value": "on"});
        assert!(matches!(sent("qom-set", &set, MODELLED), Err(NotSent::Path { .. })));
    }

    #[test]
    fn an_unknown_word_is_sent_where_it_is_surely_refused() {
        for args in [
            json!({"qom-type": "filter-mirror", "id": "m", "zz": "/etc/passwd"}),
            json!({"qom-type": "filter-teleport", "id": "m"}),
            json!({"id": "m"}),
        ] {
            assert_eq!(sent("object-add", &args, MODELLED), Ok(()));
            assert!(matches!(sent("object-add", &args, OTHER), Err(NotSent::Unknown(_))));
        }
        let set = json!({"path": "/objects/f0", "property": "zz", "value": "on"});
        assert_eq!(sent("qom-set", &set, MODELLED), Ok(()));
        assert!(matches!(sent("qom-set", &set, OTHER), Err(NotSent::Unknown(_))));
    }

    #[test]
    fn a_socket_has_an_address_of_ours_and_nothing_else_is_one() {
        let addr = json!({"type": "unix", "data": {"path": "/run/docker.sock"}});
        let data = json!({"addr": addr, "server": false});
        let chardev = json!({"id": "c", "backend": {"type": "socket", "data": data}});
        assert_eq!(sent("chardev-add", &chardev, MODELLED), Ok(()));
        let changed = sent("chardev-change", &chardev, MODELLED);
        assert!(matches!(changed, Err(NotSent::Socket { .. })));
        let data = json!({"in": "x", "out": "y"});
        let reads = json!({"id": "c", "backend": {"type": "file", "data": data}});
        assert!(matches!(sent("chardev-add", &reads, MODELLED), Err(NotSent::Read { .. })));
        let udp = json!({"id": "c", "backend": {"type": "udp", "data": {"remote": addr}}});
        assert!(matches!(sent("chardev-add", &udp, MODELLED), Err(NotSent::NotListed(_))));
    }

    #[test]
    fn everything_is_sent_where_that_was_asked_for() {
        let args = json!({"type": "bridge", "id": "b", "helper": "/bin/sh"});
        let args = args.as_object().unwrap();
        assert_eq!(Admission::Everything.command("netdev_add", args, OTHER), Ok(()));
    }
}
