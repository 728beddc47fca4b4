//! What the machine knows of a frame's way through the run. Read by the comparison, which says it of
//! what differs.

use bytes::Bytes;

use super::mismatch::Trace;
use crate::{
    base::Tag,
    frame,
    record::{Event, EventKind, Place, SentFrame, Transcript},
    wording::FateWords,
};

/// A frame's way: where it was sent, then every place that saw it.
struct Station {
    place: String,
    step: usize,
    data: Bytes,
}

/// Where a frame last had the values that were expected of the fields `wrong`, by what the machine
/// saw of the frame with this tag.
///
/// An object records a frame as it reaches it. So the last object that saw it right is the one
/// that changed it, and the place before passed it on as it should be.
pub(super) fn trace(
    actual: &Transcript,
    tag: Tag,
    expected: &[u8],
    wrong: &[&str],
    masks: &[&str],
) -> Option<Trace> {
    let stations = stations(actual, tag, expected.len());
    let expected = frame::mask(expected, masks);
    let right = |station: &Station| {
        let seen = frame::mask(&station.data, masks);
        let differs = frame::diff(&expected, &seen);
        !differs.iter().any(|field| wrong.contains(&AsRef::<str>::as_ref(&field.name)))
    };
    let last = stations.iter().take_while(|station| right(station)).count().checked_sub(1)?;
    let changed_in = (last > 0).then(|| stations[last].place.clone());
    let passed_on = &stations[last.saturating_sub(1)];
    Some(Trace { last_right: passed_on.place.clone(), step: passed_on.step, changed_in })
}

/// What became of an expected frame that never came: a drop of a frame with these bytes, else what
/// took the first of them, or the last place that saw it.
pub(super) fn fate(actual: &Transcript, data: &[u8]) -> Option<String> {
    let sent = actual.steps.iter().flat_map(|step| &step.sent);
    let tags: Vec<_> = sent.filter(|sent| sent.frame.data == data).map(|sent| sent.tag).collect();
    let events: Vec<_> = actual
        .steps
        .iter()
        .flat_map(|step| step.events.iter().map(move |event| (step.index, event)))
        .filter(|(_, event)| event.tag.is_some_and(|tag| tags.contains(&tag)))
        .collect();
    let in_step = |(step, event): &(usize, &Event)| Some(FateWords::of(event)?.in_step(*step));
    let dropped = events.iter().find(|(_, event)| matches!(event.kind, EventKind::Dropped(_)));
    let of_first = || events.iter().filter(|(_, event)| event.tag == tags.first().copied());
    let consumed = || {
        let ends =
            |event: &Event| matches!(event.kind, EventKind::Consumed | EventKind::Spent { .. });
        of_first().find(|(_, event)| ends(event)).and_then(in_step)
    };
    let seen = || {
        let mut seen = of_first().filter(|(_, event)| matches!(event.kind, EventKind::Seen { .. }));
        Some(format!("last {}", in_step(seen.next_back()?)?))
    };
    dropped.and_then(in_step).or_else(consumed).or_else(seen)
}

/// What impairments of the scenario did to a frame, but for losing it.
pub(super) fn impaired(actual: &Transcript, tag: Tag) -> Option<String> {
    let done: Vec<_> = actual
        .steps
        .iter()
        .flat_map(|step| step.events.iter().map(move |event| (step.index, event)))
        .filter(|(_, event)| event.tag == Some(tag))
        .filter(|(_, event)| matches!(event.kind, EventKind::Impaired(_)))
        .filter_map(|(step, event)| Some(FateWords::of(event)?.done_in_step(step)))
        .collect();
    (!done.is_empty()).then(|| done.join(", "))
}

/// Where a frame that came was sent, and the last place that saw it.
pub(super) fn way(actual: &Transcript, tag: Tag) -> Option<String> {
    let stations = stations(actual, tag, 0);
    let (first, last) = (stations.first()?, stations.last()?);
    let from = format!("sent at {} in step {}", first.place, first.step);
    Some(match stations.len() {
        1 => from,
        _ => format!("{from}, last seen at {} in step {}", last.place, last.step),
    })
}

/// A frame's way through the run. In a chain whose frames carry a virtio-net header, the header
/// stands in front of what was seen: it is cut off where the rest has the expected length.
fn stations(actual: &Transcript, tag: Tag, length: usize) -> Vec<Station> {
    let mut stations = Vec::new();
    for step in &actual.steps {
        let sent = step.sent.iter().filter(|sent| sent.tag == tag);
        stations.extend(sent.map(|sent: &SentFrame| Station {
            place: sent.port.to_string(),
            step: step.index,
            data: sent.frame.data.clone(),
        }));
        for event in step.events.iter().filter(|event| event.tag == Some(tag)) {
            let EventKind::Seen { data, .. } = &event.kind else {
                continue;
            };
            let header = data.len().checked_sub(length).filter(|extra| [10, 12].contains(extra));
            let place = match &event.place {
                Place::Object(id) => id.to_string(),
                other => other.to_string(),
            };
            let data = data.slice(header.unwrap_or(0)..);
            stations.push(Station { place, step: step.index, data });
        }
    }
    stations
}
