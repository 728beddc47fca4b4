//! Topologies and steps: the bytes that each endpoint receives, who is closed, what QEMU prints.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use tapwright::{
    base::ChardevId,
    machine::{
        CharBackend, ChardevConfig, ChardevState, Command, Config, Input, NetdevKind, Output,
        framing,
    },
    record::{EventKind, Outcome},
};

use super::{
    Verdict, cli,
    error::{not_built, verdict},
    hex,
    observation::{Ring, Seen, add_errors, compare, is_pcap},
    record::{DatapathRecord, RecordError, StepRecord, profile},
    setup::{Bench, hubport, monitor, netdev, parse_chardev},
};

pub(super) const WITH_GUEST: &str = "A<->n0(socket)=h0 hub0 h9=n9(socket)<->P";
pub(super) const NO_PEER: &str = "A<->n0(socket), no peer";

/// How long the recorder listened after each step that is not itself a wait (fixtures/qemu/README.md).
pub(super) const LISTENED: Duration = Duration::from_millis(200);

/// What a record does not say of its times: what a timer does near the end of a step is in this one or in
/// the next.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    /// How long the objects were there before the first step.
    before: Duration,
    /// How much longer than is known each step lasted.
    longer: Duration,
}

impl Times {
    /// The times that are tried, the likeliest first.
    fn all() -> impl Iterator<Item = Self> {
        const BEFORE: [u64; 6] = [0, 50, 100, 150, 200, 250];
        const LONGER: [u64; 6] = [0, 5, 10, 25, 50, 100];
        let times =
            LONGER.iter().flat_map(|longer| BEFORE.iter().map(move |before| (before, longer)));
        times.map(|(before, longer)| Self {
            before: Duration::from_millis(*before),
            longer: Duration::from_millis(*longer),
        })
    }
}

/// More inputs than a record causes that comes to rest: chardevs joined in a ring never do.
const MOST_INPUTS: usize = 100_000;

/// The machine and what surrounds it: endpoints, joined chardevs, files.
struct World {
    bench: Bench,
    chardevs: BTreeSet<String>,
    /// Chardevs whose far end is another chardev of the machine, both ways.
    joined: BTreeMap<ChardevId, ChardevId>,
    /// What was written to chardevs that are files, by the name of the file.
    files: BTreeMap<ChardevId, String>,
    contents: BTreeMap<String, Vec<u8>>,
    /// What still goes round between joined chardevs.
    circling: VecDeque<Output>,
    /// How much longer than the record says each step lasts.
    longer: Duration,
}

/// The first times at which the machine agrees count, else the likeliest.
pub(super) fn replay(record: &DatapathRecord) -> Result<Verdict, RecordError> {
    let likeliest = replay_at(record, Times::default())?;
    if matches!(likeliest, Verdict::Disagree(_)) {
        for times in Times::all().skip(1) {
            if matches!(replay_at(record, times)?, Verdict::Agree) {
                return Ok(Verdict::Agree);
            }
        }
    }
    Ok(likeliest)
}

fn replay_at(record: &DatapathRecord, times: Times) -> Result<Verdict, RecordError> {
    let extra = cli::split(&record.extra)?;
    let objects = extra.objects.clone();
    let mut world = World::new(record, extra)?;
    world.longer = times.longer;
    for object in objects {
        let outcome = world.bench.command(Command::ObjectOption(object));
        if let Some(what) = not_built(&outcome) {
            return Ok(Verdict::NotBuilt(what));
        }
    }
    let mut refused = Vec::new();
    for filter in &record.filters {
        let outcome = world.bench.qmp("object-add", filter);
        if let Some(what) = not_built(&outcome) {
            return Ok(Verdict::NotBuilt(what));
        }
        match outcome {
            Outcome::Done(_) => {}
            Outcome::Refused(error) => refused.push(error.desc),
            other => refused.push(other.to_string()),
        }
    }
    let mut differences = add_errors(&record.add_errors, &refused);
    world.wait(times.before);
    world.settle();
    let (mut alive, mut circles) = (true, false);
    for (at, step) in record.steps.iter().enumerate() {
        let (mut seen, answer) = match world.step(step)? {
            Done::Seen(seen, answer) => (seen, answer),
            Done::NotBuilt(what) => return Ok(Verdict::NotBuilt(what)),
        };
        if std::mem::replace(&mut circles, seen.ring != Ring::None) {
            seen.ring = Ring::GoesOn;
        }
        if let Some(Outcome::Aborts(abort)) = &answer {
            seen.crash = Some(abort.assertion.clone());
        }
        if step.op == "close" {
            // Who has closed sees no end of file.
            seen.eof.remove(&step.ep);
        }
        alive &= seen.crash.is_none();
        let found = compare(step, seen, answer, &world.contents)?;
        let title = format!("step {} {} {}", at + 1, step.op, step.ep);
        differences.extend(found.into_iter().map(|text| format!("{title}: {text}")));
    }
    if record.alive.is_some_and(|expected| expected != alive) {
        differences.push(format!("alive at the end: machine {alive}"));
    }
    Ok(verdict(differences))
}

