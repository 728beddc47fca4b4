//! A frame of the language to its description.

use ::bytes::Bytes;

use super::{bytes, transport};
use crate::{
    base::{MacAddr, VnetHdr},
    frame::{ArpSpec, EthSpec, Ipv4Spec, Ipv6Spec, NetSpec, Spec, TransportSpec, VlanSpec},
    scenario::{
        context::Context,
        fault::Fault,
        fields::Fields,
        key,
        node::{Node, ScalarKind, short},
        suggest::list,
        value,
    },
};

const LAYERS: [&str; 9] = ["eth", "vlan", "arp", "ipv4", "ipv6", "icmp", "icmpv6", "udp", "tcp"];

pub(super) fn lower(context: &Context<'_>, node: &Node) -> Option<Spec> {
    let map = Fields::open(context, node, &key::FRAME)?;
    let vnet_hdr = map.node("vnet_hdr").and_then(|node| vnet_hdr(context, node));
    if let Some(hex) = map.entry("hex") {
        for layer in LAYERS.into_iter().chain(["payload"]) {
            map.conflict("hex", layer, "`hex` is the whole frame; take the rest out");
        }
        let bytes = value::hex(context, &hex.value)?;
        return Some(Spec { vnet_hdr, hex: Some(Bytes::from(bytes)), ..Spec::default() });
    }
    if !LAYERS.into_iter().chain(["payload"]).any(|key| map.has(key)) {
        if map.entries().iter().any(|entry| entry.key != "vnet_hdr") {
            return None;
        }
        let what = "the frame has no layer";
        let help = "write for example `arp: {...}`, `ipv4: {...}` or `hex: \"...\"`";
        map.fault(node.span, Fault::Nothing { what, help });
        return None;
    }
    check_layers(&map);
    let mut eth = map.node("eth").map(|node| eth(context, node)).unwrap_or_default();
    let net = net(context, &map);
    if let Some(NetSpec::Arp(ArpSpec { op: 1, .. })) = net {
        eth.dst = eth.dst.or(Some(MacAddr::BROADCAST));
    }
    let payload = match map.node("payload") {
        Some(node) => Bytes::from(bytes::lower(context, node)?),
        None => Bytes::new(),
    };
    let transport = transport(context, &map);
    Some(Spec {
        vnet_hdr,
        hex: None,
        eth,
        vlan: map.node("vlan").map(|node| vlans(context, node)).unwrap_or_default(),
        net,
        transport,
        payload,
    })
}

fn check_layers(map: &Fields<'_>) {
    const NET: [&str; 3] = ["arp", "ipv4", "ipv6"];
    const TRANSPORT: [&str; 4] = ["udp", "tcp", "icmp", "icmpv6"];
    for layers in [&NET[..], &TRANSPORT[..]] {
        let there: Vec<&str> = layers.iter().copied().filter(|layer| map.has(layer)).collect();
        if let [first, second, ..] = there.as_slice() {
            map.conflict(first, second, "a frame has one network and one transport layer");
        }
    }
    for layer in TRANSPORT.into_iter().filter(|layer| map.has(layer)) {
        let fits = match layer {
            "icmp" => map.has("ipv4"),
            "icmpv6" => map.has("ipv6"),
            _ => map.has("ipv4") || map.has("ipv6"),
        };
        if !fits && let Some(entry) = map.entry(layer) {
            let below = match layer {
                "icmp" => "`ipv4`",
                "icmpv6" => "`ipv6`",
                _ => "`ipv4` or `ipv6`",
            };
            map.fault(
                entry.key_span,
                Fault::Layers {
                    reason: format!("`{layer}` has no {below} beneath it"),
                    help: "add the network layer: `ipv4: {src: 10.0.0.1, dst: 10.0.0.2}`",
                },
            );
        }
    }
}

fn vnet_hdr(context: &Context<'_>, node: &Node) -> Option<VnetHdr> {
    let map = Fields::open(context, node, &key::VNET_HDR)?;
    Some(VnetHdr {
        flags: map.integer_or_default("flags"),
        gso_type: map.integer_or_default("gso_type"),
        hdr_len: map.integer_or_default("hdr_len"),
        gso_size: map.integer_or_default("gso_size"),
        csum_start: map.integer_or_default("csum_start"),
        csum_offset: map.integer_or_default("csum_offset"),
        num_buffers: map.integer_or_default("num_buffers"),
    })
}

fn eth(context: &Context<'_>, node: &Node) -> EthSpec {
    let Some(map) = Fields::open(context, node, &key::ETH) else {
        return EthSpec::default();
    };
    EthSpec {
        dst: map.mac("dst"),
        src: map.mac("src"),
        ethertype: map.integer("type"),
        pad_to: map.integer("pad_to"),
    }
}

/// A number, a tag, or a list of either.
fn vlans(context: &Context<'_>, node: &Node) -> Vec<VlanSpec> {
    let nodes = node.list().unwrap_or(std::slice::from_ref(node));
    nodes.iter().filter_map(|node| vlan(context, node)).collect()
}

