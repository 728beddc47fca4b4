//! Frames of capture files in a section that are not those that a run sent. A section has their
//! digests and not their bytes, so the rest of it can't be read without them.

use std::collections::BTreeMap;

use super::{
    fields::beside,
    frame_pair::FramePair,
    mismatch::{Difference, What},
};
use crate::{
    format::{parse_source, sha, token::take_word},
    reading::number_of,
    record::{SentFrame, SourceFrame, Step, Transcript},
};

/// The frames of capture files that were sent differently; in each step also how many were sent,
/// where that is not the same.
pub(super) fn differences(section: &str, actual: &Transcript) -> Vec<Difference> {
    let sent: BTreeMap<u32, (&Step, &SentFrame)> = actual
        .steps
        .iter()
        .flat_map(|step| step.sent.iter().map(move |sent| (number_of(sent), (step, sent))))
        .collect();
    let mut found = Vec::new();
    let mut gone: BTreeMap<usize, usize> = BTreeMap::new();
    let mut index = 0;
    for line in section.lines() {
        if let Some(step) = step_of(line) {
            index = step;
        }
        let Some(reviewed) = Reviewed::read(line) else {
            continue;
        };
        match sent.get(&reviewed.number) {
            Some((step, sent)) if step.index == index => found.extend(reviewed.sent(step, sent)),
            _ => *gone.entry(index).or_default() += 1,
        }
    }
    for (index, gone) in gone {
        let step = actual.steps.iter().find(|step| step.index == index);
        let came = step.map_or(0, |step| step.sent.len());
        let what = What::Value {
            name: "sent frames".to_owned(),
            expected: (came + gone).to_string(),
            actual: came.to_string(),
        };
        found.push(Difference {
            step: index,
            title: step.map_or_else(String::new, |step| step.title.clone()),
            line: step.map_or(0, |step| step.line),
            port: None,
            what,
            frames: FramePair::default(),
        });
    }
    found.sort_by_key(|difference| difference.step);
    found
}

/// `[3] send hn0.guest`
fn step_of(line: &str) -> Option<usize> {
    let (index, _) = line.strip_prefix('[')?.split_once("] ")?;
    index.parse().ok()
}

/// `talk.pcap[6]`
fn packet_of(source: &SourceFrame) -> String {
    format!("{}[{}]", source.file.display(), source.number)
}

/// What a section has of a frame of a capture file.
struct Reviewed {
    number: u32,
    /// `talk.pcap[6]`
    packet: String,
    sha: String,
}

impl Reviewed {
    fn read(line: &str) -> Option<Self> {
        let (number, rest) = line.trim_start().strip_prefix('#')?.split_once(' ')?;
        let rest = match rest.strip_prefix("at ") {
            Some(rest) => take_word(rest, &[])?.1.strip_prefix(' ')?.to_owned(),
            None => rest.to_owned(),
        };
        let (source, sha, _) = parse_source(&rest)?;
        Some(Self { number: number.parse().ok()?, packet: packet_of(&source), sha })
    }

    /// How the frame was sent, where that is another way.
    fn sent(&self, step: &Step, sent: &SentFrame) -> Option<Difference> {
        let source = sent.source.as_ref();
        let packet = source.map_or_else(|| "no capture".to_owned(), packet_of);
        let sha = sha(&sent.frame.data);
        let mut fields = Vec::new();
        if packet != self.packet {
            fields.push(beside("capture", &self.packet, &packet));
        }
        if sha != self.sha {
            let name = format!("sha of {packet}");
            fields.push(beside(&name, &self.sha, &sha));
        }
        (!fields.is_empty()).then(|| Difference {
            step: step.index,
            title: step.title.clone(),
            line: step.line,
            port: Some(sent.port.to_string()),
            what: What::Sent { number: self.number, fields },
            frames: FramePair::default(),
        })
    }
}
