//! What answers on a guest's ports.

use super::bytes;
use crate::{
    guest::{Respond, Service, ServiceKind},
    scenario::{
        context::Context,
        fault::Fault,
        fields::Fields,
        key,
        node::{Entry, Node, short},
        value,
    },
};

/// The end of a request by default: an empty line.
const AFTER: &[u8] = b"\r\n\r\n";

/// TCP port to service, in order of the ports.
pub(super) fn lower(map: &Fields<'_>) -> Vec<Service> {
    let Some(node) = map.node("services") else {
        return Vec::new();
    };
    let Some(entries) = node.map() else {
        let help = "write `services: {7: echo, 80: {respond: \"...\"}}`".to_owned();
        value::mismatch(map.context(), node, "a map from TCP ports", Some(help));
        return Vec::new();
    };
    let mut services: Vec<Service> = entries
        .iter()
        .filter_map(|entry| {
            let port = port(map.context(), entry)?;
            let kind = service(map.context(), &entry.value)?;
            Some(Service { port, kind })
        })
        .collect();
    services.sort_by_key(|service| service.port);
    services
}

fn port(context: &Context<'_>, entry: &Entry) -> Option<u16> {
    let plain = entry.key.bytes().all(|byte| byte.is_ascii_digit());
    let plain = plain && !entry.key.starts_with('0');
    let port = entry.key.parse().ok().filter(|_| plain);
    if port.is_none() {
        let fault = Fault::Range {
            key: "port".to_owned(),
            found: short(&entry.key),
            least: 1,
            most: 65_535,
        };
        context.fault(entry.key_span, fault);
    }
    port
}

fn service(context: &Context<'_>, node: &Node) -> Option<ServiceKind> {
    if node.map().is_none() {
        let word = value::choice(context, node, "services", &["echo", "discard"])?;
        return Some(match word {
            "echo" => ServiceKind::Echo,
            _ => ServiceKind::Discard,
        });
    }
    let map = Fields::open(context, node, &key::SERVICE)?;
    if map.conflict("source", "respond", "a service does one of them") {
        return None;
    }
    for key in ["after", "close"] {
        if let Some(entry) = map.entry(key).filter(|_| !map.has("respond")) {
            let (key, needs) = (key.to_owned(), "`respond`");
            map.fault(entry.key_span, Fault::Needs { key, needs });
        }
    }
    if map.has("source") {
        return map.integer("source").map(ServiceKind::Source);
    }
    let Some(text) = map.node("respond") else {
        let what = "this service does nothing";
        let help = "write echo, discard, {source: BYTES} or {respond: TEXT}";
        map.fault(map.span, Fault::Nothing { what, help });
        return None;
    };
    let text = bytes::lower(context, text)?;
    let after = match map.node("after") {
        Some(node) => bytes::lower(context, node)?,
        None => AFTER.to_vec(),
    };
    if after.is_empty() {
        let what = "an empty text ends no request";
        let help = "leave `after` out for an empty line, or write what ends a request";
        map.fault(map.span, Fault::Nothing { what, help });
        return None;
    }
    Some(ServiceKind::Respond(Respond {
        text: text.into(),
        after: after.into(),
        close: map.boolean_or_default("close"),
    }))
}
