//! The kernel's vhost-net, driven without QEMU: it carries frames between a TAP and our own rings (Linux 6.1
//! and 6.18, `drivers/vhost/net.c`, `include/uapi/linux/vhost.h`).
//!
//! What it does is waited for by [`VhostNet::flush`], which the kernel answers when all work is done that was
//! due: a notification of ours and a frame in the TAP's queue are due as soon as the call that caused them
//! has returned.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, RawFd},
        unix::fs::OpenOptionsExt,
    },
};

use nix::{errno::Errno, libc};

use super::{NetDriver, NetError, NetOptions, NetReceived};
use crate::sys::{Tap, TapHeader};

/// `include/uapi/linux/vhost.h` of Linux 6.18.
mod ioctl {
    use nix::{libc::c_int, request_code_write};

    use super::{MemoryTable, VringAddress, VringFile, VringState};

    const VHOST: u8 = 0xaf;

    nix::ioctl_none!(set_owner, VHOST, 0x01);
    nix::ioctl_write_ptr!(set_features, VHOST, 0x00, u64);
    // The number counts the table's head, and not what follows it.
    nix::ioctl_write_ptr_bad!(set_mem_table, request_code_write!(VHOST, 0x03, 8), MemoryTable);
    nix::ioctl_write_ptr!(set_log_fd, VHOST, 0x07, c_int);
    nix::ioctl_write_ptr!(set_vring_num, VHOST, 0x10, VringState);
    nix::ioctl_write_ptr!(set_vring_addr, VHOST, 0x11, VringAddress);
    nix::ioctl_write_ptr!(set_vring_base, VHOST, 0x12, VringState);
    nix::ioctl_write_ptr!(set_vring_kick, VHOST, 0x20, VringFile);
    nix::ioctl_write_ptr!(set_vring_call, VHOST, 0x21, VringFile);
    nix::ioctl_write_ptr!(net_set_backend, VHOST, 0x30, VringFile);
}

/// `struct vhost_memory` with one region.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct MemoryTable {
    regions: u32,
    padding: u32,
    guest_address: u64,
    size: u64,
    user_address: u64,
    flags: u64,
}

/// `struct vhost_vring_state`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct VringState {
    index: u32,
    number: u32,
}

/// `struct vhost_vring_addr`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct VringAddress {
    index: u32,
    flags: u32,
    descriptors: u64,
    used: u64,
    available: u64,
    log: u64,
}

/// `struct vhost_vring_file`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct VringFile {
    index: u32,
    fd: RawFd,
}

/// `VIRTIO_F_VERSION_1` and `VIRTIO_NET_F_MRG_RXBUF`. The header is the TAP's own:
/// `VHOST_NET_F_VIRTIO_NET_HDR` would have vhost-net make another.
const FEATURES: u64 = 1 << 32 | 1 << 15;

/// `VHOST_FILE_UNBIND`: no descriptor.
const NOTHING: RawFd = -1;

/// Buffers of each queue, as QEMU has them.
const BUFFERS: u16 = 256;

/// The queues, by what the guest does with them.
const RECEIVE: u32 = 0;
const TRANSMIT: u32 = 1;

/// vhost-net could not be had, or failed.
#[derive(Debug, thiserror::Error)]
#[error("vhost-net: {what}: {source}")]
pub struct VhostError {
    what: &'static str,
    source: io::Error,
}

/// A guest's end of a TAP that vhost-net serves.
#[derive(Debug)]
pub struct VhostNet {
    /// Declared first: once it is closed the kernel knows the memory no more.
    device: File,
    driver: NetDriver,
    /// By queue: what notifies the device, and what it notifies.
    kicks: [File; 2],
    calls: [File; 2],
}

impl VhostNet {
    /// Where vhost-net is.
    pub const DEVICE: &str = "/dev/vhost-net";

    /// Opens the device, if there is one.
    ///
    /// # Errors
    /// When it is not there, or not for this user.
    pub fn device() -> io::Result<File> {
        OpenOptions::new().read(true).write(true).custom_flags(libc::O_CLOEXEC).open(Self::DEVICE)
    }

