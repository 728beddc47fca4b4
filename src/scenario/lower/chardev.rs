use serde_json::{Map, Value};

use super::{
    host,
    object::Use,
    option::{self, Element},
};
use crate::{
    base::ChardevId,
    diag::Span,
    record::Framing,
    scenario::{
        case::{Chardev, ChardevFar},
        fault::Fault,
        fields::Fields,
        key::{self, KeyType, OWN_CHARDEV_KEYS},
        node::{Entry, Node, Scalar, Tree, short},
        value,
    },
};

/// A chardev before its far end is known.
struct Half {
    chardev: Chardev,
    address: Option<String>,
    connected: Option<bool>,
    framing: Option<Framing>,
}

pub(super) fn lower(fields: &Fields<'_>, wiring: &[Use]) -> Vec<Chardev> {
    let Some(node) = fields.node("chardevs") else {
        return Vec::new();
    };
    let mut halves: Vec<Half> = Vec::new();
    match &node.tree {
        Tree::Map(entries) => {
            for entry in entries {
                halves.extend(from_entry(fields, entry));
            }
        }
        Tree::List(nodes) => {
            for node in nodes {
                if let Some(half) = from_item(fields, node) {
                    if halves
                        .iter()
                        .any(|other| other.chardev.id == half.chardev.id)
                    {
                        let id = half.chardev.id.to_string();
                        fields.fault(
                            node.span,
                            Fault::DuplicateId {
                                id,
                                what: "the chardev",
                            },
                        );
                    }
                    halves.push(half);
                }
            }
        }
        Tree::Scalar(_) => {
            let help = "write `chardevs: {out0: {}}`, or a list of QEMU's -chardev strings";
            value::mismatch(
                fields.context(),
                node,
                "a map or a list",
                Some(help.to_owned()),
            );
        }
    }
    join(fields, halves, wiring)
}

/// `ID: {...}`, `ID:` or `ID: "socket,..."`.
fn from_entry(fields: &Fields<'_>, entry: &Entry) -> Option<Half> {
    if let Some(text) = entry.value.text() {
        let (map, id) = option_map(fields, text, entry.value.span)?;
        if let Some(id) = id.filter(|id| *id != entry.key) {
            fields.fault(
                entry.value.span,
                Fault::OptionString {
                    reason: format!("id={} contradicts the key `{}`", short(&id), entry.key),
                },
            );
        }
        return half(fields, &entry.key, entry.key_span, &map);
    }
    let empty = Node {
        span: entry.value.span,
        tree: Tree::Map(Vec::new()),
    };
    let node = if entry.value.is_null() {
        &empty
    } else {
        &entry.value
    };
    half(fields, &entry.key, entry.key_span, node)
}

/// An option string in a list, which must have its id.
fn from_item(fields: &Fields<'_>, node: &Node) -> Option<Half> {
    let Some(text) = node.text() else {
        let help = "write maps under their id: `chardevs: {out0: {...}}`".to_owned();
        value::mismatch(fields.context(), node, "an option string", Some(help));
        return None;
    };
    let (map, id) = option_map(fields, text, node.span)?;
    let Some(id) = id else {
        let reason = "it has no `id=`".to_owned();
        fields.fault(node.span, Fault::OptionString { reason });
        return None;
    };
    half(fields, &id, node.span, &map)
}

/// An option string as the map that says the same, so that one path lowers both.
fn option_map(fields: &Fields<'_>, text: &str, span: Span) -> Option<(Node, Option<String>)> {
    let elements = option::split(text);
    let id = option::get(&elements, "id").map(str::to_owned);
    match elements.first() {
        Some(Element {
            key: None, value, ..
        }) if !value.is_empty() => {}
        Some(Element { key: Some(key), .. }) if key == "backend" => {}
        _ => {
            let reason = "it doesn't begin with a backend such as `socket`".to_owned();
            fields.fault(span, Fault::OptionString { reason });
            return None;
        }
    }
    let mut entries: Vec<Entry> = Vec::new();
    for element in elements
        .into_iter()
        .filter(|element| element.key.as_deref() != Some("id"))
    {
        let at = place(fields, text, span, &element);
        let key = element.key.unwrap_or_else(|| "backend".to_owned());
        let boolean = key::CHARDEV
            .key(&key)
            .is_some_and(|key| key.kind == KeyType::Bool);
        let value = match element.value.as_str() {
            "yes" | "true" | "y" if boolean => "on".to_owned(),
            "no" | "false" | "n" if boolean => "off".to_owned(),
            _ => element.value,
        };
        entries.retain(|entry| entry.key != key);
        let value = Node {
            span: at,
            tree: Tree::Scalar(Scalar::text(value)),
        };
        entries.push(Entry {
            key,
            key_span: at,
            value,
        });
    }
    Some((
        Node {
            span,
            tree: Tree::Map(entries),
        },
        id,
    ))
}

