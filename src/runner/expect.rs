//! Holds what came out of ports against what a scenario expects of them, while the case runs and
//! when it is over.

use std::collections::BTreeMap;

use super::FailureKind;
use crate::{
    base::{Frame, PortId},
    compare::FramePair,
    diag::Span,
    frame,
    reading::Reader,
    scenario::{Expectations, ExpectedFrames},
};

/// Holds what arrived against what was expected, and remembers how many frames of each port were
/// judged.
pub(super) struct Ledger {
    masks: Vec<String>,
    judged: BTreeMap<PortId, usize>,
}

impl Ledger {
    pub(super) fn new(masks: &[String]) -> Self {
        Self { masks: masks.to_vec(), judged: BTreeMap::new() }
    }

    /// Whether nothing is wrong so far; judges nothing for good.
    pub(super) fn satisfied(&self, expected: &Expectations, reader: &Reader) -> bool {
        expected.ports.iter().all(|one| {
            let due = match &one.frames {
                ExpectedFrames::Count(number) => *number,
                ExpectedFrames::Exactly(frames) => frames.len(),
            };
            // Most often it is too early, and frames need not be looked at to see that.
            reader.count_at(&one.port).saturating_sub(self.judged_at(&one.port)) == due
                && self.compare(&one.port, &one.frames, &self.news(&one.port, reader)).is_empty()
        })
    }

    /// What is wrong with the arrivals since the last call.
    pub(super) fn judge(
        &mut self,
        expected: &Expectations,
        reader: &Reader,
    ) -> Vec<(Span, FailureKind)> {
        let mut failures = Vec::new();
        for one in &expected.ports {
            let wrong = self.compare(&one.port, &one.frames, &self.news(&one.port, reader));
            failures.extend(wrong.into_iter().map(|kind| (one.span, kind)));
        }
        for port in reader.ports() {
            self.judged.insert(port.clone(), reader.count_at(port));
        }
        failures
    }

    fn news(&self, port: &PortId, reader: &Reader) -> Vec<Frame> {
        reader.frames_at(port, self.judged_at(port))
    }

    fn judged_at(&self, port: &PortId) -> usize {
        self.judged.get(port).copied().unwrap_or(0)
    }

    fn compare(&self, port: &PortId, expected: &ExpectedFrames, got: &[Frame]) -> Vec<FailureKind> {
        let count =
            |expected: usize| FailureKind::Count { port: port.clone(), expected, got: got.len() };
        match expected {
            ExpectedFrames::Count(number) if *number == got.len() => Vec::new(),
            ExpectedFrames::Count(number) => vec![count(*number)],
            ExpectedFrames::Exactly(frames) => {
                let mut wrong: Vec<_> = (1..)
                    .zip(frames.iter().zip(got))
                    .filter_map(|(number, (expected, got))| {
                        let difference = self.difference(&expected.frame, got)?;
                        Some(FailureKind::Frame {
                            port: port.clone(),
                            number,
                            difference,
                            sides: FramePair::of(Some(&expected.frame.data), Some(&got.data)),
                        })
                    })
                    .collect();
                if frames.len() != got.len() {
                    wrong.push(count(frames.len()));
                }
                wrong
            }
        }
    }

    /// The fields in which two frames differ, apart from the masked ones.
    fn difference(&self, expected: &Frame, got: &Frame) -> Option<String> {
        if expected == got {
            return None;
        }
        let masks: Vec<&str> = self.masks.iter().map(String::as_str).collect();
        let (one, other) = (frame::mask(&expected.data, &masks), frame::mask(&got.data, &masks));
        let mut fields: Vec<String> = frame::diff(&one, &other)
            .into_iter()
            .map(|field| format!("{} {} -> {}", field.name, field.expected, field.actual))
            .collect();
        if expected.vnet != got.vnet {
            fields.push(format!("vnet header {} -> {}", expected.vnet, got.vnet));
        }
        (!fields.is_empty()).then(|| fields.join(", "))
    }
}
