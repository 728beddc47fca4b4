//! Pieces of a text line by line: command lines, configuration, QMP, HMP, and what names the machine of those below it.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{MOST_PROSE, Paste, Piece, Reader, is_of_qemu};
use crate::import::{
    block::compound,
    config, flag,
    hmp::{self, Command},
    line::{is_comment, is_shell, is_synopsis, logical, on_host, plain, without_prompt},
    part,
    qmp::{self, Message},
    shell, spoken, title,
};

impl Reader {
    /// Reads what begins in the first line; gives how many lines that took.
    pub(super) fn piece(&mut self, lines: &[&str]) -> usize {
        let line = lines[0].trim();
        if line.is_empty() {
            self.prose.1 = true;
            return 1;
        }
        if self.begins_file(line) {
            return 1;
        }
        self.listens(line);
        if let Some((host, rest)) = on_host(line).filter(|(_, rest)| is_of_qemu(rest)) {
            if self.hosts.len() > 1 && self.host.as_deref() != Some(host) {
                self.host = Some(host.to_owned());
                self.paste.pieces.push(Piece::Part(Some(host.to_owned())));
            }
            if rest != line && qmp::read(&[rest]).is_some() {
                return self.piece(&[rest]);
            }
        }
        self.connects(line);
        let paste = &mut self.paste;
        if let Some(line) = plain(line) {
            let mut rest = vec![line.as_str()];
            rest.extend(&lines[1..]);
            return self.piece(&rest);
        }
        if let Some((message, taken)) = qmp::read(lines) {
            match message {
                Message::Command(name, args) => monitor(name, args, paste),
                Message::Error(class, text) => paste.pieces.push(Piece::Error(Some(class), text)),
                Message::Other => {}
            }
            return taken;
        }
        if let Some((section, taken)) = config::read(lines) {
            paste.pieces.push(Piece::Section(section));
            return taken;
        }
        if let Some(command) = hmp::read(line) {
            human(command, paste);
            return 1;
        }
        if let Some((class, text)) = hmp::error(line)
            && matches!(paste.pieces.last(), Some(Piece::Command(..) | Piece::ObjectAdd(_)))
        {
            paste.pieces.push(Piece::Error(class.map(str::to_owned), text.to_owned()));
            return 1;
        }
        if self.is_of_name(line) {
            return 1;
        }
        let paste = &mut self.paste;
        let is_function = line.contains("()") && line.ends_with('{');
        if let Some(heading) = part::heading(line, lines.get(1).copied()).filter(|_| !is_function) {
            if heading.ends {
                paste.pieces.push(Piece::Branch(heading.branch));
            }
            if heading.ends || heading.part.is_some() {
                paste.pieces.push(Piece::Part(heading.part));
            }
            if !heading.rest.is_empty() && heading.rest != line {
                let mut rest = vec![heading.rest];
                rest.extend(&lines[1..]);
                return self.piece(&rest);
            }
            if heading.rest.is_empty() {
                if !is_comment(line) {
                    paste.unread.push(line.to_owned());
                }
                return 1;
            }
        }
        if self.goes_back(line) || self.cells(line) || self.spans(line) || self.sent(line) {
            return 1;
        }
        let paste = &mut self.paste;
        let (text, taken) = compound(lines, &mut self.blocks).unwrap_or_else(|| {
            let shown = without_prompt(line);
            if line == "(qemu)" || is_comment(line) && shown == line {
                if line.starts_with('#') && flag::is_qemus(line) {
                    paste.unread.push(line.to_owned());
                }
                return (String::new(), 1);
            }
            if !is_shell(shown, &self.shell) || is_synopsis(shown) {
                paste.unread.push(line.to_owned());
                return (String::new(), 1);
            }
            logical(lines, paste)
        });
        for command in shell::read(&text, &mut self.shell) {
            self.take(command);
        }
        taken
    }

    /// A line that names the file whose text follows, where each of several is a machine's.
    fn begins_file(&mut self, line: &str) -> bool {
        let Some(name) = title::of_file(line).filter(|name| self.files.contains(name)) else {
            return false;
        };
        self.paste.pieces.push(Piece::Part(Some(name)));
        self.paste.unread.push(line.to_owned());
        self.prose = (String::new(), true);
        true
    }

    /// Hears prose, which may say at which machine the commands below it are given: that is said where they begin.
    fn listens(&mut self, line: &str) {
        if !is_of_qemu(line) {
            if std::mem::take(&mut self.prose.1) || self.prose.0.len() > MOST_PROSE {
                self.prose.0.clear();
            }
            self.prose.0 += line;
            self.prose.0.push('\n');
            return;
        }
        let prose = std::mem::take(&mut self.prose.0);
        if prose.is_empty() {
            return;
        }
        let known = self.paste.pieces.iter().filter_map(|piece| match piece {
            Piece::Part(name) => name.as_ref(),
            _ => None,
        });
        let known: Vec<&String> = self.names.iter().chain(known).collect();
        let exact = |word: &str| {
            known.iter().find(|name| name.eq_ignore_ascii_case(word)).copied().cloned()
        };
        if let Some(name) = spoken::machine(&prose, &exact) {
            self.paste.pieces.push(Piece::Part(Some(name)));
        }
    }

