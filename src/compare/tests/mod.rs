//! Records against each other, and what is said of where they differ.

mod comparing;
mod equal;
mod misplaced;
mod round_trip;

use super::{Mismatch, Rules};
use crate::{
    base::{Frame, Tag},
    format::fixture::{
        arrival, bytes_at, ethernet, event, frame_at, framed, read, sent, step, tcp, text,
        transcript,
    },
    record::{Event, EventKind, Item, Transcript},
};

fn compare(section: &str, actual: &Transcript, rules: Rules<'_>) -> Option<Mismatch> {
    super::compare(section, &read(actual), rules)
}

fn disagreement(one: &Transcript, other: &Transcript) -> Option<Mismatch> {
    super::disagreement(&read(one), &read(other))
}
