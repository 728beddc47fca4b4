//! The kernel's routing socket, asked and answered on the calling thread. `Network` puts its requests
//! on it, the proof that a world may be used again reads raw answers from it, and `redirect` asks it for
//! filters of traffic control.

use std::{
    cell::{Cell, RefCell},
    fmt, io,
    os::fd::{AsFd, AsRawFd},
    time::Instant,
};

use netlink_packet_core::{
    ErrorMessage, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkHeader,
    NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};
use nix::{
    errno::Errno,
    libc,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use super::{Granted, InterfaceIndex, InterfaceName, Isolated};

/// Room for one read, in bytes: the kernel cuts dumps into pieces that fit (Linux 6.18
/// `net/netlink/af_netlink.c`, `netlink_dump`), and an interface alone takes less than 4 KiB.
const ROOM: usize = 16 << 10;

/// A socket in the network namespace of the thread that opened it. The kernel answers a request
/// before it returns from taking it, so nothing here waits.
pub struct Netlink {
    socket: Socket,
    sequence: Cell<u32>,
    received: RefCell<Vec<u8>>,
}

impl fmt::Debug for Netlink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Netlink").field("socket", &self.socket.as_raw_fd()).finish_non_exhaustive()
    }
}

impl Netlink {
    /// In the calling thread's namespace, where it stays.
    ///
    /// # Errors
    /// When there is no socket to be had.
    pub fn open(_: &Isolated) -> io::Result<Self> {
        Self::new()
    }

    /// The same where the command line has named the interfaces.
    ///
    /// # Errors
    /// When there is no socket to be had.
    pub fn granted(_: Granted) -> io::Result<Self> {
        Self::new()
    }

    /// The number of the interface of this name, in the socket's namespace. It costs a fraction of what
    /// [`Netlink::ask`] does, which is given all that there is to know of the interface.
    ///
    /// # Errors
    /// ENODEV when there is none.
    pub fn index_of(&self, name: &InterfaceName) -> io::Result<u32> {
        InterfaceIndex::asked(&self.socket, name).map(InterfaceIndex::get)
    }

