//! `filter-buffer`. Where a real QEMU may have it, its period is longer than any run: it is emptied
//! by what is done to it.

use super::{Kind, PLAIN, Properties, Property, filter};
use crate::fuzz::{draft::Draft, rng::Rng};

pub(super) const KIND: Kind = Kind {
    name: "filter-buffer",
    weight: 12,
    prefix: "b",
    draw,
    live: &[
        ("status", &["off", "on", "off", "on", "offf"]),
        ("queue", &["all", "rx", "tx"]),
        ("interval", &["0", "4000000000", "-1", "4294967296"]),
    ],
    timed: true,
    ..PLAIN
};

fn draw(draft: &mut Draft, rng: &mut Rng) -> Option<Properties> {
    let mut properties = filter::draw(draft, rng)?;
    let micros: &[usize] = if draft.has_own_time() {
        &[1, 10_000, 1_000_000, 3_600_000_000, 4_294_967_295]
    } else {
        &[3_600_000_000, 4_294_967_295]
    };
    properties.push(("interval", Property::Number(rng.number(micros) as u64)));
    Some(properties)
}
