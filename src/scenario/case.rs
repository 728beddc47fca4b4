//! A scenario's case after everything has been checked: what the rest of tapwright reads of the
//! language.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{
    address::Address,
    impairment::Impair,
    stack::{Client, PortStack},
};
use crate::{
    base::{CaseId, ChardevId, Frame, MacAddr, MachineId, NetdevId, ObjectId, PortId, Profile},
    diag::{Source, Span},
    qapi::Properties,
    record::{Framing, Outcome, Port, SourceFrame},
};

/// A checked file: one case, or one for each combination of its matrix.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The path below the suite's root without its extension, with `/` between its parts.
    pub name: String,
    /// The text, for diagnostics of later parts.
    pub source: Arc<Source>,
    /// The cases in the order of the matrix, the last name running fastest.
    pub cases: Vec<Arc<Case>>,
    /// No steps: the cases are probes and share one world.
    pub probes: bool,
    /// Frames come from captures, and not from the text alone.
    pub reads_captures: bool,
}

/// One runnable case. Everything in it has been checked against the language.
#[derive(Clone, Debug)]
pub struct Case {
    pub id: CaseId,
    /// The values of the matrix, in order; empty without one.
    pub matrix: Vec<(String, String)>,
    /// The file it stands in.
    pub source: Arc<Source>,
    pub description: String,
    /// For selection.
    pub tags: BTreeSet<String>,
    /// The QEMU modelled.
    pub profile: Profile,
    /// Capabilities beyond those that follow from the case itself.
    pub requires: BTreeSet<String>,
    /// Extra namespaces of the host side.
    pub namespaces: Vec<String>,
    /// Pairs of joined interfaces on the host side.
    pub links: Vec<Link>,
    pub bridges: Vec<Bridge>,
    pub routes: Vec<Route>,
    /// The machines in the order of declaration: at least one, which has no name where the scenario
    /// has no `machines`.
    pub machines: Vec<Machine>,
    /// In the order of declaration, those of the first machine first.
    pub netdevs: Vec<Netdev>,
    /// In the order of declaration.
    pub chardevs: Vec<Chardev>,
    /// The chardevs whose far end is another chardev, those that steps add too.
    pub joined: BTreeSet<ChardevId>,
    /// The chardevs that steps add, also those that come back under the id of one that is declared.
    pub added_chardevs: BTreeMap<ChardevId, Wiring>,
    /// In the order of creation.
    pub objects: Vec<Object>,
    /// Every port in the order of declaration: of each machine `ID.guest` and `ID.host` of each
    /// TAP, then the far end of each chardev that no other chardev holds; then the ends of links.
    pub ports: Vec<Port>,
    /// The TCP/IP stacks: those of guests, then those of clients.
    pub stacks: Vec<PortStack>,
    /// What is impaired from the start.
    pub impair: Vec<Impair>,
    /// In order.
    pub steps: Vec<Step>,
    /// On the whole run.
    pub expect: Expectations,
    /// How the snapshot is compared.
    pub snapshot: SnapshotRules,
    /// What must fail for now.
    pub known_bug: Option<KnownBug>,
}

/// One QEMU process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// Its name; empty for the only machine of a scenario without `machines`.
    pub id: MachineId,
    /// The QEMU that it models where that is not the case's.
    pub profile: Option<Profile>,
    /// Its guest does not run before `cont`: `-S`.
    pub stopped: bool,
    /// Its guest comes by a migration: `-incoming`.
    pub incoming: bool,
}

#[derive(Clone, Debug)]
pub struct Netdev {
    pub machine: MachineId,
    /// Its id, after its machine's name where that has one.
    pub id: NetdevId,
    pub span: Span,
    pub kind: NetdevType,
}

