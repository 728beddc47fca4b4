use std::{io::Write, time::Duration};

use super::text::vnet_words;
use crate::{
    base::{Frame, VirtualTime},
    capture::{WriteError, Writer},
    reading::{Entry, Reading},
};

/// Writes a record as pcapng: an interface for each port, in the order of declaration; what
/// was sent stands at its port too. The time of a packet is that of the machine's clock and a
/// microsecond for each packet before it, so that any reader keeps the order. Each packet's comment
/// says the step, whether it was sent or received there, and the virtio-net header where it is not
/// zero. Bytes of a chardev that are no frame are left out: they are no packets.
///
/// # Errors
/// When the destination refuses, or a frame is longer than the format allows.
pub fn write_pcapng<W: Write>(reading: &Reading, destination: W) -> Result<W, WriteError> {
    let ports = reading.ports();
    let names: Vec<_> = ports.iter().map(|port| port.id.as_str()).collect();
    let mut writer = Packets { writer: Writer::new(destination, &names)?, count: 0 };
    let mut began = VirtualTime::ZERO;
    for step in reading.steps() {
        let title = format!("[{}] {}", step.step.index, step.step.title);
        for sent in &step.step.sent {
            let Some(port) = reading.position(&sent.port) else { continue };
            writer.put(port, began, &sent.frame, &format!("{title}: {} sent", sent.tag))?;
        }
        let entries = step.entries.iter().enumerate();
        let frames = entries.flat_map(|(port, entries)| entries.iter().map(move |e| (port, e)));
        let mut frames: Vec<_> = frames
            .filter_map(|(port, entry)| match entry {
                Entry::Frame { frame, at, .. } => Some((*at, port, frame)),
                Entry::Begun(_) | Entry::Pcap(_) | Entry::Raw(_) | Entry::Eof => None,
            })
            .collect();
        frames.sort_by_key(|(at, ..)| *at);
        for (at, port, frame) in frames {
            writer.put(port, at, frame, &format!("{title}: received"))?;
        }
        began = step.step.clock;
    }
    Ok(writer.writer.into_inner())
}

struct Packets<W: Write> {
    writer: Writer<W>,
    count: u64,
}

impl<W: Write> Packets<W> {
    fn put(
        &mut self,
        port: usize,
        at: VirtualTime,
        frame: &Frame,
        comment: &str,
    ) -> Result<(), WriteError> {
        self.count += 1;
        let time = at.elapsed() + Duration::from_micros(self.count);
        let comment = match frame.vnet.is_zero() {
            true => comment.to_owned(),
            false => format!("{comment}; {}", vnet_words(frame.vnet)),
        };
        self.writer.packet(port, time, &frame.data, Some(&comment))
    }
}
