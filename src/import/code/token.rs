//! The strings, names and brackets of a program, whatever its language.

/// A piece of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A string, its escapes read.
    Text {
        text: String,
        /// Names in braces are variables: `f"..."`, `$"..."`.
        format: bool,
        /// It is a number.
        number: bool,
    },
    /// `qw(a b)`, `%w[a b]`.
    Words(Vec<String>),
    /// A name with what selects in it: `self.args`, `$cmd`, `#define`.
    Name(String),
    Punct(char),
    /// The end of a line.
    End,
}

/// The pieces of a text.
pub(super) fn read(text: &str) -> Vec<Token> {
    let mut reader = Reader { rest: text, tokens: Vec::new(), bare: String::new() };
    reader.run();
    reader.tokens
}

/// The text without its strings and comments.
pub(super) fn without_strings(text: &str) -> String {
    let mut reader = Reader { rest: text, tokens: Vec::new(), bare: String::new() };
    reader.run();
    reader.bare
}

struct Reader<'a> {
    rest: &'a str,
    tokens: Vec<Token>,
    bare: String,
}

/// What may stand before a string's quote.
const PREFIXES: &[&str] =
    &["f", "r", "b", "u", "fr", "rf", "br", "rb", "L", "F", "R", "$", "@", "$@", "c"];

