//! Lines of a paste: which are a shell's, where one goes on, prompts and comments.

use super::{
    flag,
    mail::{self, Wrap},
    openness::Openness,
    paste::Paste,
    shell::{self, Shell},
};

/// A line without the backquotes around a command line: the last is none that a line goes on with.
pub(super) fn unticked(line: &str) -> &str {
    let inner = line.trim().strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
    inner.filter(|inner| !inner.contains('`') && flag::is_qemus(inner)).unwrap_or(line)
}

/// `-netdev tap,id=a` in one word is two.
pub(super) fn apart(words: Vec<String>) -> Vec<String> {
    let mut out = Vec::new();
    for word in words {
        let (first, rest) = word.split_once(' ').unwrap_or((&word, ""));
        if flag::is_net(first) && !rest.is_empty() {
            out.extend(word.split_whitespace().map(str::to_owned));
        } else if let Some((name, value)) =
            word.split_once('=').filter(|(name, _)| flag::is_net(name))
        {
            out.extend([name.to_owned(), value.to_owned()]);
        } else {
            out.push(closed(word));
        }
    }
    out
}

/// A word without the brackets that close what stands around it: `add_test(... -nic user)`.
fn closed(mut word: String) -> String {
    for (open, close) in [('(', ')'), ('[', ']')] {
        if word.ends_with(close) && !word.contains(open) {
            word.pop();
        }
    }
    word
}

/// Whether a line without a program says what an option may be.
pub(super) fn is_synopsis(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    let net = |word: &str| flag::is_net(word.trim_start_matches(['`', '[']));
    !words.iter().any(|word| flag::is_program(word))
        && words.windows(2).any(|pair| net(pair[0]) && flag::is_synopsis(pair[1]))
}

/// Words without the options whose values say what may stand there.
pub(super) fn without_synopsis(words: Vec<String>, unread: &mut Vec<String>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for word in words {
        match out.last().cloned() {
            Some(last) if flag::is_net(&last) && flag::is_synopsis(&word) => {
                out.pop();
                unread.push(format!("{last} {word}"));
            }
            _ => out.push(word),
        }
    }
    out
}

/// A line whose options stand behind a tag, `[rr]-object`, or have `;` between them, with blanks
/// there. None where it has them already.
pub(super) fn plain(line: &str) -> Option<String> {
    let listed = line.split(';').filter(|word| flag::is_net(word.trim_matches('"'))).count() > 0
        && line.contains(';')
        && !line.split(';').any(|part| part.trim().contains(" -"));
    if listed {
        return Some(line.replace(';', " "));
    }
    // A loop behind a prompt.
    let typed = line.strip_prefix("$ ").map(str::trim_start);
    let loops =
        |typed: &&str| ["for ", "while ", "until "].iter().any(|word| typed.starts_with(word));
    if let Some(typed) = typed.filter(loops) {
        return Some(typed.to_owned());
    }
    // `set net -netdev tap,id=a` of fish.
    if let Some(rest) = line.strip_prefix("set ")
        && !rest.starts_with("-- ")
        && flag::is_qemus(rest)
        && rest.split_whitespace().any(flag::is_net)
    {
        let mut words =
            rest.split_whitespace().skip_while(|word| word.starts_with('-') && word.len() <= 3);
        let name = words.next()?;
        if !name.starts_with('-') && !name.contains('=') {
            let words: Vec<&str> = words.collect();
            let words = words.join(" ").replace('"', "\\\"");
            let words = words.strip_prefix("[list ").map(|list| list.trim_end_matches(']'));
            let words = words.map_or_else(|| rest_of(rest, name), str::to_owned);
            return Some(format!("{name}=\"{words}\""));
        }
    }
    // `set name value` of Tcl and fish.
    if let ["set", name, value] = line.split_whitespace().collect::<Vec<_>>().as_slice()
        && shell::assignment(&format!("{name}=")).is_some()
        && !value.contains('=')
    {
        return Some(format!("{name}={value}"));
    }
    // `lappend args -netdev tap,id=a` and `{*}$args` of Tcl.
    if let Some((name, words)) = line.strip_prefix("lappend ").and_then(|it| it.split_once(' ')) {
        return Some(format!("{name}+=\" {}\"", words.replace('"', "\\\"")));
    }
    if line.contains("{*}$") {
        return Some(line.replace("{*}$", "$"));
    }
    let at = line.match_indices("]-").map(|(at, _)| at + 1).find(|at| {
        let word = line[*at..].split(' ').next().unwrap_or_default();
        flag::is_net(word) || word == "-device"
    })?;
    let (before, after) = line.split_at(at);
    Some(format!("{before} {after}"))
}

