//! Net clients: what sends into the net layer and what it delivers to.

mod stream;

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

pub(super) use stream::OVERSIZE_LOG;

use super::{
    NetdevConfig, NetdevKind, Output,
    core::{ClientKey, Core, ObjectKey},
    framing::{Reassembler, Strictness},
    netqueue::{NetQueue, Packet},
};
use crate::{
    base::{NetdevId, Quirk, Tag},
    record::{DropReason, EventKind, Place},
};

/// `ETH_ZLEN` (QEMU 10.2.2 `include/net/eth.h`).
const SHORTEST_FRAME: usize = 60;

/// Frames that wait in a TAP that nobody reads before the kernel drops more: the device's
/// `txqueuelen` (Linux `drivers/net/tun.c`).
const TAP_QUEUE_LEN: usize = 1000;

/// A net client.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) id: NetdevId,
    pub(super) kind: NetdevKind,
    pub(super) peer: Option<ClientKey>,
    pub(super) link_down: bool,
    /// It refused a packet and has not said since that it takes more.
    pub(super) receive_disabled: bool,
    pub(super) queue: NetQueue,
    /// Its filters, head to tail.
    pub(super) chain: Vec<ObjectKey>,
    /// Whether its descriptor is read.
    reading: bool,
    /// What its descriptor holds and was not read yet.
    inbox: VecDeque<(Bytes, Option<Tag>)>,
    /// Its peer closed, behind what `inbox` holds.
    eof: bool,
    /// Its stream is open, where it has one.
    open: bool,
    reassembler: Reassembler,
}

