//! The fields of an ARP packet (RFC 826).

use std::ops::Range;

use super::{
    Next, Parsed, ethernet,
    field::{Def, whole},
    layer,
    value::Format,
    word,
};

/// For IPv4 over Ethernet.
const LEN: usize = 28;

/// RFC 826; operations from IANA "Address Resolution Protocol Parameters".
pub(super) const FIELDS: &[Def] = &[
    whole("arp.hw_type", 0..2, Format::Decimal),
    whole("arp.proto_type", 2..4, Format::Hex),
    whole("arp.hw_len", 4..5, Format::Decimal),
    whole("arp.proto_len", 5..6, Format::Decimal),
    whole("arp.op", 6..8, Format::Named(&[(1, "request"), (2, "reply")])),
    whole("arp.sender_mac", 8..14, Format::Mac),
    whole("arp.sender_ip", 14..18, Format::Ipv4),
    whole("arp.target_mac", 18..24, Format::Mac),
    whole("arp.target_ip", 24..28, Format::Ipv4),
];

/// Only IPv4 over Ethernet is taken apart: other lengths move the addresses.
pub(super) fn parse(frame: &[u8], range: Range<usize>) -> Option<Parsed<'_>> {
    let at = range.start;
    let known = range.len() >= LEN
        && word(frame, at + 2) == ethernet::TYPE_IPV4
        && frame[at + 4..at + 6] == [6, 4];
    known.then(|| Parsed {
        layer: layer("arp", FIELDS, frame, at..at + LEN),
        next: Next::Data,
        end: at + LEN,
    })
}
