//! Adds up the executions of a case, on all backends and with all repeats, to its result.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    Agreement, CaseResult, Executed, Failing, Planned, Problem, Runs, Status, Verdict,
    attempt::Attempt,
    failing,
    judge::{Comparison, is_expectation, judge},
};
use crate::{
    compare::{self, Mismatch, Rules},
    reading::Reading,
    record::{Abort, Outcome},
};

/// Keeps the capture of an execution, of one backend where there are several; says what went wrong.
pub(super) type Keep<'a> = dyn FnMut(&Reading, Option<&str>) -> Result<(), String> + 'a;

/// One execution and what the snapshot says of it.
pub(super) struct Came {
    pub(super) attempt: Attempt,
    /// For the first backend; none is consulted for the others, which are held against the first.
    pub(super) comparison: Comparison,
    /// Whether its capture could be written, where that was tried.
    pub(super) kept: Option<Result<(), String>>,
    pub(super) duration: Duration,
}

impl Came {
    /// An execution of which nothing else is known yet.
    pub(super) const fn of(attempt: Attempt) -> Self {
        let (comparison, kept, duration) = (Comparison::NotConsulted, None, Duration::ZERO);
        Self { attempt, comparison, kept, duration }
    }
}

/// The executions of one case, until all are in.
pub(super) struct Tally {
    planned: Planned,
    /// The backends' names.
    lanes: Vec<Arc<str>>,
    repeat: usize,
    /// What has come of each repeat, by backend.
    open: BTreeMap<usize, Vec<Option<Came>>>,
    runs: Runs,
    /// In which ways it failed.
    failing: Vec<Failing>,
    judged: usize,
    duration: Duration,
    /// The worst so far, and its record.
    worst: Option<(Status, Option<Arc<Reading>>)>,
    /// The record of the repeat that was judged first, which the others must repeat.
    first: Option<Arc<Reading>>,
    /// How the backends compare, of the first repeat or of the first that differs.
    agreement: Vec<Agreement>,
    notes: Vec<String>,
}

/// What a lane's execution left.
struct Ran {
    lane: Arc<str>,
    executed: Executed,
    comparison: Comparison,
    kept: Option<Result<(), String>>,
}

/// What a lane's record says, by the lane's name.
type LaneReading = (Arc<str>, Arc<Reading>);

