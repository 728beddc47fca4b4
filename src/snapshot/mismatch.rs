use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::course::hex;

/// Most differences that are drawn; all of them are kept.
const DRAWN: usize = 20;

/// Most characters of a value that are drawn.
const VALUE: usize = 64;

/// Where two records differ. It names the scenario's step and line, the port, the frame, the field
/// and its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Mismatch {
    /// What the expected side is: `snapshot`, or a backend.
    pub expected: String,
    /// What the actual side is: a backend.
    pub actual: String,
    /// In the order of steps, then of ports. Never empty.
    pub differences: Vec<Difference>,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Difference {
    /// The step, 0 for the set-up.
    pub step: usize,
    /// The step's title.
    pub title: String,
    /// The step's line in the scenario; 0 where the scenario has no such step.
    pub line: usize,
    /// The port, where it is about one.
    pub port: Option<String>,
    /// What differs.
    pub what: What,
}

/// What differs. Frames count from 1 at their port in their step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum What {
    /// A frame is not as expected.
    Frame {
        /// Its place.
        frame: usize,
        /// How many were expected.
        of: usize,
        /// What differs in it; never empty.
        fields: Vec<FieldDifference>,
        /// Where it went wrong, when the machine knows.
        trace: Option<Trace>,
        /// Its place among those that came.
        #[serde(default)]
        came: usize,
        /// Both frames.
        #[serde(default, skip_serializing_if = "Sides::is_empty")]
        sides: Sides,
    },
    /// A frame did not come.
    Missing {
        /// Its place.
        frame: usize,
        /// How many were expected.
        of: usize,
        /// The frame in a line.
        summary: String,
        /// What became of it, when the machine knows.
        fate: Option<String>,
        /// The frame.
        #[serde(default, skip_serializing_if = "Sides::is_empty")]
        sides: Sides,
    },
    /// A frame came that was not expected.
    Extra {
        /// Its place among those that came.
        frame: usize,
        /// How many came.
        of: usize,
        /// The frame in a line.
        summary: String,
        /// The frame.
        #[serde(default, skip_serializing_if = "Sides::is_empty")]
        sides: Sides,
    },
    /// A frame came in another place.
    Moved {
        /// Its place.
        frame: usize,
        /// How many were expected.
        of: usize,
        /// Its place among those that came.
        came: usize,
        /// The frame in a line.
        summary: String,
    },
    /// A frame was sent differently: the scenario changed.
    Sent {
        /// `#n`.
        number: u32,
        /// What differs in it; never empty.
        fields: Vec<FieldDifference>,
        /// Both frames.
        #[serde(default, skip_serializing_if = "Sides::is_empty")]
        sides: Sides,
    },
    /// Something else is not as expected.
    Value {
        /// What: a command, `crash`, `bytes`, `eof`, `sent frames`, `written`.
        name: String,
        /// As expected.
        expected: String,
        /// As it is.
        actual: String,
    },
    /// What could be observed is as expected, what explains it is not.
    Explained {
        /// Lines that only the expected side has.
        gone: Vec<String>,
        /// Lines that only the actual side has.
        new: Vec<String>,
    },
    /// The step is only on the expected side.
    StepGone,
    /// The step is only on the actual side.
    StepNew,
    /// The expected section can't be read.
    Unreadable {
        /// Why.
        reason: String,
    },
}

/// Two frames that are held against each other, in hexadecimal. Of many differences only the first
/// have them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Sides {
    /// As expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// As it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual: Option<String>,
}

impl Sides {
    /// Of the bytes of both.
    #[must_use]
    pub fn of(expected: Option<&[u8]>, actual: Option<&[u8]>) -> Self {
        Self {
            expected: expected.map(hex),
            actual: actual.map(hex),
        }
    }

    /// Whether there is neither.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.expected.is_none() && self.actual.is_none()
    }
}

/// A field of a frame that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FieldDifference {
    /// `tcp.ack`.
    pub name: String,
    /// As expected.
    pub expected: String,
    /// As it is.
    pub actual: String,
    /// First byte and one past the last, in the frame as it is; none for what stands beside it.
    pub bytes: Option<(usize, usize)>,
}

