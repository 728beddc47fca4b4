//! What a scenario declares of a TCP/IP stack: its address, and the services on it.

use std::{net::Ipv4Addr, time::Duration};

use bytes::Bytes;

use crate::base::MacAddr;

/// What a scenario declares of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The interface's address; unicast.
    pub mac: MacAddr,
    /// The stack's address; unicast.
    pub address: Ipv4Addr,
    /// Bits of its network, up to 32.
    pub prefix: u8,
    /// The maximum segment size that it announces and keeps to, in bytes (RFC 9293, 3.7.1).
    pub mss: u16,
    /// Bytes of a connection's receive buffer, which is the window that it offers, and of its send
    /// buffer.
    pub window: usize,
    /// Every initial sequence number follows from it.
    pub isn_seed: u64,
    /// How long an acknowledgement may wait for data to travel with; zero for not at all. Every
    /// second full segment is acknowledged at once in either case (RFC 9293, 3.8.6.3).
    pub ack_delay: Duration,
    /// What answers on which port, in order of their ports.
    pub services: Vec<Service>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub port: u16,
    pub kind: ServiceKind,
}

/// What a service does with a connection. Each ends its side when the other side has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceKind {
    /// Sends back what it gets (RFC 862).
    Echo,
    /// Throws away what it gets (RFC 863).
    Discard,
    /// Sends this many bytes of [`pattern`](super::pattern()) to each client, then ends.
    Source(usize),
    /// Sends a fixed text for each request.
    Respond(Respond),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Respond {
    pub text: Bytes,
    /// The end of a request: as often as it was received the text is sent.
    pub after: Bytes,
    /// The service ends its side after the first answer.
    pub close: bool,
}
