//! Specifications and the bytes that they must give, and those that can't be built.

use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::{
    base::VnetHdr,
    frame::{
        EthSpec, TcpOption, VlanSpec, checksum::complete_checksum, hex_groups, parse_hex,
        wire::Dissection,
    },
};

const GUEST: MacAddr = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
const HOST: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const A6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
const B6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);

fn built(spec: &Spec) -> Result<Frame, BuildError> {
    build(spec, &Defaults { src: GUEST, dst: HOST })
}

fn text(spec: &Spec) -> String {
    hex_groups(&built(spec).unwrap().data)
}

fn arp(op: u16) -> Spec {
    let arp = ArpSpec { op, sender: A, target: B, sender_mac: None, target_mac: None };
    Spec { net: Some(NetSpec::Arp(arp)), ..Spec::default() }
}

fn v4() -> Ipv4Spec {
    Ipv4Spec { src: A, dst: B, ..Ipv4Spec::default() }
}

fn over_v4(transport: TransportSpec, payload: &'static [u8]) -> Spec {
    Spec {
        net: Some(NetSpec::Ipv4(v4())),
        transport: Some(transport),
        payload: Bytes::from_static(payload),
        ..Spec::default()
    }
}

fn over_v6(transport: TransportSpec, payload: &'static [u8]) -> Spec {
    let ip = Ipv6Spec { src: A6, dst: B6, ..Ipv6Spec::default() };
    Spec { net: Some(NetSpec::Ipv6(ip)), ..over_v4(transport, payload) }
}

fn udp() -> TransportSpec {
    TransportSpec::Udp(UdpSpec { sport: 4000, dport: 9, ..UdpSpec::default() })
}

fn tcp(flags: u16) -> TransportSpec {
    TransportSpec::Tcp(TcpSpec { sport: 4000, dport: 80, seq: 1, flags, ..TcpSpec::default() })
}

#[test]
fn an_arp_request_is_broadcast() {
    assert_eq!(
        text(&arp(1)),
        "ffffffffffff525400123456 0806 0001080006040001525400123456 0a000001 000000000000 0a000002"
    );
}

#[test]
fn an_arp_reply_goes_to_the_other_side() {
    assert_eq!(
        text(&arp(2)),
        "020000000001525400123456 0806 0001080006040002525400123456 0a000001 020000000001 0a000002"
    );
}

#[test]
fn an_arp_request_goes_where_it_is_told() {
    let spec = Spec { eth: EthSpec { dst: Some(HOST), ..EthSpec::default() }, ..arp(1) };
    assert!(text(&spec).starts_with("020000000001525400123456 0806"));
}

#[test]
fn udp_over_ipv4() {
    assert_eq!(
        text(&over_v4(udp(), b"hello")),
        "020000000001525400123456 0800 4500002100000000401166ca 0a000001 0a000002 \
         0fa00009000d9856 68656c6c6f"
    );
}

/// RFC 1071 section 1: over data with its checksum the sum is all ones.
#[rstest]
#[case::icmp(over_v4(TransportSpec::Icmp(IcmpSpec { kind: 8, rest: [0, 1, 0, 2], ..IcmpSpec::default() }), b"ab"))]
#[case::udp(over_v4(udp(), b"hello"))]
#[case::udp_odd_v6(over_v6(udp(), b"hello"))]
#[case::tcp(over_v4(tcp(2), b""))]
#[case::tcp_v6(over_v6(tcp(0x18), b"xyz"))]
#[case::icmpv6(over_v6(TransportSpec::Icmpv6(IcmpSpec { kind: 128, ..IcmpSpec::default() }), b"abc"))]
fn a_built_checksum_adds_up(#[case] spec: Spec) {
    let frame = built(&spec).unwrap().data;
    let dissection = Dissection::of(&frame);
    let transport = &dissection.layers[2];
    let len = frame.len() - transport.range.start;
    let pseudo = match (transport.name, &spec.net) {
        ("icmp", _) => bare(),
        ("udp", Some(NetSpec::Ipv4(_))) => pseudo_v4(A, B, 17, len),
        ("tcp", Some(NetSpec::Ipv4(_))) => pseudo_v4(A, B, 6, len),
        ("udp", _) => pseudo_v6(A6, B6, 17, len),
        ("tcp", _) => pseudo_v6(A6, B6, 6, len),
        _ => pseudo_v6(A6, B6, 58, len),
    };
    assert_eq!(internet(pseudo, &frame[transport.range.start..]), 0);
    if let Some(ip) = dissection.layer("ipv4") {
        assert_eq!(internet(bare(), &frame[ip.range.clone()]), 0);
    }
}

