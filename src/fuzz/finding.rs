//! What a random scenario showed to be wrong, as a shape that a smaller scenario can have too.
//! `shrink` compares them, and reports word them.

use std::{collections::BTreeSet, fmt};

use super::feeder::feeders;
use crate::{
    base::{ObjectId, Tag},
    compare::{Difference, What},
    record::{EventKind, Outcome, Transcript},
    runner::{Attempt, Executed, FailureKind},
    scenario::Case,
};

/// Something that went wrong, as far as a smaller scenario can show the same: its kind, where it
/// is, and in which field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    Internal {
        lane: String,
        text: String,
    },
    /// A lane refuses to build what the language accepts.
    Invalid {
        lane: String,
        text: String,
    },
    /// A run failed in itself: a storm, a deadline, frames that nothing accounts for.
    Broken {
        lane: String,
        kind: &'static str,
    },
    /// Two lanes observed different things.
    Disagreement {
        first: String,
        second: String,
        what: Discrepancy,
    },
    /// The record is not the snapshot.
    Snapshot {
        lane: String,
        what: Discrepancy,
        /// What became of the frames that the port did not see.
        fates: Fates,
    },
    /// What the scenario expects did not come.
    Expectation {
        lane: String,
        what: Broken,
        /// What became of the frames that the port did not see, where some are missing.
        fates: Fates,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Broken {
    Refused {
        /// The command without its subject, and its answer.
        answer: String,
    },
    /// A command was to be refused with this text.
    Error { expected: String },
    /// Too few frames at a port, or too many.
    Count {
        port: String,
        /// Too few, not too many.
        too_few: bool,
        /// As many frames as are missing were sent and did not arrive: the expectation itself is
        /// no wider than what was sent.
        accounted: bool,
    },
    /// Frames at a port differ in these fields.
    Frame { port: String, fields: Vec<String> },
}

/// A difference of two records.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Discrepancy {
    /// A word: `frame`, `missing`, `extra`, `moved`, `other-step`, `other-port`, `length`,
    /// `explained`, `value`, `step`.
    pub kind: &'static str,
    /// The port, where it is about one.
    pub port: Option<String>,
    /// The first field that differs, or what the value is of.
    pub field: Option<String>,
    /// The two sides, where they are an answer or a crash.
    pub sides: Option<(String, String)>,
}

/// What became of frames: places and reasons, without their numbers.
pub type Fates = BTreeSet<String>;

impl Finding {
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Internal { .. } => "internal",
            Self::Invalid { .. } => "invalid",
            Self::Broken { kind, .. } => kind,
            Self::Disagreement { .. } => "disagreement",
            Self::Snapshot { .. } => "mismatch",
            Self::Expectation { .. } => "expectation",
        }
    }

    /// Whether `other`, seen in a smaller scenario, is this.
    #[must_use]
    pub fn is_shown_by(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Snapshot { lane, what, fates },
                Self::Snapshot { lane: other_lane, what: other_what, fates: other_fates },
            ) => lane == other_lane && what == other_what && fates.is_subset(other_fates),
            (
                Self::Expectation { lane, what, fates },
                Self::Expectation { lane: other_lane, what: other_what, fates: other_fates },
            ) => lane == other_lane && what == other_what && fates.is_subset(other_fates),
            _ => self == other,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Internal { lane, text } => write!(f, "{lane} failed in itself: {text}"),
            Self::Invalid { lane, text } => write!(f, "{lane} does not build it: {text}"),
            Self::Broken { lane, kind } => write!(f, "{lane}: {kind}"),
            Self::Disagreement { first, second, what } => {
                write!(f, "{first} and {second} differ: {what}")
            }
            Self::Snapshot { lane, what, .. } => {
                write!(f, "{lane} differs from the snapshot: {what}")
            }
            Self::Expectation { lane, what, .. } => write!(f, "{lane}: {what}"),
        }
    }
}

