//! The builds that are stood in for, and what each says of itself. A version of the RFC answers as
//! its patches would where that is known, and where it is not, in texts of its own.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::proxy::Fate;

/// What a build has that the installed QEMU has not, and the other way round.
#[derive(Default)]
pub(crate) struct Build {
    /// Its version, where it is another.
    version: Option<[u64; 3]>,
    patch: Option<Patch>,
    /// It was configured without libslirp and without replication.
    is_small: bool,
    /// Objects that the installed QEMU does not know of.
    own: BTreeSet<String>,
    /// Commands whose answers are changed, by the ids of the commands.
    pending: BTreeMap<u64, Change>,
}

/// The interface of a version of the RFC.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patch {
    /// `in_netdev` and `out_netdev` (the first version).
    Properties,
    /// A redirector on a vhost TAP (the second and the third).
    Vhost,
    /// `af-packet-mode` of a socket chardev (the fourth).
    Chardev,
}

/// What an answer becomes.
enum Change {
    /// Properties are added.
    Properties,
    /// A member of the schema is added.
    Schema,
    /// Types of object are taken away.
    Types,
}

/// Types of object that a build without replication has not.
const OF_COLO: [&str; 2] = ["colo-compare", "filter-rewriter"];

/// The version of a tree between two releases.
const TREE: [u64; 3] = [11, 1, 50];

impl Build {
    /// One of the builds by its name: a version of QEMU, a version of the RFC, or a small one.
    pub(crate) fn named(name: &str) -> Self {
        let patched = |patch| Self { version: Some(TREE), patch: Some(patch), ..Self::default() };
        let numbers: Vec<u64> = name.split('.').filter_map(|number| number.parse().ok()).collect();
        match (name, &numbers[..]) {
            ("rfc-v1", _) => patched(Patch::Properties),
            ("rfc-v2" | "rfc-v3", _) => patched(Patch::Vhost),
            ("rfc-v4", _) => patched(Patch::Chardev),
            ("small", _) => Self { is_small: true, ..Self::default() },
            (_, [major, minor, micro]) => {
                Self { version: Some([*major, *minor, *micro]), ..Self::default() }
            }
            _ => Self::default(),
        }
    }

    /// Whether it can be started with these arguments; what it says where it can't.
    pub(crate) fn refuses(&self, words: &[String]) -> Option<String> {
        let user = words.iter().find(|word| word.starts_with("user,id="));
        let word = user.filter(|_| self.is_small)?;
        Some(format!("qemu-system-x86_64: -netdev {word}: {NO_USER}"))
    }

    /// What becomes of a command.
    pub(crate) fn fate(&mut self, line: Value) -> Fate {
        let command = line["execute"].as_str().unwrap_or_default().to_owned();
        let arguments = line["arguments"].clone();
        match (command.as_str(), self.version, self.patch) {
            ("query-version", Some([major, minor, micro]), _) => Fate::Done(json!({
                "qemu": {"major": major, "minor": minor, "micro": micro}, "package": "",
            })),
            ("qom-list-properties", _, Some(Patch::Properties)) => {
                self.change(line, Change::Properties)
            }
            ("query-qmp-schema", _, Some(Patch::Chardev)) => self.change(line, Change::Schema),
            ("qom-list-types", ..) if self.is_small => self.change(line, Change::Types),
            ("netdev_add", ..) if self.is_small && arguments["type"] == "user" => {
                Fate::Refused(NO_USER.to_owned())
            }
            ("netdev_add", _, Some(Patch::Vhost)) if arguments["vhost"] == true => {
                self.own.extend(arguments["id"].as_str().map(str::to_owned));
                Fate::Done(json!({}))
            }
            ("object-add", _, Some(patch)) => self.add(patch, &arguments, line),
            ("object-del", ..) => match arguments["id"].as_str() {
                Some(id) if self.own.remove(id) => Fate::Done(json!({})),
                _ => Fate::Forward(line),
            },
            _ => Fate::Forward(line),
        }
    }

    /// An object of a patched build.
    fn add(&mut self, patch: Patch, arguments: &Value, line: Value) -> Fate {
        let given = |name: &str| arguments[name].as_str().unwrap_or_default();
        match patch {
            Patch::Vhost if self.own.contains(given("netdev")) => {
                Fate::Refused("a packet socket: Operation not permitted".to_owned())
            }
            Patch::Properties if given("qom-type") == "filter-redirector" => {
                let has = |name: &str| arguments.get(name).is_some();
                if !has("in_netdev") && !has("out_netdev") {
                    return Fate::Forward(line);
                }
                if has("in_netdev") && has("out_netdev") {
                    return Fate::Refused(BOTH.to_owned());
                }
                if has("in_netdev") && has("indev") || has("out_netdev") && has("outdev") {
                    return Fate::Refused("one endpoint for each direction".to_owned());
                }
                self.own.insert(given("id").to_owned());
                Fate::Done(json!({}))
            }
            _ => Fate::Forward(line),
        }
    }

    fn change(&mut self, line: Value, change: Change) -> Fate {
        if let Some(id) = line["id"].as_u64() {
            self.pending.insert(id, change);
        }
        Fate::Forward(line)
    }

    /// What the other side gets of an answer.
    pub(crate) fn answered(&mut self, mut line: Value) -> Value {
        let change = line["id"].as_u64().and_then(|id| self.pending.remove(&id));
        let Some((change, list)) = change.zip(line["return"].as_array_mut()) else {
            return line;
        };
        match change {
            Change::Properties => {
                let names = ["in_netdev", "out_netdev"];
                list.extend(names.map(|name| json!({"name": name, "type": "string"})));
            }
            Change::Schema => list.push(json!({
                "name": "of-the-chardev", "meta-type": "object",
                "members": [{"name": "af-packet-mode", "type": "str", "default": null}],
            })),
            Change::Types => list.retain(|kind| OF_COLO.iter().all(|name| kind["name"] != *name)),
        }
        line
    }
}

/// What a build without libslirp says.
const NO_USER: &str = "network backend 'user' is not compiled into this binary";

/// What the stand-in says to both endpoints. What the first version says is not known.
pub(crate) const BOTH: &str = "in_netdev and out_netdev exclude each other";
