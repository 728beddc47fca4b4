//! What is sent into the world, and what comes out of it.

use bytes::Bytes;
use nix::sys::signal::Signal;

use super::{QemuWorld, Target, longest_command, system};
use crate::{
    backend::{
        BackendError,
        builtin::{Carried, Carrier, Destination, chunks, encode},
        qemu::{chardev::FarEnd, machine::Machine},
    },
    base::{ChardevId, Frame, NetdevId, PortId, Tag},
    record::{Arrival, DropReason, Event, EventKind, Item, Place},
    scenario::Wiring,
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
                let tag = self.flights.arrive(&frame.data, Destination::Guest(netdev.clone()));
                self.inside.remove(&tag);
                let machine = &self.machines[self.machine_of(netdev.as_str())];
                let (place, reason) = if machine.is_dead() {
                    (machine.place(), DropReason::MachineDead)
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
        self.flood.count(&port, data.len());
        self.seen.arrivals.push(Arrival { port, item, tag, at: self.clock });
    }

    pub(super) fn say(&mut self, place: Place, kind: EventKind) {
        let tag = None;
        self.seen.events.push(Event { tag, place, kind });
    }

    pub(super) fn drop_frame(&mut self, tag: Option<Tag>, place: Place, reason: DropReason) {
        let kind = EventKind::Dropped(reason);
        self.seen.events.push(Event { tag, place, kind });
    }

    /// Sends a frame. QEMU finds the frames of a burst together, once the world settles: what it does
    /// with the first one must not depend on how soon the second is sent. Those to a guest's port or a
    /// chardev are written in one piece, and while a host sends, the QEMUs are stopped.
    pub(super) fn send(
        &mut self,
        port: &PortId,
        frame: &Frame,
        tag: Tag,
        chunk: Option<usize>,
    ) -> Result<(), BackendError> {
        let at = self.machine_of(port.as_str());
        let refused = match self.ports.get(port).cloned() {
            Some(Target::Guest(_)) if self.machines[at].is_dead() => {
                Some((self.machines[at].place(), DropReason::MachineDead))
            }
            Some(Target::Guest(netdev)) => {
                self.depart(frame, tag);
                if let Some(tap) = self.machines[at].taps.get_mut(&netdev) {
                    tap.wire.put(&encode(frame, Wiring::default()));
                }
                None
            }
            Some(Target::Host) => {
                self.hold()?;
                self.depart(frame, tag);
                self.carrier.send_from_host(port, frame).err().map(|reason| {
                    self.flights.refuse(frame, Some(tag));
                    (Place::Port(port.clone()), reason)
                })
            }
            Some(Target::Chardev(chardev)) => match self.machines[at].ends.get(&chardev) {
                Some(end) if end.served().is_some() => {
                    let bytes = encode(frame, end.wiring);
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

    /// Stops the QEMUs, which rest, until [`QemuWorld::release`].
    fn hold(&mut self) -> Result<(), BackendError> {
        if !std::mem::replace(&mut self.held, true) {
            self.signal_qemus(Signal::SIGSTOP)?;
        }
        Ok(())
    }

    pub(super) fn release(&mut self) -> Result<(), BackendError> {
        if std::mem::take(&mut self.held) {
            self.signal_qemus(Signal::SIGCONT)?;
        }
        Ok(())
    }

    fn signal_qemus(&self, signal: Signal) -> Result<(), BackendError> {
        let mut machines = self.machines.iter();
        machines
            .try_for_each(|machine| machine.signal(signal))
            .map_err(|error| system("signalling QEMU", error))
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

    /// Writes to a chardev once the world settles. Each of several pieces is read before the next is
    /// written.
    pub(super) fn write(
        &mut self,
        chardev: &ChardevId,
        bytes: &Bytes,
        chunk: Option<usize>,
    ) -> Result<(), BackendError> {
        let within = longest_command();
        for data in chunks(bytes, chunk) {
            if let Some(stream) = self.end_of(chardev).and_then(FarEnd::stream) {
                stream.put(&data);
            }
            if chunk.is_some() {
                self.quiesce_until(&within, |world| world.has_read(chardev))?;
            }
        }
        Ok(())
    }

    /// Whether QEMU has read all that was written to a chardev.
    fn has_read(&mut self, chardev: &ChardevId) -> bool {
        let stream = self.end_of(chardev).and_then(FarEnd::stream);
        stream.is_none_or(|stream| stream.unread_by_peer() == 0)
    }

    /// Whether somebody is connected at a chardev's far end.
    pub(super) fn is_served(&self, chardev: &ChardevId) -> bool {
        let mut ends = self.machines.iter();
        let end = ends.find_map(|machine| machine.ends.get(chardev));
        end.is_some_and(|end| end.served().is_some())
    }

    /// The far end at a port.
    pub(super) fn end(&mut self, port: &PortId) -> Option<&mut FarEnd> {
        match self.ports.get(port)?.clone() {
            Target::Chardev(chardev) => self.end_of(&chardev),
            Target::Guest(_) | Target::Host => None,
        }
    }

    fn end_of(&mut self, chardev: &ChardevId) -> Option<&mut FarEnd> {
        let mut machines = self.machines.iter_mut();
        machines.find_map(|machine| machine.ends.get_mut(chardev))
    }

    /// The machine that something belongs to, by its id.
    pub(super) fn machine_of(&self, qualified: &str) -> usize {
        let mut machines = self.machines.iter();
        let owns = |machine: &Machine| machine.id.local(qualified).is_some();
        machines.position(owns).unwrap_or_default()
    }

    pub(super) fn chardev_open(&mut self, port: &PortId) -> Result<(), BackendError> {
        if self.machines[self.machine_of(port.as_str())].is_dead() {
            return Ok(());
        }
        if let Some(end) = self.end(port) {
            end.open().map_err(|error| system("connecting", error))?;
            // QEMU accepts it before anything is sent through it.
            self.quiesce(&longest_command())?;
        }
        Ok(())
    }
}