impl Reader<'_> {
    fn run(&mut self) {
        while let Some(c) = self.rest.chars().next() {
            if self.comment(c) || self.words() || self.string(c) || self.name(c) || self.number(c) {
                continue;
            }
            self.rest = &self.rest[c.len_utf8()..];
            self.bare.push(c);
            match c {
                '\n' => self.tokens.push(Token::End),
                // `\` at a line's end, a backtick of PowerShell there.
                '\\' | '`' if self.rest.starts_with('\n') => self.rest = &self.rest[1..],
                c if c.is_whitespace() => {}
                c => self.tokens.push(Token::Punct(c)),
            }
        }
    }

    fn at_start(&self) -> bool {
        matches!(self.tokens.last(), None | Some(Token::End))
    }

    fn comment(&mut self, c: char) -> bool {
        let rest = self.rest;
        let blank = self.bare.chars().next_back().is_none_or(char::is_whitespace);
        let to_end_of_line = rest.starts_with("//") && !self.bare.ends_with(':')
            || c == '#'
                && blank
                && !["#define", "#include", "#{"].iter().any(|mark| rest.starts_with(mark))
            || rest.starts_with("-- ") && self.at_start();
        if to_end_of_line {
            let end = rest.find('\n').unwrap_or(rest.len());
            self.rest = &rest[end..];
            return true;
        }
        if let Some(inner) = rest.strip_prefix("/*") {
            let end = inner.find("*/").map_or(inner.len(), |end| end + 2);
            self.rest = &inner[end..];
            return true;
        }
        false
    }

    /// `qw(a b c)` and `%w[a b c]`.
    fn words(&mut self) -> bool {
        let inner = self.rest.strip_prefix("qw").or_else(|| self.rest.strip_prefix("%w"));
        let Some(inner) = inner.map(str::trim_start) else {
            return false;
        };
        let close = match inner.chars().next() {
            Some('(') => ')',
            Some('[') => ']',
            Some('{') => '}',
            Some('/') => '/',
            _ => return false,
        };
        let Some(end) = near(&inner[1..]).find(close) else {
            return false;
        };
        let words = inner[1..=end].split_whitespace().map(str::to_owned);
        self.tokens.push(Token::Words(words.collect()));
        self.rest = &inner[end + 2..];
        true
    }

    fn string(&mut self, c: char) -> bool {
        if let Some(length) = self.rust_raw() {
            return length;
        }
        if !matches!(c, '"' | '\'' | '`') {
            return false;
        }
        // An apostrophe in a word.
        if c == '\'' && self.bare.ends_with(|c: char| c.is_alphanumeric()) && !self.is_prefix() {
            return false;
        }
        let rest = self.rest;
        let triple = ["\"\"\"", "'''"].into_iter().find(|mark| rest.starts_with(mark));
        // Nix: two apostrophes before the end of a line.
        let nix = rest.starts_with("''\n");
        let mark = triple.unwrap_or(if nix { "''" } else { &rest[..1] });
        let many_lines = triple.is_some() || nix || c == '`';
        let prefix = self.prefix();
        let raw = prefix.contains(['r', 'R', '@']) || nix || c == '`';
        let Some((text, length)) = inside(&rest[mark.len()..], mark, raw, many_lines) else {
            return false;
        };
        let format = prefix.contains(['f', 'F', '$']);
        if !prefix.is_empty() {
            let end = self.bare.len() - prefix.len();
            self.bare.truncate(end);
            self.tokens.pop();
        }
        self.tokens.push(Token::Text { text, format, number: false });
        self.bare.push('"');
        self.rest = &rest[mark.len() + length..];
        true
    }

    /// `r#"..."#`
    fn rust_raw(&mut self) -> Option<bool> {
        let inner = self.rest.strip_prefix("r#\"")?;
        let end = near(inner).find("\"#")?;
        self.tokens.push(Token::Text {
            text: inner[..end].to_owned(),
            format: false,
            number: false,
        });
        self.bare.push('"');
        self.rest = &inner[end + 2..];
        Some(true)
    }

    fn prefix(&self) -> String {
        let start = self.bare.rfind(|c: char| !(c.is_ascii_alphabetic() || "$@".contains(c)));
        let word = &self.bare
            [start.map_or(0, |at| at + self.bare[at..].chars().next().map_or(1, char::len_utf8))..];
        let known = PREFIXES.contains(&word)
            && matches!(self.tokens.last(), Some(Token::Name(name)) if name == word);
        if known { word.to_owned() } else { String::new() }
    }

    fn is_prefix(&self) -> bool {
        !self.prefix().is_empty()
    }

    /// A number, as its text.
    fn number(&mut self, c: char) -> bool {
        if !c.is_ascii_digit() {
            return false;
        }
        let rest = self.rest;
        let end =
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
        self.tokens.push(Token::Text { text: rest[..end].to_owned(), format: false, number: true });
        self.bare.push_str(&rest[..end]);
        self.rest = &rest[end..];
        true
    }

    fn name(&mut self, c: char) -> bool {
        let starts = c.is_alphabetic() || c == '_' || matches!(c, '$' | '@' | '#');
        let rest = self.rest;
        let first = c.len_utf8();
        let inside = |c: char| c.is_alphanumeric() || c == '_';
        let mut end = first + rest[first..].find(|c| !inside(c)).unwrap_or(rest.len() - first);
        if !starts || (end == first && !c.is_alphabetic() && c != '_' && !matches!(c, '$' | '@')) {
            return false;
        }
        // `self.args`, `a->b`, `A::b`: one name, unless it is called.
        loop {
            let tail = &rest[end..];
            let length = ["::", "->", "."]
                .iter()
                .find(|mark| tail.starts_with(*mark))
                .map(|mark| mark.len());
            let Some(length) = length else { break };
            let inner = &tail[length..];
            let word = inner.find(|c| !inside(c)).unwrap_or(inner.len());
            let called = inner[word..].starts_with('(') && tail.starts_with(['.', '-']);
            if word == 0 || called || !inner.starts_with(|c: char| c.is_alphabetic() || c == '_') {
                break;
            }
            end += length + word;
        }
        let name = rest[..end].trim_start_matches(['$', '@']);
        let name = if name.is_empty() { &rest[..end] } else { name };
        self.tokens.push(Token::Name(name.to_owned()));
        self.bare.push_str(&rest[..end]);
        self.rest = &rest[end..];
        true
    }
}

/// As much of a text as an end is looked for in.
fn near(text: &str) -> &str {
    const MOST: usize = 4096;
    let end = (0..=MOST.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// The text up to the closing mark, and how long it is with that.
fn inside(rest: &str, mark: &str, raw: bool, many_lines: bool) -> Option<(String, usize)> {
    let mut text = String::new();
    let mut at = 0;
    loop {
        let tail = rest.get(at..)?;
        if tail.starts_with(mark) {
            return Some((text, at + mark.len()));
        }
        let c = tail.chars().next()?;
        at += c.len_utf8();
        match c {
            '\n' if !many_lines => return None,
            '\\' if !raw => {
                let escaped = rest.get(at..)?.chars().next()?;
                at += escaped.len_utf8();
                match escaped {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    'r' | '\n' => {}
                    '0' => text.push('\0'),
                    '"' | '\'' | '\\' | '`' | '/' => text.push(escaped),
                    c => text.extend(['\\', c]),
                }
            }
            c => text.push(c),
        }
    }
}
