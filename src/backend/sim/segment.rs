//! TCP super-frames, and how they are cut to the size that a link takes. The fabric segments where
//! the kernel does.

use crate::{
    backend::builtin::{ETH_HLEN, is_tagged},
    base::{Frame, VnetHdr},
    frame::complete_checksum,
};

pub(super) const TCP: u8 = 6;
pub(super) const NEEDS_CSUM: u8 = 1;
pub(super) const TCPV4: u8 = 1;
pub(super) const TCPV6: u8 = 4;
/// Where TCP's checksum is in its header.
pub(super) const TCP_CHECKSUM: u16 = 16;

/// The kernel's field has 16 bits too.
pub(super) fn short(length: usize) -> u16 {
    u16::try_from(length & 0xffff).unwrap_or(u16::MAX)
}

/// A TCP segment of more than a link's size, checked as the kernel checks what comes from a guest
/// (Linux 6.18 `net/ipv4/tcp_offload.c`, `tcp_gso_segment`).
#[derive(Debug)]
pub(super) struct SuperFrame {
    /// The transport checksum's field holds the pseudo header's sum.
    data: Vec<u8>,
    vnet: VnetHdr,
    network: usize,
    transport: usize,
    headers: usize,
}

impl SuperFrame {
    /// None when the kernel would not cut it, or when it is not TCP's.
    pub(super) fn of(frame: &Frame) -> Option<Self> {
        let kind = frame.vnet.gso_type & 0x7f;
        let network = network_offset(&frame.data)?;
        let transport = transport_offset(&frame.data, TCP)?;
        let version = match kind {
            TCPV4 => 4,
            TCPV6 => 6,
            _ => return None,
        };
        if frame.data[network] >> 4 != version {
            return None;
        }
        let header = usize::from(frame.data.get(transport + 12)? >> 4) * 4;
        let headers = transport + header;
        let size = usize::from(frame.vnet.gso_size);
        if header < 20 || frame.data.len().checked_sub(headers)? <= size {
            return None;
        }
        let mut this =
            Self { data: frame.data.to_vec(), vnet: frame.vnet, network, transport, headers };
        if frame.vnet.flags & NEEDS_CSUM == 0 {
            this.vnet.flags = NEEDS_CSUM;
            this.vnet.csum_start = short(transport);
            this.vnet.csum_offset = TCP_CHECKSUM;
            let sum = this.pseudo_header();
            this.set(transport + usize::from(TCP_CHECKSUM), sum);
        }
        this.vnet.hdr_len = this.vnet.hdr_len.max(short(headers));
        (usize::from(this.vnet.csum_start) == transport).then_some(this)
    }

    /// As it travels over a link.
    pub(super) fn whole(self) -> Frame {
        Frame { vnet: self.vnet, data: self.data.into() }
    }

    /// As it reaches who has no offloads: each segment with its own numbers, lengths, flags and
    /// checksums.
    pub(super) fn segments(self) -> Vec<Vec<u8>> {
        const FIN_AND_PSH: u8 = 0x09;
        const CWR: u8 = 0x80;
        let payload = &self.data[self.headers..];
        let pieces: Vec<&[u8]> = payload.chunks(usize::from(self.vnet.gso_size)).collect();
        let last = pieces.len() - 1;
        let sequence = self.word(self.transport + 4) << 16 | self.word(self.transport + 6);
        let mut sent = 0_u32;
        let mut segments = Vec::new();
        for (number, piece) in pieces.into_iter().enumerate() {
            let mut segment = Self {
                data: [&self.data[..self.headers], piece].concat(),
                vnet: self.vnet,
                ..self
            };
            segment.number_ip(number);
            let at = self.transport;
            let next = sequence.wrapping_add(sent).to_be_bytes();
            segment.data[at + 4..at + 8].copy_from_slice(&next);
            let flags = &mut segment.data[at + 13];
            if number < last {
                *flags &= !FIN_AND_PSH;
            }
            if number > 0 {
                *flags &= !CWR;
            }
            segment.fill_checksum(self.data.len() - at);
            sent = sent.wrapping_add(u32::try_from(piece.len()).unwrap_or(u32::MAX));
            segments.push(segment.data);
        }
        segments
    }

    /// Length, and with IPv4 identification and checksum.
    fn number_ip(&mut self, number: usize) {
        let (at, length) = (self.network, self.data.len() - self.network);
        if self.data[at] >> 4 == 6 {
            self.set(at + 4, u32::from(short(length - 40)));
            return;
        }
        self.set(at + 2, u32::from(short(length)));
        let id = self.word(at + 4) + u32::from(short(number));
        self.set(at + 4, id & 0xffff);
        self.set(at + 10, 0);
        let sum = folded(&self.data[at..self.transport], 0);
        self.set(at + 10, !sum & 0xffff);
    }

    /// The pseudo header's sum, which counted `whole` bytes, counts this segment's.
    fn fill_checksum(&mut self, whole: usize) {
        let field = self.transport + usize::from(TCP_CHECKSUM);
        let length = u32::from(short(self.data.len() - self.transport));
        let change = length + (!u32::from(short(whole)) & 0xffff);
        let sum = fold(self.word(field) + change);
        self.set(field, sum);
        let done = complete_checksum(&mut self.data, short(self.transport), TCP_CHECKSUM);
        // Unlike for a single frame, zero stays zero (Linux 6.18 `include/linux/skbuff.h`,
        // `gso_make_checksum`).
        if done && self.word(field) == 0xffff {
            self.set(field, 0);
        }
    }

    fn pseudo_header(&self) -> u32 {
        let addresses = match self.data[self.network] >> 4 {
            4 => 12..20,
            _ => 8..40,
        };
        let addresses = &self.data[self.network..][addresses];
        let length = u32::from(short(self.data.len() - self.transport));
        folded(addresses, length + u32::from(TCP))
    }

    fn word(&self, at: usize) -> u32 {
        u32::from(self.data[at]) << 8 | u32::from(self.data[at + 1])
    }

    fn set(&mut self, at: usize, word: u32) {
        self.data[at..at + 2].copy_from_slice(&word.to_be_bytes()[2..]);
    }
}

/// Behind the addresses and VLAN tags; none when no IP follows.
fn network_offset(frame: &[u8]) -> Option<usize> {
    let mut at = 12;
    while is_tagged(frame.get(at - 12..)?) {
        at += 4;
    }
    let ip = matches!(frame.get(at..at + 2)?, [0x08, 0x00] | [0x86, 0xdd]);
    ip.then_some(at + ETH_HLEN - 12)
}

/// Where the transport header begins; none when the frame carries another protocol, or extension
/// headers of IPv6.
pub(super) fn transport_offset(frame: &[u8], protocol: u8) -> Option<usize> {
    let network = network_offset(frame)?;
    let first = *frame.get(network)?;
    let (next, length) = match first >> 4 {
        4 => (*frame.get(network + 9)?, usize::from(first & 0x0f) * 4),
        6 => (*frame.get(network + 6)?, 40),
        _ => return None,
    };
    (next == protocol && length >= 20).then_some(network + length)
}

/// The sum of RFC 1071 over whole words, from `sum` on.
fn folded(words: &[u8], sum: u32) -> u32 {
    let words = words.chunks_exact(2);
    fold(words.fold(sum, |sum, word| sum + (u32::from(word[0]) << 8 | u32::from(word[1]))))
}

const fn fold(mut sum: u32) -> u32 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum
}
