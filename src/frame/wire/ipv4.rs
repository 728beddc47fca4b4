//! The fields of an IPv4 header (RFC 791).

use std::ops::Range;

use super::{
    Field, IpVersion, Next, Parsed,
    field::{Def, bits, whole},
    layer,
    value::Format,
    word,
};

const MIN_LEN: usize = 20;

/// RFC 791 section 3.1.
pub(super) const FIELDS: &[Def] = &[
    bits("ipv4.version", 0..1, 0xf0, Format::Decimal),
    bits("ipv4.ihl", 0..1, 0x0f, Format::Decimal),
    whole("ipv4.tos", 1..2, Format::Hex),
    whole("ipv4.total_len", 2..4, Format::Decimal),
    whole("ipv4.id", 4..6, Format::Decimal),
    bits("ipv4.flags", 6..8, 0xe000, Format::Flags(&["MF", "DF", "RF"])),
    bits("ipv4.fragment_offset", 6..8, 0x1fff, Format::Decimal),
    whole("ipv4.ttl", 8..9, Format::Decimal),
    whole("ipv4.protocol", 9..10, Format::Decimal),
    whole("ipv4.checksum", 10..12, Format::Hex),
    whole("ipv4.src", 12..16, Format::Ipv4),
    whole("ipv4.dst", 16..20, Format::Ipv4),
];

pub(super) const OPTIONS: &Def = &whole("ipv4.options", 0..0, Format::Bytes);

pub(super) fn parse(frame: &[u8], range: Range<usize>) -> Option<Parsed<'_>> {
    let at = range.start;
    if range.len() < MIN_LEN || frame[at] >> 4 != 4 {
        return None;
    }
    let header = usize::from(frame[at] & 0x0f) * 4;
    let total = usize::from(word(frame, at + 2));
    // A super-frame of 64 KiB or more has a total length of 0 (Linux, "BIG TCP").
    let end = if total == 0 { range.end } else { range.end.min(at + total) };
    if header < MIN_LEN || at + header > end {
        return None;
    }
    let mut layer = layer("ipv4", FIELDS, frame, at..at + header);
    layer.fields.push(Field::new(OPTIONS, frame, at + MIN_LEN..at + header));
    let fragment_offset = word(frame, at + 6) & 0x1fff;
    let next = if fragment_offset == 0 {
        Next::Protocol { number: frame[at + 9], version: IpVersion::V4, extensions: 0 }
    } else {
        Next::Data
    };
    Some(Parsed { layer, next, end })
}
