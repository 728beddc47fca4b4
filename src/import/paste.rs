//! The pieces of a paste, in their order.

use serde_json::{Map, Value};

use super::{
    config::{self, Section},
    flag,
    hmp::{self, Command},
    libvirt::{self, Domain},
    limit::{MAX_BYTES, PasteError},
    mail::{self, Wrap},
    qmp::{self, Message},
    openness::Openness,
    shell::{self, Shell, Simple},
};

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
}

/// A text in pieces.
#[derive(Clone, Debug, Default)]
pub(super) struct Paste {
    pub(super) pieces: Vec<Piece>,
    /// Lines that are none of QEMU's options or commands.
    pub(super) unread: Vec<String>,
    /// Shell variables that the paste uses and doesn't set: the placeholder's name, and how it is
    /// written.
    pub(super) unset: Vec<(String, String)>,
}

/// The command line whose words these are, or the text that one word is.
pub(super) fn of_words(words: &[String]) -> Result<Paste, PasteError> {
    if let [text] = words {
        return read(text);
    }
    let mut paste = Paste::default();
    let escaped = words.iter().map(|word| word.replace("${", "$${")).collect();
    let command = Simple { words: escaped, ..Simple::default() };
    take(command, &mut paste);
    Ok(paste)
}

pub(super) fn read(text: &str) -> Result<Paste, PasteError> {
    if text.len() > MAX_BYTES {
        return Err(PasteError::TooLong { bytes: text.len() });
    }
    let lines: Vec<&str> = text.lines().map(mail::unquote).collect();
    let mut paste = Paste::default();
    let joined = lines.join("\n");
    if libvirt::is_domain(&joined) {
        let Domain { words, left_out } = libvirt::read(&joined);
        paste.pieces.push(Piece::CommandLine { words, whole: true });
        paste.unread = left_out;
        return Ok(paste);
    }
    let mut variables = Shell::default();
    let mut at = 0;
    while at < lines.len() {
        at += piece(&lines[at..], &mut paste, &mut variables).max(1);
    }
    if let Some(excess) = variables.excess {
        return Err(excess);
    }
    paste.unset = variables.unset;
    Ok(paste)
}

