//! The pieces of a program: strings with what quotes them, numbers, names, operators, ends of lines.

use std::collections::BTreeMap;

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
    "<<=", "//", "...", "===", "!==", "->", "=>", "::", ":=", "+=", ".=", "==", "!=", "=~", "<=",
    ">=", "&&", "||", "??", "?:", "++", "<>", "..", "<<", "=", "+", "-", "*", "/", "%", ".", ",",
    ";", ":", "?", "!", "<", ">", "&", "|", "(", ")", "[", "]", "{", "}", "~", "^", "@", "\\", "#",
];

/// What may stand before the quote of a string.
const PREFIXES: &[&str] =
    &["f", "F", "r", "R", "b", "u", "fr", "rf", "br", "rb", "s", "L", "u8", "q", "$"];

/// The pieces of a text, and the text without its comments.
pub(super) fn read(text: &str, language: &Language) -> (Vec<Token>, String) {
    let (tokens, bare, _) = with_loops(text, language);
    (tokens, bare)
}

/// These, and the lines of the tokens that begin a loop.
pub(super) fn with_loops(
    text: &str,
    language: &Language,
) -> (Vec<Token>, String, BTreeMap<usize, usize>) {
    let (mut loops, mut line, mut counted) = (BTreeMap::new(), 1, 0);
    let mut reader = Reader {
        rest: text,
        language,
        tokens: Vec::new(),
        open: 0,
        indents: Vec::new(),
        behind_name: usize::MAX,
        below: 0,
    };
    let mut bare = String::new();
    while !reader.rest.is_empty() {
        let before = reader.rest;
        if reader.comment() {
            bare.push(' ');
            continue;
        }
        let begins = ["for", "foreach"]
            .iter()
            .any(|word| before.strip_prefix(word).is_some_and(|rest| !rest.starts_with(is_name)));
        if begins {
            let at = text.len() - before.len();
            line += text[counted..at].matches('\n').count();
            counted = at;
            loops.insert(reader.tokens.len(), line);
        }
        reader.one();
        bare += &before[..before.len() - reader.rest.len()];
    }
    reader.dedent(0);
    (reader.tokens, bare, loops)
}

