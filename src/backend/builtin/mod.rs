//! A [`World`](super::World) around built-in machines: virtual clock, chardev pipes, guests,
//! impairments and storm limit, over one of two [`Carrier`]s.

mod carrier;
mod dice;
mod ethernet;
mod far_end;
mod file;
mod flight;
mod impair;
mod process;
mod socket;
mod storm;
mod traffic;
mod world;

pub use carrier::{Carried, Carrier};
pub(crate) use ethernet::{ETH_HLEN, VLAN_HLEN, is_tagged, vanishes};
pub(crate) use far_end::{chunks, encode};
pub(crate) use flight::{Destination, Flights};
pub(crate) use world::BuiltinWorld;
#[cfg(test)]
pub(crate) use world::case;
