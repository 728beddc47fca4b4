//! The conversation that a frame belongs to. Labels and comparisons group frames by it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::wire::{Dissection, Field};
use crate::base::MacAddr;

/// What the frames of one conversation have in common, in one direction. Tags are not part of it,
/// and of IP and ARP packets neither are Ethernet addresses: a filter or a router may rewrite them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowKey {
    /// The Ethernet type after all tags.
    pub ethertype: u16,
    pub net: NetKey,
    /// Source and destination port of UDP and TCP; twice the identifier of an ICMP echo. None for
    /// what has no such thing, later fragments among it.
    pub ports: Option<(u16, u16)>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NetKey {
    /// IPv4 or IPv6.
    Ip {
        src: IpAddr,
        dst: IpAddr,
        /// The protocol after all extension headers.
        protocol: u8,
    },
    Arp {
        sender: Ipv4Addr,
        target: Ipv4Addr,
    },
    /// Anything else.
    Link {
        src: MacAddr,
        dst: MacAddr,
    },
}

/// The frame's flow; none for bytes that are shorter than an Ethernet header.
#[must_use]
pub fn flow(frame: &[u8]) -> Option<FlowKey> {
    let dissection = Dissection::of(frame);
    let ethertype = dissection
        .fields()
        .filter(|field| matches!(field.name, "eth.type" | "vlan.type"))
        .last()
        .map(low_word)?;
    let net = net_key(&dissection)?;
    Some(FlowKey { ethertype, net, ports: ports(&dissection) })
}

fn net_key(dissection: &Dissection<'_>) -> Option<NetKey> {
    let v4 = |name| dissection.field(name).and_then(ipv4);
    let v6 = |name| dissection.field(name).and_then(ipv6);
    let mac = |name| dissection.field(name).and_then(|field| field.bytes().try_into().ok());
    if let (Some(src), Some(dst)) = (v4("ipv4.src"), v4("ipv4.dst")) {
        let protocol = protocol(dissection)?;
        Some(NetKey::Ip { src: src.into(), dst: dst.into(), protocol })
    } else if let (Some(src), Some(dst)) = (v6("ipv6.src"), v6("ipv6.dst")) {
        let protocol = protocol(dissection)?;
        Some(NetKey::Ip { src: src.into(), dst: dst.into(), protocol })
    } else if let (Some(sender), Some(target)) = (v4("arp.sender_ip"), v4("arp.target_ip")) {
        Some(NetKey::Arp { sender, target })
    } else {
        Some(NetKey::Link { src: MacAddr(mac("eth.src")?), dst: MacAddr(mac("eth.dst")?) })
    }
}

/// The protocol after the last IP or extension header.
pub(super) fn protocol(dissection: &Dissection<'_>) -> Option<u8> {
    dissection
        .fields()
        .filter(|field| field.name == "ipv4.protocol" || field.name.ends_with(".next_header"))
        .last()
        .and_then(|field| field.bytes().first().copied())
}

/// Source and destination port, or twice an echo's identifier.
pub(super) fn ports(dissection: &Dissection<'_>) -> Option<(u16, u16)> {
    let number = |name| dissection.field(name).map(low_word);
    [("udp.sport", "udp.dport"), ("tcp.sport", "tcp.dport"), ("icmp.id", "icmp.id")]
        .into_iter()
        .chain([("icmpv6.id", "icmpv6.id")])
        .find_map(|(src, dst)| Some((number(src)?, number(dst)?)))
}

fn low_word(field: &Field<'_>) -> u16 {
    field.bytes().iter().fold(0, |all, byte| all << 8 | u16::from(*byte))
}

fn ipv4(field: &Field<'_>) -> Option<Ipv4Addr> {
    <[u8; 4]>::try_from(field.bytes()).ok().map(Ipv4Addr::from)
}

fn ipv6(field: &Field<'_>) -> Option<Ipv6Addr> {
    <[u8; 16]>::try_from(field.bytes()).ok().map(Ipv6Addr::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::parse_hex;

    const UDP: &str = "525400123456 020000000001 0800 450000210000000040116cca 0a000001 0a000002 \
                       0fa00009000d9856 68656c6c6f";

    fn key(hex: &str) -> Option<FlowKey> {
        flow(&parse_hex(hex).unwrap())
    }

    #[test]
    fn a_rewritten_address_or_tag_stays_in_the_flow() {
        let tagged = UDP.replace("020000000001 0800", "02000000ffff 8100 0064 0800");
        assert_eq!(key(UDP), key(&tagged));
        assert_eq!(key(UDP).unwrap().ports, Some((4000, 9)));
    }

    #[test]
    fn the_other_direction_is_another_flow() {
        let back = UDP.replace("0a000001 0a000002", "0a000002 0a000001");
        assert_ne!(key(UDP), key(&back));
    }

    #[test]
    fn what_is_not_ip_is_told_apart_by_its_ethernet_addresses() {
        let net = key("ffffffffffff 525400123456 88b5").unwrap().net;
        let src = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
        assert_eq!(net, NetKey::Link { src, dst: MacAddr::BROADCAST });
        assert_eq!(key("ffffffffffff 525400123456 88"), None);
    }
}
