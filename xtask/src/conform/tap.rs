//! Records of real TAPs: the machine between its endpoints and the interfaces of the backend
//! `netns`, one machine for the consecutive records of a case.

mod compare;
pub(super) mod world;

use tapwright::{
    backend::netns::{probe, unavailable},
    sys::{Isolated, isolate},
};

use self::world::World;
use super::{
    Verdict,
    error::verdict,
    hex,
    record::{RecordError, TapRecord, profile},
};

/// What stands at the other end of the TAP's netdev.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    Nobody,
    /// A hub port; on the same hub P.
    Hub,
    /// A guest's NIC, with this many bytes of virtio-net header in front of its frames.
    Nic(usize),
}

impl Peer {
    /// Before a guest's driver has chosen, a virtio NIC has the header without `num_buffers`
    /// (measured record `pc -S virtio-net-pci`).
    pub(super) fn parse(nic: &str) -> Result<Self, RecordError> {
        match nic {
            "none" => Ok(Self::Nobody),
            "hub" => Ok(Self::Hub),
            "e1000" => Ok(Self::Nic(0)),
            "virtio-net-pci" => Ok(Self::Nic(10)),
            other => Err(RecordError::Nic(other.to_owned())),
        }
    }

    fn vnet_hdr_len(self) -> usize {
        match self {
            Self::Nobody | Self::Hub => 0,
            Self::Nic(length) => length,
        }
    }
}

/// What is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Datagram,
    PacketSocket,
    /// A frame for the chardev.
    Chardev(Vec<u8>),
    /// A frame that P sends.
    HubPeer(Vec<u8>),
    /// Nothing; what QEMU has printed since its start, and what it says of its filters.
    Printed,
}

impl Step {
    pub(super) fn parse(record: &TapRecord, peer: Peer) -> Result<Self, RecordError> {
        let data = || hex::decode(record.data.as_deref().ok_or(RecordError::NoData)?);
        match record.step.as_str() {
            "UDP sendto 10.9.0.2 from namespace" => Ok(Self::Datagram),
            "AF_PACKET send on tap0" => Ok(Self::PacketSocket),
            "frame written to hub peer P" if peer == Peer::Hub => data().map(Self::HubPeer),
            "stderr" => Ok(Self::Printed),
            other => match other.strip_prefix("frame written to chardev ") {
                Some(world::CHARDEV) => data().map(Self::Chardev),
                Some(chardev) => Err(RecordError::Chardev(chardev.to_owned())),
                None => Err(RecordError::Step(other.to_owned())),
            },
        }
    }
}

/// Whether the VM runs. Replayed it makes no difference: nobody looks at what a guest that runs gets,
/// and without a system it sends nothing.
pub(super) fn runs(vm: &str) -> Result<bool, RecordError> {
    match vm {
        "none" | "stopped" => Ok(false),
        "running" => Ok(true),
        other => Err(RecordError::Vm(other.to_owned())),
    }
}

/// Replays records of TAPs, when the kernel lets this process make any.
#[derive(Default)]
pub(crate) struct Taps {
    /// None until the first record asks.
    isolated: Option<Result<Isolated, String>>,
    note: Option<String>,
    /// The machine of the case at hand, and a record that says what it is made of.
    current: Option<(TapRecord, Current)>,
}

/// What became of a case's machine.
enum Current {
    Built(Box<World>),
    NotBuilt(String),
    Refused(String),
}

impl Taps {
    /// Does a record's step, on the machine of the record before when that is the same case.
    pub(super) fn replay(&mut self, record: &TapRecord) -> Result<Verdict, RecordError> {
        let profile = profile(&record.qemu)?;
        let peer = Peer::parse(&record.nic)?;
        let step = Step::parse(record, peer)?;
        runs(&record.vm)?;
        let isolated = match self.isolated() {
            Ok(isolated) => isolated,
            Err(reason) => return Ok(Verdict::NotBuilt(reason)),
        };
        let current = match self.current.take() {
            Some((first, current)) if same_machine(&first, record) => (first, current),
            other => {
                close(other)?;
                let built = World::open(&isolated, profile, peer, record)?;
                (record.clone(), built)
            }
        };
        let (_, current) = self.current.insert(current);
        let world = match current {
            Current::Built(world) => world,
            Current::NotBuilt(what) => return Ok(Verdict::NotBuilt(what.clone())),
            Current::Refused(text) => return Ok(Verdict::Disagree(vec![text.clone()])),
        };
        let seen = world.step(&step)?;
        let mut differences = compare::compare(record, &step, world.layout(), &seen)?;
        if step == Step::Printed {
            differences.extend(world.compare_printed(record));
        }
        Ok(verdict(differences))
    }

    /// Why no TAP can be made here, once.
    pub(super) fn take_note(&mut self) -> Option<String> {
        self.note.take()
    }

    /// Takes the machine of the case at hand down.
    pub(super) fn close(&mut self) -> Result<(), RecordError> {
        close(self.current.take())
    }

    fn isolated(&mut self) -> Result<Isolated, String> {
        let note = &mut self.note;
        let tried = self.isolated.get_or_insert_with(|| {
            let tried = isolate()
                .map_err(|error| unavailable(&error))
                .and_then(|isolated| probe(&isolated).map(|_| isolated))
                .map_err(|error| error.to_string());
            if let Err(reason) = &tried {
                *note = Some(format!("records of real TAPs are not replayed: {reason}"));
            }
            tried
        });
        tried.clone()
    }
}

fn close(current: Option<(TapRecord, Current)>) -> Result<(), RecordError> {
    match current {
        Some((_, Current::Built(world))) => world.finish(),
        _ => Ok(()),
    }
}

/// Whether two records are steps of one machine.
pub(super) fn same_machine(a: &TapRecord, b: &TapRecord) -> bool {
    a.case == b.case && a.qemu == b.qemu && a.filters == b.filters && a.nic == b.nic && a.vm == b.vm
}
