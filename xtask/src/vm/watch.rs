//! Follows a VM to its end: hands on what its command writes, and learns how the command ended.

use std::{
    fs::File,
    io::{self, PipeReader, PipeWriter, Read, Write, pipe},
    os::fd::AsFd,
    process::ExitStatus,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use super::{VmError, hypervisor::Vm};

/// How much is shown of what a VM's console said last.
const SHOWN: usize = 4096;

/// What ends the wait for a VM.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// The command exited with this status.
    Exited(u8),
    Deadline,
    /// The VM ended by itself.
    Gone {
        started: bool,
    },
    /// What the command writes can't be handed on.
    Unheard,
}

/// Waits until the command has exited, and ends the VM; the command's exit status.
///
/// # Errors
/// When it did not exit within the limit, or the VM ended before it.
pub(super) fn follow(vm: Vm, limit: Duration) -> Result<u8, VmError> {
    let Vm { mut child, stdout, stderr, status, console } = vm;
    let (stopped, stop) = pipe().map_err(VmError::system("a pipe"))?;
    let outputs = [
        hand_on(stdout, io::stdout().as_fd(), &stop),
        hand_on(stderr, io::stderr().as_fd(), &stop),
    ];
    let console = thread::spawn(|| last_of(console));
    let end = wait(status, &stopped, limit);
    // It may have ended already.
    drop(child.kill());
    let exit = child.wait().map_err(VmError::system("QEMU"))?;
    let console = shown(&console.join().unwrap_or_default());
    for output in outputs {
        let copied = output.map_err(VmError::system("the command's output"))?.join();
        copied.unwrap_or(Ok(())).map_err(VmError::system("the command's output"))?;
    }
    match end? {
        End::Exited(status) => Ok(status),
        End::Deadline => Err(VmError::Deadline { seconds: limit.as_secs(), console }),
        End::Gone { started } => Err(VmError::Ended { how: how(exit, started), console }),
        End::Unheard => {
            Err(VmError::Ended { how: "since nobody reads its output".to_owned(), console })
        }
    }
}

/// Copies what the command writes, in a thread. A copy that fails is told to the other end of `stop`.
fn hand_on(
    mut from: PipeReader,
    to: impl AsFd,
    stop: &PipeWriter,
) -> io::Result<JoinHandle<io::Result<()>>> {
    let mut to = File::from(to.as_fd().try_clone_to_owned()?);
    let mut stop = stop.try_clone()?;
    Ok(thread::spawn(move || {
        let copied = io::copy(&mut from, &mut to).map(drop);
        if copied.is_err() {
            stop.write_all(b"!")?;
        }
        copied
    }))
}

/// The last bytes of what is read up to its end.
fn last_of(mut from: PipeReader) -> Vec<u8> {
    let (mut last, mut buffer) = (Vec::new(), [0; SHOWN]);
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        last.extend_from_slice(&buffer[..read]);
        let surplus = last.len().saturating_sub(SHOWN);
        last.drain(..surplus);
    }
    last
}

/// Reads the VM's own lines until something ends the wait.
fn wait(mut status: PipeReader, stopped: &PipeReader, limit: Duration) -> Result<End, VmError> {
    let until = Instant::now() + limit;
    let (mut said, mut buffer) = (Vec::new(), [0; 256]);
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut sources =
            [status.as_fd(), stopped.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        match poll(&mut sources, timeout) {
            Ok(0) if left.is_zero() => return Ok(End::Deadline),
            Ok(0) | Err(Errno::EINTR) => continue,
            Ok(_) => {}
            Err(errno) => return Err(VmError::system("the VM")(errno.into())),
        }
        if sources[1].any().unwrap_or(false) {
            return Ok(End::Unheard);
        }
        match status.read(&mut buffer).map_err(VmError::system("the VM"))? {
            0 => return Ok(End::Gone { started: said.starts_with(b"started\n") }),
            read => said.extend_from_slice(&buffer[..read]),
        }
        if let Some(status) = exited(&said) {
            return Ok(End::Exited(status));
        }
    }
}

/// The status in the lines that a VM has said so far.
fn exited(said: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(said).ok()?;
    let whole = text.rsplit_once('\n')?.0;
    whole.lines().find_map(|line| line.strip_prefix("exited ")?.parse().ok())
}

fn how(exit: ExitStatus, started: bool) -> String {
    let when = if started { "while it ran" } else { "before it was started" };
    format!("{when} (QEMU: {exit})")
}

/// What the console said last, for the end of a message.
fn shown(console: &[u8]) -> String {
    let text = String::from_utf8_lossy(console);
    let text: String =
        text.chars().filter(|character| *character == '\n' || !character.is_control()).collect();
    match text.trim() {
        "" => String::new(),
        text => format!("; its console said last:\n{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    #[test]
    fn a_status_is_read_when_its_line_is_whole() {
        assert_eq!(exited(b"started\n"), None);
        assert_eq!(exited(b"started\nexited 1"), None);
        assert_eq!(exited(b"started\nexited 12\n"), Some(12));
    }

    #[test]
    fn the_wait_ends_with_the_first_thing_that_ends_it() {
        let (stopped, mut stop) = pipe().unwrap();
        let said = |bytes: &[u8]| {
            let (reader, mut writer) = pipe().unwrap();
            writer.write_all(bytes).unwrap();
            (reader, writer)
        };
        let (status, _open) = said(b"started\nexited 3\n");
        assert_eq!(wait(status, &stopped, LONG).unwrap(), End::Exited(3));
        let (status, closed) = said(b"started\n");
        drop(closed);
        assert_eq!(wait(status, &stopped, LONG).unwrap(), End::Gone { started: true });
        let (status, _open) = said(b"started\n");
        assert_eq!(wait(status, &stopped, Duration::ZERO).unwrap(), End::Deadline);
        stop.write_all(b"!").unwrap();
        let (status, _open) = said(b"");
        assert_eq!(wait(status, &stopped, LONG).unwrap(), End::Unheard);
    }

    #[test]
    fn the_last_words_of_a_console_are_kept() {
        let (reader, mut writer) = pipe().unwrap();
        let words = thread::spawn(|| last_of(reader));
        writer.write_all(&[b'x'; 3 * SHOWN]).unwrap();
        writer.write_all(b"\x1b[0mKernel panic\r\n").unwrap();
        drop(writer);
        let text = shown(&words.join().unwrap());
        assert!(text.ends_with("xx[0mKernel panic") && text.len() < SHOWN + 100, "{text}");
        assert_eq!(shown(b" \r\n"), "");
    }
}
