//! The carrier over the kernel's own interfaces: TAPs, veths and bridges in namespaces of the case,
//! and the packet sockets that see every frame.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
    time::Instant,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use super::{
    reason::{drop_reason, ring_reason},
    source::{LinkPort, TapPort},
    topology::{InterfaceId, Topology, Vhost},
    worlds::{KeptWorld, Lease, WorldShape, Worlds},
};
use crate::{
    backend::{
        BackendError, Deadline, Exposed,
        builtin::{Carried, Carrier, vanishes},
    },
    base::{Frame, NetdevId, PortId},
    record::{DropReason, Event, EventKind, Place},
    scenario::{Case, LinkSet},
    sys::{FrameError, Isolated, PacketSocket},
};

/// The interfaces of a case, on real TAPs, links and bridges in namespaces of their own.
///
/// It belongs to the thread that opened it. The thread may open the next one when this is finished;
/// each begins in a fresh namespace.
///
/// # What the kernel does with frames
/// Measured on Linux 6.18, and held by `tests/netns_kernel`:
///
/// - *From the guest*: 14 bytes or more of any length (131,072 tried), whatever the MTU. Below 14:
///   EINVAL, even when the interface is down. A frame whose type is 0x8100 or 0x88a8 vanishes
///   without a word when it is shorter than 20 bytes, at a link's other end too; this is reported as
///   [`DropReason::TooShort`] here. Nothing is padded. The host's stack answers
///   only for its own addresses, before the write returns.
/// - *To the guest*, by a packet socket: at most MTU + 14 bytes, + 4 when the *outer* type is
///   0x8100 (not for 0x88a8), else EMSGSIZE; below 14 EINVAL; nothing is padded. While the interface
///   is down ENETDOWN comes before any look at the length.
/// - *A TAP's queue* holds 1,000 frames, less those that were read last: space is given back in
///   steps of 16 reads (`include/linux/ptr_ring.h`), so its room is `1000 - (reads % 1000) % 16`.
///   What finds no room is sent without an error, is seen by packet sockets as outgoing, and counts
///   as `tx_dropped`. Only this carrier's own sends learn it, as [`DropReason::TxQueueFull`].
/// - *Down*: a write gives EIO, a send ENETDOWN. What waits in the TAP's queue and in packet sockets
///   stays readable. Each packet socket has one ENETDOWN waiting, which the next receive *or send*
///   meets; it is taken here when the interface changes. Up again: everything works, no rebind.
/// - *Deleted*: a write and a read give EBADFD, what waited in the TAP's queue is lost; a packet
///   socket has one ENETDOWN, keeps what it had, and sends ENXIO for good.
/// - *MTU*: 68 to 65,521 for a TAP.
/// - *A link's end* takes what a TAP's packet socket takes. While the other end is down the kernel
///   takes it and drops it, which is reported as [`DropReason::InterfaceDown`] here; what is
///   longer than the other end's MTU + 18 bytes is ENOBUFS, reported as [`DropReason::TooLong`].
/// - *A bridge* floods to all and to strangers, learns by the source address at once, never sends a
///   frame back, and forwards what has at most MTU + 18 bytes, a tag not counted; it drops frames
///   whose source is a group or zero, and keeps those to 01:80:c2:00:00:01 and up to :0f for itself.
///   What a packet socket sends on a port goes out of that port and not through the bridge.
/// - *virtio-net headers*, from the guest to packet sockets: NEEDS_CSUM and the `csum_*` fields come
///   through; `gso_*` do when the frame is longer than `gso_size` and its headers, and `hdr_len` is
///   then the whole length below 4,032 bytes, else what the guest gave; all else comes out as zero.
///   Over a bridge and a link it travels on unchanged. Towards a guest everything is done in software
///   and the header is zero.
#[derive(Debug)]
pub struct NetnsCarrier {
    /// Declared first, so that the descriptors go before the namespaces.
    taps: Vec<TapPort>,
    links: Vec<LinkPort>,
    topology: Topology,
    /// What has been read before it was asked for, and what is to be said.
    early: Vec<Carried>,
    /// Frames that may have come to each TAP's queue since the queues were last read.
    queued: usize,
    /// An estimate of the buffer that unread frames take in a packet socket.
    in_flight: usize,
    /// Bytes of receive buffer that every packet socket has.
    buffer: usize,
    /// Where the world goes when it may be used again.
    lease: Option<Lease>,
}

