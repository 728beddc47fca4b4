//! One way in which a scenario becomes smaller, applied to its tree. The passes propose edits.

use serde_json::Value;

use crate::qapi::{Member, Options, Properties};

/// The way from the root to a node.
pub(super) type Path = Vec<Segment>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    Key(String),
    Item(usize),
}

/// A change that makes a scenario smaller.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Edit {
    /// Items of a list go.
    Items { list: Path, from: usize, count: usize },
    /// An entry of a map goes.
    Entry { map: Path, key: String },
    /// A netdev, a chardev or an object goes, with everything that speaks of it.
    Named { id: String },
    /// A property of an option string goes.
    Option { text: Path, number: usize },
    /// A value becomes a simpler one.
    Value { at: Path, value: Value },
    /// Two changes that make sense only together: a frame goes, and is expected no more.
    Both(Box<Edit>, Box<Edit>),
}

impl Edit {
    /// The tree with this change; none where it changes nothing.
    pub(super) fn applied(&self, tree: &Value) -> Option<Value> {
        let mut tree = tree.clone();
        self.apply(&mut tree).then_some(tree)
    }

    fn apply(&self, tree: &mut Value) -> bool {
        match self {
            Self::Items { list, from, count } => {
                let Some(Value::Array(items)) = node(tree, list) else {
                    return false;
                };
                let end = (from + count).min(items.len());
                *from < end && items.drain(from..&end).count() > 0
            }
            Self::Entry { map, key } => match node(tree, map) {
                Some(Value::Object(entries)) => entries.shift_remove(key).is_some(),
                _ => false,
            },
            Self::Named { id } => remove_named(tree, id),
            Self::Option { text, number } => match node(tree, text) {
                Some(Value::String(text)) => remove_option(text, *number),
                _ => false,
            },
            Self::Value { at, value } => match node(tree, at) {
                Some(old) if old != value => {
                    *old = value.clone();
                    true
                }
                _ => false,
            },
            Self::Both(one, other) => one.apply(tree) && other.apply(tree),
        }
    }
}

fn node<'a>(tree: &'a mut Value, path: &[Segment]) -> Option<&'a mut Value> {
    path.iter().try_fold(tree, |node, segment| match segment {
        Segment::Key(key) => node.get_mut(key),
        Segment::Item(index) => node.get_mut(index),
    })
}

fn remove_option(text: &mut String, number: usize) -> bool {
    let mut options = Options::read(text, "");
    let mut numbers = 0..;
    let before = options.elements().len();
    options.retain(|_| numbers.next() != Some(number));
    *text = options.text();
    options.elements().len() < before
}

/// Takes a netdev, chardev or object out, with objects, steps and expectations that name it.
fn remove_named(tree: &mut Value, id: &str) -> bool {
    let mut removed = false;
    for section in ["netdevs", "chardevs"] {
        if let Some(entries) = tree.get_mut(section).and_then(Value::as_object_mut) {
            removed |= entries.shift_remove(id).is_some();
        }
    }
    for section in ["objects", "steps"] {
        if let Some(items) = tree.get_mut(section).and_then(Value::as_array_mut) {
            let before = items.len();
            items.retain(|item| !names(item, id));
            removed |= items.len() < before;
        }
    }
    if let Some(entries) = tree.get_mut("expect").and_then(Value::as_object_mut) {
        entries.retain(|key, _| !is_name(key, id));
    }
    removed
}

/// Whether a part of a scenario speaks of something: as a value, a port, a path or a property.
fn names(value: &Value, id: &str) -> bool {
    match value {
        Value::String(text) => {
            is_name(text, id)
                || text.strip_prefix("/objects/") == Some(id)
                || Properties::of_option(text)
                    .members()
                    .iter()
                    .filter_map(Member::text)
                    .any(|value| value == id || value.strip_prefix("id=") == Some(id))
        }
        Value::Array(items) => items.iter().any(|item| names(item, id)),
        Value::Object(entries) => {
            entries.iter().any(|(key, value)| is_name(key, id) || names(value, id))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// `hn0` and its ports `hn0.guest` and `hn0.host`.
fn is_name(text: &str, id: &str) -> bool {
    text == id || text.strip_prefix(id).is_some_and(|rest| rest.starts_with('.'))
}

/// How big a tree is: its nodes and letters, then its numbers. Every edit that is taken makes this
/// less, so shrinking ends.
pub(super) fn size(value: &Value) -> (usize, u128) {
    let sum = |sizes: &mut dyn Iterator<Item = (usize, u128)>| {
        sizes.fold((1, 0u128), |sum, size| (sum.0 + size.0, sum.1.saturating_add(size.1)))
    };
    match value {
        Value::Null => (1, 0),
        Value::Bool(_) => (2, 0),
        Value::Number(number) => {
            let magnitude = number.as_i64().map(i64::unsigned_abs).or(number.as_u64());
            (2, magnitude.map_or(u128::from(u64::MAX), u128::from))
        }
        Value::String(text) => (2 + text.len(), 0),
        Value::Array(items) => sum(&mut items.iter().map(size)),
        Value::Object(entries) => sum(&mut entries.iter().map(|(key, value)| {
            let (letters, numbers) = size(value);
            (letters + key.len() + 1, numbers)
        })),
    }
}
