//! Reads the transport layer of a frame: UDP, TCP with its options, ICMP and ICMPv6.

use ::bytes::Bytes;

use super::frame::word_or_number;
use crate::{
    frame::{IcmpSpec, TcpOption, TcpSpec, UdpSpec},
    scenario::{
        context::Context,
        fault::Fault,
        fields::Fields,
        key::{self, KeyMap},
        node::{Node, ScalarKind, short},
        value,
    },
};

/// ICMP types that have names here (IANA, "ICMP Parameters").
pub(super) const ICMP_TYPES: [(&str, u64); 5] = [
    ("echo-reply", 0),
    ("destination-unreachable", 3),
    ("redirect", 5),
    ("echo-request", 8),
    ("time-exceeded", 11),
];

/// ICMPv6 types that have names here (IANA, "ICMPv6 Parameters").
pub(super) const ICMPV6_TYPES: [(&str, u64); 9] = [
    ("destination-unreachable", 1),
    ("packet-too-big", 2),
    ("time-exceeded", 3),
    ("echo-request", 128),
    ("echo-reply", 129),
    ("router-solicitation", 133),
    ("router-advertisement", 134),
    ("neighbour-solicitation", 135),
    ("neighbour-advertisement", 136),
];

/// TCP's flags, the lowest bit first (RFC 9293, section 3.1).
const FLAGS: [(&str, char); 8] = [
    ("fin", 'F'),
    ("syn", 'S'),
    ("rst", 'R'),
    ("psh", 'P'),
    ("ack", 'A'),
    ("urg", 'U'),
    ("ece", 'E'),
    ("cwr", 'C'),
];

pub(super) fn udp(context: &Context<'_>, node: &Node) -> Option<UdpSpec> {
    let map = Fields::open(context, node, &key::UDP)?;
    Some(UdpSpec {
        sport: map.integer("sport")?,
        dport: map.integer("dport")?,
        checksum: map.integer("checksum"),
        length: map.integer("length"),
    })
}

