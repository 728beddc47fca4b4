//! The interfaces of a case, built in its namespaces, changed by its steps, and taken down at the
//! end. The carrier owns one.

use std::{collections::BTreeMap, io, net::IpAddr};

use super::{
    cidr::Cidr,
    expected::Expected,
    fingerprint::Fingerprint,
    namespace::{NamespaceId, Namespaces},
    network::{Network, NetworkError, Shape, bad_environment},
};
use crate::{
    backend::{BackendError, Exposed, ExposedInterface},
    base::{MacAddr, NetdevId, PortId},
    scenario::{
        Bridge, BridgeChange, BridgePort, Case, Link, LinkEnd, LinkSet, NetdevType, Nic, Step, Verb,
    },
    sys::{InterfaceName, Isolated, Tap, TapError, TapHeader, allow_ipv6},
};

/// Frames that a TAP holds for the guest: the driver's own default (Linux 6.18 `drivers/net/tun.c`,
/// `TUN_READQ_SIZE`), set all the same since a distribution may change it.
const QUEUE: u32 = 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct InterfaceId(usize);

/// What an interface is, as far as it decides when it is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Tap,
    Veth { peer: InterfaceId },
    Bridge,
}

#[derive(Debug)]
struct Interface {
    name: InterfaceName,
    namespace: NamespaceId,
    index: u32,
    kind: Kind,
    /// Bytes; of no meaning for a bridge, which follows its ports.
    mtu: u32,
    up: bool,
    gone: bool,
    bridge: Option<InterfaceId>,
}

/// The interfaces of a case, in its namespaces.
#[derive(Debug)]
pub(super) struct Topology {
    namespaces: Namespaces,
    interfaces: Vec<Interface>,
    /// By host port, link end and, with a name that no port has, bridge.
    by_port: BTreeMap<PortId, InterfaceId>,
}

#[derive(Debug)]
pub(super) struct BuiltTap {
    pub(super) netdev: NetdevId,
    pub(super) tap: Tap,
    pub(super) interface: InterfaceId,
    /// Where vhost-net is to serve it: bytes of the header that its guest knows of.
    pub(super) served: Option<usize>,
}

/// Who carries the frames of a netdev with `vhost: true`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vhost {
    /// The kernel's vhost-net.
    Kernel,
    /// Whoever holds the TAP's descriptor.
    Modelled,
}

impl Topology {
    /// Builds everything below the machine: TAPs, links, bridges, addresses, routes; all up and
    /// ready.
    pub(super) fn build(
        isolated: &Isolated,
        case: &Case,
        vhost: Vhost,
    ) -> Result<(Self, Vec<BuiltTap>), BackendError> {
        let namespaces = Namespaces::enter(isolated, &case.namespaces, is_links_only(case))?;
        let mut topology = Self { namespaces, interfaces: Vec::new(), by_port: BTreeMap::new() };
        let mut addresses = Vec::new();
        let mut taps = Vec::new();
        for netdev in &case.netdevs {
            if let NetdevType::Tap { addresses: list, .. } = &netdev.kind {
                let tap = topology.build_tap(isolated, &netdev.id, &netdev.kind, vhost)?;
                addresses.push((tap.interface, list));
                taps.push(tap);
            }
        }
        for (number, link) in case.links.iter().enumerate() {
            let ends = topology.build_link(number, link)?;
            addresses.extend(ends.into_iter().zip(link.ends.iter().map(|end| &end.addresses)));
        }
        for bridge in &case.bridges {
            let id = topology.build_bridge(bridge)?;
            addresses.push((id, &bridge.addresses));
        }
        for id in topology.ids() {
            topology.set_up_soon(id)?;
        }
        topology.namespaces.network(NamespaceId::Own, Network::flush)?;
        for (id, list) in addresses {
            for address in list {
                topology.add_address(id, cidr(address)?)?;
            }
        }
        for route in &case.routes {
            let to = if route.to == "default" { None } else { Some(cidr(&route.to)?) };
            let via: IpAddr = route.via.parse().map_err(|_| bad_address(&route.via))?;
            let namespace = topology.namespaces.of(route.netns.as_deref())?;
            topology.namespaces.network(namespace, |network| network.add_route(to, via))?;
        }
        topology.settle()?;
        Ok((topology, taps))
    }

