//! Makefiles, units of systemd, Dockerfiles and batch files, as the shell's text that says the same.
//! Their variables are a shell's: the last assignment before a use counts.

use std::collections::BTreeMap;

use super::{flag, limit::MAX_WRITTEN, shell};

mod expand;
mod gnu;

pub(super) use gnu::talking;

use gnu::makefile;

/// The text as a shell's, where it is of one of these forms; which branches are taken goes to `branches`.
pub(super) fn shell_text(text: &str, branches: &mut Vec<String>) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    if text.contains("{{") && lines.iter().any(|line| just_assignment(line).is_some()) {
        return Some(justfile(&lines));
    }
    if lines.iter().any(|line| powershell(line).is_some()) {
        let converted = lines.iter().map(|line| {
            powershell(line)
                .unwrap_or_else(|| line.trim_start().strip_prefix("& ").unwrap_or(line).to_owned())
        });
        return Some(converted.collect::<Vec<_>>().join("\n"));
    }
    if is_makefile(&lines) {
        return Some(makefile(&lines, branches));
    }
    if lines.iter().any(|line| line.trim_start().starts_with("ExecStart")) {
        let instances = instances(&lines);
        if instances.is_empty() {
            return Some(unit(&lines));
        }
        // What one instance sets is not set for the next.
        let names = instances.iter().flat_map(|(_, settings)| settings);
        let names = names.filter_map(|line| Some(shell::assignment(line)?.0));
        let unset = names.map(|name| format!("unset {name}\n")).collect::<String>();
        let units = instances.iter().map(|(name, settings)| {
            let lines: Vec<String> = lines.iter().map(|line| line.replace("%i", name)).collect();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let settings = settings.iter().map(|line| format!("{line}\n")).collect::<String>();
            format!("{unset}{settings}{}", unit(&lines))
        });
        return Some(units.collect());
    }
    if is_dockerfile(&lines) {
        return Some(dockerfile(&lines));
    }
    if lines.iter().any(|line| is_batch(line)) {
        return Some(batch(&lines));
    }
    None
}

/// `name := "value"` of a justfile.
fn just_assignment(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(":=")?;
    let value = value.trim().trim_matches(['"', '\'']);
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    let name = name.trim();
    (!name.is_empty() && name.chars().all(plain)).then_some((name, value))
}

fn justfile(lines: &[&str]) -> String {
    let mut out = String::new();
    for line in lines {
        if let Some((name, value)) = just_assignment(line) {
            out += &format!("{}={}\n", plain(name), quoted(value));
            continue;
        }
        let recipe = line.starts_with([' ', '\t']);
        if !recipe && line.trim_end().ends_with(':') {
            // What a recipe takes, where it has a default: `boot port="9003":`.
            let words = line.trim_end().trim_end_matches(':').split_whitespace();
            for (name, _, value) in words.filter_map(shell::assignment) {
                out += &format!("{name}={}\n", quoted(value.trim_matches(['"', '\''])));
            }
            continue;
        }
        let mut text = line.trim().trim_start_matches('@').to_owned();
        while let Some((before, rest)) = text.split_once("{{") {
            let Some((name, after)) = rest.split_once("}}") else { break };
            text = format!("{before}${{{}}}{after}", plain(name.trim()));
        }
        out += &format!("{text}\n");
    }
    out
}

/// `$name = "value"` of PowerShell, as a shell has it.
fn powershell(line: &str) -> Option<String> {
    let (name, value) = line.trim().strip_prefix('$')?.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    (plain && value.starts_with(['"', '\'']) && !value.ends_with(',') && !value.ends_with(';'))
        .then(|| format!("{name}={value}"))
}

/// `NAME = value`, `NAME := value`, `NAME += value`, `NAME ?= value` of a makefile.
fn make_assignment(line: &str) -> Option<(&str, &str, &str)> {
    let line = line.trim_start_matches("export ").trim_start_matches("override ");
    let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || "_.-,".contains(c)))?;
    let (name, rest) = line.split_at(end);
    let rest = rest.trim_start();
    let operator =
        [":=", "::=", "+=", "?=", "="].into_iter().find(|mark| rest.starts_with(mark))?;
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || "_,".contains(c));
    plain.then(|| (name, operator, rest[operator.len()..].trim()))
}

