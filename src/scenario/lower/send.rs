//! The frames of a `send` or an expectation, from the scenario or from a capture.

use std::{ops::RangeInclusive, path::Path, sync::Arc};

use super::{frame, port::Endpoint};
use crate::{
    base::Frame,
    diag::Span,
    frame::{Defaults, build},
    record::{Framing, PortKind, SourceFrame},
    scenario::{
        budget::Kind,
        case::Outgoing,
        context::Context,
        fault::{self, Fault},
        matrix,
        node::{Node, ScalarKind, short},
        value,
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
        .map(|frame| Outgoing { frame, source: None })
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

/// Packets of a capture, all of them or a selection.
pub(super) fn packets(
    context: &Context<'_>,
    name: &str,
    span: Span,
    selection: Option<&Node>,
) -> Vec<Outgoing> {
    let packets = match context.capture(name) {
        Ok(packets) => packets,
        Err(fault) => {
            context.fault(span, fault);
            return Vec::new();
        }
    };
    let path: Arc<Path> = Path::new(name).into();
    let ranges = match selection {
        Some(node) => select(context, node),
        None => vec![(1..=packets.len(), span)],
    };
    let mut frames = Vec::new();
    for (range, at) in ranges {
        if let Some(wanted) = [*range.start(), *range.end()]
            .into_iter()
            .find(|wanted| *wanted > packets.len() && !range.is_empty())
        {
            let (path, has) = (path.to_path_buf(), packets.len());
            context.fault(at, Fault::CaptureSelection { path, has, wanted });
            continue;
        }
        let count = (range.end() + 1).saturating_sub(*range.start());
        if !context.take_of(at, Kind::Frames, count, || format!("{count} packets of a capture")) {
            return frames;
        }
        for number in range {
            let packet = &packets[number - 1];
            let (has, was) = (packet.data.len(), packet.original_len);
            if has < was {
                let path = path.to_path_buf();
                context.fault(at, Fault::CaptureCut { path, number, has, was });
                return frames;
            }
            let source = Some(SourceFrame { file: Arc::clone(&path), number });
            frames.push(Outgoing { frame: Frame::plain(packet.data.clone()), source });
        }
    }
    frames
}

/// A number, `a..b` with both ends, or a list of these.
fn select(context: &Context<'_>, node: &Node) -> Vec<(RangeInclusive<usize>, Span)> {
    let nodes = node.list().unwrap_or(std::slice::from_ref(node));
    nodes
        .iter()
        .filter_map(|node| {
            let range = node.scalar().and_then(|scalar| match scalar.kind {
                ScalarKind::Integer(_) | ScalarKind::Text => range(&scalar.text),
                ScalarKind::Null | ScalarKind::Bool(_) | ScalarKind::Float(_) => None,
            });
            if range.is_none() {
                let shown = node
                    .scalar()
                    .map_or_else(|| node.shown(), |scalar| format!("\"{}\"", short(&scalar.text)));
                context.fault(node.span, Fault::Format {
                    reason: format!("{shown} selects no packets"),
                    help: "write a packet's number from 1, a range such as 1..5, or a list of these",
                    code: fault::BAD_SELECTION,
                });
            }
            range.map(|range| (range, node.span))
        })
        .collect()
}

fn range(text: &str) -> Option<RangeInclusive<usize>> {
    let number = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<usize>().ok())?
    };
    let (first, last) = match text.split_once("..") {
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(text)?, number(text)?),
    };
    (first >= 1 && first <= last).then_some(first..=last)
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::range;

    #[rstest]
    #[case("3", Some(3..=3))]
    #[case("1..5", Some(1..=5))]
    #[case("5..1", None)]
    #[case("0", None)]
    #[case("1..", None)]
    #[case("-1", None)]
    #[case("1...2", None)]
    #[case("99999999999999999999999", None)]
    fn selections(#[case] text: &str, #[case] expected: Option<std::ops::RangeInclusive<usize>>) {
        assert_eq!(range(text), expected);
    }
}
