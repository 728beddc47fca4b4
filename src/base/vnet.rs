//! The virtio-net header (virtio 1.2, section 5.1.6) as a value and as bytes. TAPs, chardevs and
//! frames of a scenario carry it.

use std::fmt;

/// A virtio-net header, `struct virtio_net_hdr_mrg_rxbuf` (Linux `uapi/linux/virtio_net.h`,
/// virtio 1.2 section 5.1.6), in its 12-byte form; the 10-byte form lacks `num_buffers`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct VnetHdr {
    /// Bit 0 `NEEDS_CSUM`, bit 1 `DATA_VALID`, bit 2 `RSC_INFO`.
    pub flags: u8,
    /// 0 none, 1 TCPv4, 3 UDP, 4 TCPv6, 5 UDP L4; bit 7 ECN.
    pub gso_type: u8,
    /// Bytes of headers before the payload of a super-frame.
    pub hdr_len: u16,
    /// Payload bytes of each segment.
    pub gso_size: u16,
    /// Where the checksum begins, in bytes from the start of the frame.
    pub csum_start: u16,
    /// Where the checksum is stored, in bytes after `csum_start`.
    pub csum_offset: u16,
    /// Merged receive buffers.
    pub num_buffers: u16,
}

impl VnetHdr {
    /// Bytes of the form without `num_buffers`; what `PACKET_VNET_HDR` carries.
    pub const SHORT: usize = 10;
    /// Bytes of the form with `num_buffers`.
    pub const LONG: usize = 12;

    /// The header as `len` bytes, little endian as virtio 1 has it. A `len` over 12 is filled with
    /// zeros, a `len` below 12 cuts: 10 drops `num_buffers`.
    #[must_use]
    pub fn to_bytes(self, len: usize) -> Vec<u8> {
        let mut long = [0; Self::LONG];
        self.write(&mut long);
        let mut bytes = Vec::with_capacity(len.max(Self::LONG));
        bytes.extend(long);
        bytes.resize(len, 0);
        bytes
    }

    /// Writes the 12-byte form.
    pub fn write(self, to: &mut [u8; Self::LONG]) {
        let fields =
            [self.hdr_len, self.gso_size, self.csum_start, self.csum_offset, self.num_buffers];
        (to[0], to[1]) = (self.flags, self.gso_type);
        for (pair, field) in to[2..].chunks_exact_mut(2).zip(fields) {
            pair.copy_from_slice(&field.to_le_bytes());
        }
    }

    /// Reads the first 12 bytes; what is missing counts as zero.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let octet = |at: usize| bytes.get(at).copied().unwrap_or(0);
        let word = |at: usize| u16::from_le_bytes([octet(at), octet(at + 1)]);
        Self {
            flags: octet(0),
            gso_type: octet(1),
            hdr_len: word(2),
            gso_size: word(4),
            csum_start: word(6),
            csum_offset: word(8),
            num_buffers: word(10),
        }
    }

    /// The header of a frame into which a VLAN tag was put back, where the kernel wrote it for the
    /// frame without the tag: its offsets count four bytes more.
    #[must_use]
    pub const fn behind_tag(mut self) -> Self {
        const NEEDS_CSUM: u8 = 1;
        const TAG: u16 = 4;
        if self.flags & NEEDS_CSUM != 0 {
            self.csum_start = self.csum_start.wrapping_add(TAG);
        }
        // The kernel's own field wraps for what is longer than 64 KiB.
        if self.gso_type != 0 {
            self.hdr_len = self.hdr_len.wrapping_add(TAG);
        }
        self
    }

    /// Whether every field is zero, as it is for a frame that asks nothing of the device.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }
}

impl fmt::Display for VnetHdr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "flags={} gso_type={} hdr_len={} gso_size={} csum_start={} csum_offset={} \
             num_buffers={}",
            self.flags,
            self.gso_type,
            self.hdr_len,
            self.gso_size,
            self.csum_start,
            self.csum_offset,
            self.num_buffers
        )
    }
}
