//! `filter-redirector`: takes packets out of the chain and puts others in (QEMU 10.2.2
//! `net/filter-mirror.c`; `in_netdev` and `out_netdev`: [`super::rfc`]).

use bytes::Bytes;

use super::{
    client::OVERSIZE_LOG,
    core::{ChardevKey, ClientKey, Core, ObjectKey, generic, not_found},
    filter::{self, FilterClass, FilterState},
    framing::{Reassembler, Unit},
    mirror,
    netqueue::Packet,
    property::Spec,
    rfc,
};
use crate::{
    base::{Direction, Frame, NetdevId, Queue, Quirk, Tag, VnetHdr},
    record::{CommandError, DropReason, EventKind},
};

pub(super) use super::rfc::{bypasses_chain, captured};

pub(super) static CLASS: FilterClass = FilterClass {
    name: "filter-redirector",
    setup,
    receive,
    read,
    closed,
    changed,
    deadline: |_, _| None,
    due: |_, _| {},
    colo: filter::colo,
    unfinished,
    cleanup,
    refused: |_| {},
};

/// What a redirector keeps.
#[derive(Debug)]
pub(super) struct Redirector {
    pub(super) indev: Option<ChardevKey>,
    pub(super) outdev: Option<ChardevKey>,
    pub(super) in_netdev: Option<NetdevId>,
    pub(super) out_netdev: Option<NetdevId>,
    /// Frames captured and discarded while its status was off.
    pub(super) discarded: u64,
    reassembler: Reassembler,
    /// Its indev is never read again.
    deaf: bool,
}

impl Redirector {
    pub(super) fn is_deaf(&self, chardev: ChardevKey) -> bool {
        self.deaf && self.indev == Some(chardev)
    }
}

/// QEMU's checks in QEMU's order (QEMU 10.2.2 net/filter-mirror.c:278-325), after the RFC's.
fn setup(core: &mut Core, key: ObjectKey, spec: &Spec) -> Result<(), CommandError> {
    let (indev, outdev) = (spec.text("indev"), spec.text("outdev"));
    if core.profile.version().has_af_packet() {
        rfc::check(spec)?;
    } else if indev.is_none() && outdev.is_none() {
        return Err(generic(
            "filter redirector needs 'indev' or 'outdev' at least one property set",
        ));
    }
    if indev.is_some() && indev == outdev {
        return Err(generic("'indev' and 'outdev' could not be same for filter redirector"));
    }
    let reassembler = Reassembler::new(spec.flag("vnet_hdr_support"), core.strictness());
    let redirector = Redirector {
        indev: None,
        outdev: None,
        in_netdev: None,
        out_netdev: None,
        discarded: 0,
        reassembler,
        deaf: false,
    };
    if let Some(filter) = core.filter_mut(key) {
        filter.state = FilterState::Redirector(Box::new(redirector));
    }
    if let Some(id) = indev {
        let missing = || not_found(format!("IN Device '{id}' not found"));
        let chardev = core.chardev_of(id).ok_or_else(missing)?;
        core.chardev_attach(chardev, key)?;
        if let Some(state) = state(core, key) {
            state.indev = Some(chardev);
        }
        core.chardev_reads(chardev, key);
    }
    let in_netdev = rfc::resolve_in(core, spec)?;
    if let Some(id) = outdev {
        let missing = || not_found(format!("OUT Device '{id}' not found"));
        let chardev = core.chardev_of(id).ok_or_else(missing)?;
        core.chardev_attach(chardev, key)?;
        if let Some(state) = state(core, key) {
            state.outdev = Some(chardev);
        }
    }
    let out_netdev = rfc::resolve_out(core, spec)?;
    rfc::open(core, key, in_netdev, out_netdev);
    Ok(())
}

pub(super) fn state(core: &mut Core, key: ObjectKey) -> Option<&mut Redirector> {
    match &mut core.filter_mut(key)?.state {
        FilterState::Redirector(redirector) => Some(redirector),
        _ => None,
    }
}

