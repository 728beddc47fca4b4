//! What was written and read back is the same record, and no other.

use std::{collections::BTreeMap, path::Path, time::Duration};

use bytes::Bytes;
use proptest::{prelude::*, sample::Index};
use serde_json::json;

use super::*;
use crate::{
    base::{PortId, Profile, VirtualTime, VnetHdr},
    format::{SectionError, deed, parse},
    reading::framing,
    record::{
        Abort, Answer, Arrival, CommandError, DropReason, Framing, NoAnswer, Outcome, Place,
        SentFrame, SourceFrame, Step,
    },
};

const PORTS: [&str; 6] = ["hn0.guest", "hn0.host", "out0", "vnet0", "raw0", "x.pcap"];

/// Few enough that frames repeat, are padded and differ in a field.
fn data() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (0..3_u32, 0..3_u32).prop_map(|(seq, ack)| tcp(seq, ack)),
        3 => prop::collection::vec(0..2_u8, 0..3).prop_map(|payload| ethernet(&payload)),
        2 => (prop::collection::vec(0..2_u8, 0..3), 17..70_usize).prop_map(|(payload, length)| {
            let mut frame = ethernet(&payload);
            frame.resize(length, 0);
            frame
        }),
        1 => prop::collection::vec(any::<u8>(), 0..120),
        1 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| {
            let mut frame = tcp(7, 7);
            let at = at.index(frame.len());
            frame[at] = byte;
            frame
        }),
    ]
}

fn frame() -> impl Strategy<Value = Frame> {
    let vnet = prop_oneof![
        4 => Just(VnetHdr::default()),
        1 => (any::<u8>(), any::<u16>(), any::<u16>()).prop_map(|(flags, csum_start, num_buffers)| {
            VnetHdr { flags, csum_start, num_buffers, ..VnetHdr::default() }
        }),
    ];
    (vnet, data()).prop_map(|(vnet, data)| Frame { vnet, data: data.into() })
}

/// Whole frames, pieces of them and junk.
fn stream() -> impl Strategy<Value = Bytes> {
    let words = (prop_oneof![Just(0_usize), Just(10), Just(12)], frame(), any::<bool>());
    let whole = words.prop_map(|(len, frame, vnet)| {
        let framing = if vnet { Framing::Vnet } else { Framing::Plain };
        framing::encode(framing, &frame, Some(len))
    });
    let whole = whole.boxed();
    let piece = prop_oneof![
        4 => whole.clone(),
        1 => (whole, any::<Index>()).prop_map(|(mut bytes, at)| {
            bytes.truncate(at.index(bytes.len()));
            bytes
        }),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ];
    piece.prop_map(Bytes::from)
}

/// Headers and records, whole as a dump writes them. Their times are not kept, so none is given, and
/// nothing stands between them that would shift the words.
fn file() -> impl Strategy<Value = Bytes> {
    let record = (data(), 0..3_usize).prop_map(|(data, longer)| {
        framing::pcap::record(VirtualTime::ZERO, &data, data.len() + longer)
    });
    let cut = (data(), any::<Index>()).prop_map(|(data, at)| {
        let kept = at.index(data.len() + 1);
        framing::pcap::record(VirtualTime::ZERO, &data[..kept], data.len())
    });
    prop_oneof![
        1 => any::<u32>().prop_map(framing::pcap::header),
        3 => record,
        3 => cut,
    ]
}

fn item() -> impl Strategy<Value = (usize, Item)> {
    prop_oneof![
        4 => (0..2_usize, frame().prop_map(Item::Frame)),
        4 => (2..5_usize, stream().prop_map(Item::Bytes)),
        1 => (2..5_usize, Just(Item::Eof)),
        1 => file().prop_map(|bytes| (5, Item::Bytes(bytes))),
    ]
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let text = || prop_oneof!["[ -~]{0,20}", any::<String>()];
    prop_oneof![
        Just(Outcome::Done(json!({}))),
        text().prop_map(|text| Outcome::Done(json!({ "return": [text, 1, null] }))),
        ("[A-Z][a-z]{0,9}|.{0,3}", text())
            .prop_map(|(class, desc)| Outcome::Refused(CommandError { class, desc })),
        text().prop_map(|assertion| Outcome::Aborts(Abort { assertion, survivor: None })),
        Just(Outcome::Unanswered(NoAnswer::Frozen)),
        Just(Outcome::Unanswered(NoAnswer::Dead)),
    ]
}

fn sending() -> impl Strategy<Value = (usize, Frame, bool)> {
    (0..5_usize, frame(), prop::bool::weighted(0.2))
}

prop_compose! {
    fn one_step()(
        title in prop_oneof!["send (hn0.guest|out0)", "[ -~]{1,20}", any::<String>()],
        frames in prop::collection::vec(sending(), 0..5),
        written in prop::option::weighted(0.2, prop::collection::vec(any::<u8>(), 0..40)),
        answers in prop::collection::vec(("[ -~]{0,12}", outcome()), 0..3),
        items in prop::collection::vec(item(), 0..8),
        crash in prop::option::weighted(0.1, (any::<bool>(), any::<String>())),
        dropped in prop::option::weighted(0.2, 1..9_u32),
        nanos in prop_oneof![3 => Just(0_u64), 1 => 0..5_000_000_000_u64],
    ) -> (Step, Vec<(usize, Frame, bool)>, u64) {
        let events = crash
            .map(|(named, text)| {
                let place = if named { Place::Named("primary".into()) } else { Place::Machine };
                Event { tag: None, place, kind: EventKind::Crash(text) }
            })
            .into_iter()
            .chain(dropped.map(|n| event(Some(n), "f0", EventKind::Dropped(DropReason::Off))));
        let answers = answers
            .into_iter()
            .map(|(command, outcome)| Answer { command, subject: None, outcome });
        let step = Step {
            deed: deed(&title),
            title,
            written: written.map(Bytes::from),
            answers: answers.collect(),
            arrivals: items.into_iter().map(|(port, item)| arrival(PORTS[port], item)).collect(),
            events: events.collect(),
            ..Step::default()
        };
        (step, frames, nanos)
    }
}

