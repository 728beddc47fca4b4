//! Probes against the table that was reviewed. Read by the store, and by the review.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    frame_pair::FramePair,
    mismatch::{Difference, Mismatch, What},
};
use crate::format::ProbeTable;

/// Compares probes with their section. `every` has the values of each probe of the scenario,
/// of which some may not have run: a row of the section that is none of them is gone.
#[must_use]
pub fn compare_probes(
    section: &str,
    actual: &ProbeTable,
    every: &[Vec<String>],
) -> Option<Mismatch> {
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
        Ok(expected) => row_differences(&expected, actual, every),
    };
    let (expected, actual) = ("snapshot".to_owned(), "run".to_owned());
    (!differences.is_empty()).then_some(Mismatch { expected, actual, differences })
}

fn row_differences(
    expected: &ProbeTable,
    actual: &ProbeTable,
    every: &[Vec<String>],
) -> Vec<Difference> {
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
    let every: BTreeSet<&Vec<String>> = every.iter().collect();
    for row in &expected.rows {
        if !every.contains(&row.cells) && !right.contains_key(&row.cells) {
            differ(&row.cells, Some(&row.outcome), None);
        }
    }
    differences
}

fn difference(title: String, what: What) -> Difference {
    Difference { step: 0, title, line: 0, port: None, what, frames: FramePair::default() }
}
