//! A comparer alone, as it is measured: primary_in, secondary_in, outdev and notify_dev are sockets
//! whose far ends are here.

mod create;
mod held;
mod model;
mod queue;
mod random;
mod release;
mod sender;
mod stream;

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    base::{Origin, Profile, QemuVersion, Quirk, Tag, VirtualTime},
    machine::{
        CharBackend, ChardevConfig, ChardevState, Command, CommandId, Config, Input, Machine,
        Output,
        framing::{Reassembler, Strictness, Unit, encode},
    },
    record::{CheckpointCause, DropReason, Event, EventKind, NoAnswer, Outcome},
};

const CHECKPOINT: &[u8] = b"DO_CHECKPOINT";
const COMPARE: &str =
    "colo-compare,id=cc0,primary_in=pri,secondary_in=sec,outdev=out,iothread=io0,notify_dev=ntf";

fn qemu() -> Profile {
    Profile::new(QemuVersion::Qemu102)
}

fn without(quirk: Quirk) -> Profile {
    qemu().without([quirk])
}

fn ideal() -> Profile {
    Profile::new(QemuVersion::Ideal)
}

struct Rig {
    machine: Machine,
    now: VirtualTime,
    out: Vec<Output>,
    tags: u32,
}

impl Rig {
    /// A machine without objects but `io0`.
    fn bare(profile: Profile) -> Self {
        let socket = |id: &str| ChardevConfig {
            id: id.into(),
            backend: CharBackend::Socket { server: true, reconnect: false, monitor: false },
            connected: true,
        };
        let null = ChardevConfig { id: "null".into(), backend: CharBackend::Null, connected: true };
        let sockets = ["pri", "sec", "out", "ntf", "pri2", "sec2", "out2"].map(socket);
        let machine = Machine::new(Config {
            profile,
            chardevs: sockets.into_iter().chain([null]).collect(),
            iothreads: vec!["io0".into()],
            ..Config::default()
        });
        Self { machine: machine.unwrap(), now: VirtualTime::ZERO, out: Vec::new(), tags: 0 }
    }

    fn new(profile: Profile) -> Self {
        Self::with(profile, "")
    }

    /// A machine with a comparer of these further options.
    fn with(profile: Profile, options: &str) -> Self {
        let mut rig = Self::bare(profile);
        rig.add(&format!("{COMPARE}{options}"));
        rig
    }

    fn input(&mut self, input: Input) -> &mut Self {
        self.machine.handle(self.now, input, &mut self.out);
        self
    }

    fn command(&mut self, command: Command) -> Outcome {
        let id = CommandId(1);
        self.input(Input::Command { id, command });
        let answer = |output: &Output| matches!(output, Output::Answer { .. });
        match self.out.iter().position(answer).map(|at| self.out.remove(at)) {
            Some(Output::Answer { outcome, .. }) => outcome,
            _ => Outcome::Unanswered(NoAnswer::Frozen),
        }
    }

    fn qmp(&mut self, name: &str, args: Value) -> Outcome {
        self.command(Command::Qmp { name: name.to_owned(), args })
    }

    fn option(&mut self, text: &str) -> Outcome {
        self.command(Command::ObjectOption(text.to_owned()))
    }

    fn add(&mut self, text: &str) -> &mut Self {
        let outcome = self.option(text);
        assert!(matches!(outcome, Outcome::Done(_)), "{text}: {outcome:?}");
        self
    }

    fn set(&mut self, property: &str, value: impl Into<Value>) -> Outcome {
        let value: Value = value.into();
        self.qmp("qom-set", json!({"path": "/objects/cc0", "property": property, "value": value}))
    }

    /// Bytes as they are, with the next number.
    fn write(&mut self, chardev: &str, data: impl Into<Bytes>) -> u32 {
        self.tags += 1;
        self.input(Input::ChardevBytes {
            chardev: chardev.into(),
            data: data.into(),
            tag: Some(Tag::sent(self.tags)),
        });
        self.tags
    }

    /// A frame in its framing; its number.
    fn send(&mut self, chardev: &str, frame: &[u8]) -> u32 {
        self.write(chardev, encode(frame, None))
    }

    fn pri(&mut self, frame: &[u8]) -> u32 {
        self.send("pri", frame)
    }

    fn sec(&mut self, frame: &[u8]) -> u32 {
        self.send("sec", frame)
    }

    fn checkpoint(&mut self) {
        self.send("ntf", b"COLO_CHECKPOINT");
    }

    fn state(&mut self, chardev: &str, state: ChardevState) {
        self.input(Input::Chardev { chardev: chardev.into(), state });
    }

    /// The clock moves, timer by timer.
    fn advance(&mut self, milliseconds: u64) {
        let end = self.now + Duration::from_millis(milliseconds);
        while let Some(due) = self.machine.deadline().filter(|due| *due <= end) {
            self.now = due;
            self.input(Input::Tick);
        }
        self.now = end;
    }

