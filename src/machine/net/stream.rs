//! The byte stream of a socket netdev (QEMU 10.2.2 `net/socket.c`).

use bytes::Bytes;

use super::{Net, queue::Delivery};
use crate::{
    base::{NET_BUFSIZE, Tag},
    machine::{
        Output,
        core::ClientKey,
        framing::{OVERSIZE_LOG, Unit},
    },
    record::{DropReason, Place},
};

impl Net {
    /// Closes a socket netdev's stream: its link is down from now on.
    pub(super) fn close_stream(&mut self, key: ClientKey) {
        let Some(client) = self.core.clients.get_mut(&key) else {
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
            self.core.drop_frame(Place::Netdev(netdev.clone()), Some(tag), DropReason::Incomplete);
        }
        self.core.emit(Output::StreamClosed { netdev });
    }

    /// One `recv` of a socket netdev: at most [`NET_BUFSIZE`] bytes of what has come, whatever
    /// pieces it came in (QEMU 10.2.2 net/socket.c:155-193).
    pub(super) fn stream_read(&mut self, key: ClientKey) -> bool {
        let mut budget = NET_BUFSIZE;
        let mut read = false;
        while budget > 0 {
            let Some(client) = self.core.clients.get_mut(&key) else {
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
        let ended = self.core.clients.get(&key).is_some_and(|client| client.eof);
        if !read && ended {
            self.close_stream(key);
            return true;
        }
        read
    }

    /// Feeds one slice; `false` when the stream is broken.
    fn stream_slice(&mut self, key: ClientKey, mut slice: Bytes, tag: Option<Tag>) -> bool {
        loop {
            if self.core.dead {
                if !slice.is_empty() {
                    self.core.drop_frame(self.core.netdev_place(key), tag, DropReason::MachineDead);
                }
                return true;
            }
            let Some(client) = self.core.clients.get_mut(&key) else {
                return true;
            };
            let unit = client.reassembler.next(&mut slice, tag);
            let lost = client.reassembler.take_lost();
            let broken = matches!(unit, Some(Unit::Oversize { .. }));
            let reason = if broken { DropReason::Oversize } else { DropReason::Incomplete };
            for tag in lost {
                self.core.drop_frame(self.core.netdev_place(key), Some(tag), reason);
            }
            match unit {
                None => return true,
                Some(Unit::Frame { data, tag, .. }) => {
                    if self.send_from(key, data, tag) == Delivery::Later {
                        self.core.set_reading(key, false);
                    }
                }
                Some(Unit::Empty { tag }) => {
                    self.core.drop_frame(self.core.netdev_place(key), tag, DropReason::Empty);
                }
                Some(Unit::Oversize { .. }) => {
                    self.core.log(self.core.netdev_place(key), None, OVERSIZE_LOG);
                    return false;
                }
            }
        }
    }
}
