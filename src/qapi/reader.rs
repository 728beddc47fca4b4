//! QEMU's reader of JSON: double or single quotes, and a text of its own for every mistake (QEMU 10.2.2
//! `qobject/json-lexer.c`, `json-parser.c`, `json-streamer.c`; measured on 7.2.22, 10.0.13 and 11.1.3).
//! Read by [`super::Properties`].

use serde_json::{Map, Number, Value};

use super::{Refusal, refusal};
use crate::base::QemuVersion;

/// Why a text is not the JSON of one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// A whole value, with something behind it.
    GoesOn,
    /// The mistake that a reader finds that checks all tokens first, and the one that a reader finds
    /// that goes from token to token.
    Mistake { scanned: Mistake, streamed: Mistake },
    /// Whole, and not an object.
    NoObject,
}

/// A mistake and the token that it is found at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    kind: Kind,
    line: usize,
    column: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    End,
    Value,
    Key,
    Colon,
    Separator {
        closing: char,
    },
    DuplicateKey,
    /// The key is a value of another type.
    KeyType,
    Stray(String),
    Keyword(String),
    Escape,
    Unicode(String),
}

impl Unreadable {
    /// QEMU's refusal. 11.1 reads from token to token, and says where.
    pub(super) fn refusal(&self, version: QemuVersion) -> Refusal {
        let streams = matches!(version, QemuVersion::Qemu111);
        match self {
            Self::GoesOn => refusal("Expecting at most one JSON value"),
            Self::NoObject => refusal("Invalid parameter type for 'object', expected: object"),
            Self::Mistake { streamed, .. } if streams => {
                let Mistake { line, column, kind } = streamed;
                let text = kind.streamed();
                refusal(format!("{line}:{column}: JSON parse error, {text}"))
            }
            Self::Mistake { scanned, .. } => {
                refusal(format!("JSON parse error, {}", scanned.kind.scanned()))
            }
        }
    }
}

impl Kind {
    fn scanned(&self) -> String {
        match self {
            Self::End => "premature EOI".to_owned(),
            Self::Value | Self::Key => "expecting value".to_owned(),
            Self::Colon => "missing : in object pair".to_owned(),
            Self::Separator { closing: ']' } => "expected separator in list".to_owned(),
            Self::Separator { .. } => "expected separator in dict".to_owned(),
            other => other.streamed(),
        }
    }

    fn streamed(&self) -> String {
        match self {
            Self::End => "premature end of input".to_owned(),
            Self::Value => "expecting value".to_owned(),
            Self::Key => "expecting key".to_owned(),
            Self::Colon => "expecting ':'".to_owned(),
            Self::Separator { closing } => format!("expected ',' or '{closing}'"),
            Self::DuplicateKey => "duplicate key".to_owned(),
            Self::KeyType => "key is not a string in object".to_owned(),
            Self::Stray(text) => format!("stray '{text}'"),
            Self::Keyword(word) => format!("invalid keyword '{word}'"),
            Self::Escape => "invalid escape sequence in string".to_owned(),
            Self::Unicode(text) => format!("{text} is not a valid Unicode character"),
        }
    }
}

/// Reads the JSON of an object.
///
/// # Errors
/// What QEMU finds first, in each way of reading.
pub(super) fn read(text: &str) -> Result<Map<String, Value>, Unreadable> {
    let tokens = Tokens::of(text);
    match Parser::new(&tokens, true).value() {
        Ok(_) if tokens.goes_on(text) => Err(Unreadable::GoesOn),
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(Unreadable::NoObject),
        Err(streamed) => {
            let stray = tokens.list.iter().find(|token| matches!(token.kind, TokenKind::Stray));
            let scanned = match stray {
                Some(stray) => stray.mistake(Kind::Stray(stray.text.to_owned())),
                None => {
                    Parser::new(&tokens, false).value().err().unwrap_or_else(|| streamed.clone())
                }
            };
            Err(Unreadable::Mistake { scanned, streamed })
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TokenKind {
    /// One of `{}[]:,`.
    Mark(char),
    Number,
    String,
    Word,
    /// No token; nothing is read behind it.
    Stray,
}

#[derive(Clone, Copy, Debug)]
struct Token<'t> {
    kind: TokenKind,
    text: &'t str,
    line: usize,
    column: usize,
}

impl Token<'_> {
    fn mistake(&self, kind: Kind) -> Mistake {
        Mistake { kind, line: self.line, column: self.column }
    }
}

/// The tokens of the first message: as far as its braces and brackets are open.
#[derive(Debug)]
struct Tokens<'t> {
    list: Vec<Token<'t>>,
    /// Behind them, in bytes.
    end: usize,
    /// Where the text ends.
    line: usize,
    column: usize,
    /// How much further QEMU has counted than this letter.
    looked_ahead: usize,
}

