//! SVG as text: escaped, with whole numbers only, so that it stays small.

use std::fmt::{Arguments, Write};

use crate::terminal::is_control;

/// Markup that grows.
#[derive(Default)]
pub(super) struct Markup(String);

impl Markup {
    /// Adds markup. What comes from a scenario goes through [`escaped`].
    pub(super) fn put(&mut self, markup: Arguments<'_>) {
        let written = self.0.write_fmt(markup);
        debug_assert!(written.is_ok(), "a String takes everything");
    }

    /// A line of text. `class` says how it is drawn and where it is anchored.
    pub(super) fn text(&mut self, (x, y): (i32, i32), class: &str, text: &str) {
        let text = escaped(text);
        self.put(format_args!("<text x=\"{x}\" y=\"{y}\" class=\"{class}\">{text}</text>"));
    }

    /// The tip of an arrow at a place, pointing `up`, `down`, `left` or `right`.
    pub(super) fn tip(&mut self, (x, y): (i32, i32), to: Heading, class: &str) {
        let shape = match to {
            Heading::Up => "l-4 8h8z",
            Heading::Down => "l-4-8h8z",
            Heading::Left => "l8-4v8z",
            Heading::Right => "l-8-4v8z",
        };
        self.put(format_args!("<path class=\"{class}\" d=\"M{x} {y}{shape}\"/>"));
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// Where an arrow points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heading {
    Up,
    Down,
    Left,
    Right,
}

/// Text between tags or quotes. What XML has no way to write (XML 1.0, 2.2), and what acts where it is
/// shown, is an escape of Rust's.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut previous = '\0';
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' => escaped.push(' '),
            c if is_control(c, previous) => escaped.extend(c.escape_default()),
            c => escaped.push(c),
        }
        previous = c;
    }
    escaped
}

/// At most so many characters, the last one an ellipsis where some are left out.
pub(super) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// Pixels of a text in a font of fixed width, `tenths` a character.
pub(super) fn width(text: &str, tenths: i32) -> i32 {
    let characters = i32::try_from(text.chars().count()).unwrap_or(i32::MAX / 100);
    (characters * tenths + 9) / 10
}
