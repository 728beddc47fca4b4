//! Frames that were sent one after the other and stand once: all the same, or alike but for a number
//! that counts up.

use std::{fmt, ops::Range};

use bytes::{Bytes, BytesMut};

use crate::{base::Frame, reading::number_of, record::SentFrame};

/// Fewer frames that count up stand one by one.
const COUNTED: usize = 16;

/// Bytes of a number, at most.
const WIDEST: usize = 4;

/// Frames that stand once.
#[derive(Debug)]
pub(super) struct Repeat<'t> {
    pub(super) frames: &'t [SentFrame],
    pub(super) counter: Option<Counter>,
}

/// The bytes of a big-endian number that is one more in each frame than in the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Counter(Range<usize>);

/// Cuts what a step sent into series.
pub(super) fn repeats(mut sent: &[SentFrame]) -> impl Iterator<Item = Repeat<'_>> {
    std::iter::from_fn(move || {
        let (length, counter) = match (same(sent), counting(sent)) {
            (0, _) => return None,
            (1, Some((length, counter))) => (length, Some(counter)),
            (length, _) => (length, None),
        };
        let (frames, rest) = sent.split_at(length);
        sent = rest;
        Some(Repeat { frames, counter })
    })
}

/// How many of the first frames are all the same.
fn same(sent: &[SentFrame]) -> usize {
    sent.chunk_by(|one, next| follows(one, next) && one.frame == next.frame)
        .next()
        .map_or(0, <[SentFrame]>::len)
}

/// How many of the first frames count up, and where, if they are enough.
fn counting(sent: &[SentFrame]) -> Option<(usize, Counter)> {
    let [first, second, ..] = sent else {
        return None;
    };
    let (one, two) = (&first.frame.data, &second.frame.data);
    let last = one.iter().zip(two).rposition(|(one, two)| one != two)?;
    let widest = Counter(last.saturating_sub(WIDEST - 1)..last + 1);
    let counts = |(by, two): &(u32, &[SentFrame])| match two {
        [one, next] => follows(one, next) && widest.advance(&first.frame, *by) == next.frame,
        _ => false,
    };
    let length = 1 + (1..).zip(sent.windows(2)).take_while(counts).count();
    let end = &sent[length - 1].frame.data;
    let begin = one.iter().zip(end).position(|(one, end)| one != end)?;
    (length >= COUNTED).then_some((length, Counter(begin..last + 1)))
}

/// Whether a frame was sent where the one before it was, with the next number.
fn follows(one: &SentFrame, next: &SentFrame) -> bool {
    number_of(one).checked_add(1) == Some(number_of(next))
        && one.source.is_none()
        && next.source.is_none()
        && one.port == next.port
}

impl Counter {
    /// A frame as it is so many frames later.
    pub(super) fn advance(&self, frame: &Frame, by: u32) -> Frame {
        let mut data = BytesMut::from(&frame.data[..]);
        let mut carry = by;
        for byte in data[self.0.clone()].iter_mut().rev() {
            let sum = u32::from(*byte) + (carry & 0xff);
            *byte = sum as u8;
            carry = (carry >> 8) + (sum >> 8);
        }
        Frame { vnet: frame.vnet, data: Bytes::from(data) }
    }

    /// Reads `counting 34..36`, and what comes behind it.
    pub(super) fn parse(words: &str) -> Option<(Self, &str)> {
        let (range, rest) = words.strip_prefix(WORD)?.split_once(' ')?;
        let (begin, end) = range.split_once("..")?;
        let range = begin.parse().ok()?..end.parse().ok()?;
        (1..=WIDEST).contains(&range.len()).then_some((Self(range), rest))
    }

    /// Whether frames of this length have these bytes.
    pub(super) const fn is_within(&self, length: usize) -> bool {
        self.0.end <= length
    }
}

const WORD: &str = "counting ";

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{WORD}{}..{}", self.0.start, self.0.end)
    }
}
