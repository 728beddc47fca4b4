//! Leaf words: the names, times, directions and versions that every other part speaks of.

mod direction;
mod file;
mod frame;
mod id;
mod mac;
mod profile;
mod quirk;
mod rfc;
mod time;
mod vnet;

pub use direction::{Direction, Queue};
pub use file::{OpenError, Opened, Sink, opened};
pub use frame::{Frame, Origin, Tag};
pub use id::{CaseId, ChardevId, MachineId, NetdevId, ObjectId, PortId};
pub use mac::{MacAddr, ParseMacError};
pub use profile::{ParseProfileError, Profile, QemuVersion};
pub use quirk::{Quirk, QuirkInfo};
pub use rfc::{Basis, Injection, Interface, Rfc, Row, Rule, WhileStopped};
pub use time::VirtualTime;
pub use vnet::VnetHdr;

/// Largest payload of a framed stream, in bytes: `NET_BUFSIZE`, 4096 + 65536 (QEMU 10.2.2,
/// `include/net/net.h`).
pub const NET_BUFSIZE: usize = 4096 + 65536;

/// Most bytes one chardev read hands to its frontend: `CHR_READ_BUF_LEN` (QEMU 10.2.2,
/// `include/chardev/char.h`).
pub const CHR_READ_BUF_LEN: usize = 4096;
