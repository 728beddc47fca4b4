//! The host side of a topology, and what joins its parts.

use std::collections::BTreeSet;

use super::{
    declared::port,
    topology::{Bridge, End, Joint, JointKind, Network},
};
use crate::scenario::{BridgePort, Case, Chardev, ChardevFar};

/// The namespaces that are declared, and those in which bridges, ends of links or routes are.
pub(super) fn of(case: &Case) -> Vec<Network> {
    let bridges = case.bridges.iter().map(|bridge| &bridge.netns);
    let ends = || case.links.iter().flat_map(|link| &link.ends);
    let routes = case.routes.iter().map(|route| &route.netns);
    let mut names: Vec<Option<String>> = Vec::new();
    // Each machine has a namespace of its name, which its own frame stands for.
    let of_machine = |name: &String| case.machines.iter().any(|one| one.id.as_str() == name);
    let declared = case.namespaces.iter().filter(|name| !of_machine(name));
    let declared = declared.cloned().map(Some);
    let used = bridges.chain(ends().map(|end| &end.netns)).chain(routes);
    for name in used.cloned().chain(declared) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let network = |name: Option<String>| Network {
        bridges: case
            .bridges
            .iter()
            .filter(|bridge| bridge.netns == name)
            .map(|bridge| Bridge { id: bridge.id.clone(), addresses: bridge.addresses.clone() })
            .collect(),
        ends: ends()
            .filter(|end| end.netns == name)
            .map(|end| End { port: port(case, &end.port), addresses: end.addresses.clone() })
            .collect(),
        routes: case
            .routes
            .iter()
            .filter(|route| route.netns == name)
            .map(|route| format!("{} via {}", route.to, route.via))
            .collect(),
        name,
    };
    names.into_iter().map(network).collect()
}

/// Connections of chardevs, links, and what bridges hold.
pub(super) fn joints(case: &Case) -> Vec<Joint> {
    let mut joints = chardevs(case);
    joints.extend(case.links.iter().map(|link| Joint {
        ends: link.ends.each_ref().map(|end| end.port.to_string()),
        kind: JointKind::Link,
    }));
    for bridge in &case.bridges {
        joints.extend(bridge.ports.iter().map(|held| {
            let port = match held {
                BridgePort::Netdev(netdev) => format!("{netdev}.host"),
                BridgePort::Link(port) => port.to_string(),
            };
            Joint { ends: [bridge.id.clone(), port], kind: JointKind::Bridge }
        }));
    }
    joints
}

fn chardevs(case: &Case) -> Vec<Joint> {
    let mut seen: BTreeSet<[String; 2]> = BTreeSet::new();
    let mut joints = Vec::new();
    for chardev in &case.chardevs {
        let ChardevFar::Joined(other) = &chardev.far else {
            continue;
        };
        let mut ends = [chardev.id.to_string(), other.to_string()];
        if !serves(case, chardev, other.as_str()) {
            ends.reverse();
        }
        let mut key = ends.clone();
        key.sort();
        if seen.insert(key) {
            joints.push(Joint { ends, kind: JointKind::Chardevs });
        }
    }
    joints
}

/// Whether it is the server of the two.
fn serves(case: &Case, chardev: &Chardev, other: &str) -> bool {
    let other = case.chardevs.iter().find(|one| one.id.as_str() == other);
    chardev.server || other.is_some_and(|other| !other.server)
}
