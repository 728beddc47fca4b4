//! A frame in one line, as tcpdump would print it. Transcripts, reports and diagnostics show it.

use std::ops::RangeInclusive;

use super::{
    flow::{ports, protocol},
    wire::{Dissection, Field},
};

/// Bytes of a message.
const MESSAGE: RangeInclusive<usize> = 8..=64;

/// A frame in one line, as readers of tcpdump expect it: `ARP who-has 10.0.0.2 tell 10.0.0.1`,
/// `vlan 100 IPv4 10.0.0.1:4000 > 10.0.0.2:9 UDP, 5 B payload`, `0x88b5`. The frame's length is
/// not in it. A [`message`] instead of a frame is shown as it reads: `"DO_CHECKPOINT"`.
#[must_use]
pub fn summary(frame: &[u8]) -> String {
    if let Some(message) = message(frame) {
        return message;
    }
    let dissection = Dissection::of(frame);
    let view = View(&dissection);
    let Some(eth_type) = view.number("eth.type") else {
        return "shorter than an Ethernet header".to_owned();
    };
    let tags: String = dissection
        .layers
        .iter()
        .filter(|layer| layer.name == "vlan")
        .map(|layer| match &layer.fields[..] {
            [pcp, _, id, ..] if pcp.number() != 0 => {
                format!("vlan {} pcp {} ", id.number(), pcp.number())
            }
            [_, _, id, ..] => format!("vlan {} ", id.number()),
            _ => String::new(),
        })
        .collect();
    tags + &view.network(eth_type)
}

/// A message of colo-compare's `notify_dev`, or what looks like one, in quotes; none for anything
/// else. QEMU's are capital letters and bars: `COLO_COMPARE_GET_XEN_INIT` (QEMU 10.2.2
/// `net/colo-compare.c`).
#[must_use]
pub fn message(data: &[u8]) -> Option<String> {
    let letter = |byte: &u8| byte.is_ascii_uppercase() || *byte == b'_';
    let text = str::from_utf8(data).ok()?;
    let is_message = MESSAGE.contains(&data.len()) && data.iter().all(letter);
    is_message.then(|| format!("\"{text}\""))
}

/// A dissection from which words are made.
struct View<'d, 'a>(&'d Dissection<'a>);

impl View<'_, '_> {
    fn text(&self, name: &str) -> String {
        self.0.field(name).map(Field::value).unwrap_or_default()
    }

    fn number(&self, name: &str) -> Option<u32> {
        self.0.field(name).map(Field::number)
    }

    fn has(&self, layer: &str) -> bool {
        self.0.layer(layer).is_some()
    }

    fn network(&self, eth_type: u32) -> String {
        let inner =
            self.0.fields().filter(|field| field.name == "vlan.type").last().map(Field::number);
        match inner.unwrap_or(eth_type) {
            0x0806 if self.has("arp") => self.arp(),
            0x8035 if self.has("arp") => self.rarp(),
            0x0800 if self.has("ipv4") => self.ip("IPv4", "ipv4.src", "ipv4.dst"),
            0x86dd if self.has("ipv6") => self.ip("IPv6", "ipv6.src", "ipv6.dst"),
            0x0806 => "ARP, malformed".to_owned(),
            0x0800 => "IPv4, malformed".to_owned(),
            0x86dd => "IPv6, malformed".to_owned(),
            length @ 0..0x0600 => format!("802.3 length {length}"),
            other => format!("{other:#06x}"),
        }
    }

    fn arp(&self) -> String {
        let text = |name| self.text(name);
        match self.number("arp.op") {
            Some(1) => {
                format!("ARP who-has {} tell {}", text("arp.target_ip"), text("arp.sender_ip"))
            }
            Some(2) => {
                format!("ARP reply {} is-at {}", text("arp.sender_ip"), text("arp.sender_mac"))
            }
            _ => format!(
                "ARP op {} {} > {}",
                text("arp.op"),
                text("arp.sender_ip"),
                text("arp.target_ip")
            ),
        }
    }

    /// As ARP, but that an Ethernet address asks for the IP address (RFC 903).
    fn rarp(&self) -> String {
        let text = |name| self.text(name);
        match self.number("arp.op") {
            Some(3) => {
                format!("RARP who-is {} tell {}", text("arp.target_mac"), text("arp.sender_mac"))
            }
            _ => format!("RARP op {} {}", text("arp.op"), text("arp.target_mac")),
        }
    }

    fn ip(&self, version: &str, src: &str, dst: &str) -> String {
        let protocol = protocol(self.0).unwrap_or_default();
        let (src, dst) = (self.text(src), self.text(dst));
        let ends = match ports(self.0) {
            Some((sport, dport)) if self.has("udp") || self.has("tcp") => {
                let socket = |address: &str, port: u16| {
                    if address.contains(':') {
                        format!("[{address}]:{port}")
                    } else {
                        format!("{address}:{port}")
                    }
                };
                format!("{} > {}", socket(&src, sport), socket(&dst, dport))
            }
            _ => format!("{src} > {dst}"),
        };
        let fragment = self.fragment();
        let transport = match &fragment {
            Some((_, true)) => protocol_name(protocol),
            _ => self.transport(protocol),
        };
        let fragment = fragment.map_or_else(String::new, |(text, _)| format!(", {text}"));
        let payload = self.0.payload().len();
        format!("{version} {ends} {transport}{fragment}, {payload} B payload")
    }

