//! The way of a packet from one client to another (QEMU 10.2.2 `net/net.c`), through the queue
//! before the receiver (`net/queue.c`).

use super::Net;
use crate::{
    base::{Direction, Quirk},
    machine::{
        core::{ClientKey, Packet},
        part::Verdict,
    },
    record::DropReason,
};

/// The most queues that a packet passes. Only hubs that are joined in a ring come near it; QEMU
/// would never return from there.
const HOP_LIMIT: u16 = 256;

/// What became of a packet that was handed on. In QEMU it is a length, and only 0 is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// It is gone: delivered, taken by a filter, or dropped.
    Done,
    /// It can't be delivered now: it waits, or would have to.
    Later,
}

impl Delivery {
    /// The result for a packet that is gone. QEMU returns its length, so an empty one counts as not
    /// delivered.
    pub(super) fn by_length(packet: &Packet) -> Self {
        if packet.data.is_empty() { Self::Later } else { Self::Done }
    }
}

impl Net {
    /// A client sends: filters first, then the peer's queue (`qemu_send_packet_async`).
    pub(super) fn send(&mut self, mut packet: Packet) -> Delivery {
        let Some(sender) = self.core.clients.get(&packet.sender) else {
            return Delivery::Done;
        };
        let peer = sender.peer.filter(|peer| self.core.clients.contains_key(peer));
        if packet.data.is_empty() && !self.core.has(Quirk::EmptyFrameWedges) {
            self.core.drop_frame(
                self.core.netdev_place(packet.sender),
                packet.tag,
                DropReason::Empty,
            );
            return Delivery::Done;
        }
        let reason = match peer {
            _ if sender.link_down => Some(DropReason::LinkDown),
            None => Some(DropReason::NoPeer),
            Some(_) if packet.hops >= HOP_LIMIT => Some(DropReason::Purged),
            Some(_) => None,
        };
        let (Some(peer), None) = (peer, reason) else {
            let place = self.core.netdev_place(packet.sender);
            self.core.drop_frame(place, packet.tag, reason.unwrap_or(DropReason::NoPeer));
            return Delivery::by_length(&packet);
        };
        packet.hops += 1;
        for (chain, direction) in [(packet.sender, Direction::Tx), (peer, Direction::Rx)] {
            if self.walk(chain, direction, &packet) == Verdict::Take {
                return Delivery::Done;
            }
        }
        self.queue_send(peer, packet)
    }

    /// Hands a packet to a client's queue (`qemu_net_queue_send`).
    pub(super) fn queue_send(&mut self, to: ClientKey, packet: Packet) -> Delivery {
        let may_send = self.core.can_send(packet.sender);
        let Some(client) = self.core.clients.get(&to) else {
            return Delivery::Done;
        };
        let overtakes = self.core.has(Quirk::QueueOvertakes) || client.queue.packets.is_empty();
        if client.queue.delivering || !may_send || !(overtakes || self.queue_flush(to)) {
            self.core.queue_append(to, packet);
            return Delivery::Later;
        }
        let result = self.queue_deliver(to, &packet);
        if result == Delivery::Later {
            self.core.queue_append(to, packet);
            return Delivery::Later;
        }
        self.queue_flush(to);
        result
    }

    /// Delivers what waits, until it is delivered or the client takes no more
    /// (`qemu_net_queue_flush`). Whether the queue is empty afterwards.
    pub(super) fn queue_flush(&mut self, to: ClientKey) -> bool {
        loop {
            let Some(client) = self.core.clients.get_mut(&to) else {
                return true;
            };
            if client.queue.delivering {
                return false;
            }
            let Some(packet) = client.queue.packets.pop_front() else {
                return true;
            };
            let result = self.queue_deliver(to, &packet);
            if result == Delivery::Later {
                if let Some(client) = self.core.clients.get_mut(&to) {
                    client.queue.packets.push_front(packet);
                }
                return false;
            }
            self.core.resume_reading(packet.resume);
        }
    }

    fn queue_deliver(&mut self, to: ClientKey, packet: &Packet) -> Delivery {
        self.core.set_delivering(to, true);
        let result = self.deliver(to, packet);
        self.core.set_delivering(to, false);
        result
    }
}
