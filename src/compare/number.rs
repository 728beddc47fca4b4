//! Which of the frames that were sent a frame of a record is. Read by the comparison, once something
//! differs.

use bytes::Bytes;

use super::mismatch::Seat;
use crate::reading::{Entry, Label, Reading, StepReading};

/// Which frames of a record are which of those that were sent.
pub(super) struct Numbers<'r>(pub(super) &'r Reading);

impl Numbers<'_> {
    /// `#n` of a frame at a port in a step.
    pub(super) fn sent(&self, step: usize, port: &str, frame: usize) -> Option<u32> {
        let step = self.0.all_steps().find(|one| one.step.index == step)?;
        let port = self.port(port)?;
        match self.0.labels()[step.at][port].get(frame.checked_sub(1)?)? {
            Label::Sent { number, .. } | Label::Cut { number } => Some(*number),
            Label::New => None,
        }
    }

    /// Where the bytes of a frame came out of the same port in an earlier step.
    pub(super) fn before(&self, step: usize, port: &str, frame: usize) -> Option<Seat> {
        let port = self.port(port)?;
        let frames = |step: &StepReading<'_>| -> Vec<Bytes> {
            let entries = step.entries[port].iter();
            let data = entries.filter_map(|entry| match entry {
                Entry::Frame { frame, .. } => Some(frame.data.clone()),
                _ => None,
            });
            data.collect()
        };
        let here = self.0.all_steps().find(|one| one.step.index == step)?;
        let this = frames(&here).into_iter().nth(frame.checked_sub(1)?)?;
        let earlier = self.0.all_steps().filter(|one| one.step.index < step);
        earlier.rev().find_map(|one| {
            let place = frames(&one).iter().position(|data| *data == this)?;
            let (step, line) = (one.step.index, one.step.line);
            Some(Seat { step, line, frame: place + 1 })
        })
    }

    fn port(&self, port: &str) -> Option<usize> {
        let ports = self.0.ports().iter();
        ports.map(|one| &one.id).position(|id| id.as_str() == port)
    }
}
