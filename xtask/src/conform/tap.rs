//! Records of real TAPs.

use super::{
    Verdict,
    record::{RecordError, TapRecord, profile},
};

/// A TAP is the kernel's: without one there is nothing to replay against.
pub(super) fn replay(record: &TapRecord) -> Result<Verdict, RecordError> {
    profile(&record.qemu)?;
    Ok(Verdict::NotBuilt("needs a real TAP".to_owned()))
}
