//! A frame as a scenario declares it, layer by layer. Lowering fills it, and `build` makes bytes of
//! it.

use std::net::{Ipv4Addr, Ipv6Addr};

use bytes::Bytes;

use crate::base::{MacAddr, VnetHdr};

/// A frame in the language's words. What is `None` is worked out by [`build`](super::build).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spec {
    /// The virtio-net header beside the frame; all zero when none is given.
    pub vnet_hdr: Option<VnetHdr>,
    /// The whole frame as given; excludes every other part but `vnet_hdr`.
    pub hex: Option<Bytes>,
    pub eth: EthSpec,
    /// IEEE 802.1Q tags, outermost first.
    pub vlan: Vec<VlanSpec>,
    /// What follows the Ethernet header and the tags.
    pub net: Option<NetSpec>,
    /// What follows the IP header.
    pub transport: Option<TransportSpec>,
    /// What follows the last header.
    pub payload: Bytes,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EthSpec {
    /// By default the other side's address; broadcast for an ARP request.
    pub dst: Option<MacAddr>,
    /// By default the sending port's address.
    pub src: Option<MacAddr>,
    /// By default what follows; 0x88b5 (IEEE 802 local experimental) before a bare payload.
    pub ethertype: Option<u16>,
    /// Zero bytes are appended up to this length of the frame.
    pub pad_to: Option<usize>,
}

/// An IEEE 802.1Q tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VlanSpec {
    /// By default 0x8100.
    pub tpid: Option<u16>,
    /// 0 to 4095.
    pub id: u16,
    /// Priority, 0 to 7.
    pub pcp: u8,
    /// Drop eligible.
    pub dei: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetSpec {
    /// ARP for IPv4 over Ethernet (RFC 826).
    Arp(ArpSpec),
    /// RFC 791.
    Ipv4(Ipv4Spec),
    /// RFC 8200, without extension headers.
    Ipv6(Ipv6Spec),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArpSpec {
    /// 1 request, 2 reply.
    pub op: u16,
    pub sender: Ipv4Addr,
    pub target: Ipv4Addr,
    /// By default the frame's source address.
    pub sender_mac: Option<MacAddr>,
    /// By default all zero in a request, otherwise the frame's destination address.
    pub target_mac: Option<MacAddr>,
}

/// An IPv4 header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ipv4Spec {
    pub src: Ipv4Addr,
    pub dst: Ipv4Addr,
    /// Time to live; 64 by default.
    pub ttl: u8,
    pub id: u16,
    /// Type of service: DSCP and ECN.
    pub tos: u8,
    /// DF.
    pub dont_fragment: bool,
    /// MF.
    pub more_fragments: bool,
    /// In units of 8 bytes, 0 to 8191.
    pub fragment_offset: u16,
    /// By default that of the transport; 253 (RFC 3692, experiments) without one.
    pub protocol: Option<u8>,
    /// By default right.
    pub checksum: Option<u16>,
    /// By default right.
    pub total_len: Option<u16>,
    /// As they stand in the header, at most 40 bytes; filled with zeros to a multiple of 4.
    pub options: Bytes,
}

impl Default for Ipv4Spec {
    fn default() -> Self {
        Self {
            src: Ipv4Addr::UNSPECIFIED,
            dst: Ipv4Addr::UNSPECIFIED,
            ttl: 64,
            id: 0,
            tos: 0,
            dont_fragment: false,
            more_fragments: false,
            fragment_offset: 0,
            protocol: None,
            checksum: None,
            total_len: None,
            options: Bytes::new(),
        }
    }
}

/// An IPv6 header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ipv6Spec {
    pub src: Ipv6Addr,
    pub dst: Ipv6Addr,
    /// Hop limit; 64 by default.
    pub hop_limit: u8,
    pub traffic_class: u8,
    /// Flow label, 20 bits.
    pub flow_label: u32,
    /// By default that of the transport; 253 (RFC 3692, experiments) without one.
    pub next_header: Option<u8>,
    /// By default right.
    pub payload_len: Option<u16>,
}

impl Default for Ipv6Spec {
    fn default() -> Self {
        Self {
            src: Ipv6Addr::UNSPECIFIED,
            dst: Ipv6Addr::UNSPECIFIED,
            hop_limit: 64,
            traffic_class: 0,
            flow_label: 0,
            next_header: None,
            payload_len: None,
        }
    }
}

/// The transport layer. A checksum that is not given covers what this frame carries, also when the
/// frame is a fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransportSpec {
    /// RFC 768.
    Udp(UdpSpec),
    /// RFC 9293.
    Tcp(TcpSpec),
    /// ICMP for IPv4 (RFC 792).
    Icmp(IcmpSpec),
    /// ICMP for IPv6 (RFC 4443).
    Icmpv6(IcmpSpec),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UdpSpec {
    pub sport: u16,
    pub dport: u16,
    /// By default right.
    pub checksum: Option<u16>,
    /// By default right.
    pub length: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpSpec {
    pub sport: u16,
    pub dport: u16,
    pub seq: u32,
    pub ack: u32,
    /// FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128; the four reserved bits above.
    pub flags: u16,
    /// Window, unscaled; 65535 by default.
    pub window: u16,
    pub urgent: u16,
    /// By default right.
    pub checksum: Option<u16>,
    /// At most 40 bytes once encoded; filled with zeros to a multiple of 4.
    pub options: Vec<TcpOption>,
}

impl Default for TcpSpec {
    fn default() -> Self {
        Self {
            sport: 0,
            dport: 0,
            seq: 0,
            ack: 0,
            flags: 0,
            window: u16::MAX,
            urgent: 0,
            checksum: None,
            options: Vec::new(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TcpOption {
    /// Kind 1.
    Nop,
    /// Kind 0: the end of the list.
    End,
    /// Kind 2: maximum segment size in bytes.
    Mss(u16),
    /// Kind 3: the shift (RFC 7323).
    WindowScale(u8),
    /// Kind 4 (RFC 2018).
    SackPermitted,
    /// Kind 5: left and right edges (RFC 2018).
    Sack(Vec<(u32, u32)>),
    /// Kind 8 (RFC 7323).
    Timestamps {
        /// TSval.
        value: u32,
        /// TSecr.
        echo: u32,
    },
    /// Bytes as they stand in the header, kind and length included.
    Raw(Bytes),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IcmpSpec {
    /// Type: 8 and 0 are echo request and reply, 128 and 129 in ICMPv6.
    pub kind: u8,
    pub code: u8,
    /// What follows the checksum; for an echo its identifier and sequence number.
    pub rest: [u8; 4],
    /// By default right.
    pub checksum: Option<u16>,
}
