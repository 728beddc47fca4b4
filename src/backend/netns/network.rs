//! The kernel's network configuration over rtnetlink: interfaces, addresses, routes and bridges of
//! one namespace. The topology builds with it.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    os::fd::{AsRawFd, BorrowedFd},
    time::Duration,
};

use futures_util::{StreamExt, TryStreamExt, stream::BoxStream};
use rtnetlink::{
    Handle, LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth, MulticastGroup,
    RouteMessageBuilder, new_multicast_connection,
    packet_route::{
        address::{AddressAttribute, AddressFlags, AddressMessage},
        link::{BridgeStpState, InfoData, InfoVeth, LinkAttribute, LinkMessage},
    },
};

use super::cidr::Cidr;
use crate::{
    backend::BackendError,
    base::MacAddr,
    diag::{Code, Report},
    sys::{InterfaceName, Isolated},
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
    /// Declared before the runtime, which ends the connection when it is dropped.
    handle: Handle,
    notifications: Notifications,
    runtime: tokio::runtime::Runtime,
}

/// One item for each change of a link or an IPv6 address.
struct Notifications(BoxStream<'static, ()>);

impl std::fmt::Debug for Notifications {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Notifications")
    }
}

impl Network {
    /// Connects, and listens for changes of links and addresses from now on.
    ///
    /// # Errors
    /// When there is no socket to be had.
    pub fn open(_: &Isolated) -> Result<Self, NetworkError> {
        let failed = |source| NetworkError { what: "netlink can't be reached".to_owned(), source };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(failed)?;
        let entered = runtime.enter();
        let (connection, handle, notifications) =
            new_multicast_connection(&[MulticastGroup::Link, MulticastGroup::Ipv6Ifaddr])
                .map_err(failed)?;
        drop(entered);
        runtime.spawn(connection);
        Ok(Self { handle, notifications: Notifications(notifications.map(drop).boxed()), runtime })
    }

    /// The interface's number.
    ///
    /// # Errors
    /// ENODEV when there is none of this name.
    pub fn index(&self, name: &InterfaceName) -> Result<u32, NetworkError> {
        let request = self.handle.link().get().match_name(name.as_str().to_owned()).execute();
        let found = self.runtime.block_on(async { std::pin::pin!(request).try_next().await });
        let missing = || rtnetlink::Error::RequestFailed;
        let message = found
            .and_then(|message| message.ok_or_else(missing))
            .map_err(|error| failed(format!("interface {name}"), error))?;
        Ok(message.header.index)
    }

    /// Makes a pair of joined interfaces, both down, each in its namespace; none for this one. Born
    /// there, since a move waits for all processors.
    ///
    /// # Errors
    /// EEXIST when a name is taken.
    pub fn add_veth(&self, ends: [VethEnd<'_>; 2]) -> Result<(), NetworkError> {
        let [(a, a_namespace), (b, b_namespace)] = ends;
        let peer = born_in(LinkUnspec::new_with_name(b.as_str()), b_namespace).build();
        let message = born_in(LinkVeth::new(a.as_str(), b.as_str()), a_namespace)
            .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
            .build();
        self.run(format!("veth {a} and {b}"), self.handle.link().add(message).execute())
    }

    /// Makes a bridge, down, that forwards at once and says nothing by itself: no spanning tree, no
    /// delay, no multicast queries.
    ///
    /// # Errors
    /// EEXIST when the name is taken; EOPNOTSUPP where the kernel has no bridges.
    pub fn add_bridge(&self, name: &InterfaceName) -> Result<(), NetworkError> {
        let message = LinkMessageBuilder::<LinkBridge>::new(name.as_str())
            .stp_state(BridgeStpState::Disabled)
            .forward_delay(0)
            .mcast_snooping(false)
            .build();
        self.run(format!("bridge {name}"), self.handle.link().add(message).execute())
    }

    /// Gives an interface to a bridge, which is 0 for none; it leaves another that holds it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn enslave(&self, index: u32, bridge: u32) -> Result<(), NetworkError> {
        self.set("bridge port", LinkUnspec::new_with_index(index).controller(bridge).build())
    }

