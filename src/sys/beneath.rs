//! Opening what a path names below a directory and nowhere else: for the files that a scenario, and
//! not a person, asks for. Read by the part `file`.

use std::{
    collections::VecDeque,
    ffi::OsString,
    fmt, io,
    os::fd::{AsFd, OwnedFd},
    path::{Component, Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat},
    sys::{
        stat::{Mode, SFlag, fstat, mkdirat},
        statfs::{PROC_SUPER_MAGIC, fstatfs},
    },
};

/// Most links that are followed on the way to a file, as path_resolution(7) has it.
const MOST_LINKS: usize = 40;

/// How often a path is tried again when a directory on the way is renamed in the same moment
/// (openat2(2), EAGAIN).
const MOST_RENAMES: usize = 64;

/// Why a path below a directory can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum BeneathError {
    /// It leads out of the directory.
    #[error("{0}")]
    Escapes(Escape),
    #[error(transparent)]
    System(io::Error),
}

/// What leads out of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Escape {
    /// The path does not begin in the directory.
    Absolute,
    /// Its `..` go above the directory.
    Parent,
    /// This link, seen from the directory, goes somewhere else.
    Link(PathBuf),
}

impl fmt::Display for Escape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absolute => f.write_str("it is an absolute path"),
            Self::Parent => f.write_str("its `..` lead above that"),
            Self::Link(link) => write!(f, "the link '{}' leads elsewhere", link.display()),
        }
    }
}

impl From<Errno> for BeneathError {
    fn from(errno: Errno) -> Self {
        Self::System(errno.into())
    }
}

/// A directory that nothing opened through it leaves.
///
/// Links are followed as long as they stay below it. An absolute one stays below it where its text
/// begins with the directory's own path. A path that goes above the directory is refused even where
/// it comes back, and so are the links of `/proc` that lead to what a process has open.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

impl Directory {
    /// Opens the directory of an absolute path without links.
    ///
    /// # Errors
    /// When it is not there, or is no directory.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let fd = openat(AT_FDCWD, path, flags, Mode::empty())?;
        Ok(Self { fd, path: path.to_owned() })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens what `path` names, seen from the directory.
    ///
    /// # Errors
    /// When that is not below the directory, or the system refuses.
    pub fn open_beneath(&self, path: &Path, flags: OFlag) -> Result<OwnedFd, BeneathError> {
        if path.is_absolute() {
            return Err(BeneathError::Escapes(Escape::Absolute));
        }
        match self.by_the_kernel(path, flags) {
            Ok(fd) => Ok(fd),
            // EXDEV: it leads out, or over an absolute link, of which the kernel follows none here.
            // ENOSYS: Linux before 5.6. EPERM: a filter of system calls that does not know this
            // one.
            Err(Errno::EXDEV | Errno::ENOSYS | Errno::EPERM) => self.by_steps(path, flags),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Opens the directory that `path` names, seen from this one, and makes what is missing of it.
    ///
    /// # Errors
    /// When that is not below the directory, or the system refuses.
    pub fn make_beneath(&self, path: &Path) -> Result<OwnedFd, BeneathError> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let mut opened = self.open_beneath(path, flags);
        if !matches!(&opened, Err(BeneathError::System(error)) if is_missing(error)) {
            return opened;
        }
        let mut gone = PathBuf::new();
        for part in path.components() {
            let above = self.open_beneath(&gone, flags)?;
            gone.push(part);
            match mkdirat(&above, part.as_os_str(), Mode::from_bits_truncate(0o777)) {
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
            opened = self.open_beneath(&gone, flags);
        }
        opened
    }

    /// openat2(2).
    fn by_the_kernel(&self, path: &Path, flags: OFlag) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(resolve);
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        for _ in 0..MOST_RENAMES {
            match openat2(&self.fd, path, how) {
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                done => return done,
            }
        }
        Err(Errno::EAGAIN)
    }

    /// The same, one component after another, each opened without following a link. The directories
    /// on the way stay open, so that `..` leads back to the one that was gone through.
    fn by_steps(&self, path: &Path, flags: OFlag) -> Result<OwnedFd, BeneathError> {
        let mut walk = Walk { root: self, open: Vec::new(), names: Vec::new() };
        let mut left = components(path);
        let mut links = 0;
        while let Some(name) = left.pop_front() {
            if name == ".." {
                walk.up()?;
                continue;
            }
            let look = walk.step(&name, OFlag::O_PATH)?;
            match kind(&look)? {
                SFlag::S_IFLNK => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(Errno::ELOOP.into());
                    }
                    for name in walk.follow(&look, &name)?.into_iter().rev() {
                        left.push_front(name);
                    }
                }
                _ if left.is_empty() => return Ok(walk.step(&name, flags)?),
                SFlag::S_IFDIR => walk.down(look, name),
                _ => return Err(Errno::ENOTDIR.into()),
            }
        }
        Ok(walk.step(&OsString::from("."), flags)?)
    }
}

