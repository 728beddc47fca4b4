//! The driver's side of a virtio-net device, without a guest: memory that is shared with a device, split
//! virtqueues in it, and the frames that go through them (virtio 1.2, sections 2.7 and 5.1). Whatever the
//! device writes is an error at most.

mod memory;
mod net;
#[cfg(test)]
mod tests;
mod vhost;
mod virtqueue;

pub use memory::Memory;
pub use net::{NetDriver, NetError, NetOptions, NetReceived};
pub use vhost::{VhostError, VhostNet};
pub use virtqueue::{Virtqueue, VirtqueueError};
