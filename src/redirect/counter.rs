//! What a redirector counts, and the three forms in which it is told: text, JSON, Prometheus.

use std::fmt::Write;

use serde_json::{Map, Value, json};

/// Why a frame that had come in whole did not go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReason {
    /// Nobody was connected at the output.
    NotConnected,
    /// The connection broke while a part of the frame was written.
    Disconnected,
    /// The frame has no bytes.
    Empty,
    /// Longer than the framing of a stream allows.
    Oversize,
    /// Longer than the interface's MTU allows.
    TooLong,
    /// Too short for Ethernet, or its virtio-net header is malformed.
    Invalid,
    /// The stream announced a virtio-net header that the frame can't have.
    BadVnetHdr,
    /// It did not fit into a block of the ring.
    Truncated,
    /// The interface's queue was full for longer than it is waited for.
    TxQueueFull,
    InterfaceDown,
    InterfaceGone,
    /// The system refused it for another reason.
    Refused,
    /// It was held at the end, and nobody took it in time.
    Undelivered,
}

impl DropReason {
    const ALL: [Self; 13] = [
        Self::NotConnected,
        Self::Disconnected,
        Self::Empty,
        Self::Oversize,
        Self::TooLong,
        Self::Invalid,
        Self::BadVnetHdr,
        Self::Truncated,
        Self::TxQueueFull,
        Self::InterfaceDown,
        Self::InterfaceGone,
        Self::Refused,
        Self::Undelivered,
    ];

    /// Its name in every form.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotConnected => "not_connected",
            Self::Disconnected => "disconnected",
            Self::Empty => "empty",
            Self::Oversize => "oversize",
            Self::TooLong => "too_long",
            Self::Invalid => "invalid",
            Self::BadVnetHdr => "bad_vnet_hdr",
            Self::Truncated => "truncated",
            Self::TxQueueFull => "tx_queue_full",
            Self::InterfaceDown => "interface_down",
            Self::InterfaceGone => "interface_gone",
            Self::Refused => "refused",
            Self::Undelivered => "undelivered",
        }
    }
}

/// Frames and their bytes, without virtio-net headers and framing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    pub packets: u64,
    pub bytes: u64,
}

impl Traffic {
    pub(super) fn add(&mut self, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
    }
}

/// What has been counted since the start. Each frame that came in whole went out, was dropped for one
/// reason, or is held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Whole frames that were taken.
    pub input: Traffic,
    /// Frames that the kernel took from us.
    pub output: Traffic,
    drops: [u64; DropReason::ALL.len()],
    /// Frames that the kernel captured and had no room for in the ring.
    pub kernel_drops: u64,
    /// Frames that a connection's end cut.
    pub incomplete: u64,
    /// Streams that announced a frame longer than any may be.
    pub bad_length: u64,
    /// Captured frames whose transport checksum the kernel had left to the device.
    pub checksum_partial: u64,
    /// Times that the output took no more for a while.
    pub stalls: u64,
    /// Connections after the first, and interfaces that came back.
    pub input_reconnects: u64,
    pub output_reconnects: u64,
}

impl Counters {
    pub(super) fn drop_frames(&mut self, reason: DropReason, count: usize) {
        self.drops[reason as usize] += count as u64;
    }

    /// Frames dropped for this reason.
    #[must_use]
    pub const fn dropped(&self, reason: DropReason) -> u64 {
        self.drops[reason as usize]
    }
}

/// The counters, and what is held at this moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    pub counters: Counters,
    /// Frames that have been captured or read and not been sent on.
    pub held: u64,
    /// Bytes, as the kernel counts them, that the reader of the output has not taken.
    pub unread: u64,
    /// The kernel takes the frames itself, and counts few of these things: the others are not told.
    pub offloaded: bool,
}

impl Status {
    /// As an object: what `redirect` prints at its end.
    #[must_use]
    pub fn json(&self) -> Value {
        let Counters { input, output, .. } = &self.counters;
        let here = |count: u64| if self.offloaded { Value::Null } else { Value::from(count) };
        let drops = self
            .reasons()
            .map(|reason| (reason.name().to_owned(), Value::from(self.counters.dropped(reason))));
        json!({
            "in": {
                "packets": input.packets, "bytes": input.bytes,
                "reconnects": self.counters.input_reconnects,
                "kernel_drops": here(self.counters.kernel_drops),
                "incomplete": here(self.counters.incomplete),
                "bad_length": here(self.counters.bad_length),
                "checksum_partial": here(self.counters.checksum_partial),
            },
            "out": {
                "packets": output.packets, "bytes": here(output.bytes),
                "reconnects": self.counters.output_reconnects,
                "stalls": here(self.counters.stalls),
            },
            "drops": drops.collect::<Map<String, Value>>(),
            "queue": { "packets": here(self.held), "unread_bytes": here(self.unread) },
        })
    }

