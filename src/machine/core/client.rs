//! Net clients and the queue before each, as data: what can be asked of them without anybody
//! sending anything. Packets move in `net`.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{ClientKey, Core, ObjectKey};
use crate::{
    base::{NetdevId, Quirk, Tag},
    machine::{NetdevConfig, NetdevKind, framing::Reassembler},
    record::{DropReason, EventKind, Place},
};

/// Most packets that wait in a queue if nobody is notified of their delivery: `nq_maxlen`.
pub(in crate::machine) const QUEUE_LIMIT: usize = 10_000;

/// Frames that wait in a TAP that nobody reads before the kernel drops more: the device's
/// `txqueuelen` (Linux `drivers/net/tun.c`).
const TAP_QUEUE_LEN: usize = 1000;

/// A packet on its way between two clients.
#[derive(Clone, Debug)]
pub(in crate::machine) struct Packet {
    pub(in crate::machine) sender: ClientKey,
    pub(in crate::machine) data: Bytes,
    pub(in crate::machine) tag: Option<Tag>,
    /// The client that stopped reading when this packet had to wait and reads on when it is gone:
    /// QEMU's `sent_cb`.
    pub(in crate::machine) resume: Option<ClientKey>,
    /// The TAP that a packet socket captured it on.
    pub(in crate::machine) captured: Option<ClientKey>,
    /// A NIC's announcement: it has no virtio-net header where others have one, and a TAP puts one
    /// in front (`QEMU_NET_PACKET_FLAG_RAW`).
    pub(in crate::machine) raw: bool,
    /// The filter that sends it on its packet socket when it gets there.
    pub(in crate::machine) injector: Option<ObjectKey>,
    /// Queues that it has passed.
    pub(in crate::machine) hops: u16,
}

/// Packets that wait for a client.
#[derive(Debug, Default)]
pub(in crate::machine) struct NetQueue {
    pub(in crate::machine) packets: VecDeque<Packet>,
    pub(in crate::machine) delivering: bool,
}

#[derive(Debug)]
pub(in crate::machine) struct Client {
    pub(in crate::machine) id: NetdevId,
    pub(in crate::machine) kind: NetdevKind,
    pub(in crate::machine) peer: Option<ClientKey>,
    pub(in crate::machine) link_down: bool,
    /// It refused a packet and has not said since that it takes more.
    pub(in crate::machine) receive_disabled: bool,
    pub(in crate::machine) queue: NetQueue,
    /// Its filters, head to tail.
    pub(in crate::machine) chain: Vec<ObjectKey>,
    /// Whether its descriptor is read.
    pub(in crate::machine) reading: bool,
    /// What its descriptor holds and was not read yet.
    pub(in crate::machine) inbox: VecDeque<(Bytes, Option<Tag>)>,
    /// Its peer closed, behind what `inbox` holds.
    pub(in crate::machine) eof: bool,
    /// Its stream is open, where it has one.
    pub(in crate::machine) open: bool,
    pub(in crate::machine) reassembler: Reassembler,
}

impl Core {
    /// Makes a client. The peer must exist and be free.
    pub(in crate::machine) fn client_add(&mut self, config: &NetdevConfig) -> ClientKey {
        let key = ClientKey(self.next_key());
        let peer = config.peer.as_ref().and_then(|peer| self.client_of(peer.as_str()));
        if let Some(peer) = peer.and_then(|peer| self.clients.get_mut(&peer)) {
            peer.peer = Some(key);
        }
        let client = Client {
            id: config.id.clone(),
            kind: config.kind.clone(),
            peer,
            // A listening `-netdev stream` has no link before its client comes (QEMU 10.2.2
            // net/stream.c:158).
            link_down: config.kind == NetdevKind::Stream,
            receive_disabled: false,
            queue: NetQueue::default(),
            chain: Vec::new(),
            reading: true,
            inbox: VecDeque::new(),
            eof: false,
            open: config.kind == NetdevKind::Socket,
            reassembler: Reassembler::new(false, self.strictness()),
        };
        self.clients.insert(key, client);
        key
    }

    /// Whether there is a TAP of this id.
    pub(in crate::machine) fn is_tap(&self, id: &NetdevId) -> bool {
        let client = self.client_of(id.as_str()).and_then(|key| self.clients.get(&key));
        client.is_some_and(|client| matches!(client.kind, NetdevKind::Tap { .. }))
    }

