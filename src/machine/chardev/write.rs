//! What a filter writes to a chardev: who takes it, who refuses it, and whose reader it waits for.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::{
    base::{Frame, Quirk, Tag},
    machine::{
        AfPacketMode, CharBackend, Output,
        core::{BlockedWrite, ChardevKey, Core, Freeze, ObjectKey},
        framing::Unit,
    },
    record::{DropReason, EventKind},
};

/// Buffer space that a connected socket has before a reader that is away makes its writer wait:
/// Linux' `net.core.wmem_default`. A write begins while less than this is taken, and then takes
/// the space of its buffers, which is more than its bytes.
pub const SOCKET_BUFFER: usize = 212_992;

/// The most bytes of one buffer of a unix socket, of a head and 8 pages (Linux 6.18
/// `net/unix/af_unix.c`, `unix_stream_sendmsg`).
const LARGEST_BUFFER: usize = 32_768 + LARGEST_HEAD;

/// The most bytes of a buffer's head: a page less what manages it.
const LARGEST_HEAD: usize = 4096 - 320;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::machine) enum WriteError {
    /// Nobody is connected: EIO.
    NotConnected,
    /// The far end is gone: EPIPE.
    Broken,
}

impl WriteError {
    pub(in crate::machine) const fn strerror(self) -> &'static str {
        match self {
            Self::NotConnected => "Input/output error",
            Self::Broken => "Broken pipe",
        }
    }

    pub(in crate::machine) const fn reason(self) -> DropReason {
        match self {
            Self::NotConnected => DropReason::OutdevClosed,
            Self::Broken => DropReason::OutdevBroke,
        }
    }
}

