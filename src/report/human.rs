//! The report for people at a terminal: a line a case, then the failures, then the sum.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use anstyle::{AnsiColor, Style};

use super::{
    Event, Reporter, clock, failure,
    otherwise::Otherwise,
    painted,
    record::{CaseRecord, CaseStatus, RunRecord, Sums},
};
use crate::{runner::RunEvent, terminal::visible};

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const ODD: Style = AnsiColor::Yellow.on_default().bold();

/// Columns before the place of a failure, so that places stand below each other.
const PLACE_COLUMN: usize = 50;
/// Columns of a line before a case's name.
const NAME_COLUMN: usize = 25;

/// A line for each case, then the failures in full, then the sum; after cargo-nextest's habits. Its
/// text carries ANSI styles: wrap the writer in an [`anstream::AutoStream`] to drop them.
#[derive(Debug)]
pub struct Human<W> {
    out: W,
    /// Told in full at the end.
    failures: Vec<CaseRecord>,
    otherwise: Otherwise,
    /// Why cases were skipped, and how many.
    skipped: BTreeMap<String, usize>,
}

impl<W: Write> Human<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self {
            out,
            failures: Vec::new(),
            otherwise: Otherwise::default(),
            skipped: BTreeMap::new(),
        }
    }

    /// What it writes to.
    pub(super) const fn out(&mut self) -> &mut W {
        &mut self.out
    }

    /// Tells a run that is over.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn run(&mut self, record: &RunRecord) -> io::Result<()> {
        for case in &record.cases {
            self.case(case)?;
        }
        self.end(&record.sums)
    }

    fn case(&mut self, case: &CaseRecord) -> io::Result<()> {
        let case = case.visible();
        let (style, word) = word(&case);
        let time = match case.status {
            CaseStatus::Skipped => format!("[{:9}]", ""),
            _ => clock::column(case.seconds),
        };
        let remark = remark(&case);
        // In one piece: what it goes through looks at each piece anew.
        let line = format!("{style}{word:>12}{style:#} {time} {}{remark}\n", case.case);
        self.out.write_all(line.as_bytes())?;
        for note in &case.notes {
            writeln!(self.out, "{:NAME_COLUMN$}note: {note}", "")?;
        }
        self.otherwise.add(&case);
        if let (CaseStatus::Skipped, Some(reason)) = (case.status, &case.reason) {
            *self.skipped.entry(general(reason)).or_default() += 1;
        }
        if case.is_bad() {
            self.failures.push(case.into_owned());
        }
        Ok(())
    }

    fn end(&mut self, sums: &Sums) -> io::Result<()> {
        self.failures()?;
        self.out.write_all(self.otherwise.text().as_bytes())?;
        let style = if sums.exit_code == 0 { GOOD } else { BAD };
        let time = clock::column(sums.seconds);
        writeln!(self.out, "{style}{:>12}{style:#} {time} {}", "Summary", sum(sums))?;
        self.reasons()?;
        if sums.totals.pending > 0 {
            writeln!(self.out, "{:NAME_COLUMN$}see what is pending: tapwright review", "")?;
        } else if sums.totals.proposed > 0 {
            writeln!(
                self.out,
                "{:NAME_COLUMN$}where what came is right, accept it: tapwright review",
                ""
            )?;
        }
        if sums.totals.unreferenced > 0 {
            writeln!(
                self.out,
                "{:NAME_COLUMN$}{} {} no scenario: tapwright review --unreferenced",
                "",
                sums.totals.unreferenced,
                if sums.totals.unreferenced == 1 {
                    "snapshot or section has"
                } else {
                    "snapshots or sections have"
                },
            )?;
        }
        self.out.flush()
    }

    /// Why cases were skipped, each reason once and the most frequent first. Of one case its line
    /// says it.
    fn reasons(&mut self) -> io::Result<()> {
        let mut reasons: Vec<_> = std::mem::take(&mut self.skipped).into_iter().collect();
        reasons.retain(|(_, count)| *count > 1);
        // Those of the same number stay in the order of their texts.
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        for (reason, count) in reasons {
            writeln!(self.out, "{:NAME_COLUMN$}{count} skipped: {reason}", "")?;
        }
        Ok(())
    }

    /// Every failure in full, in the order of the cases' names, so that it doesn't depend on which
    /// case was faster.
    fn failures(&mut self) -> io::Result<()> {
        self.failures.sort_by(|a, b| a.case.cmp(&b.case));
        for case in &self.failures {
            let (style, word) = word(case);
            let title = format!("  {}  [{}]", case.case, case.backend);
            let columns = PLACE_COLUMN.saturating_sub(word.len());
            writeln!(self.out, "\n{style}{word}{style:#}{title:columns$} {}", case.place())?;
            self.out.write_all(painted(&failure::of_case(case)).as_bytes())?;
        }
        if self.failures.is_empty() { Ok(()) } else { writeln!(self.out) }
    }
}

