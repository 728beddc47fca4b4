//! What scripts write to monitors, as pieces: a script that is followed is the only source of its commands.

use serde_json::Value;

use super::{
    Piece, Reader,
    piece::{human, monitor},
};
use crate::import::{
    command, hmp,
    qmp::{self, Message},
    shell::Simple,
};

/// Most sockets and names that are looked for, times the words they are looked for in.
const MOST_COMPARED: usize = 200_000;

impl Reader {
    /// Takes what a command writes to a monitor, or gives it to a script that does. Not where any of it is not
    /// understood.
    pub(super) fn talks(&mut self, command: &Simple) -> bool {
        let (said, near) = match &command.talk {
            Some(talk) => (talk.said.clone(), talk.near.clone()),
            None => match given(&command.words) {
                Some(given) => given,
                None => return false,
            },
        };
        let Some(pieces) = pieces(&said, command.talk.is_some()) else {
            return false;
        };
        for place in &command.places {
            if self.followed.insert(place.key()) {
                self.paste.followed.extend(place.lines().map(str::to_owned));
            }
        }
        let line = command.words.join(" ");
        let is_shown = command.talk.is_some() && !command.is_aside && !line.is_empty();
        if is_shown && self.paste.followed.insert(line.clone()) {
            self.paste.unread.push(line);
        }
        if pieces.is_empty() {
            return true;
        }
        let before = self.paste.pieces.iter().rev().find_map(|piece| match piece {
            Piece::Part(part) => Some(part.clone()),
            _ => None,
        });
        let before = before.flatten();
        let part = command.part.clone().or(before.clone());
        // Each is a block of its own: nothing beside it says whose it is but its socket.
        let block = usize::MAX - self.talks.len();
        self.talks.push((self.paste.pieces.len(), near));
        self.paste.pieces.push(Piece::Part(part));
        for piece in pieces {
            self.paste.pieces.extend([Piece::Block(block, false), piece]);
        }
        self.paste.pieces.push(Piece::Part(before));
        true
    }

    /// Names the machine of what was written to each monitor, where its socket or what stands beside it says which.
    pub(super) fn settle_talks(&mut self) {
        let lines = self.paste.pieces.iter();
        let lines = lines.filter(|piece| matches!(piece, Piece::CommandLine { whole: true, .. }));
        if lines.count() < 2 {
            // Headings that no machine of several has.
            return;
        }
        let known = self.names.len() + self.monitors.len() + 1;
        let mut compared = 0usize;
        for (at, near) in std::mem::take(&mut self.talks) {
            let ends = |c: char| c.is_whitespace() || "\"'`(),;".contains(c);
            let words: Vec<&str> = near.split(ends).filter(|word| !word.is_empty()).collect();
            compared = compared.saturating_add(words.len().saturating_mul(known));
            if compared > MOST_COMPARED {
                return;
            }
            if let Some(name) = self.owner(&words) {
                self.paste.pieces[at] = Piece::Part(Some(name));
                let is_of_talk = |piece: &&mut Piece| !matches!(piece, Piece::Part(_));
                for piece in self.paste.pieces[at + 1..].iter_mut().take_while(is_of_talk) {
                    if let Piece::Block(_, is_marked) = piece {
                        *is_marked = true;
                    }
                }
            }
        }
    }

