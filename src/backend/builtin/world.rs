mod input;
mod output;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use tests::case;

use std::{
    collections::{BTreeMap, VecDeque},
    io,
};

use serde_json::{Map, Value};

use super::{
    Carried, Carrier,
    far_end::{FarEnd, PortEnd},
    flight::Flights,
    storm::Storm,
};
use crate::{
    backend::{
        Action, BackendError, Deadline, Observations, Residue, Settled, World,
        lower::{self, Lowered, TapWiring},
        title::{Title, object_title, qmp_title},
    },
    base::{ChardevId, NetdevId, Origin, PortId, Tag, VirtualTime},
    machine::{ChardevState, Command, CommandId, Input, Machine, Output},
    record::{Answer, DropReason, Event, EventKind, Outcome, Place, PortKind},
    scenario::{Case, ChardevFar, LinkSet},
};

/// A world of a built-in machine: its chardevs are pipes in memory, its interfaces the carrier's.
pub(crate) struct BuiltinWorld<C> {
    carrier: C,
    machine: Machine,
    dead: bool,
    clock: VirtualTime,
    /// Where an `advance` that is under way takes the clock.
    until: Option<VirtualTime>,
    taps: BTreeMap<NetdevId, TapWiring>,
    /// The machine's client that stands for a guest, and the TAP it is the guest of.
    guests: BTreeMap<NetdevId, NetdevId>,
    ports: BTreeMap<PortId, Target>,
    far_ends: BTreeMap<ChardevId, FarEnd>,
    flights: Flights,
    /// What reaches the machine next.
    queue: VecDeque<Input>,
    outputs: Vec<Output>,
    carried: Vec<Carried>,
    seen: Observations,
    /// Commands without an answer.
    commands: BTreeMap<CommandId, Title>,
    answered: Option<(CommandId, Answer)>,
    command_count: u64,
    write_count: u32,
    storm: Storm,
}

/// What a port is the port of.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    Guest(NetdevId),
    Host,
    Chardev(ChardevId),
}

impl<C: Carrier> BuiltinWorld<C> {
    /// A world for a case whose interfaces `carrier` has.
    ///
    /// # Errors
    /// When no machine can be made of the case.
    pub(crate) fn new(case: &Case, carrier: C) -> Result<Self, BackendError> {
        let Lowered {
            config,
            taps,
            guests,
            chardevs,
        } = lower::lower(case);
        let machine = Machine::new(config).map_err(|error| BackendError::System {
            what: format!("building the machine of {}", case.id),
            source: io::Error::other(error),
        })?;
        let mut ports = BTreeMap::new();
        for (id, tap) in &taps {
            ports.insert(tap.guest_port.clone(), Target::Guest(id.clone()));
        }
        for port in &case.ports {
            if matches!(port.kind, PortKind::Host | PortKind::LinkEnd) {
                ports.insert(port.id.clone(), Target::Host);
            }
        }
        let mut far_ends = BTreeMap::new();
        for (id, wiring) in chardevs {
            let far_end = match &wiring.far {
                ChardevFar::Port { .. } => {
                    let port = PortId::from(id.as_str());
                    ports.insert(port.clone(), Target::Chardev(id.clone()));
                    FarEnd::Port(PortEnd::new(port, &wiring))
                }
                ChardevFar::Joined(other) => FarEnd::Joined(other.clone()),
                ChardevFar::Nobody => FarEnd::Nobody,
            };
            far_ends.insert(id, far_end);
        }
        Ok(Self {
            carrier,
            machine,
            dead: false,
            clock: VirtualTime::ZERO,
            until: None,
            taps,
            guests,
            ports,
            far_ends,
            flights: Flights::default(),
            queue: VecDeque::new(),
            outputs: Vec::new(),
            carried: Vec::new(),
            seen: Observations::default(),
            commands: BTreeMap::new(),
            answered: None,
            command_count: 0,
            write_count: 0,
            storm: Storm::default(),
        })
    }

    /// Gives the machine a command and returns its answer, [`Outcome::Unanswered`] while the main
    /// loop is frozen.
    fn command(&mut self, title: Title, command: Command) -> Result<Answer, BackendError> {
        self.command_count += 1;
        let id = CommandId(self.command_count);
        self.commands.insert(id, title.clone());
        self.feed(Input::Command { id, command })?;
        Ok(
            match self.answered.take_if(|(answered, _)| *answered == id) {
                Some((_, answer)) => answer,
                None => Answer {
                    command: title.text,
                    subject: title.subject,
                    outcome: Outcome::Unanswered,
                },
            },
        )
    }

    /// Gives the machine one input and carries its outputs out.
    fn feed(&mut self, input: Input) -> Result<(), BackendError> {
        self.storm.count(&input);
        let mut outputs = std::mem::take(&mut self.outputs);
        self.machine.handle(self.clock, input, &mut outputs);
        let result = outputs
            .drain(..)
            .try_for_each(|output| self.carry_out(output));
        self.outputs = outputs;
        result
    }

