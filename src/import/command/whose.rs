//! Whose a command is: what stands beside it or above it has the name of a machine, of its monitor's socket,
//! or of a variable that holds either.

use super::find::Found;
use crate::import::{
    line::on_host,
    part,
    paste::Piece,
    {flag, machine},
};

/// Most lines above a command that are looked at.
const MOST_ABOVE: usize = 300;

/// What the machines of a text are called.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// As `-name` or a heading has them.
    names: Vec<String>,
    /// The sockets of monitors, variables, and `terminal 2`, each with its machine's name.
    others: Vec<(String, String)>,
}

impl Names {
    pub(super) fn of(pieces: &[Piece], text: &str) -> Self {
        let mut all = Self::default();
        let mut part = None;
        for piece in pieces {
            match piece {
                Piece::Part(name) => {
                    part.clone_from(name);
                    all.names.extend(name.clone());
                }
                Piece::CommandLine { words, .. } => {
                    let pairs =
                        || words.windows(2).map(|pair| (pair[0].as_str(), pair[1].as_str()));
                    let name = pairs().find(|(option, _)| flag::name(option) == Some("name"));
                    let name = name
                        .and_then(|(_, value)| machine::name_of(value))
                        .or_else(|| part.clone());
                    if let Some(name) = name {
                        let sockets =
                            pairs().filter_map(|(option, value)| machine::monitor(option, value));
                        all.others.extend(sockets.map(|socket| (socket, name.clone())));
                        all.names.push(name);
                    }
                }
                _ => {}
            }
        }
        all.names.sort();
        all.names.dedup();
        if all.is_several() {
            all.variables(text);
            all.terminals(text);
        }
        all
    }

    pub(super) fn is_several(&self) -> bool {
        self.names.len() > 1
    }

    /// `vm_a = VM('a')`, `qmp1=/tmp/a.sock`.
    fn variables(&mut self, text: &str) {
        for line in text.lines() {
            let Some((left, right)) = line.split_once('=') else { continue };
            let left = left.trim_end_matches([':', ' ', '+']);
            let name = left.rsplit([' ', '.', '$', '*', '(']).next().unwrap_or(left);
            let is_word = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if name.len() < 2
                || !is_word
                || flag::is_qemus(line)
                || flag::is_option(left.split(' ').next().unwrap_or_default())
            {
                continue;
            }
            let strings = right.split(['"', '\'', '`']).skip(1).step_by(2);
            let bare = right.trim();
            let bare = (!bare.contains(' ')).then_some(bare);
            let owner = strings.chain(bare).find_map(|value| self.exact(value));
            if let Some(owner) = owner.filter(|owner| owner != name) {
                self.others.push((name.to_owned(), owner));
            }
        }
    }

    /// `Terminal 2, *bob*::` names what `in terminal 2` means later on.
    fn terminals(&mut self, text: &str) {
        for line in text.lines().filter(|line| line.trim_end().ends_with(':')) {
            let lower = line.to_lowercase();
            for kind in ["terminal", "window", "pane", "console", "shell", "tty", "screen"] {
                let Some(at) = lower.find(kind) else { continue };
                let number: String = lower[at + kind.len()..]
                    .trim_start()
                    .chars()
                    .take_while(char::is_ascii_digit)
                    .collect();
                if let Some(owner) = self.in_heading(line).filter(|_| !number.is_empty()) {
                    self.others.push((format!("{kind} {number}"), owner));
                }
            }
        }
    }

    /// The machine that is called exactly this, or whose socket this is.
    fn exact(&self, word: &str) -> Option<String> {
        let word = word.trim();
        let by_name = self.names.iter().find(|name| name.eq_ignore_ascii_case(word));
        let of_socket = |(other, _): &&(String, String)| {
            word == other
                || word.len() > other.len()
                    && other.starts_with('/')
                    && word.ends_with(other.as_str())
                || word.ends_with(&format!(":{other}"))
        };
        by_name.or_else(|| self.others.iter().find(of_socket).map(|(_, name)| name)).cloned()
    }

    /// The machine that a text around a command names last.
    fn around(&self, text: &str) -> Option<String> {
        let divides = |c: char| c.is_whitespace() || "\"'`()[]{},;|<>=*&!$".contains(c);
        let words = || text.split(divides).filter(|word| !word.is_empty()).rev();
        let spoken = text.to_lowercase();
        let terminal = self.others.iter().filter(|(other, _)| other.contains(' '));
        let terminal =
            terminal.filter_map(|(other, name)| Some((spoken.rfind(other.as_str())?, name)));
        let exact = words().find_map(|word| {
            let word = word.trim_end_matches([':', '.']);
            self.exact(word).or_else(|| self.exact(word.rsplit('.').next()?)).or_else(|| {
                word.split(['.', ':', '@', '#']).rev().find_map(|part| self.exact(part))
            })
        });
        exact
            .or_else(|| terminal.max_by_key(|(at, _)| *at).map(|(_, name)| name.clone()))
            .or_else(|| words().find_map(|word| self.component(word)))
            .or_else(|| self.of_part(&part::in_words(text)?))
    }

