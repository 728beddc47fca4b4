//! A packet of each link type, made by hand from its description, and what becomes of it.

use proptest::{collection::vec, prelude::*};
use rstest::rstest;

use super::*;
use crate::frame::{hex, parse_hex};

const ADDRESSES: Addresses = Addresses { destination: [0xd; 6], source: [0x5; 6] };

fn bytes(text: &str) -> Vec<u8> {
    parse_hex(&text.replace([' ', '|'], "")).unwrap()
}

const D: &str = "0d0d0d0d0d0d";
const S: &str = "050505050505";
/// An address that a header has.
const A: &str = "020000000001";
const B: &str = "020000000002";

#[rstest]
#[case::null_of_a_little_endian_host(0, "02000000 45aa", "D S 0800 45aa")]
#[case::null_of_a_big_endian_host(0, "0000001e 60aa", "D S 86dd 60aa")]
#[case::loopback(108, "00000018 60aa", "D S 86dd 60aa")]
#[case::osi_over_loopback(108, "00000007 83aa", "D S 0005 fefe0383aa")]
#[case::raw_ipv4(101, "45aa", "D S 0800 45aa")]
#[case::raw_ipv6(12, "60aa", "D S 86dd 60aa")]
#[case::cooked(113, "0000 0001 0006 020000000001 0000 0800 45aa", "D A 0800 45aa")]
#[case::cooked_broadcast(113, "0001 0001 0006 020000000001 0000 0806 aa", "F A 0806 aa")]
#[case::cooked_without_address(113, "0004 0304 0000 0000000000000000 0800 45aa", "D S 0800 45aa")]
#[case::cooked_llc(113, "0000 0001 0006 020000000001 0000 0004 424203aa", "D A 0004 424203aa")]
#[case::cooked_2(276, "86dd 0000 00000002 0001 00 06 020000000001 0000 60aa", "D A 86dd 60aa")]
#[case::ppp(9, "0021 45aa", "D S 0800 45aa")]
#[case::ppp_in_frames(50, "ff03 0057 60aa", "D S 86dd 60aa")]
#[case::ppp_of_one_byte(9, "21 45aa", "D S 0800 45aa")]
#[case::ppp_itself(9, "c021 0101", "D S 8864 11000001 0004 c021 0101")]
#[case::ppp_bridged(9, "0031 0001 0200000000010200000000020800 45", "A B 0800 45")]
#[case::ppp_with_a_direction(204, "01 ff03 0021 45aa", "D S 0800 45aa")]
#[case::pppd(166, "01 03 0021 45aa", "D S 0800 45aa")]
#[case::pppoe(51, "11000007 0004 c021 0101", "D S 8864 110000070004c0210101")]
#[case::cisco_hdlc(104, "0f00 0800 45aa", "D S 0800 45aa")]
#[case::cisco_hdlc_as_ppp(50, "0f00 86dd 60aa", "D S 86dd 60aa")]
#[case::frame_relay(107, "1841 03 cc 45aa", "D S 0800 45aa")]
#[case::frame_relay_snap(107, "1841 03 00 80 000000 0806 aa", "D S 0806 aa")]
#[case::frame_relay_bridged(
    107,
    "1841 03 00 80 0080c2 0007 0200000000010200000000020800 45",
    "A B 0800 45"
)]
#[case::frame_relay_of_cisco(107, "1841 0800 45aa", "D S 0800 45aa")]
#[case::mpls(219, "0001 01ff 45aa", "D S 8847 000101ff45aa")]
#[case::fddi(10, "50 020000000001 020000000002 aaaa03 000000 0800 45aa", "A B 0800 45aa")]
#[case::token_ring(
    6,
    "1040 020000000001 820000000002 0230 aaaa03 000000 0800 45aa",
    "A B 0800 45aa"
)]
#[case::arcnet(7, "0102 d4 00 0001 45aa", "D S 0800 45aa")]
#[case::atm(100, "aaaa03 000000 86dd 60aa", "D S 86dd 60aa")]
#[case::atm_bridged(100, "aaaa03 0080c2 0007 0000 0200000000010200000000020800 45", "A B 0800 45")]
#[case::fibre_channel(
    122,
    "1000020000000001 1000020000000002 aaaa03 000000 0800 45aa",
    "A B 0800 45aa"
)]
#[case::wireless_to_the_network(
    105,
    "0801 0000 0a0000000000 020000000002 020000000001 0000 aaaa03 000000 0800 45aa",
    "A B 0800 45aa"
)]
#[case::wireless_from_the_network_qos(
    105,
    "8802 0000 020000000001 0a0000000000 020000000002 0000 0000 aaaa03 000000 0800 45aa",
    "A B 0800 45aa"
)]
#[case::radiotap_with_a_check_sequence(
    127,
    "0000 0900 02000000 10 | 0801 0000 0a0000000000 020000000002 020000000001 0000 aaaa03 000000 0800 45aa \
     01020304",
    "A B 0800 45aa"
)]
#[case::wireless_beacon(
    105,
    "8000 0000 ffffffffffff 020000000002 0a0000000000 0000 aabb",
    "F B 88b5 8000 0000 ffffffffffff 020000000002 0a0000000000 0000 aabb"
)]
#[case::wireless_acknowledgement(105, "d400 0000 020000000001", "A S 88b5 d400 0000 020000000001")]
#[case::wireless_encrypted(
    105,
    "0841 0000 0a0000000000 020000000002 020000000001 0000 ccdd",
    "A B 88b5 0841 0000 0a0000000000 020000000002 020000000001 0000 ccdd"
)]
#[case::wireless_without_data(
    105,
    "4801 0000 0a0000000000 020000000002 020000000001 0000",
    "A B 88b5 4801 0000 0a0000000000 020000000002 020000000001 0000"
)]
#[case::wireless_between_access_points(
    105,
    "0803 0000 0a0000000000 0b0000000000 020000000001 0000 020000000002 aaaa03 000000 0800 45aa",
    "A B 0800 45aa"
)]
#[case::slip(8, "00 000000000000000000000000000000 45aa", "D S 0800 45aa")]
#[case::tag_of_a_switch(285, "020000000001020000000002 dada 0000 0800 45", "A B dada 0000 0800 45")]
#[case::prism(
    119,
    "44000000 08000000 0801 0000 0a0000000000 020000000002 020000000001 0000 aaaa030000000800 45",
    "A B 0800 45"
)]
#[case::ppi(192, "0000 0800 65000000 45aa", "D S 0800 45aa")]
#[case::netfilter_log(
    239,
    "02 00 0000 | 0800 0500 00000000 | 0700 0900 45aabb 00",
    "D S 0800 45aabb"
)]
#[case::pf_log(117, "05 02 0000 00000000 45aa", "D S 0800 45aa")]
#[case::docsis(143, "0000 0000 0000 0200000000010200000000020800 45", "A B 0800 45")]
#[case::dsa_in_front(282, "01020304 0200000000010200000000020800 45", "A B 0800 45")]
fn a_packet_becomes_a_frame(#[case] link: u32, #[case] packet: &str, #[case] frame: &str) {
    let expected = frame
        .split(' ')
        .map(|word| match word {
            "D" => D,
            "S" => S,
            "A" => A,
            "B" => B,
            "F" => "ffffffffffff",
            other => other,
        })
        .collect::<String>();
    let made = Link(link).to_ethernet(&bytes(packet), ADDRESSES).unwrap();
    assert_eq!(hex(&made), expected);
    assert!(Link(link).is_convertible());
}

