use std::fmt::Write;

use anstyle::{AnsiColor, Style};

use super::mismatch::{Difference, FieldDifference, Mismatch, Seat, Trace, What};

/// Most differences that are drawn; all of them are kept.
const DRAWN: usize = 20;

/// Most characters of a value that are drawn.
const VALUE: usize = 64;

/// Characters before the first that differs, where a value is longer than what is drawn.
const BEFORE: usize = 24;

/// Most frames that are named as passed by another.
const PASSED: usize = 8;

const EXPECTED: Style = AnsiColor::Red.on_default();
const ACTUAL: Style = AnsiColor::Green.on_default();
const NAME: Style = Style::new().bold();

/// A mismatch in lines for people, without the case's own line; ends with a newline.
#[must_use]
pub fn render(mismatch: &Mismatch) -> String {
    anstream::adapter::strip_str(&render_styled(mismatch)).to_string()
}

/// As [`render`], with ANSI styles: what was expected in red, what came in green.
#[must_use]
pub fn render_styled(mismatch: &Mismatch) -> String {
    let differences = &mismatch.differences;
    let several = differences
        .iter()
        .any(|other| other.step != differences[0].step);
    let widest = differences
        .iter()
        .filter_map(|difference| difference.port.as_ref());
    let width = widest.map(|port| port.chars().count()).max().unwrap_or(0);
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
        line(
            &mut out,
            format_args!("  and {} more differences", differences.len() - DRAWN),
        );
    }
    out
}

/// Writing into a String can't fail.
fn line(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(arguments);
    debug_assert!(written.is_ok(), "a String takes everything");
    out.push('\n');
}

fn painted(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

fn draw(out: &mut String, mismatch: &Mismatch, difference: &Difference, width: usize) {
    let subject = match difference.port.as_deref() {
        None => "  ".to_owned(),
        Some(port) => format!("  {}   ", painted(NAME, &format!("{port:<width$}"))),
    };
    let (headline, cause) = headline(mismatch, difference);
    line(out, format_args!("{subject}{headline}"));
    match &difference.what {
        What::Frame { fields, trace, .. } => {
            draw_fields(out, fields);
            if let Some(trace) = trace {
                draw_trace(out, trace);
            }
        }
        What::Sent { fields, .. } => draw_fields(out, fields),
        What::Value {
            expected, actual, ..
        } => *out += &side_by_side([&mismatch.expected, &mismatch.actual], expected, actual),
        What::Extra {
            again: Some(again), ..
        } => line(
            out,
            format_args!(
                "    the same bytes as frame {} of step {}",
                again.frame, again.step
            ),
        ),
        What::Moved { passed, frame, .. } => draw_passed(out, passed, *frame),
        What::Length {
            expected,
            actual,
            bytes: (start, end),
            ..
        } => {
            let (expected, actual) = (expected.to_string(), actual.to_string());
            line(
                out,
                format_args!(
                    "    length   {} -> {}     bytes {start}..{end} of what came here",
                    painted(EXPECTED, &expected),
                    painted(ACTUAL, &actual)
                ),
            );
            line(
                out,
                format_args!(
                    "    the frame behind it is as expected; what follows is read with {expected}"
                ),
            );
        }
        _ => {}
    }
    if let Some(cause) = cause {
        line(out, format_args!("    {cause}"));
    }
}

/// A difference in a line: the port, and what is said of its frame.
pub(super) fn title(mismatch: &Mismatch, difference: &Difference) -> String {
    let port = difference.port.as_deref().unwrap_or_default();
    let step = difference.step;
    let (headline, _) = headline(mismatch, difference);
    format!("step {step}, {}   {headline}", painted(NAME, port))
}

/// What stands beside the port, and what is said in a line of its own at the end.
fn headline<'d>(mismatch: &Mismatch, difference: &'d Difference) -> (String, Option<&'d String>) {
    match &difference.what {
        What::Frame {
            frame,
            of,
            sent,
            cause,
            ..
        } => (
            format!("frame {frame} of {of}{}", number(*sent)),
            cause.as_ref(),
        ),
        What::Missing {
            frame,
            of,
            sent,
            summary,
            fate,
        } => (
            format!(
                "frame {frame} of {of}{} is missing: {summary}",
                number(*sent)
            ),
            fate.as_ref(),
        ),
        What::Extra {
            frame,
            of,
            sent,
            summary,
            cause,
            ..
        } => (
            format!(
                "frame {frame} of {of}{} was not expected: {summary}",
                number(*sent)
            ),
            cause.as_ref(),
        ),
        What::Moved {
            frame,
            of,
            sent,
            came,
            summary,
            cause,
            ..
        } => (
            format!(
                "frame {frame} of {of}{} came as frame {came}: {summary}",
                number(*sent)
            ),
            cause.as_ref(),
        ),
        What::OtherStep {
            frame,
            of,
            sent,
            came,
            summary,
            cause,
        } => (
            format!(
                "frame {frame} of {of}{} came {}, in {}: {summary}",
                number(*sent),
                if came.step > difference.step {
                    "late"
                } else {
                    "early"
                },
                seat(*came)
            ),
            cause.as_ref(),
        ),
        What::OtherPort {
            frame,
            of,
            sent,
            port,
            came,
            summary,
            cause,
        } => (
            format!(
                "frame {frame} of {of}{} came out of {} instead, as frame {came} there: {summary}",
                number(*sent),
                painted(NAME, port)
            ),
            cause.as_ref(),
        ),
        What::Length {
            frame, of, sent, ..
        } => (
            format!(
                "frame {frame} of {of}{} has a wrong length word",
                number(*sent)
            ),
            None,
        ),
        What::Sent { number, .. } => (format!("#{number} was sent differently"), None),
        What::Value { name, .. } => (painted(NAME, name), None),
        What::StepGone => (format!("the step is only in: {}", mismatch.expected), None),
        What::StepNew => (format!("the step is only in: {}", mismatch.actual), None),
        What::Unreadable { reason } => (format!("the snapshot can't be used: {reason}"), None),
    }
}

