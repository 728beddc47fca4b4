//! The tokens of the format: quoted words, lists of numbers, bytes in hexadecimal. Read by all that
//! writes or reads the text.

use std::{
    borrow::Cow,
    fmt::{self, Write},
};

use crate::frame;

/// Columns that a line may take before it is wrapped.
///
/// An ARP request in hexadecimal just fits.
const WIDTH: usize = 110;

/// Columns that names and values are lined up in, at most: one that is longer sticks out, and the
/// lines of the others stay short.
pub(crate) const COLUMN: usize = 200;

/// Fewest equal bytes that are written as a run.
const RUN: usize = 16;

/// Free text that stands at the end of a line: as it is where that can be read back, else as a
/// JSON string.
pub(crate) fn quote(text: &str) -> Cow<'_, str> {
    let plain = !text.is_empty()
        && text.trim() == text
        && !text.starts_with('"')
        && !text.contains(char::is_control);
    if plain { Cow::Borrowed(text) } else { Cow::Owned(json_string(text)) }
}

/// A name between other words: quoted as soon as it holds a blank a bar or one of `special`.
pub(crate) fn quote_word<'a>(text: &'a str, special: &[char]) -> Cow<'a, str> {
    if text.contains(special) || text.contains('|') || text.contains(char::is_whitespace) {
        Cow::Owned(json_string(text))
    } else {
        quote(text)
    }
}

/// Text that stands in brackets.
pub(crate) fn quote_bracketed(text: &str) -> Cow<'_, str> {
    if text.contains(']') { Cow::Owned(json_string(text)) } else { quote(text) }
}

/// Takes what [`quote_bracketed`] wrote, up to the bracket and the blank that follow.
pub(crate) fn take_bracketed(text: &str) -> Option<(String, &str)> {
    if text.starts_with('"') {
        let (inside, rest) = take_word(text, &[])?;
        return Some((inside, rest.strip_prefix("] ")?));
    }
    let (inside, rest) = text.split_once("] ")?;
    Some((inside.to_owned(), rest))
}

/// A JSON string without the characters that structure a line: they are written as escapes.
fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('|', "\\u007c").replace(']', "\\u005d")
}

/// Reads what [`quote`] wrote.
pub(crate) fn unquote(text: &str) -> Option<String> {
    if text.starts_with('"') { serde_json::from_str(text).ok() } else { Some(text.to_owned()) }
}

/// Takes a word that [`quote_word`] wrote from the front, up to a blank or one of `ends`.
pub(crate) fn take_word<'a>(text: &'a str, ends: &[char]) -> Option<(String, &'a str)> {
    let end = if text.starts_with('"') {
        let mut escaped = false;
        let closing = text.char_indices().skip(1).find(|(_, letter)| {
            let closes = *letter == '"' && !escaped;
            escaped = *letter == '\\' && !escaped;
            closes
        });
        closing?.0 + 1
    } else {
        text.find(|letter: char| letter == ' ' || ends.contains(&letter)).unwrap_or(text.len())
    };
    Some((unquote(&text[..end])?, &text[end..]))
}

/// Numbers as `#1 #2 #4-#9`: three consecutive ones or more are a range.
#[must_use]
pub fn numbers(list: &[u32]) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = list;
    while let Some(&first) = rest.first() {
        let length = rest
            .iter()
            .zip(first..=u32::MAX)
            .take_while(|(number, next)| **number == *next)
            .count();
        let (run, tail) = rest.split_at(length);
        match run {
            [_, _, .., last] => words.push(format!("#{first}-#{last}")),
            short => words.extend(short.iter().map(|number| format!("#{number}"))),
        }
        rest = tail;
    }
    words
}

/// Reads one word of [`numbers`].
pub(crate) fn parse_numbers(word: &str) -> Option<std::ops::RangeInclusive<u32>> {
    let number = |text: &str| text.strip_prefix('#')?.parse::<u32>().ok();
    match word.split_once('-') {
        Some((first, last)) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(first..=last)
        }
        None => number(word).map(|only| only..=only),
    }
}

