//! The headings of a text: which machine of a setup a section is about, and which sections are
//! alternatives of one another.

use super::flag;

/// The parts that machines play, with other words for each. Those of other languages that are not all ASCII
/// are looked for in longer words too: they are inflected, or nothing divides them from the next.
const PARTS: &[(&str, &[&str])] = &[
    (
        "primary",
        &[
            "primary",
            "pvm",
            "master",
            "primär",
            "primaire",
            "primario",
            "primário",
            "первичн",
            "主虚拟机",
            "主节点",
            "主端",
            "主服务器",
            "プライマリ",
        ],
    ),
    (
        "secondary",
        &[
            "secondary",
            "svm",
            "slave",
            "standby",
            "sekundär",
            "secondaire",
            "secundario",
            "secundário",
            "вторичн",
            "备虚拟机",
            "备节点",
            "备端",
            "备机",
            "从虚拟机",
            "从节点",
            "从机",
            "セカンダリ",
        ],
    ),
    ("source", &["source", "src", "quelle", "origen", "源端", "源主机", "源虚拟机", "移行元"]),
    (
        "destination",
        &[
            "destination",
            "dest",
            "dst",
            "target",
            "ziel",
            "zielrechner",
            "cible",
            "destino",
            "目的端",
            "目标端",
            "目的主机",
            "目标主机",
            "移行先",
        ],
    ),
    ("sender", &["sender"]),
    ("receiver", &["receiver"]),
];

/// Words that a number or a letter follows: `host A`, `vm2`.
const NUMBERED: &[&str] = &["vm", "host", "node", "machine", "guest"];

/// What the title of an alternative has.
const ALTERNATIVE: &[&str] = &["failover", "fail-over", "resume", "recover", "alternative"];

/// A heading, or the name of a machine before what is its.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heading<'a> {
    /// The machine that the section is about.
    pub(super) part: Option<String>,
    /// Its title, where it is one of several ways to go on.
    pub(super) branch: Option<String>,
    /// Whether what was above it ends here.
    pub(super) ends: bool,
    /// What stands in the same line.
    pub(super) rest: &'a str,
}

/// The one machine that a text names.
pub(super) fn in_words(text: &str) -> Option<String> {
    let mut found = None;
    for part in named(text) {
        match &found {
            Some(other) if *other != part => return None,
            _ => found = Some(part),
        }
    }
    found
}

/// The other machine of a pair.
pub(super) fn other(part: &str) -> Option<String> {
    let pairs = [("primary", "secondary"), ("source", "destination"), ("sender", "receiver")];
    let other = pairs.iter().find_map(|(one, other)| match part {
        part if part == *one => Some(*other),
        part if part == *other => Some(*one),
        _ => None,
    });
    other.map(str::to_owned)
}

fn named(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let words: Vec<&str> =
        lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let is_word = |name: &&str| *name == *word || !name.is_ascii() && word.contains(*name);
        let parts = PARTS.iter().filter(|(_, names)| names.iter().any(is_word));
        found.extend(parts.map(|(part, _)| (*part).to_owned()));
        let is_number = |rest: &str| {
            rest.len() == 1 && rest.chars().all(|c| c.is_ascii_digit() || "abc".contains(c))
        };
        let joined = NUMBERED.iter().find_map(|stem| Some((stem, word.strip_prefix(stem)?)));
        match (joined, words.get(at + 1)) {
            (Some((stem, rest)), _) if is_number(rest) => found.push(format!("{stem}{rest}")),
            (Some((stem, "")), Some(next)) if is_number(next) && *next != "a" => {
                found.push(format!("{stem}{next}"));
            }
            (Some((stem, "")), Some(next)) if *next == "a" && words.len() == at + 2 => {
                found.push(format!("{stem}a"));
            }
            _ => {}
        }
    }
    found
}

/// The one word that a line names a machine with: `A:`, `Then on A:`.
pub(super) fn short(line: &str) -> Option<String> {
    let lower = line.trim().strip_suffix(':')?.to_lowercase();
    let mut words = lower.split_whitespace().rev();
    let name = words.next().filter(|name| name.chars().all(char::is_alphanumeric))?;
    let leads = |word: &str| ["on", "at", "then", "now", "and", "the", "back"].contains(&word);
    words.all(leads).then(|| name.to_owned())
}

