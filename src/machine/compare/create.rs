//! A comparer's creation, its properties at work, its end (QEMU 10.2.2
//! net/colo-compare.c:1077-1147, 1239-1331, 1407-1463).

use std::time::Duration;

use serde_json::Value;

use super::{CLASS, Compare, compare_mut, ingest::Input, notify, sender::Sender};
use crate::{
    base::{QemuVersion, Quirk},
    machine::{
        CharBackend,
        colo::{LIMIT, Table},
        core::{ChardevKey, Core, ObjectKey, generic},
        filter::CreateError,
        framing::Reassembler,
        part::{Part, PartState},
        property::Spec,
    },
    record::{Abort, CommandError, DropReason, EventKind, Fate},
};

/// `MAX_QUEUE_SIZE` (QEMU 10.2.2 net/colo-compare.c:48).
const QUEUE_SIZE: u32 = 1024;

const QUEUE_SIZE_NAME: &str = "max_queue_size";

/// Completes a comparer that is already a child of `/objects`, or lets go of what it had got.
pub(in crate::machine) fn create(
    core: &mut Core,
    key: ObjectKey,
    spec: &Spec,
) -> Result<(), CreateError> {
    let completed = complete(core, key, spec);
    if completed.is_err() {
        let_go(core, key);
    }
    Ok(completed?)
}

/// QEMU's checks in QEMU's order.
fn complete(core: &mut Core, key: ObjectKey, spec: &Spec) -> Result<(), CommandError> {
    let given = |name: &str| spec.text(name);
    let (Some(primary_in), Some(secondary_in), Some(outdev), Some(_)) = (
        given("primary_in"),
        given("secondary_in"),
        given("outdev"),
        given("iothread").filter(|id| !id.is_empty()),
    ) else {
        return Err(generic(
            "colo compare needs 'primary_in' ,'secondary_in','outdev','iothread' property set",
        ));
    };
    if primary_in == outdev || secondary_in == outdev || primary_in == secondary_in {
        let text = "'indev' and 'outdev' could not be same for compare module";
        return Err(generic(text));
    }
    if core.compare_queue_size == 0 {
        core.compare_queue_size = QUEUE_SIZE;
    }
    let primary_in = hold(core, key, primary_in)?;
    let secondary_in = hold(core, key, secondary_in)?;
    let outdev = hold(core, key, outdev)?;
    let notify_dev = given("notify_dev").map(|id| hold(core, key, id)).transpose()?;

    let vnet = spec.flag("vnet_hdr_support");
    let strictness = core.strictness();
    let input = |chardev, name, vnet| Input {
        chardev,
        reassembler: Reassembler::new(vnet, strictness),
        deaf: false,
        name,
    };
    let notify_vnet = vnet && core.has(Quirk::CompareNotifyVnetAsymmetry);
    let limit = core.has(Quirk::CompareTableClearDestroys).then_some(LIMIT);
    let mut compare = Compare {
        vnet,
        timeout: Duration::ZERO,
        scan_cycle: Duration::ZERO,
        queue_limit: QUEUE_SIZE,
        next_scan: core.now,
        wakes: None,
        primary_in: input(primary_in, "primary_in", vnet),
        secondary_in: input(secondary_in, "secondary_in", vnet),
        notify_in: notify_dev.map(|chardev| input(chardev, "notify_dev", notify_vnet)),
        out: Sender::new(outdev),
        notify_out: notify_dev.map(Sender::new),
        connections: Table::new(limit),
    };
    compare.go_by(|name| spec.values.get(name));
    compare.next_scan = core.now + compare.scan_cycle;
    if let Some(object) = core.objects.get_mut(&key) {
        object.part = Some(Part { class: &CLASS, state: PartState::Compare(Box::new(compare)) });
    }
    for chardev in [primary_in, secondary_in].into_iter().chain(notify_dev) {
        core.chardev_reads(chardev, key);
    }
    show_queue_size(core);
    Ok(())
}

/// Takes hold of a chardev. Only sockets can be connected again (QEMU 10.2.2
/// chardev/char-socket.c:1423).
fn hold(core: &mut Core, key: ObjectKey, id: &str) -> Result<ChardevKey, CommandError> {
    let missing = || generic(format!("Device '{id}' not found"));
    let chardev = core.chardev_of(id).ok_or_else(missing)?;
    let backend = core.chardevs.get(&chardev).map(|chardev| &chardev.backend);
    if !matches!(backend, Some(CharBackend::Socket { .. })) {
        let text = format!("chardev \"{id}\" is not reconnectable");
        return Err(generic(text));
    }
    core.chardev_attach(chardev, key)?;
    Ok(chardev)
}

impl Compare {
    /// Goes by the values of its live properties.
    fn go_by<'v>(&mut self, value: impl Fn(&str) -> Option<&'v Value>) {
        let number = |name: &str, default: u32| {
            let given = value(name).and_then(Value::as_u64);
            given.map_or(default, |given| given as u32)
        };
        let milliseconds = |name, default| Duration::from_millis(number(name, default).into());
        self.timeout = milliseconds("compare_timeout", 3000);
        // The schema's text says 3000; what QEMU does is 1000.
        self.scan_cycle = milliseconds("expired_scan_cycle", 1000);
        self.queue_limit = number(QUEUE_SIZE_NAME, QUEUE_SIZE);
        self.vnet = value("vnet_hdr_support").and_then(Value::as_bool) == Some(true);
    }
}

