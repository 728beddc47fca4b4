//! What came out of one port in a step, against what was expected there. Read by the comparison.

use bytes::Bytes;

use super::{
    Trace,
    align::UNLIKE,
    fields,
    found::Found,
    framing_fault,
    mismatch::{FieldDifference, Seat, What},
    reorder::{self, LinedUp},
    trace,
};
use crate::{
    base::{Frame, Tag, VnetHdr},
    format::token,
    frame,
    reading::Entry,
    record::{PortKind, Transcript},
};

/// What makes two entries of a port equal: masked bytes, and what stands beside them.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Frame(Vec<u8>, VnetHdr, Option<usize>, Option<usize>),
    Begun(usize),
    Pcap(u32),
    Raw(Bytes),
    Eof,
}

/// Most differences of a port in a step whose frames' ways are looked up: each costs a pass over
/// all events, and nobody reads more.
const TRACED: usize = 50;

/// Compares what came out of one port.
pub(super) struct PortComparison<'t> {
    /// The actual side, for what the machine knows of a frame's way.
    pub(super) transcript: &'t Transcript,
    /// Fields that are not compared.
    pub(super) masks: Vec<&'t str>,
}

impl PortComparison<'_> {
    /// What differs between what came out of a port and what was expected, in order.
    pub(super) fn differences(
        &self,
        kind: PortKind,
        left: &[Entry],
        right: &[Entry],
    ) -> Vec<Found> {
        let mut mended: Option<Vec<Entry>> = None;
        let mut found = Vec::new();
        while found.len() < TRACED {
            let right = mended.as_deref().unwrap_or(right);
            if self.keys(left) == self.keys(right) {
                return found;
            }
            match framing_fault::misread(kind, left, right, &self.masks) {
                None => break,
                Some(misread) => {
                    found.push(misread.found);
                    mended = Some(misread.mended);
                }
            }
        }
        let right = mended.as_deref().unwrap_or(right);
        found.extend(self.between(left, right));
        found
    }

    fn keys(&self, entries: &[Entry]) -> Vec<Key> {
        entries.iter().map(|entry| self.key(entry)).collect()
    }

    fn between(&self, left: &[Entry], right: &[Entry]) -> Vec<Found> {
        let (left_keys, right_keys) = (self.keys(left), self.keys(right));
        let cost = |a: usize, b: usize| self.cost(&left[a], &right[b]);
        let is_frame = |key: &Key| matches!(key, Key::Frame(..));
        let LinedUp { pairs, moved } = reorder::line_up(&left_keys, &right_keys, is_frame, cost);
        let place = Places::of(left, right);
        let mut found = Vec::new();
        for &pair in &pairs {
            let traced = found.len() < TRACED;
            found.push(match pair {
                (Some(a), Some(b)) if left_keys[a] == right_keys[b] => {
                    if moved.get(&a) != Some(&b) {
                        continue;
                    }
                    let passed = match traced {
                        true => reorder::passed(&pairs, a, b),
                        false => Vec::new(),
                    };
                    let passed = passed.into_iter().map(|index| place.expected[index]);
                    let what = What::Moved {
                        frame: place.expected[a],
                        of: place.expected(a).1,
                        sent: None,
                        came: place.actual[b],
                        passed: passed.collect(),
                        summary: shown(&left[a]),
                        cause: self.impaired(&right[b], traced),
                    };
                    Found::new(what, Some(&left[a]), Some(&right[b]))
                }
                (Some(a), Some(b)) => {
                    let mut what = self.changed(&left[a], &right[b], place.expected(a), traced);
                    if let What::Frame { came, .. } = &mut what {
                        *came = place.actual[b];
                    }
                    Found::new(what, Some(&left[a]), Some(&right[b]))
                }
                (Some(a), None) => {
                    let what = self.missing(&left[a], place.expected(a), traced);
                    Found::new(what, Some(&left[a]), None)
                }
                (None, Some(b)) => {
                    let before = |other: &usize| *other != b && right_keys[*other] == right_keys[b];
                    let again = (traced && matches!(right[b], Entry::Frame { .. }))
                        .then(|| (0..right.len()).find(before))
                        .flatten()
                        .map(|other| place.actual[other]);
                    let what = self.extra(&right[b], place.actual(b), again, traced);
                    Found::new(what, None, Some(&right[b]))
                }
                (None, None) => continue,
            });
        }
        found
    }

    fn key(&self, entry: &Entry) -> Key {
        match entry {
            Entry::Frame { frame, vnet_len, whole, .. } => {
                let masked = frame::mask(&frame.data, &self.masks);
                Key::Frame(masked, frame.vnet, *vnet_len, *whole)
            }
            Entry::Begun(size) => Key::Begun(*size),
            Entry::Pcap(maxlen) => Key::Pcap(*maxlen),
            Entry::Raw(bytes) => Key::Raw(bytes.clone()),
            Entry::Eof => Key::Eof,
        }
    }

    fn cost(&self, expected: &Entry, actual: &Entry) -> usize {
        match (expected, actual) {
            (Entry::Frame { frame: a, .. }, Entry::Frame { frame: b, .. }) => {
                fields::unlikeness(a, b, &self.masks)
            }
            (Entry::Raw(_), Entry::Raw(_))
            | (Entry::Begun(_), Entry::Begun(_))
            | (Entry::Pcap(_), Entry::Pcap(_)) => 1,
            _ => UNLIKE,
        }
    }

    /// The fields that differ, less the masked ones.
    pub(super) fn fields(&self, expected: &Frame, actual: &Frame) -> Vec<FieldDifference> {
        fields::between(expected, actual, &self.masks)
    }

    fn changed(
        &self,
        expected: &Entry,
        actual: &Entry,
        (frame, of): (usize, usize),
        traced: bool,
    ) -> What {
        let (
            Entry::Frame { frame: a, vnet_len: a_len, whole: a_whole, .. },
            Entry::Frame { frame: b, vnet_len: b_len, whole: b_whole, tag, .. },
        ) = (expected, actual)
        else {
            let name = "bytes".to_owned();
            return What::Value { name, expected: shown(expected), actual: shown(actual) };
        };
        let mut differing = self.fields(a, b);
        for (name, a, b) in [("vnet_len", a_len, b_len), ("len", a_whole, b_whole)] {
            if a != b {
                let text =
                    |len: &Option<usize>| len.map_or("none".to_owned(), |len| len.to_string());
                differing.push(fields::beside(name, &text(a), &text(b)));
            }
        }
        let trace = tag.filter(|_| traced).and_then(|tag| self.trace(tag, a, &differing));
        What::Frame {
            frame,
            of,
            sent: None,
            fields: differing,
            trace,
            // Put in by who knows it.
            came: 0,
            cause: self.impaired(actual, traced),
        }
    }

    fn trace(&self, tag: Tag, expected: &Frame, fields: &[FieldDifference]) -> Option<Trace> {
        let wrong: Vec<_> = fields
            .iter()
            .filter(|field| field.bytes.is_some())
            .map(|field| field.name.as_str())
            .collect();
        if wrong.is_empty() {
            return None;
        }
        trace::trace(self.transcript, tag, &expected.data, &wrong, &self.masks)
    }

    fn missing(&self, entry: &Entry, (frame, of): (usize, usize), traced: bool) -> What {
        let Entry::Frame { frame: expected, .. } = entry else {
            return gone(shown(entry), "nothing".to_owned());
        };
        let fate = traced.then(|| trace::fate(self.transcript, &expected.data)).flatten();
        What::Missing { frame, of, sent: None, summary: frame::summary(&expected.data), fate }
    }

    fn extra(
        &self,
        entry: &Entry,
        (frame, of): (usize, usize),
        again: Option<usize>,
        traced: bool,
    ) -> What {
        let Entry::Frame { frame: actual, tag, .. } = entry else {
            return gone("nothing".to_owned(), shown(entry));
        };
        let way = || trace::way(self.transcript, (*tag)?);
        What::Extra {
            frame,
            of,
            sent: None,
            summary: frame::summary(&actual.data),
            // Its step is put in by who knows it.
            again: again.map(|frame| Seat { step: 0, line: 0, frame }),
            cause: self.impaired(entry, traced).or_else(|| traced.then(way).flatten()),
        }
    }

    /// What impairments did to a frame that came.
    fn impaired(&self, entry: &Entry, traced: bool) -> Option<String> {
        match entry {
            Entry::Frame { tag: Some(tag), .. } if traced => trace::impaired(self.transcript, *tag),
            _ => None,
        }
    }
}

