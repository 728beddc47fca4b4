//! The kernel's network configuration over rtnetlink: interfaces, addresses, routes and bridges of
//! one namespace. The topology builds with it.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::{AsRawFd, BorrowedFd},
    time::{Duration, Instant},
};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressFlags, AddressMessage},
    link::{
        BridgeStpState, InfoBridge, InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags,
        LinkInfo, LinkMessage, Stats64,
    },
    neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState},
    route::{RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType},
};

use super::cidr::Cidr;
use crate::{
    backend::BackendError,
    base::MacAddr,
    diag::{Code, Report},
    sys::{Changes, InterfaceName, Isolated, Netlink},
};

/// What the kernel was asked to do with an interface, and refused.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {source}")]
pub struct NetworkError {
    pub what: String,
    pub source: io::Error,
}

impl From<NetworkError> for BackendError {
    fn from(NetworkError { what, source }: NetworkError) -> Self {
        Self::System { what, source }
    }
}

impl From<NetworkError> for io::Error {
    fn from(error: NetworkError) -> Self {
        Self::new(error.source.kind(), error)
    }
}

/// The name of one end of a pair, and the namespace it is born in; none for the connection's own.
pub type VethEnd<'a> = (&'a InterfaceName, Option<BorrowedFd<'a>>);

/// How long the kernel may take to carry a change of links out. Its rate limit for such changes is
/// one second (Linux 6.18 `net/core/link_watch.c`).
const SETTLE: Duration = Duration::from_secs(10);

/// Interfaces of one network namespace, over netlink: the namespace of the thread that opened it.
#[derive(Debug)]
pub struct Network {
    netlink: Netlink,
    /// What is asked for in one call, and its name.
    soon: Vec<(String, RouteNetlinkMessage)>,
    /// From when something was waited for first.
    changes: Option<Changes>,
}

/// What an interface has from birth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub mac: MacAddr,
    /// The longest payload in bytes.
    pub mtu: u32,
    /// How many frames its queue takes.
    pub queue: u32,
}

impl Network {
    /// Connects.
    ///
    /// # Errors
    /// When there is no socket to be had.
    pub fn open(isolated: &Isolated) -> Result<Self, NetworkError> {
        let failed = |source| NetworkError { what: "netlink can't be reached".to_owned(), source };
        let netlink = Netlink::open(isolated).map_err(failed)?;
        Ok(Self { netlink, soon: Vec::new(), changes: None })
    }

    /// What the kernel is asked with.
    pub(super) const fn netlink(&self) -> &Netlink {
        &self.netlink
    }

    /// The interface's number.
    ///
    /// # Errors
    /// ENODEV when there is none of this name.
    pub fn index(&self, name: &InterfaceName) -> Result<u32, NetworkError> {
        let failed = |source| NetworkError { what: format!("interface {name}"), source };
        self.netlink.index_of(name).map_err(failed)
    }

