//! What a case is made of, counted before any of it is lowered.

use super::machine::Part;
use crate::{
    diag::Span,
    scenario::{
        budget::Kind,
        context::Context,
        fields::Fields,
        node::{Entry, Node, Tree},
    },
};

/// The lists and maps of the host side, and of what is behind ports.
const AROUND: [&str; 6] = ["namespaces", "links", "bridges", "routes", "clients", "impair"];
/// Those of a machine.
const INSIDE: [&str; 3] = ["netdevs", "chardevs", "objects"];
/// Steps that add to a machine.
const ADDING: [&str; 3] = ["netdev_add", "chardev-add", "object-add"];

/// Ports, ids and addresses of a device that begin with its machine's name.
const NAMES: usize = 8;

/// Takes the devices and steps of a case. False where that is too much.
pub(super) fn take(root: &Fields<'_>, parts: &[Part<'_>]) -> bool {
    let context = root.context();
    let around = AROUND.iter().filter_map(|key| root.entry(key));
    let inside =
        parts.iter().flat_map(|part| INSIDE.iter().filter_map(|key| part.fields.entry(key)));
    let lists: Vec<&Entry> = around.chain(inside).collect();
    let steps = root.entry("steps");
    let all_steps = steps.and_then(|entry| entry.value.list()).unwrap_or_default();
    let added = all_steps.iter().flat_map(|step| ADDING.iter().filter_map(|verb| step.get(verb)));
    let added: Vec<&Entry> = added.collect();

    let devices = parts.len() + added.len() + lists.iter().map(|list| size(list)).sum::<usize>();
    let largest = lists.iter().max_by_key(|list| size(list));
    let at = largest.map_or(root.span, |entry| entry.key_span);
    let here =
        || largest.map_or_else(String::new, |list| format!("{} under `{}`", size(list), list.key));
    let squared = devices.saturating_mul(devices);
    let pairs = || format!("{devices} x {devices}");
    context.take_of(at, Kind::Devices, devices, here)
        && context.take_of(at, Kind::Pairs, squared, pairs)
        && steps.is_none_or(|entry| context.take(entry.key_span, Kind::Steps, all_steps.len()))
        && lists.into_iter().chain(added).all(|list| options(context, &list.value))
        && parts.iter().all(names)
}

/// The option strings of a list or map, or one of a step.
fn options(context: &Context<'_>, node: &Node) -> bool {
    match &node.tree {
        Tree::Scalar(scalar) => {
            let options = 1 + scalar.text.bytes().filter(|byte| *byte == b',').count();
            let here = || format!("{options} in this string");
            context.take_of(node.span, Kind::Options, options, here)
        }
        Tree::List(nodes) => {
            let mut strings = nodes.iter().filter(|node| node.scalar().is_some());
            strings.all(|node| options(context, node))
        }
        Tree::Map(entries) => {
            let mut strings = entries.iter().filter(|entry| entry.value.scalar().is_some());
            strings.all(|entry| options(context, &entry.value))
        }
    }
}

/// A machine's name is part of what each of its devices is called.
fn names(part: &Part<'_>) -> bool {
    let length = part.id().as_str().len();
    let lists = INSIDE.iter().filter_map(|key| part.fields.entry(key));
    let devices: usize = lists.map(size).sum();
    let width = length.saturating_mul(devices).saturating_mul(NAMES);
    let at: Span = part.fields.span;
    part.fields.context().take_of(at, Kind::Text, width, || {
        format!("{NAMES} names x {devices} devices x {length} of their machine's name")
    })
}

fn size(list: &Entry) -> usize {
    match &list.value.tree {
        Tree::Scalar(_) => 0,
        Tree::List(nodes) => nodes.len(),
        Tree::Map(entries) => entries.len(),
    }
}
