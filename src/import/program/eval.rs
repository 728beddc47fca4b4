//! The value of an expression, and where an assignment puts it.

use std::rc::Rc;

use super::{
    language::Quote,
    run::{MAX_STATEMENTS, MAX_TURNS, MOST_WRITTEN, Run},
    syntax::{self, Expr},
    token,
    value::Value,
};

/// Methods and functions that put their arguments behind a list.
const APPENDING: &[&str] = &[
    "append",
    "push",
    "add",
    "extend",
    "addAll",
    "push_back",
    "emplace_back",
    "arg",
    "args",
    "concat",
    "insert",
    "AddRange",
    "Add",
    "addArgument",
    "unshift",
    "array_push",
];

impl Run<'_> {
    pub(super) fn value(&mut self, expr: &Expr) -> Value {
        self.steps += 1;
        if self.steps > MAX_STATEMENTS {
            return Value::Nothing;
        }
        match expr {
            Expr::Text(text, quote) => Value::Text(self.template(text, *quote)),
            Expr::Number(number) => Value::Number(*number),
            Expr::Name(name) => match name.as_str() {
                "NULL" | "nil" | "null" | "None" | "undefined" | "nullptr" => Value::Nothing,
                "true" | "True" => Value::Bool(true),
                "false" | "False" => Value::Bool(false),
                _ => self.get(name).unwrap_or_else(|| Value::Unknown(name.clone())),
            },
            Expr::List(items) => {
                let mut list = Vec::new();
                for item in items {
                    let value = self.value(item);
                    // A list in round brackets of Perl is flat, and so is `...list`.
                    list.push(value);
                }
                Value::List(list)
            }
            Expr::Map(pairs) => {
                let mut map = Vec::new();
                for (key, value) in pairs {
                    let key = match key {
                        Expr::Name(name) => name.clone(),
                        other => self.value(other).plain().unwrap_or_default(),
                    };
                    map.push((key, self.value(value)));
                }
                Value::Map(map)
            }
            Expr::Member(base, key) => {
                let value = self.value(base);
                if matches!(**key, Expr::Nothing) {
                    return value;
                }
                let key = self.value(key);
                match (&value, key.plain()) {
                    // A class or a package in front of a name that the text has.
                    (Value::Unknown(_), Some(name)) if self.get(&name).is_some() => {
                        self.get(&name).unwrap_or(Value::Nothing)
                    }
                    _ => value.member(&key),
                }
            }
            Expr::Call(callee, items) => self.called_value(callee, items),
            Expr::Binary(sign, left, right) => self.binary(sign, left, right),
            Expr::Not(inner) => match self.value(inner) {
                Value::Unknown(written) => Value::Unknown(format!("not {written}")),
                value => Value::Bool(value.holds() == Some(false)),
            },
            Expr::Choice(condition, one, other) => match self.value(condition).holds() {
                Some(false) => self.value(other),
                Some(true) => self.value(one),
                None => {
                    self.branches.push("of a choice in one expression, the first".to_owned());
                    self.value(one)
                }
            },
            Expr::Assign(target, sign, value) => {
                let value = self.value(value);
                self.assign(target, sign, value);
                Value::Nothing
            }
            Expr::Function(names, body) => Value::Function(names.clone(), body.clone()),
            Expr::Command(words) => self.command(words),
            Expr::Nothing => Value::Nothing,
        }
    }

    /// `Start-Process -FilePath $qemu -ArgumentList $args`: its own options are no words of the command.
    pub(super) fn command(&mut self, words: &[(String, Quote)]) -> Value {
        let is_verb = words
            .first()
            .is_some_and(|(word, _)| word.contains('-') && !word.contains(['$', '\\', '/']));
        let mut list = Vec::new();
        for (word, quote) in words {
            let capital = word
                .strip_prefix('-')
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()));
            if is_verb && capital && word.len() > 2 {
                continue;
            }
            let name = word.trim_start_matches(['$', '@']);
            match self.get(name).filter(|_| *quote == Quote::Dollar && name.len() < word.len()) {
                Some(value) => list.push(value),
                None => list.push(Value::Text(self.template(word, *quote))),
            }
        }
        Value::List(list)
    }

    pub(super) fn assign(&mut self, target: &Expr, sign: &str, value: Value) {
        match target {
            Expr::Name(name) => {
                let value = match (sign, self.get(name)) {
                    ("+=", Some(Value::List(mut list))) => {
                        list.extend(value.items());
                        Value::List(list)
                    }
                    ("+=", Some(Value::Number(one))) if matches!(value, Value::Number(_)) => {
                        match value {
                            Value::Number(other) => Value::Number(one.saturating_add(other)),
                            other => other,
                        }
                    }
                    ("+=", Some(old)) => {
                        let text = self.text(old) + &self.text(value);
                        Value::Text(text)
                    }
                    (_, _) => value,
                };
                self.set(name, value);
            }
            // `$args[] = x`, and `String[] args = {...}`
            Expr::Member(base, key) if matches!(**key, Expr::Nothing) => match (&**base, value) {
                (Expr::Name(name), value @ (Value::List(_) | Value::Map(_))) if sign == "=" => {
                    self.set(name, value)
                }
                (base, value) => self.append(base, vec![value]),
            },
            Expr::Member(base, key) => {
                let key = self.value(key).plain();
                if let (Expr::Name(name), Some(key)) = (&**base, key) {
                    let mut map = match self.get(name) {
                        Some(Value::Map(map)) => map,
                        // `cmd.Args = ...`
                        Some(Value::List(_)) | Some(Value::Unknown(_)) | None
                            if matches!(value, Value::List(_)) =>
                        {
                            return self.set(name, value);
                        }
                        _ => Vec::new(),
                    };
                    map.retain(|(other, _)| *other != key);
                    map.push((key, value));
                    self.set(name, Value::Map(map));
                }
            }
            // `std::vector<std::string> args = {...}`: a type with brackets stands in front.
            Expr::Binary(_, _, name) => self.assign(name, sign, value),
            // `my ($a, $b) = @_;`
            Expr::List(names) => {
                let mut values = value.items().into_iter();
                for name in names {
                    if let Expr::Name(name) = name {
                        let value = values.next().unwrap_or_else(|| Value::Unknown(name.clone()));
                        self.set(name, value);
                    }
                }
            }
            _ => {}
        }
    }

    /// Puts values behind the list of a variable.
    pub(super) fn append(&mut self, base: &Expr, values: Vec<Value>) {
        let name = match base {
            Expr::Name(name) => name.clone(),
            Expr::Member(_, key) => match &**key {
                Expr::Text(name, _) => name.clone(),
                _ => return,
            },
            _ => return,
        };
        let mut list = match self.get(&name) {
            Some(Value::Unknown(_)) | None => Vec::new(),
            Some(value) => value.items(),
        };
        list.extend(values);
        if list.len() < MAX_STATEMENTS {
            self.set(&name, Value::List(list));
        }
    }

    pub(super) fn called_value(&mut self, callee: &Expr, items: &[Expr]) -> Value {
        let (base, name) = match callee {
            Expr::Name(name) => (None, name.clone()),
            Expr::Member(base, key) => match &**key {
                Expr::Text(name, _) => (Some(&**base), name.clone()),
                _ => (None, String::new()),
            },
            _ => (None, String::new()),
        };
        // A builder: `cmd.arg("-a").arg("b")`, a list that grows in one chain.
        if let Some(base) = base
            && APPENDING.contains(&name.as_str())
        {
            let values: Vec<Value> = items.iter().map(|item| self.value(item)).collect();
            if let Some(root) = root(base) {
                let known = !matches!(self.value(root), Value::Unknown(_) | Value::Map(_));
                // `slices.append(list, ...)`, `table.insert(list, x)`
                if !known
                    && let Some((first @ Expr::Name(_), _)) = items.split_first()
                    && values.len() > 1
                {
                    self.append(first, values[1..].to_vec());
                    return Value::Nothing;
                }
                let outer = self.value(base);
                if !matches!(outer, Value::Nothing) || std::ptr::eq(root, base) {
                    drop(outer);
                }
                self.append(root, values);
                return Value::Nothing;
            }
            let mut list = self.value(base).items();
            list.extend(values);
            return Value::List(list);
        }
        if base.is_none() && matches!(name.as_str(), "push" | "array_push") {
            let values: Vec<Value> = items.iter().skip(1).map(|item| self.value(item)).collect();
            if let Some(first) = items.first() {
                self.append(first, values);
            }
            return Value::Nothing;
        }
        let given: Vec<Value> = items.iter().map(|item| self.value(item)).collect();
        if let Some(function) = self.functions.get(&name).cloned() {
            return self.call(&name, &function, given);
        }
        if let Some(Value::Function(names, body)) = self.get(&name).filter(|_| base.is_none()) {
            return self.call(&name, &Rc::new((names, body)), given);
        }
        let of = base.map(|base| match root(base) {
            Some(root) => self.value(root),
            None => self.value(base),
        });
        self.library(&name, base, of, given)
    }

    pub(super) fn binary(&mut self, sign: &str, left: &Expr, right: &Expr) -> Value {
        if sign == "<<"
            && let Some((list, mut items)) = shifted(left)
        {
            items.push(right);
            let values = items.into_iter().map(|item| self.value(item)).collect();
            self.append(list, values);
            return Value::Nothing;
        }
        let one = self.value(left);
        if matches!(sign, "||" | "or" | "??" | "?:" | "&&" | "and") {
            let takes_left =
                matches!(sign, "||" | "or" | "??" | "?:") == (one.holds() == Some(true));
            return match (one.holds(), sign) {
                (None, "||" | "or" | "??" | "?:") => {
                    let other = self.value(right);
                    if matches!(other, Value::Nothing | Value::Unknown(_)) { one } else { other }
                }
                (None, _) => one,
                _ if takes_left => one,
                _ => self.value(right),
            };
        }
        let other = self.value(right);
        match (sign, one, other) {
            ("==" | "eq" | "===", one, other) => compared(&one, &other, true),
            ("!=" | "ne" | "!==", one, other) => compared(&one, &other, false),
            ("<" | ">" | "<=" | ">=" | "=~", one, _) => Value::Unknown(self.shown(one)),
            ("+" | "-" | "*" | "/" | "%", Value::Number(one), Value::Number(other)) => {
                let result = match sign {
                    "+" => one.checked_add(other),
                    "-" => one.checked_sub(other),
                    "*" => one.checked_mul(other),
                    "/" => one.checked_div(other),
                    _ => one.checked_rem(other),
                };
                result.map_or(Value::Nothing, Value::Number)
            }
            ("%", Value::Text(text), other) => {
                self.formatted("printf", None, Some(Value::Text(text)), other.items())
            }
            ("+" | "++" | "<>", Value::List(mut list), other) => {
                list.extend(other.items());
                Value::List(list)
            }
            ("..", Value::Number(one), Value::Number(other)) => {
                Value::List((one..=other).take(MAX_TURNS + 1).map(Value::Number).collect())
            }
            (_, one, other) => {
                let (one, other) = (self.text(one), self.text(other));
                self.written = self.written.saturating_add(one.len() + other.len());
                match self.written > MOST_WRITTEN {
                    true => Value::Nothing,
                    false => Value::Text(one + &other),
                }
            }
        }
    }

    pub(super) fn shown(&self, value: Value) -> String {
        match value {
            Value::Unknown(written) => written,
            other => other.plain().unwrap_or_else(|| "a value".to_owned()),
        }
    }

    /// A string with its values in place.
    pub(super) fn template(&mut self, text: &str, quote: Quote) -> String {
        let mark = match quote {
            Quote::Dollar => '$',
            Quote::Hash => '#',
            // The scenario's own marks.
            _ => return text.replace("${", "$${"),
        };
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(mark) {
            out.push_str(&rest[..at]);
            let behind = &rest[at..];
            match inner(behind, mark) {
                Some((expression, length)) => {
                    let (tokens, _) = token::read(expression, self.language);
                    let expr = syntax::expression(&tokens, self.language);
                    let written = &behind[..length];
                    match self.value(&expr) {
                        Value::Unknown(name) => out += &self.placeholder(&name, written),
                        value => out += &self.text(value),
                    }
                    rest = &behind[length..];
                }
                None => {
                    out.push(mark);
                    rest = &behind[1..];
                }
            }
        }
        out + rest
    }
}

