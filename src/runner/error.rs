use std::{io, path::PathBuf};

use crate::{
    capture::WriteError,
    diag::{Code, Diagnose, Report},
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
            Self::Unwritable { .. } | Self::Capture { .. } => (
                "TW-E015",
                "choose a directory that can be written with --out",
            ),
        };
        Report::error(Code(code), self.to_string()).with_help(help)
    }
}