/// A packet of the chain: taken by the output side, else passed on.
fn receive(core: &mut Core, key: ObjectKey, packet: &Packet) -> isize {
    if packet.captured.is_none() && rfc::captures_own_chain(core, key) {
        return 0;
    }
    let Some(redirector) = state(core, key) else {
        return 0;
    };
    let (outdev, out_netdev) = (redirector.outdev, redirector.out_netdev.is_some());
    if out_netdev {
        return rfc::inject_from_chain(core, key, packet);
    }
    match outdev {
        Some(outdev) => take(core, key, outdev, &packet.data, None, packet.tag),
        None => 0,
    }
}

/// Writes a frame to outdev. 0 for an empty one, which is not written; negative when the write
/// failed, and the frame is lost all the same (QEMU 10.2.2 net/filter-mirror.c:213-232).
pub(super) fn take(
    core: &mut Core,
    key: ObjectKey,
    outdev: ChardevKey,
    data: &Bytes,
    vnet_len: Option<u32>,
    tag: Option<Tag>,
) -> isize {
    if data.is_empty() {
        return 0;
    }
    let place = core.object_place(key);
    let written = match vnet_len {
        Some(_) => mirror::write_framed(core, key, outdev, data, vnet_len, tag),
        None => mirror::write_frame(core, key, outdev, data, tag),
    };
    match written {
        Ok(()) => {
            core.event(place, tag, EventKind::Consumed);
            data.len() as isize
        }
        Err(error) => {
            mirror::log_failure(core, key, error, tag);
            core.drop_frame(place, tag, error.reason());
            -1
        }
    }
}

fn read(core: &mut Core, key: ObjectKey, mut data: Bytes, tag: Option<Tag>) -> bool {
    loop {
        if core.dead {
            if !data.is_empty() {
                core.drop_frame(core.object_place(key), tag, DropReason::MachineDead);
            }
            return false;
        }
        let Some(redirector) = state(core, key) else {
            return false;
        };
        let unit = redirector.reassembler.next(&mut data, tag);
        let lost = redirector.reassembler.take_lost();
        let broken = matches!(unit, Some(Unit::Oversize { .. }));
        let reason = if broken { DropReason::Oversize } else { DropReason::Incomplete };
        let place = core.object_place(key);
        for tag in lost {
            core.drop_frame(place.clone(), Some(tag), reason);
        }
        match unit {
            None => return true,
            Some(Unit::Frame { data, vnet_len, tag }) => from_indev(core, key, data, vnet_len, tag),
            Some(Unit::Empty { tag }) => core.drop_frame(place, tag, DropReason::Empty),
            Some(Unit::Oversize { .. }) => {
                core.log(place, None, OVERSIZE_LOG);
                broken_stream(core, key);
                return false;
            }
        }
    }
}

/// After an oversized frame QEMU reads no more but leaves the connection open; mended, it closes it.
fn broken_stream(core: &mut Core, key: ObjectKey) {
    let Some(indev) = state(core, key).and_then(|redirector| redirector.indev) else {
        return;
    };
    if core.has(Quirk::OversizeFoundLate) {
        deafen(core, key);
    } else {
        core.hang_up(indev);
    }
}

fn deafen(core: &mut Core, key: ObjectKey) {
    let Some(redirector) = state(core, key) else {
        return;
    };
    redirector.deaf = true;
    let indev = redirector.indev;
    if let Some(chardev) = indev.and_then(|indev| core.chardevs.get_mut(&indev)) {
        chardev.reader = None;
    }
}

/// The indev's connection is over; what it cut is discarded (QEMU 10.2.2
/// net/filter-mirror.c:176-189).
fn closed(core: &mut Core, key: ObjectKey) {
    let Some(redirector) = state(core, key) else {
        return;
    };
    let cut = redirector.reassembler.reset();
    let place = core.object_place(key);
    for tag in cut {
        core.drop_frame(place.clone(), Some(tag), DropReason::Incomplete);
    }
    if core.has(Quirk::IndevDeafAfterClose) {
        deafen(core, key);
    }
}

