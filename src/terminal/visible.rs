//! Texts as people may see them: what would act on a terminal stands there as an escape.

use std::{
    fmt::{self, Display, Write},
    mem,
};

use super::is_control;

/// A value on a line of output, fit for a terminal. See [`visible`].
#[derive(Clone, Copy, Debug)]
pub struct Visible<T>(T);

/// A value from outside as it stands in a printed line: each control character of it is an escape,
/// newlines and tabs too. What has none is shown as it is.
pub const fn visible<T: Display>(value: T) -> Visible<T> {
    Visible(value)
}

impl<T: Display> Display for Visible<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.width().is_some() || f.precision().is_some() {
            let mut text = String::new();
            write!(Escaper::new(&mut text, false), "{}", self.0)?;
            return f.pad(&text);
        }
        write!(Escaper::new(f, false), "{}", self.0)
    }
}

/// A text that has lines of its own, as [`visible`] but for its newlines and tabs.
#[must_use]
pub fn visible_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let written = Escaper::new(&mut out, true).write_str(text);
    debug_assert!(written.is_ok(), "a String takes everything");
    out
}

/// Writes what is written to it on, control characters as escapes.
struct Escaper<'o> {
    out: &'o mut dyn Write,
    /// Whether newlines and tabs are the text's own layout.
    lines: bool,
    previous: char,
}

impl<'o> Escaper<'o> {
    fn new(out: &'o mut dyn Write, lines: bool) -> Self {
        Self { out, lines, previous: '\0' }
    }

    fn is_escaped(&self, c: char, previous: char) -> bool {
        is_control(c, previous) && !(self.lines && matches!(c, '\n' | '\t'))
    }
}

impl Write for Escaper<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut plain = 0;
        for (at, c) in text.char_indices() {
            let previous = mem::replace(&mut self.previous, c);
            if self.is_escaped(c, previous) {
                self.out.write_str(&text[plain..at])?;
                write!(self.out, "{}", c.escape_default())?;
                plain = at + c.len_utf8();
            }
        }
        self.out.write_str(&text[plain..])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn is_clean(text: &str) -> bool {
        let before = std::iter::once('\0').chain(text.chars());
        !text.chars().zip(before).any(|(c, previous)| is_control(c, previous))
    }

    #[rstest]
    #[case("", "")]
    #[case("hn0.guest <- IPv4 10.0.0.1 \\ \"ä\"", "hn0.guest <- IPv4 10.0.0.1 \\ \"ä\"")]
    #[case("\u{1b}]0;x\u{7}\u{1b}[31mred", r"\u{1b}]0;x\u{7}\u{1b}[31mred")]
    #[case("a\n::error::b\r\tc\0", r"a\n::error::b\r\tc\u{0}")]
    #[case("\u{9b}2J\u{7f}\u{85}", r"\u{9b}2J\u{7f}\u{85}")]
    #[case("\u{202e}gpj.exe\u{2066}", r"\u{202e}gpj.exe\u{2066}")]
    #[case("hn\u{200b}0\u{feff}\u{e0041}", r"hn\u{200b}0\u{feff}\u{e0041}")]
    #[case("hn0\u{fe0f} ⚠\u{fe0f}", "hn0\\u{fe0f} ⚠\u{fe0f}")]
    fn a_value_stays_on_its_line(#[case] text: &str, #[case] shown: &str) {
        assert_eq!(visible(text).to_string(), shown);
    }

    #[test]
    fn a_text_keeps_its_lines_and_tabs() {
        assert_eq!(visible_lines("a\n\tb\r\n\u{1b}c"), "a\n\tb\\r\n\\u{1b}c");
    }

    #[test]
    fn a_value_takes_the_columns_that_it_is_given() {
        assert_eq!(
            format!("[{:>8}][{:<3.2}]", visible("\u{7}"), visible("abc")),
            r"[   \u{7}][ab ]"
        );
    }

    #[test]
    fn every_code_point_is_shown_as_itself_or_as_its_escape() {
        for c in '\0'..=char::MAX {
            let shown = visible(c).to_string();
            if is_control(c, '\0') {
                assert_eq!(shown, c.escape_default().to_string());
                assert!(shown.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{c:?}");
            } else {
                assert_eq!(shown, c.to_string());
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_that_acts_is_left_and_nothing_else_changes(text in any::<String>()) {
            let shown = visible(&text).to_string();
            prop_assert!(is_clean(&shown), "{shown:?}");
            if is_clean(&text) {
                prop_assert_eq!(&shown, &text);
            }
            prop_assert_eq!(visible(&shown).to_string(), shown);
            let lines = visible_lines(&text);
            prop_assert!(is_clean(&lines.replace(['\n', '\t'], "")), "{lines:?}");
        }

        #[test]
        fn pieces_are_as_the_whole(text in any::<Vec<String>>()) {
            let mut pieces = String::new();
            let mut escaper = Escaper::new(&mut pieces, false);
            for piece in &text {
                escaper.write_str(piece).unwrap();
            }
            prop_assert_eq!(pieces, visible(text.concat()).to_string());
        }
    }
}
