//! When a run must end: at a time, or when an alarm is raised. Worlds ask while they wait; the
//! runner raises the alarm.

use std::{
    io::{self, PipeReader, PipeWriter, Write},
    os::fd::{AsFd, BorrowedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

/// When a run must be over: at a time on the wall clock, or once an alarm is raised.
#[derive(Clone, Debug, Default)]
pub struct Deadline {
    at: Option<Instant>,
    alarm: Option<Arc<Alarm>>,
}

impl Deadline {
    pub const NEVER: Self = Self { at: None, alarm: None };

    #[must_use]
    pub const fn at(at: Instant) -> Self {
        Self { at: Some(at), alarm: None }
    }

    /// As well as soon as the alarm is raised.
    #[must_use]
    pub fn or_alarm(self, alarm: &Arc<Alarm>) -> Self {
        Self { alarm: Some(Arc::clone(alarm)), ..self }
    }

    /// At this time where it would otherwise be later.
    #[must_use]
    pub fn or_at(&self, at: Instant) -> Self {
        Self { at: Some(self.at.map_or(at, |own| own.min(at))), alarm: self.alarm.clone() }
    }

    #[must_use]
    pub fn passed(&self) -> bool {
        self.alarm.as_ref().is_some_and(|alarm| alarm.is_raised())
            || self.at.is_some_and(|at| Instant::now() >= at)
    }

    /// The time, where there is one.
    #[must_use]
    pub const fn time(&self) -> Option<Instant> {
        self.at
    }

    /// What else is to be polled by who waits: readable once the alarm is raised.
    #[must_use]
    pub fn alarm(&self) -> Option<BorrowedFd<'_>> {
        self.alarm.as_ref().map(|alarm| alarm.reader.as_fd())
    }
}

/// Ends everything that waits or moves under a [`Deadline`] that has it.
#[derive(Debug)]
pub struct Alarm {
    raised: AtomicBool,
    reader: PipeReader,
    writer: PipeWriter,
}

impl Alarm {
    /// One that is not raised.
    ///
    /// # Errors
    /// When there is no descriptor left.
    pub fn new() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        Ok(Self { raised: AtomicBool::new(false), reader, writer })
    }

    /// Raises it for good.
    pub fn raise(&self) {
        if !self.raised.swap(true, Ordering::AcqRel) {
            // One byte into an empty pipe whose reader is here can't fail.
            drop((&self.writer).write_all(b"!"));
        }
    }

    fn is_raised(&self) -> bool {
        self.raised.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;

    fn far() -> Instant {
        Instant::now() + Duration::from_secs(3600)
    }

    #[test]
    fn the_earlier_time_holds() {
        let now = Instant::now();
        assert!(Deadline::at(now).or_at(far()).passed());
        assert!(Deadline::at(far()).or_at(now).passed());
        assert!(Deadline::NEVER.or_at(now).passed());
        assert!(!Deadline::at(far()).or_at(far()).passed());
        assert!(!Deadline::NEVER.passed());
    }

    #[test]
    fn a_raised_alarm_is_seen_and_polled_by_every_holder() {
        let alarm = Arc::new(Alarm::new().unwrap());
        let first = Deadline::at(far()).or_alarm(&alarm);
        let second = Deadline::NEVER.or_alarm(&alarm).or_at(far());
        let polled = |deadline: &Deadline| {
            let mut waiting = [PollFd::new(deadline.alarm().unwrap(), PollFlags::POLLIN)];
            poll(&mut waiting, PollTimeout::ZERO).unwrap() == 1
        };
        assert!(!first.passed() && !polled(&first));
        alarm.raise();
        alarm.raise();
        for deadline in [first, second] {
            assert!(deadline.passed());
            assert!(polled(&deadline));
        }
    }
}