impl NetnsCarrier {
    /// A world for a case: one of this shape that was used before, else a fresh one. The calling thread
    /// is moved there.
    ///
    /// # Errors
    /// As [`NetnsCarrier::open`].
    pub(super) fn open_among(
        worlds: &Arc<Worlds>,
        isolated: &Isolated,
        case: &Case,
        vhost: Vhost,
    ) -> Result<Self, BackendError> {
        // vhost-net's rings are not at rest again.
        let Some(shape) = WorldShape::of(case).filter(|_| vhost == Vhost::Modelled) else {
            return Self::open_with(isolated, case, vhost);
        };
        if let Some(world) = worlds.take(&shape) {
            return Ok(Self::again(worlds, shape, world));
        }
        let mut carrier = match Self::open(isolated, case) {
            // What is kept may be what there is none left of.
            Err(BackendError::System { .. }) if worlds.forget() => Self::open(isolated, case)?,
            opened => opened?,
        };
        let fresh = carrier.topology.hold();
        let fresh = fresh.map_err(|source| BackendError::System {
            what: "what is told of a fresh namespace".to_owned(),
            source,
        })?;
        carrier.lease = Some(Lease::new(worlds, shape, fresh));
        Ok(carrier)
    }

    fn again(worlds: &Arc<Worlds>, shape: WorldShape, world: KeptWorld) -> Self {
        let KeptWorld { taps, topology, fresh } = world;
        let buffer = taps.iter().map(TapPort::buffer).min().unwrap_or(usize::MAX);
        Self {
            taps,
            links: Vec::new(),
            topology,
            early: Vec::new(),
            queued: 0,
            in_flight: 0,
            buffer,
            lease: Some(Lease::again(worlds, shape, fresh)),
        }
    }

    /// Moves the calling thread to a fresh network namespace and builds the case's interfaces in
    /// it: all up, links and bridges ready, nothing on its way.
    ///
    /// # Errors
    /// [`BackendError::Unavailable`] when no TAP can be made here, [`BackendError::Case`] for names
    /// and addresses that the kernel would not take, [`BackendError::System`] for what it refused.
    pub fn open(isolated: &Isolated, case: &Case) -> Result<Self, BackendError> {
        Self::open_with(isolated, case, Vhost::Modelled)
    }

    /// As [`NetnsCarrier::open`]; the TAPs of netdevs with `vhost: true` are served by the kernel's vhost-net
    /// where that is wanted.
    ///
    /// # Errors
    /// As [`NetnsCarrier::open`], and when there is no vhost-net.
    pub fn open_with(isolated: &Isolated, case: &Case, vhost: Vhost) -> Result<Self, BackendError> {
        let (topology, built) = Topology::build(isolated, case, vhost)?;
        let mut taps = Vec::new();
        for tap in built {
            taps.push(TapPort::open(&topology, tap)?);
        }
        let mut links = Vec::new();
        for end in case.links.iter().flat_map(|link| &link.ends) {
            links.push(LinkPort::open(&topology, &end.port)?);
        }
        let granted = taps.iter().map(TapPort::buffer).chain(links.iter().map(LinkPort::buffer));
        let buffer = granted.min().unwrap_or(usize::MAX);
        let mut carrier = Self {
            taps,
            links,
            topology,
            early: Vec::new(),
            queued: 0,
            in_flight: 0,
            buffer,
            lease: None,
        };
        // IPv6 addresses have been announced to multicast routers, and were so before the kernel
        // said that the addresses are there.
        let failed = |source| BackendError::System { what: "the first look".to_owned(), source };
        carrier.drain(&mut Vec::new()).map_err(failed)?;
        Ok(carrier)
    }

    /// Before a frame is sent: empties the packet sockets when they might overflow. Without
    /// privileges on the host their buffers can't be made large enough for a burst.
    fn make_room(&mut self, frame: &Frame) -> Result<(), DropReason> {
        let length = frame.data.len();
        // Over a bridge each frame may come to each queue, a super-frame as its segments.
        let segments = match frame.vnet.gso_type {
            0 => 1,
            _ => 1 + length / usize::from(frame.vnet.gso_size.max(1)),
        };
        self.queued = self.queued.saturating_add(segments);
        // A frame of 60 bytes takes 703 bytes of the buffer, one of 1,514 takes 2,173, one of 9,000
        // takes 12,529 (measured on Linux 6.18); a TAP rounds what the guest sends up.
        self.in_flight = self.in_flight.saturating_add(1024 + length * 2);
        if self.in_flight > self.buffer / 4 {
            let mut early = std::mem::take(&mut self.early);
            let read = self.read_sockets(&mut early);
            self.early = early;
            self.in_flight = 0;
            read.map_err(|error| self.odd(&error))?;
        }
        Ok(())
    }

