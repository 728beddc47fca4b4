//! What happened inside a run, event by event: the explained half of a record. Backends write
//! events; `wording` says them.

use std::fmt;

use bytes::Bytes;

use super::{CheckpointRequest, Fate};
use crate::base::{ChardevId, Direction, MachineId, NetdevId, ObjectId, PortId, Tag};

/// Where in the topology something happened.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A filter or another object.
    Object(ObjectId),
    /// A netdev or its queue.
    Netdev(NetdevId),
    /// A chardev.
    Chardev(ChardevId),
    /// A port of the scenario.
    Port(PortId),
    /// The kernel's side of this netdev's TAP.
    Tap(NetdevId),
    /// The whole machine.
    Machine,
    /// One of several machines, as a whole.
    Named(MachineId),
}

impl Place {
    /// The machine it is in, where there are several.
    #[must_use]
    pub fn machine(&self) -> Option<&str> {
        let id = match self {
            Self::Named(machine) => return Some(machine.as_str()),
            Self::Machine => return None,
            Self::Object(id) => id.as_str(),
            Self::Netdev(id) | Self::Tap(id) => id.as_str(),
            Self::Chardev(id) => id.as_str(),
            Self::Port(id) => id.as_str(),
        };
        id.split_once('/').map(|(machine, _)| machine)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(id) => write!(f, "{id}"),
            Self::Netdev(id) => write!(f, "netdev {id}"),
            Self::Chardev(id) => write!(f, "chardev {id}"),
            Self::Port(id) => write!(f, "port {id}"),
            Self::Tap(id) => write!(f, "tap {id}"),
            Self::Machine => f.write_str("machine"),
            Self::Named(id) => write!(f, "machine {id}"),
        }
    }
}

/// Why a frame went no further. The names are part of the transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// The outdev's chardev is not connected.
    OutdevClosed,
    /// The write to the outdev failed half way.
    OutdevBroke,
    /// The filter's status is off.
    Off,
    /// A captured frame came to the end of the chain of the netdev it was captured on.
    AlreadyDelivered,
    /// The sending or receiving net client's link is down (`set_link`).
    LinkDown,
    /// The netdev has no peer.
    NoPeer,
    /// 10,000 packets already wait.
    QueueFull,
    /// The receiver is wedged for good.
    Wedged,
    /// The frame is empty.
    Empty,
    /// The frame is longer than the framing allows.
    Oversize,
    /// The stream ended, or the indev went deaf, before the frame was complete.
    Incomplete,
    /// The indev is no longer read.
    Deaf,
    /// The chardev is not connected, so nothing can be sent into it.
    ChardevClosed,
    /// Nobody reads this chardev.
    NoReader,
    /// It still waited behind a frozen main loop when the run ended.
    Frozen,
    /// The machine was removed, stopped for good, or its object was deleted while it waited.
    Purged,
    /// The machine is dead.
    MachineDead,
    /// The interface is down: ENETDOWN from a packet socket, EIO from a TAP.
    InterfaceDown,
    /// The interface is gone: ENXIO.
    InterfaceGone,
    /// Longer than the interface's MTU allows: EMSGSIZE.
    TooLong,
    /// Shorter than an Ethernet header: EINVAL.
    TooShort,
    /// The virtio-net header is malformed, or longer than the frame: EINVAL.
    BadVnetHdr,
    /// The interface's transmit queue was full.
    TxQueueFull,
    /// The packet socket's receive buffer was full.
    SocketOverflow,
    /// The interface at the far end is the host's and nothing records there.
    HostConsumed,
    /// Cut off: MSG_TRUNC.
    Truncated,
    /// Status was off while it was captured.
    CapturedWhileOff,
    /// It waited in the packet socket of a machine that did not run.
    CapturedWhileStopped,
    /// An impairment of the scenario lost it.
    ImpairedLoss,
    /// A filter-buffer still held it when the run ended.
    Buffered,
    /// It went into a machine that does not tell what becomes of it, and came out nowhere.
    NotSeenAgain,
    /// The comparer's queue of that connection's primary frames is full.
    PrimaryQueueFull,
    /// The comparer's queue of that connection's secondary frames is full.
    SecondaryQueueFull,
    /// The comparer forgot its connections, and what it held of them: there were too many.
    TooManyConnections,
    /// An object still held it when the run ended.
    Held,
}

