//! What happens in a run, and what became of a case. Made by the runner, read by reports.

use std::{sync::Arc, time::Duration};

use super::{Problem, Totals};
use crate::{
    base::{CaseId, Profile},
    compare::Difference,
    diag::Report,
    reading::Reading,
    scenario::Case,
};

/// What happens in a run, in order; `C` is what is known of a case that is over.
#[derive(Clone, Debug)]
pub enum RunEvent<C = Box<CaseResult>> {
    /// The run begins.
    Started {
        /// Cases that were selected.
        cases: usize,
        /// The backends each runs on.
        backends: Vec<Arc<str>>,
        /// How often each runs.
        repeat: usize,
        /// The QEMUs that are held against a profile which is not their own, by their names among
        /// `backends`.
        stand_ins: Vec<(Arc<str>, Profile)>,
    },
    /// A case's first execution begins.
    CaseStarted {
        /// The case.
        case: CaseId,
    },
    /// An execution of a case takes long.
    CaseSlow {
        /// The case.
        case: CaseId,
        /// For how long it has been running.
        running: Duration,
    },
    /// A case is over, on every backend and with all its repeats.
    CaseFinished(C),
    /// The run was interrupted; so many executions are being taken down.
    Interrupted {
        /// How many.
        running: usize,
    },
    /// The run is over.
    Finished {
        /// What it came to.
        totals: Totals,
        /// On the wall clock.
        duration: Duration,
    },
}

impl<C> RunEvent<C> {
    /// The same event, with something else of a case that is over.
    pub fn map<D>(self, of_case: impl FnOnce(C) -> D) -> RunEvent<D> {
        match self {
            Self::Started { cases, backends, repeat, stand_ins } => {
                RunEvent::Started { cases, backends, repeat, stand_ins }
            }
            Self::CaseStarted { case } => RunEvent::CaseStarted { case },
            Self::CaseSlow { case, running } => RunEvent::CaseSlow { case, running },
            Self::CaseFinished(case) => RunEvent::CaseFinished(of_case(case)),
            Self::Interrupted { running } => RunEvent::Interrupted { running },
            Self::Finished { totals, duration } => RunEvent::Finished { totals, duration },
        }
    }
}

/// What became of a case.
#[derive(Clone, Debug)]
pub struct CaseResult {
    /// The case; the spans of failures point into its source.
    pub case: Arc<Case>,
    /// The backends it ran on, joined by commas.
    pub backend: String,
    /// What it came to; with repeats, the worst.
    pub status: Status,
    /// How often it passed and failed.
    pub runs: Runs,
    /// In which ways it failed, where it ran several times; the most frequent first.
    pub failing: Vec<Failing>,
    /// The time of all its executions.
    pub duration: Duration,
    /// The record that the status is about, where there is one.
    pub reading: Option<Arc<Reading>>,
    /// How each two backends compare, where there are several.
    pub agreement: Vec<Agreement>,
    /// What is worth knowing beside the status.
    pub notes: Vec<String>,
}

/// How two backends compare on a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// Their names, in the order of the command line.
    pub backends: [Arc<str>; 2],
    /// How.
    pub verdict: Verdict,
}

/// What a comparison came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing that can be observed differs.
    Agree,
    /// What differs; never empty.
    Differ(Vec<Difference>),
    /// One of them has no record: which, and why.
    Skipped(String),
}

/// What a case came to.
#[derive(Clone, Debug)]
pub enum Status {
    /// It did what it says.
    Passed,
    /// It did, and its record is the new snapshot.
    Accepted,
    /// A known bug is still there: what is right failed, and the snapshot of what is wrong matched.
    KnownBug {
        /// Its name.
        id: String,
    },
    /// It has no snapshot yet; a pending one was written.
    Pending,
    /// It can't run here.
    Skipped {
        /// Why.
        reason: String,
    },
    /// It did not do what it says.
    Failed {
        /// At least one.
        problems: Vec<Problem>,
    },
    /// It can't be run as it is written.
    Invalid(Box<Report>),
    /// tapwright itself failed.
    Internal {
        /// What the panic said.
        text: String,
    },
    /// The run was interrupted before it was over.
    Interrupted,
}

/// One of the ways in which a case that ran several times failed.
#[derive(Clone, Debug)]
pub struct Failing {
    /// The first execution that failed so, from 1.
    pub first: usize,
    /// How many failed so.
    pub times: usize,
    /// What the first came to.
    pub status: Status,
}

/// How often a case passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    /// Executions that were as they should be.
    pub passed: usize,
    /// Executions that were not.
    pub failed: usize,
}

impl Runs {
    /// Whether it did both.
    #[must_use]
    pub const fn flaky(self) -> bool {
        self.passed > 0 && self.failed > 0
    }
}
