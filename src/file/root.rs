//! How far a scenario's files are looked for.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use nix::{fcntl::OFlag, unistd::geteuid};

use super::FileError;
use crate::sys::Directory;

/// Where files may be that a scenario names, or that a folder brings along.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Below the [`Root`] of the scenario.
    #[default]
    Root,
    /// Anywhere: `--allow-outside`.
    Anywhere,
}

/// What makes a folder a root by itself: a project of ours, a repository. A submodule's and a work
/// tree's `.git` is a file.
const MARKS: [&str; 2] = ["tapwright.toml", ".git"];

/// What makes a folder a root where no folder above has one of [`MARKS`].
const PACKAGE: &str = "Cargo.toml";

/// The root of a folder: the repository or project that it is in.
///
/// It is the nearest folder, the folder itself first, that has `tapwright.toml` or `.git` in it;
/// where there is none, the nearest that has `Cargo.toml`; where there is none either, the folder
/// itself. The search goes by where the folder really is. `/` is never a root. A mark counts when
/// it belongs to whom its folder belongs to, to whoever runs this, or to root: in a folder where
/// everybody may write nobody makes a root for others.
#[derive(Debug)]
pub struct Root {
    directory: Directory,
    /// The folder, seen from the root.
    folder: PathBuf,
}

impl Root {
    /// Finds the root of a folder. The empty path is the working directory.
    ///
    /// # Errors
    /// When the folder is not there, or may not be looked into.
    pub fn of(folder: &Path) -> Result<Self, FileError> {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let folder = fs::canonicalize(folder)?;
        let path = above(&folder);
        let directory = Directory::open(path)?;
        let folder = folder.strip_prefix(path).unwrap_or(Path::new("")).to_owned();
        Ok(Self { directory, folder })
    }

    /// Its path, as the working directory sees it: `.` where that is the root, relative where the
    /// root is below.
    #[must_use]
    pub fn shown(&self) -> PathBuf {
        let path = self.directory.path();
        let here = std::env::current_dir().unwrap_or_default();
        match path.strip_prefix(&here) {
            Ok(below) if below.as_os_str().is_empty() => PathBuf::from("."),
            Ok(below) => below.to_owned(),
            Err(_) => path.to_owned(),
        }
    }

    /// Opens what a path names, seen from the folder.
    pub(super) fn open(
        &self,
        path: &Path,
        flags: OFlag,
    ) -> Result<std::os::fd::OwnedFd, FileError> {
        // An absolute path stays one.
        let opened = self.directory.open_beneath(&self.folder.join(path), flags);
        opened.map_err(|error| FileError::beneath(error, self.shown()))
    }
}

/// The root of a folder that is there, its path without links.
fn above(folder: &Path) -> &Path {
    let candidates = || folder.ancestors().filter(|path| path.parent().is_some());
    let marked = candidates().find(|path| MARKS.iter().any(|mark| has(path, mark)));
    marked.or_else(|| candidates().find(|path| has(path, PACKAGE))).unwrap_or(folder)
}

fn has(folder: &Path, mark: &str) -> bool {
    let (Ok(mark), Ok(folder)) = (fs::symlink_metadata(folder.join(mark)), fs::metadata(folder))
    else {
        return false;
    };
    [folder.uid(), geteuid().as_raw(), 0].contains(&mark.uid())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{chown, symlink};

    use rstest::rstest;

    use super::*;

    /// Makes files, the folders where a name ends in `/`, below a folder.
    fn make(top: &Path, files: &[&str]) {
        for file in files {
            let path = top.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match file.ends_with('/') {
                true => fs::create_dir_all(path).unwrap(),
                false => fs::write(path, "").unwrap(),
            }
        }
    }

    #[rstest]
    #[case::repository(&[".git/"], "")]
    #[case::worktree(&[".git"], "")]
    #[case::own(&["s/tapwright.toml", ".git/"], "s")]
    #[case::nearest(&["tapwright.toml", "s/.git/"], "s")]
    #[case::the_folder_itself(&["s/t/.git/", ".git/"], "s/t")]
    #[case::package(&["s/Cargo.toml"], "s")]
    #[case::workspace(&["s/Cargo.toml", "Cargo.toml"], "s")]
    #[case::package_in_a_repository(&["s/Cargo.toml", ".git/"], "")]
    #[case::nothing(&["u/.git/"], "s/t")]
    fn a_root_is_what_the_folder_is_in(#[case] marks: &[&str], #[case] expected: &str) {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        make(&top, marks);
        make(&top, &["s/t/"]);
        let root = Root::of(&top.join("s/t")).unwrap();
        assert_eq!(root.directory.path(), top.join(expected));
        assert_eq!(root.directory.path().join(&root.folder), top.join("s/t"));
    }

    #[test]
    fn a_link_to_a_folder_has_the_root_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        make(&top, &["one/.git/", "one/s/", "two/.git/"]);
        symlink("../one/s", top.join("two/s")).unwrap();
        let root = Root::of(&top.join("two/s")).unwrap();
        assert_eq!(root.directory.path(), top.join("one"));
    }

    #[test]
    fn the_top_of_the_file_system_is_no_root() {
        assert!(above(Path::new("/")) == Path::new("/"), "what stands there itself has no other");
        assert_eq!(above(Path::new("/proc/self")), Path::new("/proc/self"));
    }

    #[test]
    fn a_stranger_makes_no_root_in_somebody_elses_folder() {
        let folder = tempfile::tempdir().unwrap();
        make(folder.path(), &["s/", ".git"]);
        let mark = folder.path().join(".git");
        if chown(&mark, Some(12345), None).is_err() {
            // Only root can give a file away.
            return;
        }
        let root = Root::of(&folder.path().join("s")).unwrap();
        assert_eq!(root.directory.path(), folder.path().join("s").canonicalize().unwrap());
        chown(folder.path(), Some(12345), None).unwrap();
        let root = Root::of(&folder.path().join("s")).unwrap();
        assert_eq!(root.directory.path(), folder.path().canonicalize().unwrap());
    }

    #[test]
    fn a_root_is_shown_from_here() {
        let here = std::env::current_dir().unwrap();
        let root = Root::of(Path::new("")).unwrap();
        assert_eq!((root.directory.path(), root.shown()), (&*here, PathBuf::from(".")));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        assert_eq!(Root::of(&path).unwrap().shown(), path);
    }
}
