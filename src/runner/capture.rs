//! The captures that a run leaves: where each is, and how it is written.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use sha2::{Digest, Sha256};

use super::RunnerError;
use crate::{
    base::CaseId,
    file::{Care, Folder},
    frame,
};

/// Longest file name that we make, in bytes; file systems allow 255.
const LONGEST: usize = 200;

/// Where the capture of a case goes: `OUT/SCENARIO/CASE.pcapng`, where CASE is `case` without a
/// matrix; `variant` tells several captures of one case apart.
pub(super) fn path(out: &Path, case: &CaseId, variant: Option<&str>) -> PathBuf {
    let (scenario, combination) = case.as_str().split_once('@').unwrap_or((case.as_str(), "case"));
    let variant = variant.map(|variant| format!(".{variant}")).unwrap_or_default();
    out.join(scenario).join(format!("{}{variant}.pcapng", safe(combination)))
}

/// A name that every file system takes and no shell trips over. What had to be changed is told
/// apart by a hash of the whole.
fn safe(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "=,.+-_".contains(c);
    if name.len() <= LONGEST && name.chars().all(plain) && !name.starts_with('.') {
        return name.to_owned();
    }
    let kept: String =
        name.chars().take(LONGEST / 2).map(|c| if plain(c) { c } else { '_' }).collect();
    let digest = Sha256::digest(name);
    let hash = frame::hex(&digest[..6]);
    format!("{}-{hash}", kept.trim_start_matches('.'))
}

/// The folder that captures go to, opened for the first of them.
#[derive(Debug)]
pub(super) struct Captures {
    out: PathBuf,
    folder: Mutex<Option<Arc<Folder>>>,
}

impl Captures {
    pub(super) const fn new(out: PathBuf) -> Self {
        Self { out, folder: Mutex::new(None) }
    }

    /// Where the capture of a case goes.
    pub(super) fn path(&self, case: &CaseId, variant: Option<&str>) -> PathBuf {
        path(&self.out, case, variant)
    }

    /// Writes a capture so that a reader sees the old one, none, or the new one, whole. A link below
    /// the folder leads it nowhere else.
    pub(super) fn write(&self, path: &Path, content: &[u8]) -> Result<(), RunnerError> {
        let below = path.strip_prefix(&self.out).unwrap_or(path);
        let kept = self.kept().clone();
        if let Some(folder) = kept
            && folder.replace(below, content, Care::Quick).is_ok()
        {
            return Ok(());
        }
        // The first one, or somebody has removed the folder.
        let opened = Folder::open(&self.out).map(Arc::new);
        let written = opened.and_then(|folder| {
            *self.kept() = Some(Arc::clone(&folder));
            folder.replace(below, content, Care::Quick)
        });
        written.map_err(|source| RunnerError::Unwritable { path: path.to_owned(), source })
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Option<Arc<Folder>>> {
        self.folder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("redirector/tx", None, "out/redirector/tx/case.pcapng")]
    #[case("r/q@queue=tx,vhost=on", None, "out/r/q/queue=tx,vhost=on.pcapng")]
    #[case("r/q@queue=tx", Some("sim"), "out/r/q/queue=tx.sim.pcapng")]
    #[case("r/q@path=../../x", None, "out/r/q/path=.._.._x-53e92e35dc69.pcapng")]
    fn a_capture_has_a_place(
        #[case] case: &str,
        #[case] variant: Option<&str>,
        #[case] expected: &str,
    ) {
        assert_eq!(path(Path::new("out"), &case.into(), variant), Path::new(expected));
    }

    #[test]
    fn a_long_name_is_cut_and_still_its_own() {
        let name = |last: &str| safe(&format!("{}{last}", "ü/".repeat(300)));
        assert!(name("a").len() <= LONGEST, "{}", name("a"));
        assert_ne!(name("a"), name("b"));
    }

    #[test]
    fn a_file_is_replaced_and_nothing_is_left_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b/case.pcapng");
        let captures = Captures::new(directory.path().to_owned());
        captures.write(&path, b"old").unwrap();
        captures.write(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_is_removed_meanwhile_is_made_again() {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("out");
        let captures = Captures::new(out.clone());
        for _ in 0..2 {
            captures.write(&out.join("a/case.pcapng"), b"x").unwrap();
            fs::remove_dir_all(&out).unwrap();
        }
        captures.write(&out.join("a/case.pcapng"), b"y").unwrap();
        assert_eq!(fs::read(out.join("a/case.pcapng")).unwrap(), b"y");
    }

    #[test]
    fn a_place_that_can_not_be_written_is_named() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("file"), "").unwrap();
        let path = directory.path().join("file/case.pcapng");
        let error = Captures::new(directory.path().to_owned()).write(&path, b"").unwrap_err();
        assert!(error.to_string().contains("file/case.pcapng"), "{error}");
    }
}