pub(super) fn icmp(
    context: &Context<'_>,
    node: &Node,
    keys: &'static KeyMap,
    types: &[(&'static str, u64)],
) -> Option<IcmpSpec> {
    let map = Fields::open(context, node, keys)?;
    let kind = word_or_number(context, map.node("type")?, "type", types, 0xff)?;
    let rest = if let Some(node) = map.node("rest") {
        for key in ["id", "seq"] {
            map.conflict("rest", key, "`rest` is the four bytes that `id` and `seq` make");
        }
        let bytes = value::hex(context, node)?;
        <[u8; 4]>::try_from(bytes).unwrap_or_else(|bytes| {
            map.fault(
                node.span,
                Fault::Format {
                    reason: format!("`rest` has {} bytes; there are four", bytes.len()),
                    help: "write eight hexadecimal digits: \"00010002\"",
                    code: crate::scenario::fault::BAD_HEX,
                },
            );
            [0; 4]
        })
    } else {
        let [a, b] = map.integer_or_default::<u16>("id").to_be_bytes();
        let [c, d] = map.integer_or_default::<u16>("seq").to_be_bytes();
        [a, b, c, d]
    };
    Some(IcmpSpec {
        kind: u8::try_from(kind).ok()?,
        code: map.integer_or_default("code"),
        rest,
        checksum: map.integer("checksum"),
    })
}

pub(super) fn tcp(context: &Context<'_>, node: &Node) -> Option<TcpSpec> {
    let map = Fields::open(context, node, &key::TCP)?;
    Some(TcpSpec {
        sport: map.integer("sport")?,
        dport: map.integer("dport")?,
        seq: map.integer_or_default("seq"),
        ack: map.integer_or_default("ack"),
        flags: map.node("flags").map_or(0, |node| flags(context, node)),
        window: map.integer_or_default("window"),
        urgent: map.integer_or_default("urgent"),
        checksum: map.integer("checksum"),
        options: map.node("options").map(|node| options(context, node)).unwrap_or_default(),
    })
}

/// Letters (`SA`), words (`[syn, ack]`, `syn`) or a number.
fn flags(context: &Context<'_>, node: &Node) -> u16 {
    let is_number = node.scalar().is_some_and(|s| matches!(s.kind, ScalarKind::Integer(_)));
    if is_number {
        let number = value::integer(context, node, "flags", 0, 0x1ff).unwrap_or(0);
        return u16::try_from(number).unwrap_or(0);
    }
    let mut flags = 0;
    for (word, span) in value::texts(context, node) {
        match word_flags(&word) {
            Some(bits) => flags |= bits,
            None => context.fault(
                span,
                Fault::Choice {
                    key: "flags".to_owned(),
                    found: short(&word),
                    near: crate::scenario::suggest::nearest(
                        &word,
                        FLAGS.iter().map(|(name, _)| *name),
                    ),
                    known: "fin, syn, rst, psh, ack, urg, ece, cwr, and as letters FSRPAUEC"
                        .to_owned(),
                },
            ),
        }
    }
    flags
}

fn word_flags(word: &str) -> Option<u16> {
    if let Some(bit) = FLAGS.iter().position(|(name, _)| *name == word.to_lowercase()) {
        return Some(1 << bit);
    }
    word.chars().try_fold(0, |flags, letter| {
        let bit = FLAGS.iter().position(|(_, known)| *known == letter)?;
        Some(flags | 1 << bit)
    })
}

fn options(context: &Context<'_>, node: &Node) -> Vec<TcpOption> {
    let Some(nodes) = node.list() else {
        let help = "write `options: [{mss: 1460}, nop]`".to_owned();
        value::mismatch(context, node, "a list of TCP options", Some(help));
        return Vec::new();
    };
    nodes.iter().filter_map(|node| option(context, node)).collect()
}

fn option(context: &Context<'_>, node: &Node) -> Option<TcpOption> {
    if node.map().is_none() {
        let word = value::choice(context, node, "options", &["nop", "end", "sack_permitted"])?;
        return Some(match word {
            "nop" => TcpOption::Nop,
            "end" => TcpOption::End,
            _ => TcpOption::SackPermitted,
        });
    }
    let map = Fields::open(context, node, &key::TCP_OPTION)?;
    let [entry] = map.entries() else {
        map.fault(
            node.span,
            Fault::Layers {
                reason: format!("a TCP option has one key; this one has {}", map.entries().len()),
                help: "write one option an entry: `options: [{mss: 1460}, {window_scale: 7}]`",
            },
        );
        return None;
    };
    match entry.key.as_str() {
        "mss" => map.integer("mss").map(TcpOption::Mss),
        "window_scale" => map.integer("window_scale").map(TcpOption::WindowScale),
        "sack" => sack(context, &entry.value),
        "timestamps" => {
            let map = Fields::open(context, &entry.value, &key::TIMESTAMPS)?;
            let echo = map.integer_or_default("echo");
            Some(TcpOption::Timestamps { value: map.integer("value")?, echo })
        }
        "hex" => value::hex(context, &entry.value).map(|hex| TcpOption::Raw(Bytes::from(hex))),
        _ => None,
    }
}

fn sack(context: &Context<'_>, node: &Node) -> Option<TcpOption> {
    let edge = |node: &Node| {
        value::integer(context, node, "sack", 0, 0xffff_ffff)
            .and_then(|number| u32::try_from(number).ok())
    };
    let mut blocks = Vec::new();
    for block in node.list().unwrap_or_default() {
        let Some([left, right]) = block.list() else {
            value::mismatch(context, block, "a block [left, right]", None);
            return None;
        };
        blocks.push((edge(left)?, edge(right)?));
    }
    if blocks.is_empty() {
        let help = "write `sack: [[1000, 2000]]`".to_owned();
        value::mismatch(context, node, "a list of blocks", Some(help));
        return None;
    }
    Some(TcpOption::Sack(blocks))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::word_flags;

    #[rstest]
    #[case("SA", Some(0x12))]
    #[case("syn", Some(0x02))]
    #[case("FSRPAUEC", Some(0xff))]
    #[case("", Some(0))]
    #[case("SX", None)]
    #[case("sa", None)]
    fn flags_have_letters_and_words(#[case] word: &str, #[case] flags: Option<u16>) {
        assert_eq!(word_flags(word), flags);
    }
}
