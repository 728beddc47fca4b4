//! A run as data: collected from run events, written as JSON, read back to be merged, and what every
//! report that is made at the end is drawn from.

mod case;
mod collect;
mod diagnostic;
mod event;
mod merge;
mod read;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use case::{
    AccountingRecord, AgreementRecord, AnotherErrorRecord, CaseRecord, CaseStatus, FailingRecord,
    ProblemRecord, RunsRecord,
};
pub use collect::Collector;
pub use diagnostic::{DiagnosticRecord, LabelRecord, PositionRecord, SeverityRecord};
pub use event::{CauseRecord, ConnectionRecord, EventRecord};
pub use merge::{Merged, Oddity, merge};
pub use read::{ReadRecordError, read};

use crate::runner::{Exit, Partition, Totals};

/// The version of the record's shape, in its first member.
///
/// | format | written by | read by |
/// | --- | --- | --- |
/// | 1 | 0.1 | 0.1 and later |
///
/// Within a format members are added, never changed or removed, and what reads it passes over
/// members that it does not know.
pub const RECORD_FORMAT: u32 = 1;

/// A whole run: what `--report json=FILE` writes and `tapwright merge` reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RunRecord {
    /// The version of this shape.
    pub format: u32,
    /// The version of tapwright that wrote it.
    pub tapwright: String,
    /// When the run began: RFC 3339, UTC.
    pub started: String,
    /// What was asked for.
    pub run: RunFacts,
    /// Why nothing ran, or not everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<DiagnosticRecord>,
    /// Every case that is over, in the order in which they ended.
    pub cases: Vec<CaseRecord>,
    /// What it came to.
    pub sums: Sums,
}

/// What decides a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RunFacts {
    /// The backends that each case runs on.
    pub backends: Vec<String>,
    /// How often each case runs.
    pub repeat: usize,
    /// The files and directories that were named; none for the default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// `--name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// `--tag`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// `--profile`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The shard that this is, where the suite was split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<ShardRecord>,
}

/// `--partition hash:INDEX/OF`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ShardRecord {
    /// From 1.
    pub index: u64,
    /// How many there are.
    pub of: u64,
}

/// What a run came to, as numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Sums {
    /// On the wall clock.
    pub seconds: f64,
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
    /// Records that differ from their snapshots and are proposed as the new ones.
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
    /// The process's exit code.
    pub exit_code: u8,
}

impl From<Partition> for ShardRecord {
    fn from(partition: Partition) -> Self {
        Self {
            index: partition.index(),
            of: partition.of(),
        }
    }
}

impl fmt::Display for ShardRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hash:{}/{}", self.index, self.of)
    }
}

impl Sums {
    /// What the run came to, in a word or two for people.
    #[must_use]
    pub const fn outcome(&self) -> &'static str {
        match self.exit_code {
            0 => "passed",
            3 => "nothing could run here",
            4 => "no case is selected",
            5 => "snapshots wait for a review",
            130 => "interrupted",
            _ => "failed",
        }
    }

    /// Of a run that took so many seconds.
    #[must_use]
    pub const fn new(totals: &Totals, seconds: f64) -> Self {
        Self {
            seconds,
            selected: totals.selected,
            passed: totals.passed,
            known_bugs: totals.known_bugs,
            failed: totals.failed,
            flaky: totals.flaky,
            skipped: totals.skipped,
            pending: totals.pending,
            proposed: totals.proposed,
            invalid: totals.invalid,
            internal: totals.internal,
            unreferenced: totals.unreferenced,
            interrupted: totals.interrupted,
            exit_code: totals.exit().code(),
        }
    }

    /// The same as the runner counts them.
    #[must_use]
    pub const fn totals(&self) -> Totals {
        Totals {
            selected: self.selected,
            passed: self.passed,
            known_bugs: self.known_bugs,
            failed: self.failed,
            flaky: self.flaky,
            skipped: self.skipped,
            pending: self.pending,
            proposed: self.proposed,
            invalid: self.invalid,
            internal: self.internal,
            unreferenced: self.unreferenced,
            interrupted: self.interrupted,
        }
    }
}

impl RunRecord {
    /// Of a run that began now and of which nothing is known yet.
    #[must_use]
    pub fn begun(run: RunFacts) -> Self {
        Self {
            format: RECORD_FORMAT,
            tapwright: env!("CARGO_PKG_VERSION").to_owned(),
            started: chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now())
                .to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
            run,
            diagnostics: Vec::new(),
            cases: Vec::new(),
            sums: Sums::default(),
        }
    }

    /// The run ended before anything ran, for these reasons.
    pub fn stop(&mut self, exit: Exit, diagnostics: Vec<DiagnosticRecord>) {
        if exit == Exit::Invalid {
            self.sums.invalid = diagnostics.len();
        }
        self.sums.exit_code = exit.code();
        self.diagnostics = diagnostics;
    }
}
