//! Opening a file that a person named, to be written: never a pipe that nobody reads, nor what a
//! link of somebody else leads to.

use std::{
    fs::{File, OpenOptions},
    io,
    os::fd::AsFd,
    path::Path,
};

use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, FcntlArg, OFlag, fcntl, openat},
};

use super::{kind::Found, replace::MODE};

/// Makes or empties a file that a person named, to be written.
///
/// It is a file, not a link to one; or one of the names of what the process has open
/// (`/dev/stdout`, `/dev/stderr`, `/dev/fd/N`), which a shell may have made a pipe; or a terminal,
/// or `/dev/null` and its like. Nothing else is written to.
///
/// # Errors
/// When the system refuses, or it is something else.
pub fn create(path: &Path) -> io::Result<File> {
    open(path, OFlag::empty())
}

/// As [`create`], and what is written goes behind what a file has.
///
/// # Errors
/// As [`create`].
pub fn append(path: &Path) -> io::Result<File> {
    open(path, OFlag::O_APPEND)
}

/// Makes a file where nothing is, not even a link.
///
/// # Errors
/// When something is there, or the system refuses.
pub fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

fn open(path: &Path, mode: OFlag) -> io::Result<File> {
    // It is not opened again: a second open file would begin at its beginning, and a socket has no
    // path.
    if path == Path::new("/dev/stdout") {
        return Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?));
    }
    if path == Path::new("/dev/stderr") {
        return Ok(File::from(io::stderr().as_fd().try_clone_to_owned()?));
    }
    let own = ["/dev/fd", "/proc/self/fd"].iter().any(|folder| path.starts_with(folder));
    let follow = if own { OFlag::empty() } else { OFlag::O_NOFOLLOW };
    let open = |flags| openat(AT_FDCWD, path, flags | follow | OFlag::O_CLOEXEC, MODE);
    match open(OFlag::O_PATH) {
        Ok(fd) => writable(&Found::of(&fd)?)?,
        Err(Errno::ENOENT) => {}
        Err(errno) => return Err(errno.into()),
    }
    let careful = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let fd = open(OFlag::O_WRONLY | OFlag::O_CREAT | careful | mode)?;
    let found = Found::of(&fd)?;
    writable(&found)?;
    // The reader of a pipe exists, and is waited for.
    fcntl(&fd, FcntlArg::F_SETFL(mode))?;
    let file = File::from(fd);
    if found.regular().is_ok() && !mode.contains(OFlag::O_APPEND) {
        file.set_len(0)?;
    }
    Ok(file)
}

/// Refuses what nothing is written to.
fn writable(found: &Found) -> io::Result<()> {
    if found.is_shells() || found.is_terminal() || found.is_sink() {
        return Ok(());
    }
    found.regular().map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::Write,
        os::{fd::AsRawFd, unix::fs::symlink},
    };

    use nix::unistd::mkfifo;

    use super::*;

    #[test]
    fn a_named_file_is_made_emptied_or_added_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        create(&path).unwrap().write_all(b"one").unwrap();
        append(&path).unwrap().write_all(b", two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one, two");
        create(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"");
        assert!(create_new(&path).is_err());
        for device in ["/dev/null", "/dev/full", "/dev/stdout", "/dev/stderr"] {
            create(Path::new(device)).unwrap();
        }
    }

    #[test]
    fn nothing_else_is_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("victim"), "mine").unwrap();
        symlink("victim", path("link")).unwrap();
        mkfifo(&path("fifo"), MODE).unwrap();
        for (path, expected) in [
            (path("link"), "it is a link"),
            (path("fifo"), "it is a pipe (FIFO)"),
            (path(""), "it is a directory"),
            ("/dev/urandom".into(), "it is a device"),
            ("/proc/self/comm".into(), "it is a file of /proc, and not one that is kept"),
        ] {
            for error in [create(&path).unwrap_err(), append(&path).unwrap_err()] {
                assert_eq!(error.to_string(), expected, "{}", path.display());
            }
        }
        assert_eq!(fs::read(path("victim")).unwrap(), b"mine");
        symlink("gone", path("new")).unwrap();
        assert!(create(&path("new")).is_err() && create_new(&path("new")).is_err());
        assert!(!path("gone").exists());
    }

    #[test]
    fn a_pipe_of_a_shell_is_written_to() {
        let (mut reader, writer) = io::pipe().unwrap();
        let path = format!("/dev/fd/{}", writer.as_raw_fd());
        let mut file = create(Path::new(&path)).unwrap();
        drop(writer);
        file.write_all(b"report").unwrap();
        drop(file);
        assert_eq!(io::read_to_string(&mut reader).unwrap(), "report");
    }
}
