//! The human monitor's commands.

use serde_json::{Map, Value, json};

use crate::qapi::{Options, boolean};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Command {
    /// A command that QMP has too, and its arguments there.
    Qmp(&'static str, Map<String, Value>),
    /// `object_add`, with its option string.
    ObjectAdd(String),
    /// Any other, as it is written.
    Other(String),
}

/// The commands that are known without a prompt before them.
const NAMES: &[&str] = &[
    "object_add",
    "object_del",
    "chardev-add",
    "chardev-remove",
    "netdev_add",
    "netdev_del",
    "set_link",
    "qom-set",
    "qom-get",
    "migrate_incoming",
    "migrate_set_capability",
    "announce_self",
];

/// A line of the human monitor, after its prompt or where the command can be nothing else.
pub(super) fn read(line: &str) -> Option<Command> {
    let line = line.trim();
    if let Some(rest) = line.strip_prefix("(qemu)") {
        let rest = rest.trim();
        return rest.starts_with(|c: char| c.is_ascii_alphabetic()).then(|| command(rest));
    }
    if line == "x_colo_lost_heartbeat" {
        return Some(command(line));
    }
    let (name, rest) = line.split_once(' ')?;
    let is_place =
        |word: &str| ["tcp:", "unix:", "rdma:"].iter().any(|kind| word.starts_with(kind));
    if name == "migrate"
        && rest.split_whitespace().all(|word| word.starts_with('-') || is_place(word))
    {
        return Some(command(line));
    }
    (NAMES.contains(&name) && !rest.trim().is_empty()).then(|| command(line))
}

/// A refusal, class and text: `Error: TEXT`, and what `export` writes, `# is refused (CLASS): TEXT`.
pub(super) fn error(line: &str) -> Option<(Option<&str>, &str)> {
    if let Some(text) = line.trim().strip_prefix("Error: ") {
        return Some((None, text.trim()));
    }
    let rest = line.trim().strip_prefix("# is refused")?;
    match rest.strip_prefix(" (") {
        Some(rest) => {
            let (class, text) = rest.split_once("):")?;
            Some((Some(class), text.trim()))
        }
        None => Some((None, rest.strip_prefix(':')?.trim())),
    }
}

/// A command without its prompt.
pub(super) fn command(line: &str) -> Command {
    let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
    let rest = rest.trim();
    let id = || Map::from_iter([("id".to_owned(), json!(rest))]);
    let words: Vec<&str> = rest.split_whitespace().collect();
    let made =
        match name {
            "object_add" => return Command::ObjectAdd(rest.to_owned()),
            "object_del" => Some(("object-del", id())),
            "chardev-remove" => Some(("chardev-remove", id())),
            "netdev_del" => Some(("netdev_del", id())),
            "chardev-add" => chardev(rest).map(|args| ("chardev-add", args)),
            "netdev_add" => Some(("netdev_add", netdev(rest))),
            "device_add" => {
                let options = Options::read(rest, "driver");
                let typed = options.elements().iter();
                let typed = typed.map(|item| (item.key.clone(), json!(item.value)));
                Some(("device_add", typed.collect()))
            }
            "device_del" => Some(("device_del", id())),
            "announce_self" => announce_self(&words).map(|args| ("announce-self", args)),
            "migrate" => migrate(&words).map(|args| ("migrate", args)),
            "migrate_incoming" => match words.as_slice() {
                [uri] => object(json!({ "uri": uri })).map(|args| ("migrate-incoming", args)),
                _ => None,
            },
            "migrate_set_capability" => match words.as_slice() {
                [name, state] => object(json!({
                    "capabilities": [{ "capability": name, "state": *state == "on" }],
                }))
                .map(|args| ("migrate-set-capabilities", args)),
                _ => None,
            },
            "stop" | "s" => Some(("stop", Map::new())),
            "cont" | "c" => Some(("cont", Map::new())),
            "x_colo_lost_heartbeat" => Some(("x-colo-lost-heartbeat", Map::new())),
            "set_link" => match words.as_slice() {
                [name, state] => object(json!({ "name": name, "up": *state == "on" }))
                    .map(|args| ("set_link", args)),
                _ => None,
            },
            "qom-get" => match words.as_slice() {
                [path, property] => object(json!({ "path": path, "property": property }))
                    .map(|args| ("qom-get", args)),
                _ => None,
            },
            "qom-set" => match words.as_slice() {
                [path, property, value] => {
                    object(json!({ "path": path, "property": property, "value": value }))
                        .map(|args| ("qom-set", args))
                }
                _ => None,
            },
            _ => None,
        };
    match made {
        Some((name, args)) => Command::Qmp(name, args),
        None => Command::Other(line.to_owned()),
    }
}

fn object(value: Value) -> Option<Map<String, Value>> {
    match value {
        Value::Object(map) => Some(map),
        _ => None,
    }
}

/// QMP's arguments of an option string (QEMU 10.2.2, `chardev/char-socket.c`,
/// `qemu_chr_parse_socket`: a socket listens only where it says so, while QMP's default is that it
/// does).
fn chardev(text: &str) -> Option<Map<String, Value>> {
    let options = Options::read(text, "backend");
    let id = options.id()?;
    let on = |key: &str| options.is_on(key);
    let mut data = Map::new();
    let kind = options.get("backend")?;
    match kind {
        "socket" => {
            let addr = match (options.get("path"), options.get("host")) {
                (Some(path), _) => json!({ "type": "unix", "data": { "path": path } }),
                (None, Some(host)) => {
                    let port = options.get("port")?;
                    json!({ "type": "inet", "data": { "host": host, "port": port } })
                }
                (None, None) => return None,
            };
            data.insert("addr".to_owned(), addr);
            data.insert("server".to_owned(), json!(on("server")));
            // `nodelay` alone is `delay=off`.
            if options.get("delay").is_some() {
                data.insert("nodelay".to_owned(), json!(!on("delay")));
            }
            for key in ["wait", "nodelay", "telnet", "websocket"] {
                if options.get(key).is_some() {
                    data.insert(key.to_owned(), json!(on(key)));
                }
            }
            for key in ["reconnect", "reconnect-ms"] {
                if let Some(Ok(number)) = options.get(key).map(str::parse::<u64>) {
                    data.insert(key.to_owned(), json!(number));
                }
            }
        }
        "null" | "pty" => {}
        "file" => {
            data.insert("out".to_owned(), json!(options.get("path")?));
        }
        "ringbuf" => {
            if let Some(Ok(size)) = options.get("size").map(str::parse::<u64>) {
                data.insert("size".to_owned(), json!(size));
            }
        }
        _ => return None,
    }
    object(json!({ "id": id, "backend": { "type": kind, "data": data } }))
}

/// `announce_self [INTERFACES [ID]]`, with the parameters of a migration (QEMU 10.2.2
/// `net/net-hmp-cmds.c`, `hmp_announce_self`).
fn announce_self(words: &[&str]) -> Option<Map<String, Value>> {
    let mut args = object(json!({ "initial": 50, "max": 550, "rounds": 5, "step": 100 }))?;
    if let Some(names) = words.first() {
        args.insert("interfaces".to_owned(), names.split(',').collect());
    }
    if let Some(id) = words.get(1) {
        args.insert("id".to_owned(), json!(id));
    }
    Some(args)
}

/// `migrate [-d] [-r] URI`: the flags say how the monitor waits (QEMU 10.2.2 `hmp-commands.hx`).
fn migrate(words: &[&str]) -> Option<Map<String, Value>> {
    let mut uris = words.iter().filter(|word| !word.starts_with('-'));
    let uri = uris.next().filter(|_| uris.next().is_none())?;
    object(json!({ "uri": uri }))
}

/// QMP's arguments of a netdev's option string.
fn netdev(text: &str) -> Map<String, Value> {
    let options = Options::read(text, "type");
    let typed = options.elements().iter().map(|item| {
        let value = match (item.key.as_str(), item.value.parse::<u64>()) {
            ("vhost" | "vhostforce" | "vnet_hdr", _) => {
                json!(boolean(&item.value) == Some(true))
            }
            ("queues" | "hubid", Ok(number)) => json!(number),
            _ => json!(item.value),
        };
        (item.key.clone(), value)
    });
    typed.collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("(qemu) object_del m0", "object-del {\"id\":\"m0\"}")]
    #[case("set_link hn0 off", "set_link {\"name\":\"hn0\",\"up\":false}")]
    #[case(
        "(qemu) chardev-add socket,id=a,path=/x",
        "chardev-add {\"id\":\"a\",\"backend\":{\"type\":\"socket\",\"data\":{\"addr\":{\"type\":\"unix\",\"data\":{\"path\":\"/x\"}},\"server\":false}}}"
    )]
    #[case(
        "netdev_add tap,id=a,vhost=on",
        "netdev_add {\"type\":\"tap\",\"id\":\"a\",\"vhost\":true}"
    )]
    #[case(
        "chardev-add socket,id=a,path=/x,server,nowait,nodelay",
        "chardev-add {\"id\":\"a\",\"backend\":{\"type\":\"socket\",\"data\":{\"addr\":{\"type\":\"unix\",\"data\":{\"path\":\"/x\"}},\"server\":true,\"nodelay\":true,\"wait\":false}}}"
    )]
    #[case(
        "(qemu) announce_self hn0.guest,hn1.guest a",
        "announce-self {\"initial\":50,\"max\":550,\"rounds\":5,\"step\":100,\"interfaces\":[\"hn0.guest\",\"hn1.guest\"],\"id\":\"a\"}"
    )]
    #[case("(qemu) migrate -d tcp:b:4444", "migrate {\"uri\":\"tcp:b:4444\"}")]
    #[case("migrate_incoming tcp:0:4444", "migrate-incoming {\"uri\":\"tcp:0:4444\"}")]
    #[case(
        "migrate_set_capability x-colo on",
        "migrate-set-capabilities {\"capabilities\":[{\"capability\":\"x-colo\",\"state\":true}]}"
    )]
    #[case("(qemu) info network", "? info network")]
    #[case("(qemu)", "None")]
    #[case("stop it please", "None")]
    fn lines_are_commands(#[case] line: &str, #[case] expected: &str) {
        let shown = match read(line) {
            Some(Command::Qmp(name, args)) => format!("{name} {}", Value::Object(args)),
            Some(Command::Other(line)) => format!("? {line}"),
            Some(Command::ObjectAdd(text)) => format!("object_add {text}"),
            None => "None".to_owned(),
        };
        assert_eq!(shown, expected);
    }
}
