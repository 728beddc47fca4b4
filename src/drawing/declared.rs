//! From a checked case to its topology.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    network,
    object::{self, Added},
    topology::{Chain, Chardev, Far, Machine, Port, Topology, WireKind},
};
use crate::{
    base::{MachineId, PortId},
    record::Framing,
    scenario::{self, Case, ChardevFar, Netdev, NetdevType, Nic, PortStack, Verb},
};

impl Topology {
    /// What a case declares, and what its steps add.
    #[must_use]
    pub fn of(case: &Case) -> Self {
        Self {
            profile: case.profile.to_string(),
            networks: network::of(case),
            machines: case.machines.iter().map(|one| machine(case, one)).collect(),
            joints: network::joints(case),
        }
    }
}

fn machine(case: &Case, machine: &scenario::Machine) -> Machine {
    let mut chains: Vec<Chain> = case
        .netdevs
        .iter()
        .filter(|netdev| netdev.machine == machine.id)
        .map(|netdev| chain(case, netdev))
        .collect();
    for (step, args) in commands(case, &machine.id, "netdev_add") {
        let id = added_id(&machine.id, args);
        if !id.is_empty() && chains.iter().all(|chain| chain.netdev != id) {
            chains.push(added_chain(id, args, step));
        }
    }
    let mut objects = Vec::new();
    for Added { object, netdev, position } in object::all(case, &machine.id) {
        let chain = netdev.and_then(|id| chains.iter_mut().find(|chain| chain.netdev == id));
        match chain {
            Some(chain) => position.insert(&mut chain.filters, object, &machine.id),
            None => objects.push(object),
        }
    }
    let mut made = Machine {
        name: machine.id.to_string(),
        profile: machine.profile.as_ref().map(ToString::to_string),
        chains,
        chardevs: chardevs(case, &machine.id),
        objects,
    };
    let missing = undeclared(&made);
    made.chardevs.extend(missing);
    made
}

/// The arguments of a QMP command of this machine, and its step.
fn commands<'a>(
    case: &'a Case,
    of: &'a MachineId,
    name: &'a str,
) -> impl Iterator<Item = (usize, &'a serde_json::Map<String, Value>)> {
    (1..).zip(&case.steps).filter_map(move |(step, one)| match &one.verb {
        Verb::Qmp { machine, command, args } if machine == of && command == name => {
            Some((step, args))
        }
        _ => None,
    })
}

fn added_id(machine: &MachineId, args: &serde_json::Map<String, Value>) -> String {
    let id = args.get("id").and_then(Value::as_str).unwrap_or_default();
    machine.qualified(id)
}

fn chain(case: &Case, netdev: &Netdev) -> Chain {
    let port = |name: &str| port(case, &PortId::from(format!("{}.{name}", netdev.id)));
    let mut chain = Chain {
        netdev: netdev.id.to_string(),
        detail: Vec::new(),
        host: None,
        hub: None,
        guest: None,
        filters: Vec::new(),
        added: None,
    };
    match &netdev.kind {
        NetdevType::Tap { ifname, netns, addresses, vhost, nic, queues, .. } => {
            chain.detail.push(format!("tap {ifname}"));
            chain.detail.extend(vhost.then(|| "vhost".to_owned()));
            if let Nic::Virtio { vnet_hdr_len } = nic {
                chain.detail.push(format!("virtio, header {vnet_hdr_len}"));
            }
            if *queues > 1 {
                chain.detail.push(format!("{queues} queues"));
            }
            chain.detail.extend(
                netns
                    .iter()
                    .filter(|name| **name != netdev.machine.as_str())
                    .map(|name| format!("netns {name}")),
            );
            let mut host = port("host");
            host.notes.splice(0..0, addresses.iter().cloned());
            chain.host = Some(host);
            chain.guest = Some(port("guest"));
        }
        NetdevType::Hubport { hub } => {
            chain.detail.push("hubport".to_owned());
            chain.hub = Some(*hub);
        }
        NetdevType::User => chain.detail.push("user".to_owned()),
    }
    chain
}

