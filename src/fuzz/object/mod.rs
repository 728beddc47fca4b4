//! The kinds of object that random scenarios are made of: a row in [`KINDS`], and a file for each that
//! has more to say than what every filter has.
//!
//! A kind says what an object needs (its `draw` asks the draft for netdevs and chardevs), how its
//! properties are drawn, which of them are changed later, where its traffic is, and which dialects,
//! and so which backends, can carry it. Nothing else in this part knows a kind by name.

mod buffer;
mod compare;
mod dump;
mod filter;
mod mirror;
mod redirector;
mod rewriter;

pub(super) use compare::comparing_loop;
pub(super) use filter::READ;

use serde_json::{Map, Value};

use super::{
    draft::{Dialect, Draft},
    rng::Rng,
};
use crate::qapi::{Flow, Role, role_of};

/// A kind of object.
#[derive(Debug)]
pub(super) struct Kind {
    /// QEMU's type.
    pub(super) name: &'static str,
    /// How often it is drawn, beside the others.
    weight: usize,
    /// The first letters of its ids.
    prefix: &'static str,
    /// In which scenarios it can be.
    dialects: &'static [Dialect],
    /// Draws properties that QEMU accepts, and makes what they name. None where the draft has
    /// nothing that such an object could work on.
    draw: fn(&mut Draft, &mut Rng) -> Option<Properties>,
    /// Properties that are set later, with values good and bad.
    pub(super) live: &'static [(&'static str, &'static [&'static str])],
    /// The ports where its traffic enters.
    pub(super) traffic: fn(&Made, &Draft) -> Vec<String>,
    /// Draws steps that only make sense together, such as a connection's next segments.
    pub(super) scene: Option<Scene>,
    /// QEMU dies where it refuses one.
    pub(super) deadly: bool,
    /// It has a period of its own, which is of the wall's clock in a real QEMU.
    pub(super) timed: bool,
    /// The order of what it writes is not only that of what it got, but also how fast it is read.
    pub(super) paced: bool,
}

/// None where the draft has nothing to do it with.
type Scene = fn(&Made, &mut Draft, &mut Rng) -> Option<Vec<Value>>;

/// What most kinds have.
const PLAIN: Kind = Kind {
    name: "",
    weight: 0,
    prefix: "",
    dialects: &[Dialect::Common, Dialect::Rfc],
    draw: filter::draw,
    live: filter::LIVE,
    traffic: filter::traffic,
    scene: None,
    deadly: false,
    timed: false,
    paced: false,
};

/// How many of them there were when seeds were first reported.
const OLD_KINDS: usize = 7;

/// The kinds, in the order in which they are drawn from. A new row goes to the end: a seed that never
/// draws it gives the same scenario as before.
static KINDS: &[Kind] = &[
    redirector::KIND,
    mirror::KIND,
    rewriter::KIND,
    compare::KIND,
    buffer::KIND,
    dump::KIND,
    // It does nothing outside of record and replay.
    Kind { name: "filter-replay", weight: 4, prefix: "y", ..PLAIN },
];

/// Properties without `qom-type` and `id`, in order.
pub(super) type Properties = Vec<(&'static str, Property)>;

/// A property's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Property {
    Text(String),
    Bool(bool),
    Number(u64),
}

