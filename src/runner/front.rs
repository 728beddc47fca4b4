//! Runs tasks on a pool until they are over or somebody interrupts: the front end that a run with snapshots and
//! a dry run share, with what an execution came to.

use std::{
    io::{self, PipeReader, PipeWriter},
    os::fd::AsFd,
    thread,
    time::Duration,
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{
    Attempt, Failure, FailureKind,
    pool::{Flow, Limits, Pool, Signal, Task},
};
use crate::diag::Span;

/// How long after its deadline a case may take to end of itself. Taking a world down is a matter of
/// milliseconds; a case that takes longer hangs.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// A pool, and the way to end it early.
pub(super) struct Front<T> {
    pool: Pool<T>,
    /// Readable when the writer is dropped: nothing is left to be interrupted.
    over: PipeReader,
    end: PipeWriter,
}

impl<T: Send + 'static> Front<T> {
    /// A pool with these limits.
    ///
    /// # Errors
    /// When there is no descriptor left to tell of an interrupt.
    pub(super) fn new(limits: Limits) -> io::Result<Self> {
        let (over, end) = io::pipe()?;
        Ok(Self { pool: Pool::new(limits)?, over, end })
    }

    /// Runs the tasks and gives the listener, on this thread, what happens to them. `interrupt` becomes
    /// readable when they are to end early.
    ///
    /// # Errors
    /// When there is no thread left to wait for an interrupt. Then nothing has run.
    pub(super) fn run(
        self,
        interrupt: Option<&(impl AsFd + Send + Sync)>,
        tasks: impl IntoIterator<Item = Task<T>>,
        listener: impl FnMut(Signal<T>) -> Flow,
    ) -> io::Result<()> {
        let Self { pool, over, end } = self;
        let interrupter = pool.interrupter();
        thread::scope(|scope| {
            if let Some(interrupt) = interrupt {
                let wait = move || {
                    if readable_before(interrupt, &over) {
                        interrupter();
                    }
                };
                thread::Builder::new().name("interrupt".to_owned()).spawn_scoped(scope, wait)?;
            }
            pool.run(tasks, listener);
            drop(end);
            Ok(())
        })
    }
}

/// Waits until `interrupt` is readable, or until the writer of `over` is gone.
fn readable_before(interrupt: &impl AsFd, over: &impl AsFd) -> bool {
    let mut polled = [
        PollFd::new(interrupt.as_fd(), PollFlags::POLLIN),
        PollFd::new(over.as_fd(), PollFlags::POLLIN),
    ];
    loop {
        match poll(&mut polled, PollTimeout::NONE) {
            Err(nix::errno::Errno::EINTR) => {}
            Err(_) => return false,
            Ok(_) => return polled[0].any() == Some(true),
        }
    }
}

/// What an execution that never ended came to.
pub(super) fn late() -> Attempt {
    Attempt::Failed(Failure { step: 0, span: Span::default(), kind: FailureKind::Late })
}

/// What an execution came to for which there was no thread.
pub(super) fn not_started(text: &str) -> Attempt {
    let kind = FailureKind::Backend(text.to_owned());
    Attempt::Failed(Failure { step: 0, span: Span::default(), kind })
}

/// What an execution came to. After an interrupt, lateness is not the case's fault.
pub(super) fn unless_cut_short(attempt: Attempt, interrupted: bool) -> Attempt {
    let is_late = |failure: &Failure| matches!(failure.kind, FailureKind::Late);
    let cut_short = interrupted
        && match &attempt {
            Attempt::Executed(executed) => executed.failures.iter().any(is_late),
            Attempt::Failed(failure) => is_late(failure),
            _ => false,
        };
    if cut_short { Attempt::Interrupted } else { attempt }
}
