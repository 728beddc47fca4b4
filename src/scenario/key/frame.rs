//! The keys of frames and their layers.

use super::{KeyMap, KeyType::*, U8, U16, U32, key, need};

pub(crate) static FRAME: KeyMap = KeyMap {
    name: "a frame",
    keys: &[
        key("hex", Text, "the whole frame"),
        key("vnet_hdr", Map(&VNET_HDR), "the virtio-net header beside the frame"),
        key("eth", Map(&ETH), "the Ethernet header"),
        key(
            "vlan",
            OneOf(&[Integer(0, 4095), Map(&VLAN), List(&OneOf(&[Integer(0, 4095), Map(&VLAN)]))]),
            "a VLAN id, a tag, or a list of tags, the outer one first",
        ),
        key("arp", Map(&ARP), "an ARP packet"),
        key("ipv4", Map(&IPV4), "an IPv4 header"),
        key("ipv6", Map(&IPV6), "an IPv6 header"),
        key("icmp", Map(&ICMP), "an ICMP message, on ipv4"),
        key("icmpv6", Map(&ICMPV6), "ICMPv6, on ipv6"),
        key("udp", Map(&UDP), "a UDP header"),
        key("tcp", Map(&TCP), "a TCP header"),
        key("payload", Bytes, "what follows: text, {hex}, {fill, len}, or a list of these"),
    ],
};

pub(crate) static VNET_HDR: KeyMap = KeyMap {
    name: "`vnet_hdr`",
    keys: &[
        key("flags", U8, "1 NEEDS_CSUM, 2 DATA_VALID, 4 RSC_INFO").or("0"),
        key("gso_type", U8, "0 none, 1 TCPv4, 3 UDP, 4 TCPv6, 5 UDP_L4, 0x80 ECN").or("0"),
        key("hdr_len", U16, "bytes of headers").or("0"),
        key("gso_size", U16, "payload bytes of each segment").or("0"),
        key("csum_start", U16, "where the checksum begins").or("0"),
        key("csum_offset", U16, "where it is stored, after csum_start").or("0"),
        key("num_buffers", U16, "merged receive buffers").or("0"),
    ],
};

pub(crate) static ETH: KeyMap = KeyMap {
    name: "`eth`",
    keys: &[
        key("dst", Mac, "destination").or("the far side of the port"),
        key("src", Mac, "source").or("the port's own side"),
        key("type", U16, "EtherType").or("that of the network layer"),
        key("pad_to", Integer(0, 65_535), "zeros are appended up to this many bytes").or("0"),
    ],
};

pub(crate) static VLAN: KeyMap = KeyMap {
    name: "a VLAN tag",
    keys: &[
        need("id", Integer(0, 4095), "the VLAN"),
        key("pcp", Integer(0, 7), "priority").or("0"),
        key("dei", Bool, "drop eligible").or("false"),
        key("tpid", U16, "tag protocol").or("0x8100"),
    ],
};

pub(crate) static ARP: KeyMap = KeyMap {
    name: "`arp`",
    keys: &[
        key("op", OneOf(&[Choice(&["request", "reply"]), U16]), "a word or a number").or("request"),
        need("sender", Ipv4, "the sender's IPv4 address"),
        need("target", Ipv4, "the target's IPv4 address"),
        key("sender_mac", Mac, "the sender's MAC address").or("the frame's source"),
        key("target_mac", Mac, "the target's MAC address")
            .or("zero in a request, else the frame's destination"),
    ],
};

/// An IPv4 header.
pub(crate) static IPV4: KeyMap = KeyMap {
    name: "`ipv4`",
    keys: &[
        need("src", Ipv4, "source"),
        need("dst", Ipv4, "destination"),
        key("ttl", U8, "time to live").or("64"),
        key("id", U16, "identification").or("0"),
        key("tos", U8, "DSCP and ECN").or("0"),
        key("dont_fragment", Bool, "don't fragment").or("false"),
        key("more_fragments", Bool, "more fragments follow").or("false"),
        key("fragment_offset", Integer(0, 0x1fff), "in units of 8 bytes").or("0"),
        key("protocol", U8, "number of the protocol").or("that of the transport layer"),
        key("checksum", U16, "checksum").or("the right one"),
        key("total_len", U16, "length with the header").or("the right one"),
        key("options", Text, "option bytes in hexadecimal"),
    ],
};