/// Where an element stands in the file, if its string stands there as it reads.
fn place(fields: &Fields<'_>, text: &str, span: Span, element: &Element) -> Span {
    let source = &fields.context().source().text;
    match source
        .get(span.start..span.end)
        .and_then(|written| written.find(text))
    {
        Some(at) => {
            let start = span.start + at + element.at;
            Span {
                start,
                end: start + element.len,
            }
        }
        None => span,
    }
}

fn half(fields: &Fields<'_>, id: &str, span: Span, node: &Node) -> Option<Half> {
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
    let mut backend = map.choice("backend").unwrap_or("socket");
    if map.boolean("mux") == Some(true) && backend == "socket" {
        backend = "mux";
    }
    let server = map.boolean("server").unwrap_or(false);
    let path = map.text("path");
    let tcp = map.text("host").map(|host| {
        let port: Option<u16> = map.integer("port");
        format!(
            "{host}:{}",
            port.map_or_else(String::new, |port| port.to_string())
        )
    });
    if matches!(backend, "socket" | "mux") {
        map.conflict("path", "host", "a socket is a unix socket or a TCP socket");
    }
    if let Some(entry) = map.entry("port").filter(|_| tcp.is_none()) {
        let key = "port".to_owned();
        map.fault(
            entry.key_span,
            Fault::Needs {
                key,
                needs: "`host`",
            },
        );
    }
    let address = path
        .clone()
        .or(tcp)
        .filter(|_| matches!(backend, "socket" | "mux"));
    let chardev = Chardev {
        id: ChardevId::from(id),
        span,
        backend: backend.to_owned(),
        options: options(&map),
        server,
        far: ChardevFar::Nobody,
    };
    let framing = map.choice("framing").map(|word| match word {
        "vnet" => Framing::Vnet,
        "raw" => Framing::Raw,
        _ => Framing::Plain,
    });
    Some(Half {
        chardev,
        address,
        connected: map.boolean("connected"),
        framing,
    })
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

fn join(fields: &Fields<'_>, halves: Vec<Half>, wiring: &[Use]) -> Vec<Chardev> {
    let far: Vec<ChardevFar> = (0..halves.len())
        .map(|at| far_end(fields, &halves, at, wiring))
        .collect();
    halves
        .into_iter()
        .zip(far)
        .map(|(half, far)| Chardev {
            far,
            ..half.chardev
        })
        .collect()
}

fn far_end(fields: &Fields<'_>, halves: &[Half], at: usize, wiring: &[Use]) -> ChardevFar {
    let half = &halves[at];
    let span = half.chardev.span;
    if matches!(half.chardev.backend.as_str(), "null" | "file" | "ringbuf") {
        no_far_end(fields, half);
        return ChardevFar::Nobody;
    }
    let shares = |other: &&Half| half.address.is_some() && other.address == half.address;
    let earlier: Vec<&Half> = halves[..at].iter().filter(shares).collect();
    let later = halves[at + 1..].iter().find(shares);
    if let Some(other) = earlier.first().copied().or(later) {
        if let Some(first) = earlier.first() {
            check_pair(fields, half, first, earlier.len() > 1);
        }
        if half.connected.is_some() || half.framing.is_some() {
            let reason = format!("{} is joined to {}", half.chardev.id, other.chardev.id);
            let help = "take `connected` and `framing` out: they are about a port, and there is \
                        none";
            fields.fault(span, Fault::Join { reason, help });
        }
        return ChardevFar::Joined(other.chardev.id.clone());
    }
    let used = wiring
        .iter()
        .find(|used| used.chardev == half.chardev.id.as_str());
    ChardevFar::Port {
        connected: half.connected.unwrap_or(true),
        framing: half
            .framing
            .or(used.map(|used| used.framing))
            .unwrap_or_default(),
    }
}

/// Two chardevs at one address, reported at the later one.
fn check_pair(fields: &Fields<'_>, half: &Half, other: &Half, third: bool) {
    let address = short(half.address.as_deref().unwrap_or_default());
    let (reason, help) = if third {
        (
            format!("more than two chardevs share the address {address}"),
            "a server has one client at a time: give each pair its own address",
        )
    } else if half.chardev.server != other.chardev.server {
        return;
    } else if half.chardev.server {
        (
            format!("two servers share the address {address}"),
            "let one of them be the client: leave `server` out there",
        )
    } else {
        (
            format!("two clients share the address {address}"),
            "let one of them listen: `server: on`",
        )
    };
    let fault = Fault::Join { reason, help };
    fields.context().fault_with(
        half.chardev.span,
        fault,
        other.chardev.span,
        "the first one",
    );
}

fn no_far_end(fields: &Fields<'_>, half: &Half) {
    if half.connected.is_some() || half.framing.is_some() {
        let reason = format!("the backend {} has no far end", half.chardev.backend);
        let help = "take `connected` and `framing` out, or use the backend socket";
        fields.fault(half.chardev.span, Fault::Join { reason, help });
    }
}
