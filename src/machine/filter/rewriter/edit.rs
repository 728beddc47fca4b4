//! Numbers in a TCP header, and its checksum (QEMU 10.2.2 net/checksum.c:60-183; RFC 1071, RFC
//! 1624, RFC 2018).

use bytes::{Bytes, BytesMut};

use crate::{
    base::{Profile, Quirk},
    machine::colo::{Headers, TcpHeader, flag},
};

const SEQ: usize = 4;
const ACK: usize = 8;
const CHECKSUM: usize = 16;
/// A header without options, IPv4's and TCP's.
const SHORTEST: usize = 20;
/// Where QEMU takes the TCP header to begin, whatever the length of IPv4's.
const ASSUMED: usize = SHORTEST;
/// What of a TCP header stands before its checksum: name, offset, bytes, the bits behind it in
/// them, its own.
const FIELDS: [(&str, usize, usize, u32, u32); 6] = [
    ("tcp.sport", 0, 2, 0, u32::MAX),
    ("tcp.dport", 2, 2, 0, u32::MAX),
    ("tcp.seq", SEQ, 4, 0, u32::MAX),
    ("tcp.ack", ACK, 4, 0, u32::MAX),
    ("tcp.data_offset", 12, 2, 12, 0xf),
    ("tcp.flags", 12, 2, 0, 0xfff),
];
/// TCP options: end of list, no operation, selective acknowledgement.
const END: u8 = 0;
const NOP: u8 = 1;
const SACK: u8 = 5;
/// `VIRTIO_NET_HDR_F_NEEDS_CSUM`, in the first byte of a virtio-net header: the device completes
/// the checksum, which so far sums the pseudo-header alone.
const NEEDS_CSUM: u8 = 1;

/// A TCP segment that is changed: its headers and a copy of its bytes.
pub(super) struct Edit<'a> {
    /// As it came.
    came: &'a [u8],
    data: BytesMut,
    headers: &'a Headers,
    profile: &'a Profile,
    /// Sum of the TCP header as it came.
    before: u32,
}

