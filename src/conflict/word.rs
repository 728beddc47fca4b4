//! How values, products and outcomes are written.

use super::{Axis, Cell, ObjectTable, Reply, Summary, Survey, WORLD};

/// A value; in quotes where it would be taken for another kind of value, or for none.
pub(super) fn cell(cell: Cell) -> String {
    match cell {
        Cell::Unset => "not set".to_owned(),
        Cell::Text(text) if is_bare(text) => text.to_owned(),
        Cell::Text(text) => format!("\"{text}\""),
        Cell::Flag(flag) => flag.to_string(),
        Cell::Number(number) => number.to_string(),
    }
}

fn is_bare(text: &str) -> bool {
    !["", "on", "off", "true", "false", "yes", "no"].contains(&text) && text.parse::<f64>().is_err()
}

/// The values of an axis that are in a product; none where it says nothing of the axis.
pub(super) fn values(axis: &Axis, mask: u32) -> Option<String> {
    let within: Vec<Cell> = axis
        .values
        .iter()
        .enumerate()
        .filter(|(place, _)| mask >> place & 1 == 1)
        .map(|(_, cell)| *cell)
        .collect();
    let name = axis.name;
    let without: Vec<Cell> =
        axis.values.iter().copied().filter(|cell| !within.contains(cell)).collect();
    match (within.as_slice(), without.as_slice()) {
        (_, []) => None,
        ([Cell::Unset], _) => Some(format!("{name} not set")),
        (_, [Cell::Unset]) => Some(format!("{name} set")),
        (within, [one]) if within.len() > 2 && *one != Cell::Unset => {
            Some(format!("{name} not {}", cell(*one)))
        }
        (within, _) => {
            let words: Vec<String> = within.iter().map(|one| cell(*one)).collect();
            Some(format!("{name}={}", words.join("|")))
        }
    }
}

/// A product in a line.
pub(super) fn product(table: &ObjectTable, cube: &[u32]) -> String {
    let (masks, pairs) = cube.split_at(table.axes.len());
    let axes = table.axes.iter().zip(masks);
    let mut said: Vec<String> = axes.filter_map(|(axis, mask)| values(axis, *mask)).collect();
    for ((one, other), mask) in table.pairs.iter().zip(pairs) {
        let (one, other) = (table.axes[*one].name, table.axes[*other].name);
        match mask {
            0b10 => said.push(format!("{one} and {other} the same")),
            0b01 => said.push(format!("{one} and {other} different")),
            _ => {}
        }
    }
    if said.is_empty() { "always".to_owned() } else { said.join(", ") }
}

/// What a profile says, in lines.
pub(super) fn reply(reply: &Reply) -> Vec<String> {
    match reply {
        Reply::Accepted => vec!["accepted".to_owned()],
        Reply::Refused(error) => vec![error.to_string()],
        Reply::Dies { words, survivor } => {
            let dies = format!("QEMU dies: {words}");
            let survivor = survivor.iter().map(|error| format!("one that survives: {error}"));
            std::iter::once(dies).chain(survivor).collect()
        }
        Reply::Freezes { survivor } => {
            let freezes = "QEMU freezes: QMP is never answered again".to_owned();
            let survivor = survivor.iter().map(|error| format!("one that goes on: {error}"));
            std::iter::once(freezes).chain(survivor).collect()
        }
    }
}

/// An outcome, for each profile where there are several.
pub(super) fn outcome(survey: &Survey, outcome: usize) -> Vec<String> {
    let replies = &survey.outcomes[outcome];
    let [one] = replies.as_slice() else {
        let names: Vec<String> = survey.profiles.iter().map(ToString::to_string).collect();
        let width = names.iter().map(String::len).max().unwrap_or_default();
        let pairs = names.iter().zip(replies);
        return pairs
            .flat_map(|(name, one)| {
                let names = std::iter::once(name.as_str()).chain(std::iter::repeat(""));
                let lines = names.zip(reply(one));
                lines.map(|(name, line)| format!("{name:width$}  {line}")).collect::<Vec<_>>()
            })
            .collect();
    };
    reply(one)
}

/// What a table is called.
pub(super) fn title(survey: &Survey) -> String {
    format!("{}: {}", survey.table.qom_type, survey.table.title)
}

/// How many combinations there are, and what becomes of them.
pub(super) fn count(survey: &Survey, summary: &Summary) -> String {
    let (all, plain) = (survey.rows.len(), summary.plain);
    let word = if survey.profiles.len() == 1 { "accepted" } else { "the same" };
    format!("{} combinations, {} {word}", grouped(all), grouped(plain))
}

/// The axes that never matter.
pub(super) fn indifferent(survey: &Survey, summary: &Summary) -> Option<String> {
    let free: Vec<&str> = survey
        .table
        .axes
        .iter()
        .zip(&summary.indifferent)
        .filter(|(_, free)| **free)
        .map(|(axis, _)| axis.name)
        .collect();
    (!free.is_empty()).then(|| free.join(", "))
}

/// The names of the world that a table uses.
pub(super) fn world(survey: &Survey) -> Vec<String> {
    let table = &survey.table;
    let varied = table.axes.iter().flat_map(|axis| axis.values);
    let used: Vec<&str> = varied
        .chain(table.fixed.iter().map(|(_, cell)| cell))
        .filter_map(|cell| match cell {
            Cell::Text(text) => Some(text.strip_prefix("id=").unwrap_or(text)),
            _ => None,
        })
        .collect();
    WORLD
        .iter()
        .filter_map(|(names, what)| {
            let known: Vec<&str> = names.split(' ').filter(|name| used.contains(name)).collect();
            (!known.is_empty()).then(|| format!("{}: {what}", known.join(" ")))
        })
        .collect()
}

/// A number with its thousands apart.
pub(super) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
