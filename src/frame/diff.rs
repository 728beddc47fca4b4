//! The fields in which two frames differ. Comparisons of transcripts and of backends show them.

use std::{collections::BTreeMap, ops::Range};

use super::{
    hex::hex_runs,
    wire::{Dissection, Field},
};

/// Longest hexadecimal text that is shown whole.
const SHOWN: usize = 48;

/// Bytes that are shown from the first that differs.
const WINDOW: usize = 8;

/// One difference between two frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldDiff {
    /// A field's name, with `[2]` for its second occurrence; `layers` when the frames are made of
    /// different headers; `length` when one is longer.
    pub name: String,
    pub expected: String,
    pub actual: String,
    /// The bytes in the expected frame; of a payload those that differ.
    pub range: Range<usize>,
}

/// What differs between two frames, field by field in the order of the bytes; empty if and only if
/// they are equal. Of a long payload the text begins at the first byte that differs.
#[must_use]
pub fn diff(expected: &[u8], actual: &[u8]) -> Vec<FieldDiff> {
    let (left, right) = (Dissection::of(expected), Dissection::of(actual));
    let theirs: BTreeMap<_, _> = occurrences(&right).collect();
    let mut diffs: Vec<FieldDiff> = layers_diff(&left, &right).into_iter().collect();
    for (key, ours) in occurrences(&left) {
        if let Some(theirs) = theirs.get(&key).filter(|theirs| !ours.same_value(theirs)) {
            diffs.push(field_diff(key, ours, theirs));
        }
    }
    if expected.len() != actual.len() {
        diffs.push(FieldDiff {
            name: "length".to_owned(),
            expected: format!("{} B", expected.len()),
            actual: format!("{} B", actual.len()),
            range: 0..expected.len(),
        });
    }
    diffs
}

/// A field's name and its place among the fields of that name, from 1.
pub(super) type Key = (&'static str, usize);

/// Every field with its key, in the order of the bytes.
pub(super) fn occurrences<'d, 'a>(
    dissection: &'d Dissection<'a>,
) -> impl Iterator<Item = (Key, &'d Field<'a>)> {
    let mut seen = BTreeMap::new();
    dissection.fields().map(move |field| {
        let count = seen.entry(field.name).or_insert(0);
        *count += 1;
        ((field.name, *count), field)
    })
}

/// A key as text: `vlan.id`, `vlan.id[2]`.
pub(super) fn key_text((name, occurrence): Key) -> String {
    if occurrence == 1 { name.to_owned() } else { format!("{name}[{occurrence}]") }
}

/// The first bytes at which two slices differ, and one past the last in the left one.
pub(super) fn differing(left: &[u8], right: &[u8]) -> Range<usize> {
    let same = left.iter().zip(right).take_while(|(l, r)| l == r).count();
    let tail = if left.len() == right.len() {
        left[same..]
            .iter()
            .rev()
            .zip(right[same..].iter().rev())
            .take_while(|(l, r)| l == r)
            .count()
    } else {
        0
    };
    same..left.len() - tail
}

/// Said when the fields of one frame can't be matched with those of the other.
fn layers_diff(left: &Dissection<'_>, right: &Dissection<'_>) -> Option<FieldDiff> {
    let shape = |dissection: &Dissection<'_>| -> Vec<Key> {
        occurrences(dissection).map(|(key, _)| key).collect()
    };
    if shape(left) == shape(right) {
        return None;
    }
    let names = |dissection: &Dissection<'_>| -> Vec<&str> {
        dissection.layers.iter().map(|layer| layer.name).collect()
    };
    let (ours, theirs) = (names(left), names(right));
    let same = ours.iter().zip(&theirs).take_while(|(l, r)| l == r).count();
    // Two kinds of ICMP message have the same layers but not the same fields.
    let at = same.min(ours.len() - 1);
    let text = |names: &[&str], dissection: &Dissection<'_>| {
        let kind = dissection.layers.iter().find(|layer| layer.name.starts_with("icmp"));
        let kind = kind.and_then(|layer| layer.fields.first()).map(Field::value);
        kind.map_or_else(|| names.join(" "), |kind| format!("{} (type {kind})", names.join(" ")))
    };
    Some(FieldDiff {
        name: "layers".to_owned(),
        expected: text(&ours, left),
        actual: text(&theirs, right),
        range: left.layers[at].range.clone(),
    })
}

