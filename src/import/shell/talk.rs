//! What a script writes to monitors: through pipes to `socat` and `nc`, here-documents, descriptors and
//! coprocesses, on other hosts, and in loops that read lines.

use std::rc::Rc;

use rable::{Node, NodeKind};

use super::{MAX_TURNS, Printed, Shell, Simple, output::print};
use crate::import::command::TALKERS;

/// Programs that run another one.
const RUNNERS: &[&str] = &[
    "sudo", "timeout", "env", "nice", "stdbuf", "unbuffer", "exec", "docker", "podman", "kubectl",
    "ip", "ssh", "chroot", "nsenter", "lxc", "rlwrap", "command", "python3", "python",
];
/// Programs that run the text of a shell.
const SHELLS: &[&str] = &[
    "sh",
    "bash",
    "dash",
    "ash",
    "zsh",
    "ssh",
    "sudo",
    "su",
    "docker",
    "podman",
    "kubectl",
    "lxc",
    "timeout",
    "env",
    "nohup",
    "ip",
    "chroot",
    "nsenter",
    "setsid",
    "virsh",
    "incus",
    "machinectl",
];
/// Most words before the program that another one runs.
const MOST_BEFORE: usize = 9;

/// Where a command stands in the text of its shell: characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::import) struct Place {
    source: Rc<str>,
    start: usize,
    end: usize,
}

impl Place {
    pub(super) fn of(node: &Node, source: &Rc<str>) -> Self {
        Self { source: Rc::clone(source), start: node.span.start, end: node.span.end }
    }

    /// All of a text, such as a here-document.
    fn whole(text: &str) -> Self {
        Self { source: text.into(), start: 0, end: usize::MAX }
    }

    /// The lines that it stands in, each from its first letter to its last.
    pub(in crate::import) fn lines(&self) -> impl Iterator<Item = &str> {
        let byte = |at: usize| {
            let mut bytes = self.source.char_indices().map(|(byte, _)| byte);
            bytes.nth(at).unwrap_or(self.source.len())
        };
        let start = byte(self.start);
        let end = byte(self.end).max(start);
        let first = self.source[..start].rfind('\n').map_or(0, |at| at + 1);
        let last = self.source[end..].find('\n').map_or(self.source.len(), |at| end + at);
        self.source[first..last].lines().map(str::trim).filter(|line| !line.is_empty())
    }

    /// Where the text is, and the first character: the same for each turn of a loop.
    pub(in crate::import) fn key(&self) -> (usize, usize, usize) {
        (self.source.as_ptr() as usize, self.start, self.end)
    }
}

/// Words as they are written, without quotes around them.
fn values(words: &[Node]) -> Vec<String> {
    let value = |node: &Node| match &node.kind {
        NodeKind::Word { value, .. } => Some(value.trim_matches(['"', '\'']).to_owned()),
        _ => None,
    };
    words.iter().filter_map(value).collect()
}

fn base(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// Whether a command takes to a socket what it reads.
pub(super) fn is_talker(words: &[String]) -> bool {
    let mut tokens = words.iter().flat_map(|word| word.split_whitespace()).map(base);
    match tokens.next() {
        Some(first) if TALKERS.contains(&first) => true,
        Some(first) if RUNNERS.contains(&first) => {
            tokens.take(MOST_BEFORE).any(|word| TALKERS.contains(&word))
        }
        _ => false,
    }
}

/// Whether a text has a program that takes something to a socket.
pub(in crate::import) fn has_talker(text: &str) -> bool {
    tokens(text).any(|word| TALKERS.contains(&base(word)))
}

fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let ends = |c: char| c.is_whitespace() || "|;&()\"'`<>".contains(c);
    text.split(ends).filter(|word| !word.is_empty())
}

/// Whether a text takes something to a socket by itself.
fn is_talk(text: &str) -> bool {
    has_talker(text) && (text.contains('|') || text.contains("<<") || text.contains("/dev/tcp/"))
}

