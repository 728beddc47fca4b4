//! What QEMU talks to: the peers of its socket netdevs and the clients of its chardevs.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
};

use tapwright::backend::qemu::Stream;

/// The far ends of a QEMU, by the names that records give them.
#[derive(Debug, Default)]
pub(super) struct Endpoints {
    open: BTreeMap<String, Stream>,
    got: BTreeMap<String, Vec<u8>>,
    closed: BTreeSet<String>,
    /// Every name there ever was.
    known: BTreeSet<String>,
}

impl Endpoints {
    /// A pair of joined sockets, one of which is QEMU's.
    pub(super) fn pair(&mut self, name: &str) -> io::Result<OwnedFd> {
        let (ours, theirs) = UnixStream::pair()?;
        self.add(name, ours)?;
        Ok(theirs.into())
    }

    /// Connects to a socket that QEMU listens on.
    pub(super) fn connect(&mut self, name: &str, path: &Path) -> io::Result<()> {
        self.add(name, UnixStream::connect(path)?)
    }

    fn add(&mut self, name: &str, socket: UnixStream) -> io::Result<()> {
        self.open.insert(name.to_owned(), Stream::new(socket)?);
        self.known.insert(name.to_owned());
        Ok(())
    }

    /// Whether there is one of this name, or was until it was closed.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.known.contains(name)
    }

    /// Writes at once. Nothing, where QEMU has closed.
    pub(super) fn write(&mut self, name: &str, data: &[u8]) {
        if let Some(stream) = self.open.get_mut(name) {
            stream.write(data);
        }
    }

    pub(super) fn close(&mut self, name: &str) {
        self.open.remove(name);
    }

    pub(super) fn half_close(&mut self, name: &str) {
        if let Some(stream) = self.open.get_mut(name) {
            stream.half_close();
        }
    }

    /// Sends what waits and takes what has come; whether anything came.
    pub(super) fn pump(&mut self) -> bool {
        let mut moved = false;
        let got = &mut self.got;
        let closed = &mut self.closed;
        self.open.retain(|name, stream| {
            stream.flush();
            let bytes = got.entry(name.clone()).or_default();
            let before = bytes.len();
            let ended = stream.read(bytes);
            moved |= ended || bytes.len() > before;
            if ended {
                closed.insert(name.clone());
            }
            !ended
        });
        moved
    }

    /// Bytes that QEMU has not read.
    pub(super) fn unread(&self) -> usize {
        self.open.values().map(Stream::unread_by_peer).sum()
    }

    /// What came since the last call, and who was closed.
    pub(super) fn take(&mut self) -> (BTreeMap<String, Vec<u8>>, BTreeSet<String>) {
        let mut got = std::mem::take(&mut self.got);
        got.retain(|_, bytes| !bytes.is_empty());
        (got, std::mem::take(&mut self.closed))
    }

    /// What is to be waited for, and whether it waits for room.
    pub(super) fn fds(&self) -> impl Iterator<Item = (BorrowedFd<'_>, bool)> {
        let streams = self.open.values();
        streams.map(|stream| (stream.as_fd(), stream.is_blocked()))
    }
}
