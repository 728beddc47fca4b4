//! What carries a scenario out. A [`Backend`] opens a [`World`] for a case; the runner's one
//! executor drives any world.

mod api;
pub mod builtin;
pub mod netns;

pub use api::{
    Action, Backend, BackendError, Capabilities, Deadline, Missing, Observations, Residue, Settled,
    World,
};
