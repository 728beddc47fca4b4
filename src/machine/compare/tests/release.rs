//! What QEMU compares and what it lets go: the measured tables of TCP, UDP, ICMP and the rest.

use rstest::rstest;

use super::*;

/// One exchange: frames in order, what is released by their indexes, requests.
fn exchange(profile: Profile, frames: &[(char, Vec<u8>)]) -> (Vec<usize>, usize) {
    let mut rig = Rig::new(profile);
    for (side, frame) in frames {
        rig.send(if *side == 'p' { "pri" } else { "sec" }, frame);
    }
    let seen = rig.look();
    let released = seen.released().into_iter().map(|tag| tag as usize - 1);
    (released.collect(), seen.asked())
}

fn other(id: u16, body: &[u8]) -> Vec<u8> {
    ip(47, id, body)
}

fn icmp(id: u16, body: &[u8]) -> Vec<u8> {
    ip(1, id, body)
}

fn padded(mut frame: Vec<u8>) -> Vec<u8> {
    frame.resize(60, 0);
    frame
}

#[rstest]
#[case::equal(&[('p', udp(b"a")), ('s', udp(b"a"))], &[0], 0)]
#[case::secondary_first(&[('s', udp(b"a")), ('p', udp(b"a"))], &[1], 0)]
#[case::different(&[('p', udp(b"a")), ('s', udp(b"b"))], &[], 1)]
#[case::icmp_ids(&[('p', icmp(1, b"ping")), ('s', icmp(2, b"ping"))], &[0], 0)]
#[case::gre_ids(&[('p', other(1, b"gre")), ('s', other(2, b"gre"))], &[], 1)]
#[case::gre(&[('p', other(1, b"gre")), ('s', other(1, b"gre"))], &[0], 0)]
#[case::padding(&[('p', padded(udp(b"a"))), ('s', udp(b"a"))], &[], 1)]
#[case::newest_first(&[('p', udp(b"a")), ('p', udp(b"b")), ('s', udp(b"a")), ('s', udp(b"b"))], &[1, 0], 1)]
fn other_than_tcp(
    #[case] frames: &[(char, Vec<u8>)],
    #[case] released: &[usize],
    #[case] asked: usize,
) {
    assert_eq!(exchange(qemu(), frames), (released.to_vec(), asked));
}

/// A fragment that is not its datagram's first.
fn later(protocol: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = ip(protocol, 1, body);
    frame[21] = 4;
    frame
}

#[rstest]
#[case::equal(17, b"the end", b"the end", (1, 0), (1, 0))]
#[case::differ_where_ports_would_be(17, b"the end", b"an end!", (0, 0), (0, 1))]
#[case::too_short_for_tcp(6, b"the end", b"an end!", (1, 0), (0, 1))]
#[case::no_tcp_header(6, b"0123456789 0123456789 abc", b"0123456789 0123456789 xyz", (0, 1), (0, 1))]
#[case::longer(6, b"01", b"0123", (1, 0), (0, 1))]
fn later_fragments(
    #[case] protocol: u8,
    #[case] primary: &[u8],
    #[case] secondary: &[u8],
    #[case] measured: (usize, usize),
    #[case] mended: (usize, usize),
) {
    let frames = [('p', later(protocol, primary)), ('s', later(protocol, secondary))];
    let counts = |profile| {
        let (released, asked) = exchange(profile, &frames);
        (released.len(), asked)
    };
    assert_eq!(counts(qemu()), measured);
    assert_eq!(counts(without(Quirk::CompareFragmentsApart)), mended);
}

