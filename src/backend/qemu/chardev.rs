//! The far end of a chardev of a real QEMU: a unix socket that tapwright listens or connects to,
//! and the bytes that are cut into frames where they are flushed. Each machine has those of its
//! ports.

use std::{
    collections::VecDeque,
    io,
    os::{
        fd::{AsFd, AsRawFd},
        unix::net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket},
};

use super::stream::Stream;
use crate::{
    base::PortId,
    record::{EventKind, Framing, Item},
    scenario::Wiring,
};

/// How long a client chardev may take to come back. QEMU's `reconnect` counts in seconds.
const RECONNECT: Duration = Duration::from_secs(10);

/// What came out of a machine.
#[derive(Debug)]
pub(super) enum Out {
    /// At a port, and the frame in it.
    Arrived(PortId, Item, Bytes),
    /// Said by the machine.
    Said(EventKind),
    /// It died and let go of its TAPs.
    Died,
}

#[derive(Debug)]
pub(super) enum Side {
    /// QEMU does, and we are its clients.
    Server,
    /// We do, only while a connection is awaited.
    Client,
}

/// The far end of a chardev that is a port.
#[derive(Debug)]
pub(super) struct FarEnd {
    pub(super) port: PortId,
    pub(super) wiring: Wiring,
    side: Side,
    path: PathBuf,
    /// The first is served; the others wait for their turn in QEMU's backlog.
    streams: VecDeque<Stream>,
    /// Clients for which there is no room in the backlog yet.
    outside: usize,
    pub(super) stalled: bool,
    cutter: Cutter,
    /// Connections that QEMU has closed and that have not been reported.
    closings: usize,
}

impl FarEnd {
    pub(super) fn new(port: PortId, wiring: Wiring, side: Side, path: PathBuf) -> Self {
        Self {
            port,
            wiring,
            side,
            path,
            streams: VecDeque::new(),
            outside: 0,
            stalled: false,
            cutter: Cutter::new(wiring.framing),
            closings: 0,
        }
    }

    /// The listener that a client chardev finds.
    pub(super) fn listen(&self) -> io::Result<Option<UnixListener>> {
        match self.side {
            Side::Server => Ok(None),
            Side::Client => UnixListener::bind(&self.path).map(Some),
        }
    }

    /// Takes the connection of a client chardev. Nobody listens afterwards: QEMU comes again only
    /// when the scenario says so.
    pub(super) fn accept(&mut self, listener: &UnixListener) -> io::Result<()> {
        let mut polled = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        let within = PollTimeout::try_from(RECONNECT).unwrap_or(PollTimeout::MAX);
        let ready = poll(&mut polled, within)?;
        std::fs::remove_file(&self.path)?;
        if ready == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.streams.push_back(Stream::new(listener.accept()?.0)?);
        Ok(())
    }

    /// A client connects, or waits until there is room for it. Where nobody listens any more, it is
    /// gone at once.
    pub(super) fn open(&mut self) -> io::Result<()> {
        if let Some(listener) = self.listen()? {
            return self.accept(&listener);
        }
        if self.outside > 0 {
            self.outside += 1;
            return Ok(());
        }
        match client(&self.path)? {
            Knocked::In(socket) => self.streams.push_back(Stream::new(socket)?),
            Knocked::Full => self.outside = 1,
            Knocked::Nobody => {}
        }
        Ok(())
    }

    /// Clients that wait for room connect as far as there is any; whether that changed anything.
    fn knock(&mut self) -> io::Result<bool> {
        let before = self.outside;
        while self.outside > 0 {
            match client(&self.path)? {
                Knocked::In(socket) => self.streams.push_back(Stream::new(socket)?),
                Knocked::Full => break,
                Knocked::Nobody => self.closings += 1,
            }
            self.outside -= 1;
        }
        Ok(self.outside < before)
    }

    /// We close; what was not read is lost with the connection.
    pub(super) fn close(&mut self) {
        if let Some(stream) = self.streams.pop_front() {
            stream.close();
        }
        self.stalled = false;
        self.cutter = Cutter::new(self.wiring.framing);
    }

