//! A comparer's creation, its properties at work, its end (QEMU 10.2.2
//! net/colo-compare.c:1077-1147, 1239-1331, 1407-1463).

use std::{collections::BTreeSet, time::Duration};

use serde_json::Value;

use super::{Compare, ingest::Input, sender::Sender};
use crate::{
    base::{QemuVersion, Quirk},
    machine::{
        CharBackend,
        colo::{LIMIT, Table},
        core::{ChardevKey, Core, ObjectKey},
        error::{CreateError, generic},
        framing::Reassembler,
        part::{Context, Part},
    },
    qapi::Spec,
    record::{Abort, CommandError, DropReason, EventKind, Fate, Place},
};

/// `MAX_QUEUE_SIZE` (QEMU 10.2.2 net/colo-compare.c:48).
const QUEUE_SIZE: u32 = 1024;

const QUEUE_SIZE_NAME: &str = "max_queue_size";

/// What QEMU keeps once for all comparers, and which objects these are.
#[derive(Debug, Default)]
struct Comparers {
    /// `max_queue_size`; 0 until one asks.
    queue_size: u32,
    objects: BTreeSet<ObjectKey>,
}

/// Makes a comparer, or lets go of what it had got.
pub(super) fn make(cx: &mut Context<'_>, spec: &Spec) -> Result<Box<dyn Part>, CommandError> {
    let made = check(cx, spec);
    if made.is_err() {
        let_go(cx);
    }
    Ok(Box::new(made?))
}

/// QEMU's checks in QEMU's order.
fn check(cx: &mut Context<'_>, spec: &Spec) -> Result<Compare, CommandError> {
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
    let comparers = cx.core.shared.of::<Comparers>();
    if comparers.queue_size == 0 {
        comparers.queue_size = QUEUE_SIZE;
    }
    let primary_in = hold(cx, primary_in)?;
    let secondary_in = hold(cx, secondary_in)?;
    let outdev = hold(cx, outdev)?;
    let notify_dev = given("notify_dev").map(|id| hold(cx, id)).transpose()?;

    let vnet = spec.flag("vnet_hdr_support");
    let strictness = cx.core.strictness();
    let input = |chardev, name, vnet| Input {
        chardev,
        reassembler: Reassembler::new(vnet, strictness),
        deaf: false,
        name,
    };
    let notify_vnet = vnet && cx.has(Quirk::CompareNotifyVnetAsymmetry);
    let limit = cx.has(Quirk::CompareTableClearDestroys).then_some(LIMIT);
    let mut compare = Compare {
        vnet,
        timeout: Duration::ZERO,
        scan_cycle: Duration::ZERO,
        queue_limit: QUEUE_SIZE,
        next_scan: cx.core.now,
        wakes: None,
        primary_in: input(primary_in, "primary_in", vnet),
        secondary_in: input(secondary_in, "secondary_in", vnet),
        notify_in: notify_dev.map(|chardev| input(chardev, "notify_dev", notify_vnet)),
        out: Sender::new(outdev),
        notify_out: notify_dev.map(Sender::new),
        connections: Table::new(limit),
    };
    compare.go_by(|name| spec.values.get(name));
    compare.next_scan = cx.core.now + compare.scan_cycle;
    Ok(compare)
}