impl From<&str> for Property {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Property {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// An object of the scenario.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) kind: &'static Kind,
    pub(super) id: String,
    pub(super) properties: Properties,
}

impl Made {
    /// A property's text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.properties.iter().find_map(|(key, value)| match value {
            Property::Text(text) if *key == name => Some(text.as_str()),
            _ => None,
        })
    }

    /// The chardevs which it reads.
    pub(super) fn read_chardevs(&self) -> impl Iterator<Item = &str> {
        let reads = |name: &str| {
            let role = role_of(name);
            matches!(role, Some(Role::Chardev(Flow::In | Flow::Messages)))
        };
        let names = self.properties.iter().map(|(name, _)| *name).filter(move |name| reads(name));
        names.filter_map(|name| self.text(name))
    }

    /// Whether a boolean property is set.
    pub(super) fn is_on(&self, name: &str) -> bool {
        let on = |value: &Property| *value == Property::Bool(true);
        self.properties.iter().any(|(key, value)| *key == name && on(value))
    }

    /// The object as a scenario writes it: mostly the command line's string, else QMP's map.
    pub(super) fn written(&self, rng: &mut Rng) -> Value {
        if rng.chance(75) {
            let mut text = format!("{},id={}", self.kind.name, self.id);
            for (key, value) in &self.properties {
                let value = match value {
                    Property::Text(text) => text.clone(),
                    Property::Bool(true) => "on".to_owned(),
                    Property::Bool(false) => "off".to_owned(),
                    Property::Number(number) => number.to_string(),
                };
                text += &format!(",{key}={value}");
            }
            return text.into();
        }
        let mut map = Map::new();
        map.insert("qom-type".to_owned(), self.kind.name.into());
        map.insert("id".to_owned(), self.id.as_str().into());
        for (key, value) in &self.properties {
            let value = match value {
                Property::Text(text) => Value::from(text.as_str()),
                Property::Bool(value) => Value::from(*value),
                Property::Number(number) => Value::from(*number),
            };
            map.insert((*key).to_owned(), value);
        }
        map.into()
    }
}

/// Makes an object that QEMU accepts and adds it to the draft.
pub(super) fn make(draft: &mut Draft, rng: &mut Rng) -> Option<Made> {
    let made = drawn(draft, rng)?;
    draft.objects.push(made.clone());
    Some(made)
}

/// Draws an object that QEMU may refuse: as [`make`], with one thing wrong. It is not added.
pub(super) fn risky(draft: &mut Draft, rng: &mut Rng) -> Option<Made> {
    let mut made = drawn(draft, rng)?;
    spoil(&mut made, draft, rng);
    Some(made)
}

fn drawn(draft: &mut Draft, rng: &mut Rng) -> Option<Made> {
    let weight = |kind: &Kind| {
        let late = kind.timed && draft.waits && !draft.has_own_time();
        if kind.dialects.contains(&draft.dialect) && !late { kind.weight } else { 0 }
    };
    let kind = rng.weighted_growing(KINDS, OLD_KINDS, weight)?;
    let properties = (kind.draw)(draft, rng)?;
    let id = format!("{}{}", kind.prefix, draft.number());
    Some(Made { kind, id, properties })
}

/// Values that no property of ours should take, and ids of nothing.
const BAD: &[&str] = &["", "nope", "on", "xr", "-1", "4294967296"];

fn spoil(made: &mut Made, draft: &Draft, rng: &mut Rng) {
    let at = rng.below(made.properties.len());
    match rng.below(7) {
        0 => {
            made.properties.remove(at);
        }
        1 => made.properties[at].1 = rng.word(BAD).into(),
        2 => {
            let key = rng.word(&["status", "queue", "position", "insert", "vnet_hdr_support"]);
            made.properties.retain(|(other, _)| *other != key);
            let value = rng.word(&["maybe", "onn", "id=", "id=nope", "after", "ALL", "on"]);
            made.properties.push((key, value.into()));
        }
        3 => made.properties.push(("colour", "red".into())),
        4 => {
            if let Some(other) = rng.pick(&draft.objects) {
                made.id = other.id.clone();
            }
        }
        5 => {
            // Somebody else's chardev, or one for two purposes.
            let key = rng.word(&["indev", "outdev"]);
            if let Some(chardev) = rng.pick(&draft.chardevs) {
                made.properties.retain(|(other, _)| *other != key);
                made.properties.push((key, chardev.id.as_str().into()));
            }
        }
        _ => {
            made.properties.retain(|(other, _)| *other != "position");
            made.properties.push(("position", format!("id={}", made.id).into()));
        }
    }
}
