//! QMP's error classes, and the ways in which the creation of an object fails.

use crate::record::{Abort, CommandError, NoAnswer, Outcome};

/// QMP's `GenericError`.
pub(super) fn generic(desc: impl Into<String>) -> CommandError {
    CommandError { class: "GenericError".to_owned(), desc: desc.into() }
}

/// QMP's `DeviceNotFound`.
pub(super) fn not_found(desc: impl Into<String>) -> CommandError {
    CommandError { class: "DeviceNotFound".to_owned(), desc: desc.into() }
}

/// How an object's creation can fail.
#[derive(Debug)]
pub(super) enum CreateError {
    Refused(CommandError),
    Aborts(Abort),
    /// The main loop waits for ever.
    Freezes,
}

impl From<CommandError> for CreateError {
    fn from(error: CommandError) -> Self {
        Self::Refused(error)
    }
}

impl From<CreateError> for Outcome {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Refused(error) => Self::Refused(error),
            CreateError::Aborts(abort) => Self::Aborts(abort),
            CreateError::Freezes => Self::Unanswered(NoAnswer::Frozen),
        }
    }
}
