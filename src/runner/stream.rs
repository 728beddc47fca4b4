use bytes::{Buf, Bytes, BytesMut};

use crate::{
    base::{Frame, PortId, VnetHdr},
    record::{Framing, Item, Step},
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

/// The complete frames in the bytes that arrived at a chardev's port; each end of file ends the
/// stream, and a new one begins.
pub(super) fn frames(port: &PortId, framing: Framing, steps: &[Step]) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut buffer = BytesMut::new();
    for arrival in steps
        .iter()
        .flat_map(|step| &step.arrivals)
        .filter(|a| a.port == *port)
    {
        match &arrival.item {
            Item::Bytes(bytes) => {
                buffer.extend_from_slice(bytes);
                while let Some(frame) = cut(&mut buffer, framing) {
                    frames.push(frame);
                }
            }
            Item::Frame(frame) => frames.push(frame.clone()),
            Item::Eof => buffer.clear(),
        }
    }
    frames
}

/// Cuts the first complete frame off the front.
fn cut(buffer: &mut BytesMut, framing: Framing) -> Option<Frame> {
    let header = match framing {
        Framing::Raw => return None,
        Framing::Plain => 4,
        Framing::Vnet => 8,
    };
    let word = |at: usize| {
        let bytes = buffer.get(at..at + 4)?;
        usize::try_from(u32::from_be_bytes(bytes.try_into().ok()?)).ok()
    };
    let length = word(0)?;
    let vnet = if framing == Framing::Vnet {
        word(4)?
    } else {
        0
    };
    if buffer.len() < header + length {
        return None;
    }
    buffer.advance(header);
    let mut data: Bytes = buffer.split_to(length).freeze();
    let hdr = data.split_to(vnet.min(length));
    Some(Frame {
        vnet: VnetHdr::from_bytes(&hdr),
        data,
    })
}
