//! The guest's side of a TAP that the kernel's vhost-net serves: frames go through its rings, not through
//! reads and writes of the TAP. `source` has one for a netdev with `vhost: true`.

use std::{io, os::fd::BorrowedFd};

use crate::{
    base::{Frame, VnetHdr},
    sys::{NetDriver, Tap, VhostError, VhostNet},
};

/// A guest's driver beside vhost-net.
#[derive(Debug)]
pub(super) struct Served {
    vhost: VhostNet,
    /// Bytes of the header that the guest knows of: 0, 10 or 12. The rings' own has always 12.
    header: usize,
    /// The transmit ring is stuck, or its interface is gone: it moves no more.
    stuck: bool,
}

/// What became of a frame in the transmit ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// vhost-net has taken it.
    Taken,
    /// vhost-net can't get past it.
    Sticks,
    /// vhost-net did not get past an earlier one.
    Behind,
    /// It is longer than any that a ring holds, and is not there.
    TooLong,
}

impl Served {
    /// Has vhost-net serve a TAP from now on.
    pub(super) fn new(tap: &Tap, header: usize) -> Result<Self, VhostError> {
        Ok(Self { vhost: VhostNet::serve(tap)?, header, stuck: false })
    }

    /// Sends as the guest, and waits until vhost-net has had its turn.
    pub(super) fn send(&mut self, frame: &Frame) -> io::Result<Sent> {
        if self.stuck {
            return Ok(Sent::Behind);
        }
        if frame.data.len() > NetDriver::LONGEST {
            return Ok(Sent::TooLong);
        }
        let header = frame.vnet.to_bytes(self.header.min(VnetHdr::SHORT));
        self.stuck = self.vhost.send(&header, &frame.data)? > 0;
        Ok(if self.stuck { Sent::Sticks } else { Sent::Taken })
    }

    /// The next frame for the guest, once vhost-net has brought all that waits for it.
    pub(super) fn receive(&mut self) -> io::Result<Option<Frame>> {
        let mut received = self.vhost.receive().map_err(io::Error::other)?;
        if received.is_none() && self.vhost.refill()? {
            received = self.vhost.receive().map_err(io::Error::other)?;
        }
        // How many buffers a frame took is no part of it.
        let shown = self.header.min(VnetHdr::SHORT);
        Ok(received.map(|received| Frame {
            vnet: VnetHdr::from_bytes(&received.header[..shown]),
            data: received.frame.into(),
        }))
    }

    /// Carries nothing until it is started again.
    pub(super) fn stop(&mut self) -> Result<(), VhostError> {
        self.vhost.stop()
    }

    pub(super) fn start(&mut self, tap: &Tap) -> Result<(), VhostError> {
        self.vhost.start(tap)
    }

    /// Readable when a frame has come.
    pub(super) fn received(&self) -> BorrowedFd<'_> {
        self.vhost.received()
    }
}
