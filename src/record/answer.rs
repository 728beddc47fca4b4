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
    /// The main loop is frozen: no answer came in this step.
    Unanswered,
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
