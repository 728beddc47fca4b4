//! A Linux bridge in memory: which interfaces get a frame, and what it learns from it. The fabric
//! has one for each bridge of a case.

use std::collections::BTreeMap;

use crate::base::MacAddr;

/// The number of an interface of the case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct InterfaceId(pub(super) usize);

/// A learning bridge without spanning tree, as Linux has it by default (`net/bridge/br_input.c`,
/// `br_forward.c`).
#[derive(Debug, Default)]
pub(super) struct Bridge {
    /// With their own addresses.
    ports: Vec<(InterfaceId, MacAddr)>,
    learned: BTreeMap<MacAddr, InterfaceId>,
}

impl Bridge {
    pub(super) fn add(&mut self, port: InterfaceId, own: MacAddr) {
        self.ports.push((port, own));
    }

    pub(super) fn remove(&mut self, port: InterfaceId) {
        self.ports.retain(|(held, _)| *held != port);
        self.forget(port);
    }

    /// Forgets what was learned at a port that went down.
    pub(super) fn forget(&mut self, port: InterfaceId) {
        self.learned.retain(|_, at| *at != port);
    }

    /// The ports that a frame from `from` goes out of, in the order in which they were added last
    /// first, as the kernel floods.
    pub(super) fn forward(&mut self, from: InterfaceId, frame: &[u8]) -> Vec<InterfaceId> {
        let (destination, source) = (address(frame, 0), address(frame, 6));
        if is_group(source) || source == NOBODY || destination == PAUSE {
            return Vec::new();
        }
        if !self.is_own(source) {
            self.learned.insert(source, from);
        }
        if is_kept(destination) || self.is_own(destination) {
            return Vec::new();
        }
        match self.learned.get(&destination) {
            Some(to) if *to == from => Vec::new(),
            Some(to) => vec![*to],
            None => {
                let others = self.ports.iter().rev().map(|(port, _)| *port);
                others.filter(|port| *port != from).collect()
            }
        }
    }

    /// Whether an address is that of one of its ports: what is sent there is the host's.
    fn is_own(&self, address: MacAddr) -> bool {
        self.ports.iter().any(|(_, own)| *own == address)
    }
}

const NOBODY: MacAddr = MacAddr([0; 6]);

/// Dropped before anything is learned (IEEE 802.3 annex 31B).
const PAUSE: MacAddr = MacAddr([0x01, 0x80, 0xc2, 0, 0, 1]);

fn address(frame: &[u8], at: usize) -> MacAddr {
    let mut octets = [0; 6];
    octets.copy_from_slice(&frame[at..at + 6]);
    MacAddr(octets)
}

fn is_group(address: MacAddr) -> bool {
    address.0[0] & 1 == 1
}

/// The reserved addresses of IEEE 802.1D-2004, table 7-10, but for the first: without spanning tree
/// it is forwarded.
fn is_kept(address: MacAddr) -> bool {
    matches!(address.0, [0x01, 0x80, 0xc2, 0, 0, 1..=0x0f])
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: InterfaceId = InterfaceId(0);
    const B: InterfaceId = InterfaceId(1);
    const C: InterfaceId = InterfaceId(2);

    fn bridge() -> Bridge {
        let mut bridge = Bridge::default();
        for (port, last) in [(A, 1), (B, 2), (C, 3)] {
            bridge.add(port, MacAddr([2, 0, 0, 0, 1, last]));
        }
        bridge
    }

    fn frame(destination: [u8; 6], source: [u8; 6]) -> Vec<u8> {
        [&destination[..], &source, &[0x88, 0xb5]].concat()
    }

    #[test]
    fn an_unknown_destination_is_flooded_and_a_learned_one_is_not() {
        let mut bridge = bridge();
        let (one, two) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        assert_eq!(bridge.forward(A, &frame(two, one)), [C, B]);
        assert_eq!(bridge.forward(B, &frame(one, two)), [A]);
        assert_eq!(bridge.forward(A, &frame(two, one)), [B]);
        bridge.forget(B);
        assert_eq!(bridge.forward(A, &frame(two, one)), [C, B]);
    }

    #[test]
    fn a_frame_never_goes_back_and_link_local_groups_never_leave() {
        let mut bridge = bridge();
        let (one, two) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        bridge.forward(A, &frame(two, one));
        assert!(bridge.forward(A, &frame(one, two)).is_empty());
        assert!(bridge.forward(A, &frame([1, 0x80, 0xc2, 0, 0, 0x0e], one)).is_empty());
        assert_eq!(bridge.forward(A, &frame([0xff; 6], one)), [C, B]);
    }

    #[test]
    fn what_is_for_the_host_stays_there_and_nobody_moves_its_addresses() {
        let mut bridge = bridge();
        let (one, own) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 1, 2]);
        assert!(bridge.forward(A, &frame(own, one)).is_empty());
        assert_eq!(bridge.forward(A, &frame([0xff; 6], own)), [C, B]);
        assert!(bridge.forward(C, &frame(own, one)).is_empty());
    }
}
