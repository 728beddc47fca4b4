//! The pieces of a program: strings with what quotes them, numbers, names, operators, ends of lines.

use super::language::{Language, Quote};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Text(String, Quote),
    Number(i64),
    /// `qw(a b)`, `%w[a b]`.
    Words(Vec<String>),
    Name(String),
    Sign(&'static str),
    /// A command and its words, as a shell has them.
    Command(Vec<(String, Quote)>),
    End,
}

/// Signs of several characters first.
const SIGNS: &[&str] = &[
    "<<=", "...", "===", "!==", "->", "=>", "::", ":=", "+=", ".=", "==", "!=", "=~", "<=", ">=",
    "&&", "||", "??", "?:", "++", "<>", "..", "<<", "=", "+", "-", "*", "/", "%", ".", ",", ";",
    ":", "?", "!", "<", ">", "&", "|", "(", ")", "[", "]", "{", "}", "~", "^", "@", "\\", "#",
];

/// The pieces of a text, and the text without its comments.
pub(super) fn read(text: &str, language: &Language) -> (Vec<Token>, String) {
    let mut reader = Reader { rest: text, language, tokens: Vec::new() };
    let mut bare = String::new();
    while !reader.rest.is_empty() {
        let before = reader.rest;
        if reader.comment() {
            bare.push(' ');
            continue;
        }
        reader.one();
        bare += &before[..before.len() - reader.rest.len()];
    }
    (reader.tokens, bare)
}

struct Reader<'a> {
    rest: &'a str,
    language: &'a Language,
    tokens: Vec<Token>,
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

