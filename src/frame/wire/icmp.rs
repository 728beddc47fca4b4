//! The fields of ICMP and ICMPv6 messages (RFC 792, RFC 4443, RFC 4861).

use std::ops::Range;

use super::{
    Field, Next, Parsed,
    field::{Def, whole},
    layer,
    value::Format,
};

/// IANA "Protocol Numbers".
pub(super) const PROTOCOL_V4: u8 = 1;
pub(super) const PROTOCOL_V6: u8 = 58;

/// Type, code, checksum and four bytes whose meaning depends on the type.
const LEN: usize = 8;

/// A neighbour message's target address ends here (RFC 4861 section 4.3).
const TARGET_END: usize = 24;

/// RFC 792: echo request and reply.
pub(super) const ECHO_FIELDS: &[Def] = &[
    whole("icmp.type", 0..1, Format::Decimal),
    whole("icmp.code", 1..2, Format::Decimal),
    whole("icmp.checksum", 2..4, Format::Hex),
    whole("icmp.id", 4..6, Format::Decimal),
    whole("icmp.seq", 6..8, Format::Decimal),
];

pub(super) const FIELDS: &[Def] = &[
    whole("icmp.type", 0..1, Format::Decimal),
    whole("icmp.code", 1..2, Format::Decimal),
    whole("icmp.checksum", 2..4, Format::Hex),
    whole("icmp.rest", 4..8, Format::Hex),
];

/// RFC 4443 section 4.
pub(super) const V6_ECHO_FIELDS: &[Def] = &[
    whole("icmpv6.type", 0..1, Format::Decimal),
    whole("icmpv6.code", 1..2, Format::Decimal),
    whole("icmpv6.checksum", 2..4, Format::Hex),
    whole("icmpv6.id", 4..6, Format::Decimal),
    whole("icmpv6.seq", 6..8, Format::Decimal),
];

pub(super) const V6_FIELDS: &[Def] = &[
    whole("icmpv6.type", 0..1, Format::Decimal),
    whole("icmpv6.code", 1..2, Format::Decimal),
    whole("icmpv6.checksum", 2..4, Format::Hex),
    whole("icmpv6.rest", 4..8, Format::Hex),
];

/// RFC 4861 sections 4.3 and 4.4.
pub(super) const V6_NEIGHBOUR_FIELDS: &[Def] = &[
    whole("icmpv6.type", 0..1, Format::Decimal),
    whole("icmpv6.code", 1..2, Format::Decimal),
    whole("icmpv6.checksum", 2..4, Format::Hex),
    whole("icmpv6.rest", 4..8, Format::Hex),
    whole("icmpv6.target", 8..24, Format::Ipv6),
];

pub(super) const V6_OPTIONS: &Def = &whole("icmpv6.options", 0..0, Format::Bytes);

pub(super) fn parse_v4(frame: &[u8], range: Range<usize>) -> Option<Parsed<'_>> {
    let at = range.start;
    if range.len() < LEN {
        return None;
    }
    let table = if matches!(frame[at], 0 | 8) { ECHO_FIELDS } else { FIELDS };
    let layer = layer("icmp", table, frame, at..at + LEN);
    Some(Parsed { layer, next: Next::Data, end: range.end })
}

pub(super) fn parse_v6(frame: &[u8], range: Range<usize>) -> Option<Parsed<'_>> {
    let at = range.start;
    if range.len() < LEN {
        return None;
    }
    let layer = match frame[at] {
        128 | 129 => layer("icmpv6", V6_ECHO_FIELDS, frame, at..at + LEN),
        135 | 136 if range.len() >= TARGET_END => {
            let mut layer = layer("icmpv6", V6_NEIGHBOUR_FIELDS, frame, at..range.end);
            layer.fields.push(Field::new(V6_OPTIONS, frame, at + TARGET_END..range.end));
            layer
        }
        _ => layer("icmpv6", V6_FIELDS, frame, at..at + LEN),
    };
    Some(Parsed { layer, next: Next::Data, end: range.end })
}
