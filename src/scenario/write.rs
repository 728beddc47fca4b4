//! A tree back to YAML, as a person would write it: blocks where a line would be too long or a list
//! has several maps, `{ ... }` elsewhere, quotes only where YAML needs them.

use serde_json::{Map, Value};

/// Most columns of a line that is written in flow style.
const WIDTH: usize = 100;

/// Where YAML breaks a text of its own accord: the description.
const FOLD: usize = 98;

/// The text of a scenario whose tree this is; reading it gives the same tree. A root that is no map
/// is written in one line.
#[must_use]
pub fn write(tree: &Value) -> String {
    let mut out = String::new();
    match tree {
        Value::Object(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                entry(&mut out, key, value, 0, Form::Root);
            }
        }
        other => {
            out += &flow(other);
            out.push('\n');
        }
    }
    out
}

/// Where a map stands, which decides how its values are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// The file: maps and lists begin on a line of their own.
    Root,
    /// Below it: what fits in a line is written in one.
    Inner,
}

/// `key: value` at this indentation, whose first line is already indented.
fn entry(out: &mut String, key: &str, value: &Value, indent: usize, form: Form) {
    let key = scalar_text(key, Style::Block);
    if form == Form::Root
        && let Value::String(text) = value
        && let Some(folded) = folded(text, key.len())
    {
        push(out, format_args!("{key}: >-\n"));
        for line in folded {
            push(out, format_args!("  {line}\n"));
        }
        return;
    }
    if is_inline(value, indent + key.len() + 2, form) {
        push(out, format_args!("{key}: {}\n", inline(value)));
        return;
    }
    push(out, format_args!("{key}:\n"));
    block(out, value, indent + 2);
}

/// A map or list over several lines.
fn block(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                push(out, format_args!("{:indent$}", ""));
                entry(out, key, value, indent, Form::Inner);
            }
        }
        Value::Array(items) => {
            for each in items {
                push(out, format_args!("{:indent$}- ", ""));
                item(out, each, indent + 2);
            }
        }
        scalar => push(out, format_args!("{:indent$}{}\n", "", inline(scalar))),
    }
}

/// What stands after `- `.
fn item(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            for (number, (key, value)) in entries.iter().enumerate() {
                if number > 0 {
                    push(out, format_args!("{:indent$}", ""));
                }
                entry(out, key, value, indent, Form::Inner);
            }
        }
        // A list in a list.
        other => push(out, format_args!("{}\n", inline(other))),
    }
}

/// Whether a value stands on its key's line.
fn is_inline(value: &Value, column: usize, form: Form) -> bool {
    match value {
        Value::Object(entries) if entries.is_empty() => true,
        Value::Array(items) if items.is_empty() => true,
        Value::Object(entries) => {
            (form == Form::Inner || entries.values().all(is_scalar))
                && form_allows(value, form)
                && column + flow(value).len() <= WIDTH
        }
        Value::Array(items) => {
            let short = items.len() == 1 || items.iter().all(is_brief);
            short && form_allows(value, form) && column + flow(value).len() <= WIDTH
        }
        _ => true,
    }
}

