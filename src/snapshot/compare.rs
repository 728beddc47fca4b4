use std::collections::BTreeMap;

use bytes::Bytes;

use super::{
    SectionError,
    align::{self, ALIKE, Pair, UNLIKE},
    label::number_of,
    lexis,
    mismatch::{Difference, FieldDifference, Mismatch, What},
    parse::{Resolve, parse},
    probe::{ProbeTable, compare_probes},
    trace,
    view::{Entry, StepView, View},
};
use crate::{
    base::{Frame, PortId, Profile, Tag, VnetHdr},
    frame,
    record::{Answer, Outcome, SentFrame, Transcript},
};

/// What a comparison leaves out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules<'a> {
    /// Fields that are not compared: `ipv4.id`, `tcp.seq`.
    pub masks: &'a [String],
    /// Ports that are not compared.
    pub without: &'a [PortId],
}

/// Compares the observed half of a run with a section of its snapshot. Frames that live in capture
/// files are taken from what the run sent.
#[must_use]
pub fn compare(section: &str, actual: &Transcript, rules: Rules<'_>) -> Option<Mismatch> {
    let resolve = |source: &crate::record::SourceFrame| -> Option<Bytes> {
        let mut sent = actual.steps.iter().flat_map(|step| &step.sent);
        let sent = sent.find(|sent| sent.source.as_ref() == Some(source))?;
        Some(sent.frame.data.clone())
    };
    let differences =
        match parse(section, actual.case.clone(), actual.profile.clone(), &resolve) {
            Ok(expected) => Comparison::new(&expected, actual, rules).differences(),
            Err(error) => vec![unreadable(&error)],
        };
    mismatch("snapshot", actual.backend, differences)
}

/// Compares two sections: what was reviewed and what is proposed, each a transcript or a table of
/// probes. None also where only what explains differs.
#[must_use]
pub fn compare_sections(reviewed: &str, proposed: &str, resolve: Resolve<'_>) -> Option<Mismatch> {
    let read = |section| parse(section, "".into(), Profile::default(), resolve);
    let unreadable = |error: SectionError| mismatch("reviewed", "proposed", vec![unreadable(&error)]);
    let found = if proposed.starts_with('|') {
        match ProbeTable::parse(proposed) {
            Ok(table) => compare_probes(reviewed, &table, true),
            Err(error) => unreadable(error),
        }
    } else {
        match (read(reviewed), read(proposed)) {
            (Ok(reviewed), Ok(proposed)) => disagreement(&reviewed, &proposed),
            (Err(error), _) | (_, Err(error)) => unreadable(error),
        }
    };
    let (expected, actual) = ("reviewed".to_owned(), "proposed".to_owned());
    found.map(|found| Mismatch { expected, actual, ..found })
}

fn unreadable(error: &SectionError) -> Difference {
    let what = What::Unreadable { reason: error.to_string() };
    Difference { step: 0, title: String::new(), line: 0, port: None, what }
}

/// Compares the observed halves of two runs, field by field and without masks.
#[must_use]
pub fn disagreement(a: &Transcript, b: &Transcript) -> Option<Mismatch> {
    let differences = Comparison::new(a, b, Rules::default()).differences();
    mismatch(a.backend, b.backend, differences)
}

fn mismatch(expected: &str, actual: &str, differences: Vec<Difference>) -> Option<Mismatch> {
    let (expected, actual) = (expected.to_owned(), actual.to_owned());
    (!differences.is_empty()).then_some(Mismatch { expected, actual, differences })
}

/// An answer's outcome as the comparison shows it; an empty return is never kept.
pub(super) fn outcome_text(outcome: Option<&Outcome>) -> String {
    match outcome {
        None => "ok".to_owned(),
        Some(Outcome::Done(value)) => value.to_string(),
        Some(Outcome::Refused(error)) => error.to_string(),
        Some(Outcome::Aborts(abort)) => format!("aborts: {}", abort.assertion),
        Some(Outcome::Unanswered) => "no answer".to_owned(),
    }
}

/// What makes two entries of a port equal: masked bytes, and what stands beside them.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Frame(Vec<u8>, VnetHdr, Option<usize>),
    Begun(usize),
    Raw(Bytes),
    Eof,
}

struct Comparison<'t> {
    expected: View<'t>,
    actual: View<'t>,
    transcript: &'t Transcript,
    masks: Vec<&'t str>,
    ports: Vec<PortId>,
    differences: Vec<Difference>,
}