fn record() -> impl Strategy<Value = Transcript> {
    prop::collection::vec(one_step(), 0..5).prop_map(|parts| {
        let (mut number, mut clock) = (0, VirtualTime::ZERO);
        let steps = parts.into_iter().enumerate().map(|(index, (mut step, frames, nanos))| {
            clock = clock + Duration::from_nanos(nanos);
            (step.index, step.line, step.clock) = (index + 1, index + 9, clock);
            for (port, frame, from_file) in frames {
                number += 1;
                let source = from_file.then(|| SourceFrame {
                    file: Path::new("a b[1].pcap").into(),
                    number: number as usize,
                });
                let tag = Tag::sent(number);
                step.sent.push(SentFrame { tag, port: PORTS[port].into(), frame, source });
            }
            step
        });
        transcript(steps.collect())
    })
}

fn read_back(record: &Transcript) -> Result<Transcript, SectionError> {
    let resolve = |source: &SourceFrame| {
        let mut sent = record.steps.iter().flat_map(|step| &step.sent);
        let sent = sent.find(|sent| sent.source.as_ref() == Some(source));
        sent.map(|sent| sent.frame.data.clone())
    };
    parse(&text(record), record.case.clone(), record.profile.clone(), &resolve)
}

/// What came out of each port in a step, bytes joined.
fn by_port(step: &Step) -> BTreeMap<PortId, Vec<Item>> {
    let mut ports: BTreeMap<PortId, Vec<Item>> = BTreeMap::new();
    for arrival in &step.arrivals {
        let items = ports.entry(arrival.port.clone()).or_default();
        match (items.last_mut(), &arrival.item) {
            (_, Item::Bytes(bytes)) if bytes.is_empty() => {}
            (Some(Item::Bytes(before)), Item::Bytes(bytes)) => {
                *before = [&before[..], &bytes[..]].concat().into();
            }
            (_, item) => items.push(item.clone()),
        }
    }
    ports.retain(|_, items| !items.is_empty());
    ports
}

fn observed(step: &Step) -> impl PartialEq + std::fmt::Debug {
    let answers: Vec<_> = step
        .answers
        .iter()
        .filter(|answer| answer.outcome != Outcome::Done(json!({})))
        .cloned()
        .collect();
    let crashes: Vec<_> = step
        .events
        .iter()
        .filter(|event| matches!(event.kind, EventKind::Crash(_)))
        .map(|event| event.kind.clone())
        .collect();
    (
        (step.index, step.title.clone(), step.clock),
        (step.sent.clone(), step.written.clone(), answers, crashes),
        by_port(step),
    )
}

proptest! {
    #[test]
    fn the_observed_half_reads_back(record in record()) {
        let read = read_back(&record);
        prop_assert!(read.is_ok(), "{}\n{:?}", text(&record), read);
        let read = read?;
        prop_assert_eq!(&read.ports, &record.ports);
        prop_assert_eq!(read.accounting, record.accounting);
        let (ours, theirs): (Vec<_>, Vec<_>) = (
            record.steps.iter().map(observed).collect(),
            read.steps.iter().map(observed).collect(),
        );
        prop_assert_eq!(theirs, ours, "{}", text(&record));
    }

    #[test]
    fn a_record_matches_its_own_text(record in record()) {
        prop_assert_eq!(compare(&text(&record), &record, Rules::default()), None);
        prop_assert_eq!(disagreement(&record, &record), None);
    }

    #[test]
    fn labels_do_not_depend_on_tags(record in record()) {
        let mut tagged = record.clone();
        for arrival in tagged.steps.iter_mut().flat_map(|step| &mut step.arrivals) {
            arrival.tag = Some(Tag::sent(1));
        }
        prop_assert_eq!(text(&tagged), text(&record));
    }

    #[test]
    fn one_arrival_less_is_a_difference(record in record(), at in any::<Index>()) {
        let arrivals = record.steps.iter().map(|step| step.arrivals.len());
        let frames = |arrival: &Arrival| matches!(arrival.item, Item::Frame(_));
        let places: Vec<_> = arrivals
            .enumerate()
            .flat_map(|(step, count)| (0..count).map(move |arrival| (step, arrival)))
            .filter(|(step, arrival)| frames(&record.steps[*step].arrivals[*arrival]))
            .collect();
        prop_assume!(!places.is_empty());
        let (step, arrival) = places[at.index(places.len())];
        let mut less = record.clone();
        less.steps[step].arrivals.remove(arrival);
        prop_assert!(compare(&text(&record), &less, Rules::default()).is_some());
        prop_assert!(disagreement(&less, &record).is_some());
    }

    #[test]
    fn no_text_makes_the_reader_panic(
        lines in prop::collection::vec("(    |      |               )?(\\[1\\] send a|#[0-9]|<-|a|ports:|->|!!|raw|begun|eof|new|\\||[ -~]{0,9}| |=plain|, 2 B){0,5}", 0..9),
    ) {
        let text = lines.join("\n");
        if let Ok(read) = parse(&text, "x".into(), Profile::default(), &|_| None) {
            prop_assert_eq!(compare(&text, &read, Rules::default()), None);
        }
    }
}
