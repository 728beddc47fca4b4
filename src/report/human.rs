use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::{Reporter, clock};
use crate::{
    diag,
    record::{Answer, EventKind, Outcome},
    runner::{CaseResult, Failure, FailureKind, Problem, RunEvent, Status, Totals},
    snapshot::{self, Requests},
};

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const ODD: Style = AnsiColor::Yellow.on_default().bold();

/// Columns before the place of a failure, so that places stand below each other.
const PLACE_COLUMN: usize = 50;
/// Checkpoint requests that are told of a failed case.
const CHECKPOINTS: usize = 3;
/// Columns of a line before a case's name.
const NAME_COLUMN: usize = 25;

/// A line for each case, then the failures in full, then the sum; after cargo-nextest's habits. Its
/// text carries ANSI styles: wrap the writer in an [`anstream::AutoStream`] to drop them.
#[derive(Debug)]
pub struct Human<W> {
    out: W,
    /// Told in full at the end.
    failures: Vec<CaseResult>,
}

impl<W: Write> Human<W> {
    /// Writes to `out`.
    pub const fn new(out: W) -> Self {
        Self {
            out,
            failures: Vec::new(),
        }
    }

    fn case(&mut self, result: &CaseResult) -> io::Result<()> {
        let (style, word) = word(result);
        let time = match result.status {
            Status::Skipped { .. } => format!("[{:9}]", ""),
            _ => clock::column(result.duration),
        };
        let remark = remark(result);
        writeln!(
            self.out,
            "{style}{word:>12}{style:#} {time} {}{remark}",
            result.case
        )?;
        for note in &result.notes {
            writeln!(self.out, "{:NAME_COLUMN$}note: {note}", "")?;
        }
        if matches!(
            result.status,
            Status::Failed { .. } | Status::Invalid(_) | Status::Internal { .. }
        ) {
            self.failures.push(result.clone());
        }
        Ok(())
    }

    /// Every failure in full, in the order of the cases' names, so that it doesn't depend on which
    /// case was faster.
    fn failures(&mut self) -> io::Result<()> {
        self.failures.sort_by(|a, b| a.case.cmp(&b.case));
        for result in &self.failures {
            writeln!(self.out)?;
            failure(&mut self.out, result)?;
        }
        if self.failures.is_empty() {
            Ok(())
        } else {
            writeln!(self.out)
        }
    }
}

impl<W: Write> Reporter for Human<W> {
    fn event(&mut self, event: &RunEvent) -> io::Result<()> {
        match event {
            RunEvent::Started { .. } | RunEvent::CaseStarted { .. } => Ok(()),
            RunEvent::CaseFinished(result) => self.case(result),
            RunEvent::Interrupted { running } => writeln!(
                self.out,
                "{ODD}{:>12}{ODD:#} taking down {running} running; once more to end at once",
                "Interrupted"
            ),
            RunEvent::Finished { totals, duration } => {
                self.failures()?;
                let style = if totals.exit().code() == 0 { GOOD } else { BAD };
                let time = clock::column(*duration);
                writeln!(
                    self.out,
                    "{style}{:>12}{style:#} {time} {}",
                    "Summary",
                    sum(totals)
                )?;
                if totals.pending > 0 {
                    writeln!(
                        self.out,
                        "{:NAME_COLUMN$}see what is pending: tapwright review",
                        ""
                    )?;
                } else if totals.proposed > 0 {
                    writeln!(
                        self.out,
                        "{:NAME_COLUMN$}where what came is right, accept it: tapwright review",
                        ""
                    )?;
                }
                if totals.unreferenced > 0 {
                    writeln!(
                        self.out,
                        "{:NAME_COLUMN$}{} {} no scenario: tapwright review --unreferenced",
                        "",
                        totals.unreferenced,
                        if totals.unreferenced == 1 {
                            "snapshot or section has"
                        } else {
                            "snapshots or sections have"
                        },
                    )?;
                }
                self.out.flush()
            }
        }
    }
}

fn word(result: &CaseResult) -> (Style, &'static str) {
    match result.status {
        Status::Passed => (GOOD, "PASS"),
        Status::Accepted => (GOOD, "ACCEPTED"),
        Status::KnownBug { .. } => (ODD, "KNOWN BUG"),
        Status::Pending => (ODD, "PENDING"),
        Status::Skipped { .. } => (ODD, "SKIP"),
        Status::Failed { .. } if result.runs.flaky() => (BAD, "FLAKY"),
        Status::Failed { .. } => (BAD, "FAIL"),
        Status::Invalid(_) => (BAD, "INVALID"),
        Status::Internal { .. } => (BAD, "INTERNAL"),
        Status::Interrupted => (ODD, "CUT SHORT"),
    }
}

fn remark(result: &CaseResult) -> String {
    match &result.status {
        Status::KnownBug { id } => format!(" ({id})"),
        Status::Skipped { reason } => format!(" ({reason})"),
        Status::Failed { .. } if result.runs.flaky() => {
            let runs = result.runs;
            format!(
                " (failed {} of {} times)",
                runs.failed,
                runs.failed + runs.passed
            )
        }
        _ => String::new(),
    }
}

/// The first checkpoint requests of a failed case, for they mostly are what nobody expected; one that
/// comes again and again is told once.
fn checkpoints(out: &mut impl Write, result: &CaseResult) -> io::Result<()> {
    let Some(transcript) = &result.transcript else {
        return Ok(());
    };
    let requests = Requests::of(transcript);
    let mut told = Vec::new();
    for step in &transcript.steps {
        for event in &step.events {
            if let EventKind::Checkpoint(request) = &event.kind {
                let (index, place) = (step.index, &event.place);
                let asked = format!(
                    "{place} asked for a checkpoint: {}",
                    requests.describe(request)
                );
                if told.len() < CHECKPOINTS && !told.contains(&asked) {
                    indented(out, "  ", &format!("step {index}: {asked}"))?;
                    told.push(asked);
                }
            }
        }
    }
    Ok(())
}

