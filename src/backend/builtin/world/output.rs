//! What a machine does, carried out.

use bytes::Bytes;

use super::{
    super::{
        Carrier,
        far_end::{FarEnd, PortEnd},
    },
    BuiltinWorld, Target,
};
use crate::{
    backend::{BackendError, lower},
    base::{ChardevId, Frame, NetdevId, PortId, Tag, VnetHdr},
    machine::{Input, Output},
    record::{Answer, DropReason, Event, EventKind, Item, Place, SentFrame},
};

impl<C: Carrier> BuiltinWorld<C> {
    /// Shows the files again in which something was overwritten since the last time.
    pub(super) fn show_files(&mut self) {
        let files = self.files.iter_mut();
        let again: Vec<(PortId, Bytes)> =
            files.filter_map(|(port, file)| Some((port.clone(), file.again()?))).collect();
        for (port, content) in again {
            self.arrive(port, Item::Bytes(content), None);
        }
    }

    pub(super) fn carry_out(&mut self, at: usize, output: Output) -> Result<(), BackendError> {
        self.storm.follow(&output);
        match output {
            Output::NetdevFrame { netdev, data, tag } => self.frame_out(&netdev, data, tag),
            Output::Inject { netdev, object, frame, tag } => {
                self.flights.inject(&frame, tag, &netdev);
                if let Err(reason) = self.carrier.inject(&netdev, &frame) {
                    self.flights.refuse(&frame, tag);
                    let (at, netdev) = self.local(netdev.as_str());
                    let (_, object) = self.local(object.as_str());
                    let input = Input::InjectFailed { netdev, object, reason, tag };
                    self.queue.push_back((at, input));
                }
            }
            Output::Capture { netdev, on } => {
                super::open_packet_socket(&mut self.carrier, &netdev, on)?;
            }
            Output::ChardevBytes { chardev, data, tag } => self.bytes_out(&chardev, data, tag),
            Output::FileBytes { file, at, data, tag } => {
                let port = PortId::from(file);
                let file = self.files.entry(port.clone()).or_default();
                if let Some(added) = file.write(at, data) {
                    self.arrive(port, Item::Bytes(added), tag);
                }
            }
            Output::ChardevClosed { chardev } => self.chardev_closed(at, &chardev),
            Output::ChardevExists { chardev, exists } => self.chardev_exists(chardev, exists),
            Output::StreamClosed { netdev } => {
                if let Some(tap) = self.guests.get(&netdev) {
                    let port = self.taps[tap].guest_port.clone();
                    self.arrive(port, Item::Eof, None);
                }
            }
            Output::NetdevGone { netdev } => {
                if let Some(tap) = self.taps.get(&netdev) {
                    let port = tap.guest_port.clone();
                    self.arrive(port, Item::Eof, None);
                }
            }
            Output::Announce { netdev, data } => {
                if let Some(tap) = self.guests.get(&netdev) {
                    let (port, tag) = (self.taps[tap].guest_port.clone(), self.traffic.number());
                    let frame = Frame::plain(data.clone());
                    self.seen.sent.push(SentFrame { tag, port, frame, source: None });
                    let (at, netdev) = self.local(netdev.as_str());
                    self.queue.push_back((at, Input::Announce { netdev, data, tag: Some(tag) }));
                }
            }
            Output::AnnounceGuest { netdev } => {
                if let Some(tap) = self.guests.get(&netdev) {
                    self.traffic.announce(&self.taps[tap].guest_port);
                }
            }
            Output::Answer { id, outcome } => {
                if let Some(title) = self.commands.remove(&id) {
                    let answer = Answer { command: title.text, subject: title.subject, outcome };
                    if let Some((_, late)) = self.answered.replace((id, answer)) {
                        self.seen.answers.push(late);
                    }
                }
            }
            Output::Event(event) => {
                if let EventKind::Crash(_) = event.kind {
                    self.processes[at].dead = true;
                }
                self.seen.events.push(event);
            }
        }
        Ok(())
    }

    /// A frame leaves the machine: to a guest, or through a TAP to the host.
    fn frame_out(&mut self, netdev: &NetdevId, data: Bytes, tag: Option<Tag>) {
        if let Some(tap) = self.guests.get(netdev) {
            let tap = &self.taps[tap];
            let (port, frame) = (tap.guest_port.clone(), split(data, lower::vnet_hdr_len(tap.nic)));
            self.arrive(port, Item::Frame(frame), tag);
        } else if let Some(tap) = self.taps.get(netdev) {
            let frame = split(data, lower::vnet_hdr_len(tap.nic));
            self.leave_by(C::send_from_machine, netdev, &frame, tag);
        } else {
            self.drop_frame(tag, Place::Netdev(netdev.clone()), DropReason::HostConsumed);
        }
    }

