//! What runs between fork and exec: the first process of the child's pid namespace, which puts the
//! fences up, starts the program, and waits for it; and the program's process until it is that
//! program.
//!
//! Both are copies of a process with many threads, of which one goes on: a lock that another thread
//! held is held for ever. So nothing here allocates, takes a lock, panics or calls anything but
//! what signal-safety(7) lists and system calls; all memory was prepared by the parent.

use std::{ffi::CString, os::fd::RawFd, ptr};

use nix::{errno::Errno, libc};

use super::{
    super::{
        capability::{control, drop_capabilities},
        fence::{Confinement, Fence},
    },
    mounting::Mounting,
};

/// A message to the parent: how far it got, or what failed and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) stage: Stage,
    pub(super) errno: i32,
}

/// A stage on the way to the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// This is no failure: nothing of the parent is open here any more but what is the program's.
    Closed,
    Bind,
    Session,
    Namespace,
    /// With the index of the step.
    Mount(u32),
    Limits,
    Capabilities,
    NoNewPrivileges,
    Fork,
    Streams,
    Folder,
    Execute,
}

impl Message {
    pub(super) const LENGTH: usize = 12;

    pub(super) fn encode(self) -> [u8; Self::LENGTH] {
        let (number, step): (u32, u32) = match self.stage {
            Stage::Closed => (0, 0),
            Stage::Bind => (1, 0),
            Stage::Session => (2, 0),
            Stage::Namespace => (3, 0),
            Stage::Mount(step) => (4, step),
            Stage::Limits => (5, 0),
            Stage::Capabilities => (6, 0),
            Stage::NoNewPrivileges => (7, 0),
            Stage::Fork => (8, 0),
            Stage::Streams => (9, 0),
            Stage::Folder => (10, 0),
            Stage::Execute => (11, 0),
        };
        let [a, b, c, d] = number.to_ne_bytes();
        let [e, f, g, h] = step.to_ne_bytes();
        let [i, j, k, l] = self.errno.to_ne_bytes();
        [a, b, c, d, e, f, g, h, i, j, k, l]
    }

    pub(super) fn decode(bytes: [u8; Self::LENGTH]) -> Option<Self> {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
        let step = u32::from_ne_bytes([e, f, g, h]);
        let stage = match u32::from_ne_bytes([a, b, c, d]) {
            0 => Stage::Closed,
            1 => Stage::Bind,
            2 => Stage::Session,
            3 => Stage::Namespace,
            4 => Stage::Mount(step),
            5 => Stage::Limits,
            6 => Stage::Capabilities,
            7 => Stage::NoNewPrivileges,
            8 => Stage::Fork,
            9 => Stage::Streams,
            10 => Stage::Folder,
            11 => Stage::Execute,
            _ => return None,
        };
        Some(Self { stage, errno: i32::from_ne_bytes([i, j, k, l]) })
    }
}

/// All that is needed, prepared by the parent.
pub(super) struct Prepared<'a> {
    pub(super) program: &'a CString,
    /// Each ends with a null pointer; the strings are the parent's.
    pub(super) arguments: &'a [*const libc::c_char],
    pub(super) environment: &'a [*const libc::c_char],
    /// The same for `/bin/sh`, which runs what is no program, as execvp(3) has it.
    pub(super) shell: &'a [*const libc::c_char],
    pub(super) folder: &'a CString,
    pub(super) inherited: &'a [RawFd],
    /// All descriptors but these are closed, in ascending order.
    pub(super) kept: &'a [RawFd],
    pub(super) report: RawFd,
    pub(super) status: RawFd,
    pub(super) null: RawFd,
    pub(super) stderr: RawFd,
    pub(super) confinement: &'a Confinement,
    pub(super) mounting: Option<&'a Mounting>,
    /// The largest file that the program may write, in bytes.
    pub(super) largest_file: u64,
}

/// The first process. It never returns.
///
/// # Safety
/// To be called in a process that was just forked, with pointers and descriptors that are the
/// parent's.
pub(super) unsafe fn run(prepared: &Prepared<'_>, slots: &mut [RawFd]) -> ! {
    let outcome = prepare(prepared, slots).and_then(|()| {
        // SAFETY: only this thread is here, and the copy of it goes on in the closure's place.
        match unsafe { fork(0) } {
            Ok(0) => match execute(prepared) {
                Err(failed) => fail(prepared, failed),
                Ok(never) => match never {},
            },
            Ok(program) => Ok(program),
            Err(errno) => Err((Stage::Fork, errno)),
        }
    });
    match outcome {
        Ok(program) => wait_for(program, prepared.status),
        Err(failed) => fail(prepared, failed),
    }
}