enum Done {
    Seen(Seen, Option<Outcome>),
    NotBuilt(String),
}

impl World {
    fn new(record: &DatapathRecord, extra: cli::Parts) -> Result<Self, RecordError> {
        let n0 = netdev("n0", NetdevKind::Socket, None);
        let mut netdevs = match record.topology.as_str() {
            NO_PEER => vec![n0],
            WITH_GUEST => vec![
                n0,
                hubport("h0", 0, Some("n0")),
                netdev("n9", NetdevKind::Socket, None),
                hubport("h9", 0, Some("n9")),
            ],
            other => return Err(RecordError::Topology(other.to_owned())),
        };
        netdevs.extend(extra.netdevs);
        let mut chardevs: Vec<ChardevConfig> = extra.chardevs;
        let mut paths: BTreeMap<String, ChardevId> = BTreeMap::new();
        let (mut joined, mut files) = (BTreeMap::new(), BTreeMap::new());
        for text in record.chardevs.values() {
            let text = text.as_str().ok_or_else(|| RecordError::Chardev(text.to_string()))?;
            let (mut config, path) = parse_chardev(text)?;
            let id = config.id.clone();
            config.connected = record.connected.iter().any(|name| name.as_str() == id.as_str());
            match (&config.backend, path) {
                (CharBackend::File, Some(path)) => {
                    let name = path.rsplit('/').next().unwrap_or_default();
                    files.insert(id, name.to_owned());
                }
                (CharBackend::Socket { server: true, .. }, Some(path)) => {
                    paths.insert(path, id);
                }
                (CharBackend::Socket { .. }, Some(path)) => {
                    if let Some(server) = paths.get(&path) {
                        config.connected = true;
                        joined.insert(id.clone(), server.clone());
                        joined.insert(server.clone(), id);
                    }
                }
                _ => {}
            }
            chardevs.push(config);
        }
        for chardev in &mut chardevs {
            chardev.connected |= joined.contains_key(&chardev.id);
        }
        chardevs.push(monitor());
        let mut bench = Bench::new(Config {
            profile: profile(&record.qemu)?,
            netdevs,
            chardevs,
            iothreads: if record.iothread { vec!["io0".into()] } else { Vec::new() },
            ..Config::default()
        })?;
        for (path, server) in &paths {
            bench.host.listen(path.strip_prefix("@D/").unwrap_or(path), server.as_str());
        }
        let chardevs = record.chardevs.keys().cloned().collect();
        Ok(Self {
            bench,
            chardevs,
            joined,
            files,
            contents: BTreeMap::new(),
            circling: VecDeque::new(),
            longer: Duration::ZERO,
        })
    }

    fn step(&mut self, step: &StepRecord) -> Result<Done, RecordError> {
        let mut answer = None;
        match step.op.as_str() {
            "send" => self.write(&step.ep, hex::decode(&step.data)?.into())?,
            "bytes" => {
                for byte in hex::decode(&step.data)? {
                    self.write(&step.ep, Bytes::copy_from_slice(&[byte]))?;
                }
            }
            "close" => self.close(&step.ep, ChardevState::Closed)?,
            "shutwr" => self.close(&step.ep, ChardevState::HalfClosed)?,
            "conn" => {
                self.check(&step.ep)?;
                self.chardev(&step.ep, ChardevState::Opened);
            }
            "qmp" => {
                let outcome = self.bench.qmp(&step.ep, &step.args);
                if let Some(what) = not_built(&outcome) {
                    return Ok(Done::NotBuilt(what));
                }
                answer = Some(outcome);
            }
            "wait" => {
                self.wait(Duration::from_secs_f64(step.seconds.clamp(0.0, 1e6)) + self.longer);
            }
            "file" => {}
            other => return Err(RecordError::Operation(other.to_owned())),
        }
        let mut seen = self.settle();
        if step.op != "wait" {
            self.wait(LISTENED + self.longer);
            seen.join(self.settle());
        }
        Ok(Done::Seen(seen, answer))
    }

