//! Reads the host's side: namespaces, links, bridges and routes.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    base::{MacAddr, MachineId, NetdevId, PortId},
    diag::Span,
    scenario::{
        case::{Bridge, BridgePort, Link, LinkEnd, Netdev, NetdevType, Route},
        fault::Fault,
        fields::Fields,
        key,
        node::{Entry, short},
        suggest::{list, nearest},
        value,
    },
};

/// The first link end's address; the others follow.
const FIRST_LINK_MAC: MacAddr = MacAddr([0x02, 0, 0, 0, 0x01, 0x01]);
const DEFAULT_MTU: u32 = 1500;

/// The host side as it was declared.
#[derive(Default)]
pub(super) struct Host {
    pub(super) namespaces: Vec<(String, Span)>,
    pub(super) links: Vec<Link>,
    pub(super) bridges: Vec<Bridge>,
    pub(super) routes: Vec<Route>,
    /// Interface names with their namespace and place.
    interfaces: Vec<(Option<String>, String, Span)>,
    /// What each bridge holds by its own `ports`.
    wanted: Vec<(usize, String, Span)>,
}

pub(super) fn lower(fields: &Fields<'_>, machines: &[MachineId]) -> Host {
    let mut host = Host::default();
    // Each of several machines is a host of its own.
    let machines = machines.iter().filter(|machine| machine.is_named());
    host.namespaces.extend(machines.map(|machine| (machine.to_string(), fields.span)));
    namespaces(fields, &mut host);
    bridges(fields, &mut host);
    links(fields, &mut host);
    routes(fields, &mut host);
    host
}

fn namespaces(fields: &Fields<'_>, host: &mut Host) {
    for (name, span) in fields.texts("namespaces") {
        if !is_id(&name) {
            fields.fault(span, bad_id(&name, "a namespace"));
        } else if host.namespaces.iter().any(|(other, _)| *other == name) {
            fields.fault(span, Fault::DuplicateId { id: name.clone(), what: "the namespace" });
        } else {
            host.namespaces.push((name, span));
        }
    }
}

fn named<'a>(fields: &Fields<'a>, key: &str) -> &'a [Entry] {
    let Some(node) = fields.node(key) else {
        return &[];
    };
    if let Some(entries) = node.map() {
        return entries;
    }
    let help = format!("write `{key}: {{NAME: {{...}}}}`");
    value::mismatch(fields.context(), node, "a map from names", Some(help));
    &[]
}

fn bridges(fields: &Fields<'_>, host: &mut Host) {
    for entry in named(fields, "bridges") {
        check_interface_name(fields, &entry.key, entry.key_span);
        let Some(map) = Fields::open(fields.context(), &entry.value, &key::BRIDGE) else {
            continue;
        };
        let number = host.bridges.len();
        let netns = netns(&map, host);
        let ports = map.texts("ports");
        host.wanted.extend(ports.into_iter().map(|(name, span)| (number, name, span)));
        host.interfaces.push((netns.clone(), entry.key.to_string(), entry.key_span));
        host.bridges.push(Bridge {
            id: entry.key.to_string(),
            netns,
            addresses: map.addresses("address"),
            ports: Vec::new(),
        });
    }
}

fn links(fields: &Fields<'_>, host: &mut Host) {
    let mut mac = FIRST_LINK_MAC;
    for entry in named(fields, "links") {
        if !is_id(&entry.key) {
            fields.fault(entry.key_span, bad_id(&entry.key, "a link"));
        }
        let Some(map) = Fields::open(fields.context(), &entry.value, &key::LINK) else {
            continue;
        };
        let Some(nodes) = map.node("ends") else {
            continue;
        };
        let Some([one, other]) = nodes.list() else {
            let help = "write `ends: [{name: a}, {name: b}]`".to_owned();
            value::mismatch(fields.context(), nodes, "a list of two ends", Some(help));
            continue;
        };
        let mut ends = Vec::with_capacity(2);
        for node in [one, other] {
            if let Some(end) = Fields::open(fields.context(), node, &key::LINK_END) {
                ends.extend(link_end(&end, host, &entry.key, mac));
            }
            mac = mac.nth(1);
        }
        if let Ok(ends) = <[LinkEnd; 2]>::try_from(ends) {
            host.links.push(Link { id: entry.key.to_string(), ends });
        }
    }
}

