//! What goes into a machine and comes out of it. The callers that run machines read this: the
//! backends, and `xtask conform`.

use bytes::Bytes;
use serde_json::Value;

use crate::{
    base::{ChardevId, Direction, Frame, MacAddr, NetdevId, ObjectId, Profile, Tag, VirtualTime},
    record::{Event, Outcome},
};

/// What a machine is made of before its first command: QEMU's `-netdev` and `-chardev` options.
/// Objects come afterwards, as commands.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The QEMU that is modelled.
    pub profile: Profile,
    /// In the order of the command line.
    pub netdevs: Vec<NetdevConfig>,
    /// In the order of the command line.
    pub chardevs: Vec<ChardevConfig>,
    /// Objects that exist from the start and hold nothing: `iothread`s.
    pub iothreads: Vec<ObjectId>,
    /// The guest's NICs, in the order of the command line.
    pub nics: Vec<NicConfig>,
    /// Whether the VM runs from the start.
    pub start: Start,
}

/// A guest's NIC, as far as it announces itself and has a link.
#[derive(Clone, Debug)]
pub struct NicConfig {
    /// The id of the device, by which `announce-self` and `set_link` know it.
    pub name: String,
    /// The net client that sends for it.
    pub client: NetdevId,
    pub mac: MacAddr,
    /// Whether it can ask its guest to announce itself (`VIRTIO_NET_F_GUEST_ANNOUNCE`), which needs
    /// a guest with a driver.
    pub asks_guest: bool,
}

/// How a machine begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// `-S`: the VM does not run before `cont`.
    pub stopped: bool,
    /// `-incoming`: the VM's state comes by a migration.
    pub incoming: bool,
}

/// What a migration brings beside memory and devices, which the machine has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// Why the source did not run before it was migrated; none where it ran.
    pub halt: Option<Halt>,
    /// What the VM's clock shows.
    pub clock: VirtualTime,
}

/// Why a VM does not run: QEMU's run states but `running`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Halt {
    /// `paused`, by `stop`.
    Paused,
    /// `prelaunch`, by `-S`.
    Prelaunch,
    /// `inmigrate`: it waits for a migration.
    Inmigrate {
        /// Whether it runs once that has come: not with `-S`, unless `cont` was given, and not
        /// after `stop`.
        autostart: bool,
    },
    /// `postmigrate`: its state went to another machine.
    Postmigrate,
}

/// A net client: a netdev, a hub port or a guest's NIC.
#[derive(Clone, Debug)]
pub struct NetdevConfig {
    /// Its id; ids that a scenario can't write begin with `@`.
    pub id: NetdevId,
    pub kind: NetdevKind,
    /// The client it is joined to, for a hub port made with `netdev=` or a NIC.
    pub peer: Option<NetdevId>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetdevKind {
    /// `-netdev tap`; its frames come and go as [`Input::NetdevFrame`] and [`Output::NetdevFrame`].
    Tap {
        /// `queues=`; more than one is refused by filters.
        queues: u16,
        /// The kernel carries its frames: they never enter the machine.
        vhost: bool,
        /// Bytes of the virtio-net header in front of each frame; 0, 10 or 12.
        vnet_hdr_len: usize,
    },
    /// `-netdev socket,fd=`: a stream of `[u32 length][frame]`; [`Input::StreamBytes`] and
    /// [`Output::NetdevFrame`].
    Socket,
    /// `-netdev socket,udp=` and `-netdev dgram`: a datagram a frame.
    Datagram,
    /// `-netdev hubport`.
    Hubport {
        /// `hubid=`.
        hub: u32,
    },
    /// `-netdev stream`, as a listening server without a client.
    Stream,
    /// `-netdev user`.
    User,
    /// `-netdev vhost-user`.
    VhostUser,
    /// A guest's NIC, which takes every frame at once: [`Input::NetdevFrame`] is the guest sending.
    Nic {
        /// Bytes of the virtio-net header in front of each frame; 0, 10 or 12.
        vnet_hdr_len: usize,
    },
}

/// A chardev, as far as filters can distinguish them.
#[derive(Clone, Debug)]
pub struct ChardevConfig {
    pub id: ChardevId,
    pub backend: CharBackend,
    /// Whether its far end is there from the start.
    pub connected: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CharBackend {
    /// `socket`, unix or TCP.
    Socket {
        /// Listens, and takes the next client after one has gone.
        server: bool,
        /// Reconnects on its own.
        reconnect: bool,
        /// The user of the chardev may not be a filter (`-mon chardev=`): it is in use already.
        monitor: bool,
    },
    /// `socket` with `af-packet-mode` and the descriptor of a packet socket that is bound to a TAP.
    AfPacket { mode: AfPacketMode, netdev: NetdevId },
    /// `null`: what is written is gone.
    Null,
    /// `file`: what is written comes out as [`Output::ChardevBytes`] and is never refused.
    File,
    /// `ringbuf`, with its size in bytes; only `ringbuf-read` gets at what is written.
    Ringbuf {
        /// A power of two.
        size: usize,
    },
    /// `udp`.
    Udp,
    /// `pty`.
    Pty,
    /// A multiplexer over a socket: up to four users.
    Mux,
}

/// What a chardev with a packet socket does with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfPacketMode {
    /// What the socket receives is read from the chardev, framed as filters frame it.
    Capture,
    /// The frames in what is written to the chardev are sent on the socket.
    Inject,
}

impl AfPacketMode {
    /// The mode of QAPI's name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "capture" => Some(Self::Capture),
            "inject" => Some(Self::Inject),
            _ => None,
        }
    }
}

