//! The TCP/IP stacks behind guest ports and at host ports.

use std::net::Ipv4Addr;

use super::{
    machine::Part,
    migrate,
    port::{Endpoint, Ports},
    service,
};
use crate::{
    base::{MacAddr, NetdevId, PortId},
    diag::Span,
    guest::Config,
    record::PortKind,
    scenario::{
        case::{Bridge, Link, Netdev, NetdevType},
        context::Context,
        fault::{self, Fault},
        fields::{Fields, duration_default, integer_default},
        key,
        node::{Node, short},
        stack::PortStack,
        value,
    },
};

/// Bytes of an IPv4 and a TCP header without options.
const HEADERS: u32 = 40;
const CLIENT_ADDRESS: (Ipv4Addr, u8) = (Ipv4Addr::new(10, 0, 0, 1), 24);

/// What the stack of a port has by default.
struct Defaults {
    mac: MacAddr,
    mtu: u32,
    address: Option<(Ipv4Addr, u8)>,
}

pub(super) fn guests(part: &Part<'_>, netdevs: &[Netdev]) -> Vec<PortStack> {
    let fields = &part.fields;
    let entries = fields.node("netdevs").and_then(Node::map).unwrap_or(&[]);
    let mut stacks = Vec::new();
    for entry in entries {
        let Some(guest) = entry.value.get("guest") else {
            continue;
        };
        let id: NetdevId = part.id().qualified(&entry.key);
        let netdev = netdevs.iter().find(|one| one.id == id);
        let Some(NetdevType::Tap { mac, mtu, .. }) = netdev.map(|one| &one.kind) else {
            continue;
        };
        let Some(map) = Fields::open(fields.context(), &guest.value, &key::GUEST) else {
            continue;
        };
        map.choice("stack");
        if part.machine.incoming {
            migrate::check_guest(fields, guest.key_span, &id);
        }
        let defaults = Defaults { mac: *mac, mtu: *mtu, address: None };
        if let Some(mut config) = config(&map, &defaults, guest.key_span) {
            config.services = service::lower(&map);
            stacks.push(PortStack { port: PortId::guest(&id), config });
        }
    }
    stacks
}

/// The clients that are declared.
pub(super) fn clients(
    fields: &Fields<'_>,
    ports: &Ports,
    host: &Interfaces<'_>,
    stacks: &mut Vec<PortStack>,
) {
    let Some(node) = fields.node("clients") else {
        return;
    };
    let Some(entries) = node.map() else {
        let help = "write `clients: {hn0.host: {address: 10.0.0.1/24}}`".to_owned();
        value::mismatch(fields.context(), node, "a map from ports", Some(help));
        return;
    };
    for entry in entries {
        let (context, span) = (fields.context(), entry.key_span);
        let Some(endpoint) = ports.find(context, &entry.key, span, "`clients`") else {
            continue;
        };
        if stacks.iter().any(|stack| stack.port == endpoint.port.id) {
            let (id, what) = (entry.key.to_string(), "the stack of");
            fields.fault(span, Fault::DuplicateId { id, what });
            continue;
        }
        if !takes_client(context, endpoint, host, span) {
            continue;
        }
        if let Some(map) = Fields::open(context, &entry.value, &key::CLIENT) {
            let defaults = host.defaults(endpoint);
            if let Some(config) = config(&map, &defaults, span) {
                stacks.push(PortStack { port: endpoint.port.id.clone(), config });
            }
        }
    }
}

/// Makes sure that there is a stack where a client calls from.
pub(super) fn client_at(
    context: &Context<'_>,
    endpoint: &Endpoint,
    host: &Interfaces<'_>,
    stacks: &mut Vec<PortStack>,
    span: Span,
) -> bool {
    if stacks.iter().any(|stack| stack.port == endpoint.port.id) {
        return true;
    }
    if !takes_client(context, endpoint, host, span) {
        return false;
    }
    let defaults = host.defaults(endpoint);
    let (address, prefix) = CLIENT_ADDRESS;
    stacks.push(PortStack {
        port: endpoint.port.id.clone(),
        config: Config {
            mac: defaults.mac,
            address,
            prefix,
            mss: mss(defaults.mtu),
            window: integer_default(&key::CLIENT, "window"),
            isn_seed: integer_default(&key::CLIENT, "isn_seed"),
            ack_delay: duration_default(&key::CLIENT, "ack_delay"),
            services: Vec::new(),
        },
    });
    true
}

fn takes_client(
    context: &Context<'_>,
    endpoint: &Endpoint,
    host: &Interfaces<'_>,
    span: Span,
) -> bool {
    let is = match endpoint.port.kind {
        PortKind::Host | PortKind::LinkEnd => match host.taken(&endpoint.port.id) {
            Some(Taken::Address) => "has an address of the host, whose own stack would answer too",
            Some(Taken::Bridge) => "is held by a bridge, which takes its frames",
            None => return true,
        },
        PortKind::Guest => "has no `guest`",
        PortKind::Chardev(_) => "is the port of a chardev",
        PortKind::File => "is a file",
    };
    context.fault(
        span,
        Fault::WrongPort {
            name: endpoint.port.id.to_string(),
            is,
            verb: "`client`",
            needs: "an interface that the host leaves alone, or a guest",
            help: "name a host port or link end without an address and outside bridges, or give \
                   the netdev a `guest`"
                .to_owned(),
        },
    );
    false
}

