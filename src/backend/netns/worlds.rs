//! Worlds that were used and are proven to be as good as fresh. The backend takes one for a case of the
//! same shape, the carrier gives its own back.
//!
//! # What is used again
//! A namespace with its TAPs and the packet sockets that record what its host receives, where no
//! interface has an address and there are no links, bridges and other namespaces. The host's stack
//! keeps more than it tells (when it last answered whom, numbers of its packets), so that a world in
//! which it takes part can't be proven fresh.
//!
//! # What is proven
//! When a case is over, its machines' packet sockets rest: they receive nothing, and hold nothing. When
//! the next case of the shape asks for the world, nothing waits in any queue, and what the kernel tells of
//! the namespace is what it told when this was fresh ([`Fingerprint`]), but for the sockets that rest. A
//! world in which a case changed, deleted or showed an interface is not even kept, and one that nobody asks
//! for is never proven. Whatever differs is thrown away.
//!
//! # What can't be set back
//! - Counters of packets. The only one that a record shows is that of frames for which a TAP's queue
//!   had no room; it is reported by how much it grew since it was last looked at.
//! - How far a TAP's queue has been read, which decides how many frames beyond 985 find room. A case
//!   that comes so far in a used world is in doubt, and runs again in a fresh one.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    fingerprint::Fingerprint,
    source::TapPort,
    topology::{Topology, is_links_only, tap_header},
};
use crate::{
    base::{MacAddr, NetdevId},
    scenario::{Case, NetdevType, Step, Verb},
    sys::wait_for_closes,
};

/// Most worlds that are kept; each holds a namespace, two descriptors, and three for each TAP.
const KEPT: usize = 24;

/// What worlds have in common that can stand in for each other: their TAPs, in order, with the name,
/// the address, the MTU and the bytes in front of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WorldShape(Vec<(NetdevId, String, MacAddr, u32, usize)>);

impl WorldShape {
    /// The shape of a case's world, where that may be used again.
    pub(super) fn of(case: &Case) -> Option<Self> {
        let changes = |step: &Step| matches!(step.verb, Verb::LinkSet(_) | Verb::LinkDel(_));
        if !is_links_only(case)
            || !case.links.is_empty()
            || !case.bridges.is_empty()
            || case.steps.iter().any(changes)
        {
            return None;
        }
        let taps = case.netdevs.iter().filter_map(|netdev| match &netdev.kind {
            NetdevType::Tap { ifname, host_mac, mtu, nic, .. } => {
                let header = tap_header(*nic).map_or(usize::MAX, |header| header.len());
                Some((netdev.id.clone(), ifname.clone(), *host_mac, *mtu, header))
            }
            _ => None,
        });
        Some(Self(taps.collect()))
    }
}

/// A world at rest.
#[derive(Debug)]
pub(super) struct KeptWorld {
    /// Declared first, so that the descriptors go before the namespace.
    pub(super) taps: Vec<TapPort>,
    pub(super) topology: Topology,
    /// What was told of it when it was fresh.
    pub(super) fresh: Fingerprint,
}

impl KeptWorld {
    /// Whether it is as it was when it was fresh. Moves the calling thread there.
    fn is_fresh(&self) -> io::Result<bool> {
        self.topology.enter_again()?;
        let (now, drops) = self.topology.fingerprint()?;
        let mut resting = Vec::new();
        for tap in &self.taps {
            resting.extend(tap.told_at_rest(self.topology.number(tap.interface()))?);
        }
        let at_rest = |tap: &TapPort| {
            let drops = drops.get(&tap.interface());
            drops.is_some_and(|drops| tap.is_at_rest(*drops))
        };
        Ok(now.is(&self.fresh, &resting) && self.taps.iter().all(at_rest))
    }
}

/// The worlds that wait for a case, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Worlds(Mutex<VecDeque<(WorldShape, KeptWorld)>>);

impl Worlds {
    /// A world of this shape that is as good as fresh, to which the calling thread is moved.
    pub(super) fn take(&self, shape: &WorldShape) -> Option<KeptWorld> {
        loop {
            let world = {
                let mut worlds = self.worlds();
                let at = worlds.iter().rposition(|(other, _)| other == shape)?;
                worlds.remove(at)?.1
            };
            if world.is_fresh().unwrap_or(false) {
                return Some(world);
            }
        }
    }

    fn put(&self, shape: WorldShape, world: KeptWorld) {
        let oldest = {
            let mut worlds = self.worlds();
            worlds.push_back((shape, world));
            if worlds.len() > KEPT { worlds.pop_front() } else { None }
        };
        drop(oldest);
    }

    /// Lets go of every world, and waits until that is done; whether there was any.
    pub(super) fn forget(&self) -> bool {
        let worlds = std::mem::take(&mut *self.worlds());
        let any = !worlds.is_empty();
        drop(worlds);
        wait_for_closes();
        any
    }

    fn worlds(&self) -> std::sync::MutexGuard<'_, VecDeque<(WorldShape, KeptWorld)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a carrier's world goes when its case is over.
#[derive(Debug)]
pub(super) struct Lease {
    worlds: Arc<Worlds>,
    shape: WorldShape,
    fresh: Fingerprint,
    /// A case has run in it before.
    used: bool,
    /// What comes out may depend on that.
    in_doubt: bool,
    /// It is not as it was.
    changed: bool,
}

impl Lease {
    /// Of a world that is fresh, and of which this is told.
    pub(super) fn new(worlds: &Arc<Worlds>, shape: WorldShape, fresh: Fingerprint) -> Self {
        let worlds = Arc::clone(worlds);
        Self { worlds, shape, fresh, used: false, in_doubt: false, changed: false }
    }

    /// Of a world that has been used.
    pub(super) fn again(worlds: &Arc<Worlds>, shape: WorldShape, fresh: Fingerprint) -> Self {
        Self { used: true, ..Self::new(worlds, shape, fresh) }
    }

    /// Notes that what comes out may depend on what happened to the world before the case.
    pub(super) const fn doubt(&mut self) {
        self.in_doubt |= self.used;
    }

    pub(super) const fn is_in_doubt(&self) -> bool {
        self.in_doubt
    }

    /// Notes that the world is not what it was.
    pub(super) const fn change(&mut self) {
        self.changed = true;
    }

    /// Whether it is worth asking if the world is as it was.
    pub(super) const fn may_end_well(&self) -> bool {
        !self.changed && !self.in_doubt
    }

    /// Keeps the world for the next case of its shape.
    pub(super) fn give_back(self, mut taps: Vec<TapPort>, topology: Topology) {
        let Self { worlds, shape, fresh, .. } = self;
        taps.iter_mut().for_each(TapPort::rest);
        worlds.put(shape, KeptWorld { taps, topology, fresh });
    }
}
