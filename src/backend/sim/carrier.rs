//! The carrier in memory: the interfaces of a case, and what the kernel would answer when they are
//! changed.

use std::{collections::BTreeMap, io};

use nix::libc;

use super::{
    bridge::Bridge,
    bridge::InterfaceId,
    fabric::{Fabric, Kind, Sender},
    tap::Tap,
};
use crate::{
    backend::{
        Deadline,
        builtin::{Carried, Carrier},
        lower,
    },
    base::{Frame, MacAddr, NetdevId, PortId},
    record::{DropReason, Event, EventKind, Place},
    scenario::{BridgeChange, BridgePort, Case, LinkSet, NetdevType},
};

/// The interfaces of a case in memory: what [`NetnsCarrier`] says of the kernel, without a host's
/// stack above them. Addresses and routes are not looked at.
///
/// A super-frame that would have to be cut and is not TCP's is beyond it: from then
/// on [`Carrier::drain`] fails.
///
/// [`NetnsCarrier`]: crate::backend::netns::NetnsCarrier
#[derive(Debug)]
pub struct SimCarrier {
    fabric: Fabric,
    taps: BTreeMap<NetdevId, InterfaceId>,
    ports: BTreeMap<PortId, InterfaceId>,
    /// The interfaces' own addresses.
    own: BTreeMap<InterfaceId, MacAddr>,
    /// The bridges' names, by their numbers.
    bridges: Vec<String>,
    /// What was read before it was asked for.
    early: Vec<Carried>,
}

impl SimCarrier {
    /// Everything up, nothing on its way.
    #[must_use]
    pub fn new(case: &Case) -> Self {
        let mut fabric = Fabric::default();
        let mut taps = BTreeMap::new();
        let mut ports = BTreeMap::new();
        let mut own = BTreeMap::new();
        for netdev in &case.netdevs {
            if let NetdevType::Tap { mtu, nic, host_mac, .. } = &netdev.kind {
                let port = PortId::host(&netdev.id);
                let tap = Tap::new(netdev.id.clone(), lower::vnet_hdr_len(*nic));
                let id = fabric.add(port.clone(), Kind::Tap(tap), *mtu);
                own.insert(id, *host_mac);
                taps.insert(netdev.id.clone(), id);
                ports.insert(port, id);
            }
        }
        for link in &case.links {
            let first = InterfaceId(fabric.interfaces.len());
            let peers = [InterfaceId(first.0 + 1), first];
            for (end, peer) in link.ends.iter().zip(peers) {
                let id = fabric.add(end.port.clone(), Kind::LinkEnd { peer }, end.mtu);
                own.insert(id, end.mac);
                ports.insert(end.port.clone(), id);
            }
        }
        for (index, bridge) in case.bridges.iter().enumerate() {
            let mut held = Bridge::default();
            for port in &bridge.ports {
                let id = match port {
                    BridgePort::Netdev(netdev) => taps.get(netdev),
                    BridgePort::Link(port) => ports.get(port),
                };
                if let Some(id) = id {
                    held.add(*id, own[id]);
                    fabric.get(*id).bridge = Some(index);
                }
            }
            fabric.bridges.push(held);
        }
        let bridges = case.bridges.iter().map(|bridge| bridge.id.clone()).collect();
        Self { fabric, taps, ports, own, bridges, early: Vec::new() }
    }

    fn tap(&mut self, netdev: &NetdevId) -> Option<(InterfaceId, &mut Tap)> {
        let id = *self.taps.get(netdev)?;
        match &mut self.fabric.get(id).kind {
            Kind::Tap(tap) => Some((id, tap)),
            Kind::LinkEnd { .. } => None,
        }
    }

    fn port(&self, port: &PortId) -> Option<InterfaceId> {
        self.ports.get(port).copied()
    }

    /// An interface that can be changed.
    fn present(&mut self, port: &PortId) -> io::Result<InterfaceId> {
        let id = self.port(port).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        if self.fabric.get(id).gone {
            return Err(io::Error::from_raw_os_error(libc::ENODEV));
        }
        Ok(id)
    }

    /// The machine's socket says that it has nothing to listen at.
    fn say(&mut self, netdev: &NetdevId, text: &str) {
        self.fabric.said.push(Event {
            tag: None,
            place: Place::Tap(netdev.clone()),
            kind: EventKind::Notice(format!("packet socket: {text}")),
        });
    }

    /// An interface leaves the bridge that holds it, and perhaps comes to another, which learns anew
    /// where its addresses are (Linux 6.18 `net/bridge/br_if.c`, `br_add_if`, `br_del_if`).
    fn set_bridge(&mut self, id: InterfaceId, change: &BridgeChange) -> io::Result<()> {
        let to = match change {
            BridgeChange::OutOf => None,
            BridgeChange::Into(name) => {
                let found = self.bridges.iter().position(|bridge| bridge == name);
                Some(found.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?)
            }
        };
        if self.fabric.get(id).bridge == to {
            return Ok(());
        }
        if let Some(left) = std::mem::replace(&mut self.fabric.get(id).bridge, to) {
            self.fabric.bridges[left].remove(id);
        }
        if let Some(to) = to {
            self.fabric.bridges[to].add(id, self.own[&id]);
        }
        Ok(())
    }

