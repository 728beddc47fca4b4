use std::collections::BTreeMap;

use super::fabric::InterfaceId;
use crate::base::MacAddr;

/// A learning bridge without spanning tree, as Linux has it by default (`net/bridge/br_input.c`,
/// `br_forward.c`).
#[derive(Debug, Default)]
pub(super) struct Bridge {
    ports: Vec<InterfaceId>,
    learned: BTreeMap<MacAddr, InterfaceId>,
}

impl Bridge {
    pub(super) fn add(&mut self, port: InterfaceId) {
        self.ports.push(port);
    }

    pub(super) fn remove(&mut self, port: InterfaceId) {
        self.ports.retain(|held| *held != port);
        self.learned.retain(|_, at| *at != port);
    }

    /// Forgets what was learned at a port that went down.
    pub(super) fn forget(&mut self, port: InterfaceId) {
        self.learned.retain(|_, at| *at != port);
    }

    /// The ports that a frame from `from` goes out of, in the order in which they were added last
    /// first, as the kernel floods.
    pub(super) fn forward(&mut self, from: InterfaceId, frame: &[u8]) -> Vec<InterfaceId> {
        let (destination, source) = (address(frame, 0), address(frame, 6));
        if !is_group(source) {
            self.learned.insert(source, from);
        }
        if is_link_local(destination) {
            return Vec::new();
        }
        match self.learned.get(&destination) {
            Some(to) if *to == from => Vec::new(),
            Some(to) => vec![*to],
            None => self
                .ports
                .iter()
                .rev()
                .copied()
                .filter(|port| *port != from)
                .collect(),
        }
    }
}

fn address(frame: &[u8], at: usize) -> MacAddr {
    let mut octets = [0; 6];
    octets.copy_from_slice(&frame[at..at + 6]);
    MacAddr(octets)
}

fn is_group(address: MacAddr) -> bool {
    address.0[0] & 1 == 1
}

/// 01:80:c2:00:00:0x is never forwarded (IEEE 802.1D-2004, table 7-10).
fn is_link_local(address: MacAddr) -> bool {
    matches!(address.0, [0x01, 0x80, 0xc2, 0, 0, last] if last < 0x10)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: InterfaceId = InterfaceId(0);
    const B: InterfaceId = InterfaceId(1);
    const C: InterfaceId = InterfaceId(2);

    fn bridge() -> Bridge {
        let mut bridge = Bridge::default();
        for port in [A, B, C] {
            bridge.add(port);
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
        assert!(
            bridge
                .forward(A, &frame([1, 0x80, 0xc2, 0, 0, 0x0e], one))
                .is_empty()
        );
        assert_eq!(bridge.forward(A, &frame([0xff; 6], one)), [C, B]);
    }
}