    /// Makes a pair of joined interfaces, both down, each in its namespace; none for this one. Born
    /// there, since a move waits for all processors.
    ///
    /// # Errors
    /// EEXIST when a name is taken.
    pub fn add_veth(&self, ends: [VethEnd<'_>; 2]) -> Result<(), NetworkError> {
        let [(a, a_namespace), (b, b_namespace)] = ends;
        let peer = born_in(of_name(LinkMessage::default(), b), b_namespace);
        let mut message = born_in(of_name(LinkMessage::default(), a), a_namespace);
        message.attributes.push(LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
        ]));
        self.create(format!("veth {a} and {b}"), RouteNetlinkMessage::NewLink(message))
    }

    /// Makes a bridge, down, that forwards at once and says nothing by itself: no spanning tree, no
    /// delay, no multicast queries.
    ///
    /// # Errors
    /// EEXIST when the name is taken; EOPNOTSUPP where the kernel has no bridges.
    pub fn add_bridge(&self, name: &InterfaceName) -> Result<(), NetworkError> {
        let mut message = of_name(LinkMessage::default(), name);
        message.attributes.push(LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Bridge),
            LinkInfo::Data(InfoData::Bridge(vec![
                InfoBridge::StpState(BridgeStpState::Disabled),
                InfoBridge::ForwardDelay(0),
                InfoBridge::MulticastSnooping(false),
            ])),
        ]));
        self.create(format!("bridge {name}"), RouteNetlinkMessage::NewLink(message))
    }

    /// Gives an interface to a bridge, which is 0 for none; it leaves another that holds it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn enslave(&self, index: u32, bridge: u32) -> Result<(), NetworkError> {
        self.set("bridge port", with(index, [LinkAttribute::Controller(bridge)]))
    }

    /// Gives an interface what it has from birth.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn shape(&mut self, index: u32, shape: Shape) -> Result<(), NetworkError> {
        self.shape_soon(index, shape);
        self.flush()
    }

    /// Gives an interface what it has from birth, with [`Network::flush`].
    pub fn shape_soon(&mut self, index: u32, Shape { mac, mtu, queue }: Shape) {
        let attributes = [
            LinkAttribute::Address(mac.0.to_vec()),
            LinkAttribute::Mtu(mtu),
            LinkAttribute::TxQueueLen(queue),
        ];
        self.soon("address, MTU and queue length", with(index, attributes));
    }

    /// Switches an interface on or off, with [`Network::flush`].
    pub fn set_up_soon(&mut self, index: u32, up: bool) {
        self.soon(if up { "up" } else { "down" }, switched(index, up));
    }

    /// Asks for what was to be asked for soon.
    ///
    /// # Errors
    /// What the kernel refused first, and why.
    pub fn flush(&mut self) -> Result<(), NetworkError> {
        let (names, messages): (Vec<_>, Vec<_>) = self.soon.drain(..).unzip();
        let messages = messages.into_iter().map(|message| (message, 0)).collect();
        self.netlink.ask_all(messages).map_err(|(at, source)| {
            let what = names.into_iter().nth(at).unwrap_or_default();
            NetworkError { what, source }
        })
    }

    /// Sets the longest payload in bytes.
    ///
    /// # Errors
    /// EINVAL outside of what the interface can do.
    pub fn set_mtu(&self, index: u32, mtu: u32) -> Result<(), NetworkError> {
        self.set("MTU", with(index, [LinkAttribute::Mtu(mtu)]))
    }

    /// Gives an interface a second name, `IFLA_IFALIAS`, that `ip link` shows.
    ///
    /// # Errors
    /// When it is longer than 255 bytes.
    pub fn set_alias(&self, index: u32, alias: &str) -> Result<(), NetworkError> {
        self.set("alias", with(index, [LinkAttribute::IfAlias(alias.to_owned())]))
    }

    /// Switches an interface on or off.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_up(&self, index: u32, up: bool) -> Result<(), NetworkError> {
        self.set(if up { "up" } else { "down" }, switched(index, up))
    }

    /// Gives an interface an address, and waits until it counts: an IPv6 address is tentative until
    /// a worker of the kernel has joined its multicast group, even without duplicate detection.
    ///
    /// # Errors
    /// EEXIST when it has it; EACCES for IPv6 where that is off.
    pub fn add_address(&mut self, index: u32, cidr: Cidr) -> Result<(), NetworkError> {
        let what = format!("address {}/{}", cidr.address, cidr.prefix);
        let mut message = AddressMessage::default();
        message.header.index = index;
        message.header.prefix_len = cidr.prefix;
        message.attributes =
            vec![AddressAttribute::Address(cidr.address), AddressAttribute::Local(cidr.address)];
        message.header.family = match cidr.address {
            IpAddr::V4(address) => {
                if cidr.prefix < 31 {
                    let host = u32::MAX >> cidr.prefix;
                    let broadcast = Ipv4Addr::from_bits(address.to_bits() | host);
                    message.attributes.push(AddressAttribute::Broadcast(broadcast));
                }
                AddressFamily::Inet
            }
            IpAddr::V6(_) => AddressFamily::Inet6,
        };
        self.create(what.clone(), RouteNetlinkMessage::NewAddress(message))?;
        if cidr.address.is_ipv4() {
            return Ok(());
        }
        self.wait_until(|network| {
            let mut filter = AddressMessage::default();
            filter.header.family = AddressFamily::Inet6;
            let answers =
                network.netlink.ask(RouteNetlinkMessage::GetAddress(filter), NLM_F_DUMP)?;
            let tentative = answers.iter().any(|answer| match answer {
                RouteNetlinkMessage::NewAddress(address) => {
                    address.header.index == index && is_tentative(address)
                }
                _ => false,
            });
            Ok(if tentative { vec![what.clone()] } else { Vec::new() })
        })
    }

    /// Adds a route; `to` none is the default route.
    ///
    /// # Errors
    /// When the next hop can't be reached, or the two are of different families.
    pub fn add_route(&self, to: Option<Cidr>, via: IpAddr) -> Result<(), NetworkError> {
        let to = to.unwrap_or_else(|| {
            let any: IpAddr = if via.is_ipv4() {
                Ipv4Addr::UNSPECIFIED.into()
            } else {
                Ipv6Addr::UNSPECIFIED.into()
            };
            Cidr { address: any, prefix: 0 }
        });
        let what = format!("route to {}/{} via {via}", to.address, to.prefix);
        if to.address.is_ipv4() != via.is_ipv4() {
            let text = "the network and the next hop are of different families";
            let source = io::Error::new(io::ErrorKind::InvalidInput, text);
            return Err(NetworkError { what, source });
        }
        let mut message = RouteMessage::default();
        message.header.address_family = family(via);
        message.header.destination_prefix_length = to.prefix;
        message.header.table = RouteHeader::RT_TABLE_MAIN;
        message.header.protocol = RouteProtocol::Static;
        message.header.scope = RouteScope::Universe;
        message.header.kind = RouteType::Unicast;
        message.attributes = vec![
            RouteAttribute::Destination(to.address.into()),
            RouteAttribute::Gateway(via.into()),
        ];
        self.create(what, RouteNetlinkMessage::NewRoute(message))
    }

    /// Says for good which Ethernet address stands behind an IP address, so that nobody is asked.
    ///
    /// # Errors
    /// EEXIST if it is set already.
    pub fn add_neighbour(
        &self,
        index: u32,
        address: IpAddr,
        mac: MacAddr,
    ) -> Result<(), NetworkError> {
        let mut message = NeighbourMessage::default();
        message.header.family = family(address);
        message.header.ifindex = index;
        message.header.state = NeighbourState::Permanent;
        message.header.kind = RouteType::Unspec;
        let destination = match address {
            IpAddr::V4(address) => NeighbourAddress::Inet(address),
            IpAddr::V6(address) => NeighbourAddress::Inet6(address),
        };
        message.attributes = vec![
            NeighbourAttribute::Destination(destination),
            NeighbourAttribute::LinkLayerAddress(mac.0.to_vec()),
        ];
        let message = RouteNetlinkMessage::NewNeighbour(message);
        self.create(format!("neighbour {address} at {mac}"), message)
    }

    /// Deletes an interface; of a pair, both ends.
    ///
    /// # Errors
    /// ENODEV when it is gone.
    pub fn delete(&self, index: u32) -> Result<(), NetworkError> {
        self.run("delete".to_owned(), RouteNetlinkMessage::DelLink(with(index, [])), 0)
    }

    /// Frames that the interface dropped instead of sending since it was made (`tx_dropped`): those
    /// for which a TAP's queue had no room.
    ///
    /// # Errors
    /// ENODEV when it is gone.
    pub fn transmit_drops(&self, index: u32) -> Result<u64, NetworkError> {
        self.counter(index, |counters| counters.tx_dropped)
    }

    /// Frames that the interface has received since it was made (`rx_packets`): those that a TAP took from
    /// its guest. One whose virtio-net header it refuses counts nowhere (Linux 6.1 and 7.3).
    ///
    /// # Errors
    /// ENODEV when it is gone.
    pub fn received(&self, index: u32) -> Result<u64, NetworkError> {
        self.counter(index, |counters| counters.rx_packets)
    }

    fn counter(&self, index: u32, of: fn(&Stats64) -> u64) -> Result<u64, NetworkError> {
        let link = self.link(with(index, []), || format!("interface {index}"))?;
        let mut counted = link.attributes.iter().filter_map(|attribute| match attribute {
            LinkAttribute::Stats64(counters) => Some(of(counters)),
            _ => None,
        });
        Ok(counted.next().unwrap_or(0))
    }

    /// Waits, on the kernel's notifications and never by the clock, until these interfaces are as
    /// they should be. `unmet` looks at one and names what it waits for.
    ///
    /// Each is asked for by itself: that makes the kernel carry a pending change of its carrier out
    /// at once (since Linux 6.9, `net/core/rtnetlink.c`, `rtnl_getlink`), where a list of all only
    /// shows it, up to a second later.
    ///
    /// # Errors
    /// ENODEV for one that is gone; ETIMEDOUT after ten seconds, with the names.
    pub fn settle(
        &mut self,
        indexes: &[u32],
        unmet: impl Fn(u32, &LinkMessage) -> Option<String>,
    ) -> Result<(), NetworkError> {
        self.flush()?;
        self.wait_until(|network| {
            let mut waiting = Vec::new();
            for index in indexes {
                let asked = RouteNetlinkMessage::GetLink(with(*index, []));
                for answer in network.netlink.ask(asked, 0)? {
                    if let RouteNetlinkMessage::NewLink(link) = answer {
                        waiting.extend(unmet(*index, &link));
                    }
                }
            }
            Ok(waiting)
        })
    }

    /// Looks, and looks again after each notification, until nothing is left to wait for. What listens
    /// to them is opened before the last look that found something to wait for, so that no change falls
    /// between two looks.
    fn wait_until(
        &mut self,
        look: impl Fn(&Self) -> io::Result<Vec<String>>,
    ) -> Result<(), NetworkError> {
        let failed = |source| NetworkError { what: "the state of interfaces".to_owned(), source };
        let until = Instant::now() + SETTLE;
        loop {
            let waiting = look(self).map_err(failed)?;
            if waiting.is_empty() {
                return Ok(());
            }
            match &self.changes {
                Some(changes) => changes.wait(until).map_err(|source| NetworkError {
                    what: format!("not ready: {}", waiting.join(", ")),
                    source,
                })?,
                None => self.changes = Some(Changes::listen().map_err(failed)?),
            }
        }
    }

    /// The interface that a request names.
    fn link(
        &self,
        named: LinkMessage,
        what: impl Fn() -> String,
    ) -> Result<LinkMessage, NetworkError> {
        let failed = |source| NetworkError { what: what(), source };
        let answers = self.netlink.ask(RouteNetlinkMessage::GetLink(named), 0).map_err(failed)?;
        let link = answers.into_iter().find_map(|answer| match answer {
            RouteNetlinkMessage::NewLink(link) => Some(link),
            _ => None,
        });
        link.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))
    }

    fn soon(&mut self, what: &str, message: LinkMessage) {
        let what = format!("interface {}: {what}", message.header.index);
        self.soon.push((what, RouteNetlinkMessage::SetLink(message)));
    }

    fn set(&self, what: &str, message: LinkMessage) -> Result<(), NetworkError> {
        let what = format!("interface {}: {what}", message.header.index);
        self.run(what, RouteNetlinkMessage::SetLink(message), 0)
    }

    fn create(&self, what: String, message: RouteNetlinkMessage) -> Result<(), NetworkError> {
        self.run(what, message, NLM_F_CREATE | NLM_F_EXCL)
    }

    fn run(
        &self,
        what: String,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<(), NetworkError> {
        let asked = self.netlink.ask(message, flags);
        asked.map(drop).map_err(|source| NetworkError { what, source })
    }
}

