use std::collections::BTreeMap;

use bytes::Bytes;

use super::{
    Trace,
    align::{self, ALIKE, Pair, UNLIKE},
    lexis,
    mismatch::{FieldDifference, Sides, What},
    trace,
    view::Entry,
};
use crate::{
    base::{Frame, Tag, VnetHdr},
    frame,
    record::Transcript,
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

/// Most differences of a port in a step whose frames are kept and their ways looked up: each costs a
/// pass over all events, and nobody reads more.
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
    pub(super) fn differences(&self, left: &[Entry], right: &[Entry]) -> Vec<What> {
        let keys = |entries: &[Entry]| entries.iter().map(|entry| self.key(entry)).collect();
        let (left_keys, right_keys): (Vec<Key>, Vec<Key>) = (keys(left), keys(right));
        if left_keys == right_keys {
            return Vec::new();
        }
        let pairs = align::align(&left_keys, &right_keys, |a, b| {
            self.cost(&left[a], &right[b])
        });
        let place = Places::of(left, right);
        let moved = moved(&pairs, &left_keys, &right_keys);
        let mut found = Vec::new();
        for pair in pairs {
            let traced = found.len() < TRACED;
            let what = match pair {
                (Some(a), Some(b)) if left_keys[a] == right_keys[b] => continue,
                (Some(a), Some(b)) => {
                    let mut what = self.changed(&left[a], &right[b], place.expected(a), traced);
                    if let What::Frame { came, .. } = &mut what {
                        *came = place.actual(b).0;
                    }
                    what
                }
                (Some(a), None) => match moved.get(&a) {
                    Some(b) => place.moved(a, *b, &left[a]),
                    None => self.missing(&left[a], place.expected(a), traced),
                },
                (None, Some(b)) if moved.values().any(|came| *came == b) => continue,
                (None, Some(b)) => extra(&right[b], place.actual(b), traced),
                (None, None) => continue,
            };
            found.push(what);
        }
        found
    }

    fn key(&self, entry: &Entry) -> Key {
        match entry {
            Entry::Frame {
                frame,
                vnet_len,
                whole,
                ..
            } => {
                let masked = frame::mask(&frame.data, &self.masks);
                Key::Frame(masked, frame.vnet, *vnet_len, *whole)
            }
            Entry::Begun(size) => Key::Begun(*size),
            Entry::Pcap(maxlen) => Key::Pcap(*maxlen),
            Entry::Raw(bytes) => Key::Raw(bytes.clone()),
            Entry::Eof => Key::Eof,
        }
    }

    /// Few fields that differ make a pair, and so does a common flow.
    fn cost(&self, expected: &Entry, actual: &Entry) -> usize {
        match (expected, actual) {
            (Entry::Frame { frame: a, .. }, Entry::Frame { frame: b, .. }) => {
                let fields = self.fields(a, b).len();
                let flow = frame::flow(&a.data);
                match 1 + fields {
                    few if few <= ALIKE => few,
                    _ if flow.is_some() && flow == frame::flow(&b.data) => ALIKE,
                    _ => UNLIKE,
                }
            }
            (Entry::Raw(_), Entry::Raw(_))
            | (Entry::Begun(_), Entry::Begun(_))
            | (Entry::Pcap(_), Entry::Pcap(_)) => 1,
            _ => UNLIKE,
        }
    }

    /// The fields that differ, less the masked ones.
    pub(super) fn fields(&self, expected: &Frame, actual: &Frame) -> Vec<FieldDifference> {
        let (a, b) = (
            frame::mask(&expected.data, &self.masks),
            frame::mask(&actual.data, &self.masks),
        );
        let mut fields = vnet_fields(expected.vnet, actual.vnet);
        if a == b {
            return fields;
        }
        let before = fields.len();
        fields.extend(
            frame::diff(&a, &b)
                .into_iter()
                .map(|field| FieldDifference {
                    name: field.name.to_string(),
                    expected: field.expected,
                    actual: field.actual,
                    bytes: Some((field.range.start, field.range.end)),
                }),
        );
        if fields.len() == before {
            fields.push(FieldDifference {
                name: "bytes".to_owned(),
                expected: lexis::raw_hex(&a),
                actual: lexis::raw_hex(&b),
                bytes: Some((0, b.len())),
            });
        }
        fields
    }

    fn changed(
        &self,
        expected: &Entry,
        actual: &Entry,
        (frame, of): (usize, usize),
        traced: bool,
    ) -> What {
        let (
            Entry::Frame {
                frame: a,
                vnet_len: a_len,
                whole: a_whole,
                ..
            },
            Entry::Frame {
                frame: b,
                vnet_len: b_len,
                whole: b_whole,
                tag,
                ..
            },
        ) = (expected, actual)
        else {
            let name = "bytes".to_owned();
            return What::Value {
                name,
                expected: shown(expected),
                actual: shown(actual),
            };
        };
        let mut fields = self.fields(a, b);
        for (name, a, b) in [("vnet_len", a_len, b_len), ("len", a_whole, b_whole)] {
            if a != b {
                let text =
                    |len: &Option<usize>| len.map_or("none".to_owned(), |len| len.to_string());
                fields.push(beside(name, &text(a), &text(b)));
            }
        }
        let trace = tag
            .filter(|_| traced)
            .and_then(|tag| self.trace(tag, a, &fields));
        What::Frame {
            frame,
            of,
            fields,
            trace,
            came: 0,
            sides: sides(Some(a), Some(b), traced),
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
        let Entry::Frame {
            frame: expected, ..
        } = entry
        else {
            return gone(shown(entry), "nothing".to_owned());
        };
        let fate = traced
            .then(|| trace::fate(self.transcript, &expected.data))
            .flatten();
        What::Missing {
            frame,
            of,
            summary: frame::summary(&expected.data),
            fate,
            sides: sides(Some(expected), None, traced),
        }
    }
}

fn extra(entry: &Entry, (frame, of): (usize, usize), traced: bool) -> What {
    match entry {
        Entry::Frame { frame: actual, .. } => What::Extra {
            frame,
            of,
            summary: frame::summary(&actual.data),
            sides: sides(None, Some(actual), traced),
        },
        other => gone("nothing".to_owned(), shown(other)),
    }
}

fn sides(expected: Option<&Frame>, actual: Option<&Frame>, traced: bool) -> Sides {
    if !traced {
        return Sides::default();
    }
    let data = |frame: Option<&'_ Frame>| frame.map(|frame| frame.data.clone());
    Sides::of(data(expected).as_deref(), data(actual).as_deref())
}

fn gone(expected: String, actual: String) -> What {
    What::Value {
        name: "bytes".to_owned(),
        expected,
        actual,
    }
}

fn shown(entry: &Entry) -> String {
    match entry {
        Entry::Frame { frame, .. } => frame::summary(&frame.data),
        Entry::Begun(size) => format!("the first {size} B of the next frame"),
        Entry::Pcap(maxlen) => format!("the beginning of a file with maxlen={maxlen}"),
        Entry::Raw(bytes) => lexis::raw_hex(bytes),
        Entry::Eof => "eof".to_owned(),
    }
}

/// A difference in what stands beside a frame.
pub(super) fn beside(name: &str, expected: &str, actual: &str) -> FieldDifference {
    let (name, expected, actual) = (name.to_owned(), expected.to_owned(), actual.to_owned());
    FieldDifference {
        name,
        expected,
        actual,
        bytes: None,
    }
}

/// The header's fields by name; `VnetHdr` prints them all, in one order.
fn vnet_fields(expected: VnetHdr, actual: VnetHdr) -> Vec<FieldDifference> {
    let (a, b) = (expected.to_string(), actual.to_string());
    let pairs = a.split(' ').zip(b.split(' ')).filter(|(a, b)| a != b);
    let fields = pairs.filter_map(|(a, b)| {
        let ((name, a), (_, b)) = (a.split_once('=')?, b.split_once('=')?);
        Some(beside(&format!("vnet.{name}"), a, b))
    });
    fields.collect()
}

/// Missing entries that came in another place: the same key among the extra ones.
fn moved(pairs: &[Pair], left: &[Key], right: &[Key]) -> BTreeMap<usize, usize> {
    let mut moved = BTreeMap::new();
    let mut extra: Vec<_> = pairs
        .iter()
        .filter(|pair| pair.0.is_none())
        .filter_map(|pair| pair.1)
        .collect();
    for missing in pairs
        .iter()
        .filter(|pair| pair.1.is_none())
        .filter_map(|pair| pair.0)
    {
        let frame = matches!(left[missing], Key::Frame(..));
        if let Some(at) = extra
            .iter()
            .position(|b| frame && right[*b] == left[missing])
        {
            moved.insert(missing, extra.remove(at));
        }
    }
    moved
}

/// Turns the place of an entry into the number of its frame.
struct Places {
    expected: Vec<usize>,
    actual: Vec<usize>,
}

impl Places {
    fn of(left: &[Entry], right: &[Entry]) -> Self {
        Self {
            expected: frame_numbers(left),
            actual: frame_numbers(right),
        }
    }

    fn expected(&self, index: usize) -> (usize, usize) {
        (
            self.expected[index],
            self.expected.last().copied().unwrap_or(0),
        )
    }

    fn actual(&self, index: usize) -> (usize, usize) {
        (self.actual[index], self.actual.last().copied().unwrap_or(0))
    }

    fn moved(&self, from: usize, to: usize, entry: &Entry) -> What {
        let (frame, of) = self.expected(from);
        What::Moved {
            frame,
            of,
            came: self.actual[to],
            summary: shown(entry),
        }
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
