//! Records for the tests of whatever writes, compares or stores them.

use std::time::Duration;

use super::title;
use crate::{
    base::{CaseId, Frame, ObjectId, Profile, Tag, VirtualTime},
    reading::{Reading, framing},
    record::{
        Accounting, Arrival, Event, EventKind, Framing, Item, Place, Port, PortKind, SentFrame,
        Step, Transcript,
    },
};

/// A transcript over two ports of a TAP and a chardev of each framing.
pub(crate) fn transcript(steps: Vec<Step>) -> Transcript {
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
            port("x.pcap", PortKind::File),
        ],
        steps,
        accounting: Accounting { sent: 3, arrivals: 5, dropped: 0, unexplained: 0 },
        duration: Duration::from_millis(3),
    }
}

pub(crate) fn read(record: &Transcript) -> Reading {
    Reading::of(record.clone())
}

pub(crate) fn text(record: &Transcript) -> String {
    super::text(&read(record))
}

/// A step that did what its title says.
pub(crate) fn step(index: usize, title: &str) -> Step {
    let deed = title::deed(title);
    Step { index, title: title.into(), deed, line: 10 + index, ..Step::default() }
}

pub(crate) fn sent(number: u32, port: &str, data: &[u8]) -> SentFrame {
    let frame = Frame::plain(data.to_vec());
    SentFrame { tag: Tag::sent(number), port: port.into(), frame, source: None }
}

pub(crate) fn arrival(port: &str, item: Item) -> Arrival {
    Arrival { port: port.into(), item, tag: None, at: VirtualTime::ZERO }
}

pub(crate) fn frame_at(port: &str, data: &[u8]) -> Arrival {
    arrival(port, Item::Frame(Frame::plain(data.to_vec())))
}

pub(crate) fn bytes_at(port: &str, data: &[u8]) -> Arrival {
    arrival(port, Item::Bytes(data.to_vec().into()))
}

pub(crate) fn event(tag: Option<u32>, object: &str, kind: EventKind) -> Event {
    let place = Place::Object(ObjectId::from(object));
    Event { tag: tag.map(Tag::sent), place, kind }
}

/// A frame as it stands on a plain chardev.
pub(crate) fn framed(data: &[u8]) -> Vec<u8> {
    framing::encode(Framing::Plain, &Frame::plain(data.to_vec()), None)
}

/// An Ethernet frame of an experimental type, told apart by its last bytes.
pub(crate) fn ethernet(payload: &[u8]) -> Vec<u8> {
    [&b"\xff\xff\xff\xff\xff\xff\x52\x54\x00\x12\x34\x56\x88\xb5"[..], payload].concat()
}

/// A TCP segment of one flow; its checksums are those that `ack` and `seq` alone would change.
pub(crate) fn tcp(seq: u32, ack: u32) -> Vec<u8> {
    let mut frame = b"\x52\x54\x00\x12\x34\x57\x52\x54\x00\x12\x34\x56\x08\x00".to_vec();
    frame.extend(b"\x45\x00\x00\x28\x00\x01\x00\x00\x40\x06\x66\xcd");
    frame.extend(b"\x0a\x00\x00\x01\x0a\x00\x00\x02");
    frame.extend(b"\x0f\xa0\x00\x50");
    frame.extend(seq.to_be_bytes());
    frame.extend(ack.to_be_bytes());
    frame.extend(b"\x50\x10\x20\x00\x00\x00\x00\x00");
    frame
}