    fn new() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        let received = RefCell::new(Vec::with_capacity(ROOM));
        Ok(Self { socket, sequence: Cell::new(0), received })
    }

    /// Asks for one thing, and gives what the kernel sent before its acknowledgement.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn ask(
        &self,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> io::Result<Vec<RouteNetlinkMessage>> {
        let mut sent = Vec::new();
        let sequence = self.append(&mut sent, message, flags | NLM_F_REQUEST | NLM_F_ACK);
        self.send(&sent)?;
        let mut answers = Vec::new();
        let mut ended = None;
        while ended.is_none() {
            self.receive(|header, message| {
                if header.sequence_number == sequence {
                    match NetlinkMessage::<RouteNetlinkMessage>::deserialize(message) {
                        Ok(message) => match message.payload {
                            NetlinkPayload::InnerMessage(answer) => answers.push(answer),
                            NetlinkPayload::Done(_) => ended = Some(Ok(())),
                            NetlinkPayload::Error(error) => ended = Some(result(&error)),
                            _ => {}
                        },
                        Err(error) => ended = Some(Err(io::Error::other(error))),
                    }
                }
            })?;
        }
        ended.unwrap_or(Ok(())).map(|()| answers)
    }

    /// Asks for several things in one call, which the kernel does in their order.
    ///
    /// # Errors
    /// The position of the first that the kernel refused, and why. It has done the others.
    pub fn ask_all(
        &self,
        messages: Vec<(RouteNetlinkMessage, u16)>,
    ) -> Result<(), (usize, io::Error)> {
        let mut sent = Vec::new();
        let first = self.sequence.get() + 1;
        let count = messages.len();
        for (message, flags) in messages {
            self.append(&mut sent, message, flags | NLM_F_REQUEST | NLM_F_ACK);
        }
        if count == 0 {
            return Ok(());
        }
        self.send(&sent).map_err(|error| (0, error))?;
        let mut refused: Option<(usize, io::Error)> = None;
        let mut acknowledged = 0;
        while acknowledged < count {
            let received = self.receive(|header, message| {
                let Some(at) = header.sequence_number.checked_sub(first) else { return };
                let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(message);
                let outcome = match answer.map(|answer| answer.payload) {
                    Ok(NetlinkPayload::Error(error)) => result(&error),
                    Ok(_) => return,
                    Err(error) => Err(io::Error::other(error)),
                };
                acknowledged += 1;
                if let (Err(error), None) = (outcome, &refused) {
                    refused = Some((usize::try_from(at).unwrap_or(0), error));
                }
            });
            received.map_err(|error| (0, error))?;
        }
        refused.map_or(Ok(()), Err)
    }

    /// Everything that the kernel tells of a kind of objects: `body` is what stands behind the
    /// header of the request, and `each` gets an answer's kind and what stands behind its header.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn dump(&self, kind: u16, body: &[u8], mut each: impl FnMut(u16, &[u8])) -> io::Result<()> {
        let length = u32::try_from(HEADER + body.len()).map_err(io::Error::other)?;
        let sequence = self.next();
        let mut sent = Vec::new();
        sent.extend(length.to_ne_bytes());
        sent.extend(kind.to_ne_bytes());
        sent.extend((NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
        sent.extend(sequence.to_ne_bytes());
        sent.extend([0; 4]);
        sent.extend(body);
        self.send(&sent)?;
        let mut ended = None;
        while ended.is_none() {
            self.receive(|answer, message| {
                if answer.sequence_number != sequence {
                    return;
                }
                match answer.message_type {
                    NLMSG_DONE => ended = Some(Ok(())),
                    NLMSG_ERROR => {
                        let number = message.get(HEADER..HEADER + 4).and_then(|bytes| {
                            Some(i32::from_ne_bytes(bytes.try_into().ok()?).wrapping_neg())
                        });
                        ended = Some(Err(io::Error::from_raw_os_error(number.unwrap_or(0))));
                    }
                    kind => each(kind, message.get(HEADER..).unwrap_or_default()),
                }
            })?;
        }
        ended.unwrap_or(Ok(()))
    }

    fn next(&self) -> u32 {
        let next = self.sequence.get() + 1;
        self.sequence.set(next);
        next
    }

    fn append(&self, to: &mut Vec<u8>, message: RouteNetlinkMessage, flags: u16) -> u32 {
        let mut message = NetlinkMessage::from(message);
        message.header.flags = flags;
        message.header.sequence_number = self.next();
        message.finalize();
        let (start, length) = (to.len(), message.buffer_len());
        to.resize(start + length.next_multiple_of(ALIGNED), 0);
        message.serialize(&mut to[start..start + length]);
        message.header.sequence_number
    }

    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        self.socket.send(bytes, 0).map(drop)
    }

    /// Reads once, and gives each message with its header.
    fn receive(&self, mut each: impl FnMut(&NetlinkHeader, &[u8])) -> io::Result<()> {
        let mut received = self.received.borrow_mut();
        received.clear();
        self.socket.recv(&mut *received, libc::MSG_DONTWAIT)?;
        let mut rest = received.as_slice();
        while rest.len() >= HEADER {
            let header = header_of(rest)?;
            let length = header.length as usize;
            if length < HEADER || length > rest.len() {
                return Err(io::ErrorKind::InvalidData.into());
            }
            each(&header, &rest[..length]);
            rest = rest.get(length.next_multiple_of(ALIGNED)..).unwrap_or_default();
        }
        Ok(())
    }
}

/// Bytes of `struct nlmsghdr`.
const HEADER: usize = 16;

/// Messages begin at multiples of this (`NLMSG_ALIGNTO`).
const ALIGNED: usize = 4;

fn header_of(message: &[u8]) -> io::Result<NetlinkHeader> {
    let word = |at: usize| message.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
    let half = |at: usize| message.get(at..at + 2).and_then(|bytes| bytes.try_into().ok());
    let parsed = || {
        let mut header = NetlinkHeader::default();
        header.length = u32::from_ne_bytes(word(0)?);
        header.message_type = u16::from_ne_bytes(half(4)?);
        header.flags = u16::from_ne_bytes(half(6)?);
        header.sequence_number = u32::from_ne_bytes(word(8)?);
        Some(header)
    };
    parsed().ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn result(error: &ErrorMessage) -> io::Result<()> {
    if error.code.is_none() { Ok(()) } else { Err(error.to_io()) }
}

/// Changes of links and IPv6 addresses, from when it was opened.
#[derive(Debug)]
pub struct Changes(Socket);

impl Changes {
    /// Of the calling thread's namespace.
    ///
    /// # Errors
    /// When there is no socket to be had.
    pub fn listen() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        for group in [libc::RTNLGRP_LINK, libc::RTNLGRP_IPV6_IFADDR] {
            socket.add_membership(group)?;
        }
        Ok(Self(socket))
    }

    /// Waits for the next, and takes all that are there.
    ///
    /// # Errors
    /// ETIMEDOUT when there was none until then.
    pub fn wait(&self, until: Instant) -> io::Result<()> {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let mut scrap = Vec::with_capacity(ROOM);
        loop {
            scrap.clear();
            match self.0.recv(&mut scrap, libc::MSG_DONTWAIT) {
                Ok(_) => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}
