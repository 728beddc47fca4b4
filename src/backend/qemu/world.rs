use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    os::fd::AsFd,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use super::{
    chardev::{Cutter, FarEnd},
    file::DumpFile,
    process::Process,
    qmp::Qmp,
    stream::Stream,
};
use crate::{
    backend::{
        Action, BackendError, Deadline, Observations, Residue, Settled, World,
        builtin::{Carrier, Flights},
        netns::NetnsCarrier,
        title::Title,
    },
    base::{ChardevId, NetdevId, Origin, PortId, QemuVersion, Tag, VirtualTime},
    record::{Answer, DropReason, Event, EventKind, Outcome, Place},
};

mod control;
mod open;
mod pump;
mod round;
mod traffic;

use round::Round;

/// How long a command may take that the scenario's own deadline does not end.
const LONGEST_COMMAND: Duration = Duration::from_secs(20);

/// Rounds that bring nothing when everything was read.
const QUIET: usize = 2;
/// Rounds that bring nothing when something stays unread: see the module.
const QUIET_UNREAD: usize = 32;
/// Rounds that a frame may take between two joined chardevs.
const QUIET_JOINED: usize = 18;

/// A case's QEMU, and the world around it.
pub(super) struct QemuWorld {
    process: Process,
    qmp: Qmp,
    program: PathBuf,
    directory: crate::sys::Isolated,
    /// Whose option parser is asked what a text means.
    parser: QemuVersion,
    carrier: NetnsCarrier,
    taps: BTreeMap<NetdevId, Tap>,
    ends: BTreeMap<ChardevId, FarEnd>,
    ports: BTreeMap<PortId, Target>,
    files: Vec<PathBuf>,
    dumps: Vec<DumpFile>,
    /// Where QEMU runs and its dumps are.
    folder: PathBuf,
    joins: usize,
    /// Objects that a text made, and the text.
    by_option: BTreeMap<String, String>,
    clock: VirtualTime,
    /// Until when a step lets the clock run.
    advancing: Option<Instant>,
    flights: Flights,
    /// Frames that were sent and have not come out.
    inside: BTreeSet<Tag>,
    write_count: u32,
    seen: Observations,
    commands: BTreeMap<u64, Title>,
    answers: BTreeMap<u64, Outcome>,
    ping: Option<u64>,
    frozen: bool,
    /// Nothing was read or closed since QEMU was found frozen, so that it still is.
    surely_frozen: bool,
    dead: Option<Death>,
    /// What is unread where, as last seen.
    unread: Vec<usize>,
}

struct Tap {
    port: PortId,
    wire: Stream,
    cutter: Cutter,
}

struct Death {
    how: String,
    told: bool,
}

/// What a port is the port of.
#[derive(Clone, Debug)]
enum Target {
    Guest(NetdevId),
    Host,
    Chardev(ChardevId),
}

/// Waits for one answer of a QEMU that has nothing else to do.
pub(super) fn answer_of(
    process: &mut Process,
    qmp: &mut Qmp,
    number: u64,
) -> Result<Outcome, String> {
    let within = longest_command();
    loop {
        let answers = qmp.read().map_err(|error| error.to_string())?;
        if let Some((_, outcome)) = answers.into_iter().find(|(id, _)| *id == number) {
            return Ok(outcome);
        }
        if qmp.is_closed() {
            return Err(process.end().unwrap_or_else(|error| error.to_string()));
        }
        if within.passed() {
            return Err("it does not answer".to_owned());
        }
        process.read_lines();
        let mut polled = [PollFd::new(qmp.as_fd(), PollFlags::POLLIN)];
        match poll(&mut polled, timeout(&within)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.to_string()),
        }
    }
}

fn longest_command() -> Deadline {
    Deadline::at(Instant::now() + LONGEST_COMMAND)
}

