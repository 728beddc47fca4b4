//! Children behind fences: started, waited for, ended.
//!
//! A child has two processes. The first is a copy of this one, alone in a pid namespace; it puts
//! the fences up, starts the program as its own child, and waits for it. The program is not that
//! first process because the kernel keeps from it every signal that has no handler, so that
//! abort(3) would not end a QEMU as it does elsewhere. When the first process ends, the kernel
//! kills all others of the namespace before anybody is notified.
//!
//! clone(2) is asked for the namespace. unshare(2) would do as well, but for good: the thread could
//! come back to the host's namespace as root of the host only, and could start no thread until
//! then.

use std::{
    ffi::{CString, OsStr, OsString},
    fs::File,
    io::{self, PipeReader, PipeWriter, Read},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
        unix::{ffi::OsStrExt, process::ExitStatusExt},
    },
    path::Path,
    process::ExitStatus,
    ptr,
    sync::PoisonError,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    libc,
    poll::{PollFd, PollFlags, ppoll},
    sys::{
        signal::{SigSet, SigmaskHow, Signal, kill, pthread_sigmask},
        time::TimeSpec,
    },
    unistd::Pid,
};

mod init;
mod mounting;

use init::{Message, Prepared, Stage};
use mounting::Mounting;

use super::{
    child::FORKING,
    fence::{Confinement, Fence},
};

/// The largest file that a child may write: a limit for what goes wrong, far above what a case
/// needs.
const LARGEST_FILE: u64 = 1 << 30;

#[derive(Clone, Debug)]
pub struct Launch<'a> {
    /// Its file; it is not looked up.
    pub program: &'a Path,
    /// The name that it is given for itself.
    pub name: &'a OsStr,
    pub arguments: Vec<&'a OsStr>,
    /// All variables that it has.
    pub environment: Vec<(OsString, OsString)>,
    pub folder: &'a Path,
    /// What it may write to.
    pub writable: Option<&'a Path>,
    /// Descriptors that it has under their own numbers, besides an empty standard input and output,
    /// and a pipe as standard error.
    pub inherited: Vec<BorrowedFd<'a>>,
}

/// A child could not be started.
#[derive(Debug, thiserror::Error)]
#[error("{what}{source}")]
pub struct LaunchError {
    /// The fence that can't be put up, where it is that.
    pub fence: Option<Fence>,
    /// What was done; empty, or with a colon behind.
    what: String,
    pub source: io::Error,
}

impl LaunchError {
    fn new(fence: Option<Fence>, what: &str, source: impl Into<io::Error>) -> Self {
        Self { fence, what: format!("{what}: "), source: source.into() }
    }
}

impl From<io::Error> for LaunchError {
    fn from(source: io::Error) -> Self {
        Self { fence: None, what: String::new(), source }
    }
}

impl From<LaunchError> for io::Error {
    fn from(error: LaunchError) -> Self {
        if error.what.is_empty() { error.source } else { Self::new(error.source.kind(), error) }
    }
}

/// A child behind fences. All its processes end with this value, and with the *thread* that started
/// it, however that ends.
#[derive(Debug)]
pub struct Confined {
    init: Pid,
    status: File,
    stderr: Option<PipeReader>,
    ended: Option<ExitStatus>,
}

