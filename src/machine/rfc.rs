//! `in_netdev` and `out_netdev` of filter-redirector, as the RFC "net/filter-redirector: add
//! in/out_netdev properties" states them. It gives no texts and no data path; both are ours and
//! live here.

use bytes::{BufMut, Bytes, BytesMut};

use super::{
    NetdevKind, Output,
    core::{Core, ObjectKey, generic, not_found},
    netqueue::Packet,
    property::Spec,
    redirector::{self, state},
};
use crate::{
    base::{Direction, Frame, NetdevId, Tag, VnetHdr},
    record::{CommandError, DropReason},
};

/// A combination of properties that is refused.
struct Rule {
    breaks: fn(&Spec) -> bool,
    text: &'static str,
}

fn is_set(spec: &Spec, name: &str) -> bool {
    spec.text(name).is_some()
}

/// In the order of checking. `indev` equal to `outdev` follows as in QEMU.
const RULES: &[Rule] = &[
    Rule {
        breaks: |spec| {
            !["indev", "outdev", "in_netdev", "out_netdev"].iter().any(|name| is_set(spec, name))
        },
        text: "filter redirector needs 'indev', 'outdev', 'in_netdev' or 'out_netdev' at least one \
               property set",
    },
    Rule {
        breaks: |spec| is_set(spec, "in_netdev") && is_set(spec, "out_netdev"),
        text: "'in_netdev' and 'out_netdev' are mutually exclusive for filter redirector",
    },
    Rule {
        breaks: |spec| is_set(spec, "in_netdev") && is_set(spec, "indev"),
        text: "'in_netdev' and 'indev' are mutually exclusive for filter redirector",
    },
    Rule {
        breaks: |spec| is_set(spec, "out_netdev") && is_set(spec, "outdev"),
        text: "'out_netdev' and 'outdev' are mutually exclusive for filter redirector",
    },
];

/// Checks the combination before anything is opened.
pub(super) fn check(spec: &Spec) -> Result<(), CommandError> {
    let broken = RULES.iter().find(|rule| (rule.breaks)(spec));
    broken.map_or(Ok(()), |rule| Err(generic(rule.text)))
}

/// Whether the object works beside the chain, so that a netdev with vhost will do.
pub(super) fn bypasses_chain(spec: &Spec) -> bool {
    is_set(spec, "in_netdev") || is_set(spec, "out_netdev")
}

/// The TAP that `in_netdev` names.
pub(super) fn resolve_in(core: &Core, spec: &Spec) -> Result<Option<NetdevId>, CommandError> {
    spec.text("in_netdev").map(|id| resolve(core, "IN", id)).transpose()
}

/// The TAP that `out_netdev` names.
pub(super) fn resolve_out(core: &Core, spec: &Spec) -> Result<Option<NetdevId>, CommandError> {
    spec.text("out_netdev").map(|id| resolve(core, "OUT", id)).transpose()
}

fn resolve(core: &Core, side: &str, id: &str) -> Result<NetdevId, CommandError> {
    let client = core.client_of(id).and_then(|key| core.clients.get(&key));
    let client = client.ok_or_else(|| not_found(format!("{side} netdev '{id}' not found")))?;
    match client.kind {
        NetdevKind::Tap { .. } => Ok(client.id.clone()),
        _ => Err(generic(format!("{side} netdev '{id}' is not a TAP"))),
    }
}

/// Takes up capture and injection; a TAP's packet socket opens with its first user.
pub(super) fn open(
    core: &mut Core,
    key: ObjectKey,
    in_netdev: Option<NetdevId>,
    out_netdev: Option<NetdevId>,
) {
    for netdev in in_netdev.iter().chain(&out_netdev) {
        if !socket_used(core, netdev) {
            core.emit(Output::Capture { netdev: netdev.clone(), on: true });
        }
    }
    if let Some(redirector) = state(core, key) {
        redirector.in_netdev = in_netdev;
        redirector.out_netdev = out_netdev;
    }
}

/// Gives up capture and injection; a TAP's packet socket closes with its last user.
pub(super) fn close(core: &mut Core, key: ObjectKey) {
    let Some(redirector) = state(core, key) else {
        return;
    };
    let used = [redirector.in_netdev.take(), redirector.out_netdev.take()];
    for netdev in used.into_iter().flatten() {
        if !socket_used(core, &netdev) && core.client_of(netdev.as_str()).is_some() {
            core.emit(Output::Capture { netdev, on: false });
        }
    }
}

fn socket_used(core: &mut Core, netdev: &NetdevId) -> bool {
    let objects: Vec<ObjectKey> = core.objects.keys().copied().collect();
    objects.into_iter().any(|key| {
        state(core, key).is_some_and(|redirector| {
            [&redirector.in_netdev, &redirector.out_netdev].contains(&&Some(netdev.clone()))
        })
    })
}

