//! The pieces of a paste, in their order.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::qapi::Options;

use super::{
    audit::{self, Mention},
    block::{self, compound, paragraphs, regions, unnumbered},
    chat, choice,
    code::{self, Code},
    column, command,
    config::{self, Section},
    data::{self, Item},
    decode, flag, hcl,
    hmp::{self, Command},
    libvirt::{self, Domain},
    limit::{MAX_BYTES, PasteError},
    line::{
        apart, is_comment, is_shell, is_synopsis, logical, on_host, plain, unticked,
        without_prompt, without_synopsis,
    },
    machine, mail, make, part,
    qmp::{self, Message},
    recording, salvage, setting,
    shell::{self, Shell, Simple, Talk},
    table, trace,
};

mod prose;
mod talk;

/// What is of QEMU's.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    /// The words after the program.
    CommandLine {
        words: Vec<String>,
        /// Options without a program's name are a fragment of a command line.
        whole: bool,
    },
    /// A section of a configuration file.
    Section(Section),
    /// A monitor command that QMP has.
    Command(String, Map<String, Value>),
    /// `object_add`, with its option string.
    ObjectAdd(String),
    /// The refusal of the last monitor command: class and text. HMP has no class.
    Error(Option<String>, String),
    /// What follows is this machine's; none where nothing names it.
    Part(Option<String>),
    /// What follows is one of several ways to go on, by its title.
    Branch(Option<String>),
}

#[derive(Debug, Default)]
pub(super) struct Paste {
    pub(super) pieces: Vec<Piece>,
    /// Lines that are none of QEMU's options or commands.
    pub(super) unread: Vec<String>,
    /// Shell variables that the paste uses and doesn't set: the placeholder's name, and how it is
    /// written.
    pub(super) unset: Vec<(String, String)>,
    /// Which branches were taken, and what stands in the others.
    pub(super) branches: Vec<String>,
    /// What is not understood of the text's own program, and what to do.
    pub(super) remarks: Vec<String>,
    /// The options that stand in the text.
    pub(super) mentions: Vec<Mention>,
    /// Those of them that stand in comments of a program.
    pub(super) commented: Vec<Mention>,
    /// The commands that stand in the text and are no step, each with the reason.
    pub(super) commands: Vec<String>,
    /// The lines of scripts that were followed to what they write to monitors: its commands are among the pieces.
    pub(super) followed: BTreeSet<String>,
    /// The options are read as they stand: what is around them is not understood.
    pub(super) is_salvaged: bool,
}

impl Paste {
    /// Whether a line is of a script that was followed.
    pub(super) fn has_followed(&self, line: &str) -> bool {
        let line = line.trim();
        !self.followed.is_empty()
            && (self.followed.contains(line) || self.followed.contains(without_prompt(line).trim()))
    }

    /// How many of these options no command line has.
    pub(super) fn lost(&self, options: &[(String, String)]) -> usize {
        options.iter().filter(|option| !self.has(option)).count()
    }

    /// Whether a command line has an option. Its value may say more than the text does at the option's
    /// place, but has no signs behind it that are no value's.
    fn has(&self, (name, value): &(String, String)) -> bool {
        let option = Options::read(value, "type");
        let kind = |options: &Options| options.elements().first().map(|first| first.value.clone());
        let is_it = |read: &str| match read.strip_prefix(value.as_str()) {
            Some(rest) if rest.starts_with("[/") => false,
            Some(rest) => rest.is_empty() || rest.contains(|c: char| c.is_ascii_alphanumeric()),
            None => {
                let read = Options::read(read, "type");
                read.id() == option.id() && (option.id().is_some() || kind(&read) == kind(&option))
            }
        };
        self.pieces.iter().any(|piece| match piece {
            Piece::CommandLine { words, .. } => {
                words.windows(2).any(|pair| flag::name(&pair[0]) == Some(name) && is_it(&pair[1]))
            }
            _ => false,
        })
    }
}

/// The command line whose words these are, or the text that one word is.
pub(super) fn of_words(words: &[String]) -> Result<Paste, PasteError> {
    if let [text] = words {
        return read(text);
    }
    let mut reader = Reader::default();
    let words = words.iter().map(|word| word.replace("${", "$${")).collect();
    reader.take(Simple { words, ..Simple::default() });
    Ok(reader.paste)
}