fn timeout(deadline: &Deadline) -> PollTimeout {
    let Some(until) = deadline.time() else {
        return PollTimeout::NONE;
    };
    let left = until.saturating_duration_since(Instant::now());
    // Rounded up, so that the time has come when the wait is over.
    PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX)
}

fn system(what: &str, source: impl Into<io::Error>) -> BackendError {
    BackendError::System {
        what: what.to_owned(),
        source: source.into(),
    }
}

impl World for QemuWorld {
    fn act(&mut self, action: Action<'_>) -> Result<Option<Answer>, BackendError> {
        match action {
            Action::ObjectAdd(object) => return self.object_add(object).map(Some),
            Action::Qmp {
                machine,
                command,
                args,
            } => return self.command(machine, command, args).map(Some),
            Action::Send {
                port,
                frame,
                tag,
                chunk,
            } => self.send(port, frame, tag, chunk)?,
            Action::Write { port, data, chunk } => {
                self.write_count += 1;
                let tag = Tag(Origin::Written(self.write_count));
                match self.ports.get(port).cloned() {
                    Some(Target::Chardev(chardev))
                        if self.ends.get(&chardev).and_then(FarEnd::served).is_some() =>
                    {
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
                self.surely_frozen = false;
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
                self.surely_frozen = false;
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
            // No case with these is opened here.
            Action::Colo { .. } | Action::Impair(_) | Action::Client(_) | Action::ClientAnswer => {
                let kind = io::ErrorKind::Unsupported;
                return Err(system(
                    "an event of COLO, a guest, a client or an impairment",
                    kind,
                ));
            }
            Action::Advance(span) => {
                self.clock = self.clock + span;
                self.advancing = Some(Instant::now() + span);
            }
        }
        Ok(None)
    }

    fn settle(&mut self, deadline: &Deadline) -> Result<Settled, BackendError> {
        if !self.has_advanced(deadline)? {
            return Ok(Settled::Late);
        }
        let mut quiet = 0;
        loop {
            match self.round(deadline)? {
                Round::Answered(true) => quiet = 0,
                Round::Answered(false) => quiet += 1,
                Round::Late => return Ok(Settled::Late),
                Round::Frozen => break,
                Round::Dead => {
                    while self.pump()? {}
                    if let Some(death) = self.dead.as_mut().filter(|death| !death.told) {
                        death.told = true;
                        let how = death.how.clone();
                        self.say(Place::Machine, EventKind::Crash(how.clone()));
                        return Ok(Settled::Died(how));
                    }
                    break;
                }
            }
            let needed = if self.is_unread() {
                QUIET_UNREAD
            } else {
                QUIET
            };
            if quiet >= needed + QUIET_JOINED * self.joins {
                break;
            }
        }
        self.flush_rests();
        Ok(Settled::Idle)
    }

    fn observe(&mut self) -> Observations {
        let answers = std::mem::take(&mut self.answers);
        for (number, outcome) in answers {
            if let Some(title) = self.commands.remove(&number) {
                self.seen.answers.push(Answer {
                    command: title.text,
                    subject: title.subject,
                    outcome,
                });
            }
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

    fn finish(mut self: Box<Self>) -> Residue {
        let mut errors: Vec<String> = self.process.kill().into_iter().collect();
        let mut events = std::mem::take(&mut self.seen.events);
        let reason = if self.dead.is_some() {
            DropReason::MachineDead
        } else {
            DropReason::NotSeenAgain
        };
        events.extend(self.inside.iter().map(|tag| Event {
            tag: Some(*tag),
            place: Place::Machine,
            kind: EventKind::Dropped(reason),
        }));
        self.taps.clear();
        self.ends.clear();
        errors.extend(self.carrier.finish());
        errors.extend(self.files.iter().filter_map(|file| remove(file)));
        if let Err(error) = std::fs::remove_dir_all(&self.folder) {
            errors.push(format!("{}: {error}", self.folder.display()));
        }
        Residue { events, errors }
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
