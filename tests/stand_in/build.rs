//! The builds that are stood in for, and what each says of itself.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::proxy::Fate;

/// What a build has that the installed QEMU has not, and the other way round.
#[derive(Default)]
pub(crate) struct Build {
    /// Its version, where it is another.
    version: Option<[u64; 3]>,
    /// Commands whose answers are changed, by the ids of the commands.
    pending: BTreeMap<u64, Change>,
}

/// What an answer becomes.
enum Change {}

impl Build {
    /// One of the builds by its name: a version.
    pub(crate) fn named(name: &str) -> Self {
        let mut build = Self::default();
        let numbers: Vec<u64> = name.split('.').filter_map(|number| number.parse().ok()).collect();
        if let [major, minor, micro] = numbers[..] {
            build.version = Some([major, minor, micro]);
        }
        build
    }

    /// What becomes of a command.
    pub(crate) fn fate(&mut self, line: Value) -> Fate {
        let command = line["execute"].as_str().unwrap_or_default();
        match (command, self.version) {
            ("query-version", Some([major, minor, micro])) => Fate::Done(json!({
                "qemu": {"major": major, "minor": minor, "micro": micro}, "package": "",
            })),
            _ => Fate::Forward(line),
        }
    }

    /// What the other side gets of an answer.
    pub(crate) fn answered(&mut self, line: Value) -> Value {
        let change = line["id"].as_u64().and_then(|id| self.pending.remove(&id));
        match change {
            None => line,
            Some(change) => match change {},
        }
    }
}
