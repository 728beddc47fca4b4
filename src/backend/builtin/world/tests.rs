//! A world over a carrier that records what it is given, and the cases that the tests below run on
//! it.

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use serde_json::Value;

use super::BuiltinWorld;
use crate::{
    backend::{Action, Deadline, Observations, Residue, Settled, World, sim::SimCarrier},
    base::{Frame, MachineId, Tag},
    diag::Source,
    record::{Answer, DropReason, Event, EventKind, Item, Outcome},
    scenario::{Case, Disk, parse},
};

mod chardev;
mod machines;
mod port;
mod traffic;
mod trouble;

pub(crate) fn case(text: &str) -> Case {
    let source =
        Source { path: PathBuf::from("world.yaml"), text: format!("description: a world\n{text}") };
    let scenario = parse(Arc::new(source), "world", &Disk).expect("a scenario without faults");
    let [case] = <[Arc<Case>; 1]>::try_from(scenario.cases).expect("one case");
    Arc::unwrap_or_clone(case)
}

/// A world over interfaces in memory, and the number of the last frame sent.
struct Rig {
    world: BuiltinWorld<SimCarrier>,
    sent: u32,
}

impl Rig {
    /// With the scenario's objects, none of them refused.
    fn new(text: &str) -> Self {
        let case = case(text);
        let world = BuiltinWorld::new(&case, SimCarrier::new(&case)).expect("a world");
        let mut rig = Self { world, sent: 0 };
        for object in &case.objects {
            let answer = rig.act(Action::ObjectAdd(object)).expect("an answer");
            assert!(matches!(answer.outcome, Outcome::Done(_)), "{answer:?}");
        }
        rig.look();
        rig
    }

    fn act(&mut self, action: Action<'_>) -> Option<Answer> {
        self.world.act(action).expect("a world that works")
    }

    fn qmp(&mut self, command: &str, args: &Value) -> Outcome {
        let args = args.as_object().expect("an object");
        let machine = &MachineId::default();
        let answer = self.act(Action::Qmp { machine, command, args });
        answer.expect("an answer").outcome
    }

    /// Sends a frame of this text behind the addresses and type of Ethernet.
    fn send(&mut self, port: &str, text: &str) {
        self.send_frame(port, &frame(text));
    }

    fn send_frame(&mut self, port: &str, frame: &Frame) {
        self.sent += 1;
        self.act(Action::Send {
            port: &port.into(),
            frame,
            tag: Tag::sent(self.sent),
            chunk: None,
        });
    }

    fn write(&mut self, port: &str, bytes: &'static [u8]) {
        self.act(Action::Write {
            port: &port.into(),
            data: &Bytes::from_static(bytes),
            chunk: None,
        });
    }

    fn settle(&mut self) -> Settled {
        self.world.settle(&Deadline::NEVER).expect("a world that works")
    }

    /// Everything that came once nothing moves any more.
    fn look(&mut self) -> Observations {
        assert_eq!(self.settle(), Settled::Idle);
        self.world.observe()
    }

    fn finish(self) -> Residue {
        Box::new(self.world).finish()
    }
}

/// An Ethernet frame from the first guest to the first TAP, of a type without a meaning.
fn frame(text: &str) -> Frame {
    let head = b"\x02\0\0\0\0\x01\x52\x54\0\x12\x34\x56\x88\xb5";
    Frame::plain([&head[..], text.as_bytes()].concat())
}

/// A frame in the framing of a chardev.
fn framed(text: &str) -> Vec<u8> {
    let frame = frame(text).data;
    let length = u32::try_from(frame.len()).expect("a short frame");
    [&length.to_be_bytes()[..], &frame].concat()
}

impl Observations {
    /// What arrived at a port, with the number it has.
    fn frames(&self, port: &str) -> Vec<(Frame, Tag)> {
        let at = self.arrivals.iter().filter(|one| one.port.as_str() == port);
        at.filter_map(|one| match &one.item {
            Item::Frame(frame) => Some((frame.clone(), one.tag?)),
            Item::Bytes(_) | Item::Eof => None,
        })
        .collect()
    }

    fn bytes(&self, port: &str) -> Vec<u8> {
        let at = self.arrivals.iter().filter(|one| one.port.as_str() == port);
        let bytes = at.filter_map(|one| match &one.item {
            Item::Bytes(bytes) => Some(bytes.clone()),
            Item::Frame(_) | Item::Eof => None,
        });
        bytes.flatten().collect()
    }

    fn has_eof(&self, port: &str) -> bool {
        let mut at = self.arrivals.iter().filter(|one| one.port.as_str() == port);
        at.any(|one| one.item == Item::Eof)
    }

    fn drops(&self) -> Vec<(Tag, DropReason)> {
        drops(&self.events)
    }
}

fn drops(events: &[Event]) -> Vec<(Tag, DropReason)> {
    let dropped = events.iter().filter_map(|event| match event.kind {
        EventKind::Dropped(reason) => Some((event.tag?, reason)),
        _ => None,
    });
    dropped.collect()
}
