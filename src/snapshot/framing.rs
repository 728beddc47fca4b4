pub(super) mod pcap;

use bytes::Bytes;

use crate::{
    base::{Frame, NET_BUFSIZE, VnetHdr},
    record::Framing,
};

/// Bytes of the length word, and of the vnet length word after it (QEMU 10.2.2, `net/net.c`,
/// `net_fill_rstate`: both are big endian).
const WORD: usize = 4;

/// A stretch of a chardev's stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cut {
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
    Raw(usize),
}

/// Reads a stream, from the connection to the end of file, as frames. The sizes add up to the
/// stream's length.
pub(super) fn cut(framing: Framing, stream: &Bytes) -> Vec<Cut> {
    let mut cuts = Vec::new();
    let mut at = 0;
    while at < stream.len() {
        let cut = match framing {
            Framing::Raw => None,
            Framing::Plain => cut_plain(stream, at),
            Framing::Vnet => cut_vnet(stream, at),
            Framing::Pcap => pcap::cut(stream, at),
        };
        let cut = cut.unwrap_or(Cut::Raw(stream.len() - at));
        at += cut.size();
        cuts.push(cut);
    }
    cuts
}

/// The whole frames of a stream, in order.
#[must_use]
pub fn frames_of(framing: Framing, stream: &Bytes) -> Vec<Frame> {
    let cuts = cut(framing, stream).into_iter();
    cuts.filter_map(|cut| match cut {
        Cut::Frame { frame, .. } => Some(frame),
        Cut::Pcap { .. } | Cut::Raw(_) => None,
    })
    .collect()
}

/// A frame as it stands on a chardev's stream; the inverse of [`cut`].
pub(super) fn encode(framing: Framing, frame: &Frame, vnet_len: Option<usize>) -> Vec<u8> {
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
    pub(super) const fn size(&self) -> usize {
        match self {
            Self::Frame { size, .. } | Self::Raw(size) => *size,
            Self::Pcap { .. } => pcap::HEADER,
        }
    }
}

fn word(length: usize) -> [u8; WORD] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

fn read_word(stream: &[u8], at: usize) -> Option<usize> {
    let bytes: [u8; WORD] = stream.get(at..at + WORD)?.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(bytes)).ok()
}

fn cut_plain(stream: &Bytes, at: usize) -> Option<Cut> {
    let length = read_word(stream, at)?;
    let start = at + WORD;
    let whole = length <= NET_BUFSIZE && start + length <= stream.len();
    whole.then(|| Cut::Frame {
        frame: Frame::plain(stream.slice(start..start + length)),
        vnet_len: None,
        whole: None,
        size: WORD + length,
    })
}

fn cut_vnet(stream: &Bytes, at: usize) -> Option<Cut> {
    let length = read_word(stream, at)?;
    let vnet_len = read_word(stream, at + WORD)?;
    let start = at + 2 * WORD;
    let end = start + length;
    if length > NET_BUFSIZE || end > stream.len() {
        return None;
    }
    let size = 2 * WORD + length;
    if vnet_len > length || ![0, VnetHdr::SHORT, VnetHdr::LONG].contains(&vnet_len) {
        return Some(Cut::Raw(size));
    }
    let data = stream.slice(start + vnet_len..end);
    let vnet = VnetHdr::from_bytes(&stream[start..start + vnet_len]);
    Some(Cut::Frame { frame: Frame { vnet, data }, vnet_len: Some(vnet_len), whole: None, size })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn joined(framing: Framing, stream: &Bytes) -> Vec<u8> {
        let mut at = 0;
        let mut bytes = Vec::new();
        for cut in cut(framing, stream) {
            match &cut {
                Cut::Frame { frame, vnet_len, .. } => {
                    bytes.extend(encode(framing, frame, *vnet_len));
                }
                Cut::Raw(size) => bytes.extend(&stream[at..at + size]),
                Cut::Pcap { .. } => unreachable!("not a file"),
            }
            at += cut.size();
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
                Cut::Raw(7),
            ]
        );
    }

    #[test]
    fn an_odd_vnet_length_is_raw_and_the_next_frame_is_read() {
        let mut bytes = vec![0, 0, 0, 3, 0, 0, 0, 3, 1, 2, 3];
        let frame = Frame {
            vnet: VnetHdr { flags: 1, ..VnetHdr::default() },
            data: Bytes::from_static(b"xyz"),
        };
        bytes.extend(encode(Framing::Vnet, &frame, Some(10)));
        let cuts = cut(Framing::Vnet, &bytes.into());
        assert_eq!(
            cuts,
            [Cut::Raw(11), Cut::Frame { frame, vnet_len: Some(10), whole: None, size: 21 }]
        );
    }

    #[test]
    fn a_length_beyond_the_buffer_spoils_the_rest() {
        let stream = Bytes::from_static(b"\0\x01\x10\x01\0\0\0\0");
        assert_eq!(cut(Framing::Plain, &stream), [Cut::Raw(8)]);
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
    }
}
