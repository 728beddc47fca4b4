use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    declared,
    machine::{self, Part},
};
use crate::{
    base::{ChardevId, MachineId, NetdevId, PortId, file_name},
    diag::Span,
    qapi::option,
    record::Framing,
    scenario::{
        address::Address,
        case::{Object, ObjectForm},
        context::Context,
        fields::Fields,
        node::{Node, json_map},
        value,
    },
};

/// The objects of a machine.
pub(super) fn lower(part: &Part<'_>) -> Vec<Object> {
    let fields = &part.fields;
    let Some(node) = fields.node("objects") else {
        return Vec::new();
    };
    let Some(nodes) = node.list() else {
        let help = "write a list: `objects: [\"filter-mirror,id=m0,...\"]`".to_owned();
        value::mismatch(fields.context(), node, "a list of objects", Some(help));
        return Vec::new();
    };
    nodes.iter().filter_map(|node| object(fields.context(), part.id(), node)).collect()
}

/// An object, without judging its properties: their rules and texts are QEMU's.
pub(super) fn object(context: &Context<'_>, machine: &MachineId, node: &Node) -> Option<Object> {
    let form = if let Some(text) = node.text() {
        ObjectForm::Option(text.to_owned())
    } else if let Some(entries) = node.map() {
        ObjectForm::Qmp(json_map(entries))
    } else {
        let help = "write QEMU's -object string, or a map with `qom-type` and `id`".to_owned();
        value::mismatch(context, node, "an option string or a map", Some(help));
        return None;
    };
    let id = form
        .properties()
        .into_iter()
        .find(|(key, value)| key == "id" && !value.is_empty())
        .map(|(_, value)| machine.qualified(&value));
    Some(Object { machine: machine.clone(), id, span: node.span, form })
}

impl ObjectForm {
    /// The properties as texts, in the order in which they are written, `qom-type` among them; of
    /// several of a name the last one counts. Nested values are left out.
    #[must_use]
    pub fn properties(&self) -> Vec<(String, String)> {
        let from_map = |map: &serde_json::Map<String, Value>| {
            map.iter()
                .filter_map(|(key, value)| match value {
                    Value::String(text) => Some((key.clone(), text.clone())),
                    Value::Bool(_) | Value::Number(_) => Some((key.clone(), value.to_string())),
                    _ => None,
                })
                .collect()
        };
        match self {
            Self::Qmp(map) => from_map(map),
            // -object takes JSON too (QEMU 10.2.2, `system/vl.c`, `object_option_parse`).
            Self::Option(text) if text.starts_with('{') => {
                match serde_json::from_str::<Value>(text) {
                    Ok(Value::Object(map)) => from_map(&map),
                    _ => Vec::new(),
                }
            }
            Self::Option(text) => option::split(text)
                .into_iter()
                .map(|element| {
                    (element.key.unwrap_or_else(|| "qom-type".to_owned()), element.value)
                })
                .collect(),
        }
    }
}

/// Which object uses a chardev, as far as a port's defaults depend on it.
#[derive(Clone, Debug)]
pub(super) struct Use {
    pub(super) chardev: ChardevId,
    pub(super) framing: Framing,
    /// The netdev that the object filters.
    pub(super) netdev: Option<NetdevId>,
    /// `queue=tx`.
    pub(super) towards_guest: bool,
}

/// The uses of chardevs by all objects, also by those that steps add.
pub(super) fn wiring(fields: &Fields<'_>, objects: &[Object]) -> Vec<Use> {
    let added = added_objects(fields);
    objects.iter().chain(&added).flat_map(|object| uses(&object.machine, &object.form)).collect()
}

fn uses(machine: &MachineId, form: &ObjectForm) -> Vec<Use> {
    let properties = form.properties();
    let get = |name: &str| {
        properties.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    };
    let vnet = get("vnet_hdr_support").is_some_and(option::is_true);
    // colo-compare's notify_dev carries messages without a virtio-net header whatever is set
    // (QEMU 10.2.2, net/colo-compare.c, notify_remote_frame).
    ["indev", "outdev", "primary_in", "secondary_in", "notify_dev"]
        .into_iter()
        .filter_map(|name| {
            Some(Use {
                chardev: machine.qualified(get(name)?),
                framing: if vnet && name != "notify_dev" { Framing::Vnet } else { Framing::Plain },
                netdev: get("netdev").map(|netdev| machine.qualified(netdev)),
                towards_guest: get("queue") == Some("tx"),
            })
        })
        .collect()
}

