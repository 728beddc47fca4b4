//! At which machine a person types what follows, as a sentence says it: `then, back on the source,`, `I entered on
//! the secondary`, `Node B now:`, `(standby)`. Read by `paste` above commands, and by `command` for those in prose.

use super::part;

/// Words between which and the name of a machine only words of [`BETWEEN`] stand: what follows is done there.
const AT: &[&str] = &[
    "on", "at", "in", "into", "inside", "onto", "auf", "am", "an", "im", "bei", "beim", "sur",
    "dans", "chez", "en", "sobre", "su", "sul", "sulla", "nel", "nella", "no", "na", "em", "på",
    "на", "в", "tell", "told", "ask",
];

/// Words that say so where one of [`GIVES`] stands before them.
const TO: &[&str] = &["to", "an", "à", "au", "a", "into", "from"];
const GIVES: &[&str] = &[
    "back",
    "connect",
    "connected",
    "enter",
    "entered",
    "give",
    "gave",
    "go",
    "issue",
    "issued",
    "over",
    "send",
    "sent",
    "switch",
    "switched",
    "type",
    "typed",
    "went",
    "schicke",
    "geschickt",
    "wechsle",
];

/// Words between those and a name.
const BETWEEN: &[&str] = &[
    "the",
    "a",
    "an",
    "old",
    "new",
    "other",
    "former",
    "same",
    "our",
    "my",
    "its",
    "this",
    "that",
    "host",
    "vm",
    "machine",
    "node",
    "guest",
    "instance",
    "side",
    "box",
    "server",
    "of",
    "for",
    "monitor",
    "hmp",
    "qmp",
    "console",
    "prompt",
    "shell",
    "socket",
    "qemu",
    "named",
    "called",
    "running",
    "der",
    "die",
    "das",
    "dem",
    "den",
    "des",
    "alten",
    "neuen",
    "rechner",
    "host's",
    "seite",
    "monitor-prompt",
    "le",
    "la",
    "les",
    "du",
    "de",
    "côté",
    "el",
    "del",
    "lado",
    "il",
    "lo",
    "lato",
    "o",
    "do",
    "da",
    "стороне",
    "хосте",
    "узле",
    "машине",
];

/// Words behind a name that stands for itself before a colon: `secondary first:`.
const BEHIND: &[&str] = &[
    "first", "now", "again", "side", "next", "then", "only", "too", "also", "monitor", "qmp",
    "hmp", "console", "prompt", "qemu", "host", "vm", "node", "guest", "machine", "zuerst",
    "jetzt", "dann",
];

/// Words before a name that stands for itself.
const BEFORE: &[&str] = &[
    "then", "now", "and", "next", "finally", "so", "again", "the", "back", "first", "und", "dann",
    "der", "die", "das", "le", "la", "puis",
];

/// What belongs to a machine and takes commands.
const OWNED: &[&str] = &["monitor", "qmp", "hmp", "console", "prompt", "monitor's"];

/// A word of a text in lower case, and what stands before it.
struct Word<'a> {
    written: &'a str,
    lower: String,
    start: usize,
    end: usize,
}

/// The machine at which a text says that something is done, the last one that it says it of. `exact` knows a
/// machine by its name.
pub(super) fn machine(text: &str, exact: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let words = words(text);
    let between = |at: usize| {
        let from = if at == 0 { 0 } else { words[at - 1].end };
        &text[from..words.get(at).map_or(text.len(), |word| word.start)]
    };
    let named = (0..words.len()).rev().filter_map(|at| Some((at, named(&words, at, exact)?)));
    let mut done = named.filter(|(at, _)| {
        is_at(&words, *at) || is_owner(&words, *at) || stands_alone(&words, *at, &between)
    });
    done.next().map(|(_, name)| name)
}

/// The host that a text says something is done on, where it is marked or no plain word: `on *rack4-a*`, `on node7`.
pub(super) fn place(text: &str) -> Option<&str> {
    let words = words(text);
    let mut places = (1..words.len()).rev().filter(|at| {
        let marked = text[..words[*at].start].ends_with(['*', '`', '_', '"']);
        let named = words[*at].written.contains('-')
            || words[*at].written.ends_with(|c: char| c.is_ascii_digit());
        let is_name = words[*at].written.starts_with(|c: char| c.is_ascii_alphabetic());
        is_name && (marked || named) && is_at(&words, *at)
    });
    places.next().map(|at| words[at].written)
}

/// Most columns of words that are shown.
const SHOWN: usize = 80;

/// The words in which a line says that what stands above it is done at another machine too.
pub(super) fn repeated(line: &str) -> Option<String> {
    const MARKS: &[&str] = &[
        "the same line",
        "the same command",
        "the same two",
        "the same three",
        "the same on",
        "the same at",
        "the same thing on",
        "same again on",
        "do the same",
        "did the same",
        "repeat this on",
        "repeat that on",
        "repeat it on",
        "likewise on",
        "dasselbe auf",
        "genauso auf",
        "ebenso auf",
        "la même chose sur",
        "то же на",
    ];
    let lower = line.to_lowercase();
    let at = MARKS.iter().filter_map(|mark| lower.find(mark)).min()?;
    let behind = lower.get(at..)?;
    // At a machine, and not only once more.
    let is_there = words(behind).iter().any(|word| AT.contains(&word.lower.as_str()));
    let end = behind.find(['`', '{', '"', ';']).unwrap_or(behind.len());
    is_there.then(|| behind[..end].trim().chars().take(SHOWN).collect())
}

