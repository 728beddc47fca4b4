//! The packet sockets of the machine: one for each TAP, which all filters and chardevs that capture or
//! inject there share.

use std::collections::BTreeMap;

use super::Core;
use crate::{base::NetdevId, machine::Output};

/// How many users the packet socket on each TAP has.
#[derive(Debug, Default)]
pub(in crate::machine) struct PacketSockets(BTreeMap<NetdevId, usize>);

impl PacketSockets {
    /// The TAPs on which one is open.
    pub(in crate::machine) fn open(&self) -> impl Iterator<Item = &NetdevId> {
        self.0.keys()
    }
}

impl Core {
    /// Takes a share of the packet socket on a TAP, which opens with its first user.
    pub(in crate::machine) fn packet_socket_take(&mut self, netdev: NetdevId) {
        let users = self.packet_sockets.0.entry(netdev.clone()).or_default();
        *users += 1;
        if *users == 1 {
            self.emit(Output::Capture { netdev, on: true });
        }
    }

    /// Gives it back; the socket closes with its last user.
    pub(in crate::machine) fn packet_socket_give_back(&mut self, netdev: NetdevId) {
        let users = self.packet_sockets.0.remove(&netdev).unwrap_or_default().saturating_sub(1);
        if users > 0 {
            self.packet_sockets.0.insert(netdev, users);
        } else if self.client_of(netdev.as_str()).is_some() {
            self.emit(Output::Capture { netdev, on: false });
        }
    }
}