pub(super) fn read(text: &str) -> Result<Paste, PasteError> {
    if text.len() > MAX_BYTES {
        return Err(PasteError::TooLong { bytes: text.len() });
    }
    if let Some(words) = decode::words(text) {
        return of_words(&words);
    }
    let raw = text;
    let text = unwrapped(raw);
    let mut paste = read_forms(&command::without_sent(&text))?;
    if libvirt::is_domain(&text) {
        return Ok(paste);
    }
    let options = salvage::options(&text);
    let lost = paste.lost(&options);
    // What stands in a branch that was not followed is not lost.
    if lost > 0 && paste.branches.is_empty() {
        let salvaged = read_forms(&salvage::rewrite(&text))?;
        let keeps_all = options.iter().all(|option| salvaged.has(option) || !paste.has(option));
        if salvaged.lost(&options) < lost && keeps_all {
            paste = Paste { is_salvaged: true, ..salvaged };
        }
    }
    if let Some(program) = choice::program(&text, &paste) {
        paste = Paste { followed: std::mem::take(&mut paste.followed), ..program };
    }
    for (name, written) in decode::written_places(raw) {
        if let Some(place) = paste.unset.iter_mut().find(|place| place.0 == name) {
            written.clone_into(&mut place.1);
        }
    }
    let rest = command::merge(&mut paste, &text);
    paste.mentions = audit::mentions(&rest);
    paste.remarks.extend(prose::ends(&text, &paste.pieces));
    Ok(paste)
}

/// A text whose forms say nothing of use: its options alone, as one command line.
pub(super) fn options_alone(text: &str) -> Result<Paste, PasteError> {
    let text = unwrapped(text);
    let mentions = audit::mentions(&text);
    Ok(Paste { is_salvaged: true, mentions, ..read_forms(&salvage::alone(&text))? })
}

/// The text as it was written, without what mail and web pages did to it.
fn unwrapped(text: &str) -> String {
    let played = recording::played(text);
    let text = played.as_deref().unwrap_or(text);
    let said = chat::said(text);
    let text = decode::decode(said.as_deref().unwrap_or(text));
    let lines: Vec<&str> = text.lines().map(mail::unquote).map(unticked).collect();
    let text = lines.join("\n");
    let text = column::unbroken(&text).unwrap_or(text);
    let text = recording::without_echo(&text).unwrap_or(text);
    mail::rejoined(&text).unwrap_or(text)
}

/// What the forms that are known find in a text.
fn read_forms(text: &str) -> Result<Paste, PasteError> {
    let of_qemu = text.lines().filter_map(on_host).filter(|(_, line)| is_of_qemu(line));
    let hosts = of_qemu.map(|(host, _)| host.to_owned()).collect();
    let mut reader = Reader { hosts, ..Reader::default() };
    reader.text(text);
    reader.rest();
    reader.settle_talks();
    if let Some(excess) = reader.shell.excess {
        return Err(excess);
    }
    let mut paste = reader.paste;
    paste.branches.extend(reader.shell.branches);
    paste.unset = reader.shell.unset;
    Ok(paste)
}

/// Whether a line has options of QEMU's, or a command of its monitors.
fn is_of_qemu(line: &str) -> bool {
    flag::is_qemus(line) || qmp::read(&[line]).is_some() || hmp::read(line).is_some()
}

/// Most texts that stand in one another: a here-document in a script of a pipeline.
const MAX_TEXTS: usize = 6;

/// Reads a text into pieces.
#[derive(Default)]
struct Reader {
    paste: Paste,
    shell: Shell,
    code: Code,
    depth: usize,
    /// What command lines call their machines: `-name`.
    names: Vec<String>,
    /// The sockets of their monitors, and the machine of each.
    monitors: Vec<(String, String)>,
    /// The hosts that have something of QEMU's in the text, and that of the last such line.
    hosts: BTreeSet<String>,
    host: Option<String>,
    /// The last command was typed behind a person's prompt.
    is_human: bool,
    /// Where what is written to a monitor begins among the pieces, and what names its socket.
    talks: Vec<(usize, String)>,
    /// The commands of scripts that were followed.
    followed: BTreeSet<(usize, usize, usize)>,
    /// Bytes of texts that stand in others.
    inner: usize,
    blocks: block::Budget,
}

