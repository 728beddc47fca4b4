//! Which error of the kernel is a dropped frame, and why it was dropped. The carrier turns refusals
//! into events with it.

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

#[cfg(test)]
mod tests {
    use std::io;

    use rstest::rstest;

    use super::drop_reason;
    use crate::{record::DropReason, sys::FrameError};

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
