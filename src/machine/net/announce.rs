//! The guest's NICs announce themselves to the network, after a migration or because `announce-self`
//! asks for it: rounds of RARP requests, by which bridges learn where the guest is now (QEMU 10.2.2
//! `net/announce.c`). A virtio NIC asks its guest to announce its addresses too (`hw/net/virtio-net.c`,
//! `virtio_net_announce`).

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;

use super::Net;
use crate::{
    base::{MacAddr, NetdevId, Tag, VirtualTime},
    machine::{Output, core::Packet},
    record::{DropReason, Place},
};

/// What `announce-self` is given; times in milliseconds.
#[derive(Clone, Debug)]
pub(in crate::machine) struct Parameters {
    /// Between the first round and the second.
    pub(in crate::machine) initial: i64,
    /// The longest wait.
    pub(in crate::machine) max: i64,
    pub(in crate::machine) rounds: i64,
    /// By how much each wait is longer than the one before.
    pub(in crate::machine) step: i64,
    /// The NICs that announce themselves, by name; none for all.
    pub(in crate::machine) interfaces: Option<Vec<String>>,
}

impl Default for Parameters {
    /// After a migration (QEMU 10.2.2 `migration/options.c`).
    fn default() -> Self {
        Self { initial: 50, max: 550, rounds: 5, step: 100, interfaces: None }
    }
}

/// Rounds that are under way.
#[derive(Debug)]
struct Rounds {
    parameters: Parameters,
    left: i64,
    due: VirtualTime,
}

impl Rounds {
    /// A round is over; whether another follows. The count goes on below zero, as QEMU's does.
    fn go_on(&mut self, now: VirtualTime) -> bool {
        self.left -= 1;
        let Parameters { initial, max, rounds, step, .. } = self.parameters;
        let done = rounds.saturating_sub(self.left).saturating_sub(1);
        let wait = initial.saturating_add(done.saturating_mul(step));
        let wait = if wait < 0 || wait > max { max } else { wait };
        self.due = now + Duration::from_millis(u64::try_from(wait).unwrap_or(0));
        self.left != 0
    }
}

/// The rounds of a machine.
#[derive(Debug, Default)]
pub(super) struct Announcements {
    /// By the id that `announce-self` gave; those of a migration have none.
    nics: BTreeMap<Option<String>, Rounds>,
    /// Of guests that are asked after a migration, by the number of the NIC and on the VM's clock.
    guests: BTreeMap<usize, Rounds>,
}

impl Net {
    /// Begins to announce the NICs, in place of earlier rounds of this id (`qemu_announce_self`).
    pub(in crate::machine) fn announce_self(&mut self, id: Option<String>, parameters: Parameters) {
        self.announcements.nics.remove(&id);
        if parameters.rounds != 0 {
            let rounds = Rounds { left: parameters.rounds, parameters, due: self.core.now };
            self.announcements.nics.insert(id.clone(), rounds);
            self.announce_nics(&id);
        }
    }

    /// A migration has come: guests with a virtio NIC are asked to announce themselves once the VM
    /// runs (`virtio_net_post_load_device`), and every NIC announces itself.
    pub(in crate::machine) fn announce_arrival(&mut self) {
        let asked = self.core.nics.iter().enumerate().filter(|(_, nic)| nic.asks_guest);
        let due = self.core.vm_now();
        let rounds = |(number, _)| {
            let parameters = Parameters::default();
            (number, Rounds { left: parameters.rounds, parameters, due })
        };
        self.announcements.guests = asked.map(rounds).collect();
        self.announce_self(None, Parameters::default());
    }