/// What stands behind a name, in double quotes.
fn rest_of(text: &str, name: &str) -> String {
    let (_, rest) = text.split_once(name).unwrap_or(("", text));
    rest.trim().replace('"', "\\\"")
}

/// The line after a shell's prompt: `user@host:~# `, `[user@host ~]$ `, `$ `, `C:\> `. A `# ` is one
/// only before a command or an assignment, else it begins a comment.
pub(super) fn without_prompt(line: &str) -> &str {
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

/// The host that a line is of, and what it says: `Feb 11 07:30:01 HOST program[1]: ...` of a log, and
/// `user@HOST:~$ ...`, of which the prompt is kept.
pub(super) fn on_host(line: &str) -> Option<(&str, &str)> {
    let is_name = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_alphabetic())
            && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    let line = line.trim();
    if without_prompt(line) != line
        && let Some((_, behind)) = line.split_once('@')
    {
        let end = behind.find([':', ' ', '~', ']', '$', '#', '>'])?;
        return Some((&behind[..end], line)).filter(|(host, _)| is_name(host));
    }
    let mut rest = line;
    let mut is_timed = false;
    for _ in 0..4 {
        let (word, after) = rest.split_once(' ')?;
        rest = after.trim_start();
        let mut digits = word.rsplit(['T', ' ']).next()?.split(':');
        is_timed = digits.clone().count() >= 3
            && digits.all(|part| part.starts_with(|c: char| c.is_ascii_digit()));
        if is_timed {
            break;
        }
    }
    let (host, after) = rest.split_once(' ').filter(|(host, _)| is_timed && is_name(host))?;
    let (program, text) = after.trim_start().split_once(": ")?;
    (!program.contains(' ')).then_some((host, text.trim_start()))
}

pub(super) fn is_comment(line: &str) -> bool {
    line.starts_with('#') || line.starts_with("REM ") || line.starts_with("::")
}

/// Most words of a log before the name of the program that says something.
const MOST_BEFORE_SAID: usize = 3;

/// Whether a line is the shell's: options that a scenario is made of, an assignment, or a program
/// of QEMU's or an option whose line goes on or has variables.
pub(super) fn is_shell(line: &str, shell: &Shell) -> bool {
    let words = || {
        line.split([' ', '\t', '(', ';', '&', '|'])
            .map(|word| word.trim_matches(['"', '\'', '(', ')']))
    };
    // What a program says, behind the time or the host in a log.
    let says_so = words()
        .take(MOST_BEFORE_SAID)
        .any(|word| word.strip_suffix(':').is_some_and(flag::is_program));
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
    // `exec $cmd`
    let held = line.split(|c: char| !(c.is_ascii_alphanumeric() || "_$".contains(c)));
    let held = held.filter_map(|word| shell.value(word.strip_prefix('$')?)).flatten();
    let held = line.contains('$') && held.into_iter().any(|text| flag::is_qemus(text));
    let called = line.split_whitespace().next().is_some_and(|word| shell.has_function(word));
    assigns
        || line.contains("$@") && shell.has_arguments()
        || line.starts_with("set -- ")
        || held
        || called
        || line.starts_with("eval ")
        || feeds_monitor(line)
        || shell::opens_socket(line)
        || ["declare ", "typeset ", "local ", "readonly ", "unset "].iter().any(|word| {
            line.strip_prefix(word).is_some_and(|rest| rest.contains('=') || *word == "unset ")
        })
        || first
        || words().any(flag::is_net)
        || line.contains("-device ") && line.contains("netdev=")
        || (program && (option || goes_on))
        || (option && goes_on)
}

/// Whether what a line prints goes to a socket: `echo cont | nc -U /tmp/mon`.
fn feeds_monitor(line: &str) -> bool {
    let mut behind = line.split('|').skip(1).filter_map(|part| part.split_whitespace().next());
    let prints = ["echo", "printf"].iter().any(|word| line.contains(word));
    prints
        && behind.any(|word| {
            matches!(word.rsplit('/').next(), Some("nc" | "ncat" | "netcat" | "socat" | "telnet"))
        })
}

/// A line with those that belong to it: continued by `\`, `^` or a backtick, whatever blanks follow;
/// inside quotes and arrays; wrapped by mail. Comments in between are left out.
pub(super) fn logical(lines: &[&str], paste: &mut Paste) -> (String, usize) {
    let mut text = without_prompt(lines[0].trim()).to_owned();
    let mut open = Openness::default();
    let mut taken = 1;
    loop {
        let next = lines.get(taken).copied();
        let ended = text.trim_end().strip_suffix(['\\', '^', '`']);
        // Two where the text is escaped: in .rst, in JSON, in C.
        let ended = ended.map(|text| text.strip_suffix('\\').unwrap_or(text).len());
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
