//! What became of a case, as every report has it and as JSON members.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{DiagnosticRecord, EventRecord, event};
use crate::{
    compare::{Difference, FramePair, Mismatch},
    diag::Source,
    drawing::Topology,
    format,
    record::Outcome,
    report::{Timeline, WhyRecord, Whys},
    runner::{Agreement, CaseResult, Failing, Failure, FailureKind, Problem, Status, Verdict},
    wording::Requests,
};

/// Which cases' explaining events are reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Events {
    /// Those of failures.
    OfFailures,
    /// Those of every case.
    OfAll,
}

/// What became of a case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CaseRecord {
    /// Its name.
    pub case: String,
    /// Its scenario's file.
    pub scenario: String,
    /// The line of its first problem that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// What it shows.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// For selection.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The backends it ran on, joined by commas.
    pub backend: String,
    /// The QEMU modelled.
    #[serde(default)]
    pub profile: String,
    /// What it came to; with repeats, the worst.
    pub status: CaseStatus,
    /// The time of all its executions.
    pub seconds: f64,
    /// How often it passed and failed.
    pub runs: RunsRecord,
    /// With `known-bug`: its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_bug: Option<String>,
    /// With `skipped`: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// With `failed`: at least one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<ProblemRecord>,
    /// Where it ran several times: in which ways it failed, the most frequent first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failing: Vec<FailingRecord>,
    /// With `invalid`: what is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnostic: Option<DiagnosticRecord>,
    /// With `internal`: what the panic said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub panic: Option<String>,
    /// How each two backends compare, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agreement: Vec<AgreementRecord>,
    /// What is worth knowing beside the status.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Every frame, and what became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accounting: Option<AccountingRecord>,
    /// What explains the record; of failures, or of every case on request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<EventRecord>>,
    /// What the case declares, and how it is joined; where `events` are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topology: Option<Topology>,
    /// Its packets, step by step; where `events` are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub course: Option<Timeline>,
    /// The record as text; where `events` are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript: Option<String>,
}

/// What a case came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum CaseStatus {
    /// It did what it says.
    Passed,
    /// It did, and its record is the new snapshot.
    Accepted,
    /// A known bug is still there.
    KnownBug,
    /// Its snapshot waits for a review.
    Pending,
    /// It can't run here.
    Skipped,
    /// The run was interrupted before it was over.
    Interrupted,
    /// It did not do what it says.
    Failed,
    /// It can't be run as it is written.
    Invalid,
    /// tapwright itself failed.
    Internal,
}

/// How often a case passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RunsRecord {
    /// Executions that were as they should be.
    pub passed: usize,
    /// Executions that were not.
    pub failed: usize,
}

/// Why a case failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ProblemRecord {
    /// `expectation`, `mismatch`, `missing-snapshot`, `snapshot`, `disagreement`, `bug-gone`,
    /// `bug-changed`.
    pub kind: String,
    /// In a sentence.
    pub message: String,
    /// The step that it is about; 0 for the set-up and the whole run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// Its line in the scenario.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// How two records differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mismatch: Option<Mismatch>,
    /// With `expectation`: the frame that was expected and the one that came.
    #[serde(default, skip_serializing_if = "FramePair::is_empty")]
    pub sides: FramePair,
    /// With `expectation`: the error that was expected and the one that came instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub another_error: Option<AnotherErrorRecord>,
    /// The ways of the frames that it is about: where each was sent, and what became of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<WhyRecord>,
}

/// A command was refused with another error than the expected one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AnotherErrorRecord {
    /// The command.
    pub command: String,
    /// The error as the scenario has it: with its class, or its text alone.
    pub expected: String,
    /// The error that came, in the same form.
    pub got: String,
}

/// One of the ways in which a case that ran several times failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FailingRecord {
    /// The first execution that failed so, from 1.
    pub first: usize,
    /// How many failed so.
    pub times: usize,
    /// What was wrong with the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<ProblemRecord>,
    /// What a panic or a diagnostic said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// How two backends compare on a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AgreementRecord {
    /// Their names.
    pub backends: [String; 2],
    /// How.
    pub verdict: VerdictRecord,
    /// With `skipped`: which, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// With `differ`: at least one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<Difference>,
}

