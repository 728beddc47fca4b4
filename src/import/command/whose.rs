//! Whose a command is: what stands beside it or above it has the name of a machine, of its monitor's socket,
//! or of a variable that holds either.

use std::collections::BTreeMap;

use super::find::Found;
use crate::import::{
    line::on_host,
    part,
    paste::Piece,
    spoken, {flag, machine},
};

/// Most bytes of a word that may end in the address of a socket.
const MOST_WORD: usize = 512;
/// Most bytes of a paragraph that is looked at.
const MOST_PARAGRAPH: usize = 2048;

/// What the machines of a text are called.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// As `-name` or a heading has them.
    names: Vec<String>,
    /// The sockets of monitors, variables, hosts and numbers, each with its machine's name.
    others: BTreeMap<String, String>,
    /// `terminal 2`, with its machine's name.
    terminals: Vec<(String, String)>,
    /// The machine that the text is about from a line on, by that line's first byte; none where nothing says so.
    heard: Vec<(usize, Option<String>)>,
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
                        // The number that Proxmox gives a machine.
                        let number = pairs().find(|(option, _)| *option == "-id");
                        let number = number.map(|(_, value)| value.to_owned());
                        for other in sockets.chain(number) {
                            all.others.entry(other).or_insert_with(|| name.clone());
                        }
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
                self.others.entry(name.to_owned()).or_insert(owner);
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
                    self.terminals.push((format!("{kind} {number}"), owner));
                }
            }
        }
    }

    /// The machine that is called exactly this, or whose socket this is.
    fn exact(&self, word: &str) -> Option<String> {
        let word = word.trim();
        let by_name = self.names.iter().find(|name| name.eq_ignore_ascii_case(word));
        let socket = || {
            let is_short = word.len() <= MOST_WORD;
            let ends = word.char_indices().filter(|(_, c)| is_short && matches!(c, '/' | ':'));
            let mut ends = ends.map(|(at, c)| &word[at + usize::from(c == ':')..]);
            ends.find_map(|end| self.others.get(end))
        };
        by_name.or_else(|| self.others.get(word)).or_else(socket).cloned()
    }

    /// Whether a text names a machine.
    pub(super) fn calls(&self, text: &str) -> bool {
        self.around(text).is_some()
    }

    /// The machine that a text around a command names last.
    fn around(&self, text: &str) -> Option<String> {
        let divides = |c: char| c.is_whitespace() || "\"'`()[]{},;|<>=*&!$".contains(c);
        let words = || text.split(divides).filter(|word| !word.is_empty()).rev();
        let spoken = text.to_lowercase();
        let terminal = self.terminals.iter();
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

    /// Whether the lines between two commands say whose the second one is.
    pub(super) fn says_between(&self, first: &Found, second: &Found, text: &str) -> bool {
        let start = text[..second.span.start].rfind('\n').map_or(0, |at| at + 1);
        let next = self.heard.partition_point(|(at, _)| *at < start);
        let last = next.checked_sub(1).and_then(|last| self.heard.get(last));
        last.is_some_and(|(at, name)| name.is_some() && *at > first.span.end)
    }

    /// The machine that the lines above a command are about.
    pub(super) fn before(&self, found: &Found, text: &str) -> Option<String> {
        let start = text[..found.span.start].rfind('\n').map_or(0, |at| at + 1);
        let next = self.heard.partition_point(|(at, _)| *at < start);
        self.heard.get(next.checked_sub(1)?)?.1.clone()
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

    /// Reads which machine each line of a text is about, for the commands that were found in it.
    pub(super) fn listen(&mut self, text: &str, found: &[Found]) {
        if !self.is_several() {
            return;
        }
        let mut commands = found.iter().map(|one| one.span.start).peekable();
        let (mut start, mut paragraph, mut is_over) = (0, String::new(), false);
        // The host on which the prose above a command line is, and those that are several machines'.
        let (mut place, mut shared): (Option<String>, Vec<String>) = (None, Vec::new());
        for line in text.split_inclusive('\n') {
            let at = start;
            start += line.len();
            let line = line.trim();
            if line.is_empty() {
                is_over = true;
                continue;
            }
            let first = commands.next_if(|command| *command < start);
            while commands.next_if(|command| *command < start).is_some() {}
            let has_command = first.is_some();
            let is_session = has_command || is_session(line);
            // In a sentence only what begins that sentence says whose its command is.
            let words = first.map_or(0, |first| text[at..first].split_whitespace().count());
            if words > 2
                && let Some(end) = paragraph.rfind(['.', '!', '?', '。'])
            {
                paragraph = paragraph.split_off(end);
            }
            if is_session && !paragraph.is_empty() {
                let spoken = spoken::machine(&paragraph, &|word| self.exact(word));
                if let Some(name) = spoken.and_then(|name| self.called(&name)) {
                    self.heard.push((at.saturating_sub(1), Some(name)));
                } else {
                    place = spoken::place(&paragraph).map(str::to_owned);
                }
                paragraph.clear();
            }
            match self.line(line, has_command) {
                Some(name) => {
                    let is_start = line.contains("-name ");
                    if let (Some(name), Some(place)) = (&name, place.take_if(|_| is_start)) {
                        self.is_on(place, name, &mut shared);
                    }
                    paragraph.clear();
                    self.heard.push((at, name));
                }
                None if is_session => {}
                None => {
                    if std::mem::take(&mut is_over) || paragraph.len() > MOST_PARAGRAPH {
                        paragraph.clear();
                        place = None;
                    }
                    paragraph += line;
                    paragraph.push('\n');
                }
            }
        }
    }

    /// A machine runs on a host, which stands for it as long as no other one does.
    fn is_on(&mut self, host: String, machine: &str, shared: &mut Vec<String>) {
        match self.others.get(&host) {
            _ if shared.contains(&host) => {}
            Some(other) if other != machine => {
                self.others.remove(&host);
                shared.push(host);
            }
            _ => drop(self.others.insert(host, machine.to_owned())),
        }
    }

    /// The machine of a name, or of the part that it plays.
    fn called(&self, name: &str) -> Option<String> {
        self.exact(name).or_else(|| self.of_part(name))
    }

    /// What a line says by itself of the lines below it: a machine, or that a section of its own begins.
    fn line(&self, line: &str, has_command: bool) -> Option<Option<String>> {
        let word = line.split_once("-name ").map(|(_, rest)| rest);
        let word = word
            .and_then(|rest| rest.trim_start_matches("guest=").split([' ', ',', '"', '\'']).next());
        let echoed = echoed(line).filter(|_| !has_command);
        let shown = echoed.unwrap_or(line);
        let heading = part::heading(line, None);
        let is_heading = echoed.is_some()
            || line.ends_with([':', '：'])
            || line.starts_with(['#', '=', '*', '~', '['])
            || line.starts_with("--")
            || line.ends_with("==")
            // `5. What is changed on the one is changed on the other.` says nothing of what is below it.
            || heading.is_some() && !line.ends_with('.');
        let host = on_host(line).and_then(|(host, _)| self.exact(host));
        let spoken = || {
            let name = spoken::machine(shown, &|word| self.exact(word))?;
            self.called(&name)
        };
        let words = line.split_whitespace().count();
        let last = line.split_whitespace().next_back().filter(|last| last.len() > 1);
        let last = || last.filter(|_| words <= 6).and_then(|last| self.exact(last));
        let named = word
            .and_then(|word| self.exact(word))
            .or_else(|| self.socket_in(line))
            .or_else(|| opens(line).and_then(|words| self.around(words)))
            .or(host)
            .or_else(|| is_heading.then(|| spoken().or_else(|| self.in_heading(shown)))?)
            .or_else(last);
        // A section of its own says nothing of the machine above it.
        let ends = heading.is_some_and(|heading| heading.ends);
        (named.is_some() || ends).then_some(named)
    }
}

/// Whether a line is of what prose is written about: a fence, a command line, what a monitor answers.
fn is_session(line: &str) -> bool {
    let begins = ["```", "~~~", "{", "(qemu)", "$ ", "-> ", "<- ", "Error:", "<pre", "<code"];
    begins.iter().any(|mark| line.starts_with(mark)) || flag::is_qemus(line)
}

/// What a script prints before it goes on: `echo "== on the secondary"`.
fn echoed(line: &str) -> Option<&str> {
    const PRINTS: &[&str] =
        &["echo", "printf", "print", "log", "info", "say", "puts", "Write-Host", "logging.info"];
    let line = line.trim_start_matches(['$', '@', ' ', '+']);
    let (name, rest) = line.split_once([' ', '('])?;
    let rest = rest.trim();
    let quoted = rest.starts_with(['"', '\'', '=', '#', '-']);
    let is_alone = !rest.contains(['|', '>', '{']);
    (PRINTS.contains(&name) && quoted && is_alone)
        .then(|| rest.trim_matches(['"', '\'', ')', ';', '=', '#', '-', ' ']))
}

/// What stands behind a program that opens a machine's monitor or leads into the machine's host.
fn opens(line: &str) -> Option<&str> {
    const PROGRAMS: &[&str] = &[
        "qm monitor ",
        "virsh qemu-monitor-command ",
        "virsh console ",
        "screen -r ",
        "screen -x ",
        "tmux attach -t ",
        "tmux a -t ",
        "docker exec ",
        "docker attach ",
        "podman exec ",
        "podman attach ",
        "kubectl exec ",
        "kubectl attach ",
        "lxc exec ",
        "machinectl shell ",
        "ssh ",
        "qm terminal ",
    ];
    let ends = PROGRAMS.iter().filter_map(|name| line.find(name).map(|at| at + name.len()));
    let end = ends.min()?;
    let is_command = line[..end].split_whitespace().count() <= 6;
    is_command.then(|| line[end..].split([';', '|', '"', '\'']).next().unwrap_or_default())
}
