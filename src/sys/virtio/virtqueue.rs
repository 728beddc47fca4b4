//! A split virtqueue, as its driver sees it (virtio 1.2, section 2.7): a table of descriptors, a ring of
//! what the device may use, and a ring of what it has used. Each buffer is one descriptor, and the
//! descriptor's number is the buffer's.

use std::{
    io,
    sync::atomic::{Ordering, fence},
};

use super::Memory;

/// The device wrote something into a ring that no device may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VirtqueueError {
    #[error("the device has used {used} buffers, and was lent {lent}")]
    Jump { used: u16, lent: u16 },
    #[error("the device has used buffer {0}, which it was not lent")]
    NotLent(u32),
    #[error("the device has written {written} bytes to buffer {buffer}, which has {size}")]
    TooLong { buffer: u16, written: u32, size: u32 },
}

/// A buffer that the device has used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    pub buffer: u16,
    /// Bytes that it wrote; of a buffer that it only reads, what it likes to say.
    pub written: u32,
}

/// What a device does with a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Reads,
    Writes,
}

/// A buffer that is with the device.
#[derive(Clone, Copy, Debug)]
struct Lent {
    size: u32,
    access: Access,
}

/// A queue. Its numbers are little endian.
#[derive(Debug)]
pub struct Virtqueue {
    descriptors: usize,
    available: usize,
    used: usize,
    /// What is lent to the device of each buffer.
    lent: Vec<Option<Lent>>,
    lent_count: u16,
    /// Buffers that were made available since the beginning, and how many of them the device knows of.
    offered: u16,
    published: u16,
    /// Buffers that came back since the beginning.
    seen: u16,
    /// What the device did wrong first: nothing is taken from it any more.
    broken: Option<VirtqueueError>,
}

/// `VIRTQ_DESC_F_WRITE`.
const WRITE: u16 = 2;

/// Bytes of a descriptor, of a ring's head, and of a used buffer.
const DESCRIPTOR: usize = 16;
const HEAD: usize = 4;
const USED: usize = 8;

/// Where a ring's index stands in its head.
const INDEX: usize = 2;

impl Virtqueue {
    /// Makes a queue of so many buffers, a power of two up to 32,768, in a piece of memory.
    ///
    /// # Errors
    /// When there is no room, or the number is none of these.
    pub fn new(memory: &mut Memory, size: u16) -> io::Result<Self> {
        if !size.is_power_of_two() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let count = usize::from(size);
        // Each ring ends with a word for VIRTIO_F_EVENT_IDX.
        Ok(Self {
            descriptors: memory.take(DESCRIPTOR * count, 16)?,
            available: memory.take(HEAD + 2 * count + 2, 2)?,
            used: memory.take(HEAD + USED * count + 2, 4)?,
            lent: vec![None; count],
            lent_count: 0,
            offered: 0,
            published: 0,
            seen: 0,
            broken: None,
        })
    }

    /// How many buffers it has.
    #[must_use]
    pub fn size(&self) -> u16 {
        u16::try_from(self.lent.len()).unwrap_or(u16::MAX)
    }

    /// Where its three parts begin in the memory: descriptors, available, used.
    #[must_use]
    pub fn parts(&self) -> [usize; 3] {
        [self.descriptors, self.available, self.used]
    }

    /// How many buffers the device has not given back.
    #[must_use]
    pub fn lent(&self) -> u16 {
        self.lent_count
    }

    /// A buffer that is not with the device, if there is one.
    #[must_use]
    pub fn free(&self) -> Option<u16> {
        let at = self.lent.iter().position(Option::is_none)?;
        u16::try_from(at).ok()
    }

    /// Lends a buffer to the device, which learns it with [`Virtqueue::publish`]: `size` bytes from
    /// `address` on, as the device counts addresses. Whether the buffer was free to be lent.
    pub fn offer(
        &mut self,
        memory: &Memory,
        buffer: u16,
        (address, size): (u64, u32),
        access: Access,
    ) -> bool {
        let Some(lent @ None) = self.lent.get_mut(usize::from(buffer)) else {
            return false;
        };
        *lent = Some(Lent { size, access });
        let at = self.descriptors + DESCRIPTOR * usize::from(buffer);
        let flags = if access == Access::Writes { WRITE } else { 0 };
        memory.quad(at).store(address.to_le(), Ordering::Relaxed);
        memory.double(at + 8).store(size.to_le(), Ordering::Relaxed);
        memory.word(at + 12).store(flags.to_le(), Ordering::Relaxed);
        memory.word(at + 14).store(0, Ordering::Relaxed);
        let slot = self.available + HEAD + 2 * self.slot(self.offered);
        memory.word(slot).store(buffer.to_le(), Ordering::Relaxed);
        self.offered = self.offered.wrapping_add(1);
        self.lent_count += 1;
        true
    }

    /// Shows the device what was offered; whether there was anything. The device is to be notified
    /// then, always: it need not be asked whether it wants that.
    pub fn publish(&mut self, memory: &Memory) -> bool {
        if self.published == self.offered {
            return false;
        }
        // What was written above is seen by whoever sees this number.
        memory.word(self.available + INDEX).store(self.offered.to_le(), Ordering::Release);
        // And before a notification, which may be a store to somewhere else.
        fence(Ordering::SeqCst);
        self.published = self.offered;
        true
    }

    /// The next buffer that the device has used.
    ///
    /// # Errors
    /// What it did wrong, now or before.
    pub fn take(&mut self, memory: &Memory) -> Result<Option<Used>, VirtqueueError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        let taken = self.next(memory);
        self.broken = taken.err();
        taken
    }

    /// Whether the device has used a buffer that was not taken.
    #[must_use]
    pub fn has_used(&self, memory: &Memory) -> bool {
        self.index(memory) != self.seen
    }

    fn index(&self, memory: &Memory) -> u16 {
        u16::from_le(memory.word(self.used + INDEX).load(Ordering::Acquire))
    }

    fn next(&mut self, memory: &Memory) -> Result<Option<Used>, VirtqueueError> {
        let used = self.index(memory).wrapping_sub(self.seen);
        if used == 0 {
            return Ok(None);
        }
        if used > self.lent_count {
            return Err(VirtqueueError::Jump { used, lent: self.lent_count });
        }
        let at = self.used + HEAD + USED * self.slot(self.seen);
        let number = |at: usize| u32::from_le(memory.double(at).load(Ordering::Relaxed));
        let (id, written) = (number(at), number(at + 4));
        let not_lent = VirtqueueError::NotLent(id);
        let buffer = u16::try_from(id).map_err(|_| not_lent)?;
        let lent = self.lent.get_mut(usize::from(buffer)).and_then(Option::take);
        let Lent { size, access } = lent.ok_or(not_lent)?;
        if access == Access::Writes && written > size {
            return Err(VirtqueueError::TooLong { buffer, written, size });
        }
        self.lent_count -= 1;
        self.seen = self.seen.wrapping_add(1);
        Ok(Some(Used { buffer, written }))
    }

    /// The place in a ring of a number that counts on.
    fn slot(&self, number: u16) -> usize {
        usize::from(number) % self.lent.len()
    }
}