/// The kinds of netdev of the language.
#[derive(Clone, Debug)]
pub enum NetdevType {
    /// A TAP, with the ports `ID.guest` and `ID.host`.
    Tap {
        /// The interface's name; by default `tap0` and up in order.
        ifname: String,
        /// The namespace it lives in; none for the scenario's own.
        netns: Option<String>,
        /// The guest NIC's address.
        mac: MacAddr,
        /// The TAP's own address.
        host_mac: MacAddr,
        /// The host's addresses on it, as CIDR.
        addresses: Vec<String>,
        /// Bytes.
        mtu: u32,
        /// The kernel carries its frames past QEMU.
        vhost: bool,
        /// It does so without vhost-net, also where that is: `vhost: modelled`.
        vhost_modelled: bool,
        nic: Nic,
        /// `queues=`.
        queues: u16,
    },
    /// `hubport`, without ports.
    Hubport {
        /// `hubid=`.
        hub: u32,
    },
    /// `user`, without ports.
    User,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nic {
    /// Frames without a virtio-net header; short frames from the TAP are padded to 60 bytes.
    Plain,
    /// Frames carry a header of this many bytes, 10 or 12, through the chain.
    Virtio {
        /// Bytes.
        vnet_hdr_len: usize,
    },
}

#[derive(Clone, Debug)]
pub struct Chardev {
    pub machine: MachineId,
    /// Its id, after its machine's name where that has one.
    pub id: ChardevId,
    pub span: Span,
    /// QEMU's backend type: `socket`, `null`, `file`, `ringbuf`, `udp`, `pty`, `mux`.
    pub backend: String,
    /// The backend's other options, in QEMU's words (`size`, `reconnect-ms`).
    pub options: Map<String, Value>,
    /// Where a socket listens or connects to.
    pub address: Option<Address>,
    /// `server=on`.
    pub server: bool,
    /// What is at its far end.
    pub far: ChardevFar,
}

/// What is at the far end of a chardev.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChardevFar {
    /// A port of the chardev's own name.
    Port {
        /// Connected before the first step.
        connected: bool,
        /// How frames stand in its bytes.
        wiring: Wiring,
    },
    /// Another chardev of this case, perhaps one that only a step adds.
    Joined(ChardevId),
    /// Nobody can be: `null`, `file`, `ringbuf`.
    Nobody,
}

/// How frames stand in the bytes at the far end of a chardev. It follows from the first object that
/// names the chardev, be it declared or added by a step, unless the scenario says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wiring {
    /// How they are told apart, and printed.
    pub framing: Framing,
    /// Bytes of the virtio-net header in front of each frame that is sent there.
    pub vnet_hdr_len: usize,
}

/// An object, in the form in which it was written.
#[derive(Clone, Debug)]
pub struct Object {
    pub machine: MachineId,
    /// Its id, as far as it can be read, after its machine's name where that has one.
    pub id: Option<ObjectId>,
    pub span: Span,
    /// The form decides which of QEMU's rules and texts apply.
    pub form: ObjectForm,
    /// What is written in either form, by name.
    pub properties: Properties,
}