fn is_makefile(lines: &[&str]) -> bool {
    let target = |line: &&str| {
        line.split_once(':').is_some_and(|(name, rest)| {
            !name.is_empty()
                && !name.starts_with([' ', '\t', '-', '#'])
                && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-./%$() ".contains(c))
                && !rest.starts_with(['=', '/', '\\'])
        })
    };
    let recipes = lines.windows(2).any(|pair| target(&pair[0]) && pair[1].starts_with('\t'));
    let spaced = |line: &&str| {
        let assigned = make_assignment(line);
        assigned.is_some_and(|(name, _, _)| line[name.len()..].starts_with([' ', ':', '+', '?']))
    };
    let uses = lines.iter().any(|line| line.contains("$("));
    let quoted = lines
        .iter()
        .any(|line| spaced(line) && line.contains(['"', '\'', '[']) && !line.contains("$("));
    (recipes || uses && !quoted) && lines.iter().any(spaced) || recipes && uses
}

/// A line with those that go on from it.
fn continued(lines: &[&str], at: &mut usize) -> String {
    let mut line = lines[*at].trim().to_owned();
    *at += 1;
    while line.ends_with('\\') && *at < lines.len() {
        line.pop();
        let next = lines[*at].trim();
        *at += 1;
        if next.starts_with(['#', ';']) {
            line.push('\\');
            continue;
        }
        line.push(' ');
        line.push_str(next);
    }
    line
}

/// A name that a shell takes.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// The instances of a template unit, `name@INSTANCE`, with what the text has of the file of each that
/// `EnvironmentFile=` names.
fn instances<'a>(lines: &[&'a str]) -> Vec<(String, Vec<&'a str>)> {
    let mut found: Vec<(String, Vec<&str>)> = Vec::new();
    if !lines.iter().any(|line| line.contains("%i")) {
        return found;
    }
    let file = lines.iter().find_map(|line| line.trim().strip_prefix("EnvironmentFile="));
    let file = file.and_then(|file| file.trim_start_matches('-').split_once("%i"));
    for (at, line) in lines.iter().enumerate() {
        if line.trim_start().starts_with("EnvironmentFile=") {
            continue;
        }
        let instance = file.and_then(|(before, after)| {
            let behind = &line[line.find(before)? + before.len()..];
            Some(&behind[..behind.find(after)?])
        });
        let plain = |name: &&str| {
            !name.is_empty()
                && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_:.".contains(c))
        };
        if let Some(name) = instance.filter(plain) {
            let settings = lines[at + 1..].iter().map(|line| line.trim());
            let settings = settings.skip_while(|line| shell::assignment(line).is_none());
            let is_setting =
                |line: &&str| line.starts_with('#') || shell::assignment(line).is_some();
            let settings: Vec<&str> = settings.take_while(is_setting).collect();
            if !found.iter().any(|(other, _)| other == name) {
                found.push((name.to_owned(), settings));
            }
            continue;
        }
        // `systemctl enable --now labvm@ping`
        let starts = line.contains("systemctl ");
        for word in line.split_whitespace().filter(|_| starts) {
            let name = word.split_once('@').map(|(_, name)| name.trim_end_matches(".service"));
            if let Some(name) = name.filter(plain)
                && !found.iter().any(|(other, _)| other == name)
            {
                found.push((name.to_owned(), Vec::new()));
            }
        }
    }
    found
}

fn unit(lines: &[&str]) -> String {
    let mut out = String::new();
    let mut at = 0;
    while at < lines.len() {
        let line = continued(lines, &mut at);
        let Some((key, value)) = line.split_once('=') else {
            out += &format!("# {line}\n");
            continue;
        };
        match key.trim() {
            "Environment" => {
                for word in unquoted(value) {
                    out += &match word.split_once('=') {
                        Some((name, value)) => format!("{name}={}\n", quoted(value)),
                        None => format!("# {word}\n"),
                    };
                }
            }
            key if key.starts_with("Exec") => {
                out += &format!(
                    "{}\n",
                    specifiers(value.trim_start_matches(['-', '@', ':', '+', '!']))
                );
            }
            _ => out += &format!("# {line}\n"),
        }
    }
    out
}

