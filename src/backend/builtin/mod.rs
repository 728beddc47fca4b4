//! A [`World`](super::World) around machines: virtual clock, chardev pipes, storm limit, over a
//! [`Carrier`] of which there are two.

mod carrier;

pub use carrier::{Carried, Carrier};
