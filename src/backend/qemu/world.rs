//! A case's real QEMUs as a world: the same actions, settling and observations as those of the
//! built-in machines. The parts below it open the case, join sockets, settle and name what
//! happened.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    time::Instant,
};

use super::{
    Admission, LONGEST_COMMAND, file::DumpFile, machine::Machine, program::Program,
    version::Version,
};
use crate::{
    backend::{
        Action, BackendError, Deadline, Exposed, Observations, Residue, Settled, World,
        builtin::{Carrier, Flights},
        netns::NetnsCarrier,
    },
    base::{ChardevId, NetdevId, Origin, PortId, Tag, VirtualTime},
    record::{Answer, DropReason, Event, EventKind, Place},
    scenario::Wiring,
    sys::Isolated,
};

mod colo;
mod control;
mod flood;
mod join;
mod open;
mod settle;
mod traffic;

pub(super) use colo::TELL_FILTERS;
use flood::Flood;
use join::Joins;
use settle::{News, Quiet};

/// A case's QEMUs, and the world around them.
pub(super) struct QemuWorld {
    /// In the order of the case.
    machines: Vec<Machine>,
    joins: Joins,
    /// The chardevs whose far end is a chardev, those that steps add too.
    joined: BTreeSet<ChardevId>,
    /// How frames stand in the bytes of the chardevs that steps add.
    added_chardevs: BTreeMap<ChardevId, Wiring>,
    version: Version,
    admission: Admission,
    program: Program,
    /// Where QEMUs run and their dumps are, and where their sockets meet.
    directory: Directory,
    carrier: NetnsCarrier,
    ports: BTreeMap<PortId, Target>,
    files: Vec<PathBuf>,
    dumps: Vec<DumpFile>,
    clock: VirtualTime,
    /// Until when a step lets the clock run.
    advancing: Option<Instant>,
    flights: Flights,
    /// Frames that were sent and have not come out.
    inside: BTreeSet<Tag>,
    write_count: u32,
    seen: Observations,
    flood: Flood,
    /// Whether the QEMUs are stopped until the frames that hosts send are all in their TAPs.
    held: bool,
}

/// The case's folder, which is all that its QEMUs may write to.
struct Directory {
    folder: PathBuf,
    isolated: Isolated,
}

impl Directory {
    fn directory(&self) -> &Path {
        &self.folder
    }

    /// A file name that nothing else has.
    fn unique(&self, name: &str) -> String {
        self.isolated.unique(name)
    }
}

/// What a port is the port of.
#[derive(Clone, Debug)]
enum Target {
    Guest(NetdevId),
    Host,
    Chardev(ChardevId),
}

fn longest_command() -> Deadline {
    Deadline::at(Instant::now() + LONGEST_COMMAND)
}

fn system(what: &str, source: impl Into<io::Error>) -> BackendError {
    BackendError::System { what: what.to_owned(), source: source.into() }
}

impl World for QemuWorld {
    fn act(&mut self, action: Action<'_>) -> Result<Option<Answer>, BackendError> {
        self.flood = Flood::default();
        if !matches!(action, Action::Send { .. }) {
            self.release()?;
        }
        match action {
            Action::ObjectAdd(object) => return self.object_add(object).map(Some),
            Action::Qmp { machine, command, args } => {
                return self.command(machine, command, args).map(Some);
            }
            Action::Send { port, frame, tag, chunk } => self.send(port, frame, tag, chunk)?,
            Action::Write { port, data, chunk } => {
                self.write_count += 1;
                let tag = Tag(Origin::Written(self.write_count));
                match self.ports.get(port).cloned() {
                    Some(Target::Chardev(chardev)) if self.is_served(&chardev) => {
                        self.write(&chardev, data, chunk)?;
                    }
                    _ => {
                        let place = Place::Port(port.clone());
                        self.drop_frame(Some(tag), place, DropReason::ChardevClosed);
                    }
                }
            }
            Action::ChardevOpen(port) => self.chardev_open(port)?,
            Action::ChardevClose { port, half } => {
                if let Some(end) = self.end(port) {
                    match end.stream() {
                        Some(stream) if half => stream.half_close(),
                        _ => end.close(),
                    }
                }
            }
            Action::ChardevStall(port) => {
                if let Some(end) = self.end(port) {
                    end.stalled = end.served().is_some();
                }
            }
            Action::ChardevResume(port) => {
                if let Some(end) = self.end(port) {
                    end.stalled = false;
                }
            }
            Action::LinkSet(change) => self
                .carrier
                .link_set(change)
                .map_err(|error| system(&format!("link-set {}", change.port), error))?,
            Action::LinkDel(port) => self
                .carrier
                .link_del(port)
                .map_err(|error| system(&format!("link-del {port}"), error))?,
            Action::Colo { event, machine } => self.colo(event, machine)?,
            // No case with these is opened here.
            Action::Impair(_)
            | Action::Client(_)
            | Action::ClientAnswer
            | Action::Migrate { .. } => {
                let kind = io::ErrorKind::Unsupported;
                return Err(system("a guest, a client, an impairment or a migration", kind));
            }
            Action::Advance(span) => {
                self.clock = self.clock + span;
                self.advancing = Some(Instant::now() + span);
            }
        }
        Ok(None)
    }

    fn settle(&mut self, deadline: &Deadline) -> Result<Settled, BackendError> {
        self.release()?;
        if !self.has_advanced(deadline)? {
            return Ok(Settled::Late);
        }
        loop {
            match self.quiesce(deadline)? {
                Quiet::Idle => {}
                Quiet::Late => return Ok(Settled::Late),
                Quiet::Flooded => return Ok(Settled::Storm(self.flood.ports())),
            }
            match self.tell_deaths() {
                None => break,
                Some(News::Killed(how)) => return Ok(Settled::Died(how)),
                // Clients that waited for a turn are turned away now.
                Some(News::Died) => {}
            }
        }
        self.link()?;
        self.flush_rests();
        Ok(Settled::Idle)
    }

    fn observe(&mut self) -> Observations {
        for machine in &mut self.machines {
            self.seen.answers.extend(machine.late_answers());
        }
        std::mem::take(&mut self.seen)
    }

    fn now(&self) -> VirtualTime {
        self.clock
    }

    fn wait(&mut self, deadline: &Deadline) -> Result<Option<Settled>, BackendError> {
        self.poll(deadline)?;
        self.settle(deadline).map(Some)
    }

    fn expose(&mut self) -> Result<Exposed, BackendError> {
        self.carrier.expose().map_err(|error| system("naming interfaces", error))
    }

    fn finish(mut self: Box<Self>) -> Residue {
        let reason = if self.machines.iter().all(Machine::is_dead) {
            DropReason::MachineDead
        } else {
            DropReason::NotSeenAgain
        };
        let mut events = std::mem::take(&mut self.seen.events);
        events.extend(self.inside.iter().map(|tag| Event {
            tag: Some(*tag),
            place: Place::Machine,
            kind: EventKind::Dropped(reason),
        }));
        let machines = std::mem::take(&mut self.machines);
        let mut errors: Vec<String> = machines.into_iter().filter_map(Machine::finish).collect();
        errors.extend(self.carrier.finish());
        errors.extend(self.files.iter().filter_map(|file| remove(file)));
        let folder = self.directory.directory();
        if let Err(error) = std::fs::remove_dir_all(folder) {
            errors.push(format!("{}: {error}", folder.display()));
        }
        Residue { events, errors, in_doubt: false }
    }
}

fn remove(file: &Path) -> Option<String> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Some(format!("{}: {error}", file.display()))
        }
        _ => None,
    }
}