    /// What came out since the last look.
    fn look(&mut self) -> Seen {
        Seen(std::mem::take(&mut self.out))
    }

    fn released(&mut self) -> Vec<u32> {
        self.look().released()
    }

    fn residue(self) -> Vec<(u32, DropReason)> {
        drops(self.machine.residue().iter())
    }
}

/// What a machine put out.
struct Seen(Vec<Output>);

impl Seen {
    fn events(&self) -> impl Iterator<Item = &Event> {
        self.0.iter().filter_map(|output| match output {
            Output::Event(event) => Some(event),
            _ => None,
        })
    }

    fn bytes(&self, chardev: &str) -> Vec<u8> {
        let bytes = self.0.iter().filter_map(|output| match output {
            Output::ChardevBytes { chardev: to, data, .. } if to.as_str() == chardev => Some(data),
            _ => None,
        });
        bytes.flatten().copied().collect()
    }

    /// The frames written to a chardev without the virtio-net word.
    fn frames(&self, chardev: &str) -> Vec<Bytes> {
        let mut bytes = Bytes::from(self.bytes(chardev));
        let strictness = Strictness { empty_waits: false, oversize_late: false };
        let mut reassembler = Reassembler::new(false, strictness);
        let mut frames = Vec::new();
        while let Some(Unit::Frame { data, .. }) = reassembler.next(&mut bytes, None) {
            frames.push(data);
        }
        frames
    }

    /// Numbers of the frames whose last byte was written to outdev, in order.
    fn released(&self) -> Vec<u32> {
        let mut released: Vec<u32> = Vec::new();
        for output in &self.0 {
            if let Output::ChardevBytes { chardev, tag, .. } = output
                && chardev.as_str() == "out"
                && let Some(number) = number(*tag)
                && released.last() != Some(&number)
            {
                released.push(number);
            }
        }
        released
    }

    /// How often a checkpoint was asked for.
    fn asked(&self) -> usize {
        self.frames("ntf").iter().filter(|frame| *frame == CHECKPOINT).count()
    }

    fn causes(&self) -> Vec<CheckpointCause> {
        let causes = self.events().filter_map(|event| match &event.kind {
            EventKind::Checkpoint(request) => Some(request.cause.clone()),
            _ => None,
        });
        causes.collect()
    }

    fn drops(&self) -> Vec<(u32, DropReason)> {
        drops(self.events())
    }

    fn logs(&self) -> Vec<&str> {
        let logs = self.events().filter_map(|event| match &event.kind {
            EventKind::Log(line) => Some(line.as_str()),
            _ => None,
        });
        logs.collect()
    }

    fn crash(&self) -> Option<&str> {
        self.events().find_map(|event| match &event.kind {
            EventKind::Crash(assertion) => Some(assertion.as_str()),
            _ => None,
        })
    }
}

fn drops<'e>(events: impl Iterator<Item = &'e Event>) -> Vec<(u32, DropReason)> {
    let drop = |event: &Event| match event.kind {
        EventKind::Dropped(reason) => Some((number(event.tag)?, reason)),
        _ => None,
    };
    events.filter_map(drop).collect()
}

fn number(tag: Option<Tag>) -> Option<u32> {
    match tag?.0 {
        Origin::Sent(number) => Some(number),
        _ => None,
    }
}

/// An IPv4 packet from 10.0.0.1 to 10.0.0.2 in an Ethernet frame.
fn ip(protocol: u8, id: u16, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x52, 0x54, 0, 0, 0, 2, 0x52, 0x54, 0, 0, 0, 1, 8, 0, 0x45, 0];
    frame.extend((20 + body.len() as u16).to_be_bytes());
    frame.extend(id.to_be_bytes());
    frame.extend([0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    frame.extend(body);
    frame
}

fn udp(payload: &[u8]) -> Vec<u8> {
    let mut body = vec![3, 232, 7, 208, 0, 8 + payload.len() as u8, 0, 0];
    body.extend(payload);
    ip(17, 1, &body)
}

fn arp(text: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x52, 0x54, 0, 0, 0, 2, 0x52, 0x54, 0, 0, 0, 1, 8, 6];
    frame.extend(text);
    frame
}

const ACK: u8 = 0x10;
const SYN: u8 = 0x02;

/// A TCP segment from port 80 to port 4000.
fn tcp(seq: u32, payload: &[u8], ack: u32, flags: u8) -> Vec<u8> {
    let mut body = vec![0, 80, 15, 160];
    body.extend(seq.to_be_bytes());
    body.extend(ack.to_be_bytes());
    body.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    body.extend(payload);
    ip(6, 1, &body)
}

fn data(seq: u32, payload: &[u8]) -> Vec<u8> {
    tcp(seq, payload, 5, ACK)
}