/// Whether the filter's own netdev is what it captures and QEMU reads that TAP itself: then the
/// chain's copy is not taken too.
pub(super) fn captures_own_chain(core: &mut Core, key: ObjectKey) -> bool {
    let Some(netdev) = core.filter(key).map(|filter| filter.netdev) else {
        return false;
    };
    let Some(client) = core.clients.get(&netdev) else {
        return false;
    };
    let read_by_qemu = matches!(client.kind, NetdevKind::Tap { vhost: false, .. });
    let own = client.id.clone();
    read_by_qemu && state(core, key).is_some_and(|state| state.in_netdev == Some(own))
}

/// A copy that the packet socket took: each redirector that captures there gets it, in order of
/// creation.
pub(super) fn captured(
    core: &mut Core,
    netdev: &NetdevId,
    direction: Direction,
    frame: &Frame,
    tag: Option<Tag>,
) {
    let objects: Vec<ObjectKey> = core.objects.keys().copied().collect();
    for key in objects {
        let Some(filter) = core.filter(key) else {
            continue;
        };
        let (queue, on) = (filter.queue, filter.on);
        let captures = state(core, key)
            .is_some_and(|redirector| redirector.in_netdev.as_ref() == Some(netdev));
        if !captures || !queue.handles(direction) {
            continue;
        }
        if on {
            capture(core, key, netdev, direction, frame, tag);
            continue;
        }
        if let Some(redirector) = state(core, key) {
            redirector.discarded += 1;
        }
        core.drop_frame(core.object_place(key), tag, DropReason::CapturedWhileOff);
    }
}

fn capture(
    core: &mut Core,
    key: ObjectKey,
    captured_on: &NetdevId,
    direction: Direction,
    frame: &Frame,
    tag: Option<Tag>,
) {
    let Some(filter) = core.filter(key) else {
        return;
    };
    let (netdev, vnet) = (filter.netdev, filter.vnet_hdr_support);
    let tap = core.client_of(captured_on.as_str());
    core.seen(key, None, frame.data.clone(), tag);
    let outdev = state(core, key).and_then(|redirector| redirector.outdev);
    if let Some(outdev) = outdev {
        // The header that PACKET_VNET_HDR gave, in the length that the TAP's own frames have.
        let length = match tap.map_or(0, |tap| core.vnet_hdr_len(tap)) {
            0 => VnetHdr::SHORT,
            length => length,
        };
        let vnet_len = vnet.then_some(length as u32);
        let data = with_header(frame, if vnet { length } else { 0 });
        redirector::take(core, key, outdev, &data, vnet_len, tag);
        return;
    }
    let peer = core.clients.get(&netdev).and_then(|client| client.peer);
    let sender = match direction {
        Direction::Tx => netdev,
        Direction::Rx => peer.unwrap_or(netdev),
    };
    let data = with_header(frame, core.vnet_hdr_len(netdev));
    let packet = Packet { sender, data, tag, resume: None, captured: tap, hops: 0 };
    core.pass_to_next(key, direction, packet);
}

/// A frame as it travels in a chain whose headers have this length.
pub(super) fn with_header(frame: &Frame, length: usize) -> Bytes {
    if length == 0 {
        return frame.data.clone();
    }
    let mut bytes = BytesMut::with_capacity(length + frame.data.len());
    bytes.put_slice(&frame.vnet.to_bytes(length));
    bytes.put_slice(&frame.data);
    bytes.freeze()
}

/// A packet of the chain, whose virtio-net header is in front where its netdev has one. Taken in
/// any case.
pub(super) fn inject_from_chain(core: &mut Core, key: ObjectKey, packet: &Packet) -> isize {
    let Some(filter) = core.filter(key) else {
        return 0;
    };
    let length = core.vnet_hdr_len(filter.netdev);
    inject(core, key, packet.data.clone(), length, packet.tag);
    (packet.data.len() as isize).max(1)
}

/// A frame of the indev, whose virtio-net header has the length that the stream announced.
pub(super) fn inject_from_indev(
    core: &mut Core,
    key: ObjectKey,
    data: Bytes,
    vnet_len: u32,
    tag: Option<Tag>,
) {
    inject(core, key, data, vnet_len as usize, tag);
}

fn inject(core: &mut Core, key: ObjectKey, mut data: Bytes, header: usize, tag: Option<Tag>) {
    let place = core.object_place(key);
    if data.is_empty() {
        return core.drop_frame(place, tag, DropReason::Empty);
    }
    if header > data.len() {
        return core.drop_frame(place, tag, DropReason::BadVnetHdr);
    }
    let Some(object) = core.objects.get(&key).map(|object| object.id.clone()) else {
        return;
    };
    let vnet = core.filter(key).is_some_and(|filter| filter.vnet_hdr_support);
    let header = VnetHdr::from_bytes(&data.split_to(header));
    let frame = Frame { vnet: if vnet { header } else { VnetHdr::default() }, data };
    let Some(netdev) = state(core, key).and_then(|redirector| redirector.out_netdev.clone()) else {
        return;
    };
    if core.client_of(netdev.as_str()).is_none() {
        return core.drop_frame(place, tag, DropReason::InterfaceGone);
    }
    core.emit(Output::Inject { netdev, object, frame, tag });
}
