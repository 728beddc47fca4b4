//! TAP interfaces: made, read and written, with or without a virtio-net header.

use std::{
    fs::{File, OpenOptions},
    io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd},
        unix::fs::OpenOptionsExt,
    },
};

use nix::{
    errno::Errno,
    libc,
    sys::uio::{readv, writev},
};

use super::{FrameError, InterfaceName, Isolated, exhaustion_remedy};

/// `include/uapi/linux/if_tun.h` of Linux 6.18.
mod ioctl {
    use nix::{
        libc::{c_int, ifreq},
        request_code_write,
    };

    nix::ioctl_readwrite_bad!(set_iff, request_code_write!(b'T', 202, size_of::<c_int>()), ifreq);
    nix::ioctl_write_int_bad!(set_persist, request_code_write!(b'T', 203, size_of::<c_int>()));
    nix::ioctl_write_int_bad!(set_offload, request_code_write!(b'T', 208, size_of::<c_int>()));
    nix::ioctl_write_ptr!(set_vnet_hdr_size, b'T', 216, c_int);
    nix::ioctl_write_ptr!(set_vnet_le, b'T', 220, c_int);
}

/// What stands in front of each frame of a TAP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TapHeader {
    #[default]
    None,
    /// A virtio-net header of 10 bytes, little endian.
    Short,
    /// A virtio-net header of 12 bytes, little endian.
    Long,
}

impl TapHeader {
    /// Bytes of the header.
    #[must_use]
    pub const fn len(self) -> usize {
        match self {
            Self::None => 0,
            Self::Short => 10,
            Self::Long => 12,
        }
    }

    /// Whether there is no header.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        matches!(self, Self::None)
    }

    /// The header of this many bytes: 0, 10 or 12.
    #[must_use]
    pub const fn of_len(len: usize) -> Option<Self> {
        match len {
            0 => Some(Self::None),
            10 => Some(Self::Short),
            12 => Some(Self::Long),
            _ => None,
        }
    }
}

/// A TAP could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TapError {
    /// `/dev/net/tun` can't be opened.
    #[error("/dev/net/tun can't be opened: {0}")]
    Device(#[source] io::Error),
    #[error("{ioctl} for {name}: {source}")]
    Ioctl { ioctl: &'static str, name: InterfaceName, source: io::Error },
}

impl TapError {
    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        if let Some(remedy) = exhaustion_remedy(self) {
            return remedy;
        }
        match self {
            Self::Device(error) if error.kind() == io::ErrorKind::NotFound => {
                "load the tun module (modprobe tun), or give the container the device: --device \
                 /dev/net/tun"
            }
            Self::Device(_) => {
                "let users open the device (chmod 0666 /dev/net/tun, which lets nobody make an \
                 interface without CAP_NET_ADMIN in its namespace), or run as root"
            }
            Self::Ioctl { .. } => "CAP_NET_ADMIN in the network namespace is needed; run as root",
        }
    }
}

/// The descriptor of a TAP: the guest's side of it. Non-blocking.
///
/// It lives in the network namespace of the thread that made it.
#[derive(Debug)]
pub struct Tap {
    file: File,
    name: InterfaceName,
    header: TapHeader,
}

