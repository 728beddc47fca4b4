//! Checksums of IP and of its transports. Building a frame computes them.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::checksum::Sum16BitWords;

use super::wire::Dissection;

/// The Internet checksum (RFC 1071) of `data`, after `pseudo`'s words.
pub(super) fn internet(pseudo: Sum16BitWords, data: &[u8]) -> u16 {
    pseudo.add_slice(data).ones_complement().to_be()
}

/// No pseudo header: IPv4 headers and ICMP.
pub(super) fn bare() -> Sum16BitWords {
    Sum16BitWords::new()
}

/// The pseudo header of TCP and UDP over IPv4 (RFC 9293 section 3.1).
pub(super) fn pseudo_v4(src: Ipv4Addr, dst: Ipv4Addr, protocol: u8, len: usize) -> Sum16BitWords {
    let [_, _, high, low] = length(len);
    Sum16BitWords::new()
        .add_4bytes(src.octets())
        .add_4bytes(dst.octets())
        .add_2bytes([0, protocol])
        .add_2bytes([high, low])
}

/// The pseudo header of everything over IPv6 (RFC 8200 section 8.1).
pub(super) fn pseudo_v6(src: Ipv6Addr, dst: Ipv6Addr, protocol: u8, len: usize) -> Sum16BitWords {
    Sum16BitWords::new()
        .add_16bytes(src.octets())
        .add_16bytes(dst.octets())
        .add_4bytes(length(len))
        .add_2bytes([0, protocol])
}

fn length(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes()
}

/// Finishes a checksum that a driver left to the device, as `VIRTIO_NET_HDR_F_NEEDS_CSUM` asks
/// (virtio 1.2, section 5.1.6.2): the field at `csum_start + csum_offset`, which holds the sum of
/// the pseudo header, is replaced by the checksum from `csum_start` to the end of the frame. A
/// checksum of zero is stored as 0xffff, as `skb_checksum_help` does (Linux `net/core/dev.c`).
///
/// Returns whether the field lies inside the frame; if not, nothing is changed.
#[must_use]
pub fn complete_checksum(frame: &mut [u8], csum_start: u16, csum_offset: u16) -> bool {
    let start = usize::from(csum_start);
    let field = start + usize::from(csum_offset);
    if frame.len() < field + 2 {
        return false;
    }
    let sum = match internet(bare(), &frame[start..]) {
        0 => 0xffff,
        sum => sum,
    };
    frame[field..field + 2].copy_from_slice(&sum.to_be_bytes());
    true
}

/// The checksum that belongs into the first field of this name, from the frame's other bytes; none
/// where it is no checksum, the frame has no such field, or its packet is a fragment.
#[must_use]
pub fn checksum_due(frame: &[u8], field: &str) -> Option<u16> {
    let dissection = Dissection::of(frame);
    let at = dissection.field(field)?.range.clone();
    let layer = dissection.layer(field.strip_suffix(".checksum")?)?;
    let end = frame.len() - dissection.field("padding")?.bytes().len();
    let mut bytes = frame.to_vec();
    bytes[at].fill(0);
    if layer.name == "ipv4" {
        return Some(internet(bare(), &bytes[layer.range.clone()]));
    }
    let number = |name| dissection.field(name).map(|field| field.number());
    // The highest bit of the three flags is reserved, the lowest says that more fragments follow.
    if number("ipv4.flags").is_some_and(|flags| flags & 1 == 1)
        || dissection.layer("ipv6_frag").is_some()
    {
        return None;
    }
    let segment = &bytes[layer.range.start..end];
    let sum = |protocol| Some(internet(pseudo(&dissection, protocol, segment.len())?, segment));
    match layer.name {
        "icmp" => Some(internet(bare(), segment)),
        "tcp" => sum(6),
        "icmpv6" => sum(58),
        // Zero says that there is none (RFC 768).
        "udp" => sum(17).map(|sum| if sum == 0 { 0xffff } else { sum }),
        _ => None,
    }
}

fn pseudo(dissection: &Dissection<'_>, protocol: u8, len: usize) -> Option<Sum16BitWords> {
    let bytes = |name| dissection.field(name).map(|field| field.bytes());
    if let (Some(src), Some(dst)) = (bytes("ipv4.src"), bytes("ipv4.dst")) {
        let [src, dst] = [<[u8; 4]>::try_from(src).ok()?, dst.try_into().ok()?];
        return Some(pseudo_v4(src.into(), dst.into(), protocol, len));
    }
    let [src, dst] = [bytes("ipv6.src")?, bytes("ipv6.dst")?];
    let [src, dst] = [<[u8; 16]>::try_from(src).ok()?, dst.try_into().ok()?];
    Some(pseudo_v6(src.into(), dst.into(), protocol, len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::parse_hex;

    #[test]
    fn what_is_due_does_not_depend_on_what_is_there() {
        let udp = "525400123456 020000000001 0800 4500002100000000401166ca 0a000001 0a000002 \
                   0fa00009000d9856 68656c6c6f";
        let due = |hex: &str, field| checksum_due(&parse_hex(hex).unwrap(), field);
        for frame in [udp.to_owned(), udp.replace("9856", "1234"), format!("{udp} (00*13)")] {
            assert_eq!(due(&frame, "udp.checksum"), Some(0x9856));
            assert_eq!(due(&frame, "ipv4.checksum"), Some(0x66ca));
        }
        let first_fragment = udp.replace("00000000401166ca", "00002000401146ca");
        assert_eq!(due(&first_fragment, "udp.checksum"), None);
        assert_eq!(due(udp, "udp.length"), None);
        assert_eq!(due(udp, "tcp.checksum"), None);
    }

    /// RFC 1071 section 3 sums these words to 0xddf2.
    #[test]
    fn the_rfc_s_own_example() {
        let data = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(internet(bare(), &data), !0xddf2);
    }

    #[test]
    fn an_odd_byte_counts_as_the_high_half_of_a_word() {
        assert_eq!(internet(bare(), &[0x12]), !0x1200);
    }

    /// 10.0.0.1:4000 to 10.0.0.2:9, "hello": the field holds the folded pseudo header
    /// (0x0a00 + 0x0001 + 0x0a00 + 0x0002 + 17 + 13), as Linux leaves it.
    #[test]
    fn a_partial_sum_is_completed_in_place() {
        let mut frame = vec![0xee; 4];
        frame.extend([0x0f, 0xa0, 0x00, 0x09, 0x00, 0x0d, 0x14, 0x21]);
        frame.extend(b"hello");
        assert!(complete_checksum(&mut frame, 4, 6));
        let (src, dst) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
        assert_eq!(frame[10..12], [0x98, 0x56]);
        assert_eq!(internet(pseudo_v4(src, dst, 17, 13), &frame[4..]), 0);
    }

    #[test]
    fn a_sum_of_zero_is_stored_as_all_ones() {
        let mut frame = [0xff, 0xff, 0x00, 0x00];
        assert!(complete_checksum(&mut frame, 0, 2));
        assert_eq!(frame, [0xff, 0xff, 0xff, 0xff]);
    }

    #[test]
    fn a_field_outside_the_frame_is_left_alone() {
        let mut frame = [1, 2, 3];
        assert!(!complete_checksum(&mut frame, 0, 2));
        assert!(!complete_checksum(&mut frame, u16::MAX, u16::MAX));
        assert_eq!(frame, [1, 2, 3]);
    }
}
