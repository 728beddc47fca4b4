//! A frame and its number over the whole run. Every part that sends, carries or records frames uses
//! them.

use std::fmt;

use bytes::Bytes;

use super::VnetHdr;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// The scenario sent it: `#1` for the first, counted over the whole run.
    Sent(u32),
    /// It was cut out of the bytes of the scenario's n-th `write`.
    Written(u32),
    /// The host's own stack made it.
    Host(u32),
}

/// The number of a frame over the whole run.
///
/// It travels with the frame through the machine, so that each one can be accounted for. It never
/// decides how a transcript labels a frame: labels are computed from recorded bytes alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub Origin);

impl Tag {
    /// The number of a frame that the scenario sent, from 1.
    #[must_use]
    pub const fn sent(number: u32) -> Self {
        Self(Origin::Sent(number))
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Origin::Sent(number) => write!(f, "#{number}"),
            Origin::Written(number) => write!(f, "write {number}"),
            Origin::Host(number) => write!(f, "host {number}"),
        }
    }
}

/// What passes a port: an Ethernet frame without its checksum, and the virtio-net header beside it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Frame {
    /// All zero unless something set it.
    pub vnet: VnetHdr,
    /// From the destination address to the last byte of the payload.
    pub data: Bytes,
}

impl Frame {
    /// A frame with an all-zero virtio-net header.
    #[must_use]
    pub fn plain(data: impl Into<Bytes>) -> Self {
        Self { vnet: VnetHdr::default(), data: data.into() }
    }
}
