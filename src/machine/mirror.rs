//! `filter-mirror`: copies every packet to `outdev` and passes it on (QEMU 10.2.2
//! `net/filter-mirror.c`).

use bytes::Bytes;

use super::{
    chardev::WriteError,
    core::{ChardevKey, Core, ObjectKey, not_found},
    filter::{self, FilterClass, FilterState},
    framing,
    netqueue::Packet,
    property::Spec,
};
use crate::{
    base::{Quirk, Tag},
    record::{CommandError, EventKind},
};

pub(super) static CLASS: FilterClass = FilterClass {
    name: "filter-mirror",
    setup,
    receive,
    read: |_, _, _, _| true,
    closed: |_, _| {},
    changed: |_, _| {},
    deadline: |_, _| None,
    due: |_, _| {},
    colo: filter::colo,
    unfinished: |_, _| Vec::new(),
    cleanup,
    refused: |_| {},
};

/// What a mirror keeps.
#[derive(Debug)]
pub(super) struct Mirror {
    outdev: ChardevKey,
}

fn setup(core: &mut Core, key: ObjectKey, spec: &Spec) -> Result<(), CommandError> {
    let id = spec.text("outdev").unwrap_or_default();
    let missing = || not_found(format!("Device '{id}' not found"));
    let outdev = core.chardev_of(id).ok_or_else(missing)?;
    core.chardev_attach(outdev, key)?;
    if let Some(filter) = core.filter_mut(key) {
        filter.state = FilterState::Mirror(Mirror { outdev });
    }
    Ok(())
}

/// Passes in any case; a failure is only logged.
fn receive(core: &mut Core, key: ObjectKey, packet: &Packet) -> isize {
    let outdev = match core.filter(key).map(|filter| &filter.state) {
        Some(FilterState::Mirror(mirror)) => mirror.outdev,
        _ => return 0,
    };
    if let Err(error) = write_frame(core, key, outdev, &packet.data, packet.tag) {
        log_failure(core, key, error, packet.tag);
    }
    0
}

fn cleanup(core: &mut Core, key: ObjectKey) {
    if let Some(FilterState::Mirror(mirror)) = core.filter(key).map(|filter| &filter.state) {
        core.chardev_detach(mirror.outdev, key);
    }
}

/// Writes a frame to a chardev in the filter's framing: each word and the frame is a write of its
/// own, and the first failure leaves the rest out. Nothing is written for an empty frame.
pub(super) fn write_frame(
    core: &mut Core,
    key: ObjectKey,
    outdev: ChardevKey,
    data: &Bytes,
    tag: Option<Tag>,
) -> Result<(), WriteError> {
    let vnet_len = core
        .filter(key)
        .filter(|filter| filter.vnet_hdr_support)
        .map(|filter| core.vnet_hdr_len(filter.netdev) as u32);
    write_framed(core, key, outdev, data, vnet_len, tag)
}

/// [`write_frame`] with the second word given.
pub(super) fn write_framed(
    core: &mut Core,
    key: ObjectKey,
    outdev: ChardevKey,
    data: &Bytes,
    vnet_len: Option<u32>,
    tag: Option<Tag>,
) -> Result<(), WriteError> {
    if data.is_empty() {
        return Ok(());
    }
    for word in framing::words(data.len(), vnet_len) {
        core.chardev_write(outdev, key, word, tag)?;
    }
    if !core.chardev_write(outdev, key, data.clone(), tag)? {
        core.event(core.chardev_place(outdev), tag, EventKind::Consumed);
    }
    Ok(())
}

/// The line that a failed write leaves: QEMU prints its -1 as an errno.
pub(super) fn log_failure(core: &mut Core, key: ObjectKey, error: WriteError, tag: Option<Tag>) {
    let Some(class) = core.filter(key).map(|filter| filter.class.name) else {
        return;
    };
    let filter = class.trim_start_matches("filter-");
    let reason = if core.has(Quirk::SendErrorSaysEperm) {
        "Operation not permitted"
    } else {
        error.strerror()
    };
    let place = core.object_place(key);
    core.log(place, tag, format!("filter {filter} send failed({reason})"));
}

impl Core {
    /// A write that had waited for its reader failed.
    pub(super) fn write_failed(&mut self, writer: ObjectKey, tag: Option<Tag>) {
        log_failure(self, writer, WriteError::Broken, tag);
        let place = self.object_place(writer);
        self.drop_frame(place, tag, WriteError::Broken.reason());
    }
}
