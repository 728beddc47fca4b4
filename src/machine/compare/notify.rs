//! Requests for a checkpoint, the messages on notify_dev, and the scan for packets that are held
//! too long (QEMU 10.2.2 net/colo-compare.c:174-193, 600-662, 891-925, 1181-1203, 1333-1353).

use bytes::Bytes;

use super::{
    Compare, Rules,
    connection::Connection,
    packet::Arrived,
    sender::{Entry, Line},
};
use crate::{
    base::Tag,
    machine::part::Context,
    record::{CheckpointRequest, EventKind, Fate},
};

const DO_CHECKPOINT: &[u8] = b"DO_CHECKPOINT";
const CHECKPOINT: &[u8] = b"COLO_CHECKPOINT";
const INIT: &[u8] = b"COLO_USERSPACE_PROXY_INIT";
const INIT_ANSWER: &[u8] = b"COLO_COMPARE_GET_XEN_INIT";

impl Compare {
    /// Asks for a checkpoint: on notify_dev when there is one. Without one, QEMU notifies COLO's
    /// own threads, which are outside of the net layer.
    pub(super) fn ask(&mut self, cx: &mut Context<'_>, mut request: CheckpointRequest) {
        let tag = request.primary.or(request.secondary);
        request.at = cx.core.now;
        request.told = self.notify_out.is_some();
        let told = request.told;
        cx.event(tag, EventKind::Checkpoint(Box::new(request)));
        if told && !self.notify(cx, DO_CHECKPOINT, tag) {
            cx.log(tag, "Notify Xen COLO-frame failed");
        }
    }

    pub(super) fn message(&mut self, cx: &mut Context<'_>, message: &Arrived) {
        cx.event(message.tag, EventKind::Consumed);
        match message.data.as_ref() {
            INIT => {
                if !self.notify(cx, INIT_ANSWER, message.tag) {
                    cx.log(message.tag, "Notify Xen COLO-frame INIT failed");
                }
            }
            CHECKPOINT => self.flush(cx, Fate::Checkpoint),
            _ => cx.log(message.tag, "COLO compare got unsupported instruction"),
        }
    }

    /// All that is held of the primary goes on, connection by connection.
    pub(super) fn flush(&mut self, cx: &mut Context<'_>, fate: Fate) {
        let rules = Rules::of(cx.core, 0);
        let mut effects = Vec::new();
        for connection in self.connections.values_mut() {
            connection.flush(&rules, fate, &mut effects);
        }
        self.carry_out(cx, effects);
    }

    /// Looks for a packet that is held too long, and asks once. It stays held.
    pub(super) fn scan(&mut self, cx: &mut Context<'_>) {
        let (now, timeout) = (cx.core.now, self.timeout);
        self.next_scan = now + self.scan_cycle;
        let expired =
            self.connections.values().find_map(|connection| connection.expired(now, timeout));
        self.plan();
        self.connections.values_mut().for_each(Connection::trim);
        self.carry_out(cx, expired.into_iter().collect());
    }

    /// Writes a message to notify_dev, always without the virtio-net word.
    fn notify(&mut self, cx: &mut Context<'_>, text: &'static [u8], tag: Option<Tag>) -> bool {
        let entry = Entry::new(Bytes::from_static(text), None, tag);
        entry.is_none_or(|entry| self.send(cx, Line::Notify, entry).is_ok())
    }
}