/// A changed field: its name, what it was, what it is.
pub(super) type Change = (&'static str, u32, u32);

impl<'a> Edit<'a> {
    pub(super) fn new(data: &'a [u8], headers: &'a Headers, profile: &'a Profile) -> Self {
        let mut edit = Self { came: data, data: BytesMut::from(data), headers, profile, before: 0 };
        edit.before = edit.header_sum();
        edit
    }

    /// Adds to the acknowledgement and to the selective ones.
    pub(super) fn shift_ack(&mut self, shift: u32) {
        self.add(self.headers.transport + ACK, shift);
        if self.profile.has(Quirk::RewriterSackUntranslated) {
            return;
        }
        for edge in self.sack_edges() {
            self.add(edge, shift);
        }
    }

    /// Takes off the sequence number.
    pub(super) fn shift_seq(&mut self, shift: u32) {
        self.add(self.headers.transport + SEQ, shift.wrapping_neg());
    }

    /// The segment with its checksum brought up to date, and what leaves otherwise than it came:
    /// also what a misplaced checksum overwrote, but not the checksum in its place.
    pub(super) fn finish(mut self) -> (Bytes, Vec<Change>) {
        let vnet = self.headers.ethernet > 0;
        let partial = vnet && self.data.first().is_some_and(|flags| flags & NEEDS_CSUM != 0);
        // A sum of the pseudo-header does not depend on the numbers.
        if !partial || self.profile.has(Quirk::RewriterPartialChecksum) {
            if self.profile.has(Quirk::RewriterLaundersCorruption) {
                self.recompute();
            } else {
                self.update();
            }
        }
        let changes = self.changes();
        (self.data.freeze(), changes)
    }

    fn add(&mut self, at: usize, shift: u32) {
        if let Some(old) = number(&self.data, at, 4) {
            self.data[at..at + 4].copy_from_slice(&old.wrapping_add(shift).to_be_bytes());
        }
    }

    fn changes(&self) -> Vec<Change> {
        let transport = self.headers.transport;
        let whole = |at| (at, 4, 0, u32::MAX);
        let options = self.headers.network + ASSUMED + CHECKSUM;
        let overwritten =
            (options < transport).then_some(("ipv4.options", (options, 2, 0, u32::MAX)));
        let fields = FIELDS
            .iter()
            .map(|(name, at, bytes, low, mask)| (*name, (transport + at, *bytes, *low, *mask)));
        let edges = self.sack_edges().into_iter();
        let edges = edges.map(|edge| ("tcp.sack", whole(edge)));
        let all = overwritten.into_iter().chain(fields).chain(edges);
        let changed = all.filter_map(|(name, (at, bytes, low, mask))| {
            let value = |data: &[u8]| Some(number(data, at, bytes)? >> low & mask);
            let (old, new) = (value(self.came)?, value(&self.data)?);
            (old != new).then_some((name, old, new))
        });
        changed.collect()
    }

    /// Where the edges of selective acknowledgements are. An option that does not fit ends the
    /// search.
    fn sack_edges(&self) -> Vec<usize> {
        let mut edges = Vec::new();
        let mut at = self.headers.transport + SHORTEST;
        let end = self.header_end();
        while at < end {
            match self.came[at] {
                END => break,
                NOP => at += 1,
                kind => {
                    let length = self.came.get(at + 1).map_or(0, |length| usize::from(*length));
                    if length < 2 || at + length > end {
                        break;
                    }
                    if kind == SACK {
                        edges.extend(
                            (at + 2..at + length).step_by(4).filter(|edge| edge + 4 <= at + length),
                        );
                    }
                    at += length;
                }
            }
        }
        edges
    }

    fn header_end(&self) -> usize {
        let transport = self.headers.transport;
        let length = TcpHeader::read(self.came, transport).map_or(0, |tcp| tcp.length);
        (transport + length.max(SHORTEST)).min(self.data.len())
    }

    fn header_sum(&self) -> u32 {
        sum(&self.data[self.headers.transport..self.header_end()])
    }

    /// The checksum less what was, plus what is: a wrong one stays wrong (RFC 1624, equation 3).
    fn update(&mut self) {
        let after = self.header_sum();
        let at = self.headers.transport + CHECKSUM;
        let Some(field) = self.data.get_mut(at..at + 2) else {
            return;
        };
        let old = !u16::from_be_bytes([field[0], field[1]]);
        let new = !fold(u32::from(old) + u32::from(!fold(self.before)) + u32::from(fold(after)));
        field.copy_from_slice(&new.to_be_bytes());
    }

    /// The checksum of the whole segment, as QEMU makes it. Where QEMU makes none, the numbers are
    /// changed all the same.
    fn recompute(&mut self) {
        let network = self.headers.network;
        let packet = &mut self.data[network..];
        let total = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
        let fragment = u16::from_be_bytes([packet[6], packet[7]]) & 0x3fff != 0;
        let header = self.headers.transport - network;
        let Some(length) = total.checked_sub(header) else {
            return;
        };
        if packet[0] >> 4 != 4 || fragment || packet.len() < total || length < SHORTEST {
            return;
        }
        let transport = if self.profile.has(Quirk::RewriterIpOptions) { ASSUMED } else { header };
        let end = (transport + length).min(packet.len());
        let Some(field) = packet.get_mut(transport + CHECKSUM..transport + CHECKSUM + 2) else {
            return;
        };
        field.fill(0);
        let pseudo = sum(&packet[12..20]) + u32::from(packet[9]) + length as u32;
        let checksum = !fold(pseudo + sum(&packet[transport..end]));
        packet[transport + CHECKSUM..transport + CHECKSUM + 2]
            .copy_from_slice(&checksum.to_be_bytes());
    }
}

/// A big-endian number of at most four bytes.
fn number(data: &[u8], at: usize, bytes: usize) -> Option<u32> {
    let octets = data.get(at..at + bytes)?;
    Some(octets.iter().fold(0, |all, octet| all << 8 | u32::from(*octet)))
}

/// Sum of big-endian 16-bit words, an odd byte at the end counting as the high one; a frame is far
/// too short for it to overflow.
fn sum(bytes: &[u8]) -> u32 {
    let word =
        |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or_default());
    bytes.chunks(2).map(word).sum()
}

