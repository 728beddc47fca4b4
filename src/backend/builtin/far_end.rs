//! The far ends of chardevs as a built-in world keeps them: what has been written and not yet read,
//! and how frames are encoded for a chardev. `BuiltinWorld` owns one for each chardev.

use bytes::{BufMut, Bytes, BytesMut};

use super::socket::SocketEnd;
use crate::{
    base::{Frame, PortId, Tag},
    machine::framing::words,
    record::Framing,
    scenario::Wiring,
};

/// The far end of a chardev, as the world keeps it.
#[derive(Debug)]
pub(super) enum FarEnd {
    /// A port: bytes are recorded there, and a scenario sends from there.
    Port(PortEnd),
    /// Another chardev: what one writes the other reads.
    Joined(SocketEnd),
    /// Nobody: what is written stays in the backend.
    Nobody,
}

/// A far end that is a port.
#[derive(Debug)]
pub(super) struct PortEnd {
    pub(super) port: PortId,
    pub(super) wiring: Wiring,
    pub(super) connected: bool,
    /// Clients that connected while another was there: one at a time is served (QEMU 10.2.2,
    /// `chardev/char-socket.c`, a backlog of one behind an unwatched listener).
    waiting: usize,
    stalled: bool,
    /// What came while nobody read.
    unread: Vec<(Bytes, Option<Tag>)>,
}

impl PortEnd {
    pub(super) fn new(port: PortId, connected: bool, wiring: Wiring) -> Self {
        Self { port, wiring, connected, waiting: 0, stalled: false, unread: Vec::new() }
    }

    /// Takes what the machine wrote; it is given back when somebody reads it.
    pub(super) fn take(&mut self, data: Bytes, tag: Option<Tag>) -> Option<Bytes> {
        if self.stalled {
            self.unread.push((data, tag));
            return None;
        }
        Some(data)
    }

    pub(super) fn open(&mut self) {
        if self.connected {
            self.waiting += 1;
        }
        self.connected = true;
    }

    /// The connection ended; the next client that waits has its turn. Returns the frames of which
    /// bytes were never read.
    pub(super) fn close(&mut self) -> Vec<Tag> {
        self.connected = self.waiting > 0;
        self.waiting = self.waiting.saturating_sub(1);
        self.stalled = false;
        self.never_read()
    }

    /// The listener is closed, and every client that is connected or waits for a turn sees the end:
    /// how many that are.
    pub(super) fn turn_away(&mut self) -> usize {
        let connected = usize::from(std::mem::take(&mut self.connected));
        connected + std::mem::take(&mut self.waiting)
    }

    pub(super) fn stall(&mut self) {
        self.stalled = self.connected;
    }

    /// Reads again, and first what came meanwhile.
    pub(super) fn resume(&mut self) -> Vec<(Bytes, Option<Tag>)> {
        self.stalled = false;
        std::mem::take(&mut self.unread)
    }

    /// The frames of which bytes were never read.
    pub(super) fn never_read(&mut self) -> Vec<Tag> {
        let mut tags: Vec<Tag> = self.unread.drain(..).filter_map(|(_, tag)| tag).collect();
        tags.dedup();
        tags
    }
}

/// A frame as the bytes of a chardev. Its virtio-net header stands in front of it and is counted in
/// the length, with either framing (QEMU 10.2.2, `net/filter-mirror.c`, `filter_send`).
pub(crate) fn encode(frame: &Frame, wiring: Wiring) -> Bytes {
    let Wiring { framing, vnet_hdr_len } = wiring;
    let vnet_len = match framing {
        Framing::Raw | Framing::Pcap => return frame.data.clone(),
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
pub(crate) fn chunks(bytes: &Bytes, chunk: Option<usize>) -> impl Iterator<Item = Bytes> {
    let size = chunk.unwrap_or(bytes.len()).max(1);
    let bytes = bytes.clone();
    (0..bytes.len()).step_by(size).map(move |from| bytes.slice(from..bytes.len().min(from + size)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::VnetHdr;

    #[test]
    fn framing_counts_the_vnet_header_in_the_length() {
        let frame = Frame {
            vnet: VnetHdr { flags: 1, ..VnetHdr::default() },
            data: Bytes::from_static(b"ab"),
        };
        let encode = |framing, vnet_hdr_len| encode(&frame, Wiring { framing, vnet_hdr_len });
        assert_eq!(&encode(Framing::Plain, 0)[..], b"\0\0\0\x02ab");
        assert_eq!(&encode(Framing::Vnet, 0)[..], b"\0\0\0\x02\0\0\0\0ab");
        assert_eq!(&encode(Framing::Vnet, 10)[..], b"\0\0\0\x0c\0\0\0\x0a\x01\0\0\0\0\0\0\0\0\0ab");
        assert_eq!(&encode(Framing::Raw, 10)[..], b"ab");
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
