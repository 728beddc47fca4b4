//! What happens between a port and the scenario: the TCP/IP stacks of guests and clients, impaired
//! stretches, and the frames inside them. `BuiltinWorld` sends and receives through it.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::impair::{Fate, Stretch};
use crate::{
    base::{Frame, PortId, Tag, VirtualTime},
    guest::{Call, Outcome, Stack},
    record::Impaired,
    scenario::{Case, ColoEvent, Impair, Netdev, Step, Verb, Way},
};

/// What stands at the ports besides the scenario: stacks that send by themselves, and stretches of
/// bad network that every frame of a port goes through.
#[derive(Debug)]
pub(super) struct Traffic {
    /// In the order of declaration, which is the order in which they are asked for frames.
    stations: Vec<Station>,
    stretches: BTreeMap<(PortId, Way), Stretch>,
    /// Frames inside a stretch, by when they leave it and which came first.
    held: BTreeMap<(VirtualTime, u64), Held>,
    held_count: u64,
    /// What stacks send next.
    outgoing: VecDeque<(PortId, Bytes)>,
    /// The greatest number that a frame has.
    number: u32,
    exchange: Option<Exchange>,
}

/// A stack at its port.
#[derive(Debug)]
struct Station {
    port: PortId,
    stack: Stack,
    /// The machine whose guest it is, by number; none for a client beside the machines.
    machine: Option<usize>,
    /// Its NIC has asked it to announce itself.
    announces: bool,
    /// The port at which the guest went on when it was migrated.
    left_for: Option<PortId>,
}

impl Station {
    /// Whether it can do anything, where these machines' guests run. What was due while it could
    /// not is due when it can again.
    fn runs(&self, machines: &[bool]) -> bool {
        let runs = |machine| machines.get(machine).copied().unwrap_or(false);
        self.machine.is_none_or(runs)
    }
}

/// The number of the machine whose guest port this is.
fn machine_of(case: &Case, port: &PortId) -> Option<usize> {
    let is_guest_of = |netdev: &&Netdev| PortId::guest(&netdev.id) == *port;
    let netdev = case.netdevs.iter().find(is_guest_of)?;
    let mut machines = case.machines.iter();
    machines.position(|machine| machine.id == netdev.machine)
}

/// Whether a step copies the state of guests.
fn copies_guests(step: &Step) -> bool {
    match &step.verb {
        Verb::Colo { event, .. } => *event == ColoEvent::Checkpoint,
        Verb::Migrate { .. } => true,
        _ => false,
    }
}

/// A frame inside a stretch.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) port: PortId,
    pub(super) way: Way,
    pub(super) frame: Frame,
    pub(super) tag: Option<Tag>,
}

/// A client's exchange that is on its way.
#[derive(Debug)]
struct Exchange {
    port: PortId,
    began: VirtualTime,
    until: VirtualTime,
}

/// What a stretch did to a frame beside letting it pass.
pub(super) enum Passed {
    /// Nothing: it goes on at once, as it is.
    On,
    /// It ends here.
    Lost,
    /// It is held until its time, and this was done to it.
    Held(Vec<Impaired>),
}

impl Traffic {
    pub(super) fn new(case: &Case) -> Self {
        let stacks = case.stacks.iter();
        let mut traffic = Self {
            stations: stacks
                .map(|at| Station {
                    port: at.port.clone(),
                    stack: Stack::new(at.config.clone()),
                    machine: machine_of(case, &at.port),
                    announces: false,
                    left_for: None,
                })
                .collect(),
            stretches: BTreeMap::new(),
            held: BTreeMap::new(),
            held_count: 0,
            outgoing: VecDeque::new(),
            number: 0,
            exchange: None,
        };
        case.impair.iter().for_each(|impair| traffic.impair(impair));
        if case.steps.iter().any(copies_guests) {
            let guests = traffic.stations.iter_mut();
            guests
                .filter(|station| station.machine.is_some())
                .for_each(|guest| guest.stack.remember());
        }
        traffic
    }

    /// The guest at one port becomes what the guest at another port is, as a checkpoint makes it:
    /// what it had not sent yet, it never will.
    pub(super) fn copy_guest(&mut self, from: &PortId, to: &PortId) {
        let twin = self.stack(from).and_then(|stack| stack.twin());
        if let (Some(twin), Some(stack)) = (twin, self.stack(to)) {
            *stack = twin;
            self.outgoing.retain(|(port, _)| port != to);
        }
    }

    /// The guest at one port goes on at another, of this machine, as a migration moves it. It stays
    /// where it was too, as the memory of a machine that was migrated does.
    pub(super) fn move_guest(&mut self, from: &PortId, to: &PortId, machine: usize) {
        let Some(stack) = self.stack(from).and_then(|stack| stack.twin()) else {
            return;
        };
        self.stations.retain(|station| station.port != *to);
        for station in self.stations.iter_mut().filter(|station| station.port == *from) {
            station.left_for = Some(to.clone());
        }
        let (port, machine) = (to.clone(), Some(machine));
        self.stations.push(Station { port, stack, machine, announces: false, left_for: None });
    }

