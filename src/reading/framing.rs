//! A stream of bytes as frames, and frames as a stream: how a far end reads what comes out of a
//! chardev, and a file what a dump writes. Beside the reading itself, the comparison asks here when a
//! stream was framed wrongly, and the text of a section is made into a stream again.

pub(crate) mod pcap;

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::{
    base::{Frame, NET_BUFSIZE, VnetHdr},
    record::Framing,
};

/// Bytes of the length word, and of the vnet length word after it (QEMU 10.2.2, `net/net.c`,
/// `net_fill_rstate`: both are big endian).
pub(crate) const WORD: usize = 4;

/// A stretch of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// A whole frame with its length words.
    Frame {
        /// The frame, its virtio-net header taken out.
        frame: Frame,
        /// The vnet length word, where the framing has one: 0, 10 or 12.
        vnet_len: Option<usize>,
        /// Its length, where the file has only the beginning of it.
        whole: Option<usize>,
        /// Bytes on the stream.
        size: usize,
    },
    /// The header of a pcap file.
    Pcap {
        /// The most bytes of a frame that the file has.
        maxlen: u32,
    },
    /// Bytes that are no frame: cut off, too long, or with an odd vnet length.
    Raw(Bytes),
}

/// Where the parts of a stretch are, from its first byte on.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    Frame {
        /// The virtio-net header; empty where the framing has none.
        vnet: Range<usize>,
        vnet_len: Option<usize>,
        whole: Option<usize>,
        size: usize,
    },
    Pcap {
        maxlen: u32,
    },
    Raw(usize),
}

/// Reads a stream, from the connection to the end of file, as frames. The sizes add up to the
/// stream's length.
pub(crate) fn cut(framing: Framing, stream: &Bytes) -> Vec<Cut> {
    let mut cuts = Vec::new();
    let mut at = 0;
    while at < stream.len() {
        let rest = &stream[at..];
        let shape = shape(framing, rest).unwrap_or(Shape::Raw(rest.len()));
        let end = at + shape.size();
        cuts.push(shape.cut(stream.slice(at..end)));
        at = end;
    }
    cuts
}

/// The whole frames of a stream, in order.
#[must_use]
pub fn frames_of(framing: Framing, stream: &Bytes) -> Vec<Frame> {
    let frames = cut(framing, stream).into_iter().filter_map(|cut| match cut {
        Cut::Frame { frame, .. } => Some(frame),
        Cut::Pcap { .. } | Cut::Raw(_) => None,
    });
    frames.collect()
}

/// Takes the first stretch off a stream that goes on; none where what follows may make another one
/// of it.
pub(crate) fn take(framing: Framing, stream: &mut BytesMut) -> Option<Cut> {
    let shape = shape(framing, stream)?;
    let settled = framing != Framing::Pcap || pcap::is_settled(&shape, stream.len());
    settled.then(|| {
        let bytes = stream.split_to(shape.size()).freeze();
        shape.cut(bytes)
    })
}

/// A frame as it stands on a chardev's stream; the inverse of [`cut`].
pub(crate) fn encode(framing: Framing, frame: &Frame, vnet_len: Option<usize>) -> Vec<u8> {
    let header = match framing {
        Framing::Vnet => frame.vnet.to_bytes(vnet_len.unwrap_or(VnetHdr::LONG)),
        Framing::Plain | Framing::Raw | Framing::Pcap => Vec::new(),
    };
    let mut bytes = Vec::with_capacity(2 * WORD + header.len() + frame.data.len());
    bytes.extend(word(header.len() + frame.data.len()));
    if framing == Framing::Vnet {
        bytes.extend(word(header.len()));
    }
    bytes.extend(header);
    bytes.extend(&frame.data[..]);
    bytes
}

impl Cut {
    /// Bytes on the stream.
    pub(crate) const fn size(&self) -> usize {
        match self {
            Self::Frame { size, .. } => *size,
            Self::Pcap { .. } => pcap::HEADER,
            Self::Raw(bytes) => bytes.len(),
        }
    }
}

impl Shape {
    const fn size(&self) -> usize {
        match self {
            Self::Frame { size, .. } | Self::Raw(size) => *size,
            Self::Pcap { .. } => pcap::HEADER,
        }
    }

    /// The stretch of this shape, of its bytes.
    fn cut(self, bytes: Bytes) -> Cut {
        match self {
            Self::Frame { vnet, vnet_len, whole, size } => {
                let data = bytes.slice(vnet.end..);
                let vnet = VnetHdr::from_bytes(&bytes[vnet]);
                Cut::Frame { frame: Frame { vnet, data }, vnet_len, whole, size }
            }
            Self::Pcap { maxlen } => Cut::Pcap { maxlen },
            Self::Raw(_) => Cut::Raw(bytes),
        }
    }
}

/// What a stream begins with; none where that is cut off, or nonsense to its end.
fn shape(framing: Framing, stream: &[u8]) -> Option<Shape> {
    match framing {
        Framing::Raw => None,
        Framing::Plain => plain(stream),
        Framing::Vnet => vnet(stream),
        Framing::Pcap => pcap::shape(stream),
    }
}

