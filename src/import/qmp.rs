//! QMP as logs and threads show it: JSON over one line or several, with arrows or without, in
//! double quotes or in Python's single ones.

use serde_json::{Map, Value};

/// What stands in a QMP transcript.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Message {
    /// A command and its arguments.
    Command(String, Map<String, Value>),
    /// A refusal of the last command: class and text.
    Error(String, String),
    /// A reply, an event, the greeting.
    Other,
}

const MOST_LINES: usize = 200;

/// A message that begins in the first of these lines, and how many it takes.
pub(super) fn read(lines: &[&str]) -> Option<(Message, usize)> {
    let first = bare(lines.first()?);
    if !first.starts_with('{') {
        return None;
    }
    let mut text = String::new();
    let mut braces = Braces::default();
    for (number, line) in lines.iter().take(MOST_LINES).enumerate() {
        let line = if number == 0 { first } else { bare(line) };
        text.push_str(line);
        text.push('\n');
        // Only what is whole is read: to try each line would take the square of their number.
        if braces.are_closed_by(line) {
            let value =
                serde_json::from_str(&text).or_else(|_| serde_json::from_str(&of_python(&text)));
            let Ok(Value::Object(map)) = value else {
                return None;
            };
            return message(&map).map(|message| (message, number + 1));
        }
    }
    None
}

/// How many braces are open, outside of strings in either quotes.
#[derive(Default)]
struct Braces {
    open: usize,
    quote: Option<char>,
    escaped: bool,
}

impl Braces {
    /// Whether none is open behind the line.
    fn are_closed_by(&mut self, line: &str) -> bool {
        for c in line.chars() {
            match (self.quote, c) {
                _ if self.escaped => self.escaped = false,
                (Some(_), '\\') => self.escaped = true,
                (Some(quote), c) if quote == c => self.quote = None,
                (Some(_), _) => {}
                (None, '"' | '\'') => self.quote = Some(c),
                (None, '{') => self.open += 1,
                (None, '}') => self.open = self.open.saturating_sub(1),
                (None, _) => {}
            }
        }
        self.open == 0
    }
}

/// The line without what a log puts before it.
fn bare(line: &str) -> &str {
    let line = line.trim();
    ["->", "<-", "C:", "S:", "(QEMU)", "$"]
        .iter()
        .find_map(|mark| line.strip_prefix(mark))
        .or_else(|| behind_label(line))
        .map_or(line, str::trim)
}

/// Words that a log puts before a message.
const LABELS: &[&str] = &[
    "qmp", "send", "sent", "recv", "received", "tx", "rx", "client", "server", "request",
    "response", "reply", "command", "answer", "monitor", "in", "out", "event",
];

/// The message behind a label: `qmp> {`, `SEND: {`, `[tx] {`.
fn behind_label(line: &str) -> Option<&str> {
    let at = line.find('{').filter(|at| *at > 0)?;
    let label = line[..at].trim_end();
    let ends = label.ends_with(['>', '<', ':', ']', '=', '→', '←']);
    let mut words =
        label.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let is_label = words.all(|word| LABELS.contains(&word.to_lowercase().as_str()));
    (ends && is_label).then(|| &line[at..])
}

fn message(map: &Map<String, Value>) -> Option<Message> {
    let text = |map: &Map<String, Value>, key: &str| {
        map.get(key).and_then(Value::as_str).map(str::to_owned)
    };
    if let Some(name) = text(map, "execute").or_else(|| text(map, "exec-oob")) {
        let arguments = map.get("arguments").and_then(Value::as_object);
        return Some(Message::Command(name, arguments.cloned().unwrap_or_default()));
    }
    if let Some(error) = map.get("error").and_then(Value::as_object) {
        let class = text(error, "class").unwrap_or_default();
        return Some(Message::Error(class, text(error, "desc")?));
    }
    let known = ["return", "QMP", "event"];
    known.iter().any(|key| map.contains_key(*key)).then_some(Message::Other)
}

/// JSON of a Python literal: quotes, `True`, `False`, `None`.
fn of_python(text: &str) -> String {
    let mut json = String::new();
    let mut quote = None;
    let mut characters = text.chars();
    let mut word = String::new();
    while let Some(c) = characters.next() {
        if quote.is_none() && c.is_ascii_alphabetic() {
            word.push(c);
            continue;
        }
        json += match word.as_str() {
            "True" => "true",
            "False" => "false",
            "None" => "null",
            other => other,
        };
        word.clear();
        match (quote, c) {
            (None, '\'' | '"') => {
                quote = Some(c);
                json.push('"');
            }
            (Some(open), c) if open == c => {
                quote = None;
                json.push('"');
            }
            (Some('\''), '"') => json.push_str("\\\""),
            (Some(_), '\\') => match characters.next() {
                Some('\'') => json.push('\''),
                next => {
                    json.push('\\');
                    json.extend(next);
                }
            },
            (_, c) => json.push(c),
        }
    }
    json + &word
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("-> {\"execute\": \"stop\"}", "stop {}")]
    #[case(
        "{'execute': 'x', 'arguments': {'a': True, 'b': 'it\\'s \"c\"'}}",
        "x {\"a\":true,\"b\":\"it's \\\"c\\\"\"}"
    )]
    #[case("qmp> {\"execute\": \"stop\"}", "stop {}")]
    #[case("[TX]: {\"execute\": \"stop\"}", "stop {}")]
    #[case("{ \"execute\":\n\"cont\" }\nrest", "cont {}")]
    fn commands_are_read(#[case] text: &str, #[case] expected: &str) {
        let lines: Vec<&str> = text.lines().collect();
        let shown = match read(&lines) {
            Some((Message::Command(name, arguments), _)) => {
                format!("{name} {}", Value::Object(arguments))
            }
            other => format!("{other:?}"),
        };
        assert_eq!(shown, expected);
    }

    #[test]
    fn json_of_another_kind_is_none() {
        assert_eq!(read(&["{\"qom-type\": \"x\"}"]), None);
        assert_eq!(read(&["{ not JSON"]), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "\\{\\PC{0,60}") {
            read(&[&text]);
        }
    }
}
