//! The machine's clock in smoltcp's units.

use std::time::Duration;

/// smoltcp's time: microseconds since the run began. It is data, set from outside.
pub(super) use smoltcp::time::Instant as StackTime;

use crate::base::VirtualTime;

pub(super) fn stack_time(time: VirtualTime) -> StackTime {
    let micros = i64::try_from(time.as_nanos() / 1_000).unwrap_or(i64::MAX);
    StackTime::from_micros(micros)
}

pub(super) fn virtual_time(time: StackTime) -> VirtualTime {
    let micros = u64::try_from(time.total_micros()).unwrap_or(0);
    VirtualTime::ZERO + Duration::from_micros(micros)
}
