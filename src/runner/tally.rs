use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{CaseResult, Executed, Planned, Problem, Runs, Status, attempt::Attempt};
use crate::record::Transcript;

/// What is done with records: compared, written. The part of the judgement that touches files.
pub(super) trait Archive {
    /// Compares a record with the snapshot and judges the case; the first execution of a case may
    /// leave a pending or accepted snapshot.
    fn judge(&mut self, planned: &Planned, executed: Executed, first: bool)
    -> (Status, Transcript);

    /// How two records of one case differ in what could be observed; nothing when they agree.
    fn disagreement(&self, planned: &Planned, a: &Transcript, b: &Transcript) -> Option<String>;

    /// Keeps the capture of an execution; says what went wrong.
    fn capture(&mut self, transcript: &Transcript, variant: Option<&str>) -> Result<(), String>;
}

/// The executions of one case, until all are in.
pub(super) struct Tally {
    planned: Planned,
    /// The backends' names.
    lanes: Vec<&'static str>,
    repeat: usize,
    /// What has come of each repeat, by backend.
    open: BTreeMap<usize, Vec<Option<Attempt>>>,
    runs: Runs,
    judged: usize,
    duration: Duration,
    /// The worst so far, and its record.
    worst: Option<(Status, Option<Arc<Transcript>>)>,
    /// The record of the repeat that was judged first, which the others must repeat.
    first: Option<Arc<Transcript>>,
    notes: Vec<String>,
}

impl Tally {
    pub(super) fn new(planned: Planned, lanes: Vec<&'static str>, repeat: usize) -> Self {
        Self {
            planned,
            lanes,
            repeat,
            open: BTreeMap::new(),
            runs: Runs::default(),
            judged: 0,
            duration: Duration::ZERO,
            worst: None,
            first: None,
            notes: Vec::new(),
        }
    }

    /// Adds one execution; the result when it was the last.
    pub(super) fn add(
        &mut self,
        repeat: usize,
        lane: usize,
        attempt: Attempt,
        duration: Duration,
        archive: &mut dyn Archive,
    ) -> Option<CaseResult> {
        self.duration += duration;
        let lanes = self.lanes.len();
        let attempts = self.open.entry(repeat).or_insert_with(|| (0..lanes).map(|_| None).collect());
        attempts[lane] = Some(attempt);
        if attempts.iter().any(Option::is_none) {
            return None;
        }
        let attempts = self.open.remove(&repeat).into_iter().flatten().flatten().collect();
        let (status, transcript) = self.judge(attempts, archive);
        self.count(status, transcript);
        if self.judged == self.repeat { self.finish() } else { None }
    }

    /// Whether an execution failed.
    pub(super) const fn has_failed(&self) -> bool {
        self.runs.failed > 0
    }

    /// The result, when it has not been given yet and is known: all executions are in, or one
    /// failed.
    pub(super) fn finish(&mut self) -> Option<CaseResult> {
        let (status, transcript) = self.worst.take()?;
        if self.judged < self.repeat && rank(&status) < FAILED {
            return None;
        }
        Some(CaseResult {
            case: self.planned.case.id.clone(),
            source: Arc::clone(&self.planned.case.source),
            backend: self.lanes.join(","),
            status,
            runs: self.runs,
            duration: self.duration,
            transcript,
            notes: std::mem::take(&mut self.notes),
        })
    }

    fn count(&mut self, status: Status, transcript: Option<Arc<Transcript>>) {
        self.judged += 1;
        match rank(&status) {
            0..SKIPPED => self.runs.passed += 1,
            FAILED.. => self.runs.failed += 1,
            _ => {}
        }
        if self.worst.as_ref().is_none_or(|(worst, _)| rank(&status) > rank(worst)) {
            self.worst = Some((status, transcript));
        }
    }

