//! A TCP/IP stack at a port, on smoltcp: guests that answer, and the client that asks them.
//!
//! Sans-I/O like the machine: frames go in with [`Stack::receive`], the clock is set with
//! [`Stack::poll`], frames come out of it, and [`Stack::deadline`] says when it has something to do
//! by itself. There is no randomness beyond the declared seed: the same frames at the same times
//! give the same answers, byte for byte.
//!
//! - [`Config`], [`Service`]: what a scenario declares of it.
//! - [`Stack`]: the interface, its services and its connections.
//! - [`Call`], [`Outcome`]: one exchange of a client, and its result.

mod clock;
mod config;
mod device;
mod exchange;
mod service;
mod stack;
#[cfg(test)]
mod tests;

pub use config::{Config, Respond, Service, ServiceKind};
pub use exchange::{Call, Done, Outcome, Refusal};
pub use service::pattern;
pub use stack::Stack;