impl<'t> Tokens<'t> {
    fn of(text: &'t str) -> Self {
        let mut tokens = Self { list: Vec::new(), end: 0, line: 1, column: 1, looked_ahead: 0 };
        let (mut braces, mut brackets) = (0_i32, 0_i32);
        while let Some(first) = text[tokens.end..].chars().next() {
            let rest = &text[tokens.end..];
            if matches!(first, ' ' | '\t' | '\r' | '\n') {
                tokens.advance(&rest[..1]);
                tokens.looked_ahead = 0;
                continue;
            }
            let (kind, len) = token(rest);
            let (line, column) = (tokens.line, tokens.column + tokens.looked_ahead);
            tokens.list.push(Token { kind, text: &rest[..len], line, column });
            tokens.advance(&rest[..len]);
            // What may go on is over when another letter has come, or the end, which counts twice.
            tokens.looked_ahead = usize::from(matches!(kind, TokenKind::Number | TokenKind::Word));
            match kind {
                TokenKind::Stray => break,
                TokenKind::Mark('{') => braces += 1,
                TokenKind::Mark('}') => braces -= 1,
                TokenKind::Mark('[') => brackets += 1,
                TokenKind::Mark(']') => brackets -= 1,
                _ => {}
            }
            if braces < 0 || brackets < 0 || (braces == 0 && brackets == 0) {
                break;
            }
        }
        tokens.column += tokens.looked_ahead;
        tokens
    }

    fn advance(&mut self, over: &str) {
        self.end += over.len();
        for letter in over.chars() {
            if letter == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
    }

    fn goes_on(&self, text: &str) -> bool {
        text[self.end..].chars().any(|letter| !matches!(letter, ' ' | '\t' | '\r' | '\n'))
    }
}

/// The token at the beginning and its length in bytes.
fn token(text: &str) -> (TokenKind, usize) {
    let first = text.chars().next().unwrap_or_default();
    match first {
        '{' | '}' | '[' | ']' | ':' | ',' => (TokenKind::Mark(first), 1),
        '"' | '\'' => string(text, first),
        'a'..='z' => {
            let word = text.find(|letter: char| !letter.is_ascii_lowercase());
            (TokenKind::Word, word.unwrap_or(text.len()))
        }
        '-' | '0'..='9' => number(text),
        other => (TokenKind::Stray, other.len_utf8()),
    }
}

fn string(text: &str, quote: char) -> (TokenKind, usize) {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        let behind = at + letter.len_utf8();
        match letter {
            '\0'..='\x1f' => return (TokenKind::Stray, behind),
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if letter == quote => return (TokenKind::String, behind),
            _ => {}
        }
    }
    (TokenKind::Stray, text.len())
}

/// A stray number has the letter that makes it one.
fn number(text: &str) -> (TokenKind, usize) {
    let bytes = text.as_bytes();
    let digits =
        |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let stray = |at: usize| {
        let letter = text[at..].chars().next().map_or(0, char::len_utf8);
        (TokenKind::Stray, at + letter)
    };
    let mut at = usize::from(bytes[0] == b'-');
    let whole = digits(at);
    match whole {
        0 => return stray(at),
        2.. if bytes[at] == b'0' => return stray(at + 1),
        _ => at += whole,
    }
    if bytes.get(at) == Some(&b'.') {
        let decimals = digits(at + 1);
        if decimals == 0 {
            return stray(at + 1);
        }
        at += 1 + decimals;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let signed = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at + 1 + signed);
        if exponent == 0 {
            return stray(at + 1 + signed);
        }
        at += 1 + signed + exponent;
    }
    (TokenKind::Number, at)
}

struct Parser<'a, 't> {
    tokens: &'a Tokens<'t>,
    at: usize,
    /// A key is expected to be one before its token is read.
    streams: bool,
}

impl<'a, 't> Parser<'a, 't> {
    fn new(tokens: &'a Tokens<'t>, streams: bool) -> Self {
        Self { tokens, at: 0, streams }
    }

    fn next(&mut self) -> Result<&'a Token<'t>, Mistake> {
        let Some(token) = self.tokens.list.get(self.at) else {
            let Tokens { line, column, .. } = *self.tokens;
            return Err(Mistake { kind: Kind::End, line, column });
        };
        self.at += 1;
        match token.kind {
            TokenKind::Stray => Err(token.mistake(Kind::Stray(token.text.to_owned()))),
            _ => Ok(token),
        }
    }

