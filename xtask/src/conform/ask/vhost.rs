//! The other side of a vhost-user netdev, as far as QEMU asks for it: QEMU does not go on until
//! somebody has told it the features of a device (QEMU 7.2.22 `net/vhost-user.c`,
//! `net_vhost_user_init`).

use std::{
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixListener,
    },
    path::Path,
};

use tapwright::backend::qemu::Stream;

/// A message: request, flags, and the size of what follows, each 32 bits in the host's order
/// (QEMU `docs/interop/vhost-user.rst`).
const HEADER: usize = 12;

/// Version 1, and that it is an answer.
const ANSWER: u32 = 1 | 4;

/// Requests that are answered with 64 bits: GET_FEATURES, GET_PROTOCOL_FEATURES, GET_QUEUE_NUM.
const ANSWERED: [u32; 3] = [1, 15, 17];

/// A device without features.
#[derive(Debug)]
pub(super) struct VhostUser {
    listener: UnixListener,
    stream: Option<Stream>,
    input: Vec<u8>,
}

impl VhostUser {
    /// Listens for QEMU.
    pub(super) fn listen(path: &Path) -> io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, stream: None, input: Vec::new() })
    }

    /// Answers what has come.
    pub(super) fn pump(&mut self) -> io::Result<()> {
        if self.stream.is_none() {
            match self.listener.accept() {
                Ok((socket, _)) => self.stream = Some(Stream::new(socket)?),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        let Some(stream) = &mut self.stream else {
            return Ok(());
        };
        let ended = stream.read(&mut self.input);
        while let Some((request, length)) = message(&self.input) {
            self.input.drain(..length);
            if ANSWERED.contains(&request) {
                let words = [request, ANSWER, 8, 0, 0];
                stream.write(&words.map(u32::to_ne_bytes).concat());
            }
        }
        if ended {
            self.stream = None;
        }
        Ok(())
    }

    /// What is to be waited for.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        match &self.stream {
            Some(stream) => stream.as_fd(),
            None => self.listener.as_fd(),
        }
    }
}

/// The request at the front and the length of its message, when it is whole.
fn message(input: &[u8]) -> Option<(u32, usize)> {
    let word = |at: usize| {
        let bytes = input.get(at..at + 4)?;
        Some(u32::from_ne_bytes(bytes.try_into().ok()?))
    };
    let length = HEADER + word(8)? as usize;
    (input.len() >= length).then_some((word(0)?, length))
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        os::unix::net::UnixStream,
    };

    use super::*;

    #[test]
    fn features_are_told_and_the_rest_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vhost");
        let mut device = VhostUser::listen(&path).unwrap();
        let mut qemu = UnixStream::connect(&path).unwrap();
        // SET_OWNER, a message with a payload, GET_FEATURES.
        let words = [3, 1, 0, 2, 1, 8, 7, 7, 1, 1, 0].map(u32::to_ne_bytes).concat();
        for byte in words {
            qemu.write_all(&[byte]).unwrap();
            device.pump().unwrap();
        }
        let mut answer = [0; 20];
        qemu.read_exact(&mut answer).unwrap();
        assert_eq!(answer.to_vec(), [1, 5, 8, 0, 0].map(u32::to_ne_bytes).concat());
        qemu.set_nonblocking(true).unwrap();
        assert!(qemu.read(&mut answer).is_err());
    }
}
