//! Exports of chats, of trackers' threads and of notebooks, as JSON: the texts of their messages and cells one
//! below the other, as a person reads them. Read by `paste`, before any form of a text is looked for.

use serde_json::{Deserializer, Map, Value};

use crate::import::{command, flag, limit::MAX_BYTES};

/// Keys of a message's text, the one that says most first.
const TEXTS: &[&str] =
    &["text", "body", "content", "message", "source", "plain", "note", "comment", "msg"];

/// Keys of a map that is a message or a cell: who wrote it, and when.
const COMPANIONS: &[&str] = &[
    "author",
    "authorId",
    "cell_type",
    "create_at",
    "createTime",
    "createdDateTime",
    "created_at",
    "creator",
    "date",
    "event_id",
    "from",
    "from_id",
    "login",
    "nick",
    "origin_server_ts",
    "sender",
    "sender_full_name",
    "sent_at",
    "time",
    "timestamp",
    "ts",
    "user",
    "username",
];

/// Most documents of a text, and most lines at which the first may begin.
const MOST_DOCUMENTS: usize = 10_000;
const MOST_PLACES: usize = 16;
/// Most texts that are compared with what the messages say already.
const MOST_COMPARED: usize = 100;

/// The text with the messages of its JSON documents in place of these; none where it has no messages that hold
/// something of QEMU's.
pub(super) fn text(text: &str) -> Option<String> {
    let (before, document) = text.split_at(start(text)?);
    let mut values = Vec::new();
    let mut after = document;
    // One below the other, or what is left of a list.
    while values.len() < MOST_DOCUMENTS {
        let rest = after.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
        let mut stream = Deserializer::from_str(rest).into_iter::<Value>();
        match stream.next() {
            Some(Ok(value @ (Value::Array(_) | Value::Object(_)))) => values.push(value),
            _ => break,
        }
        after = &rest[stream.byte_offset()..];
    }
    let mut messages = Messages::default();
    values.iter().for_each(|value| messages.walk(value));
    if !is_of_qemu(&messages.out) {
        return None;
    }
    values.iter().for_each(|value| messages.others(value));
    Some(format!("{before}{}\n{after}", messages.out))
}

/// The text with the strings of messages that hold several lines as these lines: of a document of which only a
/// part is there, or that a program printed otherwise than as JSON.
pub(super) fn strings(text: &str) -> Option<String> {
    const KEYS: &[&str] = &["text", "body", "message", "comment"];
    let keys = KEYS.iter().flat_map(|key| text.match_indices(key));
    let mut keys: Vec<(usize, &str)> = keys.collect();
    keys.sort_unstable();
    let (mut out, mut taken, mut read, mut budget) = (String::new(), 0, 0, MOST_READ);
    for (at, key) in keys {
        let is_word = text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let behind = text[at + key.len()..].trim_start_matches(['"', '\'']);
        let value = behind.trim_start().strip_prefix([':', '=']).map(str::trim_start);
        let value = value.filter(|value| value.starts_with(['"', '\'']) && !is_word && at >= read);
        let Some((inside, length)) = value.and_then(|value| string(value, &mut budget)) else {
            continue;
        };
        read = text.len() - value.map_or(0, str::len) + length;
        if inside.trim().lines().count() > 1 && is_of_qemu(&inside) {
            out += &format!("{}\n{}\n", &text[taken..at], inside.trim_end());
            taken = read;
        }
    }
    (taken > 0).then(|| out + &text[taken..])
}

/// Most characters of all strings that are looked through.
const MOST_READ: usize = 4 * MAX_BYTES;

/// The string that a text begins with, in either quotes, and how long it is with these.
fn string(text: &str, budget: &mut usize) -> Option<(String, usize)> {
    let mut letters = text.char_indices();
    let (_, quote) = letters.next()?;
    let mut out = String::new();
    while let Some((at, c)) = letters.next() {
        *budget = budget.checked_sub(1)?;
        match c {
            c if c == quote => return Some((out, at + c.len_utf8())),
            '\n' => return None,
            '\\' => match letters.next()?.1 {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'r' => {}
                'u' => {
                    let code: String = letters.by_ref().take(4).map(|(_, c)| c).collect();
                    out.extend(u32::from_str_radix(&code, 16).ok().and_then(char::from_u32));
                }
                other => out.push(other),
            },
            c => out.push(c),
        }
    }
    None
}

