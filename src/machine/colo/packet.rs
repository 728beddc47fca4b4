//! Where a packet's headers begin (QEMU 10.2.2 net/colo.c:43-98), and TCP's numbers (RFC 9293).

/// `ETH_P_VLAN` and `ETH_P_DVLAN` (QEMU 10.2.2 include/net/eth.h).
const VLAN: u16 = 0x8100;
const DOUBLE_VLAN: u16 = 0x88a8;
const IPV4: u16 = 0x0800;

const ETHERNET: usize = 14;
const TAG: usize = 4;
/// An IPv4 or TCP header without options.
const SHORTEST_HEADER: usize = 20;

/// The longest virtio-net header that is understood: `virtio_net_hdr_v1_hash`.
const LONGEST_VNET: usize = 20;

const TCP: u8 = 6;
const AH: u8 = 51;

/// Flags of a TCP header's byte 13.
pub(in crate::machine) mod flag {
    pub(in crate::machine) const FIN: u8 = 0x01;
    pub(in crate::machine) const SYN: u8 = 0x02;
    pub(in crate::machine) const RST: u8 = 0x04;
    pub(in crate::machine) const ACK: u8 = 0x10;
}

/// Where the headers of an IPv4 packet begin, in bytes from the start of the data, the virtio-net
/// header included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::machine) struct Headers {
    pub(in crate::machine) ethernet: usize,
    /// The IPv4 header.
    pub(in crate::machine) network: usize,
    /// What follows the IPv4 header.
    pub(in crate::machine) transport: usize,
    /// IPv4's protocol number.
    pub(in crate::machine) protocol: u8,
    /// VLAN ids, the inner one in the low 12 bits; 0 where tags are not looked at.
    pub(in crate::machine) vlans: u32,
}

impl Headers {
    /// Reads a frame behind its virtio-net header of `vnet` bytes. None when QEMU calls the packet
    /// unsupported: anything but IPv4, 802.1Q (an 802.1ad tag will do), too short.
    ///
    /// QEMU reads past the end of a packet that lacks 20 bytes of IPv4 header or the ports of its
    /// protocol; here such a packet is unsupported too. `tags` looks behind VLAN tags.
    pub(in crate::machine) fn read(data: &[u8], vnet: usize, tags: bool) -> Option<Self> {
        let headers = Self::network(data, vnet, tags)?;
        let transport = headers.transport;
        data.get(transport..transport + needed(headers.protocol))?;
        Some(headers)
    }

    /// [`Headers::read`] for a packet whose transport header is of no interest or not there.
    pub(in crate::machine) fn network(data: &[u8], vnet: usize, tags: bool) -> Option<Self> {
        if vnet > LONGEST_VNET || data.len() < vnet + ETHERNET + TAG {
            return None;
        }
        let (network, vlans) =
            if tags { behind_tags(data, vnet)? } else { (vnet + qemu_link_length(data, vnet)?, 0) };
        if word(data, network - 2)? != IPV4 {
            return None;
        }
        data.get(network..network + SHORTEST_HEADER)?;
        let transport = network + usize::from(data.get(network)? & 0x0f) * 4;
        let protocol = *data.get(network + 9)?;
        data.get(transport..)?;
        Some(Self { ethernet: vnet, network, transport, protocol, vlans })
    }

    /// Whether the packet is a fragment but not the first of its datagram: it has no transport
    /// header (RFC 791).
    pub(in crate::machine) fn is_later_fragment(&self, data: &[u8]) -> bool {
        word(data, self.network + 6).is_some_and(|word| word & 0x1fff != 0)
    }

    pub(in crate::machine) const fn is_tcp(&self) -> bool {
        self.protocol == TCP
    }
}

/// Bytes of the link header as QEMU counts them; none for 802.1Q, which it does not read.
fn qemu_link_length(data: &[u8], ethernet: usize) -> Option<usize> {
    match word(data, ethernet + 12)? {
        VLAN => None,
        DOUBLE_VLAN if word(data, ethernet + 16)? == VLAN => Some(ETHERNET + 2 * TAG),
        DOUBLE_VLAN => Some(ETHERNET + TAG),
        _ => Some(ETHERNET),
    }
}