impl<'t> Comparison<'t> {
    fn new(expected: &'t Transcript, actual: &'t Transcript, rules: Rules<'t>) -> Self {
        let (expected, transcript, actual) = (View::of(expected), actual, View::of(actual));
        let mut ports: Vec<PortId> = Vec::new();
        for port in actual.ports.iter().chain(&expected.ports) {
            if !ports.contains(&port.id) && !rules.without.contains(&port.id) {
                ports.push(port.id.clone());
            }
        }
        let masks = rules.masks.iter().map(String::as_str).collect();
        Self { expected, actual, transcript, masks, ports, differences: Vec::new() }
    }

    fn differences(mut self) -> Vec<Difference> {
        let expected = std::mem::take(&mut self.expected.steps);
        let actual = std::mem::take(&mut self.actual.steps);
        let expected: Vec<_> = expected.iter().filter(|step| step.is_observed()).collect();
        let actual: Vec<_> = actual.iter().filter(|step| step.is_observed()).collect();
        for pair in step_pairs(&expected, &actual) {
            match pair {
                (Some(a), Some(b)) => self.step(expected[a], actual[b]),
                (Some(a), None) => self.push_step(expected[a], What::StepGone),
                (None, Some(b)) => self.push_step(actual[b], What::StepNew),
                (None, None) => {}
            }
        }
        self.differences
    }

    fn push_step(&mut self, step: &StepView<'_>, what: What) {
        self.push(step, None, what);
    }

    fn push(&mut self, step: &StepView<'_>, port: Option<&PortId>, what: What) {
        self.differences.push(Difference {
            step: step.step.index,
            title: step.step.title.clone(),
            line: step.step.line,
            port: port.map(ToString::to_string),
            what,
        });
    }

    fn value(&mut self, step: &StepView<'_>, name: &str, expected: &str, actual: &str) {
        if expected != actual {
            let (name, expected, actual) = (name.into(), expected.into(), actual.into());
            self.push(step, None, What::Value { name, expected, actual });
        }
    }

