use bytes::Bytes;

use super::{
    label::{self, Label},
    mismatch::Seat,
    view::{Entry, StepView, View},
};

/// Which frames of a record are which of those that were sent.
pub(super) struct Numbers<'v, 't> {
    view: &'v View<'t>,
    labels: Vec<Vec<Vec<Label>>>,
}

impl<'v, 't> Numbers<'v, 't> {
    pub(super) fn of(view: &'v View<'t>) -> Self {
        let labels = label::labels(view);
        Self { view, labels }
    }

    /// `#n` of a frame at a port in a step.
    pub(super) fn sent(&self, step: usize, port: &str, frame: usize) -> Option<u32> {
        let step = self.view.steps.iter().position(|one| one.step.index == step)?;
        let port = self.port(port)?;
        match self.labels[step][port].get(frame.checked_sub(1)?)? {
            Label::Sent { number, .. } | Label::Cut { number } => Some(*number),
            Label::New => None,
        }
    }

    /// Where the bytes of a frame came out of the same port in an earlier step.
    pub(super) fn before(&self, step: usize, port: &str, frame: usize) -> Option<Seat> {
        let port = self.port(port)?;
        let frames = |step: &StepView<'_>| -> Vec<Bytes> {
            let entries = step.entries[port].iter();
            let data = entries.filter_map(|entry| match entry {
                Entry::Frame { frame, .. } => Some(frame.data.clone()),
                _ => None,
            });
            data.collect()
        };
        let here = self.view.steps.iter().find(|one| one.step.index == step)?;
        let this = frames(here).into_iter().nth(frame.checked_sub(1)?)?;
        let earlier = self.view.steps.iter().filter(|one| one.step.index < step);
        earlier.rev().find_map(|one| {
            let place = frames(one).iter().position(|data| *data == this)?;
            let (step, line) = (one.step.index, one.step.line);
            Some(Seat { step, line, frame: place + 1 })
        })
    }

    fn port(&self, port: &str) -> Option<usize> {
        let ports = self.view.ports.iter();
        ports.map(|one| &one.id).position(|id| id.as_str() == port)
    }
}
