//! The driver of a virtio-net device with one pair of queues (virtio 1.2, section 5.1.6): frames with their
//! headers go into the transmit queue, and come out of the receive queue, one buffer each or merged of
//! several.

use std::io;

use super::{
    Memory, Virtqueue, VirtqueueError,
    virtqueue::{Access, Used},
};

/// What was negotiated with the device, as far as the frames' layout follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetOptions {
    /// Bytes of the header: 12 with `VIRTIO_F_VERSION_1` or `VIRTIO_NET_F_MRG_RXBUF`, else 10.
    pub header: usize,
    /// `VIRTIO_NET_F_MRG_RXBUF`: a frame may take several buffers.
    pub mergeable: bool,
    /// Buffers of each queue, a power of two.
    pub buffers: u16,
}

/// A frame can't be sent or received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetError {
    #[error("the device has used no buffer of the transmit queue again")]
    Full,
    #[error("a frame of {0} bytes is longer than virtio-net's buffers")]
    TooLong(usize),
    #[error(transparent)]
    Queue(#[from] VirtqueueError),
    #[error("the device has written {0} bytes, which are less than a header")]
    NoHeader(u32),
    #[error("the device says that a frame has {0} buffers")]
    Merged(u16),
}

/// A frame that came, and its header, which ends with zeros where the negotiated one is shorter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetReceived {
    pub header: [u8; NetDriver::LONG],
    pub frame: Vec<u8>,
}

/// A driver. Its buffers' addresses are those of this process.
#[derive(Debug)]
pub struct NetDriver {
    memory: Memory,
    options: NetOptions,
    receive: Virtqueue,
    transmit: Virtqueue,
    /// Where the first buffer of each queue begins; the others follow.
    receive_buffers: usize,
    transmit_buffers: usize,
    /// A frame of which not all buffers have come, and how many are to come.
    partial: NetReceived,
    left: u16,
    /// What the device did wrong first with what it received: nothing is received any more.
    broken: Option<NetError>,
}

impl NetDriver {
    /// Bytes of the header with the number of buffers.
    pub const LONG: usize = 12;

    /// The longest frame: what a TAP may hold, of 65,535 bytes behind an Ethernet header with a tag.
    pub const LONGEST: usize = 65_535 + 18;

    /// Bytes of a buffer of which several make a frame.
    const MERGEABLE: usize = 2048;

    /// Makes the queues, with all receive buffers on offer but not yet published.
    ///
    /// # Errors
    /// When there is no memory, or the number of buffers is no power of two.
    pub fn new(options: NetOptions) -> io::Result<Self> {
        if options.header != Self::LONG && (options.header != 10 || options.mergeable) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let count = usize::from(options.buffers);
        let (received, sent) = (options.received(), Self::LONGEST + options.header);
        // A queue takes 26 bytes a buffer, and less than a page besides.
        let mut memory = Memory::new((received + sent + 64) * count + (4 << 12))?;
        let mut driver = Self {
            receive: Virtqueue::new(&mut memory, options.buffers)?,
            transmit: Virtqueue::new(&mut memory, options.buffers)?,
            receive_buffers: memory.take(received * count, 4096)?,
            transmit_buffers: memory.take(sent * count, 4096)?,
            memory,
            options,
            partial: NetReceived::default(),
            left: 0,
            broken: None,
        };
        for buffer in 0..options.buffers {
            driver.offer_receive(buffer);
        }
        Ok(driver)
    }

    #[must_use]
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The receive queue and the transmit queue: queues 0 and 1 of the device.
    #[must_use]
    pub fn queues(&self) -> [&Virtqueue; 2] {
        [&self.receive, &self.transmit]
    }