fn failure(out: &mut impl Write, result: &CaseResult) -> io::Result<()> {
    let (style, word) = word(result);
    let title = format!("  {}  [{}]", result.case, result.backend);
    let columns = PLACE_COLUMN.saturating_sub(word.len());
    writeln!(
        out,
        "{style}{word}{style:#}{title:columns$} {}",
        place(result)
    )?;
    match &result.status {
        Status::Failed { problems } => {
            for problem in problems {
                self::problem(out, result, problem)?;
            }
            checkpoints(out, result)
        }
        Status::Invalid(report) => {
            let report = diag::render(std::slice::from_ref(report), diag::Style::Plain);
            indented(out, "  ", &report)
        }
        Status::Internal { text } => {
            indented(out, "  ", text)?;
            writeln!(
                out,
                "  this is a bug of tapwright; the case is not to blame"
            )
        }
        _ => Ok(()),
    }
}

fn place(result: &CaseResult) -> String {
    let path = result.source.path.display();
    let line = match &result.status {
        Status::Failed { problems } => problems
            .iter()
            .find_map(|problem| problem.line(&result.source)),
        _ => None,
    };
    line.map_or_else(|| path.to_string(), |line| format!("{path}:{line}"))
}

fn problem(out: &mut impl Write, result: &CaseResult, problem: &Problem) -> io::Result<()> {
    let step = match problem {
        Problem::Expectation(Failure { step: 0, .. }) => String::new(),
        Problem::Expectation(Failure { step, .. }) => match problem.line(&result.source) {
            Some(line) => format!("step {step}, line {line}: "),
            None => format!("step {step}: "),
        },
        _ => String::new(),
    };
    if let Problem::Expectation(Failure {
        kind: FailureKind::ExpectedError { answer, expected },
        ..
    }) = problem
    {
        return another_error(out, &step, answer, expected);
    }
    // What differs says itself that it does.
    if !matches!(problem, Problem::Mismatch(_)) {
        indented(out, "  ", &format!("{step}{problem}"))?;
    }
    match problem.mismatch() {
        Some(mismatch) => indented(out, "  ", &snapshot::render_styled(mismatch)),
        None => Ok(()),
    }
}

/// Both texts below each other, since they mostly differ in a word.
fn another_error(
    out: &mut impl Write,
    step: &str,
    answer: &Answer,
    expected: &str,
) -> io::Result<()> {
    let command = &answer.command;
    let Outcome::Refused(error) = &answer.outcome else {
        let kind = FailureKind::ExpectedError {
            answer: answer.clone(),
            expected: expected.to_owned(),
        };
        return indented(out, "  ", &format!("{step}{kind}"));
    };
    let with_class = expected.starts_with(&format!("{}: ", error.class));
    let got = if with_class {
        error.to_string()
    } else {
        error.desc.clone()
    };
    indented(
        out,
        "  ",
        &format!("{step}{command}: another error than expected"),
    )?;
    let texts = snapshot::side_by_side(["expected", "got"], expected, &got);
    indented(out, "", &texts)
}

/// Every line after `indent`; the further ones keep their own indentation.
fn indented(out: &mut impl Write, indent: &str, text: &str) -> io::Result<()> {
    text.lines()
        .try_for_each(|line| writeln!(out, "{}", format!("{indent}{line}").trim_end()))
}

/// `63 cases run: 62 passed (2 known bugs), 1 failed, 2 skipped, 0 pending`.
fn sum(totals: &Totals) -> String {
    let due = totals.selected.saturating_sub(totals.skipped);
    let run = if totals.run() == due {
        due.to_string()
    } else {
        format!("{}/{due}", totals.run())
    };
    let mut text = format!(
        "{run} {} run: {} passed",
        plural(due, "case"),
        totals.passed
    );
    if totals.known_bugs > 0 {
        text += &format!(
            " ({} {})",
            totals.known_bugs,
            plural(totals.known_bugs, "known bug")
        );
    }
    text += &format!(", {} failed", totals.failed);
    if totals.flaky > 0 {
        text += &format!(" ({} flaky)", totals.flaky);
    }
    for (number, what) in [(totals.invalid, "invalid"), (totals.internal, "internal")] {
        if number > 0 {
            text += &format!(", {number} {what}");
        }
    }
    text + &format!(", {} skipped, {} pending", totals.skipped, totals.pending)
}

fn plural(number: usize, word: &str) -> String {
    if number == 1 {
        word.to_owned()
    } else {
        format!("{word}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    fn text(events: &[RunEvent]) -> String {
        let mut human = Human::new(anstream::StripStream::new(Vec::new()));
        for event in events {
            human.event(event).unwrap();
        }
        String::from_utf8(human.out.into_inner()).unwrap()
    }

    #[test]
    fn a_run_is_told_case_by_case_and_its_failures_at_the_end() {
        insta::assert_snapshot!(text(&fixture::run()));
    }

    #[test]
    fn an_interrupted_run_says_how_far_it_came() {
        insta::assert_snapshot!(text(&fixture::interrupted()));
    }

    #[test]
    fn styles_are_there_until_they_are_dropped() {
        let mut human = Human::new(Vec::new());
        human.event(&fixture::run()[2]).unwrap();
        assert!(human.out.contains(&0x1b));
    }
}