    /// `fragment 7 at 1480+`, and whether it lacks the transport's header. The plus says that more
    /// follow.
    fn fragment(&self) -> Option<(String, bool)> {
        let (offset, more, id) = if self.has("ipv6_frag") {
            let offset = self.number("ipv6_frag.offset")? * 8;
            (offset, self.number("ipv6_frag.flags")? & 1 == 1, self.text("ipv6_frag.id"))
        } else {
            let offset = self.number("ipv4.fragment_offset")? * 8;
            (offset, self.number("ipv4.flags")? & 1 == 1, self.text("ipv4.id"))
        };
        let plus = if more { "+" } else { "" };
        (more || offset > 0).then(|| (format!("fragment {id} at {offset}{plus}"), offset > 0))
    }

    fn transport(&self, protocol: u8) -> String {
        let name = protocol_name(protocol);
        match protocol {
            17 if self.has("udp") => name,
            6 if self.has("tcp") => format!(
                "TCP [{}] seq {} ack {} win {}",
                self.text("tcp.flags"),
                self.text("tcp.seq"),
                self.text("tcp.ack"),
                self.text("tcp.window")
            ),
            1 if self.has("icmp") => self.icmp(),
            58 if self.has("icmpv6") => self.icmpv6(),
            1 | 6 | 17 | 58 => format!("{name}, malformed"),
            _ => name,
        }
    }

    fn icmp(&self) -> String {
        let code = self.number("icmp.code").unwrap_or_default();
        let echo = |what| {
            format!("ICMP echo {what} id {} seq {}", self.text("icmp.id"), self.text("icmp.seq"))
        };
        match self.number("icmp.type").unwrap_or_default() {
            0 => echo("reply"),
            8 => echo("request"),
            3 => match code {
                0 => "ICMP net unreachable".to_owned(),
                1 => "ICMP host unreachable".to_owned(),
                2 => "ICMP protocol unreachable".to_owned(),
                3 => "ICMP port unreachable".to_owned(),
                4 => "ICMP fragmentation needed".to_owned(),
                _ => format!("ICMP unreachable code {code}"),
            },
            5 => "ICMP redirect".to_owned(),
            11 => "ICMP time exceeded".to_owned(),
            kind => format!("ICMP type {kind} code {code}"),
        }
    }

    fn icmpv6(&self) -> String {
        let code = self.number("icmpv6.code").unwrap_or_default();
        let echo = |what| {
            format!(
                "ICMPv6 echo {what} id {} seq {}",
                self.text("icmpv6.id"),
                self.text("icmpv6.seq")
            )
        };
        match self.number("icmpv6.type").unwrap_or_default() {
            1 => format!("ICMPv6 unreachable code {code}"),
            2 => "ICMPv6 packet too big".to_owned(),
            3 => "ICMPv6 time exceeded".to_owned(),
            128 => echo("request"),
            129 => echo("reply"),
            130 => "ICMPv6 multicast listener query".to_owned(),
            131 | 143 => "ICMPv6 multicast listener report".to_owned(),
            133 => "ICMPv6 router solicitation".to_owned(),
            134 => "ICMPv6 router advertisement".to_owned(),
            135 => format!("ICMPv6 neighbour solicitation who-has {}", self.text("icmpv6.target")),
            136 => format!("ICMPv6 neighbour advertisement of {}", self.text("icmpv6.target")),
            kind => format!("ICMPv6 type {kind} code {code}"),
        }
    }
}