    /// A frame goes through a TAP to the host.
    pub(super) fn leave_guest(&mut self, netdev: &NetdevId, frame: &Frame, tag: Option<Tag>) {
        self.leave_by(C::send_from_guest, netdev, frame, tag);
    }

    /// A frame leaves by way of a TAP's descriptor, or of vhost-net.
    fn leave_by(
        &mut self,
        send: fn(&mut C, &NetdevId, &Frame) -> Result<(), DropReason>,
        netdev: &NetdevId,
        frame: &Frame,
        tag: Option<Tag>,
    ) {
        self.flights.depart(frame, tag);
        if let Err(reason) = send(&mut self.carrier, netdev, frame) {
            self.flights.refuse(frame, tag);
            self.drop_frame(tag, Place::Tap(netdev.clone()), reason);
        }
    }

    fn bytes_out(&mut self, chardev: &ChardevId, data: Bytes, tag: Option<Tag>) {
        match self.far_ends.get_mut(chardev) {
            Some(FarEnd::Port(end)) => {
                if let Some(data) = end.take(data, tag) {
                    let port = end.port.clone();
                    self.arrive(port, Item::Bytes(data), tag);
                }
            }
            Some(FarEnd::Joined(end)) => match end.peer.clone() {
                Some(chardev) => {
                    let (at, chardev) = self.local(chardev.as_str());
                    self.queue.push_back((at, Input::ChardevBytes { chardev, data, tag }));
                }
                None if end.lose(tag) => {
                    let place = Place::Chardev(chardev.clone());
                    self.drop_frame(tag, place, DropReason::ChardevClosed);
                }
                None => {}
            },
            Some(FarEnd::Nobody) | None => {}
        }
    }

    /// The machine closed its end. What had been written before is read to its end first.
    fn chardev_closed(&mut self, at: usize, chardev: &ChardevId) {
        match self.far_ends.get_mut(chardev) {
            Some(FarEnd::Port(end)) if end.connected => {
                let (port, unread) = (end.port.clone(), end.resume());
                end.close();
                // A machine that dies closes its listener too.
                let turned_away = match self.processes[at].dead {
                    true => end.turn_away(),
                    false => 0,
                };
                for (data, tag) in unread {
                    self.arrive(port.clone(), Item::Bytes(data), tag);
                }
                self.ends(&port, 1 + turned_away);
            }
            Some(FarEnd::Joined(_)) => self.socket_closed(chardev),
            _ => {}
        }
    }

    /// This many connections at a port end.
    fn ends(&mut self, port: &PortId, connections: usize) {
        (0..connections).for_each(|_| self.arrive(port.clone(), Item::Eof, None));
    }

    /// A chardev that a command made has a port of its own name, unless an interface has it.
    fn chardev_exists(&mut self, chardev: ChardevId, exists: bool) {
        if !exists {
            // A client that still waits for a turn is turned away with the listener.
            if let Some(FarEnd::Port(mut end)) = self.far_ends.remove(&chardev) {
                let turned_away = end.turn_away();
                self.ends(&end.port, turned_away);
            }
            return self.socket_removed(&chardev);
        }
        let socket = self.added.remove(&chardev);
        if let Some(socket) = &socket {
            self.sockets.insert(chardev.clone(), socket.clone());
        }
        if let Some(socket) = socket.filter(|_| self.joined.contains(&chardev)) {
            return self.socket_added(chardev, &socket);
        }
        let port = PortId::from(chardev.as_str());
        let target = Target::Chardev(chardev.clone());
        let far_end = if *self.ports.entry(port.clone()).or_insert(target.clone()) == target {
            // Nobody is there yet.
            let wiring = self.added_chardevs.get(&chardev).copied().unwrap_or_default();
            FarEnd::Port(PortEnd::new(port, false, wiring))
        } else {
            FarEnd::Nobody
        };
        self.far_ends.entry(chardev).or_insert(far_end);
    }

    pub(super) fn drop_frame(&mut self, tag: Option<Tag>, place: Place, reason: DropReason) {
        self.seen.events.push(Event { tag, place, kind: EventKind::Dropped(reason) });
    }
}

/// Cuts the virtio-net header off the front of a frame.
fn split(mut data: Bytes, vnet_hdr_len: usize) -> Frame {
    let header = data.split_to(vnet_hdr_len.min(data.len()));
    Frame { vnet: VnetHdr::from_bytes(&header), data }
}