    /// `vm_a`, `qmp.alice`, `aliceQmp`.
    fn component(&self, word: &str) -> Option<String> {
        let parts =
            word.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
        let mut found = parts.filter_map(|part| self.exact(part));
        found.next_back()
    }

    fn of_part(&self, part: &str) -> Option<String> {
        let by_part =
            |name: &&String| *name == part || part::in_words(name).as_deref() == Some(part);
        self.names.iter().find(by_part).cloned()
    }

    /// The machine that a heading names: one that is marked there before others, and none that owns something.
    fn in_heading(&self, line: &str) -> Option<String> {
        let divides = |c: char| c.is_whitespace() || ",;()".contains(c);
        let words = || line.split(divides).filter(|word| !word.is_empty());
        let bare = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_owned();
        let marked = words().filter(|word| word.starts_with(['*', '`', '_', '"', '\'', '[', '<']));
        let in_brackets = line.split_once('(').and_then(|(_, rest)| Some(rest.split_once(')')?.0));
        let marked =
            marked.map(bare).chain(in_brackets.map(bare)).find_map(|word| self.exact(&word));
        marked
            .or_else(|| {
                words().map(bare).filter(|word| word.len() > 1).find_map(|word| self.exact(&word))
            })
            .or_else(|| self.exact(&bare(line.rsplit(divides).find(|word| !word.is_empty())?)))
            .or_else(|| self.of_part(&part::in_words(line)?))
    }

    /// The machine of a command.
    pub(super) fn whose(&self, found: &Found, text: &str) -> Option<String> {
        self.beside(found, text).or_else(|| self.before(found, text))
    }

    /// The machine that the lines above a command are about.
    pub(super) fn before(&self, found: &Found, text: &str) -> Option<String> {
        let start = text[..found.span.start].rfind('\n').map_or(0, |at| at + 1);
        self.is_several().then(|| self.above(&text[..start]))?
    }

    /// The machine that is named in the line of a command.
    pub(super) fn beside(&self, found: &Found, text: &str) -> Option<String> {
        if !self.is_several() {
            return None;
        }
        let start = text[..found.span.start].rfind('\n').map_or(0, |at| at + 1);
        let end = text[found.span.end..].find('\n').map_or(text.len(), |end| found.span.end + end);
        self.around(&found.near)
            .or_else(|| self.around(&text[start..found.span.start]))
            .or_else(|| self.socket_in(&text[found.span.end..end]))
    }

    /// The machine whose monitor's socket a text has.
    fn socket_in(&self, text: &str) -> Option<String> {
        let divides = |c: char| c.is_whitespace() || "\"'`()[],;|<>=".contains(c);
        let mut words = text
            .split(divides)
            .filter(|word| word.contains(['/', ':']) || word.chars().all(|c| c.is_ascii_digit()));
        words.find_map(|word| self.exact(word))
    }

    /// The machine that the lines above are about, the nearest first.
    fn above(&self, text: &str) -> Option<String> {
        for line in text.lines().rev().take(MOST_ABOVE) {
            let trimmed = line.trim();
            if trimmed.is_empty() {
                continue;
            }
            let word = trimmed.split_once("-name ").map(|(_, rest)| rest);
            let word = word.and_then(|rest| {
                rest.trim_start_matches("guest=").split([' ', ',', '"', '\'']).next()
            });
            let is_heading = trimmed.ends_with([':', '：'])
                || trimmed.starts_with(['#', '=', '*', '~', '['])
                || trimmed.starts_with("--")
                || trimmed.ends_with("==")
                || part::heading(trimmed, None).is_some();
            let host = on_host(trimmed).and_then(|(host, _)| self.exact(host));
            let named = word
                .and_then(|word| self.exact(word))
                .or_else(|| self.socket_in(trimmed))
                .or(host)
                .or_else(|| is_heading.then(|| self.in_heading(trimmed)).flatten());
            let words = trimmed.split_whitespace().count();
            let last = trimmed.split_whitespace().next_back().filter(|last| last.len() > 1);
            let spoken = || last.filter(|_| words <= 6).and_then(|last| self.exact(last));
            let named = named.or_else(spoken);
            // A section of its own says nothing of the machine above it.
            let ends = || part::heading(trimmed, None).is_some_and(|heading| heading.ends);
            if named.is_some() || ends() {
                return named;
            }
        }
        None
    }
}
