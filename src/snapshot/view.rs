use bytes::{Bytes, BytesMut};
use serde_json::Value;

use super::framing::{self, Cut};
use crate::{
    base::{Frame, PortId, Tag, VirtualTime},
    record::{Answer, EventKind, Framing, Item, Outcome, Port, PortKind, Step, Transcript},
};

/// What the text of a transcript shows and a comparison compares: the observed half, with the
/// bytes at chardevs read as frames across steps.
pub(super) struct View<'t> {
    /// In the order of declaration.
    pub(super) ports: Vec<Port>,
    /// Every step in which something was observed or said, and every numbered one.
    pub(super) steps: Vec<StepView<'t>>,
}

/// One step.
pub(super) struct StepView<'t> {
    /// As it was recorded.
    pub(super) step: &'t Step,
    /// Answers that say something: an empty return is not kept.
    pub(super) answers: Vec<&'t Answer>,
    /// Assertions that QEMU died of, and which of several machines it was.
    pub(super) crashes: Vec<(Option<&'t str>, &'t str)>,
    /// For each port, in its order.
    pub(super) entries: Vec<Vec<Entry>>,
}

/// One thing that came out of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// A frame.
    Frame {
        /// The frame.
        frame: Frame,
        /// The vnet length word, at a chardev whose framing has one.
        vnet_len: Option<usize>,
        /// Its length, where a file has only the beginning of it.
        whole: Option<usize>,
        /// What the machine says it goes back to; never part of a label or a comparison.
        tag: Option<Tag>,
        /// When its last byte came, on the machine's clock.
        at: VirtualTime,
    },
    /// The first bytes of the port's next frame, which is complete only in a later step.
    Begun(usize),
    /// A pcap file begins, or begins anew, with its most bytes of a frame.
    Pcap(u32),
    /// Bytes that are no frame.
    Raw(Bytes),
    /// End of file.
    Eof,
}

/// A piece of a stream: where it came from.
struct Chunk {
    step: usize,
    size: usize,
    tag: Option<Tag>,
    at: VirtualTime,
}

/// A connection's stream, with the steps in which its bytes came.
#[derive(Default)]
struct Stream {
    bytes: BytesMut,
    chunks: Vec<Chunk>,
}

impl<'t> View<'t> {
    /// The view of a transcript.
    pub(super) fn of(transcript: &'t Transcript) -> Self {
        let ports = all_ports(transcript);
        let mut entries = vec![vec![Vec::new(); ports.len()]; transcript.steps.len()];
        for (index, port) in ports.iter().enumerate() {
            for (step, found) in port_entries(transcript, port).into_iter().enumerate() {
                entries[step][index] = found;
            }
        }
        let steps = transcript.steps.iter().zip(entries).map(StepView::of);
        Self { ports, steps: steps.filter(StepView::says_something).collect() }
    }
}

impl<'t> StepView<'t> {
    fn of((step, entries): (&'t Step, Vec<Vec<Entry>>)) -> Self {
        let answers = step.answers.iter().filter(|answer| !is_empty_return(&answer.outcome));
        let crashes = step.events.iter().filter_map(|event| match &event.kind {
            EventKind::Crash(assertion) => Some((event.place.machine(), assertion.as_str())),
            _ => None,
        });
        Self { step, answers: answers.collect(), crashes: crashes.collect(), entries }
    }

    /// The set-up is left out where nothing came of it.
    fn says_something(&self) -> bool {
        let explained = |kind: &EventKind| {
            !matches!(kind, EventKind::Seen { .. } | EventKind::Queued | EventKind::Crash(_))
        };
        self.step.index > 0
            || !self.step.sent.is_empty()
            || self.step.written.is_some()
            || !self.answers.is_empty()
            || !self.crashes.is_empty()
            || self.entries.iter().any(|port| !port.is_empty())
            || self.step.events.iter().any(|event| explained(&event.kind))
    }

    /// Whether anything of it is compared.
    pub(super) fn is_observed(&self) -> bool {
        self.step.index > 0
            || !self.answers.is_empty()
            || !self.crashes.is_empty()
            || self.entries.iter().any(|port| !port.is_empty())
    }
}

/// QMP's `"return": {}`, which says only that nothing went wrong.
fn is_empty_return(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Done(Value::Object(map)) if map.is_empty())
}

