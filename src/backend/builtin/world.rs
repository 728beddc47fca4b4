//! The world of built-in machines, without the interfaces, which are its carrier's: what the
//! machines put out is carried to its destination, and what arrives becomes their input. `sim` and
//! `netns` open one for each case.

mod colo;
mod connection;
mod feed;
mod input;
mod migrate;
mod output;
mod schedule;
#[cfg(test)]
mod tests;
mod vhost;

#[cfg(test)]
pub(crate) use tests::case;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io,
};

use serde_json::{Map, Value};

use super::{
    Carried, Carrier,
    far_end::{FarEnd, PortEnd},
    file::WrittenFile,
    flight::Flights,
    process::Process,
    socket::SocketEnd,
    storm::Storm,
    traffic::Traffic,
};
use crate::{
    backend::{
        Action, BackendError, Deadline, Exposed, Observations, Residue, Settled, World,
        lower::{self, Socket, TapWiring},
        title::{Title, object_title, qmp_title},
    },
    base::{ChardevId, Frame, NetdevId, Origin, PortId, Tag, VirtualTime},
    machine::{ChardevState, Command, CommandId, Input, Output},
    record::{Answer, DropReason, Event, EventKind, Outcome, Place, PortKind},
    scenario::{Case, ChardevFar, Client, LinkSet, Wiring},
};

/// A world of built-in machines: their chardevs are pipes in memory, their interfaces the
/// carrier's.
pub(crate) struct BuiltinWorld<C> {
    carrier: C,
    /// In the order of the case.
    processes: Vec<Process>,
    clock: VirtualTime,
    /// Where an `advance` that is under way takes the clock.
    until: Option<VirtualTime>,
    taps: BTreeMap<NetdevId, TapWiring>,
    /// The client of a machine that stands for a guest, and the TAP it is the guest of.
    guests: BTreeMap<NetdevId, NetdevId>,
    ports: BTreeMap<PortId, Target>,
    far_ends: BTreeMap<ChardevId, FarEnd>,
    /// The chardevs whose far end is a chardev, those that steps add too.
    joined: BTreeSet<ChardevId>,
    /// How frames stand in the bytes of the chardevs that steps add.
    added_chardevs: BTreeMap<ChardevId, Wiring>,
    /// The sockets that have an address.
    sockets: BTreeMap<ChardevId, Socket>,
    /// Sockets that commands are about to make.
    added: BTreeMap<ChardevId, Socket>,
    /// The files of filter-dumps.
    files: BTreeMap<PortId, WrittenFile>,
    flights: Flights,
    /// The netdevs whose vhost-net is stopped, and what their guests have to send.
    unsent: BTreeMap<NetdevId, Vec<(Frame, Tag)>>,
    /// What reaches the machines next: the machine's index, and the input with its local ids.
    queue: VecDeque<(usize, Input)>,
    outputs: Vec<Output>,
    carried: Vec<Carried>,
    seen: Observations,
    /// Commands without an answer.
    commands: BTreeMap<CommandId, Title>,
    answered: Option<(CommandId, Answer)>,
    command_count: u64,
    write_count: u32,
    storm: Storm,
    traffic: Traffic,
    /// The exchange that the scenario asked for.
    called: Option<Client>,
}

/// What a port is the port of.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    Guest(NetdevId),
    Host,
    Chardev(ChardevId),
}

/// Opens or closes a machine's packet socket on a TAP.
fn open_packet_socket<C: Carrier>(
    carrier: &mut C,
    netdev: &NetdevId,
    on: bool,
) -> Result<(), BackendError> {
    carrier.capture(netdev, on).map_err(|source| BackendError::System {
        what: format!("opening a packet socket on the TAP of {netdev}"),
        source,
    })
}

