//! A survey as JSON lines, for `conflicts --format json`.

use serde_json::{Map, Value, json};

use super::{Axis, Reply, Summary, Survey};

/// A survey for programs, an object a line: the table with its checks in order, then every
/// combination.
#[must_use]
pub fn json(survey: &Survey, summary: &Summary) -> String {
    let table = &survey.table;
    let fixed: Map<String, Value> =
        table.fixed.iter().map(|(name, cell)| ((*name).to_owned(), cell.value().into())).collect();
    let axes: Map<String, Value> =
        table.axes.iter().map(|axis| (axis.name.to_owned(), values(axis, u32::MAX))).collect();
    let checks: Vec<Value> = (1..)
        .zip(&summary.rules)
        .map(|(number, rule)| {
            let number: usize = number;
            let when: Vec<Value> = rule.when.iter().map(|cube| product(survey, cube)).collect();
            json!({
                "check": number,
                "when": when,
                "decides": rule.decides,
                "replies": replies(survey, rule.outcome),
            })
        })
        .collect();
    let head = json!({
        "type": "table",
        "object": table.qom_type,
        "title": table.title,
        "profiles": profiles(survey),
        "properties": axes,
        "fixed": fixed,
        "combinations": survey.rows.len(),
        "checks": checks,
    });
    let rows = survey.rows.iter().enumerate().map(|(row, outcome)| {
        let cells = table.axes.iter().zip(table.cells(row));
        let properties: Map<String, Value> =
            cells.map(|(axis, cell)| (axis.name.to_owned(), cell.value().into())).collect();
        let check = summary.decides(survey, row).map(|rule| rule + 1);
        json!({
            "type": "combination",
            "object": table.qom_type,
            "properties": properties,
            "check": check,
            "replies": replies(survey, *outcome),
        })
    });
    std::iter::once(head).chain(rows).map(|line| format!("{line}\n")).collect()
}

fn profiles(survey: &Survey) -> Vec<String> {
    survey.profiles.iter().map(ToString::to_string).collect()
}

fn values(axis: &Axis, mask: u32) -> Value {
    let within = axis.values.iter().enumerate();
    within
        .filter(|(place, _)| mask >> place & 1 == 1)
        .map(|(_, cell)| Value::from(cell.value()))
        .collect()
}

/// The axes that a product says something of, and the pairs that name the same, or do not.
fn product(survey: &Survey, cube: &[u32]) -> Value {
    let table = &survey.table;
    let (masks, pairs) = cube.split_at(table.axes.len());
    let mut said: Map<String, Value> = table
        .axes
        .iter()
        .zip(masks)
        .filter(|(axis, mask)| mask.count_ones() as usize != axis.values.len())
        .map(|(axis, mask)| (axis.name.to_owned(), values(axis, *mask)))
        .collect();
    for ((one, other), mask) in table.pairs.iter().zip(pairs) {
        let key = match mask {
            0b10 => "same",
            0b01 => "different",
            _ => continue,
        };
        let pair = json!([table.axes[*one].name, table.axes[*other].name]);
        let list = said.entry(key).or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut() {
            list.push(pair);
        }
    }
    Value::Object(said)
}

fn replies(survey: &Survey, outcome: usize) -> Value {
    let pairs = profiles(survey).into_iter().zip(&survey.outcomes[outcome]);
    let told: Map<String, Value> = pairs.map(|(profile, reply)| (profile, told(reply))).collect();
    Value::Object(told)
}

fn told(reply: &Reply) -> Value {
    match reply {
        Reply::Accepted => json!({ "outcome": "accepted" }),
        Reply::Refused(error) => {
            json!({ "outcome": "refused", "class": error.class, "desc": error.desc })
        }
        Reply::Dies { words, survivor } => json!({
            "outcome": "dies",
            "desc": words,
            "survivor": survivor
                .as_ref()
                .map(|error| json!({ "class": error.class, "desc": error.desc })),
        }),
        Reply::Freezes { survivor } => json!({
            "outcome": "freezes",
            "survivor": survivor
                .as_ref()
                .map(|error| json!({ "class": error.class, "desc": error.desc })),
        }),
    }
}
