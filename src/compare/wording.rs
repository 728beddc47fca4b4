//! What is said of a difference. Read by whoever shows one.

use super::{
    mismatch::{Difference, Mismatch, Seat, Trace, What},
    render::{ACTUAL, EXPECTED, NAME, painted},
};

/// Most frames that are named as passed by another.
const PASSED: usize = 8;

/// What is said of a difference beside its port and its fields, in plain text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// `frame 3 of 7 (#2)`; empty where it is about no frame.
    pub frame: String,
    /// `came late, in step 2 (line 14), as frame 1`; empty where its fields say what is wrong.
    pub verdict: String,
    /// The frame in a line.
    pub summary: String,
    /// What else is known of it, a line each.
    pub notes: Vec<String>,
}

/// What is said of a difference, without styles: as the terminal says it.
#[must_use]
pub fn told(mismatch: &Mismatch, difference: &Difference) -> Told {
    let plain = |text: &str| anstream::adapter::strip_str(text).to_string();
    let Said { frame, verdict, summary, notes } = Said::of(mismatch, difference);
    Told {
        frame,
        verdict: plain(&verdict),
        summary: summary.unwrap_or_default().to_owned(),
        notes: notes.iter().map(|note| plain(note)).collect(),
    }
}

/// The same with ANSI styles.
pub(super) struct Said<'d> {
    frame: String,
    verdict: String,
    summary: Option<&'d str>,
    pub(super) notes: Vec<String>,
}

impl<'d> Said<'d> {
    pub(super) fn of(mismatch: &Mismatch, difference: &'d Difference) -> Self {
        let what = &difference.what;
        let (summary, cause) = known(what);
        let mut notes = notes(what);
        notes.extend(cause.map(str::to_owned));
        Self { frame: frame(what), verdict: verdict(mismatch, difference), summary, notes }
    }

    /// What stands beside the port.
    pub(super) fn headline(&self) -> String {
        let gap = if self.frame.is_empty() || self.verdict.is_empty() { "" } else { " " };
        let summary = self.summary.map(|summary| format!(": {summary}"));
        let summary = summary.unwrap_or_default();
        format!("{}{gap}{}{summary}", self.frame, self.verdict)
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
            format!("frame {frame} of {of}{number}")
        }
        What::Sent { number, .. } => format!("#{number}"),
        What::Value { .. }
        | What::Explained { .. }
        | What::StepGone
        | What::StepNew
        | What::Unreadable { .. } => String::new(),
    }
}

fn verdict(mismatch: &Mismatch, difference: &Difference) -> String {
    match &difference.what {
        What::Frame { .. } => String::new(),
        What::Missing { .. } => "is missing".to_owned(),
        What::Extra { .. } => "was not expected".to_owned(),
        What::Moved { came, .. } => format!("came as frame {came}"),
        What::OtherStep { came, .. } => {
            let when = match came.step > difference.step {
                true => "late",
                false => "early",
            };
            format!("came {when}, in {}", seat(*came))
        }
        What::OtherPort { port, came, .. } => {
            format!("came out of {} instead, as frame {came} there", painted(NAME, port))
        }
        What::Length { .. } => "has a wrong length word".to_owned(),
        What::Sent { .. } => "was sent differently".to_owned(),
        What::Value { name, .. } => painted(NAME, name),
        What::Explained { .. } => format!("explained differs: {}", difference.title),
        What::StepGone => format!("the step is only in: {}", mismatch.expected),
        What::StepNew => format!("the step is only in: {}", mismatch.actual),
        What::Unreadable { reason } => format!("the snapshot can't be used: {reason}"),
    }
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

fn notes(what: &What) -> Vec<String> {
    match what {
        What::Frame { trace: Some(trace), .. } => vec![since(trace)],
        What::Extra { again: Some(Seat { step, frame, .. }), .. } => {
            vec![format!("the same bytes as frame {frame} of step {step}")]
        }
        What::Moved { passed, frame, .. } => passing(passed, *frame),
        What::Length { expected, actual, bytes: (start, end), .. } => vec![
            format!(
                "length   {} -> {}     bytes {start}..{end} of what came here",
                painted(EXPECTED, &expected.to_string()),
                painted(ACTUAL, &actual.to_string())
            ),
            format!("the frame behind it is as expected; what follows is read with {expected}"),
        ],
        What::Explained { gone, new } => {
            let gone = gone.iter().map(|text| painted(EXPECTED, &format!("- {text}")));
            let new = new.iter().map(|text| painted(ACTUAL, &format!("+ {text}")));
            gone.chain(new).collect()
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