/// Whether a line is a heading of the machine of this name: `# on web1:`, `web1's monitor:`, `== web1 ==`.
pub(super) fn is_heading_of(line: &str, name: &str) -> bool {
    let marks = |c: char| c.is_whitespace() || "#*=_~-/;<>`:：".contains(c);
    let core = line.trim_matches(marks);
    let is_marked = line.trim_end().ends_with([':', '：']) || core.len() < line.trim().len();
    let words =
        || core.split([' ', '\t', '\'', '(', ')', '`', ',']).filter(|word| !word.is_empty());
    let leads = |word: &str| {
        let word = word.to_lowercase();
        let others = [
            "on", "at", "in", "then", "now", "and", "the", "back", "s", "side", "monitor", "qmp",
            "hmp",
        ];
        others.contains(&word.as_str()) || NUMBERED.contains(&word.as_str())
    };
    let is_name = |word: &str| word.eq_ignore_ascii_case(name);
    is_marked
        && words().filter(|word| is_name(word)).count() == 1
        && words().all(|word| is_name(word) || leads(word))
}

/// Whether a machine that has this part may be meant by a short name: `hosta` by `a`.
pub(super) fn is_short_for(short: &str, part: &str) -> bool {
    let stem = part.strip_suffix(short);
    stem.is_some_and(|stem| stem.is_empty() || NUMBERED.contains(&stem))
}

/// The machine that a sentence ends with: `..., then on the old Secondary:`.
fn at_end(text: &str) -> Option<String> {
    let lower = text.to_lowercase();
    let at = [" on ", " at "].iter().filter_map(|word| lower.rfind(word)).max();
    let at = at.or_else(|| lower.starts_with("on ").then_some(0))?;
    in_words(lower.get(at..)?)
}

/// The heading that a line is, by itself and the line below it.
pub(super) fn heading<'a>(line: &'a str, next: Option<&str>) -> Option<Heading<'a>> {
    let line = line.trim();
    if flag::is_qemus(line) || line.contains("{\"") || line.contains("{ \"") {
        return inline(line);
    }
    if line.is_empty() || line.len() > 240 {
        return None;
    }
    let core = line.trim_matches(|c: char| c.is_whitespace() || "#*=_~:-/;<>".contains(c));
    let core = core.strip_prefix("REM ").unwrap_or(core);
    let (number, text) = numbered(core);
    if let Some((title, _)) = bold(line) {
        let (part, branch) = (in_words(title), branch(title));
        let ends = branch.is_some();
        return (part.is_some() || ends).then_some(Heading { part, branch, ends, rest: "" });
    }
    let words = text.split_whitespace().count();
    let underlined = next.is_some_and(|next| {
        let next = next.trim();
        next.len() > 2
            && ["=", "-", "~", "^"]
                .iter()
                .any(|mark| next.trim_matches(|c| mark.contains(c)).is_empty())
    });
    let strong = (line.starts_with("##") || line.starts_with("==") || underlined) && words <= 14;
    let colon = line.trim_end_matches(['*', '_']).ends_with([':', '：']);
    let clause = text.rsplit([',', '，', ';', '；', '。']).next().filter(|_| colon);
    let part = at_end(text).or_else(|| in_words(text)).or_else(|| in_words(clause?));
    let branch = branch(text);
    let is_title = words <= 6 && !line.ends_with(['.', ',', ')']);
    let branch = branch.filter(|_| strong || (is_title && (number || line.ends_with(':'))));
    let before_blocks = part.is_some()
        && (colon && words <= 30
            || words <= 3 && is_title && !line.contains(['=', '/'])
            || words <= 10 && text.to_lowercase().starts_with("on ") && !line.ends_with('.')
            || number && words <= 12
            || words <= 5 && line.starts_with(['#', '/']) && begins_with_part(text));
    let ends = strong || branch.is_some();
    (strong || before_blocks || branch.is_some()).then_some(Heading {
        part,
        branch,
        ends,
        rest: "",
    })
}

/// Whether a comment is a heading: `# primary (host 10.0.0.1)`, `# on the secondary`.
fn begins_with_part(text: &str) -> bool {
    let first = text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    let leads = ["on", "at", "the", "start", "run"].contains(&first.to_lowercase().as_str());
    !text.contains(['=', '/']) && (leads || in_words(first).is_some())
}

/// `1. `, `2) `, `(a) ` before a text.
fn numbered(text: &str) -> (bool, &str) {
    let inner = text.strip_prefix('(').unwrap_or(text);
    let end = inner.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(inner.len());
    let rest = &inner[end..];
    let rest = rest.strip_prefix(['.', ')']).and_then(|rest| rest.strip_prefix(' '));
    match rest {
        Some(rest) if (1..=2).contains(&end) => (true, rest.trim_start()),
        _ => (false, text),
    }
}

/// `**Title:** text`, `*Title*:`.
fn bold(line: &str) -> Option<(&str, &str)> {
    ["**", "*", "__"].iter().find_map(|mark| {
        let (title, rest) = line.strip_prefix(mark)?.split_once(mark)?;
        let plain = !title.is_empty() && !title.starts_with(' ') && title.split(' ').count() <= 8;
        plain.then_some((title, rest))
    })
}

fn branch(title: &str) -> Option<String> {
    let lower = title.to_lowercase();
    ALTERNATIVE.iter().any(|word| lower.contains(word)).then(|| title.trim().to_owned())
}

