//! What filter-rewriter and colo-compare share: how they read a packet, which connection it is of,
//! and the table of connections (QEMU 10.2.2 `net/colo.c`).
//!
//! - [`packet`]: where a packet's headers begin, and TCP's numbers.
//! - [`key`]: the connection that a packet is of.
//! - [`table`]: what a user keeps for each connection.

mod key;
mod packet;
#[cfg(test)]
pub(super) mod sample;
mod table;

pub(super) use key::Key;
pub(super) use packet::{Headers, TcpHeader, flag};
pub(super) use table::{LIMIT, Table};
