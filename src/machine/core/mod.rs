//! The tables that everything else works on: net clients, chardevs and objects by their keys, and
//! what the machine has put out. A part has this in its hands while it works (`part::Context`); it
//! knows nothing of parts.

mod chardev;
mod client;
mod descriptor;
mod packet_socket;
mod path;
mod shared;

use std::collections::BTreeMap;

use bytes::Bytes;

pub(super) use chardev::Chardev;
pub(super) use client::{Client, Packet, QUEUE_LIMIT};
pub(super) use descriptor::DescriptorZero;
use packet_socket::PacketSockets;
pub(super) use path::{MACHINE_CONTAINERS, NoNode, Node};
pub(super) use shared::Shared;

use super::{Halt, NicConfig, Output, clock::VmClock, framing::Strictness};
use crate::{
    base::{ChardevId, NetdevId, ObjectId, Profile, Quirk, Tag, VirtualTime},
    qapi::ObjectType,
    record::{DropReason, Event, EventKind, Place},
};

/// Declares a key of one of the machine's tables: a number that is never used again, so that
/// iteration is in order of creation and a stale key finds nothing.
macro_rules! key_type {
    ($name:ident) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) struct $name(pub(super) u32);
    };
}

key_type!(ClientKey);
key_type!(ChardevKey);
key_type!(ObjectKey);

/// A child of `/objects`.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) id: ObjectId,
    pub(super) kind: &'static ObjectType,
    /// What the getters show.
    pub(super) values: BTreeMap<&'static str, serde_json::Value>,
    /// Made by an option string, whose list of ids refuses a duplicate on its own.
    pub(super) by_option: bool,
}

/// What the main loop waits for, and what the machine did after that.
#[derive(Debug)]
pub(super) struct Freeze {
    /// A write that waits for its chardev's reader.
    pub(super) write: Option<BlockedWrite>,
    /// Where it waits, once that write is over, for what never comes.
    pub(super) for_ever: Option<Place>,
    /// Outputs from the blocked write on, in order.
    pub(super) held: Vec<Output>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct BlockedWrite {
    pub(super) chardev: ChardevKey,
    pub(super) writer: ObjectKey,
}

/// Everything that the machine is made of.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) profile: Profile,
    pub(super) now: VirtualTime,
    /// Whether the VM runs (`stop`, `cont`).
    pub(super) running: bool,
    /// Why it does not, while it does not.
    pub(super) halt: Halt,
    /// The guest's NICs.
    pub(super) nics: Vec<NicConfig>,
    /// The VM's own clock.
    pub(super) vm_clock: VmClock,
    pub(super) clients: BTreeMap<ClientKey, Client>,
    pub(super) chardevs: BTreeMap<ChardevKey, Chardev>,
    pub(super) objects: BTreeMap<ObjectKey, Object>,
    pub(super) freeze: Option<Freeze>,
    /// What QEMU's descriptor 0 is.
    pub(super) descriptor_zero: DescriptorZero,
    pub(super) packet_sockets: PacketSockets,
    /// What objects of one type have in common.
    pub(super) shared: Shared,
    /// What is done now is done in an iothread.
    pub(super) beside_main_loop: bool,
    /// QEMU died.
    pub(super) dead: bool,
    pub(super) out: Vec<Output>,
    next_key: u32,
}

impl Core {
    pub(super) fn new(profile: Profile) -> Self {
        Self {
            profile,
            now: VirtualTime::ZERO,
            running: true,
            halt: Halt::Paused,
            nics: Vec::new(),
            vm_clock: VmClock::default(),
            clients: BTreeMap::new(),
            chardevs: BTreeMap::new(),
            objects: BTreeMap::new(),
            freeze: None,
            descriptor_zero: DescriptorZero::default(),
            packet_sockets: PacketSockets::default(),
            shared: Shared::default(),
            beside_main_loop: false,
            dead: false,
            out: Vec::new(),
            next_key: 0,
        }
    }

    pub(super) fn next_key(&mut self) -> u32 {
        self.next_key += 1;
        self.next_key
    }

