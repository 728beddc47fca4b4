use std::time::Duration;

use crate::{base::PortId, guest};

/// The TCP/IP stack of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortStack {
    /// A guest port, or where a client is.
    pub port: PortId,
    /// The stack.
    pub config: guest::Config,
}

/// An exchange over TCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The port at which the client's stack is.
    pub from: PortId,
    /// What it does.
    pub call: guest::Call,
    /// How far the machine's clock may move until it is done.
    pub within: Option<Duration>,
}
