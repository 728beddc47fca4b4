//! A net client's incoming queue (QEMU 10.2.2 `net/queue.c`) and the way of a packet to it
//! (`net/net.c`).

use std::collections::VecDeque;

use bytes::Bytes;

use super::core::{ClientKey, Core};
use crate::{
    base::{Direction, Quirk, Tag},
    record::{DropReason, EventKind},
};

/// Most packets that wait in a queue when nobody is told of their delivery: `nq_maxlen`.
pub(super) const QUEUE_LIMIT: usize = 10_000;

/// A packet passes at most so many queues. Only hubs that are joined in a ring come near it; QEMU
/// would never return from there.
const HOP_LIMIT: u16 = 256;

/// A packet on its way between two clients.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    pub(super) sender: ClientKey,
    pub(super) data: Bytes,
    pub(super) tag: Option<Tag>,
    /// The client that stopped reading when this packet had to wait and reads on when it is gone:
    /// QEMU's `sent_cb`.
    pub(super) resume: Option<ClientKey>,
    /// The TAP that a packet socket captured it on.
    pub(super) captured: Option<ClientKey>,
    /// Queues that it has passed.
    pub(super) hops: u16,
}

/// Packets that wait for a client.
#[derive(Debug, Default)]
pub(super) struct NetQueue {
    pub(super) packets: VecDeque<Packet>,
    delivering: bool,
}

impl Core {
    /// A client sends: filters first, then the peer's queue. 0 means that the packet waits,
    /// anything else that it is gone (`qemu_send_packet_async`).
    pub(super) fn send(&mut self, mut packet: Packet) -> isize {
        let Some(sender) = self.clients.get(&packet.sender) else {
            return 1;
        };
        let size = packet.data.len() as isize;
        let peer = sender.peer.filter(|peer| self.clients.contains_key(peer));
        if packet.data.is_empty() && !self.has(Quirk::EmptyFrameWedges) {
            self.drop_frame(self.netdev_place(packet.sender), packet.tag, DropReason::Empty);
            return 1;
        }
        let reason = match peer {
            _ if sender.link_down => Some(DropReason::LinkDown),
            None => Some(DropReason::NoPeer),
            Some(_) if packet.hops >= HOP_LIMIT => Some(DropReason::Purged),
            Some(_) => None,
        };
        let (Some(peer), None) = (peer, reason) else {
            let place = self.netdev_place(packet.sender);
            self.drop_frame(place, packet.tag, reason.unwrap_or(DropReason::NoPeer));
            return size;
        };
        packet.hops += 1;
        for (chain, direction) in [(packet.sender, Direction::Tx), (peer, Direction::Rx)] {
            let verdict = self.walk(chain, direction, &packet);
            if verdict != 0 {
                return verdict;
            }
        }
        self.queue_send(peer, packet)
    }

    /// Hands a packet to a client's queue (`qemu_net_queue_send`).
    pub(super) fn queue_send(&mut self, to: ClientKey, packet: Packet) -> isize {
        let may_send = self.can_send(packet.sender);
        let Some(client) = self.clients.get(&to) else {
            return 1;
        };
        let overtakes = self.has(Quirk::QueueOvertakes) || client.queue.packets.is_empty();
        if client.queue.delivering || !may_send || !(overtakes || self.queue_flush(to)) {
            self.queue_append(to, packet);
            return 0;
        }
        let result = self.queue_deliver(to, &packet);
        if result == 0 {
            self.queue_append(to, packet);
            return 0;
        }
        self.queue_flush(to);
        result
    }

    /// Delivers what waits, until it is delivered or the client takes no more
    /// (`qemu_net_queue_flush`). Whether the queue is empty afterwards.
    pub(super) fn queue_flush(&mut self, to: ClientKey) -> bool {
        loop {
            let Some(client) = self.clients.get_mut(&to) else {
                return true;
            };
            if client.queue.delivering {
                return false;
            }
            let Some(packet) = client.queue.packets.pop_front() else {
                return true;
            };
            let result = self.queue_deliver(to, &packet);
            if result == 0 {
                if let Some(client) = self.clients.get_mut(&to) {
                    client.queue.packets.push_front(packet);
                }
                return false;
            }
            self.resume_reading(packet.resume);
        }
    }

    /// Throws away what `from` sent and still waits (`qemu_net_queue_purge`).
    pub(super) fn queue_purge(&mut self, of: ClientKey, from: ClientKey) {
        let Some(client) = self.clients.get_mut(&of) else {
            return;
        };
        let (gone, kept): (VecDeque<Packet>, VecDeque<Packet>) =
            client.queue.packets.drain(..).partition(|packet| packet.sender == from);
        client.queue.packets = kept;
        let place = self.netdev_place(of);
        for packet in gone {
            self.drop_frame(place.clone(), packet.tag, DropReason::Purged);
            self.resume_reading(packet.resume);
        }
    }

    /// Whether a client may send now (`qemu_can_send_packet`).
    pub(super) fn can_send(&self, sender: ClientKey) -> bool {
        if !self.running {
            return false;
        }
        let peer = self.clients.get(&sender).and_then(|client| client.peer);
        peer.is_none_or(|peer| self.can_receive(peer))
    }

    fn queue_deliver(&mut self, to: ClientKey, packet: &Packet) -> isize {
        self.set_delivering(to, true);
        let result = self.deliver(to, packet);
        self.set_delivering(to, false);
        result
    }

    fn set_delivering(&mut self, key: ClientKey, delivering: bool) {
        if let Some(client) = self.clients.get_mut(&key) {
            client.queue.delivering = delivering;
        }
    }

    fn queue_append(&mut self, to: ClientKey, packet: Packet) {
        let limited = packet.resume.is_none() && self.has(Quirk::InjectDropsWhenFull);
        let place = self.netdev_place(to);
        let Some(client) = self.clients.get_mut(&to) else {
            return;
        };
        let kind = if limited && client.queue.packets.len() >= QUEUE_LIMIT {
            EventKind::Dropped(DropReason::QueueFull)
        } else {
            EventKind::Queued
        };
        let tag = packet.tag;
        if kind == EventKind::Queued {
            client.queue.packets.push_back(packet);
        }
        self.event(place, tag, kind);
    }
}