/// The declared ports, then those that only arrivals name (a chardev that a step added).
fn all_ports(transcript: &Transcript) -> Vec<Port> {
    let mut ports = transcript.ports.clone();
    for arrival in transcript.steps.iter().flat_map(|step| &step.arrivals) {
        if !ports.iter().any(|port| port.id == arrival.port) {
            let kind = match arrival.item {
                Item::Frame(_) => kind_of_name(&arrival.port),
                Item::Bytes(_) | Item::Eof => PortKind::Chardev(Framing::Raw),
            };
            ports.push(Port { id: arrival.port.clone(), kind });
        }
    }
    ports
}

/// What a port without framing is: its name says it.
pub(super) fn kind_of_name(port: &PortId) -> PortKind {
    match port.as_str().rsplit_once('.') {
        Some((_, "guest")) => PortKind::Guest,
        Some((_, "host")) => PortKind::Host,
        _ => PortKind::LinkEnd,
    }
}

/// What came out of a port, for each step of the transcript.
fn port_entries(transcript: &Transcript, port: &Port) -> Vec<Vec<Entry>> {
    let framing = port.kind.framing().unwrap_or(Framing::Raw);
    let mut entries = vec![Vec::new(); transcript.steps.len()];
    let mut stream = Stream::default();
    for (index, step) in transcript.steps.iter().enumerate() {
        if step.deed.closes(&port.id) {
            std::mem::take(&mut stream).flush(framing, &mut entries);
        }
        for arrival in step.arrivals.iter().filter(|arrival| arrival.port == port.id) {
            match &arrival.item {
                Item::Bytes(bytes) => {
                    stream.bytes.extend_from_slice(bytes);
                    let (size, tag, at) = (bytes.len(), arrival.tag, arrival.at);
                    stream.chunks.push(Chunk { step: index, size, tag, at });
                }
                Item::Frame(frame) => {
                    std::mem::take(&mut stream).flush(framing, &mut entries);
                    let (frame, tag, at) = (frame.clone(), arrival.tag, arrival.at);
                    entries[index].push(Entry::Frame {
                        frame,
                        vnet_len: None,
                        whole: None,
                        tag,
                        at,
                    });
                }
                Item::Eof => {
                    std::mem::take(&mut stream).flush(framing, &mut entries);
                    entries[index].push(Entry::Eof);
                }
            }
        }
    }
    stream.flush(framing, &mut entries);
    entries
}

impl Stream {
    /// Reads the stream as frames, each in the step in which its last byte came.
    fn flush(self, framing: Framing, entries: &mut [Vec<Entry>]) {
        let stream = self.bytes.freeze();
        let mut chunks = self.chunks.into_iter().filter(|chunk| chunk.size > 0).peekable();
        let mut at = 0;
        for cut in framing::cut(framing, &stream) {
            let shares = take_shares(&mut chunks, cut.size());
            if let Cut::Pcap { maxlen } = cut {
                at += cut.size();
                if let Some(share) = shares.last() {
                    entries[share.step].push(Entry::Pcap(maxlen));
                }
                continue;
            }
            let Cut::Frame { frame, vnet_len, whole, .. } = cut else {
                for Chunk { step, size, .. } in shares {
                    push_raw(&mut entries[step], stream.slice(at..at + size));
                    at += size;
                }
                continue;
            };
            at += shares.iter().map(|share| share.size).sum::<usize>();
            if let Some((last, before)) = shares.split_last() {
                for share in before.iter().filter(|share| share.step != last.step) {
                    match entries[share.step].last_mut() {
                        Some(Entry::Begun(begun)) => *begun += share.size,
                        _ => entries[share.step].push(Entry::Begun(share.size)),
                    }
                }
                let (tag, at) = (last.tag, last.at);
                entries[last.step].push(Entry::Frame { frame, vnet_len, whole, tag, at });
            }
        }
    }
}

/// Takes `size` bytes off the front of the chunks.
fn take_shares(
    chunks: &mut std::iter::Peekable<impl Iterator<Item = Chunk>>,
    mut size: usize,
) -> Vec<Chunk> {
    let mut shares = Vec::new();
    while size > 0 {
        let Some(chunk) = chunks.peek_mut() else {
            break;
        };
        let taken = chunk.size.min(size);
        shares.push(Chunk { size: taken, ..*chunk });
        chunk.size -= taken;
        size -= taken;
        if chunk.size == 0 {
            chunks.next();
        }
    }
    shares
}

fn push_raw(entries: &mut Vec<Entry>, bytes: Bytes) {
    if let Some(Entry::Raw(before)) = entries.last_mut() {
        *before = [&before[..], &bytes[..]].concat().into();
    } else {
        entries.push(Entry::Raw(bytes));
    }
}
