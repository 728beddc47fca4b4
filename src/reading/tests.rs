//! Small records, and the entries that are read in them.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{
    base::{CaseId, Profile},
    record::{Arrival, Deed, Framing, Item},
};

fn transcript(steps: Vec<Step>) -> Transcript {
    let port = |id: &str, kind| Port { id: id.into(), kind };
    Transcript {
        case: CaseId::from("a"),
        profile: Profile::default(),
        backend: "sim",
        ports: vec![
            port("hn0.host", PortKind::Host),
            port("out0", PortKind::Chardev(Framing::Plain)),
            port("x.pcap", PortKind::File),
        ],
        steps,
        accounting: Accounting::default(),
        duration: std::time::Duration::ZERO,
    }
}

fn step(index: usize, deed: Deed, arrivals: Vec<(&str, Item)>) -> Step {
    let arrivals = arrivals.into_iter().map(|(port, item)| Arrival {
        port: port.into(),
        item,
        tag: None,
        at: VirtualTime::ZERO,
    });
    Step { index, deed, arrivals: arrivals.collect(), ..Step::default() }
}

fn bytes(data: &[u8]) -> Item {
    Item::Bytes(Bytes::copy_from_slice(data))
}

/// What came out of a port, step by step.
fn came(reading: &Reading, port: &str) -> Vec<Vec<Entry>> {
    let port = reading.position(&port.into()).expect("a port");
    reading.all_steps().map(|step| step.entries[port].clone()).collect()
}

fn frame(data: &'static [u8], vnet_len: Option<usize>) -> Entry {
    let (frame, whole, tag) = (Frame::plain(data), None, None);
    Entry::Frame { frame, vnet_len, whole, tag, at: VirtualTime::ZERO }
}

#[test]
fn a_frame_is_in_the_step_of_its_last_byte() {
    let reading = Reading::of(transcript(vec![
        step(1, Deed::Other, vec![("out0", bytes(b"\0\0\0\x02a")), ("out0", bytes(b""))]),
        step(2, Deed::Other, vec![("out0", bytes(b"b\0\0"))]),
    ]));
    let raw = Entry::Raw(Bytes::from_static(b"\0\0"));
    assert_eq!(came(&reading, "out0"), [vec![Entry::Begun(5)], vec![frame(b"ab", None), raw]]);
    assert_eq!(reading.count_at(&"out0".into()), 1);
}

#[test]
fn the_next_client_begins_anew() {
    let torn = bytes(b"\0\0\0\x02a");
    let whole = bytes(b"\0\0\0\x01b");
    let steps = |deed| {
        vec![
            step(1, Deed::Other, vec![("out0", torn.clone())]),
            step(2, deed, vec![("out0", whole.clone())]),
        ]
    };
    let closed = Reading::of(transcript(steps(Deed::Closes("out0".into()))));
    let raw = Entry::Raw(Bytes::from_static(b"\0\0\0\x02a"));
    assert_eq!(came(&closed, "out0"), [vec![raw], vec![frame(b"b", None)]]);
    let other = Reading::of(transcript(steps(Deed::Closes("hn0.host".into()))));
    assert_eq!(came(&other, "out0")[0], [Entry::Begun(5)]);
}

#[test]
fn a_port_that_only_arrivals_name_is_read_too() {
    let reading = Reading::of(transcript(vec![
        step(1, Deed::Other, Vec::new()),
        step(2, Deed::Other, vec![("new0", bytes(b"\0\0\0\0")), ("new0", Item::Eof)]),
    ]));
    let raw = Entry::Raw(Bytes::from_static(&[0; 4]));
    assert_eq!(came(&reading, "new0"), [vec![], vec![raw, Entry::Eof]]);
    assert_eq!(reading.ports().last().expect("a port").kind, PortKind::Chardev(Framing::Raw));
}

/// Pieces of streams from which frames, records and garbage arise, and what ends them.
fn arrival() -> impl Strategy<Value = (usize, Item)> {
    let word = prop_oneof![Just(0_u8), 0_u8..4];
    let piece = prop::collection::vec(word, 0..12).prop_map(|data| Item::Bytes(data.into()));
    let header = Just(Item::Bytes(framing::pcap::header(9)));
    let record = (0..9_usize).prop_map(|size| {
        Item::Bytes(framing::pcap::record(VirtualTime::ZERO, &vec![1; size], size))
    });
    let item = prop_oneof![4 => piece, 1 => header, 2 => record, 1 => Just(Item::Eof)];
    (1..3_usize, item)
}

proptest! {
    #[test]
    fn reading_as_it_comes_is_reading_at_the_end(
        steps in prop::collection::vec(
            (prop::bool::weighted(0.2), prop::collection::vec(arrival(), 0..6)),
            0..5,
        ),
    ) {
        let mut record = transcript(Vec::new());
        let mut reader = Reader::new(&record.ports);
        for (index, (closes, arrivals)) in steps.into_iter().enumerate() {
            let deed = if closes { Deed::Closes("out0".into()) } else { Deed::Other };
            record.steps.push(step(index, deed, Vec::new()));
            reader.read(&record.steps);
            for (port, item) in arrivals {
                let port = record.ports[port].id.clone();
                let arrival = Arrival { port, item, tag: None, at: VirtualTime::ZERO };
                record.steps[index].arrivals.push(arrival);
                reader.read(&record.steps);
                let whole = Reading::of(record.clone());
                for port in record.ports.iter().map(|port| &port.id) {
                    prop_assert_eq!(reader.count_at(port), whole.count_at(port));
                    prop_assert_eq!(reader.frames_at(port, 0).len(), whole.count_at(port));
                }
            }
        }
        let (early, late) = (reader.finish(record.clone()), Reading::of(record));
        prop_assert_eq!(early.entries, late.entries);
    }
}
