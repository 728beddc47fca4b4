//! Memory that a driver shares with a device, which may write to it at any time. Virtqueues and their buffers
//! lie in it.

use std::{
    io,
    ptr::{self, NonNull},
    slice,
    sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering},
};

use nix::libc;

/// A piece of memory, of zeros at first. It takes no room until it is written.
///
/// Every access is an atomic one: the device is another thread, another process or the kernel.
#[derive(Debug)]
pub struct Memory {
    start: NonNull<u8>,
    size: usize,
    /// What is given out so far.
    taken: usize,
}

// SAFETY: the mapping belongs to this value alone, and no reference to its bytes is other than to an atomic.
unsafe impl Send for Memory {}

// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// Maps so many bytes.
    ///
    /// # Errors
    /// ENOMEM; EINVAL for none.
    pub fn new(size: usize) -> io::Result<Self> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let kind = libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping, at an address that the kernel chooses, replaces none.
        let start = unsafe { libc::mmap(ptr::null_mut(), size, access, kind, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, size, taken: 0 })
    }

    /// Bytes of it.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Where it begins, for a device that has the addresses of this process.
    #[must_use]
    pub fn address(&self) -> u64 {
        self.start.addr().get() as u64
    }

    /// Gives out the next bytes, at a multiple of `alignment`, which is a power of two: where they begin.
    ///
    /// # Errors
    /// [`io::ErrorKind::OutOfMemory`] when there are not so many left.
    pub fn take(&mut self, size: usize, alignment: usize) -> io::Result<usize> {
        let at = self.taken.next_multiple_of(alignment);
        match at.checked_add(size) {
            Some(end) if end <= self.size => {
                self.taken = end;
                Ok(at)
            }
            _ => Err(io::ErrorKind::OutOfMemory.into()),
        }
    }

    /// Copies bytes out of it.
    ///
    /// # Panics
    /// When they are not all in it.
    pub fn read(&self, at: usize, to: &mut [u8]) {
        let all = self.bytes(at, to.len());
        for (byte, from) in to.iter_mut().zip(all) {
            *byte = from.load(Ordering::Relaxed);
        }
    }

    /// Copies bytes into it.
    ///
    /// # Panics
    /// When they are not all in it.
    pub fn write(&self, at: usize, from: &[u8]) {
        for (byte, to) in from.iter().zip(self.bytes(at, from.len())) {
            to.store(*byte, Ordering::Relaxed);
        }
    }

    fn bytes(&self, at: usize, size: usize) -> &[AtomicU8] {
        // SAFETY: the mapping has `size` bytes, is aligned for bytes, lives as long as `self`, and is only
        // reached through atomics.
        let all =
            unsafe { slice::from_raw_parts(self.start.as_ptr().cast::<AtomicU8>(), self.size) };
        &all[at..at + size]
    }

    /// A word of 16 bits.
    ///
    /// # Panics
    /// When it is not in it, or not aligned.
    #[must_use]
    pub fn word(&self, at: usize) -> &AtomicU16 {
        // SAFETY: see `place`; any bits are a number.
        unsafe { self.place::<AtomicU16>(at).as_ref() }
    }

    /// A number of 32 bits.
    ///
    /// # Panics
    /// As [`Memory::word`].
    #[must_use]
    pub fn double(&self, at: usize) -> &AtomicU32 {
        // SAFETY: see `place`; any bits are a number.
        unsafe { self.place::<AtomicU32>(at).as_ref() }
    }

    /// A number of 64 bits.
    ///
    /// # Panics
    /// As [`Memory::word`].
    #[must_use]
    pub fn quad(&self, at: usize) -> &AtomicU64 {
        // SAFETY: see `place`; any bits are a number.
        unsafe { self.place::<AtomicU64>(at).as_ref() }
    }

    /// Where a value lies: inside the mapping, and aligned.
    fn place<T>(&self, at: usize) -> NonNull<T> {
        assert!(at.checked_add(size_of::<T>()).is_some_and(|end| end <= self.size));
        // SAFETY: it is inside the mapping, as was just checked.
        let place = unsafe { self.start.add(at) }.cast::<T>();
        assert!(place.is_aligned());
        place
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the mapping was made with this address and size, and nothing refers to it any more.
        unsafe {
            libc::munmap(self.start.as_ptr().cast(), self.size);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let memory = Memory::new(100).unwrap();
        memory.write(97, b"abc");
        let mut read = [9; 4];
        memory.read(96, &mut read);
        assert_eq!(&read, b"\0abc");
        memory.word(2).store(0x0201, Ordering::Relaxed);
        assert_eq!(memory.double(0).load(Ordering::Relaxed).to_le_bytes()[2..], [1, 2]);
    }

    #[test]
    fn pieces_do_not_overlap_and_end() {
        let mut memory = Memory::new(64).unwrap();
        assert_eq!(memory.take(3, 1).unwrap(), 0);
        assert_eq!(memory.take(16, 16).unwrap(), 16);
        assert_eq!(memory.take(32, 1).unwrap(), 32);
        let error = memory.take(1, 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
        assert!(memory.take(usize::MAX, 1).is_err());
        assert!(Memory::new(0).is_err());
    }

    #[test]
    #[should_panic]
    fn nothing_is_read_beyond_its_end() {
        Memory::new(64).unwrap().read(62, &mut [0; 3]);
    }

    #[test]
    #[should_panic]
    fn a_number_lies_whole_in_it() {
        let _ = Memory::new(64).unwrap().quad(60);
    }
}