    /// The machine whose monitor listens where these words say; of several, or of none, the one that they name.
    fn owner(&self, words: &[&str]) -> Option<String> {
        let is_socket = |socket: &str| {
            words.iter().any(|word| {
                let behind = word.strip_suffix(socket).filter(|_| !socket.is_empty());
                behind.is_some_and(|behind| behind.is_empty() || behind.ends_with([':', '/']))
            })
        };
        let listening = self.monitors.iter().filter(|(socket, _)| is_socket(socket));
        let mut owners: Vec<&String> = listening.map(|(_, name)| name).collect();
        owners.sort();
        owners.dedup();
        if let [owner] = owners.as_slice() {
            return Some((*owner).clone());
        }
        let parts = || {
            let ends = |c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_');
            let whole = words.iter().flat_map(move |word| word.split(ends));
            let single =
                words.iter().flat_map(|word| word.split(|c: char| !c.is_ascii_alphanumeric()));
            whole.chain(single)
        };
        let candidates =
            || self.names.iter().filter(|name| owners.is_empty() || owners.contains(name));
        let one = |is: &dyn Fn(&str) -> bool| {
            let mut named = candidates().filter(|name| is(name));
            let first = named.next()?;
            named.all(|other| other == first).then(|| first.clone())
        };
        // `g-hv1` is on `hv1`.
        let is_part = |name: &str| {
            let mut pieces = name.split(['-', '_', '.']).filter(|piece| piece.len() > 1);
            pieces.any(|piece| parts().any(|part| part.eq_ignore_ascii_case(piece)))
        };
        one(&|name| parts().any(|part| part.eq_ignore_ascii_case(name))).or_else(|| one(&is_part))
    }
}

/// What a program that is not known gives to a monitor: `qmp pvm '{"execute": "stop"}'`, and what names the monitor.
fn given(words: &[String]) -> Option<(String, String)> {
    let first = words.first()?.rsplit('/').next()?;
    let is_tool = ["qmp", "hmp", "mon"].iter().any(|part| first.to_lowercase().contains(part));
    if matches!(first, "echo" | "printf" | "log" | "virsh" | "cat") || words.len() < 2 {
        return None;
    }
    let at = words.iter().skip(1).position(|word| {
        let is_object = word.trim_start().starts_with('{') && word.contains("execute");
        is_object || is_tool && hmp::read(word).is_some()
    })?;
    let near = words[..=at].join(" ");
    Some((words[at + 1].clone(), near))
}

/// The commands of what is written to a monitor; none where any line is not understood.
fn pieces(said: &str, is_typed: bool) -> Option<Vec<Piece>> {
    let mut pieces = super::Paste::default();
    let mut rest = said.trim_start();
    while !rest.is_empty() {
        if rest.starts_with('{') {
            let length = match object(rest) {
                Some((name, args, length)) => {
                    if let Some(name) = name.filter(|name| !is_idle(name)) {
                        monitor(name, args, &mut pieces);
                    }
                    length
                }
                None => {
                    let lines: Vec<&str> = rest.lines().collect();
                    let (message, taken) = qmp::read(&lines)?;
                    if let Message::Command(name, args) = message
                        && !is_idle(&name)
                    {
                        monitor(name, args, &mut pieces);
                    }
                    rest.split_inclusive('\n').take(taken).map(str::len).sum()
                }
            };
            rest = rest[length..].trim_start();
            continue;
        }
        let line = rest.lines().next()?;
        rest = rest[line.len()..].trim_start();
        let line = line.trim().trim_start_matches("(qemu)").trim();
        match command::typed(line) {
            Some(piece) => pieces.pieces.push(piece),
            None if !line.starts_with(|c: char| c.is_ascii_alphabetic()) => return None,
            None if line.starts_with("query-") || !is_typed => {}
            None => human(hmp::command(line), &mut pieces),
        }
    }
    Some(pieces.pieces)
}

/// What changes nothing.
fn is_idle(name: &str) -> bool {
    name == "qmp_capabilities" || name.starts_with("query-") || name.starts_with("guest-")
}

/// An object of QMP's at the begin of a text: the command's name and arguments, and how long it is.
fn object(text: &str) -> Option<(Option<String>, serde_json::Map<String, Value>, usize)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let value = values.next()?.ok()?;
    let length = values.byte_offset();
    let name = value.get("execute").or_else(|| value.get("exec-oob")).and_then(Value::as_str);
    let arguments = value.get("arguments").and_then(Value::as_object).cloned();
    Some((name.map(str::to_owned), arguments.unwrap_or_default(), length))
}