impl Object {
    /// Reads an object, without judging its properties: their rules and texts are QEMU's.
    #[must_use]
    pub fn new(machine: MachineId, span: Span, form: ObjectForm) -> Self {
        let properties = match &form {
            ObjectForm::Option(text) => Properties::of_option(text),
            ObjectForm::Qmp(map) => Properties::of_map(map.clone()),
        };
        let id =
            properties.shown("id").filter(|id| !id.is_empty()).map(|id| machine.qualified(&id));
        Self { machine, id, span, form, properties }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum ObjectForm {
    /// A command-line string: the rules of `-object`.
    Option(String),
    /// A map: the rules of QMP `object-add`.
    Qmp(Map<String, Value>),
}

/// A pair of joined interfaces; each end is a port of its name.
#[derive(Clone, Debug)]
pub struct Link {
    pub id: String,
    pub ends: [LinkEnd; 2],
}

#[derive(Clone, Debug)]
pub struct LinkEnd {
    /// Its port: `LINK.NAME`.
    pub port: PortId,
    pub span: Span,
    pub name: String,
    /// Its namespace; none for the scenario's own.
    pub netns: Option<String>,
    pub mac: MacAddr,
    /// CIDR.
    pub addresses: Vec<String>,
    /// Bytes.
    pub mtu: u32,
}

#[derive(Clone, Debug)]
pub struct Bridge {
    /// Its name, and its interface's.
    pub id: String,
    /// Its namespace; none for the scenario's own.
    pub netns: Option<String>,
    /// CIDR.
    pub addresses: Vec<String>,
    pub ports: Vec<BridgePort>,
}

/// An interface that a bridge holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BridgePort {
    Netdev(NetdevId),
    Link(PortId),
}

impl BridgePort {
    /// The port whose interface it is.
    #[must_use]
    pub fn id(&self) -> PortId {
        match self {
            Self::Netdev(netdev) => PortId::host(netdev),
            Self::Link(port) => port.clone(),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Route {
    /// Its namespace; none for the scenario's own.
    pub netns: Option<String>,
    /// CIDR, or `default`.
    pub to: String,
    /// The next hop.
    pub via: String,
}

#[derive(Clone, Debug)]
pub struct Step {
    pub span: Span,
    /// The error it must give; none when it must succeed.
    pub error: Option<ExpectError>,
    pub verb: Verb,
}

#[derive(Clone, Debug)]
pub enum Verb {
    /// A QMP command, by its own name and arguments.
    Qmp {
        /// The machine whose monitor receives it.
        machine: MachineId,
        /// `qom-set`, `set_link`, `stop`, ..., but not `object-add`.
        command: String,
        args: Map<String, Value>,
    },
    /// `object-add`, with a command-line string or QMP's map.
    ObjectAdd(Object),
    Send {
        port: PortId,
        /// What, with `repeat` written out.
        frames: Vec<Outgoing>,
        /// One at a time, or all before anything is read.
        burst: Burst,
        /// On a chardev port: the most bytes of one write.
        chunk: Option<usize>,
    },
    /// Raw bytes are written to a chardev's far end.
    Write {
        port: PortId,
        /// The bytes.
        data: Bytes,
        /// The most bytes of one write.
        chunk: Option<usize>,
    },
    ChardevOpen(PortId),
    /// The far end of the chardev closes.
    ChardevClose {
        port: PortId,
        /// Only its sending direction.
        half: bool,
    },
    ChardevStall(PortId),
    ChardevResume(PortId),
    LinkSet(LinkSet),
    LinkDel(PortId),
    /// COLO's frame notifies the machines of an event.
    Colo {
        event: ColoEvent,
        /// The only machine that is notified; none for every machine that the event concerns.
        machine: Option<MachineId>,
    },
    /// The guests of a machine become those of another, and the first stops.
    Migrate {
        from: MachineId,
        to: MachineId,
    },
    Advance(Duration),
    Client(Client),
    /// Stretches of bad network change.
    Impair(Vec<Impair>),
    /// What must have come since the last `expect`.
    Expect(Expectations),
    /// A remark in the transcript.
    Note(String),
}

/// The events of COLO's frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColoEvent {
    /// Both guests have the same state again.
    Checkpoint,
    /// The secondary's guest continues alone.
    Failover,
}

impl ColoEvent {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Checkpoint => "checkpoint",
            Self::Failover => "failover",
        }
    }
}

impl Verb {
    /// How long the step lets the machine's clock run.
    #[must_use]
    pub fn advances(&self) -> Duration {
        match self {
            Self::Advance(span) => *span,
            Self::Send { frames, .. } => {
                let pauses = frames.iter().map(|frame| frame.after);
                pauses.fold(Duration::ZERO, Duration::saturating_add)
            }
            _ => Duration::ZERO,
        }
    }
}

/// How a step's frames are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Burst {
    /// Each is carried as far as it goes before the next is sent.
    OneAtATime,
    /// All are sent first.
    AllFirst,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// How long the machine's clock runs on before it is sent.
    pub after: Duration,
    /// Its bytes.
    pub frame: Frame,
    /// The capture file it stands in.
    pub source: Option<SourceFrame>,
}

/// A change to an interface on the host side.
#[derive(Clone, Debug)]
pub struct LinkSet {
    /// The host port or link end.
    pub port: PortId,
    /// Administrative state.
    pub up: Option<bool>,
    /// Bytes.
    pub mtu: Option<u32>,
    /// An address to add, as CIDR.
    pub address: Option<String>,
    /// Another bridge holds it from now on, or none does.
    pub bridge: Option<BridgeChange>,
}