/// Where the network header is behind at most two tags, and their VLAN ids.
fn behind_tags(data: &[u8], ethernet: usize) -> Option<(usize, u32)> {
    let (mut at, mut vlans) = (ethernet + 12, 0);
    for _ in 0..2 {
        if !matches!(word(data, at)?, VLAN | DOUBLE_VLAN) {
            break;
        }
        vlans = (vlans << 12) | u32::from(word(data, at + 2)? & 0x0fff);
        at += TAG;
    }
    Some((at + 2, vlans))
}

/// Bytes of the transport header that a user of the packet reads.
fn needed(protocol: u8) -> usize {
    match protocol {
        TCP => SHORTEST_HEADER,
        AH => 8,
        protocol if super::key::has_ports(protocol) => 4,
        _ => 0,
    }
}

/// What the colo filters read of a TCP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::machine) struct TcpHeader {
    pub(in crate::machine) seq: u32,
    pub(in crate::machine) ack: u32,
    /// Bytes of the header, options included, as it says itself; it may say anything from 0 to 60.
    pub(in crate::machine) length: usize,
    pub(in crate::machine) flags: u8,
}

impl TcpHeader {
    /// The header at `transport`; none when 20 bytes of it are not there.
    pub(in crate::machine) fn read(data: &[u8], transport: usize) -> Option<Self> {
        let header = data.get(transport..transport + SHORTEST_HEADER)?;
        Some(Self {
            seq: long(header, 4)?,
            ack: long(header, 8)?,
            length: usize::from(*header.get(12)? >> 4) * 4,
            flags: *header.get(13)?,
        })
    }

    /// Whether every one of these flags is set.
    pub(in crate::machine) const fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }
}

/// A big-endian u16.
pub(super) fn word(data: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(data.get(at..at + 2)?.try_into().ok()?))
}

