//! A mismatch in lines for people. Read by the terminal's reports and the review.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};

use super::{
    mismatch::{Difference, FieldDifference, Mismatch, What},
    wording::Said,
};
use crate::format::token::COLUMN;

/// Most differences that are drawn; all of them are kept.
const DRAWN: usize = 20;

/// Most characters of a value that are drawn.
const VALUE: usize = 64;

/// Characters before the first that differs, where a value is longer than what is drawn.
const BEFORE: usize = 24;

pub(super) const EXPECTED: Style = AnsiColor::Red.on_default();
pub(super) const ACTUAL: Style = AnsiColor::Green.on_default();
pub(super) const NAME: Style = Style::new().bold();

/// A mismatch in lines for people, without the case's own line; ends with a newline.
#[must_use]
pub fn render(mismatch: &Mismatch) -> String {
    anstream::adapter::strip_str(&render_styled(mismatch)).to_string()
}

/// As [`render`], with ANSI styles: what was expected in red, what came in green.
#[must_use]
pub fn render_styled(mismatch: &Mismatch) -> String {
    let differences = &mismatch.differences;
    let several = differences.iter().any(|other| other.step != differences[0].step);
    let widest = differences.iter().filter_map(|difference| difference.port.as_ref());
    let width = widest.map(|port| port.chars().count()).max().unwrap_or(0).min(COLUMN);
    let mut out = String::new();
    let mut heading = None;
    for difference in differences.iter().take(DRAWN) {
        if several && heading != Some(difference.step) {
            heading = Some(difference.step);
            let Difference { step, title, .. } = difference;
            let line = match difference.line {
                0 => String::new(),
                line => format!(", line {line}"),
            };
            self::line(&mut out, format_args!("  step {step}{line}: {title}"));
        }
        draw(&mut out, mismatch, difference, width);
    }
    if differences.len() > DRAWN {
        line(&mut out, format_args!("  and {} more differences", differences.len() - DRAWN));
    }
    out
}

/// Writing into a String can't fail.
fn line(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(arguments);
    debug_assert!(written.is_ok(), "a String takes everything");
    out.push('\n');
}

pub(super) fn painted(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

fn draw(out: &mut String, mismatch: &Mismatch, difference: &Difference, width: usize) {
    let subject = match difference.port.as_deref() {
        None => "  ".to_owned(),
        Some(port) => format!("  {}   ", painted(NAME, &format!("{port:<width$}"))),
    };
    let said = Said::of(mismatch, difference);
    line(out, format_args!("{subject}{}", said.headline()));
    match &difference.what {
        What::Frame { fields, .. } | What::Sent { fields, .. } => draw_fields(out, fields),
        What::Value { expected, actual, .. } => {
            *out += &side_by_side([&mismatch.expected, &mismatch.actual], expected, actual)
        }
        _ => {}
    }
    for note in said.notes {
        line(out, format_args!("    {note}"));
    }
}

/// A difference in a line: the port, and what is said of its frame.
pub(super) fn title(mismatch: &Mismatch, difference: &Difference) -> String {
    let port = difference.port.as_deref().unwrap_or_default();
    let step = difference.step;
    let headline = Said::of(mismatch, difference).headline();
    format!("step {step}, {}   {headline}", painted(NAME, port))
}

/// Two texts below each other, each behind its name, and a mark where they begin to differ; with
/// ANSI styles.
#[must_use]
pub fn side_by_side(names: [&str; 2], expected: &str, actual: &str) -> String {
    let [left, right] = names;
    let mut out = String::new();
    let width = left.len().max(right.len());
    let same = common(expected, actual);
    let (shown, at) = window(expected, same);
    let (other, _) = window(actual, same);
    line(&mut out, format_args!("    {left:<width$}   {}", painted(EXPECTED, &shown)));
    line(&mut out, format_args!("    {right:<width$}   {}", painted(ACTUAL, &other)));
    if same > 0 {
        let column = 4 + width + 3 + at;
        line(&mut out, format_args!("{:column$}^ differs from character {} on", "", same + 1));
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

fn draw_fields(out: &mut String, fields: &[FieldDifference]) {
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
        let change = format!("{} -> {}", painted(EXPECTED, expected), painted(ACTUAL, actual));
        let name = painted(NAME, &format!("{:<name_width$}", field.name));
        let remark = field.remark.as_ref();
        let remark = remark.map_or_else(String::new, |remark| format!("   {remark}"));
        match field.bytes {
            Some((start, end)) => {
                let pad = change_width - length(both);
                line(
                    out,
                    format_args!(
                        "    {name}   {change}{:pad$}     bytes {start}..{end}{remark}",
                        ""
                    ),
                );
            }
            None => line(out, format_args!("    {name}   {change}{remark}")),
        }
    }
}

fn shortened(value: &str) -> String {
    if value.chars().count() <= VALUE {
        return value.to_owned();
    }
    value.chars().take(VALUE - 1).chain(['…']).collect()
}