/// ` (#3)`.
fn number(sent: Option<u32>) -> String {
    sent.map_or_else(String::new, |number| format!(" (#{number})"))
}

/// `step 2 (line 14), as frame 1`.
fn seat(seat: Seat) -> String {
    let Seat { step, line, frame } = seat;
    match line {
        0 => format!("step {step}, as frame {frame}"),
        line => format!("step {step} (line {line}), as frame {frame}"),
    }
}

/// Which frames came on the other side of one at the place `frame`.
fn draw_passed(out: &mut String, passed: &[usize], frame: usize) {
    let (later, earlier): (Vec<usize>, Vec<usize>) =
        passed.iter().partition(|other| **other > frame);
    for (how, which) in [("it was overtaken by", later), ("it overtook", earlier)] {
        let numbers: Vec<_> = which.iter().map(ToString::to_string).collect();
        let which = match numbers.len() {
            0 => continue,
            1 => format!("frame {}", numbers[0]),
            many if many > PASSED => format!("{many} frames"),
            _ => format!("frames {}", numbers.join(" ")),
        };
        line(out, format_args!("    {how} {which}"));
    }
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
    line(
        &mut out,
        format_args!("    {left:<width$}   {}", painted(EXPECTED, &shown)),
    );
    line(
        &mut out,
        format_args!("    {right:<width$}   {}", painted(ACTUAL, &other)),
    );
    if same > 0 {
        let column = 4 + width + 3 + at;
        line(
            &mut out,
            format_args!("{:column$}^ differs from character {} on", "", same + 1),
        );
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
    let values: Vec<_> = fields
        .iter()
        .map(|field| [shortened(&field.expected), shortened(&field.actual)])
        .collect();
    let widest = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or(0);
    let name_width = widest(&mut fields.iter().map(|field| field.name.chars().count()));
    let length = |[expected, actual]: &[String; 2]| {
        expected.chars().count() + " -> ".len() + actual.chars().count()
    };
    let change_width = widest(&mut values.iter().map(length));
    for (field, both) in fields.iter().zip(&values) {
        let [expected, actual] = both;
        let change = format!(
            "{} -> {}",
            painted(EXPECTED, expected),
            painted(ACTUAL, actual)
        );
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

fn draw_trace(out: &mut String, trace: &Trace) {
    let Trace {
        last_right,
        step,
        changed_in,
    } = trace;
    match changed_in {
        Some(place) => line(
            out,
            format_args!("    last right at {last_right} in step {step}, changed in {place}"),
        ),
        None => line(
            out,
            format_args!("    last right at {last_right} in step {step}"),
        ),
    }
}

fn shortened(value: &str) -> String {
    if value.chars().count() <= VALUE {
        return value.to_owned();
    }
    value.chars().take(VALUE - 1).chain(['…']).collect()
}
