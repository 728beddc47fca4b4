//! QEMU's netdevs in the language: a TAP, a hub port, `user`; each other one has a TAP that stands
//! for it.

use crate::qapi::Options;
use crate::scenario::NETDEV;

/// Other kinds of QEMU's (QEMU 10.2.2, `qapi/net.json`, `NetClientDriver`).
const STOOD_FOR: &[&str] = &[
    "af-xdp",
    "bridge",
    "dgram",
    "l2tpv3",
    "netmap",
    "passt",
    "socket",
    "stream",
    "vde",
    "vhost-user",
    "vhost-vdpa",
    "vmnet-bridged",
    "vmnet-host",
    "vmnet-shared",
];

/// All kinds that a command line may name.
pub(super) const KINDS: &[&str] = &[
    "af-xdp",
    "bridge",
    "dgram",
    "hubport",
    "l2tpv3",
    "netmap",
    "passt",
    "socket",
    "stream",
    "tap",
    "user",
    "vde",
    "vhost-user",
    "vhost-vdpa",
    "vmnet-bridged",
    "vmnet-host",
    "vmnet-shared",
];

/// Those whose frames QEMU doesn't see, so that it puts no filter there.
const VHOST: &[&str] = &["vhost-user", "vhost-vdpa"];

/// The netdev in the language, or QEMU's refusal. What is left out goes to `notes`.
pub(super) fn language(mut options: Options, notes: &mut Vec<String>) -> Result<Options, String> {
    let id = options.id().unwrap_or("?").to_owned();
    let kind = options.get("type").unwrap_or("").to_owned();
    if STOOD_FOR.contains(&kind.as_str()) {
        notes.push(format!(
            "netdev {id} is a TAP here, for {}: what its far end sends and gets is at {id}.host",
            options.text()
        ));
        let mut tap = Options::read("tap", "type");
        tap.push("id", &id);
        if VHOST.contains(&kind.as_str()) {
            tap.push("vhost", "on");
        }
        return Ok(tap);
    }
    let belongs: &[&str] = match kind.as_str() {
        "tap" => &[],
        "hubport" => &["type", "id", "hubid"],
        "user" => &["type", "id"],
        _ => {
            return Err(format!("Parameter 'type' does not accept value '{kind}'"));
        }
    };
    let keys: Vec<String> = options.keys();
    for key in keys {
        let own = matches!(
            key.as_str(),
            "netns" | "mac" | "host_mac" | "address" | "mtu" | "nic" | "vnet_hdr_len" | "guest"
        );
        let known = key == "id"
            || (belongs.is_empty() && !own && NETDEV.key(&key).is_some() && key != "hubid")
            || belongs.contains(&key.as_str());
        let misnamed = key == "ifname" && !options.get("ifname").is_some_and(is_interface);
        // `hostfwd=` may stand there twice.
        while (!known || misnamed)
            && let Some(raw) = options.remove_first(&key)
        {
            notes.push(format!("netdev {id} without {raw}{}", why(&kind, &key)));
        }
    }
    Ok(options)
}

fn why(kind: &str, key: &str) -> &'static str {
    match (kind, key) {
        ("tap", "fd" | "fds" | "vhostfd" | "vhostfds") => {
            ": a descriptor that another program has opened; the TAP is made here"
        }
        ("tap", "ifname") => ": no possible name of an interface in Linux",
        ("tap", "vnet_hdr") => ": the NIC decides (`nic`)",
        ("hubport", "netdev") => ": a hub joins no other netdev here",
        ("user", _) => ": nothing is behind `user` here",
        _ => ": not in the language",
    }
}

/// A name that Linux takes, or one that isn't known yet.
fn is_interface(name: &str) -> bool {
    name.contains("${")
        || !name.is_empty()
            && name.len() <= 15
            && !matches!(name, "." | ".." | "lo")
            && name.chars().all(|c| c.is_ascii_graphic() && !"/:%".contains(c))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("tap,id=a,ifname=tap0,fd=3", "tap,id=a,ifname=tap0", 1)]
    #[case("tap,id=a,script=no,vhost=on,queues=2", "tap,id=a,script=no,vhost=on,queues=2", 0)]
    #[case("vhost-user,id=a,chardev=c", "tap,id=a,vhost=on", 1)]
    #[case("user,id=a,hostfwd=tcp::1-:2", "user,id=a", 1)]
    #[case("user,id=a,hostfwd=tcp::1-:2,hostfwd=tcp::3-:4", "user,id=a", 2)]
    #[case("tap,id=a,ifname=tap%d", "tap,id=a", 1)]
    #[case("bar,id=a", "Parameter 'type' does not accept value 'bar'", 0)]
    fn netdevs_are_of_the_language(
        #[case] text: &str,
        #[case] expected: &str,
        #[case] said: usize,
    ) {
        let mut notes = Vec::new();
        let made = language(Options::read(text, "type"), &mut notes);
        let made = made.map_or_else(|refusal| refusal, |options| options.text());
        assert_eq!((made.as_str(), notes.len()), (expected, said), "{notes:?}");
    }
}
