//! Requests for a checkpoint, the messages on notify_dev, and the scan for packets that are held
//! too long (QEMU 10.2.2 net/colo-compare.c:174-193, 600-662, 891-925, 1181-1203, 1333-1353).

use bytes::Bytes;

use super::{
    Rules, compare, compare_mut,
    connection::Connection,
    ingest,
    packet::Arrived,
    sender::{self, Entry, Line},
};
use crate::{
    base::{Quirk, Tag},
    machine::{
        ColoEvent,
        core::{Core, ObjectKey},
    },
    record::{CheckpointRequest, EventKind, Fate},
};

const DO_CHECKPOINT: &[u8] = b"DO_CHECKPOINT";
const CHECKPOINT: &[u8] = b"COLO_CHECKPOINT";
const INIT: &[u8] = b"COLO_USERSPACE_PROXY_INIT";
const INIT_ANSWER: &[u8] = b"COLO_COMPARE_GET_XEN_INIT";

/// The limit of a comparer's queues: in QEMU one for all comparers.
pub(super) fn queue_limit(core: &Core, own: u32) -> u32 {
    if core.has(Quirk::MaxQueueSizeGlobal) { core.compare_queue_size } else { own }
}

/// Asks for a checkpoint: on notify_dev when there is one. Without one, QEMU tells COLO's own
/// threads, which are outside of the net layer.
pub(super) fn ask(core: &mut Core, key: ObjectKey, mut request: CheckpointRequest) {
    let place = core.object_place(key);
    let tag = request.primary.or(request.secondary);
    request.at = core.now;
    request.told = compare(core, key).is_some_and(|compare| compare.notify_out.is_some());
    let told = request.told;
    core.event(place.clone(), tag, EventKind::Checkpoint(Box::new(request)));
    if told && !send(core, key, DO_CHECKPOINT, tag) {
        core.log(place, tag, "Notify Xen COLO-frame failed");
    }
}

/// A message on notify_dev.
pub(super) fn message(core: &mut Core, key: ObjectKey, message: &Arrived) {
    let place = core.object_place(key);
    core.event(place.clone(), message.tag, EventKind::Consumed);
    match message.data.as_ref() {
        INIT => {
            if !send(core, key, INIT_ANSWER, message.tag) {
                core.log(place, message.tag, "Notify Xen COLO-frame INIT failed");
            }
        }
        CHECKPOINT => flush(core, key, Fate::Checkpoint),
        _ => core.log(place, message.tag, "COLO compare got unsupported instruction"),
    }
}

/// The guests are equal again.
pub(super) fn colo(core: &mut Core, key: ObjectKey, event: ColoEvent) {
    if event == ColoEvent::Checkpoint {
        flush(core, key, Fate::Checkpoint);
    }
}

/// All that is held of the primary goes on, connection by connection.
pub(super) fn flush(core: &mut Core, key: ObjectKey, fate: Fate) {
    let rules = Rules::of(core, 0);
    let mut effects = Vec::new();
    let Some(compare) = compare_mut(core, key) else {
        return;
    };
    for connection in compare.connections.values_mut() {
        connection.flush(&rules, fate, &mut effects);
    }
    ingest::carry_out(core, key, effects);
}

/// Looks for a packet that is held too long, and asks once. It stays held.
pub(super) fn scan(core: &mut Core, key: ObjectKey) {
    let now = core.now;
    let Some(compare) = compare_mut(core, key) else {
        return;
    };
    compare.next_scan = now + compare.scan_cycle;
    let timeout = compare.timeout;
    let expired =
        compare.connections.values().find_map(|connection| connection.expired(now, timeout));
    compare.plan();
    compare.connections.values_mut().for_each(Connection::trim);
    ingest::carry_out(core, key, expired.into_iter().collect());
}

/// Writes a message to notify_dev, always without the virtio-net word.
fn send(core: &mut Core, key: ObjectKey, text: &'static [u8], tag: Option<Tag>) -> bool {
    let entry = Entry::new(Bytes::from_static(text), None, tag);
    entry.is_none_or(|entry| sender::send(core, key, Line::Notify, entry).is_ok())
}
