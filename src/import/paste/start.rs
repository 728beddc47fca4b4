//! Commands of a shell that start a QEMU or give a command to its monitor.

use super::{Piece, Reader};
use crate::import::{
    flag, hmp,
    line::{apart, without_synopsis},
    machine, qmp,
    shell::{self, Simple},
};

impl Reader {
    /// A command of the shell: QEMU's, or another.
    pub(super) fn take(&mut self, command: Simple) {
        let Simple { words, redirections, here, part } = command;
        self.connects(&words.join(" "));
        if part.is_some() {
            self.paste.pieces.push(Piece::Part(part.clone()));
        }
        self.words(words, redirections);
        if let Some(here) = here {
            self.text(&here);
        }
        if part.is_some() {
            self.paste.pieces.push(Piece::Part(None));
        }
    }

    fn words(&mut self, mut words: Vec<String>, redirections: Vec<String>) {
        let first = words.first().map(|word| word.rsplit('/').next().unwrap_or(word));
        let prints = matches!(first, Some("echo" | "printf" | "log" | "info" | "print"));
        let program = words.iter().position(|word| flag::is_program(word)).filter(|_| !prints);
        let first_option = words.iter().position(|word| word.starts_with('-'));
        let of_net = words.windows(2).any(|pair| {
            let name = flag::name(&pair[0]).filter(|_| flag::is_net(&pair[0]));
            name.is_some_and(|name| flag::is_value(name, &pair[1]))
                || pair[0].ends_with("-device") && pair[1].contains("netdev=")
        });
        let runs = words.first().is_some_and(|word| {
            word.starts_with(|c: char| c.is_ascii_alphanumeric() || "$/.~_".contains(c))
                && !word.contains('(')
                && !word.ends_with([':', '='])
                && !NO_PROGRAMS.contains(&word.as_str())
        });
        let (start, whole) = match (program, first_option) {
            (Some(at), _) => (at + 1, true),
            (None, Some(0)) if of_net && !prints => (0, false),
            // `$QEMU -netdev ...`, or a program of another name.
            (None, Some(at)) if of_net && !prints => (at, runs),
            _ => {
                self.other(words);
                self.paste.unread.extend(redirections);
                return;
            }
        };
        let after = words.split_off(start);
        let before = &words[..words.len() - usize::from(whole)];
        let before: Vec<&str> =
            before.iter().map(String::as_str).filter(|word| *word != "exec").collect();
        if !before.is_empty() {
            self.paste.unread.push(before.join(" "));
        }
        self.paste.unread.extend(redirections);
        let words = without_synopsis(apart(after), &mut self.paste.unread);
        let name = words.windows(2).find(|pair| flag::name(&pair[0]) == Some("name"));
        let name = name.and_then(|pair| machine::name_of(&pair[1]));
        if let Some(name) = name.filter(|_| whole) {
            let sockets = words.windows(2).filter_map(|pair| machine::monitor(&pair[0], &pair[1]));
            self.monitors.extend(sockets.map(|socket| (socket, name.clone())));
            self.names.push(name);
        }
        self.paste.pieces.push(Piece::CommandLine { words, whole });
    }

    /// A command that is not QEMU's: one of its words may be a command line, or a monitor's command.
    fn other(&mut self, words: Vec<String>) {
        let line = words.join(" ");
        // `sh -c '...'`
        let shell = words.first().map(|word| word.rsplit('/').next().unwrap_or(word));
        if let (Some("sh" | "bash" | "dash" | "ash" | "zsh"), [_, flags, text, ..]) =
            (shell, words.as_slice())
            && flags.starts_with('-')
            && flags.ends_with('c')
            && (flag::is_qemus(text) || text.contains('|'))
        {
            let text = text.clone();
            for command in shell::read(&text, &mut self.shell) {
                self.take(command);
            }
            return;
        }
        let monitor = line.find(['{', '(']).map_or("", |at| &line[at..]);
        let is_monitor = |text: &str| qmp::read(&[text]).is_some() || hmp::read(text).is_some();
        if let Some(text) = words.iter().find(|word| is_monitor(word)) {
            let domain = words.iter().find(|word| self.names.contains(word)).cloned();
            let is_virsh = words.iter().any(|word| word == "qemu-monitor-command");
            self.paste
                .pieces
                .extend(domain.filter(|_| is_virsh).map(|name| Piece::Part(Some(name))));
            let text = text.clone();
            return self.lines(&text.lines().collect::<Vec<_>>());
        }
        if is_monitor(monitor) {
            let text = monitor.to_owned();
            return self.lines(&[&text]);
        }
        let prints = matches!(words.first().map(String::as_str), Some("echo" | "printf"));
        let inner = words.iter().find(|word| word.contains([' ', '\n']) && flag::is_qemus(word));
        match inner.cloned().filter(|_| !prints && words.len() > 1) {
            Some(text) => {
                self.paste.unread.push(line.replace(&text, "..."));
                // The full stop of the sentence that the text stands in.
                self.text(text.trim_end_matches('.'));
            }
            None => self.paste.unread.push(line),
        }
    }
}

/// Words that begin a line with options and are no program's name: what puts options into a variable, and
/// Robot Framework's sign that a line goes on.
const NO_PROGRAMS: &[&str] =
    &["...", "args", "const", "export", "let", "list", "set", "setenv", "var"];
