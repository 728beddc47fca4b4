//! Frames of wireless networks (IEEE 802.11), plain or behind the header of a driver. Data becomes the
//! Ethernet frame that an access point would make of it. What has no such form (management, control,
//! encrypted data) is carried whole, from frame control on, between its own addresses.

use super::{Carried, Kind, NoFrame, Reading, byte, llc, rest};

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

/// Local Experimental EtherType 1 (IEEE Std 802, 9.2.4): what follows is known to those who sent it alone.
const EXPERIMENTAL: u16 = 0x88b5;

/// A frame, from frame control on.
pub(super) fn frame(frame: &[u8]) -> Reading<'_> {
    const HEADER: &str = "IEEE 802.11";
    // An acknowledgement has one address and nothing else.
    rest(frame, 10, HEADER)?;
    let (kind, flags) = (frame[0], frame[1]);
    let has_payload = kind & TYPE == DATA && kind & NO_DATA == 0;
    if kind & TYPE != DATA || frame.len() < 24 {
        return Ok(whole(frame).between(frame.get(10..16).unwrap_or_default(), &frame[4..10]));
    }
    let (first, second, third) = (&frame[4..10], &frame[10..16], &frame[16..22]);
    let fourth = || frame.get(24..30).ok_or(NoFrame::Short(HEADER));
    let (destination, source, addresses) = match flags & (TO_DS | FROM_DS) {
        0 => (first, second, 24),
        TO_DS => (third, second, 24),
        FROM_DS => (first, third, 24),
        _ => (third, fourth()?, 30),
    };
    let carried = if has_payload && flags & PROTECTED == 0 {
        let qos = if kind & QOS == 0 { 0 } else { 2 };
        let high_throughput = if qos > 0 && flags & ORDER != 0 { 4 } else { 0 };
        llc(rest(frame, addresses + qos + high_throughput, HEADER)?)?
    } else {
        whole(frame)
    };
    Ok(carried.between(source, destination))
}

fn whole(frame: &[u8]) -> Carried<'_> {
    Carried::of(Kind::Type(EXPERIMENTAL, Vec::new(), frame))
}

/// Behind radiotap: little-endian, with a length of its own.
pub(super) fn radiotap(packet: &[u8]) -> Reading<'_> {
    const HEADER: &str = "radiotap";
    let length =
        usize::from(u16::from_le_bytes([byte(packet, 2, HEADER)?, byte(packet, 3, HEADER)?]));
    let rest = rest(packet, length.max(8), HEADER)?;
    let end = if has_check_sequence(packet) { rest.len().saturating_sub(4) } else { rest.len() };
    frame(&rest[..end])
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
    frame(rest(packet, usize::try_from(length).unwrap_or(usize::MAX), HEADER)?)
}

/// Behind the header of AVS's drivers.
pub(super) fn avs(packet: &[u8]) -> Reading<'_> {
    const HEADER: &str = "AVS";
    let bytes = rest(packet, 4, HEADER)?.first_chunk::<4>().ok_or(NoFrame::Short(HEADER))?;
    let length = usize::try_from(u32::from_be_bytes(*bytes)).unwrap_or(usize::MAX);
    frame(rest(packet, length, HEADER)?)
}
