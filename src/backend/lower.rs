//! From a case to a machine's configuration: the only place that knows both.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value};

use crate::{
    base::{ChardevId, NetdevId, PortId},
    machine::{
        AfPacketMode, CharBackend, ChardevConfig, Command, Config, NetdevConfig, NetdevKind,
        NicConfig, Start,
    },
    scenario::{
        self, Address, Case, Chardev, ChardevFar, Machine, NetdevType, Nic, Object, ObjectForm,
    },
};

/// Hubs of guests are numbered from here, out of the way of a scenario's own `hubid`s.
pub(crate) const FIRST_GUEST_HUB: u32 = 0x4000_0000;

/// A machine's configuration, and how its clients and chardevs meet the world around it.
#[derive(Debug)]
pub(crate) struct Lowered {
    /// With the machine's own ids; all others are those of the case.
    pub(crate) config: Config,
    /// Each TAP of the machine.
    pub(crate) taps: BTreeMap<NetdevId, TapWiring>,
    /// Which netdev's guest a client of the machine stands for, and the TAP's peer where that is
    /// another.
    pub(crate) guests: BTreeMap<NetdevId, NetdevId>,
    /// Each chardev of the machine.
    pub(crate) chardevs: BTreeMap<ChardevId, ChardevWiring>,
}

/// How a TAP meets the world.
#[derive(Clone, Debug)]
pub(crate) struct TapWiring {
    pub(crate) guest_port: PortId,
    /// The machine's client that stands for the guest.
    pub(crate) guest: NetdevId,
    pub(crate) vhost: bool,
    pub(crate) nic: Nic,
}

/// How a chardev meets the world.
#[derive(Clone, Debug)]
pub(crate) struct ChardevWiring {
    pub(crate) far: ChardevFar,
    /// What it is when it is a socket with an address.
    pub(crate) socket: Option<Socket>,
}

/// A socket with an address inside the scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Socket {
    pub(crate) address: Address,
    pub(crate) server: bool,
    /// How long a client waits before it tries again; none when it does not.
    pub(crate) retry: Option<Duration>,
}

/// Lowers a machine of a case. The objects are commands of their own: [`command`].
///
/// The guest of a plain TAP is modelled as it was measured on QEMU 7.2.22 and 10.2.2: the TAP's
/// peer is a hub port, and a second port of that hub has a socket netdev as its peer, whose far end
/// is the guest. A virtio NIC is the TAP's peer itself.
pub(crate) fn lower(case: &Case, machine: &Machine) -> Lowered {
    let name = &machine.id;
    let own = |id: &str| name.local(id).unwrap_or(id).to_owned();
    let mut netdevs = Vec::new();
    let mut taps = BTreeMap::new();
    let mut guests = BTreeMap::new();
    let mut nics = Vec::new();
    let of_machine = case.netdevs.iter().filter(|one| one.machine == *name);
    for (index, netdev) in (0..).zip(of_machine) {
        let id = &NetdevId::from(own(netdev.id.as_str()));
        match &netdev.kind {
            NetdevType::Tap { vhost, nic, queues, mac, .. } => {
                let guest = NetdevId::from(format!("@{id}.guest"));
                let tap = NetdevKind::Tap {
                    queues: *queues,
                    vhost: *vhost,
                    vnet_hdr_len: vnet_hdr_len(*nic),
                };
                netdevs.push(client(id, tap, None));
                match nic {
                    Nic::Plain => {
                        let hub = FIRST_GUEST_HUB + index;
                        let port = |name: &str| NetdevId::from(format!("@{id}.{name}"));
                        netdevs.push(client(&port("hub"), NetdevKind::Hubport { hub }, Some(id)));
                        netdevs.push(client(&guest, NetdevKind::Socket, None));
                        netdevs.push(client(
                            &port("wire"),
                            NetdevKind::Hubport { hub },
                            Some(&guest),
                        ));
                    }
                    Nic::Virtio { vnet_hdr_len } => {
                        let nic = NetdevKind::Nic { vnet_hdr_len: *vnet_hdr_len };
                        netdevs.push(client(&guest, nic, Some(id)));
                    }
                }
                // What announces itself is a TAP's peer.
                let peer = match nic {
                    Nic::Plain => NetdevId::from(format!("@{id}.hub")),
                    Nic::Virtio { .. } => guest.clone(),
                };
                guests.insert(name.qualified(peer.as_str()), netdev.id.clone());
                nics.push(NicConfig {
                    name: PortId::guest(id).to_string(),
                    client: peer,
                    mac: *mac,
                    asks_guest: matches!(nic, Nic::Virtio { .. }),
                });
                let guest: NetdevId = name.qualified(guest.as_str());
                guests.insert(guest.clone(), netdev.id.clone());
                taps.insert(
                    netdev.id.clone(),
                    TapWiring {
                        guest_port: PortId::from(format!("{}.guest", netdev.id)),
                        guest,
                        vhost: *vhost,
                        nic: *nic,
                    },
                );
            }
            NetdevType::Hubport { hub } => {
                netdevs.push(client(id, NetdevKind::Hubport { hub: *hub }, None));
            }
            NetdevType::User => netdevs.push(client(id, NetdevKind::User, None)),
        }
    }
    let of_machine = || case.chardevs.iter().filter(|one| one.machine == *name);
    let chardevs = of_machine()
        .map(|chardev| {
            let wiring = ChardevWiring { far: chardev.far.clone(), socket: socket(chardev) };
            (chardev.id.clone(), wiring)
        })
        .collect();
    let config = Config {
        profile: case.profile_of(name).clone(),
        netdevs,
        chardevs: of_machine()
            .map(|chardev| ChardevConfig {
                id: ChardevId::from(own(chardev.id.as_str())),
                backend: char_backend(chardev),
                connected: is_connected(case, chardev),
            })
            .collect(),
        iothreads: Vec::new(),
        nics,
        start: Start { stopped: machine.stopped, incoming: machine.incoming },
    };
    Lowered { config, taps, guests, chardevs }
}

