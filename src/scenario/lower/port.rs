use super::{
    host,
    netdev::{FIRST_HOST_MAC, FIRST_MAC},
    object::{self, DumpFile, Use},
};
use crate::{
    base::{MacAddr, PortId},
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
pub(super) struct Place {
    pub(super) port: Port,
    src: MacAddr,
    dst: MacAddr,
    /// Whether a virtio-net header reaches the other side.
    pub(super) carries_vnet: bool,
}

impl Place {
    /// Addresses of a frame that is sent here.
    pub(super) fn sending(&self) -> Defaults {
        Defaults {
            src: self.src,
            dst: self.dst,
        }
    }

    /// Addresses of a frame that arrives here. A chardev's frames go the way of its filter in
    /// either case.
    pub(super) fn arriving(&self) -> Defaults {
        match self.port.kind {
            PortKind::Chardev(_) | PortKind::File => self.sending(),
            PortKind::Guest | PortKind::Host | PortKind::LinkEnd => Defaults {
                src: self.dst,
                dst: self.src,
            },
        }
    }

    pub(super) fn is_chardev(&self) -> bool {
        matches!(self.port.kind, PortKind::Chardev(_))
    }
}

/// Every port, and what is known of names that are none.
pub(super) struct Ports {
    places: Vec<Place>,
    /// Names of things without ports, and why they have none.
    portless: Vec<(String, &'static str)>,
}

impl Ports {
    pub(super) fn new(
        fields: &Fields<'_>,
        netdevs: &[Netdev],
        chardevs: &[Chardev],
        links: &[Link],
        wiring: &[Use],
        files: &[DumpFile],
    ) -> Self {
        let mut ports = Self {
            places: Vec::new(),
            portless: Vec::new(),
        };
        for netdev in netdevs {
            ports.add_netdev(netdev);
        }
        for chardev in chardevs {
            ports.add_chardev(chardev, netdevs, wiring);
        }
        // A chardev that a step adds has a port too, unless it comes back under its old id.
        for id in object::added_chardevs(fields) {
            let known = chardevs.iter().any(|chardev| chardev.id.as_str() == id)
                || ports
                    .places
                    .iter()
                    .any(|place| place.port.id.as_str() == id);
            if !known {
                let used = wiring.iter().find(|used| used.chardev == id);
                let framing = used.map_or(Framing::Plain, |used| used.framing);
                ports.add_chardev_port(&id, framing, netdevs, used);
            }
        }
        for link in links {
            let [one, other] = &link.ends;
            for (end, peer) in [(one, other), (other, one)] {
                let kind = PortKind::LinkEnd;
                ports.add(end.port.as_str(), kind, end.mac, peer.mac, true);
            }
        }
        for file in files {
            ports.add_file(file, netdevs);
        }
        ports.report_duplicates(fields);
        ports
    }

    /// The file of a filter-dump; what it holds are frames of its netdev.
    fn add_file(&mut self, file: &DumpFile, netdevs: &[Netdev]) {
        let (netdev, towards_guest) = file.way();
        let (src, dst) = addresses(netdev, towards_guest, netdevs);
        self.add(&file.name, PortKind::File, src, dst, false);
    }

    fn add(&mut self, id: &str, kind: PortKind, src: MacAddr, dst: MacAddr, carries_vnet: bool) {
        let port = Port {
            id: PortId::from(id),
            kind,
        };
        self.places.push(Place {
            port,
            src,
            dst,
            carries_vnet,
        });
    }

    fn add_netdev(&mut self, netdev: &Netdev) {
        let id = &netdev.id;
        match &netdev.kind {
            NetdevType::Tap {
                mac, host_mac, nic, ..
            } => {
                let virtio = matches!(nic, Nic::Virtio { .. });
                self.add(
                    &format!("{id}.guest"),
                    PortKind::Guest,
                    *mac,
                    *host_mac,
                    virtio,
                );
                self.add(&format!("{id}.host"), PortKind::Host, *host_mac, *mac, true);
            }
            NetdevType::Hubport { .. } | NetdevType::User => {
                let why = "is not a TAP and has no ports";
                for name in [id.to_string(), format!("{id}.guest"), format!("{id}.host")] {
                    self.portless.push((name, why));
                }
            }
        }
    }

    fn add_chardev(&mut self, chardev: &Chardev, netdevs: &[Netdev], wiring: &[Use]) {
        let used = wiring
            .iter()
            .find(|used| used.chardev == chardev.id.as_str());
        match &chardev.far {
            ChardevFar::Port { framing, .. } => {
                self.add_chardev_port(chardev.id.as_str(), *framing, netdevs, used);
            }
            ChardevFar::Joined(_) => self.portless.push((
                chardev.id.to_string(),
                "is joined to another chardev and has no port",
            )),
            ChardevFar::Nobody => self.portless.push((
                chardev.id.to_string(),
                "has a backend without a far end, so no port",
            )),
        }
    }

    fn add_chardev_port(
        &mut self,
        id: &str,
        framing: Framing,
        netdevs: &[Netdev],
        used: Option<&Use>,
    ) {
        let netdev = used.and_then(|used| used.netdev.as_deref());
        let towards_guest = used.is_some_and(|used| used.towards_guest);
        let (src, dst) = addresses(netdev, towards_guest, netdevs);
        let vnet = framing == Framing::Vnet;
        self.add(id, PortKind::Chardev(framing), src, dst, vnet);
    }

    fn report_duplicates(&self, fields: &Fields<'_>) {
        for (at, place) in self.places.iter().enumerate() {
            let id = &place.port.id;
            if self.places[..at].iter().any(|other| other.port.id == *id) {
                let id = id.to_string();
                fields.fault(
                    fields.span,
                    Fault::DuplicateId {
                        id,
                        what: "the port",
                    },
                );
            }
        }
    }

    /// The ports in the order of declaration.
    pub(super) fn declared(&self) -> Vec<Port> {
        self.places.iter().map(|place| place.port.clone()).collect()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Place> {
        self.places
            .iter()
            .find(|place| place.port.id.as_str() == name)
    }

    /// The port of this name; reports one that isn't there, and why.
    pub(super) fn find(
        &self,
        context: &Context<'_>,
        name: &str,
        span: Span,
        verb: &'static str,
    ) -> Option<&Place> {
        if let Some(place) = self.get(name) {
            return Some(place);
        }
        let names = || self.places.iter().map(|place| place.port.id.as_str());
        let sides = [format!("{name}.guest"), format!("{name}.host")];
        let fault = if let Some((_, is)) = self.portless.iter().find(|(id, _)| id == name) {
            Fault::WrongPort {
                name: short(name),
                is,
                verb,
                needs: "a port",
                help: if self.places.is_empty() {
                    "this scenario has no ports: declare a TAP, or a chardev that is not joined"
                        .to_owned()
                } else {
                    format!("the ports are {}", crate::scenario::fields::list(names()))
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
fn addresses(netdev: Option<&str>, towards_guest: bool, netdevs: &[Netdev]) -> (MacAddr, MacAddr) {
    let of = |netdev: &Netdev| match &netdev.kind {
        NetdevType::Tap { mac, host_mac, .. } => Some((*mac, *host_mac)),
        NetdevType::Hubport { .. } | NetdevType::User => None,
    };
    let (guest, host) = netdev
        .and_then(|id| netdevs.iter().find(|netdev| netdev.id.as_str() == id))
        .and_then(of)
        .or_else(|| netdevs.iter().find_map(of))
        .unwrap_or((FIRST_MAC, FIRST_HOST_MAC));
    if towards_guest {
        (host, guest)
    } else {
        (guest, host)
    }
}