/// What becomes of an interface as the port of a bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BridgeChange {
    /// The bridge of this name holds it, and no other.
    Into(String),
    /// No bridge holds it.
    OutOf,
}

#[derive(Clone, Debug, Default)]
pub struct Expectations {
    /// For each port that is named; the others may do as they like.
    pub ports: Vec<Expectation>,
    /// For each object that must be refused.
    pub errors: Vec<(ObjectId, ExpectError)>,
    /// How long the kernel's own timers may take.
    pub within: Option<Duration>,
}

/// What must come out of a port.
#[derive(Clone, Debug)]
pub struct Expectation {
    pub port: PortId,
    pub span: Span,
    pub frames: ExpectedFrames,
}

#[derive(Clone, Debug)]
pub enum ExpectedFrames {
    Count(usize),
    /// Exactly these, in this order.
    Exactly(Vec<Outgoing>),
}

/// The error a command must give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectError {
    pub span: Span,
    /// The class; any when none is given.
    pub class: Option<String>,
    /// The text, letter for letter; any when none is given. At least one of the two is.
    pub desc: Option<String>,
}

impl fmt::Display for ExpectError {
    /// As QEMU's monitor prints one: `CLASS: TEXT`, as far as it is given.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.class, &self.desc) {
            (Some(class), Some(desc)) => write!(f, "{class}: {desc}"),
            (Some(class), None) => write!(f, "{class}, with any text"),
            (None, desc) => f.write_str(desc.as_deref().unwrap_or_default()),
        }
    }
}

impl ExpectError {
    /// Whether a command came to this; where a QEMU aborts, the assertion is the text and `CRASH` the class.
    #[must_use]
    pub fn is_met_by(&self, outcome: &Outcome) -> bool {
        let (class, desc) = match outcome {
            Outcome::Refused(error) => (error.class.as_str(), error.desc.as_str()),
            Outcome::Aborts(abort) => ("CRASH", abort.assertion.as_str()),
            Outcome::Done(_) | Outcome::Unanswered(_) => return false,
        };
        self.class.as_deref().is_none_or(|expected| expected == class)
            && self.desc.as_deref().is_none_or(|expected| expected == desc)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotRules {
    /// Fields that are not compared: `ipv4.id`, `tcp.seq`.
    pub masks: Vec<String>,
    /// Ports that are left out.
    pub without: Vec<PortId>,
}

/// A bug that is there, and known to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownBug {
    /// Its name: a quirk, or an upstream reference.
    pub id: String,
    /// The profiles in which `expect` must fail and the snapshot must match.
    pub profiles: Vec<String>,
    pub reason: String,
}

impl Case {
    #[must_use]
    pub fn profile_of(&self, machine: &MachineId) -> &Profile {
        let mut machines = self.machines.iter();
        let found = machines.find(|one| one.id == *machine);
        found.and_then(|machine| machine.profile.as_ref()).unwrap_or(&self.profile)
    }

    /// The machine that an id belongs to, and the id there.
    #[must_use]
    pub fn owner(&self, id: &str) -> Option<(MachineId, String)> {
        let mut machines = self.machines.iter().map(|machine| &machine.id);
        machines.find_map(|machine| Some((machine.clone(), machine.local(id)?.to_owned())))
    }

    /// The objects that steps add, with the steps' numbers from 1, whether they are refused or not.
    pub fn added_objects(&self) -> impl Iterator<Item = (usize, &Object)> {
        (1..).zip(&self.steps).filter_map(|(number, step)| match &step.verb {
            Verb::ObjectAdd(object) => Some((number, object)),
            _ => None,
        })
    }

    /// The objects that are declared, then those that steps add.
    pub fn all_objects(&self) -> impl Iterator<Item = &Object> {
        self.objects.iter().chain(self.added_objects().map(|(_, object)| object))
    }

    /// The directory that paths in the file are relative to.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.source.path.parent().map_or_else(PathBuf::new, PathBuf::from)
    }
}
