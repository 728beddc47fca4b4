//! Selection, scheduling, deadlines, and the one executor for all backends.

mod outcome;

pub use outcome::{Executed, Failure, FailureKind};
