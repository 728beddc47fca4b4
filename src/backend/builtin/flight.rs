//! Finds the number of a frame again when it comes out of a carrier. `BuiltinWorld` reports each
//! departure and asks at each arrival; the QEMU world does the same with its TAPs.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;

use crate::{
    base::{Frame, NetdevId, Origin, PortId, Tag, VnetHdr},
    frame::complete_checksum,
};

/// `VIRTIO_NET_HDR_F_NEEDS_CSUM` (virtio 1.2, section 5.1.6).
const NEEDS_CSUM: u8 = 1;

/// Where a carrier can bring a frame.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Destination {
    Guest(NetdevId),
    Host(PortId),
    Socket(NetdevId),
    /// It has come already.
    Nowhere,
}

/// The numbers of the frames that are on their way through a carrier.
///
/// The kernel does not carry our numbers, so a frame that arrives is found again by its bytes: at
/// each destination the first arrival of these bytes is the first that was sent, and so on. A frame
/// that nobody sent was made by the host's stack.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    sent: HashMap<Bytes, Flight>,
    /// The TAPs in whose queues frames still waited when everything else had landed.
    held: BTreeSet<NetdevId>,
    host_frames: u32,
}

#[derive(Debug, Default)]
struct Flight {
    /// Each with the only place where it can come, where there is only one.
    tags: Vec<(Tag, Option<Destination>)>,
    arrived: BTreeMap<Destination, usize>,
    /// So many are on their way to TAPs that are held alone.
    landed: usize,
}

impl Flights {
    /// A frame was given to the carrier.
    pub(crate) fn depart(&mut self, frame: &Frame, tag: Option<Tag>) {
        self.depart_for(frame, tag, None);
    }

    /// A frame was sent on a packet socket: it comes to the guest of that TAP, and nowhere else.
    pub(crate) fn inject(&mut self, frame: &Frame, tag: Option<Tag>, netdev: &NetdevId) {
        self.depart_for(frame, tag, Some(Destination::Guest(netdev.clone())));
    }

    fn depart_for(&mut self, frame: &Frame, tag: Option<Tag>, only: Option<Destination>) {
        let Some(tag) = tag else { return };
        for data in seen_as(frame) {
            self.sent.entry(data).or_default().tags.push((tag, only.clone()));
        }
    }

    /// The carrier refused the frame that was given last.
    pub(crate) fn refuse(&mut self, frame: &Frame, tag: Option<Tag>) {
        if tag.is_none() {
            return;
        }
        for data in seen_as(frame) {
            if let Some(flight) = self.sent.get_mut(&data) {
                flight.tags.pop();
            }
        }
    }

    /// The number of a frame that arrived.
    pub(crate) fn arrive(&mut self, data: &Bytes, at: Destination) -> Tag {
        let flight = self.sent.entry(data.clone()).or_default();
        let waited = matches!(&at, Destination::Guest(netdev) if self.held.contains(netdev));
        // Of equal frames that may have waited there, those that can't have come elsewhere come first.
        let injected = |(_, only): &&mut (Tag, Option<Destination>)| only.as_ref() == Some(&at);
        if waited && let Some((tag, only)) = flight.tags.iter_mut().find(injected) {
            *only = Some(Destination::Nowhere);
            return *tag;
        }
        let next = flight.arrived.entry(at.clone()).or_default();
        if !waited {
            *next = flight.landed.max(*next);
        }
        let comes = |only: &Option<Destination>| only.as_ref().is_none_or(|only| *only == at);
        while flight.tags.get(*next).is_some_and(|(_, only)| !comes(only)) {
            *next += 1;
        }
        let found = flight.tags.get(*next).map(|(tag, _)| *tag);
        *next += 1;
        found.unwrap_or_else(|| {
            self.host_frames += 1;
            let tag = Tag(Origin::Host(self.host_frames));
            flight.tags.push((tag, None));
            tag
        })
    }

    /// Nothing is on its way any more, but for what waits in the queues of these TAPs.
    pub(crate) fn land(&mut self, held: impl Iterator<Item = NetdevId>) {
        self.held = held.collect();
        if self.held.is_empty() {
            self.sent.clear();
        }
        for flight in self.sent.values_mut() {
            flight.landed = flight.tags.len();
        }
    }
}