fn link_end(end: &Fields<'_>, host: &mut Host, link: &str, mac: MacAddr) -> Option<LinkEnd> {
    let name = end.text("name")?;
    let span = end.node("name").map_or(end.span, |node| node.span);
    check_interface_name(end, &name, span);
    let netns = netns(end, host);
    let port = PortId::from(format!("{link}.{name}"));
    host.interfaces.push((netns.clone(), name.clone(), span));
    if let Some(bridge) = end.text("bridge") {
        let span = end.node("bridge").map_or(end.span, |node| node.span);
        hold(end, host, &bridge, BridgePort::Link(port.clone()), span);
    }
    Some(LinkEnd {
        port,
        span,
        name,
        netns,
        mac: end.mac("mac").unwrap_or(mac),
        addresses: end.addresses("address"),
        mtu: end.integer("mtu").unwrap_or(DEFAULT_MTU),
    })
}

fn hold(fields: &Fields<'_>, host: &mut Host, bridge: &str, port: BridgePort, span: Span) {
    if let Some(bridge) = host.bridges.iter_mut().find(|known| known.id == bridge) {
        bridge.ports.push(port);
        return;
    }
    let names = || host.bridges.iter().map(|bridge| bridge.id.as_str());
    fields.fault(span, unknown("bridge", bridge, names()));
}

fn routes(fields: &Fields<'_>, host: &mut Host) {
    let Some(node) = fields.node("routes") else {
        return;
    };
    let Some(nodes) = node.list() else {
        let help = "write `routes: [{to: 10.1.0.0/24, via: 10.0.0.1}]`".to_owned();
        value::mismatch(fields.context(), node, "a list of routes", Some(help));
        return;
    };
    for node in nodes {
        let Some(map) = Fields::open(fields.context(), node, &key::ROUTE) else {
            continue;
        };
        let netns = netns(&map, host);
        let (Some(to), Some(via)) = (map.text("to"), map.text("via")) else {
            continue;
        };
        if to != "default" {
            let span = map.node("to").map_or(map.span, |node| node.span);
            value::is_network(fields.context(), &to, span);
        }
        if via.parse::<std::net::IpAddr>().is_err() {
            let span = map.node("via").map_or(map.span, |node| node.span);
            map.fault(
                span,
                Fault::Format {
                    reason: format!("\"{}\" is not an IP address", short(&via)),
                    help: "the next hop is an address without a prefix: 10.0.0.1",
                    code: crate::scenario::fault::BAD_ADDRESS,
                },
            );
        }
        host.routes.push(Route { netns, to, via });
    }
}

/// Puts the interfaces into the bridges that name them.
pub(super) fn join_bridges(fields: &Fields<'_>, host: &mut Host, netdevs: &[Netdev]) {
    let tap_names = netdevs
        .iter()
        .filter(|netdev| matches!(netdev.kind, NetdevType::Tap { .. }))
        .map(|netdev| netdev.id.as_str());
    let end_names: Vec<String> = host
        .links
        .iter()
        .flat_map(|link| link.ends.iter().map(|end| end.port.to_string()))
        .collect();
    let taps: BTreeSet<&str> = tap_names.clone().collect();
    let ends: BTreeSet<&str> = end_names.iter().map(String::as_str).collect();
    let mut held: BTreeSet<PortId> = bridged(host).into_iter().collect();
    for (bridge, name, span) in std::mem::take(&mut host.wanted) {
        let port = if taps.contains(name.as_str()) {
            BridgePort::Netdev(NetdevId::from(name))
        } else if ends.contains(name.as_str()) {
            BridgePort::Link(PortId::from(name))
        } else {
            let names = tap_names.clone().chain(end_names.iter().map(String::as_str));
            fields.fault(span, unknown("interface", &name, names));
            continue;
        };
        if !held.insert(port.id()) {
            let id = match &port {
                BridgePort::Netdev(id) => id.to_string(),
                BridgePort::Link(id) => id.to_string(),
            };
            fields.fault(span, Fault::DuplicateId { id, what: "as the port of a bridge," });
        }
        host.bridges[bridge].ports.push(port);
    }
}