impl Confined {
    /// Starts a child; its program runs when this returns.
    ///
    /// # Errors
    /// When a fence can't be put up, or the program can't be started.
    pub fn start(launch: &Launch<'_>, confinement: &Confinement) -> Result<Self, LaunchError> {
        let (mut reports, report) = io::pipe()?;
        let (status, tell) = io::pipe()?;
        let (stderr, said) = io::pipe()?;
        let null = File::options().read(true).write(true).open("/dev/null")?;
        let mounts = confinement.mounts();
        let mounting = mounts.then(|| Mounting::plan(confinement, launch.writable)).transpose()?;
        let mut slots = mounting.as_ref().map(Mounting::slots).unwrap_or_default();
        let inherited: Vec<RawFd> = launch.inherited.iter().map(AsRawFd::as_raw_fd).collect();
        let own = [report.as_raw_fd(), tell.as_raw_fd(), said.as_raw_fd(), null.as_raw_fd()];
        let mut kept: Vec<RawFd> = inherited.iter().copied().chain(own).collect();
        kept.sort_unstable();
        kept.dedup();
        let texts = Texts::new(launch)?;
        let (arguments, environment, shell) =
            (list(&texts.arguments), list(&texts.environment), list(&texts.shell));
        let prepared = Prepared {
            program: &texts.program,
            arguments: &arguments,
            environment: &environment,
            shell: &shell,
            folder: &texts.folder,
            inherited: &inherited,
            kept: &kept,
            report: report.as_raw_fd(),
            status: tell.as_raw_fd(),
            null: null.as_raw_fd(),
            stderr: said.as_raw_fd(),
            confinement,
            mounting: mounting.as_ref(),
            largest_file: LARGEST_FILE,
        };
        let forking = FORKING.write().unwrap_or_else(PoisonError::into_inner);
        let init = fork(&prepared, &mut slots)?;
        drop::<[PipeWriter; 3]>([report, tell, said]);
        let mut child = Self {
            init,
            status: File::from(std::os::fd::OwnedFd::from(status)),
            stderr: Some(stderr),
            ended: None,
        };
        let closed = receive(&mut reports)?;
        // It has no copy of anybody's descriptors any more.
        drop(forking);
        let failed = match closed {
            Some(Message { stage: Stage::Closed, .. }) => receive(&mut reports)?,
            Some(failed) => Some(failed),
            None => {
                let how = child.wait(None)?;
                return Err(io::Error::other(format!("it was ended: {how}")).into());
            }
        };
        match failed {
            None => Ok(child),
            Some(failed) => Err(explain(failed, confinement, mounting.as_ref())),
        }
    }

    /// The reading end of standard error, once.
    pub const fn take_stderr(&mut self) -> Option<PipeReader> {
        self.stderr.take()
    }

    /// Waits until the program has ended, and with it all that it started; for good where no time
    /// is given. How it ended; how the first process did, where that was killed.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] when it did not.
    pub fn wait(&mut self, within: Option<Duration>) -> io::Result<ExitStatus> {
        if let Some(ended) = self.ended {
            return Ok(ended);
        }
        self.await_end(within)?;
        let mut how = [0; 4];
        let told = match self.status.read_exact(&mut how) {
            Ok(()) => Some(ExitStatus::from_raw(libc::c_int::from_ne_bytes(how))),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => None,
            Err(error) => return Err(error),
        };
        let init = reap(self.init)?;
        Ok(*self.ended.insert(told.unwrap_or(init)))
    }

