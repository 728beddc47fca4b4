//! A case on the page.

use std::collections::BTreeMap;

use super::{
    packet::{Packets, escaped},
    sides::SideBySide,
    steps,
};
use crate::{
    compare::{Difference, Mismatch, What, Wording},
    drawing::{self, Picture, Topology},
    format,
    report::{
        Fate, FateKind, Timeline, TimelineStep, WhyRecord, failure, human,
        record::{CaseRecord, CaseStatus, ProblemRecord, RunRecord},
    },
    wording::{self, Text},
};

/// Differences that are told in full; the others are counted.
const TOLD: usize = 20;

/// What cases share.
#[derive(Default)]
pub(super) struct Shared {
    places: BTreeMap<String, usize>,
    pictures: Vec<Picture>,
    pub(super) packets: Packets,
}

impl Shared {
    fn topology(&mut self, topology: &Topology) -> usize {
        let picture = drawing::symbol(topology);
        if let Some(place) = self.places.get(&picture.body) {
            return *place;
        }
        let place = self.pictures.len();
        self.places.insert(picture.body.clone(), place);
        self.pictures.push(picture);
        place
    }

    pub(super) fn topologies(&mut self) -> Vec<Picture> {
        std::mem::take(&mut self.pictures)
    }
}

/// A case, ready to be shown.
pub(super) struct CaseView {
    pub(super) name: String,
    pub(super) state: &'static str,
    pub(super) word: &'static str,
    pub(super) remark: String,
    pub(super) tags: Vec<String>,
    pub(super) seconds: String,
    pub(super) open: bool,
    pub(super) description: String,
    pub(super) command: String,
    /// Profile, backend, place, accounting.
    pub(super) facts: Vec<String>,
    pub(super) problems: Vec<ProblemView>,
    /// What failed in words, where that is no list of problems.
    pub(super) text: String,
    pub(super) notes: Vec<String>,
    pub(super) topology: Option<(usize, i32, i32)>,
    pub(super) ladder: Option<Picture>,
    /// Markup: what became of each packet, and what was said, by steps.
    pub(super) events: String,
    pub(super) transcript: String,
}

/// A problem, ready to be shown.
pub(super) struct ProblemView {
    pub(super) headline: String,
    pub(super) expected: String,
    pub(super) actual: String,
    /// The ways of the frames that it is about, in lines, where it is about no difference.
    pub(super) why: Vec<String>,
    pub(super) differences: Vec<DifferenceView>,
    /// How many more there are.
    pub(super) more: usize,
}

/// A difference, ready to be shown.
pub(super) struct DifferenceView {
    /// `step 5, line 9: send hn0.host`.
    pub(super) place: String,
    /// `secondary/hn0.guest`.
    pub(super) port: String,
    /// `frame 3 of 7`.
    pub(super) what: String,
    /// `tcp.ack 1 -> 2`.
    pub(super) change: String,
    /// Since when, and what else is known.
    pub(super) notes: Vec<String>,
    pub(super) sides: Option<SideBySide>,
}

impl CaseView {
    pub(super) fn of(run: &RunRecord, case: &CaseRecord, open: bool, shared: &mut Shared) -> Self {
        let topology = case.topology.as_ref().map(|topology| {
            let place = shared.topology(topology);
            let picture = &shared.pictures[place];
            (place, picture.width, picture.height)
        });
        let ladder = case.course.as_ref().map(|course| {
            let ladder = steps::ladder(case, course, &mut shared.packets);
            drawing::ladder(&ladder)
        });
        let mut facts = vec![case.profile.clone(), case.backend.clone(), case.place()];
        facts.extend(case.accounting.map(|sums| {
            format!(
                "{} sent, {} arrivals, {} dropped, {} unexplained",
                sums.sent, sums.arrivals, sums.dropped, sums.unexplained
            )
        }));
        facts.retain(|fact| !fact.is_empty());
        let listed = case.status == CaseStatus::Failed && case.failing.is_empty();
        Self {
            name: case.case.clone(),
            state: state(case.status),
            word: human::word(case).1,
            remark: remark(case),
            tags: case.tags.clone(),
            seconds: format!("{:.3} s", case.seconds),
            open,
            description: case.description.clone(),
            command: command(run, case),
            facts,
            problems: case.problems.iter().map(problem).collect(),
            text: if listed { String::new() } else { failure::of_case(case).into_plain() },
            notes: case.notes.clone(),
            topology,
            ladder,
            events: case.course.as_ref().map_or_else(String::new, events),
            transcript: case.transcript.clone().unwrap_or_default(),
        }
    }
}

