//! Reads the netdevs of a machine, and gives TAPs the addresses that they have by default.

use super::{
    declared,
    host::{self, Host},
    machine::Part,
};
use crate::{
    base::{MacAddr, VnetHdr},
    diag::Span,
    scenario::{
        case::{Netdev, NetdevType, Nic},
        fault::Fault,
        fields::Fields,
        key,
        node::ScalarKind,
        value,
    },
};

/// QEMU's first NIC (QEMU 10.2.2, `net/net.c`, `qemu_macaddr_default_if_unset`).
pub(super) const FIRST_MAC: MacAddr = MacAddr([0x52, 0x54, 0x00, 0x12, 0x34, 0x56]);
/// The first TAP's own address.
pub(super) const FIRST_HOST_MAC: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x01]);

const OPTION: declared::Kind = declared::Kind {
    keys: &key::NETDEV,
    implied: "type",
    first: "a type such as `tap`",
    thing: "the netdev",
};

/// The netdevs of a machine. `taps` counts the TAPs of all machines, whose addresses differ.
pub(super) fn lower(part: &Part<'_>, host: &Host, taps: &mut usize) -> Vec<Netdev> {
    let fields = &part.fields;
    let help = "write `netdevs: {hn0: {type: tap}}`, or a list of QEMU's -netdev strings";
    let first = *taps;
    let mut netdevs = Vec::new();
    for (id, span, node) in declared::all(fields, "netdevs", &OPTION, help) {
        if !host::is_id(&id) {
            fields.fault(span, host::bad_id(&id, "a netdev"));
        }
        if let Some(map) = Fields::open(fields.context(), &node, &key::NETDEV) {
            let mut kind = kind(&map, span, host, taps);
            if let NetdevType::Tap { ifname, netns, .. } = &mut kind {
                if ifname.is_empty() {
                    *ifname = format!("tap{}", *taps - 1 - first);
                }
                // Two machines are two hosts: each has a namespace of its own.
                if netns.is_none() && part.id().is_named() {
                    *netns = Some(part.id().to_string());
                }
            }
            netdevs.push(Netdev {
                machine: part.id().clone(),
                id: part.id().qualified(&id),
                span,
                kind,
            });
        }
    }
    netdevs
}

fn kind(map: &Fields<'_>, span: Span, host: &Host, taps: &mut usize) -> NetdevType {
    let kind = map.choice_or_default("type");
    for entry in map.entries() {
        let belongs = match entry.key.as_str() {
            "type" => true,
            "hubid" => kind == "hubport",
            _ => kind == "tap",
        };
        if !belongs && key::NETDEV.key(&entry.key).is_some() {
            let needs = if entry.key == "hubid" { "`type: hubport`" } else { "`type: tap`" };
            map.fault(entry.key_span, Fault::Needs { key: entry.key.to_string(), needs });
        }
    }
    match kind {
        "hubport" => {
            if !map.has("hubid") {
                map.fault(
                    span,
                    Fault::MissingKey {
                        key: "hubid",
                        map: "a hubport",
                        doc: "the number of the hub",
                    },
                );
            }
            NetdevType::Hubport { hub: map.integer("hubid").unwrap_or(0) }
        }
        "user" => NetdevType::User,
        _ => {
            let number = *taps;
            *taps += 1;
            tap(map, host, number)
        }
    }
}

fn tap(map: &Fields<'_>, host: &Host, number: usize) -> NetdevType {
    // Addresses repeat after 256 TAPs, because only the last octet counts.
    let [nth, ..] = number.to_le_bytes();
    let ifname = map.text("ifname");
    if let (Some(name), Some(node)) = (&ifname, map.node("ifname")) {
        host::check_interface_name(map, name, node.span);
    }
    let (vhost, vhost_modelled) = vhost(map);
    NetdevType::Tap {
        ifname: ifname.unwrap_or_default(),
        netns: host::netns(map, host),
        mac: map.mac("mac").unwrap_or_else(|| FIRST_MAC.nth(nth)),
        host_mac: map.mac("host_mac").unwrap_or_else(|| FIRST_HOST_MAC.nth(nth)),
        addresses: map.addresses("address"),
        mtu: map.integer_or_default("mtu"),
        vhost,
        vhost_modelled,
        nic: nic(map),
        queues: map.integer_or_default("queues"),
    }
}

/// Whether a netdev has vhost, and whether that is to be without the kernel's.
fn vhost(map: &Fields<'_>) -> (bool, bool) {
    const WORDS: &[&str] = &["on", "off", key::VHOST_MODELLED];
    let node = map.node("vhost");
    let word =
        node.filter(|node| node.scalar().is_some_and(|scalar| scalar.kind == ScalarKind::Text));
    let Some(word) = word else {
        return (map.boolean_or_default("vhost"), false);
    };
    match value::choice(map.context(), word, "vhost", WORDS) {
        Some(word) => (word != "off", word == key::VHOST_MODELLED),
        None => (false, false),
    }
}

fn nic(map: &Fields<'_>) -> Nic {
    let virtio = map.choice("nic") == Some("virtio");
    let Some(node) = map.node("vnet_hdr_len") else {
        let vnet_hdr_len = VnetHdr::LONG;
        return if virtio { Nic::Virtio { vnet_hdr_len } } else { Nic::Plain };
    };
    if !virtio {
        let span = map.entry("vnet_hdr_len").map_or(node.span, |entry| entry.key_span);
        let key = "vnet_hdr_len".to_owned();
        map.fault(span, Fault::Needs { key, needs: "`nic: virtio`" });
    }
    let vnet_hdr_len: usize = map.integer_or_default("vnet_hdr_len");
    if vnet_hdr_len != VnetHdr::SHORT && vnet_hdr_len != VnetHdr::LONG {
        map.fault(
            node.span,
            Fault::Choice {
                key: "vnet_hdr_len".to_owned(),
                found: vnet_hdr_len.to_string(),
                near: None,
                known: "10, 12".to_owned(),
            },
        );
    }
    if virtio { Nic::Virtio { vnet_hdr_len } } else { Nic::Plain }
}
