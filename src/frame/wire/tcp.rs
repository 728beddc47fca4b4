//! The fields of a TCP header (RFC 9293).

use std::ops::Range;

use super::{
    Field, Next, Parsed,
    field::{Def, bits, whole},
    layer,
    value::Format,
};

/// IANA "Protocol Numbers".
pub(super) const PROTOCOL: u8 = 6;

const MIN_LEN: usize = 20;

/// From the lowest bit (RFC 9293 section 3.1).
const FLAGS: &[&str] = &["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];

/// RFC 9293 section 3.1; the four reserved bits count as flags.
pub(super) const FIELDS: &[Def] = &[
    whole("tcp.sport", 0..2, Format::Decimal),
    whole("tcp.dport", 2..4, Format::Decimal),
    whole("tcp.seq", 4..8, Format::Decimal),
    whole("tcp.ack", 8..12, Format::Decimal),
    bits("tcp.data_offset", 12..14, 0xf000, Format::Decimal),
    bits("tcp.flags", 12..14, 0x0fff, Format::Flags(FLAGS)),
    whole("tcp.window", 14..16, Format::Decimal),
    whole("tcp.checksum", 16..18, Format::Hex),
    whole("tcp.urgent", 18..20, Format::Decimal),
];

pub(super) const OPTIONS: &Def = &whole("tcp.options", 0..0, Format::TcpOptions);

pub(super) fn parse(frame: &[u8], range: Range<usize>) -> Option<Parsed<'_>> {
    let at = range.start;
    if range.len() < MIN_LEN {
        return None;
    }
    let header = usize::from(frame[at + 12] >> 4) * 4;
    if header < MIN_LEN || header > range.len() {
        return None;
    }
    let mut layer = layer("tcp", FIELDS, frame, at..at + header);
    layer.fields.push(Field::new(OPTIONS, frame, at + MIN_LEN..at + header));
    Some(Parsed { layer, next: Next::Data, end: range.end })
}
