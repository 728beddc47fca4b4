use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{
    base::{CaseId, Frame, ObjectId, PortId, Profile, Tag, VirtualTime, VnetHdr},
    record::{
        Abort, Accounting, Answer, Arrival, CommandError, DropReason, Event, EventKind, Framing,
        Item, Outcome, Place, Port, PortKind, SentFrame, SourceFrame, Step, Transcript,
    },
};

/// A transcript of steps that are given as closures would be; the ports are those of the example
/// in the design: a TAP and a chardev.
pub(super) fn transcript(steps: Vec<Step>) -> Transcript {
    let port = |id: &str, kind| Port { id: id.into(), kind };
    Transcript {
        case: CaseId::from("redirector/vhost"),
        profile: Profile::default(),
        backend: "sim",
        ports: vec![
            port("hn0.guest", PortKind::Guest),
            port("hn0.host", PortKind::Host),
            port("out0", PortKind::Chardev(Framing::Plain)),
            port("vnet0", PortKind::Chardev(Framing::Vnet)),
            port("raw0", PortKind::Chardev(Framing::Raw)),
        ],
        steps,
        accounting: Accounting { sent: 3, arrivals: 5, dropped: 0, unexplained: 0 },
        duration: Duration::from_millis(3),
    }
}

pub(super) fn step(index: usize, title: &str) -> Step {
    Step { index, title: title.into(), line: 10 + index, ..Step::default() }
}

pub(super) fn sent(number: u32, port: &str, data: &[u8]) -> SentFrame {
    SentFrame {
        tag: Tag::sent(number),
        port: port.into(),
        frame: Frame::plain(data.to_vec()),
        source: None,
    }
}

pub(super) fn arrival(port: &str, item: Item) -> Arrival {
    Arrival { port: port.into(), item, tag: None, at: VirtualTime::ZERO }
}

pub(super) fn frame_at(port: &str, data: &[u8]) -> Arrival {
    arrival(port, Item::Frame(Frame::plain(data.to_vec())))
}

pub(super) fn bytes_at(port: &str, data: &[u8]) -> Arrival {
    arrival(port, Item::Bytes(data.to_vec().into()))
}

/// A frame as it stands on a plain chardev.
pub(super) fn framed(data: &[u8]) -> Vec<u8> {
    framing::encode(Framing::Plain, &Frame::plain(data.to_vec()), None)
}

/// An Ethernet frame of an experimental type, told apart by its last bytes.
pub(super) fn ethernet(payload: &[u8]) -> Vec<u8> {
    [&b"\xff\xff\xff\xff\xff\xff\x52\x54\x00\x12\x34\x56\x88\xb5"[..], payload].concat()
}

fn reparse(transcript: &Transcript) -> Result<Transcript, SectionError> {
    parse(&text(transcript), transcript.case.clone(), transcript.profile.clone(), &|_| None)
}

#[test]
fn three_steps() {
    let frames = [ethernet(b"one"), ethernet(b"two"), ethernet(b"three")];
    let mut first = step(1, "send hn0.guest");
    first.sent = vec![sent(1, "hn0.guest", &frames[0]), sent(2, "hn0.guest", &frames[1])];
    first.arrivals = vec![
        bytes_at("out0", &framed(&frames[0])),
        frame_at("hn0.host", &frames[0]),
        bytes_at("out0", &framed(&frames[1])),
        frame_at("hn0.host", &frames[1]),
    ];
    let mut third = step(3, "send hn0.guest");
    third.sent = vec![sent(3, "hn0.guest", &frames[2])];
    third.arrivals = vec![frame_at("hn0.host", &frames[2])];
    let record = transcript(vec![step(0, "set-up"), first, step(2, "qom-set f0.status = off"), third]);
    assert_eq!(text(&record), "");
}