    /// Puts a frame into the transmit queue, behind the first bytes of the header; the device is to be
    /// notified.
    ///
    /// # Errors
    /// [`NetError::Full`], [`NetError::TooLong`], and what the device did wrong.
    pub fn send(&mut self, header: &[u8], frame: &[u8]) -> Result<(), NetError> {
        if frame.len() > Self::LONGEST {
            return Err(NetError::TooLong(frame.len()));
        }
        self.reclaim()?;
        let buffer = self.transmit.free().ok_or(NetError::Full)?;
        let mut whole = [0; Self::LONG];
        for (to, from) in whole.iter_mut().zip(header) {
            *to = *from;
        }
        let size = self.options.header;
        let at = self.transmit_buffers + usize::from(buffer) * (Self::LONGEST + size);
        self.memory.write(at, &whole[..size]);
        self.memory.write(at + size, frame);
        let place = (self.memory.address() + at as u64, length(size + frame.len()));
        self.transmit.offer(&self.memory, buffer, place, Access::Reads);
        self.transmit.publish(&self.memory);
        Ok(())
    }

    /// Takes back what the device has sent: how many frames it has still to send.
    ///
    /// # Errors
    /// What the device did wrong.
    pub fn reclaim(&mut self) -> Result<u16, NetError> {
        while self.transmit.take(&self.memory)?.is_some() {}
        Ok(self.transmit.lent())
    }

    /// The next frame that came. Its buffers go back to the device with [`NetDriver::refill`].
    ///
    /// # Errors
    /// What the device did wrong.
    pub fn receive(&mut self) -> Result<Option<NetReceived>, NetError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        let received = self.next();
        self.broken = received.as_ref().err().copied();
        received
    }

    fn next(&mut self) -> Result<Option<NetReceived>, NetError> {
        while let Some(Used { buffer, written }) = self.receive.take(&self.memory)? {
            self.read(buffer, written)?;
            self.offer_receive(buffer);
            if self.left == 0 {
                return Ok(Some(std::mem::take(&mut self.partial)));
            }
        }
        Ok(None)
    }

    /// Publishes the receive buffers that are free again; whether there were any, and the device is to be
    /// notified.
    pub fn refill(&mut self) -> bool {
        self.receive.publish(&self.memory)
    }

    /// Whether a frame has come that was not received.
    #[must_use]
    pub fn has_received(&self) -> bool {
        self.receive.has_used(&self.memory)
    }

    fn offer_receive(&mut self, buffer: u16) {
        let size = self.options.received();
        let at = self.receive_buffers + usize::from(buffer) * size;
        let place = (self.memory.address() + at as u64, length(size));
        self.receive.offer(&self.memory, buffer, place, Access::Writes);
    }

    /// Adds what is in a buffer to the frame that it belongs to.
    fn read(&mut self, buffer: u16, written: u32) -> Result<(), NetError> {
        let NetOptions { header, mergeable, buffers } = self.options;
        let mut at = self.receive_buffers + usize::from(buffer) * self.options.received();
        let mut size = usize::try_from(written).unwrap_or(usize::MAX);
        if self.left == 0 {
            size = size.checked_sub(header).ok_or(NetError::NoHeader(written))?;
            self.memory.read(at, &mut self.partial.header[..header]);
            at += header;
            let number = [self.partial.header[10], self.partial.header[11]];
            self.left = match u16::from_le_bytes(number) {
                _ if !mergeable => 1,
                count if (1..=buffers).contains(&count) => count,
                count => return Err(NetError::Merged(count)),
            };
        }
        let frame = &mut self.partial.frame;
        let from = frame.len();
        frame.resize(from + size, 0);
        self.memory.read(at, &mut frame[from..]);
        self.left -= 1;
        Ok(())
    }
}

impl NetOptions {
    /// Bytes of a receive buffer: without merging each has to hold the longest frame.
    const fn received(self) -> usize {
        if self.mergeable {
            NetDriver::MERGEABLE
        } else {
            (NetDriver::LONGEST + self.header).next_multiple_of(8)
        }
    }
}

/// A buffer's length, which is far below 4 GiB.
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
