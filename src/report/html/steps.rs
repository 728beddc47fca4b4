//! From the course of a run and what is wrong with it to its ladder.

use std::collections::BTreeMap;

use super::packet::Packets;
use crate::{
    compare::{Difference, FieldDifference, Mismatch, What, Wording},
    drawing::{Hit, HitKind, Ladder, Row},
    report::{ArrivedPacket, FateKind, SentPacket, Timeline, TimelineStep, record::CaseRecord},
    wording::{self, Text},
};

/// Rows that are alike are folded when there are more of them.
const ALIKE: usize = 12;
/// Of those that are folded so many stay in front.
const SHOWN: usize = 3;
/// Most rows of a ladder.
const ROWS: usize = 600;
/// Fields that are named beside a packet.
const FIELDS: usize = 3;

/// The ladder of a case.
pub(super) fn ladder(case: &CaseRecord, course: &Timeline, packets: &mut Packets) -> Ladder {
    let mut rows = Vec::new();
    for step in &course.steps {
        Steps { case, course, step, packets, rows: &mut rows }.draw();
    }
    // What is expected of the whole run is said at its end.
    for problem in &case.problems {
        if problem.mismatch.is_none() && matches!(problem.step, None | Some(0)) {
            rows.push(Row::Remark { text: problem.message.clone(), grave: true });
        }
    }
    let left = rows.len().saturating_sub(ROWS);
    if left > 0 {
        rows.truncate(ROWS);
        rows.push(Row::Remark {
            text: format!("{left} more rows are in the transcript"),
            grave: false,
        });
    }
    for row in &rows {
        if let Row::Packet { href: Some(href), .. } = row {
            packets.link(href);
        }
    }
    Ladder { lanes: course.ports.clone(), rows }
}

struct Steps<'a> {
    case: &'a CaseRecord,
    course: &'a Timeline,
    step: &'a TimelineStep,
    packets: &'a mut Packets,
    rows: &'a mut Vec<Row>,
}

/// A difference, and what is said of it.
struct Found<'a> {
    difference: &'a Difference,
    wording: Wording,
}

/// What the comparison says of a packet at a port.
struct Mark {
    kind: HitKind,
    text: String,
}

impl<'a> Steps<'a> {
    fn draw(&mut self) {
        let differences = self.differences();
        let wrong = !differences.is_empty()
            || self
                .case
                .problems
                .iter()
                .any(|one| one.step == Some(self.step.step) && one.step != Some(0));
        self.rows
            .push(Row::Step { title: format!("[{}] {}", self.step.step, self.step.title), wrong });
        let begun = self.rows.len();
        let marks = self.marks(&differences);
        let mut shown = vec![false; self.step.came.len()];
        let came = by_number(self.step.came.iter().map(|came| came.number));
        let fates = by_number(self.step.fates.iter().map(|fate| fate.number));
        for sent in &self.step.sent {
            let [came, fates] = [&came, &fates]
                .map(|places| places.get(&sent.number).map_or(&[][..], Vec::as_slice));
            let hits = self.hits(sent, came, &marks, &mut shown, &differences);
            self.sent(sent, hits, fates);
        }
        for (at, came) in self.step.came.iter().enumerate() {
            if !shown[at] {
                self.came(came, marks[at].as_ref());
            }
        }
        for difference in &differences {
            self.absent(difference);
        }
        let packets = self.rows.split_off(begun);
        self.rows.extend(folded(packets));
        self.remarks(&differences);
    }

