//! The connection of a chardev whose far end is another chardev: its peer, and when a client tries
//! again. `world::socket` connects and disconnects them.

use std::time::Duration;

use crate::{
    backend::lower::Socket,
    base::{ChardevId, Tag, VirtualTime},
    machine::ChardevState,
    scenario::Address,
};

/// A socket chardev at whose far end is another chardev.
///
/// A server has one client at a time. A client that finds it busy waits without a connection,
/// where a real one would fill a buffer of the kernel's.
#[derive(Debug)]
pub(super) struct SocketEnd {
    pub(super) address: Option<Address>,
    pub(super) server: bool,
    /// How long a client waits before it tries again; none when it does not.
    pub(super) retry: Option<Duration>,
    pub(super) peer: Option<ChardevId>,
    /// When a client tries again.
    pub(super) due: Option<VirtualTime>,
    /// The server that a client waits for, because it has another.
    pub(super) waits: Option<ChardevId>,
    /// A failure to connect was said, which is done once until there is a connection (QEMU 10.2.2
    /// `chardev/char-socket.c`, `check_report_connect_error`).
    pub(super) told: bool,
    /// Whether the peer was last notified that it is read.
    pub(super) reads: ChardevState,
    /// The frame that was lost last for want of a peer.
    lost: Option<Tag>,
}

impl SocketEnd {
    pub(super) fn new(socket: Option<&Socket>, peer: Option<ChardevId>) -> Self {
        let retry = socket.and_then(|socket| socket.retry);
        Self {
            address: socket.map(|socket| socket.address.clone()),
            server: socket.is_some_and(|socket| socket.server),
            retry,
            // Its first try is QEMU's start.
            due: retry.filter(|_| peer.is_none()).map(|_| VirtualTime::ZERO),
            peer,
            waits: None,
            told: false,
            reads: ChardevState::Resumed,
            lost: None,
        }
    }

    /// A connection to this peer begins.
    pub(super) fn connect(&mut self, peer: ChardevId) {
        self.peer = Some(peer);
        self.due = None;
        self.waits = None;
        self.told = false;
        self.reads = ChardevState::Resumed;
    }

    /// The connection is over.
    pub(super) fn disconnect(&mut self, now: VirtualTime) {
        self.peer = None;
        self.reads = ChardevState::Resumed;
        self.due = self.retry.map(|retry| now + retry);
    }

    /// Bytes of a frame found no peer; whether they are the first of it.
    pub(super) fn lose(&mut self, tag: Option<Tag>) -> bool {
        std::mem::replace(&mut self.lost, tag) != tag || tag.is_none()
    }
}
