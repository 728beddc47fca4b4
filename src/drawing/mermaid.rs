//! A topology in Mermaid's language, for `graph --format mermaid` and Markdown reports.

use std::{fmt::Write, slice};

use super::{
    place::{Place, Places},
    topology::{Far, JointKind, Topology, Way},
};
use crate::terminal::visible;

/// A topology as a Mermaid flowchart: machines and namespaces are subgraphs, chains run from the
/// host to the guest.
#[must_use]
pub fn mermaid(topology: &Topology) -> String {
    let mut out = Out { text: "flowchart LR\n".to_owned(), places: Places::of(topology) };
    for (at, network) in topology.networks.iter().enumerate() {
        let title = match &network.name {
            Some(name) => format!("namespace {name}"),
            None => "host".to_owned(),
        };
        out.line(format_args!("  subgraph net{at}[\"{}\"]", quoted(&title)));
        for bridge in &network.bridges {
            let label = [slice::from_ref(&bridge.id), &bridge.addresses[..]].concat();
            out.node(&Place::Interface(&bridge.id), "[", &label, "]");
        }
        for end in &network.ends {
            let label =
                [slice::from_ref(&end.port.id), &end.addresses[..], &end.port.notes[..]].concat();
            out.node(&Place::Interface(&end.port.id), "([", &label, "])");
        }
        out.line(format_args!("  end"));
    }
    for (at, machine) in topology.machines.iter().enumerate() {
        let profile = machine.profile.as_ref().unwrap_or(&topology.profile);
        let title = match machine.name.as_str() {
            "" => format!("machine [{profile}]"),
            name => format!("machine {name} [{profile}]"),
        };
        out.line(format_args!("  subgraph machine{at}[\"{}\"]", quoted(&title)));
        for chain in &machine.chains {
            for port in chain.host.iter().chain(&chain.guest) {
                let label = [&[machine.local(&port.id).to_owned()], &port.notes[..]].concat();
                out.node(&Place::Interface(&port.id), "([", &label, "])");
            }
            let label = [&[machine.local(&chain.netdev).to_owned()], &chain.detail[..]].concat();
            out.node(&Place::Netdev(&chain.netdev), "[", &label, "]");
            if let Some(hub) = chain.hub {
                let label = [format!("hub {hub}")];
                out.node(&Place::Hub(&machine.name, hub), "((", &label, "))");
            }
        }
        for object in machine.all_objects() {
            let mut label = vec![machine.local(&object.id).to_owned(), object.detail()];
            label.extend(object.remarks());
            out.node(&Place::Object(&object.id), "{{", &label, "}}");
        }
        for chardev in &machine.chardevs {
            let mut label = vec![machine.local(&chardev.id).to_owned(), chardev.detail.clone()];
            label.extend(chardev.added.map(|step| format!("added in step {step}")));
            out.node(&Place::Chardev(&chardev.id), "[/", &label, "/]");
        }
        out.line(format_args!("  end"));
    }
    out.edges(topology);
    out.text
}

struct Out<'t> {
    text: String,
    places: Places<'t>,
}

impl<'t> Out<'t> {
    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        let written = writeln!(self.text, "{line}");
        debug_assert!(written.is_ok(), "a String takes everything");
    }

    fn node(&mut self, place: &Place<'t>, open: &str, label: &[String], close: &str) {
        if let Some(id) = self.places.first(place) {
            let label: Vec<String> = label.iter().map(|line| quoted(line)).collect();
            self.line(format_args!("    {id}{open}\"{}\"{close}", label.join("<br/>")));
        }
    }

    fn edge(&mut self, from: &Place<'t>, arrow: &str, label: &str, to: &Place<'t>) {
        let (Some(from), Some(to)) = (self.places.id(from), self.places.id(to)) else {
            return;
        };
        let label = match label {
            "" => String::new(),
            label => format!("|\"{}\"|", quoted(label)),
        };
        self.line(format_args!("  {from} {arrow}{label} {to}"));
    }

    fn edges(&mut self, topology: &'t Topology) {
        for machine in &topology.machines {
            for chain in &machine.chains {
                let stations = Place::stations(machine, chain);
                for pair in stations.windows(2) {
                    self.edge(&pair[0], "<==>", "", &pair[1]);
                }
            }
            for object in machine.all_objects() {
                let place = Place::Object(&object.id);
                for wire in &object.wires {
                    let target = Place::of_wire(wire);
                    self.places.of_file(wire).into_iter().for_each(|id| {
                        let label = quoted(machine.local(&wire.target));
                        self.text += &format!("    {id}([\"{label}\"])\n");
                    });
                    match wire.way {
                        Way::In => self.edge(&target, "-->", &wire.property, &place),
                        Way::Out => self.edge(&place, "-->", &wire.property, &target),
                        Way::Both => self.edge(&place, "<-->", &wire.property, &target),
                    }
                }
            }
            for chardev in &machine.chardevs {
                if let Far::Port { framing, connected } = &chardev.far {
                    let (from, to) = (Place::Chardev(&chardev.id), Place::Far(&chardev.id));
                    let label = [format!("port {}", chardev.id), framing.clone()];
                    self.node(&to, "([", &label, "])");
                    let arrow = if *connected { "---" } else { "-.-" };
                    self.edge(&from, arrow, "", &to);
                }
            }
        }
        for joint in &topology.joints {
            let [one, other] = &joint.ends;
            match joint.kind {
                JointKind::Chardevs => {
                    self.edge(&Place::Chardev(one), "<-.->", "", &Place::Chardev(other));
                }
                JointKind::Link | JointKind::Bridge => {
                    self.edge(&Place::Interface(one), "---", "", &Place::Interface(other));
                }
            }
        }
    }
}

/// Text between quotes: Mermaid knows HTML's character references, and gives marks of its own a
/// meaning.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for c in visible(text).to_string().chars() {
        match c {
            c if c.is_alphanumeric() || " -_.,:/=()[]+".contains(c) => quoted.push(c),
            c => quoted += &format!("#{};", u32::from(c)),
        }
    }
    quoted
}
