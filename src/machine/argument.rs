//! What a command's arguments name, by the tables that the machine itself reads them with. The
//! backend `qemu` decides by it what of a scenario reaches a real QEMU.

use serde_json::{Map, Value};

use super::command::{COMMANDS, NETDEV_HEAD, Named, Options, backend_options, netdev_options};
use crate::qapi::{Creation, HEAD, OBJECT_TYPES, Properties, Property, Role};

/// An argument that the tables know.
#[derive(Clone, Debug, PartialEq)]
pub struct Argument {
    /// Its name; that of a nested one begins with those that it is in, with dots between them.
    pub name: String,
    pub role: Role,
    pub value: Value,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arguments {
    /// Those that the tables know.
    pub known: Vec<Argument>,
    /// What no modelled version of QEMU knows, in words. These versions refuse the command for it
    /// before it does anything.
    pub unknown: Vec<String>,
}

/// What the machine does not carry out, though a QEMU may.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotModelled {
    #[error("the command {0}")]
    Command(String),
    /// A type of an object, a netdev or a chardev.
    #[error("{of} of type {name}")]
    Type {
        /// What it is the type of, with its article.
        of: &'static str,
        name: String,
    },
    /// An option of a type that the machine has only in part.
    #[error("the option {option} of {of} of type {name}")]
    Option {
        /// What has it, with its article.
        of: &'static str,
        name: String,
        option: String,
    },
    /// A text that can't be taken apart.
    #[error("an -object text that is neither options nor a JSON object")]
    Text,
}

impl Arguments {
    /// What the arguments of a QMP command name.
    ///
    /// # Errors
    /// The first thing that the machine does not carry out.
    pub fn of_command(command: &str, args: &Map<String, Value>) -> Result<Self, NotModelled> {
        let given = || args.iter().map(|(name, value)| (name.clone(), value.clone()));
        let mut read = Self::default();
        match command {
            "object-add" => return Self::of_object(&Properties::of_map(args.clone())),
            "netdev_add" => {
                let (of, options) = ("a netdev", netdev_options);
                read.typed(of, "type", NETDEV_HEAD, &options, given().collect(), "")?;
            }
            _ => {
                let row = COMMANDS.iter().find(|row| row.name == command);
                let row = row.ok_or_else(|| NotModelled::Command(command.to_owned()))?;
                for (name, value) in given() {
                    match (row.args.iter().find(|known| known.name == name), &value) {
                        (Some(known), Value::Object(backend)) if known.name == "backend" => {
                            read.backend(backend)?;
                        }
                        (known, _) => read.take(known, name, value),
                    }
                }
            }
        }
        Ok(read)
    }

    /// What the members of an object name, every one of several with the same name.
    ///
    /// # Errors
    /// The first thing that the machine does not carry out.
    pub fn of_object(object: &Properties) -> Result<Self, NotModelled> {
        let mut read = Self::default();
        let given = object.written().ok_or(NotModelled::Text)?;
        read.typed("an object", "qom-type", HEAD, &object_options, given, "")?;
        Ok(read)
    }

    /// A chardev's backend: its type, and the options of that type in `data`.
    fn backend(&mut self, backend: &Map<String, Value>) -> Result<(), NotModelled> {
        let mut given = Vec::new();
        for (name, value) in backend {
            match value {
                Value::Object(data) if name == "data" => {
                    given.extend(data.iter().map(|(name, value)| (name.clone(), value.clone())));
                }
                // `data` that is no object is refused by its type, as everything beside it is.
                _ if name == "type" => given.push((TYPE.to_owned(), value.clone())),
                _ => self.unknown.push(format!("backend.{name}")),
            }
        }
        self.typed("a chardev", TYPE, &[], &backend_options, given, "backend.data.")
    }

