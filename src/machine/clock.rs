//! The VM's own clock: it stands while the VM is stopped (`QEMU_CLOCK_VIRTUAL`). And the beat of a
//! periodic timer.

use std::time::Duration;

use crate::base::VirtualTime;

/// How far the VM's clock is behind the machine's.
#[derive(Debug, Default)]
pub(super) struct VmClock {
    /// When the VM was stopped, while it is.
    stopped: Option<VirtualTime>,
    /// How long it stood altogether, up to the last `cont`.
    stood: Duration,
}

impl VmClock {
    pub(super) fn stop(&mut self, now: VirtualTime) {
        self.stopped = Some(now);
    }

    pub(super) fn go_on(&mut self, now: VirtualTime) {
        if let Some(stopped) = self.stopped.take() {
            self.stood += now.since(stopped);
        }
    }

    /// A migration brings the clock of another VM. This one's VM does not run.
    pub(super) fn set(&mut self, now: VirtualTime, shown: VirtualTime) {
        self.stopped = Some(now);
        self.stood = now.elapsed().saturating_sub(shown.elapsed());
    }

    pub(super) fn at(&self, now: VirtualTime) -> VirtualTime {
        let moving = self.stopped.unwrap_or(now);
        VirtualTime::ZERO + moving.elapsed().saturating_sub(self.stood)
    }

    /// When the clock will show `time` if nobody stops the VM; never while it is stopped.
    pub(super) fn when(&self, time: VirtualTime) -> Option<VirtualTime> {
        match self.stopped {
            None => Some(time + self.stood),
            Some(_) => None,
        }
    }
}

/// When a timer that beats each `period`, and was to beat at `beat`, beats next: after `now`.
pub(super) fn next_beat(beat: VirtualTime, period: Duration, now: VirtualTime) -> VirtualTime {
    if beat > now {
        return beat;
    }
    let over = now.since(beat).as_nanos() % period.as_nanos().max(1);
    now + period.saturating_sub(Duration::from_nanos(u64::try_from(over).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> VirtualTime {
        VirtualTime::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn a_timer_keeps_its_beat() {
        let beat = |now| next_beat(at(100), Duration::from_millis(30), at(now));
        assert_eq!([99, 100, 129, 130].map(beat), [at(100), at(130), at(130), at(160)]);
    }

    #[test]
    fn it_stands_while_the_vm_is_stopped() {
        let mut clock = VmClock::default();
        assert_eq!(clock.at(at(300)), at(300));
        clock.stop(at(400));
        assert_eq!((clock.at(at(900)), clock.when(at(500))), (at(400), None));
        clock.go_on(at(1_000));
        assert_eq!(clock.at(at(1_000)), at(400));
        assert_eq!(clock.when(at(500)), Some(at(1_100)));
        clock.stop(at(1_050));
        clock.go_on(at(1_150));
        assert_eq!(clock.when(at(500)), Some(at(1_200)));
    }

    #[test]
    fn a_migration_brings_the_clock_of_the_other() {
        let mut clock = VmClock::default();
        clock.stop(at(0));
        clock.set(at(1_000), at(700));
        assert_eq!((clock.at(at(2_000)), clock.when(at(800))), (at(700), None));
        clock.go_on(at(2_000));
        assert_eq!((clock.at(at(2_000)), clock.when(at(800))), (at(700), Some(at(2_100))));
    }
}