/// `Primary: qemu-system-x86_64 ...`, `[secondary] {"execute": ...}`, `root@primary:~# qemu ...`.
fn inline(line: &str) -> Option<Heading<'_>> {
    let at = line.find([':', '>', '$', ']', ')', '#', '|'])?;
    let (before, after) = (&line[..at], &line[at + 1..]);
    let plain = before.trim_matches(['[', '(', '*', ' ', '<', '#', '-', '|']);
    let good = |c: char| c.is_alphanumeric() || " -_@".contains(c);
    if plain.is_empty() || !plain.chars().all(good) || plain.split_whitespace().count() > 3 {
        return None;
    }
    let part = in_words(plain)?;
    let rest = if before.contains('@') {
        line
    } else {
        after.trim_start_matches(['*', ':', '~', '#', '$', ' ', '/'])
    };
    Some(Heading { part: Some(part), branch: None, ends: false, rest })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    #[rstest]
    #[case("Then on A:", Some("a"))]
    #[case("B:", Some("b"))]
    #[case("on the left:", Some("left"))]
    #[case("and this is A:", None)]
    #[case("A", None)]
    fn a_word_may_name_a_machine(#[case] line: &str, #[case] expected: Option<&str>) {
        assert_eq!(short(line).as_deref(), expected);
    }

    #[rstest]
    #[case("# on web1:", true)]
    #[case("web1's monitor:", true)]
    #[case("== WEB1 ==", true)]
    #[case("then on the host web1 (QMP):", true)]
    #[case("web1", false)]
    #[case("web1 does not answer:", false)]
    #[case("# on web2:", false)]
    fn a_heading_has_a_machines_name(#[case] line: &str, #[case] expected: bool) {
        assert_eq!(is_heading_of(line, "web1"), expected);
    }

    #[test]
    fn a_short_name_is_the_end_of_a_part() {
        assert!(is_short_for("a", "hosta") && is_short_for("hosta", "hosta"));
        assert!(!is_short_for("y", "primary") && !is_short_for("a", "hostb"));
    }

    use super::*;

    #[rstest]
    #[case("Primary:", "primary")]
    #[case("**Primary:** remove the mirror", "primary")]
    #[case("*Secondary*:", "secondary")]
    #[case("On the secondary", "secondary")]
    #[case("secondary side", "secondary")]
    #[case("1. Primary", "primary")]
    #[case("3. On Primary VM's QEMU monitor, issue command:", "primary")]
    #[case("Start the new Secondary (steps 2 and 3), then on the Primary:", "primary")]
    #[case("Primary(ip:3.3.3.3):", "primary")]
    #[case("# primary (host 10.0.3.1)", "primary")]
    #[case("== Primary Failover ==", "primary ! Primary Failover")]
    #[case("## Failover on the destination", "destination ! Failover on the destination")]
    #[case("Dann auf dem primären Host:", "primary")]
    #[case("四、然后在主虚拟机的 monitor 里输入：", "primary")]
    #[case("直接 kill 掉主虚拟机，然后在备虚拟机的 monitor 里输入：", "secondary")]
    #[case("## Networking", "-")]
    #[case("Host A:", "hosta")]
    #[case("vm2:", "vm2")]
    #[case("PVM: qemu-system-x86_64 -S", "primary | qemu-system-x86_64 -S")]
    #[case("[secondary] {\"execute\": \"stop\"}", "secondary | {\"execute\": \"stop\"}")]
    #[case(
        "root@primary:~# qemu-system-x86_64 -S",
        "primary | root@primary:~# qemu-system-x86_64 -S"
    )]
    #[case("The primary sends what the secondary gets.", "none")]
    #[case("# network", "none")]
    #[case("# write primary/mon0", "none")]
    #[case("# colo failover", "none")]
    #[case("Which of them is the primary?", "none")]
    #[case("set -euo pipefail", "none")]
    #[case("if you killed the Secondary, then follow \"Primary Failover\".", "none")]
    #[case("-object filter-mirror,id=primary", "none")]
    fn headings_are_seen(#[case] line: &str, #[case] expected: &str) {
        let shown = match heading(line, None) {
            None => "none".to_owned(),
            Some(heading) => {
                let branch = heading.branch.map(|title| format!(" ! {title}"));
                let rest = if heading.rest.is_empty() { "" } else { " | " };
                let part = heading.part.unwrap_or("-".to_owned());
                format!("{part}{}{rest}{}", branch.unwrap_or_default(), heading.rest)
            }
        };
        assert_eq!(shown, expected);
    }

    #[test]
    fn an_underlined_line_is_a_heading() {
        assert!(heading("Resume replication", Some("------------------")).is_some());
        assert!(heading("Resume replication", None).is_none());
    }
}
