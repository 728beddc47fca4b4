//! Which error of the kernel is a dropped frame, and why it was dropped. The carrier turns refusals
//! into events with it.

use super::served::Sent;
use crate::{backend::builtin::ETH_HLEN, record::DropReason, sys::FrameError};

/// Why a frame of `length` bytes that the kernel refused was dropped; none for an error that is no
/// event of the network.
pub(super) fn drop_reason(error: &FrameError, length: usize) -> Option<DropReason> {
    Some(match error {
        FrameError::Down => DropReason::InterfaceDown,
        FrameError::Gone => DropReason::InterfaceGone,
        FrameError::TooLong => DropReason::TooLong,
        FrameError::Invalid if length < ETH_HLEN => DropReason::TooShort,
        FrameError::Invalid => DropReason::BadVnetHdr,
        FrameError::QueueFull => DropReason::TxQueueFull,
        FrameError::Other(_) => return None,
    })
}

/// Why a frame of `length` bytes that went into vhost-net's ring went nowhere; none for one that the
/// interface took. vhost-net takes every frame from the ring, whatever becomes of it, but for one whose
/// checksum lies beyond its end: that it tries again for ever (Linux 6.1 `drivers/vhost/net.c`,
/// `vhost_net_build_xdp`).
pub(super) fn ring_reason(
    sent: Sent,
    length: usize,
    is_up: bool,
    has_bad_header: bool,
) -> Option<DropReason> {
    match sent {
        Sent::Sticks => Some(DropReason::BadVnetHdr),
        Sent::Behind => Some(DropReason::Wedged),
        Sent::TooLong => Some(DropReason::TooLong),
        Sent::Taken if length < ETH_HLEN => Some(DropReason::TooShort),
        Sent::Taken if has_bad_header => Some(DropReason::BadVnetHdr),
        Sent::Taken if !is_up => Some(DropReason::InterfaceDown),
        Sent::Taken => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use rstest::rstest;

    use super::{Sent, drop_reason, ring_reason};
    use crate::{record::DropReason, sys::FrameError};

    #[rstest]
    #[case(Sent::Taken, 14, true, false, None)]
    #[case(Sent::Taken, 13, false, false, Some(DropReason::TooShort))]
    #[case(Sent::Taken, 60, false, false, Some(DropReason::InterfaceDown))]
    #[case(Sent::Taken, 60, true, true, Some(DropReason::BadVnetHdr))]
    #[case(Sent::Sticks, 60, true, false, Some(DropReason::BadVnetHdr))]
    #[case(Sent::Behind, 60, true, false, Some(DropReason::Wedged))]
    #[case(Sent::TooLong, 70_000, true, false, Some(DropReason::TooLong))]
    fn reasons_of_a_ring(
        #[case] sent: Sent,
        #[case] length: usize,
        #[case] is_up: bool,
        #[case] has_bad_header: bool,
        #[case] expected: Option<DropReason>,
    ) {
        assert_eq!(ring_reason(sent, length, is_up, has_bad_header), expected);
    }

    #[rstest]
    #[case(FrameError::Down, 60, Some(DropReason::InterfaceDown))]
    #[case(FrameError::Gone, 60, Some(DropReason::InterfaceGone))]
    #[case(FrameError::TooLong, 1515, Some(DropReason::TooLong))]
    #[case(FrameError::Invalid, 13, Some(DropReason::TooShort))]
    #[case(FrameError::Invalid, 14, Some(DropReason::BadVnetHdr))]
    #[case(FrameError::QueueFull, 60, Some(DropReason::TxQueueFull))]
    #[case(FrameError::Other(io::ErrorKind::OutOfMemory.into()), 60, None)]
    fn reasons(
        #[case] error: FrameError,
        #[case] length: usize,
        #[case] expected: Option<DropReason>,
    ) {
        assert_eq!(drop_reason(&error, length), expected);
    }
}
