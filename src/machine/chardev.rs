//! Character devices, as far as filters can tell one from another (QEMU 10.2.2 `chardev/`).

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::{
    CharBackend, ChardevConfig, ChardevState, Output,
    core::{ChardevKey, Core, Freeze, ObjectKey, generic},
};
use crate::{
    base::{CHR_READ_BUF_LEN, ChardevId, QemuVersion, Quirk, Tag},
    record::{CommandError, DropReason, EventKind, Place},
};

/// Buffer space that a connected socket has before a reader that is away makes its writer wait:
/// Linux' `net.core.wmem_default`. A write begins while less than this is taken, and then takes
/// [`buffer_space`], which is more than its bytes.
pub const SOCKET_BUFFER: usize = 212_992;

/// The most bytes of one buffer of a unix socket, of a head and 8 pages (Linux 6.18
/// `net/unix/af_unix.c`, `unix_stream_sendmsg`).
const LARGEST_BUFFER: usize = 32_768 + LARGEST_HEAD;

/// The most bytes of a buffer's head: a page less what manages it.
const LARGEST_HEAD: usize = 4096 - 320;

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
    /// Bytes in the socket's buffer since the far end stopped reading.
    buffered: usize,
    /// What a ring buffer holds.
    pub(super) ring: VecDeque<u8>,
}

/// Why a write failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteError {
    /// Nobody is connected: EIO.
    NotConnected,
    /// The far end is gone: EPIPE.
    Broken,
}

impl WriteError {
    pub(super) const fn strerror(self) -> &'static str {
        match self {
            Self::NotConnected => "Input/output error",
            Self::Broken => "Broken pipe",
        }
    }

    pub(super) const fn reason(self) -> DropReason {
        match self {
            Self::NotConnected => DropReason::OutdevClosed,
            Self::Broken => DropReason::OutdevBroke,
        }
    }
}

impl Chardev {
    /// Whether bytes pass between it and a far end that comes and goes.
    pub(super) const fn is_stream(&self) -> bool {
        matches!(self.backend, CharBackend::Socket { .. } | CharBackend::Mux)
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
            reader: None,
            inbox: VecDeque::new(),
            escaped: false,
            ended: false,
            hung_up: false,
            waiting: 0,
            stalled: false,
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
        let used = if slots_leak {
            chardev.mux_slots
        } else {
            chardev.users.len()
        };
        let monitored = matches!(chardev.backend, CharBackend::Socket { monitor: true, .. });
        if if mux {
            used >= MUX_USERS
        } else {
            monitored || !chardev.users.is_empty()
        } {
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
        if chardev.backend == CharBackend::Mux {
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
            ChardevState::Resumed => {
                chardev.stalled = false;
                chardev.buffered = 0;
            }
        }
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

    /// Writes all of `data` (`qemu_chr_fe_write_all`). Whether it reached a far end: else the
    /// chardev itself swallowed it.
    pub(super) fn chardev_write(
        &mut self,
        key: ChardevKey,
        writer: ObjectKey,
        data: Bytes,
        tag: Option<Tag>,
    ) -> Result<bool, WriteError> {
        let Some(chardev) = self.chardevs.get_mut(&key) else {
            return Err(WriteError::NotConnected);
        };
        let id = chardev.id.clone();
        match chardev.backend {
            CharBackend::Null => return Ok(false),
            // A pty that nobody opened swallows what is written (QEMU 10.2.2
            // chardev/char-pty.c, char_pty_chr_write).
            CharBackend::Pty if !chardev.connected => return Ok(false),
            CharBackend::Ringbuf { size } => {
                chardev.ring.extend(data.iter());
                let over = chardev.ring.len().saturating_sub(size);
                chardev.ring.drain(..over);
                return Ok(false);
            }
            CharBackend::File | CharBackend::Udp | CharBackend::Pty => {
                self.bytes_out(id, data, tag);
            }
            CharBackend::Socket { .. } | CharBackend::Mux => {
                if !chardev.connected {
                    return Err(WriteError::NotConnected);
                }
                if chardev.hung_up {
                    return Err(WriteError::Broken);
                }
                self.stream_write(key, writer, data, tag);
            }
        }
        Ok(true)
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
        let reason = if deaf {
            DropReason::Deaf
        } else {
            DropReason::NoReader
        };
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
                Some(reader) if !discard => discard = !self.filter_read(reader, piece, tag),
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
        chardev.buffered = 0;
        chardev.connected = chardev.waiting > 0;
        chardev.waiting = chardev.waiting.saturating_sub(1);
        let reader = chardev.reader;
        let mut unread: Vec<_> = chardev.inbox.drain(..).filter_map(|(_, tag)| tag).collect();
        unread.dedup();
        for tag in unread {
            self.drop_frame(place.clone(), Some(tag), reason);
        }
        if let Some(reader) = reader {
            self.filter_closed(reader);
        }
    }

    fn stream_write(&mut self, key: ChardevKey, writer: ObjectKey, data: Bytes, tag: Option<Tag>) {
        let freezes = self.has(Quirk::OutdevStallFreezes) && self.freeze.is_none();
        let Some(chardev) = self.chardevs.get_mut(&key) else {
            return;
        };
        let id = chardev.id.clone();
        let mut fits = Vec::new();
        if !(chardev.stalled && freezes) {
            return self.bytes_out(id, data, tag);
        }
        let mut rest = data;
        while !rest.is_empty() && chardev.buffered < SOCKET_BUFFER {
            let piece = rest.split_to(rest.len().min(LARGEST_BUFFER));
            chardev.buffered += buffer_space(piece.len());
            fits.push(piece);
        }
        for piece in fits {
            self.bytes_out(id.clone(), piece, tag);
        }
        if rest.is_empty() {
            return;
        }
        self.event(Place::Chardev(id.clone()), tag, EventKind::Frozen);
        let rest = Output::ChardevBytes {
            chardev: id,
            data: rest,
            tag,
        };
        self.freeze = Some(Freeze {
            chardev: key,
            writer,
            held: vec![rest],
        });
    }
}

/// What a buffer of so many bytes, at most [`LARGEST_BUFFER`], takes of a unix socket's space: what
/// is too much for its head as pages, its head with 320 bytes of management as a power of two from
/// 512, and 256 bytes (`truesize`; measured by `SIOCOUTQ` on Linux 6.18 for lengths up to 120,000).
fn buffer_space(length: usize) -> usize {
    const PAGE: usize = 4096;
    let paged = length.saturating_sub(LARGEST_HEAD).next_multiple_of(PAGE);
    let head = length.saturating_sub(paged);
    paged + (head + 320).next_power_of_two().max(512) + 256
}

/// Takes at most `size` of the oldest bytes out of a ring buffer.
pub(super) fn ring_read(ring: &mut VecDeque<u8>, size: usize) -> Bytes {
    let taken = size.min(ring.len());
    ring.drain(..taken).collect::<BytesMut>().freeze()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// As `SIOCOUTQ` said on Linux 6.18.
    #[rstest]
    #[case(1, 768)]
    #[case(192, 768)]
    #[case(193, 1280)]
    #[case(704, 1280)]
    #[case(1414, 2304)]
    #[case(1729, 4352)]
    #[case(3776, 4352)]
    #[case(3777, 4864)]
    #[case(9014, 10496)]
    #[case(32000, 33024)]
    fn buffers_take_more_than_their_bytes(#[case] length: usize, #[case] space: usize) {
        assert_eq!(buffer_space(length), space);
    }
}
