//! The net layer at work: packets move between clients, bytes between chardevs and parts, and parts
//! are woken. It owns the tables (`core`) and the parts, and knows parts only by what every part is
//! (`part`): which types there are is nothing to it.
//!
//! | file | subject |
//! |---|---|
//! | `queue` | the way of a packet: filters of the sender, filters of the receiver, the queue |
//! | `chain` | a netdev's filters: how one gets into it, the walk along it, injection from the middle |
//! | `client`, `stream`, `hub` | what clients read and are delivered |
//! | `chardev`, `mux` | what far ends of chardevs send |
//! | `announce` | how NICs announce themselves, and ask their guests to |
//! | `parts` | calling a part, and carrying out what it leaves; time, properties, COLO |

mod announce;
mod chain;
mod chardev;
mod client;
mod hub;
mod mux;
mod parts;
mod queue;
mod stream;

use std::collections::BTreeMap;

use announce::Announcements;
pub(super) use announce::Parameters as AnnounceParameters;

use super::{
    core::{ChardevKey, ClientKey, Core, ObjectKey},
    part::{Base, Part},
};
use crate::{
    base::Profile,
    record::{EventKind, Place},
};

#[derive(Debug)]
pub(super) struct Net {
    pub(super) core: Core,
    parts: BTreeMap<ObjectKey, Slot>,
    announcements: Announcements,
    /// Packets that hubs have sent on since the last input.
    hub_sends: u32,
}

/// Where a part is kept.
#[derive(Debug)]
struct Slot {
    base: Base,
    part: Box<dyn Part>,
}

impl Net {
    pub(super) fn new(profile: Profile) -> Self {
        Self {
            core: Core::new(profile),
            parts: BTreeMap::new(),
            announcements: Announcements::default(),
            hub_sends: 0,
        }
    }

    /// QEMU dies: its descriptors close, and nothing is done any more.
    pub(super) fn crash(&mut self, assertion: &str) {
        self.core.event(Place::Machine, None, EventKind::Crash(assertion.to_owned()));
        let chardevs: Vec<ChardevKey> = self.core.chardevs.keys().copied().collect();
        chardevs.into_iter().for_each(|key| self.hang_up(key));
        let clients: Vec<ClientKey> = self.core.clients.keys().copied().collect();
        clients.into_iter().for_each(|key| self.close_stream(key));
        self.core.dead = true;
    }
}
