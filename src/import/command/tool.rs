//! Commands that are arguments of other programs: of virsh, of a pipe to a monitor's socket, of scripts that
//! talk to it.

use super::{Call, literal::Constants, text::quoted, verb};

/// Programs that talk to a socket.
pub(in crate::import) const TALKERS: &[&str] = &[
    "nc",
    "ncat",
    "netcat",
    "telnet",
    "socat",
    "qmp",
    "hmp",
    "qmp-shell",
    "hmp-shell",
    "websocat",
];

/// A command in a line of a shell: the bytes that it takes, and what says whose it is.
pub(super) struct Argument {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) call: Option<Call>,
    pub(super) near: String,
}

/// What `virsh qemu-monitor-command DOMAIN ...` gives, where the program's argument begins behind `at`.
pub(super) fn of_virsh(text: &str, at: usize, constants: &Constants) -> Option<Argument> {
    let mut words: Vec<(String, usize, usize)> = Vec::new();
    let mut rest = at;
    let mut domain = None;
    while let Some((word, start, end)) = next_word(text, rest) {
        rest = end;
        let is_option = words.is_empty() && word.starts_with("--");
        match word.as_str() {
            "--domain" => {
                let (word, _, end) = next_word(text, rest)?;
                (domain, rest) = (Some(word), end);
            }
            _ if is_option => {}
            _ if domain.is_none() => domain = Some(word),
            "--hmp" | "--pretty" | "--cmd" => {}
            _ => words.push((word, start, end)),
        }
    }
    let (start, end) = (words.first()?.1, words.last()?.2);
    let command: Vec<&str> = words.iter().map(|(word, ..)| word.as_str()).collect();
    let command = command.join(" ");
    let call = verb::typed(&command, constants).or_else(|| {
        let name = command.split(' ').next()?;
        verb::is_qmp(name).then_some(())?;
        None
    });
    Some(Argument { start, end, call, near: domain.unwrap_or_default() })
}

/// The word that begins behind a place, in the same command: without its quotes, and where it begins and ends.
fn next_word(text: &str, from: usize) -> Option<(String, usize, usize)> {
    let mut at = from;
    loop {
        let rest = &text[at..];
        let c = rest.chars().next()?;
        let is_broken = rest.starts_with("\\\n") || rest.starts_with("\\\r\n");
        // The next string of a list.
        let is_between = matches!(c, ' ' | '\t' | ',') || is_broken;
        if is_between {
            at += if is_broken { rest.find('\n')? + 1 } else { 1 };
            continue;
        }
        if rest.starts_with('\\') && rest[1..].starts_with(['"', '\'']) {
            at += 1;
            continue;
        }
        break;
    }
    let rest = &text[at..];
    let first = rest.chars().next()?;
    if "\n;|&)]}#`<>".contains(first) {
        return None;
    }
    if matches!(first, '"' | '\'') {
        if let Some((word, end)) = quoted(text, at) {
            let is_closing = word.is_empty() || word.starts_with([' ', ',', ';', ')']);
            // The string that the whole command stands in ends here, or the program's own word does.
            return match is_closing && end > at + 1 {
                true => next_word(text, at + 1),
                false => Some((word, at, end)),
            };
        }
        // Over several lines.
        let end = text[at + 1..].find(first).filter(|end| *end < super::text::MOST)? + at + 1;
        let word = &text[at + 1..end];
        return word.trim_start().starts_with('{').then(|| (word.to_owned(), at, end + 1));
    }
    let end = rest
        .find(|c: char| c.is_whitespace() || "\"'`;|&)]<>,".contains(c) && !rest.starts_with('{'))
        .unwrap_or(rest.len());
    // `object_add filter-mirror,id=m` without quotes is one word.
    let end = if rest[..end].is_empty() { return None } else { end };
    let whole = rest[end..].starts_with(',').then(|| {
        rest.find(|c: char| c.is_whitespace() || "\"'`;|&)".contains(c)).unwrap_or(rest.len())
    });
    let end = whole.filter(|whole| rest[end + 1..*whole].contains('=')).unwrap_or(end);
    Some((rest[..end].to_owned(), at, at + end))
}

/// Whether a line runs a program that talks to a socket.
pub(super) fn is_talker(text: &str) -> bool {
    let words = text.split(|c: char| c.is_whitespace() || "|;&()\"'`".contains(c));
    let mut names = words.map(|word| word.rsplit('/').next().unwrap_or(word));
    names.any(|name| TALKERS.contains(&name))
}

