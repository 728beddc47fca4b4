//! The record of a case: its ports, steps, arrivals and events. The runner writes it, `reading`
//! reads it.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{Answer, Event};
use crate::base::{CaseId, Frame, PortId, Profile, Tag, VirtualTime};

/// How the bytes of a chardev port are read as frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Framing {
    /// `[u32 length][frame]`.
    #[default]
    Plain,
    /// `[u32 length][u32 vnet header length][vnet header][frame]`.
    Vnet,
    /// Bytes without frames.
    Raw,
    /// A classic pcap file: its header, then `[header with caplen and len][frame]`. Only files have
    /// it.
    Pcap,
}

/// What a port is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PortKind {
    /// A guest's NIC.
    Guest,
    /// The host's network stack on a TAP.
    Host,
    /// One end of a link on the host side.
    LinkEnd,
    /// The far end of a chardev.
    Chardev(Framing),
    /// The file of a filter-dump: nothing is sent there.
    File,
}

impl PortKind {
    /// How bytes there are read as frames, where there are bytes.
    #[must_use]
    pub const fn framing(self) -> Option<Framing> {
        match self {
            Self::Guest | Self::Host | Self::LinkEnd => None,
            Self::Chardev(framing) => Some(framing),
            Self::File => Some(Framing::Pcap),
        }
    }
}

/// A port, in the order of declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub id: PortId,
    /// What it is.
    pub kind: PortKind,
}

/// A frame that lives in a capture file rather than in the scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFrame {
    /// The file, relative to the scenario's directory, as written there. A frame for each packet of
    /// a capture has it, so it is shared.
    pub file: Arc<Path>,
    /// Its number in the file, from 1 as Wireshark counts.
    pub number: usize,
}

/// A frame that the scenario sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentFrame {
    /// Its number over the whole run.
    pub tag: Tag,
    /// Where it was sent.
    pub port: PortId,
    /// What was sent.
    pub frame: Frame,
    /// The file it came from.
    pub source: Option<SourceFrame>,
}

/// What came out of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A frame, at a guest, host or link port.
    Frame(Frame),
    /// Bytes, at a chardev port, as far as they were contiguous.
    Bytes(Bytes),
    /// The far end closed.
    Eof,
}

/// An arrival at a port. The port's own order is kept; order across ports is not recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Where.
    pub port: PortId,
    /// What.
    pub item: Item,
    /// The sent frame it goes back to, where that is known. Never used for labels.
    pub tag: Option<Tag>,
    /// When, on the machine's clock.
    pub at: VirtualTime,
}

/// What a step did at a port, as far as its record can't be read without it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Deed {
    /// It sends frames into this port. What guests and clients send meanwhile has other ports.
    Sends(PortId),
    /// It writes raw bytes into this chardev's port.
    Writes(PortId),
    /// It takes away the client of this chardev's port. What comes out there from then on is the
    /// next client's, and its framing begins anew.
    Closes(PortId),
    /// Anything else.
    #[default]
    Other,
}

impl Deed {
    /// Whether it takes away the client of this port.
    #[must_use]
    pub fn closes(&self, port: &PortId) -> bool {
        matches!(self, Self::Closes(closed) if closed == port)
    }
}

/// A step of a scenario and everything that came of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// 0 for the set-up, then as the scenario counts its steps from 1.
    pub index: usize,
    /// The step as the transcript prints it: `send hn0.guest`; `set-up` for 0.
    pub title: String,
    /// What it did, where that is at a port.
    pub deed: Deed,
    /// Its line in the scenario.
    pub line: usize,
    /// What was sent, in order.
    pub sent: Vec<SentFrame>,
    /// Raw bytes written to a chardev by `write`.
    pub written: Option<Bytes>,
    /// What commands came to.
    pub answers: Vec<Answer>,
    /// What came out, in each port's order.
    pub arrivals: Vec<Arrival>,
    /// Why.
    pub events: Vec<Event>,
    /// The clock at the end of the step.
    pub clock: VirtualTime,
}

/// Every frame that was sent, and what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accounting {
    /// Frames that the scenario sent.
    pub sent: usize,
    /// Frames that arrived at a port.
    pub arrivals: usize,
    /// Frames dropped, each with a reason.
    pub dropped: usize,
    /// Frames sent of which nothing is known, and arrivals without an origin.
    pub unexplained: usize,
}

/// The record of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Transcript {
    /// The case.
    pub case: CaseId,
    /// The QEMU that was modelled.
    pub profile: Profile,
    /// `netns`, `sim`, `qemu`.
    pub backend: &'static str,
    /// Every port, in the order of declaration.
    pub ports: Vec<Port>,
    /// The set-up, then each step that ran.
    pub steps: Vec<Step>,
    /// The sums.
    pub accounting: Accounting,
    /// How long it took on the wall clock; never printed in a snapshot.
    pub duration: Duration,
}
