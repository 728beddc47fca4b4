//! Reads the chardevs of a machine, as maps or as option strings.

use serde_json::{Map, Value};

use super::{declared, host, machine::Part};
use crate::{
    base::{Interface, Profile},
    diag::Span,
    record::Framing,
    scenario::{
        address::Address,
        case::{Chardev, ChardevFar, Netdev, NetdevType},
        fault::Fault,
        fields::Fields,
        key::{self, KeyType, OWN_CHARDEV_KEYS},
        node::{Entry, Node},
    },
};

/// A chardev before its far end is known.
pub(super) struct Half {
    pub(super) chardev: Chardev,
    pub(super) connected: Option<bool>,
    pub(super) framing: Option<Framing>,
}

impl Half {
    /// Whether the scenario says something of its port.
    pub(super) fn is_port(&self) -> bool {
        self.connected.is_some() || self.framing.is_some()
    }
}

const OPTION: declared::Kind = declared::Kind {
    keys: &key::CHARDEV,
    implied: "backend",
    first: "a backend such as `socket`",
    thing: "the chardev",
};

/// Those of a machine, in a scenario of this profile.
pub(super) fn lower(part: &Part<'_>, netdevs: &[Netdev], profile: &Profile) -> Vec<Half> {
    let profile = part.machine.profile.as_ref().unwrap_or(profile);
    let own = netdevs.iter().filter(|netdev| netdev.machine == *part.id());
    let taps = own.filter(|netdev| matches!(netdev.kind, NetdevType::Tap { .. }));
    let taps: Vec<&str> = taps.filter_map(|tap| part.id().local(tap.id.as_str())).collect();
    let help = "write `chardevs: {out0: {}}`, or a list of QEMU's -chardev strings";
    declared::all(&part.fields, "chardevs", &OPTION, help)
        .iter()
        .filter_map(|(id, span, node)| half(part, id, *span, node, (profile, &taps)))
        .collect()
}

fn half(
    part: &Part<'_>,
    id: &str,
    span: Span,
    node: &Node,
    (profile, taps): (&Profile, &[&str]),
) -> Option<Half> {
    let fields = &part.fields;
    if !host::is_id(id) {
        fields.fault(span, host::bad_id(id, "a chardev"));
    } else if key::EXPECT.key(id).is_some() {
        fields.fault(
            span,
            Fault::BadId {
                id: id.to_owned(),
                what: "a chardev",
                rule: "`expect` has a key of this name; choose another",
            },
        );
    }
    let map = Fields::open(fields.context(), node, &key::CHARDEV)?;
    let mut backend = map.choice_or_default("backend");
    if map.boolean("mux") == Some(true) && backend == "socket" {
        backend = "mux";
    }
    let server = map.boolean_or_default("server");
    let is_socket = matches!(backend, "socket" | "mux") && !map.has("fd");
    let address = address(&map).filter(|_| is_socket);
    if matches!(backend, "socket" | "mux") {
        map.conflict("path", "host", "a socket is a unix socket or a TCP socket");
    }
    af_packet(&map, backend, profile, taps);
    let chardev = Chardev {
        machine: part.id().clone(),
        id: part.id().qualified(id),
        span,
        backend: backend.to_owned(),
        options: options(&map),
        address,
        server,
        far: ChardevFar::Nobody,
    };
    let framing = map.choice("framing").map(|word| match word {
        "vnet" => Framing::Vnet,
        "raw" => Framing::Raw,
        _ => Framing::Plain,
    });
    Some(Half { chardev, connected: map.boolean("connected"), framing })
}

/// A packet socket: the profile must have it, and its descriptor must be of a TAP of this machine.
fn af_packet(map: &Fields<'_>, backend: &str, profile: &Profile, taps: &[&str]) {
    let (mode, fd) = (map.entry("af-packet-mode"), map.entry("fd"));
    let needs = |entry: &Entry, needs: &'static str| {
        map.fault(entry.key_span, Fault::Needs { key: entry.key.to_string(), needs });
    };
    let (mode, fd) = match (mode, fd) {
        (Some(mode), Some(fd)) if backend == "socket" => (mode, fd),
        (None, None) => return,
        (Some(mode), Some(_)) => return needs(mode, "the backend socket"),
        (Some(mode), None) => return needs(mode, "`fd`, and the backend socket"),
        (None, Some(fd)) => return needs(fd, "`af-packet-mode`, and the backend socket"),
    };
    map.choice("af-packet-mode");
    for other in ["path", "host"] {
        map.conflict("fd", other, "a packet socket has no other address than its descriptor");
    }
    let version = profile.version();
    if version.interface() != Some(Interface::Chardev) {
        map.fault(mode.key_span, Fault::NoAfPacketMode { profile: version.name() });
    }
    if let Some(name) = map.text("fd").filter(|name| !taps.contains(&name.as_str())) {
        map.fault(fd.value.span, host::unknown("TAP", &name, taps.iter().copied()));
    }
}

fn address(map: &Fields<'_>) -> Option<Address> {
    let (path, host) = (map.text("path"), map.text("host"));
    let port = map.integer("port");
    if let Some(entry) = map.entry("port").filter(|_| host.is_none()) {
        let key = "port".to_owned();
        let needs = "`host`";
        map.fault(entry.key_span, Fault::Needs { key, needs });
    }
    if let Some(entry) = map.entry("host").filter(|_| !map.has("port")) {
        let key = "host".to_owned();
        let needs = "`port`";
        map.fault(entry.key_span, Fault::Needs { key, needs });
    }
    path.map(Address::Unix).or_else(|| Some(Address::Tcp { host: host?, port: port? }))
}

/// The options that are QEMU's alone, with the types of its schema, and the address.
fn options(map: &Fields<'_>) -> Map<String, Value> {
    let mut options = Map::new();
    for entry in map.entries() {
        let own = OWN_CHARDEV_KEYS.contains(&entry.key.as_str())
            && !matches!(entry.key.as_str(), "path" | "host" | "port");
        let Some(key) = key::CHARDEV.key(&entry.key).filter(|_| !own) else {
            continue;
        };
        let value = match key.kind {
            KeyType::Bool => map.boolean(key.name).map(Value::from),
            KeyType::Integer(..) => map.integer::<u64>(key.name).map(Value::from),
            _ => map.text(key.name).map(Value::from),
        };
        if let Some(value) = value {
            options.insert(key.name.to_owned(), value);
        }
    }
    options
}
