//! Real QEMU processes hold the objects, one for each machine; interfaces are those of `netns`.
//!
//! Each machine of a case has a QEMU of its own without a guest (`-machine none`), driven over QMP.
//! The topology is the one that the built-in machine models: a TAP's peer is a hub port, a second
//! port of the hub has a socket netdev as its peer, and the far end of that socket is the guest's
//! port.
//!
//! # When a step has settled
//! Once QEMU rests and nothing came out since. It rests when there was an instant at which each of
//! its threads waited in the kernel for an event: all are looked at twice in `/proc`, and where
//! none has run in between, all waited at once. What is sent to QEMU, on a socket or through a TAP,
//! wakes the thread that watches for it before the call that sends returns. So
//!
//! - *all that was sent was processed*, in every thread, however busy the machine is, and also what
//!   was on its way between two chardevs that are joined inside QEMU;
//! - *what is still unread then is not watched by QEMU*, and stays unread until something else
//!   happens;
//! - timers that QEMU itself has set (a client that comes again) are outside this: `advance` waits
//!   for them, by the wall's clock.
//!
//! A QEMU that never rests, because a descriptor of its main loop is broken (a TAP whose interface
//! was deleted), is taken to have settled after 32 rounds of that loop that brought nothing; one
//! whose main thread waits for an iothread, after 32 rounds of that.
//!
//! All machines of a case settle together: the same instant holds for all of their threads.
//!
//! # When QEMU dies
//! The cause is reported as the model reports it, with the ends of its ports, and the other
//! machines continue. A QEMU that was killed from outside ends the case. What a QEMU closes is
//! reported once it rests or has died, since one that is about to die closes too.
//!
//! # What a scenario can ask for
//! Nothing that is not listed: see `admission`.
//!
//! # Joined chardevs
//! They meet at unix sockets in the case's folder, whatever address the scenario gives.
//!
//! No event announces that a thread goes to sleep. Between two looks it waits for whatever may
//! come, 50 µs at first and 5 ms at last; no verdict depends on how long.
//!
//! # When QEMU is frozen
//! A write to a chardev that has no room is tried again every 100 µs in the main thread, which does
//! nothing else until then: QMP is silent too. Such a main thread waits deeper in its stack than in
//! its main loop. QEMU is frozen once that thread has tried again after everything that we read was
//! read, while no other thread ran: then only a reader that is stalled can help. A command is left
//! unanswered; its answer is reported when it arrives. Nothing here waits for QMP while that is so,
//! and no send of ours blocks: what finds no room is kept and sent later.
//!
//! # What QEMU does not report
//! Where a frame was lost. A frame that went in and never came out is reported once, at the end, as
//! [`DropReason::NotSeenAgain`](crate::record::DropReason::NotSeenAgain).

use std::time::Duration;

mod admission;
mod backend;
mod chardev;
mod command;
mod file;
mod fit;
mod machine;
mod patch;
mod probe;
mod process;
mod program;
mod qmp;
mod quiescence;
mod stream;
mod version;
mod world;

pub use admission::{Admission, EXPLANATIONS};
pub use backend::Qemu;
pub use fit::{advances, uses_af_packet};
pub use patch::{Patch, Sign};
pub use probe::{MissingFence, Probed};
pub use process::{Arguments, Process};
pub use program::{Fence, Program};
pub use qmp::{Qmp, QmpError};
pub use stream::Stream;
pub use version::Version;

pub const NAME: &str = "qemu";

/// Stands before the names of what a scenario does not know of.
const OWN: &str = "tapwright";

/// How long a command may take that no deadline of a scenario ends.
const LONGEST_COMMAND: Duration = Duration::from_secs(20);
