//! QEMU's net layer as a pure state machine: net clients and their queues, chardevs, filters, and
//! the commands that make and change them. It takes an [`Input`] and gives [`Output`]s and its next
//! deadline. It does no I/O, has no clock and knows no YAML.
//!
//! [`Machine`] is the main loop: it brings inputs to descriptors and reads those that are watched.
//! Below it stand net clients and their queues, hubs, chardevs, the filter base with a table of
//! classes, one file for each filter, the property tables, and the commands.

mod api;
mod chardev;
mod client;
mod command;
mod core;
mod drive;
mod filter;
pub mod framing;
mod hub;
mod mirror;
mod mux;
mod netqueue;
mod property;
mod redirector;
mod rfc;

pub use api::{
    CharBackend, ChardevConfig, ChardevState, Command, CommandId, Config, Input, NetdevConfig,
    NetdevKind, Output,
};
pub use chardev::SOCKET_BUFFER;
pub use drive::{ConfigError, Machine};
pub use property::{NOT_BUILT, ObjectOption, OptionError};