/// The words of a unit's line, of which quotes may hold one together: `"A=b c" D=e` (systemd.syntax(7)).
fn unquoted(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let (mut word, mut open) = (String::new(), None);
    for c in line.chars() {
        match open {
            Some(quote) if c == quote => open = None,
            Some(_) => word.push(c),
            None if c == '"' || c == '\'' => open = Some(c),
            None if c.is_whitespace() => {
                words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
            }
            None => word.push(c),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

/// `%i` of a template unit is a variable.
fn specifiers(text: &str) -> String {
    let text = text.replace("%i", "${instance}").replace("%I", "${instance}");
    text.replace("%n", "${unit}").replace("%t", "/run").replace("%%", "%")
}

fn is_dockerfile(lines: &[&str]) -> bool {
    lines.iter().any(|line| line.starts_with("FROM "))
        || lines.iter().any(|line| {
            (line.starts_with("CMD ") || line.starts_with("ENTRYPOINT ")) && flag::is_qemus(line)
        })
}

fn dockerfile(lines: &[&str]) -> String {
    let mut out = String::new();
    let mut entry: Option<String> = None;
    // Files that the text has, each with where it is put.
    let mut scripts: Vec<(String, String)> = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        if let Some((file, text, taken)) = here_document(&lines[at..]) {
            at += taken;
            match file {
                Some(file) => scripts.push((file, text)),
                None => out += &text,
            }
            continue;
        }
        let line = continued(lines, &mut at);
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let rest = rest.trim();
        let command = match serde_json::from_str::<Vec<String>>(rest) {
            Ok(words) => words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "),
            Err(_) => rest.to_owned(),
        };
        match word {
            "ENV" | "ARG" => out += &settings(rest),
            "ENTRYPOINT" => entry = Some(command),
            "CMD" => {
                let entry = entry.take().map(|entry| entry + " ").unwrap_or_default();
                out += &started_script(&mut scripts, &format!("{entry}{command}"));
            }
            "RUN" => out += &format!("{command}\n"),
            _ => out += &format!("# {line}\n"),
        }
    }
    if let Some(entry) = entry {
        out += &started_script(&mut scripts, &entry);
    }
    out + &scripts.into_iter().map(|(_, text)| text).collect::<String>()
}

/// `A=b C=d`, or `A b`, as assignments of a shell.
fn settings(rest: &str) -> String {
    let words = unquoted(rest);
    let pairs: Vec<(&str, &str)> = match words.first() {
        Some(first) if !first.contains('=') => rest.split_once(' ').into_iter().collect(),
        _ => words.iter().filter_map(|word| word.split_once('=')).collect(),
    };
    let named =
        pairs.into_iter().filter(|(name, _)| shell::assignment(&format!("{name}=")).is_some());
    named
        .map(|(name, value)| format!("{name}={}\n", quoted(value.trim().trim_matches('"'))))
        .collect()
}

/// A file or a script that stands in the text: `COPY <<EOF /path`, `RUN <<EOF`. Where it is put, its text, and
/// how many lines it takes.
fn here_document(lines: &[&str]) -> Option<(Option<String>, String, usize)> {
    let first = lines.first()?;
    let word = first.split(' ').next()?;
    let (_, behind) = first.split_once("<<").filter(|_| ["COPY", "ADD", "RUN"].contains(&word))?;
    let mut words = behind.trim_start_matches('-').split_whitespace();
    let mark = words.next()?.trim_matches(['"', '\'']);
    let length = lines[1..].iter().position(|line| line.trim() == mark)?;
    let text = lines[1..=length].iter().map(|line| format!("{line}\n")).collect();
    let file = words.next().map(str::to_owned).filter(|_| word != "RUN");
    Some((file, text, length + 2))
}

/// A command, or the text of the script that it is, with its arguments.
fn started_script(scripts: &mut Vec<(String, String)>, command: &str) -> String {
    let mut words = unquoted(command).into_iter();
    let first = words.next().unwrap_or_default();
    match scripts.iter().position(|(file, _)| *file == first) {
        Some(at) => {
            let (_, text) = scripts.remove(at);
            let given: Vec<String> = words.map(|word| quoted(&word)).collect();
            format!("set -- {}\n{text}", given.join(" "))
        }
        None => format!("{command}\n"),
    }
}

/// A word in double quotes, so that its variables are still variables.
fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"").replace('`', "\\`"))
}

/// `set NAME=value` of a batch file.
fn is_batch(line: &str) -> bool {
    let lower = line.trim().to_lowercase();
    let set =
        lower.strip_prefix("set ").map(|rest| rest.trim_start_matches("/a ").trim_matches('"'));
    lower == "@echo off" || set.is_some_and(|rest| shell::assignment(rest).is_some())
}

