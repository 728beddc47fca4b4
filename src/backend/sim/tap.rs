//! A TAP in memory: its ring of frames for the guest, and the packet socket that sees them. The
//! fabric has one for each TAP.

use std::collections::VecDeque;

use crate::{
    backend::builtin::Carried,
    base::{Direction, Frame, NetdevId},
};

/// A TAP's two readers: the guest's queue and the machine's packet socket.
#[derive(Debug)]
pub(super) struct Tap {
    pub(super) netdev: NetdevId,
    /// Bytes of virtio-net header in front of each frame, 0, 10 or 12.
    pub(super) vnet_hdr_len: usize,
    pub(super) queue: Ring,
    /// The guest's side does not read its queue.
    pub(super) held: bool,
    /// What the machine's socket has not read yet; none without one.
    pub(super) socket: Option<Vec<Carried>>,
}

impl Tap {
    pub(super) fn new(netdev: NetdevId, vnet_hdr_len: usize) -> Self {
        Self { netdev, vnet_hdr_len, queue: Ring::default(), held: false, socket: None }
    }

    /// The machine's socket sees a frame.
    pub(super) fn capture(&mut self, direction: Direction, frame: &Frame) {
        if let Some(socket) = &mut self.socket {
            socket.push(Carried::Captured {
                netdev: self.netdev.clone(),
                direction,
                frame: frame.clone(),
            });
        }
    }
}

/// A TAP's queue: a ring whose places are given back in steps (Linux 6.18
/// `include/linux/ptr_ring.h`, `__ptr_ring_discard_one`).
#[derive(Debug, Default)]
pub(super) struct Ring {
    waiting: VecDeque<Frame>,
    /// Frames read so far, up to the ring's size.
    read: usize,
}

impl Ring {
    /// `TUN_READQ_SIZE` (Linux 6.18 `drivers/net/tun.c`).
    const SIZE: usize = 1000;
    /// Two cache lines of pointers.
    const BATCH: usize = 16;

    /// Whether there was room.
    pub(super) fn push(&mut self, frame: Frame) -> bool {
        let kept = self.read % Self::BATCH;
        let fits = self.waiting.len() + kept < Self::SIZE;
        if fits {
            self.waiting.push_back(frame);
        }
        fits
    }

    /// The guest reads everything.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Frame> {
        self.read = (self.read + self.waiting.len()) % Self::SIZE;
        self.waiting.drain(..)
    }

    /// The interface is gone, and what waits with it.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::nothing_read(0, 1000)]
    #[case::a_batch_begun(5, 995)]
    #[case::a_batch_all_but_read(15, 985)]
    #[case::a_batch_read(16, 1000)]
    #[case::the_last_batch_is_short(999, 993)]
    #[case::all_around(1000, 1000)]
    fn room_after_reads(#[case] reads: usize, #[case] room: usize) {
        let mut ring = Ring::default();
        for _ in 0..reads {
            assert!(ring.push(Frame::default()));
            assert_eq!(ring.take().count(), 1);
        }
        for _ in 0..room {
            assert!(ring.push(Frame::default()));
        }
        assert!(!ring.push(Frame::default()));
        assert_eq!(ring.take().count(), room);
    }
}