impl Tap {
    /// Makes a TAP, still down, with one queue and without offloads. A persistent one survives its
    /// descriptor, so that closing the descriptor does not wait for the interface to be dismantled;
    /// it goes with its namespace.
    ///
    /// # Errors
    /// See [`TapError`]; EBUSY when the name is taken by another TAP's reader.
    pub fn create(
        _: &Isolated,
        name: &InterfaceName,
        header: TapHeader,
        persistent: bool,
    ) -> Result<Self, TapError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open("/dev/net/tun")
            .map_err(TapError::Device)?;
        let tap = Self { file, name: name.clone(), header };
        tap.configure(persistent)?;
        Ok(tap)
    }

    #[must_use]
    pub fn name(&self) -> &InterfaceName {
        &self.name
    }

    /// What stands in front of each frame.
    #[must_use]
    pub fn header(&self) -> TapHeader {
        self.header
    }

    /// Has the kernel hand over what a guest with checksum offload and TSO takes: frames whose checksum
    /// is not complete, and super-frames of TCP. The headers say which.
    ///
    /// # Errors
    /// EBADFD once the interface was deleted.
    pub fn take_super_frames(&self) -> io::Result<()> {
        /// `TUN_F_CSUM`, `TUN_F_TSO4` and `TUN_F_TSO6`.
        const OFFLOADS: libc::c_int = 1 | 2 | 4;
        // SAFETY: the argument is a number.
        unsafe { ioctl::set_offload(self.file.as_raw_fd(), OFFLOADS) }?;
        Ok(())
    }

    /// Sends as the guest: `header`, of [`Tap::header`]'s length, then the frame.
    ///
    /// # Errors
    /// [`FrameError::Down`] (EIO), [`FrameError::Gone`] (EBADFD), and [`FrameError::Invalid`]
    /// (EINVAL) below 14 bytes or with a malformed header.
    pub fn write(&self, header: &[u8], frame: &[u8]) -> Result<(), FrameError> {
        let parts = [io::IoSlice::new(header), io::IoSlice::new(frame)];
        match writev(&self.file, &parts) {
            // writev(2) of nothing never reaches the driver, which would say EINVAL.
            Ok(0) => Err(FrameError::Invalid),
            // The driver takes a frame whole or not at all (Linux 6.18 drivers/net/tun.c).
            Ok(_) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Takes the next frame for the guest, without its header: the bytes put into `header` and
    /// `frame`. None when nothing waits.
    ///
    /// # Errors
    /// [`FrameError::Gone`] (EBADFD) once the interface was deleted.
    pub fn read(&self, header: &mut [u8], frame: &mut [u8]) -> Result<Option<usize>, FrameError> {
        let header_len = header.len();
        let mut parts = [io::IoSliceMut::new(header), io::IoSliceMut::new(frame)];
        match readv(&self.file, &mut parts) {
            Ok(read) => Ok(Some(read.saturating_sub(header_len))),
            Err(Errno::EAGAIN) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    fn configure(&self, persistent: bool) -> Result<(), TapError> {
        let failed = |ioctl| {
            move |errno: Errno| TapError::Ioctl {
                ioctl,
                name: self.name.clone(),
                source: errno.into(),
            }
        };
        let mut flags = libc::IFF_TAP | libc::IFF_NO_PI;
        if !self.header.is_empty() {
            flags |= libc::IFF_VNET_HDR;
        }
        let mut request = libc::ifreq {
            ifr_name: self.name.to_ifr_name(),
            ifr_ifru: libc::__c_anonymous_ifr_ifru {
                ifru_flags: libc::c_short::try_from(flags).expect("the flags are below 0x8000"),
            },
        };
        let fd = self.file.as_raw_fd();
        // SAFETY: TUNSETIFF reads and writes one `ifreq`, which lives through the call.
        unsafe { ioctl::set_iff(fd, &raw mut request) }.map_err(failed("TUNSETIFF"))?;
        // SAFETY: the argument is a number.
        unsafe { ioctl::set_offload(fd, NO_OFFLOAD) }.map_err(failed("TUNSETOFFLOAD"))?;
        if !self.header.is_empty() {
            let size = libc::c_int::try_from(self.header.len()).expect("10 or 12");
            // SAFETY: the kernel reads one `int`, which lives through the call.
            unsafe { ioctl::set_vnet_hdr_size(fd, &raw const size) }
                .map_err(failed("TUNSETVNETHDRSZ"))?;
            // SAFETY: as above.
            unsafe { ioctl::set_vnet_le(fd, &raw const TRUE) }.map_err(failed("TUNSETVNETLE"))?;
        }
        if persistent {
            // SAFETY: the argument is a number.
            unsafe { ioctl::set_persist(fd, TRUE) }.map_err(failed("TUNSETPERSIST"))?;
        }
        Ok(())
    }
}

/// The argument of the ioctls that switch something on.
static TRUE: libc::c_int = 1;

/// What reaches the guest is complete, and at most a frame of the MTU.
const NO_OFFLOAD: libc::c_int = 0;

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