impl fmt::Display for Discrepancy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            "frame" => "a frame",
            "missing" => "a frame is missing",
            "extra" => "a frame too many",
            "moved" => "a frame in another place",
            "other-step" => "a frame in another step",
            "other-port" => "a frame at another port",
            "length" => "a length word",
            "explained" => "what explains",
            "step" => "a step",
            _ => "",
        })?;
        let gap = if self.kind == "value" { "" } else { ", " };
        if let Some(field) = &self.field {
            write!(f, "{gap}{field}")?;
        }
        if let Some((one, other)) = &self.sides {
            write!(f, " ({one} / {other})")?;
        }
        match &self.port {
            Some(port) => write!(f, " at {port}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { answer } => write!(f, "refused: {answer}"),
            Self::Error { expected } => write!(f, "not the error that was expected: {expected}"),
            Self::Count { port, too_few, .. } => {
                let which = if *too_few { "few" } else { "many" };
                write!(f, "too {which} frames at {port}")
            }
            Self::Frame { port, fields } => write!(f, "{} at {port}", fields.join(", ")),
        }
    }
}

/// The shape of a difference. Frames are told apart by where and how they differ, so that they can
/// be made smaller; answers by their texts.
pub(super) fn discrepancy(difference: &Difference) -> Discrepancy {
    let (kind, field, sides) = match &difference.what {
        What::Frame { fields, .. } => {
            ("frame", fields.first().map(|field| field.name.clone()), None)
        }
        What::Missing { .. } => ("missing", None, None),
        What::Extra { .. } => ("extra", None, None),
        What::Moved { .. } => ("moved", None, None),
        What::Explained { .. } => ("explained", None, None),
        What::OtherStep { .. } => ("other-step", None, None),
        What::OtherPort { .. } => ("other-port", None, None),
        What::Length { .. } => ("length", None, None),
        What::Sent { .. } | What::StepGone | What::StepNew | What::Unreadable { .. } => {
            ("step", None, None)
        }
        What::Value { name, expected, actual } => {
            let sized =
                matches!(name.as_str(), "bytes" | "eof" | "written" | "sent frames" | "step");
            let name = name.split(' ').next().unwrap_or_default();
            let sides = (!sized).then(|| (expected.clone(), actual.clone()));
            ("value", Some(name.to_owned()), sides)
        }
    };
    Discrepancy { kind, port: difference.port.clone(), field, sides }
}

/// What is wrong with a single attempt. A refusal counts only if the scenario expects it.
pub(super) fn of_attempt(
    case: Option<&Case>,
    lane: &str,
    attempt: &Attempt,
    refusals: bool,
) -> Vec<Finding> {
    let lane = || lane.to_owned();
    match attempt {
        Attempt::Executed(executed) => executed
            .failures
            .iter()
            .filter_map(|failure| of_failure(case, lane(), executed, &failure.kind, refusals))
            .collect(),
        Attempt::Failed(failure) => {
            vec![Finding::Broken { lane: lane(), kind: word(&failure.kind) }]
        }
        Attempt::Invalid(report) => {
            vec![Finding::Invalid { lane: lane(), text: report.message.clone() }]
        }
        Attempt::Panicked(text) => vec![Finding::Internal {
            lane: lane(),
            // Numbers in it may be sizes, which shrink.
            text: text.split(|c: char| c.is_ascii_digit()).next().unwrap_or_default().to_owned(),
        }],
        Attempt::Skipped(_) | Attempt::Interrupted => Vec::new(),
    }
}

fn of_failure(
    case: Option<&Case>,
    lane: String,
    executed: &Executed,
    kind: &FailureKind,
    refusals: bool,
) -> Option<Finding> {
    let (what, fates) = match kind {
        FailureKind::Refused { answer } if refusals => {
            let command = answer.command.split(' ').next().unwrap_or_default();
            let answer = format!("{command}: {}", answer.outcome);
            (Broken::Refused { answer }, Fates::new())
        }
        FailureKind::Refused { .. } => return None,
        FailureKind::ExpectedError { expected, .. } => {
            let expected = expected.clone();
            (Broken::Error { expected }, Fates::new())
        }
        FailureKind::NoSuchError { object } => {
            let expected = format!("of {object}");
            (Broken::Error { expected }, Fates::new())
        }
        FailureKind::Count { port, expected, got } => {
            let too_few = got < expected;
            let ways = Ways::of(case, executed.reading.transcript(), port.as_str());
            let accounted = expected.saturating_sub(*got) <= ways.lost;
            let fates = if too_few { ways.fates } else { Fates::new() };
            let port = port.to_string();
            let what = Broken::Count { port, too_few, accounted };
            (what, fates)
        }
        FailureKind::Frame { port, difference, .. } => {
            let fields = difference
                .split(", ")
                .filter_map(|field| field.split(' ').next())
                .map(str::to_owned)
                .collect();
            let port = port.to_string();
            (Broken::Frame { port, fields }, Fates::new())
        }
        other => {
            let kind = word(other);
            return Some(Finding::Broken { lane, kind });
        }
    };
    Some(Finding::Expectation { lane, what, fates })
}

