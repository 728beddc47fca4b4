//! Putting a file in the place of another: it is there as a whole or not at all.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::fd::{AsRawFd, OwnedFd},
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, AtFlags, OFlag, openat, renameat},
    sys::stat::{Mode, SFlag, fstat, fstatat},
    unistd::{UnlinkatFlags, linkat, unlinkat},
};

use super::{FileError, kind::Found};
use crate::sys::Directory;

/// How careful [`replace`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Care {
    /// At any moment either the old file or the new one is there, after a loss of power too.
    Durable,
    /// At any moment either the old file or the new one is there, unless power is lost.
    Whole,
    /// A reader sees the old file, none, or the new one. An old one with the same content stays. Any
    /// other is removed first: a rename over it makes ext4 write the data out at once
    /// (`auto_da_alloc`), which takes longer than most cases.
    Quick,
}

/// How often a name is tried again that another process takes in the same moment.
const MOST_TURNS: usize = 256;

/// What everybody may do, less what the umask takes away.
pub(super) const MODE: Mode = Mode::from_bits_truncate(0o666);

/// Puts a file in the place of what is there: a link and a pipe too are replaced, and not written
/// to.
///
/// The file has no name until it is whole (open(2), `O_TMPFILE`), so that a process that is killed
/// leaves nothing behind. But with [`Care::Quick`], it needs a name for the moment before it replaces the
/// old file, and a file system that has no such files needs one for longer. That name is the target's
/// own, `.NAME.tmp`: the next writer of this file takes it over, or removes it.
///
/// # Errors
/// When the system refuses. The old file is then untouched, or, with [`Care::Quick`], perhaps gone.
pub fn replace(path: &Path, content: &[u8], care: Care) -> io::Result<()> {
    Target::of(path)?.put(content, care)
}

/// A folder in which files are put. No link in it leads anything out of it.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    directory: Directory,
}

impl Folder {
    /// Opens a folder, which is made where it is missing.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn open(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        let directory = Directory::open(&fs::canonicalize(path)?)?;
        Ok(Self { path: path.to_owned(), directory })
    }

    /// As [`replace`], below this folder; folders on the way to the file are made where they are missing.
    ///
    /// # Errors
    /// As [`replace`], when the path does not stay below the folder, and when that has been removed.
    pub fn replace(&self, path: &Path, content: &[u8], care: Care) -> io::Result<()> {
        let above = path.parent().unwrap_or(Path::new(""));
        let made = self.directory.make_beneath(above);
        let made = made.map_err(|error| match FileError::beneath(error, self.path.clone()) {
            FileError::System(error) => error,
            error => io::Error::other(error),
        })?;
        Target::new(made, path)?.put(content, care)
    }
}

fn fill(mut file: &File, content: &[u8], care: Care) -> io::Result<()> {
    file.write_all(content)?;
    if care == Care::Durable { file.sync_all() } else { Ok(()) }
}

/// What came of giving a file without a name the target's.
enum Linked {
    InPlace,
    /// Another writer of the same file removed it, and a file that was removed gets no name again.
    Lost,
    /// It can't be done here.
    Impossible,
}

/// A name in a folder.
struct Target {
    folder: OwnedFd,
    name: PathBuf,
    /// What the file is called until it is in its place.
    unfinished: PathBuf,
}

