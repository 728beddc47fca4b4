//! A survey as text for a terminal. `conflicts` prints it by default.

use std::fmt::Write;

use super::{Summary, Survey, word};

/// A survey for people at a terminal: which check fires first, and what is accepted.
#[must_use]
pub fn text(survey: &Survey, summary: &Summary) -> String {
    let mut text = String::new();
    // Writing to a string can't fail.
    let _ = write(&mut text, survey, summary);
    text
}

fn write(out: &mut String, survey: &Survey, summary: &Summary) -> std::fmt::Result {
    let profiles: Vec<String> = survey.profiles.iter().map(ToString::to_string).collect();
    writeln!(out, "{} [{}]", word::title(survey), profiles.join(", "))?;
    let table = &survey.table;
    let width = table.axes.iter().map(|axis| axis.name.len()).max();
    let width = width.unwrap_or_default();
    for axis in table.axes.iter() {
        let values: Vec<String> = axis.values.iter().map(|one| word::cell(*one)).collect();
        writeln!(out, "    {:width$}  {}", axis.name, values.join(" | "))?;
    }
    for (name, cell) in table.fixed.iter() {
        writeln!(out, "    {name:width$}  {}, always", word::cell(*cell))?;
    }
    for line in word::world(survey) {
        writeln!(out, "    {line}")?;
    }
    write!(out, "  {}", word::count(survey, summary))?;
    match word::indifferent(survey, summary) {
        Some(names) => writeln!(out, "; no difference: {names}")?,
        None => writeln!(out)?,
    }
    let compared = survey.profiles.len() > 1;
    if !summary.rules.is_empty() {
        let what = if compared {
            "What differs, the first line that fits:"
        } else {
            "Refused, by the first line that fits:"
        };
        writeln!(out, "  {what}")?;
    }
    for (number, rule) in (1..).zip(&summary.rules) {
        let mut label = format!("{number:>4}  ");
        for cube in &rule.when {
            writeln!(out, "{label}{}", word::product(table, cube))?;
            label = "  or  ".to_owned();
        }
        for line in word::outcome(survey, rule.outcome) {
            writeln!(out, "        {line}")?;
        }
    }
    if !summary.accepted.is_empty() {
        writeln!(out, "  Accepted:")?;
        for cube in &summary.accepted {
            writeln!(out, "      {}", word::product(table, cube))?;
        }
    }
    Ok(())
}
