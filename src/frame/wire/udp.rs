//! The fields of a UDP header (RFC 768).

use std::ops::Range;

use super::{
    Next, Parsed,
    field::{Def, whole},
    layer,
    value::Format,
};

/// IANA "Protocol Numbers".
pub(super) const PROTOCOL: u8 = 17;

const LEN: usize = 8;

/// RFC 768.
pub(super) const FIELDS: &[Def] = &[
    whole("udp.sport", 0..2, Format::Decimal),
    whole("udp.dport", 2..4, Format::Decimal),
    whole("udp.length", 4..6, Format::Decimal),
    whole("udp.checksum", 6..8, Format::Hex),
];

pub(super) fn parse(frame: &[u8], range: Range<usize>) -> Option<Parsed<'_>> {
    (range.len() >= LEN).then(|| Parsed {
        layer: layer("udp", FIELDS, frame, range.start..range.start + LEN),
        next: Next::Data,
        end: range.end,
    })
}
