//! `filter-buffer`: holds packets and releases them together, each time a period of the VM's clock
//! is over (QEMU 10.2.2 `net/filter-buffer.c`).

use std::{collections::VecDeque, time::Duration};

use serde_json::Value;

use super::{
    Output,
    clock::next_beat,
    core::{Core, ObjectKey},
    filter::{self, FilterClass, FilterState},
    netqueue::{Packet, QUEUE_LIMIT},
    property::Spec,
};
use crate::{
    base::{Quirk, Tag, VirtualTime},
    record::{CommandError, DropReason, EventKind},
};

pub(super) static CLASS: FilterClass = FilterClass {
    name: "filter-buffer",
    setup,
    receive,
    read: |_, _, _, _| true,
    closed: |_, _| {},
    changed,
    deadline,
    due,
    colo: filter::colo,
    unfinished,
    cleanup,
    refused: |_| {},
};

/// What a buffer keeps.
#[derive(Debug)]
pub(super) struct Buffer {
    held: VecDeque<Packet>,
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

impl Buffer {
    /// Looks at the first end of a period that is later than `now`, unless an earlier one has yet to
    /// release something: it is late when the main loop waited for a reader.
    fn catch_up(&mut self, now: VirtualTime) {
        if self.held.is_empty() {
            self.period = next_beat(self.period, self.interval, now);
        }
    }
}

fn setup(core: &mut Core, key: ObjectKey, spec: &Spec) -> Result<(), CommandError> {
    let interval = micros(spec.values.get("interval"));
    let period = core.vm_now() + interval;
    if let Some(filter) = core.filter_mut(key) {
        filter.state = FilterState::Buffer(Buffer {
            held: VecDeque::new(),
            on: filter.on,
            interval,
            period,
            futile: false,
        });
    }
    Ok(())
}

fn micros(value: Option<&Value>) -> Duration {
    Duration::from_micros(value.and_then(Value::as_u64).unwrap_or(1))
}

fn state(core: &mut Core, key: ObjectKey) -> Option<&mut Buffer> {
    match &mut core.filter_mut(key)?.state {
        FilterState::Buffer(buffer) => Some(buffer),
        _ => None,
    }
}

/// Takes every packet; its sender goes on as if it had been sent. An empty one is held and passed
/// on as well: its length, 0, says "not taken".
fn receive(core: &mut Core, key: ObjectKey, packet: &Packet) -> isize {
    let limited = core.has(Quirk::BufferDropsWhenFull);
    let now = core.vm_now();
    let place = core.object_place(key);
    let Some(buffer) = state(core, key) else {
        return 0;
    };
    buffer.catch_up(now);
    let kind = if limited && buffer.held.len() >= QUEUE_LIMIT {
        EventKind::Dropped(DropReason::QueueFull)
    } else {
        buffer.held.push_back(Packet { resume: None, ..packet.clone() });
        EventKind::Queued
    };
    core.event(place, packet.tag, kind);
    packet.data.len() as isize
}

/// Passes what is held to the next filter, the oldest first, until one is not taken, which only an
/// empty packet is not: what the netdev sent is thrown away then, that one with it, and what its
/// peer sent stays (QEMU 10.2.2 net/filter-buffer.c:31-44).
fn flush(core: &mut Core, key: ObjectKey) {
    let Some(netdev) = core.filter(key).map(|filter| filter.netdev) else {
        return;
    };
    while !core.dead {
        let Some(packet) = state(core, key).and_then(|buffer| buffer.held.pop_front()) else {
            return;
        };
        let Some(direction) = core.filter(key).map(|filter| filter.onward(packet.sender)) else {
            return;
        };
        if core.pass_to_next(key, direction, packet.clone()) != 0 {
            continue;
        }
        let Some(buffer) = state(core, key) else {
            return;
        };
        buffer.held.push_front(packet);
        let (purged, kept) = buffer.held.drain(..).partition(|packet| packet.sender == netdev);
        buffer.held = kept;
        return drop_all(core, key, purged, DropReason::Purged);
    }
}

fn drop_all(core: &mut Core, key: ObjectKey, packets: VecDeque<Packet>, reason: DropReason) {
    let place = core.object_place(key);
    for packet in packets {
        core.drop_frame(place.clone(), packet.tag, reason);
    }
}

/// Switched off it releases what it holds; switched on, its period begins anew. A new interval
/// holds from the end of the running period on.
fn changed(core: &mut Core, key: ObjectKey) {
    let now = core.vm_now();
    let on = core.filter(key).is_some_and(|filter| filter.on);
    let values = core.objects.get(&key).map(|object| &object.values);
    let interval = micros(values.and_then(|values| values.get("interval")));
    let Some(buffer) = state(core, key) else {
        return;
    };
    buffer.catch_up(now);
    buffer.interval = interval;
    let was_on = std::mem::replace(&mut buffer.on, on);
    if on && !was_on {
        buffer.period = now + interval;
    } else if was_on && !on {
        flush(core, key);
    }
}

fn deadline(core: &Core, key: ObjectKey) -> Option<VirtualTime> {
    match &core.filter(key)?.state {
        FilterState::Buffer(buffer) if buffer.on && !buffer.held.is_empty() && !buffer.futile => {
            core.vm_deadline(buffer.period)
        }
        _ => None,
    }
}

fn due(core: &mut Core, key: ObjectKey) {
    let from = core.out.len();
    flush(core, key);
    let futile = only_lost_a_copy(core, from);
    let now = core.vm_now();
    if let Some(buffer) = state(core, key) {
        buffer.period = now + buffer.interval;
        buffer.futile = futile;
        core.has_futile_release |= futile;
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

impl Core {
    /// Something happens that a release which changed nothing may have waited for: it is tried
    /// again, at its times.
    pub(super) fn retry_releases(&mut self) {
        if !std::mem::take(&mut self.has_futile_release) {
            return;
        }
        let now = self.vm_now();
        let keys: Vec<ObjectKey> = self.objects.keys().copied().collect();
        for key in keys {
            if let Some(buffer) = state(self, key)
                && std::mem::take(&mut buffer.futile)
            {
                buffer.period = next_beat(buffer.period, buffer.interval, now);
            }
        }
    }
}

fn unfinished(core: &mut Core, key: ObjectKey) -> Vec<(Tag, DropReason)> {
    let held = state(core, key).map(|buffer| std::mem::take(&mut buffer.held));
    let tags = held.into_iter().flatten().filter_map(|packet| packet.tag);
    tags.map(|tag| (tag, DropReason::Buffered)).collect()
}

fn cleanup(core: &mut Core, key: ObjectKey) {
    flush(core, key);
    if let Some(buffer) = state(core, key) {
        let left = std::mem::take(&mut buffer.held);
        drop_all(core, key, left, DropReason::Purged);
    }
}