/// A property was set at run time. The scan that is next keeps its time, those after it follow in
/// the new steps.
pub(super) fn changed(core: &mut Core, key: ObjectKey) {
    let values = core.objects.get(&key).map(|object| object.values.clone());
    let Some(values) = values else { return };
    share_queue_size(core, values.get(QUEUE_SIZE_NAME));
    let everywhere = !core.has(Quirk::VnetSetReachesOutdevOnly);
    let notify_too = core.has(Quirk::CompareNotifyVnetAsymmetry);
    let now = core.now;
    let Some(compare) = compare_mut(core, key) else {
        return;
    };
    compare.catch_up(now);
    compare.go_by(|name| values.get(name));
    compare.plan();
    if everywhere {
        let vnet = compare.vnet;
        compare.primary_in.reassembler.set_vnet(vnet);
        compare.secondary_in.reassembler.set_vnet(vnet);
        let notify_in = compare.notify_in.as_mut().filter(|_| notify_too);
        if let Some(input) = notify_in {
            input.reassembler.set_vnet(vnet);
        }
    }
}

/// `max_queue_size` of one comparer is that of all, as soon as its setter has run.
pub(in crate::machine) fn share_queue_size(core: &mut Core, value: Option<&Value>) {
    if let Some(size) = value.and_then(Value::as_u64) {
        core.compare_queue_size = size as u32;
        show_queue_size(core);
    }
}

/// Every comparer's getter shows what all of them share.
fn show_queue_size(core: &mut Core) {
    if !core.has(Quirk::MaxQueueSizeGlobal) {
        return;
    }
    let size = core.compare_queue_size;
    for object in core.objects.values_mut() {
        let part = object.part.as_ref().map(|part| &part.state);
        if let Some(PartState::Compare(_)) = part {
            object.values.insert(QUEUE_SIZE_NAME, size.into());
        }
    }
}

/// What QEMU does when it refuses a comparer: it destroys one that was never completed, and dies of
/// it (QEMU 10.2.2 net/colo-compare.c:1407-1445).
pub(in crate::machine) fn refusal(core: &Core, error: CommandError) -> CreateError {
    if !core.has(Quirk::CompareErrorCrashes) {
        return CreateError::Refused(error);
    }
    let others = core.objects.values().any(|object| {
        let part = object.part.as_ref().map(|part| &part.state);
        matches!(part, Some(PartState::Compare(_)))
    });
    let line = match core.profile.version() {
        QemuVersion::Qemu72 => 76,
        _ => 81,
    };
    let assertion = if others {
        "SIGSEGV".to_owned()
    } else {
        format!(
            "util/qemu-thread-posix.c:{line}: qemu_mutex_destroy: Assertion `mutex->initialized' \
             failed."
        )
    };
    CreateError::Aborts(Abort { assertion, survivor: Some(error) })
}

/// The end of a comparer. QEMU lets go of outdev before it writes what was held (QEMU 10.2.2
/// net/colo-compare.c:1407-1463).
pub(super) fn cleanup(core: &mut Core, key: ObjectKey) {
    let loses = core.has(Quirk::CompareDeleteLosesHeld);
    if !loses {
        notify::flush(core, key, Fate::Deleted);
    }
    let place = core.object_place(key);
    let Some(compare) = compare_mut(core, key) else {
        return;
    };
    let outdev = compare.out.chardev;
    let has_notify_sender = compare.notify_out.is_some();
    let backlog = compare.out.forget();
    let ends = compare.end(DropReason::Purged);
    // The main loop waits for the write that is under way.
    let mut writes = backlog.writes.into_iter();
    let mut ending = backlog.ending;
    if core.has(Quirk::CompareDeleteWaits)
        && core.freeze.is_none()
        && let Some((rest, tag)) = writes.next()
    {
        core.event(core.chardev_place(outdev), tag, EventKind::Frozen);
        core.freeze_behind(outdev, key, rest, tag);
        ending = None;
    }
    // It waits for the sender of a notify_dev that was set when it was there, which never began.
    let object = core.objects.get(&key);
    let named = object.is_some_and(|object| object.values.contains_key("notify_dev"));
    if core.has(Quirk::CompareNotifySetHangs) && named && !has_notify_sender {
        core.freeze_for_ever(place.clone());
    }
    let lost = ending.into_iter().chain(backlog.tags).filter(|_| loses);
    let lost = lost.map(|tag| (tag, DropReason::Purged));
    for (tag, reason) in lost.chain(ends) {
        core.drop_frame(place.clone(), Some(tag), reason);
    }
    let id = core.chardevs.get(&outdev).map(|chardev| chardev.id.clone());
    if let Some(id) = id.filter(|_| !loses) {
        writes.for_each(|(rest, tag)| core.bytes_out(id.clone(), rest, tag));
    }
    let_go(core, key);
}

/// Lets go of every chardev.
fn let_go(core: &mut Core, key: ObjectKey) {
    let chardevs: Vec<ChardevKey> = core.chardevs.keys().copied().collect();
    for chardev in chardevs {
        core.chardev_detach(chardev, key);
    }
}
