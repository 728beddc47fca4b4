//! Names for the nodes of a graph: every format wants plain ones.

use std::collections::{BTreeMap, BTreeSet};

use super::topology::{Chain, Machine, Topology, Wire, WireKind};

/// A thing of a topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Place<'t> {
    /// A port of a TAP, an end of a link, or a bridge.
    Interface(&'t str),
    Netdev(&'t str),
    /// A machine's hub.
    Hub(&'t str, u32),
    Object(&'t str),
    Chardev(&'t str),
    /// The port at a chardev's far end.
    Far(&'t str),
    /// A file that an object writes.
    File(&'t str),
}

impl<'t> Place<'t> {
    /// What frames pass from the host to the guest.
    pub(super) fn stations(machine: &'t Machine, chain: &'t Chain) -> Vec<Self> {
        let mut stations = Vec::new();
        stations.extend(chain.host.iter().map(|port| Self::Interface(&port.id)));
        stations.extend(chain.hub.map(|hub| Self::Hub(&machine.name, hub)));
        stations.push(Self::Netdev(&chain.netdev));
        stations.extend(chain.filters.iter().map(|filter| Self::Object(&filter.id)));
        stations.extend(chain.guest.iter().map(|port| Self::Interface(&port.id)));
        stations
    }

    /// What a wire leads to.
    pub(super) fn of_wire(wire: &'t Wire) -> Self {
        match wire.kind {
            WireKind::Chardev => Self::Chardev(&wire.target),
            WireKind::Netdev => Self::Netdev(&wire.target),
            WireKind::File => Self::File(&wire.target),
        }
    }
}

/// Which places there are, and their names: `n0` and up.
pub(super) struct Places<'t> {
    ids: BTreeMap<Place<'t>, String>,
    told: BTreeSet<Place<'t>>,
}

impl<'t> Places<'t> {
    pub(super) fn of(topology: &'t Topology) -> Self {
        let mut places = Vec::new();
        for network in &topology.networks {
            places.extend(network.bridges.iter().map(|one| Place::Interface(&one.id)));
            places.extend(network.ends.iter().map(|one| Place::Interface(&one.port.id)));
        }
        for machine in &topology.machines {
            for chain in &machine.chains {
                places.extend(Place::stations(machine, chain));
            }
            places.extend(machine.objects.iter().map(|one| Place::Object(&one.id)));
            for chardev in &machine.chardevs {
                places.push(Place::Chardev(&chardev.id));
                places.extend(chardev.port().map(Place::Far));
            }
            let wires = machine.all_objects().flat_map(|object| &object.wires);
            places.extend(wires.filter(|wire| wire.kind == WireKind::File).map(Place::of_wire));
        }
        let mut ids = BTreeMap::new();
        for place in places {
            let next = format!("n{}", ids.len());
            ids.entry(place).or_insert(next);
        }
        Self { ids, told: BTreeSet::new() }
    }

    /// The name of a place; none where it is not there.
    pub(super) fn id(&self, place: &Place<'t>) -> Option<String> {
        self.ids.get(place).cloned()
    }

    /// The name of a place that has not been asked for before.
    pub(super) fn first(&mut self, place: &Place<'t>) -> Option<String> {
        let id = self.id(place)?;
        self.told.insert(*place).then_some(id)
    }

    /// The name of the file of a wire that has not been asked for before.
    pub(super) fn of_file(&mut self, wire: &'t Wire) -> Option<String> {
        let place = Place::of_wire(wire);
        (wire.kind == WireKind::File).then(|| self.first(&place)).flatten()
    }
}
