//! Many frames in one system call: the arrays of sendmmsg(2) and writev(2), kept from one call to the
//! next. `redirect` sends with it.

use std::{
    ops::Range,
    os::fd::{AsFd, AsRawFd},
};

use nix::{errno::Errno, libc};

use super::{Injector, PacketSocket};

/// A frame of a piece of memory, as it is written to a stream: words, virtio-net header, frame. Each
/// begins where the one before it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Where the words of the framing begin.
    pub start: usize,
    /// Where the virtio-net header begins.
    pub header: usize,
    /// Where the frame begins.
    pub frame: usize,
    pub end: usize,
}

impl Unit {
    /// Bytes of the frame alone.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.end - self.frame
    }

    /// Whether the frame has no bytes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A header that asks for nothing.
static NO_HEADER: [u8; PacketSocket::VNET_HDR_LEN] = [0; PacketSocket::VNET_HDR_LEN];

/// The arrays.
#[derive(Debug)]
pub struct Batch {
    /// Two for each message: header and frame. Nothing points here between two calls.
    parts: Box<[libc::iovec]>,
    messages: Box<[libc::mmsghdr]>,
}

// SAFETY: the pointers in the arrays are written before each call and read by nobody after it.
unsafe impl Send for Batch {}

impl Default for Batch {
    fn default() -> Self {
        let none = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        // SAFETY: zero is valid for every field, null pointers and lengths of zero.
        let message: libc::mmsghdr = unsafe { std::mem::zeroed() };
        Self {
            parts: vec![none; 2 * Self::MOST].into(),
            messages: vec![message; Self::MOST].into(),
        }
    }
}

impl Batch {
    /// Most frames of one call: `UIO_MAXIOV`.
    pub const MOST: usize = 1024;

    /// Sends the first frames of `units`, at most [`Batch::MOST`], and says how many were taken.
    ///
    /// # Errors
    /// That of the first frame; the others have not been tried then.
    ///
    /// # Panics
    /// When a unit is not within `memory`.
    pub fn send(
        &mut self,
        injector: &Injector,
        memory: &[u8],
        units: &[Unit],
    ) -> Result<usize, Errno> {
        let count = units.len().min(Self::MOST);
        let vnet_hdr = injector.has_vnet_hdr();
        for ((unit, parts), message) in
            units.iter().zip(self.parts.chunks_exact_mut(2)).zip(&mut self.messages)
        {
            let used = if vnet_hdr {
                parts[0] = part(match unit.frame - unit.header {
                    0 => &NO_HEADER,
                    _ => &memory[unit.header..unit.header + NO_HEADER.len()],
                });
                parts[1] = part(&memory[unit.frame..unit.end]);
                2
            } else {
                parts[0] = part(&memory[unit.frame..unit.end]);
                1
            };
            message.msg_hdr.msg_iov = parts.as_mut_ptr();
            message.msg_hdr.msg_iovlen = used as _; // its type is another in musl
        }
        // SAFETY: the first `count` messages describe one or two parts each, whose memory is
        // `memory` or a static: both outlive the call and are only read. The kernel writes the
        // lengths into the messages.
        let sent = unsafe {
            libc::sendmmsg(
                injector.as_fd().as_raw_fd(),
                self.messages.as_mut_ptr(),
                count as libc::c_uint,
                libc::MSG_DONTWAIT as _, // its type is another in musl
            )
        };
        Ok(usize::try_from(Errno::result(sent)?).unwrap_or(0))
    }

    /// Writes pieces of `memory` to a descriptor, at most [`Batch::MOST`], and says how many bytes
    /// were taken.
    ///
    /// # Errors
    /// Those of writev(2).
    ///
    /// # Panics
    /// When a piece is not within `memory`.
    pub fn write(
        &mut self,
        fd: &impl AsFd,
        memory: &[u8],
        pieces: impl Iterator<Item = Range<usize>>,
    ) -> Result<usize, Errno> {
        let mut count = 0;
        for (piece, place) in pieces.zip(self.parts.iter_mut().take(Self::MOST)) {
            *place = part(&memory[piece]);
            count += 1;
        }
        // SAFETY: the first `count` parts are pieces of `memory`, which outlives the call and is only
        // read.
        let written = unsafe {
            libc::writev(fd.as_fd().as_raw_fd(), self.parts.as_ptr(), count as libc::c_int)
        };
        Ok(usize::try_from(Errno::result(written)?).unwrap_or(0))
    }
}

fn part(bytes: &[u8]) -> libc::iovec {
    libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() }
}