#[test]
fn virtio_s_partial_checksum_completes_to_the_built_one() {
    let whole = built(&over_v4(tcp(0x18), b"hello")).unwrap().data;
    let mut partial = whole.to_vec();
    // Linux leaves the folded pseudo header in the field.
    let pseudo = !internet(pseudo_v4(A, B, 6, 25), &[]);
    partial[50..52].copy_from_slice(&pseudo.to_be_bytes());
    assert!(complete_checksum(&mut partial, 34, 16));
    assert_eq!(partial, whole);
}

#[test]
fn given_numbers_are_kept_though_they_are_wrong() {
    let ip = Ipv4Spec { checksum: Some(1), total_len: Some(2), protocol: Some(3), ..v4() };
    let udp = UdpSpec { checksum: Some(0), length: Some(5), ..UdpSpec::default() };
    let spec = Spec {
        net: Some(NetSpec::Ipv4(ip)),
        transport: Some(TransportSpec::Udp(udp)),
        ..Spec::default()
    };
    let frame = built(&spec).unwrap().data;
    assert_eq!(frame[16..18], [0, 2]);
    assert_eq!(frame[23..26], [3, 0, 1]);
    assert_eq!(frame[38..42], [0, 5, 0, 0]);
}

#[test]
fn tags_announce_each_other() {
    let vlan = vec![
        VlanSpec { tpid: Some(0x88a8), id: 100, pcp: 5, dei: true },
        VlanSpec { id: 200, ..VlanSpec::default() },
    ];
    let spec = Spec { vlan, payload: Bytes::from_static(&[1]), ..Spec::default() };
    assert_eq!(text(&spec), "020000000001525400123456 88a8 b064 8100 00c8 88b5 01");
}

#[test]
fn options_fill_whole_words() {
    let options = vec![TcpOption::Mss(1460), TcpOption::WindowScale(7)];
    let tcp = TcpSpec { flags: 2, options, ..TcpSpec::default() };
    let frame = built(&over_v4(TransportSpec::Tcp(tcp), b"")).unwrap().data;
    assert_eq!(frame[54..], [2, 4, 5, 0xb4, 3, 3, 7, 0]);
    assert_eq!(Dissection::of(&frame).field("tcp.data_offset").unwrap().value(), "7");
}

#[test]
fn reserved_flags_are_kept() {
    let frame = built(&over_v4(tcp(0x0f12), b"")).unwrap().data;
    assert_eq!(frame[46..48], [0x5f, 0x12]);
}

#[test]
fn padding_is_zeros() {
    let spec = Spec { eth: EthSpec { pad_to: Some(60), ..EthSpec::default() }, ..arp(1) };
    assert!(text(&spec).ends_with("0a000002 (00*18)"));
}

#[test]
fn hex_is_the_whole_frame_with_its_vnet_header() {
    let vnet = VnetHdr { flags: 1, ..VnetHdr::default() };
    let spec =
        Spec { vnet_hdr: Some(vnet), hex: Some(Bytes::from_static(&[1, 2, 3])), ..Spec::default() };
    assert_eq!(built(&spec), Ok(Frame { vnet, data: Bytes::from_static(&[1, 2, 3]) }));
}