    /// Sets what an interface has from birth: its address, the longest payload in bytes, and how
    /// many frames its queue takes.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn shape(
        &self,
        index: u32,
        mac: MacAddr,
        mtu: u32,
        queue: u32,
    ) -> Result<(), NetworkError> {
        let message = LinkUnspec::new_with_index(index)
            .address(mac.0.to_vec())
            .mtu(mtu)
            .txqueuelen(queue)
            .build();
        self.set("address, MTU and queue length", message)
    }

    /// Sets the longest payload in bytes.
    ///
    /// # Errors
    /// EINVAL outside of what the interface can do.
    pub fn set_mtu(&self, index: u32, mtu: u32) -> Result<(), NetworkError> {
        self.set("MTU", LinkUnspec::new_with_index(index).mtu(mtu).build())
    }

    /// Gives an interface a second name, `IFLA_IFALIAS`, that `ip link` shows.
    ///
    /// # Errors
    /// When it is longer than 255 bytes.
    pub fn set_alias(&self, index: u32, alias: &str) -> Result<(), NetworkError> {
        let mut message = LinkUnspec::new_with_index(index).build();
        message.attributes.push(LinkAttribute::IfAlias(alias.to_owned()));
        self.set("alias", message)
    }

    /// Switches an interface on or off.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_up(&self, index: u32, up: bool) -> Result<(), NetworkError> {
        let message = LinkUnspec::new_with_index(index);
        let message = if up { message.up() } else { message.down() };
        self.set(if up { "up" } else { "down" }, message.build())
    }

    /// Gives an interface an address, and waits until it counts: an IPv6 address is tentative until
    /// a worker of the kernel has joined its multicast group, even without duplicate detection.
    ///
    /// # Errors
    /// EEXIST when it has it; EACCES for IPv6 where that is off.
    pub fn add_address(&mut self, index: u32, cidr: Cidr) -> Result<(), NetworkError> {
        let what = format!("address {}/{}", cidr.address, cidr.prefix);
        let request = self.handle.address().add(index, cidr.address, cidr.prefix);
        self.run(what.clone(), request.execute())?;
        if cidr.address.is_ipv4() {
            return Ok(());
        }
        let what = &what;
        self.wait_until(async |handle| {
            let request = handle.address().get().set_link_index_filter(index);
            let addresses: Vec<AddressMessage> = request.execute().try_collect().await?;
            let tentative = addresses.iter().any(is_tentative);
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
        let message = RouteMessageBuilder::<IpAddr>::new()
            .destination_prefix(to.address, to.prefix)
            .and_then(|message| message.gateway(via))
            .map_err(|error| NetworkError {
                what: what.clone(),
                source: io::Error::new(io::ErrorKind::InvalidInput, error.to_string()),
            })?;
        self.run(what, self.handle.route().add(message.build()).execute())
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
        let request = self.handle.neighbours().add(index, address).link_layer_address(&mac.0);
        self.run(format!("neighbour {address} at {mac}"), request.execute())
    }

    /// Deletes an interface; of a pair, both ends.
    ///
    /// # Errors
    /// ENODEV when it is gone.
    pub fn delete(&self, index: u32) -> Result<(), NetworkError> {
        self.run("delete".to_owned(), self.handle.link().del(index).execute())
    }

    /// Frames that the interface dropped instead of sending since it was made (`tx_dropped`): those
    /// for which a TAP's queue had no room.
    ///
    /// # Errors
    /// ENODEV when it is gone.
    pub fn transmit_drops(&self, index: u32) -> Result<u64, NetworkError> {
        let request = self.handle.link().get().match_index(index).execute();
        let found = self.runtime.block_on(async { std::pin::pin!(request).try_next().await });
        let link = found.map_err(|error| failed(format!("interface {index}"), error))?;
        let attributes = link.into_iter().flat_map(|link| link.attributes);
        let mut drops = attributes.filter_map(|attribute| match attribute {
            LinkAttribute::Stats64(counters) => Some(counters.tx_dropped),
            _ => None,
        });
        Ok(drops.next().unwrap_or(0))
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
        self.wait_until(async |handle| {
            let mut waiting = Vec::new();
            for index in indexes {
                let request = handle.link().get().match_index(*index).execute();
                if let Some(link) = std::pin::pin!(request).try_next().await? {
                    waiting.extend(unmet(*index, &link));
                }
            }
            Ok(waiting)
        })
    }

    /// Looks, and looks again after each notification, until nothing is left to wait for. The
    /// socket has listened since it was opened, so that no change falls between two looks.
    fn wait_until(
        &mut self,
        look: impl AsyncFn(Handle) -> Result<Vec<String>, rtnetlink::Error>,
    ) -> Result<(), NetworkError> {
        let Self { handle, notifications, runtime } = self;
        runtime.block_on(async {
            let deadline = tokio::time::Instant::now() + SETTLE;
            loop {
                let waiting = look(handle.clone())
                    .await
                    .map_err(|error| failed("the state of interfaces".to_owned(), error))?;
                if waiting.is_empty() {
                    return Ok(());
                }
                match tokio::time::timeout_at(deadline, notifications.0.next()).await {
                    Ok(Some(())) => {}
                    Ok(None) => return Err(not_ready(&waiting, io::ErrorKind::BrokenPipe)),
                    Err(_) => return Err(not_ready(&waiting, io::ErrorKind::TimedOut)),
                }
            }
        })
    }

    fn set(&self, what: &str, message: LinkMessage) -> Result<(), NetworkError> {
        let what = format!("interface {}: {what}", message.header.index);
        self.run(what, self.handle.link().set(message).execute())
    }

    fn run(
        &self,
        what: String,
        request: impl Future<Output = Result<(), rtnetlink::Error>>,
    ) -> Result<(), NetworkError> {
        self.runtime.block_on(request).map_err(|error| failed(what, error))
    }
}

fn failed(what: String, error: rtnetlink::Error) -> NetworkError {
    let source = match error {
        rtnetlink::Error::NetlinkError(message) => message.to_io(),
        other => io::Error::other(other.to_string()),
    };
    NetworkError { what, source }
}

fn born_in<T>(
    message: LinkMessageBuilder<T>,
    namespace: Option<BorrowedFd<'_>>,
) -> LinkMessageBuilder<T> {
    match namespace {
        Some(namespace) => message.setns_by_fd(namespace.as_raw_fd()),
        None => message,
    }
}

fn is_tentative(address: &AddressMessage) -> bool {
    address.attributes.iter().any(|attribute| {
        matches!(attribute, AddressAttribute::Flags(flags) if flags.contains(AddressFlags::Tentative))
    })
}

fn not_ready(waiting: &[String], kind: io::ErrorKind) -> NetworkError {
    NetworkError { what: format!("not ready: {}", waiting.join(", ")), source: kind.into() }
}

/// A case that can't be built as it is written.
pub(super) fn bad_environment(code: &'static str, message: impl Into<String>) -> BackendError {
    BackendError::Case(Box::new(Report::error(Code(code), message)))
}
