use std::{
    io,
    os::{
        fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd},
        unix::process::CommandExt,
    },
    process::{Child, Command, ExitStatus},
    sync::{PoisonError, RwLock},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, FdFlag, fcntl},
    sys::{
        prctl,
        signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction},
    },
    unistd::{Pid, getpid, getppid},
};

/// Held by whoever starts a child, until that runs its own program: between fork(2) and execve(2) it
/// has a copy of every descriptor of this process, whichever thread's that is, and those that are
/// closed by execve are open until then.
static FORKING: RwLock<()> = RwLock::new(());

/// Closes a descriptor now: its peer is told before this returns. A plain close leaves it open in a
/// child that another thread is just starting, and the peer is told some time later.
pub fn hang_up(fd: impl Into<OwnedFd>) {
    let nobody_forks = FORKING.read().unwrap_or_else(PoisonError::into_inner);
    drop(fd.into());
    drop(nobody_forks);
}

/// Starts a child that is killed when the *thread* that calls this ends, however it ends
/// (prctl(2), `PR_SET_PDEATHSIG`), and that inherits these descriptors under their own numbers.
///
/// # Errors
/// When the program can't be started.
pub fn spawn_bound(command: &mut Command, inherit: &[BorrowedFd<'_>]) -> io::Result<Child> {
    let numbers: Vec<RawFd> = inherit.iter().map(AsRawFd::as_raw_fd).collect();
    let parent = getpid();
    // SAFETY: between fork and exec the closure makes system calls only; it neither allocates nor
    // takes a lock.
    unsafe { command.pre_exec(move || prepare(&numbers, parent)) };
    let _forking = FORKING.write().unwrap_or_else(PoisonError::into_inner);
    // It returns once the child runs its program.
    command.spawn()
}

fn prepare(numbers: &[RawFd], parent: Pid) -> io::Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    // The parent may have ended before the signal was asked for.
    if getppid() != parent {
        return Err(Errno::ESRCH.into());
    }
    for number in numbers {
        // SAFETY: the caller of `spawn_bound` holds the descriptors open until the child runs.
        let fd = unsafe { BorrowedFd::borrow_raw(*number) };
        fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty()))?;
    }
    Ok(())
}

/// Runs a command to its end as a shell runs one: what the terminal's keys send, SIGINT and SIGQUIT, is
/// for the command alone.
///
/// # Errors
/// When the program can't be started.
pub fn run_in_foreground(command: &mut Command) -> io::Result<ExitStatus> {
    on_keys(SigHandler::SigIgn)?;
    // SAFETY: between fork and exec the closure makes system calls only; it neither allocates nor
    // takes a lock.
    unsafe { command.pre_exec(|| on_keys(SigHandler::SigDfl)) };
    command.status()
}

fn on_keys(handler: SigHandler) -> io::Result<()> {
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    for signal in [Signal::SIGINT, Signal::SIGQUIT] {
        // SAFETY: nothing of this process runs on the signal: it is ignored or ends the process.
        unsafe { sigaction(signal, &action) }?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{
        io::{PipeReader, Read, pipe},
        os::{
            fd::AsFd,
            unix::{net::UnixStream, process::ExitStatusExt},
        },
        process::Command,
        thread,
    };

    use super::{hang_up, spawn_bound};

    #[test]
    fn a_child_dies_with_the_thread_that_started_it() {
        let (mut reader, writer): (PipeReader, _) = pipe().unwrap();
        let started = thread::spawn(move || {
            let mut command = Command::new("cat");
            command.stdin(std::process::Stdio::piped());
            spawn_bound(&mut command, &[writer.as_fd()]).unwrap()
        });
        let mut child = started.join().unwrap();
        // The child had the only other writer: the end of the pipe is its end.
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
        assert_eq!(child.wait().unwrap().signal(), Some(9));
    }

    #[test]
    fn who_is_hung_up_on_knows_it_at_once_while_children_are_started() {
        let starting = thread::spawn(|| {
            for _ in 0..50 {
                let started = spawn_bound(&mut Command::new("true"), &[]);
                started.unwrap().wait().unwrap();
            }
        });
        while !starting.is_finished() {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            theirs.set_nonblocking(true).unwrap();
            hang_up(ours);
            assert_eq!(theirs.read(&mut [0]).unwrap(), 0);
        }
        starting.join().unwrap();
    }
}
