//! What a scenario and a carrier bring, on its way to the machine.

use bytes::{BufMut, Bytes, BytesMut};

use super::{
    super::{
        Carried, Carrier,
        far_end::{self, FarEnd, PortEnd},
        flight::Destination,
    },
    BuiltinWorld, Target,
};
use crate::{
    backend::{BackendError, lower},
    base::{ChardevId, Frame, NetdevId, PortId, Tag},
    machine::{ChardevState, Input},
    record::{DropReason, EventKind, Item, Place},
    scenario::Wiring,
};

impl<C: Carrier> BuiltinWorld<C> {
    pub(super) fn send(&mut self, port: &PortId, frame: &Frame, tag: Tag, chunk: Option<usize>) {
        match self.ports.get(port).cloned() {
            Some(Target::Guest(netdev)) => self.send_from_guest(&netdev, frame, tag),
            Some(Target::Host) => {
                self.flights.depart(frame, Some(tag));
                if let Err(reason) = self.carrier.send_from_host(port, frame) {
                    self.flights.refuse(frame, Some(tag));
                    self.drop_frame(Some(tag), Place::Port(port.clone()), reason);
                }
            }
            Some(Target::Chardev(chardev)) => {
                let Some(end) = self.connected_end(&chardev) else {
                    let place = Place::Port(port.clone());
                    return self.drop_frame(Some(tag), place, DropReason::ChardevClosed);
                };
                let bytes = far_end::encode(frame, end.wiring);
                self.write(&chardev, &bytes, Some(tag), chunk);
            }
            None => {
                let place = Place::Port(port.clone());
                self.drop_frame(Some(tag), place, DropReason::InterfaceGone);
            }
        }
    }

    /// A guest sends: past the machine under vhost, otherwise into it.
    fn send_from_guest(&mut self, netdev: &NetdevId, frame: &Frame, tag: Tag) {
        let tap = &self.taps[netdev];
        let process = self.owner(netdev.as_str());
        if process.dead {
            return self.drop_frame(Some(tag), process.place(), DropReason::MachineDead);
        }
        if tap.vhost {
            return match self.unsent.get_mut(netdev) {
                Some(unsent) => unsent.push((frame.clone(), tag)),
                None => self.leave_guest(netdev, frame, Some(tag)),
            };
        }
        let ((at, guest), tag) = (self.local(tap.guest.as_str()), Some(tag));
        let input = match lower::vnet_hdr_len(tap.nic) {
            0 => {
                let data = far_end::encode(frame, Wiring::default());
                Input::StreamBytes { netdev: guest, data, tag }
            }
            len => Input::NetdevFrame { netdev: guest, data: join(frame, len), tag },
        };
        self.queue.push_back((at, input));
    }

    pub(super) fn write(
        &mut self,
        chardev: &ChardevId,
        bytes: &Bytes,
        tag: Option<Tag>,
        chunk: Option<usize>,
    ) {
        let (at, chardev) = self.local::<ChardevId>(chardev.as_str());
        self.queue.extend(far_end::chunks(bytes, chunk).map(|data| {
            let chardev = chardev.clone();
            (at, Input::ChardevBytes { chardev, data, tag })
        }));
    }

    /// The far end of a chardev, when it is a port with a client.
    pub(super) fn connected_end(&self, chardev: &ChardevId) -> Option<&PortEnd> {
        match self.far_ends.get(chardev)? {
            FarEnd::Port(end) if end.connected => Some(end),
            _ => None,
        }
    }

    /// A scenario changes a chardev's far end.
    pub(super) fn far_end_changes(
        &mut self,
        port: &PortId,
        state: ChardevState,
    ) -> Result<(), BackendError> {
        let Some(Target::Chardev(chardev)) = self.ports.get(port).cloned() else {
            return Ok(());
        };
        let Some(FarEnd::Port(end)) = self.far_ends.get_mut(&chardev) else {
            return Ok(());
        };
        if !end.connected && state != ChardevState::Opened {
            return Ok(());
        }
        let mut read = Vec::new();
        let mut never_read = Vec::new();
        match state {
            ChardevState::Opened => end.open(),
            ChardevState::Closed => never_read = end.close(),
            ChardevState::HalfClosed | ChardevState::OwnLoop => {}
            ChardevState::Stalled => end.stall(),
            ChardevState::Resumed => read = end.resume(),
        }
        for (data, tag) in read {
            self.arrive(port.clone(), Item::Bytes(data), tag);
        }
        let before = self.seen.events.len();
        let (at, chardev) = self.local(chardev.as_str());
        self.feed(at, Input::Chardev { chardev, state })?;
        // A frame whose write broke half way has been reported by the machine itself.
        let broke = EventKind::Dropped(DropReason::OutdevBroke);
        let reported = &self.seen.events[before..];
        never_read.retain(|tag| {
            !reported.iter().any(|event| event.tag == Some(*tag) && event.kind == broke)
        });
        for tag in never_read {
            let place = Place::Port(port.clone());
            self.drop_frame(Some(tag), place, DropReason::NoReader);
        }
        Ok(())
    }

    /// A frame that the carrier brought.
    pub(super) fn take(&mut self, carried: Carried) {
        match carried {
            Carried::ToGuest { netdev, frame } => {
                let tag = self.flights.arrive(&frame.data, Destination::Guest(netdev.clone()));
                let tap = &self.taps[&netdev];
                let process = self.owner(netdev.as_str());
                if process.dead {
                    self.drop_frame(Some(tag), process.place(), DropReason::MachineDead);
                } else if tap.vhost {
                    let port = tap.guest_port.clone();
                    self.arrive(port, Item::Frame(frame), Some(tag));
                } else {
                    let data = join(&frame, lower::vnet_hdr_len(tap.nic));
                    let (at, netdev) = self.local(netdev.as_str());
                    let input = Input::NetdevFrame { netdev, data, tag: Some(tag) };
                    self.queue.push_back((at, input));
                }
            }
            Carried::ToHost { port, frame } => {
                let tag = self.flights.arrive(&frame.data, Destination::Host(port.clone()));
                self.arrive(port, Item::Frame(frame), Some(tag));
            }
            Carried::Captured { netdev, direction, frame } => {
                let (at, local) = self.local(netdev.as_str());
                let tag = Some(self.flights.arrive(&frame.data, Destination::Socket(netdev)));
                let input = Input::Captured { netdev: local, direction, frame, tag };
                self.queue.push_back((at, input));
            }
            Carried::Said(event) => self.seen.events.push(event),
        }
    }
}

/// Puts the virtio-net header in front of a frame; without one the bytes are shared.
fn join(frame: &Frame, vnet_hdr_len: usize) -> Bytes {
    if vnet_hdr_len == 0 {
        return frame.data.clone();
    }
    let mut data = BytesMut::with_capacity(vnet_hdr_len + frame.data.len());
    data.put_slice(&frame.vnet.to_bytes(vnet_hdr_len));
    data.put_slice(&frame.data);
    data.freeze()
}
