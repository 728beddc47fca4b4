//! Values as programs write them: JSON, Python, Go, JavaScript, Ruby, Perl, Lua.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Deepest nesting of a value.
const MAX_DEPTH: usize = 16;

/// Names of constants, each with its text.
pub(super) type Constants = BTreeMap<String, String>;

/// Reads values out of a text.
pub(super) struct Literal<'a> {
    text: &'a str,
    at: usize,
    constants: &'a Constants,
    /// A value is computed, so that nobody knows it here.
    pub(super) is_open: bool,
}

impl<'a> Literal<'a> {
    pub(super) fn new(text: &'a str, constants: &'a Constants) -> Self {
        Self { text, at: 0, constants, is_open: false }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn blanks(&mut self) {
        let rest = self.rest();
        self.at +=
            rest.len() - rest.trim_start_matches(|c: char| c.is_whitespace() || c == '\\').len();
    }

    fn eat(&mut self, mark: &str) -> bool {
        self.blanks();
        let is_there = self.rest().starts_with(mark);
        self.at += if is_there { mark.len() } else { 0 };
        is_there
    }

    fn peek(&mut self) -> Option<char> {
        self.blanks();
        self.rest().chars().next()
    }

    /// How many bytes were read.
    pub(super) fn length(&self) -> usize {
        self.at
    }

    /// The value that stands next.
    pub(super) fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > MAX_DEPTH {
            return None;
        }
        let first = self.peek()?;
        let value = match first {
            '{' => Value::Object(self.map(depth, '}')?),
            '[' if self.slice().is_some() => {
                self.at += self.slice()?;
                self.list(depth, '}')?
            }
            '[' | '(' => self.list(depth, if first == '[' { ']' } else { ')' })?,
            '"' | '\'' | '`' => Value::String(self.string("")?),
            '-' | '0'..='9' => self.number()?,
            ':' => {
                // A symbol of Ruby.
                self.at += 1;
                Value::String(self.word().to_owned())
            }
            _ => self.named(depth)?,
        };
        Some(self.joined(value, depth))
    }

    /// How long the type of a Go slice is, before the brace of its values: `[]string{"a"}`.
    fn slice(&self) -> Option<usize> {
        let inner = self.rest().strip_prefix("[]")?;
        let end = inner.find('{').filter(|end| *end > 0)?;
        let is_type = inner[..end].chars().all(|c| c.is_alphanumeric() || "_.*".contains(c));
        let empty = if inner[end..].starts_with("{}{") { 2 } else { 0 };
        is_type.then_some(2 + end + empty)
    }

    /// Strings one behind the other, and sums of them, are one.
    fn joined(&mut self, value: Value, depth: usize) -> Value {
        let Value::String(mut text) = value else { return value };
        loop {
            let plus = self.eat("+") || self.eat("..");
            if !plus && !matches!(self.peek(), Some('"' | '\'')) {
                return Value::String(text);
            }
            match self.value(depth + 1) {
                Some(Value::String(next)) => text += &next,
                Some(other) => text += &other.to_string(),
                None => {
                    self.is_open = true;
                    return Value::String(text);
                }
            }
        }
    }

    fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let end = rest
            .find(|c: char| !(c.is_alphanumeric() || "_.$@:".contains(c)))
            .unwrap_or(rest.len());
        let word = rest[..end].trim_end_matches(':');
        self.at += word.len();
        word
    }

    fn number(&mut self) -> Option<Value> {
        let rest = self.rest();
        let end = rest[1..].find(|c: char| !(c.is_ascii_alphanumeric() || "._".contains(c)));
        let word = &rest[..end.map_or(rest.len(), |end| end + 1)];
        self.at += word.len();
        let plain = word.replace('_', "");
        let hex = plain.strip_prefix("0x").and_then(|digits| i64::from_str_radix(digits, 16).ok());
        let number = hex.map(Value::from).or_else(|| serde_json::from_str(&plain).ok());
        // `10s`, `127.0.0.1`
        number.or_else(|| {
            self.is_open = true;
            Some(Value::from(word))
        })
    }

    fn string(&mut self, prefix: &str) -> Option<String> {
        self.blanks();
        let quote = self.rest().chars().next()?;
        self.at += quote.len_utf8();
        let (mut text, mut escaped) = (String::new(), false);
        let raw = prefix.contains(['r', 'R']) || quote == '`';
        let rest = self.rest();
        for (at, c) in rest.char_indices() {
            if escaped {
                escaped = false;
                text.push(match c {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    other => other,
                });
            } else if c == '\\' && !raw {
                escaped = true;
            } else if c == quote {
                self.at += at + quote.len_utf8();
                let fills =
                    prefix.contains(['f', 'F', '$']) || quote != '\'' || text.contains("${");
                return Some(if fills { self.filled(&text) } else { text });
            } else {
                text.push(c);
            }
        }
        None
    }

    /// A string with the constants that it names: `{NAME}`, `${NAME}`, `#{NAME}`, `$NAME`.
    fn filled(&mut self, text: &str) -> String {
        let (filled, is_open) = fill(text, self.constants);
        self.is_open |= is_open;
        filled
    }

    fn list(&mut self, depth: usize, close: char) -> Option<Value> {
        self.at += 1;
        let mut list = Vec::new();
        loop {
            match self.peek()? {
                c if c == close => {
                    self.at += 1;
                    return Some(Value::Array(list));
                }
                ',' | ';' => self.at += 1,
                _ => list.push(self.value(depth + 1)?),
            }
        }
    }

    /// Keys and values up to the closing sign; the first sign is the opening one.
    pub(super) fn map(&mut self, depth: usize, close: char) -> Option<Map<String, Value>> {
        self.blanks();
        self.at += 1;
        let mut map = Map::new();
        loop {
            match self.peek()? {
                c if c == close => {
                    self.at += 1;
                    return Some(map);
                }
                ',' | ';' => self.at += 1,
                _ => {
                    let (key, value) = self.pair(depth)?;
                    map.insert(key, value);
                }
            }
        }
    }

    fn pair(&mut self, depth: usize) -> Option<(String, Value)> {
        let key = match self.peek()? {
            '"' | '\'' | '`' => self.string("r")?,
            '[' => {
                // Lua's `["qom-type"] = `.
                self.at += 1;
                let key = self.string("r")?;
                self.eat("]").then_some(key)?
            }
            _ => {
                self.eat(":");
                self.word().to_owned()
            }
        };
        let is_divided =
            !key.is_empty() && ["=>", ":=", ":", "="].iter().any(|mark| self.eat(mark));
        is_divided.then_some(())?;
        let value = self.value(depth + 1)?;
        Some((key, value))
    }

    /// A name: a constant, `True`, a type before its value, or what is computed.
    fn named(&mut self, depth: usize) -> Option<Value> {
        let word = self.word();
        if word.is_empty() {
            return None;
        }
        match (word, self.rest().chars().next()) {
            ("True" | "true" | "TRUE", _) => return Some(Value::Bool(true)),
            ("False" | "false" | "FALSE", _) => return Some(Value::Bool(false)),
            ("None" | "null" | "nil" | "undefined" | "NULL", _) => return Some(Value::Null),
            ("f" | "F" | "r" | "b" | "u" | "fr" | "rf" | "rb", Some('"' | '\'')) => {
                return self.string(word).map(Value::String);
            }
            ("dict" | "Map" | "Hash", Some('(')) => return self.map(depth, ')').map(Value::Object),
            // `map[string]interface{}{...}`
            ("map" | "Map", Some('[')) => {
                let rest = self.rest();
                let end = rest.find("{}{").map(|end| end + 2);
                let end = end.filter(|end| !rest[..*end - 2].contains(['"', '\n']));
                self.at += end.or_else(|| rest.find('{'))?;
                return self.map(depth, '}').map(Value::Object);
            }
            (_, Some('!')) => self.at += 1,
            _ => {}
        }
        match self.rest().chars().next() {
            Some('{') => return self.map(depth, '}').map(Value::Object),
            Some('(') => {
                // A conversion of one value: `str("x")`, `json!({...})`, `b("...")`.
                let converts = ["str", "String", "int", "json", "bool", "Value", "obj", "qdict"];
                self.is_open |= !converts.contains(&word);
                let list = self.list(depth + 1, ')')?;
                let one =
                    list.as_array().filter(|list| list.len() == 1).and_then(|list| list.first());
                return Some(one.cloned().unwrap_or(Value::Null));
            }
            _ => {}
        }
        let last = word.rsplit(['.', '$', '@', ':']).next().unwrap_or(word);
        match self.constants.get(last) {
            Some(text) => Some(
                serde_json::from_str(text)
                    .ok()
                    .filter(Value::is_number)
                    .unwrap_or_else(|| Value::from(text.as_str())),
            ),
            None => {
                self.is_open = true;
                Some(Value::from(word))
            }
        }
    }
}

