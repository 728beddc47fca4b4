//! The way of a frame, in words: what each station is called, the whole of it in a line, and what became of
//! the frame in the end. Read by the reports of failures and by the command `trace`.

use super::{FateWords, folded, rewritten};
use crate::{
    frame,
    reading::{Label, Passage, Way},
    record::{DropReason, Event, EventKind, Place},
};

/// Bytes of an Ethernet header, which is the least that a TAP takes (Linux `drivers/net/tun.c`,
/// `tun_get_user`).
const ETHERNET: usize = 14;

/// Words of the stations of a way, with the step of each. An object that saw a frame and then said what it
/// did with it is one station.
pub(crate) fn stations(way: &Way<'_>) -> Vec<(usize, String)> {
    let mut words = Vec::new();
    for (at, station) in way.stations.iter().enumerate() {
        let next = way.stations.get(at + 1).map(|next| &next.what);
        words.extend(passage(&station.what, next).map(|words| (station.step, words)));
    }
    words
}

/// The stations of a way in a line: `sent at hn0.guest in step 1, passed on by m0 (rx), came out of hn0.host`.
/// Of more than `most` stations those in the middle are only counted.
pub(crate) fn line<'w>(stations: impl Iterator<Item = (usize, &'w str)>, most: usize) -> String {
    let mut step = None;
    let words = stations.map(|(at, words)| match step.replace(at) {
        Some(before) if before == at => words.to_owned(),
        _ => format!("{words} in step {at}"),
    });
    let words = folded(words.collect());
    if words.len() <= most {
        return words.join(", ");
    }
    let (first, last) = (most / 2, most - most / 2);
    let (begin, end) = (&words[..first], &words[words.len() - last..]);
    let left_out = words.len() - most;
    format!("{}, {left_out} more, {}", begin.join(", "), end.join(", "))
}

/// What became of a frame: `#1 was dropped at tap hn0: too-short (8 B; a TAP takes 14)`. Where it was
/// expected by the end of a step and something happened later, both are said.
pub(crate) fn end(way: &Way<'_>, by: Option<usize>) -> String {
    let all = state(way);
    let later = by.and_then(|by| {
        let late = way.stations.iter().filter(|station| station.step > by);
        Some((by, late.map(|station| station.step).max()?))
    });
    match later {
        None => format!("{} {all}", way.tag),
        Some((by, step)) => match state(&way.until(by)) {
            _ if is_sent_only(&way.until(by)) => {
                format!("{} was still on its way; later, in step {step}, it {all}", way.tag)
            }
            before if before == all => format!("{} {all}", way.tag),
            before => format!("{} {before}; later, in step {step}, it {all}", way.tag),
        },
    }
}

fn is_sent_only(way: &Way<'_>) -> bool {
    way.stations.iter().all(|station| matches!(station.what, Passage::Sent(_)))
}

/// `was dropped at tap hn0: too-short (8 B; a TAP takes 14)`, `came out of hn0.host and out0`.
fn state(way: &Way<'_>) -> String {
    let mut ports: Vec<String> = Vec::new();
    let mut drops: Vec<String> = Vec::new();
    for station in &way.stations {
        match station.what {
            Passage::Arrived { port, .. } if !ports.contains(&port.to_string()) => {
                ports.push(port.to_string());
            }
            Passage::Event(event) => drops.extend(dropped(way, event)),
            Passage::Arrived { .. } | Passage::Notified { .. } | Passage::Sent(_) => {}
        }
    }
    drops.dedup();
    let came = (!ports.is_empty()).then(|| format!("came out of {}", listed(&ports)));
    let parts: Vec<String> = came.into_iter().chain(drops).collect();
    if !parts.is_empty() {
        return listed(&parts);
    }
    let mut itself = way.stations.iter().map(|station| &station.what).rev();
    let last = itself.find(|what| !matches!(what, Passage::Notified { .. }));
    match last {
        Some(Passage::Event(event)) => match &event.kind {
            EventKind::Queued => format!("waited at {}", event.place),
            EventKind::Seen { .. } => format!("was last seen at {}", event.place),
            EventKind::Consumed => {
                format!("was consumed by {} and came out of no port", event.place)
            }
            EventKind::Checkpoint(_) => format!("waited at {} for a checkpoint", event.place),
            EventKind::Frozen => format!("waited for {}", event.place),
            _ => FateWords::of(event).map_or_else(
                || format!("was last heard of at {}", event.place),
                |fate| format!("was {}", fate.sentence()),
            ),
        },
        Some(Passage::Sent(sent)) => {
            format!("was sent at {}, and nothing more is known of it", sent.port)
        }
        Some(Passage::Arrived { .. } | Passage::Notified { .. }) | None => {
            "is not known of".to_owned()
        }
    }
}

