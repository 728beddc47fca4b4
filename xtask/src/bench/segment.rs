//! TCP segments between a client and a guest, for whatever has to see a connection.

/// Ethernet, IPv4 and TCP without options.
pub(super) const HEADERS: usize = 54;

/// Where the sequence number is.
pub(super) const SEQ: usize = 14 + 20 + 4;

pub(super) const SYN: u8 = 2;
pub(super) const ACK: u8 = 16;

const GUEST: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
const CLIENT: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// A segment; its checksums are zero.
#[derive(Clone, Copy, Default)]
pub(super) struct Segment {
    pub(super) from_guest: bool,
    pub(super) flags: u8,
    pub(super) seq: u32,
    pub(super) ack: u32,
    /// Bytes of the payload.
    pub(super) payload: usize,
}

impl Segment {
    /// The frame. It is not padded.
    pub(super) fn bytes(self) -> Vec<u8> {
        let Self { from_guest, flags, seq, ack, payload } = self;
        let (client, guest) = ((CLIENT, [10, 0, 0, 9], 4000_u16), (GUEST, [10, 0, 0, 2], 80_u16));
        let (from, to) = if from_guest { (guest, client) } else { (client, guest) };
        let mut frame = Vec::with_capacity(HEADERS + payload);
        frame.extend(to.0);
        frame.extend(from.0);
        frame.extend([8, 0, 0x45, 0]);
        frame.extend(((HEADERS - 14 + payload) as u16).to_be_bytes());
        frame.extend([0, 1, 0, 0, 64, 6, 0, 0]);
        frame.extend(from.1);
        frame.extend(to.1);
        frame.extend(from.2.to_be_bytes());
        frame.extend(to.2.to_be_bytes());
        frame.extend(seq.to_be_bytes());
        frame.extend(ack.to_be_bytes());
        frame.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        frame.resize(HEADERS + payload, 0x5a);
        frame
    }
}
