//! Two frames side by side.

use std::collections::BTreeMap;

use super::packet::dump;
use crate::{
    compare::{FieldDifference, FramePair},
    frame::Dissection,
};

/// Two frames, or one that has no counterpart.
pub(super) struct SideBySide {
    /// Where there is an expected frame: its dump.
    pub(super) expected: Option<String>,
    /// Where there is an actual frame: its dump.
    pub(super) actual: Option<String>,
    pub(super) rows: Vec<FieldRow>,
}

/// A field on both sides.
pub(super) struct FieldRow {
    pub(super) name: String,
    pub(super) expected: String,
    pub(super) actual: String,
    /// Whether it is one that must not differ, and does.
    pub(super) differs: bool,
    /// Its bytes.
    pub(super) bytes: String,
}

impl SideBySide {
    /// Whether there are two.
    pub(super) const fn is_pair(&self) -> bool {
        self.expected.is_some() && self.actual.is_some()
    }

    /// Of the frames that a difference has; none where it has none. Without `differences` each
    /// field that differs counts.
    pub(super) fn of(sides: &FramePair, differences: Option<&[FieldDifference]>) -> Option<Self> {
        if sides.is_empty() {
            return None;
        }
        let (expected, actual) = (sides.expected.as_deref(), sides.actual.as_deref());
        let marks = marks(expected, actual);
        Some(Self {
            rows: rows(expected, actual, differences),
            expected: expected.map(|bytes| dump(bytes, &marks)),
            actual: actual.map(|bytes| dump(bytes, &marks)),
        })
    }
}

/// Which bytes differ; a frame without a counterpart is not marked.
fn marks(expected: Option<&[u8]>, actual: Option<&[u8]>) -> Vec<bool> {
    let (Some(expected), Some(actual)) = (expected, actual) else {
        return Vec::new();
    };
    (0..expected.len().max(actual.len())).map(|at| expected.get(at) != actual.get(at)).collect()
}

fn rows(
    expected: Option<&[u8]>,
    actual: Option<&[u8]>,
    differences: Option<&[FieldDifference]>,
) -> Vec<FieldRow> {
    let mut rows: Vec<FieldRow> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for (is_actual, bytes) in [(false, expected), (true, actual)] {
        let dissection = Dissection::of(bytes.unwrap_or_default());
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        for field in dissection.fields() {
            let count = seen.entry(field.name).or_default();
            *count += 1;
            if field.range.is_empty() {
                continue;
            }
            let name = match *count {
                1 => field.name.to_owned(),
                count => format!("{}[{count}]", field.name),
            };
            let place = *places.entry(name.clone()).or_insert_with(|| {
                rows.push(FieldRow {
                    name,
                    expected: String::new(),
                    actual: String::new(),
                    differs: false,
                    bytes: format!("{}..{}", field.range.start, field.range.end),
                });
                rows.len() - 1
            });
            if is_actual {
                rows[place].actual = field.value();
            } else {
                rows[place].expected = field.value();
            }
        }
    }
    let both = expected.is_some() && actual.is_some();
    for row in &mut rows {
        let listed = differences
            .is_none_or(|differences| differences.iter().any(|one| one.name == row.name));
        row.differs = both && listed && row.expected != row.actual;
    }
    rows
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_masked_field_may_differ() {
        let sides = FramePair::of(
            Some(&Bytes::from_static(&[0xff; 14])),
            Some(&Bytes::from_static(&[
                0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 1, 1, 1, 1, 1, 1, 8, 0,
            ])),
        );
        let marked = |differences: Option<&[FieldDifference]>| {
            let found = SideBySide::of(&sides, differences).unwrap();
            let rows = found.rows.into_iter().filter(|row| row.differs);
            rows.map(|row| row.name).collect::<Vec<_>>()
        };
        assert_eq!(marked(None), ["eth.dst", "eth.src", "eth.type"]);
        let only = FieldDifference {
            name: "eth.src".to_owned(),
            expected: String::new(),
            actual: String::new(),
            bytes: None,
            remark: None,
        };
        assert_eq!(marked(Some(&[only])), ["eth.src"]);
        assert!(SideBySide::of(&FramePair::default(), None).is_none());
    }
}