fn field_diff(key: Key, ours: &Field<'_>, theirs: &Field<'_>) -> FieldDiff {
    let name = key_text(key);
    if !ours.is_raw() {
        let (expected, actual) = (ours.value(), theirs.value());
        return FieldDiff { name, expected, actual, range: ours.range.clone() };
    }
    let within = differing(ours.bytes(), theirs.bytes());
    let start = ours.range.start;
    let whole = |bytes: &[u8]| hex_runs(bytes).len() <= SHOWN;
    let show = |field: &Field<'_>| match field.bytes() {
        bytes if whole(ours.bytes()) && whole(theirs.bytes()) => {
            if bytes.is_empty() {
                "none".to_owned()
            } else {
                hex_runs(bytes)
            }
        }
        bytes => window(bytes, within.start),
    };
    FieldDiff {
        expected: show(ours),
        actual: show(theirs),
        name,
        range: start + within.start..start + within.end,
    }
}

/// `1448 B, from byte 12: 5a5a5a5a5a5a5a5a..`.
fn window(bytes: &[u8], from: usize) -> String {
    let rest = &bytes[from..];
    let shown = hex_runs(&rest[..rest.len().min(WINDOW)]);
    match rest.len() {
        0 => format!("{} B", bytes.len()),
        1..=WINDOW => format!("{} B, from byte {from}: {shown}", bytes.len()),
        _ => format!("{} B, from byte {from}: {shown}..", bytes.len()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::frame::{parse_hex, wire::tests::frames};

    const ETH: &str = "ffffffffffff525400123456 ";

    fn texts(expected: &str, actual: &str) -> Vec<String> {
        let bytes = |hex: &str| parse_hex(&format!("{ETH}{hex}")).unwrap();
        diff(&bytes(expected), &bytes(actual))
            .into_iter()
            .map(|d| format!("{} {} -> {} {:?}", d.name, d.expected, d.actual, d.range))
            .collect()
    }

    #[test]
    fn a_field_is_named_with_its_bytes() {
        assert_eq!(
            texts("8100 0064 8100 00c8 88b5", "8100 0064 8100 00c9 88b5"),
            ["vlan.id[2] 200 -> 201 18..20"]
        );
    }

    #[test]
    fn a_long_payload_is_shown_from_the_first_byte_that_differs() {
        let long: String = (0..64).map(|byte| format!("{byte:02x}")).collect();
        let changed = long.replace("1011", "10ff");
        assert_eq!(
            texts(&format!("88b5 {long}"), &format!("88b5 {changed}")),
            ["payload 64 B, from byte 17: 1112131415161718.. -> \
              64 B, from byte 17: ff12131415161718.. 31..32"]
        );
    }

    #[test]
    fn a_lost_tag_is_a_difference_of_layers() {
        assert_eq!(
            texts("8100 0064 88b5 01", "88b5 01"),
            [
                "layers eth vlan data -> eth data 14..18",
                "eth.type 0x8100 -> 0x88b5 12..14",
                "length 19 B -> 15 B 0..19",
            ]
        );
    }

    #[test]
    fn padding_is_a_field_like_any_other() {
        let arp = "0806 0001080006040001525400123456 0a000001 000000000000 0a000002";
        assert_eq!(
            texts(arp, &format!("{arp} (00*18)")),
            ["padding none -> (00*18) 42..42", "length 42 B -> 60 B 0..42"]
        );
    }

    proptest! {
        #[test]
        fn empty_if_and_only_if_equal(left in frames(), right in frames()) {
            prop_assert_eq!(diff(&left, &right).is_empty(), left == right);
            prop_assert!(diff(&left, &left).is_empty());
        }

        #[test]
        fn one_changed_byte_is_seen(frame in frames(), at in any::<prop::sample::Index>(), xor in 1_u8..) {
            let mut changed = frame.clone();
            if !changed.is_empty() {
                let at = at.index(changed.len());
                changed[at] ^= xor;
                prop_assert!(!diff(&frame, &changed).is_empty());
            }
        }
    }
}
