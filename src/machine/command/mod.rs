//! Commands: QMP's names, arguments and texts, and `-object`.

mod announce;
mod around;
mod chardev;
mod migrate;
mod netdev;
mod object;
mod qom;

pub(crate) use chardev::SocketOptions;
pub(super) use chardev::{options as backend_options, socket_options};
pub(super) use netdev::{HEAD as NETDEV_HEAD, options as netdev_options};

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    ColoEvent, Command,
    error::{CreateError, generic},
    net::Net,
    property::NOT_BUILT,
};
use crate::{
    qapi::{Default, Effect, Kind, Property, Role, Source, visit_members},
    record::{CommandError, Outcome},
};

/// The options of a type, of a netdev or a chardev, as far as the machine has them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    pub(super) properties: &'static [&'static [Property]],
    /// These are all that any version has, so that QEMU refuses every other name.
    pub(super) complete: bool,
}

/// What a name is, of a type.
#[derive(Clone, Copy, Debug)]
pub(super) enum Named {
    /// A type that works here.
    Built(Options),
    /// A type of QEMU's that does not.
    NotBuilt,
    /// No type of a modelled version.
    Unknown,
}

/// A command's arguments, types checked.
type Args = BTreeMap<&'static str, Value>;

type Run = fn(&mut Net, &Args) -> Result<Value, CommandError>;

/// A QMP command.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) args: &'static [Property],
    run: Run,
}

const fn arg(name: &'static str, kind: Kind, required: bool) -> Property {
    Property {
        name,
        kind,
        required,
        exists: |_| true,
        default: Default::Str(""),
        effect: Effect::Live,
        qom_type: "",
        setter: None,
        role: Role::Plain,
    }
}

const ID: Property = arg("id", Kind::Str, true).naming(Role::Id);
const PATH: Property = arg("path", Kind::Str, true).naming(Role::ObjectPath);
const PROPERTY: Property = arg("property", Kind::Str, true).naming(Role::Property);

/// In the order of the manual; `object-add` and `netdev_add` read their own arguments.
pub(super) static COMMANDS: &[Row] = &[
    Row { name: "object-del", args: &[ID], run: object::del },
    Row { name: "qom-list", args: &[PATH], run: |net, args| qom::list(&net.core, args) },
    Row { name: "qom-get", args: &[PATH, PROPERTY], run: |net, args| qom::get(&net.core, args) },
    Row {
        name: "qom-set",
        args: &[PATH, PROPERTY, arg("value", Kind::Any, true).naming(Role::PropertyValue)],
        run: qom::set,
    },
    Row {
        name: "qom-list-types",
        args: &[arg("implements", Kind::Str, false), arg("abstract", Kind::Bool, false)],
        run: |net, args| qom::list_types(&net.core, args),
    },
    Row {
        name: "set_link",
        args: &[arg("name", Kind::Str, true).naming(Role::Id), arg("up", Kind::Bool, true)],
        run: netdev::set_link,
    },
    Row { name: "netdev_del", args: &[ID], run: netdev::del },
    Row { name: "chardev-add", args: &[ID, arg("backend", Kind::Struct, true)], run: chardev::add },
    Row {
        name: "chardev-change",
        args: &[ID, arg("backend", Kind::Struct, true)],
        run: chardev::change,
    },
    Row { name: "chardev-remove", args: &[ID], run: chardev::remove },
    Row { name: "query-chardev", args: &[], run: |net, _| Ok(chardev::query(&net.core)) },
    Row {
        name: "ringbuf-read",
        args: &[
            arg("device", Kind::Str, true).naming(Role::Id),
            arg("size", Kind::Int, true),
            arg("format", Kind::Enum(&["utf8", "base64"]), false),
        ],
        run: chardev::ringbuf_read,
    },
    Row {
        name: "ringbuf-write",
        args: &[
            arg("device", Kind::Str, true).naming(Role::Id),
            arg("data", Kind::Str, true),
            arg("format", Kind::Enum(&["utf8", "base64"]), false),
        ],
        run: chardev::ringbuf_write,
    },
    Row { name: "chardev-send-break", args: &[ID], run: chardev::send_break },
    Row { name: "query-iothreads", args: &[], run: |net, _| Ok(around::iothreads(&net.core)) },
    Row {
        name: "query-rx-filter",
        args: &[arg("name", Kind::Str, false).naming(Role::Id)],
        run: |net, args| around::rx_filter(&net.core, args),
    },
    Row { name: "query-colo-status", args: &[], run: |_, _| Ok(around::colo_status()) },
    Row {
        name: "x-colo-lost-heartbeat",
        args: &[],
        run: |net, _| around::lost_heartbeat(&net.core),
    },
    Row { name: "query-status", args: &[], run: |net, _| Ok(netdev::status(&net.core)) },
    Row { name: "stop", args: &[], run: netdev::stop },
    Row { name: "cont", args: &[], run: netdev::cont },
    Row { name: "announce-self", args: announce::ARGS, run: announce::announce_self },
    // Needs no Xen (QEMU 10.2.2 migration/colo.c:273-284; measured on 7.2.22).
    Row {
        name: "xen-colo-do-checkpoint",
        args: &[],
        run: |net, _| {
            net.colo_filters(ColoEvent::Checkpoint);
            Ok(done())
        },
    },
];

