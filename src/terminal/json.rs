//! JSON that a terminal can show.

use std::{borrow::Cow, fmt::Write, mem};

use super::{fence::Line, is_control};

/// JSON text in which what acts on a terminal or a CI system is written as `\u` escapes, those of
/// UTF-16 (RFC 8259, section 7): a parser reads the same values. JSON itself escapes C0 only.
///
/// `text` is JSON as `serde_json` writes it, on any number of lines: such characters are nowhere
/// but in its strings.
#[must_use]
pub fn json(text: &str) -> Cow<'_, str> {
    let mut line = Line::default();
    let mut previous = '\0';
    let mut escaped = |c: char| {
        let before = mem::replace(&mut previous, c);
        let is_command = line.then(c);
        (is_control(c, before) || is_command) && c != '\n'
    };
    let Some(first) = text.char_indices().find(|(_, c)| escaped(*c)).map(|(at, _)| at) else {
        return Cow::Borrowed(text);
    };
    let mut out = String::with_capacity(text.len() + 64);
    out.push_str(&text[..first]);
    // The first was asked for already.
    let mut is_first = true;
    for c in text[first..].chars() {
        if mem::take(&mut is_first) || escaped(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let written = write!(out, "\\u{unit:04x}");
                debug_assert!(written.is_ok(), "a String takes everything");
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::Value;

    use super::*;

    #[rstest]
    #[case("a ä 日", r#""a ä 日""#)]
    #[case("\u{1b}\n\t\"\\", r#""\u001b\n\t\"\\""#)]
    #[case("\u{7f}\u{9b}\u{202e}\u{2028}\u{feff}", r#""\u007f\u009b\u202e\u2028\ufeff""#)]
    #[case("\u{e0041}", r#""\udb40\udc41""#)]
    #[case("##[error]x ##vso[y", r###""##\u005berror]x ##vso\u005by""###)]
    #[case("::error::x", r#""::error::x""#)]
    fn what_acts_is_an_escape(#[case] text: &str, #[case] written: &str) {
        assert_eq!(json(&Value::from(text).to_string()), written);
    }

    proptest! {
        #[test]
        fn nothing_is_lost(texts in any::<Vec<String>>()) {
            let value = Value::from(texts);
            for text in [value.to_string(), format!("{value:#}")] {
                let written = json(&text);
                prop_assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), value.clone());
                let mut previous = '\0';
                for c in written.chars().filter(|c| *c != '\n') {
                    prop_assert!(!is_control(c, mem::replace(&mut previous, c)));
                }
            }
        }
    }
}
