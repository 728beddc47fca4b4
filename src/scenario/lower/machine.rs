//! The machines of a scenario: those under `machines`, or the one that the top level is.

use super::{host, root};
use crate::{
    base::MachineId,
    diag::Span,
    scenario::{
        case::Machine,
        fault::Fault,
        fields::Fields,
        key,
        node::{Entry, Node},
        value,
    },
};

/// A machine and the map that it is written in.
pub(super) struct Part<'a> {
    pub(super) machine: Machine,
    pub(super) fields: Fields<'a>,
}

impl Part<'_> {
    pub(super) fn id(&self) -> &MachineId {
        &self.machine.id
    }
}

/// At least one, in the order of declaration.
pub(super) fn parts<'a>(root: &Fields<'a>) -> Vec<Part<'a>> {
    let Some(entry) = root.entry("machines") else {
        return vec![whole(root)];
    };
    for key in ["netdevs", "chardevs", "objects"] {
        let help = "with `machines` every netdev, chardev and object belongs to one of them: move \
                    these there";
        root.conflict("machines", key, help);
    }
    let Some(entries) = entry.value.map() else {
        let help = "write `machines: {primary: {netdevs: {...}}, secondary: {...}}`".to_owned();
        value::mismatch(root.context(), &entry.value, "a map from names to machines", Some(help));
        return vec![whole(root)];
    };
    let parts: Vec<Part<'a>> = entries.iter().filter_map(|entry| named(root, entry)).collect();
    if entries.is_empty() {
        let what = "there is no machine in `machines`";
        let help = "name one, or move its keys to the top level";
        root.fault(entry.key_span, Fault::Nothing { what, help });
    }
    if parts.is_empty() { vec![whole(root)] } else { parts }
}

fn whole<'a>(root: &Fields<'a>) -> Part<'a> {
    Part { machine: Machine::default(), fields: *root }
}

fn named<'a>(root: &Fields<'a>, entry: &'a Entry) -> Option<Part<'a>> {
    if !host::is_id(&entry.key) {
        root.fault(entry.key_span, host::bad_id(&entry.key, "a machine"));
        return None;
    }
    let fields = Fields::open(root.context(), &entry.value, &key::MACHINE)?;
    let profile = fields.has("profile").then(|| root::profile(&fields));
    let id = MachineId::from(entry.key.as_str());
    let (stopped, incoming) =
        (fields.boolean_or_default("stopped"), fields.boolean_or_default("incoming"));
    Some(Part { machine: Machine { id, profile, stopped, incoming }, fields })
}

/// The machine that a step names.
pub(super) fn of_step(
    step: &Fields<'_>,
    verb_span: Span,
    machines: &[MachineId],
) -> Option<MachineId> {
    match step.entry("machine") {
        Some(entry) => find(step, &entry.value, machines),
        None => only(step, verb_span, machines),
    }
}

/// The only machine; with several, a name must choose one.
pub(super) fn only(
    fields: &Fields<'_>,
    verb_span: Span,
    machines: &[MachineId],
) -> Option<MachineId> {
    match machines {
        [only] if !only.is_named() => Some(only.clone()),
        _ => {
            let names = machines.iter().map(MachineId::as_str);
            let known = crate::scenario::suggest::list(names);
            fields.fault(verb_span, Fault::WhichMachine { known });
            None
        }
    }
}

pub(super) fn find(step: &Fields<'_>, node: &Node, machines: &[MachineId]) -> Option<MachineId> {
    let name = value::text(step.context(), node)?;
    let named = || machines.iter().filter(|machine| machine.is_named());
    let found = named().find(|machine| machine.as_str() == name);
    if found.is_none() {
        let names: Vec<&str> = named().map(MachineId::as_str).collect();
        step.fault(node.span, host::unknown("machine", name, names.iter().copied()));
    }
    found.cloned()
}

/// The machine of a step that is only looked at, as it is written.
pub(super) fn written(step: &Node) -> MachineId {
    step.get("machine")
        .and_then(|entry| entry.value.text())
        .map_or_else(MachineId::default, MachineId::from)
}
