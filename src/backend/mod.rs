//! What carries a scenario out. A [`Backend`] opens a [`World`] for a case; the runner's one
//! executor drives any world.

mod api;
pub mod builtin;
mod deadline;
mod lower;
pub mod netns;
pub mod qemu;
pub mod sim;
mod title;

pub use api::{
    Action, Backend, BackendError, Capabilities, Exposed, ExposedInterface, Missing, Observations,
    Residue, Settled, World,
};
pub use deadline::{Alarm, Deadline};
pub use netns::Netns;
pub use qemu::{Probed, Qemu, advances, uses_af_packet};
pub use sim::Sim;
pub use title::{Title, client_title, migrate_title, object_title, qmp_title};