impl Core {
    /// Writes all of `data` (`qemu_chr_fe_write_all`). Whether it reached a far end: else the
    /// chardev itself swallowed it.
    pub(in crate::machine) fn chardev_write(
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
            CharBackend::AfPacket { mode: AfPacketMode::Inject, .. } => {
                self.packet_socket_write(key, writer, data, tag);
            }
            // What is captured is read from it, and nothing is sent.
            CharBackend::AfPacket { mode: AfPacketMode::Capture, .. } => {
                return Err(WriteError::NotConnected);
            }
            CharBackend::Null => return Ok(false),
            // A pty that nobody opened swallows what is written (QEMU 10.2.2
            // chardev/char-pty.c, char_pty_chr_write).
            CharBackend::Pty if !chardev.connected => return Ok(false),
            CharBackend::Ringbuf { size } => {
                ring_write(&mut chardev.ring, size, &data);
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

    /// Writes as much of `data` as a socket takes now, and leaves the rest: what a writer does that
    /// does not wait (a coroutine's `qemu_chr_fe_write_all`).
    pub(in crate::machine) fn chardev_offer(
        &mut self,
        key: ChardevKey,
        data: &mut Bytes,
        tag: Option<Tag>,
    ) -> Result<(), WriteError> {
        let connected = self.chardevs.get(&key).filter(|chardev| chardev.connected);
        match connected {
            None => Err(WriteError::NotConnected),
            Some(chardev) if chardev.hung_up => Err(WriteError::Broken),
            Some(_) => {
                self.stream_fill(key, data, tag, false);
                Ok(())
            }
        }
    }

    /// Collects what is written until it is a frame, and sends that.
    fn packet_socket_write(
        &mut self,
        key: ChardevKey,
        writer: ObjectKey,
        mut data: Bytes,
        tag: Option<Tag>,
    ) {
        let Some(chardev) = self.chardevs.get_mut(&key) else {
            return;
        };
        let CharBackend::AfPacket { netdev, .. } = &chardev.backend else {
            return;
        };
        let netdev = netdev.clone();
        let mut units = Vec::new();
        while let Some(unit) = chardev.staging.next(&mut data, tag) {
            units.push(unit);
        }
        let lost = chardev.staging.take_lost();
        let place = self.chardev_place(key);
        for tag in lost {
            self.drop_frame(place.clone(), Some(tag), DropReason::Incomplete);
        }
        let object = self.objects.get(&writer).map(|object| object.id.clone());
        for unit in units {
            match (unit, &object) {
                (Unit::Frame { data, tag, .. }, Some(object)) if !data.is_empty() => {
                    if self.client_of(netdev.as_str()).is_none() {
                        self.drop_frame(place.clone(), tag, DropReason::InterfaceGone);
                        continue;
                    }
                    let (netdev, object) = (netdev.clone(), object.clone());
                    self.emit(Output::Inject { netdev, object, frame: Frame::plain(data), tag });
                }
                (Unit::Frame { tag, .. } | Unit::Empty { tag }, _) => {
                    self.drop_frame(place.clone(), tag, DropReason::Empty);
                }
                (Unit::Oversize { .. }, _) => {
                    self.drop_frame(place.clone(), tag, DropReason::Oversize);
                }
            }
        }
    }

    fn stream_write(
        &mut self,
        key: ChardevKey,
        writer: ObjectKey,
        mut data: Bytes,
        tag: Option<Tag>,
    ) {
        if self.freeze.is_some() {
            // Comes out when the write before it has ended.
            let Some(chardev) = self.chardevs.get(&key) else {
                return;
            };
            return self.bytes_out(chardev.id.clone(), data, tag);
        }
        self.stream_fill(key, &mut data, tag, true);
        if data.is_empty() {
            return;
        }
        self.event(self.chardev_place(key), tag, EventKind::Frozen);
        self.freeze_behind(key, writer, data, tag);
    }

    /// The main loop waits until the rest of a write has gone.
    pub(in crate::machine) fn freeze_behind(
        &mut self,
        key: ChardevKey,
        writer: ObjectKey,
        rest: Bytes,
        tag: Option<Tag>,
    ) {
        let Some(chardev) = self.chardevs.get(&key) else {
            return;
        };
        let rest = Output::ChardevBytes { chardev: chardev.id.clone(), data: rest, tag };
        self.freeze = Some(Freeze {
            write: Some(BlockedWrite { chardev: key, writer }),
            for_ever: None,
            held: vec![rest],
        });
    }

    /// Puts bytes into a connected socket until its buffer is full, which it only gets while its
    /// far end does not read; the rest stays in `data`. What the main loop writes for itself it
    /// does not read in the middle of it.
    fn stream_fill(
        &mut self,
        key: ChardevKey,
        data: &mut Bytes,
        tag: Option<Tag>,
        by_main_loop: bool,
    ) {
        let limited = self.has(Quirk::OutdevStallFreezes);
        let Some(chardev) = self.chardevs.get_mut(&key) else {
            return;
        };
        let id = chardev.id.clone();
        let unread = chardev.stalled || by_main_loop && chardev.own_loop;
        if !(unread && limited) {
            return self.bytes_out(id, std::mem::take(data), tag);
        }
        let mut fits = Vec::new();
        while !data.is_empty() && chardev.buffered < SOCKET_BUFFER {
            let piece = data.split_to(data.len().min(LARGEST_BUFFER));
            chardev.buffered += buffer_space(piece.len());
            fits.push(piece);
        }
        for piece in fits {
            self.bytes_out(id.clone(), piece, tag);
        }
    }

    /// A write that had waited for its reader failed.
    pub(in crate::machine) fn write_failed(&mut self, writer: ObjectKey, tag: Option<Tag>) {
        self.log_failed_write(writer, WriteError::Broken, tag);
        self.drop_frame(self.object_place(writer), tag, WriteError::Broken.reason());
    }

    /// The line that a filter's failed write leaves: QEMU prints its -1 as an errno.
    pub(in crate::machine) fn log_failed_write(
        &mut self,
        writer: ObjectKey,
        error: WriteError,
        tag: Option<Tag>,
    ) {
        let kind = self.objects.get(&writer).map(|object| object.kind);
        let Some(kind) = kind.filter(|kind| kind.is_filter()) else {
            return;
        };
        let filter = kind.name.trim_start_matches("filter-");
        let reason = if self.has(Quirk::SendErrorSaysEperm) {
            "Operation not permitted"
        } else {
            error.strerror()
        };
        let line = format!("filter {filter} send failed({reason})");
        self.log(self.object_place(writer), tag, line);
    }
}

/// What a buffer of this many bytes, at most [`LARGEST_BUFFER`], takes of a unix socket's space:
/// what is too much for its head as pages, its head with 320 bytes of management as a power of two
/// from 512, and 256 bytes (`truesize`; measured by `SIOCOUTQ` on Linux 6.18 for lengths up to
/// 120,000).
fn buffer_space(length: usize) -> usize {
    const PAGE: usize = 4096;
    let paged = length.saturating_sub(LARGEST_HEAD).next_multiple_of(PAGE);
    let head = length.saturating_sub(paged);
    paged + (head + 320).next_power_of_two().max(512) + 256
}

/// Puts bytes into a ring buffer of `size`, over the oldest ones.
pub(in crate::machine) fn ring_write(ring: &mut VecDeque<u8>, size: usize, data: &[u8]) {
    ring.extend(data);
    ring.drain(..ring.len().saturating_sub(size));
}

/// Takes at most `size` of the oldest bytes out of a ring buffer.
pub(in crate::machine) fn ring_read(ring: &mut VecDeque<u8>, size: usize) -> Bytes {
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
