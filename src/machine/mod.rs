//! QEMU's net layer as a pure state machine: net clients and their queues, chardevs, filters, and
//! the commands that make and change them. It takes an [`Input`] and gives [`Output`]s and its next
//! deadline. It does no I/O, has no clock and knows no YAML.
//!
//! # Map
//!
//! From the top down; a part imports only what stands below it (`cargo xtask arch` holds the
//! floors).
//!
//! | part | subject |
//! |---|---|
//! | `drive` | [`Machine`], the main loop: descriptors are read in order; a frozen write; what is left at the end |
//! | `alone` | the rules of a redirector that stands alone, between real interfaces and sockets |
//! | `argument` | what a command's arguments name, for those who hand them to a real QEMU |
//! | `config` | the machine before its first command, checked |
//! | `command` | QMP's commands and `-object` |
//! | `filter` | the filters, one file each, and the list of them |
//! | `compare` | colo-compare; its map is in its own folder |
//! | `net` | the net layer at work: packets between clients and along chains of filters, bytes between chardevs and parts. It calls parts, and does not know which there are; filters and comparers do not know it |
//! | `part` | what a filter or comparer is to the net layer: the trait `Part`, and the `Context` that it works with |
//! | `chardev` | who takes hold of a chardev, and what is written to it |
//! | `core` | the tables of clients, chardevs and objects, and what the machine has put out |
//! | `property` | what the setters of properties hold a value to, and their order |
//! | `colo` | packets and connections, as the rewriter and the comparer see them |
//! | [`framing`] | frames in byte streams |
//! | `clock` | the VM's clock, which `stop` stops |
//! | `error` | QMP's error classes |
//! | `api` | what goes in and comes out: [`Config`], [`Input`], [`Output`] |
//!
//! # How a part runs
//!
//! QEMU's net layer is re-entrant: a packet that a filter passes on may come back to it through a
//! hub before the filter has returned. Here a part that runs has nothing but the tables in its
//! hands, so that it can't reach the net layer by itself. What it wants done there it leaves as
//! `Action`s, in order; `net/parts.rs` carries them out as soon as the part has returned, and only
//! then goes on with what called it. A part that has more to do after that, and depending on that,
//! leaves `Action::Resume` and is called back.
//!
//! # Adding a filter
//!
//! 1. `qapi/table.rs` has a row for every type of QEMU's with its versions and properties, and for each
//!    property its role, texts and setter order. All filters of QEMU are there. Drawings, `conflicts`,
//!    import, suggestions and what a real QEMU is asked for follow from the row.
//! 2. Write `filter/NAME.rs`: a struct for what it keeps, a `make` that checks the properties and makes
//!    one, and its `impl Part`: what it does to a packet, to bytes of its chardev, on time. Whatever it
//!    has nothing to say about has a default. `mirror.rs` is the shortest example.
//! 3. Add a row to `CLASSES` in `filter/mod.rs`. Nothing else knows the filters by name.
//! 4. A frame that ends at the filter needs a [`DropReason`](crate::record::DropReason). A way in which
//!    QEMU departs from its documentation is a row in [`crate::base::Quirk`], asked with `cx.has(...)`.
//! 5. Test it in `drive/tests`, and replay the measured records of QEMU: `cargo xtask conform
//!    fixtures/qemu/*.jsonl`.

pub(crate) mod alone;
mod api;
mod argument;
mod chardev;
mod clock;
mod colo;
mod command;
mod compare;
mod config;
mod core;
mod drive;
mod error;
mod filter;
pub mod framing;
mod net;
mod part;
mod property;

pub use api::{
    AfPacketMode, CharBackend, ChardevConfig, ChardevState, ColoEvent, Command, CommandId, Config,
    Halt, Input, Migrated, NetdevConfig, NetdevKind, NicConfig, Output, Start,
};
pub use argument::{Argument, Arguments, NotModelled};
pub use chardev::SOCKET_BUFFER;
pub use config::ConfigError;
pub use drive::Machine;
pub use property::NOT_BUILT;
