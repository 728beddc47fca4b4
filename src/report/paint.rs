//! The terminal's styles for the roles of a text. Read by whoever writes for a terminal.

use anstyle::{AnsiColor, Style};

use crate::wording::{Role, Text};

/// How a terminal shows a role: what was expected in red, what came in green.
#[must_use]
pub const fn style(role: Role) -> Style {
    match role {
        Role::Name => Style::new().bold(),
        Role::Expected => AnsiColor::Red.on_default(),
        Role::Actual => AnsiColor::Green.on_default(),
    }
}

/// A text with ANSI styles.
#[must_use]
pub fn painted(text: &Text) -> String {
    let pieces = text.pieces().into_iter().map(|(role, piece)| match role.map(style) {
        Some(style) => format!("{style}{piece}{style:#}"),
        None => piece.to_owned(),
    });
    pieces.collect()
}
