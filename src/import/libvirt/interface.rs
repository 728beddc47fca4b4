//! `<interface>`: a netdev and the NIC on it.

use super::{Options, Reading};
use crate::import::xml::Element;

/// The attributes of `<driver>` that are properties of a virtio NIC, and their names there
/// (libvirt 10.0 `qemuBuildNicDevProps`, `qemuBuildVirtioDevProps`).
const OF_VIRTIO: &[(&str, &str)] = &[
    ("packed", "packed"),
    ("iommu", "iommu_platform"),
    ("ats", "ats"),
    ("page_per_vq", "page-per-vq"),
    ("event_idx", "event_idx"),
    ("ioeventfd", "ioeventfd"),
    ("rx_queue_size", "rx_queue_size"),
    ("tx_queue_size", "tx_queue_size"),
    ("rss", "rss"),
    ("rss_hash_report", "hash"),
];

/// The attributes that are carried over: those, and what the netdev has of them.
const OF_DRIVER: &[&str] = &[
    "name",
    "queues",
    "packed",
    "iommu",
    "ats",
    "page_per_vq",
    "event_idx",
    "ioeventfd",
    "rx_queue_size",
    "tx_queue_size",
    "rss",
    "rss_hash_report",
];

impl Reading {
    pub(super) fn interface(&mut self, element: &Element) {
        let kind = element.get("type").unwrap_or_default();
        let netdev: fn(&mut Reading, &Element, &str) -> Option<Options> = match kind {
            "ethernet" | "bridge" | "network" | "direct" | "internal" => tap,
            "user" => user,
            "vhostuser" => vhost_user,
            "server" | "client" | "mcast" | "udp" => socket,
            _ => return self.left_out.push(super::whole(element)),
        };
        let alias = self.alias(element, "net");
        let id = format!("host{alias}");
        let Some(netdev) = netdev(self, element, &id) else {
            return self.left_out.push(super::whole(element));
        };
        let model = element.of("model", "type").unwrap_or("rtl8139");
        let virtio = model.starts_with("virtio");
        // `virtio`, `virtio-transitional`, `virtio-non-transitional`.
        let mut nic = Options::new(&match virtio {
            true => model.replacen("virtio", "virtio-net-pci", 1),
            false => model.to_owned(),
        });
        nic.push("netdev", &id);
        nic.push("id", &alias);
        nic.push_some("mac", element.of("mac", "address"));
        if let Some(driver) = element.child("driver").filter(|_| virtio) {
            of_driver(driver, &mut nic);
        }
        if virtio {
            nic.push_some("host_mtu", element.of("mtu", "size"));
        }
        let words = ["-netdev", &netdev.0, "-device", &nic.0];
        self.devices.extend(words.map(str::to_owned));
        // Where on its bus the NIC is says nothing here.
        let address: &[&str] = &["type", "domain", "bus", "slot", "function", "multifunction"];
        self.leave_out(&id, element, |child| match child.name.as_str() {
            "mac" => (&["address"], &[]),
            "model" => (&["type"], &[]),
            "alias" => (&["name"], &[]),
            "address" => (address, &[]),
            "driver" if virtio => (OF_DRIVER, &[]),
            "driver" => (&["name"], &[]),
            "mtu" if virtio => (&["size"], &[]),
            "target" if kind != "user" => (&["dev"], &[]),
            "source" => match kind {
                "vhostuser" => (&["type", "path", "mode"], &[]),
                "server" | "client" | "mcast" | "udp" => (&["address", "port"], &["local"]),
                _ => (&[], &[]),
            },
            _ => (&[], &[]),
        });
    }
}

/// Adds what `<driver>` says of a virtio NIC.
fn of_driver(driver: &Element, nic: &mut Options) {
    let queues = driver.get("queues").and_then(|queues| queues.parse().ok());
    if let Some(queues) = queues.filter(|queues: &u64| *queues > 1) {
        nic.push("mq", "on");
        nic.push("vectors", &(2 * queues.min(256) + 2).to_string());
    }
    for (attribute, property) in OF_VIRTIO {
        nic.push_some(property, driver.get(attribute));
    }
}

/// libvirt opens the TAP and gives QEMU its descriptors, and vhost's to a virtio NIC whose driver
/// isn't `qemu` (`qemuInterfaceOpenVhostNet`).
#[expect(clippy::unnecessary_wraps, reason = "as others, which need something")]
fn tap(_: &mut Reading, element: &Element, id: &str) -> Option<Options> {
    let mut netdev = Options::new("tap");
    netdev.push("id", id);
    netdev.push_some("ifname", element.of("target", "dev"));
    let model = element.of("model", "type").unwrap_or_default();
    if model.starts_with("virtio") {
        if element.of("driver", "name") != Some("qemu") {
            netdev.push("vhost", "on");
        }
        let queues = element.of("driver", "queues");
        netdev.push_some("queues", queues.filter(|queues| *queues != "1"));
    }
    Some(netdev)
}

#[expect(clippy::unnecessary_wraps, reason = "as others, which need something")]
fn user(_: &mut Reading, _: &Element, id: &str) -> Option<Options> {
    let mut netdev = Options::new("user");
    netdev.push("id", id);
    Some(netdev)
}

/// With the chardev that it is at the end of.
fn vhost_user(reading: &mut Reading, element: &Element, id: &str) -> Option<Options> {
    let source = element.child("source")?;
    let alias = id.strip_prefix("host")?;
    let mut chardev = Options::new("socket");
    let name = format!("char{alias}");
    chardev.push("id", &name);
    chardev.push("path", source.get("path")?);
    if source.get("mode") == Some("server") {
        chardev.push("server", "on");
    }
    reading.devices.extend(["-chardev".to_owned(), chardev.0]);
    let mut netdev = Options::new("vhost-user");
    netdev.push("id", id);
    netdev.push("chardev", &name);
    Some(netdev)
}

fn socket(_: &mut Reading, element: &Element, id: &str) -> Option<Options> {
    let source = element.child("source")?;
    let address = |of: &Element| {
        let host = of.get("address").unwrap_or_default();
        Some(format!("{host}:{}", of.get("port")?))
    };
    let mut netdev = Options::new("socket");
    netdev.push("id", id);
    let key = match element.get("type")? {
        "server" => "listen",
        "client" => "connect",
        kind => kind,
    };
    netdev.push(key, &address(source)?);
    if key == "udp" {
        let local = source.child("local").and_then(address);
        netdev.push_some("localaddr", local.as_deref());
    }
    Some(netdev)
}
