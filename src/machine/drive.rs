use std::collections::VecDeque;

use super::{
    CharBackend, ChardevConfig, ChardevState, Config, Input, NetdevConfig, Output,
    core::{ChardevKey, ClientKey, Core, Object, ObjectKey},
    property,
};
use crate::{
    base::{ChardevId, NetdevId, ObjectId, Tag, VirtualTime},
    record::{DropReason, Event, EventKind, Outcome, Place},
};

/// A configuration that no QEMU command line could have brought about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Two clients have the same id.
    #[error("two netdevs have the id '{0}'")]
    DuplicateNetdev(NetdevId),
    /// Two chardevs have the same id.
    #[error("two chardevs have the id '{0}'")]
    DuplicateChardev(ChardevId),
    /// Two objects have the same id.
    #[error("two objects have the id '{0}'")]
    DuplicateObject(ObjectId),
    /// A client is to be joined to one that does not exist before it.
    #[error("'{netdev}' is joined to '{peer}', which is not among the netdevs before it")]
    UnknownPeer {
        /// The client.
        netdev: NetdevId,
        /// What it names.
        peer: NetdevId,
    },
    /// A client is to be joined to one that is joined already.
    #[error("'{netdev}' is joined to '{peer}', which is joined to another already")]
    PeerTaken {
        /// The client.
        netdev: NetdevId,
        /// What it names.
        peer: NetdevId,
    },
    /// QEMU refuses such a ring buffer.
    #[error("the ring buffer of '{chardev}' has {size} bytes; it must be a power of two")]
    RingbufSize {
        /// The chardev.
        chardev: ChardevId,
        /// Its size in bytes.
        size: usize,
    },
}

/// One QEMU: net clients, chardevs and objects.
///
/// It does nothing by itself. [`Machine::handle`] takes what reaches it and gives what it does;
/// when that returns, the machine is idle until the next input or [`Machine::deadline`].
#[derive(Debug)]
pub struct Machine {
    core: Core,
    /// What arrived while the main loop was frozen.
    backlog: VecDeque<Input>,
}

