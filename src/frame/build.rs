//! Builds a frame from its specification: headers, lengths, checksums and padding. Lowering a
//! scenario builds every frame with it.

use std::net::{Ipv4Addr, Ipv6Addr};

use bytes::Bytes;
use etherparse::{
    ArpEthIpv4Packet, ArpOperation, EtherType, Ethernet2Header, IpFragOffset, IpNumber, Ipv4Header,
    Ipv4Options, Ipv6FlowLabel, Ipv6Header, SingleVlanHeader, TcpHeader, UdpHeader, VlanId,
    VlanPcp, checksum::Sum16BitWords,
};

use super::{
    ArpSpec, IcmpSpec, Ipv4Spec, Ipv6Spec, NetSpec, Spec, TcpSpec, TransportSpec, UdpSpec,
    checksum::{bare, internet, pseudo_v4, pseudo_v6},
    wire::encode_tcp_options,
};
use crate::base::{Frame, MacAddr};

/// IEEE 802 "Local Experimental Ethertype 1": before a payload that no header announces.
const LOCAL_EXPERIMENTAL: u16 = 0x88b5;

/// RFC 3692 section 2.1, "use for experimentation and testing": an IP packet without a transport.
const EXPERIMENTAL_PROTOCOL: u8 = 253;

/// RFC 791 and RFC 9293: a header has at most 15 words, 5 of them fixed.
const MAX_OPTIONS: usize = 40;

