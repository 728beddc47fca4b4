//! What a run came to, in numbers, and its exit code.

use serde::{Deserialize, Serialize};

use super::{CaseResult, Status};

/// What a run came to, as numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Totals {
    /// Cases that were selected.
    pub selected: usize,
    /// Cases that did what they say; known bugs that are still there among them.
    pub passed: usize,
    /// Known bugs that are still there.
    pub known_bugs: usize,
    /// Cases that did not; flaky ones among them.
    pub failed: usize,
    /// Cases that both passed and failed.
    pub flaky: usize,
    /// Cases that can't run here.
    pub skipped: usize,
    /// Cases whose snapshot waits for a review.
    pub pending: usize,
    /// Cases that failed only because they differ from their snapshots, and whose records are
    /// proposed as the new ones.
    #[serde(default)]
    pub proposed: usize,
    /// Scenarios and cases that can't be run as they are written.
    pub invalid: usize,
    /// Cases in which tapwright itself failed.
    pub internal: usize,
    /// Snapshots and sections of them that no scenario uses.
    pub unreferenced: usize,
    /// Whether the run was interrupted.
    pub interrupted: bool,
}

/// The meaning of the process's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Everything that ran passed.
    Success,
    /// A case failed; in CI also: a snapshot is missing.
    Failed,
    /// Bad usage, or a scenario that can't be run as it is written.
    Invalid,
    /// Nothing could run in this environment.
    Unavailable,
    /// Nothing was selected.
    NothingSelected,
    /// Snapshots wait for a review.
    Pending,
    /// A failure of tapwright itself: `EX_SOFTWARE` of sysexits.h.
    Internal,
    /// Interrupted: 128 and the number of SIGINT, as shells have it.
    Interrupted,
    /// That of another command, which this one was to run.
    Command(u8),
}

impl Exit {
    /// The process's exit code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failed => 1,
            Self::Invalid => 2,
            Self::Unavailable => 3,
            Self::NothingSelected => 4,
            Self::Pending => 5,
            Self::Internal => 70,
            Self::Interrupted => 130,
            Self::Command(code) => code,
        }
    }
}

impl Exit {
    /// Every exit, in the order in which one goes before another.
    pub const ORDER: [Self; 8] = [
        Self::Interrupted,
        Self::Internal,
        Self::Invalid,
        Self::Failed,
        Self::Pending,
        Self::Unavailable,
        Self::NothingSelected,
        Self::Success,
    ];

    /// The exit of a code; a code that there is none of is a failure of tapwright itself.
    #[must_use]
    pub fn from_code(code: u8) -> Self {
        let exit = Self::ORDER.into_iter().find(|exit| exit.code() == code);
        exit.unwrap_or(Self::Internal)
    }

    /// The one of several that goes before the others; success where there is none.
    #[must_use]
    pub fn first_of(exits: &[Self]) -> Self {
        let first = Self::ORDER.into_iter().find(|exit| exits.contains(exit));
        first.unwrap_or(Self::Success)
    }
}

impl Totals {
    /// Cases that ran to an end.
    #[must_use]
    pub const fn run(&self) -> usize {
        self.passed + self.failed + self.pending + self.invalid + self.internal
    }

    /// Adds a case's result.
    pub fn add(&mut self, result: &CaseResult) {
        match &result.status {
            Status::Passed | Status::Accepted => self.passed += 1,
            Status::KnownBug { .. } => {
                self.passed += 1;
                self.known_bugs += 1;
            }
            Status::Failed { .. } => {
                self.failed += 1;
                self.flaky += usize::from(result.runs.flaky());
            }
            Status::Pending => self.pending += 1,
            Status::Skipped { .. } => self.skipped += 1,
            Status::Invalid(_) => self.invalid += 1,
            Status::Internal { .. } => self.internal += 1,
            Status::Interrupted => {}
        }
    }

    /// The exit, by the first that holds.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        if self.interrupted {
            Exit::Interrupted
        } else if self.internal > 0 {
            Exit::Internal
        } else if self.invalid > 0 {
            Exit::Invalid
        } else if self.failed > 0 {
            Exit::Failed
        } else if self.pending > 0 {
            Exit::Pending
        } else if self.selected == 0 {
            Exit::NothingSelected
        } else if self.run() == 0 {
            Exit::Unavailable
        } else {
            Exit::Success
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const NONE: Totals = Totals {
        selected: 9,
        passed: 0,
        known_bugs: 0,
        failed: 0,
        flaky: 0,
        skipped: 0,
        pending: 0,
        proposed: 0,
        invalid: 0,
        internal: 0,
        unreferenced: 0,
        interrupted: false,
    };
    const ALL: Totals = Totals {
        selected: 9,
        passed: 1,
        known_bugs: 1,
        failed: 1,
        flaky: 1,
        skipped: 1,
        pending: 1,
        proposed: 1,
        invalid: 1,
        internal: 1,
        unreferenced: 1,
        interrupted: true,
    };

    #[test]
    fn an_exit_is_known_by_its_code() {
        for exit in Exit::ORDER {
            assert_eq!(Exit::from_code(exit.code()), exit);
        }
        assert_eq!(Exit::from_code(99), Exit::Internal);
        assert_eq!(Exit::first_of(&[Exit::Success, Exit::Pending]), Exit::Pending);
    }

    #[rstest]
    #[case(ALL, 130)]
    #[case(Totals { interrupted: false, ..ALL }, 70)]
    #[case(Totals { interrupted: false, internal: 0, ..ALL }, 2)]
    #[case(Totals { interrupted: false, internal: 0, invalid: 0, ..ALL }, 1)]
    #[case(Totals { passed: 1, pending: 1, skipped: 1, ..NONE }, 5)]
    #[case(Totals { skipped: 9, ..NONE }, 3)]
    #[case(Totals { selected: 0, ..NONE }, 4)]
    #[case(Totals { passed: 1, skipped: 1, ..NONE }, 0)]
    #[case(Totals { passed: 1, known_bugs: 1, ..NONE }, 0)]
    fn the_exit_code_is_the_first_that_holds(#[case] totals: Totals, #[case] code: u8) {
        assert_eq!(totals.exit().code(), code);
    }
}