    /// Makes the namespace one that may be entered again, and says what is told of it while it is
    /// fresh.
    pub(super) fn hold(&mut self) -> io::Result<Fingerprint> {
        self.namespaces.hold()?;
        // Each is asked for by itself, so that no change of a carrier is still to come.
        for id in self.ids() {
            self.transmit_drops(id)?;
        }
        self.fingerprint().map(|(fingerprint, _)| fingerprint)
    }

    /// What is told of the namespace, in which the calling thread is, and how many frames each
    /// interface dropped.
    pub(super) fn fingerprint(&self) -> io::Result<(Fingerprint, BTreeMap<InterfaceId, u64>)> {
        let (fingerprint, drops) = self.namespaces.fingerprint()?;
        let of = |id: InterfaceId| Some((id, *drops.get(&self.interface(id).index)?));
        Ok((fingerprint, self.ids().filter_map(of).collect()))
    }

    /// The kernel's number of an interface.
    pub(super) fn number(&self, id: InterfaceId) -> u32 {
        self.interface(id).index
    }

    /// Moves the calling thread to the namespace.
    pub(super) fn enter_again(&self) -> io::Result<()> {
        self.namespaces.enter_again()
    }

    /// The interface of a host port or link end.
    pub(super) fn of_port(&self, port: &PortId) -> io::Result<InterfaceId> {
        self.by_port.get(port).copied().ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("port {port} has no interface"))
        })
    }

    /// Does something on a thread in the interface's namespace; the case's own thread for the
    /// case's own.
    pub(super) fn inside<T: Send>(
        &self,
        id: InterfaceId,
        work: impl FnOnce(&Isolated, &InterfaceName) -> T + Send,
    ) -> Result<T, BackendError> {
        let interface = self.interface(id);
        let isolated = self.namespaces.isolated();
        self.namespaces.inside(interface.namespace, || work(isolated, &interface.name))
    }

    /// Changes an interface, and waits until every interface shows it.
    pub(super) fn change(&mut self, id: InterfaceId, change: &LinkSet) -> io::Result<()> {
        if let Some(mtu) = change.mtu {
            let (namespace, index) = self.at(id);
            self.namespaces
                .network(namespace, |network| network.set_mtu(index, mtu))
                .map_err(to_io)?;
            self.interface_mut(id).mtu = mtu;
        }
        if let Some(up) = change.up {
            self.set_up(id, up).map_err(to_io)?;
        }
        if let Some(text) = &change.address {
            let cidr = cidr(text).map_err(to_io)?;
            self.add_address(id, cidr).map_err(to_io)?;
        }
        if let Some(bridge) = &change.bridge {
            self.set_bridge(id, bridge)?;
        }
        self.settle().map_err(to_io)
    }

    /// Gives an interface to another bridge, or to none.
    fn set_bridge(&mut self, id: InterfaceId, change: &BridgeChange) -> io::Result<()> {
        let bridge = match change {
            BridgeChange::OutOf => None,
            BridgeChange::Into(name) => Some(self.bridge(name)?),
        };
        if self.interface(id).bridge == bridge {
            return Ok(());
        }
        let (namespace, index) = self.at(id);
        let bridge_index = bridge.map_or(0, |bridge| self.interface(bridge).index);
        self.namespaces
            .network(namespace, |network| network.enslave(index, bridge_index))
            .map_err(to_io)?;
        self.interface_mut(id).bridge = bridge;
        Ok(())
    }

    fn bridge(&self, name: &str) -> io::Result<InterfaceId> {
        let mut ids = self.ids();
        let found = ids.find(|id| {
            let interface = self.interface(*id);
            interface.kind == Kind::Bridge && interface.name.as_str() == name
        });
        let missing = || io::Error::new(io::ErrorKind::NotFound, format!("no bridge {name}"));
        found.ok_or_else(missing)
    }

    /// Deletes an interface, and with one end of a link the other; gives what is gone.
    pub(super) fn delete(&mut self, id: InterfaceId) -> io::Result<Vec<InterfaceId>> {
        let (namespace, index) = self.at(id);
        self.namespaces.network(namespace, |network| network.delete(index)).map_err(to_io)?;
        let mut gone = vec![id];
        if let Kind::Veth { peer } = self.interface(id).kind {
            gone.push(peer);
        }
        for id in &gone {
            self.interface_mut(*id).gone = true;
        }
        self.settle().map_err(to_io)?;
        Ok(gone)
    }

    /// Whether what is sent on an interface can get anywhere: it is up, and has a carrier.
    pub(super) fn carries(&self, id: InterfaceId) -> bool {
        self.is_active(id)
    }

    /// Whether an interface was deleted.
    pub(super) fn is_gone(&self, id: InterfaceId) -> bool {
        self.interface(id).gone
    }

    /// Frames that a TAP took from its guest since it was made.
    pub(super) fn received(&mut self, id: InterfaceId) -> io::Result<u64> {
        if self.interface(id).gone {
            return Ok(0);
        }
        let (namespace, index) = self.at(id);
        self.namespaces.network(namespace, |network| network.received(index)).map_err(to_io)
    }

    /// Bytes of the longest frame that the other end of a link takes (Linux 6.18 `net/core/dev.c`,
    /// `____dev_forward_skb`).
    pub(super) fn longest_at_peer(&self, id: InterfaceId) -> usize {
        match self.interface(id).kind {
            Kind::Veth { peer } => self.interface(peer).mtu as usize + 14 + 4,
            Kind::Tap | Kind::Bridge => usize::MAX,
        }
    }

    /// Frames that the interface dropped since it was made because its queue was full.
    pub(super) fn transmit_drops(&mut self, id: InterfaceId) -> io::Result<u64> {
        if self.interface(id).gone {
            return Ok(0);
        }
        let (namespace, index) = self.at(id);
        self.namespaces.network(namespace, |network| network.transmit_drops(index)).map_err(to_io)
    }

    /// Gives each interface that has a port the port's name as its alias.
    pub(super) fn expose(&mut self) -> io::Result<Exposed> {
        let ports: Vec<(PortId, InterfaceId)> = self
            .by_port
            .iter()
            .filter(|(_, id)| !self.interface(**id).gone)
            .map(|(port, id)| (port.clone(), *id))
            .collect();
        let mut interfaces = Vec::new();
        for (port, id) in ports {
            let (namespace, index) = self.at(id);
            self.namespaces
                .network(namespace, |network| network.set_alias(index, port.as_str()))
                .map_err(to_io)?;
            interfaces.push(ExposedInterface {
                port,
                name: self.interface(id).name.to_string(),
                namespace: self.namespaces.name(namespace),
            });
        }
        Ok(Exposed { interfaces, namespaces: self.namespaces.mounts() })
    }

    /// Everything, which is left empty.
    pub(super) fn take(&mut self) -> Self {
        let (interfaces, by_port) = Default::default();
        let empty = Self { namespaces: self.namespaces.nothing(), interfaces, by_port };
        std::mem::replace(self, empty)
    }

    /// Lets everything go and returns what failed.
    pub(super) fn finish(&mut self) -> Vec<String> {
        self.namespaces.leave()
    }

    fn build_tap(
        &mut self,
        isolated: &Isolated,
        netdev: &NetdevId,
        kind: &NetdevType,
        vhost: Vhost,
    ) -> Result<BuiltTap, BackendError> {
        let NetdevType::Tap { ifname, netns, host_mac, mtu, nic, .. } = kind else {
            return Err(bad_environment("TW-N003", format!("netdev {netdev} is no TAP")));
        };
        let name = interface_name(ifname)?;
        let header = tap_header(*nic)
            .ok_or_else(|| bad_environment("TW-N004", format!("netdev {netdev}: {nic:?}")))?;
        let served = (vhost == Vhost::Kernel && is_for_vhost(kind)).then_some(header.len());
        // The rings' header is the TAP's.
        let header = if served.is_some() { TapHeader::Long } else { header };
        let namespace = self.namespaces.of(netns.as_deref())?;
        let tap = self
            .namespaces
            .inside(namespace, || Tap::create(isolated, &name, header, true))?
            .map_err(no_tap)?;
        let interface = self.add(name, namespace, Kind::Tap, Some((*host_mac, *mtu)))?;
        self.by_port.insert(PortId::host(netdev), interface);
        Ok(BuiltTap { netdev: netdev.clone(), tap, interface, served })
    }

    fn build_link(&mut self, number: usize, link: &Link) -> Result<[InterfaceId; 2], BackendError> {
        let [a, b] = &link.ends;
        let names = [link_end_name(number, 0, a)?, link_end_name(number, 1, b)?];
        let namespaces =
            [self.namespaces.of(a.netns.as_deref())?, self.namespaces.of(b.netns.as_deref())?];
        self.namespaces.add_veth([(&names[0], namespaces[0]), (&names[1], namespaces[1])])?;
        let first = self.interfaces.len();
        let ids = [InterfaceId(first), InterfaceId(first + 1)];
        let ends = link.ends.iter().zip(names).zip(namespaces);
        for (((end, name), namespace), peer) in ends.zip([ids[1], ids[0]]) {
            let shape = Some((end.mac, end.mtu));
            let id = self.add(name, namespace, Kind::Veth { peer }, shape)?;
            self.by_port.insert(end.port.clone(), id);
        }
        Ok(ids)
    }

    fn build_bridge(&mut self, bridge: &Bridge) -> Result<InterfaceId, BackendError> {
        let name = interface_name(&bridge.id)?;
        let namespace = self.namespaces.of(bridge.netns.as_deref())?;
        self.namespaces.network(namespace, |network| network.add_bridge(&name))?;
        let id = self.add(name, namespace, Kind::Bridge, None)?;
        let (_, index) = self.at(id);
        for port in bridge.ports.iter().map(BridgePort::id) {
            let member = self.of_port(&port).map_err(|error| {
                bad_environment("TW-N005", format!("bridge {}: {error}", bridge.id))
            })?;
            let (member_place, member_index) = self.at(member);
            if member_place != namespace {
                let text = format!("bridge {} and {port} are in different namespaces", bridge.id);
                return Err(bad_environment("TW-N006", text));
            }
            self.namespaces.network(namespace, |network| network.enslave(member_index, index))?;
            self.interface_mut(member).bridge = Some(id);
        }
        Ok(id)
    }

    fn add(
        &mut self,
        name: InterfaceName,
        namespace: NamespaceId,
        kind: Kind,
        shape: Option<(MacAddr, u32)>,
    ) -> Result<InterfaceId, BackendError> {
        let index = self.namespaces.network(namespace, |network| {
            let index = network.index(&name)?;
            if let Some((mac, mtu)) = shape {
                network.shape_soon(index, Shape { mac, mtu, queue: QUEUE });
            }
            Ok(index)
        })?;
        let id = InterfaceId(self.interfaces.len());
        let interface = Interface {
            name,
            namespace,
            index,
            kind,
            mtu: shape.map_or(0, |(_, mtu)| mtu),
            up: false,
            gone: false,
            bridge: None,
        };
        self.interfaces.push(interface);
        Ok(id)
    }

    /// Switches an interface on, with the next request to its namespace.
    fn set_up_soon(&mut self, id: InterfaceId) -> Result<(), BackendError> {
        let (namespace, index) = self.at(id);
        self.namespaces.network(namespace, |network| {
            network.set_up_soon(index, true);
            Ok(())
        })?;
        self.interface_mut(id).up = true;
        Ok(())
    }

    fn set_up(&mut self, id: InterfaceId, up: bool) -> Result<(), BackendError> {
        let (namespace, index) = self.at(id);
        self.namespaces.network(namespace, |network| network.set_up(index, up))?;
        self.interface_mut(id).up = up;
        Ok(())
    }

    fn add_address(&mut self, id: InterfaceId, cidr: Cidr) -> Result<(), BackendError> {
        if cidr.address.is_ipv6() {
            self.inside(id, allow_ipv6)?.map_err(|error| BackendError::System {
                what: "IPv6 can't be switched on".to_owned(),
                source: io::Error::other(error),
            })?;
        }
        let (namespace, index) = self.at(id);
        self.namespaces.network(namespace, |network| network.add_address(index, cidr))
    }

    /// Waits until the kernel shows what follows from what was switched on.
    fn settle(&mut self) -> Result<(), BackendError> {
        let mut expected: BTreeMap<NamespaceId, BTreeMap<u32, Expected>> = BTreeMap::new();
        for id in self.ids() {
            let Interface { namespace, index, gone, .. } = *self.interface(id);
            let of_this = self.expected(id);
            if !gone && !of_this.is_nothing() {
                expected.entry(namespace).or_default().insert(index, of_this);
            }
        }
        for (namespace, expected) in expected {
            let indexes: Vec<u32> = expected.keys().copied().collect();
            let unmet = |index, link: &_| expected.get(&index).and_then(|this| this.unmet(link));
            self.namespaces.network(namespace, |network| network.settle(&indexes, unmet))?;
        }
        Ok(())
    }

    fn expected(&self, id: InterfaceId) -> Expected {
        let interface = self.interface(id);
        let active = self.is_active(id);
        let bridge = interface.bridge.filter(|bridge| !self.interface(*bridge).gone);
        Expected {
            name: interface.name.clone(),
            operational: (interface.kind != Kind::Tap).then_some(active),
            forwarding: bridge.map(|bridge| active && self.interface(bridge).up),
        }
    }

    /// Whether an interface has a carrier and is on.
    fn is_active(&self, id: InterfaceId) -> bool {
        let interface = self.interface(id);
        let carrier = match interface.kind {
            Kind::Tap => true,
            Kind::Veth { peer } => self.interface(peer).up,
            Kind::Bridge => self
                .ids()
                .any(|member| self.interface(member).bridge == Some(id) && self.is_active(member)),
        };
        interface.up && !interface.gone && carrier
    }

    fn ids(&self) -> impl Iterator<Item = InterfaceId> + use<> {
        (0..self.interfaces.len()).map(InterfaceId)
    }

    fn at(&self, id: InterfaceId) -> (NamespaceId, u32) {
        let interface = self.interface(id);
        (interface.namespace, interface.index)
    }

    fn interface(&self, InterfaceId(at): InterfaceId) -> &Interface {
        &self.interfaces[at]
    }

    fn interface_mut(&mut self, InterfaceId(at): InterfaceId) -> &mut Interface {
        &mut self.interfaces[at]
    }
}