    /// The frame of a NIC's announcement sets out (`qemu_send_packet_raw`).
    pub(in crate::machine) fn announced(
        &mut self,
        netdev: &NetdevId,
        data: Bytes,
        tag: Option<Tag>,
    ) {
        let place = Place::Netdev(netdev.clone());
        let Some(sender) = self.core.client_of(netdev.as_str()) else {
            return self.core.drop_frame(place, tag, DropReason::InterfaceGone);
        };
        // A NIC's link is down with that of its netdev, and then its filters see nothing.
        let peer = self.core.clients.get(&sender).and_then(|client| client.peer);
        if peer.and_then(|peer| self.core.clients.get(&peer)).is_some_and(|peer| peer.link_down) {
            return self.core.drop_frame(place, tag, DropReason::LinkDown);
        }
        let packet = Packet {
            sender,
            data,
            tag,
            resume: None,
            captured: None,
            raw: true,
            injector: None,
            hops: 0,
        };
        self.send(packet);
    }

    /// When the next round is due.
    pub(super) fn next_announcement(&self) -> Option<VirtualTime> {
        if self.core.dead || self.core.freeze.is_some() {
            return None;
        }
        let nics = self.announcements.nics.values().map(|rounds| rounds.due);
        let guests = self.announcements.guests.values();
        let guests = guests.filter_map(|rounds| self.core.vm_deadline(rounds.due));
        nics.chain(guests).min()
    }

    /// Carries out the rounds that are due, each once.
    pub(super) fn announce_due(&mut self) {
        if self.core.dead || self.core.freeze.is_some() {
            return;
        }
        let now = self.core.now;
        let nics = self.announcements.nics.iter().filter(|(_, rounds)| rounds.due <= now);
        for id in nics.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            self.announce_nics(&id);
        }
        let due = |rounds: &Rounds| self.core.vm_deadline(rounds.due).is_some_and(|at| at <= now);
        let guests = self.announcements.guests.iter().filter(|(_, rounds)| due(rounds));
        for number in guests.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.ask_guest(number);
        }
    }

    /// A round of all NICs (`qemu_announce_self_iter`). Guests that are asked after a migration are
    /// not asked for this round too.
    fn announce_nics(&mut self, id: &Option<String>) {
        let Some(rounds) = self.announcements.nics.get_mut(id) else {
            return;
        };
        let wanted = rounds.parameters.interfaces.clone();
        if !rounds.go_on(self.core.now) {
            self.announcements.nics.remove(id);
        }
        for (number, nic) in self.core.nics.clone().into_iter().enumerate() {
            if wanted.as_ref().is_some_and(|wanted| !wanted.contains(&nic.name)) {
                continue;
            }
            let (netdev, data) = (nic.client, reverse_request(nic.mac));
            self.core.emit(Output::Announce { netdev: netdev.clone(), data });
            if nic.asks_guest && !self.announcements.guests.contains_key(&number) {
                self.core.emit(Output::AnnounceGuest { netdev });
            }
        }
    }

    /// A round of one guest. Its driver confirms at once, since the VM runs.
    fn ask_guest(&mut self, number: usize) {
        let now = self.core.vm_now();
        let rounds = self.announcements.guests.get_mut(&number);
        if rounds.is_some_and(|rounds| !rounds.go_on(now)) {
            self.announcements.guests.remove(&number);
        }
        if let Some(nic) = self.core.nics.get(number) {
            let netdev = nic.client.clone();
            self.core.emit(Output::AnnounceGuest { netdev });
        }
    }
}

/// A RARP "reverse request" (RFC 903) of 60 bytes, to all, in which an address asks for itself and IP
/// addresses are zero (measured on QEMU 7.2.22).
fn reverse_request(mac: MacAddr) -> Bytes {
    /// Ethernet, IPv4, lengths of their addresses, "request reverse".
    const HEAD: [u8; 8] = [0, 1, 8, 0, 6, 4, 0, 3];
    let MacAddr(own) = mac;
    let (to, kind, ip) = (MacAddr::BROADCAST.0, [0x80, 0x35], [0; 4]);
    let mut frame = [&to[..], &own, &kind, &HEAD, &own, &ip, &own, &ip].concat();
    frame.resize(60, 0);
    frame.into()
}
