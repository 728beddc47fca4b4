//! The statements of a program, as values that are put into variables or are commands.

use super::{Code, MAX_DEPTH, command, format, has_option, is_monitor, token::Token};
use crate::import::{
    flag,
    shell::{Shell, Simple},
};

pub(super) struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    code: &'a mut Code,
    shell: &'a mut Shell,
    commands: Vec<Simple>,
    /// Names of which nothing is known are values too.
    naming: bool,
}

/// A value: words, and whether it is one string rather than a list.
#[derive(Clone, Debug, Default)]
struct Value {
    words: Vec<String>,
    text: bool,
    /// The name that it was before it was looked up.
    name: Option<String>,
    /// The string has marks that other values replace.
    format: bool,
    /// It is a number that the text has.
    number: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(tokens: &'a [Token], code: &'a mut Code, shell: &'a mut Shell) -> Self {
        Self { tokens, at: 0, code, shell, commands: Vec::new(), naming: false }
    }

    /// The commands of the program.
    pub(super) fn commands(mut self) -> Vec<Simple> {
        self.statements();
        self.commands
    }
}

impl Reader<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn punct(&self, ahead: usize) -> Option<char> {
        match self.tokens.get(self.at + ahead) {
            Some(Token::Punct(c)) => Some(*c),
            _ => None,
        }
    }

    fn statements(&mut self) {
        let mut words = Vec::new();
        while self.at < self.tokens.len() {
            let before = self.at;
            words.extend(self.statement().words);
            if self.at == before {
                self.at += 1;
            }
            // An option whose value is in the next statement.
            let waits = words.last().is_some_and(|word| flag::is_open(word));
            if waits && self.at < self.tokens.len() {
                continue;
            }
            let (monitor, rest): (Vec<String>, Vec<String>) =
                words.drain(..).partition(|word| is_monitor(word));
            // A handle of a process is passed to many functions.
            if self.code.commands.insert(rest.clone())
                && let Some(command) = command(rest, self.shell)
            {
                self.commands.push(command);
            }
            for text in monitor {
                let text = self.fill(Value { words: vec![text], ..Value::default() }, Vec::new());
                let words = std::iter::once("qmp".to_owned()).chain(text.words).collect();
                self.commands.push(Simple { words, ..Simple::default() });
            }
        }
    }

    /// Up to the end of a line or a `;`; an assignment has no value.
    fn statement(&mut self) -> Value {
        let mut value = Value::default();
        let mut target: Option<String> = None;
        let mut last: Option<String> = None;
        let mut changes = false;
        let mut called = false;
        while let Some(token) = self.peek() {
            match token {
                Token::End => {
                    self.at += 1;
                    if self.goes_on() {
                        continue;
                    }
                    break;
                }
                Token::Punct(';') => {
                    self.at += 1;
                    break;
                }
                Token::Punct('}' | ')' | ']') => self.at += 1,
                Token::Punct('{') if !self.is_list() => {
                    self.at += 1;
                    break;
                }
                Token::Punct('=') if self.punct(1) == Some('>') => {
                    self.at += 2;
                    last = None;
                }
                Token::Punct('=') if self.punct(1) != Some('=') => {
                    self.at += 1;
                    // What a call gave, in a trace of it.
                    let known = |name: &String| self.code.set.contains_key(name);
                    if value.words.iter().any(|word| has_option(word))
                        && !last.as_ref().is_some_and(known)
                    {
                        continue;
                    }
                    // `$args[] = "-netdev";` of PHP.
                    let before = self.tokens.get(..self.at - 1).unwrap_or_default();
                    changes = before.ends_with(&[Token::Punct('['), Token::Punct(']')]);
                    if target.is_none() {
                        target = last.take();
                    }
                    value = Value::default();
                }
                Token::Punct('+') if self.punct(1) == Some('=') => {
                    self.at += 2;
                    target = last.take();
                    changes = true;
                    value = Value::default();
                }
                Token::Punct(':') if self.punct(1) == Some('=') => self.at += 1,
                // `#define NAME "..."`
                Token::Name(name) if name == "#define" => {
                    self.at += 1;
                    if let Some(Token::Name(name)) = self.peek() {
                        target = Some(name.clone());
                        self.at += 1;
                    }
                }
                // `push @args, ...` and `array_push($args, ...)` put what follows behind a list.
                Token::Name(name)
                    if matches!(name.as_str(), "push" | "array_push")
                        && value.words.is_empty()
                        && self.list_behind().is_some() =>
                {
                    if let Some((name, length)) = self.list_behind() {
                        self.at += length;
                        target = Some(name);
                        changes = true;
                    }
                }
                Token::Name(_)
                | Token::Text { .. }
                | Token::Words(_)
                | Token::Punct('[' | '(' | '{') => {
                    let one = self.joined(0);
                    let known = |name: &String| self.code.set.contains_key(name);
                    called = one.name.as_ref().is_some_and(|name| !known(name));
                    last = one.name.clone().or(last);
                    value.words.extend(one.words);
                }
                Token::Punct(_) => self.at += 1,
            }
        }
        match target {
            // The answer of a function that is given a command.
            Some(_) if called && value.words.iter().any(|word| is_monitor(word)) => value,
            Some(name) => {
                self.code.used.remove(&name);
                self.code.set(&name, value.words, changes);
                Value::default()
            }
            None => value,
        }
    }

    /// The list that stands behind this name, and how many tokens that is.
    fn list_behind(&self) -> Option<(String, usize)> {
        let opens = usize::from(self.punct(1) == Some('('));
        match self.tokens.get(self.at + 1 + opens) {
            Some(Token::Name(name)) if self.code.set.contains_key(name) => {
                Some((name.clone(), 2 + opens))
            }
            _ => None,
        }
    }

    /// Whether the next line goes on with the statement: `.arg(...)`, a string below a string.
    fn goes_on(&self) -> bool {
        let before = self.at.checked_sub(2).and_then(|at| self.tokens.get(at));
        let waits = matches!(before, Some(Token::Punct('=' | ',' | '+' | '(' | '.')));
        let below = matches!(before, Some(Token::Text { .. }));
        match self.peek() {
            Some(Token::Punct('.' | '+' | ')' | ']')) => true,
            Some(Token::Text { .. }) => waits || below,
            Some(Token::End) => waits,
            _ => waits,
        }
    }

    /// Whether a brace begins a list: `{ "a", "b" }`, `[]string{"a"}`.
    fn is_list(&self) -> bool {
        let mut next = self.tokens.get(self.at + 1..).unwrap_or_default().iter();
        let first = next.find(|token| !matches!(token, Token::End));
        matches!(first, Some(Token::Text { .. } | Token::Punct('{')))
    }

    /// Values with operators between: strings one behind the other are one.
    fn joined(&mut self, depth: usize) -> Value {
        let mut value = self.value(depth);
        loop {
            let mut ahead = 0;
            while depth > 0 && matches!(self.tokens.get(self.at + ahead), Some(Token::End)) {
                ahead += 1;
            }
            let operator = match self.tokens.get(self.at + ahead) {
                Some(Token::Text { .. }) => false,
                Some(Token::Punct('+' | '.' | '~' | '&' | '%' | '<')) => true,
                Some(Token::Name(name))
                    if value.text && depth > 0 && self.between_strings(ahead) =>
                {
                    let name = name.clone();
                    self.at += ahead + 1;
                    self.replace_last(&name, &mut value);
                    continue;
                }
                _ => return value,
            };
            let sign = self.punct(ahead);
            if operator && self.tokens.get(self.at + ahead + 1) == Some(&Token::Punct('=')) {
                return value;
            }
            self.at += ahead;
            if operator {
                while matches!(
                    self.peek(),
                    Some(Token::Punct('+' | '.' | '~' | '&' | '%' | '<') | Token::End)
                ) {
                    self.at += 1;
                }
            }
            let fills = sign == Some('%');
            self.naming |= fills;
            let mut next = self.value(depth);
            self.naming &= !fills;
            // `args << "-netdev" << "tap,id=a"`
            if sign == Some('<')
                && let Some(name) = value.name.clone()
                && self.code.set.contains_key(&name)
            {
                self.code.set(&name, next.words, true);
                self.code.used.remove(&name);
                value.words.clear();
                continue;
            }
            if operator && value.text && !fills && next.words.is_empty() && next.name.is_some() {
                next = Value { words: self.values(next), text: true, ..Value::default() };
            }
            let sum = sign.filter(|_| value.number || next.number);
            let sum = sum.and_then(|sign| calculated(&value, sign, &next));
            if let Some(number) = sum {
                value = Value { words: vec![number], text: true, number: true, ..Value::default() };
            } else if fills {
                let values = self.values(next);
                value = self.fill(value, values);
            } else {
                value = joined(value, next, operator);
            }
        }
    }

    /// `"... %" PRIu64 " ..."`: a name between strings.
    fn between_strings(&self, ahead: usize) -> bool {
        let mut next = self.tokens.get(self.at + ahead + 1..).unwrap_or_default().iter();
        let next = next.find(|token| !matches!(token, Token::End));
        matches!(next, Some(Token::Text { .. }))
    }

    fn replace_last(&mut self, name: &str, value: &mut Value) {
        let Some(last) = value.words.last_mut() else {
            return;
        };
        let text = match self.code.get(name).filter(|_| !last.ends_with('%')) {
            Some(words) => words.join(" "),
            None => self.shell.named(&plain(name), name),
        };
        let kept = last.trim_end_matches('%').len();
        last.truncate(kept);
        last.push_str(&text);
    }

    /// The words of a value, or its name where they aren't known.
    fn values(&mut self, value: Value) -> Vec<String> {
        match (&value.name, value.words.is_empty()) {
            (Some(name), true) => vec![self.shell.named(&plain(name), name)],
            _ => value.words,
        }
    }

    /// One string, list, name or call.
    fn value(&mut self, depth: usize) -> Value {
        let Some(token) = self.peek().cloned() else {
            return Value::default();
        };
        self.at += 1;
        let mut value = match token {
            Token::Text { text, format, number } => Value { number, ..self.text(&text, format) },
            Token::Words(words) => Value { words, ..Value::default() },
            Token::Name(name) => self.named(name, depth),
            Token::Punct(open @ ('[' | '(' | '{')) if depth < MAX_DEPTH => {
                let items = self.items(depth + 1);
                let text = open == '(' && items.len() == 1 && items[0].text;
                let words = items.into_iter().flat_map(|item| item.words).collect();
                Value { words, text, ..Value::default() }
            }
            _ => Value::default(),
        };
        // `.arg(...)`, `.format(...)`, `[0]`.
        loop {
            if value.name.is_some() && self.punct(0) == Some('[') && depth < MAX_DEPTH {
                self.at += 1;
                let items = self.items(depth + 1);
                let words = items.into_iter().flat_map(|item| item.words);
                let words: Vec<String> = words.collect();
                // A list behind a word of prose, and no index.
                if words.iter().any(|word| has_option(word)) {
                    value.words.extend(words);
                    value.text = false;
                }
                continue;
            }
            let mut ahead = 0;
            while matches!(self.tokens.get(self.at + ahead), Some(Token::End)) {
                ahead += 1;
            }
            let call = match (self.punct(ahead), self.tokens.get(self.at + ahead + 1)) {
                (Some('.'), Some(Token::Name(name))) => name.clone(),
                _ => break,
            };
            let opens = self.tokens.get(self.at + ahead + 2) == Some(&Token::Punct('('));
            self.at += ahead + 2;
            if !opens || depth >= MAX_DEPTH {
                continue;
            }
            self.at += 1;
            let outer = std::mem::replace(&mut self.naming, formats(&call));
            let items = self.items(depth + 1);
            self.naming = outer;
            value = self.method(value, &call, items);
        }
        value
    }

    /// A method of a value: most put their arguments behind it.
    fn method(&mut self, mut value: Value, call: &str, mut items: Vec<Value>) -> Value {
        if call == "join" && value.text && !value.words.is_empty() {
            let separator = value.words.join("");
            let words: Vec<String> = items.into_iter().flat_map(|item| item.words).collect();
            return Value { words: vec![words.join(&separator)], text: true, ..Value::default() };
        }
        if formats(call) && items.first().is_some_and(|first| first.format) {
            let first = items.remove(0);
            let rest = items.into_iter().flat_map(|item| self.values(item)).collect();
            return self.fill(first, rest);
        }
        let filled: Vec<String> = items.into_iter().flat_map(|item| item.words).collect();
        match call {
            "format" => return self.fill(value, filled),
            "join" => return Value { words: filled, ..Value::default() },
            "split" | "strip" | "lines" | "encode" | "to_string" | "to_owned" | "into"
            | "clone" | "iter" | "trim" | "replace" | "as_str" => return value,
            _ => {}
        }
        value.text = false;
        if let Some(name) = value.name.clone()
            && self.code.set.contains_key(&name)
        {
            self.code.used.remove(&name);
            let changes = !matches!(call, "get" | "index" | "count" | "copy" | "len");
            if changes {
                self.code.set(&name, filled, true);
            }
            value.words.clear();
            return value;
        }
        value.words.extend(filled);
        value
    }

    /// A name: a variable's value, a call, or a placeholder.
    fn named(&mut self, name: String, depth: usize) -> Value {
        let is_macro = self.punct(0) == Some('!');
        let opens = usize::from(is_macro);
        if matches!(self.punct(opens), Some('(' | '['))
            && depth < MAX_DEPTH
            && self.is_call(&name, opens)
        {
            self.at += opens + 1;
            let outer = std::mem::replace(&mut self.naming, formats(&name));
            let items = self.items(depth + 1);
            self.naming = outer;
            // `snprintf(text, sizeof(text), "...", ...)`
            let at = items.iter().position(|item| item.format && item.text);
            let skipped = at.filter(|_| formats(&name)).unwrap_or(0);
            let mut items = items.into_iter().skip(skipped);
            let first = items.next().unwrap_or_default();
            let rest: Vec<Value> = items.collect();
            if first.format {
                let rest = rest.into_iter().flat_map(|item| self.values(item)).collect();
                return Value { name: Some(name), ..self.fill(first, rest) };
            }
            let words = std::iter::once(first).chain(rest).flat_map(|item| item.words).collect();
            return Value { words, text: false, name: Some(name), ..Value::default() };
        }
        let words = self.code.get(&name);
        let text = words.as_ref().is_some_and(|words| words.len() == 1);
        Value { words: words.unwrap_or_default(), text, name: Some(name), ..Value::default() }
    }

    /// Whether brackets behind a name are a call: `name(`, and `vec![` but no index.
    fn is_call(&self, name: &str, opens: usize) -> bool {
        self.punct(opens) == Some('(') || opens == 1 || name.starts_with('@')
    }

    /// What stands in brackets, up to the closing one.
    fn items(&mut self, depth: usize) -> Vec<Value> {
        let mut items: Vec<Value> = Vec::new();
        let mut key: Option<Value> = None;
        while let Some(token) = self.peek() {
            match token {
                Token::Punct(')' | ']' | '}') => {
                    self.at += 1;
                    break;
                }
                // `key: value`, `key = value`, `key => value`.
                Token::Punct(':' | '=' | '>') => {
                    self.at += 1;
                    if let Some(last) = items.pop() {
                        let option = last.words.iter().any(|word| flag::is_option(word));
                        if option && last.text {
                            items.push(last);
                        } else {
                            key = Some(last);
                        }
                    }
                }
                Token::Punct(c) if !"[({".contains(*c) => self.at += 1,
                Token::End => self.at += 1,
                _ => {
                    let before = self.at;
                    let mut item = self.joined(depth);
                    if self.at == before {
                        self.at += 1;
                    }
                    // A name that nothing is known of, as an element.
                    if item.words.is_empty()
                        && let Some(name) = item.name.clone()
                        && key.is_none()
                        && (self.naming || self.stands_alone(before))
                    {
                        let named = self.shell.named(&plain(&name), &name);
                        item.words.push(named);
                    }
                    key = None;
                    items.push(item);
                }
            }
        }
        items
    }

    /// Whether a name is an element of its own behind an option that waits for a value.
    fn stands_alone(&self, at: usize) -> bool {
        let mut before = self.tokens[..at].iter().rev();
        let before = before.find(|token| !matches!(token, Token::End | Token::Punct(',')));
        matches!(before, Some(Token::Text { text, .. }) if flag::is_open(text))
    }

    /// A string with its variables.
    fn text(&mut self, text: &str, format: bool) -> Value {
        let code = &mut *self.code;
        let shell = &mut *self.shell;
        let mut look_up = |name: &str, written: &str| {
            let mut known = |name: &str| match code.get(name) {
                Some(words) if words.len() == 1 => words.into_iter().next(),
                _ => None,
            };
            match known(name).or_else(|| format::sum(name, &mut known)) {
                Some(text) => format::with_spec(&text, format::spec_of(written)),
                None => shell.named(&plain(name), written),
            }
        };
        let text = format::names(text, format, &mut look_up);
        let format = format::has_hole(&text);
        Value { words: vec![text], text: true, name: None, format, number: false }
    }

    /// A string whose marks these values replace.
    fn fill(&mut self, value: Value, values: Vec<String>) -> Value {
        let mut values = values.into_iter();
        let shell = &mut *self.shell;
        let mut number = 0;
        let words = value.words.iter().map(|word| {
            format::fill(word, &mut || {
                number += 1;
                values.next().unwrap_or_else(|| {
                    shell.named(
                        "",
                        &format!(
                            "value {number} of {}",
                            format::fill(word, &mut || "%s".to_owned())
                        ),
                    )
                })
            })
        });
        Value { words: words.collect(), text: value.text, ..Value::default() }
    }
}