/// What a comparison came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum VerdictRecord {
    /// Nothing that can be observed differs.
    Agree,
    /// Something does.
    Differ,
    /// One of them has no record.
    Skipped,
}

/// Every frame that was sent, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AccountingRecord {
    /// Frames that the scenario sent.
    pub sent: usize,
    /// Frames that arrived at a port.
    pub arrivals: usize,
    /// Frames dropped, each with a reason.
    pub dropped: usize,
    /// Frames of which nothing is known.
    pub unexplained: usize,
}

impl RunsRecord {
    /// Whether it did both.
    #[must_use]
    pub const fn flaky(self) -> bool {
        self.passed > 0 && self.failed > 0
    }
}

impl CaseRecord {
    /// Of a case that is over; what explains its record as is wished.
    #[must_use]
    pub fn new(result: &CaseResult, events: Events) -> Self {
        let case = &result.case;
        let mut record = Self {
            case: case.id.to_string(),
            scenario: case.source.path.display().to_string(),
            line: None,
            description: case.description.clone(),
            tags: case.tags.iter().cloned().collect(),
            backend: result.backend.clone(),
            profile: case.profile.to_string(),
            status: CaseStatus::from(&result.status),
            seconds: result.duration.as_secs_f64(),
            runs: RunsRecord { passed: result.runs.passed, failed: result.runs.failed },
            known_bug: None,
            reason: None,
            problems: Vec::new(),
            failing: Vec::new(),
            diagnostic: None,
            panic: None,
            agreement: result.agreement.iter().map(AgreementRecord::from).collect(),
            notes: result.notes.clone(),
            accounting: None,
            events: None,
            topology: None,
            course: None,
            transcript: None,
        };
        let failing = |failing| FailingRecord::new(failing, &case.source);
        record.failing = result.failing.iter().map(failing).collect();
        record.set_status(&result.status, &case.source);
        if record.has_failed() || events == Events::OfAll {
            record.topology = Some(Topology::of(case));
        }
        if let (Some(reading), Status::Failed { problems }) = (&result.reading, &result.status) {
            record.explain(problems, &Whys::new(case, reading));
        }
        if let Some(reading) = &result.reading {
            let transcript = reading.transcript();
            let sums = transcript.accounting;
            record.accounting = Some(AccountingRecord {
                sent: sums.sent,
                arrivals: sums.arrivals,
                dropped: sums.dropped,
                unexplained: sums.unexplained,
            });
            if record.has_failed() || events == Events::OfAll {
                let requests = Requests::of(transcript);
                let steps = transcript.steps.iter();
                record.events =
                    Some(steps.flat_map(|step| event::of_step(step, &requests)).collect());
                record.course = Some(Timeline::of(reading));
                record.transcript = Some(format::text(reading));
            }
        }
        record
    }

    /// Whether somebody has to look at it: it failed, is invalid, or tapwright itself failed.
    #[must_use]
    pub const fn is_bad(&self) -> bool {
        matches!(self.status, CaseStatus::Failed | CaseStatus::Invalid | CaseStatus::Internal)
    }

    /// The file, and the line where there is one.
    #[must_use]
    pub fn place(&self) -> String {
        let file = &self.scenario;
        self.line.map_or_else(|| file.clone(), |line| format!("{file}:{line}"))
    }

