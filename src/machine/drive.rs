//! The main loop: an input is brought to its descriptor, every descriptor that is ready is read,
//! and a write that waits for its reader stops all of it.

use std::collections::VecDeque;

use super::{
    ChardevState, Config, ConfigError, Halt, Input, Output, config,
    core::{BlockedWrite, ChardevKey, ClientKey, ObjectKey},
    net::Net,
    part::Captured,
};
use crate::{
    base::{NetdevId, Tag, VirtualTime},
    record::{DropReason, Event, EventKind, NoAnswer, Outcome, Place},
};

/// One QEMU: net clients, chardevs and objects.
///
/// It does nothing unprompted. [`Machine::handle`] takes what reaches it and gives what it does;
/// when that returns, the machine is idle until the next input or [`Machine::deadline`].
#[derive(Debug)]
pub struct Machine {
    net: Net,
    /// What arrived while the main loop was frozen.
    backlog: VecDeque<Input>,
}

impl Machine {
    /// A machine with its netdevs, chardevs and iothreads.
    ///
    /// # Errors
    /// When the configuration contradicts itself.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let net = config::build(config)?;
        Ok(Self { net, backlog: VecDeque::new() })
    }

    /// Does all that an input causes, and appends what comes of it to `out`, in order.
    ///
    /// While the main loop is frozen, inputs are kept and come into effect when it goes on. A dead
    /// machine drops frames and answers nothing.
    ///
    /// # Examples
    /// ```
    /// use tapwright::{
    ///     base::VirtualTime,
    ///     machine::{Config, Input, Machine, NetdevConfig, NetdevKind, Output},
    /// };
    ///
    /// let netdev = |id: &str, kind, peer: Option<&str>| NetdevConfig {
    ///     id: id.into(),
    ///     kind,
    ///     peer: peer.map(Into::into),
    /// };
    /// let tap = NetdevKind::Tap { queues: 1, vhost: false, vnet_hdr_len: 0 };
    /// let mut machine = Machine::new(Config {
    ///     netdevs: vec![
    ///         netdev("hn0", tap, None),
    ///         netdev("nic0", NetdevKind::Nic { vnet_hdr_len: 0 }, Some("hn0")),
    ///     ],
    ///     ..Config::default()
    /// })
    /// .expect("a TAP and its NIC");
    ///
    /// // The guest sends, and the frame comes out at the TAP.
    /// let mut out = Vec::new();
    /// let (netdev, data) = ("nic0".into(), vec![0; 60].into());
    /// machine.handle(VirtualTime::ZERO, Input::NetdevFrame { netdev, data, tag: None }, &mut out);
    /// assert!(matches!(&out[..], [Output::NetdevFrame { netdev, .. }] if netdev.as_str() == "hn0"));
    /// ```
    pub fn handle(&mut self, now: VirtualTime, input: Input, out: &mut Vec<Output>) {
        self.net.core.now = self.net.core.now.max(now);
        self.net.stir();
        // Outputs go straight into the caller's buffer.
        std::mem::swap(&mut self.net.core.out, out);
        if self.net.core.dead {
            self.refuse(input);
        } else if self.net.core.freeze.is_some() {
            self.while_frozen(input);
        } else {
            self.take(input);
            self.turn();
        }
        if self.net.core.freeze.is_none() {
            self.net.core.read_own_chardevs();
        }
        std::mem::swap(&mut self.net.core.out, out);
    }

    /// When [`Input::Tick`] is due; none while no object that can act waits for a time. It may lie
    /// in the past: of what waited for a frozen main loop, when that goes on.
    #[must_use]
    pub fn deadline(&self) -> Option<VirtualTime> {
        self.net.next_deadline()
    }

    /// Whether bytes that came for a chardev would be read, now or when the main loop goes on.
    #[must_use]
    pub fn reads(&self, chardev: &str) -> bool {
        let chardev = self.net.core.chardev_of(chardev);
        chardev
            .and_then(|key| self.net.core.chardevs.get(&key))
            .is_some_and(|chardev| !chardev.is_stream() || chardev.is_read())
    }

    /// Whether a chardev is not read because the main loop waits for another's reader.
    #[must_use]
    pub fn waits(&self, chardev: &str) -> bool {
        let key = self.net.core.chardev_of(chardev);
        self.is_frozen() && !key.is_some_and(|key| self.net.is_beside_main_loop(key))
    }

    /// Whether a chardev is read by an iothread, whatever the main loop does.
    #[must_use]
    pub fn reads_beside_main_loop(&self, chardev: &str) -> bool {
        let key = self.net.core.chardev_of(chardev);
        key.is_some_and(|key| self.net.is_beside_main_loop(key))
    }

    /// Whether the main loop waits for a reader.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.net.core.freeze.is_some()
    }

    /// The TAPs on which it has a packet socket now. Later ones are [`Output::Capture`].
    pub fn packet_sockets(&self) -> impl Iterator<Item = &NetdevId> {
        self.net.core.packet_sockets.open()
    }

    /// Whether the guest runs: `stop` halts it, `cont` lets it go on.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        self.net.core.running
    }

    /// Why the guest does not run, while it does not.
    #[must_use]
    pub fn halt(&self) -> Option<Halt> {
        (!self.net.core.running).then_some(self.net.core.halt)
    }

    /// What the VM's clock shows at a time of the machine's.
    #[must_use]
    pub fn vm_clock(&self, now: VirtualTime) -> VirtualTime {
        self.net.core.vm_clock.at(now)
    }

    /// Whether there is an object of this QOM type.
    #[must_use]
    pub fn has_object(&self, qom_type: &str) -> bool {
        let mut objects = self.net.core.objects.values();
        objects.any(|object| object.kind.name == qom_type)
    }

    /// Ends the machine and says what became of the frames that were still on their way in it.
    #[must_use]
    pub fn residue(mut self) -> Vec<Event> {
        let mut events = Vec::new();
        let mut dropped = |place: Place, tag: Tag, reason: DropReason| {
            events.push(Event { tag: Some(tag), place, kind: EventKind::Dropped(reason) });
        };
        let held = self.net.core.freeze.take().map(|freeze| freeze.held).unwrap_or_default();
        let (ends, held): (Vec<Output>, Vec<Output>) = held.into_iter().partition(is_drop);
        let mut tags: Vec<(Place, Tag)> = held.iter().filter_map(held_frame).collect();
        tags.dedup();
        let behind = self.backlog.iter().filter_map(frame_of);
        let mut waiting: Vec<(Place, Tag)> = tags.into_iter().chain(behind).collect();
        waiting.dedup();
        for (place, tag) in waiting {
            dropped(place, tag, DropReason::Frozen);
        }
        let clients: Vec<ClientKey> = self.net.core.clients.keys().copied().collect();
        for key in clients {
            for (tag, reason) in self.net.core.client_residue(key) {
                dropped(self.net.core.netdev_place(key), tag, reason);
            }
        }
        let chardevs: Vec<ChardevKey> = self.net.core.chardevs.keys().copied().collect();
        for key in chardevs {
            for (tag, reason) in self.net.chardev_residue(key) {
                dropped(self.net.core.chardev_place(key), tag, reason);
            }
        }
        let objects: Vec<ObjectKey> = self.net.core.objects.keys().copied().collect();
        for key in objects {
            for (tag, reason) in self.net.unfinished(key) {
                dropped(self.net.core.object_place(key), tag, reason);
            }
        }
        // What was dropped behind the blocked write keeps its reason.
        events.extend(ends.into_iter().filter_map(|output| match output {
            Output::Event(event) => Some(event),
            _ => None,
        }));
        events
    }

    /// Brings an input to where the main loop finds it.
    fn take(&mut self, input: Input) {
        let net = &mut self.net;
        match input {
            Input::NetdevFrame { netdev, data, tag } | Input::StreamBytes { netdev, data, tag } => {
                net.core.client_input(&netdev, data, tag);
            }
            Input::StreamClosed { netdev } => net.core.client_eof(&netdev),
            Input::Captured { netdev, direction, frame, tag } => {
                net.captured(&Captured { netdev, direction, frame, tag });
            }
            Input::InjectFailed { object, reason, tag, .. } => {
                net.core.drop_frame(Place::Object(object), tag, reason)
            }
            Input::ChardevBytes { chardev, data, tag } => net.chardev_input(&chardev, data, tag),
            Input::Chardev { chardev, state } => net.chardev_state(&chardev, state),
            Input::Command { id, command } => {
                let outcome = net.command(&command);
                net.core.emit(Output::Answer { id, outcome });
            }
            Input::Announce { netdev, data, tag } => net.announced(&netdev, data, tag),
            Input::Tick => net.wake(),
        }
    }

    /// The main loop: every descriptor that is watched and ready is read, until none is.
    fn turn(&mut self) {
        let net = &mut self.net;
        let mut busy = true;
        while busy {
            busy = false;
            let mut client = net.core.clients.keys().next().copied();
            while let Some(key) = client {
                if net.core.freeze.is_some() || net.core.dead {
                    return;
                }
                busy |= net.client_read(key);
                client = net.core.clients.range(after(key)).next().map(|(key, _)| *key);
            }
            let mut chardev = net.core.chardevs.keys().next().copied();
            while let Some(key) = chardev {
                if net.core.freeze.is_some() || net.core.dead {
                    return;
                }
                busy |= net.chardev_turn(key);
                chardev = net.core.chardevs.range(after(key)).next().map(|(key, _)| *key);
            }
        }
    }

    /// An input while a write waits for its chardev's reader. What an iothread serves goes on.
    fn while_frozen(&mut self, input: Input) {
        let beside = match &input {
            Input::ChardevBytes { chardev, .. } | Input::Chardev { chardev, .. } => self
                .net
                .core
                .chardev_of(chardev.as_str())
                .filter(|key| self.net.is_beside_main_loop(*key)),
            Input::Tick => return self.net.wake(),
            _ => None,
        };
        if let Some(chardev) = beside {
            self.take(input);
            self.net.iothread_turn(chardev);
            return;
        }
        let blocked = self.net.core.freeze.as_ref().and_then(|freeze| freeze.write);
        let writes_to = blocked.map(|write| write.chardev);
        let Input::Chardev { chardev, state } = &input else {
            return self.backlog.push_back(input);
        };
        let ours = writes_to.is_some() && self.net.core.chardev_of(chardev.as_str()) == writes_to;
        match state {
            // What the kernel does holds at once, whatever the main loop waits for.
            ChardevState::Stalled => self.net.chardev_state(chardev, *state),
            ChardevState::Resumed => {
                self.net.chardev_state(chardev, *state);
                if ours {
                    self.thaw();
                }
            }
            ChardevState::Closed if ours => {
                self.fail_write();
                self.net.chardev_state(chardev, *state);
                self.thaw();
            }
            _ => self.backlog.push_back(input),
        }
    }

    /// The write is over: what the machine did after it comes out, then what has arrived since.
    fn thaw(&mut self) {
        let Some(freeze) = self.net.core.freeze.take() else {
            return;
        };
        let Some(write) = freeze.write else { return };
        let (place, held) = (self.net.core.chardev_place(write.chardev), freeze.held);
        if let Some(object) = freeze.for_ever {
            // The command that waits is never answered.
            let outputs = held.into_iter();
            let heard = outputs.filter(|output| !matches!(output, Output::Answer { .. }));
            self.net.core.out.extend(heard);
            return self.net.core.freeze_for_ever(object);
        }
        self.net.core.out.extend(held);
        self.net.core.event(place, None, EventKind::Thawed);
        // The kernel holds what came meanwhile: all of it is there when the main loop looks.
        while let Some(input) = self.backlog.pop_front() {
            let waits = !matches!(input, Input::ChardevBytes { .. });
            self.take(input);
            if waits {
                self.turn();
            }
            if self.net.core.freeze.is_some() {
                return self.stuck();
            }
        }
        self.turn();
        if self.net.core.freeze.is_some() {
            self.stuck();
        }
    }

    /// The next write waits already. If its reader is known to have gone, it fails at once.
    fn stuck(&mut self) {
        let blocked = self.net.core.freeze.as_ref().and_then(|freeze| freeze.write);
        let Some(BlockedWrite { chardev: key, .. }) = blocked else {
            return;
        };
        let Some(id) = self.net.core.chardevs.get(&key).map(|chardev| chardev.id.clone()) else {
            return;
        };
        let gone = self.backlog.iter().position(|input| {
            matches!(input, Input::Chardev { chardev, state: ChardevState::Closed } if *chardev == id)
        });
        if let Some(input) = gone.and_then(|at| self.backlog.remove(at)) {
            self.while_frozen(input);
        }
    }

    /// The blocked write fails: what was held for that chardev never gets there.
    fn fail_write(&mut self) {
        let core = &mut self.net.core;
        let Some(freeze) = core.freeze.as_mut() else {
            return;
        };
        let Some(BlockedWrite { chardev: key, writer }) = freeze.write else {
            return;
        };
        let held = std::mem::take(&mut freeze.held);
        let id = core.chardevs.get(&key).map(|chardev| chardev.id.clone());
        let mut failed: Option<Option<Tag>> = None;
        for output in held {
            match output {
                Output::ChardevBytes { chardev, tag, .. } if Some(&chardev) == id.as_ref() => {
                    if failed != Some(tag) {
                        failed = Some(tag);
                        core.write_failed(writer, tag);
                    }
                }
                Output::Event(Event { tag, kind: EventKind::Consumed, .. })
                    if failed == Some(tag) => {}
                other => core.emit(other),
            }
        }
    }

    /// An input of a dead machine. An injection that failed did so in the kernel, after the
    /// machine.
    fn refuse(&mut self, input: Input) {
        if matches!(input, Input::InjectFailed { .. }) {
            return self.take(input);
        }
        if let Some((place, tag)) = frame_of(&input) {
            self.net.core.drop_frame(place, Some(tag), DropReason::MachineDead);
        }
        if let Input::Command { id, .. } = input {
            self.net.core.emit(Output::Answer { id, outcome: Outcome::Unanswered(NoAnswer::Dead) });
        }
    }
}

