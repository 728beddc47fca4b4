use bytes::{BufMut, Bytes, BytesMut};

use crate::{
    base::{ChardevId, Frame, PortId},
    machine::framing::words,
    record::Framing,
};

/// The far end of a chardev, as the world keeps it.
#[derive(Debug)]
pub(super) enum FarEnd {
    /// A port: bytes are recorded there, and a scenario sends from there.
    Port {
        port: PortId,
        framing: Framing,
        /// Bytes of the virtio-net header in front of each frame.
        vnet_hdr_len: usize,
        connected: bool,
    },
    /// Another chardev: what one writes the other reads.
    Joined(ChardevId),
    /// Nobody: what is written stays in the backend.
    Nobody,
}

/// A frame as the bytes of a chardev. Its virtio-net header stands in front of it and is counted in
/// the length, with either framing (QEMU 10.2.2, `net/filter-mirror.c`, `filter_send`).
pub(super) fn encode(frame: &Frame, framing: Framing, vnet_hdr_len: usize) -> Bytes {
    let vnet_len = match framing {
        Framing::Raw => return frame.data.clone(),
        Framing::Plain => None,
        // The header has at most 12 bytes.
        Framing::Vnet => Some(vnet_hdr_len as u32),
    };
    let length = vnet_hdr_len + frame.data.len();
    let mut bytes = BytesMut::with_capacity(8 + length);
    words(length, vnet_len).for_each(|word| bytes.put(word));
    if vnet_hdr_len > 0 {
        bytes.put_slice(&frame.vnet.to_bytes(vnet_hdr_len));
    }
    bytes.put_slice(&frame.data);
    bytes.freeze()
}

/// The pieces in which a far end writes: all at once, or at most `chunk` bytes at a time.
pub(super) fn chunks(bytes: &Bytes, chunk: Option<usize>) -> impl Iterator<Item = Bytes> {
    let size = chunk.unwrap_or(bytes.len()).max(1);
    let bytes = bytes.clone();
    (0..bytes.len())
        .step_by(size)
        .map(move |from| bytes.slice(from..bytes.len().min(from + size)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::VnetHdr;

    #[test]
    fn framing_counts_the_vnet_header_in_the_length() {
        let frame = Frame {
            vnet: VnetHdr {
                flags: 1,
                ..VnetHdr::default()
            },
            data: Bytes::from_static(b"ab"),
        };
        assert_eq!(&encode(&frame, Framing::Plain, 0)[..], b"\0\0\0\x02ab");
        assert_eq!(
            &encode(&frame, Framing::Vnet, 0)[..],
            b"\0\0\0\x02\0\0\0\0ab"
        );
        assert_eq!(
            &encode(&frame, Framing::Vnet, 10)[..],
            b"\0\0\0\x0c\0\0\0\x0a\x01\0\0\0\0\0\0\0\0\0ab"
        );
        assert_eq!(&encode(&frame, Framing::Raw, 10)[..], b"ab");
    }

    #[test]
    fn chunks_join_to_the_whole() {
        let bytes = Bytes::from_static(b"abcdefg");
        for size in [None, Some(1), Some(3), Some(7), Some(100)] {
            let joined: Vec<u8> = chunks(&bytes, size).flatten().collect();
            assert_eq!(joined, b"abcdefg");
        }
        assert_eq!(chunks(&bytes, Some(3)).count(), 3);
    }
}