/// Variables are put in place as text, quotes and all, and a backslash is one.
fn batch(lines: &[&str]) -> String {
    let mut set: BTreeMap<String, String> = BTreeMap::new();
    let mut out = String::new();
    let mut budget = MAX_WRITTEN;
    for line in lines {
        let trimmed = line.trim();
        let lower = trimmed.to_lowercase();
        if lower.starts_with("rem ") || trimmed.starts_with("::") || lower == "@echo off" {
            out += &format!("# {trimmed}\n");
            continue;
        }
        let text = percent(trimmed, &set, &mut budget);
        if lower.starts_with("set ") && is_batch(trimmed) {
            let rest = text[4..].trim().trim_start_matches("/a ");
            let rest =
                rest.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(rest);
            let (name, value) = rest.split_once('=').unwrap_or((rest, ""));
            set.insert(name.trim().to_lowercase(), value.to_owned());
            continue;
        }
        let text = text.strip_prefix('@').unwrap_or(&text);
        out += &format!("{}\n", started(text).replace('\\', "\\\\"));
    }
    // What is set and not used holds options too.
    if !flag::is_qemus(&out) {
        for (name, value) in set.iter().filter(|(_, value)| flag::is_qemus(value)) {
            out += &format!("{}={}\n", plain(name), quoted(value));
        }
    }
    out
}

/// The command of `start "TITLE" /min COMMAND`.
fn started(line: &str) -> &str {
    let Some(mut rest) = line.strip_prefix("start ").map(str::trim_start) else {
        return line;
    };
    if let Some((_, after)) = rest.strip_prefix('"').and_then(|title| title.split_once('"')) {
        rest = after.trim_start();
    }
    while rest.starts_with('/') {
        rest = rest.split_once(' ').map_or("", |(_, after)| after.trim_start());
    }
    rest
}

/// `%NAME%` and `!NAME!` as what they hold, or as `${NAME}`.
fn percent(line: &str, set: &BTreeMap<String, String>, budget: &mut usize) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(['%', '!']) {
        let mark = &rest[at..=at];
        let (before, inner) = (&rest[..at], &rest[at + 1..]);
        out.push_str(before);
        match inner.split_once(mark) {
            Some((name, after))
                if !name.is_empty()
                    && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') =>
            {
                match set.get(&name.to_lowercase()).filter(|value| value.len() <= *budget) {
                    Some(value) => {
                        *budget -= value.len();
                        out += value;
                    }
                    None => out += &format!("${{{name}}}"),
                }
                rest = after;
            }
            _ => {
                out.push_str(mark);
                rest = inner;
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::make(
        "ID = hn0\nNET := -netdev tap,id=$(ID)\nNET += -S\nrun: x\n\t@$(QEMU) $(NET)\n",
        "${QEMU} -netdev tap,id=hn0 -S\n"
    )]
    #[case::branches("ifneq ($(A),1)\nX = 1\nelse\nX = 2\nendif\nrun:\n\tq $(X)\n", "q 1\n")]
    #[case::unit(
        "[Service]\nEnvironment=A=1\nExecStart=-/usr/bin/q \\\n  -x %i\n",
        "# [Service]\nA=\"1\"\n/usr/bin/q  -x ${instance}\n"
    )]
    #[case::unit_with_quotes(
        "[Service]\nEnvironment=\"NET=-netdev tap,id=a\" B=c\nExecStart=q $NET\n",
        "# [Service]\nNET=\"-netdev tap,id=a\"\nB=\"c\"\nq $NET\n"
    )]
    #[case::docker(
        "FROM x\nENV A=b\nENTRYPOINT [\"qemu-system-x86_64\"]\nCMD [\"-nic\", \"user\"]\n",
        "# FROM x\nA=\"b\"\n\"qemu-system-x86_64\" \"-nic\" \"user\"\n"
    )]
    #[case::docker_with_a_script(
        "FROM x\nENV A=b \\\n  C=d\nCOPY <<'E' /e.sh\nq \"$@\"\nE\nENTRYPOINT [\"/e.sh\"]\nCMD [\"-S\"]\n",
        "# FROM x\nA=\"b\"\nC=\"d\"\nset -- \"-S\"\nq \"$@\"\n"
    )]
    #[case::batch("@echo off\nset A=b\nqemu.exe -x %A%\n", "# @echo off\nqemu.exe -x b\n")]
    #[case::batch_paths(
        "@echo off\nset Q=\"C:\\Q E\\qemu.exe\"\nset D=D:\\v\nstart \"a b\" /min %Q% -x file=%D%\\a %U%\n",
        "# @echo off\n\"C:\\\\Q E\\\\qemu.exe\" -x file=D:\\\\v\\\\a ${U}\n"
    )]
    fn files_are_shell_text(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(shell_text(text, &mut Vec::new()).as_deref(), Some(expected));
    }

    #[rstest]
    #[case("A=1\nqemu-system-x86_64 -netdev tap,id=$(id -u)\n")]
    #[case("cmd = [\"qemu\", x(\"-netdev\")]\n")]
    #[case("primary:\n-netdev tap,id=a\n")]
    fn other_texts_are_not(#[case] text: &str) {
        assert_eq!(shell_text(text, &mut Vec::new()), None);
    }
}
