use super::host::{self, Host};
use crate::{
    base::{MacAddr, NetdevId, VnetHdr},
    scenario::{
        case::{Netdev, NetdevType, Nic},
        fault::Fault,
        fields::Fields,
        key,
        node::{Entry, Node, Tree},
        value,
    },
};

/// QEMU's first NIC (QEMU 10.2.2, `net/net.c`, `qemu_macaddr_default_if_unset`).
pub(super) const FIRST_MAC: MacAddr = MacAddr([0x52, 0x54, 0x00, 0x12, 0x34, 0x56]);
/// The first TAP's own address.
pub(super) const FIRST_HOST_MAC: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0x01]);

pub(super) fn lower(fields: &Fields<'_>, host: &Host) -> Vec<Netdev> {
    let Some(node) = fields.node("netdevs") else {
        return Vec::new();
    };
    let Some(entries) = node.map() else {
        let help = "write `netdevs: {hn0: {type: tap}}`".to_owned();
        value::mismatch(
            fields.context(),
            node,
            "a map from ids to netdevs",
            Some(help),
        );
        return Vec::new();
    };
    let mut taps = 0;
    let mut netdevs = Vec::with_capacity(entries.len());
    for entry in entries {
        if !host::is_id(&entry.key) {
            fields.fault(entry.key_span, host::bad_id(&entry.key, "a netdev"));
        }
        // `hn0:` with nothing after it is a netdev with every default.
        let empty = Node {
            span: entry.value.span,
            tree: Tree::Map(Vec::new()),
        };
        let node = if entry.value.is_null() {
            &empty
        } else {
            &entry.value
        };
        if let Some(map) = Fields::open(fields.context(), node, &key::NETDEV) {
            let kind = kind(&map, entry, host, &mut taps);
            let id = NetdevId::from(entry.key.as_str());
            netdevs.push(Netdev {
                id,
                span: entry.key_span,
                kind,
            });
        }
    }
    netdevs
}

fn kind(map: &Fields<'_>, entry: &Entry, host: &Host, taps: &mut usize) -> NetdevType {
    let kind = map.choice("type").unwrap_or("tap");
    for entry in map.entries() {
        let belongs = match entry.key.as_str() {
            "type" => true,
            "hubid" => kind == "hubport",
            _ => kind == "tap",
        };
        if !belongs && key::NETDEV.key(&entry.key).is_some() {
            let needs = if entry.key == "hubid" {
                "`type: hubport`"
            } else {
                "`type: tap`"
            };
            map.fault(
                entry.key_span,
                Fault::Needs {
                    key: entry.key.clone(),
                    needs,
                },
            );
        }
    }
    match kind {
        "hubport" => {
            if !map.has("hubid") {
                map.fault(
                    entry.key_span,
                    Fault::MissingKey {
                        key: "hubid",
                        map: "a hubport",
                        doc: "the number of the hub",
                    },
                );
            }
            NetdevType::Hubport {
                hub: map.integer("hubid").unwrap_or(0),
            }
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
    NetdevType::Tap {
        ifname: ifname.unwrap_or_else(|| format!("tap{number}")),
        netns: host::netns(map, host),
        mac: map.mac("mac").unwrap_or_else(|| FIRST_MAC.nth(nth)),
        host_mac: map
            .mac("host_mac")
            .unwrap_or_else(|| FIRST_HOST_MAC.nth(nth)),
        addresses: map.addresses("address"),
        mtu: map.integer("mtu").unwrap_or(1500),
        vhost: map.boolean("vhost").unwrap_or(false),
        nic: nic(map),
        queues: map.integer("queues").unwrap_or(1),
    }
}

fn nic(map: &Fields<'_>) -> Nic {
    let virtio = map.choice("nic") == Some("virtio");
    let Some(node) = map.node("vnet_hdr_len") else {
        let vnet_hdr_len = VnetHdr::LONG;
        return if virtio {
            Nic::Virtio { vnet_hdr_len }
        } else {
            Nic::Plain
        };
    };
    if !virtio {
        let span = map
            .entry("vnet_hdr_len")
            .map_or(node.span, |entry| entry.key_span);
        let key = "vnet_hdr_len".to_owned();
        map.fault(
            span,
            Fault::Needs {
                key,
                needs: "`nic: virtio`",
            },
        );
    }
    let vnet_hdr_len = map.integer("vnet_hdr_len").unwrap_or(VnetHdr::LONG);
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
    if virtio {
        Nic::Virtio { vnet_hdr_len }
    } else {
        Nic::Plain
    }
}
