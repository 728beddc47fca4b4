//! The text of Python's statements: where they end, what stands in brackets, names outside of strings.

use std::collections::BTreeMap;

/// A statement, over as many lines as it has.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    pub(super) indent: usize,
    pub(super) text: String,
    /// The number of its first line.
    pub(super) line: usize,
}

/// Most bytes of a statement.
const MOST_HELD: usize = 1 << 13;

/// The statements of a program; none where a bracket or a string is never closed.
pub(super) fn statements(text: &str) -> Option<Vec<Statement>> {
    let mut all: Vec<Statement> = Vec::new();
    let mut open: Option<Statement> = None;
    for (number, line) in (1..).zip(text.lines()) {
        if open.is_none() && (line.trim().is_empty() || line.trim_start().starts_with('#')) {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let mut one = match open.take() {
            Some(mut one) => {
                one.text.push('\n');
                one.text.push_str(line);
                one
            }
            None => Statement { indent, text: line.trim_start().to_owned(), line: number },
        };
        if one.text.len() > MOST_HELD {
            return None;
        }
        if let Some(before) = one.text.strip_suffix('\\') {
            one.text = format!("{before} ");
            open = Some(one);
        } else if is_open(&one.text) {
            open = Some(one);
        } else {
            one.text = without_comment(&one.text).trim_end().to_owned();
            all.push(one);
        }
    }
    open.is_none().then_some(all)
}

/// Whether each byte is outside of strings and comments, or in the braces of an f-string.
pub(super) fn outside(text: &str) -> Vec<bool> {
    let mut places = vec![true; text.len() + 1];
    let mut at = 0;
    let bytes = text.as_bytes();
    while at < bytes.len() {
        match bytes[at] {
            b'#' => {
                let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
                places[at..end].fill(false);
                at = end;
            }
            quote @ (b'"' | b'\'') => {
                let prefix = text[..at].rsplit(|c: char| !c.is_ascii_alphabetic()).next();
                let prefix = prefix.unwrap_or_default().to_lowercase();
                let format = prefix.len() <= 2 && prefix.contains('f');
                let raw = prefix.len() <= 2 && prefix.contains('r');
                let triple = [quote; 3];
                let mark =
                    if bytes[at..].starts_with(&triple) { &triple[..] } else { &triple[..1] };
                let start = at;
                at += mark.len();
                let mut depth = 0usize;
                let ends = |at: usize, depth: usize| {
                    bytes[at..].starts_with(mark) && depth == 0
                        || mark.len() == 1 && bytes[at] == b'\n'
                };
                while at < bytes.len() && !ends(at, depth) {
                    match bytes[at] {
                        b'\\' if !raw => {
                            places[at] = false;
                            at += 1;
                        }
                        b'}' if format => depth = depth.saturating_sub(1),
                        _ => {}
                    }
                    // The outer braces are the string's own.
                    if at < bytes.len() {
                        places[at] = depth > 0;
                        depth += usize::from(format && bytes[at] == b'{');
                    }
                    at += 1;
                }
                places[start] = false;
                at = (at + mark.len()).min(bytes.len());
                places[at.saturating_sub(mark.len())..at].fill(false);
            }
            _ => at += 1,
        }
    }
    places
}

/// Whether a bracket or a string of three quotes is open at the end.
fn is_open(text: &str) -> bool {
    let places = outside(text);
    let mut depth = 0i64;
    for (_, c) in text.char_indices().filter(|(at, _)| places[*at]) {
        match c {
            '[' | '(' | '{' => depth += 1,
            ']' | ')' | '}' => depth -= 1,
            _ => {}
        }
    }
    let triples = text.matches("\"\"\"").count() + text.matches("'''").count();
    depth > 0 || triples % 2 == 1
}

fn without_comment(text: &str) -> &str {
    let places = outside(text);
    let last = text.rfind('\n').map_or(0, |at| at + 1);
    let comment = text[last..].match_indices('#').map(|(at, _)| last + at);
    let mut comment = comment.filter(|at| !places[*at]);
    // A comment reaches the end of the line; a string ends before it.
    let at = comment.find(|at| places[*at..text.len()].iter().all(|is| !is));
    let is_string = |at: &usize| text[*at..].trim_end().ends_with(['"', '\'']);
    at.filter(|at| !is_string(at)).map_or(text, |at| &text[..at])
}

/// How long the brackets are that a text begins with.
pub(super) fn closing(text: &str) -> Option<usize> {
    let places = outside(text);
    let mut depth = 0usize;
    for (at, c) in text.char_indices().filter(|(at, _)| places[*at]) {
        match c {
            '[' | '(' | '{' => depth += 1,
            ']' | ')' | '}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// What commas divide, outside of brackets and strings.
pub(super) fn arguments(text: &str) -> Vec<String> {
    let places = outside(text);
    let (mut depth, mut start) = (0usize, 0);
    let mut found = Vec::new();
    for (at, c) in text.char_indices().filter(|(at, _)| places[*at]) {
        match c {
            '[' | '(' | '{' => depth += 1,
            ']' | ')' | '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                found.push(text[start..at].trim().to_owned());
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(text[start..].trim().to_owned());
    found.retain(|one| !one.is_empty());
    found
}

/// The items of a list or tuple that is written out.
pub(super) fn literal(text: &str) -> Option<Vec<String>> {
    let text = text.trim();
    let is_whole = text.starts_with(['[', '(']) && closing(text) == Some(text.len());
    let items = is_whole.then(|| arguments(&text[1..text.len() - 1]))?;
    let places = outside(text);
    let is_comprehension = text.match_indices(" for ").any(|(at, _)| places[at]);
    (!is_comprehension).then_some(items)
}

/// Keys and values of a mapping that is written out: `{"a": 1}`, `dict(a=1)`.
pub(super) fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let text = text.trim();
    let (inner, sign) = match text.strip_prefix("dict") {
        Some(inner) => (inner, '='),
        None => (text, ':'),
    };
    let opens = if sign == '=' { '(' } else { '{' };
    if !inner.starts_with(opens) || closing(inner) != Some(inner.len()) {
        return None;
    }
    let one = |one: String| {
        let places = outside(&one);
        let at = one.match_indices(sign).map(|(at, _)| at).find(|at| places[*at])?;
        let key = one[..at].trim().trim_matches(['"', '\'']).to_owned();
        Some((key, one[at + 1..].trim().to_owned()))
    };
    arguments(&inner[1..inner.len() - 1]).into_iter().map(one).collect()
}

pub(super) fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The name that a statement assigns to, or that a loop gives its items.
pub(super) fn assigned(text: &str) -> Option<String> {
    if let Some(head) = text.strip_prefix("for ") {
        let target = head.split_once(" in ")?.0.trim();
        return is_word(target).then(|| target.to_owned());
    }
    let (name, rest) = text.split_once('=')?;
    let name = name.trim_end_matches('+').split(':').next()?.trim();
    (is_word(name) && !rest.starts_with('=')).then(|| name.to_owned())
}

/// The text with other names: those of strings stay, and those of arguments, `name=`.
pub(super) fn rename(text: &str, new: &dyn Fn(&str) -> Option<String>) -> String {
    let places = outside(text);
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    let mut out = String::new();
    let (mut at, mut depth) = (0, 0i64);
    while let Some(c) = text[at..].chars().next() {
        let first = (c.is_alphabetic() || c == '_') && places[at];
        if !first {
            if places[at] {
                depth += i64::from(c == '(') - i64::from(c == ')');
            }
            out.push(c);
            at += c.len_utf8();
            continue;
        }
        let end = text[at..].find(|c| !inside(c)).map_or(text.len(), |end| at + end);
        let (word, rest) = (&text[at..end], text[end..].trim_start());
        let is_argument = depth > 0 && rest.starts_with('=') && !rest.starts_with("==");
        let follows = out.ends_with(|c: char| inside(c) || c == '.');
        let is_prefix = rest.len() == text[end..].len() && rest.starts_with(['"', '\'']);
        match new(word).filter(|_| !is_argument && !follows && !is_prefix) {
            Some(name) => out += &name,
            None => out += word,
        }
        at = end;
    }
    out
}

/// The number that an expression of numbers is.
pub(super) fn integer(text: &str, known: &BTreeMap<String, i64>) -> Option<i64> {
    let text = text.trim();
    if let Some(number) = text.strip_prefix("0x") {
        return i64::from_str_radix(number, 16).ok();
    }
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    if let Some(number) = known.get(text) {
        return Some(*number);
    }
    if text.starts_with('(') && closing(text) == Some(text.len()) {
        return integer(&text[1..text.len() - 1], known);
    }
    for signs in [['+', '-'], ['*', '%']] {
        if let Some(at) = text.rfind(signs).filter(|at| *at > 0) {
            let (one, other) = (integer(&text[..at], known)?, integer(&text[at + 1..], known)?);
            return match &text[at..=at] {
                "+" => one.checked_add(other),
                "-" => one.checked_sub(other),
                "*" => one.checked_mul(other),
                _ => one.checked_rem(other),
            };
        }
    }
    None
}
