//! QEMU's net layer as a pure state machine: net clients and their queues, chardevs, filters, and
//! the commands that make and change them. It takes an [`Input`] and gives [`Output`]s and its next
//! deadline. It does no I/O, has no clock and knows no YAML.

mod api;

pub use api::{
    CharBackend, ChardevConfig, ChardevState, Command, CommandId, Config, Input, NetdevConfig,
    NetdevKind, Output,
};