/// A frame from indev: injected by out_netdev when that is set, else passed to the next filter
/// (QEMU 10.2.2 net/filter-mirror.c:137-155).
fn from_indev(core: &mut Core, key: ObjectKey, data: Bytes, vnet_len: u32, tag: Option<Tag>) {
    core.seen(key, None, data.clone(), tag);
    let Some(filter) = core.filter(key) else {
        return;
    };
    let (netdev, queue, on) = (filter.netdev, filter.queue, filter.on);
    let injects = state(core, key).is_some_and(|redirector| redirector.out_netdev.is_some());
    if !on && (injects || !core.has(Quirk::OffIndevInjects)) {
        return core.drop_frame(core.object_place(key), tag, DropReason::Off);
    }
    if data.is_empty() && !core.has(Quirk::EmptyFrameWedges) {
        return core.drop_frame(core.object_place(key), tag, DropReason::Empty);
    }
    if injects {
        return rfc::inject_from_indev(core, key, data, vnet_len, tag);
    }
    let Some(data) = fit_header(core, key, data, vnet_len) else {
        return core.drop_frame(core.object_place(key), tag, DropReason::BadVnetHdr);
    };
    let both = core.has(Quirk::IndevAllInjectsTwice);
    if queue.handles(Direction::Tx) {
        pass(core, key, Direction::Tx, Some(netdev), data.clone(), tag);
    }
    if queue == Queue::Rx || (queue == Queue::All && both) {
        let peer = core.clients.get(&netdev).and_then(|client| client.peer);
        pass(core, key, Direction::Rx, peer, data, tag);
    }
}

/// A frame with its virtio-net header as its netdev has it; none when the stream announced a header
/// that is longer than the frame. QEMU leaves the frame as it came.
fn fit_header(core: &Core, key: ObjectKey, mut data: Bytes, vnet_len: u32) -> Option<Bytes> {
    let filter = core.filter(key)?;
    let has = core.vnet_hdr_len(filter.netdev);
    let announced = vnet_len as usize;
    let asked = filter.vnet_hdr_support && !core.has(Quirk::IndevIgnoresVnetLen);
    if !asked || announced == has {
        return Some(data);
    }
    if announced > data.len() {
        return None;
    }
    let vnet = VnetHdr::from_bytes(&data.split_to(announced));
    Some(rfc::with_header(&Frame { vnet, data }, has))
}

fn pass(
    core: &mut Core,
    key: ObjectKey,
    direction: Direction,
    sender: Option<ClientKey>,
    data: Bytes,
    tag: Option<Tag>,
) {
    let Some(sender) = sender else {
        return core.drop_frame(core.object_place(key), tag, DropReason::NoPeer);
    };
    let packet = Packet { sender, data, tag, resume: None, captured: None, hops: 0 };
    core.pass_to_next(key, direction, packet);
}

fn changed(core: &mut Core, key: ObjectKey) {
    let Some(filter) = core.filter(key) else {
        return;
    };
    let (on, vnet) = (filter.on, filter.vnet_hdr_support);
    let reaches_indev = !core.has(Quirk::VnetSetReachesOutdevOnly);
    let Some(redirector) = state(core, key) else {
        return;
    };
    if reaches_indev {
        redirector.reassembler.set_vnet(vnet);
    }
    let discarded = if on { std::mem::take(&mut redirector.discarded) } else { 0 };
    if discarded > 0 {
        let said = format!("{discarded} captured frames were discarded while the status was off");
        core.event(core.object_place(key), None, EventKind::Notice(said));
    }
}

fn cleanup(core: &mut Core, key: ObjectKey) {
    let Some(redirector) = state(core, key) else {
        return;
    };
    let cut = redirector.reassembler.reset();
    let held = [redirector.indev, redirector.outdev];
    let place = core.object_place(key);
    for tag in cut {
        core.drop_frame(place.clone(), Some(tag), DropReason::Incomplete);
    }
    for chardev in held.into_iter().flatten() {
        core.chardev_detach(chardev, key);
    }
    rfc::close(core, key);
}

/// Tags of a frame that its indev has not completed.
fn unfinished(core: &mut Core, key: ObjectKey) -> Vec<(Tag, DropReason)> {
    let tags = state(core, key).map(|redirector| redirector.reassembler.reset());
    let incomplete = |tag| (tag, DropReason::Incomplete);
    tags.into_iter().flatten().map(incomplete).collect()
}