    pub(super) fn has(&self, quirk: Quirk) -> bool {
        self.profile.has(quirk)
    }

    pub(super) fn client_of(&self, id: &str) -> Option<ClientKey> {
        self.clients.iter().find(|(_, client)| client.id.as_str() == id).map(|(key, _)| *key)
    }

    /// The net client of a NIC, by the id of its device.
    pub(super) fn client_of_nic(&self, name: &str) -> Option<ClientKey> {
        let nic = self.nics.iter().find(|nic| nic.name == name)?;
        self.client_of(nic.client.as_str())
    }

    pub(super) fn chardev_of(&self, id: &str) -> Option<ChardevKey> {
        self.chardevs.iter().find(|(_, chardev)| chardev.id.as_str() == id).map(|(key, _)| *key)
    }

    pub(super) fn object_of(&self, id: &str) -> Option<ObjectKey> {
        self.objects.iter().find(|(_, object)| object.id.as_str() == id).map(|(key, _)| *key)
    }

    /// How reassemblers of this machine's profile behave.
    pub(super) fn strictness(&self) -> Strictness {
        Strictness {
            empty_waits: self.has(Quirk::EmptyFrameWedges),
            oversize_late: self.has(Quirk::OversizeFoundLate),
        }
    }

    /// What the VM's clock shows.
    pub(super) fn vm_now(&self) -> VirtualTime {
        self.vm_clock.at(self.now)
    }

    /// When a time of the VM's clock comes on the machine's; never while the VM is stopped.
    pub(super) fn vm_deadline(&self, time: VirtualTime) -> Option<VirtualTime> {
        self.vm_clock.when(time)
    }

    /// Puts an output where it belongs: what the main loop does while it is frozen comes behind the
    /// blocked write.
    pub(super) fn emit(&mut self, output: Output) {
        match &mut self.freeze {
            Some(freeze) if !self.beside_main_loop => freeze.held.push(output),
            _ => self.out.push(output),
        }
    }

    /// The main loop waits for what never comes, first for a write that is under way.
    pub(super) fn freeze_for_ever(&mut self, place: Place) {
        if let Some(freeze) = &mut self.freeze {
            freeze.for_ever = Some(place);
            return;
        }
        self.event(place.clone(), None, EventKind::Frozen);
        self.freeze = Some(Freeze { write: None, for_ever: Some(place), held: Vec::new() });
    }

    pub(super) fn event(&mut self, place: Place, tag: Option<Tag>, kind: EventKind) {
        self.emit(Output::Event(Event { tag, place, kind }));
    }

    /// A frame ends here.
    pub(super) fn drop_frame(&mut self, place: Place, tag: Option<Tag>, reason: DropReason) {
        self.event(place, tag, EventKind::Dropped(reason));
    }

    /// A line on QEMU's standard error.
    pub(super) fn log(&mut self, place: Place, tag: Option<Tag>, line: impl Into<String>) {
        self.event(place, tag, EventKind::Log(line.into()));
    }

    pub(super) fn netdev_place(&self, key: ClientKey) -> Place {
        self.clients.get(&key).map_or(Place::Machine, |client| Place::Netdev(client.id.clone()))
    }

    pub(super) fn chardev_place(&self, key: ChardevKey) -> Place {
        self.chardevs.get(&key).map_or(Place::Machine, |chardev| Place::Chardev(chardev.id.clone()))
    }

    pub(super) fn object_place(&self, key: ObjectKey) -> Place {
        self.objects.get(&key).map_or(Place::Machine, |object| Place::Object(object.id.clone()))
    }

    pub(super) fn frame_out(&mut self, netdev: NetdevId, data: Bytes, tag: Option<Tag>) {
        self.emit(Output::NetdevFrame { netdev, data, tag });
    }

    pub(super) fn file_out(&mut self, file: String, at: u64, data: Bytes, tag: Option<Tag>) {
        self.emit(Output::FileBytes { file, at, data, tag });
    }

    pub(super) fn bytes_out(&mut self, chardev: ChardevId, data: Bytes, tag: Option<Tag>) {
        self.emit(Output::ChardevBytes { chardev, data, tag });
    }
}