    /// The record with what explains it, or where that is not wished, without.
    #[must_use]
    pub fn explaining(&self, events: Events) -> Cow<'_, Self> {
        if self.has_failed() || events == Events::OfAll {
            return Cow::Borrowed(self);
        }
        let (events, topology, course, transcript) = (None, None, None, None);
        Cow::Owned(Self { events, topology, course, transcript, ..self.clone() })
    }

    /// Puts in why each problem came about, also where one of several executions failed in this way.
    fn explain(&mut self, problems: &[Problem], whys: &Whys<'_>) {
        let way = self.failing.iter().position(|failing| failing.problems == self.problems);
        for (record, problem) in self.problems.iter_mut().zip(problems) {
            record.why = whys.of(problem);
        }
        if let Some(way) = way {
            self.failing[way].problems.clone_from(&self.problems);
        }
    }

    const fn has_failed(&self) -> bool {
        matches!(self.status, CaseStatus::Failed | CaseStatus::Internal)
    }

    /// What goes with the status.
    fn set_status(&mut self, status: &Status, source: &Source) {
        match status {
            Status::KnownBug { id } => self.known_bug = Some(id.clone()),
            Status::Skipped { reason } => self.reason = Some(reason.clone()),
            Status::Failed { problems } => {
                let record = |problem| ProblemRecord::new(problem, source);
                self.problems = problems.iter().map(record).collect();
                self.line = self.problems.iter().find_map(|problem| problem.line);
            }
            Status::Invalid(report) => {
                let diagnostic = DiagnosticRecord::from(&**report);
                self.line = diagnostic.line();
                self.diagnostic = Some(diagnostic);
            }
            Status::Internal { text } => self.panic = Some(text.clone()),
            Status::Passed | Status::Accepted | Status::Pending | Status::Interrupted => {}
        }
    }
}

impl FailingRecord {
    fn new(failing: &Failing, source: &Source) -> Self {
        let (problems, text) = match &failing.status {
            Status::Failed { problems } => {
                let record = |problem| ProblemRecord::new(problem, source);
                (problems.iter().map(record).collect(), None)
            }
            Status::Invalid(report) => (Vec::new(), Some(report.message.clone())),
            Status::Internal { text } => (Vec::new(), Some(text.clone())),
            _ => (Vec::new(), None),
        };
        Self { first: failing.first, times: failing.times, problems, text }
    }

    /// `3 times, first in run 2`.
    #[must_use]
    pub fn sentence(&self) -> String {
        let times = if self.times == 1 { "time" } else { "times" };
        format!("{} {times}, first in run {}", self.times, self.first)
    }
}

impl ProblemRecord {
    fn new(problem: &Problem, source: &Source) -> Self {
        let step = match problem {
            Problem::Expectation(Failure { step, .. }) => Some(*step),
            _ => None,
        };
        let sides = match problem {
            Problem::Expectation(Failure { kind: FailureKind::Frame { sides, .. }, .. }) => {
                sides.clone()
            }
            _ => FramePair::default(),
        };
        Self {
            sides,
            another_error: AnotherErrorRecord::of(problem),
            kind: problem.kind().to_owned(),
            message: problem.to_string(),
            step,
            line: problem.line(source),
            mismatch: problem.mismatch().cloned(),
            why: Vec::new(),
        }
    }
}

impl AnotherErrorRecord {
    fn of(problem: &Problem) -> Option<Self> {
        let Problem::Expectation(Failure {
            kind: FailureKind::ExpectedError { answer, expected },
            ..
        }) = problem
        else {
            return None;
        };
        let Outcome::Refused(error) = &answer.outcome else {
            return None;
        };
        let with_class = expected.starts_with(&format!("{}: ", error.class));
        Some(Self {
            command: answer.command.clone(),
            expected: expected.clone(),
            got: match with_class {
                true => error.to_string(),
                false => error.desc.clone(),
            },
        })
    }
}

impl From<&Status> for CaseStatus {
    fn from(status: &Status) -> Self {
        match status {
            Status::Passed => Self::Passed,
            Status::Accepted => Self::Accepted,
            Status::KnownBug { .. } => Self::KnownBug,
            Status::Pending => Self::Pending,
            Status::Skipped { .. } => Self::Skipped,
            Status::Failed { .. } => Self::Failed,
            Status::Invalid(_) => Self::Invalid,
            Status::Internal { .. } => Self::Internal,
            Status::Interrupted => Self::Interrupted,
        }
    }
}

impl From<&Agreement> for AgreementRecord {
    fn from(agreement: &Agreement) -> Self {
        let (verdict, reason, differences) = match &agreement.verdict {
            Verdict::Agree => (VerdictRecord::Agree, None, Vec::new()),
            Verdict::Differ(differences) => (VerdictRecord::Differ, None, differences.clone()),
            Verdict::Skipped(reason) => (VerdictRecord::Skipped, Some(reason.clone()), Vec::new()),
        };
        Self {
            backends: agreement.backends.each_ref().map(ToString::to_string),
            verdict,
            reason,
            differences,
        }
    }
}
