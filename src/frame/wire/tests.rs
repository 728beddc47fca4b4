//! Frames of every protocol, whole, cut short and random, and the fields that they are taken apart
//! into.

use std::collections::BTreeSet;

use proptest::{collection::vec, prelude::*};

use super::{DATA, Dissection, FIELD_NAMES, arp, ethernet, icmp, ipv4, ipv6, tcp, udp};
use crate::frame::parse_hex;

/// One frame of each kind, in the form of a review.
const EXAMPLES: &[&str] = &[
    "ffffffffffff525400123456 0806 0001080006040001525400123456 0a000001 000000000000 0a000002",
    "525400123456020000000001 0800 450000210000000040116cca 0a000001 0a000002 0fa00009000d9856 \
     68656c6c6f",
    "525400123456020000000001 8100 a064 0800 450000210000000040116cca 0a000001 0a000002 \
     0fa00009000d9856 68656c6c6f (00*20)",
    "525400123456020000000001 0800 4500003c000040004006 26ba 0a000001 0a000002 \
     0fa0005000000001 00000000 a002ffff12340000 020405b40402080a00000009 0000000001030307",
    "525400123456020000000001 0800 46000028000720000001 6600 0a000001 0a000002 01010100 \
     0800000000010002 0102030405060708",
    "525400123456020000000001 0800 4500001c000700b94011 4c31 0a000001 0a000002 0102030405060708",
    "525400123456020000000001 86dd 6000000000103aff fe800000000000000000000000000001 \
     fe800000000000000000000000000002 8000000000010002 0102030405060708",
    "525400123456020000000001 86dd 6000000000203aff fe800000000000000000000000000001 \
     ff0200000000000000000001ff000002 8700000000000000 fe800000000000000000000000000002 \
     0101525400123456",
    "525400123456020000000001 86dd 6000000000100001 fe800000000000000000000000000001 \
     ff020000000000000000000000000016 3a00050200000100 8f00000000000000",
    "525400123456020000000001 86dd 6000000000102c40 fe800000000000000000000000000001 \
     fe800000000000000000000000000002 1100000100000007 0fa0000900081234",
    "ffffffffffff525400123456 88b5 00",
    "0180c2000000525400123456 0026 424203",
];

/// Frames that look like frames: examples, examples cut off or with some bytes changed, and noise.
pub(in crate::frame) fn frames() -> impl Strategy<Value = Vec<u8>> {
    let example = prop::sample::select(EXAMPLES)
        .prop_map(|hex| parse_hex(hex).expect("an example is hexadecimal"));
    let edits = vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    let edited = (example, edits, any::<prop::sample::Index>(), 0_u8..4, vec(any::<u8>(), 0..4))
        .prop_map(|(mut frame, edits, cut, how, tail)| {
            for (at, byte) in edits {
                let at = at.index(frame.len());
                frame[at] = byte;
            }
            match how {
                0 => frame.truncate(cut.index(frame.len())),
                1 => frame.extend(tail),
                _ => {}
            }
            frame
        });
    prop_oneof![4 => edited, 1 => vec(any::<u8>(), 0..80)]
}

fn rendered(hex: &str) -> Vec<String> {
    let frame = parse_hex(hex).unwrap();
    Dissection::of(&frame)
        .fields()
        .filter(|field| !field.range.is_empty())
        .map(|field| format!("{:?} {} {}", field.range, field.name, field.value()))
        .collect()
}

#[test]
fn an_arp_request() {
    assert_eq!(
        rendered(EXAMPLES[0]),
        [
            "0..6 eth.dst ff:ff:ff:ff:ff:ff",
            "6..12 eth.src 52:54:00:12:34:56",
            "12..14 eth.type 0x0806",
            "14..16 arp.hw_type 1",
            "16..18 arp.proto_type 0x0800",
            "18..19 arp.hw_len 6",
            "19..20 arp.proto_len 4",
            "20..22 arp.op request",
            "22..28 arp.sender_mac 52:54:00:12:34:56",
            "28..32 arp.sender_ip 10.0.0.1",
            "32..38 arp.target_mac 00:00:00:00:00:00",
            "38..42 arp.target_ip 10.0.0.2",
        ]
    );
}

#[test]
fn a_tagged_udp_packet_with_padding() {
    assert_eq!(
        rendered(EXAMPLES[2])[2..],
        [
            "12..14 eth.type 0x8100",
            "14..16 vlan.pcp 5",
            "14..16 vlan.dei 0",
            "14..16 vlan.id 100",
            "16..18 vlan.type 0x0800",
            "18..19 ipv4.version 4",
            "18..19 ipv4.ihl 5",
            "19..20 ipv4.tos 0x00",
            "20..22 ipv4.total_len 33",
            "22..24 ipv4.id 0",
            "24..26 ipv4.flags none",
            "24..26 ipv4.fragment_offset 0",
            "26..27 ipv4.ttl 64",
            "27..28 ipv4.protocol 17",
            "28..30 ipv4.checksum 0x6cca",
            "30..34 ipv4.src 10.0.0.1",
            "34..38 ipv4.dst 10.0.0.2",
            "38..40 udp.sport 4000",
            "40..42 udp.dport 9",
            "42..44 udp.length 13",
            "44..46 udp.checksum 0x9856",
            "46..51 payload 68656c6c6f",
            "51..71 padding (00*20)",
        ]
    );
}

