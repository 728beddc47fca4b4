//! `filter-redirector`: takes packets out of the chain and puts others in (QEMU 10.2.2
//! `net/filter-mirror.c`; what the RFC adds: [`rfc`]).

mod rfc;

use std::collections::VecDeque;

use bytes::Bytes;

pub(super) use rfc::bypasses_chain;
pub(in crate::machine) use rfc::{netdev_not_a_tap, netdev_not_found};

use crate::{
    base::{Direction, Frame, Injection, Interface, NetdevId, Queue, Quirk, Tag, VnetHdr},
    machine::{
        core::{ChardevKey, ClientKey, Packet},
        error::{generic, not_found},
        framing::{OVERSIZE_LOG, Reassembler, Unit},
        part::{Action, Captured, Context, Part, Read, Verdict},
    },
    qapi::Spec,
    record::{CommandError, DropReason, EventKind},
};

#[derive(Debug)]
struct Redirector {
    indev: Option<ChardevKey>,
    outdev: Option<ChardevKey>,
    /// How it comes by packet sockets.
    interface: Option<Interface>,
    /// The TAP that it captures on.
    in_netdev: Option<NetdevId>,
    /// The TAP that it injects on.
    out_netdev: Option<NetdevId>,
    /// Frames captured and discarded while its status was off.
    discarded: u64,
    /// What its packet socket holds while the VM is stopped.
    unread: VecDeque<Captured>,
    reassembler: Reassembler,
    /// Its indev is never read again.
    deaf: bool,
    /// Whether its indev is read, as far as its status goes.
    listens: bool,
}

/// QEMU's checks in QEMU's order (QEMU 10.2.2 net/filter-mirror.c:278-325), after the RFC's, as far
/// as the indev; the rest is [`Part::complete`].
pub(super) fn make(cx: &mut Context<'_>, spec: &Spec) -> Result<Box<dyn Part>, CommandError> {
    let (indev, outdev) = (spec.text("indev"), spec.text("outdev"));
    if cx.core.profile.version().has_af_packet() {
        rfc::check(spec)?;
    } else if indev.is_none() && outdev.is_none() {
        return Err(generic(
            "filter redirector needs 'indev' or 'outdev' at least one property set",
        ));
    }
    check_chardevs(spec)?;
    Ok(Box::new(Redirector {
        indev: indev.map(|id| hold(cx, "IN", id)).transpose()?,
        outdev: None,
        interface: cx.core.profile.version().interface(),
        in_netdev: None,
        out_netdev: None,
        discarded: 0,
        unread: VecDeque::new(),
        reassembler: Reassembler::new(cx.base.vnet_hdr_support, cx.core.strictness()),
        deaf: false,
        listens: cx.base.on || cx.has(Quirk::OffIndevInjects),
    }))
}

/// The two ends may not be one chardev.
fn check_chardevs(spec: &Spec) -> Result<(), CommandError> {
    let (indev, outdev) = (spec.text("indev"), spec.text("outdev"));
    if indev.is_some() && indev == outdev {
        return Err(generic("'indev' and 'outdev' could not be same for filter redirector"));
    }
    Ok(())
}

/// What is refused of a redirector that stands alone, in the order of [`make`].
pub(in crate::machine) fn check_alone(spec: &Spec) -> Result<(), CommandError> {
    rfc::check_alone(spec)?;
    check_chardevs(spec)
}

/// Takes hold of a chardev.
fn hold(cx: &mut Context<'_>, side: &str, id: &str) -> Result<ChardevKey, CommandError> {
    let missing = || not_found(format!("{side} Device '{id}' not found"));
    let chardev = cx.core.chardev_of(id).ok_or_else(missing)?;
    cx.core.chardev_attach(chardev, cx.key)?;
    Ok(chardev)
}

impl Part for Redirector {
    fn inputs(&self) -> Vec<ChardevKey> {
        self.indev.into_iter().filter(|_| self.listens).collect()
    }

    fn complete(&mut self, cx: &mut Context<'_>, spec: &Spec) -> Result<(), CommandError> {
        let in_netdev = rfc::resolve_in(cx.core, spec)?;
        self.outdev = spec.text("outdev").map(|id| hold(cx, "OUT", id)).transpose()?;
        let out_netdev = rfc::resolve_out(cx.core, spec)?;
        match self.own_vhost_tap(cx) {
            None => self.open(cx, in_netdev, out_netdev),
            Some(tap) => {
                let captures = self.outdev.map(|_| tap.clone());
                let injects = self.indev.map(|_| tap);
                self.open(cx, captures, injects);
            }
        }
        Ok(())
    }

