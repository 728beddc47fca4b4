//! Reading: opened once, looked at on that descriptor, and never more than allowed.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read},
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use nix::{
    fcntl::{AT_FDCWD, FcntlArg, OFlag, fcntl, openat},
    sys::stat::Mode,
};

use super::{FileError, Root, Scope, kind::Found};

/// What standard input is called where it has a name.
const STDIN: [&str; 3] = ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"];

/// Reads a file that a person named, wherever it is. Links are followed.
///
/// # Errors
/// When it is not there, no regular file, or longer than `most` bytes.
pub fn read(path: &Path, most: usize) -> Result<Vec<u8>, FileError> {
    regular(most, |flags| open(path, flags))
}

/// Reads a file that stood in a folder: where it is a link, and `scope` does not allow it, it is
/// not followed out of the root of that folder.
///
/// # Errors
/// As [`read`], and when it leads out of the root.
pub fn read_found(path: &Path, scope: Scope, most: usize) -> Result<Vec<u8>, FileError> {
    if scope == Scope::Anywhere {
        return read(path, most);
    }
    if !Found::of(open(path, OFlag::O_PATH | OFlag::O_NOFOLLOW)?)
        .map_err(io::Error::from)?
        .is_link()
    {
        // What is put there in the meantime is not followed.
        return regular(most, |flags| open(path, flags | OFlag::O_NOFOLLOW));
    }
    let root = Root::of(path.parent().unwrap_or(Path::new("")))?;
    let name = Path::new(path.file_name().unwrap_or(OsStr::new("..")));
    regular(most, |flags| root.open(name, flags))
}

/// Reads a file that a scenario or its snapshot, the `referrer`, names, seen from its folder.
///
/// # Errors
/// As [`read`], and when it is not below the root of that folder.
pub fn read_named(
    referrer: &Path,
    name: &Path,
    scope: Scope,
    most: usize,
) -> Result<Vec<u8>, FileError> {
    let folder = referrer.parent().unwrap_or(Path::new(""));
    match scope {
        Scope::Anywhere => read(&folder.join(name), most),
        Scope::Root => {
            let root = Root::of(folder)?;
            regular(most, |flags| root.open(name, flags))
        }
    }
}

/// Reads what a person named as input: a file, or a pipe that a shell made for this command, as of
/// `<(COMMAND)`, or a terminal. A pipe with a name is none: nobody may be there to write into it.
///
/// # Errors
/// As [`read`].
pub fn read_input(path: &Path, most: usize) -> Result<Vec<u8>, FileError> {
    if STDIN.iter().any(|name| path == Path::new(name)) {
        return read_stdin(most);
    }
    match stream(path)? {
        Some(stream) => bounded(stream, 0, most),
        None => read(path, most),
    }
}

/// Whether a person means standard input: `-`, or one of the names that the system has for it.
#[must_use]
pub fn is_stdin(path: &Path) -> bool {
    path == Path::new("-") || STDIN.iter().any(|name| path == Path::new(name))
}

/// Opens what a person named as input, as [`read_input`] does, to be read as it comes and however long it
/// is; `-` is standard input.
///
/// # Errors
/// When it can't be opened, or is neither a regular file nor a stream.
pub fn open_input(path: &Path) -> Result<File, FileError> {
    if is_stdin(path) {
        return Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?));
    }
    if let Some(stream) = stream(path)? {
        return Ok(stream);
    }
    look(&open(path, OFlag::O_PATH)?)?.regular()?;
    let fd = open(path, READING)?;
    look(&fd)?.regular()?;
    Ok(File::from(fd))
}

/// A pipe that a shell made, or a terminal; none where the path leads to anything else.
fn stream(path: &Path) -> Result<Option<File>, FileError> {
    let streams = |found: &Found| found.is_shells() || found.is_terminal();
    if !streams(&look(&open(path, OFlag::O_PATH)?)?) {
        return Ok(None);
    }
    let fd = open(path, READING)?;
    if !streams(&look(&fd)?) {
        // Another one than it was before.
        return Ok(None);
    }
    // What has not come yet is waited for.
    fcntl(&fd, FcntlArg::F_SETFL(OFlag::empty())).map_err(io::Error::from)?;
    Ok(Some(File::from(fd)))
}

/// Reads standard input, whatever it is.
///
/// # Errors
/// When it can't be read, or has more than `most` bytes.
pub fn read_stdin(most: usize) -> Result<Vec<u8>, FileError> {
    bounded(io::stdin().lock(), 0, most)
}

/// Whether something in the working directory that nobody named is in its project. What is not
/// there is.
///
/// # Errors
/// When a link leads it out of the root of the working directory, and `scope` does not allow that.
pub fn inside(path: &Path, scope: Scope) -> Result<(), FileError> {
    if scope == Scope::Anywhere {
        return Ok(());
    }
    match Root::of(Path::new(""))?.open(path, OFlag::O_PATH) {
        Err(error @ FileError::Outside { .. }) => Err(error),
        _ => Ok(()),
    }
}

/// The text of a file.
///
/// # Errors
/// When it is not UTF-8.
pub fn text(bytes: Vec<u8>) -> Result<String, FileError> {
    String::from_utf8(bytes).map_err(|_| FileError::NotText)
}

/// How a file is opened to be read: a pipe is not waited for, a terminal does not become ours.
const READING: OFlag = OFlag::O_RDONLY.union(OFlag::O_NONBLOCK).union(OFlag::O_NOCTTY);

fn open(path: &Path, flags: OFlag) -> Result<OwnedFd, FileError> {
    Ok(openat(AT_FDCWD, path, flags | OFlag::O_CLOEXEC, Mode::empty()).map_err(io::Error::from)?)
}

fn look(fd: &OwnedFd) -> Result<Found, FileError> {
    Ok(Found::of(fd).map_err(io::Error::from)?)
}

/// Reads a regular file. It is looked at before it is opened (open(2), O_PATH, which opens nothing:
/// the writer of a pipe is not woken, no device is started), and again on the descriptor that is
/// read.
fn regular(
    most: usize,
    open: impl Fn(OFlag) -> Result<OwnedFd, FileError>,
) -> Result<Vec<u8>, FileError> {
    look(&open(OFlag::O_PATH)?)?.regular()?;
    let fd = open(READING)?;
    let before = look(&fd)?;
    before.regular()?;
    if before.size() > most as u64 {
        return Err(FileError::TooLarge { most });
    }
    let file = File::from(fd);
    let bytes = bounded(&file, before.size(), most)?;
    let after = Found::of(&file).map_err(io::Error::from)?;
    honest(bytes, after.size())
}

/// What was read of a file that has this size now. One that has grown has at least as much; one
/// that has less is made up as it is read, or became another.
fn honest(bytes: Vec<u8>, size: u64) -> Result<Vec<u8>, FileError> {
    if size < bytes.len() as u64 { Err(FileError::Lies) } else { Ok(bytes) }
}

/// Reads to the end, which may not come after more than `most` bytes. Memory is taken for `size`,
/// and for more as it comes.
fn bounded(from: impl Read, size: u64, most: usize) -> Result<Vec<u8>, FileError> {
    // One more byte shows whether this is the end.
    let expected = usize::try_from(size).unwrap_or(most).min(most) + 1;
    let mut bytes = Vec::with_capacity(expected);
    from.take(most as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > most { Err(FileError::TooLarge { most }) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests;
