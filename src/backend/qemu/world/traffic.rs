//! What is sent into the world, and what comes out of it.

use bytes::Bytes;

use super::{QUIET_UNREAD, QemuWorld, Target, longest_command, round::Round, system};
use crate::{
    backend::{
        BackendError,
        builtin::{Carried, Carrier, Destination, chunks, encode},
        qemu::{chardev::FarEnd, stream::Stream},
    },
    base::{ChardevId, Frame, NetdevId, PortId, Tag},
    record::{Arrival, DropReason, Event, EventKind, Framing, Item, Place},
};

impl QemuWorld {
    /// QEMU no longer reads a TAP.
    pub(super) fn let_go(&mut self, netdev: &NetdevId) {
        self.carrier.take_back(netdev);
    }

    pub(super) fn take(&mut self, carried: Carried) {
        match carried {
            Carried::ToHost { port, frame } => {
                let data = frame.data.clone();
                self.arrive(port, Item::Frame(frame), &data);
            }
            Carried::ToGuest { netdev, frame } => {
                let tag = self
                    .flights
                    .arrive(&frame.data, Destination::Guest(netdev.clone()));
                self.inside.remove(&tag);
                let (place, reason) = if self.dead.is_some() {
                    (Place::Machine, DropReason::MachineDead)
                } else {
                    (Place::Netdev(netdev), DropReason::NoPeer)
                };
                self.drop_frame(Some(tag), place, reason);
            }
            // No packet socket is opened on a TAP here.
            Carried::Captured { .. } => {}
            Carried::Said(event) => self.seen.events.push(event),
        }
    }

    /// Something comes out; `data` is the frame in it.
    pub(super) fn arrive(&mut self, port: PortId, item: Item, data: &Bytes) {
        let tag =
            (item != Item::Eof).then(|| self.flights.arrive(data, Destination::Host(port.clone())));
        if let Some(tag) = tag {
            self.inside.remove(&tag);
        }
        self.seen.arrivals.push(Arrival {
            port,
            item,
            tag,
            at: self.clock,
        });
    }

    pub(super) fn say(&mut self, place: Place, kind: EventKind) {
        let tag = None;
        self.seen.events.push(Event { tag, place, kind });
    }

    pub(super) fn drop_frame(&mut self, tag: Option<Tag>, place: Place, reason: DropReason) {
        let kind = EventKind::Dropped(reason);
        self.seen.events.push(Event { tag, place, kind });
    }

    pub(super) fn send(
        &mut self,
        port: &PortId,
        frame: &Frame,
        tag: Tag,
        chunk: Option<usize>,
    ) -> Result<(), BackendError> {
        let refused = match self.ports.get(port).cloned() {
            Some(Target::Guest(_)) if self.dead.is_some() => {
                Some((Place::Machine, DropReason::MachineDead))
            }
            Some(Target::Guest(netdev)) => {
                self.depart(frame, tag);
                if let Some(tap) = self.taps.get_mut(&netdev) {
                    tap.wire.write(&encode(frame, Framing::Plain, 0));
                }
                None
            }
            Some(Target::Host) => {
                self.depart(frame, tag);
                self.carrier
                    .send_from_host(port, frame)
                    .err()
                    .map(|reason| {
                        self.flights.refuse(frame, Some(tag));
                        (Place::Port(port.clone()), reason)
                    })
            }
            Some(Target::Chardev(chardev)) => match self.ends.get(&chardev) {
                Some(end) if end.served().is_some() => {
                    let bytes = encode(frame, end.framing, end.vnet_hdr_len);
                    self.depart(frame, tag);
                    self.write(&chardev, &bytes, chunk)?;
                    None
                }
                _ => Some((Place::Port(port.clone()), DropReason::ChardevClosed)),
            },
            None => Some((Place::Port(port.clone()), DropReason::InterfaceGone)),
        };
        if let Some((place, reason)) = refused {
            self.inside.remove(&tag);
            self.drop_frame(Some(tag), place, reason);
        }
        Ok(())
    }

    /// A frame is on its way. QEMU pads what is shorter than 60 bytes to that (QEMU 7.2.22
    /// `net/tap.c`), and it is known by either form.
    fn depart(&mut self, frame: &Frame, tag: Tag) {
        const ETH_ZLEN: usize = 60;
        self.inside.insert(tag);
        if frame.data.len() < ETH_ZLEN {
            let mut padded = frame.data.to_vec();
            padded.resize(ETH_ZLEN, 0);
            self.flights.depart(&Frame::plain(padded), Some(tag));
        }
        self.flights.depart(frame, Some(tag));
    }

    /// Writes to a chardev. Each of several pieces is read before the next is written.
    pub(super) fn write(
        &mut self,
        chardev: &ChardevId,
        bytes: &Bytes,
        chunk: Option<usize>,
    ) -> Result<(), BackendError> {
        let within = longest_command();
        for data in chunks(bytes, chunk) {
            let unread = |world: &Self| {
                let end = world.ends.get(chardev).and_then(FarEnd::served);
                end.map_or(0, Stream::unread_by_peer)
            };
            let Some(stream) = self.ends.get_mut(chardev).and_then(FarEnd::stream) else {
                return Ok(());
            };
            stream.write(&data);
            let mut rounds = 0;
            while chunk.is_some() && unread(self) > 0 && rounds < QUIET_UNREAD {
                match self.round(&within)? {
                    Round::Answered(_) => rounds += 1,
                    Round::Frozen | Round::Dead | Round::Late => break,
                }
            }
        }
        Ok(())
    }

    /// The far end at a port.
    pub(super) fn end(&mut self, port: &PortId) -> Option<&mut FarEnd> {
        match self.ports.get(port)? {
            Target::Chardev(chardev) => self.ends.get_mut(chardev),
            Target::Guest(_) | Target::Host => None,
        }
    }

    pub(super) fn chardev_open(&mut self, port: &PortId) -> Result<(), BackendError> {
        if let Some(end) = self.end(port) {
            end.open().map_err(|error| system("connecting", error))?;
            // QEMU accepts it in this round, before anything is sent through it.
            let within = longest_command();
            self.round(&within)?;
        }
        Ok(())
    }
}
