//! Bytes as hexadecimal text with runs folded, and back. Transcripts and scenarios write bytes so.

use std::fmt::Write;

use super::wire::Dissection;

/// Equal bytes in a row from which on a run is written.
const RUN: usize = 16;

/// Most bytes of one group of payload.
const GROUP: usize = 32;

/// Most bytes that a text may stand for, so that `(00*99999999999)` is an error and not an
/// allocation.
const MAX_BYTES: usize = 16 << 20;

/// The text is not bytes in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HexError {
    /// A character that is neither a digit, a space nor part of a run.
    #[error("'{found}' at character {at} is not a hexadecimal digit")]
    Digit {
        found: char,
        /// Its place, in characters from 0.
        at: usize,
    },
    /// A byte with one digit.
    #[error("the byte at character {at} has one digit: two are needed")]
    Odd {
        /// Its place, in characters from 0.
        at: usize,
    },
    /// Something in parentheses that is not a byte and a count.
    #[error("the run at character {at} is not of the form (5a*N)")]
    Run {
        /// The place of its parenthesis, in characters from 0.
        at: usize,
    },
    /// More bytes than any frame or stream has.
    #[error("more than {MAX_BYTES} bytes at character {at}")]
    TooLong {
        /// Where the limit is passed, in characters from 0.
        at: usize,
    },
}

/// Hexadecimal with runs of 16 equal bytes or more as `(5a*N)`, in one piece.
#[must_use]
pub fn hex_runs(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len().min(GROUP));
    push_runs(&mut text, bytes);
    text
}

/// Appends what [`hex_runs`] gives.
fn push_runs(text: &mut String, bytes: &[u8]) {
    if bytes.len() < RUN {
        return push_hex(text, bytes);
    }
    // What is to be written byte by byte.
    let (mut begin, mut end) = (0, 0);
    for chunk in bytes.chunk_by(|a, b| a == b) {
        let next = end + chunk.len();
        if chunk.len() >= RUN {
            push_hex(text, &bytes[begin..end]);
            let written = write!(text, "({:02x}*{})", chunk[0], chunk.len());
            debug_assert!(written.is_ok(), "a String takes everything");
            begin = next;
        }
        end = next;
    }
    push_hex(text, &bytes[begin..]);
}

/// A frame in hexadecimal for review, in groups as large as its headers and their addresses:
/// `ffffffffffff525400123456 0806 0001...`. [`parse_hex`] is its exact inverse.
#[must_use]
pub fn hex_groups(frame: &[u8]) -> String {
    let dissection = Dissection::of(frame);
    let mut text = String::with_capacity(2 * frame.len() + frame.len() / 4 + 1);
    let mut start = 0;
    for cut in dissection.group_ends() {
        if cut > start {
            push_group(&mut text, &frame[start..cut]);
            start = cut;
        }
    }
    payload_groups(&frame[start..], &mut text);
    text
}

/// A payload: runs by themselves, the rest in groups of [`GROUP`] bytes.
fn payload_groups(payload: &[u8], text: &mut String) {
    let plain = |text: &mut String, bytes: &[u8]| {
        bytes.chunks(GROUP).for_each(|group| push_group(text, group));
    };
    let (mut begin, mut end) = (0, 0);
    for chunk in payload.chunk_by(|a, b| a == b) {
        let next = end + chunk.len();
        if chunk.len() >= RUN {
            plain(text, &payload[begin..end]);
            push_group(text, chunk);
            begin = next;
        }
        end = next;
    }
    plain(text, &payload[begin..]);
}

/// Appends a group, with a blank between it and what is there.
fn push_group(text: &mut String, group: &[u8]) {
    if !text.is_empty() {
        text.push(' ');
    }
    push_runs(text, group);
}

/// Bytes in hexadecimal, two digits each: `00ff`.
#[must_use]
pub fn hex(data: &[u8]) -> String {
    let mut text = String::with_capacity(2 * data.len());
    push_hex(&mut text, data);
    text
}

/// Appends bytes, two digits each. Most of a run's record is frames' bytes, so they are appended piece by piece.
fn push_hex(text: &mut String, data: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for piece in data.chunks(GROUP) {
        let mut digits = [0; 2 * GROUP];
        for (two, byte) in digits.chunks_exact_mut(2).zip(piece) {
            two[0] = DIGITS[usize::from(byte >> 4)];
            two[1] = DIGITS[usize::from(byte & 0xf)];
        }
        // Digits are text.
        text.push_str(str::from_utf8(&digits[..2 * piece.len()]).unwrap_or_default());
    }
}

