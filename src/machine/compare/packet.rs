//! A packet that is compared, and the part of it that counts (QEMU 10.2.2 net/colo.h:37-58,
//! net/colo-compare.c:201-217).

use std::net::Ipv4Addr;

use bytes::Bytes;

use super::Rules;
use crate::{
    base::{Tag, VirtualTime},
    machine::colo::{Headers, Key, TcpHeader},
    record::Connection,
};

/// A frame as it came in on one of the two inputs.
#[derive(Clone, Debug)]
pub(super) struct Arrived {
    /// The virtio-net header in front, where there is one.
    pub(super) data: Bytes,
    /// The length of that header as the stream announced it; 0 without that word.
    pub(super) vnet_len: u32,
    pub(super) tag: Option<Tag>,
    pub(super) at: VirtualTime,
}

#[derive(Clone, Debug)]
pub(super) struct Packet {
    pub(super) arrived: Arrived,
    pub(super) headers: Headers,
    /// It has no transport header, and is compared as it is.
    pub(super) later_fragment: bool,
    /// Where what counts of the data ends.
    pub(super) end: usize,
    pub(super) segment: Option<Segment>,
}

#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) flags: u8,
    /// The sequence number behind its payload; SYN and FIN don't count.
    pub(super) seq_end: u32,
    /// Where the payload begins in the data.
    pub(super) at: usize,
    pub(super) length: usize,
    /// Bytes of the payload that were found equal already.
    pub(super) done: usize,
    /// The other side's packet that had the last of those.
    pub(super) done_with: Option<Tag>,
}

impl Packet {
    /// None when it is nothing that is compared.
    pub(super) fn read(arrived: Arrived, rules: &Rules) -> Option<Self> {
        let data = &arrived.data;
        let vnet_len = arrived.vnet_len as usize;
        let later_fragment = !rules.fragments_apart
            && Headers::network(data, vnet_len, false)
                .is_some_and(|headers| headers.is_later_fragment(data));
        let headers = if later_fragment {
            Headers::network(data, vnet_len, false)?
        } else {
            Headers::read(data, vnet_len, false)?
        };
        let end = if rules.padding_counts { data.len() } else { ip_end(data, &headers) };
        let segment = if headers.is_tcp() && !later_fragment {
            Some(Segment::read(data, &headers, end, rules)?)
        } else {
            None
        };
        Some(Self { arrived, headers, later_fragment, end, segment })
    }

    pub(super) fn tag(&self) -> Option<Tag> {
        self.arrived.tag
    }

    pub(super) fn data(&self) -> &[u8] {
        &self.arrived.data
    }

    pub(super) fn key(&self) -> Option<Key> {
        if self.later_fragment {
            Key::of_hosts(self.data(), &self.headers)
        } else {
            Key::of(self.data(), &self.headers)
        }
    }

    /// An offset into the data as one into the frame.
    pub(super) fn in_frame(&self, at: usize) -> usize {
        at.saturating_sub(self.headers.ethernet)
    }

    /// The sequence number of a byte of TCP's payload at an offset into the data.
    pub(super) fn seq_at(&self, at: usize) -> Option<u32> {
        let segment = self.segment.as_ref()?;
        let place = at.checked_sub(segment.at)?;
        Some(segment.seq.wrapping_add(place as u32))
    }

    /// The connection that it belongs to, as its sender sees it.
    pub(super) fn connection(&self) -> Connection {
        let data = self.data();
        let address = |at: usize| {
            let octets = data.get(at..at + 4).and_then(|octets| octets.try_into().ok());
            Ipv4Addr::from(octets.unwrap_or([0; 4]))
        };
        let word = |at: usize| {
            let octets = data.get(at..at + 2).and_then(|octets| octets.try_into().ok());
            octets.map_or(0, u16::from_be_bytes)
        };
        let ported =
            !self.later_fragment && matches!(self.headers.protocol, 6 | 17 | 33 | 132 | 136);
        let transport = self.headers.transport;
        Connection {
            protocol: self.headers.protocol,
            source: address(self.headers.network + 12),
            destination: address(self.headers.network + 16),
            ports: ported.then(|| (word(transport), word(transport + 2))),
        }
    }
}

impl Segment {
    fn read(data: &[u8], headers: &Headers, end: usize, rules: &Rules) -> Option<Self> {
        let tcp = TcpHeader::read(data, headers.transport)?;
        let at = headers.transport + tcp.length;
        let length = if rules.lengths_wrap {
            // QEMU keeps the length in 16 bits; a header that is longer than the frame makes it
            // huge, and what is not there is never equal.
            usize::from(end.wrapping_sub(at) as u16)
        } else {
            end.saturating_sub(at)
        };
        Some(Self {
            seq: tcp.seq,
            ack: tcp.ack,
            flags: tcp.flags,
            seq_end: tcp.seq.wrapping_add(length as u32),
            at,
            length,
            done: 0,
            done_with: None,
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.seq == self.seq_end
    }
}

/// Where the IPv4 packet ends by its own length; at the frame's end when that can't be.
fn ip_end(data: &[u8], headers: &Headers) -> usize {
    let at = headers.network + 2;
    let length = data.get(at..at + 2).and_then(|octets| octets.try_into().ok());
    let end = headers.network + usize::from(length.map_or(0, u16::from_be_bytes));
    if (headers.transport..=data.len()).contains(&end) { end } else { data.len() }
}

/// Whether sequence number `a` comes after `b`, as RFC 9293 counts.
pub(super) const fn after(a: u32, b: u32) -> bool {
    a.wrapping_sub(b).cast_signed() > 0
}