    /// An interface is switched off, or on; a packet socket reports ENETDOWN once (packet(7)).
    fn set_up(&mut self, id: InterfaceId, up: bool) {
        let interface = self.fabric.get(id);
        let goes_down = std::mem::replace(&mut interface.up, up) && !up;
        let listening = match &interface.kind {
            Kind::Tap(tap) => tap.socket.is_some().then(|| tap.netdev.clone()),
            Kind::LinkEnd { .. } => None,
        };
        if goes_down && let Some(netdev) = listening {
            self.say(&netdev, DOWN);
        }
        self.fabric.forget_inactive();
    }
}

const DOWN: &str = "the interface is down (ENETDOWN)";
const GONE: &str = "the interface is gone (ENODEV)";

impl Carrier for SimCarrier {
    fn send_from_guest(&mut self, netdev: &NetdevId, frame: &Frame) -> Result<(), DropReason> {
        let (id, _) = self.tap(netdev).ok_or(DropReason::InterfaceGone)?;
        self.fabric.write(id, frame)
    }

    fn send_from_host(&mut self, port: &PortId, frame: &Frame) -> Result<(), DropReason> {
        let id = self.port(port).ok_or(DropReason::InterfaceGone)?;
        self.fabric.send(id, frame, Sender::Host)
    }

    fn inject(&mut self, netdev: &NetdevId, frame: &Frame) -> Result<(), DropReason> {
        let (id, tap) = self.tap(netdev).ok_or(DropReason::InterfaceGone)?;
        if tap.socket.is_none() {
            return Err(DropReason::InterfaceGone);
        }
        self.fabric.send(id, frame, Sender::Machine)
    }

    fn capture(&mut self, netdev: &NetdevId, on: bool) -> io::Result<()> {
        let (id, tap) = self.tap(netdev).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        if !on {
            tap.socket = None;
            let place = Place::Tap(netdev.clone());
            self.early.retain(|carried| match carried {
                Carried::Captured { netdev: at, .. } => at != netdev,
                Carried::Said(Event { place: at, kind, .. }) => {
                    *at != place || *kind != EventKind::Dropped(DropReason::Truncated)
                }
                Carried::ToGuest { .. } | Carried::ToHost { .. } => true,
            });
            return Ok(());
        }
        if tap.socket.is_some() {
            return Ok(());
        }
        let interface = self.fabric.get(id);
        let (gone, up) = (interface.gone, interface.up);
        if gone {
            self.say(netdev, GONE);
        } else {
            if let Some((_, tap)) = self.tap(netdev) {
                tap.socket = Some(Vec::new());
            }
            if !up {
                self.say(netdev, DOWN);
            }
        }
        Ok(())
    }

    fn hold(&mut self, netdev: &NetdevId, on: bool) {
        if let Some((_, tap)) = self.tap(netdev) {
            tap.held = on;
        }
    }

    fn drain(&mut self, arrived: &mut Vec<Carried>) -> io::Result<()> {
        if let Some(what) = self.fabric.unknown {
            let text = format!("sim does not know what the kernel makes of {what}");
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
        arrived.append(&mut self.early);
        arrived.extend(self.fabric.said.drain(..).map(Carried::Said));
        for interface in &mut self.fabric.interfaces {
            if let Kind::Tap(tap) = &mut interface.kind {
                if !tap.held {
                    let netdev = &tap.netdev;
                    let to_guest = |frame| Carried::ToGuest { netdev: netdev.clone(), frame };
                    arrived.extend(tap.queue.take().map(to_guest));
                }
                arrived.extend(tap.socket.iter_mut().flat_map(|socket| socket.drain(..)));
            }
            arrived.append(&mut interface.received);
        }
        Ok(())
    }

    /// There are no timers below the machine's own.
    fn wait(&mut self, _: &Deadline) -> io::Result<bool> {
        Ok(false)
    }

    fn link_set(&mut self, change: &LinkSet) -> io::Result<()> {
        // What came before the change is read before it, as on the kernel; else a guest's queue
        // would give its places back later.
        let mut early = Vec::new();
        self.drain(&mut early)?;
        self.early = early;
        let id = self.present(&change.port)?;
        let interface = self.fabric.get(id);
        if let Some(mtu) = change.mtu {
            if !interface.mtus().contains(&mtu) {
                return Err(io::Error::from_raw_os_error(libc::EINVAL));
            }
            interface.mtu = mtu;
        }
        if let Some(up) = change.up {
            self.set_up(id, up);
        }
        match &change.bridge {
            Some(bridge) => self.set_bridge(id, bridge),
            None => Ok(()),
        }
    }

    fn link_del(&mut self, port: &PortId) -> io::Result<()> {
        let id = self.present(port)?;
        let mut gone = vec![id];
        if let Kind::LinkEnd { peer } = self.fabric.get(id).kind {
            gone.push(peer);
        }
        for id in gone {
            self.set_up(id, false);
            let interface = self.fabric.get(id);
            interface.gone = true;
            if let Kind::Tap(tap) = &mut interface.kind {
                tap.queue.clear();
            }
            if let Some(bridge) = interface.bridge.take() {
                self.fabric.bridges[bridge].remove(id);
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Vec<String> {
        Vec::new()
    }
}