/// Whether a function of this name puts values into a string.
fn formats(name: &str) -> bool {
    let name = name.to_lowercase();
    ["format", "printf", "qtest_init"].iter().any(|part| name.contains(part))
}

/// Two values, one behind the other: strings become one unless one of them is an option by itself.
fn joined(one: Value, other: Value, operator: bool) -> Value {
    let both = one.text && (other.text || operator && other.words.len() <= 1);
    let (last, first) = (one.words.last(), other.words.first());
    let apart = last.is_some_and(|word| flag::is_open(word))
        || first.is_some_and(|word| word.starts_with('-'))
            && !last.is_some_and(|word| word.ends_with([' ', '\n', '"', '\'']));
    let mut words = one.words;
    if both && !apart && !words.is_empty() {
        if let (Some(last), Some(first)) = (words.last_mut(), first) {
            last.push_str(first);
        }
        return Value { words, text: true, format: one.format || other.format, ..Value::default() };
    }
    words.extend(other.words);
    Value { words, text: false, name: one.name, ..Value::default() }
}

/// The sum or the difference of two numbers.
fn calculated(one: &Value, sign: char, other: &Value) -> Option<String> {
    let number = |value: &Value| match value.words.as_slice() {
        [word] => format::number(word),
        _ => None,
    };
    let (one, other) = (number(one)?, number(other)?);
    let result = match sign {
        '+' => one.checked_add(other)?,
        '-' => one.checked_sub(other)?,
        _ => return None,
    };
    Some(result.to_string())
}

/// The name of a placeholder.
fn plain(name: &str) -> String {
    let last = name.rsplit(['.', ':', '>', '$', '@']).next().unwrap_or(name);
    let kept: String = last.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    kept.trim_start_matches(|c: char| c.is_ascii_digit()).to_owned()
}