    /// A packet of the chain: taken by the output side, otherwise passed on.
    fn receive(&mut self, cx: &mut Context<'_>, packet: &Packet) -> Verdict {
        if packet.captured.is_none() && self.captures_own_chain(cx) {
            return Verdict::Pass;
        }
        if packet.injector == Some(cx.key) || self.injects_chain() {
            self.inject(cx, packet.data.clone(), cx.vnet_hdr_len(), packet.tag);
            return Verdict::Take;
        }
        match self.outdev {
            Some(outdev) => take(cx, outdev, &packet.data, None, packet.tag),
            None => Verdict::Pass,
        }
    }

    fn captured(&mut self, cx: &mut Context<'_>, copy: &Captured) {
        self.capture(cx, copy);
    }

    fn run_state(&mut self, cx: &mut Context<'_>) {
        self.read_unread(cx);
    }

    /// One unit of the stream.
    fn read(
        &mut self,
        cx: &mut Context<'_>,
        chardev: ChardevKey,
        data: &mut Bytes,
        tag: Option<Tag>,
    ) -> Read {
        if cx.is_dead_to(data, tag) {
            return Read::Discard;
        }
        match cx.next_unit(&mut self.reassembler, data, tag) {
            None => return Read::Done,
            Some(Unit::Frame { data, vnet_len, tag }) => self.indev_frame(cx, data, vnet_len, tag),
            Some(Unit::Empty { tag }) => cx.drop_frame(tag, DropReason::Empty),
            Some(Unit::Oversize { .. }) => {
                cx.log(None, OVERSIZE_LOG);
                // QEMU reads no more but leaves the connection open; mended, it closes it.
                if cx.has(Quirk::OversizeFoundLate) {
                    self.deafen(cx);
                } else {
                    cx.then(Action::HangUp(chardev));
                }
                return Read::Discard;
            }
        }
        Read::More
    }

    /// The indev's connection is over; what it cut is discarded (QEMU 10.2.2
    /// net/filter-mirror.c:176-189), or waits for the rest.
    fn closed(&mut self, cx: &mut Context<'_>, chardev: ChardevKey) {
        if self.indev != Some(chardev) {
            return;
        }
        if !cx.has(Quirk::IndevKeepsHalfFrame) {
            self.cut(cx);
        }
        if cx.has(Quirk::IndevDeafAfterClose) {
            self.deafen(cx);
        }
    }

    fn is_deaf(&self, chardev: ChardevKey) -> bool {
        self.deaf && self.indev == Some(chardev)
    }

    /// What is sent to the indev of a filter that is off waits in its socket.
    fn changed(&mut self, cx: &mut Context<'_>) {
        let follows = !cx.has(Quirk::OffIndevInjects) && self.listens != cx.base.on;
        if let Some(indev) = self.indev.filter(|_| follows) {
            self.listens = cx.base.on;
            // A broken stream is read again (measured on QEMU 11.1.3).
            self.deaf &= !cx.base.on;
            cx.then(Action::Listen(indev, cx.base.on));
        }
        self.read_unread(cx);
        if !cx.has(Quirk::VnetSetReachesOutdevOnly) {
            self.reassembler.set_vnet(cx.base.vnet_hdr_support);
        }
        let discarded = if cx.base.on { std::mem::take(&mut self.discarded) } else { 0 };
        if discarded > 0 {
            let notice =
                format!("{discarded} captured frames were discarded while the status was off");
            cx.event(None, EventKind::Notice(notice));
        }
    }

    /// A frame that its indev has not completed, and what its packet socket still holds.
    fn unfinished(&mut self) -> Vec<(Tag, DropReason)> {
        let cut = self.reassembler.reset().into_iter().map(|tag| (tag, DropReason::Incomplete));
        let unread = self.unread.drain(..).filter_map(|copy| copy.tag);
        cut.chain(unread.map(|tag| (tag, DropReason::CapturedWhileStopped))).collect()
    }

    fn cleanup(&mut self, cx: &mut Context<'_>) {
        self.cut(cx);
        for chardev in [self.indev, self.outdev].into_iter().flatten() {
            cx.core.chardev_detach(chardev, cx.key);
        }
        self.close(cx);
    }
}

