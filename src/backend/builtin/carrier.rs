//! What carries frames between a built-in machine's TAPs and the rest of the network: the trait
//! that `sim` implements in memory and `netns` with the kernel. `BuiltinWorld` is generic over it.

use std::io;

use crate::{
    backend::{Deadline, Exposed},
    base::{Direction, Frame, NetdevId, PortId},
    record::{DropReason, Event},
    scenario::LinkSet,
};

/// The interfaces of a case, real or modelled: TAPs, links and bridges, and nothing above them.
///
/// A carrier is built for a case and has, for each TAP: its queue towards the guest (what a read of
/// the TAP's descriptor gives), a recorder of what the host's stack receives on it, and, from
/// [`Carrier::capture`] on, the machine's packet socket.
pub trait Carrier {
    /// The guest's side of a TAP sends: a write to its descriptor.
    ///
    /// # Errors
    /// The reason when the frame went nowhere.
    fn send_from_guest(&mut self, netdev: &NetdevId, frame: &Frame) -> Result<(), DropReason>;

    /// The machine itself writes to a TAP's descriptor, past a vhost-net that serves the guest: what it
    /// announces.
    ///
    /// # Errors
    /// The reason when the frame went nowhere.
    fn send_from_machine(&mut self, netdev: &NetdevId, frame: &Frame) -> Result<(), DropReason> {
        self.send_from_guest(netdev, frame)
    }

    /// The host's side sends: at `ID.host` what the stack would send on the TAP, at a link's end
    /// what an application would send there.
    ///
    /// # Errors
    /// The reason when the frame went nowhere.
    fn send_from_host(&mut self, port: &PortId, frame: &Frame) -> Result<(), DropReason>;

    /// The machine's packet socket on a TAP sends, with the frame's virtio-net header
    /// (`PACKET_VNET_HDR`).
    ///
    /// # Errors
    /// The reason when the frame went nowhere.
    fn inject(&mut self, netdev: &NetdevId, frame: &Frame) -> Result<(), DropReason>;

    /// Opens or closes the machine's packet socket on a TAP. What it had not yet read is lost.
    ///
    /// # Errors
    /// When the socket can't be opened.
    fn capture(&mut self, netdev: &NetdevId, on: bool) -> io::Result<()>;

    /// Stops reading what a TAP has for its guest, or reads on: until then it waits in the TAP's
    /// queue, as while nobody reads the descriptor.
    fn hold(&mut self, netdev: &NetdevId, on: bool);

    /// Takes everything that has arrived, each source in its own order, without waiting.
    ///
    /// # Errors
    /// When a source failed in a way that is no event of the network.
    fn drain(&mut self, arrived: &mut Vec<Carried>) -> io::Result<()>;

    /// Waits until something has arrived, or the deadline; whether anything still can.
    ///
    /// # Errors
    /// When there is no waiting.
    fn wait(&mut self, deadline: &Deadline) -> io::Result<bool>;

    /// Changes an interface, and waits until the kernel has carried the change out.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn link_set(&mut self, change: &LinkSet) -> io::Result<()>;

    /// Deletes the interface of a host port or a link's end.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn link_del(&mut self, port: &PortId) -> io::Result<()>;

    /// Gives interfaces the names of their ports, for people who look from outside.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn expose(&mut self) -> io::Result<Exposed> {
        Ok(Exposed::default())
    }

    /// Whether what came out may depend on what happened to the interfaces before the case.
    fn is_in_doubt(&self) -> bool {
        false
    }

    /// Takes everything down and returns what failed; a failure stops nothing.
    fn finish(&mut self) -> Vec<String>;
}

#[derive(Debug)]
pub enum Carried {
    /// A frame for the guest, read from a TAP.
    ToGuest { netdev: NetdevId, frame: Frame },
    /// A frame that the host's stack received on a TAP, or that arrived at a link's end.
    ToHost {
        /// The host port or link end.
        port: PortId,
        frame: Frame,
    },
    /// A copy from the machine's packet socket on a TAP.
    Captured {
        netdev: NetdevId,
        /// Tx for what goes to the guest, rx for what comes from it.
        direction: Direction,
        frame: Frame,
    },
    /// ENETDOWN, drop counters, MSG_TRUNC: something that explains.
    Said(Event),
}
