//! The two directions of a packet, and the `queue` property that chooses among them. The machine,
//! scenarios and records use both.

use std::fmt;

/// The way of a packet as QEMU names it: seen from the netdev backend (QEMU 10.2.2,
/// `qapi/common.json`, `NetFilterDirection`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// Sent *to* the netdev: guest to host.
    Rx,
    /// Sent *by* the netdev: host to guest.
    Tx,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rx => "rx",
            Self::Tx => "tx",
        })
    }
}

/// A filter's `queue` property: which directions it handles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Queue {
    /// Both directions; QEMU's default.
    #[default]
    All,
    /// Guest to host only.
    Rx,
    /// Host to guest only.
    Tx,
}

impl Queue {
    /// The property's value, letter for letter.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Rx => "rx",
            Self::Tx => "tx",
        }
    }

    /// Reads the property's value. QEMU is case sensitive here, and so is this.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::All, Self::Rx, Self::Tx].into_iter().find(|queue| queue.as_str() == text)
    }

    /// Whether a filter with this queue handles packets that go in `direction`.
    #[must_use]
    pub const fn handles(self, direction: Direction) -> bool {
        matches!(
            (self, direction),
            (Self::All, _) | (Self::Rx, Direction::Rx) | (Self::Tx, Direction::Tx)
        )
    }
}

impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
