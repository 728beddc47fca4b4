//! vhost-net, which serves a guest only while its VM runs: `stop` stops it too, and `cont` starts it
//! again. Until then what is for the guest waits in its TAP's queue, and what the guest has to send
//! waits in its ring.

use std::{io, slice};

use super::{
    super::{Carried, Carrier, flight::Destination},
    BuiltinWorld,
};
use crate::{
    base::{NetdevId, PortId},
    record::{DropReason, Place},
};

impl<C: Carrier> BuiltinWorld<C> {
    /// Stops or starts the vhost-net of a machine whose VM was stopped or continued.
    pub(super) fn follow_run_state(&mut self, at: usize) {
        let stops = self.processes[at].stops_vhost();
        if std::mem::replace(&mut self.processes[at].vhost_stopped, stops) == stops {
            return;
        }
        let process = &self.processes[at];
        let taps = self
            .taps
            .iter()
            .filter(|(netdev, tap)| tap.vhost && process.id().local(netdev.as_str()).is_some());
        let netdevs: Vec<NetdevId> = taps.map(|(netdev, _)| netdev.clone()).collect();
        for netdev in netdevs {
            self.carrier.hold(&netdev, stops);
            if stops {
                self.unsent.insert(netdev, Vec::new());
            } else {
                for (frame, tag) in self.unsent.remove(&netdev).unwrap_or_default() {
                    self.leave_guest(&netdev, &frame, Some(tag));
                }
            }
        }
    }

    /// A host port's interface is about to go, and with it what waits in the queue of a TAP whose
    /// vhost-net is stopped. What the guest has to send waits on.
    pub(super) fn lose_queue(&mut self, port: &PortId) -> io::Result<()> {
        let stopped = self.unsent.keys().find(|netdev| PortId::host(netdev) == *port);
        match stopped.cloned() {
            Some(netdev) => {
                let lost = self.end_queues(slice::from_ref(&netdev), DropReason::InterfaceGone);
                self.carrier.hold(&netdev, true);
                lost
            }
            None => Ok(()),
        }
    }

    /// At the end of a run: what still waits on either side of a vhost-net that is stopped ends
    /// here.
    pub(super) fn end_waiting(&mut self) -> io::Result<()> {
        let waiting = std::mem::take(&mut self.unsent);
        if waiting.is_empty() {
            return Ok(());
        }
        for (netdev, unsent) in &waiting {
            for (_, tag) in unsent {
                self.drop_frame(Some(*tag), Place::Netdev(netdev.clone()), DropReason::Held);
            }
        }
        let netdevs: Vec<NetdevId> = waiting.into_keys().collect();
        self.end_queues(&netdevs, DropReason::Held)
    }

    /// Reads the queues of TAPs of which nobody else does, and ends what was in them.
    fn end_queues(&mut self, netdevs: &[NetdevId], reason: DropReason) -> io::Result<()> {
        netdevs.iter().for_each(|netdev| self.carrier.hold(netdev, false));
        let mut carried = Vec::new();
        let drained = self.carrier.drain(&mut carried);
        for one in carried {
            match one {
                Carried::ToGuest { netdev, frame } if netdevs.contains(&netdev) => {
                    let at = Destination::Guest(netdev.clone());
                    let tag = self.flights.arrive(&frame.data, at);
                    self.drop_frame(Some(tag), Place::Tap(netdev), reason);
                }
                other => self.take(other),
            }
        }
        drained
    }
}
