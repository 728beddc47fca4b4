//! `filter-mirror`.

use super::{Kind, Properties, filter};
use crate::fuzz::{
    draft::{Dialect, Draft, Flow},
    rng::Rng,
};

pub(super) const KIND: Kind = Kind {
    name: "filter-mirror",
    weight: 30,
    prefix: "m",
    dialects: &[Dialect::Common, Dialect::Rfc],
    draw,
    live: filter::LIVE,
    traffic: filter::traffic,
};

/// A mirror needs QEMU to read the TAP.
fn draw(draft: &mut Draft, rng: &mut Rng) -> Option<Properties> {
    let taps: Vec<_> = draft.taps.iter().filter(|tap| !tap.vhost).collect();
    let netdev = rng.pick(&taps)?.id.clone();
    let mut properties = filter::base(&netdev, draft, rng);
    properties.push(("outdev", draft.chardev(Flow::Out, rng).into()));
    if let Some(value) = filter::vnet_hdr_support(&netdev, draft, rng) {
        properties.push(("vnet_hdr_support", value));
    }
    Some(properties)
}
