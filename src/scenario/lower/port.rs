//! Finds the ports of a scenario, and explains names that are none. Steps and expectations resolve
//! their ports here.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    host,
    netdev::{FIRST_HOST_MAC, FIRST_MAC},
    object::{Added, DumpFile, Use, Uses},
};
use crate::{
    base::{ChardevId, MacAddr, MachineId, NetdevId, PortId},
    diag::Span,
    frame::Defaults,
    record::{Framing, Port, PortKind},
    scenario::{
        case::{Chardev, ChardevFar, Link, Netdev, NetdevType, Nic},
        context::Context,
        fault::Fault,
        fields::Fields,
        node::short,
    },
};

/// A port and the addresses of a frame that is sent there.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) port: Port,
    /// Where what has it stands in the file.
    span: Span,
    src: MacAddr,
    dst: MacAddr,
    /// Whether a virtio-net header reaches the other side.
    pub(super) carries_vnet: bool,
}

impl Endpoint {
    /// Addresses of a frame that is sent here.
    pub(super) fn sending(&self) -> Defaults {
        Defaults { src: self.src, dst: self.dst }
    }

    /// Addresses of a frame that arrives here. A chardev's frames go the way of its filter in
    /// either case.
    pub(super) fn arriving(&self) -> Defaults {
        match self.port.kind {
            PortKind::Chardev(_) | PortKind::File => self.sending(),
            PortKind::Guest | PortKind::Host | PortKind::LinkEnd => {
                Defaults { src: self.dst, dst: self.src }
            }
        }
    }

    pub(super) fn is_chardev(&self) -> bool {
        matches!(self.port.kind, PortKind::Chardev(_))
    }
}

/// What has ports, of all machines.
pub(super) struct Devices<'a> {
    pub(super) netdevs: &'a [Netdev],
    pub(super) chardevs: &'a [Chardev],
    /// The chardevs without a port.
    pub(super) joined: &'a BTreeSet<ChardevId>,
    pub(super) added: &'a [Added],
    pub(super) uses: &'a Uses,
    pub(super) files: &'a [DumpFile],
}

const JOINED: &str = "is joined to another chardev and has no port";

/// Every port, and what is known of names that are none.
pub(super) struct Ports {
    endpoints: Vec<Endpoint>,
    /// Where the first port of each name stands in the list.
    by_id: BTreeMap<PortId, usize>,
    /// Names of things without ports, and why they have none.
    portless: Vec<(String, &'static str)>,
}

impl Ports {
    /// Those of each machine, then the ends of links. A chardev that a step adds has a port too,
    /// unless another chardev is at its far end or it comes back under its old id.
    pub(super) fn new(
        fields: &Fields<'_>,
        machines: &[MachineId],
        devices: &Devices<'_>,
        links: &[Link],
    ) -> Self {
        let mut ports =
            Self { endpoints: Vec::new(), by_id: BTreeMap::new(), portless: Vec::new() };
        for machine in machines {
            ports.add_machine(machine, devices);
        }
        for link in links {
            let [one, other] = &link.ends;
            for (end, peer) in [(one, other), (other, one)] {
                let kind = PortKind::LinkEnd;
                ports.add(end.port.as_str(), end.span, kind, (end.mac, peer.mac), true);
            }
        }
        ports.report_duplicates(fields);
        ports
    }

    fn add_machine(&mut self, machine: &MachineId, devices: &Devices<'_>) {
        let Devices { netdevs, chardevs, joined, added, uses, files } = devices;
        // A filter's netdev, and the guest that a chardev speaks for, are of its own machine.
        let netdevs: Vec<&Netdev> =
            netdevs.iter().filter(|netdev| netdev.machine == *machine).collect();
        for netdev in &netdevs {
            self.add_netdev(netdev);
        }
        for chardev in chardevs.iter().filter(|one| one.machine == *machine) {
            self.add_chardev(chardev, &netdevs, uses.of(&chardev.id));
        }
        for added in added.iter().filter(|one| one.machine == *machine) {
            let id = added.id.as_str();
            let known =
                chardevs.iter().any(|chardev| chardev.id == added.id) || self.get(id).is_some();
            if joined.contains(&added.id) {
                self.portless.push((id.to_owned(), JOINED));
            } else if !known {
                let framing = uses.wiring(&added.id, None).framing;
                self.add_chardev_port((id, added.span), framing, &netdevs, uses.of(&added.id));
            }
        }
        for file in files.iter().filter(|one| one.machine == *machine) {
            let ends = addresses(file.netdev.as_ref(), file.towards_guest, &netdevs);
            self.add(file.port.as_str(), file.span, PortKind::File, ends, false);
        }
    }

    fn add(
        &mut self,
        id: &str,
        span: Span,
        kind: PortKind,
        (src, dst): (MacAddr, MacAddr),
        carries_vnet: bool,
    ) {
        let port = Port { id: PortId::from(id), kind };
        self.by_id.entry(port.id.clone()).or_insert(self.endpoints.len());
        self.endpoints.push(Endpoint { port, span, src, dst, carries_vnet });
    }

