//! What functions give that programs of many languages have: joins, formats, ranges, lists with numbers.

use std::collections::BTreeMap;

use super::{
    run::{Flow, MAX_TURNS, Run, words_hold},
    syntax::{Expr, Statement},
    value::Value,
};
use crate::import::{code::format, flag};

/// Those that give what they are called on.
const SAME: &[&str] = &[
    "to_string",
    "to_owned",
    "clone",
    "into",
    "toString",
    "to_s",
    "trim",
    "strip",
    "iter",
    "into_iter",
    "collect",
    "as_str",
    "String",
    "str",
    "string",
    "sorted",
    "sort",
    "list",
    "tuple",
    "Some",
    "Ok",
    "escapeshellarg",
    "pairs",
    "STR",
    "XSTR",
    "STRINGIFY",
    "xstr",
    "unwrap",
    "asList",
    "of",
    "listOf",
    "mutableListOf",
    "array",
    "vec",
    "freeze",
    "flatten",
    "as_slice",
    "toList",
    "to_vec",
    "Array",
    "List",
    "entries",
    "iteritems",
    "items",
    "new",
    "mut",
    "scalar",
    "chomp",
];

impl Run<'_> {
    /// What functions give that programs of many languages have.
    pub(super) fn library(
        &mut self,
        name: &str,
        base: Option<&Expr>,
        of: Option<Value>,
        mut given: Vec<Value>,
    ) -> Value {
        let lower = name.to_lowercase();
        let is_unknown = matches!(of, None | Some(Value::Unknown(_)));
        let package = match &of {
            Some(Value::Unknown(written)) => written.to_lowercase(),
            _ => String::new(),
        };
        match lower.as_str() {
            "join" | "joinpath" | "combine" | "get"
                if ["path", "filepath", "file", "os.path", "paths", "path.path"]
                    .contains(&package.as_str()) =>
            {
                let parts: Vec<String> = given.into_iter().map(|one| self.text(one)).collect();
                Value::Text(parts.join("/"))
            }
            // `join(',', a, b)`, `strings.Join(list, ",")`, `list.join(",")`, `",".join(list)`
            "join" | "concat" | "implode" => self.joined(of.filter(|_| !is_unknown), given),
            "append" if is_unknown && !given.is_empty() => {
                let mut list = given.remove(0).items();
                list.extend(given);
                Value::List(list)
            }
            "array_map" => given.pop().unwrap_or(Value::Nothing),
            "enumerate" | "ipairs" | "eachwithindex" | "each_with_index" => {
                let function = given.pop_if(|last| matches!(last, Value::Function(..)));
                let list = of.filter(|_| !is_unknown).or_else(|| given.into_iter().next());
                let start = i64::from(lower == "ipairs");
                let numbered = (start..).zip(list.unwrap_or(Value::Nothing).items());
                let behind = lower.starts_with("each");
                let pairs = numbered.map(|(number, item)| match behind {
                    true => Value::List(vec![item, Value::Number(number)]),
                    false => Value::List(vec![Value::Number(number), item]),
                });
                let list = Value::List(pairs.collect());
                match function {
                    Some(Value::Function(names, body)) => self.mapped(list, &names, &body),
                    _ => list,
                }
            }
            "keys" => match given.into_iter().next().or(of) {
                Some(Value::Map(map)) => {
                    Value::List(map.into_iter().map(|(key, _)| Value::Text(key)).collect())
                }
                other => other.unwrap_or(Value::Nothing),
            },
            "range" => {
                let number = |value: Option<&Value>| match value {
                    Some(Value::Number(number)) => Some(*number),
                    _ => None,
                };
                let (start, end) = match given.len() {
                    1 => (Some(0), number(given.first())),
                    _ => (number(given.first()), number(given.get(1))),
                };
                match (start, end) {
                    (Some(start), Some(end)) => {
                        Value::List((start..end).take(MAX_TURNS + 1).map(Value::Number).collect())
                    }
                    _ => Value::Unknown("range".to_owned()),
                }
            }
            "split" | "split_whitespace" => match of.or_else(|| given.pop()) {
                Some(Value::Text(text)) => Value::List(
                    text.split([' ', ','])
                        .filter(|part| !part.is_empty())
                        .map(|part| Value::Text(part.to_owned()))
                        .collect(),
                ),
                other => other.unwrap_or(Value::Nothing),
            },
            "each" | "foreach" | "map" | "flatmap" | "flat_map" | "collect"
                if matches!(given.last(), Some(Value::Function(..))) =>
            {
                let Some(Value::Function(names, body)) = given.pop() else { return Value::Nothing };
                self.mapped(of.unwrap_or(Value::Nothing), &names, &body)
            }
            _ if lower.contains("format")
                || lower.contains("sprintf")
                || lower.contains("printf") && lower.starts_with('s') =>
            {
                self.formatted(&lower, base, of.filter(|_| !is_unknown), given)
            }
            _ if SAME.contains(&name) => match (is_unknown, given.len()) {
                (false, 0) => of.unwrap_or(Value::Nothing),
                (_, 1) => given.remove(0),
                _ => Value::List(given),
            },
            _ => {
                let mut list = match of {
                    Some(value) if !is_unknown => value.items(),
                    _ => Vec::new(),
                };
                // What is passed beside the words: settings, a context.
                list.extend(
                    given.into_iter().filter(|one| !matches!(one, Value::Map(_) | Value::Bool(_))),
                );
                let words = self.words(Value::List(list.clone()));
                match words_hold(&words) || words.iter().any(|word| flag::is_program(word)) {
                    true => Value::List(list),
                    false => Value::Unknown(format!("{name}()")),
                }
            }
        }
    }

    fn joined(&mut self, of: Option<Value>, mut given: Vec<Value>) -> Value {
        let (separator, list) = match of {
            Some(Value::Text(separator)) => (separator, given),
            Some(list) => (given.first().and_then(Value::plain).unwrap_or_default(), list.items()),
            None if matches!(given.first(), Some(Value::List(_))) => {
                let list = given.remove(0).items();
                (given.first().and_then(Value::plain).unwrap_or_default(), list)
            }
            None if !given.is_empty() => {
                let separator = given.remove(0).plain().unwrap_or_default();
                (separator, given)
            }
            None => return Value::Nothing,
        };
        let words: Vec<String> = self.words(Value::List(list));
        Value::Text(words.join(&separator))
    }

    fn mapped(&mut self, list: Value, names: &[String], body: &[Statement]) -> Value {
        let items = match list {
            Value::Map(map) => map
                .into_iter()
                .map(|(key, value)| Value::List(vec![Value::Text(key), value]))
                .collect(),
            other => other.items(),
        };
        let mut out = Vec::new();
        for (number, item) in items.into_iter().take(MAX_TURNS).enumerate() {
            self.bind(names, number, item);
            match body {
                [Statement::Expr(expr)] => out.push(self.value(expr)),
                body => {
                    if let Flow::Return(value) = self.statements(body) {
                        out.push(value);
                    }
                }
            }
        }
        Value::List(out)
    }

    /// `sprintf(format, ...)`, `snprintf(target, size, format, ...)`, `format.format(...)`.
    pub(super) fn formatted(
        &mut self,
        name: &str,
        base: Option<&Expr>,
        of: Option<Value>,
        given: Vec<Value>,
    ) -> Value {
        let mut values: Vec<Value> = of.into_iter().chain(given).collect();
        let is_format = |value: &Value| matches!(value, Value::Text(text) if text.contains(['%', '{']) || text.contains(','));
        let at = values.iter().position(is_format).unwrap_or(0);
        if values.is_empty() {
            return Value::Nothing;
        }
        values.drain(..at);
        let Value::Text(text) = values.remove(0) else {
            return base.map_or(Value::Nothing, |base| Value::Unknown(format!("{base:?}")));
        };
        let braces = !name.contains("printf") && !text.contains('%');
        let known: BTreeMap<String, Value> =
            self.scopes.iter().flat_map(|scope| scope.values.clone()).collect();
        let mut open: Vec<(String, String)> = Vec::new();
        let text =
            format::names(&text.replace("${", "\u{1}{"), braces, &mut |name, written| match known
                .get(name)
                .and_then(Value::plain)
            {
                Some(text) => format::with_spec(&text, format::spec_of(written)),
                None => {
                    open.push((name.to_owned(), written.to_owned()));
                    format!("\u{2}{}\u{2}", open.len() - 1)
                }
            });
        let mut text = text.replace("\u{1}{", "${");
        for (at, (name, written)) in open.into_iter().enumerate() {
            let placeholder = self.placeholder(&name, &written);
            text = text.replace(&format!("\u{2}{at}\u{2}"), &placeholder);
        }
        let mut texts: Vec<String> = Vec::new();
        for value in values {
            texts.push(self.text(value));
        }
        let mut texts = texts.into_iter();
        let mut missing = 0;
        let filled = format::fill(&text, &mut || {
            texts.next().unwrap_or_else(|| {
                missing += 1;
                format!("\u{2}{missing}\u{2}")
            })
        });
        let mut filled = filled;
        for at in 1..=missing {
            let placeholder = self.shell.named("", &format!("value {at} of a format"));
            filled = filled.replace(&format!("\u{2}{at}\u{2}"), &placeholder);
        }
        Value::Text(filled)
    }
}
