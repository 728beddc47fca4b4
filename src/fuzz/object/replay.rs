//! `filter-replay`, which does nothing outside of record and replay.

use super::{Kind, PLAIN, filter};

pub(super) const KIND: Kind = Kind {
    name: "filter-replay",
    weight: 4,
    prefix: "y",
    draw: |draft, rng| {
        let netdev = filter::netdev(draft, rng)?;
        Some(filter::base(&netdev, draft, rng))
    },
    ..PLAIN
};
