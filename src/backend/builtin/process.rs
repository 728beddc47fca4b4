//! A machine of the model as one of a scenario's processes: its name, whether it is dead, and the
//! qualified ids of what it puts out. `BuiltinWorld` owns one for each machine.

use crate::{
    backend::lower::{self, Lowered},
    base::{ChardevId, MachineId, NetdevId, VirtualTime},
    machine::{ChardevState, ConfigError, Halt, Input, Machine, Output},
    record::{Event, Place},
    scenario::Case,
};

/// A machine in its world. It knows its local ids only: its inputs have those, and what it puts out
/// has qualified ids, which begin with its name where it has one.
#[derive(Debug)]
pub(super) struct Process {
    id: MachineId,
    machine: Machine,
    /// QEMU died.
    pub(super) dead: bool,
    /// Its vhost-net has been stopped.
    pub(super) vhost_stopped: bool,
}

impl Process {
    /// Every machine of a case, and how each meets the world.
    pub(super) fn all(case: &Case) -> Result<Vec<(Self, Lowered)>, ConfigError> {
        let lowered = case.machines.iter().map(|machine| {
            let mut lowered = lower::lower(case, machine);
            let config = std::mem::take(&mut lowered.config);
            let process = Self {
                id: machine.id.clone(),
                machine: Machine::new(config)?,
                dead: false,
                vhost_stopped: false,
            };
            Ok((process, lowered))
        });
        lowered.collect()
    }

    pub(super) fn id(&self) -> &MachineId {
        &self.id
    }

    /// Where something that is about the whole machine happens.
    pub(super) fn place(&self) -> Place {
        match self.id.is_named() {
            true => Place::Named(self.id.clone()),
            false => Place::Machine,
        }
    }

    /// The TAPs on which its machine has a packet socket from the start.
    pub(super) fn packet_sockets(&self) -> Vec<NetdevId> {
        self.machine.packet_sockets().map(|netdev| self.id.qualified(netdev.as_str())).collect()
    }

    pub(super) fn handle(&mut self, now: VirtualTime, input: Input, out: &mut Vec<Output>) {
        let from = out.len();
        self.machine.handle(now, input, out);
        if self.id.is_named() {
            out[from..].iter_mut().for_each(|output| qualify(&self.id, output));
        }
    }

    pub(super) fn deadline(&self) -> Option<VirtualTime> {
        self.machine.deadline()
    }

    /// Whether what `peer` writes for a chardev of this machine is read; none for another machine's
    /// chardev. A main loop that is frozen reads nothing, and what it writes for itself only when
    /// it has come round.
    pub(super) fn reads(&self, chardev: &ChardevId, peer: &ChardevId) -> Option<ChardevState> {
        let local = self.id.local(chardev.as_str())?;
        let is_own_peer = self.id.local(peer.as_str()).is_some();
        Some(if !self.machine.reads(local) {
            ChardevState::Stalled
        } else if is_own_peer && !self.machine.reads_beside_main_loop(local) {
            ChardevState::OwnLoop
        } else if !is_own_peer && self.machine.waits(local) {
            ChardevState::Stalled
        } else {
            ChardevState::Resumed
        })
    }

    /// Whether its main loop waits for a reader.
    pub(super) fn is_frozen(&self) -> bool {
        self.machine.is_frozen()
    }

    /// Whether its guest runs: the virtual CPUs stand while the main loop is frozen with the big
    /// lock in its hands, from `stop` to `cont`, and for good when QEMU is dead.
    pub(super) fn runs_guest(&self) -> bool {
        !self.dead && !self.is_frozen() && self.machine.is_running()
    }

    /// Why its guest does not run, while it was stopped or not started.
    pub(super) fn halt(&self) -> Option<Halt> {
        self.machine.halt()
    }

    /// What its VM's clock shows.
    pub(super) fn vm_clock(&self, now: VirtualTime) -> VirtualTime {
        self.machine.vm_clock(now)
    }

    /// Whether its vhost-net is stopped, as it is with the VM (QEMU 10.2.2 hw/net/virtio-net.c:241,
    /// virtio_net_started: `vdev->vm_running`). A frozen main loop does not stop it.
    pub(super) fn stops_vhost(&self) -> bool {
        !self.dead && !self.machine.is_running()
    }

    /// Whether it compares: then it is the primary of a COLO pair.
    pub(super) fn compares(&self) -> bool {
        self.machine.has_object("colo-compare")
    }

    pub(super) fn residue(self) -> Vec<Event> {
        let mut events = self.machine.residue();
        events.iter_mut().for_each(|event| qualify_place(&self.id, &mut event.place));
        events
    }
}

/// Puts the machine's name in front of the ids of what it does.
fn qualify(machine: &MachineId, output: &mut Output) {
    match output {
        Output::NetdevFrame { netdev, .. }
        | Output::StreamClosed { netdev }
        | Output::Capture { netdev, .. }
        | Output::Announce { netdev, .. }
        | Output::AnnounceGuest { netdev }
        | Output::NetdevGone { netdev } => *netdev = machine.qualified(netdev.as_str()),
        Output::Inject { netdev, object, .. } => {
            *netdev = machine.qualified(netdev.as_str());
            *object = machine.qualified(object.as_str());
        }
        Output::ChardevBytes { chardev, .. }
        | Output::ChardevClosed { chardev }
        | Output::ChardevExists { chardev, .. } => *chardev = machine.qualified(chardev.as_str()),
        Output::FileBytes { file, .. } => *file = machine.qualified(file),
        Output::Event(event) => qualify_place(machine, &mut event.place),
        Output::Answer { .. } => {}
    }
}

fn qualify_place(machine: &MachineId, place: &mut Place) {
    match place {
        Place::Object(id) => *id = machine.qualified(id.as_str()),
        Place::Netdev(id) | Place::Tap(id) => *id = machine.qualified(id.as_str()),
        Place::Chardev(id) => *id = machine.qualified(id.as_str()),
        Place::Port(id) => *id = machine.qualified(id.as_str()),
        Place::Machine if machine.is_named() => *place = Place::Named(machine.clone()),
        Place::Machine | Place::Named(_) => {}
    }
}
