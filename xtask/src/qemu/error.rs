//! Why there is no QEMU, each reason with its remedy.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::debian::ArchiveError;

/// Where people are sent who have no Debian.
const PAGE: &str = "docs/which-qemu.md says how a QEMU of your own is used";

#[derive(Debug, thiserror::Error)]
pub(crate) enum QemuError {
    #[error(
        "{text:?} is neither a version that is known, {known}, nor the name of a suite of Debian"
    )]
    Name { text: String, known: String },
    #[error("{0}; or: {PAGE}")]
    OutOfReach(ArchiveError),
    #[error(transparent)]
    Archive(ArchiveError),
    #[error("{}: {reason}", path.display())]
    Unpacked { path: PathBuf, reason: String },
    #[error("{} does not run: {how}", launcher.display())]
    DoesNotRun { launcher: PathBuf, how: String },
}

impl QemuError {
    pub(super) fn file(path: &Path, source: io::Error) -> Self {
        Self::Archive(ArchiveError::file(path, source))
    }
}

impl From<ArchiveError> for QemuError {
    fn from(error: ArchiveError) -> Self {
        if error.is_out_of_reach() { Self::OutOfReach(error) } else { Self::Archive(error) }
    }
}
