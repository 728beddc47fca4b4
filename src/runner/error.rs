//! Why a run cannot begin, or what it could not keep, and the codes.

use std::{io, path::PathBuf};

use crate::{
    capture::WriteError,
    diag::{Code, Diagnose, Explanation, Report},
};

/// Why a run can't begin, or what it could not leave behind.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// There is no such file or directory.
    #[error("'{}' does not exist", path.display())]
    NoSuchPath {
        /// As given.
        path: PathBuf,
    },
    /// A file or directory can't be read.
    #[error("'{}' can't be read: {source}", path.display())]
    Unreadable {
        /// As given or found.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file was named that is no scenario.
    #[error("'{}' is not a YAML file", path.display())]
    NotYaml {
        /// As given.
        path: PathBuf,
    },
    /// Two files would give cases of the same names.
    #[error(
        "two scenarios are named '{name}': '{}' and '{}'",
        first.display(),
        second.display()
    )]
    SameName {
        /// The name below the suite's root.
        name: String,
        /// The first.
        first: PathBuf,
        /// The second.
        second: PathBuf,
    },
    /// A capture of a run could not be written.
    #[error("'{}' can't be written: {source}", path.display())]
    Unwritable {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A record can't be put into a capture.
    #[error("'{}' can't be written: {source}", path.display())]
    Capture {
        /// Where.
        path: PathBuf,
        /// What the format doesn't allow.
        source: WriteError,
    },
}

/// What the codes of this part mean.
pub const EXPLANATIONS: &[Explanation] = &[
    Explanation {
        code: Code("TW-E011"),
        title: "no such path",
        text: "A path on the command line names no file and no directory. Paths are relative to \
               the working directory; without any, `scenarios` is taken, or else the working \
               directory.",
    },
    Explanation {
        code: Code("TW-E012"),
        title: "a path can't be read",
        text: "A file or directory is there and the system refuses to read it. Nothing is run, \
               because a suite with a hole in it would pass.",
    },
    Explanation {
        code: Code("TW-E013"),
        title: "not a scenario file",
        text: "A file that is named on the command line must end in .yaml or .yml. Directories are \
               searched for such files; everything else in them is passed over.",
    },
    Explanation {
        code: Code("TW-E014"),
        title: "two scenarios of one name",
        text: "A scenario is named by its path below the suite's root, without its extension: so \
               `a.yaml` beside `a.yml`, or files of one name from two suites, can't be told apart \
               in reports, shards and captures.",
    },
    Explanation {
        code: Code("TW-E015"),
        title: "a capture can't be written",
        text: "Each run leaves a pcapng of its case below --out. It is written beside its place \
               and renamed, so an earlier one is still whole. The case itself is not affected.",
    },
];

impl Diagnose for RunnerError {
    fn report(&self) -> Report {
        let (code, help) = match self {
            Self::NoSuchPath { .. } => ("TW-E011", "give a scenario file or a directory of them"),
            Self::Unreadable { .. } => ("TW-E012", "check the permissions of the path"),
            Self::NotYaml { .. } => ("TW-E013", "a scenario's file ends in .yaml or .yml"),
            Self::SameName { .. } => (
                "TW-E014",
                "rename one, or give the directory above both, so that their names tell them apart",
            ),
            Self::Unwritable { .. } | Self::Capture { .. } => {
                ("TW-E015", "choose a directory that can be written with --out")
            }
        };
        Report::error(Code(code), self.to_string()).with_help(help)
    }
}
