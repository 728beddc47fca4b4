use std::{
    collections::{BTreeMap, VecDeque},
    io,
    time::Duration,
};

use bytes::{BufMut, Bytes, BytesMut};
use serde_json::{Map, Value};

use super::{
    Carried, Carrier,
    far_end::{self, FarEnd, PortEnd},
    flight::{Destination, Flights},
    storm::Storm,
};
use crate::{
    backend::{
        Action, BackendError, Deadline, Observations, Residue, Settled, World,
        lower::{self, Lowered, TapWiring},
        title::{Title, object_title, qmp_title},
    },
    base::{ChardevId, Frame, NetdevId, Origin, PortId, Tag, VirtualTime, VnetHdr},
    machine::{ChardevState, Command, CommandId, Input, Machine, Output},
    record::{
        Answer, Arrival, DropReason, Event, EventKind, Framing, Item, Outcome, Place, PortKind,
    },
    scenario::{Case, ChardevFar, LinkSet},
};

/// A world of a built-in machine: its chardevs are pipes in memory, its interfaces the carrier's.
pub(crate) struct BuiltinWorld<C> {
    carrier: C,
    machine: Machine,
    dead: bool,
    clock: VirtualTime,
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
#[derive(Clone, Debug)]
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

    fn carry_out(&mut self, output: Output) -> Result<(), BackendError> {
        self.storm.follow(&output);
        match output {
            Output::NetdevFrame { netdev, data, tag } => self.frame_out(&netdev, data, tag),
            Output::Inject {
                netdev,
                object,
                frame,
                tag,
            } => {
                self.flights.depart(&frame.data, tag);
                if let Err(reason) = self.carrier.inject(&netdev, &frame) {
                    self.flights.refuse(&frame.data, tag);
                    self.queue.push_back(Input::InjectFailed {
                        netdev,
                        object,
                        reason,
                        tag,
                    });
                }
            }
            Output::Capture { netdev, on } => {
                self.carrier
                    .capture(&netdev, on)
                    .map_err(|source| BackendError::System {
                        what: format!("opening a packet socket on the TAP of {netdev}"),
                        source,
                    })?;
            }
            Output::ChardevBytes { chardev, data, tag } => self.bytes_out(&chardev, data, tag),
            Output::ChardevClosed { chardev } => self.chardev_closed(&chardev),
            Output::ChardevExists { chardev, exists } => self.chardev_exists(chardev, exists),
            Output::StreamClosed { netdev } => {
                if let Some(tap) = self.guests.get(&netdev) {
                    let port = self.taps[tap].guest_port.clone();
                    self.arrive(port, Item::Eof, None);
                }
            }
            Output::NetdevGone { netdev } => {
                if let Some(tap) = self.taps.get(&netdev) {
                    let port = tap.guest_port.clone();
                    self.arrive(port, Item::Eof, None);
                }
            }
            Output::Answer { id, outcome } => {
                if let Some(title) = self.commands.remove(&id) {
                    let answer = Answer {
                        command: title.text,
                        subject: title.subject,
                        outcome,
                    };
                    if let Some((_, late)) = self.answered.replace((id, answer)) {
                        self.seen.answers.push(late);
                    }
                }
            }
            Output::Event(event) => {
                if let EventKind::Crash(_) = event.kind {
                    self.dead = true;
                }
                self.seen.events.push(event);
            }
        }
        Ok(())
    }

    /// A frame leaves the machine: to a guest, or through a TAP to the host.
    fn frame_out(&mut self, netdev: &NetdevId, data: Bytes, tag: Option<Tag>) {
        if let Some(tap) = self.guests.get(netdev) {
            let tap = &self.taps[tap];
            let (port, frame) = (
                tap.guest_port.clone(),
                split(data, lower::vnet_hdr_len(tap.nic)),
            );
            self.arrive(port, Item::Frame(frame), tag);
        } else if let Some(tap) = self.taps.get(netdev) {
            let frame = split(data, lower::vnet_hdr_len(tap.nic));
            self.leave_guest(netdev, &frame, tag);
        } else {
            self.drop_frame(tag, Place::Netdev(netdev.clone()), DropReason::HostConsumed);
        }
    }

    /// A frame goes through a TAP to the host.
    fn leave_guest(&mut self, netdev: &NetdevId, frame: &Frame, tag: Option<Tag>) {
        self.flights.depart(&frame.data, tag);
        if let Err(reason) = self.carrier.send_from_guest(netdev, frame) {
            self.flights.refuse(&frame.data, tag);
            self.drop_frame(tag, Place::Tap(netdev.clone()), reason);
        }
    }