    /// The guest at a port is to announce itself, once its machine runs.
    pub(super) fn announce(&mut self, port: &PortId) {
        let mut stations = self.stations.iter_mut();
        if let Some(station) = stations.find(|station| station.port == *port) {
            station.announces = true;
        }
    }

    /// The next number of a frame.
    pub(super) fn number(&mut self) -> Tag {
        self.number += 1;
        Tag::sent(self.number)
    }

    /// Puts a stretch in the place of the one before, whose frames still come out in their time.
    pub(super) fn impair(&mut self, impair: &Impair) {
        let at = (impair.port.clone(), impair.way);
        self.stretches.insert(at, Stretch::new(impair.impairment));
    }

    /// A frame goes into the stretch of its port.
    pub(super) fn pass(
        &mut self,
        now: VirtualTime,
        port: &PortId,
        way: Way,
        frame: &Frame,
        tag: Option<Tag>,
    ) -> Passed {
        if self.stretches.is_empty() {
            return Passed::On;
        }
        let Some(stretch) = self.stretches.get_mut(&(port.clone(), way)) else {
            return Passed::On;
        };
        let (frame, at, copies, done) = match stretch.decide(now, frame) {
            Fate::Lost => return Passed::Lost,
            Fate::Goes { frame, at, copies, done } => (frame, at, copies, done),
        };
        for _ in 0..copies {
            self.held_count += 1;
            let held = Held { port: port.clone(), way, frame: frame.clone(), tag };
            self.held.insert((at, self.held_count), held);
        }
        Passed::Held(done)
    }

    /// The next frame whose time has come.
    pub(super) fn released(&mut self, now: VirtualTime) -> Option<Held> {
        let first = self.held.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// When the next frame leaves its stretch.
    pub(super) fn next_release(&self) -> Option<VirtualTime> {
        self.held.first_key_value().map(|((at, _), _)| *at)
    }

    /// The scenario sent a frame of this number.
    pub(super) fn saw(&mut self, number: u32) {
        self.number = self.number.max(number);
    }

    pub(super) fn deliver(&mut self, port: &PortId, frame: &Frame) {
        if let Some(stack) = self.stack(port) {
            stack.receive(frame.data.clone());
        }
    }

    /// The next frame that a stack sends, numbered behind every frame so far. Stacks are asked in
    /// turn once the frames of all of them are sent.
    pub(super) fn sends(&mut self) -> Option<(PortId, Frame, Tag)> {
        let (port, data) = self.outgoing.pop_front()?;
        Some((port, Frame::plain(data), self.number()))
    }

    /// Asks every stack that has something to do, where these machines' guests run; whether any
    /// sends.
    pub(super) fn poll(&mut self, now: VirtualTime, machines: &[bool]) -> bool {
        for station in &mut self.stations {
            if !station.runs(machines) {
                continue;
            }
            if std::mem::take(&mut station.announces) {
                self.outgoing.push_back((station.port.clone(), station.stack.announcement()));
            }
            if station.stack.is_due(now) {
                let frames = station.stack.poll(now).into_iter();
                self.outgoing.extend(frames.map(|frame| (station.port.clone(), frame)));
            }
        }
        !self.outgoing.is_empty()
    }

    /// When a stack next acts of its own accord, given which machines' guests run.
    pub(super) fn deadline(&self, machines: &[bool]) -> Option<VirtualTime> {
        let running = self.stations.iter().filter(|at| at.runs(machines));
        running.filter_map(|at| at.stack.deadline()).min()
    }

    fn stack(&mut self, port: &PortId) -> Option<&mut Stack> {
        let mut stations = self.stations.iter_mut();
        let station = stations.find(|station| station.port == *port)?;
        Some(&mut station.stack)
    }

    /// A client begins an exchange that may move the clock up to a time.
    pub(super) fn call(
        &mut self,
        port: &PortId,
        call: &Call,
        now: VirtualTime,
        until: VirtualTime,
    ) {
        if let Some(stack) = self.stack(port) {
            stack.call(call.clone());
            self.exchange = Some(Exchange { port: port.clone(), began: now, until });
        }
    }

    /// Until when the clock may move for the sake of an exchange that is not done.
    pub(super) fn moves_until(&self) -> Option<VirtualTime> {
        let exchange = self.exchange.as_ref()?;
        let mut stations = self.stations.iter();
        let station = stations.find(|station| station.port == exchange.port)?;
        station.stack.outcome().is_none().then_some(exchange.until)
    }

    /// Ends the exchange and returns its result, given which machines' guests run.
    pub(super) fn hang_up(&mut self, machines: &[bool]) -> Option<Outcome> {
        let Exchange { port, began, until } = self.exchange.take()?;
        let mut stations = self.stations.iter_mut();
        let station = stations.find(|station| station.port == port)?;
        let within = until.elapsed().saturating_sub(began.elapsed());
        let within = if within.is_zero() {
            "while the clock stood still".to_owned()
        } else {
            format!("within {within:?}")
        };
        let within = match &station.left_for {
            _ if station.runs(machines) => within,
            Some(to) => format!("{within}: the guest at {port} was migrated to {to}"),
            None => format!("{within}: the guest at {port} does not run"),
        };
        station.stack.hang_up(within)
    }
}