fn after<K: Copy>(key: K) -> (std::ops::Bound<K>, std::ops::Bound<K>) {
    (std::ops::Bound::Excluded(key), std::ops::Bound::Unbounded)
}

/// The frame that an input carries and where it was going.
fn frame_of(input: &Input) -> Option<(Place, Tag)> {
    match input {
        Input::NetdevFrame { netdev, tag, .. }
        | Input::StreamBytes { netdev, tag, .. }
        | Input::Announce { netdev, tag, .. }
        | Input::Captured { netdev, tag, .. } => Some((Place::Netdev(netdev.clone()), (*tag)?)),
        Input::ChardevBytes { chardev, tag, .. } => {
            Some((Place::Chardev(chardev.clone()), (*tag)?))
        }
        Input::InjectFailed { object, tag, .. } => Some((Place::Object(object.clone()), (*tag)?)),
        _ => None,
    }
}

fn is_drop(output: &Output) -> bool {
    matches!(output, Output::Event(event) if matches!(event.kind, EventKind::Dropped(_)))
}

/// The frame that an output which never came out carries.
fn held_frame(output: &Output) -> Option<(Place, Tag)> {
    match output {
        Output::NetdevFrame { netdev, tag, .. } | Output::Inject { netdev, tag, .. } => {
            Some((Place::Netdev(netdev.clone()), (*tag)?))
        }
        Output::ChardevBytes { chardev, tag, .. } => {
            Some((Place::Chardev(chardev.clone()), (*tag)?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
