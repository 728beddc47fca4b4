//! From the course of a run and what is wrong with it to its ladder.

use super::packet::Packets;
use crate::{
    drawing::{Hit, HitKind, Ladder, Row},
    report::record::CaseRecord,
    snapshot::{CamePacket, Course, CourseStep, Difference, FateKind, FieldDifference, What},
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
pub(super) fn ladder(case: &CaseRecord, course: &Course, packets: &mut Packets) -> Ladder {
    let mut rows = Vec::new();
    for step in &course.steps {
        Steps {
            case,
            course,
            step,
            packets,
            rows: &mut rows,
        }
        .draw();
    }
    // What is expected of the whole run is said at its end.
    for problem in &case.problems {
        if problem.mismatch.is_none() && matches!(problem.step, None | Some(0)) {
            rows.push(Row::Remark {
                text: problem.message.clone(),
                grave: true,
            });
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
    Ladder {
        lanes: course.ports.clone(),
        rows,
    }
}

struct Steps<'a> {
    case: &'a CaseRecord,
    course: &'a Course,
    step: &'a CourseStep,
    packets: &'a mut Packets,
    rows: &'a mut Vec<Row>,
}

/// What the comparison says of a packet at a port.
struct Mark {
    kind: HitKind,
    text: String,
}

impl Steps<'_> {
    fn draw(&mut self) {
        let differences = self.differences();
        let wrong = !differences.is_empty()
            || self
                .case
                .problems
                .iter()
                .any(|one| one.step == Some(self.step.step) && one.step != Some(0));
        self.rows.push(Row::Step {
            title: format!("[{}] {}", self.step.step, self.step.title),
            wrong,
        });
        let begun = self.rows.len();
        let marks = self.marks(&differences);
        let mut shown = vec![false; self.step.came.len()];
        for sent in &self.step.sent {
            self.sent(sent, &marks, &mut shown, &differences);
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

    fn differences(&self) -> Vec<Difference> {
        let mismatches = self
            .case
            .problems
            .iter()
            .filter_map(|one| one.mismatch.as_ref());
        let differences = mismatches.flat_map(|mismatch| &mismatch.differences);
        differences
            .filter(|difference| difference.step == self.step.step)
            .cloned()
            .collect()
    }

    fn lane(&self, port: Option<&String>) -> Option<usize> {
        self.course.ports.iter().position(|one| Some(one) == port)
    }

    /// For each packet that came, what is wrong with it.
    fn marks(&self, differences: &[Difference]) -> Vec<Option<Mark>> {
        let mut counts = vec![0; self.course.ports.len()];
        let of = |came: &CamePacket, place: usize| {
            let here =
                |difference: &&Difference| self.lane(difference.port.as_ref()) == Some(came.port);
            differences
                .iter()
                .filter(here)
                .find_map(|difference| match &difference.what {
                    What::Frame { came, fields, .. } if *came == place => Some(Mark {
                        kind: HitKind::Wrong,
                        text: format!("\u{2260} {}", changes(fields)),
                    }),
                    What::Extra { frame, .. } if *frame == place => Some(Mark {
                        kind: HitKind::Extra,
                        text: "not expected".to_owned(),
                    }),
                    What::Moved { frame, came, .. } if *came == place => Some(Mark {
                        kind: HitKind::Wrong,
                        text: format!("came as frame {came}, expected as frame {frame}"),
                    }),
                    _ => None,
                })
        };
        self.step
            .came
            .iter()
            .map(|came| {
                came.frame?;
                counts[came.port] += 1;
                of(came, counts[came.port])
            })
            .collect()
    }

    /// A packet, and where it came just as it was sent.
    fn sent(
        &mut self,
        sent: &crate::snapshot::SentPacket,
        marks: &[Option<Mark>],
        shown: &mut [bool],
        differences: &[Difference],
    ) {
        let mut hits: Vec<Hit> = Vec::new();
        for (at, came) in self.step.came.iter().enumerate() {
            let same = came.number == Some(sent.number) && came.frame == Some(sent.frame);
            if !same || shown[at] || marks[at].is_some() {
                continue;
            }
            shown[at] = true;
            match hits.iter_mut().find(|hit| hit.lane == came.port) {
                Some(hit) => hit.text = Some(again(hit.text.as_deref())),
                None => hits.push(Hit {
                    lane: came.port,
                    kind: HitKind::Same,
                    text: None,
                }),
            }
        }
        for difference in differences {
            if let What::Sent { number, fields, .. } = &difference.what
                && *number == sent.number
            {
                hits.push(Hit {
                    lane: sent.port,
                    kind: HitKind::Wrong,
                    text: Some(format!("\u{2260} sent differently: {}", changes(fields))),
                });
            }
        }
        let fates = || {
            self.step
                .fates
                .iter()
                .filter(|fate| fate.number == Some(sent.number))
        };
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
    fn came(&mut self, came: &CamePacket, mark: Option<&Mark>) {
        let sender = self
            .step
            .sent
            .iter()
            .find(|sent| Some(sent.number) == came.number);
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
        let hit = Hit {
            lane: came.port,
            kind,
            text: mark.map(|mark| mark.text.clone()),
        };
        // The same packet at several ports is one row.
        let of_step = |row: &&mut Row| !matches!(row, Row::Step { .. });
        let mut rows = self.rows.iter_mut().rev().take_while(of_step);
        let same = rows.find_map(|row| match row {
            Row::Packet {
                label: known,
                from: source,
                href: leads,
                hits,
                lost,
                ..
            } => {
                let new = hits
                    .iter()
                    .all(|one| one.lane != hit.lane && one.kind == hit.kind);
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

    /// A packet that did not come.
    fn absent(&mut self, difference: &Difference) {
        let What::Missing {
            summary,
            fate,
            sides,
            ..
        } = &difference.what
        else {
            return;
        };
        let Some(lane) = self.lane(difference.port.as_ref()) else {
            return;
        };
        let number = sides
            .expected
            .as_ref()
            .and_then(|hex| self.packets.number(hex));
        self.rows.push(Row::Packet {
            label: summary.clone(),
            from: None,
            hits: vec![Hit {
                lane,
                kind: HitKind::Missing,
                text: Some("missing".to_owned()),
            }],
            lost: Vec::new(),
            notes: fate.iter().cloned().collect(),
            href: number.map(|number| format!("#p{number}")),
        });
    }

    /// What was said, what became of frames of earlier steps, and what is wrong beside packets.
    fn remarks(&mut self, differences: &[Difference]) {
        let here = |number: Option<u32>| {
            number.is_some()
                && self
                    .step
                    .sent
                    .iter()
                    .any(|sent| Some(sent.number) == number)
        };
        let mut remarks: Vec<(String, bool)> = Vec::new();
        for fate in &self.step.fates {
            if fate.kind == FateKind::Dropped && !here(fate.number) {
                let frame = match fate.frame.as_str() {
                    "" => "a frame",
                    frame => frame,
                };
                remarks.push((format!("\u{2715} {frame} {}", fate.words), false));
            }
        }
        remarks.extend(
            self.step
                .said
                .iter()
                .map(|said| (said.text.clone(), said.grave)),
        );
        for difference in differences {
            if let What::Value {
                name,
                expected,
                actual,
            } = &difference.what
            {
                let port = difference.port.as_ref().map(|port| format!("{port} "));
                let port = port.unwrap_or_default();
                remarks.push((
                    format!("{port}{name}: expected {expected}, got {actual}"),
                    true,
                ));
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
        self.rows.extend(
            remarks
                .into_iter()
                .map(|(text, grave)| Row::Remark { text, grave }),
        );
    }

    fn packet(&mut self, frame: Option<usize>) -> (String, Option<String>) {
        let hex = frame.and_then(|frame| self.course.frames.get(frame));
        match hex.and_then(|hex| self.packets.number(hex)) {
            Some(number) => (self.packets.summary(number), Some(format!("#p{number}"))),
            None => (String::new(), None),
        }
    }
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
            format!(
                "{} {} \u{2192} {}",
                field.name, field.expected, field.actual
            )
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
        Row::Packet {
            from, hits, lost, ..
        } => Some((*from, hits.clone(), lost.clone())),
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