/// Where the first line stands that begins a list or a map of JSON.
fn start(text: &str) -> Option<usize> {
    let mut at = 0;
    let mut places = Vec::new();
    for line in text.split_inclusive('\n') {
        if line.trim_start().starts_with(['[', '{']) {
            places.push(at);
        }
        at += line.len();
    }
    let begins = |at: &usize| {
        let first = Deserializer::from_str(&text[*at..]).into_iter::<Value>().next();
        matches!(first, Some(Ok(Value::Array(_) | Value::Object(_))))
    };
    places.into_iter().take(MOST_PLACES).find(begins)
}

/// Whether a text has an option or a command of QEMU's.
fn is_of_qemu(text: &str) -> bool {
    flag::is_qemus(text) || command::is_named(text)
}

#[derive(Default)]
struct Messages {
    out: String,
    /// The same without blanks and marks, to see what is in it already.
    bare: String,
    compared: usize,
}

impl Messages {
    /// The messages of a value, in its order, with those that answer each.
    fn walk(&mut self, value: &Value) {
        match value {
            Value::Array(list) => list.iter().for_each(|value| self.walk(value)),
            Value::Object(map) => {
                let key = text_key(map);
                if let Some(text) = key.and_then(|key| plain(&map[key])) {
                    self.add(&text, map);
                }
                let rest = map.iter().filter(|(other, _)| Some(other.as_str()) != key);
                rest.for_each(|(_, value)| self.walk(value));
            }
            _ => {}
        }
    }

    fn add(&mut self, text: &str, map: &Map<String, Value>) {
        if text.trim().is_empty() {
            return;
        }
        let is_code = map.get("cell_type").and_then(Value::as_str) == Some("code");
        let text = if is_code { cell(text) } else { format!("{}\n\n", text.trim_end()) };
        self.bare += &bare(&text);
        self.out += &text;
    }

    /// What stands in no message's text and is QEMU's: a title, a file that is attached.
    fn others(&mut self, value: &Value) {
        match value {
            Value::Array(list) => list.iter().for_each(|value| self.others(value)),
            Value::Object(map) => map.values().for_each(|value| self.others(value)),
            Value::String(text) if is_of_qemu(text) => {
                let other = bare(text);
                self.compared += 1;
                if self.compared > MOST_COMPARED || !self.bare.contains(&other) {
                    self.bare += &other;
                    self.out += &format!("{}\n\n", text.trim_end());
                }
            }
            _ => {}
        }
    }
}

/// The key of a message's text.
fn text_key(map: &Map<String, Value>) -> Option<&'static str> {
    let is_message = COMPANIONS.iter().any(|key| map.contains_key(*key));
    let has = |key: &&&str| map.get(**key).and_then(plain).is_some();
    is_message.then(|| TEXTS.iter().find(has).copied())?
}

/// The text of a message: one string, a list of lines or of marked pieces, or a map with either.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(list) if !list.is_empty() => list.iter().map(piece).collect(),
        Value::Object(map) => {
            let keys = ["body", "content", "text", "plain", "raw"];
            keys.iter().find_map(|key| map.get(*key)?.as_str().map(str::to_owned))
        }
        _ => None,
    }
}

/// A piece of a text: `{"type": "pre", "text": "..."}` is one in a fence.
fn piece(value: &Value) -> Option<String> {
    let Value::Object(map) = value else {
        return value.as_str().map(str::to_owned);
    };
    let text = map.get("text")?.as_str()?;
    Some(match map.get("type").and_then(Value::as_str) {
        Some("pre" | "code_block" | "codeBlock") => format!("\n```\n{text}\n```\n"),
        Some("code") => format!("`{text}`"),
        _ => text.to_owned(),
    })
}