fn gone(expected: String, actual: String) -> What {
    What::Value { name: "bytes".to_owned(), expected, actual }
}

fn shown(entry: &Entry) -> String {
    match entry {
        Entry::Frame { frame, .. } => frame::summary(&frame.data),
        Entry::Begun(size) => format!("the first {size} B of the next frame"),
        Entry::Pcap(maxlen) => format!("the beginning of a file with maxlen={maxlen}"),
        Entry::Raw(bytes) => token::raw_hex(bytes),
        Entry::Eof => "eof".to_owned(),
    }
}

/// Turns the place of an entry into the number of its frame.
struct Places {
    expected: Vec<usize>,
    actual: Vec<usize>,
}

impl Places {
    fn of(left: &[Entry], right: &[Entry]) -> Self {
        Self { expected: frame_numbers(left), actual: frame_numbers(right) }
    }

    fn expected(&self, index: usize) -> (usize, usize) {
        (self.expected[index], self.expected.last().copied().unwrap_or(0))
    }

    fn actual(&self, index: usize) -> (usize, usize) {
        (self.actual[index], self.actual.last().copied().unwrap_or(0))
    }
}

/// For each entry, how many frames there are up to it.
fn frame_numbers(entries: &[Entry]) -> Vec<usize> {
    let mut count = 0;
    let counted = entries.iter().map(|entry| {
        count += usize::from(matches!(entry, Entry::Frame { .. }));
        count
    });
    counted.collect()
}
