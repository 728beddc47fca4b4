//! The network card between smoltcp and a port: two queues of frames.

use std::collections::VecDeque;

use bytes::Bytes;
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};

use super::clock::StackTime;

/// A network card without a network: two queues.
#[derive(Debug)]
pub(super) struct Card {
    /// Bytes of the longest frame, with its Ethernet header.
    longest: usize,
    pub(super) received: VecDeque<Bytes>,
    pub(super) sent: Vec<Bytes>,
}

impl Card {
    pub(super) const fn new(longest: usize) -> Self {
        Self { longest, received: VecDeque::new(), sent: Vec::new() }
    }
}

impl Device for Card {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, _: StackTime) -> Option<(Received, Sending<'_>)> {
        let frame = self.received.pop_front()?;
        Some((Received(frame), Sending(&mut self.sent)))
    }

    fn transmit(&mut self, _: StackTime) -> Option<Sending<'_>> {
        Some(Sending(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = self.longest;
        capabilities
    }
}

/// A frame that the stack takes.
pub(super) struct Received(Bytes);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

/// Room for a frame that the stack makes.
pub(super) struct Sending<'a>(&'a mut Vec<Bytes>);

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut frame = vec![0; length];
        let result = write(&mut frame);
        self.0.push(frame.into());
        result
    }
}
