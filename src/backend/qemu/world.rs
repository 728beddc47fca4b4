use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    os::fd::AsFd,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bytes::Bytes;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use serde_json::{Map, Value};

use super::{
    chardev::{Cutter, FarEnd, Side},
    command,
    process::Process,
    qmp::Qmp,
    stream::Stream,
};
use crate::{
    backend::{
        Action, BackendError, Deadline, Observations, Residue, Settled, World,
        builtin::{Carried, Carrier, Destination, Flights, chunks, encode},
        netns::NetnsCarrier,
        title::{Title, object_title, qmp_title},
    },
    base::{ChardevId, Frame, NetdevId, Origin, PortId, QemuVersion, Tag, VirtualTime},
    machine::ObjectOption,
    record::{
        Abort, Answer, Arrival, CommandError, DropReason, Event, EventKind, Framing, Item, Outcome,
        Place,
    },
    scenario::{Object, ObjectForm},
};

mod open;

/// What a stalled reader has when QEMU may be frozen in a write to it, in bytes. A unix socket takes
/// about 200 kB before a writer finds no room.
pub(super) const FROZEN_BYTES: usize = 32 << 10;

/// How long QMP is silent then.
pub(super) const FROZEN_AFTER: Duration = Duration::from_millis(500);

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
    joins: usize,
    /// Objects that a text made, and the text.
    by_option: BTreeMap<String, String>,
    clock: VirtualTime,
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

/// How a round of QEMU's main loop ended.
enum Round {
    /// It was answered; whether anything moved.
    Answered(bool),
    Frozen,
    Dead,
    Late,
}

/// Waits for one answer of a QEMU that has nothing else to do.
pub(super) fn answer_of(
    process: &mut Process,
    qmp: &mut Qmp,
    number: u64,
) -> Result<Outcome, String> {
    let until = Instant::now() + LONGEST_COMMAND;
    loop {
        let answers = qmp.read().map_err(|error| error.to_string())?;
        if let Some((_, outcome)) = answers.into_iter().find(|(id, _)| *id == number) {
            return Ok(outcome);
        }
        if qmp.is_closed() {
            return Err(process.end().unwrap_or_else(|error| error.to_string()));
        }
        if Instant::now() >= until {
            return Err("it does not answer".to_owned());
        }
        process.read_lines();
        let mut polled = [PollFd::new(qmp.as_fd(), PollFlags::POLLIN)];
        match poll(&mut polled, timeout(until)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.to_string()),
        }
    }
}