    fn add_netdev(&mut self, netdev: &Netdev) {
        let id = &netdev.id;
        match &netdev.kind {
            NetdevType::Tap { mac, host_mac, nic, .. } => {
                let virtio = matches!(nic, Nic::Virtio { .. });
                let ends = (*mac, *host_mac);
                let guest = PortId::guest(id);
                self.add(guest.as_str(), netdev.span, PortKind::Guest, ends, virtio);
                let ends = (*host_mac, *mac);
                let host = PortId::host(id);
                self.add(host.as_str(), netdev.span, PortKind::Host, ends, true);
            }
            NetdevType::Hubport { .. } | NetdevType::User => {
                let why = "is not a TAP and has no ports";
                for name in
                    [id.to_string(), PortId::guest(id).to_string(), PortId::host(id).to_string()]
                {
                    self.portless.push((name, why));
                }
            }
        }
    }

    fn add_chardev(&mut self, chardev: &Chardev, netdevs: &[&Netdev], used: Option<&Use>) {
        match &chardev.far {
            ChardevFar::Port { wiring, .. } => {
                let at = (chardev.id.as_str(), chardev.span);
                self.add_chardev_port(at, wiring.framing, netdevs, used);
            }
            ChardevFar::Joined(_) => self.portless.push((chardev.id.to_string(), JOINED)),
            ChardevFar::Nobody => self
                .portless
                .push((chardev.id.to_string(), "has a backend without a far end, so no port")),
        }
    }

    fn add_chardev_port(
        &mut self,
        (id, span): (&str, Span),
        framing: Framing,
        netdevs: &[&Netdev],
        used: Option<&Use>,
    ) {
        let netdev = used.and_then(|used| used.netdev.as_ref());
        let towards_guest = used.is_some_and(|used| used.towards_guest);
        let ends = addresses(netdev, towards_guest, netdevs);
        let vnet = framing == Framing::Vnet;
        self.add(id, span, PortKind::Chardev(framing), ends, vnet);
    }

    fn report_duplicates(&self, fields: &Fields<'_>) {
        for (at, endpoint) in self.endpoints.iter().enumerate() {
            let id = &endpoint.port.id;
            let first = self.by_id.get(id).filter(|first| **first < at);
            if let Some(other) = first.and_then(|first| self.endpoints.get(*first)) {
                let mut spans = [other.span, endpoint.span];
                spans.sort_by_key(|span| span.start);
                let [first, second] = spans;
                let fault = Fault::DuplicateId { id: id.to_string(), what: "the port" };
                let text = "the first is declared here";
                fields.context().fault_with(second, fault, first, text);
            }
        }
    }

    pub(super) fn declared(&self) -> Vec<Port> {
        self.endpoints.iter().map(|endpoint| endpoint.port.clone()).collect()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Endpoint> {
        self.endpoints.get(*self.by_id.get(name)?)
    }

    /// The port of this name; reports one that isn't there, and why.
    pub(super) fn find(
        &self,
        context: &Context<'_>,
        name: &str,
        span: Span,
        verb: &'static str,
    ) -> Option<&Endpoint> {
        if let Some(endpoint) = self.get(name) {
            return Some(endpoint);
        }
        let names = || self.endpoints.iter().map(|endpoint| endpoint.port.id.as_str());
        let sides = [format!("{name}.guest"), format!("{name}.host")];
        let fault = if let Some((_, is)) = self.portless.iter().find(|(id, _)| id == name) {
            Fault::WrongPort {
                name: short(name),
                is,
                verb,
                needs: "a port",
                help: if self.endpoints.is_empty() {
                    "this scenario has no ports: declare a TAP, or a chardev that is not joined"
                        .to_owned()
                } else {
                    format!("the ports are {}", crate::scenario::suggest::list(names()))
                },
            }
        } else if self.get(&sides[0]).is_some() {
            Fault::WrongPort {
                name: short(name),
                is: "is a netdev",
                verb,
                needs: "a port",
                help: format!("write {} or {}", sides[0], sides[1]),
            }
        } else {
            host::unknown("port", name, names())
        };
        context.fault(span, fault);
        None
    }
}

/// Source and destination of a frame of a netdev, on its way to its guest or to its host; the first
/// netdev's where it has none.
fn addresses(
    netdev: Option<&NetdevId>,
    towards_guest: bool,
    netdevs: &[&Netdev],
) -> (MacAddr, MacAddr) {
    let of = |netdev: &&Netdev| match &netdev.kind {
        NetdevType::Tap { mac, host_mac, .. } => Some((*mac, *host_mac)),
        NetdevType::Hubport { .. } | NetdevType::User => None,
    };
    let (guest, host) = netdev
        .and_then(|id| netdevs.iter().find(|netdev| netdev.id == *id))
        .and_then(of)
        .or_else(|| netdevs.iter().find_map(of))
        .unwrap_or((FIRST_MAC, FIRST_HOST_MAC));
    if towards_guest { (host, guest) } else { (guest, host) }
}
