//! Chardevs and objects as QMP's arguments.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::version::Version;
use crate::scenario::Chardev;

/// The first version that knows `reconnect-ms` (QEMU 9.2 `qapi/char.json`).
const RECONNECT_MS: (u64, u64) = (9, 2);

/// `chardev-add` of a unix socket.
pub(super) fn socket(id: &str, path: &Path, server: bool) -> Map<String, Value> {
    let mut data = json!({
        "addr": {"type": "unix", "data": {"path": path.to_string_lossy()}},
        "server": server,
    });
    if server {
        data["wait"] = false.into();
    }
    add(id, "socket", data)
}

/// `chardev-add` of one of the other kinds, with its id in its machine. A multiplexer's base is
/// `base`.
pub(super) fn other(chardev: &Chardev, id: &str, path: &Path, base: &str) -> Map<String, Value> {
    let backend = chardev.backend.as_str();
    let data = match backend {
        "file" => json!({"out": path.to_string_lossy()}),
        "ringbuf" => match chardev.options.get("size").and_then(number) {
            Some(size) => json!({"size": size}),
            None => json!({}),
        },
        "mux" => json!({"chardev": base}),
        _ => json!({}),
    };
    add(id, backend, data)
}

fn add(id: &str, backend: &str, data: Value) -> Map<String, Value> {
    let mut args = Map::new();
    args.insert("id".to_owned(), id.into());
    args.insert("backend".to_owned(), json!({"type": backend, "data": data}));
    args
}

/// Gives a client socket its wish to come back, in the words of the version.
pub(super) fn add_reconnect(
    args: &mut Map<String, Value>,
    options: &Map<String, Value>,
    version: Version,
) {
    let milliseconds = milliseconds(options);
    if milliseconds == 0 {
        return;
    }
    let (key, value) = if (version.major, version.minor) >= RECONNECT_MS {
        ("reconnect-ms", milliseconds)
    } else {
        ("reconnect", milliseconds.div_ceil(1000))
    };
    args["backend"]["data"][key] = value.into();
}

/// Whether a client chardev reconnects on its own.
pub(super) fn reconnects(options: &Map<String, Value>) -> bool {
    milliseconds(options) > 0
}

fn milliseconds(options: &Map<String, Value>) -> u64 {
    let of = |key: &str| options.get(key).and_then(number);
    of("reconnect-ms").or_else(|| of("reconnect").map(|seconds| seconds * 1000)).unwrap_or_default()
}

/// A number as a map or a command-line string has it.
fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reconnect_is_said_in_the_words_of_the_version() {
        let options = json!({"reconnect-ms": 1500});
        let version = |major, minor| Version { major, minor, micro: 0 };
        for (version, expected) in [
            (version(7, 2), json!({"reconnect": 2})),
            (version(10, 2), json!({"reconnect-ms": 1500})),
        ] {
            let mut args = socket("c0", Path::new("/x"), false);
            add_reconnect(&mut args, options.as_object().unwrap(), version);
            let data = &args["backend"]["data"];
            for (key, value) in expected.as_object().unwrap() {
                assert_eq!(&data[key], value);
            }
        }
    }
}