/// A far end's state as the machine sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChardevState {
    /// A client connected. While another is connected it waits until that one has gone.
    Opened,
    /// The far end closed: both directions are shut. Bytes given before are read first, except
    /// where the quirk `hangup-loses-tail` says otherwise.
    Closed,
    /// The far end shut its sending direction.
    HalfClosed,
    /// The far end no longer reads: what is written from now on fills the socket's buffer, which
    /// takes [`SOCKET_BUFFER`](super::SOCKET_BUFFER) bytes.
    Stalled,
    Resumed,
    /// The far end is another chardev of this machine, and the main loop reads it: between two
    /// inputs, never in the middle of one.
    OwnLoop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub u64);

/// What is done to a machine.
#[derive(Clone, Debug)]
pub enum Command {
    /// QMP: `object-add`, `object-del`, `qom-set`, `qom-get`, `qom-list`, `qom-list-types`,
    /// `set_link`, `netdev_add`, `netdev_del`, `chardev-add`, `chardev-remove`, `chardev-change`,
    /// `query-chardev`, `ringbuf-read`, `stop`, `cont`, `announce-self`,
    /// `xen-colo-do-checkpoint`.
    Qmp {
        name: String,
        /// Its arguments; an object.
        args: Value,
    },
    /// The rest of `-object`: `filter-mirror,id=m0,...`, with that option's rules and texts.
    ObjectOption(String),
    /// COLO's frame, which runs outside of the net layer, notifies the objects of an event.
    Colo(ColoEvent),
    /// The VM's state leaves for another machine, and the VM stops: the source's part of a migration.
    MigrateOut,
    /// The VM's state has come from another machine: the destination's part.
    MigrateIn(Migrated),
}

/// The events of COLO's frame that reach the net layer (QEMU 10.2.2
/// `include/migration/colo.h:18-22`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColoEvent {
    /// Both guests have the same state again: comparers release what they hold, and filters forget
    /// how the guests differed.
    Checkpoint,
    /// The secondary has become the only one: filters are switched off, unless their class does
    /// otherwise.
    Failover,
}