fn words(text: &str) -> Vec<Word<'_>> {
    let good = |c: char| c.is_alphanumeric() || "-_.'’".contains(c);
    let mut words = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        match (start, good(c)) {
            (None, true) => start = Some(at),
            (Some(from), false) => {
                let written = text[from..at].trim_end_matches(['.', '\'', '’', '-']);
                let written = ["'s", "’s"]
                    .iter()
                    .find_map(|end| written.strip_suffix(end))
                    .unwrap_or(written);
                if !written.is_empty() {
                    let end = from + written.len();
                    words.push(Word { written, lower: written.to_lowercase(), start: from, end });
                }
                start = None;
            }
            _ => {}
        }
    }
    words
}

/// The machine that a word names: by its name, or by the part that it plays.
fn named(words: &[Word<'_>], at: usize, exact: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let word = &words[at];
    let before = at.checked_sub(1).map(|at| words[at].lower.as_str());
    if word.written.chars().count() > 1
        && !AT.contains(&word.lower.as_str())
        && let Some(name) = exact(word.written)
    {
        return Some(name);
    }
    if let Some(name) =
        before.and_then(|before| part::in_words(&format!("{before} {}", word.lower)))
    {
        let is_number = word.lower.chars().count() == 1;
        return is_number.then_some(name).or_else(|| part::in_words(&word.lower));
    }
    part::in_words(&word.lower)
}

/// Whether a name stands behind `on`, `in the monitor of`, `sent to`.
fn is_at(words: &[Word<'_>], at: usize) -> bool {
    // Nothing divides the words of some languages.
    if !words[at].written.is_ascii() && words[at].written.chars().all(|c| c > '\u{2e7f}') {
        return true;
    }
    let mut before = words[..at].iter().rev();
    let word = before.find(|word| !BETWEEN.contains(&word.lower.as_str()));
    let Some(word) = word.map(|word| word.lower.as_str()) else { return false };
    let gives = || before.take(4).any(|word| GIVES.contains(&word.lower.as_str()));
    AT.contains(&word) && !TO.contains(&word) || TO.contains(&word) && gives()
}

/// Whether a monitor is named as the machine's: `the primary's monitor`.
fn is_owner(words: &[Word<'_>], at: usize) -> bool {
    words[at + 1..].iter().take(2).any(|word| OWNED.contains(&word.lower.as_str()))
}

/// Whether a name stands for itself: `(secondary)`, `secondary first:`, `Then the source:`.
fn stands_alone<'a>(words: &[Word<'_>], at: usize, between: &dyn Fn(usize) -> &'a str) -> bool {
    let is = |list: &[&str], at: usize| list.contains(&words[at].lower.as_str());
    let divides = |at: usize| {
        between(at).contains([',', ';', '.', ':', '(', '[', '\n', '—', '-', '*', '，', '。'])
    };
    let mut first = at;
    while first > 0 && !divides(first) && (is(BEFORE, first - 1) || is(BETWEEN, first - 1)) {
        first -= 1;
    }
    let begins = first == 0 || divides(first);
    let mut last = at + 1;
    while last < words.len() && between(last).trim().is_empty() && is(BEHIND, last) {
        last += 1;
    }
    begins
        && between(last)
            .trim_start_matches(['*', '_', '`', ' '])
            .starts_with([':', ')', ']', '：', '）'])
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("and back on the source", "source")]
    #[case("I killed the primary and entered on the secondary", "secondary")]
    #[case("Yes, I had. So on the secondary first", "secondary")]
    #[case("running in it, then on the source put a buffer in front of the mirror:", "source")]
    #[case("The chain of the source is walked while it is torn down", "none")]
    #[case("this is what I sent to web1", "web1")]
    #[case("tell the standby:", "secondary")]
    #[case("In the monitor of `web1`:", "web1")]
    #[case("at the primary's monitor", "primary")]
    #[case("Node B now:", "nodeb")]
    #[case("web1 first:", "web1")]
    #[case("3. (secondary) take the filter away", "secondary")]
    #[case("while it is still active", "none")]
    #[case("web1 does not answer:", "none")]
    #[case("a copy of what the source sends", "none")]
    #[case("Dann auf dem primären Host", "primary")]
    #[case("puis sur la cible", "destination")]
    #[case("затем на вторичном узле", "secondary")]
    #[case("然后在备虚拟机上输入", "secondary")]
    #[case("from here on it works", "none")]
    fn sentences_are_at_a_machine(#[case] text: &str, #[case] expected: &str) {
        let exact = |word: &str| (word == "web1").then(|| word.to_owned());
        assert_eq!(machine(text, &exact).as_deref().unwrap_or("none"), expected);
    }

    #[test]
    fn a_host_is_a_place() {
        assert_eq!(place("For the record, on *rack4-a* it runs as"), Some("rack4-a"));
        assert_eq!(place("on the whole it runs"), None);
    }

    #[test]
    fn a_command_is_repeated_elsewhere() {
        let words = repeated("then the same line on pvm and there `stop`");
        assert_eq!(words.as_deref(), Some("the same line on pvm and there"));
        assert_eq!(repeated("it is the same command"), None);
    }
}