/// The expression that a mark holds, and how long both are.
fn inner(text: &str, mark: char) -> Option<(&str, usize)> {
    let rest = &text[1..];
    let closed = [("{", '{', '}'), ("(", '(', ')')]
        .into_iter()
        .find(|(open, ..)| rest.starts_with(open) && (mark == '$' || *open == "{"));
    if let Some((_, open, close)) = closed {
        let mut depth = 0usize;
        for (at, c) in rest.char_indices() {
            if c == open {
                depth += 1;
            } else if c == close {
                depth -= 1;
                if depth == 0 {
                    return Some((&rest[1..at], at + 2));
                }
            }
        }
        return None;
    }
    if mark != '$' {
        return None;
    }
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
    if end == 0 || rest.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    // `$d->{mac}`, `$h{key}`, `$a[0]`
    loop {
        let tail = &rest[end..];
        let arrow = if tail.starts_with("->") { 2 } else { 0 };
        let Some(open) = tail[arrow..].chars().next().filter(|c| "{[".contains(*c)) else { break };
        let close = if open == '{' { '}' } else { ']' };
        let Some(length) = tail.find(close) else { break };
        end += length + 1;
    }
    Some((&text[..end + 1], end + 1))
}

fn compared(one: &Value, other: &Value, equal: bool) -> Value {
    match (one.plain(), other.plain()) {
        (Some(one), Some(other)) => Value::Bool((one == other) == equal),
        _ => match (one, other) {
            (Value::Unknown(written), _) | (_, Value::Unknown(written)) => {
                Value::Unknown(written.clone())
            }
            _ => Value::Bool(!equal),
        },
    }
}

/// `list << a << b`: the list, and what is put behind it so far.
fn shifted(expr: &Expr) -> Option<(&Expr, Vec<&Expr>)> {
    match expr {
        Expr::Name(_) => Some((expr, Vec::new())),
        Expr::Binary("<<", left, right) => {
            let (list, mut items) = shifted(left)?;
            items.push(right);
            Some((list, items))
        }
        _ => None,
    }
}

/// The variable at which a chain of appending calls begins.
fn root(expr: &Expr) -> Option<&Expr> {
    match expr {
        Expr::Name(_) => Some(expr),
        Expr::Call(callee, _) => match &**callee {
            Expr::Member(base, key) if matches!(&**key, Expr::Text(name, _) if APPENDING.contains(&name.as_str())) => {
                root(base)
            }
            _ => None,
        },
        Expr::Member(base, _) if matches!(**base, Expr::Name(_)) => Some(expr),
        _ => None,
    }
}