impl Target {
    fn of(path: &Path) -> io::Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let folder = openat(AT_FDCWD, folder.unwrap_or(Path::new(".")), flags, Mode::empty())?;
        Self::new(folder, path)
    }

    fn new(folder: OwnedFd, path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or(Errno::EISDIR)?;
        let mut unfinished = std::ffi::OsString::from(".");
        unfinished.push(name);
        unfinished.push(".tmp");
        Ok(Self { folder, name: name.into(), unfinished: unfinished.into() })
    }

    fn put(&self, content: &[u8], care: Care) -> io::Result<()> {
        if care == Care::Quick && self.holds(content) {
            self.sweep();
            return Ok(());
        }
        for _ in 0..MOST_TURNS {
            let Some(file) = self.nameless() else {
                return self.named(content, care);
            };
            fill(&file, content, care)?;
            match self.link(&file, care)? {
                Linked::InPlace => return Ok(()),
                Linked::Lost => {}
                Linked::Impossible => return self.named(content, care),
            }
        }
        Err(Errno::EBUSY.into())
    }

    /// Whether the file is there with this content, which costs a fraction of another file: the next run of a
    /// case leaves mostly what the last one left.
    fn holds(&self, content: &[u8]) -> bool {
        let read = || {
            let found = fstatat(&self.folder, &self.name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
            if u64::try_from(found.st_size).ok() != u64::try_from(content.len()).ok()
                || SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG
            {
                return Ok(None);
            }
            let careful = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
            let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | careful;
            let file = File::from(openat(&self.folder, &self.name, flags, Mode::empty())?);
            let mut held = vec![0; content.len()];
            (&file).read_exact(&mut held)?;
            Ok::<_, io::Error>(Some(held))
        };
        read().is_ok_and(|held| held.is_some_and(|held| held == content))
    }

    /// A file of the folder without a name; none where the file system, or the kernel, makes none.
    fn nameless(&self) -> Option<File> {
        let flags = OFlag::O_TMPFILE | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        openat(&self.folder, ".", flags, MODE).ok().map(File::from)
    }

    /// Gives a file without a name the target's.
    fn link(&self, file: &File, care: Care) -> io::Result<Linked> {
        let name = match care {
            Care::Quick => &self.name,
            Care::Durable | Care::Whole => &self.unfinished,
        };
        loop {
            self.remove(name)?;
            match self.give(file, name) {
                Ok(()) => break,
                // Another writer has its file there: ours comes after.
                Err(Errno::EEXIST) => {}
                Err(_) => return Ok(Linked::Impossible),
            }
        }
        if care == Care::Quick {
            self.sweep();
            return Ok(Linked::InPlace);
        }
        match renameat(&self.folder, name, &self.folder, &self.name) {
            Ok(()) => Ok(Linked::InPlace),
            Err(Errno::ENOENT) => Ok(Linked::Lost),
            Err(errno) => {
                // The error that ended it is the one that matters.
                _ = self.remove(name);
                Err(errno.into())
            }
        }
    }

    /// linkat(2): by the descriptor if that is allowed, otherwise by its name in /proc.
    fn give(&self, file: &File, name: &Path) -> Result<(), Errno> {
        match linkat(file, "", &self.folder, name, AtFlags::AT_EMPTY_PATH) {
            Err(Errno::ENOENT) => {
                let number = format!("/proc/self/fd/{}", file.as_raw_fd());
                let follow = AtFlags::AT_SYMLINK_FOLLOW;
                linkat(AT_FDCWD, number.as_str(), &self.folder, name, follow)
            }
            done => done,
        }
    }

    /// Writes under the other name, and renames. One writer at a time has that file (flock(2));
    /// where a file system knows no locks, two at once may spoil each other's.
    fn named(&self, content: &[u8], care: Care) -> io::Result<()> {
        let file = self.unfinished()?;
        let written = file.set_len(0).and_then(|()| fill(&file, content, care)).and_then(|()| {
            if care == Care::Quick {
                self.remove(&self.name)?;
            }
            Ok(renameat(&self.folder, &self.unfinished, &self.folder, &self.name)?)
        });
        written.inspect_err(|_| _ = self.remove(&self.unfinished))
    }

    /// The file of the other name, ours alone: made, or left by a writer that was killed.
    fn unfinished(&self) -> io::Result<File> {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_CLOEXEC;
        let careful = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        for _ in 0..MOST_TURNS {
            let file = match openat(&self.folder, &self.unfinished, flags | careful, MODE) {
                Ok(fd) => File::from(fd),
                // A link, or a socket.
                Err(Errno::ELOOP | Errno::ENXIO) => {
                    self.remove(&self.unfinished)?;
                    continue;
                }
                Err(errno) => return Err(errno.into()),
            };
            if Found::of(&file)?.regular().is_err() {
                self.remove(&self.unfinished)?;
                continue;
            }
            drop(file.lock());
            // Its writer has renamed it by now, and it is a finished file.
            if self.is_at(&file, &self.unfinished) {
                return Ok(file);
            }
        }
        Err(Errno::EBUSY.into())
    }

    fn is_at(&self, file: &File, name: &Path) -> bool {
        let there = fstatat(&self.folder, name, AtFlags::AT_SYMLINK_NOFOLLOW);
        let inode = |stat: nix::sys::stat::FileStat| (stat.st_dev, stat.st_ino);
        there.map(inode) == fstat(file).map(inode)
    }

    /// Removes what a writer left that was killed, as long as no other writer has it.
    fn sweep(&self) {
        let careful = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let left = openat(&self.folder, &self.unfinished, OFlag::O_RDONLY | careful, Mode::empty());
        if left.is_ok_and(|left| File::from(left).try_lock().is_ok()) {
            // A file that can't be removed does no harm: the next writer finds it again.
            _ = self.remove(&self.unfinished);
        }
    }

    /// Removes what may not be there.
    fn remove(&self, name: &Path) -> Result<(), Errno> {
        match unlinkat(&self.folder, name, UnlinkatFlags::NoRemoveDir) {
            Err(Errno::ENOENT) => Ok(()),
            done => done,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::fs::{PermissionsExt, symlink},
        thread,
    };

    use nix::unistd::mkfifo;
    use rstest::rstest;

    use super::*;

    fn listing(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The two ways: as the file system has it, and with a name from the beginning.
    fn put(path: &Path, content: &[u8], care: Care, named: bool) -> io::Result<()> {
        if named { Target::of(path)?.named(content, care) } else { replace(path, content, care) }
    }

    #[rstest]
    fn a_file_is_replaced_and_nothing_is_left_beside_it(
        #[values(Care::Durable, Care::Whole, Care::Quick)] care: Care,
        #[values(true, false)] named: bool,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.snap");
        for content in [&b"old, and longer"[..], b"new"] {
            put(&path, content, care, named).unwrap();
            assert_eq!(fs::read(&path).unwrap(), content);
            assert_eq!(listing(folder.path()), ["x.snap"]);
        }
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        fs::File::create(folder.path().join("y")).unwrap();
        let usual = fs::metadata(folder.path().join("y")).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, usual, "as the umask has it");
    }

    #[test]
    fn a_file_has_no_name_before_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let target = Target::of(&folder.path().join("x")).unwrap();
        let Some(file) = target.nameless() else {
            // This file system has no such files.
            return;
        };
        fill(&file, b"whole", Care::Durable).unwrap();
        assert!(listing(folder.path()).is_empty());
        assert!(matches!(target.link(&file, Care::Durable), Ok(Linked::InPlace)));
        assert_eq!(listing(folder.path()), ["x"]);
    }

    #[rstest]
    fn what_is_no_file_is_replaced_and_not_written_to(
        #[values(Care::Durable, Care::Whole, Care::Quick)] care: Care,
        #[values(true, false)] named: bool,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        fs::write(&victim, "mine").unwrap();
        let path = folder.path().join("x");
        for is_link in [true, false] {
            if is_link {
                symlink(&victim, &path).unwrap();
            } else {
                mkfifo(&path, MODE).unwrap();
            }
            put(&path, b"new", care, named).unwrap();
            assert!(fs::symlink_metadata(&path).unwrap().is_file());
            assert_eq!(fs::read(&path).unwrap(), b"new");
            fs::remove_file(&path).unwrap();
        }
        assert_eq!(fs::read(victim).unwrap(), b"mine");
        let refused = put(folder.path(), b"", care, named).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(Errno::EISDIR as i32));
    }

    #[test]
    fn nothing_leaves_a_folder_through_a_link_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        let (out, outside) = (top.join("o/ut"), top.join("outside"));
        fs::create_dir(&outside).unwrap();
        let put = |path: &str| Folder::open(&out)?.replace(Path::new(path), b"new", Care::Quick);
        put("a/b/x").unwrap();
        assert_eq!(fs::read(out.join("a/b/x")).unwrap(), b"new");
        symlink(&outside, out.join("link")).unwrap();
        symlink("a/b", out.join("inside")).unwrap();
        put("inside/y").unwrap();
        assert_eq!(listing(&out.join("a/b")), ["x", "y"]);
        for path in ["link/x", "link/new/x", "../x"] {
            let error = put(path).unwrap_err().to_string();
            assert!(error.starts_with("it is not below the root"), "{path}: {error}");
        }
        assert!(listing(&outside).is_empty());
    }

    #[test]
    fn a_file_with_the_same_content_stays_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let mut last = None;
        for (content, stays) in
            [(&b"one"[..], false), (b"one", true), (b"two", false), (b"three", false), (b"", false)]
        {
            // It is held, so that no later file has its number.
            replace(&path, content, Care::Quick).unwrap();
            let file = File::open(&path).unwrap();
            let number = fstat(&file).unwrap().st_ino;
            let before = last.replace((file, number));
            assert_eq!(before.is_some_and(|(_, before)| before == number), stays, "{content:?}");
            assert_eq!(fs::read(&path).unwrap(), content);
        }
    }

    #[test]
    fn what_a_killed_writer_left_goes_with_the_next_write_and_no_sooner() {
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join(".x.tmp");
        fs::write(&left, "half of something").unwrap();
        let other = File::open(&left).unwrap();
        other.lock().unwrap();
        replace(&folder.path().join("x"), b"new", Care::Quick).unwrap();
        assert_eq!(listing(folder.path()), [".x.tmp", "x"], "another writer has it");
        drop(other);
        replace(&folder.path().join("x"), b"new", Care::Quick).unwrap();
        assert_eq!(listing(folder.path()), ["x"]);
    }

    #[test]
    fn what_a_killed_writer_left_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        for care in [Care::Durable, Care::Whole, Care::Quick] {
            fs::write(folder.path().join(".x.tmp"), "half of something longer").unwrap();
            Target::of(&path).unwrap().named(b"whole", care).unwrap();
            assert_eq!(
                (fs::read(&path).unwrap(), listing(folder.path())),
                (b"whole".into(), vec!["x".to_owned()])
            );
        }
        symlink("/nowhere", folder.path().join(".x.tmp")).unwrap();
        Target::of(&path).unwrap().named(b"again", Care::Durable).unwrap();
        mkfifo(&folder.path().join(".x.tmp"), MODE).unwrap();
        replace(&path, b"more", Care::Durable).unwrap();
        assert_eq!((fs::read(&path).unwrap(), listing(folder.path()).len()), (b"more".into(), 1));
    }

    #[rstest]
    fn of_many_writers_at_once_one_is_the_last(
        #[values(Care::Durable, Care::Whole, Care::Quick)] care: Care,
        #[values(true, false)] named: bool,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        thread::scope(|scope| {
            for number in 0..4u8 {
                let path = &path;
                scope.spawn(move || {
                    let content = vec![b'0' + number; 1000 + usize::from(number)];
                    for _ in 0..25 {
                        put(path, &content, care, named).unwrap();
                    }
                });
            }
        });
        let last = fs::read(&path).unwrap();
        assert_eq!(last.len(), 1000 + usize::from(last[0] - b'0'));
        assert!(last.iter().all(|byte| *byte == last[0]));
        assert_eq!(listing(folder.path()), ["x"]);
    }
}
