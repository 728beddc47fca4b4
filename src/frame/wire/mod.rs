//! Frames as layers of named fields: one file a protocol, each with a table of its fields.

mod arp;
mod ethernet;
mod field;
mod icmp;
mod ipv4;
mod ipv6;
mod tcp;
mod tcp_option;
mod udp;
mod value;

#[cfg(test)]
pub(super) mod tests;

use std::ops::Range;

use field::{Def, whole};
use value::Format;

pub use field::Field;

pub(super) use tcp_option::encode as encode_tcp_options;

/// 802.1Q tags that are read as such; more than two are in no standard.
const MAX_TAGS: usize = 3;

/// IPv6 extension headers that are read as such.
const MAX_EXTENSIONS: usize = 8;

/// The name of every field that a [`Dissection`] can hold, sorted.
pub const FIELD_NAMES: &[&str] = &[
    "arp.hw_len",
    "arp.hw_type",
    "arp.op",
    "arp.proto_len",
    "arp.proto_type",
    "arp.sender_ip",
    "arp.sender_mac",
    "arp.target_ip",
    "arp.target_mac",
    "eth.dst",
    "eth.src",
    "eth.type",
    "icmp.checksum",
    "icmp.code",
    "icmp.id",
    "icmp.rest",
    "icmp.seq",
    "icmp.type",
    "icmpv6.checksum",
    "icmpv6.code",
    "icmpv6.id",
    "icmpv6.options",
    "icmpv6.rest",
    "icmpv6.seq",
    "icmpv6.target",
    "icmpv6.type",
    "ipv4.checksum",
    "ipv4.dst",
    "ipv4.flags",
    "ipv4.fragment_offset",
    "ipv4.id",
    "ipv4.ihl",
    "ipv4.options",
    "ipv4.protocol",
    "ipv4.src",
    "ipv4.tos",
    "ipv4.total_len",
    "ipv4.ttl",
    "ipv4.version",
    "ipv6.dst",
    "ipv6.flow_label",
    "ipv6.hop_limit",
    "ipv6.next_header",
    "ipv6.payload_len",
    "ipv6.src",
    "ipv6.traffic_class",
    "ipv6.version",
    "ipv6_ext.data",
    "ipv6_ext.len",
    "ipv6_ext.next_header",
    "ipv6_frag.flags",
    "ipv6_frag.id",
    "ipv6_frag.next_header",
    "ipv6_frag.offset",
    "ipv6_frag.reserved",
    "padding",
    "payload",
    "tcp.ack",
    "tcp.checksum",
    "tcp.data_offset",
    "tcp.dport",
    "tcp.flags",
    "tcp.options",
    "tcp.seq",
    "tcp.sport",
    "tcp.urgent",
    "tcp.window",
    "udp.checksum",
    "udp.dport",
    "udp.length",
    "udp.sport",
    "vlan.dei",
    "vlan.id",
    "vlan.pcp",
    "vlan.type",
];

/// A header, or what is left after the last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer<'a> {
    /// `eth`, `vlan`, `arp`, `ipv4`, `ipv6`, `ipv6_ext`, `ipv6_frag`, `udp`, `tcp`, `icmp`,
    /// `icmpv6`, `data`.
    pub name: &'static str,
    /// Its bytes in the frame.
    pub range: Range<usize>,
    /// In the order of their bytes; together they cover the layer's every bit once.
    pub fields: Vec<Field<'a>>,
}

/// A frame as layers of named fields.
///
/// Any bytes can be dissected: a header that is cut off or contradicts itself is not taken apart,
/// its bytes belong to `payload`. The last layer is always `data`, with the fields `payload` and
/// `padding` (what follows the end that the network header names); both may be empty. Checksums
/// are not checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dissection<'a> {
    /// From the outermost inwards.
    pub layers: Vec<Layer<'a>>,
}