/// A big-endian u32.
pub(super) fn long(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(data.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const MACS: &str = "525400000002 525400000001";
    /// An IPv4 header without options, then four bytes of ports.
    const UDP: &str = "45000018 00014000 40110000 0a000001 0a000002 0fa00050";
    const TCP_SYN: &str =
        "45000028 00014000 40060000 0a000001 0a000002 0fa00050 00001388 00000000 5002ffff 00000000";

    fn bytes(parts: &[&str]) -> Vec<u8> {
        let digits: Vec<u8> = parts
            .concat()
            .chars()
            .filter_map(|digit| digit.to_digit(16))
            .map(|digit| digit as u8)
            .collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    #[rstest]
    #[case::udp(&["0800", UDP], Some((14, 34, 17)))]
    #[case::tcp(&["0800", TCP_SYN], Some((14, 34, 6)))]
    #[case::ip_options(&["0800", "4600001c 00014000 40110000 0a000001 0a000002 01010100 0fa00050"], Some((14, 38, 17)))]
    #[case::any_ip_version(&["0800", "65000018 00014000 40110000 0a000001 0a000002 0fa00050"], Some((14, 34, 17)))]
    #[case::ihl_of_0(&["0800", "40000018 00014000 40110000 0a000001 0a000002 0fa00050"], Some((14, 14, 17)))]
    #[case::arp(&["0806", UDP], None)]
    #[case::ipv6(&["86dd", UDP], None)]
    #[case::llc(&["0020", UDP], None)]
    #[case::vlan(&["8100 0005 0800", UDP], None)]
    #[case::service_tag(&["88a8 0005 0800", UDP], Some((18, 38, 17)))]
    #[case::two_tags(&["88a8 0005 8100 0006 0800", UDP], Some((22, 42, 17)))]
    #[case::two_service_tags(&["88a8 0005 88a8 0006 0800", UDP], None)]
    #[case::tags_and_nothing_else(&["88a8 0000 8100"], None)]
    #[case::below_18_bytes(&["0800 450000"], None)]
    #[case::half_an_ip_header(&["0800 45000018 00014000"], None)]
    #[case::options_cut(&["0800", "4f00003c 00014000 40110000 0a000001 0a000002"], None)]
    #[case::ports_cut(&["0800", "45000017 00014000 40110000 0a000001 0a000002 0fa0"], None)]
    #[case::ah_cut(&["0800", "45000018 00014000 40330000 0a000001 0a000002 11040000"], None)]
    #[case::icmp_without_a_body(&["0800", "45000014 00014000 40010000 0a000001 0a000002"], Some((14, 34, 1)))]
    #[case::tcp_cut(&["0800", "45000026 00014000 40060000 0a000001 0a000002 0fa00050 00001388 00000000 5002ffff"], None)]
    fn headers(#[case] parts: &[&str], #[case] expected: Option<(usize, usize, u8)>) {
        let frame = bytes(&[&[MACS], parts].concat());
        let found = Headers::read(&frame, 0, false);
        let found = found.map(|found| (found.network, found.transport, found.protocol));
        assert_eq!(found, expected);
    }

    #[rstest]
    #[case::none(&["0800", UDP], Some((14, 0)))]
    #[case::one(&["8100 2005 0800", UDP], Some((18, 5)))]
    #[case::service(&["88a8 0fff 0800", UDP], Some((18, 0xfff)))]
    #[case::two(&["88a8 0005 8100 0006 0800", UDP], Some((22, 0x5006)))]
    #[case::two_of_one_kind(&["8100 0005 8100 0006 0800", UDP], Some((22, 0x5006)))]
    #[case::three(&["8100 0005 8100 0006 8100 0007 0800", UDP], None)]
    #[case::cut(&["8100 0005 8100"], None)]
    fn headers_behind_tags(#[case] parts: &[&str], #[case] expected: Option<(usize, u32)>) {
        let frame = bytes(&[&[MACS], parts].concat());
        let found = Headers::read(&frame, 0, true).map(|found| (found.network, found.vlans));
        assert_eq!(found, expected);
    }

    #[rstest]
    #[case::long(12, Some(26))]
    #[case::longest(20, Some(34))]
    #[case::too_long(21, None)]
    fn a_vnet_header_in_front(#[case] vnet: usize, #[case] network: Option<usize>) {
        let mut frame = vec![0; vnet];
        frame.extend(bytes(&[MACS, "0800", UDP]));
        let found = Headers::read(&frame, vnet, false).map(|found| found.network);
        assert_eq!(found, network);
    }

    #[test]
    fn a_tcp_header() {
        let data = bytes(&["0fa00050 00001388 ffffffff 6012ffff 00000000"]);
        let tcp = TcpHeader::read(&data, 0).unwrap();
        assert_eq!((tcp.seq, tcp.ack, tcp.length, tcp.flags), (5000, u32::MAX, 24, 0x12));
        assert!(tcp.has(flag::SYN | flag::ACK) && !tcp.has(flag::SYN | flag::RST));
        assert_eq!(TcpHeader::read(&data, 1), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever the bytes, what is found lies within them.
        #[test]
        fn any_bytes(
            mut data in proptest::collection::vec(any::<u8>(), 0..90),
            vnet in 0_usize..24,
            kind in prop_oneof![Just(IPV4), Just(VLAN), Just(DOUBLE_VLAN)],
            tags: bool,
        ) {
            if let Some(ethertype) = data.get_mut(vnet + 12..vnet + 14) {
                ethertype.copy_from_slice(&kind.to_be_bytes());
            }
            if let Some(found) = Headers::read(&data, vnet, tags) {
                prop_assert!(found.network + 20 <= data.len());
                prop_assert!(found.transport + needed(found.protocol) <= data.len());
                prop_assert!(!found.is_tcp() || TcpHeader::read(&data, found.transport).is_some());
            }
        }
    }
}
