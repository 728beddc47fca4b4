use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use super::{SnapFile, SnapshotError};

/// What a file is called while it is being written.
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

/// Reads a snapshot file; none when it does not exist.
///
/// # Errors
/// When it exists and can't be read, or is no snapshot file.
pub(super) fn read(path: &Path) -> Result<Option<SnapFile>, SnapshotError> {
    match fs::read_to_string(path) {
        Ok(text) => SnapFile::parse(path, &text).map(Some),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SnapshotError::Read { path: path.to_owned(), source }),
    }
}

/// Writes a file so that at any moment either the old or the new one is there, whole: beside its
/// target, synced, then renamed (rename(2) replaces atomically).
///
/// # Errors
/// When the system refuses; then the old file is untouched and nothing else is left.
pub(super) fn write(path: &Path, text: &str) -> Result<(), SnapshotError> {
    let failed = |source| SnapshotError::Write { path: path.to_owned(), source };
    let unfinished = Unfinished(unfinished_path(path));
    let mut file = fs::File::create(&unfinished.0).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&unfinished.0, path).map_err(failed)
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

/// A name that no other writer has, in this process or another.
fn unfinished_path(path: &Path) -> PathBuf {
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let write = WRITES.fetch_add(1, Ordering::Relaxed);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let process = std::process::id();
    path.with_file_name(format!(".{name}.{process}-{write}.{UNFINISHED}"))
}

/// A file that vanishes unless it was renamed.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After the rename there is nothing of this name; before it the error that ended the
        // write is already on its way to the user.
        drop(fs::remove_file(&self.0));
    }
}
