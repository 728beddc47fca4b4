//! The fields of an IPv6 header and of its extension headers (RFC 8200).

use std::ops::Range;

use super::{
    Field, IpVersion, Next, Parsed,
    field::{Def, bits, whole},
    layer,
    value::Format,
    word,
};

const LEN: usize = 40;

/// RFC 8200 section 4: extension headers of the common form.
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const DESTINATION: u8 = 60;

/// RFC 8200 section 4.5.
pub(super) const FRAGMENT: u8 = 44;

const FRAGMENT_LEN: usize = 8;

/// RFC 8200 section 3.
pub(super) const FIELDS: &[Def] = &[
    bits("ipv6.version", 0..4, 0xf000_0000, Format::Decimal),
    bits("ipv6.traffic_class", 0..4, 0x0ff0_0000, Format::Hex),
    bits("ipv6.flow_label", 0..4, 0x000f_ffff, Format::Hex),
    whole("ipv6.payload_len", 4..6, Format::Decimal),
    whole("ipv6.next_header", 6..7, Format::Decimal),
    whole("ipv6.hop_limit", 7..8, Format::Decimal),
    whole("ipv6.src", 8..24, Format::Ipv6),
    whole("ipv6.dst", 24..40, Format::Ipv6),
];

pub(super) const EXTENSION_FIELDS: &[Def] = &[
    whole("ipv6_ext.next_header", 0..1, Format::Decimal),
    whole("ipv6_ext.len", 1..2, Format::Decimal),
];

pub(super) const EXTENSION_DATA: &Def = &whole("ipv6_ext.data", 0..0, Format::Bytes);

pub(super) const FRAGMENT_FIELDS: &[Def] = &[
    whole("ipv6_frag.next_header", 0..1, Format::Decimal),
    whole("ipv6_frag.reserved", 1..2, Format::Hex),
    bits("ipv6_frag.offset", 2..4, 0xfff8, Format::Decimal),
    bits("ipv6_frag.flags", 2..4, 0x0007, Format::Flags(&["MF"])),
    whole("ipv6_frag.id", 4..8, Format::Hex),
];

pub(super) fn parse(frame: &[u8], range: Range<usize>) -> Option<Parsed<'_>> {
    let at = range.start;
    if range.len() < LEN || frame[at] >> 4 != 6 {
        return None;
    }
    let payload = usize::from(word(frame, at + 4));
    // A super-frame and a jumbogram have a payload length of 0 (RFC 2675), and so has a packet
    // without payload: only padding would tell them apart.
    let end = if payload == 0 && range.len() > usize::from(u16::MAX) {
        range.end
    } else {
        range.end.min(at + LEN + payload)
    };
    let next = Next::Protocol { number: frame[at + 6], version: IpVersion::V6, extensions: 0 };
    Some(Parsed { layer: layer("ipv6", FIELDS, frame, at..at + LEN), next, end })
}

pub(super) fn parse_extension(
    frame: &[u8],
    range: Range<usize>,
    number: u8,
    extensions: usize,
) -> Option<Parsed<'_>> {
    match number {
        HOP_BY_HOP | ROUTING | DESTINATION => parse_options(frame, range, extensions),
        FRAGMENT => parse_fragment(frame, range, extensions),
        _ => None,
    }
}

fn parse_options(frame: &[u8], range: Range<usize>, extensions: usize) -> Option<Parsed<'_>> {
    let at = range.start;
    if range.len() < 8 {
        return None;
    }
    let len = 8 * (usize::from(frame[at + 1]) + 1);
    if range.len() < len {
        return None;
    }
    let mut layer = layer("ipv6_ext", EXTENSION_FIELDS, frame, at..at + len);
    layer.fields.push(Field::new(EXTENSION_DATA, frame, at + 2..at + len));
    Some(Parsed { layer, next: following(frame[at], extensions), end: range.end })
}

fn parse_fragment(frame: &[u8], range: Range<usize>, extensions: usize) -> Option<Parsed<'_>> {
    let at = range.start;
    if range.len() < FRAGMENT_LEN {
        return None;
    }
    let first = word(frame, at + 2) & 0xfff8 == 0;
    let next = if first { following(frame[at], extensions) } else { Next::Data };
    let layer = layer("ipv6_frag", FRAGMENT_FIELDS, frame, at..at + FRAGMENT_LEN);
    Some(Parsed { layer, next, end: range.end })
}

fn following(number: u8, extensions: usize) -> Next {
    Next::Protocol { number, version: IpVersion::V6, extensions: extensions + 1 }
}
