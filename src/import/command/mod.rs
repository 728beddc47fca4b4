//! Monitor commands wherever they stand in a text: behind a prompt, as JSON, as an argument of another
//! program, as a call of a function, in a cell of a table. What no form's own reader took becomes a step of
//! its machine, or is named.
//!
//! - `verb`: the names of commands, and commands that are typed. `literal`: values as programs write them.
//! - `text`: quotes, brackets and lines around a place in a text.
//! - `call`: calls of functions; `tool`: arguments of other programs.
//! - `object`: QMP's objects. `prompt`: what monitors write before a command, by whatever name. `typed`: commands that
//!   stand for themselves, and those that are named. `find`: all commands of a text, in its order.
//! - `whose`: the machine of each.
//! - `merge`: puts them among the pieces of a paste. `audit`: those that the scenario has not and nothing names.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{flag, hmp::Command, paste::Piece};

mod audit;
mod call;
mod find;
mod literal;
mod merge;
mod object;
mod prompt;
mod text;
mod tool;
mod typed;
mod verb;
mod whose;

pub(super) use audit::{Mention, mentions, missing};
pub(super) use merge::merge;
pub(super) use tool::TALKERS;

/// A text without the lines in which a program waits for what a monitor writes, and answers: they are no part of
/// the list that the program was started with.
pub(super) fn without_sent(text: &str) -> Cow<'_, str> {
    const TALKS: &[&str] = &[".expect(", ".expect_exact(", ".sendline(", ".send(", ".sendcontrol("];
    let is_sent = |line: &str| {
        let line = line.trim();
        let call = TALKS.iter().find_map(|call| line.split_once(call));
        call.is_some_and(|(name, _)| {
            name.chars().all(|c| c.is_alphanumeric() || "_.".contains(c))
                && line.ends_with([')', ';'])
                && !flag::is_qemus(line)
        })
    };
    match text.lines().any(is_sent) {
        true => {
            text.lines().filter(|line| !is_sent(line)).map(|line| format!("{line}\n")).collect()
        }
        false => Cow::Borrowed(text),
    }
}

/// Whether a text has the name of a command that is nothing else in prose, or an object of QMP's.
pub(super) fn is_named(text: &str) -> bool {
    text.contains("execute")
        || verb::names().any(|name| verb::is_distinct(name) && text.contains(name))
}

/// Whether QMP has a command of this name that does something.
pub(super) fn is_qmp(name: &str) -> bool {
    verb::is_qmp(name)
}

/// The keys of the words that follow a command in a call.
pub(super) fn positions(name: &str) -> &'static [&'static str] {
    verb::positions(name)
}

/// The key of an argument as QMP has it, of one that a program writes in its own way.
pub(super) fn key(name: &str, written: &str) -> String {
    verb::key(name, written)
}

/// Whether a function with such names gives a command to a monitor.
pub(super) fn gives(names: &str) -> bool {
    call::Context::of_line(names).gives()
}

/// A command of QMP that does something.
pub(super) fn of_qmp(name: &str, arguments: Map<String, Value>) -> Option<Piece> {
    let call = Call::of_qmp(name, arguments);
    (!call.asks()).then(|| call.piece())
}

/// A command that is typed, with its arguments.
pub(super) fn typed(text: &str) -> Option<Piece> {
    let call = verb::typed(text, &literal::Constants::new())?;
    (!call.asks()).then(|| call.piece())
}

/// The name of the command that a piece is, in QMP.
pub(super) fn name_of(piece: &Piece) -> Option<&str> {
    merge::named(piece)
}

/// The names of the commands that a text gives, in QMP.
pub(super) fn given(text: &str) -> Vec<String> {
    let found = find::find(text, &|_| false).into_iter().filter(|one| one.is_given);
    found.map(|one| merge::qmp_name(&one.name)).collect()
}

/// A command and its arguments.
#[derive(Clone, Debug, PartialEq)]
struct Call {
    /// As QMP has it, or the whole line of one that only a person can give.
    name: String,
    args: Map<String, Value>,
    /// `object_add`'s option string.
    option: Option<String>,
    /// An argument is computed, so that nobody knows it here.
    is_open: bool,
}

impl Call {
    fn of_qmp(name: &str, args: Map<String, Value>) -> Self {
        let line = args.get("command-line").and_then(Value::as_str);
        match line.filter(|_| name == "human-monitor-command") {
            Some(line) => Self::of_hmp(super::hmp::command(line)),
            None => Self { name: name.to_owned(), args, option: None, is_open: false },
        }
    }

    fn of_hmp(command: Command) -> Self {
        let (name, args, option) = match command {
            Command::Qmp(name, args) => (name.to_owned(), args, None),
            Command::ObjectAdd(text) => ("object-add".to_owned(), Map::new(), Some(text)),
            Command::Other(line) => (line, Map::new(), None),
        };
        Self { name, args, option, is_open: false }
    }

    /// Whether it changes nothing: no step, and nothing is said of it.
    fn asks(&self) -> bool {
        self.name.starts_with("query-")
            || ["qmp_capabilities", "qom-list"].contains(&self.name.as_str())
    }

    fn piece(self) -> Piece {
        match self.option {
            Some(text) => Piece::ObjectAdd(text),
            None => Piece::Command(self.name, self.args),
        }
    }
}
