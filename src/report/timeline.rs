//! A run packet by packet, as data: what the text of a record says, for pages and programs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    base::{Frame, Origin},
    format::token,
    frame::{self, hex},
    reading::{Entry, Label, Reading, StepReading, number_of},
    record::{Event, EventKind, Outcome},
    wording::{FateWords, Form, Requests, remark, rewritten, seconds, vnet_words},
};

/// The record of a run as a reader follows it, packet by packet: what the text of a transcript
/// says, as data, and each frame's bytes once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Course"))]
pub struct Timeline {
    /// The ports, in the order of declaration.
    pub ports: Vec<String>,
    /// The bytes of every frame that was sent or came, in hexadecimal.
    pub frames: Vec<String>,
    /// The steps in which something happened.
    pub steps: Vec<TimelineStep>,
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "CourseStep"))]
pub struct TimelineStep {
    /// 0 for the set-up.
    pub step: usize,
    /// `send hn0.guest`.
    pub title: String,
    /// Its line in the scenario.
    pub line: usize,
    /// The machine's clock at its end, in seconds.
    pub clock: String,
    /// What was sent, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sent: Vec<SentPacket>,
    /// What came out, port by port.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub came: Vec<ArrivedPacket>,
    /// What became of frames.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fates: Vec<Fate>,
    /// Answers of commands, and what else was said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<Remark>,
}

/// A frame that was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SentPacket {
    /// `#n`.
    pub number: u32,
    /// Its place among the ports.
    pub port: usize,
    /// Its place among the frames.
    pub frame: usize,
    /// The capture file that it comes from, and its virtio-net header where that is not zero.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub words: String,
}

/// What came out of a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "CamePacket"))]
pub struct ArrivedPacket {
    /// Its place among the ports.
    pub port: usize,
    /// Its place among the frames; none for what is no frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<usize>,
    /// The `#n` that it is, perhaps changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
    /// `padded to 60`, `with tcp.ack 1 -> 2`, `eof`; empty for a frame just as it was sent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub words: String,
}

/// What became of a frame at a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Fate {
    /// `#1`, `host 2`; empty where its origin is not known.
    pub frame: String,
    /// Its `#n`, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
    /// `dropped at f0: off`, `consumed by f0`, `seen at f0`.
    pub words: String,
    /// What kind that is.
    pub kind: FateKind,
}

/// The kinds of fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum FateKind {
    /// It went on.
    Passed,
    /// It, or this copy of it, ended there as it should.
    Ended,
    /// It was dropped.
    Dropped,
}

/// Something that was said in a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Said"))]
pub struct Remark {
    /// What.
    pub text: String,
    /// Whether it is one to look at: a refusal, a crash, a request for a checkpoint.
    #[serde(default)]
    pub grave: bool,
}

impl Timeline {
    /// Of a record.
    #[must_use]
    pub fn of(reading: &Reading) -> Self {
        let labels = reading.labels();
        let mut course = Self {
            ports: reading.ports().iter().map(|port| port.id.to_string()).collect(),
            ..Self::default()
        };
        let mut frames = Frames::default();
        let requests = Requests::of(reading.transcript());
        for step in reading.steps() {
            let step = course.step(&step, &labels[step.at], &mut frames, &requests);
            course.steps.push(step);
        }
        course.frames = frames.bytes.iter().map(|data| hex(data)).collect();
        course
    }