/// A word for what ended a run, or was wrong with the whole of it.
pub(super) const fn word(kind: &FailureKind) -> &'static str {
    match kind {
        FailureKind::Storm { .. } => "storm",
        FailureKind::Late => "late",
        FailureKind::Died { .. } => "died",
        FailureKind::Unexplained { .. } => "unexplained",
        FailureKind::Backend(_) => "backend",
        FailureKind::Residue(_) => "left-behind",
        FailureKind::Refused { .. }
        | FailureKind::ExpectedError { .. }
        | FailureKind::NoSuchError { .. }
        | FailureKind::Count { .. }
        | FailureKind::Frame { .. } => "expectation",
    }
}

/// Whether an object was not made, though it was to be.
fn is_refused(transcript: &Transcript, id: &ObjectId) -> bool {
    let mut answers = transcript.steps.iter().flat_map(|step| &step.answers);
    answers.any(|answer| {
        answer.subject.as_deref() == Some(id.as_str())
            && !matches!(answer.outcome, Outcome::Done(_))
            && answer.command.starts_with("object-add")
    })
}

/// What became of the frames that were sent and reached no port.
pub(super) struct Ways {
    lost: usize,
    /// Where they were seen, dropped, consumed, and where they came out instead; and that others of
    /// the same origin did come, where they did. Who makes the scenario smaller keeps all of it: or
    /// nothing would be left of a frame that is missing.
    pub(super) fates: Fates,
}

impl Ways {
    /// Looks at the frames of those ports from which something came. Where nothing did, at all. The
    /// objects that feed the port belong to the fates too: without them nothing could come.
    pub(super) fn of(case: Option<&Case>, transcript: &Transcript, port: &str) -> Self {
        let steps = &transcript.steps;
        let arrived: BTreeSet<Tag> = steps
            .iter()
            .flat_map(|step| &step.arrivals)
            .filter(|arrival| arrival.port.as_str() == port)
            .filter_map(|arrival| arrival.tag)
            .collect();
        let sent = || steps.iter().flat_map(|step| &step.sent);
        let origins: BTreeSet<&str> = sent()
            .filter(|frame| arrived.contains(&frame.tag))
            .map(|frame| frame.port.as_str())
            .collect();
        let lost: BTreeSet<Tag> = sent()
            .filter(|frame| !arrived.contains(&frame.tag))
            .filter(|frame| origins.is_empty() || origins.contains(frame.port.as_str()))
            .map(|frame| frame.tag)
            .collect();
        let mut fates: Fates =
            origins.iter().map(|origin| format!("others of {origin} came")).collect();
        let feeders = case.into_iter().flat_map(|case| feeders(case, port));
        fates.extend(
            feeders.filter(|id| !is_refused(transcript, id)).map(|id| format!("fed by {id}")),
        );
        let is_lost = |tag: Option<Tag>| tag.is_some_and(|tag| lost.contains(&tag));
        for step in steps {
            for arrival in step.arrivals.iter().filter(|arrival| is_lost(arrival.tag)) {
                fates.insert(format!("came to {}", arrival.port));
            }
            for event in &step.events {
                let place = &event.place;
                fates.extend(match &event.kind {
                    EventKind::Crash(text) => Some(format!("crash: {text}")),
                    EventKind::Frozen => Some(format!("frozen by {place}")),
                    _ if !is_lost(event.tag) => None,
                    EventKind::Dropped(reason) => Some(format!("{reason} at {place}")),
                    EventKind::Consumed => Some(format!("consumed by {place}")),
                    EventKind::Seen { .. } => Some(format!("seen by {place}")),
                    _ => None,
                });
            }
        }
        let lost = lost.len();
        Self { lost, fates }
    }
}