impl Machine {
    /// A machine with its netdevs, chardevs and iothreads.
    ///
    /// # Errors
    /// When the configuration contradicts itself.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let mut core = Core::new(config.profile);
        for netdev in &config.netdevs {
            add_netdev(&mut core, netdev)?;
        }
        for chardev in &config.chardevs {
            add_chardev(&mut core, chardev)?;
        }
        for id in config.iothreads {
            add_iothread(&mut core, id)?;
        }
        Ok(Self {
            core,
            backlog: VecDeque::new(),
        })
    }

    /// Does all that an input causes, and appends what comes of it to `out`, in order.
    ///
    /// While the main loop is frozen, inputs are kept and come into effect when it goes on. A dead
    /// machine drops frames and answers nothing.
    pub fn handle(&mut self, now: VirtualTime, input: Input, out: &mut Vec<Output>) {
        self.core.now = self.core.now.max(now);
        // Outputs go straight into the caller's buffer.
        std::mem::swap(&mut self.core.out, out);
        if self.core.dead {
            self.refuse(input);
        } else if self.core.freeze.is_some() {
            self.while_frozen(input);
        } else {
            self.take(input);
            self.turn();
        }
        std::mem::swap(&mut self.core.out, out);
    }

    /// When [`Input::Tick`] is due; none while no filter waits for a time.
    #[must_use]
    pub fn deadline(&self) -> Option<VirtualTime> {
        let wanted = self.core.objects.keys().filter_map(|key| {
            let filter = self.core.filter(*key)?;
            (filter.class.deadline)(&self.core, *key)
        });
        wanted.min()
    }

    /// Ends the machine and says what became of the frames that were still on their way in it.
    #[must_use]
    pub fn residue(mut self) -> Vec<Event> {
        let mut events = Vec::new();
        let mut dropped = |place: Place, tag: Tag, reason: DropReason| {
            events.push(Event {
                tag: Some(tag),
                place,
                kind: EventKind::Dropped(reason),
            });
        };
        let held = self
            .core
            .freeze
            .take()
            .map(|freeze| freeze.held)
            .unwrap_or_default();
        let mut tags: Vec<(Place, Tag)> = held.iter().filter_map(held_frame).collect();
        tags.dedup();
        let behind = self.backlog.iter().filter_map(frame_of);
        let mut waiting: Vec<(Place, Tag)> = tags.into_iter().chain(behind).collect();
        waiting.dedup();
        for (place, tag) in waiting {
            dropped(place, tag, DropReason::Frozen);
        }
        let clients: Vec<ClientKey> = self.core.clients.keys().copied().collect();
        for key in clients {
            for (tag, reason) in self.core.client_residue(key) {
                dropped(self.core.netdev_place(key), tag, reason);
            }
        }
        let chardevs: Vec<ChardevKey> = self.core.chardevs.keys().copied().collect();
        for key in chardevs {
            for (tag, reason) in self.core.chardev_residue(key) {
                dropped(self.core.chardev_place(key), tag, reason);
            }
        }
        let objects: Vec<ObjectKey> = self.core.objects.keys().copied().collect();
        for key in objects {
            let unfinished = self.core.filter(key).map(|filter| filter.class.unfinished);
            let tags = unfinished
                .map(|tags| tags(&mut self.core, key))
                .unwrap_or_default();
            for tag in tags {
                dropped(self.core.object_place(key), tag, DropReason::Incomplete);
            }
        }
        events
    }

    /// Brings an input to where the main loop finds it.
    fn take(&mut self, input: Input) {
        let core = &mut self.core;
        match input {
            Input::NetdevFrame { netdev, data, tag } | Input::StreamBytes { netdev, data, tag } => {
                core.client_input(&netdev, data, tag);
            }
            Input::StreamClosed { netdev } => core.client_eof(&netdev),
            Input::Captured { .. } | Input::InjectFailed { .. } => core.packet_socket_input(input),
            Input::ChardevBytes { chardev, data, tag } => core.chardev_input(&chardev, data, tag),
            Input::Chardev { chardev, state } => core.chardev_state(&chardev, state),
            Input::Command { id, command } => {
                let outcome = core.command(&command);
                core.emit(Output::Answer { id, outcome });
            }
            Input::Tick => core.wake_filters(),
        }
    }

    /// The main loop: every descriptor that is watched and ready is read, until none is.
    fn turn(&mut self) {
        let core = &mut self.core;
        let mut busy = true;
        while busy {
            busy = false;
            let mut client = core.clients.keys().next().copied();
            while let Some(key) = client {
                if core.freeze.is_some() || core.dead {
                    return;
                }
                busy |= core.client_read(key);
                client = core.clients.range(after(key)).next().map(|(key, _)| *key);
            }
            let mut chardev = core.chardevs.keys().next().copied();
            while let Some(key) = chardev {
                if core.freeze.is_some() || core.dead {
                    return;
                }
                busy |= core.chardev_turn(key);
                chardev = core.chardevs.range(after(key)).next().map(|(key, _)| *key);
            }
        }
    }

    /// An input while a write waits for its chardev's reader.
    fn while_frozen(&mut self, input: Input) {
        let writes_to = self.core.freeze.as_ref().map(|freeze| freeze.chardev);
        let Input::Chardev { chardev, state } = &input else {
            return self.backlog.push_back(input);
        };
        let ours = self.core.chardev_of(chardev.as_str()) == writes_to;
        match state {
            // What the kernel does holds at once, whatever the main loop waits for.
            ChardevState::Stalled => self.core.chardev_state(chardev, *state),
            ChardevState::Resumed => {
                self.core.chardev_state(chardev, *state);
                if ours {
                    self.thaw();
                }
            }
            ChardevState::Closed if ours => {
                self.fail_write();
                self.core.chardev_state(chardev, *state);
                self.thaw();
            }
            _ => self.backlog.push_back(input),
        }
    }

    /// The write is over: what the machine did after it comes out, then what has arrived since.
    fn thaw(&mut self) {
        let Some(freeze) = self.core.freeze.take() else {
            return;
        };
        let place = self.core.chardev_place(freeze.chardev);
        self.core.out.extend(freeze.held);
        self.core.event(place, None, EventKind::Thawed);
        // The kernel holds what came meanwhile: all of it is there when the main loop looks.
        while let Some(input) = self.backlog.pop_front() {
            let waits = !matches!(input, Input::ChardevBytes { .. });
            self.take(input);
            if waits {
                self.turn();
            }
            if self.core.freeze.is_some() {
                return self.stuck();
            }
        }
        self.turn();
        if self.core.freeze.is_some() {
            self.stuck();
        }
    }

    /// The next write waits already. If its reader is known to have gone, it fails at once.
    fn stuck(&mut self) {
        let Some(key) = self.core.freeze.as_ref().map(|freeze| freeze.chardev) else {
            return;
        };
        let Some(id) = self
            .core
            .chardevs
            .get(&key)
            .map(|chardev| chardev.id.clone())
        else {
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
        let core = &mut self.core;
        let Some(freeze) = core.freeze.as_mut() else {
            return;
        };
        let (key, writer) = (freeze.chardev, freeze.writer);
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
                Output::Event(Event {
                    tag,
                    kind: EventKind::Consumed,
                    ..
                }) if failed == Some(tag) => {}
                other => core.emit(other),
            }
        }
    }

    fn refuse(&mut self, input: Input) {
        if let Some((place, tag)) = frame_of(&input) {
            self.core
                .drop_frame(place, Some(tag), DropReason::MachineDead);
        }
        if let Input::Command { id, .. } = input {
            self.core.emit(Output::Answer {
                id,
                outcome: Outcome::Unanswered,
            });
        }
    }
}

