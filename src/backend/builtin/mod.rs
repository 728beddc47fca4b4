//! A [`World`](super::World) around a machine: virtual clock, chardev pipes, storm limit, over a
//! [`Carrier`] of which there are two.

mod carrier;
mod far_end;
mod flight;
mod storm;
mod world;

pub use carrier::{Carried, Carrier};
pub(crate) use far_end::{chunks, encode};
pub(crate) use flight::{Destination, Flights};
pub(crate) use world::BuiltinWorld;
