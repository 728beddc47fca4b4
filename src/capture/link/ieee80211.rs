//! Frames of wireless networks (IEEE 802.11), plain or behind the header of a driver. Only data that
//! is not encrypted has anything for Ethernet.

use super::{NoFrame, Reading, byte, carries, llc, rest};

/// Of the frame control field.
const TYPE: u8 = 0x0c;
const DATA: u8 = 0x08;
const QOS: u8 = 0x80;
const NO_DATA: u8 = 0x40;
const TO_DS: u8 = 0x01;
const FROM_DS: u8 = 0x02;
const PROTECTED: u8 = 0x40;
const ORDER: u8 = 0x80;

/// The flags field of radiotap, and that the frame check sequence stands behind the frame
/// (radiotap.org, "Flags").
const FLAGS: u32 = 1 << 1;
const TIME: u32 = 1;
const MORE: u32 = 1 << 31;
const WITH_FCS: u8 = 0x10;

/// A frame of data, from frame control on.
pub(super) fn data(frame: &[u8]) -> Reading<'_> {
    const HEADER: &str = "IEEE 802.11";
    let addresses = rest(frame, 24, HEADER)?;
    let (kind, flags) = (frame[0], frame[1]);
    if kind & TYPE != DATA {
        let what = if kind & TYPE == 0 { "management" } else { "control" };
        return carries(format!("it is a {what} frame of IEEE 802.11"));
    }
    if kind & NO_DATA != 0 {
        return carries("it is a frame of IEEE 802.11 without data".to_owned());
    }
    if flags & PROTECTED != 0 {
        return carries("it is encrypted".to_owned());
    }
    let (first, second, third) = (&frame[4..10], &frame[10..16], &frame[16..22]);
    let (destination, source, fourth) = match flags & (TO_DS | FROM_DS) {
        0 => (first, second, 0),
        TO_DS => (third, second, 0),
        FROM_DS => (first, third, 0),
        _ => (third, addresses.get(..6).ok_or(NoFrame::Short(HEADER))?, 6),
    };
    let qos = if kind & QOS == 0 { 0 } else { 2 };
    let high_throughput = if qos > 0 && flags & ORDER != 0 { 4 } else { 0 };
    let payload = rest(addresses, fourth + qos + high_throughput, HEADER)?;
    Ok(llc(payload)?.between(source, destination))
}

/// Behind radiotap: little-endian, with a length of its own.
pub(super) fn radiotap(packet: &[u8]) -> Reading<'_> {
    const HEADER: &str = "radiotap";
    let length =
        usize::from(u16::from_le_bytes([byte(packet, 2, HEADER)?, byte(packet, 3, HEADER)?]));
    let frame = rest(packet, length.max(8), HEADER)?;
    let end = if has_check_sequence(packet) { frame.len().saturating_sub(4) } else { frame.len() };
    data(&frame[..end])
}

fn has_check_sequence(packet: &[u8]) -> bool {
    let present = |at: usize| {
        let word = packet.get(at..).and_then(|packet| packet.first_chunk::<4>());
        word.map(|word| u32::from_le_bytes(*word))
    };
    let Some(first) = present(4) else { return false };
    let mut fields = 8;
    let mut last = first;
    while last & MORE != 0 {
        let Some(next) = present(fields) else { return false };
        (last, fields) = (next, fields + 4);
    }
    // The time stands before the flags, at a multiple of its eight bytes.
    let flags = if first & TIME == 0 { fields } else { fields.next_multiple_of(8) + 8 };
    first & FLAGS != 0 && packet.get(flags).is_some_and(|flags| flags & WITH_FCS != 0)
}

/// Behind the header of Prism's drivers, or AVS's, which says so by its first bytes.
pub(super) fn prism(packet: &[u8]) -> Reading<'_> {
    const HEADER: &str = "Prism";
    if packet.starts_with(&[0x80, 0x21, 0x10]) {
        return avs(packet);
    }
    let bytes = rest(packet, 4, HEADER)?.first_chunk::<4>().ok_or(NoFrame::Short(HEADER))?;
    // In the byte order of its host, and never long.
    let length = u32::from_le_bytes(*bytes).min(u32::from_be_bytes(*bytes));
    data(rest(packet, usize::try_from(length).unwrap_or(usize::MAX), HEADER)?)
}

/// Behind the header of AVS's drivers.
pub(super) fn avs(packet: &[u8]) -> Reading<'_> {
    const HEADER: &str = "AVS";
    let bytes = rest(packet, 4, HEADER)?.first_chunk::<4>().ok_or(NoFrame::Short(HEADER))?;
    let length = usize::try_from(u32::from_be_bytes(*bytes)).unwrap_or(usize::MAX);
    data(rest(packet, length, HEADER)?)
}