fn after<K: Copy>(key: K) -> (std::ops::Bound<K>, std::ops::Bound<K>) {
    (std::ops::Bound::Excluded(key), std::ops::Bound::Unbounded)
}

fn add_netdev(core: &mut Core, netdev: &NetdevConfig) -> Result<(), ConfigError> {
    let id = netdev.id.clone();
    if core.client_of(id.as_str()).is_some() {
        return Err(ConfigError::DuplicateNetdev(id));
    }
    if let Some(peer) = &netdev.peer {
        let client = core
            .client_of(peer.as_str())
            .and_then(|key| core.clients.get(&key));
        match client {
            None => {
                return Err(ConfigError::UnknownPeer {
                    netdev: id,
                    peer: peer.clone(),
                });
            }
            Some(client) if client.peer.is_some() => {
                return Err(ConfigError::PeerTaken {
                    netdev: id,
                    peer: peer.clone(),
                });
            }
            Some(_) => {}
        }
    }
    core.client_add(netdev);
    Ok(())
}

fn add_chardev(core: &mut Core, chardev: &ChardevConfig) -> Result<(), ConfigError> {
    let id = chardev.id.clone();
    if core.chardev_of(id.as_str()).is_some() {
        return Err(ConfigError::DuplicateChardev(id));
    }
    match chardev.backend {
        CharBackend::Ringbuf { size } if !size.is_power_of_two() => {
            Err(ConfigError::RingbufSize { chardev: id, size })
        }
        _ => {
            core.chardev_add(chardev);
            Ok(())
        }
    }
}

fn add_iothread(core: &mut Core, id: ObjectId) -> Result<(), ConfigError> {
    if core.object_of(id.as_str()).is_some() {
        return Err(ConfigError::DuplicateObject(id));
    }
    let Some(kind) = property::object_type("iothread", core.profile.version()) else {
        return Ok(());
    };
    let key = ObjectKey(core.next_key());
    let values = std::collections::BTreeMap::new();
    core.objects.insert(
        key,
        Object {
            id,
            kind,
            values,
            by_option: false,
            filter: None,
        },
    );
    Ok(())
}

/// The frame that an input carries and where it was going.
fn frame_of(input: &Input) -> Option<(Place, Tag)> {
    match input {
        Input::NetdevFrame { netdev, tag, .. }
        | Input::StreamBytes { netdev, tag, .. }
        | Input::Captured { netdev, tag, .. } => Some((Place::Netdev(netdev.clone()), (*tag)?)),
        Input::ChardevBytes { chardev, tag, .. } => {
            Some((Place::Chardev(chardev.clone()), (*tag)?))
        }
        _ => None,
    }
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
