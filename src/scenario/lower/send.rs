//! The frames of a `send` or an expectation that are written in the scenario.

use std::time::Duration;

use super::{frame, port::Endpoint};
use crate::{
    base::Frame,
    diag::Span,
    frame::{Defaults, build},
    record::{Framing, PortKind},
    scenario::{
        budget::Kind, case::Outgoing, context::Context, fault::Fault, matrix, node::Node, value,
    },
};

pub(super) fn frames(
    context: &Context<'_>,
    node: &Node,
    endpoint: &Endpoint,
    defaults: &Defaults,
) -> Vec<Outgoing> {
    let Some(nodes) = node.list() else {
        let help = "write `frames: [{arp: {...}}]`, each frame as `- ...`".to_owned();
        value::mismatch(context, node, "a list of frames", Some(help));
        return Vec::new();
    };
    nodes
        .iter()
        .filter_map(|node| one(context, node, endpoint, defaults))
        .map(|frame| Outgoing { after: Duration::ZERO, frame, source: None })
        .collect()
}

fn one(
    context: &Context<'_>,
    node: &Node,
    endpoint: &Endpoint,
    defaults: &Defaults,
) -> Option<Frame> {
    let before = context.noted();
    let spec = frame::lower(context, node)?;
    // A spec with gaps was reported already; what is built from it would only confuse.
    if context.noted() > before {
        return None;
    }
    let built = build(&spec, defaults)
        .map_err(|error| {
            context.fault(node.span, Fault::Build { reason: error.to_string() });
        })
        .ok()?;
    if !built.vnet.is_zero() && !endpoint.carries_vnet {
        let span = node.get("vnet_hdr").map_or(node.span, |entry| entry.key_span);
        let help = if endpoint.is_chardev() {
            "use an object with vnet_hdr_support=on there, or `framing: vnet` on the chardev"
        } else {
            "give the netdev `nic: virtio`, or leave `vnet_hdr` out"
        };
        context.fault(span, Fault::VnetLost { port: endpoint.port.id.to_string(), help });
    }
    context.spend(node.span, 1, built.data.len()).then_some(built)
}

/// Frames with `repeat` written out.
pub(super) fn repeated(
    context: &Context<'_>,
    node: &Node,
    endpoint: &Endpoint,
    times: usize,
) -> Vec<Outgoing> {
    let defaults = endpoint.sending();
    let before = context.noted();
    if !matrix::has_reference(node) {
        return alike(context, frames(context, node, endpoint, &defaults), node.span, times);
    }
    let parts = matrix::parts(node);
    let all = parts.saturating_mul(times);
    let factors = || format!("{times} repetitions x {parts}");
    if !context.take_of(node.span, Kind::Repeated, all, factors) {
        return Vec::new();
    }
    let mut all = Vec::new();
    for number in 1..=times {
        all.extend(frames(context, &matrix::count(context, node, number), endpoint, &defaults));
        if context.noted() > before {
            break;
        }
    }
    all
}

/// The same frames this many times; the first round has been counted already.
pub(super) fn alike(
    context: &Context<'_>,
    once: Vec<Outgoing>,
    span: Span,
    times: usize,
) -> Vec<Outgoing> {
    let count = once.len();
    let all = count.saturating_mul(times);
    let factors = || format!("{times} repetitions x {count}");
    if times < 2 || !context.take_of(span, Kind::Frames, all - count, factors) {
        return once;
    }
    let mut repeated = Vec::with_capacity(all);
    for _ in 0..times {
        repeated.extend(once.iter().cloned());
    }
    repeated
}

/// Whether frames can be sent at a port or expected there.
pub(super) fn has_frames(
    context: &Context<'_>,
    endpoint: &Endpoint,
    span: Span,
    verb: &'static str,
) -> bool {
    let raw = endpoint.port.kind == PortKind::Chardev(Framing::Raw);
    if raw {
        context.fault(
            span,
            Fault::WrongPort {
                name: endpoint.port.id.to_string(),
                is: "has `framing: raw`: its bytes are no frames",
                verb,
                needs: "a port with frames",
                help: "use `write`, or give the chardev `framing: plain`".to_owned(),
            },
        );
    }
    !raw
}