    /// Bytes or a frame for a client's descriptor.
    pub(in crate::machine) fn client_input(
        &mut self,
        netdev: &NetdevId,
        data: Bytes,
        tag: Option<Tag>,
    ) {
        let reason =
            match self.client_of(netdev.as_str()).and_then(|key| self.clients.get_mut(&key)) {
                None => DropReason::InterfaceGone,
                Some(client) => match client.kind {
                    NetdevKind::Socket if !client.open || client.eof => DropReason::LinkDown,
                    NetdevKind::Tap { vhost: true, .. }
                    | NetdevKind::Hubport { .. }
                    | NetdevKind::Stream
                    | NetdevKind::VhostUser => DropReason::NoReader,
                    NetdevKind::Tap { .. } if client.inbox.len() >= TAP_QUEUE_LEN => {
                        DropReason::TxQueueFull
                    }
                    NetdevKind::Socket if data.is_empty() => return,
                    _ => return client.inbox.push_back((data, tag)),
                },
            };
        self.drop_frame(Place::Netdev(netdev.clone()), tag, reason);
    }

    /// The far end of a socket netdev closed.
    pub(in crate::machine) fn client_eof(&mut self, netdev: &NetdevId) {
        let key = self.client_of(netdev.as_str());
        if let Some(client) = key.and_then(|key| self.clients.get_mut(&key)) {
            client.eof = client.open;
        }
    }

    /// Whether a client takes packets now (`qemu_can_receive_packet`).
    pub(in crate::machine) fn can_receive(&self, key: ClientKey) -> bool {
        self.clients.get(&key).is_some_and(|client| {
            !client.receive_disabled
                && match client.kind {
                    NetdevKind::Hubport { hub } => self.hub_can_receive(key, hub),
                    _ => true,
                }
        })
    }

    /// Whether a client may send now (`qemu_can_send_packet`).
    pub(in crate::machine) fn can_send(&self, sender: ClientKey) -> bool {
        if !self.running {
            return false;
        }
        let peer = self.clients.get(&sender).and_then(|client| client.peer);
        peer.is_none_or(|peer| self.can_receive(peer))
    }

    /// A hub takes packets while any other port can send them on.
    pub(in crate::machine) fn hub_can_receive(&self, port: ClientKey, hub: u32) -> bool {
        self.hub_others(port, hub).any(|other| self.can_send_on(other))
    }

    /// The other ports of a hub, the newest first, as QEMU lists them.
    pub(in crate::machine) fn hub_others(
        &self,
        port: ClientKey,
        hub: u32,
    ) -> impl DoubleEndedIterator<Item = ClientKey> {
        let is_port = move |kind: &NetdevKind| *kind == NetdevKind::Hubport { hub };
        let ports = self.clients.iter().rev();
        ports
            .filter(move |(key, client)| **key != port && is_port(&client.kind))
            .map(|(key, _)| *key)
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

    /// Throws away what `from` sent and still waits (`qemu_net_queue_purge`).
    pub(in crate::machine) fn queue_purge(&mut self, of: ClientKey, from: ClientKey) {
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

    pub(in crate::machine) fn queue_append(&mut self, to: ClientKey, packet: Packet) {
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

    pub(in crate::machine) fn set_delivering(&mut self, key: ClientKey, delivering: bool) {
        if let Some(client) = self.clients.get_mut(&key) {
            client.queue.delivering = delivering;
        }
    }

    /// A waiting packet of this client is gone: it reads its descriptor again.
    pub(in crate::machine) fn resume_reading(&mut self, key: Option<ClientKey>) {
        if let Some(key) = key {
            self.set_reading(key, true);
        }
    }

    pub(in crate::machine) fn set_reading(&mut self, key: ClientKey, reading: bool) {
        if let Some(client) = self.clients.get_mut(&key) {
            client.reading = reading;
        }
    }

    /// What still waits in and before a client.
    pub(in crate::machine) fn client_residue(&mut self, key: ClientKey) -> Vec<(Tag, DropReason)> {
        let running = self.running;
        let Some(client) = self.clients.get_mut(&key) else {
            return Vec::new();
        };
        let waits = if client.receive_disabled { DropReason::Wedged } else { DropReason::Purged };
        let blocked =
            if client.reading || !running { DropReason::Purged } else { DropReason::Wedged };
        let queued = client.queue.packets.drain(..).filter_map(|packet| packet.tag);
        let mut residue: Vec<_> = queued.map(|tag| (tag, waits)).collect();
        let unread = client.inbox.drain(..).filter_map(|(_, tag)| tag);
        residue.extend(unread.map(|tag| (tag, blocked)));
        let cut = client.reassembler.reset().into_iter();
        residue.extend(cut.map(|tag| (tag, DropReason::Incomplete)));
        residue
    }

    /// Bytes of the virtio-net header in front of a client's frames: its own, where a TAP or NIC
    /// has one.
    pub(in crate::machine) fn vnet_hdr_len(&self, key: ClientKey) -> usize {
        match self.clients.get(&key).map(|client| &client.kind) {
            Some(NetdevKind::Tap { vnet_hdr_len, .. } | NetdevKind::Nic { vnet_hdr_len }) => {
                *vnet_hdr_len
            }
            _ => 0,
        }
    }
}
