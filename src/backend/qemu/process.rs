//! Starts a QEMU, reads its standard error, and reports how it ended. `Machine` and the probe start
//! processes with it.

use std::{
    ffi::{OsStr, OsString},
    fs,
    io::{self, PipeReader, Read},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::{net::UnixStream, process::ExitStatusExt},
    },
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Instant,
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::{PollFd, PollFlags, ppoll},
    sys::{
        signal::{Signal, kill},
        time::TimeSpec,
    },
    unistd::Pid,
};
use serde_json::{Map, Value};

use super::{
    LONGEST_COMMAND,
    program::{self, Program},
    qmp::Qmp,
};
use crate::{
    record::Outcome,
    sys::{Confined, Launch, LaunchError},
};

/// What every QEMU here has: no machine, nothing of the user's, and threads with names.
const BARE: [&str; 8] = [
    "-name",
    "debug-threads=on",
    "-nodefaults",
    "-no-user-config",
    "-display",
    "none",
    "-machine",
    "none",
];

/// Lines of standard error that the text of a death holds.
const LAST_WORDS: usize = 4;

/// Bytes of standard error that are taken at once: who never falls silent must not keep everybody
/// else from being heard.
const MOST_AT_ONCE: usize = 256 << 10;

/// What a shell's exit status has above the number of the signal that ended its last command
/// (POSIX.1-2024, Shell Command Language, 2.8.2).
const BY_SIGNAL: i32 = 128;

/// Command line arguments, and the descriptors that they speak of by number.
#[derive(Debug, Default)]
pub struct Arguments {
    words: Vec<OsString>,
    inherited: Vec<OwnedFd>,
    /// Where it runs: paths without a root lead there.
    folder: Option<PathBuf>,
    writable: Option<PathBuf>,
}

impl Arguments {
    /// An option and its value.
    pub fn push(&mut self, option: &str, value: &str) {
        self.word(option);
        self.word(value);
    }

    /// A word that stands alone.
    pub fn word(&mut self, word: &str) {
        self.words.push(word.into());
    }

    pub(super) fn run_in(&mut self, folder: &Path) {
        self.folder = Some(folder.to_owned());
    }

    /// The folder that it may write to, the only one; it runs there unless it is to run elsewhere.
    pub fn write_in(&mut self, folder: &Path) {
        self.writable = Some(folder.to_owned());
    }

    /// Hands a descriptor over; gives the number it has in QEMU.
    pub fn inherit(&mut self, fd: OwnedFd) -> i32 {
        let number = fd.as_raw_fd();
        self.inherited.push(fd);
        number
    }

    /// A QMP monitor whose chardev has this id, and the other end of it.
    ///
    /// # Errors
    /// When there is no descriptor left.
    pub fn monitor(&mut self, chardev: &str) -> io::Result<Qmp> {
        let (ours, theirs) = UnixStream::pair()?;
        let fd = self.inherit(theirs.into());
        self.push("-chardev", &format!("socket,id={chardev},fd={fd}"));
        self.push("-mon", &format!("chardev={chardev},mode=control"));
        Qmp::new(ours)
    }
}

/// How a QEMU ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// Its status, and its last words.
    pub(super) how: String,
    /// The action of its own that killed it, as the model names it; none if it was killed from
    /// outside.
    pub(super) itself: Option<String>,
}

impl End {
    /// What it did to itself, else how it was ended.
    pub(super) fn cause(&self) -> &str {
        self.itself.as_ref().unwrap_or(&self.how)
    }
}

/// What QEMU writes to a multiplexed chardev that asks it to end (QEMU 7.2.22
/// `chardev/char-mux.c`, `mux_proc_byte`).
const TERMINATED: &str = "QEMU: Terminated";

/// A QEMU process, and what else its program started. All of it dies with this value, and with the
/// thread that started it.
#[derive(Debug)]
pub struct Process {
    child: Confined,
    speaker: Option<Speaker>,
    stderr: Option<PipeReader>,
    partial: Vec<u8>,
    last_words: Vec<String>,
}

/// The process that speaks QMP.
#[derive(Clone, Copy, Debug)]
struct Speaker {
    id: u32,
    /// It was started by a program of ours, such as a script, and is not that program.
    wrapped: bool,
}

impl Process {
    /// Starts QEMU with a QMP monitor.
    ///
    /// # Errors
    /// When a fence can't be put up, or the program can't be started.
    pub fn start(program: &Program, arguments: Arguments) -> Result<(Self, Qmp), LaunchError> {
        let words = BARE.iter().map(OsString::from).chain(arguments.words).collect();
        let mut all = Arguments { words, ..arguments };
        let qmp = all.monitor(&format!("{}-qmp", super::OWN))?;
        Ok((Self::spawn(program, &all)?, qmp))
    }

