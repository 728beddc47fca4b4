//! The signals that a redirector is spoken to with, read as its loop comes to them.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

use nix::sys::{
    signal::{SigSet, Signal},
    signalfd::{SfdFlags, SignalFd},
};

use super::RedirectError;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// The end.
    End,
    /// The counters.
    Counters,
}

/// The signals that end a redirector, and the one that asks for its counters.
const ENDING: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];
const ASKING: Signal = Signal::SIGUSR1;

/// The process's signals, taken over.
#[derive(Debug)]
pub(super) struct Signals(SignalFd);

impl Signals {
    /// To be called while the process has one thread.
    pub(super) fn take_over() -> Result<Self, RedirectError> {
        let mut signals = SigSet::empty();
        ENDING.into_iter().chain([ASKING]).for_each(|signal| signals.add(signal));
        let caught = signals.thread_block().and_then(|()| {
            SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        });
        caught.map(Self).map_err(io::Error::from).map_err(RedirectError::system("signals"))
    }

    /// The next one, if there is one.
    pub(super) fn next(&self) -> Result<Option<Asked>, RedirectError> {
        let signal = self.0.read_signal().map_err(io::Error::from);
        let signal = signal.map_err(RedirectError::system("signals"))?;
        Ok(signal.map(|signal| match i32::try_from(signal.ssi_signo) == Ok(ASKING as i32) {
            true => Asked::Counters,
            false => Asked::End,
        }))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
