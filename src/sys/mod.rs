//! The only unsafe code: TAPs, packet sockets, namespaces, signals, children; and paths that stay
//! below a directory. Descriptors own themselves and close on drop.
//!
//! Everything that touches an interface asks for an [`Isolated`], which only [`isolate`] makes: so
//! no code of this crate can reach an interface of the host. The exception is what `tapwright
//! redirect` is made of ([`Ring`], [`Injector`], a [`Netlink`]): it asks for a [`Granted`] instead.
#![allow(unsafe_code)]

mod batch;
mod beneath;
mod capability;
mod child;
mod closing;
mod confined;
mod entrance;
mod error;
mod exhaustion;
mod fence;
mod filter;
mod granted;
mod injector;
mod interface;
mod interrupt;
mod isolation;
mod namespace;
mod netlink;
mod option;
mod packet;
mod queue;
mod ring;
mod sysctl;
mod tun;
mod virtio;

pub use batch::{Batch, Unit};
pub use beneath::{BeneathError, Directory, Escape};
pub use capability::{CAP_NET_ADMIN, give_up_privileges};
pub use child::{end_with_starter, hang_up, run_in_foreground};
pub use closing::wait_for_closes;
pub use confined::{Confined, Launch, LaunchError};
pub use entrance::{Entrance, Tenant, enter_mounted, show_own_interfaces};
pub use error::FrameError;
pub use exhaustion::{exhaustion_remedy, refuse_beyond_file_size};
pub use fence::{Confinement, Fence};
pub use granted::Granted;
pub use injector::{Injector, InjectorOptions};
pub use interface::{InterfaceIndex, InterfaceName, InterfaceNameError, is_tap, is_up, mtu};
pub use interrupt::Interrupt;
pub use isolation::{Isolated, IsolationError, isolate};
pub use namespace::{
    Namespace, NamespaceError, NamespaceFile, enter_fresh, enter_fresh_links, packet_sockets,
};
pub use netlink::{Changes, Netlink};
pub use packet::{
    PacketOptions, PacketSocket, PacketStatistics, PacketType, Received, Status, VlanTag,
};
pub use queue::unread_by_peer;
pub use ring::{Block, Ring, RingOptions, Shape, Side, Slot};
pub use sysctl::{SysctlError, allow_ipv6, has_rps_default_mask, link_settings};
pub use tun::{Tap, TapError, TapHeader};
pub use virtio::{
    Memory, NetDriver, NetError, NetOptions, NetReceived, VhostError, VhostNet, Virtqueue,
    VirtqueueError,
};