/// Where a frame was last as expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Trace {
    /// The last place that passed it on unchanged: an object, or the port where it was sent.
    pub last_right: String,
    /// The step of that.
    pub step: usize,
    /// The place that changed it, when it is known.
    pub changed_in: Option<String>,
}

/// A mismatch in lines for people, without the case's own line; ends with a newline.
#[must_use]
pub fn render(mismatch: &Mismatch) -> String {
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
            line(
                &mut out,
                format_args!("  step {}: {}", difference.step, difference.title),
            );
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

fn draw(out: &mut String, mismatch: &Mismatch, difference: &Difference, width: usize) {
    let port = difference.port.as_deref().unwrap_or_default();
    let subject = if port.is_empty() {
        String::new()
    } else {
        format!("{port:<width$}   ")
    };
    match &difference.what {
        What::Frame {
            frame,
            of,
            fields,
            trace,
            ..
        } => {
            line(out, format_args!("  {subject}frame {frame} of {of}"));
            draw_fields(out, fields);
            if let Some(trace) = trace {
                draw_trace(out, trace);
            }
        }
        What::Missing {
            frame,
            of,
            summary,
            fate,
            ..
        } => {
            line(
                out,
                format_args!("  {subject}frame {frame} of {of} is missing: {summary}"),
            );
            if let Some(fate) = fate {
                line(out, format_args!("    {fate}"));
            }
        }
        What::Extra {
            frame, of, summary, ..
        } => {
            line(
                out,
                format_args!("  {subject}frame {frame} of {of} was not expected: {summary}"),
            );
        }
        What::Moved {
            frame,
            of,
            came,
            summary,
        } => {
            line(
                out,
                format_args!("  {subject}frame {frame} of {of} came as frame {came}: {summary}"),
            );
        }
        What::Sent { number, fields, .. } => {
            line(
                out,
                format_args!("  {subject}#{number} was sent differently"),
            );
            draw_fields(out, fields);
        }
        What::Value {
            name,
            expected,
            actual,
        } => {
            line(out, format_args!("  {subject}{name}"));
            let (left, right) = (&mismatch.expected, &mismatch.actual);
            let width = left.len().max(right.len());
            line(
                out,
                format_args!("    {left:<width$}   {}", shortened(expected)),
            );
            line(
                out,
                format_args!("    {right:<width$}   {}", shortened(actual)),
            );
        }
        What::Explained { gone, new } => {
            let step = &difference.title;
            line(out, format_args!("  explained differs: {step}"));
            for text in gone {
                line(out, format_args!("    - {text}"));
            }
            for text in new {
                line(out, format_args!("    + {text}"));
            }
        }
        What::StepGone => {
            line(
                out,
                format_args!("  {subject}the step is only in: {}", mismatch.expected),
            );
        }
        What::StepNew => {
            line(
                out,
                format_args!("  {subject}the step is only in: {}", mismatch.actual),
            );
        }
        What::Unreadable { reason } => {
            line(
                out,
                format_args!("  {subject}the snapshot can't be used: {reason}"),
            );
        }
    }
}

fn draw_fields(out: &mut String, fields: &[FieldDifference]) {
    let changes: Vec<_> = fields
        .iter()
        .map(|field| {
            format!(
                "{} -> {}",
                shortened(&field.expected),
                shortened(&field.actual)
            )
        })
        .collect();
    let name_width = fields
        .iter()
        .map(|field| field.name.chars().count())
        .max()
        .unwrap_or(0);
    let change_width = changes
        .iter()
        .map(|change| change.chars().count())
        .max()
        .unwrap_or(0);
    for (field, change) in fields.iter().zip(&changes) {
        let name = &field.name;
        match field.bytes {
            Some((start, end)) => line(
                out,
                format_args!(
                    "    {name:<name_width$}   {change:<change_width$}     bytes {start}..{end}"
                ),
            ),
            None => line(out, format_args!("    {name:<name_width$}   {change}")),
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
