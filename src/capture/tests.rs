//! The captures of real programs in `fixtures/pcaps`, against the parts that read and print them.

use std::{collections::BTreeMap, fs, path::PathBuf, time::Duration};

use super::{Packet, Writer, read};
use crate::frame::{
    Dissection, changes, complete_checksum, diff, flow, hex_groups, mask, parse_hex, patch, summary,
};

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/pcaps")
}

fn fixture(name: &str) -> Vec<Packet> {
    let path = directory().join(name);
    let read = read(&fs::read(&path).unwrap());
    let capture = read.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(capture.broken, None, "{}", path.display());
    capture.packets
}

/// Every capture with its number of frames, as the table in the README has it.
fn table() -> BTreeMap<String, usize> {
    let readme = fs::read_to_string(directory().join("README.md")).unwrap();
    let row = |line: &str| {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let (file, frames) = (cells.next()?, cells.next()?);
        file.ends_with(".pcap").then(|| (file.to_owned(), frames.parse().unwrap()))
    };
    readme.lines().filter_map(row).collect()
}

fn every_frame() -> Vec<Packet> {
    table().keys().flat_map(|file| fixture(file)).collect()
}

fn summaries(name: &str) -> Vec<String> {
    fixture(name).iter().map(|packet| summary(&packet.data)).collect()
}

#[test]
fn the_table_has_every_file_and_its_frames() {
    let files: BTreeMap<String, usize> = fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "README.md")
        .map(|name| (name.clone(), fixture(&name).len()))
        .collect();
    assert_eq!(files, table());
    assert!(!files.is_empty());
}

#[test]
fn captures_are_small_and_whole() {
    for file in table().keys() {
        let bytes = fs::metadata(directory().join(file)).unwrap().len();
        assert!(bytes < 100 * 1024, "{file}: {bytes} bytes");
        let packets = fixture(file);
        assert!(packets.iter().all(|packet| !packet.is_cut()), "{file}");
        assert_eq!(packets[0].time, Duration::ZERO, "{file}");
        assert!(packets.is_sorted_by_key(|packet| packet.time), "{file}");
    }
}

#[test]
fn every_frame_is_understood() {
    for packet in every_frame() {
        let line = summary(&packet.data);
        assert!(!line.contains("malformed"), "{line}");
        assert!(flow(&packet.data).is_some(), "{line}");
    }
}

#[test]
fn hexadecimal_and_back() {
    for packet in every_frame() {
        assert_eq!(parse_hex(&hex_groups(&packet.data)).unwrap(), packet.data);
    }
}

/// A frame and the next one of its flow differ, and the difference can be said without loss.
#[test]
fn frames_of_a_flow_are_told_apart() {
    for file in table().keys() {
        for pair in fixture(file).windows(2) {
            let [base, actual] = [&pair[0].data, &pair[1].data];
            assert_eq!(diff(base, actual).is_empty(), base == actual);
            if let Some(changes) = changes(base, actual) {
                assert_eq!(patch(base, &changes).unwrap(), actual[..]);
            }
        }
    }
}

#[test]
fn a_mask_hides_what_the_kernel_chose() {
    let packets = fixture("ping.pcap");
    let requests: Vec<_> = packets
        .iter()
        .filter(|packet| summary(&packet.data).contains("echo request"))
        .map(|packet| {
            mask(
                &packet.data,
                &["ipv4.id", "ipv4.checksum", "icmp.checksum", "icmp.seq", "payload"],
            )
        })
        .collect();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0], requests[1]);
}

#[test]
fn ping_begins_with_arp() {
    let lines = summaries("ping.pcap");
    assert_eq!(lines[0], "ARP who-has 10.0.0.2 tell 10.0.0.1");
    assert_eq!(lines[1], "ARP reply 10.0.0.2 is-at 52:54:00:12:34:56");
    assert!(lines[2].starts_with("IPv4 10.0.0.1 > 10.0.0.2 ICMP echo request id "), "{}", lines[2]);
    assert!(lines[3].starts_with("IPv4 10.0.0.2 > 10.0.0.1 ICMP echo reply id "), "{}", lines[3]);
}

