//! The frames of a `send` or an expectation that come from a capture: which packets are taken, and
//! what is made of those that can't be sent as they stand in the file.

use std::{ops::RangeInclusive, path::Path, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};

use crate::{
    base::Frame,
    capture::{Addresses, Capture, Packet, ReadError},
    diag::Span,
    frame::Defaults,
    record::SourceFrame,
    scenario::{
        budget::Kind,
        case::Outgoing,
        context::Context,
        fault::{self, Fault},
        fields::Fields,
        node::{Node, ScalarKind, short},
    },
};

/// The largest factor of `timing`.
const MOST_FACTOR: f64 = 1000.0;

/// What is made of a packet that the capture cut off.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// It is refused.
    Refused,
    /// It is sent as the file has it.
    Kept,
    /// Zeros stand for what is missing.
    Padded,
}

/// How the packets of a capture become frames.
struct Making<'a> {
    path: Arc<Path>,
    at: Span,
    to_ethernet: bool,
    cut: Cut,
    timing: Timing,
    defaults: &'a Defaults,
}

/// When each packet is sent: as far behind the one before it as in the capture, times a factor, which
/// is 0 where the capture's times do not matter.
struct Timing {
    factor: f64,
    last: Option<Duration>,
}

impl Timing {
    /// The pause before a packet that was captured at `time`. None before the first, and none where
    /// the capture's clock went back.
    fn after(&mut self, time: Duration) -> Duration {
        let last = self.last.replace(time).unwrap_or(time);
        let pause = time.saturating_sub(last).as_secs_f64() * self.factor;
        // Whole nanoseconds: more than the formats of captures can say.
        Duration::try_from_secs_f64(pause).unwrap_or(Duration::MAX)
    }
}

/// Packets of the capture that `pcap` names, all of them or those that `frames` selects. Nothing is
/// asked of the others. Between two of them the machine's clock runs as long as in the capture, times
/// `factor`.
pub(super) fn packets(map: &Fields<'_>, defaults: &Defaults, factor: f64) -> Option<Vec<Outgoing>> {
    let context = map.context();
    let name = map.text("pcap")?;
    let at = map.node("pcap")?.span;
    let mut making = Making {
        path: Path::new(&name).into(),
        at,
        to_ethernet: map.choice("as").is_some(),
        cut: match map.choice("cut") {
            Some("keep") => Cut::Kept,
            Some(_) => Cut::Padded,
            None => Cut::Refused,
        },
        timing: Timing { factor, last: None },
        defaults,
    };
    let capture = match context.capture(&name) {
        Ok(capture) => capture,
        Err(fault) => {
            context.fault(at, fault);
            return None;
        }
    };
    let ranges = match map.node("frames") {
        Some(node) => select(context, node),
        None => vec![(1..=capture.packets.len(), at)],
    };
    // A file that breaks off is whole enough for whoever keeps packets that are cut.
    if map.node("frames").is_none()
        && let Some(broken) = &capture.broken
        && !(capture.breaks_off() && making.cut != Cut::Refused)
    {
        context.fault(at, making.broken(context, broken));
        return None;
    }
    let mut frames = Vec::new();
    for (range, at) in ranges {
        making.at = at;
        take(context, &mut making, &capture, range, &mut frames)?;
    }
    Some(frames)
}

/// The factor of `timing`: `original`, or a number; 0 without it.
pub(super) fn timing(map: &Fields<'_>) -> Option<f64> {
    let Some(node) = map.node("timing") else {
        return Some(0.0);
    };
    let scalar = node.scalar();
    let factor = scalar.and_then(|scalar| match scalar.text.as_str() {
        "original" => Some(1.0),
        text => text.parse().ok().filter(|factor| (0.0..=MOST_FACTOR).contains(factor)),
    });
    if factor.is_none() {
        let shown = node.shown();
        map.context().fault(
            node.span,
            Fault::Format {
                reason: format!("{shown} is no timing"),
                help: "write `original`, or a factor from 0 to 1000: 0.5 is twice as fast",
                code: fault::BAD_SELECTION,
            },
        );
    }
    factor
}

