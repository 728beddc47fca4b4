//! The fields of an Ethernet header and of VLAN tags (IEEE 802.3, 802.1Q).

use std::ops::Range;

use super::{
    Next, Parsed,
    field::{Def, bits, whole},
    layer,
    value::Format,
    word,
};

/// IANA "IEEE 802 Numbers".
pub(super) const TYPE_IPV4: u16 = 0x0800;
pub(super) const TYPE_ARP: u16 = 0x0806;
/// RARP has the layout of ARP (RFC 903).
pub(super) const TYPE_RARP: u16 = 0x8035;
pub(super) const TYPE_VLAN: u16 = 0x8100;
pub(super) const TYPE_IPV6: u16 = 0x86dd;
pub(super) const TYPE_QINQ: u16 = 0x88a8;

/// IEEE 802.3 section 3.2.6: a smaller value is a length.
const MIN_TYPE: u16 = 0x0600;

/// Two addresses and the type.
const LEN: usize = 14;

/// The tag's control word and the type that follows it.
const TAG_LEN: usize = 4;

pub(super) const FIELDS: &[Def] = &[
    whole("eth.dst", 0..6, Format::Mac),
    whole("eth.src", 6..12, Format::Mac),
    whole("eth.type", 12..14, Format::Hex),
];

/// IEEE 802.1Q section 9.6. The tag's TPID stands in the type before it.
pub(super) const TAG_FIELDS: &[Def] = &[
    bits("vlan.pcp", 0..2, 0xe000, Format::Decimal),
    bits("vlan.dei", 0..2, 0x1000, Format::Decimal),
    bits("vlan.id", 0..2, 0x0fff, Format::Decimal),
    whole("vlan.type", 2..4, Format::Hex),
];

pub(super) fn parse(frame: &[u8], range: Range<usize>) -> Option<Parsed<'_>> {
    if range.len() < LEN {
        return None;
    }
    let value = word(frame, range.start + 12);
    let next = if value < MIN_TYPE { Next::Data } else { Next::EtherType { value, tags: 0 } };
    let layer = layer("eth", FIELDS, frame, range.start..range.start + LEN);
    Some(Parsed { layer, next, end: range.end })
}

pub(super) fn parse_tag(frame: &[u8], range: Range<usize>, tags: usize) -> Option<Parsed<'_>> {
    if range.len() < TAG_LEN {
        return None;
    }
    let next = Next::EtherType { value: word(frame, range.start + 2), tags: tags + 1 };
    let layer = layer("vlan", TAG_FIELDS, frame, range.start..range.start + TAG_LEN);
    Some(Parsed { layer, next, end: range.end })
}
