//! Packets: building them from the language's words, reading them, masking, comparing and printing
//! them. Pure functions over bytes; none of them panics on any input.
//!
//! - [`Spec`] and [`build`]: from words to bytes.
//! - [`Dissection`]: from bytes to layers of named fields; [`FIELD_NAMES`] are the names.
//! - [`summary`], [`message`], [`hex_groups`] and [`parse_hex`]: text for review, and back.
//! - [`diff`]: what differs, for people; [`changes`] and [`patch`]: what differs, without loss.
//! - [`mask`]: fields that are not compared; [`flow`]: which frames belong together.
//! - [`complete_checksum`]: what virtio leaves to the device; [`checksum_due`]: what it should be.

mod build;
mod change;
mod checksum;
mod diagnose;
mod diff;
mod flow;
mod hex;
mod mask;
mod spec;
mod summary;
mod wire;

pub use build::{BuildError, Defaults, build};
pub use change::{FieldChange, PatchError, changes, parse_changes, patch, render_changes};
pub use checksum::{checksum_due, complete_checksum};
pub use diagnose::EXPLANATIONS;
pub use diff::{FieldDiff, diff};
pub use flow::{FlowKey, NetKey, flow};
pub use hex::{HexError, hex, hex_groups, hex_runs, parse_hex};
pub use mask::mask;
pub use spec::{
    ArpSpec, EthSpec, IcmpSpec, Ipv4Spec, Ipv6Spec, NetSpec, Spec, TcpOption, TcpSpec,
    TransportSpec, UdpSpec, VlanSpec,
};
pub use summary::{message, summary};
pub use wire::{Dissection, FIELD_NAMES, Field, Layer};
