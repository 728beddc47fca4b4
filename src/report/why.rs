//! Why a frame is not where it was expected: of each expectation that is not met, and of each difference, the
//! ways of the frames that it is about. Read by the record of a case, which every report is drawn from, and by
//! the command `trace`.

use serde::{Deserialize, Serialize};

use crate::{
    base::{MachineId, PortId, Tag},
    compare::{Difference, FramePair, Mismatch, What},
    drawing::{Chain, Filtered, Machine, Object, Topology, Way as WireWay},
    reading::{Entry, Reading, Way, Ways},
    record::{DropReason, EventKind, Outcome, Place},
    runner::{Failure, FailureKind, Problem},
    scenario::{
        Case, NetdevType, Step, Verb,
        run_state::{self, RunState},
    },
    wording::way,
};

/// Most frames that are named for an expectation; the others are counted.
const TOLD: usize = 5;

/// Most differences whose frames' ways are told.
const DIFFERENCES: usize = 50;

/// Most stations of a way in a line.
const STATIONS: usize = 10;

/// Why a frame is not where it was expected, or is where it was not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct WhyRecord {
    /// The difference that it explains: its place among those of the problem's mismatch, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<usize>,
    /// The frame: `#1`; none where it is about no single one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<String>,
    /// What became of it, in a sentence; none where it came, and its way is all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Its way, from where it was sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub way: Vec<StationRecord>,
}

/// One thing that happened to a frame on its way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StationRecord {
    /// The step, 0 for the set-up.
    pub step: usize,
    /// `sent at hn0.guest`, `passed on by m0 (rx)`, `dropped at tap hn0: too-short`.
    pub what: String,
}

impl WhyRecord {
    /// In a line or two for people, the second one indented; a long way is shortened in its middle.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.with_most(STATIONS)
    }

    /// The same, with the whole way.
    #[must_use]
    pub fn whole(&self) -> Vec<String> {
        self.with_most(usize::MAX)
    }

    fn with_most(&self, most: usize) -> Vec<String> {
        let stations = self.way.iter().map(|station| (station.step, station.what.as_str()));
        let line = way::line(stations, most);
        match (&self.outcome, &self.frame) {
            (Some(outcome), _) if line.is_empty() => vec![outcome.clone()],
            (Some(outcome), _) => vec![outcome.clone(), format!("  {line}")],
            (None, Some(frame)) => vec![format!("{frame}: {line}")],
            (None, None) => vec![line],
        }
    }

    fn remark(text: String) -> Self {
        Self { outcome: Some(text), ..Self::default() }
    }
}

/// A record of a case, and what it says of why.
pub(crate) struct Whys<'r> {
    case: &'r Case,
    reading: &'r Reading,
    ways: Ways<'r>,
    topology: Topology,
}

impl<'r> Whys<'r> {
    pub(crate) fn new(case: &'r Case, reading: &'r Reading) -> Self {
        Self { case, reading, ways: Ways::of(reading), topology: Topology::of(case) }
    }

