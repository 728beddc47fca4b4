//! Selection, scheduling, deadlines, and the one executor for all backends.

mod account;
mod exec;
mod expect;
mod outcome;
mod stream;
mod title;

pub use exec::{exec, exec_probes, share_world};
pub use outcome::{Executed, Failure, FailureKind};
