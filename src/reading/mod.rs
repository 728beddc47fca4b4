//! A record as a reader sees it: what came out of each port, frame by frame, and which of the frames
//! that were sent each one is. It is read once a case; whoever judges, compares, prints or draws the
//! record borrows it.
//!
//! - [`Reading`]: the record and what was read in it; `Reader` reads while the run goes on.
//! - `Entry`: one thing that came out of a port.
//! - `Label`: which of the sent frames an entry is, made when somebody first asks.
//! - `Ways`: where each frame was sent, what was recorded of it, where it came out.
//! - `framing`: a stream of bytes cut into frames, and frames made into a stream.

pub(crate) mod framing;
mod label;
mod reader;
#[cfg(test)]
mod tests;
mod way;

use std::sync::OnceLock;

use bytes::Bytes;
use serde_json::Value;

pub use framing::frames_of;
pub(crate) use label::{Label, Labels, number_of, padded_base};
pub(crate) use reader::Reader;
#[cfg(test)]
pub(crate) use way::Station;
pub(crate) use way::{Passage, Way, Ways};

use crate::{
    base::{Frame, PortId, Tag, VirtualTime},
    record::{Accounting, Answer, Event, EventKind, Outcome, Port, PortKind, Step, Transcript},
};

/// A record, with the bytes at its chardevs read as frames across steps.
#[derive(Clone, Debug)]
pub struct Reading {
    transcript: Transcript,
    /// In the order of declaration, then those that only arrivals name.
    ports: Vec<Port>,
    /// What came out: `[step][port]`, in each port's order.
    entries: Vec<Vec<Vec<Entry>>>,
    labels: OnceLock<Labels>,
}

/// A step of a record, and what was read in it.
#[derive(Clone, Debug)]
pub(crate) struct StepReading<'r> {
    /// As it was recorded.
    pub(crate) step: &'r Step,
    /// Its position among all steps of the record.
    pub(crate) at: usize,
    /// For each port of the reading, in its order.
    pub(crate) entries: &'r [Vec<Entry>],
}

/// One thing that came out of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
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

impl Reading {
    /// Reads a whole record.
    #[must_use]
    pub fn of(transcript: Transcript) -> Self {
        let mut reader = Reader::new(&transcript.ports);
        reader.read(&transcript.steps);
        reader.finish(transcript)
    }

    /// The record.
    #[must_use]
    pub const fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    /// Adds what is known only when the world has been taken down: events of the last step. They
    /// change nothing of what was read.
    pub fn add_events(&mut self, events: Vec<Event>) {
        if let Some(last) = self.transcript.steps.last_mut() {
            last.events.extend(events);
        }
    }

    /// Puts the sums in.
    pub const fn set_accounting(&mut self, accounting: Accounting) {
        self.transcript.accounting = accounting;
    }

    /// How many whole frames came out of a port.
    #[must_use]
    pub fn count_at(&self, port: &PortId) -> usize {
        let Some(port) = self.position(port) else { return 0 };
        let entries = self.entries.iter().flat_map(|step| &step[port]);
        entries.filter(|entry| entry.frame().is_some()).count()
    }

    /// Every port.
    pub(crate) fn ports(&self) -> &[Port] {
        &self.ports
    }

    /// The position of a port among those of the reading.
    pub(crate) fn position(&self, port: &PortId) -> Option<usize> {
        self.ports.iter().position(|one| one.id == *port)
    }

    /// Every step in which something was observed or said, and every numbered one.
    pub(crate) fn steps(&self) -> impl DoubleEndedIterator<Item = StepReading<'_>> {
        self.all_steps().filter(StepReading::says_something)
    }

    /// Every step.
    pub(crate) fn all_steps(&self) -> impl DoubleEndedIterator<Item = StepReading<'_>> {
        let steps = self.transcript.steps.iter().zip(&self.entries).enumerate();
        steps.map(|(at, (step, entries))| StepReading { step, at, entries })
    }

    /// What each frame that came is called: `[step][port][frame]`, of every step. A function of
    /// the recorded bytes alone; made when it is first asked for.
    pub(crate) fn labels(&self) -> &Labels {
        self.labels.get_or_init(|| label::labels(self))
    }
}

impl<'r> StepReading<'r> {
    /// Answers that say something: an empty return is not kept.
    pub(crate) fn answers(&self) -> impl Iterator<Item = &'r Answer> {
        self.step.answers.iter().filter(|answer| !is_empty_return(&answer.outcome))
    }

    /// Assertions that QEMU died of, and which of several machines it was.
    pub(crate) fn crashes(&self) -> impl Iterator<Item = (Option<&'r str>, &'r str)> {
        self.step.events.iter().filter_map(|event| match &event.kind {
            EventKind::Crash(assertion) => Some((event.place.machine(), assertion.as_str())),
            _ => None,
        })
    }

    /// The set-up is left out where nothing came of it.
    fn says_something(&self) -> bool {
        let explained = |kind: &EventKind| {
            !matches!(kind, EventKind::Seen { .. } | EventKind::Queued | EventKind::Crash(_))
        };
        self.is_observed()
            || !self.step.sent.is_empty()
            || self.step.written.is_some()
            || self.step.events.iter().any(|event| explained(&event.kind))
    }

    /// Whether anything of it is compared.
    pub(crate) fn is_observed(&self) -> bool {
        self.step.index > 0
            || self.answers().next().is_some()
            || self.crashes().next().is_some()
            || self.entries.iter().any(|port| !port.is_empty())
    }
}

impl Entry {
    /// The frame that it is.
    pub(crate) const fn frame(&self) -> Option<&Frame> {
        match self {
            Self::Frame { frame, .. } => Some(frame),
            Self::Begun(_) | Self::Pcap(_) | Self::Raw(_) | Self::Eof => None,
        }
    }
}

/// What a port without framing is: its name says it.
pub(crate) fn kind_of_name(port: &PortId) -> PortKind {
    match port.as_str().rsplit_once('.') {
        Some((_, "guest")) => PortKind::Guest,
        Some((_, "host")) => PortKind::Host,
        _ => PortKind::LinkEnd,
    }
}

/// QMP's `"return": {}`, which says only that nothing went wrong.
fn is_empty_return(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Done(Value::Object(map)) if map.is_empty())
}
