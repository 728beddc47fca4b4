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

#[rstest]
#[case::big_endian_microseconds([0xa1, 0xb2, 0xc3, 0xd4], 5_000)]
#[case::little_endian_microseconds([0xd4, 0xc3, 0xb2, 0xa1], 5_000)]
#[case::big_endian_nanoseconds([0xa1, 0xb2, 0x3c, 0x4d], 5)]
#[case::little_endian_nanoseconds([0x4d, 0x3c, 0xb2, 0xa1], 5)]
fn every_pcap(#[case] magic: [u8; 4], #[case] nanos: u32) {
    let packets = read(&pcap(magic, 1)).unwrap();
    let data = Bytes::from_static(&[0xaa, 0xbb, 0xcc]);
    assert_eq!(packets, [Packet { data, time: Duration::new(1, nanos), original_len: 4 }]);
    assert!(packets[0].is_cut());
}

#[rstest]
#[case::microseconds_by_default(&[], Duration::from_micros(3))]
#[case::nanoseconds(&[0, 9, 0, 1, 9, 0, 0, 0], Duration::from_nanos(3))]
#[case::seconds(&[0, 9, 0, 1, 0, 0, 0, 0], Duration::from_secs(3))]
#[case::halves_of_seconds(&[0, 9, 0, 1, 0x81, 0, 0, 0], Duration::from_millis(1500))]
fn pcapng_s_resolution_is_honoured(#[case] options: &[u8], #[case] time: Duration) {
    let file = [section(), interface(1, options), enhanced()].concat();
    assert_eq!(read(&file).unwrap()[0].time, time);
}

#[test]
fn a_simple_packet_has_no_time() {
    let simple = block(3, &[0, 0, 0, 2, 0xaa, 0xbb, 0, 0]);
    let packets = read(&[section(), interface(1, &[]), simple].concat()).unwrap();
    assert_eq!((&packets[0].data[..], packets[0].time), (&[0xaa, 0xbb][..], Duration::ZERO));
}

#[test]
fn unknown_blocks_are_skipped() {
    let file = [section(), block(0x0bad, &[1, 2, 3, 4]), interface(1, &[]), enhanced()].concat();
    assert_eq!(read(&file).unwrap().len(), 1);
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
fn a_cut_packet_is_named() {
    let file = pcap([0xa1, 0xb2, 0xc3, 0xd4], 1);
    assert_eq!(
        read(&file[..file.len() - 1]).unwrap_err(),
        ReadError::Truncated { packet: 1, offset: 24, needed: 19, available: 18 }
    );
    assert_eq!(
        read(&file[..30]).unwrap_err(),
        ReadError::Truncated { packet: 1, offset: 24, needed: 16, available: 6 }
    );
    let file = [section(), interface(1, &[]), enhanced(), enhanced()].concat();
    let offset = file.len() - enhanced().len();
    let error = read(&file[..file.len() - 4]).unwrap_err();
    assert!(
        matches!(error, ReadError::Truncated { packet: 2, offset: at, .. } if at == offset),
        "{error}"
    );
}

#[test]
fn a_length_that_lies_is_named() {
    let mut file = pcap([0xa1, 0xb2, 0xc3, 0xd4], 1);
    file[32..36].copy_from_slice(&[0xff; 4]);
    assert!(matches!(read(&file).unwrap_err(), ReadError::Truncated { packet: 1, offset: 24, .. }));
    // Longer than it was on the wire.
    let mut file = pcap([0xa1, 0xb2, 0xc3, 0xd4], 1);
    file[39] = 2;
    assert_eq!(
        read(&file).unwrap_err().to_string(),
        "packet 1 at byte 24: origin_len < included_len: 2 < 3"
    );
}

#[test]
fn only_ethernet() {
    assert_eq!(
        read(&pcap([0xa1, 0xb2, 0xc3, 0xd4], 113)).unwrap_err().to_string(),
        "the file's header at byte 0 has the link type 113: only Ethernet (1) can be used"
    );
    let file = [section(), interface(113, &[]), enhanced()].concat();
    assert_eq!(
        read(&file).unwrap_err(),
        ReadError::LinkType { packet: 1, offset: 48, link_type: 113 }
    );
}

#[test]
fn there_is_a_most_of_packets_and_of_interfaces() {
    let packets = vec![vec![1], vec![2], vec![3]];
    for file in files(&packets) {
        assert_eq!(read_at_most(&file, 3).unwrap().len(), 3);
        assert_eq!(read_at_most(&file, 2).unwrap_err(), ReadError::TooMany { most: 2 });
    }
    let file = [section(), interface(1, &[]).repeat(MAX_INTERFACES + 1), enhanced()].concat();
    let error = read(&file).unwrap_err().to_string();
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
            let read: Vec<_> = read(&file).unwrap().into_iter().map(|p| p.data.to_vec()).collect();
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
                let held: usize = read.iter().map(|packet| packet.data.len()).sum();
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
            let held: usize = read.iter().map(|packet| packet.data.len()).sum();
            prop_assert!(held <= file.len());
        }
    }
}