#[rstest]
#[case::half_a_frame(105, &[0x80; 9], "it ends within its IEEE 802.11 header")]
#[case::half_a_header(105, &[0x08, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "it ends within its IEEE 802.11 header")]
#[case::slip(8, &[0; 15], "it ends within its SLIP header")]
#[case::no_ip(101, &[0x10], "it is neither IPv4 nor IPv6 but version 1")]
#[case::short(113, &[0; 15], "it ends within its Linux cooked header")]
#[case::usb(189, &[0; 64], "packets of link type 189 (USB_LINUX) have nothing that Ethernet carries")]
#[case::nobody_knows(60_000, &[0; 64], "packets of link type 60000 have nothing that Ethernet carries")]
fn a_packet_without_a_frame_says_why(#[case] link: u32, #[case] data: &[u8], #[case] why: &str) {
    assert_eq!(Link(link).to_ethernet(data, ADDRESSES).unwrap_err().to_string(), why);
}

#[test]
fn a_long_payload_of_llc_has_no_length() {
    let packet = [&[0x42, 0x42, 0x03][..], &[0; 1498]].concat();
    let frame = Link(100).to_ethernet(&packet, ADDRESSES).unwrap();
    assert_eq!(frame[12..14], [0x88, 0x70]);
}

proptest! {
    /// Whatever stands in a packet of any link type, it is a frame or says why not.
    #[test]
    fn any_packet_is_a_frame_or_refused(link in 0_u32..300, data in vec(any::<u8>(), 0..120)) {
        if let Ok(frame) = Link(link).to_ethernet(&data, ADDRESSES) {
            prop_assert!(frame.len() <= data.len() + 22);
        }
    }
}
