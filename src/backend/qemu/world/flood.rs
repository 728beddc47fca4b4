//! What comes out of QEMU in one step is counted, so that a cycle in it, of hubs or of chardevs,
//! ends the case before it fills the memory. The built-in machine counts its inputs instead.

use std::collections::BTreeSet;

use crate::base::PortId;

/// Frames and pieces of streams that one step may bring out.
const MOST: usize = 100_000;

/// Their bytes.
const MOST_BYTES: usize = 256 << 20;

/// What one step brought out so far.
#[derive(Debug, Default)]
pub(super) struct Flood {
    items: usize,
    bytes: usize,
    /// Where something came out since the end was near.
    ports: BTreeSet<PortId>,
}

impl Flood {
    pub(super) fn count(&mut self, port: &PortId, bytes: usize) {
        self.items += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        let is_near = self.items > MOST / 2 || self.bytes > MOST_BYTES / 2;
        if is_near && !self.ports.contains(port) {
            self.ports.insert(port.clone());
        }
    }

    /// Whether it was more than a step may bring.
    pub(super) const fn is_over(&self) -> bool {
        self.items > MOST || self.bytes > MOST_BYTES
    }

    /// The ports at which it came out.
    pub(super) fn ports(&self) -> Vec<String> {
        self.ports.iter().map(PortId::to_string).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_brings_so_many_frames_or_so_many_bytes() {
        let port = PortId::from("hn0.guest");
        let mut flood = Flood::default();
        (0..MOST).for_each(|_| flood.count(&port, 60));
        assert!(!flood.is_over());
        flood.count(&port, 60);
        assert!(flood.is_over());
        assert_eq!(flood.ports(), ["hn0.guest"]);
        let mut flood = Flood::default();
        flood.count(&port, MOST_BYTES);
        assert!(!flood.is_over());
        flood.count(&port, 1);
        assert!(flood.is_over());
    }
}