/// Whether a text is a script that talks to monitors: one that a shell is named for, or with its loops and functions.
pub(in crate::import) fn talks(text: &str) -> bool {
    let is_mark = |line: &str| {
        let line = line.trim();
        let line = line.split(" #").next().unwrap_or(line).trim_end();
        let is_function = line.ends_with("() {") || line.ends_with("(){");
        let named = line.starts_with("#!") && line.ends_with("sh");
        is_function || named || matches!(line, "done" | "fi" | "esac") || line.starts_with("done <")
    };
    (has_talker(text) || text.contains("/dev/tcp/")) && text.lines().any(is_mark)
}

/// Whether a line opens a socket for those below it, or writes to one that is open.
pub(in crate::import) fn opens_socket(line: &str) -> bool {
    let opens = line.starts_with("exec ") && line.contains("/dev/tcp/")
        || line.starts_with("exec ") && line.contains(">(") && has_talker(line)
        || line.starts_with("coproc ") && has_talker(line);
    let writes = line.split_once(">&").is_some_and(|(_, behind)| {
        let number = behind.trim_start_matches(['"', '$', '{', ' ']);
        number.starts_with(|c: char| "3456789".contains(c)) || behind.contains('$')
    });
    opens || writes && ["echo ", "printf ", "cat "].iter().any(|word| line.starts_with(word))
}

impl Shell {
    /// Whether a text takes something to a socket, or calls a function of the paste that does.
    pub(super) fn leads_to_talk(&self, text: &str) -> bool {
        has_talker(text)
            || !self.descriptors.is_empty() && text.contains(">&")
            || tokens(text).any(|word| self.talking.contains(word))
    }

    /// A function that takes something to a socket is one of those that do.
    pub(super) fn hears(&mut self, name: &str, body: &str) {
        if self.leads_to_talk(body) || body.contains("/dev/tcp/") {
            self.talking.insert(name.to_owned());
        }
    }

    /// Follows a way that the script may not go, for what it writes to monitors.
    pub(super) fn follow_aside(&mut self, node: &Node, source: &Rc<str>) -> bool {
        let (count, outer) = (self.commands.len(), std::mem::replace(&mut self.is_aside, true));
        self.node(node, source);
        self.is_aside = outer;
        self.commands.len() > count
    }

    /// `echo cont | socat - unix:... | tail`: what is printed goes to a monitor, or to lines that are read.
    pub(super) fn fed(&mut self, commands: &[Node], source: &Rc<str>) -> bool {
        let takes = |shell: &Self, node: &Node| match &node.kind {
            NodeKind::Command { words, .. } => {
                let words = values(words);
                is_talker(&words) || words.first().is_some_and(|word| shell.talking.contains(word))
            }
            NodeKind::While { condition, .. } => reads(condition.source_text(source)).is_some(),
            _ => false,
        };
        let Some(at) = commands.iter().position(|node| takes(self, node)).filter(|at| *at > 0)
        else {
            return false;
        };
        let outer = self.printed.replace(Printed::default());
        let input = self.input.take();
        for node in &commands[..at] {
            let words = match &node.kind {
                NodeKind::Command { words, .. } => values(words),
                _ => Vec::new(),
            };
            if !matches!(words.first().map(|word| base(word)), Some("tee" | "stdbuf" | "unbuffer"))
            {
                self.node(node, source);
            }
        }
        let printed =
            std::mem::replace(&mut self.printed, outer).filter(|printed| !printed.unknown);
        let is_known = printed.is_some();
        if let Some(printed) = printed {
            self.input = Some(printed.text);
            let whole = commands.iter().map(|node| Place::of(node, source));
            let depth = self.calls.len();
            self.calls.extend(whole);
            self.node(&commands[at], source);
            self.calls.truncate(depth);
            if let Some(printed) = &mut self.printed {
                printed.unknown = true;
            }
        }
        self.input = input;
        is_known
    }

