//! Character devices, as far as filters can tell one from another (QEMU 10.2.2 `chardev/`).

mod write;

use std::collections::VecDeque;

use bytes::Bytes;

pub use write::SOCKET_BUFFER;
pub(super) use write::{WriteError, ring_read};

use super::{
    CharBackend, ChardevConfig, ChardevState, Output,
    core::{ChardevKey, Core, ObjectKey, generic},
    dump::DescriptorZero,
};
use crate::{
    base::{CHR_READ_BUF_LEN, ChardevId, QemuVersion, Quirk, Tag},
    record::{CommandError, DropReason, Place},
};

/// `MAX_MUX` (QEMU 10.2.2 `include/chardev/char.h`).
const MUX_USERS: usize = 4;

/// A chardev.
#[derive(Debug)]
pub(super) struct Chardev {
    pub(super) id: ChardevId,
    pub(super) backend: CharBackend,
    pub(super) connected: bool,
    /// The frontends that hold it, in order; more than one only where it is a multiplexer.
    pub(super) users: Vec<ObjectKey>,
    /// Frontends that a multiplexer ever had.
    mux_slots: usize,
    /// A multiplexer has had a reader.
    mux_is_read: bool,
    /// The frontend that reads it.
    pub(super) reader: Option<ObjectKey>,
    pub(super) inbox: VecDeque<(Bytes, Option<Tag>)>,
    /// A multiplexer has read Ctrl-A.
    pub(super) escaped: bool,
    /// The far end closed its sending direction, behind what `inbox` holds.
    ended: bool,
    /// The far end closed both directions.
    hung_up: bool,
    /// Clients that wait in the listener's backlog.
    waiting: usize,
    pub(super) stalled: bool,
    /// The far end is read by this machine's own main loop.
    pub(super) own_loop: bool,
    /// Bytes in the socket's buffer since the far end stopped reading.
    buffered: usize,
    /// What a ring buffer holds.
    pub(super) ring: VecDeque<u8>,
}

impl Chardev {
    /// Whether bytes pass between it and a far end that comes and goes.
    pub(super) const fn is_stream(&self) -> bool {
        matches!(self.backend, CharBackend::Socket { .. } | CharBackend::Mux)
    }

    /// Whether a frontend reads it. A multiplexer that had one reads for those that come later.
    pub(super) fn is_read(&self) -> bool {
        self.reader.is_some() || self.mux_is_read
    }

    /// Its QOM type without `chardev-`.
    pub(super) const fn type_name(&self) -> &'static str {
        match self.backend {
            CharBackend::Socket { .. } => "socket",
            CharBackend::Null => "null",
            CharBackend::File => "file",
            CharBackend::Ringbuf { .. } => "ringbuf",
            CharBackend::Udp => "udp",
            CharBackend::Pty => "pty",
            CharBackend::Mux => "mux",
        }
    }

    /// Whether `chardev-remove` refuses it (`qemu_chr_is_busy`).
    pub(super) fn is_busy(&self, never_idle_mux: bool) -> bool {
        match self.backend {
            CharBackend::Socket { monitor: true, .. } => true,
            CharBackend::Mux if never_idle_mux => true,
            _ => !self.users.is_empty(),
        }
    }
}

impl Core {
    pub(super) fn chardev_add(&mut self, config: &ChardevConfig) -> ChardevKey {
        let key = ChardevKey(self.next_key());
        let chardev = Chardev {
            id: config.id.clone(),
            backend: config.backend.clone(),
            connected: config.connected,
            users: Vec::new(),
            mux_slots: 0,
            mux_is_read: false,
            reader: None,
            inbox: VecDeque::new(),
            escaped: false,
            ended: false,
            hung_up: false,
            waiting: 0,
            stalled: false,
            own_loop: false,
            buffered: 0,
            ring: VecDeque::new(),
        };
        self.chardevs.insert(key, chardev);
        key
    }

    /// A filter takes hold of a chardev (`qemu_chr_fe_init`).
    pub(super) fn chardev_attach(
        &mut self,
        key: ChardevKey,
        user: ObjectKey,
    ) -> Result<(), CommandError> {
        let version = self.profile.version();
        let slots_leak = self.has(Quirk::MuxSlotsLeak);
        let Some(chardev) = self.chardevs.get_mut(&key) else {
            return Ok(());
        };
        let mux = chardev.backend == CharBackend::Mux;
        let used = if slots_leak { chardev.mux_slots } else { chardev.users.len() };
        let monitored = matches!(chardev.backend, CharBackend::Socket { monitor: true, .. });
        if if mux { used >= MUX_USERS } else { monitored || !chardev.users.is_empty() } {
            let id = &chardev.id;
            return Err(generic(match (version, mux) {
                (QemuVersion::Qemu72, _) => format!("Device '{id}' is in use"),
                (_, true) => {
                    format!("too many uses of multiplexed chardev '{id}' (maximum is {MUX_USERS})")
                }
                (_, false) => format!("chardev '{id}' is already in use"),
            }));
        }
        chardev.mux_slots += 1;
        chardev.users.push(user);
        Ok(())
    }