/// An interface with attributes.
fn with(index: u32, attributes: impl Into<Vec<LinkAttribute>>) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.attributes = attributes.into();
    message
}

fn of_name(mut message: LinkMessage, name: &InterfaceName) -> LinkMessage {
    message.attributes.push(LinkAttribute::IfName(name.as_str().to_owned()));
    message
}

fn switched(index: u32, up: bool) -> LinkMessage {
    let mut message = with(index, []);
    message.header.flags = if up { LinkFlags::Up } else { LinkFlags::empty() };
    message.header.change_mask = LinkFlags::Up;
    message
}

fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

fn born_in(mut message: LinkMessage, namespace: Option<BorrowedFd<'_>>) -> LinkMessage {
    let namespace = namespace.map(|namespace| LinkAttribute::NetNsFd(namespace.as_raw_fd()));
    message.attributes.extend(namespace);
    message
}

fn is_tentative(address: &AddressMessage) -> bool {
    address.attributes.iter().any(|attribute| {
        matches!(attribute, AddressAttribute::Flags(flags) if flags.contains(AddressFlags::Tentative))
    })
}

/// A case that can't be built as it is written.
pub(super) fn bad_environment(code: &'static str, message: impl Into<String>) -> BackendError {
    BackendError::Case(Box::new(Report::error(Code(code), message)))
}