impl<C: Carrier> BuiltinWorld<C> {
    /// A world for a case whose interfaces `carrier` has.
    ///
    /// # Errors
    /// When no machine can be made of the case.
    pub(crate) fn new(case: &Case, mut carrier: C) -> Result<Self, BackendError> {
        let all = Process::all(case).map_err(|error| BackendError::System {
            what: format!("building the machine of {}", case.id),
            source: io::Error::other(error),
        })?;
        let (mut processes, mut taps) = (Vec::new(), BTreeMap::new());
        let (mut guests, mut chardevs) = (BTreeMap::new(), BTreeMap::new());
        for (process, mut lowered) in all {
            for netdev in process.packet_sockets() {
                open_packet_socket(&mut carrier, &netdev, true)?;
            }
            processes.push(process);
            taps.append(&mut lowered.taps);
            guests.append(&mut lowered.guests);
            chardevs.append(&mut lowered.chardevs);
        }
        let mut ports = BTreeMap::new();
        for (id, tap) in &taps {
            ports.insert(tap.guest_port.clone(), Target::Guest(id.clone()));
        }
        for port in &case.ports {
            if matches!(port.kind, PortKind::Host | PortKind::LinkEnd) {
                ports.insert(port.id.clone(), Target::Host);
            }
        }
        let is_there = |other: &&ChardevId| chardevs.contains_key(*other);
        let mut far_ends = BTreeMap::new();
        for (id, chardev) in &chardevs {
            let far_end = match &chardev.far {
                ChardevFar::Port { connected, wiring } => {
                    let port = PortId::from(id.as_str());
                    ports.insert(port.clone(), Target::Chardev(id.clone()));
                    FarEnd::Port(PortEnd::new(port, *connected, *wiring))
                }
                ChardevFar::Joined(other) => {
                    let peer = Some(other).filter(is_there).cloned();
                    FarEnd::Joined(SocketEnd::new(chardev.socket.as_ref(), peer))
                }
                ChardevFar::Nobody => FarEnd::Nobody,
            };
            far_ends.insert(id.clone(), far_end);
        }
        let mut world = Self {
            carrier,
            processes,
            clock: VirtualTime::ZERO,
            until: None,
            taps,
            guests,
            ports,
            far_ends,
            joined: case.joined.clone(),
            added_chardevs: case.added_chardevs.clone(),
            sockets: chardevs
                .into_iter()
                .filter_map(|(id, chardev)| Some((id, chardev.socket?)))
                .collect(),
            added: BTreeMap::new(),
            files: BTreeMap::new(),
            flights: Flights::default(),
            unsent: BTreeMap::new(),
            queue: VecDeque::new(),
            outputs: Vec::new(),
            carried: Vec::new(),
            seen: Observations::default(),
            commands: BTreeMap::new(),
            answered: None,
            command_count: 0,
            write_count: 0,
            storm: Storm::default(),
            traffic: Traffic::new(case),
            called: None,
        };
        // A machine may begin stopped.
        (0..world.processes.len()).for_each(|at| world.follow_run_state(at));
        Ok(world)
    }

    fn link_set(&mut self, change: &LinkSet) -> Result<(), BackendError> {
        self.carrier.link_set(change).map_err(|source| BackendError::System {
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
                let at = self.index_of(&object.machine);
                return self.command(at, object_title(object), lower::command(object)).map(Some);
            }
            Action::Qmp { machine, command, args } => {
                let title = qmp_title(machine, command, args);
                if let Some(error) = self.prepare(machine, command, args) {
                    return Ok(Some(Answer {
                        command: title.text,
                        subject: title.subject,
                        outcome: Outcome::Refused(error),
                    }));
                }
                let name = command.to_owned();
                let qmp = Command::Qmp { name, args: Value::Object(Map::clone(args)) };
                let at = self.index_of(machine);
                return self.command(at, title, qmp).map(Some);
            }
            Action::Colo { event, machine } => self.colo(event, machine)?,
            Action::Migrate { from, to } => return self.migrate(from, to).map(Some),
            Action::Send { port, frame, tag, chunk } => self.emit(port, frame, tag, chunk),
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
                let deleted = self.lose_queue(port).and_then(|()| self.carrier.link_del(port));
                let what = || format!("link-del {port}");
                deleted.map_err(|source| BackendError::System { what: what(), source })?;
            }
            Action::Advance(span) => {
                self.until = Some(self.until.unwrap_or(self.clock) + span);
            }
            Action::Impair(changes) => changes.iter().for_each(|one| self.traffic.impair(one)),
            Action::Client(client) => self.client(client),
            Action::ClientAnswer => return Ok(self.client_answer()),
        }
        Ok(None)
    }

    fn settle(&mut self, deadline: &Deadline) -> Result<Settled, BackendError> {
        loop {
            let moved = self.pass()? || self.stir();
            if let Some(cycle) = self.storm.cycle() {
                self.queue.clear();
                self.until = None;
                return Ok(Settled::Storm(cycle));
            }
            if !moved && !self.tick() {
                return Ok(Settled::Idle);
            }
            if deadline.passed() {
                return Ok(Settled::Late);
            }
        }
    }

    fn observe(&mut self) -> Observations {
        self.show_files();
        if let Some((_, late)) = self.answered.take() {
            self.seen.answers.push(late);
        }
        std::mem::take(&mut self.seen)
    }

    fn now(&self) -> VirtualTime {
        self.clock
    }

    fn wait(&mut self, deadline: &Deadline) -> Result<Option<Settled>, BackendError> {
        let may_come = self.carrier.wait(deadline).map_err(|source| BackendError::System {
            what: "waiting for the kernel".to_owned(),
            source,
        })?;
        if may_come { self.settle(deadline).map(Some) } else { Ok(None) }
    }

    fn expose(&mut self) -> Result<Exposed, BackendError> {
        self.carrier
            .expose()
            .map_err(|source| BackendError::System { what: "naming interfaces".to_owned(), source })
    }

    fn finish(mut self: Box<Self>) -> Residue {
        for end in self.far_ends.values_mut() {
            if let FarEnd::Port(end) = end {
                let place = Place::Port(end.port.clone());
                self.seen.events.extend(end.never_read().into_iter().map(|tag| Event {
                    tag: Some(tag),
                    place: place.clone(),
                    kind: EventKind::Dropped(DropReason::NoReader),
                }));
            }
        }
        let waiting = self.end_waiting();
        let mut events = self.seen.events;
        for process in self.processes {
            events.extend(process.residue());
        }
        let mut errors: Vec<String> = waiting.err().iter().map(ToString::to_string).collect();
        let in_doubt = self.carrier.is_in_doubt();
        errors.extend(self.carrier.finish());
        Residue { events, errors, in_doubt }
    }
}