impl Reader {
    fn text(&mut self, text: &str) {
        self.inner = self.inner.saturating_add(text.len());
        if self.depth >= MAX_TEXTS || self.inner > MAX_INNER {
            self.paste.unread.extend(text.lines().map(str::to_owned));
            return;
        }
        self.depth += 1;
        if libvirt::is_domain(text) {
            let Domain { words, left_out } = libvirt::read(text);
            self.paste.pieces.push(Piece::CommandLine { words, whole: true });
            self.paste.unread.extend(left_out);
        } else {
            for region in regions(text) {
                self.region(&region);
            }
        }
        self.depth -= 1;
    }

    /// A text of one form: what stands in a fence of Markdown, or between two.
    fn region(&mut self, text: &str) {
        if let Some(text) = self.patched(text).or_else(|| unnumbered(text)) {
            return self.region(&text);
        }
        if let Some(text) = hcl::filled(text) {
            return self.region(&text);
        }
        if let Some(text) = self.traced(text).or_else(|| self.tabled(text)) {
            return self.region(&text);
        }
        if let Some(items) = data::read(text, &mut self.shell) {
            return self.items(items);
        }
        if let Some(settings) = setting::read(text) {
            return self.settings(settings);
        }
        let mut branches = Vec::new();
        let converted = make::shell_text(text, &mut branches);
        self.paste.branches.extend(branches);
        if let Some(converted) = converted {
            let talks = self.talks.len();
            self.plain(&converted);
            if self.talks.len() > talks {
                self.paste.followed.extend(make::talking(text).into_iter().map(str::to_owned));
            }
            return;
        }
        if shell::talks(text) {
            return self.plain(text);
        }
        let unrolled = code::unrolled(text);
        if let Some((_, remarks)) = &unrolled {
            self.paste
                .remarks
                .extend(remarks.iter().map(|one| format!("a loop is not unrolled, {one}")));
        }
        let text = unrolled.as_ref().map_or(text, |(text, _)| text);
        let paragraphs = paragraphs(text);
        let is_code: Vec<bool> =
            paragraphs.iter().map(|text| code::is_code(text) && !prose::is_prose(text)).collect();
        let any = is_code.contains(&true);
        // What stands between lists of programs is read as one.
        let mut between = String::new();
        for (text, is_code) in paragraphs.iter().zip(is_code) {
            if is_code {
                self.plain(&std::mem::take(&mut between));
                self.program(text);
                continue;
            }
            // What a program's other lines define may be used by its lists.
            if any && !flag::is_qemus(text) {
                self.program(text);
            }
            between += text;
        }
        self.plain(&between);
    }

    fn plain(&mut self, text: &str) {
        let lines: Vec<&str> = text.lines().collect();
        self.lines(&lines);
    }

    /// The text that a patch leaves; what it takes away is named.
    fn patched(&mut self, text: &str) -> Option<String> {
        if !text.lines().any(|line| line.starts_with("@@ ")) {
            return None;
        }
        let mut out = String::new();
        for line in text.lines() {
            let heads = ["@@", "---", "+++", "diff ", "index "];
            if heads.iter().any(|head| line.starts_with(head)) || line.starts_with('-') {
                self.paste.unread.push(line.to_owned());
                continue;
            }
            out.push_str(line.strip_prefix(['+', ' ']).unwrap_or(line));
            out.push('\n');
        }
        Some(out)
    }

    /// The text without the lines in which strace shows the start of a program of QEMU's.
    fn traced(&mut self, text: &str) -> Option<String> {
        let starts = |line: &str| {
            let words = trace::started(line)?;
            words.first().is_some_and(|word| flag::is_program(word)).then_some(words)
        };
        if !text.lines().any(|line| starts(line).is_some()) {
            return None;
        }
        let mut rest = String::new();
        for line in text.lines() {
            match starts(line) {
                Some(words) => {
                    let words = words.iter().map(|word| word.replace("${", "$${")).collect();
                    self.take(Simple { words, ..Simple::default() });
                }
                None if trace::started(line).is_some() => self.paste.unread.push(line.to_owned()),
                None => rest += &format!("{line}\n"),
            }
        }
        Some(rest)
    }