/// Takes hold of a chardev. Only sockets can be connected again (QEMU 10.2.2
/// chardev/char-socket.c:1423).
fn hold(cx: &mut Context<'_>, id: &str) -> Result<ChardevKey, CommandError> {
    let missing = || generic(format!("Device '{id}' not found"));
    let chardev = cx.core.chardev_of(id).ok_or_else(missing)?;
    let backend = cx.core.chardevs.get(&chardev).map(|chardev| &chardev.backend);
    if !matches!(backend, Some(CharBackend::Socket { .. })) {
        let text = format!("chardev \"{id}\" is not reconnectable");
        return Err(generic(text));
    }
    cx.core.chardev_attach(chardev, cx.key)?;
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

    /// A property was set at run time. The scan that is next keeps its time, those after it follow
    /// in the new steps.
    pub(super) fn go_by_values(&mut self, cx: &mut Context<'_>) {
        let values = cx.core.objects.get(&cx.key).map(|object| object.values.clone());
        let Some(values) = values else { return };
        share_queue_size(cx.core, values.get(QUEUE_SIZE_NAME));
        self.catch_up(cx.core.now);
        self.go_by(|name| values.get(name));
        self.plan();
        if cx.has(Quirk::VnetSetReachesOutdevOnly) {
            return;
        }
        self.primary_in.reassembler.set_vnet(self.vnet);
        self.secondary_in.reassembler.set_vnet(self.vnet);
        let notify_too = cx.has(Quirk::CompareNotifyVnetAsymmetry);
        if let Some(input) = self.notify_in.as_mut().filter(|_| notify_too) {
            input.reassembler.set_vnet(self.vnet);
        }
    }

    /// The end of a comparer. QEMU lets go of outdev before it writes what was held (QEMU 10.2.2
    /// net/colo-compare.c:1407-1463).
    pub(super) fn delete(&mut self, cx: &mut Context<'_>) {
        let loses = cx.has(Quirk::CompareDeleteLosesHeld);
        if !loses {
            self.flush(cx, Fate::Deleted);
        }
        let outdev = self.out.chardev;
        let backlog = self.out.forget();
        let ends = self.end(DropReason::Purged);
        // The main loop waits for the write that is under way.
        let mut writes = backlog.writes.into_iter();
        let mut ending = backlog.ending;
        if cx.has(Quirk::CompareDeleteWaits)
            && cx.core.freeze.is_none()
            && let Some((rest, tag)) = writes.next()
        {
            cx.core.event(cx.core.chardev_place(outdev), tag, EventKind::Frozen);
            cx.core.freeze_behind(outdev, cx.key, rest, tag);
            ending = None;
        }
        // It waits for the sender of a notify_dev that was set when it was there, which never
        // began.
        let named = cx.value("notify_dev").is_some();
        if cx.has(Quirk::CompareNotifySetHangs) && named && self.notify_out.is_none() {
            cx.core.freeze_for_ever(cx.place());
        }
        let lost = ending.into_iter().chain(backlog.tags).filter(|_| loses);
        let lost = lost.map(|tag| (tag, DropReason::Purged));
        for (tag, reason) in lost.chain(ends) {
            cx.drop_frame(Some(tag), reason);
        }
        let id = cx.core.chardevs.get(&outdev).map(|chardev| chardev.id.clone());
        if let Some(id) = id.filter(|_| !loses) {
            writes.for_each(|(rest, tag)| cx.core.bytes_out(id.clone(), rest, tag));
        }
        let_go(cx);
        cx.core.shared.of::<Comparers>().objects.remove(&cx.key);
    }
}

/// The object is in place: it shows what all comparers share.
pub(super) fn joins(cx: &mut Context<'_>) {
    cx.core.shared.of::<Comparers>().objects.insert(cx.key);
    show_queue_size(cx.core);
}

/// The limit of a comparer's queues: in QEMU one for all comparers.
pub(super) fn queue_limit(core: &mut Core, own: u32) -> u32 {
    if core.has(Quirk::MaxQueueSizeGlobal) { core.shared.of::<Comparers>().queue_size } else { own }
}

/// `max_queue_size` of one comparer is that of all, as soon as its setter has run.
pub(in crate::machine) fn share_queue_size(core: &mut Core, value: Option<&Value>) {
    if let Some(size) = value.and_then(Value::as_u64) {
        core.shared.of::<Comparers>().queue_size = size as u32;
        show_queue_size(core);
    }
}

/// Every comparer's getter shows what all of them share.
fn show_queue_size(core: &mut Core) {
    if !core.has(Quirk::MaxQueueSizeGlobal) {
        return;
    }
    let Comparers { queue_size, objects } = core.shared.of::<Comparers>();
    for key in objects.iter() {
        if let Some(object) = core.objects.get_mut(key) {
            object.values.insert(QUEUE_SIZE_NAME, (*queue_size).into());
        }
    }
}

/// What QEMU does when it refuses a comparer: it destroys one that was never completed, and dies of
/// it (QEMU 10.2.2 net/colo-compare.c:1407-1445), or waits for its iothread once that was set
/// (measured on QEMU 11.1.3).
pub(in crate::machine) fn refusal(
    core: &mut Core,
    error: CommandError,
    has_iothread: bool,
) -> CreateError {
    if core.has(Quirk::CompareErrorFreezes) && has_iothread {
        core.freeze_for_ever(Place::Machine);
        return CreateError::Freezes;
    }
    if !core.has(Quirk::CompareErrorCrashes) {
        return CreateError::Refused(error);
    }
    let others = !core.shared.of::<Comparers>().objects.is_empty();
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

/// Lets go of every chardev.
fn let_go(cx: &mut Context<'_>) {
    let chardevs: Vec<ChardevKey> = cx.core.chardevs.keys().copied().collect();
    for chardev in chardevs {
        cx.core.chardev_detach(chardev, cx.key);
    }
}
