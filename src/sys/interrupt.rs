//! Signals that end a run, as a descriptor that can be polled.

use std::{
    io::{self, PipeReader, PipeWriter},
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    sync::{
        OnceLock,
        atomic::{AtomicI32, Ordering},
    },
};

use nix::{
    libc,
    sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction},
};

/// The signals that end a run.
const SIGNALS: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// The first signal that came; 0 before.
static RAISED: AtomicI32 = AtomicI32::new(0);
/// The pipe's write end for the handler, which can't read a `OnceLock`; -1 before.
static WAKE: AtomicI32 = AtomicI32::new(-1);
static PIPE: OnceLock<(PipeReader, PipeWriter)> = OnceLock::new();

/// A wish to end the run: SIGINT, SIGTERM or SIGHUP.
///
/// Each signal is caught once; the second of its kind ends the process at once, as it would have
/// without us. Interrupted system calls are restarted, so that only who polls the descriptor
/// notices.
#[derive(Clone, Copy, Debug)]
pub struct Interrupt {
    reader: &'static PipeReader,
}

impl Interrupt {
    /// Catches the signals from now on, for the whole process. Another call gives the same
    /// interrupt, and catches again what has been caught.
    ///
    /// # Errors
    /// When there is no descriptor left, or the kernel refuses.
    pub fn install() -> io::Result<Self> {
        let reader = match PIPE.get() {
            Some((reader, _)) => reader,
            None => {
                let made = io::pipe()?;
                &PIPE.get_or_init(|| made).0
            }
        };
        if let Some((_, writer)) = PIPE.get() {
            WAKE.store(writer.as_raw_fd(), Ordering::Release);
        }
        let action = SigAction::new(
            SigHandler::Handler(on_signal),
            SaFlags::SA_RESTART | SaFlags::SA_RESETHAND,
            SigSet::empty(),
        );
        for signal in SIGNALS {
            // SAFETY: the handler does only what signal-safety(7) allows: atomics and write(2), on
            // a descriptor that is never closed.
            unsafe { sigaction(signal, &action) }?;
        }
        Ok(Self { reader })
    }

    /// Whether a signal has come.
    #[must_use]
    pub fn is_raised(self) -> bool {
        self.signal().is_some()
    }

    /// The first signal that came: its number, for the exit status of a shell.
    #[must_use]
    pub fn signal(self) -> Option<i32> {
        match RAISED.load(Ordering::Acquire) {
            0 => None,
            signal => Some(signal),
        }
    }
}

impl AsFd for Interrupt {
    /// Readable from the first signal on, for every poller and for good. Not to be read.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

extern "C" fn on_signal(signal: libc::c_int) {
    let first = RAISED.compare_exchange(0, signal, Ordering::AcqRel, Ordering::Acquire);
    if first.is_err() {
        return;
    }
    // SAFETY: errno is the thread's own and always readable and writable; the code that was
    // interrupted must find it as it was.
    let errno = unsafe { *libc::__errno_location() };
    // SAFETY: one byte of a static is written to a descriptor that lives as long as the process.
    // Only the first signal comes here, so the empty pipe never blocks.
    unsafe {
        libc::write(WAKE.load(Ordering::Acquire), b"!".as_ptr().cast(), 1);
        *libc::__errno_location() = errno;
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use nix::{
        poll::{PollFd, PollFlags, PollTimeout, poll},
        sys::signal::{Signal, raise},
    };

    use super::Interrupt;

    fn readable(interrupt: Interrupt) -> bool {
        let mut waiting = [PollFd::new(interrupt.as_fd(), PollFlags::POLLIN)];
        poll(&mut waiting, PollTimeout::ZERO).unwrap() == 1
    }

    #[test]
    fn a_signal_is_seen_by_every_poller() {
        let first = Interrupt::install().unwrap();
        let second = Interrupt::install().unwrap();
        assert!(!first.is_raised() && !readable(first));
        raise(Signal::SIGHUP).unwrap();
        for interrupt in [first, second] {
            assert_eq!(interrupt.signal(), Some(Signal::SIGHUP as i32));
            assert!(readable(interrupt));
        }
    }
}