/// A way down from a directory.
struct Walk<'a> {
    root: &'a Directory,
    /// The directories that were gone into, the innermost last.
    open: Vec<OwnedFd>,
    names: Vec<OsString>,
}

impl Walk<'_> {
    fn step(&self, name: &OsString, flags: OFlag) -> Result<OwnedFd, Errno> {
        let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let here = self.open.last().unwrap_or(&self.root.fd);
        openat(here.as_fd(), name.as_os_str(), flags, Mode::empty())
    }

    fn down(&mut self, directory: OwnedFd, name: OsString) {
        self.open.push(directory);
        self.names.push(name);
    }

    fn up(&mut self) -> Result<(), BeneathError> {
        self.names.pop();
        match self.open.pop() {
            Some(_) => Ok(()),
            None => Err(BeneathError::Escapes(Escape::Parent)),
        }
    }

    /// Where a link leads, seen from where the walk then is.
    fn follow(
        &mut self,
        link: &OwnedFd,
        name: &OsString,
    ) -> Result<VecDeque<OsString>, BeneathError> {
        let path: PathBuf = self.names.iter().chain([name]).collect();
        let leads_out = || BeneathError::Escapes(Escape::Link(path.clone()));
        // The text of such a link says what it leads to, and not where that is (proc(5)).
        if fstatfs(link)?.filesystem_type() == PROC_SUPER_MAGIC {
            return Err(leads_out());
        }
        let target = PathBuf::from(readlinkat(link, "")?);
        if !target.is_absolute() {
            let depth = target.components().try_fold(self.open.len(), |depth, part| match part {
                Component::ParentDir => depth.checked_sub(1),
                Component::Normal(_) => Some(depth + 1),
                _ => Some(depth),
            });
            // Said of the link here: where it has been followed, only a `..` would be left to name.
            return depth.map(|_| components(&target)).ok_or_else(leads_out);
        }
        let below = target.strip_prefix(&self.root.path).map_err(|_| leads_out())?;
        self.open.clear();
        self.names.clear();
        Ok(components(below))
    }
}

fn is_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

/// What is gone through, without what leads nowhere else.
fn components(path: &Path) -> VecDeque<OsString> {
    let parts = path.components();
    let parts = parts.filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    parts.map(|part| part.as_os_str().to_owned()).collect()
}

