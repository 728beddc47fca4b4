//! The comparison itself: whose records, which passes, and the differences in their order.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{
    align::{self, Pair, UNLIKE},
    capture_digest, explanation,
    fields::beside,
    found::Found,
    frame_pair::FramePair,
    mismatch::{Difference, Mismatch, What},
    misplaced,
    number::Numbers,
    port::PortComparison,
    probe::compare_probes,
};
use crate::{
    base::{PortId, Profile, Tag},
    format::{ProbeTable, Resolve, SectionError, outcome_text, parse, text, token},
    reading::{Entry, Reading, StepReading, number_of},
    record::{Answer, Outcome, Port, SentFrame, SourceFrame},
};

/// Most differences of which it is looked up where their frames came before.
const TRACED: usize = 50;

/// Most differences of a port in a step whose frames are kept.
const FRAMES: usize = 50;

/// What a comparison leaves out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules<'a> {
    /// Fields that are not compared: `ipv4.id`, `tcp.seq`.
    pub masks: &'a [String],
    /// Ports that are not compared.
    pub without: &'a [PortId],
}

/// Compares a run with a section of its snapshot: the observed half and, where that is the same and
/// nothing is left out, what the built-in objects explain. Frames that live in capture files are
/// taken from what the run sent.
#[must_use]
pub fn compare(section: &str, actual: &Reading, rules: Rules<'_>) -> Option<Mismatch> {
    let record = actual.transcript();
    // A run that is written as the section is: nothing differs, whatever is left out.
    let written = explanation::is_compared(record.backend).then(|| text(actual));
    if written.as_deref() == Some(section) {
        return None;
    }
    let frames: BTreeMap<_, _> = record
        .steps
        .iter()
        .flat_map(|step| &step.sent)
        .filter_map(|sent| {
            let source = sent.source.as_ref()?;
            Some(((&*source.file, source.number), &sent.frame.data))
        })
        .collect();
    let resolve = |source: &SourceFrame| -> Option<Bytes> {
        frames.get(&(&*source.file, source.number)).map(|data| (*data).clone())
    };
    let mut differences =
        match parse(section, record.case.clone(), record.profile.clone(), &resolve) {
            Ok(expected) => Comparison::new(&Reading::of(expected), actual, rules).differences(),
            Err(error) => {
                let captured = capture_digest::differences(section, record);
                match captured.is_empty() {
                    true => vec![unreadable(&error)],
                    false => captured,
                }
            }
        };
    let whole = rules.masks.is_empty() && rules.without.is_empty();
    if differences.is_empty()
        && whole
        && let Some(written) = written
    {
        differences = explanation::differences(section, &written);
        for difference in &mut differences {
            let step = record.steps.iter().find(|step| step.index == difference.step);
            difference.line = step.map_or(0, |step| step.line);
        }
    }
    mismatch("snapshot", record.backend, differences)
}

