//! The guest's NICs: `-device`, `-net nic` and `-nic`, as far as a netdev's port depends on them.

use crate::qapi::Options;

/// What a netdev takes from the NIC in front of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Nic {
    /// Frames carry a virtio-net header through the chain.
    pub(super) virtio: bool,
    pub(super) mac: Option<String>,
}

impl Nic {
    /// The NIC of a `-device` with these properties.
    pub(super) fn of_device(options: &Options) -> Self {
        let driver = options.get("driver").unwrap_or("");
        Self {
            virtio: driver.starts_with("virtio-net"),
            mac: options.get("mac").map(str::to_owned),
        }
    }

    /// The NIC of a `-net nic` or `-nic`, which has `model=` and `macaddr=` or `mac=`.
    pub(super) fn of_model(options: &Options) -> Self {
        let model = options.get("model").unwrap_or("");
        let mac = options.get("macaddr").or_else(|| options.get("mac"));
        Self { virtio: model.starts_with("virtio"), mac: mac.map(str::to_owned) }
    }

    /// Says it in the netdev's string, in the language's words.
    pub(super) fn add_to(&self, netdev: &mut Options, notes: &mut Vec<String>) {
        if netdev.get("type") != Some("tap") {
            return;
        }
        if self.virtio && netdev.get("nic").is_none() {
            netdev.push("nic", "virtio");
        }
        match &self.mac {
            Some(_) if netdev.get("mac").is_some() => {}
            Some(mac) if is_mac(mac) => netdev.push("mac", mac),
            Some(mac) => notes.push(format!("the NIC without mac={mac}: six octets with colons")),
            None => {}
        }
    }
}

/// Whether the language reads it as an address, or will when a placeholder is filled.
fn is_mac(text: &str) -> bool {
    let octets: Vec<&str> = text.split(':').collect();
    text.contains("${")
        || octets.len() == 6
            && octets
                .iter()
                .all(|octet| octet.len() == 2 && octet.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Whether a device is a NIC on a netdev.
pub(super) fn is_nic(options: &Options) -> bool {
    options.get("netdev").is_some()
}

/// Keys of `-nic` that are the NIC's, not the netdev's (QEMU 10.2.2, `net/net.c`,
/// `net_param_nic`).
pub(super) const NIC_KEYS: &[&str] = &["model", "mac", "macaddr", "addr", "vectors", "name"];
