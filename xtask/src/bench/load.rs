//! What is sent through a redirector: frames of one length, or super-frames.

use tapwright::{
    base::VnetHdr,
    machine::framing::Head,
    sys::{Tap, TapHeader, Unit},
};

use super::{
    BenchError,
    course::BURST,
    io_error,
    machine::frame,
    segment::{ACK, HEADERS, Segment},
};

/// Payload of a full segment.
pub(super) const MSS: usize = 1460;

#[derive(Clone, Copy)]
pub(super) enum Load {
    /// Frames of so many bytes.
    Frames(usize),
    /// TCP segments of nearly 64 KiB, which nobody on the way cuts.
    SuperFrames,
}

impl Load {
    /// Bytes of a frame, without a virtio-net header.
    pub(super) fn length(self) -> usize {
        match self {
            Self::Frames(length) => length,
            Self::SuperFrames => HEADERS + 43 * MSS,
        }
    }

    /// What stands in front of the frame at a TAP.
    pub(super) fn header(self) -> TapHeader {
        match self {
            Self::Frames(_) => TapHeader::None,
            Self::SuperFrames => TapHeader::Short,
        }
    }

    /// The header that the frame has at a TAP, and the frame.
    pub(super) fn frame(self) -> (Vec<u8>, Vec<u8>) {
        match self {
            Self::Frames(length) => (Vec::new(), frame(length).to_vec()),
            Self::SuperFrames => super_frame(MSS, self.length() - HEADERS),
        }
    }

    /// Frames of a lap.
    pub(super) fn count(self) -> u32 {
        match self {
            Self::Frames(_) => 200_000,
            Self::SuperFrames => 20_000,
        }
    }

    /// Frames on their way at once, the same for whatever is between the two ends. A TAP's queue has
    /// 1,000 by default; rings and sockets have some megabytes.
    pub(super) fn window(self) -> u64 {
        match self {
            Self::Frames(_) => 900,
            Self::SuperFrames => 64,
        }
    }

    /// What a redirector is told of it.
    pub(super) fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Frames(_) => &[],
            Self::SuperFrames => &["--vnet-hdr-support", "on"],
        }
    }

    /// Bytes of a frame in a redirector's stream.
    pub(super) fn framed(self) -> usize {
        let header = self.header();
        Head::bytes(!header.is_empty()) + header.len() + self.length()
    }

    /// A TAP's reader takes such frames whole.
    pub(super) fn take(self, tap: &Tap) -> Result<(), BenchError> {
        match self {
            Self::Frames(_) => Ok(()),
            Self::SuperFrames => tap.take_super_frames().map_err(io_error("a TAP")),
        }
    }
}

/// A segment whose payload is cut into so many bytes a frame, behind the header that asks for it.
fn super_frame(size: usize, payload: usize) -> (Vec<u8>, Vec<u8>) {
    /// `VIRTIO_NET_HDR_F_NEEDS_CSUM`, and `VIRTIO_NET_HDR_GSO_TCPV4`.
    const NEEDS_CSUM: u8 = 1;
    const TCPV4: u8 = 1;
    let header = VnetHdr {
        flags: NEEDS_CSUM,
        gso_type: TCPV4,
        hdr_len: HEADERS as u16,
        gso_size: size as u16,
        csum_start: 34,
        csum_offset: 16,
        num_buffers: 0,
    };
    let segment = Segment { flags: ACK, payload, ..Segment::default() };
    (header.to_bytes(VnetHdr::SHORT), segment.bytes())
}

/// What a host sends on its packet socket. Frames that are not super-frames go out as super-frames all
/// the same, which the kernel cuts before anybody sees them: with a system call and a walk through the
/// stack for every frame the sender would be the slowest of all.
pub(super) struct Sent {
    bytes: Vec<u8>,
    /// Bytes of payload for each frame.
    each: usize,
    /// Frames that go at once.
    most: usize,
}

impl Sent {
    pub(super) fn new(load: Load) -> Self {
        let each = load.length() - HEADERS;
        let (size, most) = match load {
            Load::Frames(_) => (each, BURST as usize),
            Load::SuperFrames => (MSS, 1),
        };
        let (header, frame) = super_frame(size, most * each);
        Self { bytes: [header, frame].concat(), each, most }
    }

    /// The next frames, so many at most: the memory, what of it is to be sent, and how many they are.
    pub(super) fn next(&mut self, most: usize) -> (&[u8], Unit, usize) {
        /// Of IPv4's total length.
        const AT: usize = VnetHdr::SHORT + 14 + 2;
        let frames = most.min(self.most);
        let length = HEADERS + frames * self.each;
        self.bytes[AT..AT + 2].copy_from_slice(&((length - 14) as u16).to_be_bytes());
        let frame = VnetHdr::SHORT;
        let unit = Unit { start: 0, header: 0, frame, end: frame + length };
        (&self.bytes, unit, frames)
    }
}