/// Two interfaces of one namespace can't have one name.
pub(super) fn check_interfaces(fields: &Fields<'_>, host: &Host, netdevs: &[Netdev]) {
    let mut seen: BTreeMap<(Option<String>, String), Span> = BTreeMap::new();
    let taps = netdevs.iter().filter_map(|netdev| match &netdev.kind {
        NetdevType::Tap { ifname, netns, .. } => Some((netns.clone(), ifname.clone(), netdev.span)),
        NetdevType::Hubport { .. } | NetdevType::User => None,
    });
    for (netns, name, span) in host.interfaces.iter().cloned().chain(taps) {
        if let Some(first) = seen.insert((netns, name.clone()), span) {
            let fault = Fault::DuplicateId { id: name, what: "the interface" };
            fields.context().fault_with(span, fault, first, "the first is declared here");
        }
    }
}

/// The host ports and link ends that bridges hold.
pub(super) fn bridged(host: &Host) -> Vec<PortId> {
    host.bridges.iter().flat_map(|bridge| &bridge.ports).map(BridgePort::id).collect()
}

/// The namespace that a `netns` key names.
pub(super) fn netns(fields: &Fields<'_>, host: &Host) -> Option<String> {
    let name = fields.text("netns")?;
    if !host.namespaces.iter().any(|(known, _)| *known == name) {
        let span = fields.node("netns").map_or(fields.span, |node| node.span);
        let names = host.namespaces.iter().map(|(name, _)| name.as_str());
        fields.fault(span, unknown("namespace", &name, names));
    }
    Some(name)
}

/// A name that nothing has, with the nearest: first what one of several machines has by that name.
pub(super) fn unknown<'n>(
    what: &'static str,
    name: &str,
    names: impl Iterator<Item = &'n str> + Clone,
) -> Fault {
    let of_machine = |known: &&str| known.rsplit_once('/').is_some_and(|(_, own)| own == name);
    let near = names.clone().find(of_machine).map(str::to_owned);
    Fault::UnknownName {
        what,
        name: short(name),
        near: near.or_else(|| nearest(name, names.clone())),
        known: list(names),
    }
}

/// A letter, then letters, digits, `-` and `_`: QEMU's `id_wellformed` (QEMU 10.2.2, `util/id.c`)
/// without the dot, which separates an id from the side of a port.
pub(super) fn is_id(id: &str) -> bool {
    id.starts_with(|c: char| c.is_ascii_alphabetic())
        && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

pub(super) fn bad_id(id: &str, what: &'static str) -> Fault {
    let rule = "begin with a letter, then letters, digits, `-` and `_`";
    Fault::BadId { id: short(id), what, rule }
}

/// Linux `net/core/dev.c`, `dev_valid_name`: at most 15 bytes, no `/`, `:` or blank.
pub(super) fn check_interface_name(fields: &Fields<'_>, name: &str, span: Span) {
    let ok = !name.is_empty()
        && name.len() <= 15
        && name != "."
        && name != ".."
        && name != "lo"
        && name.chars().all(|c| c.is_ascii_graphic() && !"/:%".contains(c));
    if !ok {
        fields.fault(span, Fault::BadId {
            id: short(name),
            what: "an interface",
            rule: "the kernel takes 1 to 15 bytes without `/`, `:`, `%` and blanks; `lo` is there \
                   already",
        });
    }
}