fn kind(fd: &OwnedFd) -> Result<SFlag, Errno> {
    Ok(SFlag::from_bits_truncate(fstat(fd)?.st_mode & SFlag::S_IFMT.bits()))
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File},
        io::Read,
        os::unix::fs::symlink,
    };

    use rstest::rstest;
    use tempfile::TempDir;

    use super::*;

    /// A directory `root` with files, links and a neighbour.
    struct Tree {
        _folder: TempDir,
        root: Directory,
    }

    impl Tree {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let top = folder.path().canonicalize().unwrap();
            let root = top.join("root");
            fs::create_dir_all(root.join("a/b")).unwrap();
            fs::create_dir_all(top.join("rooted")).unwrap();
            for file in ["root/x", "root/a/x", "root/a/b/x", "out", "rooted/x"] {
                fs::write(top.join(file), file).unwrap();
            }
            let absolute = |below: &str| root.join(below).into_os_string();
            for (link, target) in [
                ("down", "a/b/x".into()),
                ("a/b/up", "../../x".into()),
                ("folder", "a/b".into()),
                ("chain", "folder/up".into()),
                ("inside", absolute("a/x")),
                ("a/root", absolute("")),
                ("a/out", "../../out".into()),
                ("back", "../root/x".into()),
                ("abroad", "/etc".into()),
                ("prefix", top.join("rooted/x").into_os_string()),
                ("loop", "loop".into()),
                ("gone", "a/gone".into()),
                ("dot", ".".into()),
                ("descriptor", "/proc/self/fd/0".into()),
            ] {
                symlink(PathBuf::from(target), root.join(link)).unwrap();
            }
            Self { _folder: folder, root: Directory::open(&root).unwrap() }
        }
    }

    fn outcome(opened: Result<OwnedFd, BeneathError>) -> String {
        match opened {
            Ok(fd) => {
                let mut text = String::new();
                File::from(fd).read_to_string(&mut text).unwrap();
                text
            }
            Err(BeneathError::Escapes(escape)) => format!("{escape:?}"),
            Err(BeneathError::System(error)) => {
                Errno::from_raw(error.raw_os_error().unwrap()).to_string()
            }
        }
    }

    #[rstest]
    #[case("x", "root/x")]
    #[case("./a/./b/x", "root/a/b/x")]
    #[case("a/../x", "root/x")]
    #[case("a/b/../../a/x", "root/a/x")]
    #[case("down", "root/a/b/x")]
    #[case("a/b/up", "root/x")]
    #[case("folder/../x", "root/a/x")]
    #[case("chain", "root/x")]
    #[case("dot/dot/x", "root/x")]
    #[case("inside", "root/a/x")]
    #[case("a/root/a/b/x", "root/a/b/x")]
    #[case("a/root/../out", "Parent")]
    #[case("../out", "Parent")]
    #[case("../root/x", "Parent")]
    #[case("a/../../out", "Parent")]
    #[case("folder/../../../out", "Parent")]
    #[case("a/out", "Link(\"a/out\")")]
    #[case("back", "Link(\"back\")")]
    #[case("abroad/passwd", "Link(\"abroad\")")]
    #[case("prefix", "Link(\"prefix\")")]
    #[case("descriptor", "Link(\"descriptor\")")]
    #[case("/etc/passwd", "Absolute")]
    #[case("loop", "ELOOP: Too many symbolic links encountered")]
    #[case("gone", "ENOENT: No such file or directory")]
    #[case("x/../x", "ENOTDIR: Not a directory")]
    #[case("x/y", "ENOTDIR: Not a directory")]
    fn a_path_stays_below_its_directory(#[case] path: &str, #[case] expected: &str) {
        let tree = Tree::new();
        let path = Path::new(path);
        assert_eq!(outcome(tree.root.open_beneath(path, OFlag::O_RDONLY)), expected);
        if !path.is_absolute() {
            assert_eq!(outcome(tree.root.by_steps(path, OFlag::O_RDONLY)), expected, "by steps");
        }
        // What the kernel opens is what is opened without it.
        match tree.root.by_the_kernel(path, OFlag::O_RDONLY) {
            Ok(fd) => assert_eq!(outcome(Ok(fd)), expected, "by the kernel"),
            Err(Errno::EXDEV | Errno::ENOSYS | Errno::EPERM) => {}
            Err(errno) => assert_eq!(errno.to_string(), expected, "by the kernel"),
        }
    }

    #[test]
    fn the_directory_itself_is_below_itself() {
        let tree = Tree::new();
        for path in ["", ".", "a/..", "folder/../.."] {
            let fd = tree.root.by_steps(Path::new(path), OFlag::O_RDONLY).unwrap();
            assert_eq!(fstat(&fd).unwrap().st_ino, fstat(&tree.root.fd).unwrap().st_ino, "{path}");
        }
    }

    #[test]
    fn a_directory_is_made_below_and_nowhere_else() {
        let tree = Tree::new();
        let root = tree.root.path().to_owned();
        for (path, made) in [("new/er/one", "new/er/one"), ("folder/new", "a/b/new"), ("a", "a")] {
            let fd = tree.root.make_beneath(Path::new(path)).unwrap();
            let found = fs::metadata(root.join(made)).unwrap();
            assert!(found.is_dir());
            assert_eq!(fstat(&fd).unwrap().st_ino, std::os::unix::fs::MetadataExt::ino(&found));
        }
        for (path, expected) in [
            ("../new", "Parent"),
            ("back/new", "Link(\"back\")"),
            ("a/out/new", "Link(\"a/out\")"),
            ("abroad/new", "Link(\"abroad\")"),
            ("gone/new", "ENOENT: No such file or directory"),
            ("x/new", "ENOTDIR: Not a directory"),
        ] {
            assert_eq!(outcome(tree.root.make_beneath(Path::new(path))), expected, "{path}");
        }
        assert!(!root.parent().unwrap().join("new").exists());
        assert!(!root.join("a/gone").exists());
    }

    #[test]
    fn a_link_of_proc_is_not_followed_below_proc() {
        let proc = Directory::open(Path::new("/proc")).unwrap();
        let path = format!("{}/fd/0", std::process::id());
        for opened in [
            proc.open_beneath(Path::new(&path), OFlag::O_PATH),
            proc.by_steps(Path::new(&path), OFlag::O_PATH),
        ] {
            assert!(opened.is_err(), "{opened:?}");
        }
    }
}
