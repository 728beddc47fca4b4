//! What a command came to: QEMU's answer, its refusal, or why there is none.

use std::fmt;

use serde_json::Value;

/// QEMU's refusal of a command: QMP's `error` member (QEMU `docs/interop/qmp-spec.rst`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandError {
    /// `GenericError`, `DeviceNotFound`, `CommandNotFound`, ...
    pub class: String,
    /// The text, letter for letter.
    pub desc: String,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class, self.desc)
    }
}

/// Where the modelled QEMU would have died: the command is refused instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abort {
    /// The assertion or signal, as QEMU prints it, without addresses.
    pub assertion: String,
    /// What a QEMU that survives would have answered, where that is known.
    pub survivor: Option<CommandError>,
}

/// What a command came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// QMP's `return` member.
    Done(Value),
    /// QMP's `error` member.
    Refused(CommandError),
    /// This QEMU aborts here; nothing was done.
    Aborts(Abort),
    /// No answer came in this step.
    Unanswered(NoAnswer),
}

/// Why a command has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// The main loop waits for a reader; when it goes on, the command is carried out.
    Frozen,
    /// There is no machine any more.
    Dead,
}

impl NoAnswer {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Frozen, Self::Dead];
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Frozen => "no answer: the main loop is frozen",
            Self::Dead => "no answer: the machine is dead",
        })
    }
}

/// In a word: what was returned is not told.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(_) => f.write_str("done"),
            Self::Refused(error) => write!(f, "{error}"),
            Self::Aborts(abort) => write!(f, "aborts: {}", abort.assertion),
            Self::Unanswered(why) => write!(f, "{why}"),
        }
    }
}

/// A command of a scenario and what it came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The command as the transcript prints it: `object-add f0`, `qom-set f0.status = off`.
    pub command: String,
    /// The object, netdev or chardev it is about, for `expect: {error: {ID: ...}}`.
    pub subject: Option<String>,
    /// What it came to.
    pub outcome: Outcome,
}