    /// One pass over all sources; whether anything moved.
    fn pass(&mut self) -> Result<bool, BackendError> {
        let mut moved = false;
        while let Some(input) = self.queue.pop_front() {
            moved = true;
            self.feed(input)?;
            if self.storm.cycle().is_some() {
                return Ok(true);
            }
        }
        let mut carried = std::mem::take(&mut self.carried);
        let drained = self.carrier.drain(&mut carried);
        moved |= !carried.is_empty();
        for one in carried.drain(..) {
            self.take(one);
        }
        self.carried = carried;
        drained.map_err(|source| BackendError::System {
            what: "reading".to_owned(),
            source,
        })?;
        if self.machine.deadline().is_some_and(|due| due <= self.clock) {
            moved = true;
            self.feed(Input::Tick)?;
        }
        Ok(moved)
    }

    /// The clock moves on to the next timer, or to the end of an `advance` that is under way;
    /// whether it moved. Each moment has a storm limit of its own.
    fn tick(&mut self) -> bool {
        let Some(end) = self.until else {
            return false;
        };
        self.storm.calm();
        if let Some(due) = self.machine.deadline().filter(|due| *due <= end) {
            self.clock = self.clock.max(due);
        } else {
            self.clock = end;
            self.until = None;
        }
        true
    }

    fn link_set(&mut self, change: &LinkSet) -> Result<(), BackendError> {
        self.carrier
            .link_set(change)
            .map_err(|source| BackendError::System {
                what: format!("link-set {}", change.port),
                source,
            })
    }
}

impl<C: Carrier> World for BuiltinWorld<C> {
    fn act(&mut self, action: Action<'_>) -> Result<Option<Answer>, BackendError> {
        self.storm.calm();
        match action {
            Action::ObjectAdd(object) => {
                return self
                    .command(object_title(object), lower::command(object))
                    .map(Some);
            }
            Action::Qmp { command, args } => {
                let name = command.to_owned();
                let qmp = Command::Qmp {
                    name,
                    args: Value::Object(Map::clone(args)),
                };
                return self.command(qmp_title(command, args), qmp).map(Some);
            }
            Action::Send {
                port,
                frame,
                tag,
                chunk,
            } => self.send(port, frame, tag, chunk),
            Action::Write { port, data, chunk } => {
                self.write_count += 1;
                let tag = Tag(Origin::Written(self.write_count));
                match self.ports.get(port).cloned() {
                    Some(Target::Chardev(chardev)) if self.connected_end(&chardev).is_some() => {
                        self.write(&chardev, data, Some(tag), chunk);
                    }
                    _ => {
                        let place = Place::Port(port.clone());
                        self.drop_frame(Some(tag), place, DropReason::ChardevClosed);
                    }
                }
            }
            Action::ChardevOpen(port) => {
                self.far_end_changes(port, ChardevState::Opened)?;
            }
            Action::ChardevClose { port, half: false } => {
                self.far_end_changes(port, ChardevState::Closed)?;
            }
            Action::ChardevClose { port, half: true } => {
                self.far_end_changes(port, ChardevState::HalfClosed)?;
            }
            Action::ChardevStall(port) => {
                self.far_end_changes(port, ChardevState::Stalled)?;
            }
            Action::ChardevResume(port) => {
                self.far_end_changes(port, ChardevState::Resumed)?;
            }
            Action::LinkSet(change) => self.link_set(change)?,
            Action::LinkDel(port) => {
                self.carrier
                    .link_del(port)
                    .map_err(|source| BackendError::System {
                        what: format!("link-del {port}"),
                        source,
                    })?;
            }
            Action::Advance(span) => {
                self.until = Some(self.until.unwrap_or(self.clock) + span);
            }
        }
        Ok(None)
    }

    fn settle(&mut self, deadline: &Deadline) -> Result<Settled, BackendError> {
        loop {
            let moved = self.pass()?;
            if let Some(cycle) = self.storm.cycle() {
                self.queue.clear();
                self.until = None;
                return Ok(Settled::Storm(cycle));
            }
            if !moved {
                self.flights.land();
                if !self.tick() {
                    return Ok(Settled::Idle);
                }
            }
            if deadline.passed() {
                return Ok(Settled::Late);
            }
        }
    }

    fn observe(&mut self) -> Observations {
        if let Some((_, late)) = self.answered.take() {
            self.seen.answers.push(late);
        }
        std::mem::take(&mut self.seen)
    }

    fn now(&self) -> VirtualTime {
        self.clock
    }

    fn wait(&mut self, deadline: &Deadline) -> Result<Option<Settled>, BackendError> {
        let may_come = self
            .carrier
            .wait(deadline)
            .map_err(|source| BackendError::System {
                what: "waiting for the kernel".to_owned(),
                source,
            })?;
        if may_come {
            self.settle(deadline).map(Some)
        } else {
            Ok(None)
        }
    }

    fn finish(mut self: Box<Self>) -> Residue {
        for end in self.far_ends.values_mut() {
            if let FarEnd::Port(end) = end {
                let place = Place::Port(end.port.clone());
                self.seen
                    .events
                    .extend(end.never_read().into_iter().map(|tag| Event {
                        tag: Some(tag),
                        place: place.clone(),
                        kind: EventKind::Dropped(DropReason::NoReader),
                    }));
            }
        }
        let mut events = self.seen.events;
        events.extend(self.machine.residue());
        let errors = self.carrier.finish();
        Residue { events, errors }
    }
}
