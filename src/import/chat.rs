//! Logs of chats: each line has who said it before it. What one of them says in several messages goes on
//! where the others are left out.

use std::collections::BTreeSet;

use super::part;

/// Fewest messages of a chat.
const LEAST: usize = 4;

/// The months as logs write them, and what follows the hour of a clock of twelve.
const WORDS: &[&str] = &[
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
    "am",
    "pm",
    "today",
    "yesterday",
    "at",
];

/// Marks of a line that tells who comes and goes.
const EVENTS: &[&str] = &["-!-", "***", "* ", "-->", "<--", "--", "⇐", "→", "←", "!"];

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Line<'a> {
    /// Who says what.
    Said(&'a str, &'a str),
    /// Whose messages stand below it.
    Head(&'a str),
    /// What nobody says.
    Event,
    /// A line without a mark: it goes on with what the last one says.
    Bare(&'a str),
}

/// What is said, without who says it; none where the text is no chat.
pub(super) fn said(text: &str) -> Option<String> {
    let lines: Vec<(&str, Line<'_>)> = text.lines().map(|line| (line, read(line))).collect();
    let marked = lines.iter().filter(|(_, line)| !matches!(line, Line::Bare(_))).count();
    let filled = lines.iter().filter(|(line, _)| !line.trim().is_empty()).count();
    let nicks: BTreeSet<&str> = lines
        .iter()
        .filter_map(|(_, line)| match line {
            Line::Said(nick, _) | Line::Head(nick) => Some(*nick),
            _ => None,
        })
        .collect();
    let heads = lines.iter().filter(|(_, line)| matches!(line, Line::Head(_))).count();
    let enough = marked >= LEAST && marked * 5 >= filled * 3 || heads >= 2 && heads * 8 >= filled;
    // The names of machines say whose a command is.
    let is_machine =
        |nick: &&str| part::in_words(nick).is_some() || text.contains(&format!("-name {nick}"));
    if !enough || nicks.is_empty() || nicks.iter().any(is_machine) {
        return None;
    }
    let mut messages: Vec<(Option<&str>, &str)> = Vec::new();
    let mut last = None;
    for (whole, line) in &lines {
        match line {
            Line::Said(nick, text) => {
                last = Some(*nick);
                messages.push((last, text));
            }
            Line::Head(nick) => {
                last = Some(*nick);
                messages.push((None, whole));
            }
            Line::Event => messages.push((None, whole)),
            Line::Bare(text) => messages.push((last, text)),
        }
    }
    Some(in_order(messages))
}

/// The messages, those that a backslash at the end announces right behind it.
fn in_order(messages: Vec<(Option<&str>, &str)>) -> String {
    let mut out = String::new();
    let mut waiting: Option<&str> = None;
    let mut held: Vec<&str> = Vec::new();
    for (nick, text) in messages {
        if waiting.is_some() && nick != waiting {
            held.push(text);
            continue;
        }
        out += text;
        out.push('\n');
        waiting = nick.filter(|_| text.trim_end().ends_with('\\'));
        if waiting.is_none() {
            held.drain(..).for_each(|text| out += &format!("{text}\n"));
        }
    }
    held.drain(..).for_each(|text| out += &format!("{text}\n"));
    out
}

fn read(line: &str) -> Line<'_> {
    let trimmed = line.trim_start();
    let (rest, is_timed) = behind_time(trimmed);
    if let Some((nick, text)) = bracketed(rest) {
        return Line::Said(nick, text);
    }
    if let Some(nick) = head(trimmed) {
        return Line::Head(nick);
    }
    if !is_timed {
        let is_day = trimmed.starts_with("--- ") && !trimmed.starts_with("--- a/");
        return if is_day { Line::Event } else { Line::Bare(line) };
    }
    if EVENTS.iter().any(|mark| rest.starts_with(mark)) {
        return Line::Event;
    }
    let rest = rest.trim_start_matches(['-', '–', '—', ' ']);
    let named = rest.split_once(": ").or_else(|| rest.split_once(" | "));
    match named.filter(|(nick, _)| is_nick(nick.trim()) || is_full_name(nick.trim())) {
        Some((nick, text)) => Line::Said(nick.trim(), text),
        None => Line::Bare(line),
    }
}

/// `<nick> text`, `< nick> text`, `<@nick> text`.
fn bracketed(text: &str) -> Option<(&str, &str)> {
    let (nick, text) = text.strip_prefix('<')?.split_once('>')?;
    let nick = nick.trim_start_matches([' ', '@', '+', '%', '~', '&']).trim();
    let text = text.strip_prefix(' ').filter(|_| is_nick(nick))?;
    Some((nick, text))
}

fn is_nick(word: &str) -> bool {
    let levels = ["info", "debug", "error", "warning", "warn", "qemu", "qmp", "hmp", "note"];
    word.starts_with(|c: char| c.is_alphabetic() || "_[{^".contains(c))
        && word.chars().all(|c| c.is_alphanumeric() || "_-[]{}^`.".contains(c))
        && !levels.contains(&word.to_lowercase().as_str())
}

/// `Mira Sand`, as phones and offices name people.
fn is_full_name(text: &str) -> bool {
    let is_name = |word: &str| {
        word.starts_with(char::is_uppercase)
            && word.chars().all(|c| c.is_alphabetic() || "-'.".contains(c))
    };
    (2..=3).contains(&text.split(' ').count()) && text.split(' ').all(is_name)
}

/// Whose the messages below are: `nick  10:06 AM`, `nick — Today at 10:06 PM`, `[12-Oct-23 10:06 PM] nick`.
fn head(line: &str) -> Option<&str> {
    for (at, _) in line.match_indices([' ', '\t']).take(3) {
        let nick = line[..at].trim_end_matches([',', ' ']);
        let rest = line[at..].trim_start_matches([' ', '\t', '—', '-', '–', ',']);
        let (behind, is_timed) = behind_time(rest);
        if is_timed && behind.is_empty() && (is_nick(nick) || is_full_name(nick)) {
            return Some(nick);
        }
    }
    let (nick, is_timed) = behind_time(line);
    let name = nick.split('#').next().unwrap_or(nick);
    (is_timed && line.starts_with('[') && is_nick(name)).then_some(name)
}

/// What stands behind a date and a time, and whether there is one.
fn behind_time(line: &str) -> (&str, bool) {
    let (mut rest, mut is_timed) = (line.trim_start(), false);
    for _ in 0..6 {
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        let core = word.trim_matches(['[', ']', '(', ')', ',']);
        let clock = core.rsplit(['T', '_']).next().unwrap_or(core);
        let mut numbers = clock.trim_end_matches('Z').split([':', '.', '+']);
        let digits =
            |part: &str| (1..=6).contains(&part.len()) && part.chars().all(|c| c.is_ascii_digit());
        let is_clock = clock.contains(':') && numbers.clone().count() >= 2 && numbers.all(digits);
        let is_date = core.starts_with(|c: char| c.is_ascii_digit())
            && core.chars().all(|c| c.is_ascii_alphanumeric() || "-/.".contains(c))
            && (core.contains(['-', '/'])
                || core.matches('.').count() == 2
                || core.len() <= 2
                || core.len() == 4);
        if core.is_empty()
            || !(is_clock || is_date || WORDS.contains(&core.to_lowercase().as_str()))
        {
            break;
        }
        is_timed |= is_clock;
        rest = after.trim_start();
    }
    if is_timed { (rest, true) } else { (line, false) }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("10:06 < pbro> qemu -S", "pbro|qemu -S")]
    #[case("[10:06:11] <@pbro> (qemu) stop", "pbro|(qemu) stop")]
    #[case("2023-10-12 10:06:11 pbro | (qemu) stop", "pbro|(qemu) stop")]
    #[case("[10:06] pbro: (qemu) stop", "pbro|(qemu) stop")]
    #[case("12/03/24, 10:06 - Mira Sand: (qemu) stop", "Mira Sand|(qemu) stop")]
    #[case("[12.03.24, 10:06:11] Mira Sand: (qemu) stop", "Mira Sand|(qemu) stop")]
    #[case("Mira Sand 10:06 AM", "below Mira Sand")]
    #[case("10:06 -!- kraxl has quit", "event")]
    #[case("pbro  10:06 AM", "below pbro")]
    #[case("pbro — Today at 10:06 PM", "below pbro")]
    #[case("[12-Oct-23 10:06 PM] pbro#1234", "below pbro")]
    #[case("10:06:11 qmp: {\"execute\": \"stop\"}", "bare")]
    #[case("-netdev tap,id=a", "bare")]
    fn lines_are_someones(#[case] line: &str, #[case] expected: &str) {
        let shown = match read(line) {
            Line::Said(nick, text) => format!("{nick}|{text}"),
            Line::Head(nick) => format!("below {nick}"),
            Line::Event => "event".to_owned(),
            Line::Bare(_) => "bare".to_owned(),
        };
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_command_goes_on_in_the_next_message() {
        let text =
            "10:06 < a> qemu -S \\\n10:06 -!- c has quit\n10:06 < b> hm?\n10:07 < a>  -nic user\n";
        let expected = "qemu -S \\\n -nic user\n10:06 -!- c has quit\nhm?\n";
        assert_eq!(said(text).as_deref(), Some(expected));
        assert_eq!(said("hello\n10:06 < a> b\n"), None);
    }
}
