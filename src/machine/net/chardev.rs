//! What reaches a chardev from its far end, and the main loop's turn at it: bytes for the part that
//! reads it, and the end of a connection (QEMU 10.2.2 `chardev/char-socket.c`).

use bytes::Bytes;

use super::Net;
use crate::{
    base::{CHR_READ_BUF_LEN, ChardevId, Quirk, Tag},
    machine::{
        CharBackend, ChardevState, Output,
        core::{ChardevKey, DescriptorZero, ObjectKey},
        framing,
        part::Captured,
    },
    record::{DropReason, Place},
};

impl Net {
    /// The user reads a chardev from now on. A multiplexer reads its socket once it has had a
    /// reader; until then what comes waits there (measured on QEMU 7.2.22).
    pub(super) fn chardev_reads(&mut self, key: ChardevKey, user: ObjectKey) {
        let Some(chardev) = self.core.chardevs.get_mut(&key) else {
            return;
        };
        chardev.reader = Some(user);
        if chardev.backend == CharBackend::Mux && !chardev.mux_is_read {
            chardev.mux_is_read = true;
            let id = chardev.id.clone();
            for (data, tag) in std::mem::take(&mut chardev.inbox) {
                self.mux_input(id.clone(), data, tag);
            }
        }
    }

    /// Bytes from the far end.
    pub(in crate::machine) fn chardev_input(
        &mut self,
        id: &ChardevId,
        data: Bytes,
        tag: Option<Tag>,
    ) {
        let key = self.core.chardev_of(id.as_str());
        let Some(chardev) = key.and_then(|key| self.core.chardevs.get_mut(&key)) else {
            return self.core.drop_frame(
                Place::Chardev(id.clone()),
                tag,
                DropReason::ChardevClosed,
            );
        };
        let open = match chardev.backend {
            CharBackend::Null
            | CharBackend::File
            | CharBackend::Ringbuf { .. }
            | CharBackend::AfPacket { .. } => false,
            CharBackend::Udp | CharBackend::Pty => true,
            CharBackend::Socket { .. } | CharBackend::Mux => chardev.connected,
        };
        if !open || chardev.ended || chardev.hung_up {
            return self.core.drop_frame(
                Place::Chardev(id.clone()),
                tag,
                DropReason::ChardevClosed,
            );
        }
        if chardev.backend == CharBackend::Mux && chardev.mux_is_read {
            return self.mux_input(id.clone(), data, tag);
        }
        if !data.is_empty() {
            chardev.inbox.push_back((data, tag));
        }
    }

    /// A frame for each chardev that has the packet socket which took the copy.
    pub(super) fn chardevs_capture(&mut self, copy: &Captured) {
        let chardevs = self.core.chardevs.values_mut();
        for chardev in chardevs.filter(|chardev| chardev.captures(&copy.netdev)) {
            let framed = framing::encode(&copy.frame.data, None);
            chardev.inbox.push_back((framed, copy.tag));
        }
    }

    /// The far end's state changed. Stalling and resuming are the kernel's and hold at once; the
    /// rest is seen when the main loop comes to it.
    pub(in crate::machine) fn chardev_state(&mut self, id: &ChardevId, state: ChardevState) {
        let Some(key) = self.core.chardev_of(id.as_str()) else {
            return;
        };
        let Some(chardev) = self.core.chardevs.get_mut(&key) else {
            return;
        };
        let comes_in = state == ChardevState::Opened && !chardev.connected;
        let cut = match state {
            ChardevState::Opened | ChardevState::Closed => chardev.staging.reset(),
            _ => Vec::new(),
        };
        match state {
            ChardevState::Opened if chardev.connected => chardev.waiting += 1,
            ChardevState::Opened => {
                chardev.connected = true;
                chardev.ended = false;
                chardev.hung_up = false;
            }
            ChardevState::Closed => chardev.hung_up = chardev.connected,
            ChardevState::HalfClosed if chardev.is_stream() => chardev.ended = chardev.connected,
            ChardevState::HalfClosed => chardev.hung_up = chardev.connected,
            ChardevState::Stalled => chardev.stalled = true,
            ChardevState::Resumed | ChardevState::OwnLoop => {
                chardev.own_loop = state == ChardevState::OwnLoop;
                chardev.stalled = false;
                chardev.buffered = 0;
            }
        }
        if chardev.hung_up || matches!(state, ChardevState::Resumed | ChardevState::OwnLoop) {
            self.parts_writable(key);
        }
        for tag in cut {
            self.core.drop_frame(self.core.chardev_place(key), Some(tag), DropReason::Incomplete);
        }
        if comes_in {
            self.core.descriptor_opened(DescriptorZero::Chardev(key));
        }
    }