    /// Notes that the world will not be as it was.
    fn change_for_good(&mut self) {
        self.taps.iter_mut().for_each(TapPort::forget_resting);
        if let Some(lease) = &mut self.lease {
            lease.change();
        }
    }

    /// Whether nothing waits anywhere.
    fn is_empty(&mut self) -> bool {
        let mut left = Vec::new();
        self.drain(&mut left).is_ok() && left.is_empty()
    }

    fn read_sockets(&mut self, arrived: &mut Vec<Carried>) -> io::Result<()> {
        for tap in &mut self.taps {
            tap.read_sockets(arrived)?;
        }
        for link in &mut self.links {
            link.read(arrived)?;
        }
        Ok(())
    }

    /// The reason of a refused frame; an error that is no event of the network is also logged.
    fn reason(&mut self, error: &FrameError, length: usize) -> DropReason {
        drop_reason(error, length).unwrap_or_else(|| self.odd(error))
    }

    fn odd(&mut self, error: &dyn std::error::Error) -> DropReason {
        let kind = EventKind::Notice(format!("the kernel failed: {error}"));
        self.early.push(Carried::Said(Event { tag: None, place: Place::Machine, kind }));
        DropReason::InterfaceGone
    }

    /// Sends through the ring of a TAP that vhost-net serves. The ring says no more than that a frame was
    /// taken: why it went nowhere is known from the frame, the interface and its counter.
    fn send_in_ring(&mut self, at: usize, frame: &Frame) -> Result<(), DropReason> {
        let id = self.taps[at].interface();
        let may_be_refused = !frame.vnet.is_zero();
        let received = |topology: &mut Topology| {
            if may_be_refused { topology.received(id) } else { Ok(0) }
        };
        let before = received(&mut self.topology).map_err(|error| self.odd(&error))?;
        let sent = self.taps[at].send_in_ring(frame).map_err(|error| self.odd(&error))?;
        let after = received(&mut self.topology).map_err(|error| self.odd(&error))?;
        if self.topology.is_gone(id) {
            return Err(DropReason::InterfaceGone);
        }
        let is_refused = may_be_refused && after == before;
        let is_up = self.topology.carries(id);
        ring_reason(sent, frame.data.len(), is_up, is_refused).map_or(Ok(()), Err)
    }

    /// Sends to a TAP's guest, and asks the kernel about the queue when it is nearly full.
    fn send_to_guest(
        &mut self,
        at: usize,
        send: impl FnOnce(&mut TapPort) -> Result<(), FrameError>,
        frame: &Frame,
    ) -> Result<(), DropReason> {
        self.make_room(frame)?;
        let (length, queued) = (frame.data.len(), self.queued);
        let Some(tap) = self.taps.get_mut(at) else {
            return Err(DropReason::InterfaceGone);
        };
        if let Err(error) = send(tap) {
            return Err(self.reason(&error, length));
        }
        if TapPort::surely_takes(queued) {
            return Ok(());
        }
        // How much room there is depends on how much has been read since the queue was made.
        if let Some(lease) = &mut self.lease {
            lease.doubt();
        }
        // Several when a bridge sent to the queue as well; all but this frame are reported with the
        // next look.
        let reported = tap.say_drops(&mut self.early, &mut self.topology);
        match reported {
            Ok(0) => Ok(()),
            Ok(_) => {
                self.early.pop();
                Err(DropReason::TxQueueFull)
            }
            Err(error) => Err(self.odd(&error)),
        }
    }

    fn tap(&self, netdev: &NetdevId) -> Option<usize> {
        self.taps.iter().position(|tap| tap.netdev() == netdev)
    }

    /// Takes the errors that a change left at the sockets of an interface, so that no later frame
    /// meets them.
    fn take_errors(&mut self, id: InterfaceId) -> io::Result<()> {
        for tap in self.taps.iter_mut().filter(|tap| tap.interface() == id) {
            tap.take_errors(&mut self.early)?;
        }
        for link in self.links.iter().filter(|link| link.interface() == id) {
            link.take_error()?;
        }
        Ok(())
    }

