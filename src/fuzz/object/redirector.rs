//! `filter-redirector`.

use super::{Kind, PLAIN, Properties, filter};
use crate::fuzz::{
    draft::{Dialect, Draft, Flow},
    rng::Rng,
};

pub(super) const KIND: Kind = Kind {
    name: "filter-redirector",
    weight: 70,
    prefix: "r",
    draw,
    live: &[
        ("status", &["off", "on", "off", "on", "offf", ""]),
        ("queue", &["all", "rx", "tx", "xr"]),
        ("vnet_hdr_support", &["on", "off"]),
        ("position", &["head", "nowhere"]),
        ("indev", &["nope", ""]),
        ("outdev", &["nope"]),
    ],
    ..PLAIN
};

/// The combinations that work in QEMU's chain.
const IN_THE_CHAIN: &[&[&str]] = &[&["outdev"], &["indev"], &["indev", "outdev"]];
/// Those that work beside it, as under vhost.
const BESIDE_IT: &[&[&str]] =
    &[&["in_netdev"], &["out_netdev"], &["in_netdev", "outdev"], &["indev", "out_netdev"]];

fn draw(draft: &mut Draft, rng: &mut Rng) -> Option<Properties> {
    let tap = rng.pick(&draft.taps)?.clone();
    let beside = draft.dialect == Dialect::Rfc && (tap.vhost || rng.chance(60));
    let combination = rng.pick(if beside { BESIDE_IT } else { IN_THE_CHAIN })?;
    let mut properties = filter::base(&tap.id, draft, rng);
    for name in *combination {
        let value = match *name {
            "indev" => draft.chardev(Flow::In, rng),
            "outdev" => draft.chardev(Flow::Out, rng),
            // Mostly the filter's own netdev; any TAP will do.
            _ if rng.chance(70) => tap.id.clone(),
            _ => rng.pick(&draft.taps)?.id.clone(),
        };
        properties.push((name, value.into()));
    }
    // What is injected into the filter's own netdev comes back along the chain, unless vhost takes
    // it: a storm, which is worth a look now and then.
    let feeds_itself = !tap.vhost
        && combination.contains(&"out_netdev")
        && properties.contains(&("out_netdev", tap.id.as_str().into()));
    if feeds_itself && rng.chance(95) {
        properties.retain(|(name, _)| *name != "queue");
        properties.push(("queue", "rx".into()));
    }
    if let Some(value) = filter::vnet_hdr_support(&tap.id, draft, rng) {
        properties.push(("vnet_hdr_support", value));
    }
    Some(properties)
}