    /// A command that takes a text to a socket: by itself, or by a descriptor.
    pub(super) fn said(
        &mut self,
        words: &[String],
        redirects: &[Node],
        place: Option<Place>,
    ) -> bool {
        let (here, redirections) = self.redirections(redirects);
        let is_here = here.is_some();
        let talks = is_talker(words);
        let said = match talks {
            true => here.or_else(|| self.input.take()),
            false
                if self.descriptors.is_empty()
                    && !redirections.iter().any(|one| is_socket(one)) =>
            {
                None
            }
            false => print(words, here.as_deref().or(self.input.as_deref())),
        };
        let near = match talks {
            true => Some(words.join(" ")),
            false => redirections.iter().find_map(|one| self.descriptor(one)),
        };
        let (Some(said), Some(near)) = (said, near) else {
            return false;
        };
        let near = self.near.iter().cloned().chain([near]).collect::<Vec<_>>().join(" ");
        let mut places: Vec<Place> = self.calls.iter().cloned().chain(place).collect();
        for redirect in redirects.iter().filter(|_| is_here) {
            if let NodeKind::HereDoc { content, .. } = &redirect.kind {
                places.push(Place::whole(content));
            }
        }
        let words = if talks { words.to_vec() } else { Vec::new() };
        let part = self.part.clone();
        let talk = Some(Talk { said, near });
        let is_aside = self.is_aside;
        self.commands.push(Simple { words, part, talk, places, is_aside, ..Simple::default() });
        if let Some(printed) = &mut self.printed {
            printed.unknown = true;
        }
        true
    }

    /// The socket that a redirection leads to: `>&3`, `>/dev/tcp/HOST/PORT`.
    fn descriptor(&self, redirection: &str) -> Option<String> {
        let (_, target) = redirection.split_once('>')?;
        let target = target.trim_start_matches(['&', '>']);
        if is_socket(redirection) {
            return Some(target.replace("/dev/tcp/", "tcp:").replace('/', ":"));
        }
        let target = target.strip_prefix("/dev/fd/").unwrap_or(target);
        self.descriptors.get(target).cloned()
    }

    /// `exec 3<>/dev/tcp/HOST/PORT`, `exec 3> >(socat - unix:...)`, `exec {fd}<>...`.
    pub(super) fn opens(&mut self, redirects: &[Node]) {
        for redirect in redirects {
            let NodeKind::Redirect { op, target, fd, varfd } = &redirect.kind else { continue };
            let NodeKind::Word { value, .. } = &target.kind else { continue };
            let inner = value.strip_prefix(">(").and_then(|inner| inner.strip_suffix(')'));
            let socket = match inner {
                Some(inner) if has_talker(inner) => self.inner(inner).join(" "),
                _ => {
                    let target = self.one(target);
                    match target.strip_prefix("/dev/tcp/") {
                        Some(address) => format!("tcp:{}", address.replace('/', ":")),
                        None if op.contains(">&") => {
                            match self.descriptors.get(target.trim_start_matches('&')) {
                                Some(socket) => socket.clone(),
                                None => continue,
                            }
                        }
                        None => continue,
                    }
                }
            };
            let name = match varfd {
                Some(name) => {
                    let number = format!("fd-{name}");
                    self.assign(name, vec![number.clone()]);
                    number
                }
                None => fd.to_string(),
            };
            self.descriptors.insert(name, socket);
        }
    }

    /// `coproc NAME { socat - unix:...; }`: `${NAME[1]}` is where it reads.
    pub(super) fn coprocess(&mut self, name: Option<&str>, text: &str) -> bool {
        if !has_talker(text) {
            return false;
        }
        let name = name.unwrap_or("COPROC");
        let write = format!("coproc-{name}");
        self.assign(name, vec![format!("{write}-out"), write.clone()]);
        let text = text.trim().trim_matches(['{', '}', ';', ' ']).to_owned();
        let words = self.inner(&text).join(" ");
        self.descriptors.insert(write, words);
        true
    }

    /// `ssh HOST "echo stop | nc -U ..."`: the text of a shell that another program runs.
    pub(super) fn remote(
        &mut self,
        words: &[String],
        redirects: &[Node],
        place: Option<Place>,
    ) -> bool {
        let is_shell = words.first().is_some_and(|word| SHELLS.contains(&base(word)));
        if !is_shell {
            return false;
        }
        let inner = words.iter().skip(1).position(|word| word.contains(' ') && is_talk(word));
        let (here, _) = self.redirections(redirects);
        let (text, before) = match (inner, here.filter(|here| is_talk(here))) {
            (Some(at), _) => (words[at + 1].clone(), &words[..=at]),
            (None, Some(here)) if !is_talker(words) => (here, words),
            _ => return false,
        };
        let depth = self.calls.len();
        self.calls.extend(place);
        self.calls.push(Place::whole(&text));
        self.near.push(before.join(" "));
        self.text(&text);
        self.near.pop();
        self.calls.truncate(depth);
        true
    }