    fn value(&mut self) -> Result<Value, Mistake> {
        let token = self.next()?;
        self.value_at(token)
    }

    fn value_at(&mut self, token: &Token<'t>) -> Result<Value, Mistake> {
        match token.kind {
            TokenKind::Mark('{') => self.object(),
            TokenKind::Mark('[') => self.list(),
            TokenKind::Mark(_) | TokenKind::Stray => Err(token.mistake(Kind::Value)),
            TokenKind::Number => Ok(value_of_number(token.text)),
            TokenKind::String => unescaped(token).map(Value::String),
            TokenKind::Word => match token.text {
                "true" => Ok(true.into()),
                "false" => Ok(false.into()),
                "null" => Ok(Value::Null),
                other => Err(token.mistake(Kind::Keyword(other.to_owned()))),
            },
        }
    }

    fn object(&mut self) -> Result<Value, Mistake> {
        let mut map = Map::new();
        let mut token = self.next()?;
        if token.kind == TokenKind::Mark('}') {
            return Ok(Value::Object(map));
        }
        loop {
            let key = self.key(token)?;
            let colon = self.next()?;
            if colon.kind != TokenKind::Mark(':') {
                return Err(colon.mistake(Kind::Colon));
            }
            let value = self.value()?;
            if map.insert(key, value).is_some() {
                let last = &self.tokens.list[self.at - 1];
                return Err(last.mistake(Kind::DuplicateKey));
            }
            let behind = self.next()?;
            match behind.kind {
                TokenKind::Mark('}') => return Ok(Value::Object(map)),
                TokenKind::Mark(',') => token = self.next()?,
                _ => return Err(behind.mistake(Kind::Separator { closing: '}' })),
            }
        }
    }

    fn key(&mut self, token: &Token<'t>) -> Result<String, Mistake> {
        if self.streams && token.kind != TokenKind::String {
            return Err(token.mistake(Kind::Key));
        }
        match self.value_at(token)? {
            Value::String(key) => Ok(key),
            _ => Err(token.mistake(Kind::KeyType)),
        }
    }

    fn list(&mut self) -> Result<Value, Mistake> {
        let mut items = Vec::new();
        let mut token = self.next()?;
        if token.kind == TokenKind::Mark(']') {
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value_at(token)?);
            let behind = self.next()?;
            match behind.kind {
                TokenKind::Mark(']') => return Ok(Value::Array(items)),
                TokenKind::Mark(',') => token = self.next()?,
                _ => return Err(behind.mistake(Kind::Separator { closing: ']' })),
            }
        }
    }
}

/// 64 bits, with a sign or without; what has more is a floating-point number.
fn value_of_number(text: &str) -> Value {
    let whole = text.parse::<i64>().map(Number::from);
    let whole = whole.or_else(|_| text.parse::<u64>().map(Number::from));
    let fraction = || text.parse::<f64>().ok().and_then(Number::from_f64);
    whole.ok().or_else(fraction).map_or(Value::Null, Value::Number)
}

fn unescaped(token: &Token<'_>) -> Result<String, Mistake> {
    let mut out = String::with_capacity(token.text.len());
    let mut rest = &token.text[1..token.text.len() - 1];
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = &rest[at + 1..];
        let letter = escape.chars().next().unwrap_or_default();
        rest = &escape[letter.len_utf8()..];
        out.push(match letter {
            '"' | '\'' | '\\' | '/' => letter,
            'b' => '\x08',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let (letter, len) = unicode(rest).ok_or_else(|| {
                    // The closing quote is shown too.
                    let shown = &token.text[token.text.len() - rest.len() - 1..];
                    let mut text = "\\u".to_owned();
                    shown.chars().take(4).for_each(|letter| text.push(letter));
                    token.mistake(Kind::Unicode(text))
                })?;
                rest = &rest[len..];
                letter
            }
            _ => return Err(token.mistake(Kind::Escape)),
        });
    }
    out.push_str(rest);
    Ok(out)
}

