//! The frames that a mismatch is about, byte for byte. Read by the review.

use super::{
    mismatch::{Difference, Mismatch},
    render,
};
use crate::wording::{Role, Text};

/// Bytes of a row.
const ROW: usize = 16;

/// Most frames that are drawn.
const DRAWN: usize = 20;

/// The frames that a mismatch is about, byte for byte. Rows that differ stand twice: `-` as it was
/// expected, `+` as it came.
#[must_use]
pub fn hexdump(mismatch: &Mismatch) -> Text {
    let with_frame = |difference: &&Difference| {
        let frames = &difference.frames;
        frames.expected.is_some() || frames.actual.is_some()
    };
    let mut differences = mismatch.differences.iter().filter(with_frame);
    let mut out = Text::default();
    for difference in differences.by_ref().take(DRAWN) {
        out.push("  ");
        out.append(&render::title(mismatch, difference));
        out.push('\n');
        let frames = &difference.frames;
        let (expected, actual) = (frames.expected.as_deref(), frames.actual.as_deref());
        rows(&mut out, expected.unwrap_or_default(), actual.unwrap_or_default());
    }
    match differences.count() {
        0 if out.plain().is_empty() => out.push("  no frame differs\n"),
        0 => {}
        more => out.push(format_args!("  and {more} more frames\n")),
    }
    out
}

fn rows(out: &mut Text, expected: &[u8], actual: &[u8]) {
    let length = expected.len().max(actual.len());
    for at in (0..length).step_by(ROW) {
        let row = |data: &'_ [u8]| data.get(at..data.len().min(at + ROW)).map(<[u8]>::to_vec);
        let (one, other) = (row(expected), row(actual));
        if one == other {
            out.push(format_args!("  {}\n", line(' ', at, &one.unwrap_or_default())));
            continue;
        }
        for (sign, row, role) in [('-', one, Role::Expected), ('+', other, Role::Actual)] {
            if let Some(row) = row.filter(|row| !row.is_empty()) {
                out.push("  ");
                out.push_as(role, line(sign, at, &row));
                out.push('\n');
            }
        }
    }
}

/// `- 0010   68 65 6c 6c 6f                                    hello`.
fn line(sign: char, at: usize, row: &[u8]) -> String {
    let mut hex = String::new();
    for (place, byte) in row.iter().enumerate() {
        hex += if place == ROW / 2 { "  " } else { " " };
        hex += &format!("{byte:02x}");
    }
    let text: String = row
        .iter()
        .map(|byte| match byte {
            0x20..=0x7e => char::from(*byte),
            _ => '.',
        })
        .collect();
    format!("{sign} {at:04x}  {hex:<49}   {text}")
}
