//! The store of snapshots: what was reviewed of a scenario, and what waits for a review.
//!
//! - [`check`]: compares what a run recorded with the scenario's snapshot file, and proposes what
//!   is new.
//! - [`Reviewed`]: the same where nothing is to be written, with each file read once a run.
//! - [`pending()`] and [`unreferenced`]: what waits for a review, and what nobody uses.

mod error;
mod file;
mod pending;
mod store;
#[cfg(test)]
mod tests;

pub use error::{EXPLANATIONS, SnapshotError};
pub use file::{MAX_BYTES, pending_path, snapshot_path};
pub use pending::{PendingSection, Unreferenced, pending, unreferenced};
pub use store::{
    Checked, Content, Mode, Recorded, Reviewed, State, Verdict, check, place, reviewed,
    reviewed_profile, secure,
};
