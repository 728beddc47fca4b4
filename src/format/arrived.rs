//! What a section says came out of the ports, made into arrivals again. Read by the parser.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};

use super::error::Reason;
use crate::{
    base::{Frame, VirtualTime, VnetHdr},
    reading::framing,
    record::{Arrival, Framing, Item, Port, PortKind, Step},
};

/// What a section says came out of the ports, turned back into frames and bytes.
#[derive(Default)]
pub(super) struct Arrived {
    /// By the step's and the port's position.
    items: BTreeMap<(usize, usize), Vec<Piece>>,
    ports: BTreeMap<usize, Stream>,
}

/// What a chardev port's list has said so far.
#[derive(Default)]
struct Stream {
    /// The vnet length word, where it is not the one that goes without saying.
    vnet_len: Option<usize>,
    /// Bytes of the next frame that came early, by step.
    begun: Vec<(usize, usize)>,
}

enum Piece {
    Frame(Frame),
    Bytes(BytesMut),
    Eof,
}

impl Arrived {
    /// A frame; at a chardev port its bytes, of which some may have been announced before.
    pub(super) fn frame(
        &mut self,
        step: usize,
        port: usize,
        kind: PortKind,
        frame: Frame,
    ) -> Result<(), Reason> {
        let framing = match kind.framing() {
            None => {
                self.items.entry((step, port)).or_default().push(Piece::Frame(frame));
                return Ok(());
            }
            Some(Framing::Raw) => return Err("a raw chardev has no frames".into()),
            Some(Framing::Pcap) => {
                let length = frame.data.len();
                return self.record(step, port, &frame.data, length);
            }
            Some(framing) => framing,
        };
        let stream = self.ports.entry(port).or_default();
        let vnet_len = stream.vnet_len.unwrap_or(VnetHdr::LONG);
        let begun = std::mem::take(&mut stream.begun);
        let mut bytes = Bytes::from(framing::encode(framing, &frame, Some(vnet_len)));
        for (early, size) in begun {
            if size >= bytes.len() {
                return Err("more bytes were begun than the frame has".into());
            }
            self.push_bytes(early, port, &bytes.split_to(size));
        }
        self.push_bytes(step, port, &bytes);
        Ok(())
    }

    /// A pcap file begins.
    pub(super) fn pcap(&mut self, step: usize, port: usize, maxlen: u32) -> Result<(), Reason> {
        self.raw(step, port, &framing::pcap::header(maxlen))
    }

    /// What a pcap file has of a frame of `whole` bytes.
    pub(super) fn record(
        &mut self,
        step: usize,
        port: usize,
        data: &[u8],
        whole: usize,
    ) -> Result<(), Reason> {
        self.raw(step, port, &framing::pcap::record(VirtualTime::ZERO, data, whole))
    }

    /// Bytes of the port's next frame come in this step.
    pub(super) fn begun(&mut self, step: usize, port: usize, size: usize) -> Result<(), Reason> {
        self.ports.entry(port).or_default().begun.push((step, size));
        Ok(())
    }

    /// The vnet length word of the port's frames from here on.
    pub(super) fn vnet_len(&mut self, port: usize, length: usize) -> Result<(), Reason> {
        self.ports.entry(port).or_default().vnet_len = Some(length);
        Ok(())
    }

    /// Bytes that are no frame.
    pub(super) fn raw(&mut self, step: usize, port: usize, bytes: &[u8]) -> Result<(), Reason> {
        self.nothing_begun(port)?;
        self.push_bytes(step, port, bytes);
        Ok(())
    }

    /// End of file.
    pub(super) fn eof(&mut self, step: usize, port: usize) -> Result<(), Reason> {
        self.nothing_begun(port)?;
        self.items.entry((step, port)).or_default().push(Piece::Eof);
        Ok(())
    }

    /// Hands everything to the steps, each port in its order.
    pub(super) fn into_steps(self, ports: &[Port], steps: &mut [Step]) -> Result<(), Reason> {
        for port in self.ports.keys() {
            self.nothing_begun(*port)?;
        }
        for ((step, port), pieces) in self.items {
            let step = &mut steps[step];
            let at = step.clock;
            step.arrivals.extend(pieces.into_iter().map(|piece| {
                let item = match piece {
                    Piece::Frame(frame) => Item::Frame(frame),
                    Piece::Bytes(bytes) => Item::Bytes(bytes.freeze()),
                    Piece::Eof => Item::Eof,
                };
                Arrival { port: ports[port].id.clone(), item, tag: None, at }
            }));
        }
        Ok(())
    }

    fn nothing_begun(&self, port: usize) -> Result<(), Reason> {
        match self.ports.get(&port) {
            Some(stream) if !stream.begun.is_empty() => {
                Err("a frame that was begun is not completed".into())
            }
            _ => Ok(()),
        }
    }

    fn push_bytes(&mut self, step: usize, port: usize, bytes: &[u8]) {
        let pieces = self.items.entry((step, port)).or_default();
        if let Some(Piece::Bytes(before)) = pieces.last_mut() {
            before.extend_from_slice(bytes);
        } else {
            pieces.push(Piece::Bytes(bytes.into()));
        }
    }
}
