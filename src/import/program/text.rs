//! Strings with values in them, as each language marks them.

use super::{language::Quote, run::Run, syntax, token, value::Value};
use crate::import::code::format;

impl Run<'_> {
    /// A string with its values in place.
    pub(super) fn template(&mut self, text: &str, quote: Quote) -> String {
        let mark = match quote {
            Quote::Brace => return self.braces(text),
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
            // `{$x->y}` of PHP.
            let braced = self.language.braced && out.ends_with('{');
            let closed = behind.find('}').filter(|_| braced);
            if closed.is_some() {
                out.pop();
            }
            let found = match closed {
                Some(end) => Some((&behind[..end], end + 1)),
                None => inner(behind, mark, self.language.braced),
            };
            match found {
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

    /// A string with the values of its braces: `{x}`, `{x:02d}`, and `{{` for a brace.
    fn braces(&mut self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            out.push_str(&rest[..at].replace("${", "$${"));
            let behind = &rest[at..];
            if behind.starts_with("{{") || behind.starts_with("}}") {
                out.push_str(&behind[..1]);
                rest = &behind[2..];
                continue;
            }
            let Some((expression, length)) = inner(&format!("${behind}"), '$', false)
                .map(|(inside, length)| (inside.to_owned(), length - 1))
                .filter(|_| behind.starts_with('{'))
            else {
                out.push_str(&behind[..1]);
                rest = &behind[1..];
                continue;
            };
            let written = &behind[..length];
            let spec = format::spec_of(written);
            let expression = match expression.rsplit_once(':') {
                Some((before, after)) if !after.contains([')', ']', '"', '\'']) => before,
                _ => expression.as_str(),
            };
            let expression = ["!r", "!s", "="]
                .iter()
                .fold(expression, |text, mark| text.strip_suffix(mark).unwrap_or(text));
            let (tokens, _) = token::read(expression, self.language);
            let expr = syntax::expression(&tokens, self.language);
            match self.value(&expr) {
                Value::Unknown(name) => out += &self.placeholder(&name, written),
                value => out += &format::with_spec(&self.text(value), spec),
            }
            rest = &behind[length..];
        }
        out + &rest.replace("${", "$${")
    }
}

/// The expression that a mark holds, and how long both are.
fn inner(text: &str, mark: char, with_members: bool) -> Option<(&str, usize)> {
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
    let member = rest[end..].strip_prefix("->").filter(|_| with_members);
    if let Some(member) =
        member.filter(|member| member.starts_with(|c: char| c.is_ascii_alphabetic()))
    {
        end += 2 + member.find(|c| !is_name(c)).unwrap_or(member.len());
        return Some((&text[..end + 1], end + 1));
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
