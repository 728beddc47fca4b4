//! A chardev, as far as filters can distinguish them: its backend, who uses it, and what its far
//! end did (QEMU 10.2.2 `chardev/`).

use std::collections::VecDeque;

use bytes::Bytes;

use super::{ChardevKey, ObjectKey};
use crate::{
    base::{ChardevId, NetdevId, Tag},
    machine::{AfPacketMode, CharBackend, framing::Reassembler},
};

#[derive(Debug)]
pub(in crate::machine) struct Chardev {
    pub(in crate::machine) id: ChardevId,
    pub(in crate::machine) backend: CharBackend,
    pub(in crate::machine) connected: bool,
    /// The frontends that hold it, in order; more than one only where it is a multiplexer.
    pub(in crate::machine) users: Vec<ObjectKey>,
    /// The multiplexer above it, which is its frontend.
    pub(in crate::machine) below: Option<ChardevKey>,
    /// Frontends that a multiplexer ever had.
    pub(in crate::machine) mux_slots: usize,
    /// A multiplexer has had a reader.
    pub(in crate::machine) mux_is_read: bool,
    /// The frontend that reads it.
    pub(in crate::machine) reader: Option<ObjectKey>,
    pub(in crate::machine) inbox: VecDeque<(Bytes, Option<Tag>)>,
    /// A multiplexer has read Ctrl-A.
    pub(in crate::machine) escaped: bool,
    /// The far end closed its sending direction, behind what `inbox` holds.
    pub(in crate::machine) ended: bool,
    /// The far end closed both directions.
    pub(in crate::machine) hung_up: bool,
    /// Clients that wait in the listener's backlog.
    pub(in crate::machine) waiting: usize,
    pub(in crate::machine) stalled: bool,
    /// The far end is read by this machine's own main loop.
    pub(in crate::machine) own_loop: bool,
    /// Bytes in the socket's buffer since the far end stopped reading.
    pub(in crate::machine) buffered: usize,
    /// Collects the frames that are written to a packet socket's chardev.
    pub(in crate::machine) staging: Reassembler,
    /// What a ring buffer holds.
    pub(in crate::machine) ring: VecDeque<u8>,
}

impl Chardev {
    /// Whether it receives what is captured on this TAP.
    pub(in crate::machine) fn captures(&self, on: &NetdevId) -> bool {
        match &self.backend {
            CharBackend::AfPacket { mode: AfPacketMode::Capture, netdev } => netdev == on,
            _ => false,
        }
    }

    /// Whether bytes pass between it and a far end that comes and goes.
    pub(in crate::machine) const fn is_stream(&self) -> bool {
        matches!(self.backend, CharBackend::Socket { .. } | CharBackend::Mux)
    }

    /// Whether it is a socket itself: QOM shows its address and whether it is connected.
    pub(in crate::machine) const fn is_socket(&self) -> bool {
        matches!(self.backend, CharBackend::Socket { .. } | CharBackend::AfPacket { .. })
    }

    /// Whether a frontend reads it. A multiplexer that had one reads for those that come later.
    pub(in crate::machine) fn is_read(&self) -> bool {
        self.reader.is_some() || self.mux_is_read
    }

    /// Its QOM type without `chardev-`.
    pub(in crate::machine) const fn type_name(&self) -> &'static str {
        match self.backend {
            CharBackend::Socket { .. } | CharBackend::AfPacket { .. } => "socket",
            CharBackend::Null => "null",
            CharBackend::File => "file",
            CharBackend::Ringbuf { .. } => "ringbuf",
            CharBackend::Udp => "udp",
            CharBackend::Pty => "pty",
            CharBackend::Mux => "mux",
        }
    }

    /// Whether `chardev-remove` refuses it (`qemu_chr_is_busy`).
    pub(in crate::machine) fn is_busy(&self, never_idle_mux: bool) -> bool {
        match self.backend {
            CharBackend::Mux if never_idle_mux => true,
            _ => self.has_frontend(),
        }
    }

    /// Whether a filter, a multiplexer or a monitor holds it.
    pub(in crate::machine) fn has_frontend(&self) -> bool {
        let monitored = matches!(self.backend, CharBackend::Socket { monitor: true, .. });
        monitored || self.below.is_some() || !self.users.is_empty()
    }
}
