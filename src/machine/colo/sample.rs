//! TCP segments for tests, right in every part that is not set otherwise.

use super::flag;

/// A segment between the client 10.0.0.9 and the guest 10.0.0.2, port 80.
#[derive(Clone, Debug)]
pub(in crate::machine) struct Sample {
    pub(in crate::machine) from_guest: bool,
    /// The client's.
    pub(in crate::machine) port: u16,
    pub(in crate::machine) seq: u32,
    pub(in crate::machine) ack: u32,
    pub(in crate::machine) flags: u8,
    pub(in crate::machine) payload: Vec<u8>,
    /// Their length is a multiple of 4, as that of `ip_options`.
    pub(in crate::machine) options: Vec<u8>,
    pub(in crate::machine) ip_options: Vec<u8>,
    /// VLAN tags.
    pub(in crate::machine) tags: Vec<u8>,
    pub(in crate::machine) vnet: Vec<u8>,
    /// IPv4's flags and fragment offset.
    pub(in crate::machine) fragment: u16,
}

impl Sample {
    /// A segment of the client.
    pub(in crate::machine) fn client(flags: u8, seq: u32, ack: u32) -> Self {
        Self {
            from_guest: false,
            port: 4000,
            seq,
            ack,
            flags,
            payload: Vec::new(),
            options: Vec::new(),
            ip_options: Vec::new(),
            tags: Vec::new(),
            vnet: Vec::new(),
            fragment: 0,
        }
    }

    /// A segment of the guest.
    pub(in crate::machine) fn guest(flags: u8, seq: u32, ack: u32) -> Self {
        Self { from_guest: true, ..Self::client(flags, seq, ack) }
    }

    /// The client opens with 1999, the secondary answers with `secondary`, the client acknowledges
    /// the primary's number, `primary`.
    pub(in crate::machine) fn handshake(primary: u32, secondary: u32) -> [Self; 3] {
        [
            Self::client(flag::SYN, 1999, 0),
            Self::guest(flag::SYN | flag::ACK, secondary, 2000),
            Self::client(flag::ACK, 2000, primary.wrapping_add(1)),
        ]
    }

    pub(in crate::machine) fn payload(mut self, payload: &[u8]) -> Self {
        self.payload = payload.to_vec();
        self
    }

    /// The frame, its virtio-net header in front.
    pub(in crate::machine) fn bytes(&self) -> Vec<u8> {
        let (client, guest) = ([10, 0, 0, 9], [10, 0, 0, 2]);
        let ((source, sport), (destination, dport)) = if self.from_guest {
            ((guest, 80), (client, self.port))
        } else {
            ((client, self.port), (guest, 80))
        };
        let words = |words: &[u16]| -> Vec<u8> {
            words.iter().flat_map(|word| word.to_be_bytes()).collect()
        };
        let header = 20 + self.options.len();
        let offset = ((header / 4) as u16) << 12 | u16::from(self.flags);
        let mut segment = [
            &words(&[sport, dport])[..],
            &self.seq.to_be_bytes(),
            &self.ack.to_be_bytes(),
            &words(&[offset, 0xffff, 0, 0]),
            &self.options,
            &self.payload,
        ]
        .concat();
        let pseudo = words(&[6, segment.len() as u16]);
        let covered = [&source[..], &destination, &pseudo, &segment].concat();
        segment[16..18].copy_from_slice(&checksum(&covered));
        let length = 20 + self.ip_options.len();
        let total = (length + segment.len()) as u16;
        let mut packet = [
            &[0x40 | (length / 4) as u8, 0][..],
            &words(&[total, 1, self.fragment]),
            &[64, 6, 0, 0],
            &source,
            &destination,
            &self.ip_options,
        ]
        .concat();
        let sum = checksum(&packet);
        packet[10..12].copy_from_slice(&sum);
        let macs = [0x52, 0x54, 0, 0, 0, 2, 0x52, 0x54, 0, 0, 0, 1];
        [&self.vnet[..], &macs, &self.tags, &[8, 0], &packet, &segment].concat()
    }
}

fn checksum(bytes: &[u8]) -> [u8; 2] {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u32::from(*low));
    let mut sum: u32 = bytes.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}
