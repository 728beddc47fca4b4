use bytes::BytesMut;

use crate::{
    base::{Frame, PortId},
    record::{Framing, Item, Step},
    snapshot,
};

/// The frames that arrived at a guest, host or link port.
pub(super) fn whole_frames<'a>(
    port: &'a PortId,
    steps: &'a [Step],
) -> impl Iterator<Item = &'a Frame> {
    steps
        .iter()
        .flat_map(|step| &step.arrivals)
        .filter(move |arrival| arrival.port == *port)
        .filter_map(|arrival| match &arrival.item {
            Item::Frame(frame) => Some(frame),
            Item::Bytes(_) | Item::Eof => None,
        })
}

/// The complete frames in the bytes that arrived at a chardev's port; where a connection ends, the
/// stream ends, and a new one begins.
pub(super) fn frames(port: &PortId, framing: Framing, steps: &[Step]) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut stream = BytesMut::new();
    let mut end = |stream: &mut BytesMut| {
        frames.extend(snapshot::frames_of(framing, &stream.split().freeze()));
    };
    for step in steps {
        if step.deed.closes(port) {
            end(&mut stream);
        }
        let arrivals = step.arrivals.iter();
        for arrival in arrivals.filter(|arrival| arrival.port == *port) {
            match &arrival.item {
                Item::Bytes(bytes) => stream.extend_from_slice(bytes),
                Item::Frame(_) => {}
                Item::Eof => end(&mut stream),
            }
        }
    }
    end(&mut stream);
    frames
}