impl Redirector {
    /// Discards what the indev has not completed.
    fn cut(&mut self, cx: &mut Context<'_>) {
        for tag in self.reassembler.reset() {
            cx.drop_frame(Some(tag), DropReason::Incomplete);
        }
    }

    fn deafen(&mut self, cx: &mut Context<'_>) {
        self.deaf = true;
        if let Some(chardev) = self.indev.and_then(|indev| cx.core.chardevs.get_mut(&indev)) {
            chardev.reader = None;
        }
    }

    /// A frame from indev: injected by out_netdev if that is set, otherwise passed to the next
    /// filter (QEMU 10.2.2 net/filter-mirror.c:137-155).
    fn indev_frame(&mut self, cx: &mut Context<'_>, data: Bytes, vnet_len: u32, tag: Option<Tag>) {
        cx.seen(None, data.clone(), tag);
        if data.is_empty() && !cx.has(Quirk::EmptyFrameWedges) {
            return cx.drop_frame(tag, DropReason::Empty);
        }
        if self.out_netdev.is_some() {
            return match Self::injection(cx) {
                Injection::AtOnce => self.inject(cx, data, vnet_len as usize, tag),
                Injection::ThroughBuffer => rfc::approach(cx, data, vnet_len as usize, tag),
            };
        }
        let Some(data) = fit_header(cx, data, vnet_len) else {
            return cx.drop_frame(tag, DropReason::BadVnetHdr);
        };
        let (queue, both) = (cx.base.queue, cx.has(Quirk::IndevAllInjectsTwice));
        if queue.handles(Direction::Tx) {
            pass_on(cx, Direction::Tx, data.clone(), tag, None);
        }
        if queue == Queue::Rx || (queue == Queue::All && both) {
            pass_on(cx, Direction::Rx, data, tag, None);
        }
    }
}

/// Passes a frame on behind the filter.
fn pass_on(
    cx: &mut Context<'_>,
    direction: Direction,
    data: Bytes,
    tag: Option<Tag>,
    captured: Option<ClientKey>,
) {
    if let Some(packet) = packet(cx, direction, data, tag) {
        cx.then(Action::PassOn(direction, Packet { captured, ..packet }));
    }
}

/// A packet in the filter's chain: for tx the filter's netdev sends it, for rx that one's peer.
fn packet(cx: &Context<'_>, direction: Direction, data: Bytes, tag: Option<Tag>) -> Option<Packet> {
    let netdev = cx.base.netdev?;
    let peer = cx.core.clients.get(&netdev).and_then(|client| client.peer);
    let sender = match direction {
        Direction::Tx => netdev,
        Direction::Rx => peer.unwrap_or(netdev),
    };
    Some(Packet {
        sender,
        data,
        tag,
        resume: None,
        captured: None,
        raw: false,
        injector: None,
        hops: 0,
    })
}

/// Writes a frame to outdev. An empty one is not written and passes; when the write fails, the
/// frame is lost all the same (QEMU 10.2.2 net/filter-mirror.c:213-232).
fn take(
    cx: &mut Context<'_>,
    outdev: ChardevKey,
    data: &Bytes,
    vnet_len: Option<u32>,
    tag: Option<Tag>,
) -> Verdict {
    if data.is_empty() {
        return Verdict::Pass;
    }
    let written = match vnet_len {
        Some(_) => cx.write_framed(outdev, data, vnet_len, tag),
        None => cx.write_frame(outdev, data, tag),
    };
    match written {
        Ok(()) => cx.event(tag, EventKind::Consumed),
        Err(error) => {
            cx.log_failed_write(error, tag);
            cx.drop_frame(tag, error.reason());
        }
    }
    Verdict::Take
}

/// A frame with its virtio-net header as its netdev has it; none when the stream announced a header
/// that is longer than the frame. QEMU leaves the frame as it came.
fn fit_header(cx: &Context<'_>, mut data: Bytes, vnet_len: u32) -> Option<Bytes> {
    let has = cx.vnet_hdr_len();
    let announced = vnet_len as usize;
    let asked = cx.base.vnet_hdr_support && !cx.has(Quirk::IndevIgnoresVnetLen);
    if !asked || announced == has {
        return Some(data);
    }
    if announced > data.len() {
        return None;
    }
    let vnet = VnetHdr::from_bytes(&data.split_to(announced));
    Some(rfc::with_header(&Frame { vnet, data }, has))
}
