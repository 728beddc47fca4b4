//! Calls of functions with a command's name: `vm.qmp("object-del", id="m0")`, `mon.object_del('m0')`.

use serde_json::{Map, Value};

use super::{
    Call,
    literal::{Constants, Literal},
    text::{closed, near, opened},
    verb,
};

/// Words of functions that give a command, in their names or before a command of a script.
const GIVES: &[&str] = &[
    "qmp", "hmp", "monitor", "mon", "command", "cmd", "exec", "send", "run", "write", "invoke",
    "call", "type", "execute", "action", "do",
];

/// Words of functions and of statements that compare, and give nothing.
const COMPARES: &[&str] = &[
    "assert",
    "expect",
    "supported",
    "has_",
    "==",
    "!=",
    "skip",
    "waitfor",
    "match",
    "if not",
    " not in ",
    "event",
    "require",
];

/// Arguments of such functions that are not the command's.
const OWN: &[&str] =
    &["timeout", "conv_keys", "log", "debug", "indent", "filters", "check", "err", "vm", "name_of"];

/// What stands around a command in a text.
#[derive(Debug, Default)]
pub(super) struct Context {
    /// The function with what it is called on, or the line before the command.
    pub(super) callee: String,
    /// What it is given before the command.
    pub(super) before: String,
    /// Where its bracket opens.
    open: Option<usize>,
    /// The command is the value of a key.
    pub(super) is_value: bool,
}

impl Context {
    pub(super) fn of(text: &str, at: usize) -> Self {
        let before = text[..at].trim_end_matches(['\\', 'f', 'b', 'r']).trim_end();
        match before.chars().next_back() {
            Some('(') => Self {
                callee: name_before(before),
                open: Some(before.len() - 1),
                ..Self::default()
            },
            Some(',' | '[' | '{') => match opened(text, at, '(').filter(|open| at - open < 300) {
                Some(open) => Self {
                    callee: name_before(&text[..=open]),
                    before: text[open + 1..at].to_owned(),
                    open: Some(open),
                    is_value: false,
                },
                None => Self::default(),
            },
            Some(':' | '=' | '>') if !before.ends_with("==") => {
                Self { callee: key_before(before), is_value: true, ..Self::default() }
            }
            _ => {
                let line = text[..at].rfind(['\n', ';', '{', '}']).map_or(0, |at| at + 1);
                Self { callee: text[line..at].trim().to_owned(), ..Self::default() }
            }
        }
    }

    /// Words before a command in its line.
    pub(super) fn of_line(before: &str) -> Self {
        Self { callee: before.trim().to_owned(), ..Self::default() }
    }

    /// Whether a command is given here.
    pub(super) fn gives(&self) -> bool {
        let callee = self.callee.to_lowercase();
        let words =
            || callee.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
        let is = |word: &str| {
            GIVES.iter().any(|part| *part == word || part.len() > 2 && word.contains(part))
        };
        !self.compares() && words().any(is)
    }

    /// Whether a text is only looked for here.
    pub(super) fn compares(&self) -> bool {
        let callee = self.callee.to_lowercase();
        COMPARES.iter().any(|word| callee.contains(word))
    }
}

/// The name before a bracket, with what it belongs to.
fn name_before(text: &str) -> String {
    let text = text.trim_end_matches('(').trim_end();
    let good = |c: char| c.is_alphanumeric() || "_.$@:>!&*]['\"-".contains(c);
    let start = text
        .rfind(|c: char| !good(c))
        .map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8));
    text[start..].to_owned()
}

/// The key before `:` or `=`.
fn key_before(text: &str) -> String {
    let text = text.trim_end_matches([':', '=', '>', ' ']);
    let good = |c: char| c.is_alphanumeric() || "_-\"'".contains(c);
    let start = text
        .rfind(|c: char| !good(c))
        .map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8));
    text[start..].trim_matches(['"', '\'']).to_owned()
}

/// The command of this name, whose arguments stand behind `end`, and where they end.
pub(super) fn call(
    text: &str,
    name: &str,
    end: usize,
    context: &Context,
    constants: &Constants,
) -> Option<(Call, usize)> {
    if context.is_value {
        return of_siblings(text, name, end, constants);
    }
    let (args, end) = match context.open {
        Some(open) => {
            let close = open + closed(near(text, open))?;
            (text.get(end..close - 1)?, close)
        }
        None => {
            let line = text[end..].find('\n').map_or(text.len(), |length| end + length);
            (&text[end..line], line)
        }
    };
    let args = args.trim_start_matches([')', ']', '}']);
    let (args, is_open) = arguments(name, args, constants)?;
    let needs = !verb::positions(name).is_empty();
    let call = Call::of_qmp(name, args);
    Some((Call { is_open: call.is_open || needs && is_open, ..call }, end))
}

/// A function that has the command's name: `mon.object_del("m0")`; the text goes on behind the name.
pub(super) fn method(
    text: &str,
    name: &str,
    end: usize,
    constants: &Constants,
) -> Option<(Call, usize)> {
    let close = end + closed(near(text, end)).filter(|_| text[end..].starts_with('('))?;
    let (args, is_open) = arguments(name, &text[end + 1..close - 1], constants)?;
    let line = args.values().next().and_then(Value::as_str);
    let listed = line.filter(|line| args.len() == 1 && line.contains(',') && line.contains('='));
    let call = match listed {
        Some(line) if verb::is_distinct(name) => {
            verb::typed(&format!("{} {line}", name.replace("object-", "object_")), constants)?
        }
        _ => Call::of_qmp(name, args),
    };
    Some((Call { is_open: call.is_open || is_open, ..call }, close))
}

