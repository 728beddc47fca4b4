//! Files of both formats that are right, cut short or lie, and what reading them gives.

use proptest::{collection::vec, prelude::*, sample::Index};
use rstest::rstest;

use super::*;
use crate::capture::{ClassicWriter, Writer};

/// A pcap file with one packet of three bytes, four on the wire, at 1 s and 5 units.
fn pcap(magic: [u8; 4], link: u32) -> Vec<u8> {
    let big = magic[0] == 0xa1;
    let half = |value: u16| {
        if big { value.to_be_bytes() } else { value.to_le_bytes() }
    };
    let word = |value: u32| {
        if big { value.to_be_bytes() } else { value.to_le_bytes() }
    };
    let mut file = magic.to_vec();
    file.extend([half(2), half(4)].concat());
    file.extend([word(0), word(0), word(65535), word(link)].concat());
    file.extend([word(1), word(5), word(3), word(4)].concat());
    file.extend([0xaa, 0xbb, 0xcc]);
    file
}

/// A block of a big-endian pcapng file.
fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len() + 12).unwrap().to_be_bytes();
    [&kind.to_be_bytes()[..], &len, body, &len].concat()
}

fn section() -> Vec<u8> {
    block(
        0x0a0d_0d0a,
        &[0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255],
    )
}

fn interface(link: u8, options: &[u8]) -> Vec<u8> {
    block(1, &[&[0, link, 0, 0, 0, 0, 0, 0][..], options].concat())
}

/// An enhanced packet of the first interface at tick 3.
fn enhanced() -> Vec<u8> {
    block(6, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0xaa, 0xbb, 0, 0])
}

/// The packets of a file with which nothing is wrong.
fn whole(file: &[u8]) -> Vec<Packet> {
    let capture = read(file).unwrap();
    assert_eq!(capture.broken, None);
    capture.packets
}

#[rstest]
#[case::big_endian_microseconds([0xa1, 0xb2, 0xc3, 0xd4], 5_000)]
#[case::little_endian_microseconds([0xd4, 0xc3, 0xb2, 0xa1], 5_000)]
#[case::big_endian_nanoseconds([0xa1, 0xb2, 0x3c, 0x4d], 5)]
#[case::little_endian_nanoseconds([0x4d, 0x3c, 0xb2, 0xa1], 5)]
fn every_pcap(#[case] magic: [u8; 4], #[case] nanos: u32) {
    let packets = whole(&pcap(magic, 1));
    let data = Bytes::from_static(&[0xaa, 0xbb, 0xcc]);
    let (time, link) = (Duration::new(1, nanos), Link::ETHERNET);
    assert_eq!(packets, [Packet { data, time, original_len: 4, link }]);
    assert!(packets[0].is_cut());
}

#[rstest]
#[case::microseconds_by_default(&[], Duration::from_micros(3))]
#[case::nanoseconds(&[0, 9, 0, 1, 9, 0, 0, 0], Duration::from_nanos(3))]
#[case::seconds(&[0, 9, 0, 1, 0, 0, 0, 0], Duration::from_secs(3))]
#[case::halves_of_seconds(&[0, 9, 0, 1, 0x81, 0, 0, 0], Duration::from_millis(1500))]
fn pcapng_s_resolution_is_honoured(#[case] options: &[u8], #[case] time: Duration) {
    let file = [section(), interface(1, options), enhanced()].concat();
    assert_eq!(whole(&file)[0].time, time);
}

#[test]
fn a_simple_packet_has_no_time() {
    let simple = block(3, &[0, 0, 0, 2, 0xaa, 0xbb, 0, 0]);
    let packets = whole(&[section(), interface(1, &[]), simple].concat());
    assert_eq!((&packets[0].data[..], packets[0].time), (&[0xaa, 0xbb][..], Duration::ZERO));
}

#[test]
fn unknown_blocks_are_skipped() {
    let file = [section(), block(0x0bad, &[1, 2, 3, 4]), interface(1, &[]), enhanced()].concat();
    assert_eq!(whole(&file).len(), 1);
}

#[rstest]
#[case(&[], "not a pcap or pcapng file: it is empty")]
#[case(b"%YAML 1.2", "not a pcap or pcapng file: it is text")]
#[case(
    &[0xa1, 0xb2, 0xc3, 0xd4, 0],
    "the file ends in the file's header, which begins at byte 0: 24 bytes are needed and 5 are left"
)]
fn no_capture(#[case] file: &[u8], #[case] text: &str) {
    assert_eq!(read(file).unwrap_err().to_string(), text);
}

#[test]
fn a_file_that_breaks_off_has_what_stands_before() {
    let file = pcap([0xa1, 0xb2, 0xc3, 0xd4], 1);
    let capture = read(&file[..file.len() - 1]).unwrap();
    let broken = ReadError::Truncated { packet: 1, offset: 24, needed: 19, available: 18 };
    assert_eq!(capture.broken, Some(broken));
    let [packet] = &capture.packets[..] else { panic!("the beginning of one packet") };
    assert_eq!((&packet.data[..], packet.original_len), (&[0xaa, 0xbb][..], 4));
    let capture = read(&file[..30]).unwrap();
    let broken = ReadError::Truncated { packet: 1, offset: 24, needed: 16, available: 6 };
    assert_eq!(capture, Capture { packets: vec![], broken: Some(broken) });
    let file = [section(), interface(1, &[]), enhanced(), enhanced()].concat();
    let offset = file.len() - enhanced().len();
    let capture = read(&file[..file.len() - 4]).unwrap();
    assert_eq!(capture.packets.len(), 1);
    let Some(ReadError::Truncated { packet: 2, offset: at, .. }) = capture.broken else {
        panic!("{:?}", capture.broken)
    };
    assert_eq!(at, offset);
}

