//! What came out of a step, compared with what was measured.

use tapwright::frame::mask;

use super::{Step, world::Seen};
use crate::conform::{
    hex,
    record::{RecordError, TapRecord},
};

/// The kernel counts packets up from a random number.
const MADE_BY_THE_KERNEL: &[&str] = &["ipv4.id", "ipv4.checksum"];

/// How frames stand on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// A second word, the length of the virtio-net header, follows the frame's.
    pub(super) vnet_word: bool,
    /// Bytes of that header.
    pub(super) vnet_hdr_len: usize,
}

impl Layout {
    /// What the peer of a socket netdev reads.
    const PEER: Self = Self { vnet_word: false, vnet_hdr_len: 0 };

    /// A stream with these fields of its frames masked; what is no whole unit stays as it is.
    fn mask(self, stream: &[u8], fields: &[&str]) -> Vec<u8> {
        let mut masked = Vec::with_capacity(stream.len());
        let mut rest = stream;
        let word = if self.vnet_word { 4 } else { 0 };
        while let Some((length, tail)) = rest.split_first_chunk::<4>() {
            let unit = u32::from_be_bytes(*length) as usize + word;
            let Some((unit, after)) = tail.split_at_checked(unit) else {
                break;
            };
            let (front, frame) = unit.split_at(unit.len().min(word + self.vnet_hdr_len));
            masked.extend(length);
            masked.extend(front);
            masked.extend(mask(frame, fields));
            rest = after;
        }
        masked.extend(rest);
        masked
    }
}

/// What differs; what the record does not name is not compared.
pub(super) fn compare(
    record: &TapRecord,
    step: &Step,
    layout: Layout,
    seen: &Seen,
) -> Result<Vec<String>, RecordError> {
    let fields = if *step == Step::Datagram { MADE_BY_THE_KERNEL } else { &[] };
    let mut differences = seen.troubles.clone();
    for (chardev, expected) in &record.chardevs {
        let expected = layout.mask(&hex::decode(expected)?, fields);
        let got = seen.chardevs.get(chardev).map(Vec::as_slice);
        let got = layout.mask(got.unwrap_or_default(), fields);
        differences.extend(differ(chardev, &[expected], &[got]));
    }
    if let Some(expected) = &record.peer {
        let expected = Layout::PEER.mask(&hex::decode(expected)?, fields);
        let got = Layout::PEER.mask(&seen.peer, fields);
        differences.extend(differ("P", &[expected], &[got]));
    }
    if let Some(frames) = &record.tap_rx {
        let frames = frames.iter().map(|frame| hex::decode(frame));
        let expected = frames.collect::<Result<Vec<_>, _>>()?;
        differences.extend(differ("tap0", &expected, &seen.tap_rx));
    }
    if let Some(text) = &record.udp_socket {
        let expected: Vec<Vec<u8>> = text.iter().map(|text| text.as_bytes().to_vec()).collect();
        differences.extend(differ("UDP socket", &expected, &seen.datagrams));
    }
    Ok(differences)
}

fn differ(what: &str, expected: &[Vec<u8>], got: &[Vec<u8>]) -> Vec<String> {
    if expected == got {
        return Vec::new();
    }
    let show = |all: &[Vec<u8>]| {
        let each: Vec<String> = all.iter().map(|bytes| hex::show(bytes)).collect();
        if each.is_empty() { "nothing".to_owned() } else { each.join(", ") }
    };
    vec![format!("{what}: QEMU    {}", show(expected)), format!("{what}: machine {}", show(got))]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two frames of IPv4 whose id and checksum are all ones, behind `front`.
    fn stream(front: &str, id: &str) -> Vec<u8> {
        let ip = format!("450000140000 4000 4011 {id}0a0900010a090002");
        let ip = ip.replacen("0000 4000", &format!("{id}4000"), 1);
        let frame = format!("525400000002525400aa00010800{ip}").replace(' ', "");
        hex::decode(&format!("{front}{frame}").repeat(2)).unwrap()
    }

    #[test]
    fn every_frame_of_a_stream_is_masked_in_its_place() {
        let plain = Layout { vnet_word: false, vnet_hdr_len: 0 };
        let header = "ff".repeat(10);
        for (layout, front) in [
            (plain, "00000022".to_owned()),
            (Layout { vnet_word: true, ..plain }, "0000002200000000".to_owned()),
            (Layout { vnet_word: true, vnet_hdr_len: 10 }, format!("0000002c0000000a{header}")),
        ] {
            assert_eq!(
                layout.mask(&stream(&front, "ffff"), MADE_BY_THE_KERNEL),
                stream(&front, "0000")
            );
        }
    }

    #[test]
    fn what_is_no_whole_unit_stays() {
        for cut in 0..38 {
            let stream = &stream("00000022", "ffff")[..cut];
            assert_eq!(Layout::PEER.mask(stream, MADE_BY_THE_KERNEL), stream);
        }
    }
}
