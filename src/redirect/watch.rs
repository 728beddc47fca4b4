//! Interfaces by name: whether they are TAPs, and when one of a name appears, which the kernel tells
//! on a socket of rtnetlink(7).

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
    },
};

use crate::sys::{InterfaceIndex, InterfaceName, is_up};

/// The kernel chooses the socket's own number.
const BY_KERNEL: u32 = 0;

/// Links that appear, change and go: `RTMGRP_LINK`.
const LINKS: u32 = 1;

/// The kernel's notices of links.
#[derive(Debug)]
pub(super) struct Watch(OwnedFd);

impl Watch {
    pub(super) fn open() -> io::Result<Self> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let protocol = SockProtocol::NetlinkRoute;
        let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
        let address = NetlinkAddr::new(BY_KERNEL, LINKS);
        bind(fd.as_raw_fd(), &address)?;
        Ok(Self(fd))
    }

    /// Takes what waits. It says that something changed; what, is asked of the kernel.
    pub(super) fn drain(&self) -> io::Result<()> {
        let mut scratch = [0; 8192];
        loop {
            match recv(self.0.as_raw_fd(), &mut scratch, MsgFlags::MSG_DONTWAIT) {
                // Notices that were lost change nothing: the kernel is asked all the same.
                Ok(_) | Err(Errno::ENOBUFS | Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(()),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// An interface that is known by its name.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) name: InterfaceName,
    /// The one that the socket is bound to; none where that is gone.
    bound: Option<InterfaceIndex>,
    up: bool,
}

/// What became of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Same,
    /// It is down now, and was up.
    Down,
    /// It is up again.
    Up,
    Gone,
    /// Another one has the name now, to which a socket has yet to be bound, or a filter to be set.
    Other(InterfaceIndex),
}

impl Named {
    pub(super) fn new(name: InterfaceName, bound: InterfaceIndex) -> Self {
        let up = is_up(&name).unwrap_or(false);
        Self { name, bound: Some(bound), up }
    }

    /// Looks the name up again.
    pub(super) fn look(&mut self) -> io::Result<Found> {
        match InterfaceIndex::of(&self.name) {
            Ok(index) if self.bound == Some(index) => {
                // One that goes in between is told of by the next notice.
                let up = is_up(&self.name).unwrap_or(false);
                let was_up = std::mem::replace(&mut self.up, up);
                Ok(match (was_up, up) {
                    (true, false) => Found::Down,
                    (false, true) => Found::Up,
                    _ => Found::Same,
                })
            }
            Ok(index) => Ok(Found::Other(index)),
            Err(error) if is_gone(&error) => {
                Ok(if self.bound.take().is_some() { Found::Gone } else { Found::Same })
            }
            Err(error) => Err(error),
        }
    }

    /// The one that it was last found to be; none where that is gone.
    pub(super) const fn bound(&self) -> Option<InterfaceIndex> {
        self.bound
    }

    /// A socket is bound to this one, or a filter is to be set.
    pub(super) fn bind(&mut self, index: InterfaceIndex) {
        *self = Self::new(self.name.clone(), index);
    }
}

/// Whether there is no such interface, or no such one any more.
pub(super) fn is_gone(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::ENODEV | Errno::ENXIO))
}