    /// Has vhost-net serve a TAP, whose header is the long one. Nobody else may read or write the TAP as
    /// long as this lives.
    ///
    /// # Errors
    /// See [`VhostError`].
    pub fn serve(tap: &Tap) -> Result<Self, VhostError> {
        if tap.header() != TapHeader::Long {
            return Err(failed("the TAP's header")(Errno::EINVAL.into()));
        }
        let device = Self::device().map_err(failed(Self::DEVICE))?;
        let options =
            NetOptions { header: TapHeader::Long.len(), mergeable: true, buffers: BUFFERS };
        let driver = NetDriver::new(options).map_err(failed("memory for rings"))?;
        let event = || event().map_err(failed("an eventfd"));
        let (kicks, calls) = ([event()?, event()?], [event()?, event()?]);
        let mut served = Self { device, driver, kicks, calls };
        served.set_up()?;
        served.start(tap)?;
        Ok(served)
    }

    /// Puts a frame into the transmit ring, and waits until vhost-net has had its turn: how many frames
    /// it has still to send then, which are more than none when it is stuck, or stopped.
    ///
    /// # Errors
    /// [`NetError`] as an [`io::Error`], and a failure to wait.
    pub fn send(&mut self, header: &[u8], frame: &[u8]) -> io::Result<u16> {
        self.driver.send(header, frame).map_err(io::Error::other)?;
        self.notify(TRANSMIT)?;
        self.settle_transmit()
    }

    /// The next frame that came.
    ///
    /// # Errors
    /// What vhost-net did wrong.
    pub fn receive(&mut self) -> Result<Option<NetReceived>, NetError> {
        self.driver.receive()
    }

    /// Gives vhost-net the receive buffers that are free, and waits until it has had its turn; whether
    /// frames have come meanwhile.
    ///
    /// # Errors
    /// When there is no waiting.
    pub fn refill(&mut self) -> io::Result<bool> {
        if self.driver.refill() {
            self.notify(RECEIVE)?;
        }
        self.flush()?;
        Ok(self.driver.has_received())
    }