impl<W: Write> Reporter for Human<W> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        match event {
            RunEvent::Started { stand_ins, .. } => {
                self.otherwise.begin(stand_ins);
                Ok(())
            }
            RunEvent::CaseStarted { .. } => Ok(()),
            RunEvent::CaseSlow { case, running } => writeln!(
                self.out,
                "{ODD}{:>12}{ODD:#} {} {}",
                "SLOW",
                clock::longer_than(*running),
                visible(case)
            ),
            RunEvent::CaseFinished(case) => self.case(case),
            RunEvent::Interrupted { running } => writeln!(
                self.out,
                "{ODD}{:>12}{ODD:#} taking down {running} running; once more to end at once",
                "Interrupted"
            ),
            RunEvent::Finished { totals, duration } => {
                self.end(&Sums::new(totals, duration.as_secs_f64()))
            }
        }
    }
}

/// A reason without the name of the netdev or chardev that it is about, which is each scenario's own.
fn general(reason: &str) -> String {
    let mut general = String::new();
    let mut parts = reason.split(": ").peekable();
    while let Some(part) = parts.next() {
        let named = part.split_once(' ');
        let is_name = named.is_some_and(|(kind, name)| {
            matches!(kind, "netdev" | "chardev") && !name.contains(' ')
        });
        if is_name && parts.peek().is_some() {
            continue;
        }
        general += part;
        if parts.peek().is_some() {
            general += ": ";
        }
    }
    general
}

pub(super) fn word(case: &CaseRecord) -> (Style, &'static str) {
    match case.status {
        CaseStatus::Passed => (GOOD, "PASS"),
        CaseStatus::Accepted => (GOOD, "ACCEPTED"),
        CaseStatus::KnownBug => (ODD, "KNOWN BUG"),
        CaseStatus::Pending => (ODD, "PENDING"),
        CaseStatus::Skipped => (ODD, "SKIP"),
        CaseStatus::Failed if case.runs.flaky() => (BAD, "FLAKY"),
        CaseStatus::Failed => (BAD, "FAIL"),
        CaseStatus::Invalid => (BAD, "INVALID"),
        CaseStatus::Internal => (BAD, "INTERNAL"),
        CaseStatus::Interrupted => (ODD, "CUT SHORT"),
    }
}

fn remark(case: &CaseRecord) -> String {
    match (case.status, &case.known_bug, &case.reason) {
        (CaseStatus::KnownBug, Some(id), _) => format!(" ({id})"),
        (CaseStatus::Skipped, _, Some(reason)) => format!(" ({reason})"),
        (CaseStatus::Failed, ..) if case.runs.flaky() => {
            let runs = case.runs;
            format!(" (failed {} of {} times)", runs.failed, runs.failed + runs.passed)
        }
        _ => String::new(),
    }
}

/// `63 cases run: 62 passed (2 known bugs), 1 failed, 2 skipped, 0 pending`.
pub(super) fn sum(sums: &Sums) -> String {
    let totals = &sums.totals;
    let due = totals.selected.saturating_sub(totals.skipped);
    // A file that can't be used is no case: nothing was selected of it.
    let run = if totals.run() == due || due == 0 {
        due.to_string()
    } else {
        format!("{}/{due}", totals.run())
    };
    let mut text = format!("{run} {} run: {} passed", plural(due, "case"), totals.passed);
    if totals.known_bugs > 0 {
        text += &format!(" ({} {})", totals.known_bugs, plural(totals.known_bugs, "known bug"));
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
    if number == 1 { word.to_owned() } else { format!("{word}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    fn text(events: &[Event]) -> String {
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

    /// Each once, whatever the netdevs are called; of one case its line says it.
    #[test]
    fn reasons_of_several_skipped_cases_are_summed_up() {
        let run = fixture::run();
        let skipped = run.iter().find_map(|event| match event {
            RunEvent::CaseFinished(case) if case.status == CaseStatus::Skipped => Some(case),
            _ => None,
        });
        let mut human = Human::new(anstream::StripStream::new(Vec::new()));
        for reason in [
            "qemu: netdev hn0: there is no /dev/vhost-net",
            "it is about qemu-7.2",
            "qemu: netdev vh0: there is no /dev/vhost-net",
        ] {
            let mut case = skipped.unwrap().clone();
            case.reason = Some(reason.to_owned());
            human.event(&RunEvent::CaseFinished(case)).unwrap();
        }
        human.event(run.last().unwrap()).unwrap();
        let text = String::from_utf8(human.out.into_inner()).unwrap();
        assert!(text.contains("  2 skipped: qemu: there is no /dev/vhost-net\n"), "{text}");
        assert_eq!(text.matches(" skipped: ").count(), 1, "{text}");
    }

    #[test]
    fn styles_are_there_until_they_are_dropped() {
        let mut human = Human::new(Vec::new());
        human.event(&fixture::run()[3]).unwrap();
        assert!(human.out.contains(&0x1b));
    }
}
