//! A frame written as another one with a few fields changed: the changes as text, and applied. The
//! transcript's text is shorter for it.

use std::{fmt, ops::Range, str::FromStr};

use super::{
    diff::{Key, differing, key_text, occurrences},
    hex::{hex_runs, parse_hex},
    wire::{Dissection, Field},
};

/// Raw bytes up to this many are written whole in a change, longer ones only where they differ.
const WHOLE: usize = 16;

/// A field of a frame that has another value in another frame, without loss:
/// `tcp.ack 4001 -> 5001`, `vlan.id[2] 100 -> 200`, `payload[3..5] 0a0b -> 0c0d`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldChange {
    /// The field's name, with `[2]` for its second occurrence or the bytes of it that change.
    pub name: String,
    pub from: String,
    pub to: String,
}

/// Changes that can't be read or don't fit the frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The text doesn't have the form of a change.
    #[error("'{text}' is not of the form 'FIELD OLD -> NEW'")]
    Syntax { text: String },
    /// The frame has no such field, or fewer bytes in it.
    #[error("the frame has no field '{name}'")]
    NoField { name: String },
    /// The frame has another value.
    #[error("{name} is {found}, not {from}")]
    Was {
        name: String,
        /// What the change starts from.
        from: String,
        found: String,
    },
    /// No value of this field.
    #[error("'{value}' is no value of {name}")]
    Value { name: String, value: String },
}

impl fmt::Display for FieldChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} -> {}", self.name, self.from, self.to)
    }
}

impl FromStr for FieldChange {
    type Err = PatchError;

    fn from_str(text: &str) -> Result<Self, PatchError> {
        let parts = || {
            let (name, values) = text.split_once(' ')?;
            let (from, to) = values.split_once(" -> ")?;
            let plain = |part: &str| !part.is_empty() && !part.contains(' ');
            (plain(name) && plain(from) && plain(to)).then(|| Self {
                name: name.to_owned(),
                from: from.to_owned(),
                to: to.to_owned(),
            })
        };
        parts().ok_or_else(|| PatchError::Syntax { text: text.to_owned() })
    }
}

/// Changes as one line: `tcp.ack 4001 -> 5001, tcp.checksum 0x1234 -> 0x5678`.
#[must_use]
pub fn render_changes(changes: &[FieldChange]) -> String {
    changes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The inverse of [`render_changes`].
///
/// # Errors
/// When a part is no change.
pub fn parse_changes(text: &str) -> Result<Vec<FieldChange>, PatchError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    text.split(", ").map(str::parse).collect()
}

/// What must change in `base` for it to become `actual`, in the order of the bytes. None when that
/// can't be said without loss: the two are made of different headers.
#[must_use]
pub fn changes(base: &[u8], actual: &[u8]) -> Option<Vec<FieldChange>> {
    let (left, right) = (Dissection::of(base), Dissection::of(actual));
    let (mut ours, mut theirs) = (occurrences(&left), occurrences(&right));
    let mut changes = Vec::new();
    loop {
        match (ours.next(), theirs.next()) {
            (None, None) => break,
            (Some((key, old)), Some((their_key, new))) if key == their_key => {
                if !old.same_value(new) {
                    changes.push(change(key, old, new));
                }
            }
            _ => return None,
        }
    }
    patch(base, &changes).is_ok_and(|patched| patched == actual).then_some(changes)
}

fn change(key: Key, old: &Field<'_>, new: &Field<'_>) -> FieldChange {
    let name = key_text(key);
    if old.is_raw() && old.range.len() == new.range.len() && old.range.len() > WHOLE && key.1 == 1 {
        let Range { start, end } = differing(old.bytes(), new.bytes());
        return FieldChange {
            name: format!("{name}[{start}..{end}]"),
            from: hex_runs(&old.bytes()[start..end]),
            to: hex_runs(&new.bytes()[start..end]),
        };
    }
    FieldChange { name, from: old.value(), to: new.value() }
}

