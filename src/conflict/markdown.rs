//! A survey as Markdown, for `conflicts --format markdown`.

use std::fmt::Write;

use super::{Summary, Survey, word};

/// A survey as GitHub's and GitLab's markdown: what was tried, and a row for each check.
#[must_use]
pub fn markdown(survey: &Survey, summary: &Summary) -> String {
    let mut text = String::new();
    // Writing to a string can't fail.
    let _ = write(&mut text, survey, summary);
    text
}

fn write(out: &mut String, survey: &Survey, summary: &Summary) -> std::fmt::Result {
    let table = &survey.table;
    let profiles: Vec<String> = survey.profiles.iter().map(ToString::to_string).collect();
    writeln!(out, "### {} ({})\n", word::title(survey), profiles.join(", "))?;
    writeln!(out, "| property | values |\n| --- | --- |")?;
    for axis in table.axes.iter() {
        let values: Vec<String> = axis.values.iter().map(|one| cell(&word::cell(*one))).collect();
        writeln!(out, "| {} | {} |", cell(axis.name), values.join(", "))?;
    }
    for (name, value) in table.fixed.iter() {
        writeln!(out, "| {} | {}, always |", cell(name), cell(&word::cell(*value)))?;
    }
    let world = word::world(survey);
    if !world.is_empty() {
        writeln!(out, "\n{}.", world.join("; "))?;
    }
    write!(out, "\n{}", word::count(survey, summary))?;
    match word::indifferent(survey, summary) {
        Some(names) => writeln!(out, "; no difference: {names}.\n")?,
        None => writeln!(out, ".\n")?,
    }
    let heads: Vec<String> = match profiles.as_slice() {
        [_] => vec!["what QEMU says".to_owned()],
        profiles => profiles.to_vec(),
    };
    if !summary.rules.is_empty() {
        writeln!(out, "| # | when, and nothing above | {} |", heads.join(" | "))?;
        writeln!(out, "| --- | --- |{}", " --- |".repeat(heads.len()))?;
    }
    for (number, rule) in (1..).zip(&summary.rules) {
        let when = products(survey, &rule.when);
        let said: Vec<String> = survey.outcomes[rule.outcome]
            .iter()
            .map(|reply| {
                let lines: Vec<String> = word::reply(reply).iter().map(|one| cell(one)).collect();
                lines.join("<br>")
            })
            .collect();
        writeln!(out, "| {number} | {when} | {} |", said.join(" | "))?;
    }
    if !summary.accepted.is_empty() {
        writeln!(out, "\nAccepted:\n")?;
        for cube in &summary.accepted {
            writeln!(out, "- {}", code(&word::product(table, cube)))?;
        }
    }
    Ok(())
}

fn products(survey: &Survey, cubes: &[Vec<u32>]) -> String {
    let words: Vec<String> =
        cubes.iter().map(|cube| cell(&word::product(&survey.table, cube))).collect();
    words.join("<br>")
}

/// Code in a cell of a table, where a bar would end the cell even so.
fn cell(text: &str) -> String {
    code(text).replace('|', "\\|")
}

fn code(text: &str) -> String {
    if text.contains('`') { format!("`` {text} ``") } else { format!("`{text}`") }
}
