//! Reads what comes out of ports as frames, while a run goes on. Each byte is looked at once, however
//! often somebody asks what has come so far.

use std::{collections::VecDeque, sync::OnceLock};

use bytes::{Bytes, BytesMut};

use super::{
    Entry, Reading,
    framing::{self, Cut},
    kind_of_name,
};
use crate::{
    base::{Frame, PortId, Tag, VirtualTime},
    record::{Arrival, Framing, Item, Port, PortKind, Step, Transcript},
};

/// What was read of a record that may go on.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    ports: Vec<PortReader>,
    /// How many steps have begun, and how many arrivals of the last of them are read.
    steps: usize,
    arrivals: usize,
}

/// What was read at one port.
#[derive(Clone, Debug)]
struct PortReader {
    port: Port,
    /// For each step.
    entries: Vec<Vec<Entry>>,
    /// How many of the entries are frames.
    frames: usize,
    stream: Stream,
}

/// A connection's bytes that belong to no entry yet, with the steps in which they came.
#[derive(Clone, Debug, Default)]
struct Stream {
    bytes: BytesMut,
    chunks: VecDeque<Chunk>,
}

/// A piece of a stream: where it came from.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    step: usize,
    size: usize,
    tag: Option<Tag>,
    at: VirtualTime,
}

impl Reader {
    /// Of a record with these ports and no step yet.
    pub(crate) fn new(ports: &[Port]) -> Self {
        let ports = ports.iter().map(|port| PortReader::new(port.clone(), 0));
        Self { ports: ports.collect(), steps: 0, arrivals: 0 }
    }

    /// Reads on: what these steps of the record have that the last call's had not.
    pub(crate) fn read(&mut self, steps: &[Step]) {
        for (at, step) in steps.iter().enumerate().skip(self.steps.saturating_sub(1)) {
            if at == self.steps {
                self.begin(step);
            }
            for arrival in step.arrivals.iter().skip(self.arrivals) {
                self.arrive(arrival);
            }
            self.arrivals = step.arrivals.len();
        }
    }

    /// Every port.
    pub(crate) fn ports(&self) -> impl Iterator<Item = &PortId> {
        self.ports.iter().map(|one| &one.port.id)
    }

    /// How many whole frames have come out of a port.
    pub(crate) fn count_at(&self, port: &PortId) -> usize {
        self.port(port).map_or(0, |port| port.frames + port.unsettled().len())
    }

    /// The whole frames that have come out of a port, without the first ones.
    pub(crate) fn frames_at(&self, port: &PortId, first: usize) -> Vec<Frame> {
        let Some(port) = self.port(port) else { return Vec::new() };
        let settled = port.entries.iter().flatten().filter_map(Entry::frame).cloned();
        settled.chain(port.unsettled()).skip(first).collect()
    }

    /// Reads the record to its end: nothing comes any more.
    pub(crate) fn finish(mut self, transcript: Transcript) -> Reading {
        self.read(&transcript.steps);
        let mut entries = vec![Vec::with_capacity(self.ports.len()); self.steps];
        let mut ports = Vec::with_capacity(self.ports.len());
        for mut port in self.ports {
            port.flush();
            ports.push(port.port);
            for (of_step, found) in entries.iter_mut().zip(port.entries) {
                of_step.push(found);
            }
        }
        Reading { transcript, ports, entries, labels: OnceLock::new() }
    }

    fn port(&self, id: &PortId) -> Option<&PortReader> {
        self.ports.iter().find(|one| one.port.id == *id)
    }

    fn begin(&mut self, step: &Step) {
        (self.steps, self.arrivals) = (self.steps + 1, 0);
        for port in &mut self.ports {
            port.entries.push(Vec::new());
            if step.deed.closes(&port.port.id) {
                port.flush();
            }
        }
    }

    fn arrive(&mut self, arrival: &Arrival) {
        let known = self.ports.iter().position(|one| one.port.id == arrival.port);
        let at = known.unwrap_or_else(|| {
            // A chardev that a step added, say.
            let kind = match arrival.item {
                Item::Frame(_) => kind_of_name(&arrival.port),
                Item::Bytes(_) | Item::Eof => PortKind::Chardev(Framing::Raw),
            };
            let port = Port { id: arrival.port.clone(), kind };
            self.ports.push(PortReader::new(port, self.steps));
            self.ports.len() - 1
        });
        self.ports[at].arrive(arrival, self.steps - 1);
    }
}

