//! A difference at a port, before it is known in which step it is. Made by the passes over a port, read by the
//! comparison, which puts it in its place.

use super::{frame_pair::FramePair, mismatch::What};
use crate::{base::Tag, reading::Entry};

/// A difference at a port.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) what: What,
    pub(super) frames: FramePair,
    /// What the machine says the frame that came goes back to.
    pub(super) tag: Option<Tag>,
}

impl Found {
    pub(super) fn new(what: What, expected: Option<&Entry>, actual: Option<&Entry>) -> Self {
        let data = |entry: Option<&Entry>| Some(entry?.frame()?.data.clone());
        let tag = match actual {
            Some(Entry::Frame { tag, .. }) => *tag,
            _ => None,
        };
        let frames = FramePair { expected: data(expected), actual: data(actual) };
        Self { what, frames, tag }
    }
}