    fn judge(
        &mut self,
        attempts: Vec<Attempt>,
        archive: &mut dyn Archive,
    ) -> (Status, Option<Arc<Transcript>>) {
        let mut ran = Vec::new();
        let mut skipped = Vec::new();
        let mut failed = None;
        for (lane, attempt) in attempts.into_iter().enumerate() {
            let status = match attempt {
                Attempt::Executed(executed) => {
                    ran.push((self.lanes[lane], executed));
                    continue;
                }
                Attempt::Skipped(reason) => {
                    skipped.push((self.lanes[lane], reason));
                    continue;
                }
                Attempt::Invalid(report) => Status::Invalid(report),
                Attempt::Failed(failure) => {
                    Status::Failed { problems: vec![Problem::Expectation(failure)] }
                }
                Attempt::Panicked(text) => Status::Internal { text },
                Attempt::Interrupted => Status::Interrupted,
            };
            failed = worse(failed, status);
        }
        let (status, transcript) = self.judge_records(ran, archive);
        for reason in self.not_run(skipped) {
            failed = worse(failed, Status::Skipped { reason });
        }
        (status.into_iter().fold(failed, worse).unwrap_or(Status::Passed), transcript)
    }

    /// Why some backends did not run the case. With several it was not compared, and so did not
    /// pass, however it went on the others.
    fn not_run(&self, skipped: Vec<(&'static str, String)>) -> Option<String> {
        let compared = self.lanes.len() > 1;
        let reasons: Vec<String> = skipped
            .into_iter()
            .map(|(lane, reason)| {
                if compared { format!("not compared: {lane}: {reason}") } else { reason }
            })
            .collect();
        if reasons.is_empty() { None } else { Some(reasons.join("; ")) }
    }

    /// Judges the first backend's record against the snapshot and the others' against the first.
    fn judge_records(
        &mut self,
        ran: Vec<(&'static str, Executed)>,
        archive: &mut dyn Archive,
    ) -> (Option<Status>, Option<Arc<Transcript>>) {
        let mut status = None;
        let mut reference: Option<(&'static str, Arc<Transcript>)> = None;
        for (lane, executed) in ran {
            let writes = self.judged == 0 && reference.is_none();
            let (judged, transcript) = archive.judge(&self.planned, executed, writes);
            let transcript = Arc::new(transcript);
            self.keep(&transcript, lane, rank(&judged) >= FAILED, archive);
            let other = reference.as_ref().map(|(lane, other)| ((*lane).to_owned(), other));
            let judged = match other {
                None => self.compare_repeats(judged, &transcript, archive),
                Some((first, other)) => {
                    // The snapshot is the same for all backends: what it says of the first is said.
                    let difference = archive.disagreement(&self.planned, other, &transcript);
                    with_disagreement(only_expectations(judged), first, lane.to_owned(), difference)
                }
            };
            status = worse(status, judged);
            reference.get_or_insert((lane, transcript));
        }
        (status, reference.map(|(_, transcript)| transcript))
    }

    /// A repeat must observe what the first one did, whether or not there is a snapshot to say so.
    fn compare_repeats(
        &mut self,
        status: Status,
        transcript: &Arc<Transcript>,
        archive: &dyn Archive,
    ) -> Status {
        let Some(first) = &self.first else {
            self.first = Some(Arc::clone(transcript));
            return status;
        };
        if rank(&status) != PENDING {
            return status;
        }
        let difference = archive.disagreement(&self.planned, first, transcript);
        with_disagreement(
            status,
            "the first execution".to_owned(),
            format!("execution {}", self.judged + 1),
            difference,
        )
    }

    /// Of several captures the first is kept, until one fails.
    fn keep(&mut self, transcript: &Transcript, lane: &str, fails: bool, archive: &mut dyn Archive) {
        if self.judged > 0 && (!fails || self.runs.failed > 0) {
            return;
        }
        let variant = (self.lanes.len() > 1).then_some(lane);
        if let Err(note) = archive.capture(transcript, variant) {
            self.notes.push(note);
        }
    }
}

fn only_expectations(status: Status) -> Status {
    match status {
        Status::Failed { mut problems } => {
            problems.retain(|problem| matches!(problem, Problem::Expectation(_)));
            if problems.is_empty() { Status::Passed } else { Status::Failed { problems } }
        }
        Status::Pending | Status::Accepted => Status::Passed,
        other => other,
    }
}

fn with_disagreement(
    status: Status,
    first: String,
    second: String,
    difference: Option<String>,
) -> Status {
    let Some(text) = difference else { return status };
    let mut problems = match status {
        Status::Failed { problems } => problems,
        _ => Vec::new(),
    };
    problems.push(Problem::Disagreement { first, second, text });
    Status::Failed { problems }
}

/// The worse of two; the problems of both where both have some.
fn worse(a: Option<Status>, b: Status) -> Option<Status> {
    Some(match (a, b) {
        (None, b) => b,
        (Some(Status::Failed { mut problems }), Status::Failed { problems: more }) => {
            let said: Vec<String> = problems.iter().map(Problem::to_string).collect();
            problems.extend(more.into_iter().filter(|problem| !said.contains(&problem.to_string())));
            Status::Failed { problems }
        }
        (Some(a), b) => {
            if rank(&b) > rank(&a) { b } else { a }
        }
    })
}

const PENDING: u8 = 3;
const SKIPPED: u8 = 4;
/// From here on a status is a failure.
const FAILED: u8 = 6;

/// How bad a status is, of several executions of a case.
fn rank(status: &Status) -> u8 {
    match status {
        Status::Passed => 0,
        Status::KnownBug { .. } => 1,
        Status::Accepted => 2,
        Status::Pending => PENDING,
        Status::Skipped { .. } => SKIPPED,
        Status::Interrupted => 5,
        Status::Failed { .. } => FAILED,
        Status::Invalid(_) => 7,
        Status::Internal { .. } => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        record::Transcript,
        runner::{Failure, FailureKind, fixture, judge},
    };

    /// Records differ when their backends' ports do; every case has a snapshot that matches, unless
    /// `missing`.
    #[derive(Default)]
    struct Fake {
        missing: bool,
        captured: Vec<String>,
    }

    impl Archive for Fake {
        fn judge(
            &mut self,
            planned: &Planned,
            executed: Executed,
            _first: bool,
        ) -> (Status, Transcript) {
            let comparison = if self.missing {
                judge::Comparison::Pending
            } else {
                judge::Comparison::Matches
            };
            (judge::judge(&planned.case, executed.failures, comparison), executed.transcript)
        }

        fn disagreement(&self, _: &Planned, a: &Transcript, b: &Transcript) -> Option<String> {
            (a.accounting != b.accounting).then(|| "arrivals".to_owned())
        }

        fn capture(&mut self, _: &Transcript, variant: Option<&str>) -> Result<(), String> {
            self.captured.push(variant.unwrap_or("-").to_owned());
            Ok(())
        }
    }

    fn planned() -> Planned {
        Planned { case: Arc::new(fixture::case("a")), scenario: 0, probe: false, consult: true }
    }

    fn executed(arrivals: usize) -> Attempt {
        let mut executed = fixture::executed("a");
        executed.transcript.accounting.arrivals = arrivals;
        Attempt::Executed(executed)
    }

    fn failing() -> Attempt {
        let mut executed = fixture::executed("a");
        let kind = FailureKind::Count { port: "out0".into(), expected: 1, got: 0 };
        executed.failures.push(Failure { step: 1, span: Default::default(), kind });
        Attempt::Executed(executed)
    }

    fn skipped() -> Attempt {
        Attempt::Skipped("no TAPs".to_owned())
    }

    /// The attempts of each repeat, by lane.
    fn result(lanes: &[&'static str], archive: &mut Fake, repeats: Vec<Vec<Attempt>>) -> CaseResult {
        let mut tally = Tally::new(planned(), lanes.to_vec(), repeats.len());
        let mut results = Vec::new();
        for (repeat, attempts) in repeats.into_iter().enumerate() {
            for (lane, attempt) in attempts.into_iter().enumerate() {
                results.extend(tally.add(repeat, lane, attempt, Duration::ZERO, archive));
            }
        }
        assert_eq!(results.len(), 1);
        results.remove(0)
    }

    fn short(status: &Status) -> String {
        match status {
            Status::Failed { problems } => {
                problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ")
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn backends_that_agree_pass() {
        let mut archive = Fake::default();
        let result =
            result(&["sim", "netns"], &mut archive, vec![vec![executed(1), executed(1)]]);
        assert_eq!(short(&result.status), "Passed");
        assert_eq!(result.backend, "sim,netns");
        assert_eq!(archive.captured, ["sim", "netns"]);
    }

    #[test]
    fn backends_that_disagree_fail() {
        let attempts = vec![vec![executed(1), executed(2)]];
        let result = result(&["sim", "netns"], &mut Fake::default(), attempts);
        assert_eq!(short(&result.status), "sim and netns disagree");
    }

    #[test]
    fn one_failure_on_two_backends_is_said_once() {
        let attempts = vec![vec![failing(), failing()]];
        let result = result(&["sim", "netns"], &mut Fake::default(), attempts);
        assert_eq!(short(&result.status), "out0: expected 1 frame(s), got 0");
    }

    #[test]
    fn a_case_that_one_backend_skips_is_not_compared() {
        let attempts = vec![vec![executed(1), skipped()]];
        let result = result(&["sim", "netns"], &mut Fake::default(), attempts);
        assert_eq!(
            short(&result.status),
            r#"Skipped { reason: "not compared: netns: no TAPs" }"#
        );
    }

    #[test]
    fn a_case_that_fails_on_the_other_backend_fails() {
        let attempts = vec![vec![failing(), skipped()]];
        let result = result(&["sim", "netns"], &mut Fake::default(), attempts);
        assert_eq!(short(&result.status), "out0: expected 1 frame(s), got 0");
    }

    #[test]
    fn a_skip_is_no_pass() {
        let result = result(&["sim"], &mut Fake::default(), vec![vec![skipped()]]);
        assert_eq!(short(&result.status), r#"Skipped { reason: "no TAPs" }"#);
        assert_eq!(result.runs, Runs::default());
    }

    #[test]
    fn a_case_that_passes_and_fails_is_flaky_and_keeps_the_failing_record() {
        let mut archive = Fake::default();
        let repeats = vec![vec![executed(1)], vec![failing()], vec![executed(1)], vec![failing()]];
        let result = result(&["sim"], &mut archive, repeats);
        assert_eq!(result.runs, Runs { passed: 2, failed: 2 });
        assert!(result.runs.flaky());
        assert_eq!(short(&result.status), "out0: expected 1 frame(s), got 0");
        assert_eq!(archive.captured.len(), 2);
    }

    #[test]
    fn without_a_snapshot_the_repeats_must_agree_with_each_other() {
        let mut archive = Fake { missing: true, ..Fake::default() };
        let steady = result(&["sim"], &mut archive, vec![vec![executed(1)], vec![executed(1)]]);
        assert_eq!(short(&steady.status), "Pending");
        let unsteady = result(&["sim"], &mut archive, vec![vec![executed(1)], vec![executed(2)]]);
        assert_eq!(short(&unsteady.status), "the first execution and execution 2 disagree");
    }

    #[test]
    fn what_is_cut_short_is_a_result_only_when_it_failed() {
        for (attempt, known) in [(executed(1), false), (failing(), true)] {
            let mut tally = Tally::new(planned(), vec!["sim"], 2);
            let archive = &mut Fake::default();
            assert!(tally.add(0, 0, attempt, Duration::ZERO, archive).is_none());
            assert_eq!(tally.finish().is_some(), known);
        }
    }

    #[test]
    fn a_panic_is_worse_than_a_failure() {
        let attempts = vec![vec![failing(), Attempt::Panicked("index".to_owned())]];
        let result = result(&["sim", "netns"], &mut Fake::default(), attempts);
        assert_eq!(short(&result.status), r#"Internal { text: "index" }"#);
    }
}