    /// Gives a descriptor of a TAP to another process, which reads what is for the guest and writes
    /// what comes from it; this carrier no longer reads it.
    ///
    /// # Errors
    /// When there is no such TAP, or no descriptor left.
    pub fn hand_over(&mut self, netdev: &NetdevId) -> io::Result<OwnedFd> {
        self.change_for_good();
        match self.tap(netdev) {
            Some(at) => self.taps[at].hand_over(),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// The other process has let go of the TAP: what is for the guest is read here again.
    pub fn take_back(&mut self, netdev: &NetdevId) {
        if let Some(at) = self.tap(netdev) {
            self.taps[at].take_back();
        }
    }

    /// What can be polled for frames that arrive.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let taps = self.taps.iter().flat_map(TapPort::descriptors);
        taps.chain(self.links.iter().map(AsFd::as_fd))
    }
}

impl Carrier for NetnsCarrier {
    fn send_from_guest(&mut self, netdev: &NetdevId, frame: &Frame) -> Result<(), DropReason> {
        let at = self.tap(netdev).ok_or(DropReason::InterfaceGone)?;
        if !self.taps[at].is_served() {
            return self.send_from_machine(netdev, frame);
        }
        self.make_room(frame)?;
        self.send_in_ring(at, frame)?;
        if vanishes(&frame.data) { Err(DropReason::TooShort) } else { Ok(()) }
    }

    fn send_from_machine(&mut self, netdev: &NetdevId, frame: &Frame) -> Result<(), DropReason> {
        let length = frame.data.len();
        self.make_room(frame)?;
        let at = self.tap(netdev).ok_or(DropReason::InterfaceGone)?;
        self.taps[at].write(frame).map_err(|error| self.reason(&error, length))?;
        if vanishes(&frame.data) { Err(DropReason::TooShort) } else { Ok(()) }
    }

    fn send_from_host(&mut self, port: &PortId, frame: &Frame) -> Result<(), DropReason> {
        let length = frame.data.len();
        if let Some(at) = self.taps.iter().position(|tap| tap.host_port() == port) {
            return self.send_to_guest(at, |tap| tap.send_as_host(frame), frame);
        }
        self.make_room(frame)?;
        let at = self.links.iter().position(|link| link.port() == port);
        let link = &self.links[at.ok_or(DropReason::InterfaceGone)?];
        let id = link.interface();
        if let Err(error) = link.send(frame) {
            let too_long = length > self.topology.longest_at_peer(id);
            return Err(match error {
                FrameError::QueueFull if too_long => DropReason::TooLong,
                error => self.reason(&error, length),
            });
        }
        // The kernel takes what it then drops when the other end is down.
        if !self.topology.carries(id) {
            Err(DropReason::InterfaceDown)
        } else if vanishes(&frame.data) {
            Err(DropReason::TooShort)
        } else {
            Ok(())
        }
    }

    fn inject(&mut self, netdev: &NetdevId, frame: &Frame) -> Result<(), DropReason> {
        let at = self.tap(netdev).ok_or(DropReason::InterfaceGone)?;
        self.send_to_guest(at, |tap| tap.inject(frame), frame)
    }