/// Compares two sections: what was reviewed and what is proposed, each a transcript or a table of
/// probes. None also where only what explains differs, which is clearest as text.
#[must_use]
pub fn compare_sections(reviewed: &str, proposed: &str, resolve: Resolve<'_>) -> Option<Mismatch> {
    let read = |section| parse(section, "".into(), Profile::default(), resolve).map(Reading::of);
    let unreadable =
        |error: SectionError| mismatch("reviewed", "proposed", vec![unreadable(&error)]);
    let found = if proposed.starts_with('|') {
        match ProbeTable::parse(proposed) {
            Ok(table) => compare_probes(reviewed, &table, &[]),
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
    Difference::of_record(What::Unreadable { reason: error.to_string() })
}

/// Compares the observed halves of two runs, field by field and without masks.
#[must_use]
pub fn disagreement(a: &Reading, b: &Reading) -> Option<Mismatch> {
    disagreement_but(a, b, Rules::default())
}

/// As [`disagreement`], but for what the rules leave out.
#[must_use]
pub fn disagreement_but(a: &Reading, b: &Reading, rules: Rules<'_>) -> Option<Mismatch> {
    let differences = Comparison::new(a, b, rules).differences();
    mismatch(a.transcript().backend, b.transcript().backend, differences)
}

fn mismatch(expected: &str, actual: &str, differences: Vec<Difference>) -> Option<Mismatch> {
    let (expected, actual) = (expected.to_owned(), actual.to_owned());
    (!differences.is_empty()).then_some(Mismatch { expected, actual, differences })
}

struct Comparison<'t> {
    expected: &'t Reading,
    actual: &'t Reading,
    port: PortComparison<'t>,
    ports: Vec<Port>,
    found: Vec<Placed>,
}

/// A difference, the step of the expected side that it is in, and the frame that came.
struct Placed {
    difference: Difference,
    expected_step: usize,
    tag: Option<Tag>,
}

impl Placed {
    /// Puts in which of the sent frames it is about, and where an unexpected one came before.
    fn number(&mut self, expected: &Numbers<'_>, actual: &Numbers<'_>, traced: bool) {
        let Difference { step, line, port, what, .. } = &mut self.difference;
        let Some(port) = port.as_deref() else { return };
        let unexpected = matches!(what, What::Extra { .. });
        if let Some((sent, frame)) = what.sent() {
            *sent = match unexpected {
                true => actual.sent(*step, port, frame),
                false => expected.sent(self.expected_step, port, frame),
            };
        }
        if let What::Extra { again, frame, .. } = what {
            match again {
                Some(again) => (again.step, again.line) = (*step, *line),
                None if traced => *again = actual.before(*step, port, *frame),
                None => {}
            }
        }
    }
}

impl<'t> Comparison<'t> {
    fn new(expected: &'t Reading, actual: &'t Reading, rules: Rules<'t>) -> Self {
        let mut ports: Vec<Port> = Vec::new();
        for port in actual.ports().iter().chain(expected.ports()) {
            if !ports.iter().any(|known| known.id == port.id) && !rules.without.contains(&port.id) {
                ports.push(port.clone());
            }
        }
        let masks = rules.masks.iter().map(String::as_str).collect();
        Self {
            expected,
            actual,
            port: PortComparison { transcript: actual.transcript(), masks },
            ports,
            found: Vec::new(),
        }
    }

    fn differences(mut self) -> Vec<Difference> {
        let observed = |reading: &'t Reading| -> Vec<StepReading<'t>> {
            reading.all_steps().filter(StepReading::is_observed).collect()
        };
        let (expected, actual) = (observed(self.expected), observed(self.actual));
        for pair in step_pairs(&expected, &actual) {
            match pair {
                (Some(a), Some(b)) => self.step(&expected[a], &actual[b]),
                (Some(a), None) => self.push_step(&expected[a], What::StepGone),
                (None, Some(b)) => self.push_step(&actual[b], What::StepNew),
                (None, None) => {}
            }
        }
        self.finished()
    }

    /// With the numbers of frames, which cost a labelling of both records, so that only what
    /// differs pays for them.
    fn finished(mut self) -> Vec<Difference> {
        let mut found = std::mem::take(&mut self.found);
        if found.iter_mut().any(|one| one.difference.what.sent().is_some()) {
            let numbers = (Numbers(self.expected), Numbers(self.actual));
            for (place, one) in found.iter_mut().enumerate() {
                one.number(&numbers.0, &numbers.1, place < TRACED);
            }
        }
        let found = found.into_iter().map(|one| (one.difference, one.tag));
        let mut differences =
            misplaced::joined(found.collect(), self.port.transcript, &self.port.masks);
        keep_first_frames(&mut differences);
        differences
    }

    fn push_step(&mut self, step: &StepReading<'_>, what: What) {
        self.push(step, None, what);
    }

    fn push(&mut self, step: &StepReading<'_>, port: Option<&PortId>, what: What) {
        let found = Found::new(what, None, None);
        self.push_found(step.step.index, step, port, found);
    }

    fn push_found(
        &mut self,
        expected_step: usize,
        step: &StepReading<'_>,
        port: Option<&PortId>,
        found: Found,
    ) {
        let Found { what, frames, tag } = found;
        self.found.push(Placed {
            difference: Difference {
                step: step.step.index,
                title: step.step.title.clone(),
                line: step.step.line,
                port: port.map(ToString::to_string),
                what,
                frames,
            },
            expected_step,
            tag,
        });
    }

    fn value(&mut self, step: &StepReading<'_>, name: &str, expected: &str, actual: &str) {
        if expected != actual {
            let (name, expected, actual) = (name.into(), expected.into(), actual.into());
            self.push(step, None, What::Value { name, expected, actual });
        }
    }

    fn step(&mut self, expected: &StepReading<'_>, actual: &StepReading<'_>) {
        self.value(actual, "step", &expected.step.title, &actual.step.title);
        self.sent(expected, actual);
        let written = |step: &StepReading<'_>| {
            step.step.written.as_ref().map_or_else(String::new, |bytes| token::raw_hex(bytes))
        };
        self.value(actual, "written", &written(expected), &written(actual));
        self.answers(expected, actual);
        self.value(actual, "crash", &crashes(expected), &crashes(actual));
        for port in self.ports.clone() {
            let left = entries_at(self.expected, expected, &port.id);
            let right = entries_at(self.actual, actual, &port.id);
            for found in self.port.differences(port.kind, left, right) {
                self.push_found(expected.step.index, actual, Some(&port.id), found);
            }
        }
    }

    fn sent(&mut self, expected: &StepReading<'_>, actual: &StepReading<'_>) {
        let (left, right) = (&expected.step.sent, &actual.step.sent);
        let count = |sent: &[SentFrame]| sent.len().to_string();
        self.value(actual, "sent frames", &count(left), &count(right));
        for (a, b) in left.iter().zip(right) {
            let mut fields = self.port.fields(&a.frame, &b.frame);
            if a.port != b.port {
                fields.push(beside("port", a.port.as_str(), b.port.as_str()));
            }
            if !fields.is_empty() {
                let number = number_of(b);
                let found = Found {
                    what: What::Sent { number, fields },
                    frames: FramePair::of(Some(&a.frame.data), Some(&b.frame.data)),
                    tag: None,
                };
                self.push_found(expected.step.index, actual, Some(&b.port), found);
            }
        }
    }

    /// Answers by command; the same command twice is told apart by its place.
    fn answers(&mut self, expected: &StepReading<'_>, actual: &StepReading<'_>) {
        let (left, right) = (by_command(expected), by_command(actual));
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
}

/// A record that carries every frame of a flood is of no use to anybody.
fn keep_first_frames(differences: &mut [Difference]) {
    let same = |a: &Difference, b: &Difference| (a.step, &a.port) == (b.step, &b.port);
    for alike in differences.chunk_by_mut(same) {
        for difference in alike.iter_mut().skip(FRAMES) {
            difference.frames = FramePair::default();
        }
    }
}

fn crashes(step: &StepReading<'_>) -> String {
    let crashes = step.crashes().map(|(machine, assertion)| match machine {
        Some(machine) => format!("{machine}: {assertion}"),
        None => assertion.to_owned(),
    });
    let crashes: Vec<_> = crashes.collect();
    if crashes.is_empty() { "none".to_owned() } else { crashes.join("; ") }
}

/// A command, and which of its kind it is.
type CommandKey = (String, usize);

fn by_command<'r>(step: &StepReading<'r>) -> Vec<(CommandKey, &'r Outcome)> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    step.answers()
        .map(|answer: &Answer| {
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
fn step_pairs(expected: &[StepReading<'_>], actual: &[StepReading<'_>]) -> Vec<Pair> {
    let titles = |steps: &[StepReading<'_>]| -> Vec<String> {
        steps.iter().map(|step| step.step.title.clone()).collect()
    };
    let (left, right) = (titles(expected), titles(actual));
    let verb = |title: &str| title.split(' ').next().map(str::to_owned);
    align::align(&left, &right, |a, b| if verb(&left[a]) == verb(&right[b]) { 1 } else { UNLIKE })
}

fn entries_at<'r>(reading: &Reading, step: &StepReading<'r>, port: &PortId) -> &'r [Entry] {
    reading.position(port).map_or(&[], |position| step.entries[position].as_slice())
}