/// Whether no interface of a case ever has an address or a route, and none is in a namespace of its
/// own. A case without steps does not say what its interfaces will be used for.
pub(super) fn is_links_only(case: &Case) -> bool {
    let taps = case.netdevs.iter().all(|netdev| match &netdev.kind {
        NetdevType::Tap { addresses, netns, .. } => addresses.is_empty() && netns.is_none(),
        _ => true,
    });
    let ends = case.links.iter().flat_map(|link| &link.ends);
    let given = |step: &Step| matches!(&step.verb, Verb::LinkSet(set) if set.address.is_some());
    !case.steps.is_empty()
        && taps
        && ends.into_iter().all(|end| end.addresses.is_empty())
        && case.bridges.iter().all(|bridge| bridge.addresses.is_empty())
        && case.routes.is_empty()
        && case.namespaces.is_empty()
        && !case.steps.iter().any(given)
}

/// Whether any netdev of a case is for the kernel's vhost-net, where there is one.
pub(super) fn has_vhost(case: &Case) -> bool {
    case.netdevs.iter().any(|netdev| is_for_vhost(&netdev.kind))
}

fn is_for_vhost(kind: &NetdevType) -> bool {
    matches!(kind, NetdevType::Tap { vhost: true, vhost_modelled: false, .. })
}