/// Bytes from hexadecimal: white space between bytes is skipped, `(5a*N)` is N bytes.
///
/// # Errors
/// When something else stands there, with its place.
pub fn parse_hex(text: &str) -> Result<Vec<u8>, HexError> {
    let mut bytes = Vec::new();
    let mut chars = text.chars().enumerate();
    while let Some((at, found)) = chars.next() {
        match found {
            _ if found.is_whitespace() => {}
            '(' => {
                let mut run = String::new();
                for (_, inside) in chars.by_ref() {
                    run.push(inside);
                    if inside == ')' {
                        break;
                    }
                }
                let (byte, count) = parse_run(&run).ok_or(HexError::Run { at })?;
                if count > MAX_BYTES - bytes.len() {
                    return Err(HexError::TooLong { at });
                }
                bytes.resize(bytes.len() + count, byte);
            }
            _ => {
                let high = digit(found).ok_or(HexError::Digit { found, at })?;
                let low = match chars.next() {
                    Some((_, next)) if !next.is_whitespace() && next != '(' => {
                        digit(next).ok_or(HexError::Digit { found: next, at: at + 1 })?
                    }
                    _ => return Err(HexError::Odd { at }),
                };
                if bytes.len() == MAX_BYTES {
                    return Err(HexError::TooLong { at });
                }
                bytes.push(high << 4 | low);
            }
        }
    }
    Ok(bytes)
}

/// A run without its opening parenthesis, `5a*16)`.
fn parse_run(run: &str) -> Option<(u8, usize)> {
    let (byte, count) = run.strip_suffix(')')?.split_once('*')?;
    let mut digits = byte.chars();
    let (high, low) = (digit(digits.next()?)?, digit(digits.next()?)?);
    if digits.next().is_some() || !count.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // A count of more digits than a usize holds is as good as the largest.
    (!count.is_empty()).then(|| (high << 4 | low, count.parse().unwrap_or(usize::MAX)))
}

fn digit(found: char) -> Option<u8> {
    found.to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[test]
    fn an_arp_request_falls_into_its_fields() {
        let text = "ffffffffffff525400123456 0806 0001080006040001525400123456 0a000001 \
                    000000000000 0a000002";
        let bytes = parse_hex(text).unwrap();
        assert_eq!(bytes.len(), 42);
        assert_eq!(hex_groups(&bytes), text);
    }

    #[test]
    fn runs_stand_by_themselves_in_a_payload() {
        let text = "ffffffffffff525400123456 88b5 0102 (5a*16) 03";
        assert_eq!(hex_groups(&parse_hex(text).unwrap()), text);
    }

    #[rstest]
    #[case::fifteen_are_no_run(&[0x5a; 15], "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a")]
    #[case::sixteen_are(&[0x5a; 16], "(5a*16)")]
    #[case::nothing(&[], "")]
    fn runs(#[case] bytes: &[u8], #[case] text: &str) {
        assert_eq!(hex_runs(bytes), text);
    }

    #[rstest]
    #[case("0g", HexError::Digit { found: 'g', at: 1 })]
    #[case("00 0", HexError::Odd { at: 3 })]
    #[case("0 0", HexError::Odd { at: 0 })]
    #[case("00 (5a16)", HexError::Run { at: 3 })]
    #[case("(5a*16", HexError::Run { at: 0 })]
    #[case("(5a*)", HexError::Run { at: 0 })]
    #[case("(5*16)", HexError::Run { at: 0 })]
    #[case("(5a*+16)", HexError::Run { at: 0 })]
    #[case("(00*99999999999999999999999)", HexError::TooLong { at: 0 })]
    #[case("00)", HexError::Digit { found: ')', at: 2 })]
    fn refused(#[case] text: &str, #[case] error: HexError) {
        assert_eq!(parse_hex(text), Err(error));
    }

    fn bytes_with_runs() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec((any::<u8>(), prop_oneof![Just(1), 14_usize..40]), 0..60)
            .prop_map(|runs| runs.into_iter().flat_map(|(byte, len)| vec![byte; len]).collect())
    }

    proptest! {
        #[test]
        fn text_and_back(bytes in bytes_with_runs()) {
            prop_assert_eq!(parse_hex(&hex_groups(&bytes)).unwrap(), bytes.clone());
            prop_assert_eq!(parse_hex(&hex_runs(&bytes)).unwrap(), bytes);
        }

        #[test]
        fn any_text_is_bytes_or_an_error(text in "[0-9a-fA-F()* g]{0,40}") {
            if let Ok(bytes) = parse_hex(&text) {
                prop_assert_eq!(parse_hex(&hex_runs(&bytes)).unwrap(), bytes);
            }
        }
    }
}
