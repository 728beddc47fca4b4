//! The account of a case's frames: how many were sent, and what became of them.

use std::collections::BTreeSet;

use crate::{
    base::{Origin, PortId, Tag},
    reading::Reading,
    record::{Accounting, EventKind, Item, PortKind},
};

/// Adds up what became of every frame that was sent.
pub(super) fn account(reading: &Reading) -> Accounting {
    let transcript = reading.transcript();
    let steps = &transcript.steps;
    let sent: BTreeSet<Tag> =
        steps.iter().flat_map(|step| &step.sent).map(|frame| frame.tag).collect();
    let mut explained = BTreeSet::new();
    let mut dropped = 0;
    let mut strangers = 0;
    // What a dump writes down is neither the end of a frame nor the whole of its file.
    let is_file = |id: &PortId| {
        let port = transcript.ports.iter().find(|port| port.id == *id);
        port.is_some_and(|port| port.kind == PortKind::File)
    };
    for step in steps {
        for arrival in step.arrivals.iter().filter(|one| !is_file(&one.port)) {
            match (arrival.tag, &arrival.item) {
                (Some(tag), _) => {
                    explained.insert(tag);
                }
                (None, Item::Frame(_) | Item::Bytes(_)) => strangers += 1,
                (None, Item::Eof) => {}
            }
        }
        for event in &step.events {
            let Some(tag) = event.tag else { continue };
            match event.kind {
                EventKind::Dropped(_) => {
                    explained.insert(tag);
                    dropped += usize::from(!matches!(tag.0, Origin::Host(_)));
                }
                EventKind::Consumed | EventKind::Spent { .. } => {
                    explained.insert(tag);
                }
                _ => {}
            }
        }
    }
    let arrivals = transcript.ports.iter().map(|port| reading.count_at(&port.id)).sum();
    Accounting {
        sent: sent.len(),
        arrivals,
        dropped,
        unexplained: sent.difference(&explained).count() + strangers,
    }
}
