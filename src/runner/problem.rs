//! Why a case failed.

use std::path::PathBuf;

use super::Failure;
use crate::{
    compare::Mismatch,
    diag::{Source, Span},
};

/// Why a case failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Problem {
    /// It did not do what it expects of itself.
    #[error("{}", .0.kind)]
    Expectation(Failure),
    /// Its record is not its snapshot.
    #[error("the record differs from the snapshot")]
    Mismatch(Mismatch),
    /// It has no snapshot, and none may be written.
    #[error("there is no snapshot in '{}', and none is written here: run it \
         where you can review, and commit the file", path.display())]
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
        mismatch: Mismatch,
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
    #[error(
        "the known bug '{id}' is still there, but shows itself otherwise than its snapshot says"
    )]
    BugChanged {
        /// Its name.
        id: String,
        /// The difference.
        mismatch: Mismatch,
    },
}

impl Problem {
    /// Its line in the scenario; none where it is about the whole of it.
    #[must_use]
    pub fn line(&self, source: &Source) -> Option<usize> {
        match self {
            Self::Expectation(failure) if failure.span == Span::default() => None,
            Self::Expectation(failure) => Some(source.position(failure.span.start).0),
            _ => self.mismatch().and_then(first_line),
        }
    }

    /// How two records differ, where that is the problem.
    #[must_use]
    pub const fn mismatch(&self) -> Option<&Mismatch> {
        match self {
            Self::Mismatch(mismatch)
            | Self::Disagreement { mismatch, .. }
            | Self::BugChanged { mismatch, .. } => Some(mismatch),
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
            Self::Mismatch(_) => "mismatch",
            Self::MissingSnapshot { .. } => "missing-snapshot",
            Self::Snapshot { .. } => "snapshot",
            Self::Disagreement { .. } => "disagreement",
            Self::BugGone { .. } => "bug-gone",
            Self::BugChanged { .. } => "bug-changed",
        }
    }
}

/// The line of the first step that differs and that the scenario has.
fn first_line(mismatch: &Mismatch) -> Option<usize> {
    mismatch.differences.iter().map(|difference| difference.line).find(|line| *line > 0)
}