/// `was dropped at tap hn0: too-short (8 B; a TAP takes 14)`.
fn dropped(way: &Way<'_>, event: &Event) -> Option<String> {
    let EventKind::Dropped(reason) = event.kind else {
        return None;
    };
    let words = FateWords::of(event)?.sentence();
    let length = way.sent().map(|sent| sent.frame.data.len());
    Some(format!("was {words} ({})", because(reason, &event.place, length)))
}

/// What a reason means, for the part that had it.
fn because(reason: DropReason, place: &Place, length: Option<usize>) -> String {
    let size = length.map_or_else(String::new, |length| format!("{length} B; "));
    match reason {
        DropReason::TooShort => return format!("{size}a TAP takes {ETHERNET}"),
        DropReason::TooLong => return format!("{size}more than the MTU of the interface allows"),
        DropReason::Oversize => return format!("{size}more than the framing allows"),
        DropReason::Held if matches!(place, Place::Tap(_)) => "nobody had read it from the TAP",
        DropReason::OutdevClosed => "nobody is connected to the chardev of its outdev",
        DropReason::OutdevBroke => "the write to its outdev failed half way",
        DropReason::Off => "its status is off",
        DropReason::AlreadyDelivered => "it was captured on this netdev, which has it already",
        DropReason::LinkDown => "a link was set down with set_link",
        DropReason::NoPeer => "the netdev has no peer",
        DropReason::QueueFull => "10,000 packets wait there already",
        DropReason::Wedged => "the receiver is wedged for good",
        DropReason::Empty => "it has no bytes",
        DropReason::Incomplete => "the stream ended, or is read no more, in the middle of it",
        DropReason::Deaf => "it is read no more",
        DropReason::ChardevClosed => "the chardev is not connected",
        DropReason::NoReader => "no object reads this chardev",
        DropReason::Frozen => "the main loop was frozen until the run ended",
        DropReason::Purged => "it still waited there when its object, or the run, ended",
        DropReason::MachineDead => "the machine is dead",
        DropReason::InterfaceDown => "the interface is down",
        DropReason::InterfaceGone => "the interface is gone",
        DropReason::BadVnetHdr => "its virtio-net header is malformed or longer than the frame",
        DropReason::TxQueueFull => "the transmit queue of the interface is full",
        DropReason::SocketOverflow => "the receive buffer of the packet socket is full",
        DropReason::HostConsumed => {
            "the interface at the far end is the host's, and nothing records there"
        }
        DropReason::Truncated => "it was cut off",
        DropReason::CapturedWhileOff => "the status was off while it was captured",
        DropReason::CapturedWhileStopped => {
            "the machine did not run, and its packet socket is then read with \
             enable_when_stopped=on only"
        }
        DropReason::ImpairedLoss => "the scenario's own impairment",
        DropReason::Buffered => "the buffer still held it when the run ended",
        DropReason::NotSeenAgain => "a real QEMU does not tell what became of it inside",
        DropReason::PrimaryQueueFull => "the queue of the primary's frames is full",
        DropReason::SecondaryQueueFull => "the queue of the secondary's frames is full",
        DropReason::TooManyConnections => "there are too many connections, and all were forgotten",
        DropReason::Held => "it was still held there when the run ended",
    }
    .to_owned()
}

/// A station in words; none where the next one says it.
pub(crate) fn passage(passage: &Passage<'_>, next: Option<&Passage<'_>>) -> Option<String> {
    Some(match passage {
        Passage::Sent(sent) => format!("sent at {}", sent.port),
        Passage::Arrived { port, length, label } => match told(*label, *length) {
            how if how.is_empty() => format!("came out of {port}"),
            how => format!("came out of {port} ({how})"),
        },
        Passage::Notified { port, message } => {
            format!("{} came out of {port}", frame::summary(message))
        }
        Passage::Event(event) => match &event.kind {
            EventKind::Seen { direction, .. } => {
                let way = direction.map_or_else(String::new, |way| format!(" ({way})"));
                match next {
                    Some(Passage::Event(next)) if next.place == event.place => match next.kind {
                        EventKind::Rewritten { .. } | EventKind::Impaired(_) => {
                            format!("seen at {}{way}", event.place)
                        }
                        _ => return None,
                    },
                    Some(_) => format!("passed on by {}{way}", event.place),
                    None => format!("seen at {}{way}", event.place),
                }
            }
            EventKind::Rewritten { field, old, new } => {
                format!("{} by {}", rewritten(field, *old, *new, false), event.place)
            }
            EventKind::Checkpoint(_) => format!("{} asked for a checkpoint", event.place),
            EventKind::Frozen => format!("waits for {}", event.place),
            EventKind::Log(said) => format!("{} logs \"{said}\"", event.place),
            _ => FateWords::of(event)?.sentence(),
        },
    })
}