    fn step(&mut self, expected: &StepView<'_>, actual: &StepView<'_>) {
        self.value(actual, "step", &expected.step.title, &actual.step.title);
        self.sent(expected, actual);
        let written = |step: &StepView<'_>| {
            step.step.written.as_ref().map_or_else(String::new, |bytes| lexis::raw_hex(bytes))
        };
        self.value(actual, "written", &written(expected), &written(actual));
        self.answers(expected, actual);
        self.value(actual, "crash", &crashes(expected), &crashes(actual));
        for port in self.ports.clone() {
            let left = entries_at(&self.expected, expected, &port);
            let right = entries_at(&self.actual, actual, &port);
            self.port(actual, &port, left, right);
        }
    }

    fn sent(&mut self, expected: &StepView<'_>, actual: &StepView<'_>) {
        let (left, right) = (&expected.step.sent, &actual.step.sent);
        let count = |sent: &[SentFrame]| sent.len().to_string();
        self.value(actual, "sent frames", &count(left), &count(right));
        for (a, b) in left.iter().zip(right) {
            let mut fields = self.fields(&a.frame, &b.frame);
            if a.port != b.port {
                fields.push(beside("port", a.port.as_str(), b.port.as_str()));
            }
            if !fields.is_empty() {
                let number = number_of(b);
                self.push(actual, Some(&b.port), What::Sent { number, fields });
            }
        }
    }

    /// Answers by command; the same command twice is told apart by its place.
    fn answers(&mut self, expected: &StepView<'_>, actual: &StepView<'_>) {
        let (left, right) = (by_command(&expected.answers), by_command(&actual.answers));
        let only_left = left.iter().filter(|(command, _)| find(&right, command).is_none());
        for (command, outcome) in right.iter().chain(only_left) {
            let (a, b) = (find(&left, command), find(&right, command));
            let same = match (a, b) {
                (Some(Outcome::Done(a)), Some(Outcome::Done(b))) => a == b,
                _ => outcome_text(a) == outcome_text(b),
            };
            if !same {
                debug_assert!(a.or(b) == Some(outcome) || b == Some(outcome), "found by command");
                self.value(actual, &command.0, &outcome_text(a), &outcome_text(b));
            }
        }
    }

    fn port(&mut self, step: &StepView<'_>, port: &PortId, left: &[Entry], right: &[Entry]) {
        let keys = |entries: &[Entry]| entries.iter().map(|entry| self.key(entry)).collect();
        let (left_keys, right_keys): (Vec<Key>, Vec<Key>) = (keys(left), keys(right));
        if left_keys == right_keys {
            return;
        }
        let pairs = align::align(&left_keys, &right_keys, |a, b| self.cost(&left[a], &right[b]));
        let place = Places::of(left, right);
        let moved = moved(&pairs, &left_keys, &right_keys);
        for pair in pairs {
            let what = match pair {
                (Some(a), Some(b)) if left_keys[a] == right_keys[b] => continue,
                (Some(a), Some(b)) => self.changed(&left[a], &right[b], place.expected(a)),
                (Some(a), None) => match moved.get(&a) {
                    Some(b) => place.moved(a, *b, &left[a]),
                    None => self.missing(&left[a], place.expected(a)),
                },
                (None, Some(b)) if moved.values().any(|came| *came == b) => continue,
                (None, Some(b)) => extra(&right[b], place.actual(b)),
                (None, None) => continue,
            };
            self.push(step, Some(port), what);
        }
    }

    fn key(&self, entry: &Entry) -> Key {
        match entry {
            Entry::Frame { frame, vnet_len, .. } => {
                Key::Frame(frame::mask(&frame.data, &self.masks), frame.vnet, *vnet_len)
            }
            Entry::Begun(size) => Key::Begun(*size),
            Entry::Raw(bytes) => Key::Raw(bytes.clone()),
            Entry::Eof => Key::Eof,
        }
    }

    /// Few fields that differ make a pair, and so does a common flow.
    fn cost(&self, expected: &Entry, actual: &Entry) -> usize {
        match (expected, actual) {
            (Entry::Frame { frame: a, .. }, Entry::Frame { frame: b, .. }) => {
                let fields = self.fields(a, b).len();
                let flow = frame::flow(&a.data);
                match 1 + fields {
                    few if few <= ALIKE => few,
                    _ if flow.is_some() && flow == frame::flow(&b.data) => ALIKE,
                    _ => UNLIKE,
                }
            }
            (Entry::Raw(_), Entry::Raw(_)) | (Entry::Begun(_), Entry::Begun(_)) => 1,
            _ => UNLIKE,
        }
    }

    fn fields(&self, expected: &Frame, actual: &Frame) -> Vec<FieldDifference> {
        let (a, b) =
            (frame::mask(&expected.data, &self.masks), frame::mask(&actual.data, &self.masks));
        let mut fields = vnet_fields(expected.vnet, actual.vnet);
        if a == b {
            return fields;
        }
        let before = fields.len();
        fields.extend(frame::diff(&a, &b).into_iter().map(|field| FieldDifference {
            name: field.name.to_string(),
            expected: field.expected,
            actual: field.actual,
            bytes: Some((field.range.start, field.range.end)),
        }));
        if fields.len() == before {
            fields.push(FieldDifference {
                name: "bytes".to_owned(),
                expected: lexis::raw_hex(&a),
                actual: lexis::raw_hex(&b),
                bytes: Some((0, b.len())),
            });
        }
        fields
    }

    fn changed(&self, expected: &Entry, actual: &Entry, (frame, of): (usize, usize)) -> What {
        let (
            Entry::Frame { frame: a, vnet_len: a_len, .. },
            Entry::Frame { frame: b, vnet_len: b_len, tag, .. },
        ) = (expected, actual)
        else {
            let name = "bytes".to_owned();
            return What::Value { name, expected: shown(expected), actual: shown(actual) };
        };
        let mut fields = self.fields(a, b);
        if a_len != b_len {
            let text = |len: &Option<usize>| len.map_or("none".to_owned(), |len| len.to_string());
            fields.push(beside("vnet_len", &text(a_len), &text(b_len)));
        }
        let trace = tag.and_then(|tag| self.trace(tag, a, &fields));
        What::Frame { frame, of, fields, trace }
    }

    fn trace(&self, tag: Tag, expected: &Frame, fields: &[FieldDifference]) -> Option<super::Trace> {
        let wrong: Vec<_> = fields
            .iter()
            .filter(|field| field.bytes.is_some())
            .map(|field| field.name.as_str())
            .collect();
        if wrong.is_empty() {
            return None;
        }
        trace::trace(self.transcript, tag, &expected.data, &wrong, &self.masks)
    }

    fn missing(&self, entry: &Entry, (frame, of): (usize, usize)) -> What {
        let Entry::Frame { frame: expected, .. } = entry else {
            return gone(shown(entry), "nothing".to_owned());
        };
        let tag = trace::sent_as(self.transcript, &expected.data);
        let fate = tag.and_then(|tag| trace::fate(self.transcript, tag));
        What::Missing { frame, of, summary: frame::summary(&expected.data), fate }
    }
}

fn extra(entry: &Entry, (frame, of): (usize, usize)) -> What {
    match entry {
        Entry::Frame { frame: actual, .. } => {
            What::Extra { frame, of, summary: frame::summary(&actual.data) }
        }
        other => gone("nothing".to_owned(), shown(other)),
    }
}

fn gone(expected: String, actual: String) -> What {
    What::Value { name: "bytes".to_owned(), expected, actual }
}