/// The file of a filter-dump.
#[derive(Clone, Debug)]
pub(super) struct DumpFile {
    pub(super) machine: MachineId,
    pub(super) port: PortId,
    /// Where it is named.
    pub(super) span: Span,
    /// The netdev whose frames it has.
    pub(super) netdev: Option<NetdevId>,
    /// `queue=tx`.
    pub(super) towards_guest: bool,
}

/// The files of all filter-dumps, also of those that steps add.
pub(super) fn files(fields: &Fields<'_>, objects: &[Object]) -> Vec<DumpFile> {
    let added = added_objects(fields);
    let mut files: Vec<DumpFile> = Vec::new();
    for object in objects.iter().chain(&added) {
        let properties = object.form.properties();
        let get = |name: &str| {
            let mut given = properties.iter().rev();
            given.find(|(key, _)| key == name).map(|(_, value)| value.as_str())
        };
        if get("qom-type") != Some("filter-dump") {
            continue;
        }
        // A path that leads to no file is refused when the object is made.
        let Some(Ok(file)) = get("file").map(file_name) else {
            continue;
        };
        let machine = object.machine.clone();
        let port: PortId = machine.qualified(file);
        if files.iter().all(|known| known.port != port) {
            files.push(DumpFile {
                port,
                span: place_of(fields.context(), object, "file"),
                netdev: get("netdev").map(|netdev| machine.qualified(netdev)),
                towards_guest: get("queue") == Some("tx"),
                machine,
            });
        }
    }
    files
}

/// Where a property of an object stands, else the object.
fn place_of(context: &Context<'_>, object: &Object, property: &str) -> Span {
    let ObjectForm::Option(text) = &object.form else {
        return object.span;
    };
    let elements = option::split(text);
    let mut given = elements.iter().rev();
    let found = given.find(|element| element.key.as_deref() == Some(property));
    found.map_or(object.span, declared::places(context, text, object.span))
}

fn added_objects(fields: &Fields<'_>) -> Vec<Object> {
    steps(fields)
        .filter_map(|step| Some((machine::written(step), step.get("object-add")?)))
        .filter_map(|(machine, entry)| {
            let form = match (entry.value.text(), entry.value.map()) {
                (Some(text), _) => ObjectForm::Option(text.to_owned()),
                (None, Some(entries)) => ObjectForm::Qmp(json_map(entries)),
                (None, None) => return None,
            };
            let id = form
                .properties()
                .into_iter()
                .find(|(key, _)| key == "id")
                .map(|(_, value)| machine.qualified(&value));
            Some(Object { machine, id, span: entry.value.span, form })
        })
        .collect()
}

fn steps<'a>(fields: &Fields<'a>) -> impl Iterator<Item = &'a Node> + use<'a> {
    fields.node("steps").and_then(Node::list).unwrap_or_default().iter()
}

/// A chardev that a step adds.
pub(super) struct Added {
    pub(super) machine: MachineId,
    pub(super) id: ChardevId,
    /// Where it stands in the file.
    pub(super) span: Span,
    /// A socket's address, and whether it listens there.
    pub(super) socket: Option<(Address, bool)>,
}

/// The chardevs that steps add.
pub(super) fn added_chardevs(fields: &Fields<'_>) -> Vec<Added> {
    let added = steps(fields).filter_map(|step| {
        let machine = machine::written(step);
        let value = &step.get("chardev-add")?.value;
        let args = value.map().map(json_map)?;
        Some(Added {
            span: value.span,
            id: machine.qualified(args.get("id")?.as_str()?),
            socket: Address::of_backend(&args),
            machine,
        })
    });
    added.collect()
}

/// Every id that an expected error may be about.
pub(super) fn known_ids(fields: &Fields<'_>, objects: &[Object]) -> BTreeSet<String> {
    let added = added_objects(fields);
    objects
        .iter()
        .chain(&added)
        .filter_map(|object| object.id.as_ref().map(ToString::to_string))
        .chain(added_chardevs(fields).iter().map(|added| added.id.to_string()))
        .collect()
}