    /// What differs in the step, and what came in it that was expected in another one.
    fn differences(&self) -> Vec<Found<'a>> {
        let (case, step) = (self.case, self.step.step);
        let found = |mismatch: &'a Mismatch| {
            let here = move |difference: &&'a Difference| match &difference.what {
                What::OtherStep { came, .. } => difference.step == step || came.step == step,
                _ => difference.step == step,
            };
            mismatch
                .differences
                .iter()
                .filter(here)
                .map(|difference| Found { difference, wording: Wording::of(mismatch, difference) })
        };
        let mismatches = case.problems.iter().filter_map(|one| one.mismatch.as_ref());
        mismatches.flat_map(found).collect()
    }

    fn lane(&self, port: Option<&String>) -> Option<usize> {
        self.course.ports.iter().position(|one| Some(one) == port)
    }

    /// For each packet that came, what is wrong with it.
    fn marks(&self, differences: &[Found<'_>]) -> Vec<Option<Mark>> {
        let mut counts = vec![0; self.course.ports.len()];
        self.step
            .came
            .iter()
            .map(|came| {
                came.frame?;
                counts[came.port] += 1;
                let place = counts[came.port];
                differences.iter().find_map(|found| self.mark(found, came.port, place))
            })
            .collect()
    }

    /// What a difference says of the packet at this place of a port, if it is about that one.
    fn mark(&self, found: &Found<'_>, lane: usize, place: usize) -> Option<Mark> {
        let Difference { step, port, what, .. } = found.difference;
        let verdict = found.wording.verdict.plain();
        let due = self.lane(port.as_ref());
        let here = due == Some(lane) && *step == self.step.step;
        let (kind, text) = match what {
            What::Frame { came, fields, .. } if here && *came == place => {
                (HitKind::Wrong, format!("\u{2260} {}", changes(fields)))
            }
            What::Extra { frame, .. } if here && *frame == place => {
                (HitKind::Extra, verdict.to_owned())
            }
            What::Moved { frame, came, .. } if here && *came == place => {
                (HitKind::Wrong, format!("{verdict}, expected as frame {frame}"))
            }
            What::OtherStep { came, .. }
                if due == Some(lane) && (came.step, came.frame) == (self.step.step, place) =>
            {
                (HitKind::Wrong, format!("expected in step {step}"))
            }
            What::OtherPort { port, came, .. }
                if self.lane(Some(port)) == Some(lane) && *came == place =>
            {
                let due = found.difference.port.as_deref().unwrap_or_default();
                (HitKind::Wrong, format!("expected at {due}"))
            }
            _ => return None,
        };
        Some(Mark { kind, text })
    }

    /// Where a packet came just as it was sent, of the places where a packet of its number did.
    fn hits(
        &self,
        sent: &SentPacket,
        places: &[usize],
        marks: &[Option<Mark>],
        shown: &mut [bool],
        differences: &[Found<'_>],
    ) -> Vec<Hit> {
        let mut hits: Vec<Hit> = Vec::new();
        for &at in places {
            let came = &self.step.came[at];
            if came.frame != Some(sent.frame) || shown[at] || marks[at].is_some() {
                continue;
            }
            shown[at] = true;
            match hits.iter_mut().find(|hit| hit.lane == came.port) {
                Some(hit) => hit.text = Some(again(hit.text.as_deref())),
                None => hits.push(Hit { lane: came.port, kind: HitKind::Same, text: None }),
            }
        }
        for Found { difference, wording } in differences {
            if let What::Sent { number, fields } = &difference.what
                && *number == sent.number
            {
                let verdict = wording.verdict.plain();
                hits.push(Hit {
                    lane: sent.port,
                    kind: HitKind::Wrong,
                    text: Some(format!("\u{2260} {verdict}: {}", changes(fields))),
                });
            }
        }
        hits
    }

    /// A packet, and what became of it.
    fn sent(&mut self, sent: &SentPacket, hits: Vec<Hit>, fates: &[usize]) {
        let fates = || fates.iter().map(|at| &self.step.fates[*at]);
        let words = |kind: FateKind| {
            let mut words: Vec<String> = Vec::new();
            for fate in fates().filter(|fate| fate.kind == kind) {
                if !words.contains(&fate.words) {
                    words.push(fate.words.clone());
                }
            }
            words
        };
        let (lost, notes) = (words(FateKind::Dropped), words(FateKind::Ended));
        let (summary, href) = self.packet(Some(sent.frame));
        let beside = match sent.words.as_str() {
            "" => String::new(),
            words => format!("  ({words})"),
        };
        self.rows.push(Row::Packet {
            label: format!("#{} {summary}{beside}", sent.number),
            from: Some(sent.port),
            hits,
            lost,
            notes,
            href,
        });
    }

    /// What came otherwise than it was sent, or from an earlier step, or from elsewhere.
    fn came(&mut self, came: &ArrivedPacket, mark: Option<&Mark>) {
        let sender = self.step.sent.iter().find(|sent| Some(sent.number) == came.number);
        let (from, base) = (sender.map(|sent| sent.port), sender.map(|sent| sent.frame));
        let (summary, href) = self.packet(came.frame);
        let label = match (came.number, came.words.as_str()) {
            (Some(number), "") => format!("#{number} {summary}"),
            (Some(number), words) => format!("#{number} {words}"),
            (None, words) if came.frame.is_none() => words.to_owned(),
            (None, _) => format!("new: {summary}"),
        };
        let changed = base.is_some_and(|base| Some(base) != came.frame) || !came.words.is_empty();
        let kind = match mark {
            Some(mark) => mark.kind,
            None if changed && came.frame.is_some() => HitKind::Changed,
            None => HitKind::Same,
        };
        let hit = Hit { lane: came.port, kind, text: mark.map(|mark| mark.text.clone()) };
        // The same packet at several ports is one row.
        let of_step = |row: &&mut Row| !matches!(row, Row::Step { .. });
        let mut rows = self.rows.iter_mut().rev().take_while(of_step);
        let same = rows.find_map(|row| match row {
            Row::Packet { label: known, from: source, href: leads, hits, lost, .. } => {
                let new = hits.iter().all(|one| one.lane != hit.lane && one.kind == hit.kind);
                let same = (&*known, *source, &*leads) == (&label, from, &href);
                (mark.is_none() && same && new && lost.is_empty()).then_some(hits)
            }
            _ => None,
        });
        if let Some(hits) = same {
            hits.push(hit);
            return;
        }
        self.rows.push(Row::Packet {
            label,
            from,
            hits: vec![hit],
            lost: Vec::new(),
            notes: Vec::new(),
            href,
        });
    }

    /// A packet that did not come where it was expected.
    fn absent(&mut self, found: &Found<'_>) {
        let Found { difference, wording } = found;
        let lost = matches!(
            difference.what,
            What::Missing { .. } | What::OtherStep { .. } | What::OtherPort { .. }
        );
        if !lost || difference.step != self.step.step {
            return;
        }
        let Some(lane) = self.lane(difference.port.as_ref()) else {
            return;
        };
        let expected = difference.frames.expected.as_deref();
        let number = expected.map(|bytes| self.packets.of_bytes(bytes));
        self.rows.push(Row::Packet {
            label: wording.summary.clone(),
            from: None,
            hits: vec![Hit {
                lane,
                kind: HitKind::Missing,
                text: Some(wording.verdict.to_string()),
            }],
            lost: Vec::new(),
            notes: wording.notes.iter().map(Text::to_string).collect(),
            href: number.map(Packets::href),
        });
    }

    /// What was said, what became of frames of earlier steps, and what is wrong beside packets.
    fn remarks(&mut self, differences: &[Found<'_>]) {
        let here = |number: Option<u32>| {
            number.is_some() && self.step.sent.iter().any(|sent| Some(sent.number) == number)
        };
        let mut lost: Vec<String> = Vec::new();
        for fate in &self.step.fates {
            if fate.kind == FateKind::Dropped && !here(fate.number) {
                let frame = match fate.frame.as_str() {
                    "" => "a frame",
                    frame => frame,
                };
                lost.push(format!("\u{2715} {frame} {}", fate.words));
            }
        }
        let lost = wording::folded(lost);
        let mut remarks: Vec<(String, bool)> = lost.into_iter().map(|text| (text, false)).collect();
        remarks.extend(self.step.said.iter().map(|said| (said.text.clone(), said.grave)));
        for Found { difference, wording } in differences {
            let port = difference.port.as_ref().map(|port| format!("{port} "));
            let port = port.unwrap_or_default();
            let verdict = wording.verdict.plain();
            match &difference.what {
                What::Value { expected, actual, .. } => remarks
                    .push((format!("{port}{verdict}: expected {expected}, got {actual}"), true)),
                What::Length { .. } => {
                    remarks.push((format!("{port}{} {verdict}", wording.frame), true));
                    remarks.extend(wording.notes.iter().map(|note| (note.to_string(), true)));
                }
                What::Explained { .. } => {
                    remarks.push((verdict.to_owned(), true));
                    remarks.extend(wording.notes.iter().map(|note| (note.to_string(), true)));
                }
                _ => {}
            }
        }
        for problem in &self.case.problems {
            if problem.mismatch.is_none()
                && problem.step.is_some_and(|step| step > 0)
                && problem.step == Some(self.step.step)
            {
                remarks.push((problem.message.clone(), true));
            }
        }
        self.rows.extend(remarks.into_iter().map(|(text, grave)| Row::Remark { text, grave }));
    }

    fn packet(&mut self, frame: Option<usize>) -> (String, Option<String>) {
        let hex = frame.and_then(|frame| self.course.frames.get(frame));
        match hex.and_then(|hex| self.packets.number(hex)) {
            Some(number) => (self.packets.summary(number), Some(Packets::href(number))),
            None => (String::new(), None),
        }
    }
}

/// The places of what has each number.
fn by_number(numbers: impl Iterator<Item = Option<u32>>) -> BTreeMap<u32, Vec<usize>> {
    let mut places: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (at, number) in numbers.enumerate() {
        if let Some(number) = number {
            places.entry(number).or_default().push(at);
        }
    }
    places
}

fn again(text: Option<&str>) -> String {
    let times: usize = text
        .and_then(|text| text.strip_prefix('\u{d7}'))
        .and_then(|times| times.parse().ok())
        .unwrap_or(1);
    format!("\u{d7}{}", times + 1)
}

/// `tcp.ack 1 -> 2, payload aa -> bb`.
pub(super) fn changes(fields: &[FieldDifference]) -> String {
    let mut words: Vec<String> = fields
        .iter()
        .take(FIELDS)
        .map(|field| {
            let remark = field.remark.as_ref();
            let remark = remark.map_or_else(String::new, |remark| format!(" ({remark})"));
            format!("{} {} \u{2192} {}{remark}", field.name, field.expected, field.actual)
        })
        .collect();
    if fields.len() > FIELDS {
        words.push(format!("{} more", fields.len() - FIELDS));
    }
    words.join(", ")
}

/// Long stretches of packets that went the same way, in a few rows.
fn folded(rows: Vec<Row>) -> Vec<Row> {
    let way = |row: &Row| match row {
        Row::Packet { from, hits, lost, .. } => Some((*from, hits.clone(), lost.clone())),
        _ => None,
    };
    let mut folded = Vec::new();
    for alike in rows.chunk_by(|a, b| way(a).is_some() && way(a) == way(b)) {
        if alike.len() <= ALIKE {
            folded.extend_from_slice(alike);
            continue;
        }
        folded.extend_from_slice(&alike[..SHOWN]);
        folded.push(Row::Remark {
            text: format!("\u{2026} {} more go the same way", alike.len() - SHOWN - 1),
            grave: false,
        });
        folded.extend(alike.last().cloned());
    }
    folded
}
