//! The ends of what a process may have: descriptors, memory, threads, the size of a file. Whoever
//! reports that the kernel refused something asks for the remedy here first, since nothing else
//! helps then.

use std::{error::Error, io};

use nix::{
    libc,
    sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction},
};

/// The remedy for an error that comes of having too little of something: descriptors, memory,
/// threads. None for any other error.
#[must_use]
pub fn exhaustion_remedy(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(errno) = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
            return of_errno(errno);
        }
        next = error.source();
    }
    None
}

const fn of_errno(errno: i32) -> Option<&'static str> {
    match errno {
        libc::EMFILE => Some("raise the limit of open files (ulimit -n), or lower --jobs"),
        libc::ENFILE => Some("the whole machine has too many open files: raise fs.file-max"),
        libc::EFBIG => Some("raise the limit of a file's size (ulimit -f)"),
        libc::ENOMEM => Some("give the process more memory (ulimit -v, the memory of its cgroup)"),
        libc::EAGAIN => Some(
            "raise the limit of processes and threads (ulimit -u, pids.max of its cgroup), or of \
                 memory (ulimit -v)",
        ),
        _ => None,
    }
}

/// From now on a write beyond `ulimit -f` is refused with EFBIG. By default it ends the process with
/// SIGXFSZ and without a word. Programs that this process starts are not concerned.
///
/// # Errors
/// What sigaction(2) says.
pub fn refuse_beyond_file_size() -> io::Result<()> {
    // A handler, since what is ignored stays so in the programs that are started.
    let action = SigAction::new(SigHandler::Handler(ignore), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler does nothing, which signal-safety(7) allows.
    unsafe { sigaction(Signal::SIGXFSZ, &action) }?;
    Ok(())
}

extern "C" fn ignore(_: libc::c_int) {}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] io::Error);

    #[rstest]
    #[case(libc::EMFILE, Some("ulimit -n"))]
    #[case(libc::ENFILE, Some("fs.file-max"))]
    #[case(libc::EFBIG, Some("ulimit -f"))]
    #[case(libc::ENOMEM, Some("memory"))]
    #[case(libc::EAGAIN, Some("ulimit -u"))]
    #[case(libc::EPERM, None)]
    fn an_errno_that_is_a_limit_has_its_remedy(#[case] errno: i32, #[case] says: Option<&str>) {
        let plain = io::Error::from_raw_os_error(errno);
        let wrapped = Outer(io::Error::from_raw_os_error(errno));
        for error in [&plain as &(dyn Error + 'static), &wrapped] {
            let remedy = exhaustion_remedy(error);
            assert_eq!(remedy.is_some(), says.is_some());
            assert!(remedy.unwrap_or_default().contains(says.unwrap_or_default()));
        }
    }

    #[test]
    fn an_error_without_an_errno_has_none() {
        assert_eq!(exhaustion_remedy(&io::Error::other("odd")), None);
    }
}