    fn step(
        &self,
        reading: &StepReading<'_>,
        labels: &[Vec<Label>],
        frames: &mut Frames,
        requests: &Requests<'_>,
    ) -> TimelineStep {
        let step = reading.step;
        let port = |name: &str| self.ports.iter().position(|port| port == name);
        let sent = step.sent.iter().map(|sent| {
            let mut words: Vec<String> = Vec::new();
            words.extend(
                sent.source
                    .as_ref()
                    .map(|source| format!("{}[{}]", source.file.display(), source.number)),
            );
            words.extend(header(&sent.frame));
            SentPacket {
                number: number_of(sent),
                port: port(sent.port.as_str()).unwrap_or_default(),
                frame: frames.of(&sent.frame.data),
                words: words.join(" "),
            }
        });
        let sent = sent.collect();
        let mut came = Vec::new();
        for (port, (entries, labels)) in reading.entries.iter().zip(labels).enumerate() {
            let mut labels = labels.iter();
            for entry in entries {
                came.push(match entry {
                    Entry::Frame { frame, whole, .. } => {
                        let label = labels.next().unwrap_or(&Label::New);
                        let (number, words) = labelled(label, frame, *whole);
                        ArrivedPacket { port, frame: Some(frames.of(&frame.data)), number, words }
                    }
                    other => {
                        ArrivedPacket { port, frame: None, number: None, words: beside(other) }
                    }
                });
            }
        }
        let mut said: Vec<Remark> = reading.answers().map(|one| answer(step, one)).collect();
        let remarks =
            step.events.iter().filter_map(|event| remark(event, requests, Form::Sentence));
        said.extend(remarks.map(|(text, grave)| Remark { text, grave }));
        TimelineStep {
            step: step.index,
            title: step.title.clone(),
            line: step.line,
            clock: seconds(step.clock),
            sent,
            came,
            fates: step.events.iter().filter_map(fate).collect(),
            said,
        }
    }
}

/// Frames by their bytes.
#[derive(Default)]
struct Frames {
    bytes: Vec<bytes::Bytes>,
    places: BTreeMap<bytes::Bytes, usize>,
}

impl Frames {
    fn of(&mut self, data: &bytes::Bytes) -> usize {
        let next = self.bytes.len();
        let place = *self.places.entry(data.clone()).or_insert(next);
        if place == next {
            self.bytes.push(data.clone());
        }
        place
    }
}

fn header(frame: &Frame) -> Option<String> {
    (!frame.vnet.is_zero()).then(|| vnet_words(frame.vnet))
}

fn labelled(label: &Label, frame: &Frame, whole: Option<usize>) -> (Option<u32>, String) {
    let mut words: Vec<String> = Vec::new();
    let number = match label {
        Label::New => {
            words.push("new".to_owned());
            words.extend(whole.map(|whole| format!("len={whole}")));
            None
        }
        Label::Cut { number } => {
            words.push(format!("cut to {}", frame.data.len()));
            Some(*number)
        }
        Label::Sent { number, padded, changes } => {
            words.extend(padded.map(|length| format!("padded to {length}")));
            if !changes.is_empty() {
                words.push(format!("with {}", frame::render_changes(changes)));
            }
            Some(*number)
        }
    };
    words.extend(header(frame));
    (number, words.join(" "))
}

fn beside(entry: &Entry) -> String {
    match entry {
        Entry::Frame { .. } => String::new(),
        Entry::Begun(size) => format!("begun {size} B"),
        Entry::Pcap(maxlen) => format!("a pcap file begins, maxlen={maxlen}"),
        Entry::Raw(bytes) => format!("raw {} B {}", bytes.len(), token::raw_hex(bytes)),
        Entry::Eof => "eof".to_owned(),
    }
}

fn answer(step: &crate::record::Step, answer: &crate::record::Answer) -> Remark {
    let command =
        if answer.command == step.title { String::new() } else { format!("{}: ", answer.command) };
    let (text, grave) = match &answer.outcome {
        Outcome::Done(value) => (value.to_string(), false),
        Outcome::Refused(error) => (format!("refused: {error}"), true),
        Outcome::Aborts(abort) => (format!("this QEMU aborts here: {}", abort.assertion), true),
        Outcome::Unanswered(why) => (why.to_string(), true),
    };
    Remark { text: format!("{command}{text}"), grave }
}

fn fate(event: &Event) -> Option<Fate> {
    let words = match &event.kind {
        EventKind::Rewritten { field, old, new } => {
            format!("{} by {}", rewritten(field, *old, *new, false), event.place)
        }
        _ => FateWords::of(event)?.sentence(),
    };
    let kind = match event.kind {
        EventKind::Dropped(_) => FateKind::Dropped,
        EventKind::Consumed | EventKind::Spent { .. } => FateKind::Ended,
        _ => FateKind::Passed,
    };
    Some(Fate {
        frame: event.tag.map_or_else(String::new, |tag| tag.to_string()),
        number: event.tag.and_then(|tag| match tag.0 {
            Origin::Sent(number) => Some(number),
            Origin::Written(_) | Origin::Host(_) => None,
        }),
        words,
        kind,
    })
}