    /// One turn of the main loop for a chardev: one read, or the hang-up. Whether there was work.
    pub(in crate::machine) fn chardev_turn(&mut self, key: ChardevKey) -> bool {
        let loses_tail = self.core.has(Quirk::HangupLosesTail);
        let Some(chardev) = self.core.chardevs.get_mut(&key) else {
            return false;
        };
        let readable = chardev.reader.is_some() && !chardev.inbox.is_empty();
        if readable {
            let gone = chardev.hung_up && loses_tail;
            self.chardev_read(key);
            if gone {
                self.disconnect(key, DropReason::Incomplete);
            }
            return true;
        }
        if chardev.hung_up {
            let reason = if chardev.users.is_empty() || chardev.reader.is_none() {
                DropReason::NoReader
            } else {
                DropReason::Incomplete
            };
            self.disconnect(key, reason);
            return true;
        }
        if chardev.ended && chardev.reader.is_some() {
            // End of file on a read closes the connection (QEMU 10.2.2
            // chardev/char-socket.c:487-526).
            self.hang_up(key);
            return true;
        }
        false
    }

    /// QEMU closes its end of a connection.
    pub(in crate::machine) fn hang_up(&mut self, key: ChardevKey) {
        let Some(chardev) = self.core.chardevs.get(&key) else {
            return;
        };
        if chardev.connected && chardev.is_stream() {
            let chardev = chardev.id.clone();
            self.core.emit(Output::ChardevClosed { chardev });
            self.disconnect(key, DropReason::NoReader);
        }
    }

    /// What still waits unread before a chardev's frontend.
    pub(in crate::machine) fn chardev_residue(
        &mut self,
        key: ChardevKey,
    ) -> Vec<(Tag, DropReason)> {
        let deaf = self
            .core
            .chardevs
            .get(&key)
            .is_some_and(|chardev| chardev.users.iter().any(|user| self.is_deaf(*user, key)));
        let Some(chardev) = self.core.chardevs.get_mut(&key) else {
            return Vec::new();
        };
        let reason = if deaf { DropReason::Deaf } else { DropReason::NoReader };
        let mut tags: Vec<Tag> = chardev.inbox.drain(..).filter_map(|(_, tag)| tag).collect();
        tags.dedup();
        tags.into_iter().map(|tag| (tag, reason)).collect()
    }

    /// At most [`CHR_READ_BUF_LEN`] bytes of what has come, whatever pieces it came in.
    fn chardev_read(&mut self, key: ChardevKey) {
        let mut budget = CHR_READ_BUF_LEN;
        let mut discard = false;
        while budget > 0 {
            let Some(chardev) = self.core.chardevs.get_mut(&key) else {
                return;
            };
            let Some((mut piece, tag)) = chardev.inbox.pop_front() else {
                return;
            };
            if piece.len() > budget {
                chardev.inbox.push_front((piece.split_off(budget), tag));
            }
            budget -= piece.len();
            match chardev.reader {
                Some(reader) if !discard => {
                    discard = !self.part_read(reader, key, piece, tag);
                }
                _ if tag.is_some() => {
                    self.core.drop_frame(self.core.chardev_place(key), tag, DropReason::Oversize);
                }
                _ => {}
            }
        }
    }

    /// The connection is over: what was not read is lost, the frontend is notified, and the next
    /// client comes in (`tcp_chr_disconnect`).
    fn disconnect(&mut self, key: ChardevKey, reason: DropReason) {
        let place = self.core.chardev_place(key);
        let Some(chardev) = self.core.chardevs.get_mut(&key) else {
            return;
        };
        chardev.hung_up = false;
        chardev.ended = false;
        chardev.stalled = false;
        chardev.own_loop = false;
        chardev.buffered = 0;
        chardev.connected = chardev.waiting > 0;
        chardev.waiting = chardev.waiting.saturating_sub(1);
        let told = chardev.reader.map_or_else(|| chardev.users.clone(), |reader| vec![reader]);
        let mut unread: Vec<_> = chardev.inbox.drain(..).filter_map(|(_, tag)| tag).collect();
        unread.dedup();
        let next_came_in = chardev.connected;
        self.core.connection_closed(key);
        if next_came_in {
            self.core.descriptor_opened(DescriptorZero::Chardev(key));
        }
        for tag in unread {
            self.core.drop_frame(place.clone(), Some(tag), reason);
        }
        for user in told {
            self.part_closed(user, key);
        }
        self.parts_writable(key);
    }
}
