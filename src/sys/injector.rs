//! A packet socket that only sends. `redirect` injects with it.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use nix::{errno::Errno, libc};

use super::{
    FrameError, Granted, InterfaceIndex,
    option::{self},
    packet::{bind, raw_socket},
    ring::set_vnet_hdr,
};

/// How an injector is opened.
#[derive(Clone, Copy, Debug)]
pub struct InjectorOptions {
    /// Each frame comes with a virtio-net header of 10 bytes.
    pub vnet_hdr: bool,
    /// `PACKET_QDISC_BYPASS`: frames go to the driver at once. It says when its queue is full, and
    /// no other packet socket sees them. Super-frames that the interface can't take whole are refused
    /// then (Linux 6.18 `net/core/dev.c`, `__dev_direct_xmit`).
    pub bypass: bool,
}

/// A packet socket without a protocol, which receives nothing.
#[derive(Debug)]
pub struct Injector {
    fd: OwnedFd,
    vnet_hdr: bool,
}

/// What may be in flight, in bytes of the kernel's. A TAP's queue does not count, a card's does.
const SEND_BUFFER: libc::c_int = 4 << 20;

impl Injector {
    /// Opens one on an interface of the process's network namespace.
    ///
    /// # Errors
    /// EPERM without CAP_NET_RAW; ENODEV or ENXIO when the interface is gone.
    pub fn open(_: Granted, index: InterfaceIndex, options: InjectorOptions) -> io::Result<Self> {
        let fd = raw_socket()?;
        set_vnet_hdr(&fd, options.vnet_hdr)?;
        if options.bypass {
            let on: libc::c_int = 1;
            option::set(&fd, libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, &on)?;
        }
        match option::set(&fd, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, &SEND_BUFFER) {
            Err(Errno::EPERM) => {
                option::set(&fd, libc::SOL_SOCKET, libc::SO_SNDBUF, &SEND_BUFFER)?;
            }
            other => other?,
        }
        let injector = Self { fd, vnet_hdr: options.vnet_hdr };
        injector.bind(index)?;
        Ok(injector)
    }

    /// Sends on this interface from now on. Needs no privilege.
    ///
    /// # Errors
    /// ENODEV or ENXIO when it is gone.
    pub fn bind(&self, index: InterfaceIndex) -> io::Result<()> {
        Ok(bind(&self.fd, index, 0)?)
    }

    /// Whether each frame needs a virtio-net header.
    #[must_use]
    pub fn has_vnet_hdr(&self) -> bool {
        self.vnet_hdr
    }

    /// Takes the error that waits at the socket, which the next frame would meet:
    /// [`FrameError::Down`] after the interface went down or was deleted.
    ///
    /// # Errors
    /// When the socket can't be asked.
    pub fn take_error(&self) -> io::Result<Option<FrameError>> {
        let errno: libc::c_int = option::get(&self.fd, libc::SOL_SOCKET, libc::SO_ERROR)?;
        Ok((errno != 0).then(|| Errno::from_raw(errno).into()))
    }
}

impl AsFd for Injector {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