impl DropReason {
    /// The reason as the transcript prints it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OutdevClosed => "outdev-closed",
            Self::OutdevBroke => "outdev-broke",
            Self::Off => "off",
            Self::AlreadyDelivered => "already-delivered",
            Self::LinkDown => "link-down",
            Self::NoPeer => "no-peer",
            Self::QueueFull => "queue-full",
            Self::Wedged => "wedged",
            Self::Empty => "empty",
            Self::Oversize => "oversize",
            Self::Incomplete => "incomplete",
            Self::Deaf => "deaf",
            Self::ChardevClosed => "chardev-closed",
            Self::NoReader => "no-reader",
            Self::Frozen => "frozen",
            Self::Purged => "purged",
            Self::MachineDead => "machine-dead",
            Self::InterfaceDown => "interface-down",
            Self::InterfaceGone => "interface-gone",
            Self::TooLong => "too-long",
            Self::TooShort => "too-short",
            Self::BadVnetHdr => "bad-vnet-hdr",
            Self::TxQueueFull => "tx-queue-full",
            Self::SocketOverflow => "socket-overflow",
            Self::HostConsumed => "host",
            Self::Truncated => "truncated",
            Self::CapturedWhileOff => "captured-while-off",
            Self::CapturedWhileStopped => "captured-while-stopped",
            Self::ImpairedLoss => "impaired: loss",
            Self::Buffered => "buffered",
            Self::NotSeenAgain => "not-seen-again",
            Self::PrimaryQueueFull => "primary-queue-full",
            Self::SecondaryQueueFull => "secondary-queue-full",
            Self::TooManyConnections => "too-many-connections",
            Self::Held => "held",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an impairment of the scenario did to a frame that it let pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Impaired {
    /// It goes on twice.
    Duplicated,
    /// One bit is flipped: its number from the front, 0 for the highest of the first byte.
    Corrupted {
        /// The bit.
        bit: usize,
    },
    /// It was not delayed as the others are.
    Reordered,
}

impl fmt::Display for Impaired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duplicated => f.write_str("duplicated"),
            Self::Corrupted { bit } => write!(f, "bit {} of byte {} flipped", bit % 8, bit / 8),
            Self::Reordered => f.write_str("not delayed"),
        }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A frame reached a filter, or an injection began there; `data` is the frame as it was.
    Seen {
        /// Its direction in the chain; none for a frame captured or injected beside it.
        direction: Option<Direction>,
        /// The bytes at that point.
        data: Bytes,
    },
    /// The object took the frame out of the chain.
    Consumed,
    /// A comparer let a frame of the primary go on to its outdev.
    Released {
        /// Why.
        fate: Fate,
        /// The secondary's frame that decided it.
        with: Option<Tag>,
    },
    /// A comparer is done with a frame of the secondary; those go nowhere.
    Spent {
        /// Why.
        fate: Fate,
        /// The primary's frame that it was used for.
        with: Option<Tag>,
    },
    /// A comparer asks for a checkpoint.
    Checkpoint(Box<CheckpointRequest>),
    /// The frame waits in a queue.
    Queued,
    /// The object changed a number in the frame.
    Rewritten {
        /// The field, by the name that labels use: `tcp.ack`.
        field: &'static str,
        /// What it was.
        old: u32,
        /// What it is.
        new: u32,
    },
    /// The frame ends here.
    Dropped(DropReason),
    /// An impairment of the scenario did this to the frame.
    Impaired(Impaired),
    /// A line that QEMU writes on standard error.
    Log(String),
    /// QEMU dies here; the machine is dead from now on.
    Crash(String),
    /// The main loop waits for this chardev's reader; at an object, for ever.
    Frozen,
    /// The main loop goes on.
    Thawed,
    /// The kernel or a carrier said something worth knowing: ENETDOWN, drop counters.
    Notice(String),
}

/// Something that explains a transcript: part of its *explained* half, of which a real QEMU says
/// nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The frame it is about, when it is about one that the scenario sent.
    pub tag: Option<Tag>,
    /// Where it happened.
    pub place: Place,
    /// What happened.
    pub kind: EventKind,
}
