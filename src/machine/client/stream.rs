//! The byte stream of a socket netdev (QEMU 10.2.2 `net/socket.c`).

use bytes::Bytes;

use crate::{
    base::{NET_BUFSIZE, NetdevId, Tag},
    machine::{
        Output,
        core::{ClientKey, Core},
        framing::Unit,
    },
    record::{DropReason, Place},
};

/// What a broken stream leaves on standard error (QEMU 10.2.2 `net/net.c:2155`).
pub(in crate::machine) const OVERSIZE_LOG: &str =
    "serious error: oversized packet received,connection terminated.";

impl Core {
    /// The far end of a socket netdev closed.
    pub(in crate::machine) fn client_eof(&mut self, netdev: &NetdevId) {
        let key = self.client_of(netdev.as_str());
        if let Some(client) = key.and_then(|key| self.clients.get_mut(&key)) {
            client.eof = client.open;
        }
    }

    /// Closes a socket netdev's stream: its link is down from now on.
    pub(in crate::machine) fn close_stream(&mut self, key: ClientKey) {
        let Some(client) = self.clients.get_mut(&key) else {
            return;
        };
        if !std::mem::take(&mut client.open) {
            return;
        }
        client.link_down = true;
        client.eof = false;
        let netdev = client.id.clone();
        let mut tags = client.reassembler.reset();
        tags.extend(client.inbox.drain(..).filter_map(|(_, tag)| tag));
        for tag in tags {
            self.drop_frame(Place::Netdev(netdev.clone()), Some(tag), DropReason::Incomplete);
        }
        self.emit(Output::StreamClosed { netdev });
    }

    /// One `recv` of a socket netdev: at most [`NET_BUFSIZE`] bytes of what has come, whatever
    /// pieces it came in (QEMU 10.2.2 net/socket.c:155-193).
    pub(super) fn stream_read(&mut self, key: ClientKey) -> bool {
        let mut budget = NET_BUFSIZE;
        let mut read = false;
        while budget > 0 {
            let Some(client) = self.clients.get_mut(&key) else {
                return true;
            };
            let Some((mut slice, tag)) = client.inbox.pop_front() else {
                break;
            };
            if slice.len() > budget {
                client.inbox.push_front((slice.split_off(budget), tag));
            }
            budget -= slice.len();
            read = true;
            if !self.stream_slice(key, slice, tag) {
                self.close_stream(key);
                return true;
            }
        }
        let ended = self.clients.get(&key).is_some_and(|client| client.eof);
        if !read && ended {
            self.close_stream(key);
            return true;
        }
        read
    }

    /// Feeds one slice; `false` when the stream is broken.
    fn stream_slice(&mut self, key: ClientKey, mut slice: Bytes, tag: Option<Tag>) -> bool {
        loop {
            if self.dead {
                if !slice.is_empty() {
                    self.drop_frame(self.netdev_place(key), tag, DropReason::MachineDead);
                }
                return true;
            }
            let Some(client) = self.clients.get_mut(&key) else {
                return true;
            };
            let unit = client.reassembler.next(&mut slice, tag);
            let lost = client.reassembler.take_lost();
            let broken = matches!(unit, Some(Unit::Oversize { .. }));
            let reason = if broken { DropReason::Oversize } else { DropReason::Incomplete };
            for tag in lost {
                self.drop_frame(self.netdev_place(key), Some(tag), reason);
            }
            match unit {
                None => return true,
                Some(Unit::Frame { data, tag, .. }) => {
                    if self.send_from(key, data, tag) == 0 {
                        self.set_reading(key, false);
                    }
                }
                Some(Unit::Empty { tag }) => {
                    self.drop_frame(self.netdev_place(key), tag, DropReason::Empty);
                }
                Some(Unit::Oversize { .. }) => {
                    self.log(self.netdev_place(key), None, OVERSIZE_LOG);
                    return false;
                }
            }
        }
    }
}
