//! The descriptors that frames go into and come out of: a TAP with its two packet sockets, and the
//! end of a link. The carrier drains them.

use std::{
    cell::RefCell,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use bytes::Bytes;
use nix::errno::Errno;

use super::{
    served::{Sent, Served},
    topology::{BuiltTap, InterfaceId, Topology},
};
use crate::{
    backend::{BackendError, builtin::Carried},
    base::{Direction, Frame, NetdevId, PortId, VnetHdr},
    record::{DropReason, Event, EventKind, Place},
    sys::{FrameError, InterfaceIndex, PacketOptions, PacketSocket, PacketType, Received, Tap},
};

/// Receive buffer that packet sockets ask for, in bytes; the kernel doubles it.
const BUFFER: usize = 8 << 20;

/// Frames that surely fit into a TAP's queue; see [`super::NetnsCarrier`].
const SURELY_QUEUED: usize = 1000 - 15;

/// The largest frame that a packet socket can send to a guest, with room to spare.
const LARGEST: usize = 66_000;

/// A TAP: its queue to the guest, the recorder of what the host gets, and the machine's socket.
#[derive(Debug)]
pub(super) struct TapPort {
    netdev: NetdevId,
    host_port: PortId,
    interface: InterfaceId,
    /// The kernel's vhost-net, where it reads and writes the TAP in place of this port.
    served: Option<Served>,
    tap: Tap,
    recorder: PacketSocket,
    machine: Option<PacketSocket>,
    /// A machine's socket that rests: the next capture takes it.
    resting: Option<PacketSocket>,
    buffer: usize,
    /// Drops of the queue that have been reported.
    drops: u64,
    deleted: bool,
    /// What is for the guest stays in the queue.
    held: bool,
    /// Another process reads the descriptor.
    handed_over: bool,
}

thread_local! {
    /// Where frames for a guest are read to.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl TapPort {
    pub(super) fn open(
        topology: &Topology,
        BuiltTap { netdev, tap, interface, served }: BuiltTap,
    ) -> Result<Self, BackendError> {
        let served = served.map(|header| Served::new(&tap, header)).transpose();
        let served = served.map_err(|error| BackendError::System {
            what: format!("vhost-net for {netdev}"),
            source: io::Error::other(error),
        })?;
        let recorder = open_socket(topology, interface, true)?;
        Ok(Self {
            host_port: PortId::host(&netdev),
            netdev,
            interface,
            served,
            tap,
            buffer: recorder.receive_buffer().unwrap_or(0),
            recorder,
            machine: None,
            resting: None,
            drops: 0,
            deleted: false,
            held: false,
            handed_over: false,
        })
    }

    pub(super) fn netdev(&self) -> &NetdevId {
        &self.netdev
    }

    pub(super) fn host_port(&self) -> &PortId {
        &self.host_port
    }

    pub(super) fn interface(&self) -> InterfaceId {
        self.interface
    }

    pub(super) fn buffer(&self) -> usize {
        self.buffer
    }

    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let frames = self.served.as_ref().map_or(self.tap.as_fd(), Served::received);
        let tap = self.is_read().then_some(frames);
        let machine = self.machine.as_ref().map(AsFd::as_fd);
        [tap, machine, Some(self.recorder.as_fd())].into_iter().flatten()
    }

    /// A second descriptor of the TAP, for a reader that is not this one.
    pub(super) fn hand_over(&mut self) -> io::Result<OwnedFd> {
        let fd = self.tap.as_fd().try_clone_to_owned()?;
        self.handed_over = true;
        Ok(fd)
    }

    pub(super) fn take_back(&mut self) {
        self.handed_over = false;
    }

    /// Leaves what is for the guest in the queue, or reads it again.
    ///
    /// # Errors
    /// When vhost-net can't be stopped or started.
    pub(super) fn hold(&mut self, on: bool) -> io::Result<()> {
        if let Some(served) = self.served.as_mut().filter(|_| self.held != on && !self.deleted) {
            let done = if on { served.stop() } else { served.start(&self.tap) };
            done.map_err(io::Error::other)?;
        }
        self.held = on;
        Ok(())
    }

    /// Whether the kernel's vhost-net serves this TAP.
    pub(super) const fn is_served(&self) -> bool {
        self.served.is_some()
    }

    /// The interface was deleted.
    pub(super) fn lose_interface(&mut self) {
        if self.served.is_some() {
            self.deleted = true;
        }
    }

    /// Sends as the guest through vhost-net's ring, where vhost-net serves this TAP.
    pub(super) fn send_in_ring(&mut self, frame: &Frame) -> io::Result<Sent> {
        self.served.as_mut().map_or(Ok(Sent::Behind), |served| served.send(frame))
    }

    pub(super) const fn is_held(&self) -> bool {
        self.held
    }

    /// Whether what is for the guest is read here.
    const fn is_read(&self) -> bool {
        !self.deleted && !self.handed_over && !self.held
    }

    pub(super) fn write(&self, frame: &Frame) -> Result<(), FrameError> {
        self.tap.write(&frame.vnet.to_bytes(self.tap.header().len()), &frame.data)
    }

    pub(super) fn send_as_host(&mut self, frame: &Frame) -> Result<(), FrameError> {
        send(&self.recorder, frame)
    }

    pub(super) fn inject(&mut self, frame: &Frame) -> Result<(), FrameError> {
        self.machine.as_ref().map_or(Err(FrameError::Gone), |machine| send(machine, frame))
    }

    /// Whether a queue certainly has room after this many frames since it was last read.
    pub(super) const fn surely_takes(queued: usize) -> bool {
        queued <= SURELY_QUEUED
    }

    /// Says how many frames the queue dropped since that was last said.
    pub(super) fn say_drops(
        &mut self,
        arrived: &mut Vec<Carried>,
        topology: &mut Topology,
    ) -> io::Result<u64> {
        let drops = topology.transmit_drops(self.interface)?;
        let new = drops.saturating_sub(self.drops);
        self.drops = self.drops.max(drops);
        let place = Place::Tap(self.netdev.clone());
        for _ in 0..new {
            arrived.push(dropped(place.clone(), DropReason::TxQueueFull));
        }
        Ok(new)
    }

    /// The machine's socket captures from now on, or no longer. One that is no longer needed rests where
    /// that is wanted, else it is closed.
    pub(super) fn capture(
        &mut self,
        on: bool,
        rests: bool,
        topology: &Topology,
        arrived: &mut Vec<Carried>,
    ) -> io::Result<()> {
        if !on {
            if let Some(machine) = &self.machine {
                say_overflow(machine, &Place::Tap(self.netdev.clone()), arrived)?;
            }
            if rests {
                self.rest();
            }
            self.machine = None;
        } else if self.machine.is_none() {
            match self.machine_socket(topology) {
                Ok(machine) => {
                    // An interface that is down says so at once.
                    let waiting = machine.take_error()?;
                    let place = Place::Tap(self.netdev.clone());
                    arrived.extend(waiting.map(|error| socket_error(place, &error)));
                    self.machine = Some(machine);
                }
                Err(error) if is_gone(&error) => arrived.push(notice(
                    Place::Tap(self.netdev.clone()),
                    "packet socket: the interface is gone (ENODEV)",
                )),
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(())
    }

    /// The one that rests, or a new one.
    fn machine_socket(&mut self, topology: &Topology) -> Result<PacketSocket, BackendError> {
        match self.resting.take() {
            Some(machine) if machine.wake().is_ok() => Ok(machine),
            _ => open_socket(topology, self.interface, false),
        }
    }

    /// The machine's socket, if there is one, is as if it were closed, until something captures again.
    /// One that can't rest is closed.
    pub(super) fn rest(&mut self) {
        let rested = |mut machine: PacketSocket| machine.rest().is_ok().then_some(machine);
        self.resting = self.machine.take().and_then(rested).or(self.resting.take());
    }

    /// Closes the machine's socket that rests.
    pub(super) fn forget_resting(&mut self) {
        self.resting = None;
    }

    /// What the kernel tells of the machine's socket that rests.
    pub(super) fn told_at_rest(&self, index: u32) -> io::Result<Option<String>> {
        self.resting.as_ref().map(|machine| machine.told_at_rest(index)).transpose()
    }

    /// Takes what waits for the guest.
    pub(super) fn read_queue(
        &mut self,
        arrived: &mut Vec<Carried>,
        topology: &mut Topology,
    ) -> io::Result<()> {
        let read = if self.served.is_some() {
            self.read_ring(arrived)?
        } else {
            let mut header = [0; VnetHdr::LONG];
            let header = &mut header[..self.tap.header().len()];
            SCRATCH.with_borrow_mut(|scratch| {
                scratch.resize(LARGEST, 0);
                self.read_frames(header, scratch, arrived)
            })?
        };
        if read >= SURELY_QUEUED {
            self.say_drops(arrived, topology)?;
        }
        Ok(())
    }

    fn read_ring(&mut self, arrived: &mut Vec<Carried>) -> io::Result<usize> {
        let mut read = 0;
        let Some(served) = self.served.as_mut().filter(|_| !self.held) else {
            return Ok(read);
        };
        while let Some(frame) = served.receive()? {
            arrived.push(Carried::ToGuest { netdev: self.netdev.clone(), frame });
            read += 1;
        }
        Ok(read)
    }

    fn read_frames(
        &mut self,
        header: &mut [u8],
        scratch: &mut [u8],
        arrived: &mut Vec<Carried>,
    ) -> io::Result<usize> {
        let mut read = 0;
        while self.is_read() {
            match self.tap.read(header, scratch) {
                Ok(Some(length)) => {
                    let data = Bytes::copy_from_slice(&scratch[..length]);
                    let frame = Frame { vnet: VnetHdr::from_bytes(header), data };
                    arrived.push(Carried::ToGuest { netdev: self.netdev.clone(), frame });
                    read += 1;
                }
                Ok(None) => break,
                Err(FrameError::Gone) => self.deleted = true,
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(read)
    }

    /// Takes what the machine's socket captured and what the host's stack received.
    pub(super) fn read_sockets(&mut self, arrived: &mut Vec<Carried>) -> io::Result<()> {
        let Self { netdev, host_port, machine, recorder, .. } = self;
        if let Some(machine) = machine {
            let place = Place::Tap(netdev.clone());
            read_socket(machine, &place, arrived, |received, frame| {
                let outgoing = received == PacketType::Outgoing;
                let direction = if outgoing { Direction::Tx } else { Direction::Rx };
                Carried::Captured { netdev: netdev.clone(), direction, frame }
            })?;
        }
        let place = Place::Port(host_port.clone());
        read_socket(recorder, &place, arrived, |_, frame| Carried::ToHost {
            port: host_port.clone(),
            frame,
        })
    }

    /// Whether the TAP is as it was when it was opened, but for the position in its queue: nobody else
    /// reads it, and all of its drops, which are so many, have been reported.
    pub(super) const fn is_at_rest(&self, drops: u64) -> bool {
        self.is_read() && self.machine.is_none() && self.drops == drops
    }

    /// The packet sockets. The TAP's descriptor is closed, which waits for nothing.
    pub(super) fn into_sockets(self) -> impl Iterator<Item = PacketSocket> {
        [Some(self.recorder), self.machine, self.resting].into_iter().flatten()
    }

    pub(super) fn take_errors(&mut self, said: &mut Vec<Carried>) -> io::Result<()> {
        self.recorder.take_error()?;
        let waiting = self.machine.as_ref().map_or(Ok(None), PacketSocket::take_error)?;
        said.extend(waiting.map(|error| socket_error(Place::Tap(self.netdev.clone()), &error)));
        Ok(())
    }

    /// What the packet sockets lost since they last said so.
    pub(super) fn losses(&self) -> impl Iterator<Item = String> + use<> {
        let recorder = lost(&self.recorder, self.host_port.as_str());
        let machine = self.machine.as_ref();
        let machine = machine.and_then(|socket| lost(socket, self.netdev.as_str()));
        recorder.into_iter().chain(machine)
    }
}

#[derive(Debug)]
pub(super) struct LinkPort {
    port: PortId,
    interface: InterfaceId,
    socket: PacketSocket,
}

impl LinkPort {
    pub(super) fn open(topology: &Topology, port: &PortId) -> Result<Self, BackendError> {
        let interface = topology
            .of_port(port)
            .map_err(|source| BackendError::System { what: "a link's end".to_owned(), source })?;
        let socket = open_socket(topology, interface, true)?;
        Ok(Self { port: port.clone(), interface, socket })
    }

    pub(super) fn port(&self) -> &PortId {
        &self.port
    }

    pub(super) fn interface(&self) -> InterfaceId {
        self.interface
    }

    pub(super) fn buffer(&self) -> usize {
        self.socket.receive_buffer().unwrap_or(0)
    }

    pub(super) fn send(&self, frame: &Frame) -> Result<(), FrameError> {
        send(&self.socket, frame)
    }

    pub(super) fn read(&mut self, arrived: &mut Vec<Carried>) -> io::Result<()> {
        let port = &self.port;
        read_socket(&mut self.socket, &Place::Port(port.clone()), arrived, |_, frame| {
            Carried::ToHost { port: port.clone(), frame }
        })
    }

    pub(super) fn take_error(&self) -> io::Result<()> {
        self.socket.take_error().map(drop)
    }

    /// What the packet socket lost since it last said so.
    pub(super) fn loss(&self) -> Option<String> {
        lost(&self.socket, self.port.as_str())
    }

    pub(super) fn into_socket(self) -> PacketSocket {
        self.socket
    }
}

impl AsFd for LinkPort {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A socket in the interface's namespace. The machine's sees both directions; a recorder only what
/// the interface receives.
fn open_socket(
    topology: &Topology,
    interface: InterfaceId,
    recorder: bool,
) -> Result<PacketSocket, BackendError> {
    let options =
        PacketOptions { vnet_hdr: true, ignore_outgoing: recorder, receive_buffer: BUFFER };
    let index = InterfaceIndex::told(topology.number(interface));
    let opened =
        topology.inside(interface, |isolated, _| PacketSocket::open(isolated, index, options))?;
    opened.map_err(|source| BackendError::System { what: "a packet socket".to_owned(), source })
}

fn send(socket: &PacketSocket, frame: &Frame) -> Result<(), FrameError> {
    let header = frame.vnet.to_bytes(PacketSocket::VNET_HDR_LEN);
    let mut vnet = [0; PacketSocket::VNET_HDR_LEN];
    vnet.copy_from_slice(&header);
    socket.send(&vnet, &frame.data)
}

fn read_socket(
    socket: &mut PacketSocket,
    place: &Place,
    arrived: &mut Vec<Carried>,
    carried: impl Fn(PacketType, Frame) -> Carried,
) -> io::Result<()> {
    let mut read = false;
    loop {
        match socket.recv() {
            Ok(Some(received)) => {
                read = true;
                if received.truncated {
                    arrived.push(dropped(place.clone(), DropReason::Truncated));
                } else {
                    arrived.push(carried(received.packet_type, frame_of(received)));
                }
            }
            Ok(None) => break,
            Err(error @ FrameError::Down) => {
                if matches!(place, Place::Tap(_)) {
                    arrived.push(socket_error(place.clone(), &error));
                }
            }
            Err(error) => return Err(io::Error::other(error)),
        }
    }
    // Where nothing waits, nothing was lost for want of room.
    if read { say_overflow(socket, place, arrived) } else { Ok(()) }
}

/// The frame as it was on the wire. The kernel's offsets are those of the frame without the tag
/// that has been put back.
fn frame_of(received: Received) -> Frame {
    let vnet = received.vnet.map_or_else(VnetHdr::default, |bytes| VnetHdr::from_bytes(&bytes));
    let vnet = if received.vlan.is_some() { vnet.behind_tag() } else { vnet };
    Frame { vnet, data: received.data.into() }
}

fn say_overflow(
    socket: &PacketSocket,
    place: &Place,
    arrived: &mut Vec<Carried>,
) -> io::Result<()> {
    for _ in 0..socket.statistics()?.drops {
        arrived.push(dropped(place.clone(), DropReason::SocketOverflow));
    }
    Ok(())
}

fn dropped(place: Place, reason: DropReason) -> Carried {
    Carried::Said(Event { tag: None, place, kind: EventKind::Dropped(reason) })
}

fn socket_error(place: Place, error: &FrameError) -> Carried {
    notice(place, format!("packet socket: {error} (ENETDOWN)"))
}

fn notice(place: Place, text: impl Into<String>) -> Carried {
    Carried::Said(Event { tag: None, place, kind: EventKind::Notice(text.into()) })
}

/// Whether there was no interface to open a socket on.
fn is_gone(error: &BackendError) -> bool {
    let BackendError::System { source, .. } = error else {
        return false;
    };
    matches!(source.raw_os_error().map(Errno::from_raw), Some(Errno::ENODEV | Errno::ENXIO))
}

/// Losses that nobody will ask for any more, since no later frame reported them.
fn lost(socket: &PacketSocket, name: &str) -> Option<String> {
    match socket.statistics() {
        Ok(counters) if counters.drops == 0 => None,
        Ok(counters) => Some(format!(
            "{name}: the packet socket's buffer overflowed by {} frames",
            counters.drops
        )),
        Err(error) => Some(format!("{name}: the packet socket's counters can't be read: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::frame_of;
    use crate::{
        base::VnetHdr,
        sys::{PacketSocket, PacketType, Received, Status, VlanTag},
    };

    const TAG: VlanTag = VlanTag { tpid: 0x8100, tci: 100 };

    /// The header that the frame has for one that the kernel wrote.
    fn shown(kernel: VnetHdr, vlan: Option<VlanTag>) -> VnetHdr {
        let bytes = kernel.to_bytes(PacketSocket::VNET_HDR_LEN);
        let received = Received {
            data: vec![0; 64],
            vnet: Some(bytes.try_into().expect("ten bytes")),
            packet_type: PacketType::OtherHost,
            vlan,
            status: Status::default(),
            truncated: false,
        };
        frame_of(received).vnet
    }

    #[rstest]
    #[case::nothing_asked(0, 0, Some(TAG), 34, 54)]
    #[case::untagged(1, 1, None, 34, 54)]
    #[case::checksum(1, 0, Some(TAG), 38, 54)]
    #[case::super_frame(1, 1, Some(TAG), 38, 58)]
    fn offsets_count_the_tag_that_was_put_back(
        #[case] flags: u8,
        #[case] gso_type: u8,
        #[case] vlan: Option<VlanTag>,
        #[case] csum_start: u16,
        #[case] hdr_len: u16,
    ) {
        let kernel = VnetHdr { flags, gso_type, csum_start: 34, hdr_len: 54, ..VnetHdr::default() };
        let frame = shown(kernel, vlan);
        assert_eq!((frame.csum_start, frame.hdr_len), (csum_start, hdr_len));
    }

    #[test]
    fn a_length_that_wraps_in_the_kernel_s_field_wraps_here() {
        let kernel = VnetHdr { gso_type: 1, hdr_len: 0xfffe, ..VnetHdr::default() };
        assert_eq!(shown(kernel, Some(TAG)).hdr_len, 2);
    }
}