/// The Ethernet addresses of a frame that names none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// The address of the port that sends.
    pub src: MacAddr,
    /// The address of the other side.
    pub dst: MacAddr,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// `hex` beside other parts.
    #[error("hex is the whole frame: {part} can't stand beside it")]
    HexAndMore { part: &'static str },
    /// A transport without an IP header.
    #[error("{transport} needs ipv4 or ipv6")]
    TransportWithoutIp { transport: &'static str },
    /// Something after an ARP packet.
    #[error("arp carries no {part}")]
    ArpCarriesNothing { part: &'static str },
    /// ICMPv6 in IPv4, which has no pseudo header for it.
    #[error("icmpv6 needs ipv6")]
    Icmpv6InIpv4,
    /// A number that doesn't fit its bits.
    #[error("{field} is {value}, and at most {max} fits")]
    TooBig {
        field: &'static str,
        value: u64,
        /// The most it can be.
        max: u64,
    },
    /// A packet whose length doesn't fit its header, where none was given.
    #[error("{field} of {len} bytes doesn't fit: give it, or shorten the payload")]
    TooLong { field: &'static str, len: usize },
    /// A frame that is longer than it shall be padded to.
    #[error("the frame has {len} bytes: it can't be padded to {pad_to}")]
    LongerThanPadding {
        len: usize,
        /// The length wanted.
        pad_to: usize,
    },
}

/// Builds a frame. Lengths and checksums are right unless given; an ARP request goes to the
/// broadcast address unless a destination is given; nothing is padded unless `pad_to` says so.
///
/// # Errors
/// When parts exclude each other or a number doesn't fit its field.
pub fn build(spec: &Spec, defaults: &Defaults) -> Result<Frame, BuildError> {
    let vnet = spec.vnet_hdr.unwrap_or_default();
    if let Some(hex) = &spec.hex {
        hex_stands_alone(spec)?;
        return Ok(Frame { vnet, data: hex.clone() });
    }
    let (src, dst) = addresses(spec, defaults);
    let (inner_type, body) = network(spec, src, dst)?;
    let inner_type = spec.eth.ethertype.unwrap_or(inner_type);

    // As many bytes as it will have: nothing is copied again, and nothing kept beside it.
    let length = Ethernet2Header::LEN + SingleVlanHeader::LEN * spec.vlan.len() + body.len();
    let mut data = Vec::with_capacity(length.max(spec.eth.pad_to.unwrap_or_default()));
    let tpids: Vec<u16> =
        spec.vlan.iter().map(|tag| tag.tpid.unwrap_or(EtherType::VLAN_TAGGED_FRAME.0)).collect();
    // Each type announces what follows its own header.
    let mut types = tpids.into_iter().chain([inner_type]);
    let ether_type = EtherType(types.next().unwrap_or(inner_type));
    let header = Ethernet2Header { source: src.0, destination: dst.0, ether_type };
    data.extend(header.to_bytes());
    for (tag, following) in spec.vlan.iter().zip(types) {
        let header = SingleVlanHeader {
            pcp: VlanPcp::try_new(tag.pcp).map_err(|_| too_big("vlan.pcp", tag.pcp, 7_u8))?,
            drop_eligible_indicator: tag.dei,
            vlan_id: VlanId::try_new(tag.id).map_err(|_| too_big("vlan.id", tag.id, 4095_u16))?,
            ether_type: EtherType(following),
        };
        data.extend(header.to_bytes());
    }
    data.extend(body);
    pad(&mut data, spec.eth.pad_to)?;
    Ok(Frame { vnet, data: Bytes::from(data) })
}

fn hex_stands_alone(spec: &Spec) -> Result<(), BuildError> {
    let parts = [
        ("eth", spec.eth != super::EthSpec::default()),
        ("vlan", !spec.vlan.is_empty()),
        ("a network header", spec.net.is_some()),
        ("a transport header", spec.transport.is_some()),
        ("payload", !spec.payload.is_empty()),
    ];
    match parts.into_iter().find(|(_, present)| *present) {
        Some((part, _)) => Err(BuildError::HexAndMore { part }),
        None => Ok(()),
    }
}

fn addresses(spec: &Spec, defaults: &Defaults) -> (MacAddr, MacAddr) {
    let request = matches!(&spec.net, Some(NetSpec::Arp(arp)) if arp.op == ArpOperation::REQUEST.0);
    let dst = if request { MacAddr::BROADCAST } else { defaults.dst };
    (spec.eth.src.unwrap_or(defaults.src), spec.eth.dst.unwrap_or(dst))
}

/// The Ethernet type and everything after it.
fn network(spec: &Spec, src: MacAddr, dst: MacAddr) -> Result<(u16, Vec<u8>), BuildError> {
    let transport = spec.transport.as_ref();
    let payload = &spec.payload[..];
    match &spec.net {
        None => match transport {
            Some(transport) => {
                Err(BuildError::TransportWithoutIp { transport: transport_name(transport) })
            }
            None => Ok((LOCAL_EXPERIMENTAL, payload.to_vec())),
        },
        Some(NetSpec::Arp(arp)) => {
            let part = transport
                .map(transport_name)
                .or_else(|| (!payload.is_empty()).then_some("payload"));
            match part {
                Some(part) => Err(BuildError::ArpCarriesNothing { part }),
                None => Ok((EtherType::ARP.0, arp_packet(arp, src, dst))),
            }
        }
        Some(NetSpec::Ipv4(ip)) => Ok((EtherType::IPV4.0, ipv4(ip, transport, payload)?)),
        Some(NetSpec::Ipv6(ip)) => Ok((EtherType::IPV6.0, ipv6(ip, transport, payload)?)),
    }
}

fn arp_packet(arp: &ArpSpec, src: MacAddr, dst: MacAddr) -> Vec<u8> {
    let unknown = if arp.op == ArpOperation::REQUEST.0 { MacAddr([0; 6]) } else { dst };
    ArpEthIpv4Packet {
        operation: ArpOperation(arp.op),
        sender_mac: arp.sender_mac.unwrap_or(src).0,
        sender_ipv4: arp.sender.octets(),
        target_mac: arp.target_mac.unwrap_or(unknown).0,
        target_ipv4: arp.target.octets(),
    }
    .to_bytes()
    .to_vec()
}

fn ipv4(
    ip: &Ipv4Spec,
    transport: Option<&TransportSpec>,
    payload: &[u8],
) -> Result<Vec<u8>, BuildError> {
    if matches!(transport, Some(TransportSpec::Icmpv6(_))) {
        return Err(BuildError::Icmpv6InIpv4);
    }
    let body = transport_bytes(transport, payload, &Pseudo::V4(ip.src, ip.dst))?;
    let options = Ipv4Options::try_from(&filled("ipv4.options", &ip.options)?[..])
        .map_err(|_| too_big("ipv4.options", ip.options.len() as u64, MAX_OPTIONS as u64))?;
    let len = Ipv4Header::MIN_LEN + options.len() + body.len();
    let [dscp, ecn] = [ip.tos >> 2, ip.tos & 3];
    let mut header = Ipv4Header {
        dscp: dscp.try_into().map_err(|_| too_big("ipv4.tos", ip.tos, u8::MAX))?,
        ecn: ecn.try_into().map_err(|_| too_big("ipv4.tos", ip.tos, u8::MAX))?,
        total_len: length("ipv4.total_len", ip.total_len, len)?,
        identification: ip.id,
        dont_fragment: ip.dont_fragment,
        more_fragments: ip.more_fragments,
        fragment_offset: IpFragOffset::try_new(ip.fragment_offset).map_err(|_| {
            too_big("ipv4.fragment_offset", ip.fragment_offset, IpFragOffset::MAX_U16)
        })?,
        time_to_live: ip.ttl,
        protocol: IpNumber(ip.protocol.unwrap_or_else(|| protocol(transport))),
        header_checksum: 0,
        source: ip.src.octets(),
        destination: ip.dst.octets(),
        options,
    };
    header.header_checksum = ip.checksum.unwrap_or_else(|| header.calc_header_checksum());
    let mut bytes = header.to_bytes().to_vec();
    bytes.extend(body);
    Ok(bytes)
}

fn ipv6(
    ip: &Ipv6Spec,
    transport: Option<&TransportSpec>,
    payload: &[u8],
) -> Result<Vec<u8>, BuildError> {
    let body = transport_bytes(transport, payload, &Pseudo::V6(ip.src, ip.dst))?;
    let header = Ipv6Header {
        traffic_class: ip.traffic_class,
        flow_label: Ipv6FlowLabel::try_new(ip.flow_label)
            .map_err(|_| too_big("ipv6.flow_label", ip.flow_label, Ipv6FlowLabel::MAX_U32))?,
        payload_length: length("ipv6.payload_len", ip.payload_len, body.len())?,
        next_header: IpNumber(ip.next_header.unwrap_or_else(|| protocol(transport))),
        hop_limit: ip.hop_limit,
        source: ip.src.octets(),
        destination: ip.dst.octets(),
    };
    let mut bytes = header.to_bytes().to_vec();
    bytes.extend(body);
    Ok(bytes)
}

/// The addresses that a transport's checksum covers.
enum Pseudo {
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

impl Pseudo {
    fn sum(&self, protocol: IpNumber, len: usize) -> Sum16BitWords {
        match *self {
            Self::V4(src, dst) => pseudo_v4(src, dst, protocol.0, len),
            Self::V6(src, dst) => pseudo_v6(src, dst, protocol.0, len),
        }
    }
}

fn transport_bytes(
    transport: Option<&TransportSpec>,
    payload: &[u8],
    pseudo: &Pseudo,
) -> Result<Vec<u8>, BuildError> {
    match transport {
        None => Ok(payload.to_vec()),
        Some(TransportSpec::Udp(udp)) => udp_bytes(udp, payload, pseudo),
        Some(TransportSpec::Tcp(tcp)) => tcp_bytes(tcp, payload, pseudo),
        Some(TransportSpec::Icmp(icmp)) => Ok(icmp_bytes(icmp, payload, |_| bare())),
        Some(TransportSpec::Icmpv6(icmp)) => {
            Ok(icmp_bytes(icmp, payload, |len| pseudo.sum(IpNumber::IPV6_ICMP, len)))
        }
    }
}

fn udp_bytes(udp: &UdpSpec, payload: &[u8], pseudo: &Pseudo) -> Result<Vec<u8>, BuildError> {
    let len = UdpHeader::LEN + payload.len();
    let header = UdpHeader {
        source_port: udp.sport,
        destination_port: udp.dport,
        length: length("udp.length", udp.length, len)?,
        checksum: 0,
    };
    let mut bytes = header.to_bytes().to_vec();
    bytes.extend_from_slice(payload);
    let checksum = udp.checksum.unwrap_or_else(|| {
        // RFC 768: zero means that there is no checksum.
        match internet(pseudo.sum(IpNumber::UDP, len), &bytes) {
            0 => 0xffff,
            sum => sum,
        }
    });
    bytes[6..8].copy_from_slice(&checksum.to_be_bytes());
    Ok(bytes)
}

fn tcp_bytes(tcp: &TcpSpec, payload: &[u8], pseudo: &Pseudo) -> Result<Vec<u8>, BuildError> {
    if tcp.flags > 0x0fff {
        return Err(too_big("tcp.flags", tcp.flags, 0x0fff_u16));
    }
    let options = filled("tcp.options", &encode_tcp_options(&tcp.options))?;
    let mut header = TcpHeader::new(tcp.sport, tcp.dport, tcp.seq, tcp.window);
    header.acknowledgment_number = tcp.ack;
    header.urgent_pointer = tcp.urgent;
    header
        .set_options_raw(&options)
        .map_err(|_| too_big("tcp.options", options.len() as u64, MAX_OPTIONS as u64))?;
    let mut bytes = header.to_bytes().to_vec();
    // The header's type knows flags one by one and no reserved bits.
    let [high, low] = tcp.flags.to_be_bytes();
    bytes[12] |= high;
    bytes[13] = low;
    bytes.extend_from_slice(payload);
    let checksum =
        tcp.checksum.unwrap_or_else(|| internet(pseudo.sum(IpNumber::TCP, bytes.len()), &bytes));
    bytes[16..18].copy_from_slice(&checksum.to_be_bytes());
    Ok(bytes)
}

fn icmp_bytes(
    icmp: &IcmpSpec,
    payload: &[u8],
    pseudo: impl FnOnce(usize) -> Sum16BitWords,
) -> Vec<u8> {
    let mut bytes = vec![icmp.kind, icmp.code, 0, 0];
    bytes.extend(icmp.rest);
    bytes.extend_from_slice(payload);
    let checksum = icmp.checksum.unwrap_or_else(|| internet(pseudo(bytes.len()), &bytes));
    bytes[2..4].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

/// Options filled with zeros to whole words of four bytes.
fn filled(field: &'static str, options: &[u8]) -> Result<Vec<u8>, BuildError> {
    if options.len() > MAX_OPTIONS {
        return Err(too_big(field, options.len() as u64, MAX_OPTIONS as u64));
    }
    let mut bytes = options.to_vec();
    bytes.resize(options.len().next_multiple_of(4), 0);
    Ok(bytes)
}

fn length(field: &'static str, given: Option<u16>, len: usize) -> Result<u16, BuildError> {
    match given {
        Some(given) => Ok(given),
        None => u16::try_from(len).map_err(|_| BuildError::TooLong { field, len }),
    }
}

fn pad(data: &mut Vec<u8>, pad_to: Option<usize>) -> Result<(), BuildError> {
    let Some(pad_to) = pad_to else { return Ok(()) };
    if data.len() > pad_to {
        return Err(BuildError::LongerThanPadding { len: data.len(), pad_to });
    }
    data.resize(pad_to, 0);
    Ok(())
}

fn protocol(transport: Option<&TransportSpec>) -> u8 {
    match transport {
        None => EXPERIMENTAL_PROTOCOL,
        Some(TransportSpec::Udp(_)) => IpNumber::UDP.0,
        Some(TransportSpec::Tcp(_)) => IpNumber::TCP.0,
        Some(TransportSpec::Icmp(_)) => IpNumber::ICMP.0,
        Some(TransportSpec::Icmpv6(_)) => IpNumber::IPV6_ICMP.0,
    }
}

fn transport_name(transport: &TransportSpec) -> &'static str {
    match transport {
        TransportSpec::Udp(_) => "udp",
        TransportSpec::Tcp(_) => "tcp",
        TransportSpec::Icmp(_) => "icmp",
        TransportSpec::Icmpv6(_) => "icmpv6",
    }
}

fn too_big(field: &'static str, value: impl Into<u64>, max: impl Into<u64>) -> BuildError {
    BuildError::TooBig { field, value: value.into(), max: max.into() }
}

#[cfg(test)]
mod tests;
