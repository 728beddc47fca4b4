//! A text whose parts have roles. Whoever shows it decides what becomes of them: a terminal paints them, a
//! file leaves them out.

use std::{
    fmt::{self, Display, Write},
    ops::Range,
};

/// What a part of a text stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A name: of a port, of a field.
    Name,
    /// What was expected.
    Expected,
    /// What came.
    Actual,
}

/// A text, and which of its parts have a role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    plain: String,
    /// In order, and none in another.
    parts: Vec<(Range<usize>, Role)>,
}

impl Text {
    /// The text alone.
    #[must_use]
    pub fn plain(&self) -> &str {
        &self.plain
    }

    /// The text alone.
    #[must_use]
    pub fn into_plain(self) -> String {
        self.plain
    }

    /// Adds what has no role.
    pub fn push(&mut self, text: impl Display) {
        let written = write!(self.plain, "{text}");
        debug_assert!(written.is_ok(), "a String takes everything");
    }

    /// Adds a part with a role.
    pub fn push_as(&mut self, role: Role, text: impl Display) {
        let start = self.plain.len();
        self.push(text);
        self.parts.push((start..self.plain.len(), role));
    }

    /// Adds a text with its parts.
    pub fn append(&mut self, text: &Self) {
        let start = self.plain.len();
        self.plain.push_str(&text.plain);
        let moved =
            |(range, role): &(Range<usize>, Role)| (start + range.start..start + range.end, *role);
        self.parts.extend(text.parts.iter().map(moved));
    }

    /// The text in order, in pieces with a role and without.
    #[must_use]
    pub fn pieces(&self) -> Vec<(Option<Role>, &str)> {
        let mut pieces = Vec::new();
        let mut end = 0;
        for (range, role) in &self.parts {
            if range.start > end {
                pieces.push((None, &self.plain[end..range.start]));
            }
            pieces.push((Some(*role), &self.plain[range.clone()]));
            end = range.end;
        }
        if end < self.plain.len() {
            pieces.push((None, &self.plain[end..]));
        }
        pieces
    }

    /// Its lines, without their ends.
    #[must_use]
    pub fn lines(&self) -> Vec<Self> {
        let mut lines = Vec::new();
        let mut line = Self::default();
        for (role, piece) in self.pieces() {
            for (at, part) in piece.split('\n').enumerate() {
                if at > 0 {
                    lines.push(std::mem::take(&mut line));
                }
                match role {
                    Some(role) => line.push_as(role, part),
                    None => line.push(part),
                }
            }
        }
        if !line.plain.is_empty() {
            lines.push(line);
        }
        lines
    }

    /// Without blanks at its end, as far as they have no role.
    #[must_use]
    pub fn trimmed(mut self) -> Self {
        let kept = self.parts.last().map_or(0, |(range, _)| range.end);
        let end = self.plain.trim_end().len().max(kept);
        self.plain.truncate(end);
        self
    }
}

impl Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.plain)
    }
}

impl From<String> for Text {
    fn from(plain: String) -> Self {
        Self { plain, parts: Vec::new() }
    }
}

impl From<&str> for Text {
    fn from(plain: &str) -> Self {
        plain.to_owned().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> Text {
        let mut text = Text::from("a ");
        text.push_as(Role::Name, "b\nc");
        text.push("  \n");
        text
    }

    #[test]
    fn pieces_are_the_whole_text() {
        let text = text();
        let pieces = text.pieces();
        assert_eq!(pieces, [(None, "a "), (Some(Role::Name), "b\nc"), (None, "  \n")]);
        assert_eq!(pieces.iter().map(|(_, piece)| *piece).collect::<String>(), text.plain());
    }

    #[test]
    fn a_line_keeps_the_roles_of_its_parts() {
        let lines = text().lines();
        let pieces: Vec<_> = lines.iter().map(Text::pieces).collect();
        assert_eq!(pieces[0], [(None, "a "), (Some(Role::Name), "b")]);
        assert_eq!(pieces[1], [(Some(Role::Name), "c"), (None, "  ")]);
        assert_eq!(pieces.len(), 2);
    }

    #[test]
    fn what_has_a_role_keeps_its_blanks() {
        let mut text = Text::default();
        text.push_as(Role::Expected, "a ");
        text.push(" ");
        assert_eq!(text.trimmed().plain(), "a ");
    }

    #[test]
    fn a_text_that_is_added_keeps_its_parts() {
        let mut all = Text::from("x");
        all.append(&text());
        assert_eq!(all.pieces()[1], (Some(Role::Name), "b\nc"));
        assert_eq!(all.to_string(), "xa b\nc  \n");
    }
}
