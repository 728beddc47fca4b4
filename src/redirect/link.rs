//! The connection of a chardev: one at a time, as QEMU's socket has it. A server takes the next
//! client when the last one is gone; a client tries again after its time.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::{
            fs::FileTypeExt,
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    time::Instant,
};

use nix::{
    errno::Errno,
    poll::PollFlags,
    sys::socket::{
        AddressFamily, SockFlag, SockType, SockaddrStorage, UnixAddr, connect, getpeername,
        getsockopt, setsockopt, socket, sockopt,
    },
};

use super::{Chardev, RedirectError, address::Address};

/// A chardev and its connection.
#[derive(Debug)]
pub(super) struct Link {
    chardev: Chardev,
    listener: Option<Listener>,
    state: State,
    /// Connections that there have been.
    connections: u64,
}

#[derive(Debug)]
enum State {
    /// A server without a client.
    Listening,
    /// A client that tries again then.
    Waiting(Instant),
    Connecting(OwnedFd),
    Connected(OwnedFd),
    /// A client that does not try again.
    Over,
}

/// What became of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    None,
    Connected,
}

impl Link {
    /// Listens, or connects for the first time.
    ///
    /// # Errors
    /// When it can't listen, or a client that does not try again can't connect.
    pub(super) fn open(chardev: &Chardev) -> Result<Self, RedirectError> {
        let mut link = Self {
            listener: None,
            state: State::Listening,
            chardev: chardev.clone(),
            connections: 0,
        };
        if chardev.server {
            let listener = Listener::open(&chardev.address);
            link.listener = Some(listener.map_err(RedirectError::system(chardev.to_string()))?);
        } else {
            link.state = State::Waiting(Instant::now());
            link.attempt()?;
        }
        Ok(link)
    }

    pub(super) fn chardev(&self) -> &Chardev {
        &self.chardev
    }

    pub(super) fn connected(&self) -> Option<BorrowedFd<'_>> {
        match &self.state {
            State::Connected(fd) => Some(fd.as_fd()),
            _ => None,
        }
    }

    /// Connections after the first.
    pub(super) const fn reconnects(&self) -> u64 {
        self.connections.saturating_sub(1)
    }

    /// What to wait for until there is a connection.
    pub(super) fn awaited(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        match &self.state {
            State::Listening => {
                self.listener.as_ref().map(|listener| (listener.as_fd(), PollFlags::POLLIN))
            }
            State::Connecting(fd) => Some((fd.as_fd(), PollFlags::POLLOUT)),
            _ => None,
        }
    }

    /// When to try again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Waiting(until) => Some(until),
            _ => None,
        }
    }

    /// Accepts, connects or finishes connecting, if that can be done now.
    ///
    /// # Errors
    /// [`RedirectError::Over`] for a client that does not try again; the system's for a listener
    /// that breaks.
    pub(super) fn advance(&mut self, now: Instant) -> Result<Change, RedirectError> {
        match &self.state {
            State::Listening => {
                let accepted = self.listener.as_ref().map(Listener::accept).transpose();
                let accepted = accepted.map_err(RedirectError::system(self.chardev.to_string()))?;
                if let Some(fd) = accepted.flatten() {
                    self.connect(fd);
                    return Ok(Change::Connected);
                }
            }
            State::Waiting(until) if *until <= now => return self.attempt(),
            State::Connecting(fd) => match is_connected(fd) {
                Ok(true) => return Ok(self.finish()),
                Ok(false) => {}
                Err(errno) => self.fail(errno)?,
            },
            _ => {}
        }
        Ok(Change::None)
    }

    /// The connection is over.
    ///
    /// # Errors
    /// [`RedirectError::Over`] for a client that does not try again.
    pub(super) fn lose(&mut self, reason: &str) -> Result<(), RedirectError> {
        if self.listener.is_some() {
            self.state = State::Listening;
            return Ok(());
        }
        self.wait_or_end(reason)
    }

    fn wait_or_end(&mut self, reason: &str) -> Result<(), RedirectError> {
        let Some(pause) = self.chardev.reconnect else {
            self.state = State::Over;
            let chardev = self.chardev.to_string();
            return Err(RedirectError::Over { chardev, reason: reason.to_owned() });
        };
        self.state = State::Waiting(Instant::now() + pause);
        Ok(())
    }

    fn attempt(&mut self) -> Result<Change, RedirectError> {
        let attempted = match &self.chardev.address {
            Address::Unix(path) => connect_unix(path),
            // Each attempt takes the next address.
            Address::Tcp(addresses) => {
                addresses.first().map_or(Err(Errno::EADDRNOTAVAIL), |first| connect_tcp(*first))
            }
        };
        if let Address::Tcp(addresses) = &mut self.chardev.address {
            addresses.rotate_left(1);
        }
        match attempted {
            Ok((fd, true)) => {
                self.connect(fd);
                Ok(Change::Connected)
            }
            Ok((fd, false)) => {
                self.state = State::Connecting(fd);
                Ok(Change::None)
            }
            Err(errno) => self.fail(errno).map(|()| Change::None),
        }
    }

    fn fail(&mut self, errno: Errno) -> Result<(), RedirectError> {
        self.wait_or_end(errno.desc())
    }

    fn finish(&mut self) -> Change {
        match std::mem::replace(&mut self.state, State::Listening) {
            State::Connecting(fd) => {
                self.connect(fd);
                Change::Connected
            }
            other => {
                self.state = other;
                Change::None
            }
        }
    }

    fn connect(&mut self, fd: OwnedFd) {
        if matches!(self.chardev.address, Address::Tcp(_)) {
            // Frames wait for nothing. What refuses this sends them all the same.
            let _ = setsockopt(&fd, sockopt::TcpNoDelay, &true);
        }
        self.connections += 1;
        self.state = State::Connected(fd);
    }
}