impl PortReader {
    fn new(port: Port, steps: usize) -> Self {
        let entries = vec![Vec::new(); steps];
        Self { port, entries, frames: 0, stream: Stream::default() }
    }

    fn framing(&self) -> Framing {
        self.port.kind.framing().unwrap_or(Framing::Raw)
    }

    fn arrive(&mut self, arrival: &Arrival, step: usize) {
        let (tag, at) = (arrival.tag, arrival.at);
        match &arrival.item {
            Item::Bytes(bytes) => {
                self.stream.push(bytes, Chunk { step, size: bytes.len(), tag, at });
                let framing = self.framing();
                while let Some(cut) = framing::take(framing, &mut self.stream.bytes) {
                    self.enter(cut);
                }
            }
            Item::Frame(frame) => {
                self.flush();
                let (frame, vnet_len, whole) = (frame.clone(), None, None);
                self.frames += 1;
                self.entries[step].push(Entry::Frame { frame, vnet_len, whole, tag, at });
            }
            Item::Eof => {
                self.flush();
                self.entries[step].push(Entry::Eof);
            }
        }
    }

    /// Frames in what more bytes might still make something else of.
    fn unsettled(&self) -> Vec<Frame> {
        // Elsewhere a whole frame is an entry as soon as its last byte is there.
        if self.framing() != Framing::Pcap {
            return Vec::new();
        }
        framing::frames_of(Framing::Pcap, &Bytes::copy_from_slice(&self.stream.bytes))
    }

    /// The stream is at its end; another one may begin.
    fn flush(&mut self) {
        let rest = std::mem::take(&mut self.stream.bytes).freeze();
        for cut in framing::cut(self.framing(), &rest) {
            self.enter(cut);
        }
        self.stream.chunks.clear();
    }

    /// Enters a stretch of the stream, a frame in the step in which its last byte came.
    fn enter(&mut self, cut: Cut) {
        let shares = self.stream.take(cut.size());
        let Some((last, before)) = shares.split_last() else {
            return;
        };
        match cut {
            Cut::Frame { frame, vnet_len, whole, .. } => {
                for share in before.iter().filter(|share| share.step != last.step) {
                    match self.entries[share.step].last_mut() {
                        Some(Entry::Begun(begun)) => *begun += share.size,
                        _ => self.entries[share.step].push(Entry::Begun(share.size)),
                    }
                }
                let (tag, at) = (last.tag, last.at);
                self.frames += 1;
                self.entries[last.step].push(Entry::Frame { frame, vnet_len, whole, tag, at });
            }
            Cut::Pcap { maxlen } => self.entries[last.step].push(Entry::Pcap(maxlen)),
            Cut::Raw(mut bytes) => {
                for Chunk { step, size, .. } in shares {
                    push_raw(&mut self.entries[step], bytes.split_to(size));
                }
            }
        }
    }
}

impl Stream {
    fn push(&mut self, bytes: &[u8], chunk: Chunk) {
        if chunk.size > 0 {
            self.bytes.extend_from_slice(bytes);
            self.chunks.push_back(chunk);
        }
    }

    /// Takes so many bytes off the front of the chunks.
    fn take(&mut self, mut size: usize) -> Vec<Chunk> {
        let mut shares = Vec::new();
        while size > 0 {
            let Some(chunk) = self.chunks.front_mut() else {
                break;
            };
            let taken = chunk.size.min(size);
            shares.push(Chunk { size: taken, ..*chunk });
            chunk.size -= taken;
            size -= taken;
            if chunk.size == 0 {
                self.chunks.pop_front();
            }
        }
        shares
    }
}

fn push_raw(entries: &mut Vec<Entry>, bytes: Bytes) {
    if let Some(Entry::Raw(before)) = entries.last_mut() {
        *before = [&before[..], &bytes[..]].concat().into();
    } else {
        entries.push(Entry::Raw(bytes));
    }
}