    fn bytes_out(&mut self, chardev: &ChardevId, data: Bytes, tag: Option<Tag>) {
        match self.far_ends.get_mut(chardev) {
            Some(FarEnd::Port(end)) => {
                if let Some(data) = end.take(data, tag) {
                    let port = end.port.clone();
                    self.arrive(port, Item::Bytes(data), tag);
                }
            }
            Some(FarEnd::Joined(other)) => {
                let chardev = other.clone();
                self.queue
                    .push_back(Input::ChardevBytes { chardev, data, tag });
            }
            Some(FarEnd::Nobody) | None => {}
        }
    }

    /// The machine closed its end. What had been written before is read to its end first.
    fn chardev_closed(&mut self, chardev: &ChardevId) {
        match self.far_ends.get_mut(chardev) {
            Some(FarEnd::Port(end)) if end.connected => {
                let (port, unread) = (end.port.clone(), end.resume());
                end.close();
                for (data, tag) in unread {
                    self.arrive(port.clone(), Item::Bytes(data), tag);
                }
                self.arrive(port, Item::Eof, None);
            }
            Some(FarEnd::Joined(other)) => {
                let (chardev, state) = (other.clone(), ChardevState::Closed);
                self.queue.push_back(Input::Chardev { chardev, state });
            }
            _ => {}
        }
    }

    /// A chardev that a command made has a port of its own name.
    fn chardev_exists(&mut self, chardev: ChardevId, exists: bool) {
        if !exists {
            self.far_ends.remove(&chardev);
            return;
        }
        let port = PortId::from(chardev.as_str());
        self.ports
            .insert(port.clone(), Target::Chardev(chardev.clone()));
        let end = PortEnd::new(port, &lower::added_chardev());
        self.far_ends.entry(chardev).or_insert(FarEnd::Port(end));
    }

    fn arrive(&mut self, port: PortId, item: Item, tag: Option<Tag>) {
        self.seen.arrivals.push(Arrival {
            port,
            item,
            tag,
            at: self.clock,
        });
    }

    fn drop_frame(&mut self, tag: Option<Tag>, place: Place, reason: DropReason) {
        self.seen.events.push(Event {
            tag,
            place,
            kind: EventKind::Dropped(reason),
        });
    }

    /// A scenario sends a frame at a port.
    fn send(&mut self, port: &PortId, frame: &Frame, tag: Tag, chunk: Option<usize>) {
        match self.ports.get(port).cloned() {
            Some(Target::Guest(netdev)) => self.send_from_guest(&netdev, frame, tag),
            Some(Target::Host) => {
                self.flights.depart(&frame.data, Some(tag));
                if let Err(reason) = self.carrier.send_from_host(port, frame) {
                    self.flights.refuse(&frame.data, Some(tag));
                    self.drop_frame(Some(tag), Place::Port(port.clone()), reason);
                }
            }
            Some(Target::Chardev(chardev)) => {
                let Some(end) = self.connected_end(&chardev) else {
                    let place = Place::Port(port.clone());
                    return self.drop_frame(Some(tag), place, DropReason::ChardevClosed);
                };
                let bytes = far_end::encode(frame, end.framing, end.vnet_hdr_len);
                self.write(&chardev, &bytes, Some(tag), chunk);
            }
            None => {
                let place = Place::Port(port.clone());
                self.drop_frame(Some(tag), place, DropReason::InterfaceGone);
            }
        }
    }

    /// A guest sends: past the machine under vhost, else into it.
    fn send_from_guest(&mut self, netdev: &NetdevId, frame: &Frame, tag: Tag) {
        let tap = &self.taps[netdev];
        if self.dead {
            return self.drop_frame(Some(tag), Place::Machine, DropReason::MachineDead);
        }
        if tap.vhost {
            return self.leave_guest(netdev, frame, Some(tag));
        }
        let (guest, tag) = (tap.guest.clone(), Some(tag));
        let input = match lower::vnet_hdr_len(tap.nic) {
            0 => {
                let data = far_end::encode(frame, Framing::Plain, 0);
                Input::StreamBytes {
                    netdev: guest,
                    data,
                    tag,
                }
            }
            len => Input::NetdevFrame {
                netdev: guest,
                data: join(frame, len),
                tag,
            },
        };
        self.queue.push_back(input);
    }

    fn write(
        &mut self,
        chardev: &ChardevId,
        bytes: &Bytes,
        tag: Option<Tag>,
        chunk: Option<usize>,
    ) {
        self.queue.extend(
            far_end::chunks(bytes, chunk).map(|data| Input::ChardevBytes {
                chardev: chardev.clone(),
                data,
                tag,
            }),
        );
    }

    /// The far end of a chardev, when it is a port with a client.
    fn connected_end(&self, chardev: &ChardevId) -> Option<&PortEnd> {
        match self.far_ends.get(chardev)? {
            FarEnd::Port(end) if end.connected => Some(end),
            _ => None,
        }
    }