fn timeout(until: Instant) -> PollTimeout {
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

impl QemuWorld {
    /// Takes everything that has come anywhere; whether anything moved.
    fn pump(&mut self) -> Result<bool, BackendError> {
        let answers = self
            .qmp
            .read()
            .map_err(|error| system("QMP", io::Error::other(error)))?;
        let mut moved = false;
        for (number, outcome) in answers {
            if self.ping == Some(number) {
                self.ping = None;
            } else {
                moved = true;
                self.answers.insert(number, outcome);
            }
        }
        moved |= self.read_stderr();
        moved |= self.read_streams();
        let mut carried = Vec::new();
        let drained = self.carrier.drain(&mut carried);
        moved |= !carried.is_empty();
        carried.into_iter().for_each(|one| self.take(one));
        drained.map_err(|error| system("reading", error))?;
        let unread = self.look_for_unread()?;
        moved |= unread != self.unread;
        self.unread = unread;
        if self.qmp.is_closed() && self.dead.is_none() {
            let how = self
                .process
                .end()
                .map_err(|error| system("QEMU's exit status", error))?;
            self.dead = Some(Death { how, told: false });
            let taps: Vec<NetdevId> = self.taps.keys().cloned().collect();
            taps.iter().for_each(|netdev| self.let_go(netdev));
            moved = true;
        }
        Ok(moved)
    }

    fn read_stderr(&mut self) -> bool {
        let lines = self.process.read_lines();
        let moved = !lines.is_empty();
        for line in lines {
            self.say(Place::Machine, EventKind::Log(line));
        }
        moved
    }

    fn read_streams(&mut self) -> bool {
        let mut arrived = Vec::new();
        for tap in self.taps.values_mut() {
            let mut whole = Vec::new();
            tap.wire.flush();
            tap.wire.read(&mut tap.cutter.bytes);
            tap.cutter.cut(&mut whole);
            for bytes in whole {
                let data = Bytes::from(bytes).slice(4..);
                arrived.push((
                    tap.port.clone(),
                    Item::Frame(Frame::plain(data.clone())),
                    data,
                ));
            }
        }
        for end in self.ends.values_mut() {
            let mut whole = Vec::new();
            let closed = end.read(&mut whole);
            arrived.extend(whole.into_iter().map(|bytes| of_chardev(end, bytes)));
            // What a dying QEMU closes is no news.
            if closed && !self.qmp.is_closed() {
                arrived.push((end.port.clone(), Item::Eof, Bytes::new()));
            }
        }
        let moved = !arrived.is_empty();
        for (port, item, data) in arrived {
            self.arrive(port, item, &data);
        }
        moved
    }

    /// What QEMU has not read of what it was sent, and stalled readers of what it sent.
    fn look_for_unread(&self) -> Result<Vec<usize>, BackendError> {
        let mut unread = Vec::new();
        if self.dead.is_some() {
            return Ok(unread);
        }
        for (netdev, tap) in &self.taps {
            unread.push(tap.wire.unread_by_peer());
            let waits = self
                .carrier
                .is_unread(netdev)
                .map_err(|error| system("polling a TAP", error))?;
            unread.push(usize::from(waits));
        }
        for end in self.ends.values() {
            unread.push(end.served().map_or(0, Stream::unread_by_peer));
        }
        unread.push(self.stalled_bytes());
        Ok(unread)
    }

    /// The most that a stalled reader has waiting.
    fn stalled_bytes(&self) -> usize {
        let stalled = self.ends.values().filter(|end| end.stalled);
        let waiting = stalled.filter_map(|end| end.served().map(Stream::unread));
        waiting.max().unwrap_or_default()
    }

    /// One pass of QEMU's main loop.
    fn round(&mut self, deadline: Deadline) -> Result<Round, BackendError> {
        let mut moved = self.pump()?;
        if self.dead.is_some() {
            return Ok(Round::Dead);
        }
        if self.ping.is_none() {
            self.ping = Some(self.qmp.send("query-status", None));
        }
        if self.surely_frozen {
            return Ok(Round::Frozen);
        }
        let mut silent_since = Instant::now();
        loop {
            if self.pump()? {
                moved = true;
                silent_since = Instant::now();
            }
            if self.dead.is_some() {
                return Ok(Round::Dead);
            }
            if self.ping.is_none() {
                self.freeze(false);
                return Ok(Round::Answered(moved));
            }
            if deadline.passed() {
                return Ok(Round::Late);
            }
            if self.stalled_bytes() >= FROZEN_BYTES && silent_since.elapsed() >= FROZEN_AFTER {
                self.freeze(true);
                return Ok(Round::Frozen);
            }
            self.poll(Instant::now() + FROZEN_AFTER / 4)?;
        }
    }

    fn freeze(&mut self, frozen: bool) {
        self.surely_frozen = frozen;
        if self.frozen != frozen {
            self.frozen = frozen;
            let kind = if frozen {
                EventKind::Frozen
            } else {
                EventKind::Thawed
            };
            self.say(Place::Machine, kind);
        }
    }

    /// Waits until something can be read or written anywhere.
    fn poll(&self, until: Instant) -> Result<(), BackendError> {
        let reading = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut waiting: Vec<PollFd<'_>> = self.carrier.descriptors().map(reading).collect();
        if self.dead.is_none() {
            waiting.push(reading(self.qmp.as_fd()));
            waiting.extend(self.process.stderr().map(reading));
            waiting.extend(self.taps.values().map(|tap| watched(&tap.wire, true)));
        }
        for end in self.ends.values() {
            if let Some(stream) = end.served()
                && (!end.stalled || stream.is_blocked())
            {
                waiting.push(watched(stream, !end.stalled));
            }
        }
        match poll(&mut waiting, timeout(until)) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(system("poll", errno)),
        }
    }

    /// Gives QEMU a command and waits for its answer.
    fn ask(
        &mut self,
        command: &str,
        args: &Map<String, Value>,
        title: Title,
    ) -> Result<Answer, BackendError> {
        let answer = |outcome| Answer {
            command: title.text.clone(),
            subject: title.subject.clone(),
            outcome,
        };
        if let Some(death) = &self.dead {
            let assertion = death.how.clone();
            let survivor = None;
            return Ok(answer(Outcome::Aborts(Abort {
                assertion,
                survivor,
            })));
        }
        let number = self.qmp.send(command, Some(args));
        let within = Deadline(Some(Instant::now() + LONGEST_COMMAND));
        while !self.answers.contains_key(&number) {
            match self.round(within)? {
                Round::Answered(_) => {}
                Round::Frozen => {
                    self.commands.insert(number, title.clone());
                    return Ok(answer(Outcome::Unanswered));
                }
                Round::Dead => {
                    let said = self.process.assertion().map(str::to_owned);
                    let assertion = match &mut self.dead {
                        Some(death) => {
                            death.told = true;
                            said.unwrap_or_else(|| death.how.clone())
                        }
                        None => String::new(),
                    };
                    let survivor = None;
                    return Ok(answer(Outcome::Aborts(Abort {
                        assertion,
                        survivor,
                    })));
                }
                Round::Late => {
                    return Err(system(
                        &format!("{command}: QEMU does not answer"),
                        io::ErrorKind::TimedOut,
                    ));
                }
            }
        }
        let outcome = self.answers.remove(&number);
        Ok(answer(outcome.unwrap_or(Outcome::Unanswered)))
    }

    fn object_add(&mut self, object: &Object) -> Result<Answer, BackendError> {
        let title = object_title(object);
        let text = match &object.form {
            ObjectForm::Qmp(args) => return self.ask("object-add", args, title),
            ObjectForm::Option(text) => text,
        };
        let id = ObjectOption::id_of(text).unwrap_or_default();
        let earlier = self.by_option.get(&id);
        let members = ObjectOption::members(text, self.parser);
        match (members, earlier) {
            (Ok(args), None) => {
                let answer = self.ask("object-add", &args, title)?;
                if let Outcome::Done(_) = answer.outcome {
                    self.by_option.insert(id, text.clone());
                }
                Ok(answer)
            }
            (_, earlier) => {
                let earlier: Vec<&str> = earlier.into_iter().map(String::as_str).collect();
                let refused = Process::option_refusal(&self.program, &earlier, text)
                    .map_err(|error| system("QEMU", error))?;
                let desc = refused.ok_or_else(|| {
                    let taken = format!("QEMU takes what the model's parser refuses: {text}");
                    system("-object", io::Error::other(taken))
                })?;
                let class = "GenericError".to_owned();
                Ok(Answer {
                    command: title.text,
                    subject: title.subject,
                    outcome: Outcome::Refused(CommandError { class, desc }),
                })
            }
        }
    }

    fn command(
        &mut self,
        command: &str,
        args: &Map<String, Value>,
    ) -> Result<Answer, BackendError> {
        let title = qmp_title(command, args);
        let id = args.get("id").and_then(Value::as_str).unwrap_or_default();
        if command == "chardev-add"
            && args.get("backend").and_then(|backend| backend.get("type")) == Some(&"socket".into())
        {
            return self.socket_add(id, args, title);
        }
        let answer = self.ask(command, args, title)?;
        if let Outcome::Done(_) = answer.outcome {
            match command {
                "object-del" => drop(self.by_option.remove(id)),
                "netdev_del" => {
                    let netdev = NetdevId::from(id);
                    self.let_go(&netdev);
                    if let Some(tap) = self.taps.get(&netdev) {
                        let port = tap.port.clone();
                        self.arrive(port, Item::Eof, &Bytes::new());
                    }
                }
                _ => {}
            }
        }
        Ok(answer)
    }

    /// A socket that a command makes listens in our own folder, whatever address was asked for.
    fn socket_add(
        &mut self,
        id: &str,
        args: &Map<String, Value>,
        title: Title,
    ) -> Result<Answer, BackendError> {
        let path = self.file();
        let mut ours = args.clone();
        ours["backend"]["data"] = command::socket(id, &path, true)["backend"]["data"].clone();
        let answer = self.ask("chardev-add", &ours, title)?;
        if let Outcome::Done(_) = answer.outcome {
            let (chardev, port) = (ChardevId::from(id), PortId::from(id));
            self.ports
                .insert(port.clone(), Target::Chardev(chardev.clone()));
            let end = FarEnd::new(port, Framing::Plain, 0, Side::Server, path);
            self.ends.insert(chardev, end);
        }
        Ok(answer)
    }

    /// A file name of our own.
    fn file(&mut self) -> PathBuf {
        let path = self.directory.directory().join(self.directory.unique("q"));
        self.files.push(path.clone());
        path
    }

    /// QEMU no longer reads a TAP.
    fn let_go(&mut self, netdev: &NetdevId) {
        self.carrier.take_back(netdev);
    }

    fn take(&mut self, carried: Carried) {
        match carried {
            Carried::ToHost { port, frame } => {
                let data = frame.data.clone();
                self.arrive(port, Item::Frame(frame), &data);
            }
            Carried::ToGuest { netdev, frame } => {
                let tag = self
                    .flights
                    .arrive(&frame.data, Destination::Guest(netdev.clone()));
                self.inside.remove(&tag);
                let (place, reason) = if self.dead.is_some() {
                    (Place::Machine, DropReason::MachineDead)
                } else {
                    (Place::Netdev(netdev), DropReason::NoPeer)
                };
                self.drop_frame(Some(tag), place, reason);
            }
            // No packet socket is opened on a TAP here.
            Carried::Captured { .. } => {}
            Carried::Said(event) => self.seen.events.push(event),
        }
    }

    /// Something comes out; `data` is the frame in it.
    fn arrive(&mut self, port: PortId, item: Item, data: &Bytes) {
        let tag =
            (item != Item::Eof).then(|| self.flights.arrive(data, Destination::Host(port.clone())));
        if let Some(tag) = tag {
            self.inside.remove(&tag);
        }
        self.seen.arrivals.push(Arrival {
            port,
            item,
            tag,
            at: self.clock,
        });
    }

    fn say(&mut self, place: Place, kind: EventKind) {
        let tag = None;
        self.seen.events.push(Event { tag, place, kind });
    }

    fn drop_frame(&mut self, tag: Option<Tag>, place: Place, reason: DropReason) {
        let kind = EventKind::Dropped(reason);
        self.seen.events.push(Event { tag, place, kind });
    }

    fn send(
        &mut self,
        port: &PortId,
        frame: &Frame,
        tag: Tag,
        chunk: Option<usize>,
    ) -> Result<(), BackendError> {
        let refused = match self.ports.get(port).cloned() {
            Some(Target::Guest(_)) if self.dead.is_some() => {
                Some((Place::Machine, DropReason::MachineDead))
            }
            Some(Target::Guest(netdev)) => {
                self.depart(frame, tag);
                if let Some(tap) = self.taps.get_mut(&netdev) {
                    tap.wire.write(&encode(frame, Framing::Plain, 0));
                }
                None
            }
            Some(Target::Host) => {
                self.depart(frame, tag);
                self.carrier
                    .send_from_host(port, frame)
                    .err()
                    .map(|reason| {
                        self.flights.refuse(&frame.data, Some(tag));
                        (Place::Port(port.clone()), reason)
                    })
            }
            Some(Target::Chardev(chardev)) => match self.ends.get(&chardev) {
                Some(end) if end.served().is_some() => {
                    let bytes = encode(frame, end.framing, end.vnet_hdr_len);
                    self.depart(frame, tag);
                    self.write(&chardev, &bytes, chunk)?;
                    None
                }
                _ => Some((Place::Port(port.clone()), DropReason::ChardevClosed)),
            },
            None => Some((Place::Port(port.clone()), DropReason::InterfaceGone)),
        };
        if let Some((place, reason)) = refused {
            self.inside.remove(&tag);
            self.drop_frame(Some(tag), place, reason);
        }
        Ok(())
    }

    /// A frame is on its way. QEMU pads what is shorter than 60 bytes to that (QEMU 7.2.22
    /// `net/tap.c`), and it is known by either form.
    fn depart(&mut self, frame: &Frame, tag: Tag) {
        const ETH_ZLEN: usize = 60;
        self.inside.insert(tag);
        if frame.data.len() < ETH_ZLEN {
            let mut padded = frame.data.to_vec();
            padded.resize(ETH_ZLEN, 0);
            self.flights.depart(&padded.into(), Some(tag));
        }
        self.flights.depart(&frame.data, Some(tag));
    }

    /// Writes to a chardev. Each of several pieces is read before the next is written.
    fn write(
        &mut self,
        chardev: &ChardevId,
        bytes: &Bytes,
        chunk: Option<usize>,
    ) -> Result<(), BackendError> {
        let within = Deadline(Some(Instant::now() + LONGEST_COMMAND));
        for data in chunks(bytes, chunk) {
            let unread = |world: &Self| {
                let end = world.ends.get(chardev).and_then(FarEnd::served);
                end.map_or(0, Stream::unread_by_peer)
            };
            let Some(stream) = self.ends.get_mut(chardev).and_then(FarEnd::stream) else {
                return Ok(());
            };
            stream.write(&data);
            let mut rounds = 0;
            while chunk.is_some() && unread(self) > 0 && rounds < QUIET_UNREAD {
                match self.round(within)? {
                    Round::Answered(_) => rounds += 1,
                    Round::Frozen | Round::Dead | Round::Late => break,
                }
            }
        }
        Ok(())
    }

    /// The far end at a port.
    fn end(&mut self, port: &PortId) -> Option<&mut FarEnd> {
        match self.ports.get(port)? {
            Target::Chardev(chardev) => self.ends.get_mut(chardev),
            Target::Guest(_) | Target::Host => None,
        }
    }

    fn chardev_open(&mut self, port: &PortId) -> Result<(), BackendError> {
        if let Some(end) = self.end(port) {
            end.open().map_err(|error| system("connecting", error))?;
            // QEMU accepts it in this round, before anything is sent through it.
            let within = Deadline(Some(Instant::now() + LONGEST_COMMAND));
            self.round(within)?;
        }
        Ok(())
    }

    /// The clock moves: the wall's.
    fn advance(&mut self, span: Duration) -> Result<(), BackendError> {
        let until = Instant::now() + span;
        while Instant::now() < until {
            self.poll(until)?;
            self.pump()?;
        }
        self.clock = self.clock + span;
        Ok(())
    }

    /// Whether something that was sent is not yet read.
    fn is_unread(&self) -> bool {
        // The last one is what QEMU sent.
        let sent = self.unread.split_last().map_or(&[][..], |(_, sent)| sent);
        sent.iter().any(|unread| *unread > 0)
    }

    fn flush_rests(&mut self) {
        let rests: Vec<_> = self
            .ends
            .values_mut()
            .filter_map(|end| Some((end.port.clone(), end.rest()?)))
            .collect();
        for (port, rest) in rests {
            let data = Bytes::from(rest);
            self.arrive(port, Item::Bytes(data.clone()), &data);
        }
    }
}

