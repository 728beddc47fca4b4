//! `filter-mirror`.

use super::{Kind, PLAIN, Properties, filter};
use crate::fuzz::{
    draft::{Draft, Flow},
    rng::Rng,
};

pub(super) const KIND: Kind =
    Kind { name: "filter-mirror", weight: 30, prefix: "m", draw, ..PLAIN };

fn draw(draft: &mut Draft, rng: &mut Rng) -> Option<Properties> {
    let netdev = filter::netdev(draft, rng)?;
    let mut properties = filter::base(&netdev, draft, rng);
    properties.push(("outdev", draft.chardev(Flow::Out, rng).into()));
    if let Some(value) = filter::vnet_hdr_support(&netdev, draft, rng) {
        properties.push(("vnet_hdr_support", value));
    }
    Some(properties)
}