impl Tally {
    pub(super) fn new(planned: Planned, lanes: Vec<Arc<str>>, repeat: usize) -> Self {
        Self {
            planned,
            lanes,
            repeat,
            open: BTreeMap::new(),
            runs: Runs::default(),
            failing: Vec::new(),
            judged: 0,
            duration: Duration::ZERO,
            worst: None,
            first: None,
            agreement: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Adds one execution; the result when it was the last.
    pub(super) fn add(
        &mut self,
        repeat: usize,
        lane: usize,
        came: Came,
        keep: &mut Keep<'_>,
    ) -> Option<CaseResult> {
        self.duration += came.duration;
        let lanes = self.lanes.len();
        let all = self.open.entry(repeat).or_insert_with(|| (0..lanes).map(|_| None).collect());
        all[lane] = Some(came);
        if all.iter().any(Option::is_none) {
            return None;
        }
        let all = self.open.remove(&repeat).into_iter().flatten().flatten().collect();
        let (status, reading) = self.judge(all, keep);
        self.count(repeat, status, reading);
        if self.judged == self.repeat { self.finish() } else { None }
    }

    /// Whether an execution failed.
    pub(super) const fn has_failed(&self) -> bool {
        self.runs.failed > 0
    }

    /// The result, when it has not been given yet and is known: all executions are in, or one
    /// failed.
    pub(super) fn finish(&mut self) -> Option<CaseResult> {
        let (status, reading) = self.worst.take()?;
        self.first = None;
        failing::sort(&mut self.failing);
        if self.judged < self.repeat && rank(&status) < FAILED {
            return None;
        }
        Some(CaseResult {
            case: Arc::clone(&self.planned.case),
            backend: self.lanes.join(","),
            status,
            runs: self.runs,
            failing: std::mem::take(&mut self.failing),
            duration: self.duration,
            reading,
            agreement: std::mem::take(&mut self.agreement),
            notes: std::mem::take(&mut self.notes),
        })
    }

    fn count(&mut self, repeat: usize, status: Status, reading: Option<Arc<Reading>>) {
        self.judged += 1;
        match rank(&status) {
            0..SKIPPED => self.runs.passed += 1,
            FAILED.. => {
                self.runs.failed += 1;
                if self.repeat > 1 {
                    failing::add(&mut self.failing, repeat + 1, &status);
                }
            }
            _ => {}
        }
        if self.worst.as_ref().is_none_or(|(worst, _)| rank(&status) > rank(worst)) {
            self.worst = Some((status, reading));
        }
    }

    fn judge(&mut self, all: Vec<Came>, keep: &mut Keep<'_>) -> (Status, Option<Arc<Reading>>) {
        let mut ran = Vec::new();
        let mut skipped = Vec::new();
        let mut failed = None;
        let mut sides: Vec<Side> = Vec::new();
        for (lane, came) in all.into_iter().enumerate() {
            let status = match came.attempt {
                Attempt::Executed(executed) => {
                    let Came { comparison, kept, .. } = came;
                    ran.push(Ran { lane: self.lanes[lane].clone(), executed, comparison, kept });
                    continue;
                }
                Attempt::Skipped(reason) => {
                    sides.push((self.lanes[lane].clone(), Err(reason.clone())));
                    skipped.push((self.lanes[lane].clone(), reason));
                    continue;
                }
                Attempt::Invalid(report) => Status::Invalid(report),
                Attempt::Failed(failure) => {
                    Status::Failed { problems: vec![Problem::Expectation(failure)] }
                }
                Attempt::Panicked(text) => Status::Internal { text },
                Attempt::Interrupted => Status::Interrupted,
            };
            sides.push((self.lanes[lane].clone(), Err(did_not_end(&status))));
            failed = worse(failed, status);
        }
        let (status, records) = self.judge_records(ran, keep);
        let reading = records.first().map(|(_, record)| Arc::clone(record));
        sides.extend(records.into_iter().map(|(lane, record)| (lane, Ok(record))));
        self.compare_sides(sides);
        if let Some(reason) = self.not_run(skipped) {
            failed = worse(failed, Status::Skipped { reason });
        }
        (status.into_iter().fold(failed, worse).unwrap_or(Status::Passed), reading)
    }

    /// Why some backends did not run the case. With several it was not compared, and so did not
    /// pass, however it went on the others.
    fn not_run(&self, skipped: Vec<(Arc<str>, String)>) -> Option<String> {
        let compared = self.lanes.len() > 1;
        if let [(_, reason), others @ ..] = skipped.as_slice()
            && skipped.len() == self.lanes.len()
            && others.iter().all(|(_, other)| other == reason)
        {
            return Some(reason.clone());
        }
        let reasons: Vec<String> = skipped
            .into_iter()
            .map(
                |(lane, reason)| {
                    if compared { format!("not compared: {lane}: {reason}") } else { reason }
                },
            )
            .collect();
        if reasons.is_empty() { None } else { Some(reasons.join("; ")) }
    }

    /// Judges each record by itself, then the others' against the first one's.
    fn judge_records(
        &mut self,
        ran: Vec<Ran>,
        keep: &mut Keep<'_>,
    ) -> (Option<Status>, Vec<LaneReading>) {
        let mut status = None;
        let mut records: Vec<LaneReading> = Vec::new();
        for Ran { lane, executed, comparison, kept } in ran {
            let Executed { reading, mut failures, .. } = executed;
            failures.retain(|failure| self.planned.judged || !is_expectation(failure));
            let reading = Arc::new(reading);
            let judged = judge(&self.planned.case, failures, comparison);
            match kept {
                Some(kept) => self.notes.extend(kept.err()),
                None => self.keep(&reading, &lane, rank(&judged) >= FAILED, keep),
            }
            let judged =
                match records.first() {
                    None => self.compare_repeats(judged, &reading),
                    Some((first, other)) => {
                        let (first, second) = (first.to_string(), lane.to_string());
                        let difference = self.difference(other, &reading).map(|mismatch| {
                            Mismatch { expected: first.clone(), actual: second.clone(), ..mismatch }
                        });
                        with_disagreement(judged, first, second, difference)
                    }
                };
            status = worse(status, judged);
            records.push((lane, reading));
        }
        (status, records)
    }

    /// Writes down how each two backends compare.
    fn compare_sides(&mut self, mut sides: Vec<Side>) {
        let order = |side: &Side| self.lanes.iter().position(|lane| *lane == side.0);
        sides.sort_by_key(order);
        let mut pairs = Vec::new();
        for (at, (first, one)) in sides.iter().enumerate() {
            for (second, other) in &sides[at + 1..] {
                let verdict = match (one, other) {
                    (Ok(one), Ok(other)) => match self.difference(one, other) {
                        None => Verdict::Agree,
                        Some(mismatch) => Verdict::Differ(mismatch.differences),
                    },
                    (Err(reason), _) => Verdict::Skipped(format!("{first}: {reason}")),
                    (_, Err(reason)) => Verdict::Skipped(format!("{second}: {reason}")),
                };
                pairs.push(Agreement { backends: [first.clone(), second.clone()], verdict });
            }
        }
        let differs = |pair: &Agreement| matches!(pair.verdict, Verdict::Differ(_));
        if self.agreement.is_empty()
            || (pairs.iter().any(differs) && !self.agreement.iter().any(differs))
        {
            self.agreement = pairs;
        }
    }

    /// A repeat must observe what the first one did, whether or not there is a snapshot to say so.
    fn compare_repeats(&mut self, status: Status, reading: &Arc<Reading>) -> Status {
        let Some(first) = &self.first else {
            self.first = Some(Arc::clone(reading));
            return status;
        };
        if rank(&status) >= FAILED {
            return status;
        }
        with_disagreement(
            status,
            "the first execution".to_owned(),
            format!("execution {}", self.judged + 1),
            self.difference(first, reading),
        )
    }

    /// How two records of the case differ in what could be observed, but for what the scenario
    /// masks.
    fn difference(&self, one: &Reading, other: &Reading) -> Option<Mismatch> {
        let rules = &self.planned.case.snapshot;
        let rules = Rules { masks: &rules.masks, without: &rules.without };
        let mut found = compare::disagreement_but(one, other, rules)?;
        if let (Some((step, one)), Some((same, other))) = (abort(one), abort(other))
            && step == same
            && one.survivor.is_some() != other.survivor.is_some()
        {
            found.differences.retain(|difference| difference.step <= step);
        }
        (!found.differences.is_empty()).then_some(found)
    }

    /// Of several captures the first is kept, until one fails.
    fn keep(&mut self, reading: &Reading, lane: &str, fails: bool, keep: &mut Keep<'_>) {
        if self.judged > 0 && (!fails || self.runs.failed > 0) {
            return;
        }
        let variant = (self.lanes.len() > 1).then_some(lane);
        if let Err(note) = keep(reading, variant) {
            self.notes.push(note);
        }
    }
}

/// The first command at which a QEMU aborts, and its step. The model goes on behind it, as a QEMU
/// would that survives; a real one is dead, so that there is nothing to compare from then on.
fn abort(reading: &Reading) -> Option<(usize, &Abort)> {
    reading.transcript().steps.iter().find_map(|step| {
        let aborts = step.answers.iter().find_map(|answer| match &answer.outcome {
            Outcome::Aborts(abort) => Some(abort),
            _ => None,
        });
        aborts.map(|abort| (step.index, abort))
    })
}

/// A backend, and its record or why there is none.
type Side = (Arc<str>, Result<Arc<Reading>, String>);

fn did_not_end(status: &Status) -> String {
    match status {
        Status::Invalid(report) => report.message.clone(),
        Status::Internal { text } => text.clone(),
        Status::Failed { problems } => {
            problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ")
        }
        _ => "interrupted".to_owned(),
    }
}

fn with_disagreement(
    status: Status,
    first: String,
    second: String,
    difference: Option<Mismatch>,
) -> Status {
    let Some(mismatch) = difference else {
        return status;
    };
    let mut problems = match status {
        Status::Failed { problems } => problems,
        _ => Vec::new(),
    };
    problems.push(Problem::Disagreement { first, second, mismatch });
    Status::Failed { problems }
}

/// The worse of two; the problems of both where both have some.
fn worse(a: Option<Status>, b: Status) -> Option<Status> {
    Some(match (a, b) {
        (None, b) => b,
        (Some(Status::Failed { mut problems }), Status::Failed { problems: more }) => {
            let said: Vec<String> = problems.iter().map(Problem::to_string).collect();
            problems
                .extend(more.into_iter().filter(|problem| !said.contains(&problem.to_string())));
            Status::Failed { problems }
        }
        (Some(a), b) => {
            if rank(&b) > rank(&a) {
                b
            } else {
                a
            }
        }
    })
}

const SKIPPED: u8 = 4;
/// From here on a status is a failure.
const FAILED: u8 = 6;

/// How bad a status is, of several executions of a case.
fn rank(status: &Status) -> u8 {
    match status {
        Status::Passed => 0,
        Status::KnownBug { .. } => 1,
        Status::Accepted => 2,
        Status::Pending => 3,
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
        record::{Answer, Arrival, CommandError, Item},
        runner::{Failure, FailureKind, fixture},
    };

    /// With so many end-of-files at its port.
    fn executed(arrivals: usize) -> Attempt {
        let mut executed = fixture::executed("a");
        let mut transcript = executed.reading.transcript().clone();
        let port = transcript.ports[0].id.clone();
        let eof = Arrival { port, item: Item::Eof, tag: None, at: Default::default() };
        transcript.steps[0].arrivals = vec![eof; arrivals];
        executed.reading = Reading::of(transcript);
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

    fn came(attempt: Attempt, lane: usize, comparison: &Comparison) -> Came {
        let comparison = if lane == 0 { comparison.clone() } else { Comparison::NotConsulted };
        Came { comparison, ..Came::of(attempt) }
    }

    /// The result of the attempts of each repeat, by lane, and the captures that were kept.
    fn result_with(
        lanes: &[&str],
        repeats: Vec<Vec<Attempt>>,
        comparison: Comparison,
    ) -> (CaseResult, Vec<String>) {
        let lanes = lanes.iter().map(|lane| Arc::from(*lane)).collect();
        let mut tally = Tally::new(fixture::planned("a"), lanes, repeats.len());
        let (mut results, mut kept) = (Vec::new(), Vec::new());
        for (repeat, attempts) in repeats.into_iter().enumerate() {
            for (lane, attempt) in attempts.into_iter().enumerate() {
                results.extend(tally.add(
                    repeat,
                    lane,
                    came(attempt, lane, &comparison),
                    &mut |_, variant| {
                        kept.push(variant.unwrap_or("-").to_owned());
                        Ok(())
                    },
                ));
            }
        }
        assert_eq!(results.len(), 1);
        (results.remove(0), kept)
    }

    fn result(lanes: &[&str], repeats: Vec<Vec<Attempt>>) -> CaseResult {
        result_with(lanes, repeats, Comparison::Matches).0
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
        let repeats = vec![vec![executed(1), executed(1)]];
        let (result, kept) = result_with(&["sim", "netns"], repeats, Comparison::Matches);
        assert_eq!(short(&result.status), "Passed");
        assert_eq!(result.backend, "sim,netns");
        assert_eq!(kept, ["sim", "netns"]);
    }

    #[test]
    fn backends_that_disagree_fail() {
        let result = result(&["sim", "netns"], vec![vec![executed(1), executed(2)]]);
        assert_eq!(short(&result.status), "sim and netns disagree");
        assert!(matches!(&result.agreement[..], [Agreement {
            backends: [first, second],
            verdict: Verdict::Differ(differences),
        }] if (&**first, &**second, differences.len()) == ("sim", "netns", 1)));
    }

    #[test]
    fn what_comes_behind_the_death_of_a_real_qemu_is_not_compared() {
        let aborting = |arrivals: usize, survivor: Option<CommandError>| {
            let Attempt::Executed(mut executed) = executed(arrivals) else { unreachable!() };
            let mut transcript = executed.reading.transcript().clone();
            transcript.steps[0].index = 2;
            let mut dies = transcript.steps[0].clone();
            (dies.index, dies.arrivals) = (1, Vec::new());
            let assertion = "x.c:1: Assertion".to_owned();
            dies.answers.push(Answer {
                command: "object-add f0".to_owned(),
                subject: None,
                outcome: Outcome::Aborts(Abort { assertion, survivor }),
            });
            transcript.steps.insert(0, dies);
            executed.reading = Reading::of(transcript);
            Attempt::Executed(executed)
        };
        let error = CommandError { class: "GenericError".to_owned(), desc: "no".to_owned() };
        let modelled = |arrivals| aborting(arrivals, Some(error.clone()));
        let real = result(&["sim", "qemu"], vec![vec![modelled(1), aborting(0, None)]]);
        assert_eq!(short(&real.status), "Passed");
        let both = result(&["sim", "netns"], vec![vec![modelled(1), modelled(0)]]);
        assert_eq!(short(&both.status), "sim and netns disagree");
        let lives = result(&["sim", "qemu"], vec![vec![modelled(1), executed(0)]]);
        assert_eq!(short(&lives.status), "sim and qemu disagree");
    }

    #[test]
    fn one_failure_on_two_backends_is_said_once() {
        let result = result(&["sim", "netns"], vec![vec![failing(), failing()]]);
        assert_eq!(short(&result.status), "out0: expected 1 frame(s), got 0");
    }

    #[test]
    fn a_case_that_one_backend_skips_is_not_compared() {
        let result = result(&["sim", "netns"], vec![vec![executed(1), skipped()]]);
        assert_eq!(short(&result.status), r#"Skipped { reason: "not compared: netns: no TAPs" }"#);
        let skipped = Verdict::Skipped("netns: no TAPs".to_owned());
        assert_eq!(result.agreement[0].verdict, skipped);
    }

    #[test]
    fn a_case_that_fails_on_the_other_backend_fails() {
        let result = result(&["sim", "netns"], vec![vec![failing(), skipped()]]);
        assert_eq!(short(&result.status), "out0: expected 1 frame(s), got 0");
    }

    #[test]
    fn a_skip_is_no_pass() {
        let result = result(&["sim"], vec![vec![skipped()]]);
        assert_eq!(short(&result.status), r#"Skipped { reason: "no TAPs" }"#);
        assert_eq!(result.runs, Runs::default());
    }

    #[test]
    fn a_case_that_passes_and_fails_is_flaky_and_keeps_its_first_failing_record() {
        let repeats = vec![vec![executed(0)], vec![failing()], vec![executed(0)], vec![failing()]];
        let (result, kept) = result_with(&["sim"], repeats, Comparison::Matches);
        assert_eq!(result.runs, Runs { passed: 2, failed: 2 });
        assert!(result.runs.flaky());
        assert_eq!(short(&result.status), "out0: expected 1 frame(s), got 0");
        assert_eq!(kept.len(), 2);
    }

    #[test]
    fn without_a_snapshot_the_repeats_must_agree_with_each_other() {
        let pending =
            |repeats| short(&result_with(&["sim"], repeats, Comparison::Pending).0.status);
        assert_eq!(pending(vec![vec![executed(1)], vec![executed(1)]]), "Pending");
        assert_eq!(
            pending(vec![vec![executed(1)], vec![executed(2)]]),
            "the first execution and execution 2 disagree"
        );
    }

    #[test]
    fn what_is_cut_short_is_a_result_only_when_it_failed() {
        for (attempt, known) in [(executed(1), false), (failing(), true)] {
            let mut tally = Tally::new(fixture::planned("a"), vec!["sim".into()], 2);
            let came = came(attempt, 0, &Comparison::Matches);
            assert!(tally.add(0, 0, came, &mut |_, _| Ok(())).is_none());
            assert_eq!(tally.finish().is_some(), known);
        }
    }

    #[test]
    fn a_panic_is_worse_than_a_failure() {
        let attempts = vec![vec![failing(), Attempt::Panicked("index".to_owned())]];
        let result = result(&["sim", "netns"], attempts);
        assert_eq!(short(&result.status), r#"Internal { text: "index" }"#);
    }

    #[test]
    fn a_capture_that_can_not_be_kept_is_a_note() {
        let mut tally = Tally::new(fixture::planned("a"), vec!["sim".into()], 1);
        let came = came(executed(1), 0, &Comparison::Matches);
        let result = tally.add(0, 0, came, &mut |_, _| Err("disk full".to_owned())).unwrap();
        assert_eq!(short(&result.status), "Passed");
        assert_eq!(result.notes, ["disk full"]);
    }
}