type Failed = (Stage, Errno);

/// What never is.
pub(super) enum Never {}

/// fork(2), into these namespaces too. The C library's own function takes locks before and after
/// it, which is forbidden in a copy of a process with threads.
///
/// # Safety
/// What runs in the copy keeps to signal-safety(7).
pub(super) unsafe fn fork(namespaces: libc::c_int) -> Result<libc::pid_t, Errno> {
    let flags = libc::c_long::from(namespaces | libc::SIGCHLD);
    let none: libc::c_long = 0;
    // On this machine the stack comes first; none means the caller's (clone(2)).
    let (first, second) = if cfg!(target_arch = "s390x") { (none, flags) } else { (flags, none) };
    // SAFETY: without CLONE_VM nothing is shared, so that this is fork(2).
    let pid = unsafe { libc::syscall(libc::SYS_clone, first, second, none, none, none) };
    Errno::result(pid).map(|pid| libc::pid_t::try_from(pid).unwrap_or_default())
}

fn prepare(prepared: &Prepared<'_>, slots: &mut [RawFd]) -> Result<(), Failed> {
    let at = |stage: Stage| move |errno: Errno| (stage, errno);
    forget_handlers();
    // Before anything else, so that nothing is left of a parent that is killed.
    bind(libc::SIGKILL).map_err(at(Stage::Bind))?;
    close_all_but(prepared.kept, 0);
    // The parent alone reads the reports.
    if has_no_reader(prepared.report) {
        exit(1);
    }
    send(prepared.report, Message { stage: Stage::Closed, errno: 0 });
    // SAFETY: setsid(2) takes nothing.
    Errno::result(unsafe { libc::setsid() }).map_err(at(Stage::Session))?;
    if let Some(mounting) = prepared.mounting {
        // SAFETY: unshare(2) concerns this process alone, which has one thread.
        Errno::result(unsafe { libc::unshare(libc::CLONE_NEWNS) }).map_err(at(Stage::Namespace))?;
        mounting.carry_out(slots).map_err(|(index, errno)| {
            (Stage::Mount(u32::try_from(index).unwrap_or(u32::MAX)), errno)
        })?;
    }
    limit(libc::RLIMIT_CORE, 0).map_err(at(Stage::Limits))?;
    limit(libc::RLIMIT_FSIZE, prepared.largest_file).map_err(at(Stage::Limits))?;
    // A copy of the parent's memory is no business of the program's (ptrace(2)). Its own is as it
    // is wont, since execve(2) makes that anew.
    control(libc::PR_SET_DUMPABLE, 0).map_err(at(Stage::Session))?;
    if prepared.confinement.has(Fence::Capabilities) {
        let no_new = prepared.confinement.has(Fence::NoNewPrivileges);
        let kept = prepared.confinement.capabilities;
        drop_capabilities(kept, no_new).map_err(at(Stage::Capabilities))?;
    }
    if prepared.confinement.has(Fence::NoNewPrivileges) {
        control(libc::PR_SET_NO_NEW_PRIVS, 1).map_err(at(Stage::NoNewPrivileges))?;
    }
    Ok(())
}

/// Becomes the program.
fn execute(prepared: &Prepared<'_>) -> Result<Never, Failed> {
    let at = |stage: Stage| move |errno: Errno| (stage, errno);
    bind(libc::SIGKILL).map_err(at(Stage::Bind))?;
    for (from, to) in [(prepared.null, 0), (prepared.null, 1), (prepared.stderr, 2)] {
        // SAFETY: dup2(2) is given descriptors that are open, and 0, 1 and 2 are nobody's.
        Errno::result(unsafe { libc::dup2(from, to) }).map_err(at(Stage::Streams))?;
    }
    for fd in prepared.inherited {
        // SAFETY: the descriptor is open, and this process's alone.
        let kept = unsafe { libc::fcntl(*fd, libc::F_SETFD, 0) };
        Errno::result(kept).map_err(at(Stage::Streams))?;
    }
    // SAFETY: chdir(2) reads a string that ends with a zero.
    let moved = unsafe { libc::chdir(prepared.folder.as_ptr()) };
    Errno::result(moved).map_err(at(Stage::Folder))?;
    // SAFETY: an empty set is made in memory of ours, which lives through both calls.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
    }
    // SAFETY: the strings end with a zero and the lists with a null pointer; all of them are copies
    // of the parent's, and live until this process is another program.
    unsafe {
        let (arguments, environment) = (prepared.arguments.as_ptr(), prepared.environment.as_ptr());
        libc::execve(prepared.program.as_ptr(), arguments, environment);
        if Errno::last() == Errno::ENOEXEC {
            libc::execve(c"/bin/sh".as_ptr(), prepared.shell.as_ptr(), environment);
        }
    }
    Err((Stage::Execute, Errno::last()))
}

