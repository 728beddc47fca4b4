//! QEMU's net layer as a pure state machine: net clients and their queues, chardevs, filters, and
//! the commands that make and change them. It takes an [`Input`] and gives [`Output`]s and its next
//! deadline. It does no I/O, has no clock and knows no YAML.
//!
//! # Map
//!
//! | file | subject |
//! |---|---|
//! | `api` | what goes in and comes out: [`Config`], [`Input`], [`Output`] |
//! | `config` | the machine before its first command, checked |
//! | `drive` | [`Machine`], the main loop: descriptors are read in order; a frozen write; what is left at the end |
//! | `core` | the tables of clients, chardevs and objects that everything else works on |
//! | `client`, `netqueue`, `hub` | net clients, the queue before each, and hubs |
//! | `chardev`, `mux`, [`framing`] | byte streams, and frames in them |
//! | `part` | what an object that works is made of, and what reaches it beside a chain: bytes, time, properties, COLO |
//! | `filter` | one kind of part, the filter base: a netdev's chain, the walk along it, the table of classes |
//! | `compare` | another kind of part, colo-compare; its map is in its own folder |
//! | `colo` | packets and connections, as the rewriter and the comparer see them |
//! | `mirror`, `redirector`, `rfc` | one file a filter; `rfc` is the redirector's `in_netdev` and `out_netdev` |
//! | `buffer`, `dump`, `replay` | the filters that hold, write down, and only let pass |
//! | `rewriter` | filter-rewriter: a connection's state, the bytes of a segment |
//! | `clock` | the VM's clock, which `stop` stops |
//! | `property` | what the setters of properties hold a value to, and their order |
//! | `command` | QMP's commands and `-object` |
//! | `argument` | what a command's arguments name, for those who hand them to a real QEMU |
//!
//! # Adding a filter
//!
//! 1. `qapi/table.rs` has a row for every type of QEMU's with its properties, texts and setter
//!    order. Most filters are there already and answer [`NOT_BUILT`].
//! 2. Write `machine/NAME.rs`: a struct for what it keeps, and a `CLASS: FilterClass` whose
//!    functions say what happens on creation, to a packet, to bytes of its chardev, on time, when
//!    COLO speaks (`filter::colo` is what most do then).
//!    `mirror.rs` is the shortest example.
//! 3. In `filter.rs`, add the struct to `FilterState` and the class to `CLASSES`. Nothing else
//!    knows the classes by name.
//! 4. A way in which QEMU departs from its documentation is a row in [`crate::base::Quirk`], asked
//!    with `core.has(...)`.
//! 5. Test it in `drive/tests.rs`, and replay the measured records of QEMU: `cargo xtask conform
//!    fixtures/qemu/*.jsonl`.

mod api;
mod argument;
mod buffer;
mod chardev;
mod client;
mod clock;
mod colo;
mod command;
mod compare;
mod config;
mod core;
mod drive;
mod dump;
mod filter;
pub mod framing;
mod hub;
mod mirror;
mod mux;
mod netqueue;
mod part;
mod property;
mod redirector;
mod replay;
mod rewriter;
mod rfc;

pub use api::{
    CharBackend, ChardevConfig, ChardevState, ColoEvent, Command, CommandId, Config, Input,
    NetdevConfig, NetdevKind, Output,
};
pub use argument::{Argument, Arguments, NotModelled};
pub use chardev::SOCKET_BUFFER;
pub use config::ConfigError;
pub use drive::Machine;
pub use property::NOT_BUILT;
