//! The network in memory: interfaces, links and bridges, and a frame's way through them. The
//! carrier sends into it.

use std::ops::RangeInclusive;

use super::{
    bridge::{Bridge, InterfaceId},
    offload,
    tap::Tap,
};
use crate::{
    backend::builtin::{Carried, ETH_HLEN, VLAN_HLEN, is_tagged, vanishes},
    base::{Direction, Frame, PortId},
    record::{DropReason, Event, EventKind, Place},
};

/// The longest frame that a socket of the netns carrier takes whole, a tag that the kernel takes
/// out not counted.
const RECORDED: usize = 128 * 1024;

#[derive(Debug)]
pub(super) enum Kind {
    Tap(Tap),
    LinkEnd { peer: InterfaceId },
}

#[derive(Debug)]
pub(super) struct Interface {
    /// The port at which what the host receives here is recorded.
    pub(super) port: PortId,
    pub(super) kind: Kind,
    pub(super) up: bool,
    pub(super) gone: bool,
    pub(super) mtu: u32,
    /// The bridge that holds it.
    pub(super) bridge: Option<usize>,
    /// What the recorder has not been asked for yet.
    pub(super) received: Vec<Carried>,
}

impl Interface {
    /// The MTUs that it takes (Linux 6.18 `drivers/net/tun.c` and `veth.c`, `max_mtu`).
    pub(super) fn mtus(&self) -> RangeInclusive<u32> {
        match self.kind {
            Kind::Tap(_) => 68..=65_521,
            Kind::LinkEnd { .. } => 68..=65_535,
        }
    }
}

/// Interfaces and the bridges that join them.
#[derive(Debug, Default)]
pub(super) struct Fabric {
    pub(super) interfaces: Vec<Interface>,
    pub(super) bridges: Vec<Bridge>,
    /// Events that no source keeps.
    pub(super) said: Vec<Event>,
    /// Something was asked for whose outcome on the kernel is not known here.
    pub(super) unknown: Option<&'static str>,
}

/// The sender of a frame on the host's side of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// The host's stack, a bridge, or the recorder's socket.
    Host,
    /// The machine's packet socket, which never sees its own frames (packet(7)).
    Machine,
}

impl Fabric {
    pub(super) fn add(&mut self, port: PortId, kind: Kind, mtu: u32) -> InterfaceId {
        self.interfaces.push(Interface {
            port,
            kind,
            up: true,
            gone: false,
            mtu,
            bridge: None,
            received: Vec::new(),
        });
        InterfaceId(self.interfaces.len() - 1)
    }

    pub(super) fn get(&mut self, id: InterfaceId) -> &mut Interface {
        &mut self.interfaces[id.0]
    }

    /// Whether an interface is up and has a carrier.
    pub(super) fn is_active(&self, InterfaceId(at): InterfaceId) -> bool {
        let interface = &self.interfaces[at];
        let carrier = match interface.kind {
            Kind::Tap(_) => true,
            Kind::LinkEnd { peer } => self.interfaces[peer.0].up,
        };
        interface.up && carrier
    }

    /// Interfaces that have lost their carrier, or were switched off, are forgotten by their
    /// bridges (Linux 6.18 `net/bridge/br_stp_if.c`, `br_stp_disable_port`).
    pub(super) fn forget_inactive(&mut self) {
        for at in 0..self.interfaces.len() {
            if let Some(bridge) = self.interfaces[at].bridge
                && !self.is_active(InterfaceId(at))
            {
                self.bridges[bridge].forget(InterfaceId(at));
            }
        }
    }

    /// A packet socket sends (Linux 6.18 `net/packet/af_packet.c`, `packet_snd`).
    pub(super) fn send(
        &mut self,
        id: InterfaceId,
        frame: &Frame,
        sender: Sender,
    ) -> Result<(), DropReason> {
        let interface = self.get(id);
        if interface.gone {
            return Err(DropReason::InterfaceGone);
        }
        if !interface.up {
            return Err(DropReason::InterfaceDown);
        }
        let length = frame.data.len();
        if length < ETH_HLEN {
            return Err(DropReason::TooShort);
        }
        if usize::from(offload::header_len(&frame.vnet)) > length {
            return Err(DropReason::BadVnetHdr);
        }
        let tag = if frame.data[12..14] == [0x81, 0x00] { VLAN_HLEN } else { 0 };
        if frame.vnet.gso_type == 0 && length > interface.mtu as usize + ETH_HLEN + tag {
            return Err(DropReason::TooLong);
        }
        let frame = offload::from_socket(frame)?;
        if let Kind::LinkEnd { peer } = interface.kind {
            if !self.is_active(id) {
                return Err(DropReason::InterfaceDown);
            }
            if frame.vnet.gso_type == 0 && length > self.longest(peer) {
                return Err(DropReason::TooLong);
            }
            if vanishes(&frame.data) {
                return Err(DropReason::TooShort);
            }
        }
        match self.transmit(id, &frame, sender) {
            0 => Ok(()),
            lost => {
                self.say_lost(id, lost - 1);
                Err(DropReason::TxQueueFull)
            }
        }
    }