/// The packets of a range; none when one of them can't be had.
fn take(
    context: &Context<'_>,
    making: &mut Making<'_>,
    capture: &Capture,
    range: RangeInclusive<usize>,
    frames: &mut Vec<Outgoing>,
) -> Option<()> {
    let has = capture.packets.len();
    let mut ends = [*range.start(), *range.end()].into_iter();
    if let Some(wanted) = ends.find(|wanted| *wanted > has && !range.is_empty()) {
        let fault = match &capture.broken {
            Some(broken) => making.broken(context, broken),
            None => Fault::CaptureSelection { path: making.path.to_path_buf(), has, wanted },
        };
        context.fault(making.at, fault);
        return Some(());
    }
    let count = (range.end() + 1).saturating_sub(*range.start());
    if !context.take_of(making.at, Kind::Frames, count, || format!("{count} packets of a capture"))
    {
        return None;
    }
    for number in range {
        let packet = &capture.packets[number - 1];
        match making.frame(context, number, packet) {
            Ok(data) => {
                // A frame that is not as the file has it stands in the record with its bytes.
                let source = (data == packet.data)
                    .then(|| SourceFrame { file: Arc::clone(&making.path), number });
                let after = making.timing.after(packet.time);
                frames.push(Outgoing { after, frame: Frame::plain(data), source });
            }
            Err(fault) => {
                context.fault(making.at, *fault);
                return None;
            }
        }
    }
    Some(())
}

impl Making<'_> {
    fn broken(&self, context: &Context<'_>, error: &ReadError) -> Fault {
        let help = match error {
            ReadError::Truncated { .. } => {
                "take the packets before that place with `frames: 1..N`, or add `cut: keep`, which \
                 takes what there is"
            }
            _ => "take the packets before that place with `frames: 1..N`",
        };
        let path = context.beside(&self.path);
        Fault::CaptureBroken { path, reason: error.to_string(), help }
    }

    fn frame(
        &self,
        context: &Context<'_>,
        number: usize,
        packet: &Packet,
    ) -> Result<Bytes, Box<Fault>> {
        let path = || self.path.to_path_buf();
        let data = if packet.link.is_ethernet() {
            packet.data.clone()
        } else if self.to_ethernet {
            let Defaults { dst, src, .. } = *self.defaults;
            let addresses = Addresses { destination: dst.0, source: src.0 };
            packet.link.to_ethernet(&packet.data, addresses).map_err(|error| {
                let (reason, help) = (error.to_string(), "leave the packet out with `frames:`");
                Fault::CaptureNoFrame { path: path(), number, reason, help }
            })?
        } else {
            let help = if packet.link.is_convertible() {
                "add `as: ethernet`, which puts an Ethernet header in front of what it carries"
            } else {
                "leave the packet out with `frames:`; only Ethernet can be sent"
            };
            let reason = format!("it has the {}", packet.link);
            return Err(Box::new(Fault::CaptureNoFrame { path: path(), number, reason, help }));
        };
        if !packet.is_cut() {
            return Ok(data);
        }
        let (has, was) = (packet.data.len(), packet.original_len);
        match self.cut {
            Cut::Kept => Ok(data),
            Cut::Refused => Err(Box::new(Fault::CaptureCut { path: path(), number, has, was })),
            Cut::Padded => {
                let missing = was - has;
                if !context.spend(self.at, 0, missing) {
                    return Err(Box::new(Fault::CaptureCut { path: path(), number, has, was }));
                }
                let mut padded = BytesMut::from(&data[..]);
                padded.resize(data.len() + missing, 0);
                Ok(padded.freeze())
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn pauses_are_those_of_the_capture_times_the_factor() {
        let mut timing = Timing { factor: 0.5, last: None };
        let times = [1000, 1200, 1100, 1500].map(Duration::from_millis);
        let pauses = times.map(|time| timing.after(time).as_millis());
        assert_eq!(pauses, [0, 100, 0, 200]);
    }

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
