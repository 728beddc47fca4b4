//! `filter-rewriter`, with connections that it can follow.

use serde_json::{Value, json};

use super::{Kind, Made, PLAIN, Properties, filter};
use crate::fuzz::{
    conversation::{self, Speaker},
    draft::{Dialect, Draft},
    rng::Rng,
};

pub(super) const KIND: Kind = Kind {
    name: "filter-rewriter",
    weight: 26,
    prefix: "w",
    draw,
    live: &[
        ("status", &["off", "on", "off", "on", "offf"]),
        ("queue", &["all", "rx", "tx", "xr"]),
        ("vnet_hdr_support", &["on", "off"]),
        ("position", &["head"]),
    ],
    scene: Some(scene),
    ..PLAIN
};

fn draw(draft: &mut Draft, rng: &mut Rng) -> Option<Properties> {
    let netdev = filter::netdev(draft, rng)?;
    let mut properties = filter::base(&netdev, draft, rng);
    // It needs both directions to be of use.
    if rng.chance(70) {
        properties.retain(|(name, _)| *name != "queue");
    }
    if let Some(value) = filter::vnet_hdr_support(&netdev, draft, rng)
        .filter(|_| draft.tap(&netdev).is_some_and(|tap| tap.virtio) || rng.chance(15))
    {
        properties.push(("vnet_hdr_support", value));
    }
    Some(properties)
}

/// The next segments of a connection: the client acknowledges the primary's numbers, the guest
/// here sends the secondary's.
fn scene(made: &Made, draft: &mut Draft, rng: &mut Rng) -> Option<Vec<Value>> {
    let netdev = made.text("netdev")?;
    let vnet = draft.tap(netdev)?.virtio;
    if draft.dialect == Dialect::Rfc && rng.chance(8) {
        let event = rng.word(&["checkpoint", "checkpoint", "failover"]);
        return Some(vec![json!({ "colo": event })]);
    }
    let injectors: Vec<String> = draft
        .objects
        .iter()
        .filter(|other| other.text("netdev") == Some(netdev))
        .filter_map(|other| draft.entry(other.text("indev")?))
        .filter(|port| !port.contains('.'))
        .collect();
    let talk = draft.talk(rng);
    let mut steps = Vec::new();
    for _ in 0..rng.within(1, 5) {
        let segment = talk.next(rng);
        let side = match segment.from {
            Speaker::Client => "host",
            Speaker::Guest => "guest",
        };
        let mut frame = talk.frame(&segment, segment.from == Speaker::Guest);
        conversation::season(&mut frame, vnet, rng);
        let port = match rng.pick(&injectors) {
            Some(port) if rng.chance(15) => {
                frame.remove("vnet_hdr");
                port.clone()
            }
            _ => format!("{netdev}.{side}"),
        };
        steps.push(json!({ "send": port, "frames": [frame] }));
    }
    Some(steps)
}