    pub(crate) const fn ways(&self) -> &Ways<'r> {
        &self.ways
    }

    /// Why a problem came about; nothing where it is about no frame.
    pub(super) fn of(&self, problem: &Problem) -> Vec<WhyRecord> {
        match problem {
            Problem::Expectation(Failure { step, kind, .. }) => {
                // What is expected of the whole run has until its end.
                let by = (*step > 0).then_some(*step);
                match kind {
                    FailureKind::Count { port, expected, got } if got > expected => {
                        self.too_many(port, by, *expected, *got)
                    }
                    FailureKind::Count { port, .. } => self.too_few(port, by),
                    FailureKind::Frame { port, sides, .. } => self.another(port, by, sides),
                    _ => Vec::new(),
                }
            }
            _ => problem.mismatch().map_or_else(Vec::new, |mismatch| self.mismatch(mismatch)),
        }
    }

    /// What became of a frame, and what kept it from the port where it was expected.
    pub(crate) fn became(&self, way: &Way<'_>, port: Option<&PortId>, by: Option<usize>) -> String {
        let end = way::end(way, by);
        match self.hint(way, port, by) {
            Some(hint) => format!("{end}; {hint}"),
            None => end,
        }
    }

    /// Frames that came and of which fewer were expected: those beyond the number.
    fn too_many(
        &self,
        port: &PortId,
        by: Option<usize>,
        expected: usize,
        got: usize,
    ) -> Vec<WhyRecord> {
        let last = by.unwrap_or(usize::MAX);
        let came = self.reading.position(port).map_or(&[][..], |at| self.ways.came_at(at));
        let came: Vec<_> = came.iter().filter(|(step, _)| *step <= last).collect();
        let surplus = &came[(came.len().saturating_sub(got) + expected).min(came.len())..];
        let told = surplus.iter().take(TOLD).map(|(step, tag)| self.came(*step, *tag));
        bounded(told.collect(), surplus.len())
    }

    /// Frames that were sent and did not come, the likeliest first.
    fn too_few(&self, port: &PortId, by: Option<usize>) -> Vec<WhyRecord> {
        let last = by.unwrap_or(usize::MAX);
        let sent = self.ways.all().filter(|way| {
            let first = way.stations.first();
            way.sent().is_some_and(|sent| sent.port != *port)
                && first.is_some_and(|first| first.step <= last)
        });
        let (came, mut left): (Vec<_>, Vec<_>) = sent.partition(|way| way.came_out_of(port, last));
        if left.is_empty() {
            let more = if came.is_empty() { "" } else { "more " };
            let at_it =
                self.ways.all().any(|way| way.sent().is_some_and(|sent| sent.port == *port));
            let at_it = match at_it {
                true => format!("; what is sent at {port} itself goes the other way"),
                false => String::new(),
            };
            return vec![WhyRecord::remark(format!(
                "nothing {more}was sent that could come out of {port}{at_it}"
            ))];
        }
        left.sort_by_key(|way| (self.unlikely(way, port, last), way.tag));
        let told = left.iter().take(TOLD).map(|way| self.missing(way, port, by));
        bounded(told.collect(), left.len())
    }

    /// How unlikely it is that this frame is the one that was expected at a port: what went nowhere is
    /// likelier than what came out elsewhere, and what reached a part beside the port than what did not.
    fn unlikely(&self, way: &Way<'_>, port: &PortId, last: usize) -> u8 {
        let lost = !self.reading.ports().iter().any(|one| way.came_out_of(&one.id, last));
        let writers: Vec<&str> =
            self.writers(port).map(|(_, _, object)| object.id.as_str()).collect();
        let netdev = port.as_str().rsplit_once('.').map(|(netdev, _)| netdev);
        let near = way.events().any(|event| match &event.place {
            Place::Object(id) => writers.contains(&id.as_str()),
            Place::Netdev(id) | Place::Tap(id) => Some(id.as_str()) == netdev,
            Place::Port(id) => id == port,
            Place::Chardev(id) => id.as_str() == port.as_str(),
            Place::Machine | Place::Named(_) => false,
        });
        match (lost, near) {
            (true, true) => 0,
            (true, false) => 1,
            (false, true) => 2,
            (false, false) => 3,
        }
    }

    /// A frame that is not the expected one, and the expected one where it was sent just so.
    fn another(&self, port: &PortId, by: Option<usize>, sides: &FramePair) -> Vec<WhyRecord> {
        let last = by.unwrap_or(usize::MAX);
        let mut whys = Vec::new();
        if let (Some(actual), Some(at)) = (&sides.actual, self.reading.position(port)) {
            let steps = self.reading.all_steps().filter(|step| step.step.index <= last);
            let frames = steps.flat_map(|step| step.entries[at].iter().filter_map(Entry::frame));
            let came = self.ways.came_at(at).iter();
            let found = frames.zip(came).filter(|(frame, _)| frame.data == *actual).last();
            whys.extend(found.map(|(_, (step, tag))| self.came(*step, *tag)));
        }
        let missing = sides.expected.as_ref().and_then(|data| {
            self.ways.all().find(|way| {
                way.sent().is_some_and(|sent| sent.frame.data == *data)
                    && !way.came_out_of(port, last)
            })
        });
        whys.extend(missing.map(|way| self.missing(way, port, by)));
        whys
    }

    /// The frames of the first differences.
    fn mismatch(&self, mismatch: &Mismatch) -> Vec<WhyRecord> {
        let backend = self.reading.transcript().backend;
        // Of two backends only the first one's record is kept.
        let on = match (mismatch.actual == backend, mismatch.expected == backend) {
            (true, _) => None,
            (false, true) => Some(backend),
            (false, false) => return Vec::new(),
        };
        let differences = mismatch.differences.iter().enumerate().take(DIFFERENCES);
        let whys = differences.filter_map(|(at, difference)| {
            let mut why = match on {
                None => self.difference(difference),
                Some(_) => self.known_of(difference),
            }?;
            if let Some(backend) = on {
                let outcome = why.outcome.take().unwrap_or_default();
                why.outcome = Some(format!("on {backend}: {outcome}"));
            }
            Some(WhyRecord { difference: Some(at), ..why })
        });
        whys.collect()
    }

    fn difference(&self, difference: &Difference) -> Option<WhyRecord> {
        let step = difference.step;
        let port = PortId::from(difference.port.as_deref()?);
        let (port_came, step_came, frame) = match &difference.what {
            What::Missing { sent, .. } => {
                let way = self.not_come(*sent, difference, &port)?;
                return Some(self.missing(way, &port, Some(step)));
            }
            What::Frame { came: frame, .. }
            | What::Extra { frame, .. }
            | What::Moved { came: frame, .. } => (port.clone(), step, *frame),
            What::OtherStep { came, .. } => (port.clone(), came.step, came.frame),
            What::OtherPort { port, came, .. } => (PortId::from(port.as_str()), step, *came),
            What::Length { .. } => return self.known_of(difference),
            What::Value { name, .. } if name == "framing" => return self.framing(&port),
            _ => return None,
        };
        let at = self.reading.position(&port_came)?;
        let mut of_step = self.ways.came_at(at).iter().filter(|(step, _)| *step == step_came);
        let (step, tag) = of_step.nth(frame.checked_sub(1)?)?;
        tag.map(|tag| self.came(*step, Some(tag)))
    }

    /// Who writes to a port whose framing is another.
    fn framing(&self, port: &PortId) -> Option<WhyRecord> {
        let (_, _, object) = self.writers(port).next()?;
        let words: Vec<String> =
            std::iter::once(object.detail()).chain(object.notes.iter().cloned()).collect();
        let text = format!("{} writes to {port}: {}", object.id, words.join(", "));
        Some(WhyRecord::remark(text))
    }

    /// What this record knows of a frame that another one has otherwise.
    fn known_of(&self, difference: &Difference) -> Option<WhyRecord> {
        let (What::Frame { sent, .. }
        | What::Missing { sent, .. }
        | What::Extra { sent, .. }
        | What::Moved { sent, .. }
        | What::OtherStep { sent, .. }
        | What::OtherPort { sent, .. }
        | What::Length { sent, .. }) = difference.what
        else {
            return None;
        };
        let way = self.ways.numbered(sent?)?;
        Some(WhyRecord { outcome: Some(self.became(way, None, None)), ..record(way) })
    }

    /// The frame that is missing at a port. Of those with the same bytes it is one that did not come out
    /// of it: the number is by bytes, and does not know which of them it was.
    fn not_come(
        &self,
        number: Option<u32>,
        difference: &Difference,
        port: &PortId,
    ) -> Option<&Way<'r>> {
        let step = difference.step;
        let numbered = number.and_then(|number| self.ways.numbered(number));
        if numbered.is_some_and(|way| !way.came_out_of(port, step)) {
            return numbered;
        }
        let expected = difference.frames.expected.as_ref();
        let alike = self.ways.all().find(|way| {
            way.sent().is_some_and(|sent| Some(&sent.frame.data) == expected)
                && !way.came_out_of(port, step)
        });
        alike.or(numbered)
    }

    fn missing(&self, way: &Way<'_>, port: &PortId, by: Option<usize>) -> WhyRecord {
        WhyRecord { outcome: Some(self.became(way, Some(port), by)), ..record(way) }
    }

    fn came(&self, step: usize, tag: Option<Tag>) -> WhyRecord {
        match tag.and_then(|tag| self.ways.with(tag)) {
            Some(way) => record(way),
            None => WhyRecord::remark(format!(
                "the frame that came in step {step} goes back to none that was sent"
            )),
        }
    }

    /// What the declaration of the case says of a frame that is not where it was expected.
    fn hint(&self, way: &Way<'_>, port: Option<&PortId>, by: Option<usize>) -> Option<String> {
        let last = by.unwrap_or(usize::MAX);
        let mut drops = way.events().filter_map(|event| match event.kind {
            EventKind::Dropped(reason) => Some((&event.place, reason)),
            _ => None,
        });
        match drops.next() {
            Some((Place::Object(id), DropReason::Held))
                if self.kind(id.as_str()) == "colo-compare" =>
            {
                return Some(format!("{id} waits for the same frame of the other guest"));
            }
            Some((place, DropReason::TooLong)) => return self.mtu(place),
            Some((Place::Object(id), DropReason::OutdevClosed)) => {
                let step = way.stations.last().map_or(last, |last| last.step);
                return self.closed(id.as_str(), step);
            }
            Some((_, DropReason::Purged | DropReason::Held | DropReason::Frozen)) | None => {}
            Some(_) => return None,
        }
        let port = port?;
        if let Some(why) = self.halted(port, last)
            && port.as_str().ends_with(".guest")
        {
            return Some(why);
        }
        let sent = way.sent()?;
        let step = way.stations.first().map_or(0, |first| first.step);
        let saw = |object: &Object| {
            way.events()
                .any(|event| matches!(&event.place, Place::Object(id) if id.as_str() == object.id))
        };
        let mut writers = self.writers(port).peekable();
        if writers.peek().is_none() {
            let is_chardev = self
                .reading
                .ports()
                .iter()
                .any(|one| one.id == *port && one.kind.framing().is_some());
            return is_chardev.then(|| format!("no object writes to {port}"));
        }
        let (_, chain, object) = writers.find(|(_, _, object)| !saw(object))?;
        let reason = self.unseen(chain, object, &sent.port, step);
        Some(format!("{}, which writes to {port}, {reason}", object.id))
    }

    /// The step before a step in which the scenario closed the far end of what an object writes to.
    fn closed(&self, id: &str, step: usize) -> Option<String> {
        let objects = self.topology.machines.iter().flat_map(Machine::all_objects);
        let wires = objects.filter(|object| object.id == id).flat_map(|object| &object.wires);
        let targets: Vec<&str> = wires
            .filter(|wire| matches!(wire.way, WireWay::Out | WireWay::Both))
            .map(|wire| wire.target.as_str())
            .collect();
        let steps = (1..).zip(&self.case.steps).take_while(|(at, _)| *at <= step);
        let (at, port, closes) = steps
            .filter_map(|(at, step)| match &step.verb {
                Verb::ChardevOpen(port) => Some((at, port, false)),
                Verb::ChardevClose { port, .. } => Some((at, port, true)),
                _ => None,
            })
            .filter(|(_, port, _)| targets.contains(&port.as_str()))
            .last()?;
        closes.then(|| format!("chardev-close {port} in step {at}"))
    }

    /// The MTU that is declared for the interface at a place, where no step changes it.
    fn mtu(&self, place: &Place) -> Option<String> {
        let is_changed = |step: &Step| matches!(step.verb, Verb::LinkSet(_));
        if self.case.steps.iter().any(is_changed) {
            return None;
        }
        self.case.netdevs.iter().find_map(|netdev| {
            let here = match place {
                Place::Tap(id) | Place::Netdev(id) => *id == netdev.id,
                Place::Port(port) => *port == PortId::host(&netdev.id),
                _ => false,
            };
            match netdev.kind {
                NetdevType::Tap { mtu, .. } if here => Some(format!("{} has mtu={mtu}", netdev.id)),
                _ => None,
            }
        })
    }

    /// Why an object did not see a frame that was sent at a port in a step.
    fn unseen(
        &self,
        chain: Option<&Chain>,
        object: &Object,
        sent_at: &PortId,
        step: usize,
    ) -> String {
        if self.was_refused(&object.id) {
            return "was refused".to_owned();
        }
        if let Some(added) = object.added.filter(|added| *added > step) {
            return format!("was added only in step {added}");
        }
        let Some(chain) = chain else {
            return "did not see it".to_owned();
        };
        let is = |port: &Option<crate::drawing::Port>| {
            port.as_ref().is_some_and(|port| port.id == sent_at.as_str())
        };
        let (direction, other) = match (is(&chain.guest), is(&chain.host)) {
            (true, _) => ("rx", Filtered::Tx),
            (_, true) => ("tx", Filtered::Rx),
            (false, false) => {
                return format!("is on netdev {} and did not see it", chain.netdev);
            }
        };
        if object.filtered == Some(other) {
            return format!("has queue={}, and it went {direction}", other.as_str());
        }
        match self.is_off(object, step) {
            Some(0) => "was off: status=off".to_owned(),
            Some(since) => format!("was off: status=off since step {since}"),
            None => "did not see it".to_owned(),
        }
    }

    /// Every object that writes to a port, with its machine and its netdev.
    fn writers<'w>(
        &'w self,
        port: &'w PortId,
    ) -> impl Iterator<Item = (&'w Machine, Option<&'w Chain>, &'w Object)> {
        let writes = move |object: &Object| {
            object.wires.iter().any(|wire| {
                wire.target == port.as_str() && matches!(wire.way, WireWay::Out | WireWay::Both)
            })
        };
        self.topology.machines.iter().flat_map(move |machine| {
            let filters = machine.chains.iter().flat_map(move |chain| {
                chain.filters.iter().map(move |object| (machine, Some(chain), object))
            });
            let others = machine.objects.iter().map(move |object| (machine, None, object));
            filters.chain(others).filter(move |(_, _, object)| writes(object))
        })
    }

    fn kind(&self, id: &str) -> &str {
        let mut objects = self.topology.machines.iter().flat_map(Machine::all_objects);
        objects.find(|object| object.id == id).map_or("", |object| &object.kind)
    }

    fn was_refused(&self, id: &str) -> bool {
        let mut answers = self.reading.transcript().steps.iter().flat_map(|step| &step.answers);
        answers.any(|answer| {
            answer.subject.as_deref() == Some(id)
                && answer.command.starts_with("object-add")
                && !matches!(answer.outcome, Outcome::Done(_))
        })
    }

    /// The step since which an object is off, 0 for the set-up, as the scenario asks before a step.
    fn is_off(&self, object: &Object, step: usize) -> Option<usize> {
        let from_the_start = object.notes.iter().any(|note| note == "status=off");
        let asked = self.commands("qom-set", step).filter_map(|(at, machine, args)| {
            let text = |name| args.get(name).and_then(serde_json::Value::as_str);
            let path = text("path")?.trim_start_matches("/objects/");
            let id: String = machine.qualified(path);
            (id == object.id && text("property") == Some("status"))
                .then_some((at, text("value") == Some("off")))
        });
        let (since, off) = asked.last().unwrap_or((0, from_the_start));
        off.then_some(since)
    }

    /// Why the guest at a port does not run, as the scenario asks up to a step.
    fn halted(&self, port: &PortId, last: usize) -> Option<String> {
        let states = run_state::after(self.case, last);
        let here = |machine: &MachineId| machine.local(port.as_str()).is_some();
        let mut states = states.into_iter();
        let (_, state) = states.find(|(machine, _)| here(machine))?;
        Some(match state {
            RunState::Runs => return None,
            RunState::Stopped(0) => "the machine is stopped from the start".to_owned(),
            RunState::Stopped(step) => format!("the machine is stopped since step {step}"),
            RunState::Waits { .. } => "the machine waits for a guest".to_owned(),
            RunState::Left(step) => format!("the guest left the machine in step {step}"),
        })
    }

    /// The QMP commands of a name, up to a step.
    fn commands(
        &self,
        name: &'static str,
        last: usize,
    ) -> impl Iterator<
        Item = (usize, &crate::base::MachineId, &serde_json::Map<String, serde_json::Value>),
    > {
        let steps = (1..).zip(&self.case.steps).take_while(move |(at, _)| *at <= last);
        steps.filter_map(move |(at, step)| match &step.verb {
            Verb::Qmp { machine, command, args } if command == name => Some((at, machine, args)),
            _ => None,
        })
    }
}

/// With how many more there are.
fn bounded(mut whys: Vec<WhyRecord>, all: usize) -> Vec<WhyRecord> {
    if all > whys.len() {
        whys.push(WhyRecord::remark(format!("and {} more", all - whys.len())));
    }
    whys
}

/// A frame and its way.
fn record(way: &Way<'_>) -> WhyRecord {
    let stations = way::stations(way).into_iter();
    WhyRecord {
        difference: None,
        frame: Some(way.tag.to_string()),
        outcome: None,
        way: stations.map(|(step, what)| StationRecord { step, what }).collect(),
    }
}
