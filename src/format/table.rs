//! The probes of a scenario as one table, which is a section of its own. Read by the runner, which fills
//! it, and by the comparison.

use std::collections::BTreeMap;

use super::{
    SectionError,
    token::{COLUMN, quote, quote_word, unquote},
};
use crate::record::{EventKind, Outcome, Transcript};

/// The last column's heading.
const OUTCOME: &str = "outcome";

/// The probes of a scenario: a row for each combination of the matrix and what the objects came
/// to. One section of a snapshot holds the whole table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProbeTable {
    /// The names of the matrix, in order.
    pub columns: Vec<String>,
    /// In the order of the cases.
    pub rows: Vec<ProbeRow>,
}

/// One probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeRow {
    /// A value for each column.
    pub cells: Vec<String>,
    /// `ok`, or what was refused: `GenericError: ...`.
    pub outcome: String,
}

impl ProbeTable {
    /// An empty table.
    #[must_use]
    pub fn new(columns: impl IntoIterator<Item = String>) -> Self {
        Self { columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    /// Adds a probe's row.
    pub fn push(&mut self, values: impl IntoIterator<Item = String>, transcript: &Transcript) {
        let cells = values.into_iter().collect();
        self.rows.push(ProbeRow { cells, outcome: outcome(transcript) });
    }

    /// The table as the text of a section.
    #[must_use]
    pub fn text(&self) -> String {
        let headings = self.columns.iter().map(|name| cell(name)).collect::<Vec<_>>();
        let rows: Vec<Vec<String>> =
            self.rows.iter().map(|row| row.cells.iter().map(|text| cell(text)).collect()).collect();
        let widths: Vec<usize> = (0..headings.len())
            .map(|column| {
                let cells = rows.iter().chain([&headings]).filter_map(|row| row.get(column));
                cells.map(|text| text.chars().count()).max().unwrap_or(0).min(COLUMN)
            })
            .collect();
        let line = |cells: &[String], last: &str| -> String {
            let cells = cells.iter().zip(&widths);
            let cells: String = cells.map(|(text, width)| format!("| {text:<width$} ")).collect();
            format!("{cells}| {last}\n")
        };
        let outcomes = self.rows.iter().map(|row| quote(&row.outcome));
        let lines = rows.iter().zip(outcomes).map(|(cells, outcome)| line(cells, &outcome));
        line(&headings, OUTCOME) + &lines.collect::<String>()
    }

    /// Reads [`ProbeTable::text`] back.
    ///
    /// # Errors
    /// With the line, from 1, that is not a row of the table.
    pub fn parse(text: &str) -> Result<Self, SectionError> {
        let mut lines = text.lines().enumerate();
        let Some((_, first)) = lines.next() else {
            return Err(SectionError::at(1, "", "a table has a line of headings".to_owned()));
        };
        let count = first.matches('|').count().saturating_sub(1);
        let read = |index: usize, line: &str| {
            let wrong = || SectionError::at(index + 1, line, format!("not {count} cells and one"));
            cells(line, count).ok_or_else(wrong)
        };
        let (columns, _) = read(0, first)?;
        let rows = lines.map(|(index, line)| {
            let (cells, outcome) = read(index, line)?;
            Ok(ProbeRow { cells, outcome })
        });
        Ok(Self { columns, rows: rows.collect::<Result<_, SectionError>>()? })
    }

    /// The rows of this table, and those of `stored` for the probes of the scenario that have none
    /// here: what a run of some of the probes proposes. `every` has the values of each probe of the
    /// scenario, in order; a stored row that is none of them is left out.
    #[must_use]
    pub fn merged_into(&self, stored: &Self, every: &[Vec<String>]) -> Self {
        let stored = if stored.columns == self.columns { stored.rows.as_slice() } else { &[] };
        let by_cells: BTreeMap<&[String], &ProbeRow> =
            stored.iter().chain(&self.rows).map(|row| (row.cells.as_slice(), row)).collect();
        let rows = every.iter().filter_map(|cells| by_cells.get(cells.as_slice()).copied());
        Self { columns: self.columns.clone(), rows: rows.cloned().collect() }
    }
}

/// What a probe came to: of several answers only those that are not plainly good.
fn outcome(transcript: &Transcript) -> String {
    let steps = &transcript.steps;
    let answers: Vec<_> = steps.iter().flat_map(|step| &step.answers).collect();
    let events = steps.iter().flat_map(|step| &step.events);
    let crash = events.filter_map(|event| match &event.kind {
        EventKind::Crash(assertion) => Some(format!("crash: {assertion}")),
        _ => None,
    });
    let told = answers.iter().filter(|answer| !matches!(answer.outcome, Outcome::Done(_)));
    let told = told.map(|answer| {
        let text = outcome_text(Some(&answer.outcome));
        match answers.len() {
            1 => text,
            _ => format!("{}: {text}", answer.subject.as_ref().unwrap_or(&answer.command)),
        }
    });
    let told: Vec<_> = told.chain(crash).collect();
    if told.is_empty() { "ok".to_owned() } else { told.join("; ") }
}

fn cell(text: &str) -> String {
    if text.contains('|') { quote_word(text, &[]).into_owned() } else { quote(text).into_owned() }
}

/// The cells of a line, and what follows the last bar.
fn cells(line: &str, count: usize) -> Option<(Vec<String>, String)> {
    let mut parts = line.strip_prefix('|')?.splitn(count + 1, '|');
    let cells: Option<Vec<_>> =
        parts.by_ref().take(count).map(|part| unquote(part.trim())).collect();
    let outcome = unquote(parts.next()?.trim())?;
    cells.filter(|cells| cells.len() == count).map(|cells| (cells, outcome))
}

/// An answer's outcome as the comparison shows it; an empty return is never kept.
pub(crate) fn outcome_text(outcome: Option<&Outcome>) -> String {
    match outcome {
        None => "ok".to_owned(),
        Some(Outcome::Done(value)) => value.to_string(),
        Some(other) => other.to_string(),
    }
}