    /// Arguments whose names depend on a type, which is one of them.
    fn typed(
        &mut self,
        of: &'static str,
        discriminator: &str,
        head: &'static [Property],
        options: &dyn Fn(&str) -> Named,
        given: Vec<(String, Value)>,
        prefix: &str,
    ) -> Result<(), NotModelled> {
        let types = given.iter().filter(|(name, _)| name == discriminator);
        let types: Vec<String> =
            types.filter_map(|(_, value)| value.as_str().map(str::to_owned)).collect();
        if types.is_empty() {
            self.unknown.push(format!("{of} without a type"));
        }
        for kind in &types {
            let not_modelled = NotModelled::Type { of, name: kind.clone() };
            match options(kind) {
                Named::Unknown => self.unknown.push(format!("{of} of type {kind}")),
                Named::NotBuilt => return Err(not_modelled),
                Named::Built(Options { properties, complete }) => {
                    for (name, value) in given.iter().filter(|(name, _)| name != discriminator) {
                        let mut all = head.iter().chain(properties.iter().copied().flatten());
                        let known = all.find(|known| known.name == name.as_str());
                        if known.is_none() && !complete {
                            let option = format!("{prefix}{name}");
                            return Err(NotModelled::Option { of, name: kind.clone(), option });
                        }
                        self.take(known, format!("{prefix}{name}"), value.clone());
                    }
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, known: Option<&Property>, name: String, value: Value) {
        match known {
            Some(known) => self.known.push(Argument { name, role: known.role, value }),
            None => self.unknown.push(name),
        }
    }
}

/// The name that a chardev's type has among its options; no option is called so.
const TYPE: &str = "backend.type";

fn object_options(name: &str) -> Named {
    match OBJECT_TYPES.iter().find(|kind| kind.name == name) {
        None => Named::Unknown,
        Some(kind) if kind.creation == Creation::NotBuilt => Named::NotBuilt,
        Some(kind) => Named::Built(Options { properties: kind.properties, complete: true }),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn of(command: &str, args: Value) -> Result<Arguments, NotModelled> {
        Arguments::of_command(command, args.as_object().unwrap())
    }

    fn of_option(text: &str) -> Result<Arguments, NotModelled> {
        Arguments::of_object(&Properties::of_option(text))
    }

    fn roles(read: &Arguments) -> Vec<(&str, Role)> {
        read.known.iter().map(|one| (one.name.as_str(), one.role)).collect()
    }

    #[test]
    fn each_argument_says_what_it_names() {
        let dump = json!({"qom-type": "filter-dump", "id": "d0", "netdev": "n", "file": "x",
            "maxlen": 3});
        assert_eq!(
            roles(&of("object-add", dump).unwrap()),
            [
                ("id", Role::Id),
                ("netdev", Role::Filtered),
                ("file", Role::WriteFile),
                ("maxlen", Role::Plain)
            ]
        );
        let socket = json!({"id": "c", "backend": {"type": "socket", "data": {
            "addr": {"type": "unix", "data": {"path": "/x"}}, "logfile": "/y"}}});
        assert_eq!(
            roles(&of("chardev-add", socket).unwrap()),
            [
                ("id", Role::Id),
                ("backend.data.addr", Role::Socket),
                ("backend.data.logfile", Role::WriteFile)
            ]
        );
        let set = json!({"path": "/objects/f0", "property": "file", "value": "/x"});
        assert_eq!(
            roles(&of("qom-set", set).unwrap()),
            [
                ("path", Role::ObjectPath),
                ("property", Role::Property),
                ("value", Role::PropertyValue)
            ]
        );
    }

    #[rstest]
    #[case("netdev_add", json!({"type": "bridge", "id": "b", "helper": "/bin/sh"}), "a netdev of type bridge")]
    #[case("netdev_add", json!({"type": "user", "id": "u", "smb": "/"}), "the option smb of a netdev of type user")]
    #[case("chardev-add", json!({"id": "c", "backend": {"type": "pty", "data": {}}}), "a chardev of type pty")]
    #[case("chardev-change", json!({"id": "c", "backend": {"type": "pipe", "data": {}}}), "a chardev of type pipe")]
    #[case("object-add", json!({"qom-type": "secret", "id": "s", "file": "/x"}), "an object of type secret")]
    #[case("human-monitor-command", json!({"command-line": "info version"}), "the command human-monitor-command")]
    fn what_the_machine_does_not_carry_out_is_named(
        #[case] command: &str,
        #[case] args: Value,
        #[case] named: &str,
    ) {
        assert_eq!(of(command, args).unwrap_err().to_string(), named);
    }

    #[test]
    fn every_one_of_several_values_is_seen_in_a_text() {
        let read = of_option("filter-dump,id=1x,file=/a,file=b,file=c,,d").unwrap();
        let files: Vec<&Value> = read
            .known
            .iter()
            .filter(|one| one.role == Role::WriteFile)
            .map(|one| &one.value)
            .collect();
        assert_eq!(files, ["/a", "b", "c,d"]);
        let twice = of_option("filter-dump,id=d,qom-type=memory-backend-file,file=x");
        assert_eq!(twice.unwrap_err().to_string(), "an object of type memory-backend-file");
        let json = of_option(r#"{"qom-type":"filter-dump","file":"/x"}"#).unwrap();
        assert_eq!(roles(&json), [("file", Role::WriteFile)]);
        let quoted = of_option("{'qom-type': 'secret'}");
        assert_eq!(quoted.unwrap_err().to_string(), "an object of type secret");
        assert_eq!(of_option("{'qom-type': 'secret'"), Err(NotModelled::Text));
    }

    #[test]
    fn what_no_version_knows_is_named() {
        let read = of("object-add", json!({"qom-type": "filter-mirror", "id": "m", "zz": 1}));
        assert_eq!(read.unwrap().unknown, ["zz"]);
        let read = of("netdev_add", json!({"type": "teleport", "id": "m"}));
        assert_eq!(read.unwrap().unknown, ["a netdev of type teleport"]);
        let read = of("netdev_add", json!({"id": "m"}));
        assert_eq!(read.unwrap().unknown, ["a netdev without a type"]);
        assert_eq!(of("stop", json!({"x": 1})).unwrap().unknown, ["x"]);
    }
}