#[derive(Clone, Debug)]
pub enum Input {
    /// A frame that a TAP's reader got, or that a guest's NIC sends; with its virtio-net header in
    /// front where the client has one.
    NetdevFrame {
        netdev: NetdevId,
        data: Bytes,
        tag: Option<Tag>,
    },
    /// Bytes on the stream of a socket netdev, as one read.
    StreamBytes {
        netdev: NetdevId,
        /// The bytes.
        data: Bytes,
        /// The frame they are part of.
        tag: Option<Tag>,
    },
    /// The peer of a socket netdev closed.
    StreamClosed {
        netdev: NetdevId,
    },
    /// A copy that the machine's packet socket took of a frame on a TAP.
    Captured {
        netdev: NetdevId,
        /// [`Direction::Tx`] for `PACKET_OUTGOING`, else [`Direction::Rx`].
        direction: Direction,
        /// The frame, VLAN tag put back, with what `PACKET_VNET_HDR` said of it.
        frame: Frame,
        tag: Option<Tag>,
    },
    /// An injection that [`Output::Inject`] asked for failed.
    InjectFailed {
        netdev: NetdevId,
        /// The object that asked.
        object: ObjectId,
        reason: crate::record::DropReason,
        tag: Option<Tag>,
    },
    /// Bytes from a chardev's far end. The machine takes them at once; it reads them in pieces of
    /// at most 4,096 itself.
    ChardevBytes {
        chardev: ChardevId,
        /// The bytes.
        data: Bytes,
        /// The frame they are part of.
        tag: Option<Tag>,
    },
    Chardev {
        chardev: ChardevId,
        state: ChardevState,
    },
    Command {
        id: CommandId,
        command: Command,
    },
    /// The frame of an [`Output::Announce`], numbered.
    Announce {
        /// The client of the NIC.
        netdev: NetdevId,
        /// The frame, without a virtio-net header.
        data: Bytes,
        tag: Option<Tag>,
    },
    /// The clock moved; due timers fire.
    Tick,
}

#[derive(Clone, Debug)]
pub enum Output {
    /// A frame leaves through a TAP (to the host), a socket netdev (to its peer, without the length
    /// word) or a NIC (to the guest).
    NetdevFrame {
        netdev: NetdevId,
        /// The frame, with its virtio-net header in front where the client has one.
        data: Bytes,
        tag: Option<Tag>,
    },
    /// The machine closed a socket netdev's stream.
    StreamClosed {
        netdev: NetdevId,
    },
    /// A frame is to be sent on the machine's packet socket on a TAP.
    Inject {
        netdev: NetdevId,
        /// The filter that injects.
        object: ObjectId,
        frame: Frame,
        tag: Option<Tag>,
    },
    /// Capture on a TAP begins or ends; the packet socket is opened or closed with it.
    Capture {
        netdev: NetdevId,
        /// Whether any filter of this machine captures there or injects there.
        on: bool,
    },
    /// Bytes for a chardev's far end.
    ChardevBytes {
        chardev: ChardevId,
        /// The bytes: the length word, the vnet length word and the frame are separate outputs.
        data: Bytes,
        /// The frame they are part of.
        tag: Option<Tag>,
    },
    /// Bytes in a file in the case's folder: a `filter-dump` writes its header when it is made,
    /// which empties the file first, and then a record for each frame, each behind the one before
    /// it. Another dump of this file has a place of its own, and they overwrite each other.
    FileBytes {
        /// The file's name, without a directory.
        file: String,
        /// Where they begin; at 0 the file was emptied.
        at: u64,
        /// The bytes.
        data: Bytes,
        /// The frame of the record.
        tag: Option<Tag>,
    },
    /// The machine closed its end of a chardev.
    ChardevClosed {
        chardev: ChardevId,
    },
    /// A chardev was made or removed by a command.
    ChardevExists {
        chardev: ChardevId,
        /// Made, or removed.
        exists: bool,
    },
    /// A netdev was removed by a command.
    NetdevGone {
        netdev: NetdevId,
    },
    /// A NIC announces itself: the frame is to come back as [`Input::Announce`], with a number.
    Announce {
        /// The client of the NIC.
        netdev: NetdevId,
        /// The frame, without a virtio-net header.
        data: Bytes,
    },
    /// A NIC asks its guest to announce itself.
    AnnounceGuest {
        /// The client of the NIC.
        netdev: NetdevId,
    },
    /// The result of a command. While the main loop is frozen there is none until it continues.
    Answer {
        id: CommandId,
        outcome: Outcome,
    },
    Event(Event),
}