    /// The text without the tables that have a column for each machine.
    fn tabled(&mut self, text: &str) -> Option<String> {
        let lines: Vec<&str> = text.lines().collect();
        let (mut rest, mut at, mut is_any) = (String::new(), 0, false);
        while at < lines.len() {
            let Some((columns, taken)) = table::read(&lines[at..]) else {
                rest += &format!("{}\n", lines[at]);
                at += 1;
                continue;
            };
            for column in columns {
                self.names.push(column.name.clone());
                self.paste.pieces.push(Piece::Part(Some(column.name)));
                self.lines(&[&column.options]);
            }
            self.paste.pieces.push(Piece::Part(None));
            (at, is_any) = (at + taken, true);
        }
        is_any.then_some(rest)
    }

    fn program(&mut self, text: &str) {
        for command in self.code.read(text, &mut self.shell) {
            self.take(command);
        }
    }

    /// The options of machines, each of its name.
    fn settings(&mut self, settings: Vec<(Option<String>, String)>) {
        for (name, options) in settings {
            self.names.extend(name.clone());
            self.paste.pieces.push(Piece::Part(name));
            for command in shell::read(&options, &mut self.shell) {
                self.take(command);
            }
        }
        self.paste.pieces.push(Piece::Part(None));
    }

    fn items(&mut self, items: Vec<Item>) {
        let names = items.iter().map(|item| match item {
            Item::Words(_, names) | Item::Text(_, names) => data::machine_of(names),
            Item::Talk(..) => None,
        });
        let names: Vec<Option<String>> = names.collect();
        let several = names.iter().flatten().collect::<BTreeSet<_>>().len() > 1;
        for (item, name) in items.into_iter().zip(names) {
            if let Some(name) = name.filter(|name| several || part::in_words(name).is_some()) {
                self.paste.pieces.push(Piece::Part(Some(name)));
            }
            match item {
                Item::Words(words, _) => {
                    if let Some(command) = code::command(words, &mut self.shell) {
                        self.take(command);
                    }
                }
                Item::Text(text, _) => self.text(&text),
                Item::Talk(said, near) => {
                    let talk = Some(Talk { said, near });
                    self.take(Simple { talk, ..Simple::default() });
                }
            }
        }
    }

    fn lines(&mut self, lines: &[&str]) {
        let mut at = 0;
        while at < lines.len() {
            at += self.piece(&lines[at..]).max(1);
        }
    }

    /// What is defined and never used.
    fn rest(&mut self) {
        let mut commands = self.code.rest(&mut self.shell);
        commands.extend(self.shell.rest());
        for command in commands {
            self.take(command);
        }
    }

    /// Reads what begins in the first line; gives how many lines that took.
    fn piece(&mut self, lines: &[&str]) -> usize {
        let line = lines[0].trim();
        if line.is_empty() {
            return 1;
        }
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
                Message::Command(name, args) => {
                    self.is_human = false;
                    monitor(name, args, paste);
                }
                // QMP does not answer what is typed for a person.
                Message::Error(..) if self.is_human => paste.unread.push(line.to_owned()),
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
            self.is_human = line.starts_with("(qemu)");
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
        let is_function = line.contains("()")
            && line.split(" #").next().is_some_and(|code| code.trim_end().ends_with('{'));
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
        if self.goes_back(line)
            || self.cells(line)
            || self.spans(line)
            || !line.contains('|') && !line.contains(">&") && self.sent(line)
        {
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

    /// A line that opens a monitor of a machine: `nc -U /tmp/qmp.sock`, `On the first (socat - /tmp/q):`.
    fn connects(&mut self, line: &str) {
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
        if !is_item && prose::is_said(&self.paste.pieces, &inside, &outside) {
            self.paste.unread.push(line.to_owned());
            return true;
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

    /// A command of the shell: QEMU's, or another.
    fn take(&mut self, command: Simple) {
        if self.talks(&command) || command.is_aside {
            return;
        }
        let Simple { words, redirections, here, part, .. } = command;
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

/// Most bytes of texts that stand in others.
const MAX_INNER: usize = 4 * MAX_BYTES;

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