    /// A line that opens a monitor of a machine: `nc -U /tmp/qmp.sock`, `On the first (socat - /tmp/q):`.
    pub(super) fn connects(&mut self, line: &str) {
        if self.monitors.is_empty() || flag::is_qemus(line) {
            return;
        }
        let word = |c: char| c.is_whitespace() || "\"'`()|;,<>".contains(c);
        let words: Vec<&str> = line.split(word).filter(|word| !word.is_empty()).collect();
        let tools = ["nc", "ncat", "netcat", "telnet", "socat", "qmp-shell", "hmp-shell"];
        if !words.iter().any(|word| tools.contains(&word.rsplit('/').next().unwrap_or(word))) {
            return;
        }
        let is_socket = |socket: &str| {
            words.iter().any(|word| {
                let behind = word.strip_suffix(socket).filter(|_| !socket.is_empty());
                behind.is_some_and(|behind| behind.is_empty() || behind.ends_with(':'))
            })
        };
        let named = self.monitors.iter().find(|(socket, _)| is_socket(socket));
        if let Some((_, name)) = named {
            self.paste.pieces.push(Piece::Part(Some(name.clone())));
        }
    }

    /// A heading that has the `-name` of a command line above it: `# on web1:`.
    fn is_of_name(&mut self, line: &str) -> bool {
        let named = self.names.iter().find(|name| part::is_heading_of(line, name)).cloned();
        let is_named = named.is_some();
        self.paste.pieces.extend(named.map(|name| Piece::Part(Some(name))));
        is_named
    }

    /// A line that names, in a word, a machine that was named before: `Then on A:` after `Host A:`.
    fn goes_back(&mut self, line: &str) -> bool {
        let Some(short) = part::short(line) else {
            return false;
        };
        let named = self.paste.pieces.iter().rev().find_map(|piece| match piece {
            Piece::Part(Some(part)) if part::is_short_for(&short, part) => Some(part.clone()),
            _ => None,
        });
        let is_named = named.is_some();
        self.paste.pieces.extend(named.map(|part| Piece::Part(Some(part))));
        is_named
    }

    /// The row of a table: a command in one cell, and its machine in another.
    fn cells(&mut self, line: &str) -> bool {
        let Some(inner) = line.strip_prefix('|').and_then(|rest| rest.strip_suffix('|')) else {
            return false;
        };
        let cells: Vec<&str> = inner.split('|').map(str::trim).collect();
        if !cells.iter().any(|cell| flag::is_qemus(cell)) {
            return false;
        }
        let mut parts = cells.iter().filter(|cell| !flag::is_qemus(cell));
        if let Some(part) = parts.find_map(|cell| part::in_words(cell)) {
            self.paste.pieces.push(Piece::Part(Some(part)));
        }
        for cell in cells {
            let cell = cell.trim_matches('`');
            match flag::is_qemus(cell) {
                true => self.lines(&[cell]),
                false => self.paste.unread.push(cell.to_owned()),
            }
        }
        true
    }

    /// Prose with a command line in backquotes.
    fn spans(&mut self, line: &str) -> bool {
        let mark = if line.contains("``") { "``" } else { "`" };
        let parts: Vec<&str> = line.split(mark).collect();
        if parts.len() < 3 || parts.len().is_multiple_of(2) || shell::assignment(line).is_some() {
            return false;
        }
        // In an item of a list, a command of a monitor is one to give.
        let item = line.trim_start_matches(|c: char| c.is_ascii_digit());
        let is_item = ["- ", "* ", ". ", ") "].iter().any(|mark| item.starts_with(mark));
        let is_inside = |part: &&&str| flag::is_qemus(part) || is_item && hmp::read(part).is_some();
        let inside = parts.iter().skip(1).step_by(2).filter(is_inside);
        let outside: Vec<&str> = parts.iter().step_by(2).copied().collect();
        let inside: Vec<&str> = inside.copied().collect();
        if inside.is_empty() || outside.iter().any(|part| flag::is_qemus(part)) {
            return false;
        }
        let outside = outside.join(" ... ");
        if is_item {
            let words = |name: &String| {
                let mut words =
                    outside.split(|c: char| !(c.is_ascii_alphanumeric() || "-_".contains(c)));
                words.any(|word| word == name)
            };
            let named: BTreeSet<&String> = self.names.iter().filter(|name| words(name)).collect();
            let part = match named.len() {
                1 => named.first().map(|name| (*name).clone()),
                _ => part::in_words(&outside),
            };
            self.paste.pieces.extend(part.map(|name| Piece::Part(Some(name))));
        }
        self.paste.unread.push(outside);
        inside.iter().for_each(|part| self.lines(&[part]));
        true
    }

    /// A monitor's command that a script sends: `send "object_del m0\r"`.
    fn sent(&mut self, line: &str) -> bool {
        let Some((before, rest)) = line.split_once('"') else {
            return false;
        };
        let Some((text, _)) = rest.rsplit_once('"') else {
            return false;
        };
        let text = text.trim_end_matches("\\r").trim_end_matches("\\n").replace("\\\"", "\"");
        let sends = before.len() < 60 && !before.contains('{');
        if !sends || hmp::read(&text).is_none() && qmp::read(&[&text]).is_none() {
            return false;
        }
        self.lines(&[&text]);
        true
    }
}

fn monitor(name: String, args: Map<String, Value>, paste: &mut Paste) {
    let line = args.get("command-line").and_then(Value::as_str);
    match line.filter(|_| name == "human-monitor-command") {
        Some(line) => human(hmp::command(line), paste),
        None => paste.pieces.push(Piece::Command(name, args)),
    }
}

fn human(command: Command, paste: &mut Paste) {
    paste.pieces.push(match command {
        Command::Qmp(name, args) => Piece::Command(name.to_owned(), args),
        Command::ObjectAdd(text) => Piece::ObjectAdd(text),
        Command::Other(line) => Piece::Command(line, Map::new()),
    });
}
