use bytes::Bytes;

use super::mismatch::Trace;
use crate::{
    base::Tag,
    frame,
    record::{EventKind, Place, SentFrame, Transcript},
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

/// What became of an expected frame that never came: its drop, or the last place that saw it.
pub(super) fn fate(actual: &Transcript, tag: Tag) -> Option<String> {
    let events = || {
        let steps = actual.steps.iter();
        let events = steps.flat_map(|step| step.events.iter().map(move |event| (step, event)));
        events.filter(move |(_, event)| event.tag == Some(tag))
    };
    let dropped = events().find_map(|(step, event)| match event.kind {
        EventKind::Dropped(reason) => {
            Some(format!("dropped at {} in step {}: {reason}", event.place, step.index))
        }
        _ => None,
    });
    let consumed = || {
        events().find_map(|(step, event)| {
            let consumed = event.kind == EventKind::Consumed;
            consumed.then(|| format!("consumed by {} in step {}", event.place, step.index))
        })
    };
    let seen = || {
        let seen = events().filter(|(_, event)| matches!(event.kind, EventKind::Seen { .. }));
        seen.last().map(|(step, event)| format!("last seen at {} in step {}", event.place, step.index))
    };
    dropped.or_else(consumed).or_else(seen)
}

/// The first sent frame with these bytes.
pub(super) fn sent_as(actual: &Transcript, data: &[u8]) -> Option<Tag> {
    let sent = actual.steps.iter().flat_map(|step| &step.sent);
    sent.into_iter().find(|sent| sent.frame.data == data).map(|sent| sent.tag)
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
            let EventKind::Seen { data, .. } = &event.kind else { continue };
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
