//! A real QEMU process holds the objects; interfaces are those of `netns`.
//!
//! Each case has a QEMU of its own without a guest (`-machine none`), driven over QMP. The topology
//! is the one that the built-in machine models: a TAP's peer is a hub port, a second port of the hub
//! has a socket netdev as its peer, and the far end of that socket is the guest's port.
//!
//! # When a step has settled
//! Nothing here waits for time to pass. QEMU's main loop answers a QMP command after it has looked
//! at every descriptor that it watches, so a round is one `query-status`. A step has settled when
//! two rounds in a row brought nothing, and
//!
//! - of every socket the peer has read all that we wrote (`SIOCOUTQ`), and no TAP holds a frame for
//!   QEMU (`poll` of a duplicate of its descriptor): *all that was sent was processed*; or
//! - something is left unread and stays so, with nothing else moving, for 32 rounds. A round in
//!   which QEMU watches a descriptor takes 50 frames from a TAP (QEMU 7.2.22 `net/tap.c`,
//!   `tap_send`), which queues 1,000, or some bytes from a socket: so *QEMU no longer reads it*.
//!
//! Two chardevs that are joined inside QEMU hide what is on its way between them. QEMU reads 4,096
//! bytes at a time, so the longest frame takes 18 rounds for each such pair; that many are added. A
//! longer stretch of frames that all vanish behind such a pair is not waited for.
//!
//! QMP does not answer while the main loop is frozen in a write that nobody reads. That is told
//! from slowness by what the stalled reader has: `FROZEN_BYTES` or more that
//! did not grow for `FROZEN_AFTER`.
//!
//! # What QEMU does not tell
//! Where a frame was lost. What came in and never came out is told once, at the end, as
//! [`DropReason::NotSeenAgain`](crate::record::DropReason::NotSeenAgain).

mod backend;
mod chardev;
mod command;
mod file;
mod fit;
mod process;
mod qmp;
mod stream;
mod version;
mod world;

pub use backend::{Probed, Qemu};
pub use fit::uses_af_packet;
pub use process::{Arguments, Process};
pub use qmp::{Qmp, QmpError};
pub use stream::Stream;
pub use version::Version;

/// The backend's name.
pub const NAME: &str = "qemu";

/// Stands before the names of what a scenario does not know of.
const OWN: &str = "tapwright";
