//! A unix socket to a QEMU that never blocks and buffers what it can't write yet. QMP, far ends and
//! the wires of TAPs are such streams.

use std::{
    io::{self, IoSliceMut, Read, Write},
    net::Shutdown,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd},
        unix::net::UnixStream,
    },
};

use nix::{
    cmsg_space,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{
        ControlMessageOwned, MsgFlags, UnixCredentials, recvmsg, setsockopt, sockopt::PassCred,
    },
};

use crate::sys;

/// A connection to QEMU that never blocks: what it does not take at once is kept and sent later.
#[derive(Debug)]
pub struct Stream {
    socket: UnixStream,
    unsent: Vec<u8>,
    /// The sending direction is to be closed once all is sent.
    half_closes: bool,
    more: bool,
}

/// Bytes that are read at once: a peer that never stops must not keep its reader from everything
/// else.
const MOST_AT_ONCE: usize = 1 << 20;

impl Stream {
    /// Over a connected socket.
    ///
    /// # Errors
    /// When it can't be made non-blocking.
    pub fn new(socket: UnixStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self { socket, unsent: Vec::new(), half_closes: false, more: false })
    }

    /// Sends these bytes, the rest of them when there is room again.
    pub fn write(&mut self, data: &[u8]) {
        self.put(data);
        self.flush();
    }

    /// Keeps these bytes for the next [`Stream::flush`]: all that was put goes out in one write, so
    /// that QEMU finds it together.
    pub(super) fn put(&mut self, data: &[u8]) {
        self.unsent.extend_from_slice(data);
    }

    /// Closes the sending direction once all is sent.
    pub fn half_close(&mut self) {
        self.half_closes = true;
        self.flush();
    }

    /// Sends what can be sent; whether there was any. That the peer has closed is learnt by
    /// reading.
    pub fn flush(&mut self) -> bool {
        let before = self.unsent.len();
        while !self.unsent.is_empty() {
            match self.socket.write(&self.unsent) {
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return self.unsent.len() < before;
                }
                Err(_) => self.unsent.clear(),
            }
        }
        if std::mem::take(&mut self.half_closes) {
            // Refused if the peer has closed, which reading reveals.
            let _ = self.socket.shutdown(Shutdown::Write);
        }
        before > 0
    }

    /// Takes what has come, all of it unless that is very much; whether the peer closed.
    pub fn read(&mut self, into: &mut Vec<u8>) -> bool {
        let mut buffer = [0; 65536];
        let mut taken = 0;
        self.more = false;
        while taken < MOST_AT_ONCE {
            match self.socket.read(&mut buffer) {
                Ok(0) => return true,
                Ok(length) => {
                    into.extend_from_slice(&buffer[..length]);
                    taken += length;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
            }
        }
        self.more = true;
        false
    }

    /// Whether [`Stream::read`] did not take all.
    pub(super) const fn has_more(&self) -> bool {
        self.more
    }

    /// From now on the kernel notes who writes (unix(7), `SO_PASSCRED`).
    pub(super) fn ask_for_senders(&self) -> io::Result<()> {
        Ok(setsockopt(&self.socket, PassCred, &true)?)
    }

    /// The process that wrote what is to be read next, in this process's pid namespace.
    pub(super) fn sender(&self) -> Option<u32> {
        let mut byte = [0];
        let mut buffers = [IoSliceMut::new(&mut byte)];
        let mut notes = cmsg_space!(UnixCredentials);
        let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        let fd = self.socket.as_raw_fd();
        let message = recvmsg::<()>(fd, &mut buffers, Some(&mut notes), flags).ok()?;
        let process = message.cmsgs().ok()?.find_map(|note| match note {
            ControlMessageOwned::ScmCredentials(who) => u32::try_from(who.pid()).ok(),
            _ => None,
        });
        process.filter(|process| *process != 0)
    }

    /// Closes it: the peer knows when this returns. What is unsent or unread is lost.
    pub(super) fn close(self) {
        sys::hang_up(self.socket);
    }

    /// What to wait for until it can be read, where that is wished, or sends on.
    pub(super) fn awaited(&self, reading: bool) -> PollFd<'_> {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::POLLIN, reading);
        flags.set(PollFlags::POLLOUT, self.is_blocked());
        PollFd::new(self.as_fd(), flags)
    }

    /// What the peer has not read; 0 only when it has read all.
    #[must_use]
    pub fn unread_by_peer(&self) -> usize {
        self.unsent.len() + sys::unread_by_peer(&self.socket).unwrap_or_default()
    }

    /// Whether the peer has closed altogether; what it wrote before may be unread.
    #[must_use]
    pub(super) fn is_hung_up(&self) -> bool {
        let mut polled = [PollFd::new(self.as_fd(), PollFlags::empty())];
        let hung_up =
            |one: &PollFd<'_>| one.revents().is_some_and(|so| so.contains(PollFlags::POLLHUP));
        poll(&mut polled, PollTimeout::ZERO).is_ok() && polled.iter().any(hung_up)
    }

    /// Whether something still waits for room.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        !self.unsent.is_empty()
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_room_is_sent_later() {
        let (one, other) = UnixStream::pair().unwrap();
        let (mut one, mut other) = (Stream::new(one).unwrap(), Stream::new(other).unwrap());
        let sent = vec![7; 3 << 20];
        one.write(&sent);
        one.half_close();
        assert!(one.is_blocked());
        let mut read = Vec::new();
        while !other.read(&mut read) {
            one.flush();
        }
        assert!(read == sent && !one.is_blocked());
    }
}
