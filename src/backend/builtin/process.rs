use crate::{
    backend::lower::{self, Lowered},
    base::{ChardevId, MachineId, NetdevId, ObjectId, PortId, VirtualTime},
    machine::{ChardevState, ConfigError, Input, Machine, Output},
    record::{Event, Place},
    scenario::Case,
};

/// A machine in its world. A machine knows its own ids only; here they begin with its name, where
/// it has one, on the way in and out.
#[derive(Debug)]
pub(super) struct Process {
    id: MachineId,
    machine: Machine,
    /// QEMU died.
    pub(super) dead: bool,
}

impl Process {
    /// Every machine of a case, and how each meets the world.
    pub(super) fn all(case: &Case) -> Result<Vec<(Self, Lowered)>, ConfigError> {
        let lowered = case.machines.iter().map(|machine| {
            let mut lowered = lower::lower(case, machine);
            let config = std::mem::take(&mut lowered.config);
            let process =
                Self { id: machine.id.clone(), machine: Machine::new(config)?, dead: false };
            Ok((process, lowered))
        });
        lowered.collect()
    }

    pub(super) fn id(&self) -> &MachineId {
        &self.id
    }

    /// Where something that is about the whole machine happens.
    pub(super) fn place(&self) -> Place {
        self.outer_place(Place::Machine)
    }

    pub(super) fn handle(&mut self, now: VirtualTime, input: Input, out: &mut Vec<Output>) {
        if !self.id.is_named() {
            self.machine.handle(now, input, out);
        } else if let Some(input) = self.own_input(input) {
            let from = out.len();
            self.machine.handle(now, input, out);
            let outputs: Vec<Output> = out.drain(from..).collect();
            out.extend(outputs.into_iter().map(|output| self.outer_output(output)));
        }
    }

    /// When it wants to be woken.
    pub(super) fn deadline(&self) -> Option<VirtualTime> {
        self.machine.deadline()
    }

    /// Whether what `peer` writes for a chardev of this machine is read; none for another machine's
    /// chardev. A main loop that is frozen reads nothing, and what it writes for itself only when
    /// it has come round.
    pub(super) fn reads(&self, chardev: &ChardevId, peer: &ChardevId) -> Option<ChardevState> {
        let own = self.id.own(chardev.as_str())?;
        let is_own_peer = self.id.own(peer.as_str()).is_some();
        Some(if !self.machine.reads(own) {
            ChardevState::Stalled
        } else if is_own_peer && !self.machine.reads_beside_main_loop(own) {
            ChardevState::OwnLoop
        } else if !is_own_peer && self.machine.waits(own) {
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

    /// Whether it compares: then it is the primary of a COLO pair.
    pub(super) fn compares(&self) -> bool {
        self.machine.has_object("colo-compare")
    }

    pub(super) fn residue(self) -> Vec<Event> {
        let Self { id, machine, .. } = self;
        let outer = |event: Event| Event { place: outer_place(&id, event.place), ..event };
        machine.residue().into_iter().map(outer).collect()
    }

    fn own_input(&self, input: Input) -> Option<Input> {
        let netdev = |outer: NetdevId| Some(NetdevId::from(self.id.own(outer.as_str())?));
        let chardev = |outer: ChardevId| Some(ChardevId::from(self.id.own(outer.as_str())?));
        Some(match input {
            Input::NetdevFrame { netdev: id, data, tag } => {
                Input::NetdevFrame { netdev: netdev(id)?, data, tag }
            }
            Input::StreamBytes { netdev: id, data, tag } => {
                Input::StreamBytes { netdev: netdev(id)?, data, tag }
            }
            Input::StreamClosed { netdev: id } => Input::StreamClosed { netdev: netdev(id)? },
            Input::Captured { netdev: id, direction, frame, tag } => {
                Input::Captured { netdev: netdev(id)?, direction, frame, tag }
            }
            Input::InjectFailed { netdev: id, object, reason, tag } => Input::InjectFailed {
                netdev: netdev(id)?,
                object: ObjectId::from(self.id.own(object.as_str())?),
                reason,
                tag,
            },
            Input::ChardevBytes { chardev: id, data, tag } => {
                Input::ChardevBytes { chardev: chardev(id)?, data, tag }
            }
            Input::Chardev { chardev: id, state } => {
                Input::Chardev { chardev: chardev(id)?, state }
            }
            input @ (Input::Command { .. } | Input::Tick) => input,
        })
    }

    fn outer_output(&self, output: Output) -> Output {
        let netdev = |own: NetdevId| self.id.outer(own.as_str());
        let chardev = |own: ChardevId| self.id.outer(own.as_str());
        match output {
            Output::NetdevFrame { netdev: id, data, tag } => {
                Output::NetdevFrame { netdev: netdev(id), data, tag }
            }
            Output::StreamClosed { netdev: id } => Output::StreamClosed { netdev: netdev(id) },
            Output::Inject { netdev: id, object, frame, tag } => Output::Inject {
                netdev: netdev(id),
                object: self.id.outer(object.as_str()),
                frame,
                tag,
            },
            Output::Capture { netdev: id, on } => Output::Capture { netdev: netdev(id), on },
            Output::ChardevBytes { chardev: id, data, tag } => {
                Output::ChardevBytes { chardev: chardev(id), data, tag }
            }
            Output::FileBytes { file, at, data, tag } => {
                Output::FileBytes { file: self.id.outer(&file), at, data, tag }
            }
            Output::ChardevClosed { chardev: id } => Output::ChardevClosed { chardev: chardev(id) },
            Output::ChardevExists { chardev: id, exists } => {
                Output::ChardevExists { chardev: chardev(id), exists }
            }
            Output::NetdevGone { netdev: id } => Output::NetdevGone { netdev: netdev(id) },
            Output::Event(event) => {
                Output::Event(Event { place: self.outer_place(event.place), ..event })
            }
            answer @ Output::Answer { .. } => answer,
        }
    }

    fn outer_place(&self, place: Place) -> Place {
        outer_place(&self.id, place)
    }
}

/// The machine that an input is for, by the id in it; none where it has no id.
pub(super) fn machine_of(input: &Input) -> Option<&str> {
    let id = match input {
        Input::NetdevFrame { netdev, .. }
        | Input::StreamBytes { netdev, .. }
        | Input::StreamClosed { netdev }
        | Input::Captured { netdev, .. }
        | Input::InjectFailed { netdev, .. } => netdev.as_str(),
        Input::ChardevBytes { chardev, .. } | Input::Chardev { chardev, .. } => chardev.as_str(),
        Input::Command { .. } | Input::Tick => return None,
    };
    id.split_once('/').map(|(machine, _)| machine)
}

fn outer_place(machine: &MachineId, place: Place) -> Place {
    if !machine.is_named() {
        return place;
    }
    match place {
        Place::Object(id) => Place::Object(machine.outer(id.as_str())),
        Place::Netdev(id) => Place::Netdev(machine.outer(id.as_str())),
        Place::Chardev(id) => Place::Chardev(machine.outer(id.as_str())),
        Place::Tap(id) => Place::Tap(machine.outer(id.as_str())),
        Place::Port(id) => Place::Port(PortId::from(machine.outer::<String>(id.as_str()))),
        Place::Machine => Place::Named(machine.clone()),
        named @ Place::Named(_) => named,
    }
}