impl Core {
    /// Makes a client. The peer must exist and be free.
    pub(super) fn client_add(&mut self, config: &NetdevConfig) -> ClientKey {
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

    /// How reassemblers of this machine's profile behave.
    pub(super) fn strictness(&self) -> Strictness {
        Strictness {
            empty_waits: self.has(Quirk::EmptyFrameWedges),
            oversize_late: self.has(Quirk::OversizeFoundLate),
        }
    }

    /// Bytes or a frame for a client's descriptor.
    pub(super) fn client_input(&mut self, netdev: &NetdevId, data: Bytes, tag: Option<Tag>) {
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

    /// Reads a client's descriptor once, when it is watched and ready. Whether it was.
    pub(super) fn client_read(&mut self, key: ClientKey) -> bool {
        let Some(client) = self.clients.get_mut(&key) else {
            return false;
        };
        if !client.reading {
            return false;
        }
        if client.kind == NetdevKind::Socket {
            return self.stream_read(key);
        }
        let Some((data, tag)) = client.inbox.pop_front() else {
            return false;
        };
        let data = self.pad(key, data);
        if self.send_from(key, data, tag) == 0 {
            self.set_reading(key, false);
        }
        true
    }

    /// A waiting packet of this client is gone: it reads its descriptor again.
    pub(super) fn resume_reading(&mut self, key: Option<ClientKey>) {
        if let Some(key) = key {
            self.set_reading(key, true);
        }
    }

    /// Hands a packet to a client; 0 means that it takes none now (`qemu_deliver_packet_iov`).
    pub(super) fn deliver(&mut self, to: ClientKey, packet: &Packet) -> isize {
        let Some(client) = self.clients.get_mut(&to) else {
            return 1;
        };
        let size = packet.data.len() as isize;
        if client.link_down {
            if size > 0 {
                self.drop_frame(self.netdev_place(to), packet.tag, DropReason::LinkDown);
            }
            return size;
        }
        if client.receive_disabled {
            return 0;
        }
        let result = self.receive(to, packet);
        if result == 0
            && let Some(client) = self.clients.get_mut(&to)
        {
            client.receive_disabled = true;
        }
        result
    }

    /// Whether a client takes packets now (`qemu_can_receive_packet`).
    pub(super) fn can_receive(&self, key: ClientKey) -> bool {
        self.clients.get(&key).is_some_and(|client| {
            !client.receive_disabled
                && match client.kind {
                    NetdevKind::Hubport { hub } => self.hub_can_receive(key, hub),
                    _ => true,
                }
        })
    }

    /// The client takes packets again: delivers what waits, and with `purge` throws away what its
    /// peer sent and still can't be delivered (`qemu_flush_or_purge_queued_packets`).
    pub(super) fn flush_queued(&mut self, key: ClientKey, purge: bool) {
        let Some(client) = self.clients.get_mut(&key) else {
            return;
        };
        client.receive_disabled = false;
        let peer = client.peer;
        if let Some(peer) = peer {
            self.hub_flush(peer);
        }
        if !self.queue_flush(key)
            && purge
            && let Some(peer) = peer
        {
            self.queue_purge(key, peer);
        }
    }

    /// Removes a client, its filters first (`qemu_del_net_client`).
    pub(super) fn client_remove(&mut self, key: ClientKey) {
        let chain = self.clients.get(&key).map(|client| client.chain.clone()).unwrap_or_default();
        for object in chain {
            self.object_remove(object);
        }
        self.close_stream(key);
        let others: Vec<ClientKey> = self.clients.keys().copied().collect();
        for other in others {
            self.queue_purge(other, key);
        }
        let residue = self.client_residue(key);
        let Some(client) = self.clients.remove(&key) else {
            return;
        };
        for (tag, reason) in residue {
            self.drop_frame(Place::Netdev(client.id.clone()), Some(tag), reason);
        }
        let peer = client.peer.and_then(|peer| self.clients.get_mut(&peer));
        if let Some(peer) = peer {
            peer.peer = None;
            // A NIC is left without a link (QEMU 10.2.2 net/net.c, qemu_del_net_client).
            peer.link_down |= matches!(peer.kind, NetdevKind::Nic { .. });
        }
        self.emit(Output::NetdevGone { netdev: client.id });
    }

    /// What still waits in and before a client.
    pub(super) fn client_residue(&mut self, key: ClientKey) -> Vec<(Tag, DropReason)> {
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
    pub(super) fn vnet_hdr_len(&self, key: ClientKey) -> usize {
        match self.clients.get(&key).map(|client| &client.kind) {
            Some(NetdevKind::Tap { vnet_hdr_len, .. } | NetdevKind::Nic { vnet_hdr_len }) => {
                *vnet_hdr_len
            }
            _ => 0,
        }
    }

    fn set_reading(&mut self, key: ClientKey, reading: bool) {
        if let Some(client) = self.clients.get_mut(&key) {
            client.reading = reading;
        }
    }

    fn send_from(&mut self, key: ClientKey, data: Bytes, tag: Option<Tag>) -> isize {
        self.send(Packet { sender: key, data, tag, resume: Some(key), captured: None, hops: 0 })
    }

    /// A TAP pads what it reads for a peer that is not a virtio NIC (`net_peer_needs_padding`;
    /// measured records of `tap-10.2.jsonl`).
    fn pad(&self, key: ClientKey, data: Bytes) -> Bytes {
        let short = data.len() < SHORTEST_FRAME && !data.is_empty();
        let client = self.clients.get(&key);
        let tap = client.is_some_and(|client| matches!(client.kind, NetdevKind::Tap { .. }));
        let peer = client.and_then(|client| self.clients.get(&client.peer?));
        let plain = |peer: &Client| !matches!(peer.kind, NetdevKind::Nic { vnet_hdr_len } if vnet_hdr_len > 0);
        if !(short && tap && peer.is_some_and(plain)) {
            return data;
        }
        let mut padded = BytesMut::from(data);
        padded.resize(SHORTEST_FRAME, 0);
        padded.freeze()
    }

    fn receive(&mut self, to: ClientKey, packet: &Packet) -> isize {
        let Some(client) = self.clients.get(&to) else {
            return 1;
        };
        let size = packet.data.len() as isize;
        match client.kind {
            NetdevKind::Hubport { hub } => self.hub_receive(to, hub, packet),
            // An empty packet's length word goes out, and its size, 0, says "not now" (QEMU
            // 10.2.2 net/socket.c:96-112).
            NetdevKind::Socket => {
                self.frame_out(client.id.clone(), packet.data.clone(), packet.tag);
                size
            }
            // writev(2) of nothing never reaches the TAP and returns 0, which says "not now" (QEMU
            // 7.2.22 net/tap.c, tap_write_packet; found by running it).
            NetdevKind::Tap { .. } if size == 0 => 0,
            NetdevKind::Tap { .. } | NetdevKind::Datagram => {
                self.frame_out(client.id.clone(), packet.data.clone(), packet.tag);
                size.max(1)
            }
            NetdevKind::Nic { .. } if size == 0 => {
                self.drop_frame(self.netdev_place(to), packet.tag, DropReason::Empty);
                1
            }
            NetdevKind::Nic { .. } => {
                self.frame_out(client.id.clone(), packet.data.clone(), packet.tag);
                size
            }
            NetdevKind::User | NetdevKind::VhostUser | NetdevKind::Stream => {
                self.event(self.netdev_place(to), packet.tag, EventKind::Consumed);
                size.max(1)
            }
        }
    }
}
