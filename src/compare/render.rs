//! A mismatch laid out in lines for people. Read by the terminal's reports, bundles and the review.

use super::{
    mismatch::{Difference, FieldDifference, Mismatch, What},
    wording::Wording,
};
use crate::{
    format::token::COLUMN,
    wording::{Role, Text},
};

/// Most differences that are drawn; all of them are kept.
const DRAWN: usize = 20;

/// Most characters of a value that are drawn.
const VALUE: usize = 64;

/// Characters before the first that differs, where a value is longer than what is drawn.
const BEFORE: usize = 24;

/// A mismatch in lines for people, without the case's own line; ends with a newline.
#[must_use]
pub fn render(mismatch: &Mismatch) -> Text {
    render_explained(mismatch, &|_| Vec::new())
}

/// As [`render`], with what else is known of each difference, by its place among them. Where something is,
/// it stands for what the difference itself says of the frame's way.
#[must_use]
pub fn render_explained(mismatch: &Mismatch, known: &dyn Fn(usize) -> Vec<String>) -> Text {
    let differences = &mismatch.differences;
    let several = differences.iter().any(|other| other.step != differences[0].step);
    let widest = differences.iter().filter_map(|difference| difference.port.as_ref());
    let width = widest.map(|port| port.chars().count()).max().unwrap_or(0).min(COLUMN);
    let mut out = Text::default();
    let mut heading = None;
    for (at, difference) in differences.iter().enumerate().take(DRAWN) {
        if several && heading != Some(difference.step) {
            heading = Some(difference.step);
            let Difference { step, title, .. } = difference;
            let line = match difference.line {
                0 => String::new(),
                line => format!(", line {line}"),
            };
            out.push(format_args!("  step {step}{line}: {title}\n"));
        }
        let wording = Wording::of(mismatch, difference).with_ways(known(at));
        draw(&mut out, mismatch, (difference, &wording), width);
    }
    if differences.len() > DRAWN {
        out.push(format_args!("  and {} more differences\n", differences.len() - DRAWN));
    }
    out
}

fn draw(
    out: &mut Text,
    mismatch: &Mismatch,
    (difference, wording): (&Difference, &Wording),
    width: usize,
) {
    out.push("  ");
    if let Some(port) = difference.port.as_deref() {
        out.push_as(Role::Name, format_args!("{port:<width$}"));
        out.push("   ");
    }
    out.append(&wording.headline());
    out.push('\n');
    match &difference.what {
        What::Frame { fields, .. } | What::Sent { fields, .. } => draw_fields(out, fields),
        What::Value { expected, actual, .. } => {
            out.append(&side_by_side([&mismatch.expected, &mismatch.actual], expected, actual));
        }
        _ => {}
    }
    for note in &wording.notes {
        out.push("    ");
        out.append(note);
        out.push('\n');
    }
}

/// A difference in a line: the port, and what is said of its frame.
pub(super) fn title(mismatch: &Mismatch, difference: &Difference) -> Text {
    let mut title = Text::from(format!("step {}, ", difference.step));
    title.push_as(Role::Name, difference.port.as_deref().unwrap_or_default());
    title.push("   ");
    title.append(&Wording::of(mismatch, difference).headline());
    title
}

/// Two texts below each other, each behind its name, and a mark where they begin to differ.
#[must_use]
pub fn side_by_side(names: [&str; 2], expected: &str, actual: &str) -> Text {
    let [left, right] = names;
    let mut out = Text::default();
    let width = left.len().max(right.len());
    let same = common(expected, actual);
    let (shown, at) = window(expected, same);
    let (other, _) = window(actual, same);
    for (name, role, text) in [(left, Role::Expected, shown), (right, Role::Actual, other)] {
        out.push(format_args!("    {name:<width$}   "));
        out.push_as(role, text);
        out.push('\n');
    }
    if same > 0 {
        let column = 4 + width + 3 + at;
        out.push(format_args!("{:column$}^ differs from character {} on\n", "", same + 1));
    }
    out
}

/// Characters that both begin with.
fn common(expected: &str, actual: &str) -> usize {
    let pairs = expected.chars().zip(actual.chars());
    pairs.take_while(|(a, b)| a == b).count()
}

/// What is drawn of a text of which the character `at` matters, and where in it that one stands.
fn window(text: &str, at: usize) -> (String, usize) {
    if at < VALUE - 1 {
        return (shortened(text), at);
    }
    let rest: String = text.chars().skip(at - BEFORE).collect();
    (format!("…{}", shortened(&rest)), BEFORE + 1)
}

fn draw_fields(out: &mut Text, fields: &[FieldDifference]) {
    let values: Vec<_> =
        fields.iter().map(|field| [shortened(&field.expected), shortened(&field.actual)]).collect();
    let widest = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or(0);
    let name_width = widest(&mut fields.iter().map(|field| field.name.chars().count()));
    let length = |[expected, actual]: &[String; 2]| {
        expected.chars().count() + " -> ".len() + actual.chars().count()
    };
    let change_width = widest(&mut values.iter().map(length));
    for (field, both) in fields.iter().zip(&values) {
        let [expected, actual] = both;
        out.push("    ");
        out.push_as(Role::Name, format_args!("{:<name_width$}", field.name));
        out.push("   ");
        out.push_as(Role::Expected, expected);
        out.push(" -> ");
        out.push_as(Role::Actual, actual);
        if let Some((start, end)) = field.bytes {
            let pad = change_width - length(both);
            out.push(format_args!("{:pad$}     bytes {start}..{end}", ""));
        }
        if let Some(remark) = &field.remark {
            out.push(format_args!("   {remark}"));
        }
        out.push('\n');
    }
}

fn shortened(value: &str) -> String {
    if value.chars().count() <= VALUE {
        return value.to_owned();
    }
    value.chars().take(VALUE - 1).chain(['…']).collect()
}
