//! Snapshot files: where they are, and how they are read and written. Read by the store and by what
//! looks for pending ones.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::SnapshotError;
use crate::{
    file::{self, Care, FileError, Scope},
    format::{FormError, SnapFile},
};

/// Most bytes of a snapshot file, read or written.
pub const MAX_BYTES: usize = 64 << 20;

/// What a file ends in while it is being written.
const UNFINISHED: &str = "tmp";

/// The snapshot file of a scenario.
#[must_use]
pub fn snapshot_path(scenario: &Path) -> PathBuf {
    scenario.with_extension("snap")
}

/// The pending file of a snapshot file.
#[must_use]
pub fn pending_path(snapshot: &Path) -> PathBuf {
    snapshot.with_extension("snap.new")
}

/// The text of a snapshot file; none when it does not exist.
///
/// # Errors
/// When it exists and can't be read.
pub(super) fn read_text(path: &Path, scope: Scope) -> Result<Option<String>, SnapshotError> {
    match file::read_found(path, scope, MAX_BYTES).and_then(file::text) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(source) => Err(SnapshotError::Read { path: path.to_owned(), source }),
    }
}

/// Reads a snapshot file; none when it does not exist.
///
/// # Errors
/// When it exists and can't be read, or is no snapshot file.
pub(super) fn read(path: &Path, scope: Scope) -> Result<Option<SnapFile>, SnapshotError> {
    let Some(text) = read_text(path, scope)? else {
        return Ok(None);
    };
    SnapFile::parse(&text).map(Some).map_err(|error| form(path, error))
}

/// A file is no snapshot.
pub(super) fn form(path: &Path, FormError { line, reason }: FormError) -> SnapshotError {
    SnapshotError::Form { path: path.to_owned(), line, reason: reason.to_owned() }
}

/// Writes a file so that at any moment either the old or the new one is there, whole; with
/// [`Care::Durable`] after a loss of power too.
///
/// # Errors
/// When the system refuses, or nobody could read it again; then the old file is untouched.
pub(super) fn write(path: &Path, text: &str, care: Care) -> Result<(), SnapshotError> {
    let written = if text.len() > MAX_BYTES {
        Err(io::Error::other(FileError::TooLarge { most: MAX_BYTES }))
    } else {
        file::replace(path, text.as_bytes(), care)
    };
    written.map_err(|source| SnapshotError::Write { path: path.to_owned(), source })
}

/// Removes a file that may not be there.
///
/// # Errors
/// When it is there and can't be removed.
pub(super) fn remove(path: &Path) -> Result<(), SnapshotError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(SnapshotError::Write { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Holds off other writers of a directory's snapshots, of this process and of others, until it is
/// dropped: what is pending is read, changed and written back. The lock is the directory's own
/// (flock(2)), so nothing is left when a writer dies. Where a file system knows no locks there is
/// none; a file is whole even so, but a proposal that another run makes in the same moment may be
/// lost.
#[must_use]
pub(super) fn lock(file: &Path) -> Option<fs::File> {
    let directory = file.parent().filter(|path| !path.as_os_str().is_empty());
    let directory = fs::File::open(directory.unwrap_or(Path::new("."))).ok()?;
    directory.lock().ok()?;
    Some(directory)
}

/// Whether a file was left by a writer that was killed.
pub(super) fn is_unfinished(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') && name.contains(".snap") && name.ends_with(UNFINISHED)
}
