//! What can be wrong with snapshots, and the codes.

use std::{io, path::PathBuf};

use crate::{
    diag::{Code, Diagnose, Explanation, Report},
    file::FileError,
    format::SectionError,
};

/// Snapshots can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The file is there and can't be read.
    #[error("can't read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: FileError,
    },
    /// The file can't be written; what was there before still is.
    #[error("can't write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is no snapshot.
    #[error("{}:{line}: {reason}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// No pending snapshot has this id.
    #[error("nothing pending is called '{id}'")]
    NotPending {
        /// What was asked for.
        id: String,
        /// What is pending.
        pending: Vec<String>,
    },
}

/// What `explain` says of this part's codes.
pub const EXPLANATIONS: &[Explanation] = &[
    Explanation {
        code: Code("TW-P010"),
        title: "a snapshot that can't be read",
        text: "A snapshot file is there but can't be read: it is no text, has more than 64 MiB, is no file \
         but a pipe or a device, or the permissions forbid it. tapwright does not go on as if there were none, because accepting a new one would then \
         overwrite what was reviewed. Repair the file or its permissions, or delete it.",
    },
    Explanation {
        code: Code("TW-P011"),
        title: "a snapshot that can't be written",
        text: "A snapshot file can't be written. A file is written beside its target and renamed, so \
         what was there before is untouched. Make the scenario's directory writable, or run with \
         CI set, or with --ci, where nothing is written.",
    },
    Explanation {
        code: Code("TW-P012"),
        title: "a snapshot file that is none",
        text: "A snapshot file has not the form of one: a header between two lines '---', then a section \
         for each case, each with a heading '== NAME [PROFILE]'. Most often a merge conflict was \
         left in it. Repair it, or delete it and accept what the next run proposes.",
    },
    Explanation {
        code: Code("TW-P013"),
        title: "no such pending snapshot",
        text: "The id names no pending snapshot. `tapwright review --list` shows the ids: the path of \
         the scenario without its extension, then '@' and the section where there is a matrix.",
    },
    Explanation {
        code: Code("TW-P014"),
        title: "a section that is no transcript",
        text: "A section of a snapshot is no transcript: a line was edited so that it can't be read back, \
         or a frame of a capture file is not the one that was reviewed because the file changed. \
         Look at the line that is named; when the change is meant, review the new transcript with \
         `tapwright review`.",
    },
];

impl Diagnose for SnapshotError {
    fn report(&self) -> Report {
        if let Self::Read { path, source } = self
            && let Some(report) = source.outside(path)
        {
            return report;
        }
        let (code, help) = match self {
            Self::Read { .. } => ("TW-P010", "repair the file or its permissions".to_owned()),
            Self::Write { .. } => ("TW-P011", "make the directory writable".to_owned()),
            Self::Form { .. } => {
                ("TW-P012", "repair the file, or delete it and review the next run's".to_owned())
            }
            Self::NotPending { pending, .. } if pending.is_empty() => {
                ("TW-P013", "nothing is pending".to_owned())
            }
            Self::NotPending { pending, .. } => {
                ("TW-P013", format!("pending are: {}", pending.join(", ")))
            }
        };
        Report::error(Code(code), self.to_string()).with_help(help)
    }
}

impl Diagnose for SectionError {
    fn report(&self) -> Report {
        Report::error(Code("TW-P014"), self.to_string())
            .with_help("when the change is meant, review the new transcript: tapwright review")
    }
}