/// `echo COMMAND | nc ...`, `nc ... <<< COMMAND`: without quotes, and a command alone in quotes, in one line.
pub(super) fn of_pipe(line: &str, constants: &Constants) -> Option<Argument> {
    let at = ["echo ", "printf "].iter().find_map(|name| Some((line.find(name)?, *name)));
    if let Some((at, name)) = at {
        let from = at + name.len();
        let end = from + line[from..].find('|')?;
        let near = line[end..].to_owned();
        let said = line[from..end].trim();
        let said = said.strip_prefix("-e ").or_else(|| said.strip_prefix("-n ")).unwrap_or(said);
        let plain = said
            .trim_matches(['"', '\'', '(', ')'])
            .trim_end_matches("\\n")
            .trim_end_matches("\\r");
        let call = verb::typed(plain, constants).filter(|_| is_talker(&near))?;
        return Some(Argument { start: from, end, call: Some(call), near });
    }
    let (before, said) = line.split_once("<<<")?;
    let plain = said.trim().trim_matches(['"', '\'']).trim_end_matches("\\n");
    let call = verb::typed(plain, constants).filter(|_| is_talker(before))?;
    Some(Argument {
        start: before.len(),
        end: line.len(),
        call: Some(call),
        near: before.to_owned(),
    })
}

/// `qom-set -s SOCKET PATH.PROPERTY VALUE` of QEMU's scripts.
pub(super) fn of_qom(line: &str) -> Option<Argument> {
    let at = ["qom-set ", "qom-get "].iter().find_map(|name| line.find(name))?;
    let mut words = line[at..].split_whitespace();
    let name = words.next()?;
    let (mut near, mut plain) = (String::new(), Vec::new());
    while let Some(word) = words.next() {
        match word {
            "-s" | "--socket" => words.next()?.clone_into(&mut near),
            "|" | ";" | "&&" | ">" => break,
            _ => plain.push(word.trim_matches(['"', '\'', '`'])),
        }
    }
    let (path, property) =
        plain.first()?.rsplit_once('.').filter(|(path, _)| path.starts_with('/'))?;
    let mut command = format!("{name} {path} {property}");
    match (name, plain.as_slice()) {
        ("qom-get", [_]) => {}
        ("qom-set", [_, value]) => command += &format!(" {value}"),
        _ => return None,
    }
    let call = verb::typed(&command, &Constants::new())?;
    Some(Argument { start: at, end: line.len(), call: Some(call), near })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("qemu-monitor-command d --hmp 'object_del f'", "d: object-del")]
    #[case("qemu-monitor-command --hmp d object_del f", "d: object-del")]
    #[case("qemu-monitor-command --domain d --pretty --hmp \"stop\"; x", "d: stop")]
    #[case("qemu-monitor-command d \\\n  --hmp system_reset`", "d: system_reset")]
    #[case("qemu-monitor-command\", \"d\", \"--hmp\", \"object_del f\"])", "d: object-del")]
    #[case("qemu-monitor-command d --hmp \\\"object_del f\\\"\"", "d: object-del")]
    #[case(
        "qemu-monitor-command d --hmp object_add filter-dump,id=f,netdev=n,file=x",
        "d: object-add"
    )]
    #[case(
        "qemu-monitor-command d --hmp object_add filter-dump,id=f,netdev=n,file=x\" && y",
        "d: object-add"
    )]
    fn virsh_gives_a_command(#[case] text: &str, #[case] expected: &str) {
        let found = of_virsh(text, "qemu-monitor-command".len(), &Constants::new()).unwrap();
        let name = found.call.map(|call| call.name).unwrap_or_default();
        assert_eq!(format!("{}: {name}", found.near), expected);
    }

    #[rstest]
    #[case("echo stop | nc -U /tmp/m", "stop")]
    #[case("echo 'object_del f' | sudo socat - unix:/tmp/m", "object-del")]
    #[case("nc -U /tmp/m <<< \"cont\"", "cont")]
    fn a_pipe_gives_a_command(#[case] line: &str, #[case] expected: &str) {
        let call = of_pipe(line, &Constants::new()).unwrap().call;
        assert_eq!(call.map(|call| call.name).as_deref(), Some(expected));
    }

    #[test]
    fn a_script_sets_a_property() {
        let found = of_qom("./qom-set -s /tmp/q /objects/f.status off").unwrap();
        assert_eq!(found.near, "/tmp/q");
        assert_eq!(found.call.unwrap().args["property"], "status");
    }
}
