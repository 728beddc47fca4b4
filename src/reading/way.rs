//! The way of each frame through a run: where it was sent, what every object recorded of it, and where
//! it came out. Read by whoever says why a frame is not where it was expected.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Entry, Label, Reading, number_of};
use crate::{
    base::{PortId, Tag},
    frame,
    record::{Event, EventKind, SentFrame},
};

/// The ways of all frames of a record that have a number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ways<'r> {
    by_tag: BTreeMap<Tag, Way<'r>>,
    /// The tags of what came out of each port, in order: `[port][frame]`, with the step.
    came: Vec<Vec<(usize, Option<Tag>)>>,
}

/// The way of a frame.
#[derive(Clone, Debug)]
pub(crate) struct Way<'r> {
    pub(crate) tag: Tag,
    /// In the order of steps; within a step what was recorded on the way, then where it came out.
    pub(crate) stations: Vec<Station<'r>>,
}

/// One thing that happened to a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Station<'r> {
    /// The step, 0 for the set-up.
    pub(crate) step: usize,
    pub(crate) what: Passage<'r>,
}

/// What happened to a frame.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Passage<'r> {
    /// It was sent.
    Sent(&'r SentFrame),
    /// An object, a queue, a TAP or a port recorded this of it.
    Event(&'r Event),
    /// It came out of this port.
    Arrived {
        port: &'r PortId,
        /// Bytes of it.
        length: usize,
        /// Which of the sent frames the bytes are, and how they differ from it.
        /// None where its bytes are another one's.
        label: Option<&'r Label>,
    },
    /// A message about it came out of this port: colo-compare wrote one to its notify_dev.
    Notified { port: &'r PortId, message: &'r Bytes },
}

impl<'r> Ways<'r> {
    /// Of a record. Where the machine does not say what a frame that came out goes back to, its bytes do.
    pub(crate) fn of(reading: &'r Reading) -> Self {
        let mut ways = Self { came: vec![Vec::new(); reading.ports().len()], ..Self::default() };
        let mut numbered: BTreeMap<u32, &SentFrame> = BTreeMap::new();
        let labels = reading.labels();
        for step in reading.all_steps() {
            let index = step.step.index;
            for sent in &step.step.sent {
                numbered.insert(number_of(sent), sent);
                ways.add(sent.tag, index, Passage::Sent(sent));
            }
            for event in &step.step.events {
                for tag in concerned(event) {
                    ways.add(tag, index, Passage::Event(event));
                }
            }
            for (at, (port, entries)) in reading.ports().iter().zip(step.entries).enumerate() {
                let frames = entries.iter().filter_map(|entry| match entry {
                    Entry::Frame { frame, tag, .. } => Some((frame, *tag)),
                    Entry::Begun(_) | Entry::Pcap(_) | Entry::Raw(_) | Entry::Eof => None,
                });
                for ((frame, tag), label) in frames.zip(&labels[step.at][at]) {
                    let labelled = match label {
                        Label::Sent { number, .. } | Label::Cut { number } => numbered.get(number),
                        Label::New => None,
                    };
                    let same = labelled.filter(|sent| sent.frame.data == frame.data);
                    let labelled = labelled.map(|sent| sent.tag);
                    // Frames with the same bytes are told apart by the machine alone. Of a stream the
                    // machine knows the last piece: bytes that are just those of a frame say more.
                    let by_machine = tag.filter(|tag| {
                        same.is_none() || ways.sent_as(*tag).is_none_or(|sent| *sent == frame.data)
                    });
                    let tag = by_machine.or(labelled);
                    ways.came[at].push((index, tag));
                    let (length, port) = (frame.data.len(), &port.id);
                    if let Some(tag) = tag {
                        let label = (labelled == Some(tag)).then_some(label);
                        let is_message = label.is_none() && frame::message(&frame.data).is_some();
                        ways.add(
                            tag,
                            index,
                            if is_message {
                                Passage::Notified { port, message: &frame.data }
                            } else {
                                Passage::Arrived { port, length, label }
                            },
                        );
                    }
                }
            }
        }
        ways
    }

    fn add(&mut self, tag: Tag, step: usize, what: Passage<'r>) {
        let way = self.by_tag.entry(tag).or_insert_with(|| Way { tag, stations: Vec::new() });
        way.stations.push(Station { step, what });
    }

    /// The bytes of a frame as it was sent.
    fn sent_as(&self, tag: Tag) -> Option<&'r Bytes> {
        Some(&self.with(tag)?.sent()?.frame.data)
    }

    /// Every way, in the order of numbers.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Way<'r>> {
        self.by_tag.values()
    }

    /// The way of a frame.
    pub(crate) fn with(&self, tag: Tag) -> Option<&Way<'r>> {
        self.by_tag.get(&tag)
    }

    /// The way of `#n`.
    pub(crate) fn numbered(&self, number: u32) -> Option<&Way<'r>> {
        let sent = |way: &&Way<'r>| way.sent().is_some_and(|sent| number_of(sent) == number);
        self.with(Tag::sent(number)).or_else(|| self.all().find(sent))
    }

    /// What came out of a port, by its position among those of the reading: the step of each frame, and
    /// what it goes back to.
    pub(crate) fn came_at(&self, port: usize) -> &[(usize, Option<Tag>)] {
        self.came.get(port).map_or(&[], Vec::as_slice)
    }
}

/// The frames that an event is about: a request for a checkpoint is about both guests'.
fn concerned(event: &Event) -> Vec<Tag> {
    let mut tags: Vec<Tag> = event.tag.into_iter().collect();
    if let EventKind::Checkpoint(request) = &event.kind {
        for tag in [request.primary, request.secondary].into_iter().flatten() {
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
    }
    tags
}

impl<'r> Way<'r> {
    /// As it was sent; none for a frame of the host's own stack.
    pub(crate) fn sent(&self) -> Option<&'r SentFrame> {
        self.stations.iter().find_map(|station| match station.what {
            Passage::Sent(sent) => Some(sent),
            _ => None,
        })
    }

    /// The events of it.
    pub(crate) fn events(&self) -> impl Iterator<Item = &'r Event> {
        self.stations.iter().filter_map(|station| match station.what {
            Passage::Event(event) => Some(event),
            _ => None,
        })
    }

    /// Whether it came out of a port, up to a step.
    pub(crate) fn came_out_of(&self, port: &PortId, until: usize) -> bool {
        self.stations.iter().any(|station| {
            station.step <= until
                && matches!(station.what, Passage::Arrived { port: at, .. } if at == port)
        })
    }

    /// Its way up to a step.
    pub(crate) fn until(&self, step: usize) -> Self {
        let stations = self.stations.iter().filter(|station| station.step <= step);
        Self { tag: self.tag, stations: stations.copied().collect() }
    }
}