/// An IPv6 header.
pub(crate) static IPV6: KeyMap = KeyMap {
    name: "`ipv6`",
    keys: &[
        need("src", Ipv6, "source"),
        need("dst", Ipv6, "destination"),
        key("hop_limit", U8, "hop limit").or("64"),
        key("traffic_class", U8, "traffic class").or("0"),
        key("flow_label", Integer(0, 0xf_ffff), "flow label").or("0"),
        key("next_header", U8, "number of the next header").or("that of the transport layer"),
        key("payload_len", U16, "length without the header").or("the right one"),
    ],
};

const ICMP_TYPES: &[&str] =
    &["echo-reply", "destination-unreachable", "redirect", "echo-request", "time-exceeded"];

const ICMPV6_TYPES: &[&str] = &[
    "destination-unreachable",
    "packet-too-big",
    "time-exceeded",
    "echo-request",
    "echo-reply",
    "router-solicitation",
    "router-advertisement",
    "neighbour-solicitation",
    "neighbour-advertisement",
];

/// The keys of a message whose type is one of these words, or a number.
const fn icmp_keys(kind: super::KeyType) -> [super::Key; 6] {
    [
        need("type", kind, "a word or a number"),
        key("code", U8, "the code").or("0"),
        key("id", U16, "identifier of an echo").or("0"),
        key("seq", U16, "sequence number of an echo").or("0"),
        key("rest", Text, "the four bytes after the checksum, instead of id and seq"),
        key("checksum", U16, "checksum").or("the right one"),
    ]
}

pub(crate) static ICMP: KeyMap =
    KeyMap { name: "`icmp`", keys: &icmp_keys(OneOf(&[Choice(ICMP_TYPES), U8])) };

/// An ICMPv6 header.
pub(crate) static ICMPV6: KeyMap =
    KeyMap { name: "`icmpv6`", keys: &icmp_keys(OneOf(&[Choice(ICMPV6_TYPES), U8])) };

pub(crate) static UDP: KeyMap = KeyMap {
    name: "`udp`",
    keys: &[
        need("sport", U16, "source port"),
        need("dport", U16, "destination port"),
        key("checksum", U16, "checksum").or("the right one"),
        key("length", U16, "length with the header").or("the right one"),
    ],
};

pub(crate) static TCP: KeyMap = KeyMap {
    name: "`tcp`",
    keys: &[
        need("sport", U16, "source port"),
        need("dport", U16, "destination port"),
        key("seq", U32, "sequence number").or("0"),
        key("ack", U32, "acknowledgement number").or("0"),
        key(
            "flags",
            OneOf(&[Texts, Integer(0, 0x1ff)]),
            "letters (SA), words ([syn, ack]) or a number",
        )
        .or("0"),
        key("window", U16, "window").or("65535"),
        key("urgent", U16, "urgent pointer").or("0"),
        key("checksum", U16, "checksum").or("the right one"),
        key(
            "options",
            List(&OneOf(&[Choice(&["nop", "end", "sack_permitted"]), Map(&TCP_OPTION)])),
            "a list: nop, end, sack_permitted, {mss}, {window_scale}, {sack}, {timestamps}, {hex}",
        ),
    ],
};

pub(crate) static TCP_OPTION: KeyMap = KeyMap {
    name: "a TCP option",
    keys: &[
        key("mss", U16, "maximum segment size"),
        key("window_scale", U8, "shift count"),
        key("sack", List(&List(&U32)), "a list of [left, right]"),
        key("timestamps", Map(&TIMESTAMPS), "the sender's clock and the echo"),
        key("hex", Text, "the option's bytes, with kind and length"),
    ],
};

pub(crate) static TIMESTAMPS: KeyMap = KeyMap {
    name: "`timestamps`",
    keys: &[need("value", U32, "the sender's clock"), key("echo", U32, "the other side's").or("0")],
};

/// A piece of bytes.
pub(crate) static BYTES: KeyMap = KeyMap {
    name: "a piece of bytes",
    keys: &[
        key("text", Text, "UTF-8 text"),
        key("hex", Text, "pairs of hexadecimal digits"),
        key("fill", OneOf(&[U8, Text]), "the byte to repeat: a number, or two hexadecimal digits"),
        key("len", Integer(0, 16 << 20), "with fill, how often"),
        key("pattern", Integer(0, 16 << 20), "so many bytes, the n-th of them is n / 256"),
        key("u16", U16, "a number in two bytes, big endian"),
        key("u32", U32, "a number in four bytes, big endian"),
    ],
};