/// Each of them is right where QEMU is wrong above.
#[rstest]
#[case::gre_ids(Quirk::CompareOthersWhole, &[('p', other(1, b"gre")), ('s', other(2, b"gre"))], &[0])]
#[case::padding(Quirk::ComparePaddingIsPayload, &[('p', padded(udp(b"a"))), ('s', udp(b"a"))], &[0])]
#[case::oldest_first(Quirk::CompareNontcpNewestFirst, &[('p', udp(b"a")), ('p', udp(b"b")), ('s', udp(b"a")), ('s', udp(b"b"))], &[0, 1])]
#[case::tcp_padding(Quirk::ComparePaddingIsPayload, &[('p', padded(data(1, b""))), ('s', data(1, b"")), ('p', data(1, b"x")), ('s', data(1, b"x"))], &[0, 2])]
#[case::last_ack(Quirk::CompareLastAck, &[('s', tcp(100, b"0123456789", 500, ACK)), ('s', tcp(110, b"", 400, ACK)), ('p', tcp(100, b"01234", 500, ACK))], &[2])]
#[case::seq_zero(Quirk::CompareSeqZeroUnset, &[('p', data(0xffff_fffe, b"ab")), ('s', data(0xffff_fffe, b"ab")), ('p', data(0xffff_fffe, b"ab")), ('s', data(0, b"cd"))], &[0, 2])]
fn mended(#[case] quirk: Quirk, #[case] frames: &[(char, Vec<u8>)], #[case] released: &[usize]) {
    let (wrong, asked) = exchange(qemu(), frames);
    assert!(wrong != released || asked > 0, "QEMU is right, too");
    assert_eq!(exchange(without(quirk), frames), (released.to_vec(), 0));
}

#[rstest]
#[case::whole(&[('p', data(1, b"hello")), ('s', data(1, b"hello"))], &[0], 0)]
#[case::differ(&[('p', data(1, b"hello")), ('s', data(1, b"hellp"))], &[], 1)]
#[case::primary_in_two(&[('p', data(1, b"01234")), ('p', data(6, b"56789")), ('s', data(1, b"0123456789"))], &[0, 1], 0)]
#[case::secondary_in_two(&[('p', data(1, b"0123456789")), ('s', data(1, b"01234")), ('s', data(6, b"56789"))], &[0], 0)]
#[case::second_half_differs(&[('p', data(1, b"0123456789")), ('s', data(1, b"01234")), ('s', data(6, b"5678X"))], &[], 1)]
#[case::by_sequence(&[('p', data(110, b"ccccc")), ('p', data(100, b"aaaaa")), ('p', data(105, b"bbbbb")), ('s', data(100, b"aaaaa")), ('s', data(105, b"bbbbb")), ('s', data(110, b"ccccc"))], &[1, 2, 0], 0)]
#[case::ack_alone(&[('p', data(1, b""))], &[], 0)]
#[case::ack_and_anything(&[('p', data(1, b"")), ('s', data(7, b"x"))], &[0], 0)]
#[case::syn_with_other_numbers(&[('p', tcp(100, b"", 5, SYN | ACK)), ('s', tcp(900, b"", 5, SYN | ACK))], &[0], 0)]
#[case::whole_with_ack_ahead(&[('p', tcp(1, b"hello", 9, ACK)), ('s', tcp(1, b"hello", 5, ACK))], &[0], 0)]
#[case::part_with_ack_ahead(&[('s', tcp(100, b"0123456789", 0x1000, ACK)), ('p', tcp(100, b"01234", 0x1020, ACK))], &[], 1)]
#[case::ack_that_wrapped(&[('s', tcp(100, b"0123456789", 0xffff_fff0, ACK)), ('p', tcp(100, b"01234", 0x10, ACK))], &[1], 0)]
#[case::last_ack_counts(&[('s', tcp(100, b"0123456789", 500, ACK)), ('s', tcp(110, b"", 400, ACK)), ('p', tcp(100, b"01234", 500, ACK))], &[], 1)]
#[case::retransmitted(&[('p', data(1, b"ab")), ('s', data(1, b"ab")), ('p', data(1, b"ab")), ('s', data(3, b"c"))], &[0, 2], 0)]
#[case::retransmitted_up_to_0(&[('p', data(0xffff_fffe, b"ab")), ('s', data(0xffff_fffe, b"ab")), ('p', data(0xffff_fffe, b"ab")), ('s', data(0, b"cd"))], &[0], 1)]
#[case::overlap(&[('p', data(1, b"0123456789")), ('s', data(1, b"0123456789")), ('p', data(6, b"56789abcde")), ('s', data(11, b"abcde"))], &[0], 1)]
#[case::secondary_out_of_order(&[('p', data(100, b"aaaaa")), ('s', data(105, b"bbbbb"))], &[], 1)]
#[case::nothing_before_its_equal(&[('p', data(0xdead_beef, b"x"))], &[], 0)]
fn tcp_pair_by_pair(
    #[case] frames: &[(char, Vec<u8>)],
    #[case] released: &[usize],
    #[case] asked: usize,
) {
    assert_eq!(exchange(qemu(), frames), (released.to_vec(), asked));
}

