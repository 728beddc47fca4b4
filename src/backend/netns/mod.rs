//! Real interfaces: TAPs, links and bridges in network namespaces of a case's own.
//!
//! A case needs nothing of its thread but the thread itself: [`NetnsCarrier::open`] moves it into a
//! fresh namespace, and the next case's moves it on. What a finished case leaves is dismantled by
//! the kernel in the background: TAPs are persistent, so that closing their descriptors waits for
//! nothing, and packet sockets are closed on threads of their own. Where a world is proven to be as it
//! was when it was fresh, the next case of the same shape gets it instead: see `worlds`.
//!
//! Where there is `/dev/vhost-net`, a netdev with `vhost: true` has its guest's frames carried by the
//! kernel's vhost-net, through rings of this process: see `served`.

mod backend;
mod carrier;
mod cidr;
mod expected;
mod explanation;
mod fingerprint;
mod namespace;
mod network;
mod probe;
mod reason;
mod served;
mod source;
mod topology;
mod worlds;

pub use backend::Netns;
pub use carrier::NetnsCarrier;
pub use cidr::Cidr;
pub use explanation::EXPLANATIONS;
pub use network::{Network, NetworkError, Shape, VethEnd};
pub use probe::{Tried, examine, probe, unavailable};
pub use topology::Vhost;

pub const NAME: &str = "netns";
