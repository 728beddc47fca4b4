//! The frontends' side of chardevs: who takes hold of one, and what is written to it (QEMU 10.2.2
//! `chardev/char-fe.c`). It calls nobody: what comes from a far end is `net`'s business.

mod write;

use std::collections::VecDeque;

pub use write::SOCKET_BUFFER;
pub(super) use write::{WriteError, ring_read, ring_write};

use super::{
    CharBackend, ChardevConfig,
    core::{Chardev, ChardevKey, Core, ObjectKey},
    error::generic,
    framing::Reassembler,
};
use crate::{
    base::{QemuVersion, Quirk},
    record::CommandError,
};

/// `MAX_MUX` (QEMU 10.2.2 `include/chardev/char.h`).
const MUX_USERS: usize = 4;

impl Core {
    /// A multiplexer is made of two: the one below it, the socket, has the id with `-base` behind it.
    pub(super) fn chardev_add(&mut self, config: &ChardevConfig) -> ChardevKey {
        let key = self.chardev_put(config, None);
        if config.backend == CharBackend::Mux {
            let base = ChardevConfig {
                id: format!("{}-base", config.id).into(),
                backend: CharBackend::Socket { server: true, reconnect: false, monitor: false },
                // Its connection is the multiplexer's here, as long as that is there.
                connected: false,
            };
            self.chardev_put(&base, Some(key));
        }
        key
    }

    fn chardev_put(&mut self, config: &ChardevConfig, below: Option<ChardevKey>) -> ChardevKey {
        let key = ChardevKey(self.next_key());
        let chardev = Chardev {
            id: config.id.clone(),
            backend: config.backend.clone(),
            connected: config.connected,
            users: Vec::new(),
            below,
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
            staging: Reassembler::new(false, self.strictness()),
            ring: VecDeque::new(),
        };
        if let CharBackend::AfPacket { netdev, .. } = &config.backend {
            self.packet_socket_take(netdev.clone());
        }
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
        if if mux { used >= MUX_USERS } else { chardev.has_frontend() } {
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

    /// The user leaves what comes where it is.
    pub(super) fn chardev_unread(&mut self, key: ChardevKey, user: ObjectKey) {
        if let Some(chardev) = self.chardevs.get_mut(&key) {
            chardev.reader = chardev.reader.filter(|reader| *reader != user);
        }
    }

    /// The main loop has come round: what it wrote to its own chardevs, it reads.
    pub(super) fn read_own_chardevs(&mut self) {
        let own = self.chardevs.values_mut().filter(|chardev| chardev.own_loop);
        own.for_each(|chardev| chardev.buffered = 0);
    }
}
