//! A machine with its far ends, driven by hand: what the tests below ask of it and look at.

use std::time::Duration;

use bytes::Bytes;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::{
    base::{CHR_READ_BUF_LEN, Direction, Frame, NetdevId, Profile, QemuVersion, Quirk, VnetHdr},
    machine::{
        CharBackend, ChardevConfig, Command, CommandId, NetdevConfig, NetdevKind, framing::encode,
    },
    record::{CommandError, NoAnswer},
};

/// A machine with the net clients that most tests need: n0 <-> h0 on hub 0, h9 <-> n9.
struct Rig {
    machine: Machine,
    out: Vec<Output>,
    commands: u64,
    now: VirtualTime,
}

fn netdev(id: &str, kind: NetdevKind, peer: Option<&str>) -> NetdevConfig {
    NetdevConfig { id: id.into(), kind, peer: peer.map(Into::into) }
}

fn socket(id: &str, connected: bool) -> ChardevConfig {
    let backend = CharBackend::Socket { server: true, reconnect: false, monitor: false };
    ChardevConfig { id: id.into(), backend, connected }
}

fn other(id: &str, backend: CharBackend) -> ChardevConfig {
    ChardevConfig { id: id.into(), backend, connected: true }
}

fn qemu(quirk: Option<Quirk>) -> Profile {
    Profile::new(QemuVersion::Qemu102).without(quirk)
}

impl Rig {
    fn new(profile: Profile) -> Self {
        let hub = NetdevKind::Hubport { hub: 0 };
        Self::with(
            profile,
            vec![
                netdev("n0", NetdevKind::Socket, None),
                netdev("h0", hub.clone(), Some("n0")),
                netdev("n9", NetdevKind::Socket, None),
                netdev("h9", hub, Some("n9")),
            ],
        )
    }

    fn with(profile: Profile, netdevs: Vec<NetdevConfig>) -> Self {
        let chardevs = vec![
            socket("c0", true),
            socket("c1", true),
            socket("away", false),
            other("null", CharBackend::Null),
            other("mux", CharBackend::Mux),
        ];
        let iothreads = vec!["io0".into()];
        Self::of(Config { profile, netdevs, chardevs, iothreads, ..Config::default() })
    }

    fn of(config: Config) -> Self {
        let machine = Machine::new(config).unwrap();
        Self { machine, out: Vec::new(), commands: 0, now: VirtualTime::ZERO }
    }

    fn input(&mut self, input: Input) -> &mut Self {
        self.machine.handle(self.now, input, &mut self.out);
        self
    }

    /// The clock moves; timers fire on the way.
    fn advance(&mut self, millis: u64) -> &mut Self {
        let end = self.now + Duration::from_millis(millis);
        while let Some(due) = self.machine.deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.input(Input::Tick);
        }
        self.now = end;
        self
    }

    fn qmp(&mut self, name: &str, args: Value) -> Outcome {
        self.command(Command::Qmp { name: name.to_owned(), args })
    }

    fn command(&mut self, command: Command) -> Outcome {
        self.commands += 1;
        let id = CommandId(self.commands);
        self.input(Input::Command { id, command });
        let is_answer =
            |output: &Output| matches!(output, Output::Answer { id: of, .. } if *of == id);
        match self.out.iter().position(is_answer).map(|at| self.out.remove(at)) {
            Some(Output::Answer { outcome, .. }) => outcome,
            _ => Outcome::Unanswered(NoAnswer::Frozen),
        }
    }

    /// Adds an object that must be accepted.
    fn add(&mut self, option: &str) -> &mut Self {
        let outcome = self.command(Command::ObjectOption(option.to_owned()));
        assert!(matches!(outcome, Outcome::Done(_)), "{option}: {outcome:?}");
        self
    }

    fn refusal(&mut self, option: &str) -> CommandError {
        match self.command(Command::ObjectOption(option.to_owned())) {
            Outcome::Refused(error) => error,
            outcome => panic!("{option}: {outcome:?}"),
        }
    }

    /// A frame on the stream of n0 or n9.
    fn send(&mut self, netdev: &str, data: &[u8], tag: u32) -> &mut Self {
        let (data, tag) = (encode(data, None), Some(Tag::sent(tag)));
        self.input(Input::StreamBytes { netdev: netdev.into(), data, tag })
    }

    fn write(&mut self, chardev: &str, data: Bytes, tag: u32) -> &mut Self {
        self.input(Input::ChardevBytes { chardev: chardev.into(), data, tag: Some(Tag::sent(tag)) })
    }

    fn state(&mut self, chardev: &str, state: ChardevState) -> &mut Self {
        self.input(Input::Chardev { chardev: chardev.into(), state })
    }

    /// Frames that came out of a client since the last call of any of these.
    fn frames(&mut self, netdev: &str) -> Vec<Bytes> {
        let taken = std::mem::take(&mut self.out);
        let frame = |output| match output {
            Output::NetdevFrame { netdev: from, data, .. } if from.as_str() == netdev => Some(data),
            _ => None,
        };
        taken.into_iter().filter_map(frame).collect()
    }

    fn bytes(&mut self, chardev: &str) -> Vec<u8> {
        let taken = std::mem::take(&mut self.out);
        let bytes = |output| match output {
            Output::ChardevBytes { chardev: to, data, .. } if to.as_str() == chardev => Some(data),
            _ => None,
        };
        taken.into_iter().filter_map(bytes).flatten().collect()
    }

    fn drops(&mut self) -> Vec<(u32, DropReason)> {
        dropped(self.out.drain(..).filter_map(|output| match output {
            Output::Event(event) => Some(event),
            _ => None,
        }))
    }

    fn logs(&mut self) -> Vec<String> {
        let taken = std::mem::take(&mut self.out);
        let log = |output| match output {
            Output::Event(Event { kind: EventKind::Log(line), .. }) => Some(line),
            _ => None,
        };
        taken.into_iter().filter_map(log).collect()
    }

    fn residue(self) -> Vec<(u32, DropReason)> {
        dropped(self.machine.residue().into_iter())
    }
}

fn dropped(events: impl Iterator<Item = Event>) -> Vec<(u32, DropReason)> {
    let drop = |event: Event| match (event.tag?.0, event.kind) {
        (crate::base::Origin::Sent(number), EventKind::Dropped(reason)) => Some((number, reason)),
        _ => None,
    };
    events.filter_map(drop).collect()
}

fn set(property: &str, value: impl Into<Value>) -> Value {
    json!({"path": "/objects/f0", "property": property, "value": value.into()})
}

mod announce;
mod any;
mod buffer;
mod chain;
mod colo;
mod dump;
mod frozen;
mod golden;
mod quirk;
mod rewriter;
mod rfc;
mod rfc_later;