/// What stands at a place.
#[derive(Clone, Copy, Debug)]
enum Next {
    Ethernet,
    /// What an Ethernet type announces, after this many tags.
    EtherType {
        value: u16,
        tags: usize,
    },
    /// What an IP protocol number announces, after this many IPv6 extension headers.
    Protocol {
        number: u8,
        version: IpVersion,
        extensions: usize,
    },
    /// Nothing that is taken apart.
    Data,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IpVersion {
    V4,
    V6,
}

/// A header that was read, and what follows it.
struct Parsed<'a> {
    layer: Layer<'a>,
    next: Next,
    /// Where the packet ends, as far as its headers say; padding follows.
    end: usize,
}

const DATA: &[Def] =
    &[whole("payload", 0..0, Format::Bytes), whole("padding", 0..0, Format::Bytes)];

impl<'a> Dissection<'a> {
    /// Takes a frame apart.
    #[must_use]
    pub fn of(frame: &'a [u8]) -> Self {
        let mut layers = Vec::new();
        let (mut at, mut end, mut next) = (0, frame.len(), Next::Ethernet);
        while let Some(parsed) = parse(frame, at..end, next) {
            at = parsed.layer.range.end;
            (end, next) = (parsed.end, parsed.next);
            layers.push(parsed.layer);
        }
        let fields = vec![
            Field::new(&DATA[0], frame, at..end),
            Field::new(&DATA[1], frame, end..frame.len()),
        ];
        layers.push(Layer { name: "data", range: at..frame.len(), fields });
        Self { layers }
    }

    /// Every field in the order of the bytes.
    pub fn fields(&self) -> impl Iterator<Item = &Field<'a>> {
        self.layers.iter().flat_map(|layer| &layer.fields)
    }

    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field<'a>> {
        self.fields().find(|field| field.name == name)
    }

    #[must_use]
    pub fn layer(&self, name: &str) -> Option<&Layer<'a>> {
        self.layers.iter().find(|layer| layer.name == name)
    }

    /// The bytes between the last header and the padding.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.field("payload").map_or(&[], Field::bytes)
    }

    /// Where groups of hexadecimal digits end, ascending: before and after addresses, and at the
    /// end of each header.
    pub(super) fn group_ends(&self) -> Vec<usize> {
        let mut ends = Vec::new();
        for layer in self.layers.iter().filter(|layer| layer.name != "data") {
            for field in layer.fields.iter().filter(|field| field.is_group()) {
                ends.extend([field.range.start, field.range.end]);
            }
            ends.push(layer.range.end);
        }
        ends.sort_unstable();
        ends.dedup();
        ends
    }
}

/// Reads the header that stands at the start of `range`, if it is whole.
fn parse(frame: &[u8], range: Range<usize>, next: Next) -> Option<Parsed<'_>> {
    match next {
        Next::Ethernet => ethernet::parse(frame, range),
        Next::EtherType { value, tags } => match value {
            ethernet::TYPE_VLAN | ethernet::TYPE_QINQ if tags < MAX_TAGS => {
                ethernet::parse_tag(frame, range, tags)
            }
            ethernet::TYPE_ARP | ethernet::TYPE_RARP => arp::parse(frame, range),
            ethernet::TYPE_IPV4 => ipv4::parse(frame, range),
            ethernet::TYPE_IPV6 => ipv6::parse(frame, range),
            _ => None,
        },
        Next::Protocol { number, version, extensions } => match (number, version) {
            (udp::PROTOCOL, _) => udp::parse(frame, range),
            (tcp::PROTOCOL, _) => tcp::parse(frame, range),
            (icmp::PROTOCOL_V4, _) => icmp::parse_v4(frame, range),
            (icmp::PROTOCOL_V6, IpVersion::V6) => icmp::parse_v6(frame, range),
            (_, IpVersion::V6) if extensions < MAX_EXTENSIONS => {
                ipv6::parse_extension(frame, range, number, extensions)
            }
            _ => None,
        },
        Next::Data => None,
    }
}

/// A layer of these bytes, with the fixed fields of `table`.
fn layer<'a>(
    name: &'static str,
    table: &'static [Def],
    frame: &'a [u8],
    range: Range<usize>,
) -> Layer<'a> {
    let fields = table.iter().map(|def| Field::at(def, frame, range.start)).collect();
    Layer { name, range, fields }
}

/// A big-endian 16-bit word.
fn word(frame: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([frame[at], frame[at + 1]])
}