    /// The user reads a chardev from now on. A multiplexer reads its socket once it has had a reader;
    /// until then what comes waits there (measured on QEMU 7.2.22).
    pub(super) fn chardev_reads(&mut self, key: ChardevKey, user: ObjectKey) {
        let Some(chardev) = self.chardevs.get_mut(&key) else {
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

    /// The filter lets go of all of its uses of a chardev.
    pub(super) fn chardev_detach(&mut self, key: ChardevKey, user: ObjectKey) {
        if let Some(chardev) = self.chardevs.get_mut(&key) {
            chardev.users.retain(|other| *other != user);
            chardev.reader = chardev.reader.filter(|reader| *reader != user);
        }
    }

    /// Bytes from the far end.
    pub(super) fn chardev_input(&mut self, id: &ChardevId, data: Bytes, tag: Option<Tag>) {
        let key = self.chardev_of(id.as_str());
        let Some(chardev) = key.and_then(|key| self.chardevs.get_mut(&key)) else {
            return self.drop_frame(Place::Chardev(id.clone()), tag, DropReason::ChardevClosed);
        };
        let open = match chardev.backend {
            CharBackend::Null | CharBackend::File | CharBackend::Ringbuf { .. } => false,
            CharBackend::Udp | CharBackend::Pty => true,
            CharBackend::Socket { .. } | CharBackend::Mux => chardev.connected,
        };
        if !open || chardev.ended || chardev.hung_up {
            return self.drop_frame(Place::Chardev(id.clone()), tag, DropReason::ChardevClosed);
        }
        if chardev.backend == CharBackend::Mux && chardev.mux_is_read {
            return self.mux_input(id.clone(), data, tag);
        }
        if !data.is_empty() {
            chardev.inbox.push_back((data, tag));
        }
    }

    /// The far end's state changed. Stalling and resuming are the kernel's and hold at once; the
    /// rest is seen when the main loop comes to it.
    pub(super) fn chardev_state(&mut self, id: &ChardevId, state: ChardevState) {
        let Some(key) = self.chardev_of(id.as_str()) else {
            return;
        };
        let Some(chardev) = self.chardevs.get_mut(&key) else {
            return;
        };
        let comes_in = state == ChardevState::Opened && !chardev.connected;
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
        if comes_in {
            self.descriptor_opened(DescriptorZero::Chardev(key));
        }
    }

    /// The main loop has come round: what it wrote to its own chardevs, it reads.
    pub(super) fn read_own_chardevs(&mut self) {
        let own = self.chardevs.values_mut().filter(|chardev| chardev.own_loop);
        own.for_each(|chardev| chardev.buffered = 0);
    }

    /// One turn of the main loop for a chardev: one read, or the hang-up. Whether there was work.
    pub(super) fn chardev_turn(&mut self, key: ChardevKey) -> bool {
        let loses_tail = self.has(Quirk::HangupLosesTail);
        let Some(chardev) = self.chardevs.get_mut(&key) else {
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
    pub(super) fn hang_up(&mut self, key: ChardevKey) {
        let Some(chardev) = self.chardevs.get(&key) else {
            return;
        };
        if chardev.connected && chardev.is_stream() {
            let chardev = chardev.id.clone();
            self.emit(Output::ChardevClosed { chardev });
            self.disconnect(key, DropReason::NoReader);
        }
    }

    /// What still waits unread before a chardev's frontend.
    pub(super) fn chardev_residue(&mut self, key: ChardevKey) -> Vec<(Tag, DropReason)> {
        let deaf = self
            .chardevs
            .get(&key)
            .is_some_and(|chardev| chardev.users.iter().any(|user| self.is_deaf(*user, key)));
        let Some(chardev) = self.chardevs.get_mut(&key) else {
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
            let Some(chardev) = self.chardevs.get_mut(&key) else {
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
                    self.drop_frame(self.chardev_place(key), tag, DropReason::Oversize);
                }
                _ => {}
            }
        }
    }

    /// The connection is over: what was not read is lost, the frontend is told, and the next client
    /// comes in (`tcp_chr_disconnect`).
    fn disconnect(&mut self, key: ChardevKey, reason: DropReason) {
        let place = self.chardev_place(key);
        let Some(chardev) = self.chardevs.get_mut(&key) else {
            return;
        };
        chardev.hung_up = false;
        chardev.ended = false;
        chardev.stalled = false;
        chardev.own_loop = false;
        chardev.buffered = 0;
        chardev.connected = chardev.waiting > 0;
        chardev.waiting = chardev.waiting.saturating_sub(1);
        let reader = chardev.reader;
        let mut unread: Vec<_> = chardev.inbox.drain(..).filter_map(|(_, tag)| tag).collect();
        unread.dedup();
        let next_came_in = chardev.connected;
        self.connection_closed(key);
        if next_came_in {
            self.descriptor_opened(DescriptorZero::Chardev(key));
        }
        for tag in unread {
            self.drop_frame(place.clone(), Some(tag), reason);
        }
        if let Some(reader) = reader {
            self.part_closed(reader, key);
        }
        self.parts_writable(key);
    }
}
