//! Objects, as their properties join them to the rest.

use super::topology::{Filtered, Object, Way, Wire, WireKind};
use crate::{
    base::{MachineId, Opened, opened},
    qapi::{Flow, Member, Properties, Role},
    scenario::{self, Case},
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
    let of = |object: &&scenario::Object| object.machine == *machine;
    let declared = case.objects.iter().filter(of);
    let mut all: Vec<Added> = declared.map(|one| read(case, one, None)).collect();
    for (step, object) in case.added_objects().filter(|(_, object)| of(object)) {
        let one = read(case, object, Some(step));
        if all.iter().all(|known| known.object.id != one.object.id) {
            all.push(one);
        }
    }
    all
}

fn read(case: &Case, object: &scenario::Object, added: Option<usize>) -> Added {
    let scenario::Object { machine, properties, .. } = object;
    let with = |role| properties.with(role).filter(|value| !value.is_empty());
    let netdev = with(Role::Filtered).map(|id| machine.qualified::<String>(id));
    let filtered = netdev.as_ref().map(|_| match with(Role::Queue) {
        Some("tx") => Filtered::Tx,
        Some("rx") => Filtered::Rx,
        _ => Filtered::All,
    });
    let id = object.id.as_ref().map_or_else(|| "?".to_owned(), ToString::to_string);
    let members = properties.members();
    let wires = members.iter().filter_map(|member| wire(machine, member)).collect();
    let mut notes: Vec<String> = noted(properties);
    let here = |id: &str| case.netdevs.iter().any(|one| one.id.as_str() == id);
    notes.extend(netdev.iter().filter(|id| !here(id)).map(|id| format!("netdev={id}")));
    let position = match (with(Role::Position), with(Role::Side)) {
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
            kind: properties.qom_type().unwrap_or("?").to_owned(),
            filtered,
            wires,
            notes,
            added,
        },
        netdev,
        position,
    }
}

/// What is no joint, and changes what frames go where.
fn noted(properties: &Properties) -> Vec<String> {
    let members = properties.members();
    let of = |is: fn(Role) -> bool| {
        let members = members.iter().filter(move |member| member.role.is_some_and(is));
        members.filter_map(|member| {
            let shown = properties.shown(member.name).filter(|shown| !shown.is_empty())?;
            Some(format!("{}={shown}", member.name))
        })
    };
    of(|role| role == Role::Setting)
        .chain(of(|role| matches!(role, Role::Position | Role::Side | Role::Iothread)))
        .collect()
}

fn wire(machine: &MachineId, member: &Member<'_>) -> Option<Wire> {
    let way = |flow| match flow {
        Flow::In => Way::In,
        Flow::Out => Way::Out,
        Flow::Messages => Way::Both,
    };
    let (way, kind) = match member.role? {
        Role::Chardev(flow) => (way(flow), WireKind::Chardev),
        Role::Netdev(flow) => (way(flow), WireKind::Netdev),
        Role::ReadFile => (Way::In, WireKind::File),
        Role::WriteFile => (Way::Out, WireKind::File),
        _ => return None,
    };
    let value = member.text().filter(|value| !value.is_empty())?;
    let target = match kind {
        WireKind::File => match opened(value).ok()? {
            Opened::File(name) => name,
            Opened::Sink(_) => value,
        },
        WireKind::Chardev | WireKind::Netdev => value,
    };
    Some(Wire { property: member.name.to_owned(), way, kind, target: machine.qualified(target) })
}

/// The text with which it must be refused, by the case or by the step that adds it.
fn refused(case: &Case, id: &str, added: Option<usize>) -> Option<String> {
    let step = added.and_then(|step| case.steps.get(step - 1));
    let of_step = step.and_then(|step: &scenario::Step| step.error.as_ref());
    let mut errors = case.expect.errors.iter();
    let of_case = errors.find(|(object, _)| object.as_str() == id);
    of_step
        .or(of_case.map(|(_, error)| error))
        .map(|error| error.desc.clone().unwrap_or_else(|| error.to_string()))
}