/// Commands around networks that QEMU has and the machine has not: QMP would not say that there is
/// no such command.
static NOT_MODELLED: &[&str] = &[
    "device_add",
    "device_del",
    "getfd",
    "human-monitor-command",
    "migrate",
    "migrate-set-capabilities",
    "migrate-set-parameters",
    "qom-list-properties",
    "query-block",
    "query-chardev-backends",
    "query-commands",
    "query-kvm",
    "query-migrate",
    "query-name",
    "query-named-block-nodes",
    "query-pci",
    "query-qmp-schema",
    "query-uuid",
    "query-version",
    "quit",
    "system_reset",
];

impl Net {
    pub(super) fn command(&mut self, command: &Command) -> Outcome {
        match self.run(command) {
            Ok(value) => Outcome::Done(value),
            Err(error) => error.into(),
        }
    }

    fn run(&mut self, command: &Command) -> Result<Value, CreateError> {
        let (name, args) = match command {
            Command::ObjectOption(text) => return object::add_option(self, text),
            Command::Colo(event) => {
                self.colo(*event);
                return Ok(done());
            }
            Command::MigrateOut => return Ok(migrate::out(self)?),
            Command::MigrateIn(migrated) => return Ok(migrate::take(self, *migrated)?),
            Command::Qmp { name, args } => (name.as_str(), args),
        };
        let none = Map::new();
        let map = match args {
            Value::Object(map) => map,
            Value::Null => &none,
            _ => {
                return Err(generic("QMP input member 'arguments' must be an object").into());
            }
        };
        match name {
            "object-add" => return object::add(self, map),
            "netdev_add" => return Ok(netdev::add(self, map)?),
            _ => {}
        }
        if let Some(known) = NOT_MODELLED.iter().find(|known| **known == name) {
            return Err(CreateError::Refused(CommandError {
                class: NOT_BUILT.to_owned(),
                desc: format!("tapwright does not carry out {known}"),
            }));
        }
        let Some(row) = COMMANDS.iter().find(|row| row.name == name) else {
            return Err(CreateError::Refused(CommandError {
                class: "CommandNotFound".to_owned(),
                desc: format!("The command {name} has not been found"),
            }));
        };
        let args = visit_members(Source::Json(map), &mut row.args.iter(), "")
            .map_err(CommandError::from)?;
        Ok((row.run)(self, &args)?)
    }
}

/// QMP's empty return.
fn done() -> Value {
    Value::Object(Map::new())
}

fn text<'a>(args: &'a Args, name: &str) -> &'a str {
    args.get(name).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests;
