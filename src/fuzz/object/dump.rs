//! `filter-dump`, each with a file of its own.

use super::{Kind, PLAIN, Properties, Property, filter};
use crate::fuzz::{draft::Draft, rng::Rng};

pub(super) const KIND: Kind = Kind {
    name: "filter-dump",
    weight: 12,
    prefix: "d",
    draw,
    live: &[
        ("status", &["off", "on", "off", "on", "offf"]),
        ("queue", &["all", "rx", "tx"]),
        ("maxlen", &["0", "20", "65536"]),
        ("file", &["other.pcap"]),
    ],
    ..PLAIN
};

fn draw(draft: &mut Draft, rng: &mut Rng) -> Option<Properties> {
    let mut properties = filter::draw(draft, rng)?;
    let file = format!("f{}.pcap", draft.number());
    properties.push(("file", file.into()));
    if rng.chance(40) {
        let longest = rng.number(&[1, 14, 42, 60, 1514, 65536]);
        properties.push(("maxlen", Property::Number(longest as u64)));
    }
    Some(properties)
}