fn config(map: &Fields<'_>, defaults: &Defaults, span: Span) -> Option<Config> {
    let (address, prefix) = if map.has("address") { address(map)? } else { defaults.address? };
    let mac = if map.knows("mac") && map.has("mac") { map.mac("mac")? } else { defaults.mac };
    if mac.0[0] & 1 == 1 {
        let span = map.span_of("mac").unwrap_or(span);
        map.fault(
            span,
            Fault::Format {
                reason: format!("{mac} is the address of a group"),
                help: "the first octet of a stack's own address is even: 52:54:00:12:34:56",
                code: fault::BAD_MAC,
            },
        );
    }
    Some(Config {
        mac,
        address,
        prefix,
        mss: map.integer("mss").unwrap_or_else(|| mss(defaults.mtu)),
        window: map.integer_or_default("window"),
        isn_seed: map.integer_or_default("isn_seed"),
        ack_delay: map.duration_or_default("ack_delay"),
        services: Vec::new(),
    })
}

fn mss(mtu: u32) -> u16 {
    u16::try_from(mtu.saturating_sub(HEADERS).max(1)).unwrap_or(u16::MAX)
}

/// An IPv4 address of one host, with its prefix.
fn address(map: &Fields<'_>) -> Option<(Ipv4Addr, u8)> {
    let (text, span) = map.texts("address").into_iter().next()?;
    let parsed = text.split_once('/').and_then(|(address, prefix)| {
        let address: Ipv4Addr = address.parse().ok()?;
        let plain = prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix: u8 = prefix.parse().ok().filter(|bits| plain && *bits <= 32)?;
        let unicast =
            !(address.is_broadcast() || address.is_multicast() || address.is_unspecified());
        unicast.then_some((address, prefix))
    });
    if parsed.is_none() {
        map.fault(
            span,
            Fault::Format {
                reason: format!(
                    "\"{}\" is not the IPv4 address of a host with its prefix",
                    short(&text)
                ),
                help: "write the address and the bits of its network: 10.0.0.2/24",
                code: fault::BAD_ADDRESS,
            },
        );
    }
    parsed
}

/// Why the host itself takes the frames of one of its interfaces.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It has an address.
    Address,
    /// A bridge holds it.
    Bridge,
}

/// The interfaces of the host side.
pub(super) struct Interfaces<'a> {
    pub(super) netdevs: &'a [Netdev],
    pub(super) links: &'a [Link],
    pub(super) bridges: &'a [Bridge],
    /// The host ports and link ends that bridges hold, from the start or by a step.
    pub(super) bridged: Vec<PortId>,
}

impl Interfaces<'_> {
    /// Why the host itself takes a port's frames, if it does.
    pub(super) fn taken(&self, port: &PortId) -> Option<Taken> {
        let addresses = self.of(port).map_or(&[][..], |(_, addresses)| addresses);
        if !addresses.is_empty() {
            Some(Taken::Address)
        } else if self.bridged.contains(port) {
            Some(Taken::Bridge)
        } else {
            None
        }
    }

    fn defaults(&self, endpoint: &Endpoint) -> Defaults {
        Defaults {
            mac: endpoint.sending().src,
            mtu: self.of(&endpoint.port.id).map_or(1500, |(mtu, _)| mtu),
            address: Some(CLIENT_ADDRESS),
        }
    }

    /// The namespace of a port's interface; none for the scenario's own.
    pub(super) fn namespace(&self, port: &PortId) -> Option<&str> {
        let tap = self.netdevs.iter().find_map(|netdev| match &netdev.kind {
            NetdevType::Tap { netns, .. } if PortId::host(&netdev.id) == *port => Some(netns),
            _ => None,
        });
        let mut ends = self.links.iter().flat_map(|link| &link.ends);
        tap.or_else(|| Some(&ends.find(|end| end.port == *port)?.netns))?.as_deref()
    }

    /// The MTU and the addresses of a port's interface.
    fn of(&self, port: &PortId) -> Option<(u32, &[String])> {
        let tap = self.netdevs.iter().find_map(|netdev| match &netdev.kind {
            NetdevType::Tap { mtu, addresses, .. } if PortId::host(&netdev.id) == *port => {
                Some((*mtu, addresses.as_slice()))
            }
            _ => None,
        });
        tap.or_else(|| {
            let mut ends = self.links.iter().flat_map(|link| &link.ends);
            let end = ends.find(|end| end.port == *port)?;
            Some((end.mtu, end.addresses.as_slice()))
        })
    }
}
