use std::collections::{BTreeMap, HashMap, VecDeque};

use bytes::Bytes;

use crate::{
    base::{Frame, NetdevId, Origin, PortId, Tag},
    frame::complete_checksum,
};

/// `VIRTIO_NET_HDR_F_NEEDS_CSUM`.
const NEEDS_CSUM: u8 = 1;

/// Where a carrier can bring a frame.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Destination {
    Guest(NetdevId),
    Host(PortId),
    Socket(NetdevId),
}

/// Which numbers the frames have that are on their way through a carrier.
///
/// The kernel does not carry our numbers, so a frame that arrives is found again by its bytes: at
/// each destination the first arrival of these bytes is the first that was sent, and so on. A frame
/// that nobody sent was made by the host's stack.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    sent: HashMap<Bytes, Flight>,
    /// Frames whose checksum the kernel fills in before a guest reads them: their bytes then.
    finished: HashMap<Bytes, VecDeque<Tag>>,
    host_frames: u32,
}

#[derive(Debug, Default)]
struct Flight {
    tags: Vec<Tag>,
    arrived: BTreeMap<Destination, usize>,
}

impl Flights {
    /// A frame was given to the carrier.
    pub(crate) fn depart(&mut self, data: &Bytes, tag: Option<Tag>) {
        if let Some(tag) = tag {
            self.sent.entry(data.clone()).or_default().tags.push(tag);
        }
    }

    /// A frame was given to the carrier on its way to a TAP, where a checksum that the sender left
    /// to the device is filled in (Linux 6.18 `drivers/net/tun.c`, `tun_put_user`, of a TAP without
    /// offloads).
    pub(crate) fn depart_to_tap(&mut self, frame: &Frame, tag: Option<Tag>) {
        self.depart(&frame.data, tag);
        let vnet = &frame.vnet;
        if let Some(tag) = tag.filter(|_| vnet.flags & NEEDS_CSUM != 0) {
            let mut data = frame.data.to_vec();
            if complete_checksum(&mut data, vnet.csum_start, vnet.csum_offset) {
                self.finished.entry(data.into()).or_default().push_back(tag);
            }
        }
    }

    /// The carrier refused the frame that was given last.
    pub(crate) fn refuse(&mut self, data: &Bytes, tag: Option<Tag>) {
        for tags in self.finished.values_mut() {
            tags.retain(|finished| Some(*finished) != tag);
        }
        if tag.is_some()
            && let Some(flight) = self.sent.get_mut(data)
        {
            flight.tags.pop();
        }
    }

    /// The number of a frame that arrived.
    pub(crate) fn arrive(&mut self, data: &Bytes, at: Destination) -> Tag {
        let finished = match &at {
            Destination::Guest(_) => self.finished.get_mut(data),
            Destination::Host(_) | Destination::Socket(_) => None,
        };
        let flight = self.sent.entry(data.clone()).or_default();
        let next = flight.arrived.entry(at).or_default();
        if let (None, Some(tag)) = (
            flight.tags.get(*next),
            finished.and_then(VecDeque::pop_front),
        ) {
            return tag;
        }
        let tag = flight.tags.get(*next).copied().unwrap_or_else(|| {
            self.host_frames += 1;
            let tag = Tag(Origin::Host(self.host_frames));
            flight.tags.push(tag);
            tag
        });
        *next += 1;
        tag
    }

    /// Nothing is on its way any more.
    pub(crate) fn land(&mut self) {
        self.sent.clear();
        self.finished.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::VnetHdr;

    #[test]
    fn equal_frames_keep_their_order_at_each_destination() {
        let mut flights = Flights::default();
        let data = Bytes::from_static(b"same");
        flights.depart(&data, Some(Tag::sent(1)));
        flights.depart(&data, Some(Tag::sent(2)));
        let host = Destination::Host("hn0.host".into());
        let socket = Destination::Socket("hn0".into());
        assert_eq!(flights.arrive(&data, host.clone()), Tag::sent(1));
        assert_eq!(flights.arrive(&data, socket), Tag::sent(1));
        assert_eq!(flights.arrive(&data, host), Tag::sent(2));
    }

    #[test]
    fn a_frame_nobody_sent_is_the_hosts_wherever_it_is_seen() {
        let mut flights = Flights::default();
        let data = Bytes::from_static(b"arp reply");
        let guest = flights.arrive(&data, Destination::Guest("hn0".into()));
        let socket = flights.arrive(&data, Destination::Socket("hn0".into()));
        assert_eq!(guest, Tag(Origin::Host(1)));
        assert_eq!(guest, socket);
    }

    #[test]
    fn a_guest_reads_the_checksum_that_was_left_to_the_device() {
        let mut flights = Flights::default();
        let frame = Frame {
            vnet: VnetHdr {
                flags: NEEDS_CSUM,
                csum_start: 14,
                csum_offset: 0,
                ..VnetHdr::default()
            },
            data: Bytes::from_static(b"ethernet hdr..\x00\x00\x12\x34"),
        };
        let finished = Bytes::from_static(b"ethernet hdr..\xed\xcb\x12\x34");
        flights.depart_to_tap(&frame, Some(Tag::sent(1)));
        flights.depart_to_tap(&frame, Some(Tag::sent(2)));
        flights.refuse(&frame.data, Some(Tag::sent(2)));
        let guest = || Destination::Guest("hn0".into());
        let socket = Destination::Socket("hn0".into());
        assert_eq!(flights.arrive(&frame.data, socket), Tag::sent(1));
        assert_eq!(flights.arrive(&finished, guest()), Tag::sent(1));
        assert_eq!(flights.arrive(&finished, guest()), Tag(Origin::Host(1)));
    }

    #[test]
    fn a_refused_frame_is_not_expected() {
        let mut flights = Flights::default();
        let data = Bytes::from_static(b"too long");
        flights.depart(&data, Some(Tag::sent(1)));
        flights.refuse(&data, Some(Tag::sent(1)));
        let tag = flights.arrive(&data, Destination::Host("hn0.host".into()));
        assert_eq!(tag, Tag(Origin::Host(1)));
    }
}