    /// Waits until vhost-net has done all that was due.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn flush(&self) -> io::Result<()> {
        for call in &self.calls {
            // It is readable again when more has come.
            quench(call)?;
        }
        // Every call about the device that is none about a ring waits for the work in `vhost_net_flush`;
        // this one changes nothing.
        // SAFETY: the kernel reads one `int`, which lives through the call.
        unsafe { ioctl::set_log_fd(self.device.as_raw_fd(), &raw const NO_LOG) }?;
        Ok(())
    }

    /// Carries frames from now on, as it does when it is made, between the rings and a TAP whose header is
    /// the long one.
    ///
    /// # Errors
    /// When the kernel refuses, as it does when the interface is gone.
    pub fn start(&mut self, tap: &Tap) -> Result<(), VhostError> {
        self.set_backend(tap.as_fd().as_raw_fd()).map_err(failed("VHOST_NET_SET_BACKEND"))
    }

    /// Carries no frames: those for the guest stay in the TAP's queue, those of the guest in the ring.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn stop(&mut self) -> Result<(), VhostError> {
        self.set_backend(NOTHING).map_err(failed("VHOST_NET_SET_BACKEND"))
    }

    /// Readable when a frame has come for the guest.
    #[must_use]
    pub fn received(&self) -> BorrowedFd<'_> {
        self.calls[0].as_fd()
    }

    /// Flushes until nothing is left to send, or a whole turn has sent nothing.
    fn settle_transmit(&mut self) -> io::Result<u16> {
        let mut left = self.driver.reclaim().map_err(io::Error::other)?;
        // One turn may have begun before the last notification.
        let mut idle = 0;
        while left > 0 && idle < 2 {
            self.flush()?;
            let now = self.driver.reclaim().map_err(io::Error::other)?;
            idle = if now < left { 0 } else { idle + 1 };
            left = now;
        }
        Ok(left)
    }

    fn notify(&self, queue: u32) -> io::Result<()> {
        let kick = if queue == RECEIVE { &self.kicks[0] } else { &self.kicks[1] };
        (&*kick).write_all(&1_u64.to_ne_bytes())
    }

    fn set_backend(&self, tap: RawFd) -> io::Result<()> {
        for index in [RECEIVE, TRANSMIT] {
            let file = VringFile { index, fd: tap };
            // SAFETY: the kernel reads one `vhost_vring_file`, which lives through the call. The TAP's
            // descriptor is open, or the call fails: the kernel keeps its own reference.
            unsafe { ioctl::net_set_backend(self.device.as_raw_fd(), &raw const file) }?;
        }
        Ok(())
    }

    /// Tells the kernel of the memory and the rings.
    fn set_up(&mut self) -> Result<(), VhostError> {
        let fd = self.device.as_raw_fd();
        let memory = self.driver.memory();
        let address = memory.address();
        // Buffers have the addresses of this process.
        let table = MemoryTable {
            regions: 1,
            padding: 0,
            guest_address: address,
            size: memory.size() as u64,
            user_address: address,
            flags: 0,
        };
        // SAFETY: no argument.
        unsafe { ioctl::set_owner(fd) }.map_err(refused("VHOST_SET_OWNER"))?;
        // SAFETY: the kernel reads one `u64`, which lives through the call.
        unsafe { ioctl::set_features(fd, &raw const FEATURES_OF_OURS) }
            .map_err(refused("VHOST_SET_FEATURES"))?;
        // SAFETY: the kernel reads the table's head and its one region, which live through the call.
        // The region is the driver's memory, which the device is closed before: see `VhostNet`.
        unsafe { ioctl::set_mem_table(fd, &raw const table) }
            .map_err(refused("VHOST_SET_MEM_TABLE"))?;
        for (index, queue) in (0..).zip(self.driver.queues()) {
            let [descriptors, available, used] = queue.parts().map(|at| address + at as u64);
            let size = VringState { index, number: queue.size().into() };
            let base = VringState { index, number: 0 };
            let ring = VringAddress { index, flags: 0, descriptors, used, available, log: 0 };
            let at = index as usize;
            let kick = VringFile { index, fd: self.kicks[at].as_raw_fd() };
            let call = VringFile { index, fd: self.calls[at].as_raw_fd() };
            // SAFETY: the kernel reads one `vhost_vring_state`, which lives through the call.
            unsafe { ioctl::set_vring_num(fd, &raw const size) }
                .map_err(refused("VHOST_SET_VRING_NUM"))?;
            // SAFETY: as above.
            unsafe { ioctl::set_vring_base(fd, &raw const base) }
                .map_err(refused("VHOST_SET_VRING_BASE"))?;
            // SAFETY: the kernel reads one `vhost_vring_addr`, which lives through the call. The ring lies
            // in the driver's memory, where nothing else does.
            unsafe { ioctl::set_vring_addr(fd, &raw const ring) }
                .map_err(refused("VHOST_SET_VRING_ADDR"))?;
            // SAFETY: the kernel reads one `vhost_vring_file`, which lives through the call, and keeps a
            // reference of its own to the eventfd.
            unsafe { ioctl::set_vring_kick(fd, &raw const kick) }
                .map_err(refused("VHOST_SET_VRING_KICK"))?;
            // SAFETY: as above.
            unsafe { ioctl::set_vring_call(fd, &raw const call) }
                .map_err(refused("VHOST_SET_VRING_CALL"))?;
        }
        self.driver.refill();
        Ok(())
    }
}

static FEATURES_OF_OURS: u64 = FEATURES;
static NO_LOG: libc::c_int = NOTHING;

fn failed(what: &'static str) -> impl Fn(io::Error) -> VhostError {
    move |source| VhostError { what, source }
}

fn refused(what: &'static str) -> impl Fn(Errno) -> VhostError {
    move |errno| VhostError { what, source: errno.into() }
}

/// A counter that can be polled: eventfd(2), non-blocking.
fn event() -> io::Result<File> {
    // SAFETY: no pointers.
    let fd = Errno::result(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
    // SAFETY: it was just made, and belongs to nobody else.
    Ok(unsafe { File::from_raw_fd(fd) })
}

/// Sets a counter back to zero.
fn quench(event: &File) -> io::Result<()> {
    match (&*event).read(&mut [0; 8]) {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(()),
    }
}
