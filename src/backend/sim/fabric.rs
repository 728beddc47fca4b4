use std::collections::VecDeque;

use super::bridge::Bridge;
use crate::{
    base::{Direction, Frame, NetdevId, PortId},
    record::DropReason,
};

/// An interface of the fabric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct InterfaceId(pub(super) usize);

/// Frames that a TAP keeps for its reader: `txqueuelen`, `TUN_READQ_SIZE` (Linux 6.18,
/// `drivers/net/tun.c`).
const TAP_QUEUE: usize = 1000;

/// Shortest frame that an Ethernet interface takes: its header.
const ETH_HLEN: usize = 14;

/// What an interface is.
#[derive(Debug)]
pub(super) enum Kind {
    Tap {
        netdev: NetdevId,
        /// Frames wait here for the guest.
        queue: VecDeque<Frame>,
        /// The machine's packet socket and what it has not read yet.
        socket: Option<VecDeque<(Direction, Frame)>>,
        /// The TAP carries virtio-net headers.
        vnet: bool,
    },
    LinkEnd {
        peer: InterfaceId,
    },
}

/// An interface.
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
    pub(super) received: VecDeque<Frame>,
}

/// Interfaces and the bridges that join them.
#[derive(Debug, Default)]
pub(super) struct Fabric {
    pub(super) interfaces: Vec<Interface>,
    pub(super) bridges: Vec<Bridge>,
}

/// Who puts a frame on an interface from the host's side.
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
            received: VecDeque::new(),
        });
        InterfaceId(self.interfaces.len() - 1)
    }

    pub(super) fn get(&mut self, id: InterfaceId) -> &mut Interface {
        &mut self.interfaces[id.0]
    }

    pub(super) fn enslave(&mut self, bridge: usize, port: InterfaceId) {
        self.bridges[bridge].add(port);
        self.get(port).bridge = Some(bridge);
    }

    /// A packet socket sends (Linux 6.18, `net/packet/af_packet.c`, `packet_snd`).
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
        let tagged = frame.data[12..14] == [0x81, 0x00];
        let limit = interface.mtu as usize + ETH_HLEN + if tagged { 4 } else { 0 };
        if frame.vnet.gso_type == 0 && length > limit {
            return Err(DropReason::TooLong);
        }
        self.transmit(id, frame, sender);
        Ok(())
    }

    /// A guest writes to its TAP (Linux 6.18, `drivers/net/tun.c`, `tun_get_user`).
    pub(super) fn write(&mut self, id: InterfaceId, frame: &Frame) -> Result<(), DropReason> {
        let interface = self.get(id);
        if interface.gone {
            return Err(DropReason::InterfaceGone);
        }
        if !interface.up {
            return Err(DropReason::InterfaceDown);
        }
        if frame.data.len() < ETH_HLEN {
            return Err(DropReason::TooShort);
        }
        self.receive(id, frame);
        Ok(())
    }

    /// A frame leaves through an interface.
    fn transmit(&mut self, id: InterfaceId, frame: &Frame, sender: Sender) {
        let interface = self.get(id);
        if !interface.up || interface.gone {
            return;
        }
        match &mut interface.kind {
            Kind::Tap {
                queue,
                socket,
                vnet,
                ..
            } => {
                if sender == Sender::Host
                    && let Some(socket) = socket
                {
                    socket.push_back((Direction::Tx, frame.clone()));
                }
                if queue.len() < TAP_QUEUE {
                    let frame = if *vnet {
                        frame.clone()
                    } else {
                        Frame::plain(frame.data.clone())
                    };
                    queue.push_back(frame);
                }
            }
            Kind::LinkEnd { peer } => {
                let peer = *peer;
                self.receive(peer, frame);
            }
        }
    }

    /// A frame comes in at an interface: packet sockets see it first, then the bridge that holds
    /// the interface.
    fn receive(&mut self, id: InterfaceId, frame: &Frame) {
        let interface = self.get(id);
        if !interface.up || interface.gone {
            return;
        }
        if let Kind::Tap {
            socket: Some(socket),
            ..
        } = &mut interface.kind
        {
            socket.push_back((Direction::Rx, frame.clone()));
        }
        interface.received.push_back(frame.clone());
        if let Some(bridge) = interface.bridge {
            for port in self.bridges[bridge].forward(id, &frame.data) {
                if self.fits(port, frame) {
                    self.transmit(port, frame, Sender::Host);
                }
            }
        }
    }

    /// A bridge drops what is too long for a port (Linux 6.18, `net/bridge/br_forward.c`,
    /// `is_skb_forwardable`).
    fn fits(&mut self, id: InterfaceId, frame: &Frame) -> bool {
        const VLAN_HLEN: usize = 4;
        frame.data.len() <= self.get(id).mtu as usize + ETH_HLEN + VLAN_HLEN
    }
}
