//! What the inputs bring: bytes to frames, frames to packets of a connection, and the effects of
//! their comparison (QEMU 10.2.2 net/colo-compare.c:244-314, 844-885, 1149-1179).

use bytes::Bytes;

use super::{
    Rules, compare, compare_mut,
    connection::{Connection, Effect},
    notify,
    packet::{Arrived, Packet},
    sender::{self, Entry, Line},
};
use crate::{
    base::{Quirk, Tag},
    machine::{
        client::OVERSIZE_LOG,
        core::{ChardevKey, Core, ObjectKey},
        framing::{Reassembler, Unit},
    },
    record::{DropReason, EventKind, Fate, Side},
};

/// One of a comparer's inputs.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) chardev: ChardevKey,
    pub(super) reassembler: Reassembler,
    /// It is never read again.
    pub(super) deaf: bool,
    /// Its property.
    pub(super) name: &'static str,
}

/// Which input a chardev is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    Guest(Side),
    Notify,
}

fn input(core: &mut Core, key: ObjectKey, chardev: ChardevKey) -> Option<(From, &mut Input)> {
    let compare = compare_mut(core, key)?;
    let inputs = [
        (From::Guest(Side::Primary), Some(&mut compare.primary_in)),
        (From::Guest(Side::Secondary), Some(&mut compare.secondary_in)),
        (From::Notify, compare.notify_in.as_mut()),
    ];
    let mut inputs = inputs.into_iter();
    inputs.find_map(|(from, input)| Some((from, input.filter(|input| input.chardev == chardev)?)))
}

/// Bytes of an input; `false` discards the rest of the read.
pub(super) fn read(
    core: &mut Core,
    key: ObjectKey,
    chardev: ChardevKey,
    mut data: Bytes,
    tag: Option<Tag>,
) -> bool {
    let place = core.object_place(key);
    loop {
        if core.dead {
            if !data.is_empty() {
                core.drop_frame(place, tag, DropReason::MachineDead);
            }
            return false;
        }
        let Some((from, input)) = input(core, key, chardev) else {
            return false;
        };
        let name = input.name;
        let unit = input.reassembler.next(&mut data, tag);
        let reason = match unit {
            Some(Unit::Oversize { .. }) => DropReason::Oversize,
            _ => DropReason::Incomplete,
        };
        for tag in input.reassembler.take_lost() {
            core.drop_frame(place.clone(), Some(tag), reason);
        }
        match unit {
            None => return true,
            Some(Unit::Frame { data, vnet_len, tag }) => {
                core.seen(key, None, data.clone(), tag);
                let at = core.now;
                let arrived = Arrived { data, vnet_len, tag, at };
                match from {
                    From::Guest(side) => take(core, key, side, arrived),
                    From::Notify => notify::message(core, key, &arrived),
                }
            }
            Some(Unit::Empty { tag }) => core.drop_frame(place.clone(), tag, DropReason::Empty),
            Some(Unit::Oversize { .. }) => {
                core.log(place.clone(), None, OVERSIZE_LOG);
                core.log(place, None, format!("colo-compare {name} error"));
                broken_stream(core, key, chardev);
                return false;
            }
        }
    }
}

/// An input's connection is over. QEMU does not notice, and puts the next client's bytes behind
/// what this one cut.
pub(super) fn closed(core: &mut Core, key: ObjectKey, chardev: ChardevKey) {
    if core.has(Quirk::CompareKeepsHalfFrame) {
        return;
    }
    let place = core.object_place(key);
    let Some((_, input)) = input(core, key, chardev) else {
        return;
    };
    for tag in input.reassembler.reset() {
        core.drop_frame(place.clone(), Some(tag), DropReason::Incomplete);
    }
}

/// After an oversized frame QEMU reads the input no more but leaves the connection open; mended, it
/// closes it.
fn broken_stream(core: &mut Core, key: ObjectKey, chardev: ChardevKey) {
    if !core.has(Quirk::OversizeFoundLate) {
        return core.hang_up(chardev);
    }
    if let Some((_, input)) = input(core, key, chardev) {
        input.deaf = true;
    }
    if let Some(chardev) = core.chardevs.get_mut(&chardev) {
        chardev.reader = None;
    }
}

/// A frame of one of the guests.
fn take(core: &mut Core, key: ObjectKey, side: Side, arrived: Arrived) {
    let place = core.object_place(key);
    if arrived.data.is_empty() {
        if core.has(Quirk::CompareEmptyFrameAborts) {
            core.event(place, arrived.tag, EventKind::Consumed);
            return core.crash("net/colo.c:51: parse_packet_early: Assertion `data' failed.");
        }
        return core.drop_frame(place, arrived.tag, DropReason::Empty);
    }
    let Some(limit) = compare(core, key).map(|compare| compare.queue_limit) else {
        return;
    };
    let rules = Rules::of(core, notify::queue_limit(core, limit));
    let packet = Packet::read(arrived.clone(), &rules);
    let found = packet.and_then(|packet| {
        let connection = packet.key()?;
        Some((connection, packet))
    });
    let Some((connection, packet)) = found else {
        // Nothing that is compared: the primary's goes on past everything that is held.
        let fate = Fate::NotCompared;
        match side {
            Side::Primary => release(core, key, arrived, fate, None),
            Side::Secondary => {
                core.event(place, arrived.tag, EventKind::Spent { fate, with: None });
            }
        }
        return;
    };
    let now = core.now;
    let Some(compare) = compare_mut(core, key) else {
        return;
    };
    compare.stir(now);
    let (connection, forgotten) =
        compare.connections.entry(connection, || Connection::new(&packet));
    let mut effects = Vec::new();
    let refused = connection.insert(side, packet, &rules, &mut effects);
    connection.compare(&rules, &mut effects);
    for tag in forgotten.iter().flat_map(Connection::tags) {
        core.drop_frame(place.clone(), Some(tag), DropReason::TooManyConnections);
    }
    if let Err(tag) = refused {
        let reason = match side {
            Side::Primary => DropReason::PrimaryQueueFull,
            Side::Secondary => DropReason::SecondaryQueueFull,
        };
        core.drop_frame(place, tag, reason);
    }
    carry_out(core, key, effects);
}

pub(super) fn carry_out(core: &mut Core, key: ObjectKey, effects: Vec<Effect>) {
    for effect in effects {
        match effect {
            Effect::Release { packet, fate, with } => {
                release(core, key, packet.arrived, fate, with);
            }
            Effect::Spend { tag, fate, with } => {
                let place = core.object_place(key);
                core.event(place, tag, EventKind::Spent { fate, with });
            }
            Effect::Ask(request) => notify::ask(core, key, *request),
        }
    }
}

/// A primary's frame goes on to outdev, with its own virtio-net header (QEMU 10.2.2
/// net/colo-compare.c:300-314).
fn release(core: &mut Core, key: ObjectKey, frame: Arrived, fate: Fate, with: Option<Tag>) {
    let place = core.object_place(key);
    core.event(place.clone(), frame.tag, EventKind::Released { fate, with });
    let vnet = compare(core, key).is_some_and(|compare| compare.vnet);
    let vnet_len = vnet.then_some(frame.vnet_len);
    let Some(entry) = Entry::new(frame.data, vnet_len, frame.tag) else {
        return;
    };
    let failed = sender::send(core, key, Line::Out, entry).is_err();
    // Of what is not compared QEMU does not ask whether it was sent.
    if failed && fate != Fate::NotCompared {
        core.log(place, frame.tag, "colo send primary packet failed");
    }
}
