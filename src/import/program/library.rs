//! What functions give that programs of many languages have: joins, formats, ranges, lists with numbers.

use std::rc::Rc;

use super::{
    object::Arguments,
    run::{Flow, MAX_TURNS, Run},
    start::words_hold,
    syntax::{Expr, Function, Statement},
    value::Value,
    values::of_text,
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
    "encode",
    "decode",
    "bytes",
    "to_a",
    "to_h",
    "to_sym",
    "Path",
    "PurePath",
    "compact",
    "toArray",
    "as_posix",
    "quote",
    "shellescape",
    "reversed",
    "from",
    "rstrip",
    "lstrip",
    "toString",
    "as_bytes",
    "must",
    "Must",
    "deepcopy",
    "copy",
    "slice",
    "values_list",
    "valueOf",
];

impl Run<'_> {
    /// What functions give that programs of many languages have.
    pub(super) fn library(
        &mut self,
        name: &str,
        base: Option<&Expr>,
        of: Option<Value>,
        mut all: Arguments,
    ) -> Value {
        let is_unknown = matches!(of, None | Some(Value::Unknown(_)));
        if let Some(value) = self.asked(name, of.as_ref(), &all) {
            return value;
        }
        if let Some(value) = self.made_of(name, base, of.as_ref(), &all) {
            return value;
        }
        let lower = name.to_lowercase();
        let formats = lower.contains("format")
            || lower.contains("sprintf")
            || lower.contains("printf") && lower.starts_with('s');
        if formats {
            return self.formatted(&lower, base, of.filter(|_| !is_unknown), all);
        }
        if let Some(value) = of.as_ref().and_then(|of| of_text(&lower, of, &all.values)) {
            return value;
        }
        let named = std::mem::take(&mut all.named);
        let mut given = all.values;
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
            "concat" if matches!(of, Some(Value::List(_))) => {
                let mut list = of.unwrap_or(Value::Nothing).items();
                list.extend(given.into_iter().flat_map(Value::items));
                Value::List(list)
            }
            "join" | "concat" | "implode" => self.joined(of.filter(|_| !is_unknown), given),
            "append" if is_unknown && !given.is_empty() => {
                let mut list = given.remove(0).items();
                list.extend(given);
                Value::List(list)
            }
            "concatstringssep"
            | "concatmapstringssep"
            | "escapeshellargs"
            | "toshellargs"
            | "concatstrings" => {
                let list = given.pop().unwrap_or(Value::Nothing);
                let list = match given.pop_if(|last| matches!(last, Value::Function(_))) {
                    Some(Value::Function(function)) => self.mapped(list, &function),
                    _ => list,
                };
                let separator = given.pop().and_then(|value| value.plain());
                let none = if lower == "concatstrings" { "" } else { " " };
                let words = self.words(list);
                Value::Text(words.join(separator.as_deref().unwrap_or(none)))
            }
            "optionals" | "optional" | "optionalstring" if given.len() == 2 => {
                match given[0].holds() == Some(false) {
                    true => Value::Nothing,
                    false => given.remove(1),
                }
            }
            "concatmap" | "mapattrstolist" | "imap0" | "imap1" | "genlist" if given.len() == 2 => {
                let list = match (lower.as_str(), given.pop().unwrap_or(Value::Nothing)) {
                    ("genlist", Value::Number(end)) => {
                        Value::List((0..end).take(MAX_TURNS).map(Value::Number).collect())
                    }
                    ("imap0" | "imap1", list) => {
                        let numbers = i64::from(lower == "imap1")..;
                        let pair = |(number, item)| Value::List(vec![Value::Number(number), item]);
                        Value::List(numbers.zip(list.items()).map(pair).collect())
                    }
                    (_, list) => list,
                };
                match given.pop() {
                    Some(Value::Function(function)) => self.mapped(list, &function),
                    _ => list,
                }
            }
            "array_map" => given.pop().unwrap_or(Value::Nothing),
            "enumerate" | "ipairs" | "eachwithindex" | "each_with_index" => {
                let function = given.pop_if(|last| matches!(last, Value::Function(..)));
                let list = match of.filter(|_| !is_unknown) {
                    None if !given.is_empty() => Some(given.remove(0)),
                    of => of,
                };
                let start = match given.first().or(named.first().map(|(_, start)| start)) {
                    Some(Value::Number(start)) => *start,
                    _ => i64::from(lower == "ipairs"),
                };
                let numbered = (start..).zip(list.unwrap_or(Value::Nothing).items());
                let behind = lower.starts_with("each");
                let pairs = numbered.map(|(number, item)| match behind {
                    true => Value::List(vec![item, Value::Number(number)]),
                    false => Value::List(vec![Value::Number(number), item]),
                });
                let list = Value::List(pairs.collect());
                match function {
                    Some(Value::Function(function)) => self.mapped(list, &function),
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
            "split" | "split_whitespace" | "fields" | "shellsplit" => {
                let texts = of.into_iter().chain(given);
                let mut texts = texts.filter(|one| !matches!(one, Value::Unknown(_)));
                let separator = |value: Value| value.plain().filter(|text| !text.trim().is_empty());
                match texts.next() {
                    Some(Value::Text(text)) => {
                        let separator = texts.next().and_then(separator);
                        let parts: Vec<&str> = match &separator {
                            Some(separator) => text.split(separator.as_str()).collect(),
                            None => text.split_whitespace().collect(),
                        };
                        Value::List(
                            parts.into_iter().map(|part| Value::Text(part.to_owned())).collect(),
                        )
                    }
                    other => other.unwrap_or(Value::Unknown("split()".to_owned())),
                }
            }
            "each" | "foreach" | "map" | "flatmap" | "flat_map" | "collect" | "each_pair"
            | "with_index" | "times" | "tap"
                if matches!(given.last(), Some(Value::Function(_))) =>
            {
                let Some(Value::Function(function)) = given.pop() else { return Value::Nothing };
                let list = match (of, given.pop()) {
                    (Some(Value::Number(end)), _) => {
                        Value::List((0..end).take(MAX_TURNS).map(Value::Number).collect())
                    }
                    // `map(function, list)`
                    (None | Some(Value::Unknown(_)), Some(list)) => list,
                    (of, _) => of.unwrap_or(Value::Nothing),
                };
                self.mapped(list, &function)
            }
            "map" if matches!(given.as_slice(), [Value::Function(_), _]) => {
                let list = given.pop().unwrap_or(Value::Nothing);
                let Some(Value::Function(function)) = given.pop() else { return Value::Nothing };
                self.mapped(list, &function)
            }
            _ if SAME.contains(&name) => match (is_unknown, given.len()) {
                (false, 0) => of.unwrap_or(Value::Nothing),
                (_, 1) => given.remove(0),
                _ => Value::List(given),
            },
            _ => {
                // What is done later, or with what the call gives.
                for one in &given {
                    if let Value::Function(function) = one {
                        self.call("", function, Arguments::default(), None);
                    }
                }
                let mut list = match of {
                    Some(value) if !is_unknown => value.items(),
                    _ => Vec::new(),
                };
                // What is passed beside the words: settings, a context.
                list.extend(
                    given.into_iter().filter(|one| !matches!(one, Value::Map(_) | Value::Bool(_))),
                );
                for (_, value) in &named {
                    if self.holds(value) {
                        list.push(value.clone());
                    }
                }
                // Beside a whole command stands what the call gives back.
                let is_whole = list.iter().any(|one| match one {
                    Value::Text(text) => text.contains(' ') && flag::is_qemus(text),
                    Value::List(words) => words
                        .iter()
                        .any(|word| word.plain().is_some_and(|word| flag::is_program(&word))),
                    _ => false,
                });
                if is_whole {
                    list.retain(|one| !matches!(one, Value::Unknown(_)));
                }
                let words = self.words(Value::List(list.clone()));
                if words_hold(&words) || words.iter().any(|word| flag::is_program(word)) {
                    return Value::List(list);
                }
                // What may say whose the result is.
                if self.language.indents && name.starts_with(|c: char| c.is_ascii_uppercase()) {
                    return self.stranger(name, list, named);
                }
                let given = named.into_iter().map(|(_, value)| value).chain(list);
                self.last_given = given.filter_map(|value| value.plain()).collect();
                Value::Unknown(format!("{name}()"))
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

    fn mapped(&mut self, list: Value, function: &Rc<Function>) -> Value {
        let items = match list {
            Value::Map(map) => map
                .into_iter()
                .map(|(key, value)| Value::List(vec![Value::Text(key), value]))
                .collect(),
            other => other.items(),
        };
        let names: Vec<String> = function.parameters.iter().map(|one| one.name.clone()).collect();
        let mut out = Vec::new();
        for (number, item) in items.into_iter().take(MAX_TURNS).enumerate() {
            match names.is_empty() {
                true => self.set("it", item),
                false => self.bind(&names, number, item),
            }
            match function.body.as_slice() {
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
        given: Arguments,
    ) -> Value {
        let mut values: Vec<Value> = of.into_iter().chain(given.values).collect();
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
        let named = given.named;
        let mut open: Vec<(String, String)> = Vec::new();
        let look_up = |name: &str| {
            let (first, rest) = name.split_once(['.', '[']).unwrap_or((name, ""));
            let own =
                named.iter().find(|(known, _)| known == first).map(|(_, value)| value.clone());
            let value = own.or_else(|| self.get(first))?;
            match rest.trim_end_matches(']') {
                "" => value.plain(),
                rest => value.member(&Value::Text(rest.to_owned())).plain(),
            }
        };
        let text =
            format::names(
                &text.replace("${", "\u{1}{"),
                braces,
                &mut |name, written| match look_up(name) {
                    Some(text) => format::with_spec(&text, format::spec_of(written)),
                    None => {
                        open.push((name.to_owned(), written.to_owned()));
                        format!("\u{2}{}\u{2}", open.len() - 1)
                    }
                },
            );
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