    /// A scenario changes a chardev's far end.
    fn far_end_changes(&mut self, port: &PortId, state: ChardevState) {
        let Some(Target::Chardev(chardev)) = self.ports.get(port).cloned() else {
            return;
        };
        let Some(FarEnd::Port(end)) = self.far_ends.get_mut(&chardev) else {
            return;
        };
        if !end.connected && state != ChardevState::Opened {
            return;
        }
        let mut read = Vec::new();
        let mut never_read = Vec::new();
        match state {
            ChardevState::Opened => end.open(),
            ChardevState::Closed => never_read = end.close(),
            ChardevState::HalfClosed => {}
            ChardevState::Stalled => end.stall(),
            ChardevState::Resumed => read = end.resume(),
        }
        for (data, tag) in read {
            self.arrive(port.clone(), Item::Bytes(data), tag);
        }
        for tag in never_read {
            let place = Place::Port(port.clone());
            self.drop_frame(Some(tag), place, DropReason::NoReader);
        }
        self.queue.push_back(Input::Chardev { chardev, state });
    }

    /// A frame that the carrier brought.
    fn take(&mut self, carried: Carried) {
        match carried {
            Carried::ToGuest { netdev, frame } => {
                let tag = self
                    .flights
                    .arrive(&frame.data, Destination::Guest(netdev.clone()));
                let tap = &self.taps[&netdev];
                if self.dead {
                    self.drop_frame(Some(tag), Place::Machine, DropReason::MachineDead);
                } else if tap.vhost {
                    let port = tap.guest_port.clone();
                    self.arrive(port, Item::Frame(frame), Some(tag));
                } else {
                    let data = join(&frame, lower::vnet_hdr_len(tap.nic));
                    self.queue.push_back(Input::NetdevFrame {
                        netdev,
                        data,
                        tag: Some(tag),
                    });
                }
            }
            Carried::ToHost { port, frame } => {
                let tag = self
                    .flights
                    .arrive(&frame.data, Destination::Host(port.clone()));
                self.arrive(port, Item::Frame(frame), Some(tag));
            }
            Carried::Captured {
                netdev,
                direction,
                frame,
            } => {
                let at = Destination::Socket(netdev.clone());
                let tag = Some(self.flights.arrive(&frame.data, at));
                self.queue.push_back(Input::Captured {
                    netdev,
                    direction,
                    frame,
                    tag,
                });
            }
            Carried::Said(event) => self.seen.events.push(event),
        }
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

    /// The clock moves; timers fire in order on the way.
    fn advance(&mut self, span: Duration) -> Result<(), BackendError> {
        let end = self.clock + span;
        while let Some(due) = self.machine.deadline().filter(|due| *due <= end) {
            self.clock = self.clock.max(due);
            while self.pass()? {
                if self.storm.cycle().is_some() {
                    return Ok(());
                }
            }
        }
        self.clock = end;
        Ok(())
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
                self.far_end_changes(port, ChardevState::Opened);
            }
            Action::ChardevClose { port, half: false } => {
                self.far_end_changes(port, ChardevState::Closed);
            }
            Action::ChardevClose { port, half: true } => {
                self.far_end_changes(port, ChardevState::HalfClosed);
            }
            Action::ChardevStall(port) => {
                self.far_end_changes(port, ChardevState::Stalled);
            }
            Action::ChardevResume(port) => {
                self.far_end_changes(port, ChardevState::Resumed);
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
            Action::Advance(span) => self.advance(span)?,
        }
        Ok(None)
    }

    fn settle(&mut self, deadline: &Deadline) -> Result<Settled, BackendError> {
        loop {
            let moved = self.pass()?;
            if let Some(cycle) = self.storm.cycle() {
                self.queue.clear();
                return Ok(Settled::Storm(cycle));
            }
            if !moved {
                self.flights.land();
                return Ok(Settled::Idle);
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

/// Cuts the virtio-net header off the front of a frame.
fn split(mut data: Bytes, vnet_hdr_len: usize) -> Frame {
    let header = data.split_to(vnet_hdr_len.min(data.len()));
    Frame {
        vnet: VnetHdr::from_bytes(&header),
        data,
    }
}

/// Puts the virtio-net header in front of a frame; without one the bytes are shared.
fn join(frame: &Frame, vnet_hdr_len: usize) -> Bytes {
    if vnet_hdr_len == 0 {
        return frame.data.clone();
    }
    let mut data = BytesMut::with_capacity(vnet_hdr_len + frame.data.len());
    data.put_slice(&frame.vnet.to_bytes(vnet_hdr_len));
    data.put_slice(&frame.data);
    data.freeze()
}