/// Bytes of no known structure: 16 to a group, equal ones as `(5a*N)`.
pub(crate) fn raw_hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut column = 0;
    let mut rest = bytes;
    while let Some(&byte) = rest.first() {
        let run = rest.iter().take_while(|next| **next == byte).count();
        if run >= RUN {
            if !text.is_empty() && !text.ends_with(' ') {
                text.push(' ');
            }
            text.push_str(&format!("({byte:02x}*{run}) "));
            column = 0;
            rest = &rest[run..];
            continue;
        }
        text.push_str(&format!("{byte:02x}"));
        column += 1;
        if column % 16 == 0 {
            text.push(' ');
        }
        rest = &rest[1..];
    }
    text.truncate(text.trim_end().len());
    text
}

/// Appends what is formatted.
pub(crate) fn put(out: &mut String, what: fmt::Arguments<'_>) {
    let written = out.write_fmt(what);
    debug_assert!(written.is_ok(), "a String takes everything");
}

/// Lines `| hex`, wrapped between groups; a group longer than a line is cut between bytes.
pub(crate) fn hex_lines(out: &mut String, indent: usize, hex: &str) {
    let room = WIDTH.saturating_sub(indent + 2).max(32) & !1;
    let mut line = String::with_capacity(room + 1);
    let mut flush = |line: &mut String| {
        if !line.is_empty() {
            put(out, format_args!("{:indent$}| {line}\n", ""));
            line.clear();
        }
    };
    for group in hex.split_ascii_whitespace() {
        if !line.is_empty() && line.len() + 1 + group.len() > room {
            flush(&mut line);
        }
        if group.len() > room && group.bytes().all(|letter| letter.is_ascii_hexdigit()) {
            let mut rest = group;
            while rest.len() > room {
                let (head, tail) = rest.split_at(room);
                line.push_str(head);
                flush(&mut line);
                rest = tail;
            }
            line.push_str(rest);
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(group);
    }
    flush(&mut line);
}

/// Reads the contents of lines that [`hex_lines`] wrote.
pub(crate) fn parse_hex(hex: &str) -> Option<Vec<u8>> {
    if hex.is_empty() { Some(Vec::new()) } else { frame::parse_hex(hex).ok() }
}

/// Puts words on lines of at most [`WIDTH`] columns after `first`, and after `next` from the
/// second line on.
pub(crate) fn wrap(out: &mut String, first: &str, next: &str, words: &[String]) {
    let mut begin = out.len();
    out.push_str(first);
    let mut empty = true;
    for word in words {
        if !empty && out.len() - begin + 1 + word.len() > WIDTH {
            out.push('\n');
            begin = out.len();
            out.push_str(next);
        }
        out.push(' ');
        out.push_str(word);
        empty = false;
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn three_in_a_row_are_a_range() {
        assert_eq!(numbers(&[1, 2]), ["#1", "#2"]);
        assert_eq!(numbers(&[1, 2, 3, 5, 7, 8, 9, 9]), ["#1-#3", "#5", "#7-#9", "#9"]);
        assert_eq!(parse_numbers("#1-#3"), Some(1..=3));
        assert_eq!(parse_numbers("#4"), Some(4..=4));
        assert_eq!(parse_numbers("#4-#3"), None);
        assert_eq!(parse_numbers("4"), None);
    }

    #[test]
    fn runs_are_folded_and_long_groups_cut_between_bytes() {
        assert_eq!(raw_hex(&[0x5a; 20]), "(5a*20)");
        assert_eq!(raw_hex(&[1, 2, 3]), "010203");
        let mut out = String::new();
        hex_lines(&mut out, 6, &"ab".repeat(120));
        let lines: Vec<_> = out.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| line.len() <= WIDTH && line.starts_with("      | ")));
        assert!(lines.iter().all(|line| line.len() % 2 == 0));
    }

    proptest! {
        #[test]
        fn a_quoted_text_is_one_line_and_reads_back(text in any::<String>()) {
            let quoted = quote(&text);
            prop_assert!(!quoted.contains('\n'));
            prop_assert_eq!(unquote(&quoted), Some(text));
        }

        #[test]
        fn a_word_ends_where_it_should(text in any::<String>()) {
            let line = format!("{} rest", quote_word(&text, &[']', '[']));
            prop_assert_eq!(take_word(&line, &[']', '[']), Some((text, " rest")));
        }
    }
}
