//! `colo-compare`: holds what the primary guest sends until the secondary guest has sent the same,
//! and asks for a checkpoint when they have gone apart (QEMU 10.2.2 `net/colo-compare.c`).
//!
//! | file | subject |
//! |---|---|
//! | `create` | properties at work, completion, deletion |
//! | `ingest` | bytes of the inputs to packets, packets to connections, and what comes of them |
//! | `packet`, `connection` | a packet; what is held of a connection |
//! | `pairwise`, `stream` | TCP as QEMU compares it, and as a mended comparer does |
//! | `datagram` | everything else |
//! | `sender` | what is written to outdev and notify_dev, and waits when nobody reads |
//! | `notify` | requests for a checkpoint, messages on notify_dev, the scan for what is held too long |
//!
//! The comparisons know nothing of the machine: they work on a [`Connection`] by its [`Rules`], and
//! what they lead to is a list of [`connection::Effect`]s.

mod connection;
mod create;
mod datagram;
mod ingest;
mod notify;
mod packet;
mod pairwise;
mod sender;
mod stream;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;

use connection::Connection;
use create::make;
pub(super) use create::{refusal, share_queue_size};
use ingest::Input;
use sender::Sender;

use super::{
    ColoEvent,
    clock::next_beat,
    colo::Table,
    core::{ChardevKey, Core},
    part::{Class, Context, Part, Read},
};
use crate::{
    base::{Quirk, Tag, VirtualTime},
    qapi::Spec,
    record::{CommandError, DropReason, Fate},
};

pub(super) static CLASS: Class = Class::new("colo-compare", make);

#[derive(Debug)]
struct Compare {
    vnet: bool,
    timeout: Duration,
    scan_cycle: Duration,
    queue_limit: u32,
    /// A scan; those after it follow in steps of `scan_cycle`.
    next_scan: VirtualTime,
    /// The first scan that may find something: those before it are left out. None while nothing
    /// was held at the last one and nothing came since.
    wakes: Option<VirtualTime>,
    primary_in: Input,
    secondary_in: Input,
    notify_in: Option<Input>,
    out: Sender,
    notify_out: Option<Sender>,
    connections: Table<Connection>,
}

impl Compare {
    fn every_input(&self) -> impl Iterator<Item = &Input> {
        let both = [&self.primary_in, &self.secondary_in];
        both.into_iter().chain(&self.notify_in)
    }

    /// Something comes that a scan could find once it is too old: scans go on, at their times.
    /// What was held before is too old earlier.
    fn stir(&mut self, now: VirtualTime) {
        if self.wakes.is_none() {
            self.catch_up(now);
            self.wakes = Some(self.first_scan_for(now));
        }
    }

    /// The scans up to now found nothing.
    fn catch_up(&mut self, now: VirtualTime) {
        self.next_scan = next_beat(self.next_scan, self.scan_cycle, now);
    }

    /// Plans the scan that will find the oldest of what is held.
    fn plan(&mut self) {
        let oldest = self.connections.values().filter_map(Connection::oldest).min();
        self.wakes = oldest.map(|arrived| self.first_scan_for(arrived));
    }

    /// The first scan that finds what arrived then: one packet is too old when it is older than
    /// `timeout`.
    fn first_scan_for(&self, arrived: VirtualTime) -> VirtualTime {
        next_beat(self.next_scan, self.scan_cycle, arrived + self.timeout)
    }

    /// Forgets what its inputs had not completed, and what it held, which ends for this reason.
    fn end(&mut self, held: DropReason) -> Vec<(Tag, DropReason)> {
        let mut ends = Vec::new();
        let inputs = [&mut self.primary_in, &mut self.secondary_in];
        for input in inputs.into_iter().chain(&mut self.notify_in) {
            let cut = input.reassembler.reset();
            ends.extend(cut.into_iter().map(|tag| (tag, DropReason::Incomplete)));
        }
        let connections = self.connections.clear();
        let tags = connections.iter().flat_map(Connection::tags);
        ends.extend(tags.map(|tag| (tag, held)));
        ends
    }
}

