//! Hubs: what one port receives, all others send (QEMU 10.2.2 `net/hub.c`).

use super::{
    NetdevKind,
    core::{ClientKey, Core},
    netqueue::Packet,
};
use crate::record::DropReason;

/// Packets that hubs send on because of one input. Hubs joined by three links or more double a
/// packet on each round, and QEMU would never return from there.
const SENDS_LIMIT: u32 = 100_000;

impl Core {
    /// The other ports of a hub, the newest first, as QEMU lists them.
    fn hub_others(&self, port: ClientKey, hub: u32) -> impl DoubleEndedIterator<Item = ClientKey> {
        let is_port = move |kind: &NetdevKind| *kind == NetdevKind::Hubport { hub };
        let ports = self.clients.iter().rev();
        ports
            .filter(move |(key, client)| **key != port && is_port(&client.kind))
            .map(|(key, _)| *key)
    }

    /// A hub takes packets while any other port can send them on.
    pub(super) fn hub_can_receive(&self, port: ClientKey, hub: u32) -> bool {
        self.hub_others(port, hub).any(|other| self.can_send_on(other))
    }

    pub(super) fn hub_receive(&mut self, port: ClientKey, hub: u32, packet: &Packet) -> isize {
        let others: Vec<ClientKey> = self.hub_others(port, hub).collect();
        for sender in others {
            if self.hub_sends >= SENDS_LIMIT {
                self.drop_frame(self.netdev_place(sender), packet.tag, DropReason::Purged);
                break;
            }
            self.hub_sends += 1;
            self.send(Packet { sender, resume: None, ..packet.clone() });
        }
        packet.data.len() as isize
    }

    /// What waits at the other ports of this port's hub is delivered; nothing for other clients.
    pub(super) fn hub_flush(&mut self, port: ClientKey) {
        let Some(NetdevKind::Hubport { hub }) = self.clients.get(&port).map(|client| &client.kind)
        else {
            return;
        };
        let others: Vec<ClientKey> = self.hub_others(port, *hub).collect();
        for other in others {
            self.queue_flush(other);
        }
    }

    /// [`Core::can_send`], but for hubs that are joined in a ring, where QEMU's question would
    /// never end: a port whose peer is a port of another hub counts as ready.
    fn can_send_on(&self, port: ClientKey) -> bool {
        let peer = self.clients.get(&port).and_then(|client| client.peer);
        match peer.and_then(|peer| self.clients.get(&peer)) {
            Some(peer) if matches!(peer.kind, NetdevKind::Hubport { .. }) => self.running,
            _ => self.can_send(port),
        }
    }
}