/// Reads what begins in the first line; gives how many lines that took.
fn piece(lines: &[&str], paste: &mut Paste, variables: &mut Shell) -> usize {
    let line = lines[0].trim();
    if line.is_empty() {
        return 1;
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
    if let Some(text) = hmp::error(line)
        && matches!(paste.pieces.last(), Some(Piece::Command(..) | Piece::ObjectAdd(_)))
    {
        paste.pieces.push(Piece::Error(None, text.to_owned()));
        return 1;
    }
    let shown = without_prompt(line);
    if line == "(qemu)" || is_comment(line) && shown == line {
        if line.starts_with('#') && line.trim_start_matches(['#', ' ']).split(' ').any(flag::is_net)
        {
            paste.unread.push(line.to_owned());
        }
        return 1;
    }
    if !is_shell(shown) {
        paste.unread.push(line.to_owned());
        return 1;
    }
    let (text, taken) = logical(lines, paste);
    for command in shell::read(&text, variables) {
        take(command, paste);
    }
    taken
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

/// The line after a shell's prompt: `user@host:~# `, `[user@host ~]$ `, `$ `, `C:\> `. A `# ` is one
/// only before a command or an assignment, else it begins a comment.
fn without_prompt(line: &str) -> &str {
    let Some((at, _)) =
        line.match_indices(['#', '$', '%', '>']).find(|(at, _)| line[at + 1..].starts_with(' '))
    else {
        return line;
    };
    let (before, after) = (&line[..at], line[at + 1..].trim_start());
    let first = after.split_whitespace().next().unwrap_or("");
    let runs =
        flag::is_program(first) || matches!(first, "sudo" | "env" | "exec" | "nice" | "taskset");
    // `# primary_ip=127.0.0.1`, as QEMU's docs/COLO-FT.txt has it; not `# a=1 would be wrong`.
    let assigns =
        shell::assignment(first).is_some() && (first == after || after.ends_with(['"', '\'']));
    let prompt = before.contains('@')
        || before.starts_with('[') && before.ends_with(']')
        || before.contains(":\\")
        || before.starts_with("PS ");
    if (before.is_empty() && (runs || assigns)) || (prompt && !before.contains(" -")) {
        after
    } else {
        line
    }
}

fn is_comment(line: &str) -> bool {
    line.starts_with('#') || line.starts_with("REM ") || line.starts_with("::")
}

/// Whether a line is the shell's: options that a scenario is made of, an assignment, or a program
/// of QEMU's or an option whose line goes on or has variables.
fn is_shell(line: &str) -> bool {
    let words = || {
        line.split([' ', '\t', '(', ';', '&', '|'])
            .map(|word| word.trim_matches(['"', '\'', '(', ')']))
    };
    let says_so =
        words().next().is_some_and(|word| word.strip_suffix(':').is_some_and(flag::is_program));
    if says_so {
        return false;
    }
    let goes_on = line.ends_with(['\\', '^', '`']) || line.contains('$');
    let program =
        words().any(flag::is_program) || line.starts_with('"') && line.contains("qemu-system-");
    let option = words().any(flag::is_option);
    let assigned = line.strip_prefix("export ").unwrap_or(line);
    let assigns = assigned.split(' ').next().is_some_and(|word| shell::assignment(word).is_some());
    let first = line.split_whitespace().next().is_some_and(flag::is_option);
    assigns
        || first
        || words().any(flag::is_net)
        || (program && (option || goes_on))
        || (option && goes_on)
}

/// A line with those that belong to it: continued by `\`, `^` or a backtick, whatever blanks follow;
/// inside quotes and arrays; wrapped by mail. Comments in between are left out.
fn logical(lines: &[&str], paste: &mut Paste) -> (String, usize) {
    let mut text = without_prompt(lines[0].trim()).to_owned();
    let mut open = Openness::default();
    let mut taken = 1;
    loop {
        let next = lines.get(taken).copied();
        let ended = text.trim_end().strip_suffix(['\\', '^', '`']).map(str::len);
        match (ended, next) {
            (Some(before), Some(next)) => {
                taken += 1;
                text.truncate(before);
                let inner = next.trim_start();
                if is_comment(inner) {
                    paste.unread.push(inner.trim_end_matches(['\\', ' ']).to_owned());
                    text.push('\\');
                    continue;
                }
                let first = inner.split_whitespace().next().unwrap_or("");
                if next.len() > inner.len() || flag::is_option(first) {
                    text.push(' ');
                }
                text.push_str(inner);
            }
            (Some(before), None) => {
                text.truncate(before);
                return (text, taken);
            }
            (None, Some(next)) if !next.trim().is_empty() && open.of(&text) => {
                taken += 1;
                text.push('\n');
                text.push_str(next);
            }
            (None, Some(next)) => match mail::wrapped(&text, next) {
                Some(wrap) => {
                    taken += 1;
                    text.truncate(text.trim_end().len());
                    open.trimmed(&text);
                    if wrap == Wrap::Word {
                        text.push(' ');
                    }
                    text.push_str(next.trim());
                }
                None => return (text, taken),
            },
            (None, None) => return (text, taken),
        }
    }
}

/// A command of the shell: QEMU's, or another.
fn take(command: Simple, paste: &mut Paste) {
    let Simple { mut words, redirections, .. } = command;
    let program = words.iter().position(|word| flag::is_program(word));
    let first_option = words.iter().position(|word| word.starts_with('-'));
    let of_net = words.iter().any(|word| flag::is_net(word));
    let (start, whole) = match (program, first_option) {
        (Some(at), _) => (at + 1, true),
        (None, Some(0)) if words.iter().any(|word| flag::is_option(word)) => (0, false),
        // `$QEMU -netdev ...`, or a program of another name.
        (None, Some(at)) if of_net => (at, true),
        _ => {
            paste.unread.push(words.join(" "));
            return;
        }
    };
    let after = words.split_off(start);
    let before = &words[..words.len() - usize::from(whole)];
    let before: Vec<&str> =
        before.iter().map(String::as_str).filter(|word| *word != "exec").collect();
    if !before.is_empty() {
        paste.unread.push(before.join(" "));
    }
    paste.unread.extend(redirections);
    paste.pieces.push(Piece::CommandLine { words: after, whole });
}
