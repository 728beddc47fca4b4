//! The text that a report points into, as a terminal may show it. The drawing of reports reads it.

use crate::terminal::is_control;

/// A source's text with its control characters as escapes, and where its bytes are now.
#[derive(Debug, Default)]
pub(super) struct Excerpt {
    pub(super) text: String,
    /// Behind which byte of the source the text has become longer, and by how much in all.
    shifts: Vec<(usize, usize)>,
}

impl Excerpt {
    /// Its lines and tabs stay, and so does what belongs to the end of a line, of which nothing is
    /// drawn.
    pub(super) fn of(source: &str) -> Self {
        let mut excerpt = Self::default();
        let (mut previous, mut shift) = ('\0', 0);
        let mut characters = source.char_indices().peekable();
        while let Some((at, c)) = characters.next() {
            let ends_line = c == '\r' && characters.peek().is_none_or(|(_, next)| *next == '\n');
            match c {
                '\n' | '\t' => excerpt.text.push(c),
                _ if ends_line => excerpt.text.push(' '),
                _ if is_control(c, previous) => {
                    let before = excerpt.text.len();
                    excerpt.text.extend(c.escape_default());
                    shift += excerpt.text.len() - before - c.len_utf8();
                    excerpt.shifts.push((at + c.len_utf8(), shift));
                }
                _ => excerpt.text.push(c),
            }
            previous = c;
        }
        excerpt
    }

    /// Where a byte of the source is.
    pub(super) fn at(&self, byte: usize) -> usize {
        let passed = self.shifts.partition_point(|(behind, _)| *behind <= byte);
        byte + passed.checked_sub(1).map_or(0, |last| self.shifts[last].1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_acts_is_an_escape_and_ends_of_lines_are_not() {
        let excerpt = Excerpt::of("a\r\n\tb\u{1b}[2J\rc\u{202e}\r");
        assert_eq!(excerpt.text, "a \n\tb\\u{1b}[2J\\rc\\u{202e} ");
    }

    proptest! {
        #[test]
        fn a_byte_is_found_again(source in any::<String>()) {
            let excerpt = Excerpt::of(&source);
            for (at, c) in source.char_indices() {
                let there = &excerpt.text[excerpt.at(at)..excerpt.at(at + c.len_utf8())];
                prop_assert!(there == c.to_string() || there == c.escape_default().to_string() || c == '\r');
            }
            prop_assert_eq!(excerpt.at(source.len()), excerpt.text.len());
        }
    }
}