    /// The connection that is served.
    pub(super) fn stream(&mut self) -> Option<&mut Stream> {
        self.streams.front_mut()
    }

    pub(super) fn served(&self) -> Option<&Stream> {
        self.streams.front()
    }

    /// How many connections QEMU has closed since the last report.
    pub(super) fn take_closings(&mut self) -> usize {
        std::mem::take(&mut self.closings)
    }

    /// QEMU is gone, and that has been reported elsewhere.
    pub(super) fn forget(&mut self) {
        self.streams.clear();
        (self.outside, self.closings) = (0, 0);
    }

    /// Takes what has come, cut into frames where it can be, and sends what finds room; whether
    /// something was sent. Once QEMU has closed, nothing more is read until that has been reported.
    ///
    /// # Errors
    /// When a client can't connect, whatever room there is.
    pub(super) fn pump(&mut self, out: &mut Vec<Out>) -> io::Result<bool> {
        let knocked = self.knock()?;
        let Some(stream) = self.streams.front_mut() else {
            return Ok(knocked);
        };
        let moved = stream.flush() || knocked;
        // Nobody waits for more: what is there is read to its end.
        self.stalled = self.stalled && !stream.is_hung_up();
        if self.stalled || self.closings > 0 {
            return Ok(moved);
        }
        let mut whole = Vec::new();
        let closed = stream.read(&mut self.cutter.bytes);
        self.cutter.cut(&mut whole);
        if closed {
            whole.extend(self.rest());
            self.close();
        }
        out.extend(whole.into_iter().map(|bytes| self.arrival(bytes)));
        self.closings += usize::from(closed);
        Ok(moved)
    }

    /// What came out of it, and the frame in it.
    pub(super) fn arrival(&self, bytes: Vec<u8>) -> Out {
        let bytes = Bytes::from(bytes);
        let header = self.wiring.vnet_hdr_len + header_len(self.wiring.framing);
        let data = bytes.slice(header.min(bytes.len())..);
        Out::Arrived(self.port.clone(), Item::Bytes(bytes), data)
    }

    /// The beginning of a frame whose rest has not arrived.
    pub(super) fn rest(&mut self) -> Option<Vec<u8>> {
        self.cutter.rest()
    }
}

/// What becomes of a client that connects.
enum Knocked {
    In(UnixStream),
    /// QEMU's backlog takes no more (listen(2): QEMU 7.2.22 `chardev/char-socket.c` asks for one,
    /// and Linux takes one more).
    Full,
    Nobody,
}

/// Connects without waiting for room.
fn client(path: &Path) -> io::Result<Knocked> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    match connect(socket.as_raw_fd(), &UnixAddr::new(path)?) {
        Ok(()) => Ok(Knocked::In(socket.into())),
        Err(Errno::EAGAIN) => Ok(Knocked::Full),
        Err(Errno::ENOENT | Errno::ECONNREFUSED) => Ok(Knocked::Nobody),
        Err(errno) => Err(errno.into()),
    }
}

/// Bytes in front of a frame and its virtio-net header.
const fn header_len(framing: Framing) -> usize {
    match framing {
        Framing::Plain => 4,
        Framing::Vnet => 8,
        Framing::Raw | Framing::Pcap => 0,
    }
}

/// Cuts a byte stream into frames, so that each is recorded by itself; the bytes are not changed.
#[derive(Debug)]
pub(super) struct Cutter {
    pub(super) bytes: Vec<u8>,
    header: usize,
    /// Bytes of the current frame that are still to come and are passed on as they come.
    owed: usize,
}

impl Cutter {
    pub(super) fn new(framing: Framing) -> Self {
        Self { bytes: Vec::new(), header: header_len(framing), owed: 0 }
    }

