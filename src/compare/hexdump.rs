//! The frames that a mismatch is about, byte for byte. Read by the review.

use anstyle::Style;

use super::{
    mismatch::{Difference, Mismatch},
    render::{self, ACTUAL, EXPECTED},
};

/// Bytes of a row.
const ROW: usize = 16;

/// Most frames that are drawn.
const DRAWN: usize = 20;

/// The frames that a mismatch is about, byte for byte, with ANSI styles. Rows that differ stand
/// twice: `-` as it was expected, `+` as it came.
#[must_use]
pub fn hexdump(mismatch: &Mismatch) -> String {
    let with_frame = |difference: &&Difference| {
        let frames = &difference.frames;
        frames.expected.is_some() || frames.actual.is_some()
    };
    let mut differences = mismatch.differences.iter().filter(with_frame);
    let mut out = String::new();
    for difference in differences.by_ref().take(DRAWN) {
        out += &format!("  {}\n", render::title(mismatch, difference));
        let frames = &difference.frames;
        let (expected, actual) = (frames.expected.as_deref(), frames.actual.as_deref());
        rows(&mut out, expected.unwrap_or_default(), actual.unwrap_or_default());
    }
    match differences.count() {
        0 if out.is_empty() => "  no frame differs\n".to_owned(),
        0 => out,
        more => out + &format!("  and {more} more frames\n"),
    }
}

fn rows(out: &mut String, expected: &[u8], actual: &[u8]) {
    let length = expected.len().max(actual.len());
    for at in (0..length).step_by(ROW) {
        let row = |data: &'_ [u8]| data.get(at..data.len().min(at + ROW)).map(<[u8]>::to_vec);
        let (one, other) = (row(expected), row(actual));
        if one == other {
            *out += &line(' ', at, &one.unwrap_or_default(), Style::new());
            continue;
        }
        for (sign, row, style) in [('-', one, EXPECTED), ('+', other, ACTUAL)] {
            if let Some(row) = row.filter(|row| !row.is_empty()) {
                *out += &line(sign, at, &row, style);
            }
        }
    }
}

/// `- 0010   68 65 6c 6c 6f                                    hello`.
fn line(sign: char, at: usize, row: &[u8], style: Style) -> String {
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
    format!("  {style}{sign} {at:04x}  {hex:<49}   {text}{style:#}\n")
}
