//! What can be tried to make a scenario smaller, the most at once first.

use serde_json::{Map, Value};

use super::edit::{Edit, Path, Segment};
use crate::qapi::{Options, Properties};

/// A way to look for edits of a tree.
pub(super) type Pass = fn(&Value) -> Vec<Edit>;

/// In the order in which they are tried.
pub(super) const PASSES: &[Pass] =
    &[items_of_sections, named, items, entries, options, with_expectations, numbers, texts];

/// Keys that are kept: every scenario has one.
const KEPT: &[&str] = &["description"];

fn key(path: &Path, name: &str) -> Path {
    let mut path = path.clone();
    path.push(Segment::Key(name.to_owned()));
    path
}

/// Every node but the description, the outer before the inner, with the way to it.
fn walk(value: &Value, path: &Path, visit: &mut dyn FnMut(&Path, &Value)) {
    visit(path, value);
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let mut path = path.clone();
                path.push(Segment::Item(index));
                walk(item, &path, visit);
            }
        }
        Value::Object(entries) => {
            for (name, value) in entries {
                if !(path.is_empty() && KEPT.contains(&name.as_str())) {
                    walk(value, &key(path, name), visit);
                }
            }
        }
        _ => {}
    }
}

fn collect(tree: &Value, mut edits: impl FnMut(&Path, &Value) -> Vec<Edit>) -> Vec<Edit> {
    let mut all = Vec::new();
    walk(tree, &Path::new(), &mut |path, value| {
        all.extend(edits(path, value));
    });
    all
}

/// Runs of items of a list: all, halves, quarters, down to single ones, the last first, because
/// what comes after a failure matters least.
fn runs(list: &Path, len: usize) -> Vec<Edit> {
    let mut edits = Vec::new();
    let mut count = len;
    while count > 0 {
        let starts = (0..len).step_by(count).rev();
        edits.extend(starts.map(|from| Edit::Items { list: list.clone(), from, count }));
        count /= 2;
    }
    edits
}

/// Steps and objects: most of a scenario.
fn items_of_sections(tree: &Value) -> Vec<Edit> {
    ["steps", "objects"]
        .into_iter()
        .filter_map(|section| {
            let items = tree.get(section)?.as_array()?;
            Some(runs(&key(&Path::new(), section), items.len()))
        })
        .flatten()
        .collect()
}

/// Netdevs, chardevs and objects with all that speaks of them.
fn named(tree: &Value) -> Vec<Edit> {
    let keys = |section: &str| {
        let entries = tree.get(section).and_then(Value::as_object);
        entries.map_or_else(Vec::new, |entries: &Map<_, _>| entries.keys().cloned().collect())
    };
    let added = tree.get("steps").and_then(Value::as_array);
    let added = added.into_iter().flatten().filter_map(|step| step.get("object-add"));
    let objects = tree.get("objects").and_then(Value::as_array);
    let objects = objects.into_iter().flatten().chain(added).filter_map(id);
    let ids: Vec<String> = objects.chain(keys("chardevs")).chain(keys("netdevs")).collect();
    ids.into_iter().map(|id| Edit::Named { id }).collect()
}

/// An object's id, in either form.
fn id(object: &Value) -> Option<String> {
    match object {
        Value::String(text) => Properties::of_option(text).id().map(str::to_owned),
        other => other.get("id")?.as_str().map(str::to_owned),
    }
}

fn items(tree: &Value) -> Vec<Edit> {
    collect(tree, |path, value| match value {
        Value::Array(items) => runs(path, items.len()),
        _ => Vec::new(),
    })
}

fn entries(tree: &Value) -> Vec<Edit> {
    collect(tree, |path, value| match value {
        Value::Object(entries) => entries
            .keys()
            .filter(|key| !(path.is_empty() && KEPT.contains(&key.as_str())))
            .map(|key| Edit::Entry { map: path.clone(), key: key.clone() })
            .collect(),
        _ => Vec::new(),
    })
}

