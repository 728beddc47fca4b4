//! `filter-buffer`: holds packets and releases them together, each time a period of the VM's clock
//! is over (QEMU 10.2.2 `net/filter-buffer.c`).

use std::{collections::VecDeque, time::Duration};

use serde_json::Value;

use crate::{
    base::{Interface, QemuVersion, Quirk, Tag, VirtualTime},
    machine::{
        Output,
        clock::next_beat,
        core::{Core, Packet, QUEUE_LIMIT},
        part::{Action, Context, Part, Verdict},
    },
    qapi::Spec,
    record::{CommandError, DropReason, EventKind},
};

#[derive(Debug)]
struct Buffer {
    held: VecDeque<Packet>,
    /// A release that goes on.
    release: Option<Release>,
    /// The status that it has acted on.
    on: bool,
    /// Until a period ends early, its length is what `interval` was when the period began.
    interval: Duration,
    /// The end of a period, on the VM's clock; those after it follow in steps of `interval`. QEMU's
    /// timer fires at each; here only those are looked at that find something to release.
    period: VirtualTime,
    /// The last release changed nothing, and the next won't before something else happens.
    futile: bool,
}

/// A release, one packet after the other.
#[derive(Debug)]
struct Release {
    why: Why,
    /// The packet that is on its way.
    tried: Option<Packet>,
}

/// What a release is for.
#[derive(Clone, Copy, Debug)]
enum Why {
    /// A period is over. So many outputs were there before.
    Period(usize),
    SwitchedOff,
    Cleanup,
}

pub(super) fn make(cx: &mut Context<'_>, spec: &Spec) -> Result<Box<dyn Part>, CommandError> {
    let interval = micros(spec.values.get("interval"));
    Ok(Box::new(Buffer {
        held: VecDeque::new(),
        release: None,
        on: cx.base.on,
        interval,
        period: cx.core.vm_now() + interval,
        futile: false,
    }))
}

/// Whether it may stand before a redirector on a vhost netdev.
pub(super) fn bypasses_chain(version: QemuVersion, _: &Spec) -> bool {
    version.interface() == Some(Interface::OwnVhostTap)
}

fn micros(value: Option<&Value>) -> Duration {
    Duration::from_micros(value.and_then(Value::as_u64).unwrap_or(1))
}

impl Part for Buffer {
    fn holds_packets(&self) -> bool {
        true
    }

    /// Takes every packet; its sender goes on as if it had been sent. An empty one is held and
    /// passed on as well: its length, 0, says "not taken".
    fn receive(&mut self, cx: &mut Context<'_>, packet: &Packet) -> Verdict {
        self.catch_up(cx.core.vm_now());
        let limited = cx.has(Quirk::BufferDropsWhenFull);
        if limited && self.held.len() >= QUEUE_LIMIT {
            cx.drop_frame(packet.tag, DropReason::QueueFull);
        } else {
            self.held.push_back(Packet { resume: None, ..packet.clone() });
            cx.event(packet.tag, EventKind::Queued);
        }
        if packet.data.is_empty() { Verdict::Pass } else { Verdict::Take }
    }

    /// Switched off it releases what it holds; switched on, its period begins anew. A new interval
    /// holds from the end of the running period on.
    fn changed(&mut self, cx: &mut Context<'_>) {
        let now = cx.core.vm_now();
        self.catch_up(now);
        self.interval = micros(cx.value("interval"));
        let was_on = std::mem::replace(&mut self.on, cx.base.on);
        if self.on && !was_on {
            self.period = now + self.interval;
        } else if was_on && !self.on {
            self.release(cx, Why::SwitchedOff);
        }
    }

    fn deadline(&self, core: &Core) -> Option<VirtualTime> {
        let waits = self.on && !self.held.is_empty() && !self.futile;
        waits.then(|| core.vm_deadline(self.period)).flatten()
    }

    fn due(&mut self, cx: &mut Context<'_>) {
        self.release(cx, Why::Period(cx.core.out.len()));
    }

    /// A release that changed nothing may have waited for this: it is tried again, at its times.
    fn stirred(&mut self, core: &Core) {
        if std::mem::take(&mut self.futile) {
            self.period = next_beat(self.period, self.interval, core.vm_now());
        }
    }

    /// Passes what is held to the next filter, the oldest first, until one is not taken, which only
    /// an empty packet is not: what the netdev sent is thrown away then, that one with it, and what
    /// its peer sent stays (QEMU 10.2.2 net/filter-buffer.c:31-44).
    fn resume(&mut self, cx: &mut Context<'_>, last: Verdict) {
        let Some(Release { why, tried }) = self.release.take() else {
            return;
        };
        if let Some(packet) = tried.filter(|_| last == Verdict::Pass) {
            self.held.push_front(packet);
            let of_netdev = |packet: &Packet| cx.base.netdev == Some(packet.sender);
            let (purged, kept) = self.held.drain(..).partition(of_netdev);
            self.held = kept;
            drop_all(cx, purged);
            return self.released(cx, why);
        }
        let next = if cx.core.dead { None } else { self.held.pop_front() };
        let Some(packet) = next else {
            return self.released(cx, why);
        };
        cx.then(Action::PassOn(cx.base.onward(packet.sender), packet.clone()));
        cx.then(Action::Resume);
        self.release = Some(Release { why, tried: Some(packet) });
    }

    fn unfinished(&mut self) -> Vec<(Tag, DropReason)> {
        let tags = self.held.drain(..).filter_map(|packet| packet.tag);
        tags.map(|tag| (tag, DropReason::Buffered)).collect()
    }

    fn cleanup(&mut self, cx: &mut Context<'_>) {
        self.release(cx, Why::Cleanup);
    }
}

impl Buffer {
    /// Looks at the first end of a period that is later than `now`, unless an earlier one has yet
    /// to release something: it is late when the main loop waited for a reader.
    fn catch_up(&mut self, now: VirtualTime) {
        if self.held.is_empty() {
            self.period = next_beat(self.period, self.interval, now);
        }
    }

    fn release(&mut self, cx: &mut Context<'_>, why: Why) {
        self.release = Some(Release { why, tried: None });
        cx.then(Action::Resume);
    }

    /// A release is over.
    fn released(&mut self, cx: &mut Context<'_>, why: Why) {
        match why {
            Why::Period(from) => {
                self.futile = only_lost_a_copy(cx.core, from);
                self.period = cx.core.vm_now() + self.interval;
            }
            Why::SwitchedOff => {}
            Why::Cleanup => {
                let left = std::mem::take(&mut self.held);
                drop_all(cx, left);
            }
        }
    }
}

fn drop_all(cx: &mut Context<'_>, packets: VecDeque<Packet>) {
    for packet in packets {
        cx.drop_frame(packet.tag, DropReason::Purged);
    }
}

/// Whether all that came out is that a packet found a full queue. Where a release ends there, it
/// tried an empty packet whose copies fill the queue of a receiver that takes no more, and leaves
/// everything as it was; QEMU tries it again each period, for ever.
fn only_lost_a_copy(core: &Core, from: usize) -> bool {
    let came = core.out.get(from..).unwrap_or_default();
    let lost = |output: &Output| match output {
        Output::Event(event) => event.kind == EventKind::Dropped(DropReason::QueueFull),
        _ => false,
    };
    let told = |output: &&Output| match output {
        Output::Event(event) => !matches!(event.kind, EventKind::Seen { .. }),
        _ => true,
    };
    let mut came = came.iter().filter(told);
    core.freeze.is_none() && came.next().is_some_and(lost) && came.next().is_none()
}
