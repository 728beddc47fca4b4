use std::collections::BTreeMap;

use super::{FailureKind, stream};
use crate::{
    base::{Frame, PortId},
    diag::Span,
    frame,
    record::{Port, PortKind, Step},
    scenario::{Expectations, ExpectedFrames},
    snapshot::Sides,
};

/// Holds what arrived against what was expected, and remembers how far each port was looked at.
pub(super) struct Ledger {
    kinds: BTreeMap<PortId, PortKind>,
    masks: Vec<String>,
    looked_at: BTreeMap<PortId, usize>,
}

impl Ledger {
    pub(super) fn new(ports: &[Port], masks: &[String]) -> Self {
        let kinds = ports.iter().map(|port| (port.id.clone(), port.kind)).collect();
        Self { kinds, masks: masks.to_vec(), looked_at: BTreeMap::new() }
    }

    /// Whether nothing is wrong so far; looks at nothing for good.
    pub(super) fn satisfied(&self, expected: &Expectations, steps: &[Step]) -> bool {
        expected.ports.iter().all(|one| {
            self.compare(&one.port, &one.frames, &self.news(&one.port, steps)).is_empty()
        })
    }

    /// What is wrong with the arrivals since the last call.
    pub(super) fn judge(
        &mut self,
        expected: &Expectations,
        steps: &[Step],
    ) -> Vec<(Span, FailureKind)> {
        let mut failures = Vec::new();
        for one in &expected.ports {
            let wrong = self.compare(&one.port, &one.frames, &self.news(&one.port, steps));
            failures.extend(wrong.into_iter().map(|kind| (one.span, kind)));
        }
        for port in self.kinds.keys() {
            let count = self.all(port, steps).len();
            self.looked_at.insert(port.clone(), count);
        }
        failures
    }

    fn all(&self, port: &PortId, steps: &[Step]) -> Vec<Frame> {
        match self.kinds.get(port).and_then(|kind| kind.framing()) {
            Some(framing) => stream::frames(port, framing, steps),
            None => stream::whole_frames(port, steps).cloned().collect(),
        }
    }

    fn news(&self, port: &PortId, steps: &[Step]) -> Vec<Frame> {
        let mut frames = self.all(port, steps);
        frames.drain(..self.looked_at.get(port).copied().unwrap_or(0).min(frames.len()));
        frames
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
                            sides: Sides::of(Some(&expected.frame.data), Some(&got.data)),
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