/// What tcpdump and tshark read: a packet longer than the snap length, one that is longer in the file
/// than on the wire, a second of two million microseconds.
#[test]
fn lengths_and_times_that_contradict_each_other_are_taken_as_others_take_them() {
    let mut file = pcap([0xa1, 0xb2, 0xc3, 0xd4], 1);
    file[16..20].copy_from_slice(&[0, 0, 0, 2]);
    file[39] = 2;
    file[28..32].copy_from_slice(&2_000_000_u32.to_be_bytes());
    let packets = whole(&file);
    assert_eq!((packets[0].data.len(), packets[0].original_len), (3, 3));
    assert_eq!(packets[0].time, Duration::from_secs(3));
}

#[test]
fn a_length_that_no_packet_has_is_named() {
    let mut file = pcap([0xa1, 0xb2, 0xc3, 0xd4], 1);
    file[32..36].copy_from_slice(&[0xff; 4]);
    let broken = read(&file).unwrap().broken.unwrap();
    assert_eq!(
        broken.to_string(),
        "packet 1 at byte 24: its length is 4294967295 bytes, which no capture has"
    );
}

#[test]
fn kuznetzov_s_records_are_longer() {
    let mut file = pcap([0xd4, 0xc3, 0xb2, 0xa1], 1);
    file[..4].copy_from_slice(&[0x34, 0xcd, 0xb2, 0xa1]);
    file.splice(40..40, [1, 0, 0, 0, 8, 0, 4, 0]);
    assert_eq!(whole(&file)[0].data[..], [0xaa, 0xbb, 0xcc]);
}

/// `LT_FCS_LENGTH_PRESENT` and a length in the upper bits of the link type.
#[test]
fn a_frame_check_sequence_is_no_part_of_a_frame() {
    let mut file = pcap([0xa1, 0xb2, 0xc3, 0xd4], 0x1400_0001);
    file.splice(32..40, [0, 0, 0, 7, 0, 0, 0, 7]);
    file.extend([1, 2, 3, 4]);
    let packets = whole(&file);
    assert_eq!((&packets[0].data[..], packets[0].original_len), (&[0xaa, 0xbb, 0xcc][..], 3));
    assert_eq!(packets[0].link, Link::ETHERNET);
}

#[test]
fn packets_have_the_link_type_of_their_interface() {
    assert_eq!(whole(&pcap([0xa1, 0xb2, 0xc3, 0xd4], 113))[0].link, Link(113));
    let mut second = enhanced();
    second[11] = 1;
    let file = [section(), interface(113, &[]), interface(1, &[]), enhanced(), second].concat();
    let links: Vec<_> = whole(&file).iter().map(|packet| packet.link).collect();
    assert_eq!(links, [Link(113), Link::ETHERNET]);
}

#[test]
fn there_is_a_most_of_packets_and_of_interfaces() {
    let packets = vec![vec![1], vec![2], vec![3]];
    for file in files(&packets) {
        assert_eq!(read_at_most(&file, 3).unwrap().packets.len(), 3);
        assert_eq!(read_at_most(&file, 2).unwrap_err(), ReadError::TooMany { most: 2 });
    }
    let file = [section(), interface(1, &[]).repeat(MAX_INTERFACES + 1), enhanced()].concat();
    let error = read(&file).unwrap().broken.unwrap().to_string();
    assert!(error.ends_with("it has more than 4096 interfaces"), "{error}");
}

/// A file of each kind with these packets.
fn files(packets: &[Vec<u8>]) -> [Vec<u8>; 2] {
    let mut classic = ClassicWriter::new(Vec::new()).unwrap();
    let mut pcapng = Writer::new(Vec::new(), &["a", "b"]).unwrap();
    for (second, data) in (0..).zip(packets) {
        let time = Duration::from_secs(second);
        classic.packet(time, data).unwrap();
        pcapng.packet(data.len() % 2, time, data, Some("comment")).unwrap();
    }
    [classic.into_inner(), pcapng.into_inner()]
}

proptest! {
    #[test]
    fn what_is_written_is_read(packets in vec(vec(any::<u8>(), 0..100), 0..8)) {
        for file in files(&packets) {
            let read: Vec<_> = whole(&file).into_iter().map(|p| p.data.to_vec()).collect();
            prop_assert_eq!(&read, &packets);
        }
    }

    /// Neither a panic nor more bytes than the file has.
    #[test]
    fn damaged_files_are_read_or_refused(
        packets in vec(vec(any::<u8>(), 0..40), 0..4),
        edits in vec((any::<Index>(), any::<u8>()), 0..6),
        cut in any::<Index>(),
        whole in any::<bool>(),
    ) {
        for mut file in files(&packets) {
            for (at, byte) in &edits {
                let at = at.index(file.len());
                file[at] = *byte;
            }
            if !whole {
                file.truncate(cut.index(file.len()));
            }
            if let Ok(read) = read(&file) {
                let held: usize = read.packets.iter().map(|packet| packet.data.len()).sum();
                prop_assert!(held <= file.len());
            }
        }
    }

    #[test]
    fn noise_is_refused_or_empty(mut file in vec(any::<u8>(), 0..200), kind in 0_usize..5) {
        let magics = PCAP_MAGICS.iter().chain([&SECTION_HEADER]);
        if let (Some(magic), Some(start)) = (magics.cycle().nth(kind), file.first_chunk_mut::<4>()) {
            *start = *magic;
        }
        if let Ok(read) = read(&file) {
            let held: usize = read.packets.iter().map(|packet| packet.data.len()).sum();
            prop_assert!(held <= file.len());
        }
    }
}