/// A one's complement sum brought to 16 bits.
fn fold(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// Bytes of TCP payload: what the IPv4 header says less the headers.
pub(super) fn payload(data: &[u8], headers: &Headers, tcp: &TcpHeader) -> u32 {
    let at = headers.network;
    let total = data
        .get(at + 2..at + 4)
        .map_or(0, |bytes| usize::from(u16::from_be_bytes([bytes[0], bytes[1]])));
    let before = headers.transport - at + tcp.length;
    let syn = u32::from(tcp.has(flag::SYN));
    total.saturating_sub(before) as u32 + syn
}

/// Whether a packet has no TCP header where one should be: a fragment but the first, or not
/// version 4.
pub(super) fn is_no_segment(data: &[u8], headers: &Headers) -> bool {
    let packet = &data[headers.network..];
    let offset = u16::from_be_bytes([packet[6], packet[7]]) & 0x1fff;
    packet[0] >> 4 != 4 || offset != 0 || packet[0] & 0x0f < 5
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::{base::QemuVersion, machine::colo::sample::Sample};

    const SHIFT: u32 = 0xffff_f060;

    /// The segment with its numbers shifted, and what was reported.
    fn shifted(profile: &Profile, data: &[u8], vnet: usize) -> (Vec<u8>, Vec<Change>) {
        let headers = Headers::read(data, vnet, true).unwrap();
        let mut edit = Edit::new(data, &headers, profile);
        edit.shift_ack(SHIFT);
        let (bytes, changes) = edit.finish();
        (bytes.to_vec(), changes)
    }

    fn qemu(without: &[Quirk]) -> Profile {
        Profile::new(QemuVersion::Qemu102).without(without.iter().copied())
    }

    fn sample() -> Sample {
        Sample::client(flag::ACK, 2000, 5001).payload(b"odd")
    }

    /// What the client would have sent to the secondary.
    fn translated(sample: &Sample) -> Vec<u8> {
        Sample { ack: sample.ack.wrapping_add(SHIFT), ..sample.clone() }.bytes()
    }

    #[rstest]
    #[case::anew(qemu(&[]))]
    #[case::updated(qemu(&[Quirk::RewriterLaundersCorruption]))]
    fn the_checksum_fits(#[case] profile: Profile) {
        let padded = [sample().bytes(), vec![0xff; 6]].concat();
        let expected = [translated(&sample()), vec![0xff; 6]].concat();
        let (bytes, changes) = shifted(&profile, &padded, 0);
        assert_eq!(bytes, expected);
        assert_eq!(changes, [("tcp.ack", 5001, 5001_u32.wrapping_add(SHIFT))]);
    }

    #[rstest]
    #[case::quirk(&[], false)]
    #[case::mended(&[Quirk::RewriterIpOptions], true)]
    #[case::updated(&[Quirk::RewriterLaundersCorruption], true)]
    fn ip_options(#[case] without: &[Quirk], #[case] right: bool) {
        let sample = Sample { ip_options: vec![1, 1, 1, 0], ..sample() };
        let (bytes, _) = shifted(&qemu(without), &sample.bytes(), 0);
        assert_eq!(bytes == translated(&sample), right);
        // QEMU's lands on the header length and the flags, as measured ('W IP options').
        assert_eq!(bytes[14 + 24 + 12..][..2] != [0x50, 0x10], !right);
    }

    /// Longer IPv4 headers, and what the checksum that QEMU writes 36 bytes behind their beginning
    /// overwrites: what is reported is what leaves.
    #[rstest]
    #[case::length_and_flags(4, &["tcp.ack", "tcp.data_offset", "tcp.flags"])]
    #[case::acknowledgement(8, &["tcp.ack"])]
    #[case::sequence_number(12, &["tcp.seq", "tcp.ack"])]
    #[case::port(16, &["tcp.sport", "tcp.ack"])]
    #[case::the_options(20, &["ipv4.options", "tcp.ack"])]
    fn what_a_misplaced_checksum_overwrites(#[case] options: usize, #[case] fields: &[&str]) {
        let sample = Sample { ip_options: vec![1; options], ..sample() };
        let came = sample.bytes();
        let (bytes, changes) = shifted(&qemu(&[]), &came, 0);
        let names: Vec<_> = changes.iter().map(|(name, ..)| *name).collect();
        assert_eq!(names, fields);
        let ack = 34 + options + ACK;
        let told = changes.iter().find(|(name, ..)| *name == "tcp.ack");
        let left = number(&bytes, ack, 4).unwrap();
        assert_eq!(told, Some(&("tcp.ack", 5001, left)));
        assert_eq!(left == 5001_u32.wrapping_add(SHIFT), options != 8);
    }

    #[rstest]
    #[case::laundered(&[], true)]
    #[case::mended(&[Quirk::RewriterLaundersCorruption], false)]
    fn a_damaged_segment(#[case] without: &[Quirk], #[case] right: bool) {
        let mut damaged = sample().bytes();
        *damaged.last_mut().unwrap() ^= 0x40;
        let mut expected = translated(&sample());
        *expected.last_mut().unwrap() ^= 0x40;
        let (bytes, _) = shifted(&qemu(without), &damaged, 0);
        // Mended, the damage is as it was: the checksum is that of the segment before it.
        assert_eq!(bytes == expected, !right);
    }

    #[rstest]
    #[case::fragment(0x2000, None)]
    #[case::version_6(0, Some((14, 0x65)))]
    #[case::longer_than_the_frame(0, Some((17, 0xff)))]
    #[case::too_short_for_tcp(0, Some((17, 39)))]
    #[case::shorter_than_its_header(0, Some((17, 10)))]
    fn without_a_checksum_the_numbers_change_all_the_same(
        #[case] fragment: u16,
        #[case] damage: Option<(usize, u8)>,
    ) {
        let sample = Sample { fragment, ..sample() };
        let mut data = sample.bytes();
        if let Some((at, byte)) = damage {
            data[at] = byte;
        }
        let (bytes, _) = shifted(&qemu(&[]), &data, 0);
        assert_eq!(bytes[42..46], 5001_u32.wrapping_add(SHIFT).to_be_bytes());
        assert_eq!(bytes[50..52], data[50..52]);
    }

    #[rstest]
    #[case::quirk(&[], 1, false)]
    #[case::mended(&[Quirk::RewriterPartialChecksum], 1, true)]
    #[case::whole(&[], 0, false)]
    #[case::whole_mended(&[Quirk::RewriterPartialChecksum], 0, false)]
    fn a_checksum_that_the_device_completes(
        #[case] without: &[Quirk],
        #[case] flags: u8,
        #[case] left_alone: bool,
    ) {
        let sample = Sample { vnet: [vec![flags], vec![0; 11]].concat(), ..sample() };
        let data = sample.bytes();
        let (bytes, _) = shifted(&qemu(without), &data, 12);
        assert_eq!(bytes[62..64] == data[62..64], left_alone);
        assert_eq!(bytes[0], flags);
    }

    #[test]
    fn a_multicast_address_is_no_virtio_net_header() {
        let multicast = |mut frame: Vec<u8>| {
            frame[0] |= NEEDS_CSUM;
            frame
        };
        let profile = Profile::new(QemuVersion::Ideal);
        let (bytes, _) = shifted(&profile, &multicast(sample().bytes()), 0);
        assert_eq!(bytes, multicast(translated(&sample())));
    }

    fn sack(edges: &[u32]) -> Vec<u8> {
        let edges: Vec<u8> = edges.iter().flat_map(|edge| edge.to_be_bytes()).collect();
        [&[5, 2 + edges.len() as u8][..], &edges].concat()
    }

    #[rstest]
    #[case::aligned(&[1, 1], &[])]
    #[case::odd(&[1], &[1])]
    #[case::behind_a_timestamp(&[8, 10, 0, 0, 0, 0, 0, 0, 0, 0], &[0, 0])]
    fn selective_acknowledgements(#[case] before: &[u8], #[case] after: &[u8]) {
        let edges = [5011, 5021, 6000, 6001];
        let moved = edges.map(|edge: u32| edge.wrapping_add(SHIFT));
        let with =
            |edges: &[u32]| Sample { options: [before, &sack(edges), after].concat(), ..sample() };
        let mended = [Quirk::RewriterSackUntranslated, Quirk::RewriterLaundersCorruption];
        for without in [&mended[..1], &mended] {
            let (bytes, changes) = shifted(&qemu(without), &with(&edges).bytes(), 0);
            assert_eq!(bytes, translated(&with(&moved)));
            assert_eq!(changes[1], ("tcp.sack", edges[0], moved[0]));
            assert_eq!(changes.len(), 5);
        }
        let (bytes, changes) = shifted(&qemu(&[]), &with(&edges).bytes(), 0);
        assert_eq!(bytes, translated(&with(&edges)));
        assert_eq!(changes.len(), 1);
    }

    #[rstest]
    #[case::ends_early(&[0, 5, 10, 0, 0, 0, 0, 0])]
    #[case::too_long(&[5, 40, 0, 0, 0, 0, 0, 0])]
    #[case::length_of_1(&[5, 1, 0, 0, 0, 0, 0, 0])]
    #[case::half_an_edge(&[5, 5, 0, 0, 0, 0, 0, 0])]
    #[case::kind_at_the_end(&[1, 1, 1, 5])]
    fn options_that_are_none(#[case] options: &[u8]) {
        let sample = Sample { options: options.to_vec(), ..sample() };
        let profile = Profile::new(QemuVersion::Ideal);
        let (bytes, changes) = shifted(&profile, &sample.bytes(), 0);
        assert_eq!(bytes, translated(&sample));
        assert_eq!(changes.len(), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever the headers say, only the header changes, and back again is as before.
        #[test]
        fn there_and_back(
            body in proptest::collection::vec(any::<u8>(), 20..80),
            ip in any::<[u8; 8]>(),
            shift: u32,
            ideal: bool,
        ) {
            let mut data = Sample::client(0, 0, 0).bytes();
            data.truncate(34);
            data[16..24].copy_from_slice(&ip);
            data.extend(&body);
            let version = if ideal { QemuVersion::Ideal } else { QemuVersion::Qemu102 };
            let profile = Profile::new(version);
            let headers = Headers::read(&data, 0, true).unwrap();
            let change = |data: &[u8], shift| {
                let mut edit = Edit::new(data, &headers, &profile);
                edit.shift_ack(shift);
                edit.shift_seq(shift);
                edit.finish().0
            };
            let there = change(&data, shift);
            prop_assert_eq!(there.len(), data.len());
            prop_assert_eq!(&there[..34], &data[..34]);
            let back = change(&there, shift.wrapping_neg());
            prop_assert_eq!(&back[34..50], &data[34..50]);
            prop_assert_eq!(&back[52..], &data[52..]);
            // Two checksums mean the same: 0 and 0xffff.
            let as_before = back[50..52] == data[50..52] || data[50..52] == [0xff, 0xff];
            prop_assert!(!ideal || as_before);
        }
    }
}