/// A state's word, for filters and colours.
pub(super) const fn state(status: CaseStatus) -> &'static str {
    match status {
        CaseStatus::Passed => "passed",
        CaseStatus::Accepted => "accepted",
        CaseStatus::KnownBug => "known-bug",
        CaseStatus::Pending => "pending",
        CaseStatus::Skipped => "skipped",
        CaseStatus::Interrupted => "interrupted",
        CaseStatus::Failed => "failed",
        CaseStatus::Invalid => "invalid",
        CaseStatus::Internal => "internal",
    }
}

/// What goes with the state, beside the name.
fn remark(case: &CaseRecord) -> String {
    let first = case.problems.first().map(|one| match &one.mismatch {
        Some(mismatch) => headline(mismatch).unwrap_or_else(|| one.message.clone()),
        None => one.message.clone(),
    });
    let runs = case.runs;
    let flaky = runs
        .flaky()
        .then(|| format!("failed {} of {} times: ", runs.failed, runs.failed + runs.passed));
    let text = first
        .or_else(|| case.diagnostic.as_ref().map(|one| one.message.clone()))
        .or_else(|| case.panic.clone())
        .or_else(|| case.reason.clone())
        .or_else(|| case.known_bug.clone())
        .unwrap_or_default();
    flaky.unwrap_or_default() + &text
}

fn headline(mismatch: &Mismatch) -> Option<String> {
    let first = mismatch.differences.first()?;
    let view = difference(first, mismatch, Vec::new());
    let words = [view.port, view.what, view.change];
    let words: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
    Some(words.join("  "))
}

/// The command that runs the case alone, as it ran here.
fn command(run: &RunRecord, case: &CaseRecord) -> String {
    let mut backends: Vec<&str> = case.backend.split(',').collect();
    let mut name = case.case.as_str();
    // Several QEMUs are named by their versions, and the case by its profile too.
    if let Some(qemu) = backends.iter().position(|name| name.starts_with("qemu-")) {
        backends.truncate(qemu);
        backends.push("qemu");
        let at = name.rfind("profile=").filter(|at| *at > 0).unwrap_or(name.len() + 1);
        name = name.get(..at - 1).unwrap_or(name);
    }
    let lanes = match backends.as_slice() {
        ["netns"] => String::new(),
        [one] => format!(" --backend {one}"),
        _ => format!(" --agree {}", backends.join(",")),
    };
    let profile = run.run.profile.as_ref();
    let profile = profile.map_or_else(String::new, |name| format!(" --profile {}", word(name)));
    let (file, name) = (word(&case.scenario), word(name));
    format!("tapwright run {file} -k {name}{lanes}{profile}")
}

/// A word of a shell.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%=,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

fn problem(problem: &ProblemRecord) -> ProblemView {
    let step = match (problem.step, problem.line) {
        (Some(step), Some(line)) if step > 0 => format!("step {step}, line {line}: "),
        _ => String::new(),
    };
    let (mut differences, mut more) = (Vec::new(), 0);
    let (mut expected, mut actual) = (String::new(), String::new());
    if let Some(mismatch) = &problem.mismatch {
        let shown = |(at, one)| difference(one, mismatch, ways(problem, Some(at)));
        differences = mismatch.differences.iter().enumerate().take(TOLD).map(shown).collect();
        more = mismatch.differences.len().saturating_sub(TOLD);
        (expected, actual) = (mismatch.expected.clone(), mismatch.actual.clone());
    }
    if let Some(sides) = SideBySide::of(&problem.sides, None) {
        (expected, actual) = ("expected".to_owned(), "came".to_owned());
        differences.push(DifferenceView {
            place: String::new(),
            port: String::new(),
            what: String::new(),
            change: String::new(),
            notes: Vec::new(),
            sides: Some(sides),
        });
    }
    ProblemView {
        headline: format!("{step}{}", problem.message),
        why: ways(problem, None),
        expected,
        actual,
        differences,
        more,
    }
}

/// The ways of the frames that a difference is about, or the problem as a whole.
fn ways(problem: &ProblemRecord, difference: Option<usize>) -> Vec<String> {
    let here = problem.why.iter().filter(|why| why.difference == difference);
    here.flat_map(WhyRecord::whole).collect()
}

fn difference(difference: &Difference, mismatch: &Mismatch, ways: Vec<String>) -> DifferenceView {
    let line = match difference.line {
        0 => String::new(),
        line => format!(", line {line}"),
    };
    // A snapshot that can't be read differs in no step.
    let place = match &difference.what {
        What::Unreadable { .. } => "in the snapshot".to_owned(),
        _ => format!("step {}{line}: {}", difference.step, difference.title),
    };
    let wording = Wording::of(mismatch, difference).with_ways(ways);
    let words = [wording.frame, wording.verdict.into_plain()];
    let words: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
    let (change, fields) = match &difference.what {
        What::Frame { fields, .. } | What::Sent { fields, .. } => {
            (steps::changes(fields), Some(fields.as_slice()))
        }
        What::Value { expected, actual, .. } => (format!("{expected} \u{2192} {actual}"), None),
        _ => (wording.summary, None),
    };
    DifferenceView {
        place,
        port: difference.port.clone().unwrap_or_default(),
        what: words.join(" "),
        change,
        notes: wording.notes.into_iter().map(Text::into_plain).collect(),
        sides: SideBySide::of(&difference.frames, fields),
    }
}

