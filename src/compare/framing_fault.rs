//! A wrong length word in front of a frame, which would make nonsense of all that follows it in a stream.
//! The first pass over what came out of a chardev.

use bytes::{Bytes, BytesMut};

use super::{found::Found, mismatch::What};
use crate::{
    base::VirtualTime,
    frame,
    reading::{
        Entry,
        framing::{self, Cut, WORD},
    },
    record::{Framing, PortKind},
};

/// A stream that is read from the wrong byte on.
pub(super) struct Misread {
    /// Why.
    pub(super) found: Found,
    /// What the stream has when it is read with what was expected.
    pub(super) mended: Vec<Entry>,
}

/// Whether what came out of a chardev's port is unreadable because of a wrong length word, or
/// because its frames are framed the other way (`vnet_hdr_support` on one side only).
pub(super) fn misread(
    kind: PortKind,
    left: &[Entry],
    right: &[Entry],
    masks: &[&str],
) -> Option<Misread> {
    let framing = match kind.framing()? {
        framing @ (Framing::Plain | Framing::Vnet) => framing,
        Framing::Raw | Framing::Pcap => return None,
    };
    // What is read from a wrong byte on ends in garbage, sooner or later.
    if garbage(left) > 0 || garbage(right) == 0 {
        return None;
    }
    let stream = stream(framing, right)?;
    other_framing(framing, left, right, &stream)
        .or_else(|| wrong_word(framing, left, right, &stream, masks))
}

/// How much of it can't be meant: bytes that are no frame, and frames without a byte, as zeros that
/// are taken for a length word make them.
fn garbage(entries: &[Entry]) -> usize {
    let sizes = entries.iter().map(|entry| match entry {
        Entry::Raw(bytes) => bytes.len(),
        Entry::Frame { frame, .. } => usize::from(frame.data.is_empty()),
        _ => 0,
    });
    sizes.sum()
}

/// The bytes of what came; none where some of them are not known.
fn stream(framing: Framing, entries: &[Entry]) -> Option<Bytes> {
    let mut stream = BytesMut::new();
    for entry in entries {
        match entry {
            Entry::Frame { frame, vnet_len, .. } => {
                stream.extend(framing::encode(framing, frame, *vnet_len))
            }
            Entry::Raw(bytes) => stream.extend(&bytes[..]),
            Entry::Eof => {}
            Entry::Begun(_) | Entry::Pcap(_) => return None,
        }
    }
    Some(stream.freeze())
}

fn wrong_word(
    framing: Framing,
    left: &[Entry],
    right: &[Entry],
    stream: &Bytes,
    masks: &[&str],
) -> Option<Misread> {
    let of = left.iter().filter(|entry| matches!(entry, Entry::Frame { .. })).count();
    let mut start = 0;
    for (index, entry) in left.iter().enumerate() {
        let Entry::Frame { frame, vnet_len, .. } = entry else {
            return None;
        };
        let expected = framing::encode(framing, frame, *vnet_len);
        let (word, body) = (start + WORD, start + expected.len());
        let actual = stream.get(start..body)?;
        if actual[..WORD] == expected[..WORD] {
            start = body;
            continue;
        }
        let head = expected.len() - frame.data.len();
        let same = actual[WORD..head] == expected[WORD..head]
            && frame::mask(&actual[head..], masks) == frame::mask(&frame.data, masks);
        let mut mended = BytesMut::from(&stream[..]);
        mended[start..word].copy_from_slice(&expected[..WORD]);
        let mended = entries(framing, &mended.freeze(), right);
        if !same || garbage(&mended) >= garbage(right) {
            return None;
        }
        let what = What::Length {
            frame: index + 1,
            of,
            sent: None,
            expected: number(&expected[..WORD]),
            actual: number(&actual[..WORD]),
            bytes: (start, word),
        };
        let found = Found::new(what, Some(entry), None);
        return Some(Misread { found, mended });
    }
    None
}

/// The frames are as expected when the stream is read with the framing that the port has not.
fn other_framing(
    framing: Framing,
    left: &[Entry],
    right: &[Entry],
    stream: &Bytes,
) -> Option<Misread> {
    let plain = "plain: one length word (vnet_hdr_support=off)";
    let vnet = "vnet: a second length word, of the header (vnet_hdr_support=on)";
    let (other, name) = match framing {
        Framing::Plain => (Framing::Vnet, [plain, vnet]),
        _ => (Framing::Plain, [vnet, plain]),
    };
    let read = entries(other, stream, right);
    let data = |entries: &[Entry]| -> Option<Vec<Bytes>> {
        let frames = entries.iter().map(|entry| match entry {
            Entry::Frame { frame, .. } => Some(frame.data.clone()),
            _ => None,
        });
        frames.collect()
    };
    (data(left)? == data(&read)?).then(|| {
        let [expected, actual] = name.map(str::to_owned);
        let name = "framing".to_owned();
        let what = What::Value { name, expected, actual };
        Misread { found: Found::new(what, None, None), mended: left.to_vec() }
    })
}

/// A stream as entries; the end of file stays where there was one.
fn entries(framing: Framing, stream: &Bytes, before: &[Entry]) -> Vec<Entry> {
    let cuts = framing::cut(framing, stream).into_iter().map(|cut| match cut {
        Cut::Frame { frame, vnet_len, whole, .. } => {
            Entry::Frame { frame, vnet_len, whole, tag: None, at: VirtualTime::ZERO }
        }
        Cut::Pcap { maxlen } => Entry::Pcap(maxlen),
        Cut::Raw(bytes) => Entry::Raw(bytes),
    });
    let mut entries: Vec<_> = cuts.collect();
    entries.extend(before.last().filter(|last| **last == Entry::Eof).cloned());
    entries
}

fn number(word: &[u8]) -> usize {
    word.iter().fold(0, |all, byte| all << 8 | usize::from(*byte))
}