    fn capture(&mut self, netdev: &NetdevId, on: bool) -> io::Result<()> {
        let Some(at) = self.tap(netdev) else {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("no TAP {netdev}")));
        };
        if !on {
            // Whether they had been read early depends on the buffers that this system grants.
            let place = Place::Tap(netdev.clone());
            self.early.retain(|carried| !is_capture(carried, &place));
        }
        let rests = self.lease.as_ref().is_some_and(Lease::may_end_well);
        self.taps[at].capture(on, rests, &self.topology, &mut self.early)
    }

    fn hold(&mut self, netdev: &NetdevId, on: bool) {
        if let Some(at) = self.tap(netdev)
            && let Err(error) = self.taps[at].hold(on)
        {
            self.odd(&error);
        }
    }

    fn drain(&mut self, arrived: &mut Vec<Carried>) -> io::Result<()> {
        arrived.append(&mut self.early);
        self.in_flight = 0;
        if !self.taps.iter().any(TapPort::is_held) {
            self.queued = 0;
        }
        for tap in &mut self.taps {
            tap.read_queue(arrived, &mut self.topology)?;
        }
        self.read_sockets(arrived)
    }

    fn wait(&mut self, deadline: &Deadline) -> io::Result<bool> {
        if !self.early.is_empty() {
            return Ok(true);
        }
        let mut waiting: Vec<PollFd<'_>> = self
            .descriptors()
            .chain(deadline.alarm())
            .map(|fd| PollFd::new(fd, PollFlags::POLLIN))
            .collect();
        let timeout = deadline.time().map_or(PollTimeout::NONE, |until| {
            let left = until.saturating_duration_since(Instant::now());
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        });
        match poll(&mut waiting, timeout) {
            // A signal is something that may have arrived.
            Ok(_) | Err(Errno::EINTR) => Ok(true),
            Err(errno) => Err(errno.into()),
        }
    }

    fn link_set(&mut self, change: &LinkSet) -> io::Result<()> {
        self.change_for_good();
        let id = self.topology.of_port(&change.port)?;
        // What came before the change is kept apart from what the change itself causes.
        let mut early = Vec::new();
        self.drain(&mut early)?;
        let changed = self.topology.change(id, change);
        self.take_errors(id)?;
        let mut caused = Vec::new();
        self.drain(&mut caused)?;
        early.extend(caused.into_iter().filter(|carried| !is_multicast_report(carried)));
        self.early = early;
        changed
    }

    fn link_del(&mut self, port: &PortId) -> io::Result<()> {
        self.change_for_good();
        let id = self.topology.of_port(port)?;
        // The counters go with the interface.
        for tap in self.taps.iter_mut().filter(|tap| tap.interface() == id) {
            tap.say_drops(&mut self.early, &mut self.topology)?;
        }
        for gone in self.topology.delete(id)? {
            self.take_errors(gone)?;
        }
        self.taps.iter_mut().filter(|tap| tap.interface() == id).for_each(TapPort::lose_interface);
        Ok(())
    }

    fn expose(&mut self) -> io::Result<Exposed> {
        self.change_for_good();
        self.topology.expose()
    }

    fn is_in_doubt(&self) -> bool {
        self.lease.as_ref().is_some_and(Lease::is_in_doubt)
    }

    fn finish(&mut self) -> Vec<String> {
        let mut errors: Vec<String> = self.taps.iter().flat_map(TapPort::losses).collect();
        errors.extend(self.links.iter().filter_map(LinkPort::loss));
        let lease = self.lease.take().filter(Lease::may_end_well);
        if let Some(lease) = lease
            && errors.is_empty()
            && self.is_empty()
        {
            lease.give_back(std::mem::take(&mut self.taps), self.topology.take());
            return errors;
        }
        let taps = self.taps.drain(..).flat_map(TapPort::into_sockets);
        let links = self.links.drain(..).map(LinkPort::into_socket);
        PacketSocket::close_soon(taps.chain(links));
        errors.extend(self.topology.finish());
        errors
    }
}

/// Whether this is what the machine's socket on a TAP read.
fn is_capture(carried: &Carried, at: &Place) -> bool {
    match carried {
        Carried::Captured { netdev, .. } => *at == Place::Tap(netdev.clone()),
        Carried::Said(event) => {
            event.place == *at && event.kind == EventKind::Dropped(DropReason::Truncated)
        }
        Carried::ToGuest { .. } | Carried::ToHost { .. } => false,
    }
}

/// Whether this is a multicast listener report or done of MLDv1 (RFC 2710): IPv6 with a hop-by-hop
/// header of 8 bytes, then ICMPv6 of type 131 or 132. The host sends it because an address came or
/// went, and no setting keeps it from it.
fn is_multicast_report(carried: &Carried) -> bool {
    let (Carried::ToGuest { frame, .. }
    | Carried::ToHost { frame, .. }
    | Carried::Captured { frame, .. }) = carried
    else {
        return false;
    };
    let at = |range: std::ops::Range<usize>| frame.data.get(range);
    at(12..14) == Some(&[0x86, 0xdd])
        && at(20..21) == Some(&[0])
        && at(54..56) == Some(&[58, 0])
        && matches!(at(62..63), Some([131 | 132]))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::is_multicast_report;
    use crate::{backend::builtin::Carried, base::Frame};

    /// As captured on Linux 6.18, up to the ICMPv6 header.
    fn report(kind: u8, next: u8) -> Vec<u8> {
        let ethernet = [0x33, 0x33, 0xff, 0, 0, 1, 0x02, 0, 0, 0, 0, 1, 0x86, 0xdd];
        let ip = [0x60, 0, 0, 0, 0, 32, next, 1];
        let hop_by_hop = [58, 0, 5, 2, 0, 0, 1, 0];
        [&ethernet[..], &ip, &[0; 32], &hop_by_hop, &[kind, 0]].concat()
    }

    #[rstest]
    #[case::report(report(131, 0), true)]
    #[case::done(report(132, 0), true)]
    #[case::query(report(130, 0), false)]
    #[case::no_hop_by_hop(report(131, 58), false)]
    #[case::cut_off(report(131, 0)[..62].to_vec(), false)]
    #[case::empty(Vec::new(), false)]
    fn reports(#[case] data: Vec<u8>, #[case] expected: bool) {
        let carried = Carried::ToGuest { netdev: "hn0".into(), frame: Frame::plain(data) };
        assert_eq!(is_multicast_report(&carried), expected);
    }
}