fn added_chain(netdev: String, args: &serde_json::Map<String, Value>, step: usize) -> Chain {
    let kind = args.get("type").and_then(Value::as_str).unwrap_or("?");
    let hub = args.get("hubid").and_then(Value::as_u64);
    Chain {
        netdev,
        detail: vec![kind.to_owned()],
        host: None,
        hub: hub.and_then(|hub| u32::try_from(hub).ok()),
        guest: None,
        filters: Vec::new(),
        added: Some(step),
    }
}

/// A port with its stack and what impairs it from the start.
pub(super) fn port(case: &Case, id: &PortId) -> Port {
    let stacks = case.stacks.iter().filter(|stack| stack.port == *id);
    let mut notes: Vec<String> = stacks.map(stack).collect();
    let impaired = case.impair.iter().filter(|impair| impair.port == *id);
    notes.extend(impaired.map(|impair| {
        let text = impair.to_string();
        text.strip_prefix(&format!("{id} ")).map_or_else(|| text.clone(), str::to_owned)
    }));
    Port { id: id.to_string(), notes }
}

fn stack(stack: &PortStack) -> String {
    let config = &stack.config;
    let services: Vec<String> =
        config.services.iter().map(|service| service.port.to_string()).collect();
    let address = format!("{}/{}", config.address, config.prefix);
    match services.as_slice() {
        [] => address,
        services => format!("{address} serves {}", services.join(", ")),
    }
}

fn chardevs(case: &Case, machine: &MachineId) -> Vec<Chardev> {
    let declared = case.chardevs.iter().filter(|one| one.machine == *machine);
    let mut chardevs: Vec<Chardev> = declared.map(chardev).collect();
    for (step, args) in commands(case, machine, "chardev-add") {
        let id = added_id(machine, args);
        if id.is_empty() || chardevs.iter().any(|known| known.id == id) {
            continue;
        }
        let backend = args.get("backend").and_then(|backend| backend.get("type"));
        let joined = case.joined.iter().any(|one| one.as_str() == id);
        let port = case.ports.iter().find(|port| port.id.as_str() == id);
        chardevs.push(Chardev {
            detail: backend.and_then(Value::as_str).unwrap_or("?").to_owned(),
            far: match port.and_then(|port| port.kind.framing()) {
                Some(framing) => Far::Port { framing: word(framing).to_owned(), connected: false },
                None if joined => Far::Joined,
                None => Far::Nobody,
            },
            added: Some(step),
            id,
        });
    }
    chardevs
}

fn chardev(chardev: &scenario::Chardev) -> Chardev {
    let mut detail = vec![chardev.backend.clone()];
    if let Some(address) = &chardev.address {
        detail.extend(chardev.server.then(|| "server".to_owned()));
        detail.push(address.to_string());
    }
    Chardev {
        id: chardev.id.to_string(),
        detail: detail.join(" "),
        far: match &chardev.far {
            ChardevFar::Port { connected, wiring } => {
                Far::Port { framing: word(wiring.framing).to_owned(), connected: *connected }
            }
            ChardevFar::Joined(_) => Far::Joined,
            ChardevFar::Nobody => Far::Nobody,
        },
        added: None,
    }
}

const fn word(framing: Framing) -> &'static str {
    match framing {
        Framing::Plain => "plain",
        Framing::Vnet => "vnet",
        Framing::Raw => "raw",
        Framing::Pcap => "pcap",
    }
}

/// Chardevs that objects name and nothing declares, for they are what is wrong.
fn undeclared(machine: &Machine) -> Vec<Chardev> {
    let mut missing: Vec<Chardev> = Vec::new();
    let known: BTreeSet<&str> = machine.chardevs.iter().map(|one| one.id.as_str()).collect();
    let wires = machine.all_objects().flat_map(|object| &object.wires);
    for wire in wires.filter(|wire| wire.kind == WireKind::Chardev) {
        let target = wire.target.as_str();
        if !known.contains(target) && missing.iter().all(|one| one.id != target) {
            missing.push(Chardev {
                id: target.to_owned(),
                detail: "not declared".to_owned(),
                far: Far::Undeclared,
                added: None,
            });
        }
    }
    missing
}
