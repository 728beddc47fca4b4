//! Monitor commands, as steps.

use serde_json::{Map, Value, json};

use super::object::{self, Object};
use crate::{
    qapi::Properties,
    scenario::{LONE_VERBS, QMP_VERBS},
};

/// A step, in the language.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) verb: String,
    pub(super) value: Value,
    /// The error that QEMU gave.
    pub(super) error: Option<Value>,
    /// Where it stands in the paste, among the pieces of all machines.
    pub(super) order: usize,
}

impl Step {
    fn new(verb: &str, value: Value) -> Self {
        Self { verb: verb.to_owned(), value, error: None, order: 0 }
    }

    /// `object_add` with an option string.
    pub(super) fn object_option(text: &str) -> Self {
        Self::new("object-add", json!(text))
    }

    /// `migrate`, as long as it is not known to which machine.
    pub(super) fn migrate(args: Map<String, Value>) -> Self {
        Self::new("migrate", Value::Object(args))
    }

    /// A command; none where the language has no step for it.
    pub(super) fn of_command(name: &str, mut args: Map<String, Value>) -> Option<Self> {
        match name {
            "x-colo-lost-heartbeat" => return Some(Self::new("colo", json!("failover"))),
            "xen-colo-do-checkpoint" => return Some(Self::new("colo", json!("checkpoint"))),
            _ if !QMP_VERBS.contains(&name) => return None,
            _ => {}
        }
        // Before QEMU 6.0 the properties of an object stood in a map of their own.
        if name == "object-add"
            && let Some(Value::Object(props)) = args.shift_remove("props")
        {
            args.extend(props);
        }
        let only_id =
            matches!(name, "object-del" | "chardev-remove" | "netdev_del") && args.len() == 1;
        let value = match args.get("id") {
            Some(Value::String(id)) if only_id => json!(id),
            _ if args.is_empty() && LONE_VERBS.contains(&name) => Value::Null,
            _ => Value::Object(args),
        };
        Some(Self::new(name, value))
    }

    /// The step with a dump's file where a scenario can have it, and what is to be said of that.
    pub(super) fn with_own_file(mut self) -> (Self, Option<String>) {
        let own = object::own_file(&object::of_step(&self.value));
        let Some(own) = own.filter(|_| self.verb == "object-add") else {
            return (self, None);
        };
        match &mut self.value {
            Value::Object(map) => drop(map.insert(own.property, json!(own.file))),
            value => {
                let mut object = Object::read(value.as_str().unwrap_or_default());
                object.set(&own.property, &own.file);
                *value = json!(object.text);
            }
        }
        (self, Some(format!("a step has {}", own.note)))
    }

    /// A command's answer was this error.
    pub(super) fn refused(&mut self, class: Option<String>, text: String) {
        self.error = Some(match class.filter(|class| class != "GenericError") {
            Some(class) if text.is_empty() => json!({ "class": class }),
            Some(class) => json!({ "class": class, "text": text }),
            None => json!(text),
        });
    }

    /// The step in the tree.
    pub(super) fn tree(&self, machine: Option<&str>) -> Value {
        if self.verb == "colo" {
            return match machine {
                Some(machine) => json!({ "colo": { "event": self.value, "machine": machine } }),
                None => json!({ "colo": self.value }),
            };
        }
        let mut map = Map::new();
        map.insert(self.verb.clone(), self.value.clone());
        // `migrate` names its two machines by itself.
        if let Some(machine) = machine.filter(|_| self.verb != "migrate") {
            map.insert("machine".to_owned(), json!(machine));
        }
        if let Some(error) = &self.error {
            map.insert("error".to_owned(), error.clone());
        }
        match (map.len(), &self.value) {
            (1, Value::Null) => json!(self.verb),
            _ => Value::Object(map),
        }
    }

    /// The object that it adds, unless QEMU refused it.
    pub(super) fn adds_object(&self) -> Option<Properties> {
        let adds = self.verb == "object-add" && self.error.is_none();
        adds.then(|| object::of_step(&self.value))
    }

    /// The id of the chardev or netdev that it adds.
    pub(super) fn adds(&self) -> Option<&str> {
        let adds = matches!(self.verb.as_str(), "chardev-add" | "netdev_add");
        self.value.get("id").filter(|_| adds)?.as_str()
    }
}