fn vlan(context: &Context<'_>, node: &Node) -> Option<VlanSpec> {
    if node.map().is_none() {
        let id = value::integer(context, node, "vlan", 0, 4095)?;
        return Some(VlanSpec { id: u16::try_from(id).ok()?, ..VlanSpec::default() });
    }
    let map = Fields::open(context, node, &key::VLAN)?;
    Some(VlanSpec {
        tpid: map.integer("tpid"),
        id: map.integer("id")?,
        pcp: map.integer_or_default("pcp"),
        dei: map.boolean_or_default("dei"),
    })
}

fn net(context: &Context<'_>, map: &Fields<'_>) -> Option<NetSpec> {
    if let Some(node) = map.node("arp") {
        return arp(context, node).map(NetSpec::Arp);
    }
    if let Some(node) = map.node("ipv4") {
        return ipv4(context, node).map(NetSpec::Ipv4);
    }
    map.node("ipv6").and_then(|node| ipv6(context, node)).map(NetSpec::Ipv6)
}

fn arp(context: &Context<'_>, node: &Node) -> Option<ArpSpec> {
    const OPS: [(&str, u64); 2] = [("request", 1), ("reply", 2)];
    let map = Fields::open(context, node, &key::ARP)?;
    let op = match map.node("op") {
        Some(node) => word_or_number(context, node, "op", &OPS, 0xffff),
        None => Some(1),
    };
    let (sender, target) = (map.ipv4("sender"), map.ipv4("target"));
    Some(ArpSpec {
        op: u16::try_from(op?).ok()?,
        sender: sender?,
        target: target?,
        sender_mac: map.mac("sender_mac"),
        target_mac: map.mac("target_mac"),
    })
}

fn ipv4(context: &Context<'_>, node: &Node) -> Option<Ipv4Spec> {
    let map = Fields::open(context, node, &key::IPV4)?;
    let (src, dst) = (map.ipv4("src"), map.ipv4("dst"));
    let options = match map.node("options") {
        Some(node) => Bytes::from(value::hex(context, node)?),
        None => Bytes::new(),
    };
    Some(Ipv4Spec {
        src: src?,
        dst: dst?,
        ttl: map.integer_or_default("ttl"),
        id: map.integer_or_default("id"),
        tos: map.integer_or_default("tos"),
        dont_fragment: map.boolean_or_default("dont_fragment"),
        more_fragments: map.boolean_or_default("more_fragments"),
        fragment_offset: map.integer_or_default("fragment_offset"),
        protocol: map.integer("protocol"),
        checksum: map.integer("checksum"),
        total_len: map.integer("total_len"),
        options,
    })
}

fn ipv6(context: &Context<'_>, node: &Node) -> Option<Ipv6Spec> {
    let map = Fields::open(context, node, &key::IPV6)?;
    let (src, dst) = (map.ipv6("src"), map.ipv6("dst"));
    Some(Ipv6Spec {
        src: src?,
        dst: dst?,
        hop_limit: map.integer_or_default("hop_limit"),
        traffic_class: map.integer_or_default("traffic_class"),
        flow_label: map.integer_or_default("flow_label"),
        next_header: map.integer("next_header"),
        payload_len: map.integer("payload_len"),
    })
}

fn transport(context: &Context<'_>, map: &Fields<'_>) -> Option<TransportSpec> {
    if let Some(node) = map.node("udp") {
        return transport::udp(context, node).map(TransportSpec::Udp);
    }
    if let Some(node) = map.node("tcp") {
        return transport::tcp(context, node).map(TransportSpec::Tcp);
    }
    if let Some(node) = map.node("icmp") {
        return transport::icmp(context, node, &key::ICMP, &transport::ICMP_TYPES)
            .map(TransportSpec::Icmp);
    }
    let node = map.node("icmpv6")?;
    transport::icmp(context, node, &key::ICMPV6, &transport::ICMPV6_TYPES)
        .map(TransportSpec::Icmpv6)
}

/// A word of a table, or its number.
pub(super) fn word_or_number(
    context: &Context<'_>,
    node: &Node,
    key: &str,
    words: &[(&'static str, u64)],
    most: u64,
) -> Option<u64> {
    let scalar = node.scalar();
    let starts_as_number = |text: &str| text.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    match scalar.filter(|s| s.kind == ScalarKind::Text && !starts_as_number(&s.text)) {
        None => value::integer(context, node, key, 0, most),
        Some(scalar) => {
            let found = words.iter().find(|(word, _)| scalar.text == *word);
            if found.is_none() {
                let names = || words.iter().map(|(word, _)| *word);
                context.fault(
                    node.span,
                    Fault::Choice {
                        key: key.to_owned(),
                        found: short(&scalar.text),
                        near: crate::scenario::suggest::nearest(&scalar.text, names()),
                        known: format!("{}, or a number", list(names())),
                    },
                );
            }
            found.map(|(_, number)| *number)
        }
    }
}
