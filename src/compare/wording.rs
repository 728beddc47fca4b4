//! What is said of a difference: the one place that words it. Read by whoever shows one, on a terminal, a page
//! or in a file.

use super::mismatch::{Difference, Mismatch, Seat, Trace, What};
use crate::wording::{Role, Text};

/// Most frames that are named as passed by another.
const PASSED: usize = 8;

/// What is said of a difference beside its port and its fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wording {
    /// `frame 3 of 7 (#2)`; empty where it is about no frame.
    pub frame: String,
    /// `came late, in step 2 (line 14), as frame 1`; empty where its fields say what is wrong.
    pub verdict: Text,
    /// The frame in a line; empty where there is none to be named.
    pub summary: String,
    /// What else is known of it, a line each.
    pub notes: Vec<Text>,
    /// Whether the last note is what the difference itself says of the frame's way.
    has_cause: bool,
}

impl Wording {
    /// Of a difference.
    #[must_use]
    pub fn of(mismatch: &Mismatch, difference: &Difference) -> Self {
        let what = &difference.what;
        let (summary, cause) = known(what);
        let mut notes = notes(what);
        notes.extend(cause.map(Text::from));
        Self {
            has_cause: cause.is_some(),
            frame: frame(what),
            verdict: verdict(mismatch, difference),
            summary: summary.unwrap_or_default().to_owned(),
            notes,
        }
    }

    /// With the ways of the frames that it is about, a line each, in the place of what the difference
    /// itself says of them.
    #[must_use]
    pub fn with_ways(mut self, ways: Vec<String>) -> Self {
        if !ways.is_empty() && std::mem::take(&mut self.has_cause) {
            self.notes.pop();
        }
        self.notes.extend(ways.into_iter().map(Text::from));
        self
    }

    /// What stands beside the port.
    pub(super) fn headline(&self) -> Text {
        let mut headline = Text::from(self.frame.as_str());
        if !self.frame.is_empty() && !self.verdict.plain().is_empty() {
            headline.push(' ');
        }
        headline.append(&self.verdict);
        if !self.summary.is_empty() {
            headline.push(format_args!(": {}", self.summary));
        }
        headline
    }
}

/// `frame 3 of 7 (#2)`.
fn frame(what: &What) -> String {
    match what {
        What::Frame { frame, of, sent, .. }
        | What::Missing { frame, of, sent, .. }
        | What::Extra { frame, of, sent, .. }
        | What::Moved { frame, of, sent, .. }
        | What::OtherStep { frame, of, sent, .. }
        | What::OtherPort { frame, of, sent, .. }
        | What::Length { frame, of, sent, .. } => {
            let number = sent.map_or_else(String::new, |number| format!(" (#{number})"));
            // How many packets a capture has is not known until its end.
            let of = if *of == 0 { String::new() } else { format!(" of {of}") };
            format!("frame {frame}{of}{number}")
        }
        What::Sent { number, .. } => format!("#{number}"),
        What::Value { .. }
        | What::Explained { .. }
        | What::StepGone
        | What::StepNew
        | What::Unreadable { .. } => String::new(),
    }
}

fn verdict(mismatch: &Mismatch, difference: &Difference) -> Text {
    let mut text = Text::default();
    match &difference.what {
        What::Frame { .. } => {}
        What::Missing { .. } => text.push("is missing"),
        What::Extra { .. } => text.push("was not expected"),
        What::Moved { came, .. } => text.push(format_args!("came as frame {came}")),
        What::OtherStep { came, .. } => {
            let when = match came.step > difference.step {
                true => "late",
                false => "early",
            };
            text.push(format_args!("came {when}, in {}", seat(*came)));
        }
        What::OtherPort { port, came, .. } => {
            text.push("came out of ");
            text.push_as(Role::Name, port);
            text.push(format_args!(" instead, as frame {came} there"));
        }
        What::Length { .. } => text.push("has a wrong length word"),
        What::Sent { .. } => text.push("was sent differently"),
        What::Value { name, .. } => text.push_as(Role::Name, name),
        What::Explained { .. } => {
            text.push(format_args!("explained differs: {}", difference.title));
        }
        What::StepGone => text.push(format_args!("the step is only in: {}", mismatch.expected)),
        What::StepNew => text.push(format_args!("the step is only in: {}", mismatch.actual)),
        What::Unreadable { reason } => {
            text.push(format_args!("the snapshot can't be used: {reason}"));
        }
    }
    text
}

/// The frame in a line, and how it came to where it is.
fn known(what: &What) -> (Option<&str>, Option<&str>) {
    match what {
        What::Frame { cause, .. } => (None, cause.as_deref()),
        What::Missing { summary, fate, .. } => (Some(summary), fate.as_deref()),
        What::Extra { summary, cause, .. }
        | What::Moved { summary, cause, .. }
        | What::OtherStep { summary, cause, .. }
        | What::OtherPort { summary, cause, .. } => (Some(summary), cause.as_deref()),
        _ => (None, None),
    }
}

fn notes(what: &What) -> Vec<Text> {
    match what {
        What::Frame { trace: Some(trace), .. } => vec![since(trace).into()],
        What::Extra { again: Some(Seat { step, frame, .. }), .. } => {
            vec![format!("the same bytes as frame {frame} of step {step}").into()]
        }
        What::Moved { passed, frame, .. } => {
            passing(passed, *frame).into_iter().map(Text::from).collect()
        }
        What::Length { expected, actual, bytes: (start, end), .. } => {
            let mut word = Text::from("length   ");
            word.push_as(Role::Expected, expected);
            word.push(" -> ");
            word.push_as(Role::Actual, actual);
            word.push(format_args!("     bytes {start}..{end} of what came here"));
            let next =
                format!("the frame behind it is as expected; what follows is read with {expected}");
            vec![word, next.into()]
        }
        What::Explained { gone, new } => {
            let gone = gone.iter().map(|text| (Role::Expected, format!("- {text}")));
            let new = new.iter().map(|text| (Role::Actual, format!("+ {text}")));
            let lines = gone.chain(new).map(|(role, line)| {
                let mut text = Text::default();
                text.push_as(role, line);
                text
            });
            lines.collect()
        }
        _ => Vec::new(),
    }
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
fn passing(passed: &[usize], frame: usize) -> Vec<String> {
    let (later, earlier): (Vec<usize>, Vec<usize>) =
        passed.iter().partition(|other| **other > frame);
    let mut notes = Vec::new();
    for (how, which) in [("it was overtaken by", later), ("it overtook", earlier)] {
        let numbers: Vec<_> = which.iter().map(ToString::to_string).collect();
        let which = match numbers.len() {
            0 => continue,
            1 => format!("frame {}", numbers[0]),
            many if many > PASSED => format!("{many} frames"),
            _ => format!("frames {}", numbers.join(" ")),
        };
        notes.push(format!("{how} {which}"));
    }
    notes
}

/// Since when a frame is wrong.
fn since(trace: &Trace) -> String {
    let Trace { last_right, step, changed_in } = trace;
    let changed = changed_in.as_ref();
    let changed = changed.map_or_else(String::new, |place| format!(", changed in {place}"));
    format!("last right at {last_right} in step {step}{changed}")
}