fn plain(stream: &[u8]) -> Option<Shape> {
    let length = read_word(stream, 0)?;
    let size = WORD + length;
    let whole = length <= NET_BUFSIZE && size <= stream.len();
    whole.then_some(Shape::Frame { vnet: WORD..WORD, vnet_len: None, whole: None, size })
}

fn vnet(stream: &[u8]) -> Option<Shape> {
    let length = read_word(stream, 0)?;
    let vnet_len = read_word(stream, WORD)?;
    let start = 2 * WORD;
    let size = start + length;
    if length > NET_BUFSIZE || size > stream.len() {
        return None;
    }
    if vnet_len > length || ![0, VnetHdr::SHORT, VnetHdr::LONG].contains(&vnet_len) {
        return Some(Shape::Raw(size));
    }
    let vnet = start..start + vnet_len;
    Some(Shape::Frame { vnet, vnet_len: Some(vnet_len), whole: None, size })
}

fn word(length: usize) -> [u8; WORD] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

fn read_word(stream: &[u8], at: usize) -> Option<usize> {
    let bytes: [u8; WORD] = stream.get(at..at + WORD)?.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(bytes)).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Few enough bytes that words, headers and records arise, whole and torn.
    fn piece() -> impl Strategy<Value = Vec<u8>> {
        let noise = || prop::collection::vec(prop_oneof![3 => Just(0_u8), 1 => 0_u8..14], 0..30);
        let torn = (noise(), 0..30_usize).prop_map(|(data, keep)| {
            let record = pcap::record(crate::base::VirtualTime::ZERO, &data, data.len());
            record.iter().copied().take(keep).collect()
        });
        let record = noise().prop_map(|data| {
            pcap::record(crate::base::VirtualTime::ZERO, &data, data.len() + data.len() % 2)
                .to_vec()
        });
        let header =
            (0..30_usize).prop_map(|keep| pcap::header(7).iter().copied().take(keep).collect());
        prop_oneof![noise(), torn, record, header]
    }

    fn joined(framing: Framing, stream: &Bytes) -> Vec<u8> {
        let mut bytes = Vec::new();
        for cut in cut(framing, stream) {
            match &cut {
                Cut::Frame { frame, vnet_len, .. } => {
                    bytes.extend(encode(framing, frame, *vnet_len));
                }
                Cut::Raw(raw) => bytes.extend(&raw[..]),
                Cut::Pcap { .. } => unreachable!("not a file"),
            }
        }
        bytes
    }

    #[test]
    fn plain_frames_and_a_tail() {
        let stream = Bytes::from_static(b"\0\0\0\x02ab\0\0\0\0\0\0\0\x09cut");
        let sizes: Vec<_> = cut(Framing::Plain, &stream);
        assert_eq!(
            sizes,
            [
                Cut::Frame {
                    frame: Frame::plain(Bytes::from_static(b"ab")),
                    vnet_len: None,
                    whole: None,
                    size: 6
                },
                Cut::Frame {
                    frame: Frame::plain(Bytes::new()),
                    vnet_len: None,
                    whole: None,
                    size: 4
                },
                Cut::Raw(Bytes::from_static(b"\0\0\0\x09cut")),
            ]
        );
    }

    #[test]
    fn an_odd_vnet_length_is_raw_and_the_next_frame_is_read() {
        let odd = Bytes::from_static(&[0, 0, 0, 3, 0, 0, 0, 3, 1, 2, 3]);
        let mut bytes = odd.to_vec();
        let frame = Frame {
            vnet: VnetHdr { flags: 1, ..VnetHdr::default() },
            data: Bytes::from_static(b"xyz"),
        };
        bytes.extend(encode(Framing::Vnet, &frame, Some(10)));
        let cuts = cut(Framing::Vnet, &bytes.into());
        assert_eq!(
            cuts,
            [Cut::Raw(odd), Cut::Frame { frame, vnet_len: Some(10), whole: None, size: 21 }]
        );
    }

    #[test]
    fn a_length_beyond_the_buffer_spoils_the_rest() {
        let stream = Bytes::from_static(b"\0\x01\x10\x01\0\0\0\0");
        assert_eq!(cut(Framing::Plain, &stream), [Cut::Raw(stream)]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost(
            bytes in prop::collection::vec(prop_oneof![3 => Just(0_u8), 1 => 0_u8..14], 0..200),
            framing in prop_oneof![
                Just(Framing::Plain), Just(Framing::Vnet), Just(Framing::Raw)
            ],
        ) {
            let stream = Bytes::from(bytes);
            prop_assert_eq!(joined(framing, &stream), &stream[..]);
        }

        /// However a stream comes in pieces, and however often it is read meanwhile.
        #[test]
        fn what_is_taken_early_is_what_is_cut_at_the_end(
            pieces in prop::collection::vec(piece(), 0..12),
            framing in prop_oneof![
                Just(Framing::Plain), Just(Framing::Vnet), Just(Framing::Raw), Just(Framing::Pcap)
            ],
        ) {
            let mut open = BytesMut::new();
            let mut taken = Vec::new();
            for piece in &pieces {
                open.extend_from_slice(piece);
                while let Some(cut) = take(framing, &mut open) {
                    taken.push(cut);
                }
            }
            taken.extend(cut(framing, &open.freeze()));
            prop_assert_eq!(taken, cut(framing, &Bytes::from(pieces.concat())));
        }
    }
}
