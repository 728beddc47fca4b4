//! Quotes, brackets and lines around a place in a text.

use std::ops::Range;

/// Most bytes of a command with its arguments.
pub(super) const MOST: usize = 4096;

/// The line that a place is in.
pub(super) fn line_at(text: &str, at: usize) -> Range<usize> {
    let start = text[..at].rfind('\n').map_or(0, |at| at + 1);
    let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
    start..end
}

/// A part of a text from a place on that is not too long.
pub(super) fn near(text: &str, at: usize) -> &str {
    let mut end = text.len().min(at.saturating_add(MOST));
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[at..end]
}

/// The end of what a bracket opens, behind the one that closes it; quotes hold brackets. The text begins with
/// the bracket.
pub(super) fn closed(text: &str) -> Option<usize> {
    let (mut depth, mut quote, mut escaped) = (0usize, None, false);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (_, '\\') => escaped = true,
            (Some(open), c) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '{' | '[' | '(') => depth += 1,
            (None, '}' | ']' | ')') => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(at + c.len_utf8());
                }
            }
            (None, _) => {}
        }
    }
    None
}

/// Where the bracket opens that a place is in, not further away than some bytes.
pub(super) fn opened(text: &str, at: usize, open: char) -> Option<usize> {
    let close = match open {
        '{' => '}',
        '(' => ')',
        _ => ']',
    };
    let mut start = at.saturating_sub(MOST);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    let mut depth = 0usize;
    for (before, c) in text[start..at].char_indices().rev() {
        if c == close {
            depth += 1;
        } else if c == open {
            if depth == 0 {
                return Some(start + before);
            }
            depth -= 1;
        }
    }
    None
}

/// What stands in quotes that open at a place, and where it ends, behind the quotes. They may be escaped
/// themselves, as in a string of a string, and end in the same line.
pub(super) fn quoted(text: &str, at: usize) -> Option<(String, usize)> {
    let rest = near(text, at);
    let quote = rest.chars().next().filter(|c| "\"'`".contains(*c))?;
    let slashes = text[..at].len() - text[..at].trim_end_matches('\\').len();
    let (mut out, mut run) = (String::new(), 0);
    for (length, c) in rest.char_indices().skip(1) {
        match c {
            '\n' => return None,
            '\\' => run += 1,
            c if c == quote && run == slashes => return Some((out, at + length + c.len_utf8())),
            c => {
                // What the string itself escapes: its quotes, and the ends of lines.
                let escapes = run > slashes;
                match c {
                    'n' | 'r' | 't' if escapes => out.push(' '),
                    _ => {
                        if run > 0 && (!escapes || c != quote) {
                            out.extend(std::iter::repeat_n('\\', run));
                        }
                        out.push(c);
                    }
                }
                run = 0;
            }
        }
    }
    None
}

/// A text in which quotes are escaped, `{\"a\": \"b\"}`, without that, and where each byte of it stood.
pub(super) fn unescaped(text: &str) -> (String, Vec<usize>) {
    let (mut out, mut at, mut escaped) = (String::new(), Vec::new(), false);
    for (place, c) in text.char_indices() {
        if c == '\\' && !escaped {
            escaped = true;
            continue;
        }
        let c = if std::mem::take(&mut escaped) && matches!(c, 'n' | 'r' | 't') { ' ' } else { c };
        out.push(c);
        at.resize(out.len(), place + c.len_utf8());
    }
    (out, at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("'a b' c", 0, "a b")]
    #[case("x \"a\\\"b\" c", 2, "a\"b")]
    #[case("\"x \\\"a b\\\" c\"", 4, "a b")]
    #[case("\"stop\\r\\n\"", 0, "stop  ")]
    fn quotes_end(#[case] text: &str, #[case] at: usize, #[case] expected: &str) {
        assert_eq!(quoted(text, at).map(|(text, _)| text).as_deref(), Some(expected));
    }

    #[test]
    fn brackets_are_closed() {
        assert_eq!(closed("{a: [\"}\"]} b"), Some(10));
        assert_eq!(opened("f(a, {b: c}, d", 13, '('), Some(1));
        assert_eq!(unescaped("{\\\"a\\\"}").0, "{\"a\"}");
    }

    proptest! {
        #[test]
        fn any_text_has_ends(text in "[a{}()\"'\\\\\\n é]{1,40}", at in 0usize..40) {
            let at = at.min(text.len() - 1);
            if text.is_char_boundary(at) {
                quoted(&text, at);
                closed(&text[at..]);
                opened(&text, at, '{');
                line_at(&text, at);
                unescaped(&text[at..]);
            }
        }
    }
}
