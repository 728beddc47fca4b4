//! A topology as text, for `graph` and `check` at a terminal.

use std::fmt::Write;

use super::topology::{Chain, Chardev, Far, JointKind, Machine, Network, Topology, Way, Wire};
use crate::terminal::visible;

/// A topology for a terminal: each chain in a line from the host to the guest, below it what its
/// filters read and write, then chardevs and the other objects.
#[must_use]
pub fn text(topology: &Topology) -> String {
    let mut lines = Vec::new();
    for network in &topology.networks {
        of_network(&mut lines, topology, network);
    }
    for machine in &topology.machines {
        of_machine(&mut lines, topology, machine);
    }
    let mut text = String::new();
    for line in lines {
        let written = writeln!(text, "{}", visible(line));
        debug_assert!(written.is_ok(), "a String takes everything");
    }
    text
}

fn of_network(lines: &mut Vec<String>, topology: &Topology, network: &Network) {
    lines.push(match &network.name {
        Some(name) => format!("namespace {name}"),
        None => "host".to_owned(),
    });
    let mut rows = Vec::new();
    for bridge in &network.bridges {
        let held: Vec<&str> = topology
            .joints
            .iter()
            .filter(|joint| joint.kind == JointKind::Bridge && joint.ends[0] == bridge.id)
            .map(|joint| joint.ends[1].as_str())
            .collect();
        let mut words = vec![format!("holds {}", held.join(" "))];
        words.extend(bridge.addresses.iter().cloned());
        rows.push([bridge.id.clone(), "bridge".to_owned(), words.join("  ")]);
    }
    for end in &network.ends {
        let others = topology.joints.iter().filter_map(|joint| {
            let at = joint.ends.iter().position(|one| *one == end.port.id)?;
            (joint.kind == JointKind::Link).then(|| joint.ends[1 - at].as_str())
        });
        let mut words = vec![format!("= {}", others.collect::<Vec<_>>().join(" "))];
        words.extend(end.addresses.iter().chain(&end.port.notes).cloned());
        rows.push([end.port.id.clone(), "link".to_owned(), words.join("  ")]);
    }
    for route in &network.routes {
        rows.push(["route".to_owned(), route.clone(), String::new()]);
    }
    table(lines, "  ", &rows);
}

fn of_machine(lines: &mut Vec<String>, topology: &Topology, machine: &Machine) {
    let name = match machine.name.as_str() {
        "" => "machine".to_owned(),
        name => format!("machine {name}"),
    };
    let profile = machine.profile.as_ref().unwrap_or(&topology.profile);
    lines.push(format!("{name}  [{profile}]"));
    for one in &machine.chains {
        chain(lines, machine, one);
    }
    if !machine.chardevs.is_empty() {
        lines.push("  chardevs".to_owned());
        let rows = machine.chardevs.iter().map(|one| chardev(topology, machine, one));
        table(lines, "    ", &rows.collect::<Vec<_>>());
    }
    if !machine.objects.is_empty() {
        lines.push("  objects".to_owned());
        let rows = machine.objects.iter().map(|one| object(machine, one));
        table(lines, "    ", &rows.collect::<Vec<_>>());
    }
}

fn chain(lines: &mut Vec<String>, machine: &Machine, chain: &Chain) {
    let mut stations = Vec::new();
    stations.extend(chain.host.iter().map(|port| machine.local(&port.id).to_owned()));
    stations.extend(chain.hub.map(|hub| format!("hub {hub}")));
    stations.push(format!("[{}: {}]", machine.local(&chain.netdev), chain.detail.join(", ")));
    for filter in &chain.filters {
        let arrow = match filter.filtered {
            Some(super::Filtered::Tx) => " tx>",
            Some(super::Filtered::Rx) => " <rx",
            Some(super::Filtered::All) => " <all>",
            None => "",
        };
        stations.push(format!("({}{arrow})", machine.local(&filter.id)));
    }
    stations.extend(chain.guest.iter().map(|port| machine.local(&port.id).to_owned()));
    let added = chain.added.map(|step| format!("  added in step {step}"));
    lines.push(format!("  {}{}", stations.join(" -- "), added.unwrap_or_default()));
    for port in chain.host.iter().chain(&chain.guest) {
        if !port.notes.is_empty() {
            lines.push(format!("    {}: {}", machine.local(&port.id), port.notes.join(", ")));
        }
    }
    let rows: Vec<_> = chain.filters.iter().map(|one| object(machine, one)).collect();
    table(lines, "    ", &rows);
}

fn object(machine: &Machine, object: &super::Object) -> [String; 3] {
    let wires = object.wires.iter().map(|wire| self::wire(machine, wire));
    let words: Vec<String> = wires.chain(object.remarks()).collect();
    [machine.local(&object.id).to_owned(), object.detail(), words.join("  ")]
}

fn wire(machine: &Machine, wire: &Wire) -> String {
    let arrow = match wire.way {
        Way::In => "<-",
        Way::Out => "->",
        Way::Both => "<->",
    };
    format!("{} {arrow} {}", wire.property, machine.local(&wire.target))
}

fn chardev(topology: &Topology, machine: &Machine, chardev: &Chardev) -> [String; 3] {
    let mut words = vec![match &chardev.far {
        Far::Port { framing, connected } => {
            let open = if *connected { "" } else { ", not connected" };
            format!("port {} ({framing}{open})", chardev.id)
        }
        Far::Joined => {
            let others = topology.joints.iter().filter_map(|joint| {
                let at = joint.ends.iter().position(|one| *one == chardev.id)?;
                (joint.kind == JointKind::Chardevs).then(|| joint.ends[1 - at].as_str())
            });
            format!("= {}", others.collect::<Vec<_>>().join(" "))
        }
        Far::Nobody | Far::Undeclared => String::new(),
    }];
    words.extend(chardev.added.map(|step| format!("added in step {step}")));
    let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
    [machine.local(&chardev.id).to_owned(), chardev.detail.clone(), words.join("  ")]
}

/// Rows in columns, which are at most this wide: a text that is longer sticks out.
const COLUMN: usize = 200;

fn table(lines: &mut Vec<String>, indent: &str, rows: &[[String; 3]]) {
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or(0).min(COLUMN)
    };
    let (first, second) = (width(0), width(1));
    for [a, b, c] in rows {
        let line = format!("{indent}{a:<first$}  {b:<second$}  {c}");
        lines.push(line.trim_end().to_owned());
    }
}
