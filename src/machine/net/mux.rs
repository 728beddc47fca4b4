//! What a multiplexed chardev takes out of its input for itself (QEMU 10.2.2 `chardev/char-mux.c`).

use bytes::Bytes;

use super::Net;
use crate::{
    base::{ChardevId, Tag},
    record::{EventKind, Place},
};

/// Ctrl-A.
const ESCAPE: u8 = 1;

impl Net {
    /// A multiplexer takes Ctrl-A and the next byte out of its input: Ctrl-A twice is a Ctrl-A, `x`
    /// ends QEMU, and what else there is says nothing to a filter (QEMU 10.2.2
    /// chardev/char-mux.c, mux_proc_byte).
    pub(super) fn mux_input(&mut self, id: ChardevId, mut data: Bytes, tag: Option<Tag>) {
        let Some(key) = self.core.chardev_of(id.as_str()) else {
            return;
        };
        let mut kept = false;
        while !data.is_empty() {
            let Some(chardev) = self.core.chardevs.get_mut(&key) else {
                return;
            };
            if std::mem::take(&mut chardev.escaped) {
                let byte = data.split_to(1);
                match byte[0] {
                    ESCAPE => {
                        kept = true;
                        chardev.inbox.push_back((byte, tag));
                    }
                    b'x' => {
                        // What came before is with the filter already.
                        while self.chardev_turn(key) {}
                        self.core.bytes_out(id, Bytes::from_static(b"QEMU: Terminated\n\r"), tag);
                        self.core.event(self.core.chardev_place(key), tag, EventKind::Consumed);
                        return self.crash("QEMU: Terminated");
                    }
                    _ => {}
                }
                continue;
            }
            let plain = data.iter().position(|byte| *byte == ESCAPE);
            let piece = data.split_to(plain.unwrap_or(data.len()));
            if !piece.is_empty() {
                kept = true;
                chardev.inbox.push_back((piece, tag));
            }
            chardev.escaped = !data.is_empty();
            data = data.slice(usize::from(chardev.escaped)..);
        }
        if !kept {
            self.core.event(Place::Chardev(id), tag, EventKind::Consumed);
        }
    }
}
