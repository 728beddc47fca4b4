//! QEMU's objects: which are of the net layer.

use serde_json::{Map, Value, json};

use crate::qapi::Options;

/// Types without anything to do with netdevs (QEMU 10.2.2, `qapi/qom.json`, `ObjectType`).
const ELSEWHERE: &[&str] = &[
    "acpi-generic-initiator",
    "acpi-generic-port",
    "authz-list",
    "authz-list-file",
    "authz-pam",
    "authz-simple",
    "can-bus",
    "can-host-socketcan",
    "cryptodev-backend",
    "cryptodev-backend-builtin",
    "cryptodev-backend-lkcf",
    "cryptodev-vhost-user",
    "dbus-vmstate",
    "input-barrier",
    "input-linux",
    "iommufd",
    "main-loop",
    "memory-backend-epc",
    "memory-backend-file",
    "memory-backend-memfd",
    "memory-backend-ram",
    "memory-backend-shm",
    "pef-guest",
    "pr-manager-helper",
    "qtest",
    "rng-builtin",
    "rng-egd",
    "rng-random",
    "s390-pv-guest",
    "secret",
    "secret_keyring",
    "sev-guest",
    "sev-snp-guest",
    "tdx-guest",
    "thread-context",
    "throttle-group",
    "tls-cipher-suites",
    "tls-creds-anon",
    "tls-creds-psk",
    "tls-creds-x509",
    "x-remote-object",
    "x-vfio-user-server",
];

/// Properties that name a netdev.
pub(super) const NETDEVS: &[&str] = &["netdev", "in_netdev", "out_netdev"];

/// Properties that name a chardev.
pub(super) const CHARDEVS: &[&str] =
    &["indev", "outdev", "primary_in", "secondary_in", "notify_dev"];

/// The properties of an object in either form; a JSON one that can't be read has none.
pub(super) fn properties(text: &str) -> Options {
    if text.starts_with('{') {
        let map = serde_json::from_str::<Map<String, Value>>(text).unwrap_or_default();
        Options::of_json(&map, "qom-type")
    } else {
        Options::read(text, "qom-type")
    }
}

/// Whether an object has nothing to do with netdevs.
pub(super) fn is_elsewhere(options: &Options) -> bool {
    options.get("qom-type").is_some_and(|kind| ELSEWHERE.contains(&kind))
}

/// The dump's file in the scenario's own folder, where a path leads out of it: what a machine opens
/// is a port of the file's name. None where nothing has to change.
pub(super) fn with_own_file(text: &str) -> Option<(String, String)> {
    let mut options = properties(text);
    let file = options.get("file")?.to_owned();
    let name = file.rsplit(['/', '\\']).next()?;
    let leads_out = file.trim_start_matches("./") != name;
    if options.get("qom-type") != Some("filter-dump") || !leads_out || name.is_empty() {
        return None;
    }
    let note = format!("file={name} for file={file}: the file is a port of the scenario");
    let text = match serde_json::from_str::<Map<String, Value>>(text) {
        Ok(mut map) => {
            map.insert("file".to_owned(), json!(name));
            Value::Object(map).to_string()
        }
        Err(_) => {
            options.set("file", name);
            options.text()
        }
    };
    Some((text, note))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("filter-dump,id=d,file=/tmp/a.pcap", Some("filter-dump,id=d,file=a.pcap"))]
    #[case("filter-dump,id=d,file=./a.pcap", None)]
    #[case("filter-dump,id=d,file=a.pcap", None)]
    #[case("filter-x,file=/tmp/a", None)]
    #[case(
        "{\"qom-type\":\"filter-dump\",\"file\":\"/b\",\"maxlen\":9}",
        Some("{\"qom-type\":\"filter-dump\",\"file\":\"b\",\"maxlen\":9}")
    )]
    fn a_dump_is_a_port(#[case] text: &str, #[case] expected: Option<&str>) {
        let made = with_own_file(text).map(|(text, _)| text);
        assert_eq!(made.as_deref(), expected);
    }

    #[test]
    fn what_has_no_netdev_is_elsewhere() {
        assert!(is_elsewhere(&properties("secret,id=s,data=x")));
        assert!(!is_elsewhere(&properties("iothread,id=i")));
        assert!(!is_elsewhere(&properties("filter-drop,id=i")));
    }
}
