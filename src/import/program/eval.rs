//! The value of an expression, and where an assignment puts it.

use std::rc::Rc;

use super::{
    language::Quote,
    object::{Arguments, VARIABLE},
    run::{MAX_STATEMENTS, MAX_TURNS, MOST_COPIED, MOST_WRITTEN, Run},
    syntax::{Class, Expr},
    value::Value,
};

impl Run<'_> {
    /// What an expression gives.
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
                "__name__" => Value::Text("__main__".to_owned()),
                _ => self.named(name),
            },
            Expr::List(items) => {
                let mut list = Vec::new();
                for item in items {
                    match item {
                        Expr::Spread(inner) => list.extend(self.value(inner).items()),
                        item => list.push(self.value(item)),
                    }
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
                if let Expr::Map(range) = &**key
                    && let [(from, to)] = range.as_slice()
                {
                    return self.slice(value, from, to);
                }
                let key = self.value(key);
                match (&value, key.plain()) {
                    (Value::Object(object), Some(name)) => self.member_of(object, &name),
                    (Value::Class(class), Some(name)) => self.class_member(class, &name),
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
            Expr::Assign(target, sign, inner) => {
                let is_new = *sign == ":=";
                let mut value = self.value(inner);
                // `a = b = c`
                if let Expr::Assign(other, ..) = &**inner {
                    value = self.value(other);
                }
                let value = self.for_target(target, inner, value);
                match (&**target, is_new) {
                    (Expr::Name(name), true) => self.set_here(name, value),
                    (target, true) => self.assign(target, "=", value),
                    (target, false) => self.assign(target, sign, value),
                }
                Value::Nothing
            }
            Expr::Function(function) => Value::Function(Rc::clone(function)),
            Expr::Each(value, clauses) => {
                let mut out = Vec::new();
                self.each(value, clauses, &mut out);
                Value::List(out)
            }
            Expr::Spread(inner) => self.value(inner),
            Expr::Command(words) => self.command(words),
            Expr::Nothing => Value::Nothing,
        }
    }

    /// What a name stands for: a variable, a class, or a function of Ruby that needs no brackets.
    fn named(&mut self, name: &str) -> Value {
        if let Some(value) = self.get(name) {
            return value;
        }
        if let Some(class) = self.classes.get(name) {
            return Value::Class(Rc::clone(class));
        }
        match self.functions.get(name).cloned().filter(|_| self.language.symbols) {
            Some(function) => self.called_by_name(name, &function, Arguments::default()),
            None => Value::Unknown(name.to_owned()),
        }
    }

    /// A value that is put into a variable: one that the text does not say is called like that.
    fn for_target(&mut self, target: &Expr, given: &Expr, value: Value) -> Value {
        if let (Some(name), Value::Object(object)) = (name_in(target), &value)
            && object.get(VARIABLE).is_none()
        {
            object.set(VARIABLE, Value::Text(name.to_owned()));
        }
        let (Expr::Name(name), Value::Unknown(written)) = (target, &value) else { return value };
        if matches!(given, Expr::Call(..)) && !self.last_given.is_empty() {
            self.given.insert(name.clone(), std::mem::take(&mut self.last_given));
        }
        let last = written.rsplit(['.', ':']).next().unwrap_or_default();
        let asked = ["fetch()", "get()", "getenv()", "shift()", "arg()"];
        match asked.contains(&last) || last.starts_with(|c: char| c.is_ascii_digit()) {
            true => Value::Unknown(name.clone()),
            false => value,
        }
    }

    /// `list[from:to]`
    fn slice(&mut self, value: Value, from: &Expr, to: &Expr) -> Value {
        let mut at = |expr: &Expr| match self.value(expr) {
            Value::Number(number) => usize::try_from(number).ok(),
            _ => None,
        };
        let (from, to) = (at(from).unwrap_or(0), at(to).unwrap_or(usize::MAX));
        match value {
            Value::List(list) => {
                Value::List(list.into_iter().skip(from).take(to.saturating_sub(from)).collect())
            }
            Value::Text(text) => {
                Value::Text(text.chars().skip(from).take(to.saturating_sub(from)).collect())
            }
            other => other,
        }
    }

    /// What all objects of a class have.
    fn class_member(&mut self, class: &Rc<Class>, name: &str) -> Value {
        let found = class.fields.iter().rev().find(|(field, _)| field == name);
        match found.and_then(|(_, default)| default.clone()) {
            Some(default) => self.value(&default),
            None => self.get(name).unwrap_or_else(|| Value::Unknown(name.to_owned())),
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
                    ("+=", Some(old)) => self.sum(old, value),
                    _ => value,
                };
                match sign == "=" && (self.language.indents || self.language.symbols) {
                    true => self.set_here(name, value),
                    false => self.set(name, value),
                }
            }
            // `$args[] = x`, and `String[] args = {...}`
            Expr::Member(base, key) if matches!(**key, Expr::Nothing) => match (&**base, value) {
                (Expr::Name(name), value @ (Value::List(_) | Value::Map(_))) if sign == "=" => {
                    self.set(name, value)
                }
                (base, value) => self.append(base, vec![value]),
            },
            Expr::Member(base, key) if matches!(self.value(base), Value::Object(_)) => {
                let key = self.value(key).plain();
                if let (Value::Object(object), Some(key)) = (self.value(base), key) {
                    let value = match (sign, object.get(&key)) {
                        ("+=", Some(old)) => self.sum(old, value),
                        _ => value,
                    };
                    self.copied = self.copied.saturating_add(value.size());
                    if self.copied <= MOST_COPIED {
                        object.set(&key, value);
                    }
                }
            }
            Expr::Member(base, key) if matches!(self.value(base), Value::List(_)) => {
                let at = self.value(key).plain().and_then(|key| key.parse::<usize>().ok());
                if let (Some(at), Value::List(mut list)) = (at, self.value(base)) {
                    match list.get_mut(at) {
                        Some(item) => *item = value,
                        None => list.push(value),
                    }
                    self.assign(base, "=", Value::List(list));
                } else if let Expr::Name(name) = &**base
                    && matches!(value, Value::List(_))
                {
                    self.set(name, value);
                }
            }
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
            // `const { a, b } = value`
            Expr::List(names) if matches!(value, Value::Map(_) | Value::Object(_)) => {
                for name in names {
                    if let Expr::Name(name) = name {
                        let member = value.member(&Value::Text(name.clone()));
                        self.set_here(name, member);
                    }
                }
            }
            // `my ($a, $b) = @_;`
            Expr::List(names) => {
                let mut values = value.items().into_iter();
                // Of a function that is called with less than it takes.
                let is_given = values.len() > 0;
                for name in names {
                    if let Expr::Name(name) = name {
                        let value = values.next().unwrap_or_else(|| match is_given {
                            true => Value::Nothing,
                            false => Value::Unknown(name.clone()),
                        });
                        // `my ($a, %b) = @_`, of which the last has all that have names.
                        let value = match value {
                            Value::Map(mut map) => {
                                while let Some(Value::Map(more)) =
                                    values.as_slice().first().cloned()
                                {
                                    map.extend(more);
                                    values.next();
                                }
                                Value::Map(map)
                            }
                            other => other,
                        };
                        self.set_here(name, value);
                    }
                }
            }
            _ => {}
        }
    }

    /// What a value becomes that another is added to.
    fn sum(&mut self, old: Value, value: Value) -> Value {
        match (old, value) {
            (Value::Unknown(_) | Value::Nothing, value) => value,
            (Value::List(mut list), value) => {
                list.extend(value.items());
                Value::List(list)
            }
            (Value::Number(one), Value::Number(other)) => Value::Number(one.saturating_add(other)),
            (Value::Map(mut map), Value::Map(more)) => {
                map.extend(more);
                Value::Map(map)
            }
            (old, value) => Value::Text(self.text(old) + &self.text(value)),
        }
    }

    /// Puts values behind the list of a variable.
    pub(super) fn append(&mut self, base: &Expr, values: Vec<Value>) {
        if let Expr::Member(object, _) = base
            && matches!(self.value(object), Value::Object(_))
        {
            return self.assign(base, "+=", Value::List(values));
        }
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
        if matches!(sign, "||" | "or" | "??" | "?:" | "&&" | "and")
            || sign == "//" && !matches!(one, Value::Number(_))
        {
            let sign = if sign == "//" { "||" } else { sign };
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
            ("is", one, other) => compared(&one, &other, true),
            ("in", one, other) => contained(&one, &other),
            ("/", one, other)
                if matches!(one, Value::Text(_)) || matches!(other, Value::Text(_)) =>
            {
                let (one, other) = (self.text(one), self.text(other));
                Value::Text(format!("{one}/{other}"))
            }
            ("==" | "eq" | "===", one, other) => compared(&one, &other, true),
            ("!=" | "ne" | "!==", one, other) => compared(&one, &other, false),
            ("<" | ">" | "<=" | ">=" | "=~", one, _) => Value::Unknown(self.shown(one)),
            ("+" | "-" | "*" | "/" | "//" | "%", Value::Number(one), Value::Number(other)) => {
                let result = match sign {
                    "+" => one.checked_add(other),
                    "-" => one.checked_sub(other),
                    "*" => one.checked_mul(other),
                    "/" | "//" => one.checked_div(other),
                    _ => one.checked_rem(other),
                };
                result.map_or(Value::Nothing, Value::Number)
            }
            ("%", Value::Text(text), other) => {
                let given = match other {
                    Value::Map(named) => Arguments { values: Vec::new(), named },
                    other => Arguments { values: other.items(), named: Vec::new() },
                };
                self.formatted("printf", None, Some(Value::Text(text)), given)
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
}

/// The variable or the field that a target is.
fn name_in(target: &Expr) -> Option<&str> {
    match target {
        Expr::Name(name) => Some(name),
        Expr::Member(_, key) => match &**key {
            Expr::Text(name, _) => Some(name),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a list, a map or a text has a value.
fn contained(one: &Value, other: &Value) -> Value {
    let Some(text) = one.plain() else { return Value::Unknown("in".to_owned()) };
    match other {
        Value::List(list) => {
            Value::Bool(list.iter().any(|item| item.plain().as_ref() == Some(&text)))
        }
        Value::Map(map) => Value::Bool(map.iter().any(|(key, _)| *key == text)),
        Value::Text(whole) => Value::Bool(whole.contains(&text)),
        _ => Value::Unknown("in".to_owned()),
    }
}

fn compared(one: &Value, other: &Value, equal: bool) -> Value {
    match (one.plain(), other.plain()) {
        (Some(one), Some(other)) => Value::Bool((one == other) == equal),
        _ => match (one, other) {
            (Value::Unknown(written), _) | (_, Value::Unknown(written)) => {
                Value::Unknown(written.clone())
            }
            (Value::Nothing, Value::Nothing) => Value::Bool(equal),
            _ => Value::Bool(!equal),
        },
    }
}

/// `list << a << b`: the list, and what is put behind it so far.
fn shifted(expr: &Expr) -> Option<(&Expr, Vec<&Expr>)> {
    match expr {
        Expr::Name(_) | Expr::Member(..) => Some((expr, Vec::new())),
        Expr::Binary("<<", left, right) => {
            let (list, mut items) = shifted(left)?;
            items.push(right);
            Some((list, items))
        }
        _ => None,
    }
}