    /// `while read -r a b; do ...; done`, of lines that are known.
    pub(super) fn lines_of(
        &mut self,
        condition: &str,
        body: &Node,
        redirects: &[Node],
        source: &Rc<str>,
    ) -> bool {
        let Some(names) = reads(condition) else {
            return false;
        };
        let (here, _) = self.redirections(redirects);
        let Some(text) = here.or_else(|| self.input.take()) else {
            return false;
        };
        let separator = condition.split_once("IFS=").and_then(|(_, rest)| {
            rest.trim_start_matches(['\'', '"', '$']).chars().next().filter(|c| "|:,;".contains(*c))
        });
        for line in text.lines().filter(|line| !line.trim().is_empty()).take(MAX_TURNS) {
            let mut rest = line.trim();
            for (number, name) in names.iter().enumerate() {
                let is_last = number + 1 == names.len();
                let cut = |c: char| separator.map_or(c.is_whitespace(), |mark| c == mark);
                let (word, after) = match rest.find(cut).filter(|_| !is_last) {
                    Some(at) => (&rest[..at], rest[at + 1..].trim_start()),
                    None => (rest, ""),
                };
                self.assign(name, vec![word.to_owned()]);
                rest = after;
            }
            self.node(body, source);
        }
        true
    }

    /// The words of a loop, with `{1..3}` and `{a,b}` written out.
    pub(super) fn turns(words: Vec<String>) -> Vec<String> {
        words.into_iter().flat_map(|word| braces(&word).unwrap_or_else(|| vec![word])).collect()
    }

    /// `for ((i = 0; i < 3; i++))`: the values of its variable.
    pub(super) fn counted(
        &self,
        init: &str,
        cond: &str,
        incr: &str,
    ) -> Option<(String, Vec<String>)> {
        let (name, first) = init.split_once('=')?;
        let name = name.trim();
        let first: i64 = first.trim().parse().ok()?;
        let incr: String = incr.split_whitespace().collect();
        if incr != format!("{name}++")
            && incr != format!("++{name}")
            && incr != format!("{name}+=1")
        {
            return None;
        }
        let (is_below, last) = match cond.split_once("<=") {
            Some((_, last)) => (false, last),
            None => (true, cond.split_once('<')?.1),
        };
        let last = last.trim().trim_start_matches(['$', '{']).trim_end_matches('}');
        let last: i64 = match last.parse() {
            Ok(number) => number,
            Err(_) => self.value(last)?.first()?.parse().ok()?,
        };
        let last = if is_below { last } else { last.checked_add(1)? };
        let most = i64::try_from(MAX_TURNS).ok()?;
        (last.checked_sub(first)? <= most)
            .then(|| (name.to_owned(), (first..last).map(|turn| turn.to_string()).collect()))
    }
}

/// What is written to a monitor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::import) struct Talk {
    pub(in crate::import) said: String,
    /// What names the socket, and the host that it is on.
    pub(in crate::import) near: String,
}

fn is_socket(redirection: &str) -> bool {
    redirection.contains('>') && redirection.contains("/dev/tcp/")
}

/// The variables of `read`.
fn reads(condition: &str) -> Option<Vec<String>> {
    let mut words = condition.split_whitespace().skip_while(|word| word.starts_with("IFS="));
    if words.next()?.trim_start_matches('|') != "read" {
        return None;
    }
    let mut names = Vec::new();
    while let Some(word) = words.next() {
        match word.trim_end_matches([';', '\n']) {
            "-u" | "-d" | "-t" | "-n" | "-p" => drop(words.next()),
            flag if flag.starts_with('-') => {}
            "||" | "&&" | "<" => break,
            name => names.push(name.to_owned()),
        }
    }
    let is_plain = |name: &String| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    (!names.is_empty() && names.iter().all(is_plain)).then_some(names)
}