#[test]
fn ping6_begins_with_neighbour_discovery() {
    let lines = summaries("ping6.pcap");
    assert_eq!(
        lines[0],
        "IPv6 fd00::1 > ff02::1:ff00:2 ICMPv6 neighbour solicitation who-has fd00::2, 0 B payload"
    );
    assert_eq!(
        lines[1],
        "IPv6 fd00::2 > fd00::1 ICMPv6 neighbour advertisement of fd00::2, 0 B payload"
    );
}

#[test]
fn fragments_are_named() {
    let lines = summaries("fragments.pcap");
    assert!(lines[0].contains("ICMP echo request"), "{}", lines[0]);
    assert!(lines[0].ends_with(" at 0+, 1472 B payload"), "{}", lines[0]);
    assert!(lines[1].ends_with(" at 1480+, 1480 B payload"), "{}", lines[1]);
    assert!(lines[2].ends_with(" at 2960, 48 B payload"), "{}", lines[2]);
}

#[test]
fn a_connection_begins_with_its_handshake() {
    for (file, source) in [("http.pcap", "IPv4 10.0.0.1:"), ("http6.pcap", "IPv6 [fd00::1]:")] {
        let lines = summaries(file);
        assert!(lines[0].starts_with(source) && lines[0].contains("TCP [SYN] "), "{}", lines[0]);
        assert!(lines[1].contains("TCP [SYN,ACK] "), "{}", lines[1]);
        assert!(lines[2].contains("TCP [ACK] "), "{}", lines[2]);
        let options = fixture(file)[0].data.clone();
        let options = Dissection::of(&options).field("tcp.options").unwrap().value();
        assert!(options.starts_with("mss:1"), "{options}");
    }
}

/// Where the interface had no offloads, the kernel's checksums are whole: put back to the sum of
/// the pseudo header, as virtio would see them, they complete to what the kernel sent.
#[test]
fn checksums_complete_to_the_kernel_s_own() {
    for file in ["http.pcap", "http6.pcap", "iperf3-tcp.pcap"] {
        for packet in fixture(file) {
            let dissection = Dissection::of(&packet.data);
            let range = |name: &str| dissection.field(name).unwrap().range.clone();
            let ip = dissection.layers[1].name;
            let addresses = range(&format!("{ip}.src")).start..range(&format!("{ip}.dst")).end;
            let tcp = dissection.layer("tcp").unwrap().range.start;
            let words = packet.data[addresses].chunks_exact(2);
            let sum: usize =
                words.map(|word| usize::from(word[0]) << 8 | usize::from(word[1])).sum();
            let mut sum = sum + 6 + packet.data.len() - tcp;
            while sum > 0xffff {
                sum = (sum & 0xffff) + (sum >> 16);
            }
            let mut partial = packet.data.to_vec();
            partial[range("tcp.checksum")]
                .copy_from_slice(&u16::try_from(sum).unwrap().to_be_bytes());
            assert_ne!(partial, packet.data);
            assert!(complete_checksum(&mut partial, u16::try_from(tcp).unwrap(), 16));
            assert_eq!(partial, packet.data, "{file}: {}", summary(&packet.data));
        }
    }
}

#[test]
fn offloads_make_super_frames() {
    let longest = |file| fixture(file).iter().map(|packet| packet.data.len()).max();
    assert_eq!(longest("iperf3-tcp.pcap"), Some(1514));
    assert!(longest("iperf3-tcp-offloads.pcap") > Some(10_000));
}

#[test]
fn tags_are_in_the_frames() {
    assert_eq!(
        summaries("vlan.pcap"),
        [
            "vlan 100 ARP who-has 10.0.0.1 tell 10.0.0.2",
            "vlan 100 pcp 5 IPv4 10.0.0.2:4000 > 10.0.0.1:9 UDP, 5 B payload",
            "vlan 200 vlan 100 IPv4 10.0.0.2:4000 > 10.0.0.1:80 TCP [SYN] seq 1 ack 0 win 65535, \
             0 B payload",
            "vlan 0 pcp 7 0x88b5",
        ]
    );
}

#[test]
fn every_frame_survives_pcapng() {
    let packets = every_frame();
    let mut writer = Writer::new(Vec::new(), &["a"]).unwrap();
    for packet in &packets {
        writer.packet(0, packet.time, &packet.data, None).unwrap();
    }
    assert_eq!(read(&writer.into_inner()).unwrap().packets, packets);
}
