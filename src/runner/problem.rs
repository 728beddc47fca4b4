use std::path::PathBuf;

use super::Failure;
use crate::diag::Source;

/// Why a case failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Problem {
    /// It did not do what it expects of itself.
    #[error("{}", .0.kind)]
    Expectation(Failure),
    /// Its record is not its snapshot.
    #[error("the record differs from the snapshot")]
    Mismatch {
        /// The line of the scenario whose step differs first.
        line: usize,
        /// The difference: port, frame, field, bytes, where it was last right.
        text: String,
    },
    /// It has no snapshot, and none may be written.
    #[error("there is no snapshot in '{}', and none is written here", path.display())]
    MissingSnapshot {
        /// The file that would hold it.
        path: PathBuf,
    },
    /// Its snapshot can't be read or written.
    #[error("{text}")]
    Snapshot {
        /// Why.
        text: String,
    },
    /// Two backends, or two executions, differ in what could be observed.
    #[error("{first} and {second} disagree")]
    Disagreement {
        /// A backend, or an execution.
        first: String,
        /// The other.
        second: String,
        /// The difference.
        text: String,
    },
    /// A known bug is no longer there.
    #[error(
        "the known bug '{id}' is gone: what is expected now holds; remove this profile from \
         known_bug and review the snapshot"
    )]
    BugGone {
        /// Its name.
        id: String,
    },
    /// A known bug shows itself in another way.
    #[error("the known bug '{id}' is still there, but shows itself otherwise than its snapshot says")]
    BugChanged {
        /// Its name.
        id: String,
        /// The line of the scenario whose step differs first.
        line: usize,
        /// The difference.
        text: String,
    },
}

impl Problem {
    /// Its line in the scenario; none where it is about the whole of it.
    #[must_use]
    pub fn line(&self, source: &Source) -> Option<usize> {
        match self {
            Self::Expectation(failure) if failure.span == Default::default() => None,
            Self::Expectation(failure) => Some(source.position(failure.span.start).0),
            Self::Mismatch { line, .. } | Self::BugChanged { line, .. } => Some(*line),
            Self::MissingSnapshot { .. }
            | Self::Snapshot { .. }
            | Self::Disagreement { .. }
            | Self::BugGone { .. } => None,
        }
    }

    /// The difference, of as many lines as it needs; none where the message says it all.
    #[must_use]
    pub fn difference(&self) -> Option<&str> {
        match self {
            Self::Mismatch { text, .. }
            | Self::Disagreement { text, .. }
            | Self::BugChanged { text, .. } => Some(text),
            Self::Expectation(_)
            | Self::MissingSnapshot { .. }
            | Self::Snapshot { .. }
            | Self::BugGone { .. } => None,
        }
    }

    /// A word for machines.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Expectation(_) => "expectation",
            Self::Mismatch { .. } => "mismatch",
            Self::MissingSnapshot { .. } => "missing-snapshot",
            Self::Snapshot { .. } => "snapshot",
            Self::Disagreement { .. } => "disagreement",
            Self::BugGone { .. } => "bug-gone",
            Self::BugChanged { .. } => "bug-changed",
        }
    }
}