/// At the root the parts of a scenario stand one to a line; words and numbers needn't.
fn form_allows(value: &Value, form: Form) -> bool {
    let plain = |value: &Value| {
        matches!(value, Value::String(text) if text.len() < 24)
            || matches!(value, Value::Number(_) | Value::Bool(_) | Value::Null)
    };
    match (form, value) {
        (Form::Inner, _) => depth(value) <= 4,
        (Form::Root, Value::Array(items)) => items.iter().all(plain),
        (Form::Root, _) => false,
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Object(entries) => 1 + entries.values().map(depth).max().unwrap_or(0),
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// A scalar, or a map of one.
fn is_brief(value: &Value) -> bool {
    match value {
        Value::Object(entries) => entries.len() == 1 && entries.values().all(is_scalar),
        other => is_scalar(other),
    }
}

const fn is_scalar(value: &Value) -> bool {
    !matches!(value, Value::Object(_) | Value::Array(_))
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => scalar_text(text, Style::Block),
        other => flow(other),
    }
}

fn flow(value: &Value) -> String {
    match value {
        Value::Object(entries) if entries.is_empty() => "{}".to_owned(),
        Value::Object(entries) => format!("{{ {} }}", flow_entries(entries)),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Value::String(text) => scalar_text(text, Style::Flow),
        Value::Null => "null".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

fn flow_entries(entries: &Map<String, Value>) -> String {
    let entries: Vec<_> = entries
        .iter()
        .map(|(key, value)| format!("{}: {}", scalar_text(key, Style::Flow), flow(value)))
        .collect();
    entries.join(", ")
}

/// Where a text stands: in flow style brackets, braces and commas end it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Block,
    Flow,
}

fn scalar_text(text: &str, style: Style) -> String {
    if is_plain(text, style) {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted += "\\\"",
            '\\' => quoted += "\\\\",
            '\n' => quoted += "\\n",
            '\t' => quoted += "\\t",
            '\r' => quoted += "\\r",
            c if c.is_control() || matches!(c, '\u{feff}' | '\u{2028}' | '\u{2029}') => {
                push(&mut quoted, format_args!("\\U{:08x}", u32::from(c)));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Whether YAML reads the text as itself without quotes. Too careful rather than too bold: what
/// could be a number, a boolean of any YAML version or a date is quoted.
fn is_plain(text: &str, style: Style) -> bool {
    let Some(first) = text.chars().next() else {
        return false;
    };
    let word = text.to_ascii_lowercase();
    let reserved =
        ["null", "true", "false", "yes", "no", "on", "off", "y", "n", "~", ".inf", ".nan"];
    let may_stand = |c: char| {
        c.is_ascii_alphanumeric()
            || matches!(c, '_' | '-' | '.' | '/' | '=' | '+' | '@' | '$' | '\'' | '(' | ')' | ' ')
            || (c == ',' && style == Style::Block)
    };
    (first.is_ascii_alphabetic() || first == '/' || is_dotted(text) || is_duration(text))
        && text.chars().all(may_stand)
        && !text.ends_with(' ')
        && !reserved.contains(&word.as_str())
}

/// An IPv4 address: digits, but never a number.
fn is_dotted(text: &str) -> bool {
    text.split('/').next().is_some_and(|address| {
        address.split('.').count() == 4
            && address
                .split('.')
                .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

/// `3s`, `500ms`: digits, but never a number.
fn is_duration(text: &str) -> bool {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    unit.len() < text.len() && matches!(unit, "s" | "ms" | "us")
}

/// A long sentence over several lines; none where it fits in one, or where folding would change it.
fn folded(text: &str, key: usize) -> Option<Vec<String>> {
    let words: Vec<&str> = text.split(' ').collect();
    let safe = !text.contains(|c: char| c.is_control())
        && words.iter().all(|word| !word.is_empty() && word.len() < FOLD);
    if !safe || key + 2 + text.len() <= WIDTH {
        return None;
    }
    let mut lines = vec![String::new()];
    for word in words {
        let last = lines.last_mut()?;
        if !last.is_empty() && last.len() + 1 + word.len() > FOLD {
            lines.push(word.to_owned());
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            *last += word;
        }
    }
    Some(lines)
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.push_str(&text.to_string());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::scenario::tree;

    #[test]
    fn a_scenario_reads_as_one_that_a_person_wrote() {
        let tree = json!({
            "description": "What the guest sends on a vhost TAP comes out framed on the outdev, and \
                            nothing of it is lost on the way.",
            "tags": ["fuzz", "outdev"],
            "profile": "qemu-7.2",
            "netdevs": { "hn0": { "type": "tap", "vhost": true }, "hn1": {} },
            "chardevs": { "out0": {} },
            "objects": [
                "filter-redirector,id=f0,netdev=hn0,queue=rx,outdev=out0",
                { "qom-type": "filter-mirror", "id": "m0", "netdev": "hn0", "outdev": "out0" },
            ],
            "steps": [
                { "send": "hn0.guest", "frames": [{ "hex": "0102 0304" }] },
                { "send": "hn0.guest", "frames": [
                    { "ipv4": { "src": "10.0.0.1", "dst": "10.0.0.2" }, "udp": { "sport": 1, "dport": 2 },
                      "payload": "on" },
                    { "eth": { "dst": "ff:ff:ff:ff:ff:ff", "type": 34997 }, "payload": { "fill": 0, "len": 3 } },
                ], "burst": true },
                { "qom-set": { "path": "/objects/f0", "property": "status", "value": "off" } },
                { "write": "out0", "data": [{ "u32": 4 }, { "hex": "01020304" }] },
                "stop",
                { "advance": "3s" },
            ],
            "expect": { "out0": 1, "error": { "m0": "Device 'out0' is in use" } },
        });
        insta::assert_snapshot!(write(&tree));
    }

    /// Texts that look like something else, and any others.
    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            prop::sample::select(vec![
                "",
                " ",
                "null",
                "~",
                "on",
                "Off",
                "0x10",
                "1e3",
                "-1",
                "1_000",
                "52:54:00",
                "a: b",
                "a #b",
                "- a",
                "? a",
                "[",
                "{a}",
                "a,b",
                "*x",
                "&x",
                "!x",
                "%x",
                "@x",
                "`x",
                "\"",
                "'",
                "2001-01-01",
                "a\n",
                "\u{2028}",
                "\u{feff}",
                ".5",
                "=",
                "<<",
                "10.0.0.1/24",
                "0o7",
                "${i}",
                "#",
                "|",
                ">-",
                "a:",
                ":",
                "é",
                "\\",
                "infinity",
                "nan",
            ])
            .prop_map(str::to_owned),
            "\\PC{0,12}",
            "[ -~]{0,130}",
        ]
    }

    fn tree_of_anything() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            text().prop_map(Value::from),
        ];
        let value = leaf.prop_recursive(4, 48, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[a-z0-9_.-]{1,8}", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        });
        prop::collection::btree_map("[a-z_]{1,8}", value, 1..5)
            .prop_map(|map| Value::Object(map.into_iter().collect()))
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(tree in tree_of_anything()) {
            let text = write(&tree);
            let read = tree::read_text(&text);
            prop_assert_eq!(read.as_ref().ok(), Some(&tree), "{}\n{:?}", text, read);
        }
    }
}