    /// Starts QEMU with these arguments and no others but those of its fences. It has its own
    /// copies of the descriptors.
    ///
    /// # Errors
    /// When a fence can't be put up, or the program can't be started.
    pub fn spawn(program: &Program, arguments: &Arguments) -> Result<Self, LaunchError> {
        let words = arguments.words.iter().map(OsString::as_os_str);
        let writable = arguments.writable.as_deref();
        let folder = arguments.folder.as_deref().or(writable);
        let launch = Launch {
            program: program.file(),
            name: program.name().as_os_str(),
            arguments: program.words().iter().map(OsStr::new).chain(words).collect(),
            environment: program::environment(writable),
            folder: folder.unwrap_or(Path::new("/")),
            writable,
            inherited: arguments.inherited.iter().map(AsFd::as_fd).collect(),
        };
        let mut child = Confined::start(&launch, program.confinement())?;
        let stderr = child.take_stderr();
        if let Some(stderr) = &stderr {
            fcntl(stderr, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(io::Error::from)?;
        }
        Ok(Self { child, speaker: None, stderr, partial: Vec::new(), last_words: Vec::new() })
    }

    /// Gives it a command while it has nothing else to do, and waits for the answer.
    ///
    /// # Errors
    /// Why there is none.
    pub fn ask(
        &mut self,
        qmp: &mut Qmp,
        command: &str,
        args: Option<&Map<String, Value>>,
    ) -> Result<Outcome, String> {
        let number = qmp.send(command, args);
        let until = Instant::now() + LONGEST_COMMAND;
        loop {
            let answers = qmp.read().map_err(|error| error.to_string())?;
            if let Some((_, outcome)) = answers.into_iter().find(|(id, _)| *id == number) {
                self.meet(qmp);
                return Ok(outcome);
            }
            if qmp.is_closed() {
                return Err(self.end().map_or_else(|error| error.to_string(), |end| end.how));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(format!("{command}: QEMU does not answer"));
            }
            self.read_lines();
            let mut polled = [PollFd::new(qmp.as_fd(), PollFlags::POLLIN)];
            match ppoll(&mut polled, Some(TimeSpec::from_duration(left)), None) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.to_string()),
            }
        }
    }

    /// The refusal of an `-object` text while options are read, before anything else exists. The
    /// text is given as often as it was there before, and once more. None when it got past that.
    pub(super) fn option_refusal(
        program: &Program,
        earlier: &[&str],
        text: &str,
    ) -> io::Result<Option<String>> {
        let mut arguments = Arguments::default();
        BARE.iter().for_each(|word| arguments.word(word));
        // The last is never accepted, so that this QEMU ends in any case.
        for text in earlier.iter().chain([&text, &super::OWN]) {
            arguments.push("-object", text);
        }
        let mut process = Self::spawn(program, &arguments)?;
        let said = process.last_lines()?;
        let prefix = format!(": -object {text}: ");
        let line = said
            .iter()
            .filter_map(|line| line.split_once(prefix.as_str()))
            .map(|(_, refusal)| refusal)
            .find(|refusal| !refusal.starts_with("warning: "));
        Ok(line.map(str::to_owned))
    }

    /// All lines that it writes on standard error until it has ended.
    fn last_lines(&mut self) -> io::Result<Vec<String>> {
        let until = Instant::now() + LONGEST_COMMAND;
        let mut lines = Vec::new();
        loop {
            lines.extend(self.read_lines());
            let Some(stderr) = &self.stderr else {
                return Ok(lines);
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let mut polled = [PollFd::new(stderr.as_fd(), PollFlags::POLLIN)];
            match ppoll(&mut polled, Some(TimeSpec::from_duration(left)), None) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// The whole lines that QEMU wrote on standard error.
    pub fn read_lines(&mut self) -> Vec<String> {
        let Some(stderr) = &mut self.stderr else {
            return Vec::new();
        };
        let mut buffer = [0; 4096];
        let mut taken = 0;
        let over = loop {
            match stderr.read(&mut buffer) {
                Ok(0) => break true,
                Ok(length) => {
                    self.partial.extend_from_slice(&buffer[..length]);
                    taken += length;
                    if taken >= MOST_AT_ONCE {
                        break false;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break error.kind() != io::ErrorKind::WouldBlock,
            }
        };
        let mut lines = Vec::new();
        let end = if over || self.partial.len() > MOST_AT_ONCE {
            self.partial.len()
        } else {
            let end = self.partial.iter().rposition(|byte| *byte == b'\n');
            end.map_or(0, |at| at + 1)
        };
        if over {
            self.stderr = None;
        }
        let whole: Vec<u8> = self.partial.drain(..end).collect();
        for line in String::from_utf8_lossy(&whole).lines() {
            lines.push(line.to_owned());
            // QEMU does not die of what it warns of, such as a hub without a NIC.
            if !line.contains("warning: ") {
                self.last_words.push(line.to_owned());
            }
        }
        let surplus = self.last_words.len().saturating_sub(LAST_WORDS);
        self.last_words.drain(..surplus);
        lines
    }

    /// How QEMU ended. To be called once it has closed QMP.
    pub(super) fn end(&mut self) -> io::Result<End> {
        let status = self.wait().map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => io::Error::new(
                io::ErrorKind::TimedOut,
                "QEMU has closed QMP, and its program does not end",
            ),
            _ => error,
        })?;
        let status = self.of_qemu(status);
        self.read_lines();
        let words = self.last_words.join("; ");
        let how = status_text(status);
        let signal = status.signal().map(Signal::try_from);
        let itself = match signal {
            Some(Ok(Signal::SIGABRT)) => {
                Some(self.assertion().unwrap_or_else(|| "SIGABRT".to_owned()))
            }
            Some(Ok(
                signal @ (Signal::SIGSEGV | Signal::SIGBUS | Signal::SIGFPE | Signal::SIGILL),
            )) => Some(signal.as_str().to_owned()),
            Some(_) => None,
            None if status.success() => Some(TERMINATED.to_owned()),
            None => Some(words.clone()),
        };
        let how = if words.is_empty() { how } else { format!("{words} ({how})") };
        Ok(End { how, itself })
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] when it does not.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait(Some(LONGEST_COMMAND))
    }

    /// The number of the process that answered QMP first, in this process's `/proc`; none before.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.speaker.map(|speaker| speaker.id)
    }

    /// The process that answered on QMP is QEMU, whatever started it.
    fn meet(&mut self, qmp: &Qmp) {
        if self.speaker.is_none()
            && let Some(id) = qmp.speaker()
        {
            let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
            let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
            let parent = parent.and_then(|number| number.trim().parse().ok());
            let wrapped = parent.is_some_and(|parent: i32| parent != self.child.init().as_raw());
            self.speaker = Some(Speaker { id, wrapped });
        }
    }

    /// What a shell says of the end of a QEMU that it has started is how that QEMU ended.
    fn of_qemu(&self, status: ExitStatus) -> ExitStatus {
        let by_shell = self.speaker.is_some_and(|speaker| speaker.wrapped);
        match status.code() {
            Some(code) if by_shell && code > BY_SIGNAL => ExitStatus::from_raw(code - BY_SIGNAL),
            _ => status,
        }
    }

    /// The last line on standard error that names a failed assertion, or a cast to a type that an
    /// object has not, from its file on.
    fn assertion(&self) -> Option<String> {
        let mut lines = self.last_words.iter().rev();
        lines.find_map(|line| match line.contains("ssert") {
            true => Some(without_program(line).to_owned()),
            false => failed_cast(line),
        })
    }

    /// Stops every thread of QEMU (`SIGSTOP`), or lets them go on (`SIGCONT`). What arrives for a
    /// stopped QEMU waits, and it finds all of it at once when it goes on.
    pub(super) fn signal_qemu(&self, signal: Signal) -> io::Result<()> {
        let id = self.id().and_then(|id| i32::try_from(id).ok()).ok_or(io::ErrorKind::NotFound)?;
        match kill(Pid::from_raw(id), signal) {
            // It has ended, which reading QMP reveals.
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Ends QEMU and returns what failed.
    pub(super) fn kill(&mut self) -> Option<String> {
        self.child.kill().err().map(|error| format!("QEMU: {error}"))
    }

    /// What is to be polled for [`Process::read_lines`]; none once standard error has ended.
    #[must_use]
    pub fn stderr(&self) -> Option<BorrowedFd<'_>> {
        self.stderr.as_ref().map(AsFd::as_fd)
    }
}

/// A failed assertion without the program's name and the way from where it was built, which are
/// each build's own.
fn without_program(line: &str) -> &str {
    let line = line.split_once(": ").map_or(line, |(_, rest)| rest);
    line.trim_start_matches("../")
}

/// A failed cast (QEMU 11.1 `qom/object.c`, `object_dynamic_cast_assert`) without the address of the
/// object and the way to the file.
fn failed_cast(line: &str) -> Option<String> {
    let (file, rest) = line.split_once(": Object 0x")?;
    let (_, kind) = rest.split_once(" is not an instance of type ")?;
    let file = file.trim_start_matches("../").trim_start_matches("./");
    Some(format!("{file}: Object is not an instance of type {kind}"))
}

fn status_text(status: ExitStatus) -> String {
    match status.signal() {
        Some(number) => match Signal::try_from(number) {
            Ok(signal) => format!("signal {number}, {signal}"),
            Err(_) => format!("signal {number}"),
        },
        None => format!("exit status {}", status.code().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assertion_is_told_from_its_file_on() {
        assert_eq!(
            without_program("qemu-system-x86_64: ../../net/colo.c:51: f: Assertion `data' failed."),
            "net/colo.c:51: f: Assertion `data' failed."
        );
    }

    #[test]
    fn a_failed_cast_is_told_without_an_address() {
        let line = "./include/net/filter.h:18:NETFILTER: Object 0x555574da7740 is not an instance of \
                    type netfilter";
        let text = "include/net/filter.h:18:NETFILTER: Object is not an instance of type netfilter";
        assert_eq!(failed_cast(line).as_deref(), Some(text));
        assert_eq!(failed_cast("qemu-system-x86_64: Object 0x1 is gone"), None);
    }

    #[test]
    fn an_end_is_told_in_words() {
        assert_eq!(status_text(ExitStatus::from_raw(9)), "signal 9, SIGKILL");
        assert_eq!(status_text(ExitStatus::from_raw(1 << 8)), "exit status 1");
    }
}
