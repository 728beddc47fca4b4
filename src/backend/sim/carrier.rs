use std::{
    collections::{BTreeMap, VecDeque},
    io,
    time::Instant,
};

use super::fabric::{Fabric, InterfaceId, Kind, Sender};
use crate::{
    backend::{
        builtin::{Carried, Carrier},
        lower,
    },
    base::{Frame, NetdevId, PortId},
    record::{DropReason, Event, EventKind, Place},
    scenario::{BridgePort, Case, LinkSet, NetdevType},
};

/// Interfaces in memory.
#[derive(Debug)]
pub(super) struct SimCarrier {
    fabric: Fabric,
    taps: BTreeMap<NetdevId, InterfaceId>,
    ports: BTreeMap<PortId, InterfaceId>,
    said: Vec<Event>,
}

impl SimCarrier {
    pub(super) fn new(case: &Case) -> Self {
        let mut fabric = Fabric::default();
        let mut taps = BTreeMap::new();
        let mut ports = BTreeMap::new();
        for netdev in &case.netdevs {
            if let NetdevType::Tap { mtu, nic, .. } = &netdev.kind {
                let port = PortId::from(format!("{}.host", netdev.id));
                let kind = Kind::Tap {
                    netdev: netdev.id.clone(),
                    queue: VecDeque::new(),
                    socket: None,
                    vnet: lower::vnet_hdr_len(*nic) > 0,
                };
                let id = fabric.add(port.clone(), kind, *mtu);
                taps.insert(netdev.id.clone(), id);
                ports.insert(port, id);
            }
        }
        for link in &case.links {
            let first = InterfaceId(fabric.interfaces.len());
            let peers = [InterfaceId(first.0 + 1), first];
            for (end, peer) in link.ends.iter().zip(peers) {
                let id = fabric.add(end.port.clone(), Kind::LinkEnd { peer }, end.mtu);
                ports.insert(end.port.clone(), id);
            }
        }
        for (index, bridge) in case.bridges.iter().enumerate() {
            fabric.bridges.push(super::bridge::Bridge::default());
            for port in &bridge.ports {
                let id = match port {
                    BridgePort::Netdev(netdev) => taps.get(netdev),
                    BridgePort::Link(port) => ports.get(port),
                };
                if let Some(id) = id {
                    fabric.enslave(index, *id);
                }
            }
        }
        Self {
            fabric,
            taps,
            ports,
            said: Vec::new(),
        }
    }

    fn tap(&self, netdev: &NetdevId) -> Result<InterfaceId, DropReason> {
        self.taps
            .get(netdev)
            .copied()
            .ok_or(DropReason::InterfaceGone)
    }

    fn port(&self, port: &PortId) -> Result<InterfaceId, DropReason> {
        self.ports
            .get(port)
            .copied()
            .ok_or(DropReason::InterfaceGone)
    }

    fn host_interface(&self, port: &PortId) -> io::Result<InterfaceId> {
        self.port(port)
            .map_err(|_| io::Error::from(io::ErrorKind::NotFound))
    }

    /// A packet socket reports ENETDOWN once when its interface goes down (packet(7)).
    fn say_down(&mut self, id: InterfaceId) {
        if let Kind::Tap {
            netdev,
            socket: Some(_),
            ..
        } = &self.fabric.get(id).kind
        {
            let place = Place::Tap(netdev.clone());
            let kind = EventKind::Notice("ENETDOWN".to_owned());
            self.said.push(Event {
                tag: None,
                place,
                kind,
            });
        }
    }
}

impl Carrier for SimCarrier {
    fn send_from_guest(&mut self, netdev: &NetdevId, frame: &Frame) -> Result<(), DropReason> {
        let id = self.tap(netdev)?;
        self.fabric.write(id, frame)
    }

    fn send_from_host(&mut self, port: &PortId, frame: &Frame) -> Result<(), DropReason> {
        let id = self.port(port)?;
        self.fabric.send(id, frame, Sender::Host)
    }

    fn inject(&mut self, netdev: &NetdevId, frame: &Frame) -> Result<(), DropReason> {
        let id = self.tap(netdev)?;
        self.fabric.send(id, frame, Sender::Machine)
    }

    fn capture(&mut self, netdev: &NetdevId, on: bool) -> io::Result<()> {
        let id = self
            .tap(netdev)
            .map_err(|_| io::Error::from(io::ErrorKind::NotFound))?;
        if let Kind::Tap { socket, .. } = &mut self.fabric.get(id).kind {
            *socket = on.then(|| socket.take().unwrap_or_default());
        }
        Ok(())
    }

    fn drain(&mut self, arrived: &mut Vec<Carried>) -> io::Result<()> {
        arrived.extend(self.said.drain(..).map(Carried::Said));
        for interface in &mut self.fabric.interfaces {
            let port = &interface.port;
            arrived.extend(interface.received.drain(..).map(|frame| Carried::ToHost {
                port: port.clone(),
                frame,
            }));
            if let Kind::Tap {
                netdev,
                queue,
                socket,
                ..
            } = &mut interface.kind
            {
                arrived.extend(queue.drain(..).map(|frame| Carried::ToGuest {
                    netdev: netdev.clone(),
                    frame,
                }));
                arrived.extend(socket.iter_mut().flat_map(|socket| socket.drain(..)).map(
                    |(direction, frame)| Carried::Captured {
                        netdev: netdev.clone(),
                        direction,
                        frame,
                    },
                ));
            }
        }
        Ok(())
    }

    /// There are no timers below the machine's own.
    fn wait(&mut self, _until: Instant) -> io::Result<bool> {
        Ok(false)
    }

    fn link_set(&mut self, change: &LinkSet) -> io::Result<()> {
        let id = self.host_interface(&change.port)?;
        let interface = self.fabric.get(id);
        if interface.gone {
            return Err(io::Error::from_raw_os_error(nix::libc::ENODEV));
        }
        if let Some(mtu) = change.mtu {
            interface.mtu = mtu;
        }
        let was_up = interface.up;
        if let Some(up) = change.up {
            interface.up = up;
            if !up && let Some(bridge) = interface.bridge {
                self.fabric.bridges[bridge].forget(id);
            }
            if was_up && !up {
                self.say_down(id);
            }
        }
        Ok(())
    }

    fn link_del(&mut self, port: &PortId) -> io::Result<()> {
        let id = self.host_interface(port)?;
        let mut gone = vec![id];
        if let Kind::LinkEnd { peer } = self.fabric.get(id).kind {
            gone.push(peer);
        }
        for id in gone {
            self.say_down(id);
            let interface = self.fabric.get(id);
            interface.gone = true;
            interface.up = false;
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