#[test]
fn a_syn() {
    assert_eq!(
        rendered(EXAMPLES[3])[15..],
        [
            "34..36 tcp.sport 4000",
            "36..38 tcp.dport 80",
            "38..42 tcp.seq 1",
            "42..46 tcp.ack 0",
            "46..48 tcp.data_offset 10",
            "46..48 tcp.flags SYN",
            "48..50 tcp.window 65535",
            "50..52 tcp.checksum 0x1234",
            "52..54 tcp.urgent 0",
            "54..74 tcp.options mss:1460,sack-ok,ts:9:0,nop,wscale:7",
        ]
    );
}

#[test]
fn a_neighbour_solicitation() {
    assert_eq!(
        rendered(EXAMPLES[7])[3..],
        [
            "14..18 ipv6.version 6",
            "14..18 ipv6.traffic_class 0x00",
            "14..18 ipv6.flow_label 0x00000",
            "18..20 ipv6.payload_len 32",
            "20..21 ipv6.next_header 58",
            "21..22 ipv6.hop_limit 255",
            "22..38 ipv6.src fe80::1",
            "38..54 ipv6.dst ff02::1:ff00:2",
            "54..55 icmpv6.type 135",
            "55..56 icmpv6.code 0",
            "56..58 icmpv6.checksum 0x0000",
            "58..62 icmpv6.rest 0x00000000",
            "62..78 icmpv6.target fe80::2",
            "78..86 icmpv6.options 0101525400123456",
        ]
    );
}

#[test]
fn extension_headers_are_walked() {
    let names = |hex| {
        let frame = parse_hex(hex).unwrap();
        Dissection::of(&frame).layers.iter().map(|layer| layer.name).collect::<Vec<_>>()
    };
    assert_eq!(names(EXAMPLES[8]), ["eth", "ipv6", "ipv6_ext", "icmpv6", "data"]);
    assert_eq!(names(EXAMPLES[9]), ["eth", "ipv6", "ipv6_frag", "udp", "data"]);
}

#[test]
fn a_header_that_is_cut_off_is_payload() {
    let frame = parse_hex("525400123456020000000001 0800 4500002100").unwrap();
    let dissection = Dissection::of(&frame);
    let names: Vec<_> = dissection.layers.iter().map(|layer| layer.name).collect();
    assert_eq!(names, ["eth", "data"]);
    assert_eq!(dissection.payload(), &frame[14..]);
}

#[test]
fn a_later_fragment_has_no_transport() {
    let frame = parse_hex(EXAMPLES[5]).unwrap();
    let dissection = Dissection::of(&frame);
    assert!(dissection.layer("udp").is_none());
    assert_eq!(dissection.field("ipv4.fragment_offset").unwrap().value(), "185");
}

#[test]
fn the_names_are_those_of_the_tables_sorted() {
    let tables = [
        ethernet::FIELDS,
        ethernet::TAG_FIELDS,
        arp::FIELDS,
        ipv4::FIELDS,
        ipv6::FIELDS,
        ipv6::EXTENSION_FIELDS,
        ipv6::FRAGMENT_FIELDS,
        udp::FIELDS,
        tcp::FIELDS,
        icmp::FIELDS,
        icmp::ECHO_FIELDS,
        icmp::V6_FIELDS,
        icmp::V6_ECHO_FIELDS,
        icmp::V6_NEIGHBOUR_FIELDS,
        DATA,
    ];
    let single = [ipv4::OPTIONS, ipv6::EXTENSION_DATA, tcp::OPTIONS, icmp::V6_OPTIONS];
    let names: BTreeSet<_> =
        tables.into_iter().flatten().chain(single).map(|def| def.name).collect();
    assert!(FIELD_NAMES.iter().eq(names.iter()), "{names:#?}");
}

proptest! {
    /// Every bit of a frame belongs to exactly one field, whatever the bytes.
    #[test]
    fn fields_cover_the_frame_once(frame in frames()) {
        let mut covered = vec![0_u8; frame.len()];
        for field in Dissection::of(&frame).fields() {
            for (place, own) in covered[field.range.clone()].iter_mut().zip(field.own_bits()) {
                prop_assert_eq!(*place & own, 0, "{} overlaps", field.name);
                *place |= own;
            }
        }
        prop_assert!(covered.iter().all(|bits| *bits == 0xff));
    }

    /// A value is the field's bytes, written otherwise.
    #[test]
    fn values_are_read_back(frame in frames()) {
        for field in Dissection::of(&frame).fields() {
            let own: Vec<u8> = field.bytes().iter().zip(field.own_bits()).map(|(b, o)| b & o).collect();
            prop_assert_eq!(field.parse(&field.value()), Some(own), "{} {}", field.name, field.value());
        }
    }

    #[test]
    fn names_are_known(frame in frames()) {
        for field in Dissection::of(&frame).fields() {
            prop_assert!(FIELD_NAMES.contains(&field.name));
        }
    }
}