/// Waits for the program as the first process of a pid namespace has to, reports how it ended, and
/// ends too, and with it the namespace.
fn wait_for(program: libc::pid_t, status: RawFd) -> ! {
    // The parent learns by the end of the other descriptors what becomes of the program.
    close_all_but(&[status], 0);
    loop {
        let mut how: libc::c_int = 0;
        // SAFETY: waitpid(2) writes one integer, which lives through the call.
        let ended = unsafe { libc::waitpid(-1, &raw mut how, 0) };
        if ended == program {
            let how = how.to_ne_bytes();
            // SAFETY: the bytes live through the call. A pipe takes so few at once.
            unsafe { libc::write(status, how.as_ptr().cast(), how.len()) };
            exit(0);
        }
        if ended < 0 && Errno::last() != Errno::EINTR {
            exit(1);
        }
    }
}

fn fail(prepared: &Prepared<'_>, (stage, errno): Failed) -> ! {
    send(prepared.report, Message { stage, errno: errno as i32 });
    exit(1)
}

fn send(report: RawFd, message: Message) {
    let bytes = message.encode();
    // SAFETY: the bytes live through the call. A pipe takes so few at once; who does not read them
    // is gone.
    unsafe { libc::write(report, bytes.as_ptr().cast(), bytes.len()) };
}

fn exit(code: libc::c_int) -> ! {
    // SAFETY: _exit(2) runs nothing of the parent's.
    unsafe { libc::_exit(code) }
}

/// A handler of the parent's has no business here, and nothing is ignored by the program that was
/// by the parent.
fn forget_handlers() {
    for signal in 1..=64 {
        // SAFETY: the default action is no code of ours. Signals that can't be set are refused.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// This process gets a signal when the thread that started it ends, however it ends.
fn bind(signal: libc::c_int) -> Result<(), Errno> {
    control(libc::PR_SET_PDEATHSIG, libc::c_ulong::from(signal.cast_unsigned()))
}

/// Whether nobody can read a pipe any more: the parent may have ended before its death was bound to
/// a signal.
fn has_no_reader(pipe: RawFd) -> bool {
    let mut polled = libc::pollfd { fd: pipe, events: 0, revents: 0 };
    // SAFETY: poll(2) is given one structure, which lives through the call.
    let ready = unsafe { libc::poll(&raw mut polled, 1, 0) };
    ready > 0 && polled.revents & libc::POLLERR != 0
}

/// Closes all descriptors from one on but these, which ascend.
fn close_all_but(kept: &[RawFd], from: RawFd) {
    let mut from = from;
    for fd in kept {
        close_range(from, *fd - 1);
        from = *fd + 1;
    }
    close_range(from, RawFd::MAX);
}

fn close_range(first: RawFd, last: RawFd) {
    if first > last {
        return;
    }
    // SAFETY: these descriptors are this process's own copies, which nothing here uses.
    let closed = unsafe {
        libc::syscall(libc::SYS_close_range, first.cast_unsigned(), last.cast_unsigned(), 0)
    };
    if closed == 0 {
        return;
    }
    // Linux has it since 5.9.
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: getrlimit(2) writes one structure, which lives through the call.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    let end = RawFd::try_from(limit.rlim_cur).unwrap_or(RawFd::MAX);
    for fd in first..=last.min(end) {
        // SAFETY: as above.
        unsafe { libc::close(fd) };
    }
}

#[cfg(target_env = "musl")]
type Resource = libc::c_int;
#[cfg(not(target_env = "musl"))]
type Resource = libc::__rlimit_resource_t;

/// Lowers a limit of resources for good.
fn limit(resource: Resource, most: u64) -> Result<(), Errno> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: getrlimit(2) writes one structure, which lives through the call.
    Errno::result(unsafe { libc::getrlimit(resource, &raw mut limit) })?;
    limit.rlim_max = limit.rlim_max.min(most);
    limit.rlim_cur = limit.rlim_cur.min(most);
    // SAFETY: setrlimit(2) reads one structure, which lives through the call.
    Errno::result(unsafe { libc::setrlimit(resource, &raw const limit) }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_as_it_was_written() {
        for (stage, errno) in [(Stage::Closed, 0), (Stage::Mount(7), 30), (Stage::Execute, 2)] {
            let message = Message { stage, errno };
            assert_eq!(Message::decode(message.encode()), Some(message));
        }
        assert_eq!(Message::decode([255; Message::LENGTH]), None);
    }
}