/// The command that creates an object.
pub(crate) fn command(object: &Object) -> Command {
    match &object.form {
        ObjectForm::Option(text) => Command::ObjectOption(text.clone()),
        ObjectForm::Qmp(args) => {
            Command::Qmp { name: "object-add".to_owned(), args: Value::Object(args.clone()) }
        }
    }
}

/// Bytes of the virtio-net header in front of frames of this NIC.
pub(crate) const fn vnet_hdr_len(nic: Nic) -> usize {
    match nic {
        Nic::Plain => 0,
        Nic::Virtio { vnet_hdr_len } => vnet_hdr_len,
    }
}

fn client(id: &NetdevId, kind: NetdevKind, peer: Option<&NetdevId>) -> NetdevConfig {
    NetdevConfig { id: id.clone(), kind, peer: peer.cloned() }
}

fn char_backend(chardev: &Chardev) -> CharBackend {
    let option = |name: &str| chardev.options.get(name).and_then(Value::as_str);
    let mode = option("af-packet-mode").and_then(AfPacketMode::named);
    if let (Some(mode), Some(netdev)) = (mode, option("fd")) {
        return CharBackend::AfPacket { mode, netdev: netdev.into() };
    }
    match chardev.backend.as_str() {
        "null" => CharBackend::Null,
        "file" => CharBackend::File,
        "ringbuf" => CharBackend::Ringbuf { size: ringbuf_size(&chardev.options) },
        "udp" => CharBackend::Udp,
        "pty" => CharBackend::Pty,
        "mux" => CharBackend::Mux,
        _ => CharBackend::Socket {
            server: chardev.server,
            reconnect: scenario::retry(&chardev.options).is_some(),
            monitor: false,
        },
    }
}

/// Whether its far end is there from the start: not where a step only adds that.
fn is_connected(case: &Case, chardev: &Chardev) -> bool {
    match &chardev.far {
        ChardevFar::Port { connected, .. } => *connected,
        ChardevFar::Joined(other) => case.chardevs.iter().any(|one| one.id == *other),
        ChardevFar::Nobody => false,
    }
}