/// The arguments beside a key that has the command's name: `{"command": "stop", "args": {...}}`.
fn of_siblings(text: &str, name: &str, end: usize, constants: &Constants) -> Option<(Call, usize)> {
    let open = opened(text, end, '{')?;
    let close = open + closed(near(text, open)).filter(|close| open + close > end)?;
    let mut literal = Literal::new(&text[open..close], constants);
    let map = literal.map(0, '}')?;
    let keys = ["arguments", "args", "params", "parameters", "data"];
    let args = keys.iter().find_map(|key| map.get(*key)?.as_object());
    let call = Call::of_qmp(name, args.cloned().unwrap_or_default());
    Some((Call { is_open: call.is_open || literal.is_open && args.is_some(), ..call }, close))
}

/// The arguments of a call, and whether one of them is computed.
fn arguments(name: &str, text: &str, constants: &Constants) -> Option<(Map<String, Value>, bool)> {
    let (mut map, mut is_open) = (Map::new(), false);
    let mut positions = verb::positions(name).iter();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || ",\\".contains(c));
        let is_spread = rest.starts_with("**") || rest.starts_with("...");
        rest = rest.trim_start_matches(['*', '&']).trim_start_matches("...");
        if rest.is_empty() || rest.starts_with(['#', '/', ';', ')', '}', ']']) {
            return Some((map, is_open));
        }
        let keyed = named(rest).filter(|_| !is_spread);
        let value = keyed.map_or(rest, |(_, value)| value);
        let mut literal = Literal::new(value, constants);
        let read = literal.value(0)?;
        rest = &value[literal.length()..];
        match (keyed.map(|(key, _)| key), read) {
            (Some(key), _) if OWN.contains(&key) && name != "device_add" => {}
            (Some("arguments" | "args" | "params" | "kwargs") | None, Value::Object(args)) => {
                is_open |= literal.is_open;
                match args.get("arguments").and_then(Value::as_object) {
                    Some(inner) => map.extend(inner.clone()),
                    None => map.extend(args),
                }
            }
            (Some(key), value) => {
                is_open |= literal.is_open;
                map.insert(verb::key(name, key), value);
            }
            (None, Value::Null) => {}
            (None, value) if is_spread => is_open |= !value.is_null(),
            (None, Value::String(word)) if word.starts_with('{') => {
                map.extend(serde_json::from_str::<Map<String, Value>>(&word).ok()?);
            }
            (None, Value::String(word))
                if named(&word).is_some_and(|(_, value)| !value.is_empty()) =>
            {
                let call = verb::typed(&format!("{name} {word}"), constants)?;
                is_open |= call.is_open | literal.is_open;
                map.extend(call.args);
            }
            (None, value) => {
                is_open |= literal.is_open;
                if let Some(key) = positions.next() {
                    let value = match value.as_str() {
                        Some("on") if *key == "up" => Value::Bool(true),
                        Some("off") if *key == "up" => Value::Bool(false),
                        _ => value,
                    };
                    map.insert((*key).to_owned(), value);
                }
            }
        }
    }
}

/// The key and the value of `key=value`, `key: value`, `:key => value`.
fn named(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix(':').unwrap_or(text);
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || "_-".contains(c)))?;
    let rest = text[end..].trim_start();
    let value = ["=>", ":", "="].iter().find_map(|mark| rest.strip_prefix(mark))?;
    let is_key = end > 0
        && !value.starts_with(['=', ':'])
        && !text.starts_with(|c: char| c.is_ascii_digit());
    is_key.then(|| (&text[..end], value.trim_start()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("vm.cmd('object-del', id='f')", "object-del {\"id\":\"f\"}")]
    #[case("vm.cmd('object-del', {'id': 'f'})", "object-del {\"id\":\"f\"}")]
    #[case(
        "mon.Run(ctx, \"object-del\", map[string]any{\"id\": \"f\"})",
        "object-del {\"id\":\"f\"}"
    )]
    #[case("vm.qmp 'object-del', id: 'f'", "object-del {\"id\":\"f\"}")]
    #[case("vm.qmp('object-del', **{'id': 'f'})", "object-del {\"id\":\"f\"}")]
    #[case("vm.cmd('object-del', arguments={'id': 'f'}, timeout=3)", "object-del {\"id\":\"f\"}")]
    #[case("$mon->command('object-del', { id => 'f' });", "object-del {\"id\":\"f\"}")]
    #[case("cmd('object-del', \"id=f\")", "object-del {\"id\":\"f\"}")]
    #[case("vm.cmd('object-del', id=f)", "open")]
    #[case("x = {'cmd': 'object-del', 'args': {'id': 'f'}}", "object-del {\"id\":\"f\"}")]
    fn a_call_has_arguments(#[case] text: &str, #[case] expected: &str) {
        let at = text.find("object-del").unwrap();
        let context = Context::of(text, at - 1);
        assert!(context.gives(), "{context:?}");
        let found =
            call(text, "object-del", at + "object-del".len() + 1, &context, &Constants::new());
        let shown = match found {
            Some((call, _)) if call.is_open => "open".to_owned(),
            Some((call, _)) => format!("{} {}", call.name, Value::Object(call.args)),
            None => "none".to_owned(),
        };
        assert_eq!(shown, expected);
    }

    #[rstest]
    #[case("self.assertIn('object-del', names)")]
    #[case("{\"name\": \"object-del\"}")]
    fn what_compares_gives_nothing(#[case] text: &str) {
        let at = text.find("object-del").unwrap();
        assert!(!Context::of(text, at - 1).gives());
    }
}