/// How a frame that came out differs from the one that was sent.
fn told(label: Option<&Label>, length: usize) -> String {
    match label {
        None | Some(Label::New) => "with other bytes".to_owned(),
        Some(Label::Cut { .. }) => format!("cut to {length} B"),
        Some(Label::Sent { padded, changes, .. }) => {
            let padded = padded.map(|length| format!("padded to {length} B"));
            let changed =
                (!changes.is_empty()).then(|| format!("with {}", frame::render_changes(changes)));
            padded.into_iter().chain(changed).collect::<Vec<_>>().join(" ")
        }
    }
}

/// `a`, `a and b`, `a, b and c`.
fn listed(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [before @ .., last] => format!("{} and {last}", before.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{Direction, Frame, Tag},
        reading::Station,
        record::SentFrame,
    };

    fn event(place: Place, kind: EventKind) -> Event {
        Event { tag: Some(Tag::sent(1)), place, kind }
    }

    fn sent(length: usize) -> SentFrame {
        let frame = Frame::plain(vec![0; length]);
        SentFrame { tag: Tag::sent(1), port: "hn0.guest".into(), frame, source: None }
    }

    fn seen() -> EventKind {
        EventKind::Seen { direction: Some(Direction::Rx), data: bytes::Bytes::new() }
    }

    fn way<'r>(stations: &[(usize, Passage<'r>)]) -> Way<'r> {
        let stations = stations.iter().map(|(step, what)| Station { step: *step, what: *what });
        Way { tag: Tag::sent(1), stations: stations.collect() }
    }

    fn line_of(way: &Way<'_>, most: usize) -> String {
        line(stations(way).iter().map(|(step, words)| (*step, words.as_str())), most)
    }

    #[test]
    fn a_drop_says_where_and_why() {
        let sent = sent(8);
        let drop = event(Place::Tap("hn0".into()), EventKind::Dropped(DropReason::TooShort));
        let way = way(&[(1, Passage::Sent(&sent)), (1, Passage::Event(&drop))]);
        assert_eq!(
            end(&way, Some(2)),
            "#1 was dropped at tap hn0: too-short (8 B; a TAP takes 14)"
        );
        assert_eq!(line_of(&way, 9), "sent at hn0.guest in step 1, dropped at tap hn0: too-short");
    }

    #[test]
    fn a_message_about_a_frame_is_not_the_frame() {
        let (sent, port) = (sent(60), "ntf".into());
        let message = bytes::Bytes::from_static(b"DO_CHECKPOINT");
        let held = event(Place::Object("cmp".into()), EventKind::Queued);
        let way = way(&[
            (1, Passage::Sent(&sent)),
            (1, Passage::Event(&held)),
            (1, Passage::Notified { port: &port, message: &message }),
        ]);
        assert_eq!(end(&way, None), "#1 waited at cmp");
        assert_eq!(
            line_of(&way, 9),
            "sent at hn0.guest in step 1, queued at cmp, \"DO_CHECKPOINT\" came out of ntf"
        );
    }

    #[test]
    fn what_happened_after_it_was_expected_is_told_apart() {
        let (sent, port) = (sent(60), "hn0.host".into());
        let [mirror, buffer, queued] = [("m0", seen()), ("b0", seen()), ("b0", EventKind::Queued)]
            .map(|(id, kind)| event(Place::Object(id.into()), kind));
        let label = Label::Sent { number: 1, padded: None, changes: Vec::new() };
        let way = way(&[
            (1, Passage::Sent(&sent)),
            (1, Passage::Event(&mirror)),
            (1, Passage::Event(&buffer)),
            (1, Passage::Event(&queued)),
            (3, Passage::Arrived { port: &port, length: 60, label: Some(&label) }),
        ]);
        assert_eq!(
            end(&way, Some(2)),
            "#1 waited at b0; later, in step 3, it came out of hn0.host"
        );
        assert_eq!(end(&way, None), "#1 came out of hn0.host");
        assert_eq!(
            line_of(&way, 9),
            "sent at hn0.guest in step 1, passed on by m0 (rx), queued at b0, came out of hn0.host \
             in step 3"
        );
        assert_eq!(
            line_of(&way, 2),
            "sent at hn0.guest in step 1, 2 more, came out of hn0.host in step 3"
        );
    }
}
