//! A topology in Graphviz's language, for `graph --format dot`.

use std::{fmt::Write, slice};

use super::{
    place::{Place, Places},
    topology::{Far, JointKind, Topology, Way},
};
use crate::terminal::visible;

/// A topology for Graphviz: machines and namespaces are clusters, chains run from the host to the
/// guest.
#[must_use]
pub fn dot(topology: &Topology) -> String {
    let mut out = Out {
        text: "digraph topology {\n  rankdir=LR;\n  node [shape=box, fontname=\"monospace\", \
               fontsize=11];\n  edge [fontname=\"monospace\", fontsize=9];\n"
            .to_owned(),
        places: Places::of(topology),
    };
    for (at, network) in topology.networks.iter().enumerate() {
        let title = match &network.name {
            Some(name) => format!("namespace {name}"),
            None => "host".to_owned(),
        };
        out.cluster(&format!("net{at}"), &title);
        for bridge in &network.bridges {
            let label = [slice::from_ref(&bridge.id), &bridge.addresses[..]].concat();
            out.node(&Place::Interface(&bridge.id), &label, "shape=box3d");
        }
        for end in &network.ends {
            let label =
                [slice::from_ref(&end.port.id), &end.addresses[..], &end.port.notes[..]].concat();
            out.node(&Place::Interface(&end.port.id), &label, PORT);
        }
        out.line(format_args!("  }}"));
    }
    for (at, machine) in topology.machines.iter().enumerate() {
        let profile = machine.profile.as_ref().unwrap_or(&topology.profile);
        let title = match machine.name.as_str() {
            "" => format!("machine [{profile}]"),
            name => format!("machine {name} [{profile}]"),
        };
        out.cluster(&format!("machine{at}"), &title);
        for chain in &machine.chains {
            for port in chain.host.iter().chain(&chain.guest) {
                let label = [&[machine.local(&port.id).to_owned()], &port.notes[..]].concat();
                out.node(&Place::Interface(&port.id), &label, PORT);
            }
            let label = [&[machine.local(&chain.netdev).to_owned()], &chain.detail[..]].concat();
            out.node(&Place::Netdev(&chain.netdev), &label, "penwidth=2");
            if let Some(hub) = chain.hub {
                let place = Place::Hub(&machine.name, hub);
                out.node(&place, &[format!("hub {hub}")], "shape=circle");
            }
        }
        for object in machine.all_objects() {
            let mut label = vec![machine.local(&object.id).to_owned(), object.detail()];
            label.extend(object.remarks());
            let style = if object.refused.is_some() {
                "shape=hexagon, color=red, style=dashed"
            } else {
                "shape=hexagon"
            };
            out.node(&Place::Object(&object.id), &label, style);
            for wire in &object.wires {
                let label = [machine.local(&wire.target).to_owned()];
                if let Some(id) = out.places.of_file(wire) {
                    out.declare(&id, &label, PORT);
                }
            }
        }
        for chardev in &machine.chardevs {
            let mut label = vec![machine.local(&chardev.id).to_owned(), chardev.detail.clone()];
            label.extend(chardev.added.map(|step| format!("added in step {step}")));
            out.node(&Place::Chardev(&chardev.id), &label, "shape=parallelogram");
        }
        out.line(format_args!("  }}"));
    }
    out.edges(topology);
    out.line(format_args!("}}"));
    out.text
}

const PORT: &str = "shape=box, style=rounded";

struct Out<'t> {
    text: String,
    places: Places<'t>,
}

impl<'t> Out<'t> {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        let written = writeln!(self.text, "{line}");
        debug_assert!(written.is_ok(), "a String takes everything");
    }

    fn cluster(&mut self, id: &str, title: &str) {
        self.line(format_args!("  subgraph cluster_{id} {{"));
        self.line(format_args!("    label={};", quoted(&[title.to_owned()])));
    }

    fn node(&mut self, place: &Place<'t>, label: &[String], style: &str) {
        if let Some(id) = self.places.first(place) {
            self.declare(&id, label, style);
        }
    }

    fn declare(&mut self, id: &str, label: &[String], style: &str) {
        self.line(format_args!("    {id} [label={}, {style}];", quoted(label)));
    }

    fn edge(&mut self, from: &Place<'t>, to: &Place<'t>, label: &str, style: &str) {
        let (Some(from), Some(to)) = (self.places.id(from), self.places.id(to)) else {
            return;
        };
        let label = match label {
            "" => String::new(),
            label => format!("label={}, ", quoted(&[label.to_owned()])),
        };
        self.line(format_args!("  {from} -> {to} [{label}{style}];"));
    }

    fn edges(&mut self, topology: &'t Topology) {
        for machine in &topology.machines {
            for chain in &machine.chains {
                for pair in Place::stations(machine, chain).windows(2) {
                    self.edge(&pair[0], &pair[1], "", "dir=both, penwidth=2");
                }
            }
            for object in machine.all_objects() {
                let place = Place::Object(&object.id);
                for wire in &object.wires {
                    let target = Place::of_wire(wire);
                    let (from, to, style) = match wire.way {
                        Way::In => (&target, &place, "dir=forward"),
                        Way::Out => (&place, &target, "dir=forward"),
                        Way::Both => (&place, &target, "dir=both"),
                    };
                    self.edge(from, to, &wire.property, style);
                }
            }
            for chardev in &machine.chardevs {
                if let Far::Port { framing, connected } = &chardev.far {
                    let far = Place::Far(&chardev.id);
                    let label = [format!("port {}", chardev.id), framing.clone()];
                    self.node(&far, &label, PORT);
                    let style = if *connected { "dir=none" } else { "dir=none, style=dotted" };
                    self.edge(&Place::Chardev(&chardev.id), &far, "", style);
                }
            }
        }
        for joint in &topology.joints {
            let [one, other] = &joint.ends;
            match joint.kind {
                JointKind::Chardevs => {
                    let (one, other) = (Place::Chardev(one), Place::Chardev(other));
                    self.edge(&one, &other, "", "dir=both, style=dashed");
                }
                JointKind::Link | JointKind::Bridge => {
                    let (one, other) = (Place::Interface(one), Place::Interface(other));
                    self.edge(&one, &other, "", "dir=none");
                }
            }
        }
    }
}

/// Lines as a quoted string of DOT.
fn quoted(lines: &[String]) -> String {
    let escaped = lines.iter().map(|line| {
        let line = visible(line).to_string();
        line.chars()
            .map(|c| match c {
                '"' => "\\\"".to_owned(),
                '\\' => "\\\\".to_owned(),
                c => c.to_string(),
            })
            .collect::<String>()
    });
    format!("\"{}\"", escaped.collect::<Vec<_>>().join("\\n"))
}
