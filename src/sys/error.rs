//! Why the kernel did not take a frame. TAPs and packet sockets fail with it.

use std::io;

use nix::errno::Errno;

/// Why a frame did not go through a descriptor, as far as the kernel's answer says it.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The interface is down: ENETDOWN from a packet socket, EIO from a TAP.
    #[error("the interface is down")]
    Down,
    /// The interface is gone: ENXIO from a packet socket, EBADFD from a TAP.
    #[error("the interface is gone")]
    Gone,
    /// Longer than the interface's MTU allows: EMSGSIZE.
    #[error("the frame is longer than the interface's MTU allows")]
    TooLong,
    /// EINVAL: shorter than an Ethernet header, or its virtio-net header is malformed.
    #[error("the kernel refused the frame: it is too short, or its virtio-net header is malformed")]
    Invalid,
    /// The transmit queue, or the socket's send buffer, is full: ENOBUFS, EAGAIN.
    #[error("the transmit queue is full")]
    QueueFull,
    /// Anything else.
    #[error(transparent)]
    Other(#[from] io::Error),
}

impl From<Errno> for FrameError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::ENETDOWN | Errno::EIO => Self::Down,
            Errno::ENXIO | Errno::EBADFD => Self::Gone,
            Errno::EMSGSIZE => Self::TooLong,
            Errno::EINVAL => Self::Invalid,
            Errno::ENOBUFS | Errno::EAGAIN => Self::QueueFull,
            other => Self::Other(other.into()),
        }
    }
}
