//! Hubs: what one port receives, all others send (QEMU 10.2.2 `net/hub.c`).

use super::{Net, queue::Delivery};
use crate::{
    machine::{
        NetdevKind,
        core::{ClientKey, Packet},
    },
    record::DropReason,
};

/// Packets that hubs send on because of one input. Hubs joined by three links or more double a
/// packet on each round, and QEMU would never return from there.
const SENDS_LIMIT: u32 = 100_000;

impl Net {
    pub(super) fn hub_receive(&mut self, port: ClientKey, hub: u32, packet: &Packet) -> Delivery {
        let others: Vec<ClientKey> = self.core.hub_others(port, hub).collect();
        for sender in others {
            if self.hub_sends >= SENDS_LIMIT {
                self.core.drop_frame(
                    self.core.netdev_place(sender),
                    packet.tag,
                    DropReason::Purged,
                );
                break;
            }
            self.hub_sends += 1;
            self.send(Packet { sender, resume: None, raw: false, ..packet.clone() });
        }
        Delivery::by_length(packet)
    }

    /// What waits at the other ports of this port's hub is delivered; nothing for other clients.
    pub(super) fn hub_flush(&mut self, port: ClientKey) {
        let Some(NetdevKind::Hubport { hub }) =
            self.core.clients.get(&port).map(|client| &client.kind)
        else {
            return;
        };
        let others: Vec<ClientKey> = self.core.hub_others(port, *hub).collect();
        for other in others {
            self.queue_flush(other);
        }
    }
}