pub(super) fn tap_header(nic: Nic) -> Option<TapHeader> {
    match nic {
        Nic::Plain => Some(TapHeader::None),
        Nic::Virtio { vnet_hdr_len } => TapHeader::of_len(vnet_hdr_len),
    }
}

/// A link's end is named as its port, so that two links may name their ends alike; where that is
/// too long for the kernel, by number.
fn link_end_name(link: usize, end: usize, of: &LinkEnd) -> Result<InterfaceName, BackendError> {
    of.port.as_str().parse().or_else(|_| interface_name(&format!("link{link}.{end}")))
}

fn interface_name(text: &str) -> Result<InterfaceName, BackendError> {
    text.parse().map_err(|error: crate::sys::InterfaceNameError| {
        bad_environment("TW-N001", error.to_string())
    })
}

fn cidr(text: &str) -> Result<Cidr, BackendError> {
    Cidr::parse(text).ok_or_else(|| bad_address(text))
}

fn bad_address(text: &str) -> BackendError {
    bad_environment("TW-N002", format!("'{text}' is not an address like 10.0.0.1/24 or fd00::1/64"))
}

pub(super) fn no_tap(error: TapError) -> BackendError {
    let remedy = error.remedy().to_owned();
    match error {
        TapError::Ioctl { ioctl, name, source } => {
            BackendError::System { what: format!("{ioctl} for {name}"), source }
        }
        error @ TapError::Device(_) => {
            BackendError::Unavailable { backend: super::NAME, reason: error.to_string(), remedy }
        }
    }
}

fn to_io(error: BackendError) -> io::Error {
    match error {
        BackendError::System { what, source } => NetworkError { what, source }.into(),
        other => io::Error::other(other),
    }
}