/// Carries changes out on a frame: the inverse of [`changes`]. Lengths and checksums are not
/// adjusted.
///
/// # Errors
/// When a field is not there, has another value than the change says, or can't have the new one.
pub fn patch(base: &[u8], changes: &[FieldChange]) -> Result<Vec<u8>, PatchError> {
    let dissection = Dissection::of(base);
    let fields: Vec<_> = occurrences(&dissection).collect();
    let mut edits = changes
        .iter()
        .map(|change| edit(change, &fields))
        .collect::<Result<Vec<_>, PatchError>>()?;
    // From the back, so that a field that changes its length moves none that is still to come; of
    // two empty fields at one place the later one first.
    edits.sort_by_key(|edit| std::cmp::Reverse(edit.field));
    let mut bytes = base.to_vec();
    for edit in edits {
        edit.apply(&mut bytes);
    }
    Ok(bytes)
}

/// New bytes of one field.
struct Edit {
    /// The index of the field.
    field: usize,
    range: Range<usize>,
    own_bits: Vec<u8>,
    bytes: Vec<u8>,
}

impl Edit {
    fn apply(self, frame: &mut Vec<u8>) {
        if self.bytes.len() != self.range.len() {
            frame.splice(self.range, self.bytes);
            return;
        }
        let targets = frame[self.range].iter_mut().zip(self.own_bits);
        for ((target, own), byte) in targets.zip(self.bytes) {
            *target = *target & !own | byte & own;
        }
    }
}