    fn write(&mut self, endpoint: &str, data: Bytes) -> Result<(), RecordError> {
        self.check(endpoint)?;
        let input = match stream(endpoint) {
            Some(netdev) => Input::StreamBytes { netdev: netdev.into(), data, tag: None },
            None => Input::ChardevBytes { chardev: endpoint.into(), data, tag: None },
        };
        self.bench.input(input);
        Ok(())
    }

    fn close(&mut self, endpoint: &str, state: ChardevState) -> Result<(), RecordError> {
        self.check(endpoint)?;
        match stream(endpoint) {
            Some(netdev) => self.bench.input(Input::StreamClosed { netdev: netdev.into() }),
            None => self.chardev(endpoint, state),
        }
        Ok(())
    }

    fn check(&self, endpoint: &str) -> Result<(), RecordError> {
        if stream(endpoint).is_some() || self.chardevs.contains(endpoint) {
            return Ok(());
        }
        Err(RecordError::Endpoint(endpoint.to_owned()))
    }

    fn chardev(&mut self, endpoint: &str, state: ChardevState) {
        self.bench.input(Input::Chardev { chardev: endpoint.into(), state });
    }

    fn wait(&mut self, span: Duration) {
        let until = self.bench.now + span;
        while let Some(due) = self.bench.deadline().filter(|due| *due <= until) {
            self.bench.now = due.max(self.bench.now);
            self.bench.input(Input::Tick);
        }
        self.bench.now = until;
        self.bench.input(Input::Tick);
    }

    /// Carries bytes between joined chardevs until nothing moves, and collects the rest.
    fn settle(&mut self) -> Seen {
        let mut seen = Seen::default();
        let mut outputs = std::mem::take(&mut self.circling);
        outputs.extend(std::mem::take(&mut self.bench.out));
        let mut inputs = 0;
        while let Some(output) = outputs.pop_front() {
            let Some(input) = self.carry(output, &mut seen) else {
                continue;
            };
            inputs += 1;
            self.bench.input(input);
            outputs.extend(std::mem::take(&mut self.bench.out));
            if inputs > MOST_INPUTS {
                seen.ring = Ring::Begins;
                self.circling = outputs;
                break;
            }
        }
        seen
    }

    fn carry(&mut self, output: Output, seen: &mut Seen) -> Option<Input> {
        match output {
            Output::NetdevFrame { netdev, data, .. } => {
                let endpoint = endpoint(netdev.as_str())?;
                let out = seen.out.entry(endpoint.to_owned()).or_default();
                out.extend(framing::words(data.len(), None));
                out.push(data);
            }
            Output::StreamClosed { netdev } => {
                seen.eof.insert(endpoint(netdev.as_str())?.to_owned());
            }
            Output::ChardevBytes { chardev, data, tag } => {
                if let Some(peer) = self.joined.get(&chardev) {
                    return Some(Input::ChardevBytes { chardev: peer.clone(), data, tag });
                }
                if let Some(file) = self.files.get(&chardev) {
                    self.contents.entry(file.clone()).or_default().extend_from_slice(&data);
                } else {
                    seen.out.entry(chardev.as_str().to_owned()).or_default().push(data);
                }
            }
            Output::FileBytes { file, data, .. } => {
                let content = self.contents.entry(file).or_default();
                if is_pcap(&data) {
                    content.clear();
                }
                content.extend_from_slice(&data);
            }
            Output::ChardevClosed { chardev } => {
                if let Some(peer) = self.joined.get(&chardev) {
                    let state = ChardevState::Closed;
                    return Some(Input::Chardev { chardev: peer.clone(), state });
                }
                seen.eof.insert(chardev.as_str().to_owned());
            }
            Output::Event(event) => match event.kind {
                EventKind::Log(line) => seen.stderr.push(line),
                EventKind::Crash(assertion) => seen.crash = Some(assertion),
                _ => {}
            },
            _ => {}
        }
        None
    }
}

/// The netdev of an endpoint that speaks to one.
fn stream(endpoint: &str) -> Option<&'static str> {
    match endpoint {
        "A" => Some("n0"),
        "P" => Some("n9"),
        _ => None,
    }
}

fn endpoint(netdev: &str) -> Option<&'static str> {
    match netdev {
        "n0" => Some("A"),
        "n9" => Some("P"),
        _ => None,
    }
}
