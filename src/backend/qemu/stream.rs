use std::{
    io::{self, Read, Write},
    net::Shutdown,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
};

use nix::poll::{PollFd, PollFlags};

/// A connection to QEMU that never blocks: what it does not take at once is kept and sent later.
#[derive(Debug)]
pub(super) struct Stream {
    socket: UnixStream,
    unsent: Vec<u8>,
    /// The sending direction is to be closed once all is sent.
    half_closes: bool,
}

impl Stream {
    pub(super) fn new(socket: UnixStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            unsent: Vec::new(),
            half_closes: false,
        })
    }

    pub(super) fn write(&mut self, data: &[u8]) {
        self.unsent.extend_from_slice(data);
        self.flush();
    }

    pub(super) fn half_close(&mut self) {
        self.half_closes = true;
        self.flush();
    }

    /// Sends what can be sent; whether there was any. What the peer has closed to us is told by
    /// reading.
    pub(super) fn flush(&mut self) -> bool {
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
            // Refused when the peer has closed, which reading tells.
            let _ = self.socket.shutdown(Shutdown::Write);
        }
        before > 0
    }

    /// Takes everything that has come; whether the peer closed.
    pub(super) fn read(&mut self, into: &mut Vec<u8>) -> bool {
        let mut buffer = [0; 65536];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => return true,
                Ok(length) => into.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
            }
        }
    }

    /// What to wait for until it can be read, where that is wished, or sends on.
    pub(super) fn awaited(&self, reading: bool) -> PollFd<'_> {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::POLLIN, reading);
        flags.set(PollFlags::POLLOUT, self.is_blocked());
        PollFd::new(self.as_fd(), flags)
    }

    /// Whether something still waits for room.
    pub(super) fn is_blocked(&self) -> bool {
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
