//! Net clients at work: what each reads from its descriptor and sends, and what it is delivered.

use bytes::{Bytes, BytesMut};

use super::{Net, queue::Delivery};
use crate::{
    base::Tag,
    machine::{
        NetdevKind, Output,
        core::{Client, ClientKey, Packet},
    },
    record::{DropReason, EventKind, Place},
};

/// `ETH_ZLEN` (QEMU 10.2.2 `include/net/eth.h`).
const SHORTEST_FRAME: usize = 60;

impl Net {
    /// Reads a client's descriptor once, when it is watched and ready. Whether it was.
    pub(in crate::machine) fn client_read(&mut self, key: ClientKey) -> bool {
        let works_on = self.reads_while_stopped(key);
        let Some(client) = self.core.clients.get_mut(&key) else {
            return false;
        };
        if !client.reading && !works_on {
            return false;
        }
        if client.kind == NetdevKind::Socket {
            return self.stream_read(key);
        }
        let Some((data, tag)) = client.inbox.pop_front() else {
            return false;
        };
        let data = self.pad(key, data);
        if self.send_from(key, data, tag) == Delivery::Later {
            self.core.set_reading(key, false);
        }
        true
    }

    /// Hands a packet to a client (`qemu_deliver_packet_iov`).
    pub(super) fn deliver(&mut self, to: ClientKey, packet: &Packet) -> Delivery {
        let Some(client) = self.core.clients.get_mut(&to) else {
            return Delivery::Done;
        };
        if client.link_down {
            if !packet.data.is_empty() {
                self.core.drop_frame(self.core.netdev_place(to), packet.tag, DropReason::LinkDown);
            }
            return Delivery::by_length(packet);
        }
        if client.receive_disabled {
            return Delivery::Later;
        }
        let result = self.receive(to, packet);
        if result == Delivery::Later
            && let Some(client) = self.core.clients.get_mut(&to)
        {
            client.receive_disabled = true;
        }
        result
    }

    /// The client takes packets again: delivers what waits, and with `purge` throws away what its
    /// peer sent and still can't be delivered (`qemu_flush_or_purge_queued_packets`).
    pub(in crate::machine) fn flush_queued(&mut self, key: ClientKey, purge: bool) {
        let Some(client) = self.core.clients.get_mut(&key) else {
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
            self.core.queue_purge(key, peer);
        }
    }

    /// Removes a client, its filters first (`qemu_del_net_client`).
    pub(in crate::machine) fn client_remove(&mut self, key: ClientKey) {
        let chain =
            self.core.clients.get(&key).map(|client| client.chain.clone()).unwrap_or_default();
        for object in chain {
            self.object_remove(object);
        }
        self.close_stream(key);
        let others: Vec<ClientKey> = self.core.clients.keys().copied().collect();
        for other in others {
            self.core.queue_purge(other, key);
        }
        let residue = self.core.client_residue(key);
        let Some(client) = self.core.clients.remove(&key) else {
            return;
        };
        for (tag, reason) in residue {
            self.core.drop_frame(Place::Netdev(client.id.clone()), Some(tag), reason);
        }
        let peer = client.peer.and_then(|peer| self.core.clients.get_mut(&peer));
        if let Some(peer) = peer {
            peer.peer = None;
            // A NIC is left without a link (QEMU 10.2.2 net/net.c, qemu_del_net_client).
            peer.link_down |= matches!(peer.kind, NetdevKind::Nic { .. });
        }
        self.core.emit(Output::NetdevGone { netdev: client.id });
    }

    pub(super) fn send_from(&mut self, key: ClientKey, data: Bytes, tag: Option<Tag>) -> Delivery {
        self.send(Packet {
            sender: key,
            data,
            tag,
            resume: Some(key),
            captured: None,
            raw: false,
            injector: None,
            hops: 0,
        })
    }

    /// A TAP pads what it reads for a peer that is not a virtio NIC (`net_peer_needs_padding`;
    /// measured records of `tap-10.2.jsonl`).
    fn pad(&self, key: ClientKey, data: Bytes) -> Bytes {
        let short = data.len() < SHORTEST_FRAME && !data.is_empty();
        let client = self.core.clients.get(&key);
        let tap = client.is_some_and(|client| matches!(client.kind, NetdevKind::Tap { .. }));
        let peer = client.and_then(|client| self.core.clients.get(&client.peer?));
        let plain = |peer: &Client| !matches!(peer.kind, NetdevKind::Nic { vnet_hdr_len } if vnet_hdr_len > 0);
        if !(short && tap && peer.is_some_and(plain)) {
            return data;
        }
        let mut padded = BytesMut::from(data);
        padded.resize(SHORTEST_FRAME, 0);
        padded.freeze()
    }

    fn receive(&mut self, to: ClientKey, packet: &Packet) -> Delivery {
        let Some(client) = self.core.clients.get(&to) else {
            return Delivery::Done;
        };
        let empty = packet.data.is_empty();
        match client.kind {
            NetdevKind::Hubport { hub } => self.hub_receive(to, hub, packet),
            // An empty packet's length word goes out, and its size, 0, says "not now" (QEMU
            // 10.2.2 net/socket.c:96-112).
            NetdevKind::Socket => {
                self.core.frame_out(client.id.clone(), packet.data.clone(), packet.tag);
                Delivery::by_length(packet)
            }
            // writev(2) of nothing never reaches the TAP and returns 0, which says "not now" (QEMU
            // 7.2.22 net/tap.c, tap_write_packet; found by running it).
            NetdevKind::Tap { .. } if empty => Delivery::Later,
            // An announcement comes without the header that others have (QEMU 10.2.2 net/net.c,
            // qemu_deliver_packet_iov).
            NetdevKind::Tap { vnet_hdr_len, .. } if packet.raw && vnet_hdr_len > 0 => {
                let data = [&vec![0; vnet_hdr_len][..], &packet.data].concat();
                self.core.frame_out(client.id.clone(), data.into(), packet.tag);
                Delivery::Done
            }
            NetdevKind::Tap { .. } | NetdevKind::Datagram => {
                self.core.frame_out(client.id.clone(), packet.data.clone(), packet.tag);
                Delivery::Done
            }
            NetdevKind::Nic { .. } if empty => {
                self.core.drop_frame(self.core.netdev_place(to), packet.tag, DropReason::Empty);
                Delivery::Done
            }
            NetdevKind::Nic { .. } => {
                self.core.frame_out(client.id.clone(), packet.data.clone(), packet.tag);
                Delivery::by_length(packet)
            }
            NetdevKind::User | NetdevKind::VhostUser | NetdevKind::Stream => {
                self.core.event(self.core.netdev_place(to), packet.tag, EventKind::Consumed);
                Delivery::Done
            }
        }
    }
}
