//! What comparers say: what they did with a frame, and why they ask for a checkpoint.

use std::{fmt, net::Ipv4Addr};

use crate::base::{Tag, VirtualTime};

/// Whose frame it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The primary guest's.
    Primary,
    /// The secondary guest's.
    Secondary,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
        })
    }
}

/// Why a comparer is done with a frame. The names are part of the transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// Both guests sent the same.
    Matched,
    /// All of its bytes had been compared before.
    Repeated,
    /// It has no payload, so there is nothing to compare.
    NoPayload,
    /// A checkpoint made the guests equal.
    Checkpoint,
    /// It is nothing that is compared: not IPv4, tagged, cut short.
    NotCompared,
    /// The comparer is deleted.
    Deleted,
}

impl Fate {
    /// The fate as the transcript prints it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Matched => "matched",
            Self::Repeated => "repeated",
            Self::NoPayload => "no-payload",
            Self::Checkpoint => "checkpoint",
            Self::NotCompared => "not-compared",
            Self::Deleted => "deleted",
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A connection as a comparer tells it from others, from the guest's point of view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// IPv4's protocol number.
    pub protocol: u8,
    /// The guest's address.
    pub source: Ipv4Addr,
    /// The client's address.
    pub destination: Ipv4Addr,
    /// Both ports, the guest's first, where the protocol has ports.
    pub ports: Option<(u16, u16)>,
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.protocol {
            1 => f.write_str("ICMP")?,
            6 => f.write_str("TCP")?,
            17 => f.write_str("UDP")?,
            other => write!(f, "protocol {other}")?,
        }
        let (source, destination) = (self.source, self.destination);
        match self.ports {
            Some((from, to)) => write!(f, " {source}:{from} > {destination}:{to}"),
            None => write!(f, " {source} > {destination}"),
        }
    }
}

/// What made a comparer ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckpointCause {
    /// The first byte that differs, as an offset into either frame, virtio-net header left out.
    Bytes {
        /// Into the primary's frame.
        primary: usize,
        /// Into the secondary's frame.
        secondary: usize,
        /// TCP's sequence numbers of the two bytes, the primary's first.
        seq: Option<[u32; 2]>,
    },
    /// As many bytes are compared on either side, and one side has fewer.
    Lengths {
        /// Bytes that the primary's frame has there.
        primary: usize,
        /// Bytes that the secondary's frame has there.
        secondary: usize,
    },
    /// The frames are not as long as each other, which QEMU asks first; what of them is compared
    /// does not begin at one place, so that no byte or length says more.
    Sizes {
        /// Bytes of the primary's frame, with its virtio-net header.
        primary: usize,
        /// Bytes of the secondary's frame, with its virtio-net header.
        secondary: usize,
    },
    /// The bytes are equal, but the primary's frame acknowledges more than both guests have.
    Acknowledges {
        /// What the frame acknowledges.
        primary: u32,
        /// What both guests have acknowledged.
        both: u32,
    },
    /// A frame waited for its counterpart longer than `compare_timeout`.
    TimedOut(Side),
    /// A queue is full.
    QueueFull(Side),
}

/// A comparer asks for a checkpoint: the guests have gone apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointRequest {
    /// Where it was found.
    pub connection: Connection,
    /// What was found.
    pub cause: CheckpointCause,
    /// The primary's frame.
    pub primary: Option<Tag>,
    /// The secondary's frame.
    pub secondary: Option<Tag>,
    /// When the frame that is held for this came in: the primary's, unless only the secondary has
    /// one.
    pub since: VirtualTime,
    /// When it asks.
    pub at: VirtualTime,
    /// Whether anybody is told: there is a `notify_dev`.
    pub told: bool,
}
