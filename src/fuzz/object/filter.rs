//! What every filter has.

use super::{Draft, Made, Properties, Property, Rng};

/// What any object is asked for, beside its own properties; nothing has a colour.
pub(in crate::fuzz) const READ: &[&str] = &["netdev", "status", "queue", "colour"];

/// `queue` and `status` can be changed at any time; the rest only shows itself.
pub(super) const LIVE: &[(&str, &[&str])] = &[
    ("status", &["off", "on", "off", "on", "offf", ""]),
    ("queue", &["all", "rx", "tx", "xr"]),
    ("position", &["head", "nowhere"]),
    ("insert", &["before", "after"]),
];

/// A filter on some netdev, with nothing but what every filter has.
pub(super) fn draw(draft: &mut Draft, rng: &mut Rng) -> Option<Properties> {
    let netdev = netdev(draft, rng)?;
    Some(base(&netdev, draft, rng))
}

/// The properties of the base of all filters on this netdev: `netdev` first.
pub(super) fn base(netdev: &str, draft: &Draft, rng: &mut Rng) -> Properties {
    let mut properties: Properties = vec![("netdev", netdev.into())];
    if rng.chance(65) {
        properties.push(("queue", rng.word(&["rx", "tx", "all"]).into()));
    }
    if rng.chance(15) {
        properties.push(("status", rng.word(&["off", "off", "on"]).into()));
    }
    if rng.chance(25) {
        let beside: Vec<_> = draft
            .objects
            .iter()
            .filter(|other| other.text("netdev") == Some(netdev))
            .map(|other| other.id.clone())
            .collect();
        let position = match rng.pick(&beside) {
            Some(id) if rng.chance(60) => format!("id={id}"),
            _ => rng.word(&["head", "tail"]).to_owned(),
        };
        properties.push(("position", position.into()));
        if rng.chance(50) {
            properties.push(("insert", rng.word(&["before", "behind"]).into()));
        }
    }
    properties
}

/// `vnet_hdr_support`, now and then.
pub(super) fn vnet_hdr_support(netdev: &str, draft: &Draft, rng: &mut Rng) -> Option<Property> {
    let virtio = draft.tap(netdev).is_some_and(|tap| tap.virtio);
    rng.chance(if virtio { 60 } else { 20 }).then(|| Property::Bool(rng.chance(90)))
}

/// A netdev whose frames QEMU reads itself: the only one that most filters can be on.
pub(super) fn netdev(draft: &Draft, rng: &mut Rng) -> Option<String> {
    let taps: Vec<_> = draft.taps.iter().filter(|tap| !tap.vhost).collect();
    Some(rng.pick(&taps)?.id.clone())
}

/// Both sides of the netdev, and the chardevs that are read.
pub(super) fn traffic(made: &Made, _: &Draft) -> Vec<String> {
    let mut ports: Vec<String> = made
        .text("netdev")
        .iter()
        .flat_map(|id| [format!("{id}.guest"), format!("{id}.host")])
        .collect();
    ports.extend(made.read_chardevs().map(str::to_owned));
    ports
}
