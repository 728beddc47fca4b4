//! A record for Wireshark. Read by the runner, which keeps it of what failed, and by bundles.

use std::{io::Write, time::Duration};

use crate::{
    base::{Frame, VirtualTime},
    capture::{WriteError, Writer},
    reading::{Entry, Reading},
    wording::vnet_words,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        capture,
        format::fixture::{bytes_at, ethernet, frame_at, framed, read, sent, step, transcript},
    };

    #[test]
    fn packets_keep_their_order_and_their_bytes() {
        let frame = ethernet(b"one");
        let mut first = step(1, "send hn0.guest");
        first.sent = vec![sent(1, "hn0.guest", &frame)];
        first.arrivals = vec![bytes_at("out0", &framed(&frame)), frame_at("hn0.host", &frame)];
        first.clock = VirtualTime::ZERO + Duration::from_secs(3);
        let mut late = frame_at("hn0.host", &ethernet(b"late"));
        late.at = first.clock;
        first.arrivals.insert(0, late);
        let file = write_pcapng(&read(&transcript(vec![first])), Vec::new()).unwrap();
        let packets = capture::read(&file).unwrap().packets;
        let found: Vec<_> =
            packets.iter().map(|packet| (packet.time, &packet.data[14..])).collect();
        let expected: [(Duration, &[u8]); 4] = [
            (Duration::from_micros(1), b"one"),
            (Duration::from_micros(2), b"one"),
            (Duration::from_micros(3), b"one"),
            (Duration::from_micros(3_000_004), b"late"),
        ];
        assert_eq!(found, expected);
        let text = String::from_utf8_lossy(&file);
        for comment in ["[1] send hn0.guest: #1 sent", "[1] send hn0.guest: received", "hn0.host"] {
            assert!(text.contains(comment), "{comment}");
        }
    }
}