struct Reader<'a> {
    rest: &'a str,
    language: &'a Language,
    tokens: Vec<Token>,
    /// How many brackets are open.
    open: usize,
    /// How far the lines of each open block are indented.
    indents: Vec<usize>,
    /// How much of the text there was behind the name that was read last.
    behind_name: usize,
    /// How many bytes below this line are documents that were read.
    below: usize,
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
        if self.define() || self.document() || self.command(c) || self.words() || self.string(c) {
            return;
        }
        if self.language.is_value && self.rest.starts_with("''") {
            return self.indented_text();
        }
        if c == '\n' && self.language.is_value {
            return self.take(1);
        }
        if c == '\n' {
            let below = std::mem::take(&mut self.below);
            self.end_of_line();
            return self.take(below);
        }
        if c == '\\' || c == '`' {
            let length = if self.rest[1..].starts_with('\n') { 2 } else { 1 };
            return self.take(length);
        }
        // `x&.y`, `x?.y`: a member, where there is one.
        let is_member = ["&.", "?."].iter().any(|mark| self.rest.starts_with(mark));
        if is_member && self.rest[2..].starts_with(|c: char| c.is_alphabetic() || c == '_') {
            self.take(2);
            return self.tokens.push(Token::Sign("."));
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
            if c == '@' && self.language.symbols {
                self.tokens.extend([Token::Name("self".to_owned()), Token::Sign(".")]);
            }
            // In a subscript, a name without it is a text.
            if self.tokens.last() == Some(&Token::Sign("{")) {
                self.tokens.push(Token::Sign("$"));
            }
            return self.take(1);
        }
        if c.is_alphabetic() || c == '_' || c == '$' {
            return self.name(c);
        }
        match SIGNS.iter().find(|sign| self.rest.starts_with(**sign)) {
            Some(sign) => {
                match *sign {
                    "(" | "[" | "{" => self.open += 1,
                    ")" | "]" | "}" => self.open = self.open.saturating_sub(1),
                    _ => {}
                }
                self.take(sign.len());
                self.tokens.push(Token::Sign(sign));
            }
            None => self.take(c.len_utf8()),
        }
    }

    fn name(&mut self, c: char) {
        let end = self.rest[c.len_utf8()..]
            .find(|c| !(is_name(c) || self.language.is_value && matches!(c, '-' | '\'')))
            .map_or(self.rest.len(), |end| end + c.len_utf8());
        let mut tail = self.rest[end..].chars();
        let is_asking = self.language.symbols
            && matches!(tail.next(), Some('?' | '!'))
            && !matches!(tail.next(), Some('=' | '.'));
        let name = self.rest[..end].to_owned();
        self.take(end + usize::from(is_asking));
        self.behind_name = self.rest.len();
        self.tokens.push(Token::Name(name));
    }

    /// Where what is indented is a block, a `:` at the end of a line opens one, and a line that begins before
    /// it closes it.
    fn end_of_line(&mut self) {
        self.take(1);
        if !self.language.indents {
            return self.tokens.push(Token::End);
        }
        if self.open > 0 {
            return;
        }
        let mut lines = self.rest.split_inclusive('\n');
        let filled = |line: &&str| !matches!(line.trim_start().chars().next(), None | Some('#'));
        let next = lines.find(filled).unwrap_or_default();
        let indent = next.len() - next.trim_start_matches([' ', '\t']).len();
        let outer = self.indents.last().copied().unwrap_or(0);
        if self.tokens.last() == Some(&Token::Sign(":")) {
            self.tokens.pop();
            self.tokens.push(Token::Sign("{"));
            // A block that nothing stands in ends at once.
            self.indents.push(indent.max(outer + 1));
        }
        self.tokens.push(Token::End);
        if !next.is_empty() {
            self.dedent(indent);
        }
    }

    /// Closes the blocks that are indented further.
    fn dedent(&mut self, indent: usize) {
        while self.indents.pop_if(|level| *level > indent).is_some() {
            self.tokens.extend([Token::End, Token::Sign("}"), Token::End]);
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

    /// A text of Nix over several lines: `''...''`, in which `''${` is no value.
    fn indented_text(&mut self) {
        let inner = &self.rest[2..];
        let mut end = 0;
        let found = loop {
            let Some(at) = inner.get(end..).and_then(|rest| rest.find("''")) else {
                break inner.len();
            };
            let at = end + at;
            let behind = &inner[at + 2..];
            if behind.starts_with(['$', '\'', '\\']) {
                end = at + 3;
                continue;
            }
            break at;
        };
        let text = inner[..found].replace("''$", "\\$").replace("\\\n", " ");
        self.tokens.push(Token::Text(text, Quote::Dollar));
        self.take(found + 4);
    }

    /// `<<~NAME`, `<<"NAME"`, `<<<NAME`: a text that stands below this line, up to a line with its name.
    fn document(&mut self) -> bool {
        let Some(rest) = self.rest.strip_prefix("<<") else { return false };
        let rest = rest.strip_prefix(['<', '~', '-']).unwrap_or(rest);
        let quoted = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
        let inner = rest.strip_prefix(['"', '\'']).unwrap_or(rest);
        let name = &inner[..inner.find(|c| !is_name(c)).unwrap_or(inner.len())];
        if name.len() < 2 || !name.starts_with(|c: char| c.is_ascii_uppercase()) {
            return false;
        }
        let Some(line) = self.rest.find('\n').map(|end| end + 1 + self.below) else { return false };
        let Some(below) = self.rest.get(line..) else { return false };
        let (mut text, mut length) = (String::new(), 0);
        for one in below.split_inclusive('\n') {
            length += one.len();
            if one.trim().trim_end_matches([';', ',', ')']) == name {
                let quote = if quoted == Some('\'') { Quote::Raw } else { self.language.double };
                self.below += length;
                let mark =
                    self.rest.len() - inner.len() + name.len() + usize::from(quoted.is_some());
                self.take(mark);
                self.tokens.push(Token::Text(text.replace("\\\n", " "), quote));
                return true;
            }
            text += one;
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
            .or_else(|| self.rest.strip_prefix("%W"))
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
        // `%W[a #{b}]`
        if self.rest.starts_with("%W") {
            self.tokens.push(Token::Sign("["));
            for word in inner[1..=end].split_whitespace() {
                self.tokens.extend([Token::Text(word.to_owned(), Quote::Hash), Token::Sign(",")]);
            }
            self.tokens.push(Token::Sign("]"));
            self.rest = &inner[end + 2..];
            return true;
        }
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
                if PREFIXES.contains(&name.as_str()) && self.behind_name == self.rest.len() =>
            {
                name.to_lowercase()
            }
            _ => String::new(),
        };
        if !prefix.is_empty() {
            self.tokens.pop();
        }
        let quote = match prefix.as_str() {
            "f" | "rf" | "fr" => Quote::Brace,
            "r" | "br" | "rb" => Quote::Raw,
            "$" => Quote::Brace,
            _ => quote,
        };
        let triple = ["\"\"\"", "\'\'\'"].into_iter().find(|mark| self.rest.starts_with(mark));
        let mark = triple.unwrap_or(&self.rest[..1]);
        let goes_on = triple.is_some() || !self.language.indents;
        let text = inside(&self.rest[mark.len()..], mark, quote);
        let is_line = |text: &(String, usize)| {
            goes_on || !self.rest[..mark.len() + text.1].replace("\\\n", "").contains('\n')
        };
        match text.filter(is_line) {
            // A text that stands alone, as what a function is for.
            Some((_, length)) if triple.is_some() && self.language.indents && self.is_alone() => {
                self.take(mark.len() + length);
            }
            Some((text, length)) => {
                self.take(mark.len() + length);
                self.tokens.push(Token::Text(text, quote));
            }
            None => self.take(1),
        }
        true
    }

    /// Whether a statement begins here.
    fn is_alone(&self) -> bool {
        self.open == 0 && matches!(self.tokens.last(), None | Some(Token::End))
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
        if let Some(length) = value_length(tail, quote) {
            text.push_str(&tail[..length]);
            at += length;
            continue;
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

/// How long the value is that a string has here, with its braces: there may be strings in it.
fn value_length(tail: &str, quote: Quote) -> Option<usize> {
    let open = match quote {
        Quote::Dollar => "${",
        Quote::Hash => "#{",
        _ => return None,
    };
    let inner = tail.strip_prefix(open)?;
    let (mut depth, mut text) = (1usize, None);
    for (at, c) in inner.char_indices().take(MOST_OF_VALUE) {
        match c {
            '\n' if text.is_none() && quote == Quote::Hash => return None,
            '"' | '`' if text.is_none() => text = Some(c),
            c if text == Some(c) => text = None,
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return text.is_none().then_some(open.len() + at + 1);
        }
    }
    None
}

/// Most characters of a value in a string.
const MOST_OF_VALUE: usize = 1024;
