//! Reads `expect`: frames, bytes and errors that must come, at the root and in a step.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use super::{capture, host, port::Ports, send, stack::Interfaces};
use crate::{
    base::{MachineId, ObjectId, PortId},
    scenario::{
        case::{ExpectError, Expectation, Expectations, ExpectedFrames, Object},
        context::Context,
        fault::Fault,
        fields::Fields,
        key,
        node::{Entry, Node, Tree},
        stack::PortStack,
        value,
    },
};

/// The names that steps and expectations may use.
pub(super) struct Known<'a> {
    pub(super) machines: &'a [MachineId],
    /// Those that wait for a migration.
    pub(super) incoming: Vec<MachineId>,
    pub(super) ports: &'a Ports,
    /// Ids that an expected error may be about.
    pub(super) ids: BTreeSet<String>,
    /// The objects that steps add, by the steps' numbers from 0.
    pub(super) added: &'a BTreeMap<usize, Object>,
    pub(super) interfaces: Interfaces<'a>,
    /// The stacks so far; a client that is only called has its stack from then on.
    pub(super) stacks: RefCell<Vec<PortStack>>,
    /// The guest ports to which the steps so far migrate a guest.
    pub(super) arrivals: RefCell<BTreeSet<PortId>>,
}

pub(super) fn lower(context: &Context<'_>, node: &Node, known: &Known<'_>) -> Expectations {
    let mut result = Expectations::default();
    let Some(map) = Fields::open_loose(context, node, &key::EXPECT) else {
        return result;
    };
    for entry in map.entries() {
        match entry.key.as_str() {
            "error" => result.errors = errors(context, &entry.value, known),
            "within" => result.within = map.duration("within"),
            _ => result.ports.extend(port(context, entry, known)),
        }
    }
    if map.entries().iter().all(|entry| entry.key == "within") {
        let what = "nothing is expected";
        let help = "name a port and what comes out there: `expect: {hn0.host: 2}`";
        context.fault(node.span, Fault::Nothing { what, help });
    }
    result
}

fn errors(context: &Context<'_>, node: &Node, known: &Known<'_>) -> Vec<(ObjectId, ExpectError)> {
    let Some(entries) = node.map() else {
        let help = "write `error: {f0: \"the text\"}`".to_owned();
        value::mismatch(context, node, "a map from ids to errors", Some(help));
        return Vec::new();
    };
    let mut errors = Vec::new();
    for entry in entries {
        if !known.ids.contains(entry.key.as_str()) {
            let ids = known.ids.iter().map(String::as_str);
            context.fault(entry.key_span, host::unknown("object", &entry.key, ids));
        }
        if let Some(expected) = error(context, &entry.value) {
            errors.push((ObjectId::from(entry.key.as_str()), expected));
        }
    }
    errors
}

/// A text, or `{class, text}`, of which one may be left out.
pub(super) fn error(context: &Context<'_>, node: &Node) -> Option<ExpectError> {
    let span = node.span;
    if node.map().is_none() {
        let desc = value::text(context, node)?.to_owned();
        return Some(ExpectError { span, class: None, desc: Some(desc) });
    }
    let map = Fields::open(context, node, &key::EXPECT_ERROR)?;
    let (class, desc) = (map.text("class"), map.text("text"));
    if map.entry("class").is_none() && map.entry("text").is_none() {
        context.fault(span, Fault::NoError);
    }
    (class.is_some() || desc.is_some()).then_some(ExpectError { span, class, desc })
}

fn port(context: &Context<'_>, entry: &Entry, known: &Known<'_>) -> Option<Expectation> {
    let endpoint = known.ports.find(context, &entry.key, entry.key_span, "`expect`")?;
    if !send::has_frames(context, endpoint, entry.key_span, "`expect`") {
        return None;
    }
    let frames = match &entry.value.tree {
        Tree::List(_) => ExpectedFrames::Exactly(send::frames(
            context,
            &entry.value,
            endpoint,
            &endpoint.arriving(),
        )),
        Tree::Map(_) => {
            let map = Fields::open(context, &entry.value, &key::EXPECT_PORT)?;
            ExpectedFrames::Exactly(
                capture::packets(&map, &endpoint.arriving(), 0.0).unwrap_or_default(),
            )
        }
        Tree::Scalar(_) => {
            let most = 1_000_000;
            let count = value::integer(context, &entry.value, &entry.key, 0, most)?;
            ExpectedFrames::Count(usize::try_from(count).ok()?)
        }
    };
    Some(Expectation { port: endpoint.port.id.clone(), span: entry.key_span, frames })
}
