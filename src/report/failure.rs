//! What is wrong with a case, in lines for people. The record is one that is visible: see
//! [`CaseRecord::visible`].

use super::record::{AnotherErrorRecord, CaseRecord, CaseStatus, FailingRecord, ProblemRecord};
use crate::{
    compare,
    report::WhyRecord,
    terminal::visible,
    wording::{self, Text},
};

/// Checkpoint requests that are told of a failed case.
const CHECKPOINTS: usize = 3;

/// How much is told of a frame's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ways {
    /// A line or two, as a terminal shows them.
    Short,
    /// Every station.
    Whole,
}

impl Ways {
    fn lines(self, why: &WhyRecord) -> Vec<String> {
        match self {
            Self::Short => why.lines(),
            Self::Whole => why.whole(),
        }
    }
}

/// What is wrong with a case, in a word and a sentence: the first of several.
pub(super) fn first(case: &CaseRecord) -> (&str, &str) {
    match (case.problems.first(), &case.diagnostic, &case.panic) {
        (Some(problem), ..) => (&problem.kind, &problem.message),
        (None, Some(diagnostic), _) => (&diagnostic.code, &diagnostic.message),
        (None, None, Some(panic)) => ("internal", panic),
        // CI fails a case without a snapshot, and so do those that read reports of other runs.
        _ if case.status == CaseStatus::Pending => {
            ("pending", "its snapshot waits for a review: tapwright review")
        }
        (None, None, None) => ("failed", ""),
    }
}

/// Everything that is wrong with a case, indented; nothing where nothing is.
pub(super) fn of_case(case: &CaseRecord) -> Text {
    with_ways(case, Ways::Short)
}

/// As [`of_case`], with as much of each frame's way as is wished.
pub(super) fn with_ways(case: &CaseRecord, told: Ways) -> Text {
    let mut text = Text::default();
    match case.status {
        CaseStatus::Failed => {
            if case.failing.is_empty() {
                for one in &case.problems {
                    problem(&mut text, one, told);
                }
            } else {
                ways(&mut text, case, told);
            }
            checkpoints(&mut text, case);
        }
        CaseStatus::Invalid => {
            if let Some(diagnostic) = &case.diagnostic {
                indented(&mut text, diagnostic.rendered.as_str());
            }
        }
        CaseStatus::Internal => {
            if let Some(panic) = &case.panic {
                indented(&mut text, panic.as_str());
            }
            indented(&mut text, "this is a bug of tapwright; the case is not to blame");
        }
        _ => {}
    }
    text
}

/// How often a case failed that ran several times, and in which ways.
fn ways(text: &mut Text, case: &CaseRecord, told: Ways) {
    let runs = case.runs;
    let all = runs.failed + runs.passed;
    indented(text, format!("failed {} of {all} times", runs.failed));
    for failing in &case.failing {
        indented(text, format!("{}:", failing.sentence()));
        indented(text, with_run(failing, told));
    }
}

/// What was wrong with one of several executions, indented.
pub(super) fn of_run(failing: &FailingRecord) -> Text {
    with_run(failing, Ways::Short)
}

fn with_run(failing: &FailingRecord, told: Ways) -> Text {
    let mut text = Text::default();
    for one in &failing.problems {
        problem(&mut text, one, told);
    }
    if let Some(said) = &failing.text {
        indented(&mut text, said.as_str());
    }
    text
}

/// A problem, and what differs where that is the problem.
fn problem(text: &mut Text, problem: &ProblemRecord, told: Ways) {
    let step = match (problem.step, problem.line) {
        (None | Some(0), _) => String::new(),
        (Some(step), Some(line)) => format!("step {step}, line {line}: "),
        (Some(step), None) => format!("step {step}: "),
    };
    if let Some(error) = &problem.another_error {
        return another_error(text, &step, error);
    }
    // What differs says itself that it does.
    if problem.kind != "mismatch" || problem.mismatch.is_none() {
        indented(text, format!("{step}{}", problem.message));
    }
    if let Some(mismatch) = &problem.mismatch {
        let of = |at| problem.why.iter().filter(move |why| why.difference == Some(at));
        let known = |at| of(at).flat_map(|why| told.lines(why)).collect();
        indented(text, compare::render_explained(mismatch, &known));
    }
    for why in problem.why.iter().filter(|why| why.difference.is_none()) {
        for line in told.lines(why) {
            indented(text, format!("  {line}"));
        }
    }
}

/// Both texts below each other, since they mostly differ in a word.
fn another_error(text: &mut Text, step: &str, error: &AnotherErrorRecord) {
    let AnotherErrorRecord { command, expected, got } = error;
    indented(text, format!("{step}{command}: another error than expected"));
    text.append(&compare::side_by_side(["expected", "got"], expected, got));
}

/// The first checkpoint requests of a failed case, for they mostly are what nobody expected; one that
/// comes again and again is told once.
fn checkpoints(text: &mut Text, case: &CaseRecord) {
    let mut told = Vec::new();
    for event in case.events.iter().flatten() {
        let Some(request) = event.text.as_ref().filter(|_| event.event == "checkpoint") else {
            continue;
        };
        let asked = wording::asked(&event.place, &visible(request).to_string());
        if told.len() < CHECKPOINTS && !told.contains(&asked) {
            indented(text, format!("step {}: {asked}", event.step));
            told.push(asked);
        }
    }
}

/// Every line after two spaces; the further ones keep their own indentation.
fn indented(text: &mut Text, lines: impl Into<Text>) {
    for line in lines.into().lines() {
        let mut whole = Text::from("  ");
        whole.append(&line);
        text.append(&whole.trimmed());
        text.push('\n');
    }
}