fn shown(entry: &Entry) -> String {
    match entry {
        Entry::Frame { frame, .. } => frame::summary(&frame.data),
        Entry::Begun(size) => format!("the first {size} B of the next frame"),
        Entry::Raw(bytes) => lexis::raw_hex(bytes),
        Entry::Eof => "eof".to_owned(),
    }
}

fn beside(name: &str, expected: &str, actual: &str) -> FieldDifference {
    let (name, expected, actual) = (name.to_owned(), expected.to_owned(), actual.to_owned());
    FieldDifference { name, expected, actual, bytes: None }
}

/// The header's fields by name; `VnetHdr` prints them all, in one order.
fn vnet_fields(expected: VnetHdr, actual: VnetHdr) -> Vec<FieldDifference> {
    let (a, b) = (expected.to_string(), actual.to_string());
    let pairs = a.split(' ').zip(b.split(' ')).filter(|(a, b)| a != b);
    let fields = pairs.filter_map(|(a, b)| {
        let ((name, a), (_, b)) = (a.split_once('=')?, b.split_once('=')?);
        Some(beside(&format!("vnet.{name}"), a, b))
    });
    fields.collect()
}

fn crashes(step: &StepView<'_>) -> String {
    if step.crashes.is_empty() { "none".to_owned() } else { step.crashes.join("; ") }
}

/// A command, and which of its kind it is.
type CommandKey = (String, usize);

fn by_command<'a>(answers: &[&'a Answer]) -> Vec<(CommandKey, &'a Outcome)> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    answers
        .iter()
        .map(|answer| {
            let count = counts.entry(&answer.command).or_default();
            *count += 1;
            ((answer.command.clone(), *count), &answer.outcome)
        })
        .collect()
}

fn find<'a>(answers: &[(CommandKey, &'a Outcome)], command: &CommandKey) -> Option<&'a Outcome> {
    answers.iter().find(|(key, _)| key == command).map(|(_, outcome)| *outcome)
}

/// Steps by title, so that one that was put in or taken out does not shift all others.
fn step_pairs(expected: &[&StepView<'_>], actual: &[&StepView<'_>]) -> Vec<Pair> {
    let titles = |steps: &[&StepView<'_>]| -> Vec<String> {
        steps.iter().map(|step| step.step.title.clone()).collect()
    };
    let (left, right) = (titles(expected), titles(actual));
    let verb = |title: &str| title.split(' ').next().map(str::to_owned);
    align::align(&left, &right, |a, b| {
        if verb(&left[a]) == verb(&right[b]) { 1 } else { UNLIKE }
    })
}

fn entries_at<'v>(view: &View<'_>, step: &'v StepView<'_>, port: &PortId) -> &'v [Entry] {
    let position = view.ports.iter().position(|declared| declared.id == *port);
    position.map_or(&[], |position| step.entries[position].as_slice())
}

/// Missing entries that came in another place: the same key among the extra ones.
fn moved(pairs: &[Pair], left: &[Key], right: &[Key]) -> BTreeMap<usize, usize> {
    let mut moved = BTreeMap::new();
    let mut extra: Vec<_> =
        pairs.iter().filter(|pair| pair.0.is_none()).filter_map(|pair| pair.1).collect();
    for missing in pairs.iter().filter(|pair| pair.1.is_none()).filter_map(|pair| pair.0) {
        let frame = matches!(left[missing], Key::Frame(..));
        if let Some(at) = extra.iter().position(|b| frame && right[*b] == left[missing]) {
            moved.insert(missing, extra.remove(at));
        }
    }
    moved
}

/// Turns the place of an entry into the number of its frame.
struct Places {
    expected: Vec<usize>,
    actual: Vec<usize>,
}

impl Places {
    fn of(left: &[Entry], right: &[Entry]) -> Self {
        Self { expected: frame_numbers(left), actual: frame_numbers(right) }
    }

    fn expected(&self, index: usize) -> (usize, usize) {
        (self.expected[index], self.expected.last().copied().unwrap_or(0))
    }

    fn actual(&self, index: usize) -> (usize, usize) {
        (self.actual[index], self.actual.last().copied().unwrap_or(0))
    }

    fn moved(&self, from: usize, to: usize, entry: &Entry) -> What {
        let (frame, of) = self.expected(from);
        What::Moved { frame, of, came: self.actual[to], summary: shown(entry) }
    }
}

/// For each entry, how many frames there are up to it.
fn frame_numbers(entries: &[Entry]) -> Vec<usize> {
    let mut count = 0;
    let counted = entries.iter().map(|entry| {
        count += usize::from(matches!(entry, Entry::Frame { .. }));
        count
    });
    counted.collect()
}