    /// A guest writes to its TAP (Linux 6.18 `drivers/net/tun.c`, `tun_get_user`).
    pub(super) fn write(&mut self, id: InterfaceId, frame: &Frame) -> Result<(), DropReason> {
        let interface = self.get(id);
        let Kind::Tap(tap) = &interface.kind else {
            return Err(DropReason::InterfaceGone);
        };
        // A write of nothing never reaches the driver.
        let nothing = frame.data.is_empty() && tap.vnet_hdr_len == 0;
        if interface.gone && !nothing {
            return Err(DropReason::InterfaceGone);
        }
        if frame.data.len() < ETH_HLEN {
            return Err(DropReason::TooShort);
        }
        let frame = offload::from_guest(frame, tap.vnet_hdr_len)?;
        if !interface.up {
            return Err(DropReason::InterfaceDown);
        }
        if vanishes(&frame.data) {
            return Err(DropReason::TooShort);
        }
        self.receive(id, &frame);
        Ok(())
    }

    /// A frame leaves through an interface; gives how many found no room in a TAP's queue.
    fn transmit(&mut self, id: InterfaceId, frame: &Frame, sender: Sender) -> usize {
        let interface = self.get(id);
        match &mut interface.kind {
            Kind::Tap(tap) => {
                let Some(frames) = offload::to_guest(frame) else {
                    self.unknown = Some("a super-frame other than TCP's towards a guest");
                    return 0;
                };
                let mut lost = 0;
                let last = frames.len() - 1;
                for (number, frame) in frames.into_iter().enumerate() {
                    // Only the last of a super-frame's segments remembers its sender (Linux 6.18
                    // `net/core/skbuff.c`, `skb_segment`).
                    if sender == Sender::Host || number < last {
                        tap.capture(Direction::Tx, &frame);
                    }
                    lost += usize::from(!tap.queue.push(frame));
                }
                lost
            }
            Kind::LinkEnd { peer } => {
                let peer = *peer;
                match offload::to_link(frame) {
                    Some(frame) => self.receive(peer, &frame),
                    None => self.unknown = Some("a super-frame other than TCP's on a link"),
                }
                0
            }
        }
    }

    /// A frame comes in at an interface: packet sockets see it first, then the bridge that holds
    /// the interface.
    fn receive(&mut self, id: InterfaceId, frame: &Frame) {
        let whole = untagged_len(&frame.data) <= RECORDED;
        let interface = self.get(id);
        let port = interface.port.clone();
        interface.received.push(if whole {
            Carried::ToHost { port, frame: frame.clone() }
        } else {
            truncated(Place::Port(port))
        });
        if let Kind::Tap(tap) = &mut interface.kind {
            if whole {
                tap.capture(Direction::Rx, frame);
            } else if let Some(socket) = &mut tap.socket {
                socket.push(truncated(Place::Tap(tap.netdev.clone())));
            }
        }
        if let Some(bridge) = interface.bridge {
            // Behind the tag that was taken out there may be one that is not whole (measured).
            let inner = &frame.data[VLAN_HLEN.min(frame.data.len())..];
            let is_cut = inner.len() < ETH_HLEN + VLAN_HLEN && is_tagged(inner);
            if is_cut && is_tagged(&frame.data) {
                return;
            }
            for port in self.bridges[bridge].forward(id, &frame.data) {
                if self.is_active(port) && self.fits(port, frame) {
                    let lost = self.transmit(port, frame, Sender::Host);
                    self.say_lost(port, lost);
                }
            }
        }
    }

    /// A bridge drops what is too long for a port, and so does a link for its other end; but not
    /// what can be cut.
    fn fits(&self, id: InterfaceId, frame: &Frame) -> bool {
        let fits = |id| untagged_len(&frame.data) <= self.longest(id);
        let peer_fits = match self.interfaces[id.0].kind {
            Kind::Tap(_) => true,
            Kind::LinkEnd { peer } => fits(peer),
        };
        frame.vnet.gso_type != 0 || (fits(id) && peer_fits)
    }

    /// What is forwarded to an interface at most, a tag that the kernel has taken out not counted
    /// (Linux 6.18 `include/linux/netdevice.h`, `__is_skb_forwardable`).
    fn longest(&self, id: InterfaceId) -> usize {
        self.interfaces[id.0].mtu as usize + ETH_HLEN + VLAN_HLEN
    }

    /// Frames found no room in a TAP's queue.
    fn say_lost(&mut self, id: InterfaceId, lost: usize) {
        if let Kind::Tap(tap) = &self.interfaces[id.0].kind {
            let event = Event {
                tag: None,
                place: Place::Tap(tap.netdev.clone()),
                kind: EventKind::Dropped(DropReason::TxQueueFull),
            };
            self.said.extend(std::iter::repeat_n(event, lost));
        }
    }
}

/// Bytes of the frame without the outer tag, which the kernel takes out of what it receives.
fn untagged_len(frame: &[u8]) -> usize {
    frame.len() - if is_tagged(frame) { VLAN_HLEN } else { 0 }
}

fn truncated(place: Place) -> Carried {
    Carried::Said(Event { tag: None, place, kind: EventKind::Dropped(DropReason::Truncated) })
}