/// A listening socket, whose name goes with it.
#[derive(Debug)]
pub(super) enum Listener {
    Unix(UnixListener, PathBuf),
    Tcp(TcpListener),
}

impl Listener {
    fn open(address: &Address) -> io::Result<Self> {
        match address {
            Address::Unix(path) => Self::unix(path),
            Address::Tcp(addresses) => {
                let listener = TcpListener::bind(addresses.as_slice())?;
                listener.set_nonblocking(true)?;
                Ok(Self::Tcp(listener))
            }
        }
    }

    /// Listens at a path. A socket that nobody serves any more is no obstacle: a process that was
    /// killed leaves one.
    ///
    /// # Errors
    /// EADDRINUSE where somebody serves it, or what is there is no socket.
    pub(super) fn unix(path: &Path) -> io::Result<Self> {
        let is_socket = fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_socket());
        let is_served = || UnixStream::connect(path).is_ok();
        if is_socket && !is_served() {
            fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        Ok(Self::Unix(listener, path.to_owned()))
    }

    /// The next client, if one waits.
    ///
    /// # Errors
    /// When the system refuses for another reason than that a client has gone again.
    pub(super) fn accept(&self) -> io::Result<Option<OwnedFd>> {
        let accepted = match self {
            Self::Unix(listener, _) => listener.accept().and_then(|(client, _)| {
                client.set_nonblocking(true)?;
                Ok(OwnedFd::from(client))
            }),
            Self::Tcp(listener) => listener.accept().and_then(|(client, _)| {
                client.set_nonblocking(true)?;
                Ok(OwnedFd::from(client))
            }),
        };
        match accepted {
            Ok(client) => Ok(Some(client)),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::Interrupted => Ok(None),
                _ => Err(error),
            },
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Unix(listener, _) => listener.as_fd(),
            Self::Tcp(listener) => listener.as_fd(),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            // Where it is gone already, or may not be removed any more, the next server removes it.
            let _ = fs::remove_file(path);
        }
    }
}

/// Whether a socket that was connecting is connected, or why it never will be.
fn is_connected(fd: &OwnedFd) -> Result<bool, Errno> {
    match getsockopt(fd, sockopt::SocketError)? {
        0 => {}
        errno => return Err(Errno::from_raw(errno)),
    }
    match getpeername::<SockaddrStorage>(fd.as_raw_fd()) {
        Ok(_) => Ok(true),
        Err(Errno::ENOTCONN) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// A socket, and whether it is connected already.
fn connect_unix(path: &Path) -> Result<(OwnedFd, bool), Errno> {
    let address = UnixAddr::new(path)?;
    // A server whose backlog is full says EAGAIN, which is a failure.
    let fd = stream(AddressFamily::Unix)?;
    connect(fd.as_raw_fd(), &address)?;
    Ok((fd, true))
}

fn connect_tcp(address: SocketAddr) -> Result<(OwnedFd, bool), Errno> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let fd = stream(family)?;
    match connect(fd.as_raw_fd(), &SockaddrStorage::from(address)) {
        Ok(()) => Ok((fd, true)),
        Err(Errno::EINPROGRESS) => Ok((fd, false)),
        Err(errno) => Err(errno),
    }
}

fn stream(family: AddressFamily) -> Result<OwnedFd, Errno> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    socket(family, SockType::Stream, flags, None)
}
