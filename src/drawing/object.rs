//! Objects, as their properties join them to the rest.

use super::{
    declared::commands,
    topology::{Filtered, Object, Way, Wire, WireKind},
};
use crate::{
    base::{MachineId, file_name},
    scenario::{self, Case, ObjectForm, Verb},
};

/// An object, and where it belongs.
pub(super) struct Added {
    pub(super) object: Object,
    /// The netdev that it filters.
    pub(super) netdev: Option<String>,
    pub(super) position: Position,
}

/// `position=` and `insert=`.
pub(super) enum Position {
    Head,
    Tail,
    Beside { id: String, before: bool },
}

impl Position {
    /// Puts a filter into its chain (QEMU 10.2.2, net/filter.c, netfilter_complete).
    pub(super) fn insert(self, chain: &mut Vec<Object>, object: Object, machine: &MachineId) {
        let at = match self {
            Self::Head => 0,
            Self::Tail => chain.len(),
            Self::Beside { id, before } => {
                let id: String = machine.qualified(&id);
                let found = chain.iter().position(|other| other.id == id);
                found.map_or(chain.len(), |at| at + usize::from(!before))
            }
        };
        chain.insert(at, object);
    }
}

/// A machine's objects, then those that steps add under an id that is not there yet.
pub(super) fn all(case: &Case, machine: &MachineId) -> Vec<Added> {
    let declared = case.objects.iter().filter(|one| one.machine == *machine);
    let mut all: Vec<Added> = declared.map(|one| read(case, machine, &one.form, None)).collect();
    for (step, form) in added(case, machine) {
        let one = read(case, machine, &form, Some(step));
        if all.iter().all(|known| known.object.id != one.object.id) {
            all.push(one);
        }
    }
    all
}

fn added(case: &Case, machine: &MachineId) -> Vec<(usize, ObjectForm)> {
    let strings = (1..).zip(&case.steps).filter_map(|(step, one)| match &one.verb {
        Verb::ObjectOption(object) if object.machine == *machine => {
            Some((step, object.form.clone()))
        }
        _ => None,
    });
    let maps = commands(case, machine, "object-add");
    let maps = maps.map(|(step, args)| (step, ObjectForm::Qmp(args.clone())));
    let mut all: Vec<_> = strings.chain(maps).collect();
    all.sort_by_key(|(step, _)| *step);
    all
}

fn read(case: &Case, machine: &MachineId, form: &ObjectForm, added: Option<usize>) -> Added {
    let properties = form.properties();
    let get = |name: &str| {
        let mut given = properties.iter().rev();
        given.find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    };
    let kind = get("qom-type").unwrap_or("?").to_owned();
    let netdev = get("netdev").map(|id| machine.qualified::<String>(id));
    let filtered = netdev.as_ref().map(|_| match get("queue") {
        Some("tx") => Filtered::Tx,
        Some("rx") => Filtered::Rx,
        _ => Filtered::All,
    });
    let id = get("id").map_or_else(|| "?".to_owned(), |id| machine.qualified(id));
    let names = properties.iter().map(|(key, _)| key.as_str());
    let mut wires: Vec<Wire> = Vec::new();
    for name in names {
        let wire = get(name).and_then(|value| wire(machine, name, value));
        wires.extend(wire.filter(|wire| wires.iter().all(|known| known.property != wire.property)));
    }
    let mut notes: Vec<String> =
        NOTED.iter().filter_map(|name| Some(format!("{name}={}", get(name)?))).collect();
    let here = |id: &str| case.netdevs.iter().any(|one| one.id.as_str() == id);
    notes.extend(netdev.iter().filter(|id| !here(id)).map(|id| format!("netdev={id}")));
    let position = match (get("position"), get("insert")) {
        (Some("head"), _) => Position::Head,
        (Some(beside), insert) if beside.starts_with("id=") => Position::Beside {
            id: beside.trim_start_matches("id=").to_owned(),
            before: insert == Some("before"),
        },
        _ => Position::Tail,
    };
    Added {
        object: Object {
            refused: refused(case, &id, added),
            id,
            kind,
            filtered,
            wires,
            notes,
            added,
        },
        netdev,
        position,
    }
}

/// Properties that are no joint, and change what frames go where.
const NOTED: &[&str] = &[
    "status",
    "vnet_hdr_support",
    "interval",
    "position",
    "insert",
    "iothread",
    "compare_timeout",
    "expired_scan_cycle",
    "max_queue_size",
];

fn wire(machine: &MachineId, property: &str, value: &str) -> Option<Wire> {
    let (way, kind) = match property {
        "indev" | "primary_in" | "secondary_in" => (Way::In, WireKind::Chardev),
        "outdev" => (Way::Out, WireKind::Chardev),
        "notify_dev" => (Way::Both, WireKind::Chardev),
        "in_netdev" => (Way::In, WireKind::Netdev),
        "out_netdev" => (Way::Out, WireKind::Netdev),
        "file" => (Way::Out, WireKind::File),
        _ => return None,
    };
    let target = match kind {
        WireKind::File => file_name(value).ok()?,
        _ => value,
    };
    Some(Wire { property: property.to_owned(), way, kind, target: machine.qualified(target) })
}

/// The text with which it must be refused, by the case or by the step that adds it.
fn refused(case: &Case, id: &str, added: Option<usize>) -> Option<String> {
    let step = added.and_then(|step| case.steps.get(step - 1));
    let of_step = step.and_then(|step: &scenario::Step| step.error.as_ref());
    let mut errors = case.expect.errors.iter();
    let of_case = errors.find(|(object, _)| object.as_str() == id);
    of_step.or(of_case.map(|(_, error)| error)).map(|error| error.desc.clone())
}