/// A text with the constants that it names, and whether a name or a mark is left that none of them fills.
pub(super) fn fill(text: &str, constants: &Constants) -> (String, bool) {
    let (mut out, mut is_open) = (String::new(), false);
    let mut rest = text;
    while let Some(at) = rest.find(['$', '{', '#', '%']) {
        out += &rest[..at];
        let (mark, behind) = (&rest[at..=at], &rest[at + 1..]);
        let braced = behind.strip_prefix('{').filter(|_| mark != "{" && mark != "%");
        let inner = if mark == "{" { Some(behind) } else { braced };
        let name = inner.and_then(|inner| inner.split_once('}')).map(|(name, _)| name);
        let is_name = |name: &&str| {
            !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "_.".contains(c))
        };
        if let Some(name) = name.filter(is_name) {
            let whole = name.len() + 2 + usize::from(mark != "{");
            let last = name.rsplit('.').next().unwrap_or(name);
            match constants.get(last) {
                Some(value) => out += value,
                None => {
                    is_open = true;
                    out += &rest[at..at + whole];
                }
            }
            rest = &rest[at + whole..];
            continue;
        }
        let end =
            behind.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(behind.len());
        let name = &behind[..end];
        match constants.get(name) {
            Some(value) if mark == "$" && !name.is_empty() => out += value,
            _ => {
                is_open |= mark == "$" && end > 0
                    || mark == "%" && behind.starts_with(['s', 'd', 'i', 'v'])
                    || mark == "{" && behind.starts_with('}') && !text.contains(['"', ':']);
                out += &rest[at..at + 1 + end];
            }
        }
        rest = &behind[end..];
    }
    (out + rest, is_open)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn constants() -> Constants {
        Constants::from_iter([("OUT".to_owned(), "out0".to_owned())])
    }

    #[rstest]
    #[case("{'a': True, 'b': None}", "{\"a\":true,\"b\":null}")]
    #[case("{a: 'x', b: {c: 1}}", "{\"a\":\"x\",\"b\":{\"c\":1}}")]
    #[case("{:a => 'x', 'b' => :y}", "{\"a\":\"x\",\"b\":\"y\"}")]
    #[case(
        "map[string]interface{}{\"a\": \"x\", \"b\": []string{\"y\"}}",
        "{\"a\":\"x\",\"b\":[\"y\"]}"
    )]
    #[case("map[string]any{\"a\": 1,}", "{\"a\":1}")]
    #[case("dict(a='x', b=OUT)", "{\"a\":\"x\",\"b\":\"out0\"}")]
    #[case("{[\"qom-type\"] = \"x\", id = 'y'}", "{\"qom-type\":\"x\",\"id\":\"y\"}")]
    #[case("{'a': f'{OUT}.x' 'y'}", "{\"a\":\"out0.xy\"}")]
    #[case("{'a': name}", "open")]
    #[case("{'a': f'{name}'}", "open")]
    #[case("json!({\"a\": 1})", "{\"a\":1}")]
    #[case("{'a'", "none")]
    fn values_are_read(#[case] text: &str, #[case] expected: &str) {
        let constants = constants();
        let mut literal = Literal::new(text, &constants);
        let value = literal.value(0);
        let shown = match value {
            Some(_) if literal.is_open => "open".to_owned(),
            Some(value) => value.to_string(),
            None => "none".to_owned(),
        };
        assert_eq!(shown, expected);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[a{}\\[\\]()\"'$#%:=,+. é\\\\1-]{0,40}") {
            let constants = constants();
            let _ = Literal::new(&text, &constants).value(0);
            fill(&text, &constants);
        }
    }
}