impl Reader<'_> {
    fn take(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    fn one(&mut self) {
        let Some(c) = self.rest.chars().next() else { return };
        if self.define() || self.command(c) || self.words() || self.string(c) {
            return;
        }
        if c == '\n' {
            self.take(1);
            return self.tokens.push(Token::End);
        }
        if c == '\\' || c == '`' {
            let length = if self.rest[1..].starts_with('\n') { 2 } else { 1 };
            return self.take(length);
        }
        if c.is_whitespace() {
            return self.take(c.len_utf8());
        }
        if c.is_ascii_digit() {
            return self.number();
        }
        // `$x`, `@x`, `%x` of Perl: the sign says nothing more. `$#x` and `$_` are names, too.
        let sigil = matches!(c, '$' | '@' | '%')
            && self.rest[1..].starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '$')
            && (c != '%' || !self.is_value_last());
        if sigil {
            // In a subscript, a name without it is a text.
            if self.tokens.last() == Some(&Token::Sign("{")) {
                self.tokens.push(Token::Sign("$"));
            }
            return self.take(1);
        }
        if c.is_alphabetic() || c == '_' || c == '$' {
            let end = self.rest[c.len_utf8()..]
                .find(|c| !is_name(c))
                .map_or(self.rest.len(), |end| end + c.len_utf8());
            let name = self.rest[..end].to_owned();
            self.take(end);
            return self.tokens.push(Token::Name(name));
        }
        match SIGNS.iter().find(|sign| self.rest.starts_with(**sign)) {
            Some(sign) => {
                self.take(sign.len());
                self.tokens.push(Token::Sign(sign));
            }
            None => self.take(c.len_utf8()),
        }
    }

    fn comment(&mut self) -> bool {
        let blocks = self.language.block_comments.iter();
        if let Some((open, close)) = blocks.clone().find(|(open, _)| self.rest.starts_with(open)) {
            let end = self.rest[open.len()..]
                .find(close)
                .map_or(self.rest.len(), |end| end + open.len() + close.len());
            self.take(end);
            return true;
        }
        if self.rest.starts_with("#!")
            || self.language.line_comments.iter().any(|mark| self.rest.starts_with(mark))
        {
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.take(end);
            return true;
        }
        false
    }

    /// `#define NAME value` is an assignment; other lines of the preprocessor say nothing.
    fn define(&mut self) -> bool {
        if !self.rest.starts_with('#') || !matches!(self.tokens.last(), None | Some(Token::End)) {
            return false;
        }
        if let Some(rest) = self.rest.strip_prefix("#define ") {
            self.rest = rest.trim_start();
            let end = self.rest.find(|c| !is_name(c)).unwrap_or(self.rest.len());
            if !self.rest[end..].starts_with('(') {
                let name = self.rest[..end].to_owned();
                self.take(end);
                self.tokens.extend([
                    Token::Sign(";"),
                    Token::Name("#define".to_owned()),
                    Token::Name(name),
                    Token::Sign("="),
                ]);
                return true;
            }
        }
        let end = self.rest.find('\n').unwrap_or(self.rest.len());
        self.take(end);
        true
    }

    /// Whether what was read last is a value, so that a `%` divides.
    fn is_value_last(&self) -> bool {
        match self.tokens.last() {
            Some(Token::Name(name)) => {
                !["my", "our", "local", "keys", "values", "each", "in"].contains(&name.as_str())
            }
            last => matches!(last, Some(Token::Text(..) | Token::Sign(")"))),
        }
    }

    fn number(&mut self) {
        let end = self
            .rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .unwrap_or(self.rest.len());
        let text = self.rest[..end].replace('_', "");
        self.take(end);
        let value = match text.strip_prefix("0x") {
            Some(digits) => i64::from_str_radix(digits, 16).ok(),
            None => text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).parse().ok(),
        };
        self.tokens.push(value.map_or(Token::Text(text, Quote::Raw), Token::Number));
    }

    fn words(&mut self) -> bool {
        let inner = self
            .rest
            .strip_prefix("qw")
            .or_else(|| self.rest.strip_prefix("%w"))
            .map(str::trim_start);
        let close = inner.and_then(|inner| inner.chars().next()).and_then(|open| match open {
            '(' => Some(')'),
            '[' => Some(']'),
            '{' => Some('}'),
            '/' => Some('/'),
            _ => None,
        });
        let (Some(inner), Some(close)) = (inner, close) else { return false };
        let Some(end) = inner[1..].find(close) else { return false };
        self.tokens
            .push(Token::Words(inner[1..=end].split_whitespace().map(str::to_owned).collect()));
        self.rest = &inner[end + 2..];
        true
    }

    fn string(&mut self, c: char) -> bool {
        let quote = match c {
            '"' => self.language.double,
            '\'' => self.language.single,
            '`' => self.language.backtick,
            _ => return false,
        };
        if quote == Quote::None {
            return false;
        }
        // Letters in front of the quote: `f"`, `r"`, `$"`, `s"`.
        let prefix = match self.tokens.last() {
            Some(Token::Name(name))
                if name.len() <= 2
                    && ["f", "r", "b", "s", "L", "u8", "q"].contains(&name.as_str()) =>
            {
                self.tokens.pop();
                true
            }
            _ => false,
        };
        let (mark, quote) = match (self.rest.starts_with("\"\"\""), prefix) {
            (true, _) => ("\"\"\"", quote),
            (false, _) => (&self.rest[..1], quote),
        };
        match inside(&self.rest[mark.len()..], mark, quote) {
            Some((text, length)) => {
                self.take(mark.len() + length);
                self.tokens.push(Token::Text(text, quote));
            }
            None => self.take(1),
        }
        true
    }

    /// `& $program -a b` and `Verb-Noun -Name value`, up to the end of the line.
    fn command(&mut self, c: char) -> bool {
        let starts =
            matches!(self.tokens.last(), None | Some(Token::End | Token::Sign(";" | "{" | "=")));
        if !self.language.commands || !starts {
            return false;
        }
        let first = self.rest.split([' ', '\n']).next().unwrap_or_default();
        let verb = first.contains('-')
            && first.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            && c.is_ascii_uppercase();
        if !(verb || first == "&") {
            return false;
        }
        let mut words = Vec::new();
        self.take(usize::from(first == "&"));
        while !self.rest.is_empty() {
            let blank = self.rest.find(|c: char| c != ' ' && c != '\t').unwrap_or(self.rest.len());
            self.take(blank);
            if let Some(rest) = self.rest.strip_prefix("`\n") {
                self.rest = rest;
                continue;
            }
            let Some(c) = self.rest.chars().next().filter(|c| !"\n;|}".contains(*c)) else { break };
            if c == '#' {
                let end = self.rest.find('\n').unwrap_or(self.rest.len());
                self.take(end);
                break;
            }
            let quote = match c {
                '"' => Quote::Dollar,
                _ => Quote::Raw,
            };
            if matches!(c, '"' | '\'')
                && let Some((text, length)) = inside(&self.rest[1..], &self.rest[..1], quote)
            {
                self.take(1 + length);
                words.push((text, quote));
                continue;
            }
            let end =
                self.rest.find(char::is_whitespace).unwrap_or(self.rest.len()).max(c.len_utf8());
            words.push((self.rest[..end].to_owned(), Quote::Dollar));
            self.take(end);
        }
        self.tokens.push(Token::Command(words));
        true
    }
}

/// The text up to the closing mark, its escapes read, and how long it is with that.
fn inside(rest: &str, mark: &str, quote: Quote) -> Option<(String, usize)> {
    let mut text = String::new();
    let mut at = 0;
    loop {
        let tail = rest.get(at..)?;
        if tail.starts_with(mark) {
            return Some((text, at + mark.len()));
        }
        let c = tail.chars().next()?;
        at += c.len_utf8();
        if c != '\\' || quote == Quote::Raw && !tail[1..].starts_with(mark) {
            text.push(c);
            continue;
        }
        let escaped = rest.get(at..)?.chars().next()?;
        // A path of Windows in a string of PowerShell.
        match escaped {
            'n' => text.push('\n'),
            't' => text.push('\t'),
            '\n' | 'r' => {}
            '"' | '\'' | '\\' | '$' | '`' => text.push(escaped),
            _ => text.extend(['\\', escaped]),
        }
        at += escaped.len_utf8();
    }
}