    /// One line for people: what is not zero.
    #[must_use]
    pub fn text(&self) -> String {
        let Counters { input, output, .. } = &self.counters;
        let mut line = format!(
            "in {} packets {} bytes, out {} packets",
            input.packets, input.bytes, output.packets
        );
        if !self.offloaded {
            // Writing to a text never fails.
            let _ = write!(line, " {} bytes, {} held", output.bytes, self.held);
        }
        let drops = DropReason::ALL.iter();
        let drops = drops.map(|reason| (reason.name(), self.counters.dropped(*reason)));
        let others = self.others().map(|(name, _, value)| (name, value)).chain([
            ("input_reconnects", self.counters.input_reconnects),
            ("output_reconnects", self.counters.output_reconnects),
        ]);
        for (name, count) in drops.chain(others).filter(|(_, count)| *count > 0) {
            // Writing to a text never fails.
            let _ = write!(line, ", {name} {count}");
        }
        line
    }

    /// As Prometheus reads it: its text format 0.0.4.
    #[must_use]
    pub fn prometheus(&self) -> String {
        let mut text = String::new();
        let Counters { input, output, .. } = &self.counters;
        let mut family = |name: &str, kind: &str, help: &str, rows: &[(String, u64)]| {
            // Writing to a text never fails.
            let _ = writeln!(text, "# HELP tapwright_redirect_{name} {help}");
            let _ = writeln!(text, "# TYPE tapwright_redirect_{name} {kind}");
            for (labels, value) in rows {
                let _ = writeln!(text, "tapwright_redirect_{name}{labels} {value}");
            }
        };
        let ends = |of_input, of_output| {
            [("{end=\"in\"}".to_owned(), of_input), ("{end=\"out\"}".to_owned(), of_output)]
        };
        let bytes = ends(input.bytes, output.bytes);
        family("packets_total", "counter", "Whole frames.", &ends(input.packets, output.packets));
        family(
            "bytes_total",
            "counter",
            "Bytes of these frames, without headers of virtio-net and of the stream.",
            if self.offloaded { &bytes[..1] } else { &bytes },
        );
        let drops = self.reasons().map(|reason| {
            (format!("{{reason=\"{}\"}}", reason.name()), self.counters.dropped(reason))
        });
        family(
            "dropped_packets_total",
            "counter",
            "Frames that came in and did not go out.",
            &drops.collect::<Vec<_>>(),
        );
        family(
            "reconnects_total",
            "counter",
            "Connections after the first, and interfaces that came back.",
            &ends(self.counters.input_reconnects, self.counters.output_reconnects),
        );
        if self.offloaded {
            return text;
        }
        for (name, help, value) in self.others() {
            family(&format!("{name}_total"), "counter", help, &[(String::new(), value)]);
        }
        family(
            "queue_packets",
            "gauge",
            "Frames that have come in and have not gone out.",
            &[(String::new(), self.held)],
        );
        family(
            "queue_unread_bytes",
            "gauge",
            "Kernel memory of what the output's reader has not taken.",
            &[(String::new(), self.unread)],
        );
        text
    }

    /// Those that are counted.
    fn reasons(&self) -> impl Iterator<Item = DropReason> {
        let offloaded = self.offloaded;
        DropReason::ALL.into_iter().filter(move |it| !offloaded || *it == DropReason::Refused)
    }

    /// Counters that have no family: name, meaning, value.
    fn others(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let counters = &self.counters;
        [
            (
                "kernel_dropped_packets",
                "Frames that the kernel had no room for in the ring.",
                counters.kernel_drops,
            ),
            ("incomplete_frames", "Frames that a connection's end cut.", counters.incomplete),
            ("bad_lengths", "Streams that announced too long a frame.", counters.bad_length),
            (
                "checksum_partial_packets",
                "Captured frames whose checksum was left to the device.",
                counters.checksum_partial,
            ),
            ("stalls", "Times that the output took no more for a while.", counters.stalls),
        ]
        .into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> Status {
        let mut counters = Counters { kernel_drops: 3, ..Counters::default() };
        counters.input.add(64);
        counters.input.add(64);
        counters.output.add(64);
        counters.drop_frames(DropReason::TooLong, 1);
        Status { counters, held: 0, unread: 7, offloaded: false }
    }

    #[test]
    fn every_reason_has_its_own_place_and_name() {
        for (at, reason) in DropReason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, at);
        }
        assert_eq!(status().json()["drops"]["too_long"], 1);
    }

    #[test]
    fn a_line_for_people() {
        let expected = "in 2 packets 128 bytes, out 1 packets 64 bytes, 0 held, too_long 1, \
                        kernel_dropped_packets 3";
        assert_eq!(status().text(), expected);
    }

    #[test]
    fn an_object() {
        insta::assert_snapshot!(format!("{:#}", status().json()));
    }

    #[test]
    fn what_the_kernel_does_not_count_is_not_told() {
        let status = Status { offloaded: true, ..status() };
        assert_eq!(
            status.text(),
            "in 2 packets 128 bytes, out 1 packets, too_long 1, kernel_dropped_packets 3"
        );
        assert_eq!(status.json()["queue"]["packets"], Value::Null);
        assert_eq!(status.json()["drops"], json!({ "refused": 0 }));
        let text = status.prometheus();
        assert!(text.contains("bytes_total{end=\"in\"} 128\n"), "{text}");
        for other in ["bytes_total{end=\"out\"}", "reason=\"empty\"", "stalls", "queue"] {
            assert!(!text.contains(other), "{text}");
        }
    }

    #[test]
    fn for_prometheus() {
        insta::assert_snapshot!(status().prometheus());
    }
}