/// The way of each frame in a line, and what was said, by steps.
fn events(course: &Timeline) -> String {
    let mut out = String::new();
    for step in &course.steps {
        let lines = of_step(step);
        if lines.is_empty() {
            continue;
        }
        out +=
            &format!("<b>[{}] {}</b>  clock {} s\n", step.step, escaped(&step.title), step.clock);
        out += &lines;
    }
    out
}

/// `#1 #3-#9 host 1`.
fn names<'a>(fates: impl Iterator<Item = &'a Fate>) -> Vec<String> {
    let fates: Vec<&Fate> = fates.collect();
    let runs = fates.chunk_by(|one, next| one.number.is_some() == next.number.is_some());
    let words = runs.flat_map(|run| {
        let numbers: Option<Vec<u32>> = run.iter().map(|fate| fate.number).collect();
        let name = |fate: &&Fate| match fate.frame.as_str() {
            "" => "a frame".to_owned(),
            frame => escaped(frame),
        };
        numbers.map_or_else(|| run.iter().map(name).collect(), |numbers| format::numbers(&numbers))
    });
    words.collect()
}

fn of_step(step: &TimelineStep) -> String {
    let mut ways: Vec<(&Fate, Vec<String>)> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for fate in &step.fates {
        let text = escaped(fate.words.strip_prefix("seen at ").unwrap_or(&fate.words));
        let words = match fate.kind {
            FateKind::Dropped => format!("<s>{text}</s>"),
            FateKind::Passed | FateKind::Ended => text,
        };
        match places.get(fate.frame.as_str()) {
            Some(at) => ways[*at].1.push(words),
            None => {
                places.insert(&fate.frame, ways.len());
                ways.push((fate, vec![words]));
            }
        }
    }
    for (_, way) in &mut ways {
        *way = wording::folded(std::mem::take(way));
    }
    let mut lines = String::new();
    for alike in ways.chunk_by(|one, other| one.1 == other.1) {
        let frames = names(alike.iter().map(|(fate, _)| *fate));
        let way = alike.first().map_or_else(String::new, |(_, way)| way.join(" \u{203a} "));
        lines += &format!("  {}  {way}\n", frames.join(" "));
    }
    for said in &step.said {
        let text = escaped(&said.text);
        lines += &if said.grave { format!("  <em>{text}</em>\n") } else { format!("  {text}\n") };
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{self, FramePair, Seat};

    /// What the page says of a difference, in the order in which the terminal does.
    fn words(what: What) -> (String, String) {
        let mismatch = Mismatch {
            expected: "snapshot".to_owned(),
            actual: "sim".to_owned(),
            differences: vec![Difference {
                step: 1,
                title: "send hn0.guest".to_owned(),
                line: 9,
                port: Some("hn0.host".to_owned()),
                what,
                frames: FramePair::default(),
            }],
        };
        let view = difference(&mismatch.differences[0], &mismatch, Vec::new());
        let colon = if view.change.is_empty() { "" } else { ": " };
        let mut page = format!("  {}   {}{colon}{}\n", view.port, view.what, view.change);
        for note in view.notes {
            page += &format!("    {note}\n");
        }
        (page, compare::render(&mismatch).into_plain())
    }

    #[test]
    fn what_is_in_the_wrong_place_is_told_as_at_the_terminal() {
        let (frame, of, sent, summary) = (1, 2, Some(3), "ARP".to_owned());
        let seat = Seat { step: 2, line: 14, frame: 1 };
        let kinds = [
            What::OtherStep {
                frame,
                of,
                sent,
                came: seat,
                summary: summary.clone(),
                cause: Some("last seen at f0 in step 1".to_owned()),
            },
            What::OtherPort {
                frame,
                of,
                sent,
                port: "out0".to_owned(),
                came: 1,
                summary: summary.clone(),
                cause: None,
            },
            What::Moved {
                frame,
                of,
                sent,
                came: 2,
                passed: vec![2],
                summary: summary.clone(),
                cause: None,
            },
            What::Extra { frame, of, sent, summary, again: Some(seat), cause: None },
            What::Length { frame, of, sent, expected: 60, actual: 64, bytes: (0, 4) },
        ];
        for what in kinds {
            let (page, terminal) = words(what);
            assert_eq!(page, terminal);
        }
    }
}
