//! What the RFC "AF_PACKET support for vhost-net" makes of filter-redirector: capture and injection
//! with a packet socket on a TAP, by the rules of [`Rfc`](crate::base::Rfc), which say what of it is
//! known and what is ours. The texts of its refusals are ours and live here.

use bytes::{BufMut, Bytes, BytesMut};

use super::{Redirector, packet, pass_on, take};
use crate::{
    base::{
        Direction, Frame, Injection, Interface, NetdevId, QemuVersion, Queue, Quirk, Tag, VnetHdr,
        WhileStopped,
    },
    machine::{
        NetdevKind, Output,
        core::{Core, Packet},
        error::{generic, not_found},
        part::{Action, Captured, Context},
    },
    qapi::Spec,
    record::{CommandError, DropReason},
};

/// A combination of properties that is refused.
struct Rule {
    breaks: fn(&Spec) -> bool,
    text: &'static str,
    /// Whether it is a rule of the filter's chain alone. A redirector that stands alone may have two
    /// interfaces: there is no chain that would make a loop of them.
    of_chain: bool,
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
        of_chain: false,
    },
    Rule {
        breaks: |spec| is_set(spec, "in_netdev") && is_set(spec, "out_netdev"),
        text: "'in_netdev' and 'out_netdev' are mutually exclusive for filter redirector",
        of_chain: true,
    },
    Rule {
        breaks: |spec| is_set(spec, "in_netdev") && is_set(spec, "indev"),
        text: "'in_netdev' and 'indev' are mutually exclusive for filter redirector",
        of_chain: false,
    },
    Rule {
        breaks: |spec| is_set(spec, "out_netdev") && is_set(spec, "outdev"),
        text: "'out_netdev' and 'outdev' are mutually exclusive for filter redirector",
        of_chain: false,
    },
];

/// Checks the combination before anything is opened.
pub(super) fn check(spec: &Spec) -> Result<(), CommandError> {
    first_broken(RULES.iter(), spec)
}

/// The same for a redirector that stands alone.
pub(super) fn check_alone(spec: &Spec) -> Result<(), CommandError> {
    first_broken(RULES.iter().filter(|rule| !rule.of_chain), spec)
}

fn first_broken(
    mut rules: impl Iterator<Item = &'static Rule>,
    spec: &Spec,
) -> Result<(), CommandError> {
    let broken = rules.find(|rule| (rule.breaks)(spec));
    broken.map_or(Ok(()), |rule| Err(generic(rule.text)))
}

/// Whether the object works beside the chain, so that a netdev with vhost will do.
pub(in crate::machine::filter) fn bypasses_chain(version: QemuVersion, spec: &Spec) -> bool {
    match version.interface() {
        Some(Interface::Properties) => is_set(spec, "in_netdev") || is_set(spec, "out_netdev"),
        Some(Interface::OwnVhostTap) => true,
        Some(Interface::Chardev) | None => false,
    }
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
    let client = client.ok_or_else(|| netdev_not_found(side, id))?;
    match client.kind {
        NetdevKind::Tap { .. } => Ok(client.id.clone()),
        _ => Err(netdev_not_a_tap(side, id)),
    }
}

/// `side` is IN or OUT.
pub(in crate::machine) fn netdev_not_found(side: &str, id: &str) -> CommandError {
    not_found(format!("{side} netdev '{id}' not found"))
}

/// `side` is IN or OUT.
pub(in crate::machine) fn netdev_not_a_tap(side: &str, id: &str) -> CommandError {
    generic(format!("{side} netdev '{id}' is not a TAP"))
}

impl Redirector {
    /// Takes up capture and injection.
    pub(super) fn open(
        &mut self,
        cx: &mut Context<'_>,
        in_netdev: Option<NetdevId>,
        out_netdev: Option<NetdevId>,
    ) {
        for netdev in in_netdev.iter().chain(&out_netdev) {
            cx.core.packet_socket_take(netdev.clone());
        }
        self.in_netdev = in_netdev;
        self.out_netdev = out_netdev;
    }

    /// Gives up capture and injection.
    pub(super) fn close(&mut self, cx: &mut Context<'_>) {
        for copy in self.unread.drain(..) {
            cx.drop_frame(copy.tag, DropReason::CapturedWhileStopped);
        }
        for netdev in [self.in_netdev.take(), self.out_netdev.take()].into_iter().flatten() {
            cx.core.packet_socket_give_back(netdev);
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

    /// The filter's own netdev, where that is a vhost TAP and such a redirector uses it by itself.
    pub(super) fn own_vhost_tap(&self, cx: &Context<'_>) -> Option<NetdevId> {
        let netdev = cx.base.netdev.and_then(|netdev| cx.core.clients.get(&netdev))?;
        let vhost = matches!(netdev.kind, NetdevKind::Tap { vhost: true, .. });
        let by_itself = self.interface == Some(Interface::OwnVhostTap);
        (vhost && by_itself).then(|| netdev.id.clone())
    }

    /// Whether what the chain brings is injected.
    pub(super) fn injects_chain(&self) -> bool {
        self.out_netdev.is_some() && self.interface == Some(Interface::Properties)
    }

    /// A copy that a packet socket took, perhaps its own. While the VM is stopped it may have to stay
    /// in the socket.
    pub(super) fn capture(&mut self, cx: &mut Context<'_>, copy: &Captured) {
        let captures = self.in_netdev.as_ref() == Some(&copy.netdev);
        let only_to_guest = cx.has(Quirk::CaptureHostToGuestOnly);
        let wanted = cx.base.queue.handles(copy.direction)
            && !(only_to_guest && copy.direction == Direction::Rx);
        if !captures || !wanted {
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

    /// What a frame from indev passes on its way to the packet socket.
    pub(super) fn injection(cx: &Context<'_>) -> Injection {
        let rfc = cx.core.profile.version().rfc();
        rfc.map_or(Injection::AtOnce, |rfc| rfc.injection.value)
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
    let rfc = cx.core.profile.version().rfc();
    let reads_on = rfc.is_some_and(|rfc| rfc.while_stopped.value == WhileStopped::ReadOn);
    cx.core.running || cx.base.enable_when_stopped || reads_on
}

/// Sends a frame from indev, a virtio-net header of this length in front of it, to the packet socket
/// through the chain, as the chain has frames. Towards the guest is tx, unless `queue` says rx.
pub(super) fn approach(cx: &mut Context<'_>, mut data: Bytes, header: usize, tag: Option<Tag>) {
    if header > data.len() {
        return cx.drop_frame(tag, DropReason::BadVnetHdr);
    }
    let vnet = VnetHdr::from_bytes(&data.split_to(header));
    let data = with_header(&Frame { vnet, data }, cx.vnet_hdr_len());
    let direction = if cx.base.queue == Queue::Rx { Direction::Rx } else { Direction::Tx };
    if let Some(packet) = packet(cx, direction, data, tag) {
        let packet = Packet { injector: Some(cx.key), ..packet };
        cx.then(Action::Approach(direction, packet));
    }
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