/// The words that a word with braces is.
fn braces(word: &str) -> Option<Vec<String>> {
    let (before, rest) = word.split_once('{').filter(|(before, _)| !before.ends_with('$'))?;
    let (inner, after) = rest.split_once('}')?;
    let items: Vec<String> = match inner.split_once("..") {
        Some((first, last)) => {
            let (first, last): (i64, i64) = (first.parse().ok()?, last.parse().ok()?);
            let most = i64::try_from(MAX_TURNS).ok()?;
            if last.checked_sub(first).is_none_or(|count| !(0..most).contains(&count)) {
                return None;
            }
            (first..=last).map(|turn| turn.to_string()).collect()
        }
        None if inner.contains(',') && !inner.contains(['"', ':', '{']) => {
            inner.split(',').map(str::to_owned).collect()
        }
        None => return None,
    };
    Some(items.into_iter().map(|item| format!("{before}{item}{after}")).collect())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::{Shell, read};

    fn said(text: &str) -> String {
        let mut shell = Shell::default();
        let mut commands = read(text, &mut shell);
        commands.extend(shell.rest());
        let talks = commands.into_iter().filter_map(|command| command.talk);
        let shown = talks.map(|talk| format!("{}: {}", talk.near, talk.said.trim()));
        shown.collect::<Vec<_>>().join("|")
    }

    #[rstest]
    #[case::a_pipe("echo stop | nc -U /m | tail -1", "nc -U /m: stop")]
    #[case::a_function(
        "f() { echo \"$2\" | nc -U /$1; }; f a stop; f b cont",
        "nc -U /a: stop|nc -U /b: cont"
    )]
    #[case::a_function_that_reads(
        "f() { socat - unix:$1; }; echo stop | f /m",
        "socat - unix:/m: stop"
    )]
    #[case::a_loop("for o in a b; do echo \"x $o\" | nc h 1; done", "nc h 1: x a|nc h 1: x b")]
    #[case::a_counted_loop(
        "for ((i=0; i<2; i++)); do echo \"x $i\" | nc h 1; done",
        "nc h 1: x 0|nc h 1: x 1"
    )]
    #[case::braces("for i in {0..1}; do echo \"x $i\" | nc h 1; done", "nc h 1: x 0|nc h 1: x 1")]
    #[case::a_descriptor("exec 3<>/dev/tcp/h/1; echo stop >&3", "tcp:h:1: stop")]
    #[case::a_substituted_process(
        "exec 4> >(socat - unix:/m); echo stop >&4",
        "socat - unix:/m: stop"
    )]
    #[case::a_coprocess("coproc Q { nc -U /m; }; echo stop >&\"${Q[1]}\"", "nc -U /m: stop")]
    #[case::a_document("nc -U /m <<E\nstop\ncont\nE", "nc -U /m: stop\ncont")]
    #[case::a_host("ssh h \"echo stop | nc -U /m\"", "ssh h nc -U /m: stop")]
    #[case::lines_that_are_read(
        "while read -r a b; do echo \"$b\" | nc -U /$a; done <<E\nx stop\ny c d\nE",
        "nc -U /x: stop|nc -U /y: c d"
    )]
    #[case::named_elements(
        "declare -A s=([a]=/x [b]=/y); for k in \"${!s[@]}\"; do echo $k | nc -U ${s[$k]}; done",
        "nc -U /x: a|nc -U /y: b"
    )]
    #[case::a_condition("if echo stop | nc -U /m | grep -q x; then :; fi", "nc -U /m: stop")]
    #[case::a_substitution("r=$(echo stop | nc -U /m)", "nc -U /m: stop")]
    #[case::a_case_of_an_argument(
        "f() { case $1 in a|b) s=/x;; *) s=/y;; esac; echo $1 | nc -U $s; }; f b; f c",
        "nc -U /x: b|nc -U /y: c"
    )]
    #[case::other_cases("case $1 in up) :;; cut) echo stop | nc -U /m;; esac", "nc -U /m: stop")]
    #[case::a_function_that_nothing_calls("cut() { echo stop | nc -U /m; }", "nc -U /m: stop")]
    #[case::what_is_not_known("date | nc -U /m", "")]
    fn what_is_written_to_monitors_is_known(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(said(text), expected);
    }
}