fn edit(change: &FieldChange, fields: &[(Key, &Field<'_>)]) -> Result<Edit, PatchError> {
    let FieldChange { name, from, to } = change;
    let no_field = || PatchError::NoField { name: name.clone() };
    let no_value = || PatchError::Value { name: name.clone(), value: to.clone() };
    let (plain, slice) = split_name(name).ok_or_else(no_field)?;
    let (index, field) = fields
        .iter()
        .enumerate()
        .find(|(_, (key, _))| *key == plain)
        .map(|(index, (_, field))| (index, *field))
        .ok_or_else(no_field)?;
    let was = |found: String| {
        let (name, from) = (name.clone(), from.clone());
        if found == from { Ok(()) } else { Err(PatchError::Was { name, from, found }) }
    };
    let Some(slice) = slice else {
        was(field.value())?;
        let bytes = field.parse(to).ok_or_else(no_value)?;
        if !field.is_variable() && bytes.len() != field.range.len() {
            return Err(no_value());
        }
        return Ok(Edit {
            field: index,
            range: field.range.clone(),
            own_bits: field.own_bits(),
            bytes,
        });
    };
    let old = field.bytes().get(slice.clone()).filter(|_| field.is_raw()).ok_or_else(no_field)?;
    was(hex_runs(old))?;
    let bytes = parse_hex(to).ok().filter(|new| new.len() == old.len()).ok_or_else(no_value)?;
    let start = field.range.start;
    let range = start + slice.start..start + slice.end;
    Ok(Edit { field: index, range, own_bits: vec![0xff; old.len()], bytes })
}

/// A field's name and its number among the fields of that name, from 1.
type PlainName<'a> = (&'a str, usize);

/// `vlan.id`, `vlan.id[2]` and `payload[3..5]`.
fn split_name(name: &str) -> Option<(PlainName<'_>, Option<Range<usize>>)> {
    let Some((plain, index)) = name.split_once('[') else {
        return Some(((name, 1), None));
    };
    let index = index.strip_suffix(']')?;
    match index.split_once("..") {
        Some((start, end)) => Some(((plain, 1), Some(start.parse().ok()?..end.parse().ok()?))),
        None => Some(((plain, index.parse().ok()?), None)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::frame::wire::tests::frames;

    const TCP: &str = "525400123456020000000001 0800 45000028000040004006 26ce 0a000001 0a000002 \
                       0fa0005000000fa100001389 5010 ffff 1234 0000";

    fn tcp() -> Vec<u8> {
        parse_hex(TCP).unwrap()
    }

    #[test]
    fn a_rewritten_acknowledgement() {
        let rewritten = parse_hex(&TCP.replace("1389 5010 ffff 1234", "1771 5018 ffff 5678"));
        let changes = changes(&tcp(), rewritten.as_ref().unwrap()).unwrap();
        let text = render_changes(&changes);
        assert_eq!(
            text,
            "tcp.ack 5001 -> 6001, tcp.flags ACK -> PSH,ACK, tcp.checksum 0x1234 -> 0x5678"
        );
        assert_eq!(patch(&tcp(), &parse_changes(&text).unwrap()), Ok(rewritten.unwrap()));
    }

    #[test]
    fn an_inserted_option_shifts_nothing_else() {
        let with_option = TCP.replace("5010 ffff 1234 0000", "6010 ffff 1234 0000 020405b4");
        let with_option = parse_hex(&with_option.replace("45000028", "4500002c")).unwrap();
        let changes = changes(&tcp(), &with_option).unwrap();
        assert_eq!(
            render_changes(&changes),
            "ipv4.total_len 40 -> 44, tcp.data_offset 5 -> 6, tcp.options none -> mss:1460"
        );
    }

    #[test]
    fn a_long_payload_is_changed_in_part() {
        let frame = |middle: &str| {
            parse_hex(&format!("ffffffffffff525400123456 88b5 (00*30) {middle} (11*30)")).unwrap()
        };
        let changes = changes(&frame("0a0b"), &frame("0c0d")).unwrap();
        assert_eq!(render_changes(&changes), "payload[30..32] 0a0b -> 0c0d");
    }

    #[test]
    fn other_headers_can_t_be_said_as_changes() {
        let arp = "ffffffffffff525400123456 0806 0001080006040001525400123456 0a000001 \
                   000000000000 0a000002";
        assert_eq!(changes(&tcp(), &parse_hex(arp).unwrap()), None);
    }

    #[rstest]
    #[case("tcp.ack 5001", PatchError::Syntax { text: "tcp.ack 5001".to_owned() })]
    #[case("udp.sport 1 -> 2", PatchError::NoField { name: "udp.sport".to_owned() })]
    #[case("payload[0..1] 00 -> 01", PatchError::NoField { name: "payload[0..1]".to_owned() })]
    #[case("tcp.ack 7 -> 8", PatchError::Was {
        name: "tcp.ack".to_owned(), from: "7".to_owned(), found: "5001".to_owned(),
    })]
    #[case("tcp.window 65535 -> 65536", PatchError::Value {
        name: "tcp.window".to_owned(), value: "65536".to_owned(),
    })]
    fn refused(#[case] text: &str, #[case] error: PatchError) {
        let patched = parse_changes(text).and_then(|changes| patch(&tcp(), &changes));
        assert_eq!(patched, Err(error));
    }

    proptest! {
        #[test]
        fn what_can_be_said_is_read_back(base in frames(), actual in frames()) {
            if let Some(changes) = changes(&base, &actual) {
                let read = parse_changes(&render_changes(&changes)).unwrap();
                prop_assert_eq!(patch(&base, &read).unwrap(), actual);
            }
        }

        #[test]
        fn a_changed_byte_past_the_headers_can_always_be_said(
            base in frames(),
            at in any::<prop::sample::Index>(),
        ) {
            let payload = Dissection::of(&base).field("payload").unwrap().range.clone();
            if !payload.is_empty() {
                let mut actual = base.clone();
                actual[payload.start + at.index(payload.len())] ^= 0x80;
                let again = Dissection::of(&actual);
                // A byte in a broken header may mend it, and then the layers differ.
                if again.layers.len() == Dissection::of(&base).layers.len() {
                    prop_assert!(changes(&base, &actual).is_some());
                }
            }
        }

        /// Whatever a hand has written behind a field's true value, it is a value or it is refused.
        #[test]
        fn any_new_value_is_taken_or_refused(
            base in frames(),
            at in any::<prop::sample::Index>(),
            to in "[0-9a-fx:.,*()-]{1,12}",
        ) {
            let dissection = Dissection::of(&base);
            let fields: Vec<_> = occurrences(&dissection).collect();
            let (key, field) = fields[at.index(fields.len())];
            let change = FieldChange { name: key_text(key), from: field.value(), to };
            match patch(&base, std::slice::from_ref(&change)) {
                Ok(patched) => {
                    let before = field.range.start;
                    prop_assert_eq!(&patched[..before], &base[..before]);
                    let after = base.len() - field.range.end;
                    prop_assert!(patched.ends_with(&base[base.len() - after..]));
                }
                Err(error) => {
                    prop_assert_eq!(error, PatchError::Value { name: change.name, value: change.to });
                }
            }
        }

        #[test]
        fn any_text_is_changes_or_an_error(text in ".{0,30}") {
            if let Ok(changes) = parse_changes(&text) {
                prop_assert_eq!(render_changes(&changes), text);
            }
        }
    }
}