    pub(super) fn cut(&mut self, whole: &mut Vec<Vec<u8>>) {
        if self.header == 0 {
            if !self.bytes.is_empty() {
                whole.push(std::mem::take(&mut self.bytes));
            }
            return;
        }
        if self.owed > 0 {
            let length = self.owed.min(self.bytes.len());
            self.owed -= length;
            if length > 0 {
                whole.push(self.bytes.drain(..length).collect());
            }
        }
        while let Some(word) = self.bytes.first_chunk::<4>() {
            let length = self.header + u32::from_be_bytes(*word) as usize;
            if self.bytes.len() < length {
                return;
            }
            whole.push(self.bytes.drain(..length).collect());
        }
    }

    fn rest(&mut self) -> Option<Vec<u8>> {
        if self.bytes.is_empty() {
            return None;
        }
        // Where the length itself is cut through, what follows can't be separated any more.
        match self.bytes.first_chunk::<4>() {
            Some(word) => {
                let length = self.header + u32::from_be_bytes(*word) as usize;
                self.owed = length.saturating_sub(self.bytes.len());
            }
            None => self.header = 0,
        }
        Some(std::mem::take(&mut self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_is_stalled_reads_on_once_the_other_has_closed() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let port = PortId::from("out0");
        let raw = Wiring { framing: Framing::Raw, vnet_hdr_len: 0 };
        let mut end = FarEnd::new(port, raw, Side::Server, PathBuf::new());
        end.streams.push_back(Stream::new(ours).unwrap());
        end.stalled = true;
        let mut theirs = Stream::new(theirs).unwrap();
        theirs.write(b"last words");
        let mut out = Vec::new();
        end.pump(&mut out).unwrap();
        assert!(out.is_empty() && end.stalled);
        theirs.close();
        end.pump(&mut out).unwrap();
        assert!(
            matches!(&out[..], [Out::Arrived(_, Item::Bytes(bytes), _)] if bytes[..] == *b"last words")
        );
        assert_eq!(end.take_closings(), 1);
    }

    #[test]
    fn clients_that_find_no_room_come_in_when_there_is_some_and_are_told_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let backlog = nix::sys::socket::Backlog::new(1).unwrap();
        nix::sys::socket::listen(&listener, backlog).unwrap();
        let port = PortId::from("out0");
        let mut end = FarEnd::new(port, Wiring::default(), Side::Server, path.clone());
        (0..4).for_each(|_| end.open().unwrap());
        assert_eq!((end.streams.len(), end.outside), (2, 2));
        assert!(!end.pump(&mut Vec::new()).unwrap());
        let served = listener.accept().unwrap();
        assert!(end.pump(&mut Vec::new()).unwrap());
        assert_eq!((end.streams.len(), end.outside), (3, 1));
        drop((listener, served));
        std::fs::remove_file(&path).unwrap();
        let mut ended = 0;
        while !end.streams.is_empty() || end.outside > 0 {
            end.pump(&mut Vec::new()).unwrap();
            ended += end.take_closings();
        }
        assert_eq!(ended, 4);
    }

    #[test]
    fn a_stream_is_cut_into_frames_wherever_it_was_torn() {
        let stream = b"\0\0\0\x02ab\0\0\0\0\0\0\0\x03abc";
        for at in 0..stream.len() {
            let mut cutter = Cutter::new(Framing::Plain);
            let mut whole = Vec::new();
            cutter.bytes.extend_from_slice(&stream[..at]);
            cutter.cut(&mut whole);
            cutter.bytes.extend_from_slice(&stream[at..]);
            cutter.cut(&mut whole);
            assert_eq!(whole, [&stream[..6], &stream[6..10], &stream[10..]]);
        }
    }

    #[test]
    fn what_is_left_over_is_not_counted_twice() {
        let mut cutter = Cutter::new(Framing::Plain);
        let mut whole = Vec::new();
        cutter.bytes.extend_from_slice(b"\0\0\0\x04ab");
        cutter.cut(&mut whole);
        assert_eq!(cutter.rest().unwrap(), b"\0\0\0\x04ab");
        cutter.bytes.extend_from_slice(b"cd\0\0\0\x01x");
        cutter.cut(&mut whole);
        assert_eq!(whole, [&b"cd"[..], b"\0\0\0\x01x"]);
    }
}