/// How comparisons go: QEMU's ways are switches, and each is a [`Quirk`].
#[derive(Clone, Copy, Debug)]
struct Rules {
    /// A queue takes packets while it is no longer than this.
    queue_limit: u32,
    /// A full queue loses packets.
    full_drops: bool,
    /// The newest packet that is not TCP is compared first.
    newest_first: bool,
    /// TCP is compared pair by pair.
    pairwise: bool,
    /// The last acknowledgement counts as the highest.
    last_ack: bool,
    /// Compared up to 0 is not compared at all.
    seq_zero_unset: bool,
    /// Padding behind the IPv4 packet is payload.
    padding_counts: bool,
    /// Lengths are counted in 16 bits.
    lengths_wrap: bool,
    /// Protocols other than TCP, UDP and ICMP are compared with all their headers.
    others_whole: bool,
    /// What stands where a later fragment's ports would be are its ports.
    fragments_apart: bool,
    /// The primary's header lengths are taken for the secondary's too.
    vnet_of_primary: bool,
}

impl Rules {
    fn of(core: &Core, queue_limit: u32) -> Self {
        Self {
            queue_limit,
            full_drops: core.has(Quirk::CompareQueueFullDrops),
            newest_first: core.has(Quirk::CompareNontcpNewestFirst),
            pairwise: core.has(Quirk::CompareSegmentsPairwise),
            last_ack: core.has(Quirk::CompareLastAck),
            seq_zero_unset: core.has(Quirk::CompareSeqZeroUnset),
            padding_counts: core.has(Quirk::ComparePaddingIsPayload),
            lengths_wrap: core.has(Quirk::CompareLengthsWrap),
            others_whole: core.has(Quirk::CompareOthersWhole),
            fragments_apart: core.has(Quirk::CompareFragmentsApart),
            vnet_of_primary: core.has(Quirk::CompareVnetOfPrimary),
        }
    }
}

impl Part for Compare {
    fn own_thread(&self) -> bool {
        true
    }

    fn inputs(&self) -> Vec<ChardevKey> {
        self.every_input().map(|input| input.chardev).collect()
    }

    fn complete(&mut self, cx: &mut Context<'_>, _: &Spec) -> Result<(), CommandError> {
        create::joins(cx);
        Ok(())
    }

    fn read(
        &mut self,
        cx: &mut Context<'_>,
        chardev: ChardevKey,
        data: &mut Bytes,
        tag: Option<Tag>,
    ) -> Read {
        self.read_input(cx, chardev, data, tag)
    }

    fn closed(&mut self, cx: &mut Context<'_>, chardev: ChardevKey) {
        self.input_closed(cx, chardev);
    }

    fn writable(&mut self, cx: &mut Context<'_>, chardev: ChardevKey) {
        self.write_on(cx, chardev);
    }

    fn is_deaf(&self, chardev: ChardevKey) -> bool {
        self.every_input().any(|input| input.deaf && input.chardev == chardev)
    }

    fn changed(&mut self, cx: &mut Context<'_>) {
        self.go_by_values(cx);
    }

    /// The guests are equal again.
    fn colo(&mut self, cx: &mut Context<'_>, event: ColoEvent) {
        if event == ColoEvent::Checkpoint {
            self.flush(cx, Fate::Checkpoint);
        }
    }

    fn deadline(&self, _: &Core) -> Option<VirtualTime> {
        self.wakes
    }

    fn due(&mut self, cx: &mut Context<'_>) {
        self.scan(cx);
    }

    /// What its inputs had not completed, what it held, and what it could not write yet.
    fn unfinished(&mut self) -> Vec<(Tag, DropReason)> {
        let mut ends = self.end(DropReason::Held);
        let unread = self.out.waiting();
        ends.extend(unread.map(|tag| (tag, DropReason::NoReader)));
        ends
    }

    fn cleanup(&mut self, cx: &mut Context<'_>) {
        self.delete(cx);
    }
}
