//! Impairments, and what a client does.

use std::net::SocketAddrV4;

use super::{
    bytes,
    expect::Known,
    port::Ports,
    stack::{self, Interfaces},
};
use crate::{
    diag::Span,
    guest::Call,
    record::PortKind,
    scenario::{
        context::Context,
        fault::{self, Fault},
        fields::Fields,
        impairment::{Impair, Impairment, Share, Way, parse_rate},
        key,
        node::{Entry, Node, short},
        stack::Client,
        value,
    },
};

/// Port to `{in, out}`.
pub(super) fn impairs(
    context: &Context<'_>,
    node: &Node,
    ports: &Ports,
    host: &Interfaces<'_>,
) -> Vec<Impair> {
    let Some(entries) = node.map() else {
        let help = "write `impair: {hn0.guest: {out: {loss: 10%}}}`".to_owned();
        value::mismatch(context, node, "a map from ports", Some(help));
        return Vec::new();
    };
    let mut all = Vec::new();
    for entry in entries {
        all.extend(of_port(context, entry, ports, host).unwrap_or_default());
    }
    if entries.is_empty() {
        let what = "nothing is impaired";
        let help = "name a port and a direction: `impair: {hn0.guest: {out: {loss: 10%}}}`";
        context.fault(node.span, Fault::Nothing { what, help });
    }
    all
}

fn of_port(
    context: &Context<'_>,
    entry: &Entry,
    ports: &Ports,
    host: &Interfaces<'_>,
) -> Option<Vec<Impair>> {
    let span = entry.key_span;
    let endpoint = ports.find(context, &entry.key, span, "`impair`")?;
    let is = match endpoint.port.kind {
        PortKind::Chardev(_) => Some("is the port of a chardev: a stream, not frames"),
        PortKind::File => Some("is a file, which no network leads to"),
        _ => host.taken(&endpoint.port.id).map(|taken| match taken {
            stack::Taken::Address => "has an address of the host, whose stack is not behind it",
            stack::Taken::Bridge => "is held by a bridge, which is not behind it",
        }),
    };
    if let Some(is) = is {
        let fault = Fault::WrongPort {
            name: endpoint.port.id.to_string(),
            is,
            verb: "`impair`",
            needs: "a guest port, or an interface that the host leaves alone",
            help: "impair the guest port, or an interface without an address and outside bridges"
                .to_owned(),
        };
        context.fault(span, fault);
        return None;
    }
    let map = Fields::open(context, &entry.value, &key::IMPAIR)?;
    let mut all = Vec::new();
    for (name, way) in [("in", Way::In), ("out", Way::Out)] {
        if let Some(node) = map.node(name) {
            let port = endpoint.port.id.clone();
            let impairment = impairment(context, node)?;
            all.push(Impair { port, way, impairment });
        }
    }
    if map.entries().is_empty() {
        let what = "no direction is impaired";
        let help = "write `in`, `out`, or both: {out: {loss: 10%}}";
        map.fault(map.span, Fault::Nothing { what, help });
    }
    Some(all)
}

fn impairment(context: &Context<'_>, node: &Node) -> Option<Impairment> {
    if node.text() == Some("none") {
        return Some(Impairment::default());
    }
    let map = Fields::open(context, node, &key::IMPAIRMENT)?;
    for key in ["jitter", "reorder"] {
        if let Some(entry) = map.entry(key).filter(|_| !map.has("delay")) {
            let (key, needs) = (key.to_owned(), "`delay`");
            map.fault(entry.key_span, Fault::Needs { key, needs });
        }
    }
    if map.entries().iter().all(|entry| entry.key == "seed") {
        let what = "nothing is impaired";
        let help = "write what happens: {loss: 10%}, {delay: 5ms}; or `none`";
        map.fault(map.span, Fault::Nothing { what, help });
    }
    Some(Impairment {
        loss: share(&map, "loss"),
        delay: map.duration_or_default("delay"),
        jitter: map.duration("jitter").unwrap_or_default(),
        reorder: share(&map, "reorder"),
        duplicate: share(&map, "duplicate"),
        corrupt: share(&map, "corrupt"),
        rate: rate(&map),
        seed: map.integer_or_default("seed"),
    })
}

fn share(map: &Fields<'_>, key: &'static str) -> Share {
    let help = "write a percentage from 0% to 100%, with at most four digits behind the point: \
                10%, 0.1%";
    read(map, key, Share::parse, "a share of frames", help).unwrap_or_default()
}

fn rate(map: &Fields<'_>) -> u64 {
    let help = "write bits in a second with their unit: 500kbit, 1mbit, 10gbit";
    read(map, "rate", parse_rate, "a rate", help).unwrap_or(0)
}

/// A value with a unit, which a bare number has not.
fn read<T>(
    map: &Fields<'_>,
    key: &str,
    parse: fn(&str) -> Option<T>,
    what: &str,
    help: &'static str,
) -> Option<T> {
    let node = map.node(key)?;
    let text = node.scalar().map(|scalar| scalar.shown().to_owned());
    let value = text.as_deref().and_then(parse);
    if value.is_none() {
        let found = text.map_or_else(|| node.shown(), |text| format!("\"{}\"", short(&text)));
        map.fault(
            node.span,
            Fault::Format {
                reason: format!("{found} is not {what}"),
                help,
                code: fault::BAD_IMPAIRMENT,
            },
        );
    }
    value
}

pub(super) fn client(context: &Context<'_>, node: &Node, known: &Known<'_>) -> Option<Client> {
    let map = Fields::open(context, node, &key::CALL)?;
    let from = map.text("from");
    let span = map.span_of("from").unwrap_or(map.span);
    let endpoint = from
        .as_deref()
        .and_then(|name| known.ports.find(context, name, span, "`client`"))
        .filter(|endpoint| {
            let stacks = &mut known.stacks.borrow_mut();
            known.arrivals.borrow().contains(&endpoint.port.id)
                || stack::client_at(context, endpoint, &known.interfaces, stacks, span)
        });
    let to = map.text("to").and_then(|text| whom(&map, &text, map.span_of("to")?));
    let bytes = |key: &str| map.node(key).map(|node| bytes::lower(context, node));
    let (send, expect) = (bytes("send"), bytes("expect"));
    let call = Call {
        to: to?,
        send: send.unwrap_or(Some(Vec::new()))?.into(),
        expect: match expect {
            Some(bytes) => Some(bytes?.into()),
            None => None,
        },
        close: map.boolean_or_default("close"),
    };
    Some(Client { from: endpoint?.port.id.clone(), call, within: map.duration("within") })
}

fn whom(map: &Fields<'_>, text: &str, span: Span) -> Option<SocketAddrV4> {
    let to = text.parse::<SocketAddrV4>().ok();
    let host = |to: &SocketAddrV4| {
        let address = to.ip();
        !(address.is_broadcast() || address.is_multicast() || address.is_unspecified())
            && to.port() > 0
    };
    let to = to.filter(host);
    if to.is_none() {
        map.fault(
            span,
            Fault::Format {
                reason: format!("\"{}\" is not the address and port of a host", short(text)),
                help: "write an IPv4 address and a TCP port: 10.0.0.2:80",
                code: fault::BAD_ADDRESS,
            },
        );
    }
    to
}
