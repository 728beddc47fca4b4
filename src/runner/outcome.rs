//! What one execution of a case came to, apart from its snapshot.

use crate::{
    base::{ObjectId, PortId},
    compare::FramePair,
    diag::Span,
    reading::Reading,
    record::Answer,
};

/// What one execution of a case came to.
#[derive(Clone, Debug)]
pub struct Executed {
    /// The record, as far as the run went.
    pub reading: Reading,
    /// What was wrong, apart from the snapshot.
    pub failures: Vec<Failure>,
    /// What came out may depend on a case that ran in the same world before: it says nothing.
    pub in_doubt: bool,
}

/// Something that a case did not do as it says.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The step, 0 for the set-up and for what is expected of the whole run.
    pub step: usize,
    /// Where in the scenario.
    pub span: Span,
    /// What.
    pub kind: FailureKind,
}

/// The kinds of failure.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FailureKind {
    /// A command was refused that should have been carried out.
    #[error("{}: {}", answer.command, refusal(answer))]
    Refused {
        /// Its answer.
        answer: Answer,
    },
    /// A command was carried out, or refused otherwise, where an error was expected.
    #[error("{}: expected the error {expected:?}, got {}", answer.command, refusal(answer))]
    ExpectedError {
        /// Its answer.
        answer: Answer,
        /// Class and text, as expected.
        expected: String,
    },
    /// No command about this object gave an answer.
    #[error("no error of '{object}' was seen: nothing was refused")]
    NoSuchError {
        /// The object.
        object: ObjectId,
    },
    /// A port saw another number of frames.
    #[error("{port}: expected {expected} frame(s), got {got}")]
    Count {
        /// The port.
        port: PortId,
        /// As the scenario says.
        expected: usize,
        /// As recorded.
        got: usize,
    },
    /// A frame at a port is not the expected one.
    #[error("{port}: frame {number} differs: {difference}")]
    Frame {
        /// The port.
        port: PortId,
        /// From 1.
        number: usize,
        /// Field by field.
        difference: String,
        /// Both frames.
        sides: FramePair,
    },
    /// A step caused more than 100,000 machine inputs.
    #[error("storm: {}", cycle.join(" -> "))]
    Storm {
        /// The cycle, place by place.
        cycle: Vec<String>,
    },
    /// The deadline passed, or the run was interrupted.
    #[error("the deadline passed")]
    Late,
    /// The process that holds the objects died.
    #[error("QEMU died: {how}{}", last_seen(last))]
    Died {
        /// Its last words and how it ended.
        how: String,
        /// The last that came out of it, the newest at the end: `step 1: hn0.guest <- ARP ...`.
        last: Vec<String>,
    },
    /// Frames of which nothing is known.
    #[error("{count} frame(s) unexplained")]
    Unexplained {
        /// How many.
        count: usize,
    },
    /// The backend failed in mid-run.
    #[error("{0}")]
    Backend(String),
    /// Something could not be taken down.
    #[error("left behind: {0}")]
    Residue(String),
}

impl FailureKind {
    /// Whether the run could not go on after it.
    #[must_use]
    pub const fn ends_the_run(&self) -> bool {
        matches!(self, Self::Storm { .. } | Self::Late | Self::Died { .. } | Self::Backend(_))
    }
}

fn last_seen(last: &[String]) -> String {
    match last {
        [] => "; nothing had come out".to_owned(),
        last => format!("; last seen: {}", last.join("; ")),
    }
}

fn refusal(answer: &Answer) -> String {
    use crate::record::Outcome;
    match &answer.outcome {
        Outcome::Done(_) => "no error".to_owned(),
        Outcome::Refused(error) => error.to_string(),
        Outcome::Aborts(abort) => format!("this QEMU aborts here: {}", abort.assertion),
        Outcome::Unanswered(why) => why.to_string(),
    }
}
