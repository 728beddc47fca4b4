//! Runs a command as a shell does, or no longer than the thread that starts it, and closes descriptors so
//! that no child keeps a copy.

use std::{
    io,
    os::{fd::OwnedFd, unix::process::CommandExt},
    process::{Command, ExitStatus},
    sync::{PoisonError, RwLock},
};

use nix::{
    errno::Errno,
    sys::{
        prctl,
        signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction},
    },
    unistd::{getpid, getppid},
};

/// Held while a child is started, until it has closed what is not its own: after fork(2) it has a
/// copy of every descriptor of this process, whichever thread's that is.
pub(super) static FORKING: RwLock<()> = RwLock::new(());

/// Closes a descriptor now: its peer learns it before this returns. A plain close leaves it open in
/// a child that another thread is just starting, and the peer learns it some time later.
pub fn hang_up(fd: impl Into<OwnedFd>) {
    let nobody_forks = FORKING.read().unwrap_or_else(PoisonError::into_inner);
    drop(fd.into());
    drop(nobody_forks);
}

/// Runs a command to its end as a shell runs one: what the terminal's keys send, SIGINT and
/// SIGQUIT, is for the command alone.
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

/// Has the kernel kill what the command starts when the thread that starts it ends, however it ends: also
/// by SIGKILL. What that process starts in turn is not meant.
pub fn end_with_starter(command: &mut Command) {
    let starter = getpid();
    // SAFETY: between fork and exec the closure makes system calls only; it neither allocates nor
    // takes a lock.
    unsafe {
        command.pre_exec(move || {
            prctl::set_pdeathsig(Signal::SIGKILL)?;
            // It may have ended before this was set.
            if getppid() == starter { Ok(()) } else { Err(Errno::ESRCH.into()) }
        });
    }
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
        io::{BufRead, BufReader, Read},
        process::Stdio,
        thread,
    };

    use super::*;

    #[test]
    fn a_child_ends_with_the_thread_that_started_it() {
        let starter = thread::spawn(|| {
            let mut command = Command::new("sh");
            command.args(["-c", "echo here; exec sleep 1000"]).stdout(Stdio::piped());
            end_with_starter(&mut command);
            let mut child = command.spawn().unwrap();
            let mut said = BufReader::new(child.stdout.take().unwrap());
            let mut line = String::new();
            said.read_line(&mut line).unwrap();
            assert_eq!(line, "here\n");
            (child, said)
        });
        let (mut child, mut said) = starter.join().unwrap();
        let mut rest = String::new();
        said.read_to_string(&mut rest).unwrap();
        assert_eq!(child.wait().unwrap().code(), None);
    }
}