fn watched(stream: &Stream, reading: bool) -> PollFd<'_> {
    let mut flags = PollFlags::empty();
    flags.set(PollFlags::POLLIN, reading);
    flags.set(PollFlags::POLLOUT, stream.is_blocked());
    PollFd::new(stream.as_fd(), flags)
}

/// What came out of a chardev, and the frame in it.
fn of_chardev(end: &FarEnd, bytes: Vec<u8>) -> (PortId, Item, Bytes) {
    let bytes = Bytes::from(bytes);
    let header = end.vnet_hdr_len
        + match end.framing {
            Framing::Plain => 4,
            Framing::Vnet => 8,
            Framing::Raw => 0,
        };
    let data = bytes.slice(header.min(bytes.len())..);
    (end.port.clone(), Item::Bytes(bytes), data)
}

impl World for QemuWorld {
    fn act(&mut self, action: Action<'_>) -> Result<Option<Answer>, BackendError> {
        match action {
            Action::ObjectAdd(object) => return self.object_add(object).map(Some),
            Action::Qmp { command, args } => return self.command(command, args).map(Some),
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
            Action::Advance(span) => self.advance(span)?,
        }
        Ok(None)
    }

    fn settle(&mut self, deadline: Deadline) -> Result<Settled, BackendError> {
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

    fn wait(&mut self, until: Instant) -> Result<Option<Settled>, BackendError> {
        self.poll(until)?;
        let within = Instant::now() + LONGEST_COMMAND;
        self.settle(Deadline(Some(within))).map(Some)
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