/// Options of IP and TCP are no payload, whatever their length.
#[test]
fn options_are_not_compared() {
    let mut optioned = data(1, b"hello");
    optioned[46] = 0x60;
    optioned.splice(54..54, [1, 1, 1, 1]);
    let frames = [('p', optioned), ('s', data(1, b"hello"))];
    assert_eq!(exchange(qemu(), &frames), (vec![0], 0));
}

/// A virtio-net header of each side's own announced length is left out, and goes on with its frame.
#[rstest]
#[case::same_length(12, 12, &qemu(), true)]
#[case::tcp_other_length(12, 10, &qemu(), true)]
fn virtio_net_headers(
    #[case] primary: usize,
    #[case] secondary: usize,
    #[case] profile: &Profile,
    #[case] passes: bool,
) {
    let mut rig = Rig::with(profile.clone(), ",vnet_hdr_support=on");
    let framed = |fill: u8, len: usize, frame: &[u8]| {
        let whole = [vec![fill; len], frame.to_vec()].concat();
        encode(&whole, Some(len as u32))
    };
    let sent = framed(1, primary, &data(1, b"abc"));
    rig.write("pri", sent.clone());
    rig.write("sec", framed(2, secondary, &data(1, b"abc")));
    let seen = rig.look();
    assert_eq!(!seen.released().is_empty(), passes);
    assert_eq!(seen.bytes("out"), sent);
}

#[test]
fn a_vnet_header_on_one_side_only_confuses_udp() {
    for (profile, passes) in [(qemu(), 0), (without(Quirk::CompareVnetOfPrimary), 1)] {
        let mut rig = Rig::with(profile, ",vnet_hdr_support=on");
        let frame = udp(b"abc");
        rig.write("pri", encode(&[vec![0; 12], frame.clone()].concat(), Some(12)));
        rig.write("sec", encode(&frame, Some(0)));
        assert_eq!(rig.released().len(), passes);
    }
}

/// 65,536 bytes and more: QEMU compares what is left of the length in 16 bits.
#[test]
fn a_long_payload_is_compared_in_16_bits() {
    let long = |last: u8| {
        let mut payload = vec![7; 65_600];
        *payload.last_mut().unwrap() = last;
        let mut frame = ip(17, 1, &[3, 232, 7, 208, 0, 8, 0, 0]);
        frame.extend(payload);
        frame
    };
    let frames = [('p', long(1)), ('s', long(2))];
    let whole = Profile::new(QemuVersion::Qemu102).without([Quirk::CompareLengthsWrap]);
    assert_eq!(exchange(qemu(), &frames).0, [0]);
    assert_eq!(exchange(whole, &frames), (vec![], 1));
}

#[test]
fn connections_do_not_disturb_each_other() {
    let mut rig = Rig::new(qemu());
    rig.pri(&udp(b"a"));
    rig.sec(&udp(b"b"));
    rig.look();
    let elsewhere = rig.pri(&data(1, b"x"));
    rig.sec(&data(1, b"x"));
    let seen = rig.look();
    assert_eq!((seen.released(), seen.asked()), (vec![elsewhere], 0));
}