#[rstest]
#[case::hex_and_payload(
    Spec { hex: Some(Bytes::new()), payload: Bytes::from_static(b"x"), ..Spec::default() },
    BuildError::HexAndMore { part: "payload" }
)]
#[case::udp_in_the_air(
    Spec { transport: Some(udp()), ..Spec::default() },
    BuildError::TransportWithoutIp { transport: "udp" }
)]
#[case::udp_in_arp(
    Spec { transport: Some(udp()), ..arp(1) },
    BuildError::ArpCarriesNothing { part: "udp" }
)]
#[case::icmpv6_in_ipv4(
    over_v4(TransportSpec::Icmpv6(IcmpSpec::default()), b""),
    BuildError::Icmpv6InIpv4
)]
#[case::tag(
    Spec { vlan: vec![VlanSpec { id: 4096, ..VlanSpec::default() }], ..Spec::default() },
    BuildError::TooBig { field: "vlan.id", value: 4096, max: 4095 }
)]
#[case::priority(
    Spec { vlan: vec![VlanSpec { pcp: 8, ..VlanSpec::default() }], ..Spec::default() },
    BuildError::TooBig { field: "vlan.pcp", value: 8, max: 7 }
)]
#[case::flags(over_v4(tcp(0x1000), b""), BuildError::TooBig { field: "tcp.flags", value: 0x1000, max: 0x0fff })]
#[case::long(over_v4(udp(), &[0; 65529]), BuildError::TooLong { field: "udp.length", len: 65537 })]
#[case::padding(
    Spec { eth: EthSpec { pad_to: Some(41), ..EthSpec::default() }, ..arp(1) },
    BuildError::LongerThanPadding { len: 42, pad_to: 41 }
)]
fn refused(#[case] spec: Spec, #[case] error: BuildError) {
    assert_eq!(built(&spec), Err(error));
}

#[test]
fn bare_payload_has_the_experimental_type() {
    let spec = Spec { payload: Bytes::from_static(&[0]), ..Spec::default() };
    assert_eq!(
        built(&spec).unwrap().data[..],
        parse_hex("020000000001525400123456 88b5 00").unwrap()
    );
}

proptest! {
    /// What is asked for is what is read.
    #[test]
    fn built_fields_are_read_back(
        (sport, dport, seq, ack, flags, window, urgent) in any::<(u16, u16, u32, u32, u16, u16, u16)>(),
        (ttl, id, tos) in any::<(u8, u16, u8)>(),
        payload in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let flags = flags & 0x0fff;
        let spec = Spec {
            net: Some(NetSpec::Ipv4(Ipv4Spec { ttl, id, tos, ..v4() })),
            transport: Some(TransportSpec::Tcp(TcpSpec {
                sport, dport, seq, ack, flags, window, urgent, ..TcpSpec::default()
            })),
            payload: payload.clone().into(),
            ..Spec::default()
        };
        let frame = built(&spec).unwrap().data;
        let dissection = Dissection::of(&frame);
        let number = |name| dissection.field(name).unwrap().number();
        prop_assert_eq!(number("tcp.sport"), u32::from(sport));
        prop_assert_eq!(number("tcp.dport"), u32::from(dport));
        prop_assert_eq!(number("tcp.seq"), seq);
        prop_assert_eq!(number("tcp.ack"), ack);
        prop_assert_eq!(number("tcp.flags"), u32::from(flags));
        prop_assert_eq!(number("tcp.window"), u32::from(window));
        prop_assert_eq!(number("tcp.urgent"), u32::from(urgent));
        prop_assert_eq!(number("ipv4.ttl"), u32::from(ttl));
        prop_assert_eq!(number("ipv4.id"), u32::from(id));
        prop_assert_eq!(number("ipv4.tos"), u32::from(tos));
        prop_assert_eq!(dissection.payload(), payload);
    }
}
