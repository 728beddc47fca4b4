//! What a filter writes to a chardev: who takes it, who refuses it, and whose reader it waits for.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::{
    base::{Quirk, Tag},
    machine::{
        CharBackend, Output,
        core::{ChardevKey, Core, Freeze, ObjectKey},
    },
    record::{DropReason, EventKind, Place},
};

/// Bytes that a connected socket takes before a reader that is away makes its writer wait: Linux'
/// `net.core.wmem_default`.
pub const SOCKET_BUFFER: usize = 212_992;

/// Why a write failed.
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

    fn stream_write(&mut self, key: ChardevKey, writer: ObjectKey, data: Bytes, tag: Option<Tag>) {
        let freezes = self.has(Quirk::OutdevStallFreezes) && self.freeze.is_none();
        let Some(chardev) = self.chardevs.get_mut(&key) else {
            return;
        };
        let id = chardev.id.clone();
        let room = SOCKET_BUFFER - chardev.buffered;
        if !(chardev.stalled && freezes) {
            return self.bytes_out(id, data, tag);
        }
        if data.len() <= room {
            chardev.buffered += data.len();
            return self.bytes_out(id, data, tag);
        }
        chardev.buffered = SOCKET_BUFFER;
        let mut rest = data;
        let fits = rest.split_to(room);
        if !fits.is_empty() {
            self.bytes_out(id.clone(), fits, tag);
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

/// Takes at most `size` of the oldest bytes out of a ring buffer.
pub(in crate::machine) fn ring_read(ring: &mut VecDeque<u8>, size: usize) -> Bytes {
    let taken = size.min(ring.len());
    ring.drain(..taken).collect::<BytesMut>().freeze()
}
