//! A run as data: collected from run events, written as JSON, read back to be merged, and what every
//! report that is made at the end is drawn from.

mod case;
mod collect;
mod diagnostic;
mod event;
mod merge;
mod read;
mod visible;

use std::{fmt, time::SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

pub use case::{
    AccountingRecord, AgreementRecord, AnotherErrorRecord, CaseRecord, CaseStatus, Events,
    FailingRecord, ProblemRecord, RunsRecord, VerdictRecord,
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
    /// As the runner counts.
    #[serde(flatten)]
    pub totals: Totals,
    /// The process's exit code.
    pub exit_code: u8,
}

impl From<Partition> for ShardRecord {
    fn from(partition: Partition) -> Self {
        Self { index: partition.index(), of: partition.of() }
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
        Self { seconds, totals: *totals, exit_code: totals.exit().code() }
    }
}

/// A time as RFC 3339 has it, which knows the years 0 to 9999; the nearest of them where the machine's
/// clock is further off.
fn timestamp(time: SystemTime) -> String {
    const FIRST: i64 = -62_167_219_200;
    const LAST: i64 = 253_402_300_799;
    let (seconds, nanos) = match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => (i64::try_from(since.as_secs()).unwrap_or(LAST), since.subsec_nanos()),
        Err(before) => (i64::try_from(before.duration().as_secs()).map_or(FIRST, |ago| -ago), 0),
    };
    let utc = DateTime::<Utc>::from_timestamp(seconds.clamp(FIRST, LAST), nanos);
    utc.unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

impl RunRecord {
    /// Of a run that began now and of which nothing is known yet.
    #[must_use]
    pub fn begun(run: RunFacts) -> Self {
        Self {
            format: RECORD_FORMAT,
            tapwright: env!("CARGO_PKG_VERSION").to_owned(),
            started: timestamp(SystemTime::now()),
            run,
            diagnostics: Vec::new(),
            cases: Vec::new(),
            sums: Sums::default(),
        }
    }

    /// The run ended before anything ran, for these reasons.
    pub fn stop(&mut self, exit: Exit, diagnostics: Vec<DiagnosticRecord>) {
        if exit == Exit::Invalid {
            self.sums.totals.invalid = diagnostics.len();
        }
        self.sums.exit_code = exit.code();
        self.diagnostics = diagnostics;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(1_700_000_000_123, "2023-11-14T22:13:20.123Z")]
    #[case(-1_000, "1969-12-31T23:59:59.000Z")]
    #[case(i64::MAX, "9999-12-31T23:59:59.807Z")]
    #[case(i64::MIN, "0000-01-01T00:00:00.000Z")]
    fn any_clock_gives_a_time_that_reads_back(#[case] millis: i64, #[case] expected: &str) {
        let distance = Duration::from_millis(millis.unsigned_abs());
        let epoch = SystemTime::UNIX_EPOCH;
        let time =
            if millis < 0 { epoch.checked_sub(distance) } else { epoch.checked_add(distance) };
        let text = timestamp(time.unwrap());
        assert_eq!(text, expected);
        assert!(DateTime::parse_from_rfc3339(&text).is_ok());
    }
}