/// IANA "Protocol Numbers", those that are met.
fn protocol_name(protocol: u8) -> String {
    match protocol {
        1 => "ICMP".to_owned(),
        2 => "IGMP".to_owned(),
        6 => "TCP".to_owned(),
        17 => "UDP".to_owned(),
        58 => "ICMPv6".to_owned(),
        _ => format!("protocol {protocol}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::frame::{parse_hex, wire::tests::frames};

    const ETH: &str = "525400123456020000000001";
    const V6: &str = "fe800000000000000000000000000001 fe800000000000000000000000000002";

    #[rstest]
    #[case::arp_request(
        "0806 0001080006040001525400123456 0a000001 000000000000 0a000002",
        "ARP who-has 10.0.0.2 tell 10.0.0.1"
    )]
    #[case::arp_reply(
        "0806 0001080006040002525400123456 0a000002 020000000001 0a000001",
        "ARP reply 10.0.0.2 is-at 52:54:00:12:34:56"
    )]
    #[case::arp_other(
        "0806 0001080006040009525400123456 0a000002 020000000001 0a000001",
        "ARP op 9 10.0.0.2 > 10.0.0.1"
    )]
    #[case::rarp_request(
        "8035 0001080006040003525400123456 00000000 525400123456 00000000",
        "RARP who-is 52:54:00:12:34:56 tell 52:54:00:12:34:56"
    )]
    #[case::rarp_reply(
        "8035 0001080006040004020000000001 0a000001 525400123456 0a000002",
        "RARP op 4 52:54:00:12:34:56"
    )]
    #[case::rarp_cut("8035 00010800", "0x8035")]
    #[case::arp_cut("0806 00010800", "ARP, malformed")]
    #[case::udp(
        "0800 4500002100000000401166ca 0a000001 0a000002 0fa00009000d9856 68656c6c6f",
        "IPv4 10.0.0.1:4000 > 10.0.0.2:9 UDP, 5 B payload"
    )]
    #[case::udp_tagged(
        "8100 a064 0800 4500002100000000401166ca 0a000001 0a000002 0fa00009000d9856 68656c6c6f",
        "vlan 100 pcp 5 IPv4 10.0.0.1:4000 > 10.0.0.2:9 UDP, 5 B payload"
    )]
    #[case::two_tags("88a8 0064 8100 00c8 88b5", "vlan 100 vlan 200 0x88b5")]
    #[case::tcp(
        "0800 450000280000400040060000 0a000001 0a000002 0fa0005000000001000000025012ffff00000000",
        "IPv4 10.0.0.1:4000 > 10.0.0.2:80 TCP [SYN,ACK] seq 1 ack 2 win 65535, 0 B payload"
    )]
    #[case::tcp_cut(
        "0800 4500001c0000400040060000 0a000001 0a000002 0fa0005000000001",
        "IPv4 10.0.0.1 > 10.0.0.2 TCP, malformed, 8 B payload"
    )]
    #[case::echo(
        "0800 450000200000400040010000 0a000001 0a000002 0800000000070001 61626364",
        "IPv4 10.0.0.1 > 10.0.0.2 ICMP echo request id 7 seq 1, 4 B payload"
    )]
    #[case::unreachable(
        "0800 4500001c0000400040010000 0a000001 0a000002 0303000000000000",
        "IPv4 10.0.0.1 > 10.0.0.2 ICMP port unreachable, 0 B payload"
    )]
    #[case::first_fragment(
        "0800 450000240007200040110000 0a000001 0a000002 0fa0000900100000 6162636465666768",
        "IPv4 10.0.0.1:4000 > 10.0.0.2:9 UDP, fragment 7 at 0+, 8 B payload"
    )]
    #[case::last_fragment(
        "0800 4500001c000700b940110000 0a000001 0a000002 0102030405060708",
        "IPv4 10.0.0.1 > 10.0.0.2 UDP, fragment 7 at 1480, 8 B payload"
    )]
    #[case::other_protocol(
        "0800 450000140000000040fd0000 0a000001 0a000002",
        "IPv4 10.0.0.1 > 10.0.0.2 protocol 253, 0 B payload"
    )]
    #[case::ipv4_cut("0800 4500", "IPv4, malformed")]
    #[case::udp_v6(
        &format!("86dd 6000000000091140 {V6} 0fa0000900090000 61"),
        "IPv6 [fe80::1]:4000 > [fe80::2]:9 UDP, 1 B payload"
    )]
    #[case::echo_v6(
        &format!("86dd 6000000000083aff {V6} 8100000000070001"),
        "IPv6 fe80::1 > fe80::2 ICMPv6 echo reply id 7 seq 1, 0 B payload"
    )]
    #[case::solicitation(
        &format!("86dd 6000000000183aff {V6} 8700000000000000 fe800000000000000000000000000002"),
        "IPv6 fe80::1 > fe80::2 ICMPv6 neighbour solicitation who-has fe80::2, 0 B payload"
    )]
    #[case::fragment_v6(
        &format!("86dd 6000000000092c40 {V6} 1100000800000007 61"),
        "IPv6 fe80::1 > fe80::2 UDP, fragment 0x00000007 at 8, 1 B payload"
    )]
    #[case::experimental("88b5 00", "0x88b5")]
    #[case::length("0026 424203", "802.3 length 38")]
    fn lines(#[case] hex: &str, #[case] line: &str) {
        assert_eq!(summary(&parse_hex(&format!("{ETH} {hex}")).unwrap()), line);
    }

    #[test]
    fn a_runt() {
        assert_eq!(summary(&[0; 13]), "shorter than an Ethernet header");
        assert_eq!(summary(b"DO_CHECKPOINT"), "\"DO_CHECKPOINT\"");
        assert_eq!(summary(b"COLO_COMPARE_GET_XEN_INIT"), "\"COLO_COMPARE_GET_XEN_INIT\"");
        assert_eq!(summary(&[b'A'; 65]), "0x4141");
    }

    proptest! {
        #[test]
        fn one_line_for_any_bytes(frame in frames()) {
            let line = summary(&frame);
            prop_assert!(!line.is_empty() && !line.contains('\n'));
        }
    }
}
