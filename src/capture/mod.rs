//! pcap and pcapng: reading captures that a scenario sends, writing those that a run leaves behind.

mod classic;
mod diagnose;
mod guess;
mod link;
mod pcapng;
mod read;
mod stream;

#[cfg(test)]
mod tests;

pub use classic::ClassicWriter;
pub use diagnose::EXPLANATIONS;
pub use link::{Addresses, Link, NoFrame};
pub use pcapng::Writer;
pub use read::{Capture, MAX_PACKETS, Packet, ReadError, read};
pub use stream::{PacketRef, Stream, StreamError};

/// A capture that can't be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("can't write the capture: {0}")]
    Io(#[source] std::io::Error),
    /// A packet that the format can't hold.
    #[error("packet {packet} can't be written: {cause}")]
    Packet {
        /// Its number, from 1.
        packet: usize,
        cause: String,
    },
    /// There is no such interface.
    #[error("packet {packet} is of interface {interface}, and there are {interfaces}")]
    Interface {
        /// The packet's number, from 1.
        packet: usize,
        /// What was asked for, from 0.
        interface: usize,
        interfaces: usize,
    },
}

/// An error with everything that caused it, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Transparent errors repeat their source's text.
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
