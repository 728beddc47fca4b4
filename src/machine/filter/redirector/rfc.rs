//! `in_netdev` and `out_netdev` of filter-redirector, as the RFC "net/filter-redirector: add
//! in/out_netdev properties" states them. It gives no texts and no data path; both are ours and
//! live here.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Redirector, pass_on, take};
use crate::{
    base::{Frame, NetdevId, Tag, VnetHdr},
    machine::{
        NetdevKind, Output,
        core::Core,
        error::{generic, not_found},
        part::{Captured, Context},
    },
    qapi::Spec,
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
pub(in crate::machine::filter) fn bypasses_chain(spec: &Spec) -> bool {
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

/// How many filters of the machine use the packet socket on a TAP.
#[derive(Debug, Default)]
struct PacketSockets(BTreeMap<NetdevId, usize>);

impl Redirector {
    /// Takes up capture and injection; a TAP's packet socket opens with its first user.
    pub(super) fn open(
        &mut self,
        cx: &mut Context<'_>,
        in_netdev: Option<NetdevId>,
        out_netdev: Option<NetdevId>,
    ) {
        for netdev in in_netdev.iter().chain(&out_netdev) {
            let users = cx.core.shared.of::<PacketSockets>().0.entry(netdev.clone()).or_default();
            *users += 1;
            if *users == 1 {
                cx.core.emit(Output::Capture { netdev: netdev.clone(), on: true });
            }
        }
        self.in_netdev = in_netdev;
        self.out_netdev = out_netdev;
    }

    /// Gives up capture and injection; a TAP's packet socket closes with its last user.
    pub(super) fn close(&mut self, cx: &mut Context<'_>) {
        for copy in self.unread.drain(..) {
            cx.drop_frame(copy.tag, DropReason::Purged);
        }
        for netdev in [self.in_netdev.take(), self.out_netdev.take()].into_iter().flatten() {
            let sockets = &mut cx.core.shared.of::<PacketSockets>().0;
            let users = sockets.remove(&netdev).unwrap_or_default().saturating_sub(1);
            if users > 0 {
                sockets.insert(netdev, users);
            } else if cx.core.client_of(netdev.as_str()).is_some() {
                cx.core.emit(Output::Capture { netdev, on: false });
            }
        }
    }

    /// Whether the filter's own netdev is what it captures and QEMU reads that TAP itself: then the
    /// chain's copy is not taken too.
    pub(super) fn captures_own_chain(&self, cx: &Context<'_>) -> bool {
        let netdev = cx.base.netdev.and_then(|netdev| cx.core.clients.get(&netdev));
        netdev.is_some_and(|netdev| {
            let read_by_qemu = matches!(netdev.kind, NetdevKind::Tap { vhost: false, .. });
            read_by_qemu && self.in_netdev.as_ref() == Some(&netdev.id)
        })
    }

    /// A copy that a packet socket took, perhaps that of `in_netdev`. While the VM is stopped it stays
    /// in the socket, unless `enable_when_stopped` says otherwise.
    pub(super) fn capture(&mut self, cx: &mut Context<'_>, copy: &Captured) {
        let captures = self.in_netdev.as_ref() == Some(&copy.netdev);
        if !captures || !cx.base.queue.handles(copy.direction) {
            return;
        }
        if reads_socket(cx) {
            self.read_socket(cx, copy);
        } else {
            self.unread.push_back(copy.clone());
        }
    }

    /// Reads what the packet socket holds, if it is read now.
    pub(super) fn read_unread(&mut self, cx: &mut Context<'_>) {
        while reads_socket(cx) {
            let Some(copy) = self.unread.pop_front() else {
                return;
            };
            self.read_socket(cx, &copy);
        }
    }

    fn read_socket(&mut self, cx: &mut Context<'_>, copy: &Captured) {
        let Captured { netdev, direction, frame, tag } = copy;
        if !cx.base.on {
            self.discarded += 1;
            return cx.drop_frame(*tag, DropReason::CapturedWhileOff);
        }
        let tap = cx.core.client_of(netdev.as_str());
        cx.seen(None, frame.data.clone(), *tag);
        let Some(outdev) = self.outdev else {
            let data = with_header(frame, cx.vnet_hdr_len());
            return pass_on(cx, *direction, data, *tag, tap);
        };
        // The header that PACKET_VNET_HDR gave, in the length that the TAP's own frames have.
        let length = match tap.map_or(0, |tap| cx.core.vnet_hdr_len(tap)) {
            0 => VnetHdr::SHORT,
            length => length,
        };
        let vnet = cx.base.vnet_hdr_support;
        let data = with_header(frame, if vnet { length } else { 0 });
        take(cx, outdev, &data, vnet.then_some(length as u32), *tag);
    }

    /// Sends a frame on the packet socket of `out_netdev`, a virtio-net header of this length in
    /// front of it.
    pub(super) fn inject(
        &self,
        cx: &mut Context<'_>,
        mut data: Bytes,
        header: usize,
        tag: Option<Tag>,
    ) {
        if data.is_empty() {
            return cx.drop_frame(tag, DropReason::Empty);
        }
        if header > data.len() {
            return cx.drop_frame(tag, DropReason::BadVnetHdr);
        }
        let object = cx.core.objects.get(&cx.key).map(|object| object.id.clone());
        let (Some(object), Some(netdev)) = (object, self.out_netdev.clone()) else {
            return;
        };
        let header = VnetHdr::from_bytes(&data.split_to(header));
        let vnet = if cx.base.vnet_hdr_support { header } else { VnetHdr::default() };
        if cx.core.client_of(netdev.as_str()).is_none() {
            return cx.drop_frame(tag, DropReason::InterfaceGone);
        }
        cx.core.emit(Output::Inject { netdev, object, frame: Frame { vnet, data }, tag });
    }
}

/// Whether the packet socket is read now.
fn reads_socket(cx: &Context<'_>) -> bool {
    cx.core.running || cx.base.enable_when_stopped
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