/// The code of a notebook's cell in a fence, with what it gives to a shell as that shell reads it.
fn cell(text: &str) -> String {
    let lines = text.lines().map(|line| match line.strip_prefix('!') {
        Some(command) => format!("{command}\n"),
        // `%%bash` says who reads the cell.
        None if line.starts_with("%%") => format!("{line}\n\n"),
        None => format!("{line}\n"),
    });
    format!("```\n{}```\n\n", lines.collect::<String>())
}

/// A text without blanks, tags and entities.
fn bare(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, tag)) = rest.split_once('<') {
        out += before;
        let end = tag.find('>').filter(|end| !tag[..*end].contains('\n'));
        rest = end.map_or(tag, |end| &tag[end + 1..]);
    }
    out += rest;
    let out = html_escape::decode_html_entities(&out);
    out.chars().filter(|c| !c.is_whitespace() && !"`<>".contains(*c)).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::slack(
        r#"[{"user": "U1", "text": "so:\n```object_del f0\ncont```"}, {"ts": "1", "text": "hm"}]"#,
        "so:\n```object_del f0\ncont```\n\nhm\n\n\n"
    )]
    #[case::telegram(
        r#"{"name": "lab", "messages": [{"from": "a", "text": ["on a\n", {"type": "pre", "text": "object_del f0"}]}]}"#,
        "on a\n\n```\nobject_del f0\n```\n\n\n"
    )]
    #[case::matrix(
        r#"{"messages": [{"sender": "@a:b", "content": {"body": "object_del f0", "formatted_body": "<code>object_del f0</code>"}}]}"#,
        "object_del f0\n\n\n"
    )]
    #[case::lines(
        "{\"post\": {\"user\": \"a\", \"message\": \"object_del f0\"}}\n{\"post\": {\"user\": \"b\", \"message\": \"ok\"}}\n",
        "object_del f0\n\nok\n\n\n\n"
    )]
    #[case::behind_prose(
        "see below\n[{\"user\": \"a\", \"text\": \"object_del f0\"}]\nbye\n",
        "see below\nobject_del f0\n\n\n\nbye\n"
    )]
    #[case::a_part_of_a_list(
        "so:\n  {\"user\": \"a\", \"text\": \"object_del f0\"},\n  {\"user\": \"a\", \"text\": \"object_del f1\"}\n]...\n",
        "so:\nobject_del f0\n\nobject_del f1\n\n\n\n]...\n"
    )]
    #[case::what_else_it_holds(
        r#"{"issue": {"title": "object_del f1 hangs", "user": "a", "body": "object_del f0"}}"#,
        "object_del f0\n\nobject_del f1 hangs\n\n\n"
    )]
    #[case::notebook(
        r#"{"cells": [{"cell_type": "code", "source": ["!qemu-kvm \\\n", " -nic user"]}]}"#,
        "```\nqemu-kvm \\\n -nic user\n```\n\n\n"
    )]
    fn messages_are_texts(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(super::text(text).as_deref(), Some(expected));
    }

    #[rstest]
    #[case("{'text': 'on a:\\nobject_del f0', 'n': 1}", "{\non a:\nobject_del f0\n, 'n': 1}")]
    #[case("- text: \"on a:\\nobject_del \\u0066\"\n", "- \non a:\nobject_del f\n\n")]
    fn strings_are_lines(#[case] text: &str, #[case] expected: &str) {
        // The key's own quote stands before it.
        let found = strings(text).map(|text| text.replace("{'\n", "{\n"));
        assert_eq!(found.as_deref(), Some(expected));
    }

    #[rstest]
    #[case("[{\"name\": \"a\", \"command\": \"object_del f0\"}]")]
    #[case("[{\"user\": \"a\", \"text\": \"good morning\"}]")]
    #[case("object_del f0")]
    fn other_texts_are_none(#[case] text: &str) {
        assert_eq!(super::text(text), None);
    }
}
