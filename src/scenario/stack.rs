//! The TCP/IP stacks of a case, and the exchanges of its clients.

use std::time::Duration;

use crate::{base::PortId, guest};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortStack {
    /// A guest port, or where a client is.
    pub port: PortId,
    pub config: guest::Config,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The port at which the client's stack is.
    pub from: PortId,
    pub call: guest::Call,
    /// How far the machine's clock may move until it is done.
    pub within: Option<Duration>,
}