fn options(tree: &Value) -> Vec<Edit> {
    collect(tree, |path, value| match value {
        Value::String(text) if text.contains('=') && !text.starts_with('{') => {
            let numbers = 1..Options::read(text, "").elements().len();
            numbers.rev().map(|number| Edit::Option { text: path.clone(), number }).collect()
        }
        _ => Vec::new(),
    })
}

/// A frame, or a step, together with what is expected of it: dropped alone, either would make
/// another failure.
fn with_expectations(tree: &Value) -> Vec<Edit> {
    let fewer = collect(tree, |path, value| {
        let expected = path.iter().any(|segment| *segment == Segment::Key("expect".to_owned()));
        let last_is_key = matches!(path.last(), Some(Segment::Key(_)));
        match value {
            Value::Number(number) if expected && last_is_key => number
                .as_u64()
                .filter(|number| *number > 0)
                .map(|number| Edit::Value { at: path.clone(), value: (number - 1).into() })
                .into_iter()
                .collect(),
            Value::Array(items) if expected => (0..items.len())
                .map(|from| Edit::Items { list: path.clone(), from, count: 1 })
                .collect(),
            _ => Vec::new(),
        }
    });
    if fewer.is_empty() {
        return fewer;
    }
    let sent = collect(tree, |path, value| {
        let steps = [Segment::Key("steps".to_owned())];
        let of_step = matches!(path.as_slice(), [_, Segment::Item(_), Segment::Key(key)]
            if key == "frames" || key == "data");
        match value {
            Value::Array(items) if of_step || path.as_slice() == steps => (0..items.len())
                .map(|from| Edit::Items { list: path.clone(), from, count: 1 })
                .collect(),
            Value::Number(number) if matches!(path.last(), Some(Segment::Key(key)) if key == "repeat") =>
            {
                let less = number.as_u64().and_then(|number| number.checked_sub(1));
                less.map(|less| Edit::Value { at: path.clone(), value: less.into() })
                    .into_iter()
                    .collect()
            }
            _ => Vec::new(),
        }
    });
    sent.iter()
        .flat_map(|sent| {
            fewer.iter().map(|fewer| {
                // The expectation first where it stands after what is taken out before it.
                Edit::Both(Box::new(fewer.clone()), Box::new(sent.clone()))
            })
        })
        .collect()
}

/// Every number smaller: nothing, a half, three quarters, and so on until one less.
fn numbers(tree: &Value) -> Vec<Edit> {
    collect(tree, |path, value| {
        let number = value.as_u64().unwrap_or(0);
        smaller(number)
            .map(|smaller| Edit::Value { at: path.clone(), value: smaller.into() })
            .collect()
    })
}

/// 0, then `number` less a half of itself, a quarter, ..., 1.
fn smaller(number: u64) -> impl Iterator<Item = u64> {
    let cuts = std::iter::successors(Some(number), |cut| Some(cut / 2));
    cuts.take_while(|cut| *cut > 0).map(move |cut| number - cut)
}

/// Payloads and hexadecimal bytes shorter.
fn texts(tree: &Value) -> Vec<Edit> {
    collect(tree, |path, value| {
        let (Value::String(text), Some(Segment::Key(key))) = (value, path.last()) else {
            return Vec::new();
        };
        let (text, unit) = match key.as_str() {
            "hex" => (text.replace(' ', ""), 2),
            "payload" | "text" | "note" => (text.clone(), 1),
            _ => return Vec::new(),
        };
        let letters: Vec<char> = text.chars().collect();
        let units = u64::try_from(letters.len() / unit).unwrap_or(0);
        smaller(units)
            .map(|units| {
                let letters = letters.iter().take(usize::try_from(units).unwrap_or(0) * unit);
                Edit::Value { at: path.clone(), value: letters.collect::<String>().into() }
            })
            .collect()
    })
}
