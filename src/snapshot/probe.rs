use std::collections::BTreeMap;

use super::{
    SectionError,
    compare::outcome_text,
    lexis::{COLUMN, quote, quote_word, unquote},
    mismatch::{Difference, Mismatch, What},
    sides::Sides,
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

    /// The table with its rows put in for those of the same values, the others kept: what a run of
    /// some of the probes proposes.
    #[must_use]
    pub fn merged_into(&self, stored: &Self) -> Self {
        if stored.columns != self.columns {
            return self.clone();
        }
        let mut rows = stored.rows.clone();
        for row in &self.rows {
            match rows.iter_mut().find(|stored| stored.cells == row.cells) {
                Some(stored) => *stored = row.clone(),
                None => rows.push(row.clone()),
            }
        }
        Self { columns: self.columns.clone(), rows }
    }
}

/// Compares probes with their section. `complete` says that every probe ran, so that a row of the
/// section that has none is gone.
#[must_use]
pub fn compare_probes(section: &str, actual: &ProbeTable, complete: bool) -> Option<Mismatch> {
    let differences = match ProbeTable::parse(section) {
        Err(error) => {
            vec![difference(String::new(), What::Unreadable { reason: error.to_string() })]
        }
        Ok(expected) if expected.columns != actual.columns => vec![difference(
            String::new(),
            What::Value {
                name: "columns".to_owned(),
                expected: expected.columns.join(" "),
                actual: actual.columns.join(" "),
            },
        )],
        Ok(expected) => row_differences(&expected, actual, complete),
    };
    let (expected, actual) = ("snapshot".to_owned(), "run".to_owned());
    (!differences.is_empty()).then_some(Mismatch { expected, actual, differences })
}

fn row_differences(expected: &ProbeTable, actual: &ProbeTable, complete: bool) -> Vec<Difference> {
    let outcomes = |table: &ProbeTable| -> BTreeMap<Vec<String>, String> {
        table.rows.iter().map(|row| (row.cells.clone(), row.outcome.clone())).collect()
    };
    let (left, right) = (outcomes(expected), outcomes(actual));
    let title = |cells: &[String]| {
        let values = actual.columns.iter().zip(cells);
        values.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
    };
    let mut differences = Vec::new();
    let mut differ = |cells: &[String], a: Option<&String>, b: Option<&String>| {
        if a != b {
            let text = |outcome: Option<&String>| outcome.cloned().unwrap_or("no row".to_owned());
            let what = What::Value { name: title(cells), expected: text(a), actual: text(b) };
            differences.push(difference(title(cells), what));
        }
    };
    for row in &actual.rows {
        differ(&row.cells, left.get(&row.cells), Some(&row.outcome));
    }
    for row in expected.rows.iter().filter(|_| complete) {
        if !right.contains_key(&row.cells) {
            differ(&row.cells, Some(&row.outcome), None);
        }
    }
    differences
}

fn difference(title: String, what: What) -> Difference {
    Difference { step: 0, title, line: 0, port: None, what, frames: Sides::default() }
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