/// The bytes as which a frame may arrive: as it is, and with the checksum that its virtio-net
/// header leaves to the device, where a reader takes none without.
fn seen_as(frame: &Frame) -> Vec<Bytes> {
    let mut seen = vec![frame.data.clone()];
    if frame.vnet.flags & NEEDS_CSUM != 0 {
        let mut data = frame.data.to_vec();
        let VnetHdr { csum_start, csum_offset, .. } = frame.vnet;
        if complete_checksum(&mut data, csum_start, csum_offset) && data != frame.data {
            seen.push(data.into());
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_frames_keep_their_order_at_each_destination() {
        let mut flights = Flights::default();
        let data = Bytes::from_static(b"same");
        let frame = Frame::plain(data.clone());
        flights.depart(&frame, Some(Tag::sent(1)));
        flights.depart(&frame, Some(Tag::sent(2)));
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
    fn a_frame_is_known_with_the_checksum_that_was_left_to_the_device() {
        let mut flights = Flights::default();
        let mut frame = Frame::plain(Bytes::from_static(&[1; 60]));
        frame.vnet.flags = NEEDS_CSUM;
        frame.vnet.csum_start = 34;
        frame.vnet.csum_offset = 6;
        let mut data = frame.data.to_vec();
        assert!(complete_checksum(&mut data, 34, 6));
        flights.depart(&frame, Some(Tag::sent(1)));
        let guest = Destination::Guest("hn0".into());
        assert_eq!(flights.arrive(&data.into(), guest), Tag::sent(1));
        let socket = Destination::Socket("hn0".into());
        assert_eq!(flights.arrive(&frame.data, socket), Tag::sent(1));
    }

    /// What waits in a queue that nobody reads keeps its number, and what comes after it elsewhere has
    /// its own.
    #[test]
    fn a_frame_that_waits_does_not_give_its_number_to_the_next() {
        let mut flights = Flights::default();
        let data = Bytes::from_static(b"same");
        let frame = Frame::plain(data.clone());
        let (held, host) = ("hn0".into(), Destination::Host("hn1.host".into()));
        flights.depart(&frame, Some(Tag::sent(1)));
        flights.land(std::iter::once(held));
        flights.depart(&frame, Some(Tag::sent(2)));
        assert_eq!(flights.arrive(&data, host), Tag::sent(2));
        flights.land(std::iter::once("hn0".into()));
        assert_eq!(flights.arrive(&data, Destination::Guest("hn0".into())), Tag::sent(1));
    }

    #[test]
    fn what_was_injected_comes_to_one_guest_only() {
        let mut flights = Flights::default();
        let data = Bytes::from_static(b"same");
        let frame = Frame::plain(data.clone());
        let guest = |netdev: &str| Destination::Guest(netdev.into());
        flights.inject(&frame, Some(Tag::sent(1)), &"hn0".into());
        flights.depart(&frame, Some(Tag::sent(2)));
        assert_eq!(flights.arrive(&data, guest("hn1")), Tag::sent(2));
        assert_eq!(flights.arrive(&data, guest("hn0")), Tag::sent(1));
        assert_eq!(flights.arrive(&data, guest("hn0")), Tag::sent(2));
    }

    /// An equal frame went elsewhere while the queue was not read.
    #[test]
    fn what_was_injected_comes_before_what_may_have_waited() {
        let mut flights = Flights::default();
        let data = Bytes::from_static(b"same");
        let frame = Frame::plain(data.clone());
        let guest = Destination::Guest("hn0".into());
        flights.depart(&frame, Some(Tag::sent(1)));
        assert_eq!(flights.arrive(&data, Destination::Host("hn1.host".into())), Tag::sent(1));
        flights.land(std::iter::once("hn0".into()));
        flights.inject(&frame, Some(Tag::sent(2)), &"hn0".into());
        assert_eq!(flights.arrive(&data, guest.clone()), Tag::sent(2));
        assert_eq!(flights.arrive(&data, guest), Tag::sent(1));
    }

    #[test]
    fn a_refused_frame_is_not_expected() {
        let mut flights = Flights::default();
        let data = Bytes::from_static(b"too long");
        let frame = Frame::plain(data.clone());
        flights.depart(&frame, Some(Tag::sent(1)));
        flights.refuse(&frame, Some(Tag::sent(1)));
        let tag = flights.arrive(&data, Destination::Host("hn0.host".into()));
        assert_eq!(tag, Tag(Origin::Host(1)));
    }
}