/// The character behind `\u`, which may be a pair of surrogates, and how long its text is.
fn unicode(text: &str) -> Option<(char, usize)> {
    let unit = |text: &str| {
        let digits =
            text.get(..4).filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        u32::from_str_radix(digits, 16).ok()
    };
    let high = unit(text)?;
    if let Some(letter) = char::from_u32(high) {
        return Some((letter, 4));
    }
    let low = unit(text.get(4..)?.strip_prefix("\\u")?)?;
    let pair = char::decode_utf16([high as u16, low as u16]).next()?.ok()?;
    Some((pair, 10))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    /// As 7.2.22 and 10.0.13 print it behind `JSON parse error, `, and 11.1.3, with its line and column.
    #[rstest]
    #[case("{", "premature EOI", "1:2 premature end of input")]
    #[case(r#"{"a""#, "premature EOI", "1:5 premature end of input")]
    #[case(r#"{"a":1"#, "premature EOI", "1:8 premature end of input")]
    #[case(r#"{"a":1,"#, "premature EOI", "1:8 premature end of input")]
    #[case(r#"{"a":{}"#, "premature EOI", "1:8 premature end of input")]
    #[case(r#"{"a":1,}"#, "expecting value", "1:8 expecting key")]
    #[case("{,}", "expecting value", "1:2 expecting key")]
    #[case("{1:2}", "key is not a string in object", "1:2 expecting key")]
    #[case("{a}", "invalid keyword 'a'", "1:2 expecting key")]
    #[case(r#"{"a":]}"#, "expecting value", "1:6 expecting value")]
    #[case(r#"{"a":[1,]"#, "expecting value", "1:9 expecting value")]
    #[case(r#"{"a":[1 2]}"#, "expected separator in list", "1:9 expected ',' or ']'")]
    #[case(r#"{"a":{"b"}}"#, "missing : in object pair", "1:10 expecting ':'")]
    #[case(r#"{"a":"b" "c":1}"#, "expected separator in dict", "1:10 expected ',' or '}'")]
    #[case(r#"{"a":1,"a":2}"#, "duplicate key", "1:12 duplicate key")]
    #[case(
        r#"{"a":"\x"}"#,
        "invalid escape sequence in string",
        "1:6 invalid escape sequence in string"
    )]
    #[case(
        r#"{"a":"\u12"}"#,
        r#"\u12" is not a valid Unicode character"#,
        r#"1:6 \u12" is not a valid Unicode character"#
    )]
    #[case(
        r#"{"a":"\ud800"}"#,
        r"\ud800 is not a valid Unicode character",
        r"1:6 \ud800 is not a valid Unicode character"
    )]
    #[case(r#"{"a":01}"#, "stray '01'", "1:6 stray '01'")]
    #[case(r#"{"a":1.}"#, "stray '1.}'", "1:6 stray '1.}'")]
    #[case(r#"{"a":1.5e+}"#, "stray '1.5e+}'", "1:6 stray '1.5e+}'")]
    #[case(r#"{"a":-}"#, "stray '-}'", "1:6 stray '-}'")]
    #[case(r#"{"a":tru"#, "invalid keyword 'tru'", "1:6 invalid keyword 'tru'")]
    #[case(r#"{"a":"b"#, "stray '\"b'", "1:6 stray '\"b'")]
    #[case(r#"{"a":%d}"#, "stray '%'", "1:6 stray '%'")]
    #[case(r#"{"a":1;}"#, "stray ';'", "1:8 stray ';'")]
    #[case("{\n\"a\":\n x}", "invalid keyword 'x'", "3:2 invalid keyword 'x'")]
    fn mistakes(#[case] text: &str, #[case] scanned: &str, #[case] streamed: &str) {
        let unreadable = read(text).unwrap_err();
        let scanned = format!("JSON parse error, {scanned}");
        assert_eq!(unreadable.refusal(QemuVersion::Qemu72).desc, scanned);
        let (place, text) = streamed.split_once(' ').unwrap();
        let streamed = format!("{place}: JSON parse error, {text}");
        assert_eq!(unreadable.refusal(QemuVersion::Qemu111).desc, streamed);
    }

    #[rstest]
    #[case(r#"{"a":1} x"#)]
    #[case(r#"{"a":1}}"#)]
    #[case(r#"{"a":1},"#)]
    fn something_behind_the_value(#[case] text: &str) {
        let text = read(text).unwrap_err().refusal(QemuVersion::Qemu111);
        assert_eq!(text.desc, "Expecting at most one JSON value");
    }

    #[rstest]
    #[case("{'a':\"b\",\"c\":'d'}", json!({"a": "b", "c": "d"}))]
    #[case(r#"{"a":"\u0041\ud83d\ude00\/\n"}"#, json!({"a": "A\u{1f600}/\n"}))]
    #[case(r#"{"a":[1,-2,1.5,{},[],true,false,null]}"#, json!({"a": [1, -2, 1.5, {}, [], true, false, null]}))]
    #[case(r#"{"a":18446744073709551615}"#, json!({"a": u64::MAX}))]
    fn values(#[case] text: &str, #[case] expected: Value) {
        assert_eq!(Value::Object(read(text).unwrap()), expected);
    }
}
