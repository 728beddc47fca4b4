//! The store of snapshots: what was reviewed of a scenario, and what waits for a review.
//!
//! - [`check`]: compares what a run recorded with the scenario's snapshot file, and proposes what
//!   is new.
//! - [`Snapshots`]: the same for all cases of a run, with each file read once and written a few times.
//! - [`pending()`] and [`unreferenced`]: what waits for a review, and what nobody uses.

mod error;
mod file;
mod pending;
mod run;
mod store;
#[cfg(test)]
mod tests;

pub use error::{EXPLANATIONS, SnapshotError};
pub use file::{MAX_BYTES, pending_path, snapshot_path};
pub use pending::{PendingSection, Unreferenced, accept, pending, reject, unreferenced};
pub use run::Snapshots;
pub use store::{
    Checked, Content, Mode, Recorded, State, Verdict, check, place, reviewed, reviewed_profile,
};
