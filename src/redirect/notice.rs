//! What happens beside the frames. The command words it.

use std::time::{Duration, Instant};

use super::{Status, watch::Found};

/// Something that a person may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// All is open, and privileges are given up.
    Ready,
    /// The same, and the kernel does the work.
    Offloaded,
    Connected {
        chardev: String,
    },
    Disconnected {
        chardev: String,
        reason: String,
    },
    /// A stream announced a frame longer than any may be; its connection was closed.
    BadLength {
        chardev: String,
        length: u32,
    },
    InterfaceDown {
        name: String,
    },
    /// It was down, and is no more.
    InterfaceUp {
        name: String,
    },
    InterfaceGone {
        name: String,
    },
    InterfaceBack {
        name: String,
    },
    /// Somebody asked for the counters with a signal.
    Status(Box<Status>),
    /// A signal asks to end; what is held is sent on before.
    Draining,
    /// So many notices were withheld, since there were too many.
    Withheld {
        count: u64,
    },
}

impl Found {
    /// What is said of it, if anything is.
    pub(super) fn notice(self, name: String) -> Option<Notice> {
        match self {
            Self::Same => None,
            Self::Down => Some(Notice::InterfaceDown { name }),
            Self::Up => Some(Notice::InterfaceUp { name }),
            Self::Gone => Some(Notice::InterfaceGone { name }),
            Self::Other(_) => Some(Notice::InterfaceBack { name }),
        }
    }
}

/// Lets no more through than a log can bear: a peer that connects and breaks off all the time must
/// fill no disk.
#[derive(Debug)]
pub(super) struct Valve {
    since: Instant,
    passed: u32,
    withheld: u64,
}

impl Valve {
    const SPAN: Duration = Duration::from_secs(60);
    /// In a span.
    const MOST: u32 = 60;

    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, passed: 0, withheld: 0 }
    }

    /// Lets a notice through now, if it may pass.
    pub(super) fn say(&mut self, notice: Notice, tell: &mut dyn FnMut(Notice)) {
        self.pass(notice, Instant::now()).into_iter().flatten().for_each(tell);
    }

    /// The notice, if it may pass, behind one of those that were withheld before.
    pub(super) fn pass(&mut self, notice: Notice, now: Instant) -> [Option<Notice>; 2] {
        if matches!(notice, Notice::Status(_) | Notice::Draining | Notice::Ready) {
            return [None, Some(notice)];
        }
        let mut before = None;
        if now.duration_since(self.since) >= Self::SPAN {
            let count = std::mem::take(&mut self.withheld);
            before = (count > 0).then_some(Notice::Withheld { count });
            (self.since, self.passed) = (now, 0);
        }
        if self.passed == Self::MOST {
            self.withheld += 1;
            return [before, None];
        }
        self.passed += 1;
        [before, Some(notice)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_notices_some_pass_and_the_others_are_counted() {
        let start = Instant::now();
        let mut valve = Valve::new(start);
        let notice = || Notice::InterfaceDown { name: "tap0".to_owned() };
        let passed = (0..1000).filter_map(|_| valve.pass(notice(), start)[1].take()).count();
        assert_eq!(passed, Valve::MOST as usize);
        assert_eq!(valve.pass(Notice::Draining, start), [None, Some(Notice::Draining)]);
        let withheld = Notice::Withheld { count: 1000 - u64::from(Valve::MOST) };
        let later = valve.pass(notice(), start + Valve::SPAN);
        assert_eq!(later, [Some(withheld), Some(notice())]);
    }
}