    fn await_end(&self, within: Option<Duration>) -> io::Result<()> {
        let until = within.map(|within| Instant::now() + within);
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let mut polled = [PollFd::new(self.status.as_fd(), PollFlags::POLLIN)];
            match ppoll(&mut polled, left.map(TimeSpec::from_duration), None) {
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Kills it. In a pid namespace none of its processes is left when this returns; otherwise its
    /// program is about to end, and what that started is not.
    ///
    /// # Errors
    /// When there is no such child.
    pub fn kill(&mut self) -> io::Result<()> {
        if self.ended.is_none() {
            // It was not waited for, so that the number is still its own.
            kill(self.init, Signal::SIGKILL)?;
            self.ended = Some(reap(self.init)?);
        }
        Ok(())
    }

    #[must_use]
    pub const fn init(&self) -> Pid {
        self.init
    }
}

impl Drop for Confined {
    fn drop(&mut self) {
        // A caller that wants to know how it went has called `kill`.
        let _ = self.kill();
    }
}

/// The strings of a launch, as the kernel takes them.
struct Texts {
    program: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
    shell: Vec<CString>,
    folder: CString,
}

impl Texts {
    fn new(launch: &Launch<'_>) -> io::Result<Self> {
        let program = CString::new(launch.program.as_os_str().as_bytes())?;
        let rest = launch.arguments.iter().map(|word| CString::new(word.as_bytes()));
        let rest: Vec<CString> = rest.collect::<Result<_, _>>()?;
        let first = |first: &[&[u8]]| {
            let first = first.iter().map(|word| CString::new(*word));
            first.chain(rest.iter().cloned().map(Ok)).collect::<Result<Vec<_>, _>>()
        };
        let variables = launch
            .environment
            .iter()
            .map(|(name, value)| CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()));
        Ok(Self {
            arguments: first(&[launch.name.as_bytes()])?,
            shell: first(&[b"/bin/sh", program.as_bytes()])?,
            environment: variables.collect::<Result<_, _>>()?,
            folder: CString::new(launch.folder.as_os_str().as_bytes())?,
            program,
        })
    }
}

/// The strings by their addresses, with a null pointer behind.
fn list(texts: &[CString]) -> Vec<*const libc::c_char> {
    texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
}

fn fork(prepared: &Prepared<'_>, slots: &mut [RawFd]) -> Result<Pid, LaunchError> {
    let (fence, namespaces) = if prepared.confinement.has(Fence::Processes) {
        (Some(Fence::Processes), libc::CLONE_NEWPID)
    } else {
        (None, 0)
    };
    let failed = |errno: Errno| LaunchError::new(fence, "clone", errno);
    // No handler of this process's runs in the other one.
    let mut before = SigSet::empty();
    pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before))
        .map_err(failed)?;
    // SAFETY: the copy runs `init::run`, which keeps to signal-safety(7), and nothing else.
    let forked = unsafe { init::fork(namespaces) };
    if forked == Ok(0) {
        // SAFETY: the copy has just been made; what the pointers lead to lives in its caller.
        unsafe { init::run(prepared, slots) }
    }
    let restored = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&before), None);
    let pid = forked.map_err(failed)?;
    restored.map_err(failed)?;
    Ok(Pid::from_raw(pid))
}

/// The next message; none when the other side has closed.
fn receive(reports: &mut PipeReader) -> io::Result<Option<Message>> {
    let mut bytes = [0; Message::LENGTH];
    match reports.read_exact(&mut bytes) {
        Ok(()) => Ok(Message::decode(bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

fn explain(
    Message { stage, errno }: Message,
    confinement: &Confinement,
    mounting: Option<&Mounting>,
) -> LaunchError {
    let source = io::Error::from_raw_os_error(errno);
    match stage {
        Stage::Execute | Stage::Closed => source.into(),
        Stage::Namespace => {
            let fence = Fence::ALL[1..].iter().find(|fence| confinement.has(**fence));
            LaunchError::new(fence.copied(), "a mount namespace", source)
        }
        Stage::Mount(step) => {
            let step = usize::try_from(step).ok().and_then(|step| mounting?.step(step));
            let (fence, what) =
                step.map_or((None, "mounting".to_owned()), |(fence, what)| (Some(fence), what));
            LaunchError::new(fence, &what, source)
        }
        Stage::Capabilities => {
            LaunchError::new(Some(Fence::Capabilities), "dropping capabilities", source)
        }
        Stage::NoNewPrivileges => {
            LaunchError::new(Some(Fence::NoNewPrivileges), "no_new_privs", source)
        }
        Stage::Bind => LaunchError::new(None, "the parent's death signal", source),
        Stage::Session => LaunchError::new(None, "a session", source),
        Stage::Limits => LaunchError::new(None, "limits of resources", source),
        Stage::Fork => LaunchError::new(None, "fork", source),
        Stage::Streams => LaunchError::new(None, "descriptors", source),
        Stage::Folder => LaunchError::new(None, "the folder to run in", source),
    }
}

/// Waits for a child of this process to have ended.
fn reap(child: Pid) -> io::Result<ExitStatus> {
    loop {
        let mut how: libc::c_int = 0;
        // SAFETY: waitpid(2) writes one integer, which lives through the call.
        let ended = unsafe { libc::waitpid(child.as_raw(), &raw mut how, 0) };
        match Errno::result(ended) {
            Ok(_) => return Ok(ExitStatus::from_raw(how)),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

#[cfg(test)]
mod tests;