fn socket(chardev: &Chardev) -> Option<Socket> {
    Some(Socket {
        address: chardev.address.clone()?,
        server: chardev.server,
        retry: scenario::retry(&chardev.options).filter(|_| !chardev.server),
    })
}

/// The socket that `chardev-add` makes with these arguments.
pub(crate) fn added_socket(args: &Map<String, Value>) -> Option<Socket> {
    let (address, server) = Address::of_backend(args)?;
    let data = args.get("backend")?.get("data")?.as_object()?;
    Some(Socket { address, server, retry: scenario::retry(data).filter(|_| !server) })
}

/// QEMU's default is 64 KiB (10.2.2, `qapi/char.json`, `ChardevRingbuf`).
fn ringbuf_size(options: &Map<String, Value>) -> usize {
    number(options.get("size")).and_then(|size| usize::try_from(size).ok()).unwrap_or(65536)
}

/// A number as a map or a command-line string has it.
fn number(value: Option<&Value>) -> Option<u64> {
    match value? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::builtin::case;

    fn lowered(text: &str) -> Lowered {
        let case = case(text);
        lower(&case, &case.machines[0])
    }

    /// Id, kind and peer of each client, in order.
    fn clients(text: &str) -> Vec<(String, NetdevKind, Option<String>)> {
        let netdevs = lowered(text).config.netdevs;
        netdevs
            .into_iter()
            .map(|one| {
                let peer = one.peer.map(|peer| peer.to_string());
                (one.id.to_string(), one.kind, peer)
            })
            .collect()
    }

    fn tap(vhost: bool, vnet_hdr_len: usize) -> NetdevKind {
        NetdevKind::Tap { queues: 1, vhost, vnet_hdr_len }
    }

    #[test]
    fn a_plain_guest_is_a_hub_and_a_socket_of_its_own() {
        let hubs = |hub| (NetdevKind::Hubport { hub: FIRST_GUEST_HUB + hub }, NetdevKind::Socket);
        let of = |id: &str, number| {
            let (hub, socket) = hubs(number);
            [
                (id.to_owned(), tap(false, 0), None),
                (format!("@{id}.hub"), hub.clone(), Some(id.to_owned())),
                (format!("@{id}.guest"), socket, None),
                (format!("@{id}.wire"), hub, Some(format!("@{id}.guest"))),
            ]
        };
        let expected = [of("hn0", 0), of("hn1", 1)].concat();
        assert_eq!(clients("netdevs: {hn0: {type: tap}, hn1: {type: tap}}"), expected);
    }

    #[test]
    fn a_virtio_nic_is_the_tap_s_peer() {
        let nic = NetdevKind::Nic { vnet_hdr_len: 10 };
        assert_eq!(
            clients("netdevs: {hn0: {type: tap, vhost: true, nic: virtio, vnet_hdr_len: 10}}"),
            [
                ("hn0".to_owned(), tap(true, 10), None),
                ("@hn0.guest".to_owned(), nic, Some("hn0".to_owned())),
            ]
        );
    }

    #[test]
    fn guests_are_known_by_their_client_and_by_their_tap() {
        let lowered = lowered("netdevs: {hn0: {type: tap}}");
        let tap = &lowered.taps[&NetdevId::from("hn0")];
        assert_eq!(tap.guest_port, PortId::from("hn0.guest"));
        assert_eq!(lowered.guests[&tap.guest], NetdevId::from("hn0"));
    }

    #[test]
    fn chardevs_are_connected_where_somebody_is_there() {
        let lowered = lowered(
            "netdevs: {hn0: {type: tap}}
chardevs:
  here: {}
  later: {connected: false}
  a: {server: on, path: wire}
  b: {path: wire}",
        );
        let connected: Vec<_> = lowered
            .config
            .chardevs
            .iter()
            .map(|chardev| (chardev.id.as_str(), chardev.connected))
            .collect();
        assert_eq!(connected, [("here", true), ("later", false), ("a", true), ("b", true)]);
        let far = |id: &str| lowered.chardevs[&ChardevId::from(id)].far.clone();
        assert_eq!(far("a"), ChardevFar::Joined("b".into()));
        assert_eq!(far("b"), ChardevFar::Joined("a".into()));
    }
}
