//! Phase 0: members are read from a front end in the order of the schema; the first that is
//! missing or has the wrong type is reported, then what is left over (QEMU 10.2.2
//! `qapi/qobject-input-visitor.c`, `qapi/opts-visitor.c`).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    Kind, ObjectType, Options, Property, Refusal, object_type, option::boolean, refusal, table,
};
use crate::base::QemuVersion;

/// An object to be made, after phase 0: every member has its type and nothing is unknown.
#[derive(Debug)]
pub(crate) struct Spec {
    pub(crate) kind: &'static ObjectType,
    pub(crate) id: String,
    /// What was given, by name.
    pub(crate) values: BTreeMap<&'static str, Value>,
    pub(crate) by_option: bool,
}

impl Spec {
    /// A string that was given.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name)?.as_str()
    }

    /// A boolean; absent is false.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.values.get(name).and_then(Value::as_bool).unwrap_or_default()
    }
}

/// What every object begins with.
pub(crate) static HEAD: &[Property] = &[table::HEAD_QOM_TYPE, table::HEAD_ID];

/// Phase 0 of an object: `qom-type`, `id`, then the type's members in the order of the schema.
pub(crate) fn spec(
    source: Source<'_>,
    version: QemuVersion,
    by_option: bool,
) -> Result<Spec, Refusal> {
    let kind = kind_of(source, version)?;
    let mut members = HEAD.iter().chain(kind.members(version));
    let mut values = visit_members(source, &mut members, "")?;
    values.remove("qom-type");
    let id = values.remove("id").and_then(|id| id.as_str().map(str::to_owned)).unwrap_or_default();
    Ok(Spec { kind, id, values, by_option })
}

fn kind_of(source: Source<'_>, version: QemuVersion) -> Result<&'static ObjectType, Refusal> {
    let missing = || refusal("Parameter 'qom-type' is missing");
    let name = match source {
        Source::Json(map) => {
            let value = map.get("qom-type").ok_or_else(missing)?;
            value
                .as_str()
                .ok_or_else(|| refusal("Invalid parameter type for 'qom-type', expected: string"))?
        }
        Source::Options(options) => options.get("qom-type").ok_or_else(missing)?,
    };
    object_type(name, version)
        .ok_or_else(|| refusal(format!("Parameter 'qom-type' does not accept value '{name}'")))
}

/// A front end and what it holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'a> {
    /// QMP, or `-object '{json}'`.
    Json(&'a Map<String, Value>),
    /// `-object k=v,...`.
    Options(&'a Options),
}

/// Reads `members` and refuses everything else. `prefix` is the path of a nested object with its
/// dot, for the texts.
pub(crate) fn visit_members(
    source: Source<'_>,
    members: &mut dyn Iterator<Item = &'static Property>,
    prefix: &str,
) -> Result<BTreeMap<&'static str, Value>, Refusal> {
    let mut values = BTreeMap::new();
    for member in members {
        let path = format!("{prefix}{}", member.name);
        match source.get(member, &path)? {
            Some(value) => {
                values.insert(member.name, value);
            }
            None if member.required => {
                return Err(refusal(format!("Parameter '{path}' is missing")));
            }
            None => {}
        }
    }
    source.refuse_left_over(&values, prefix)?;
    Ok(values)
}

impl Source<'_> {
    fn get(self, member: &Property, path: &str) -> Result<Option<Value>, Refusal> {
        match self {
            Self::Json(map) => {
                map.get(member.name).map(|value| json(member.kind, value, path)).transpose()
            }
            Self::Options(options) => {
                options.get(member.name).map(|text| option(member.kind, text, path)).transpose()
            }
        }
    }

    fn refuse_left_over(
        self,
        known: &BTreeMap<&'static str, Value>,
        prefix: &str,
    ) -> Result<(), Refusal> {
        match self {
            Self::Json(map) => {
                let left = map.keys().filter(|name| !known.contains_key(name.as_str()));
                // QEMU names the first in the order of GLib's hash table.
                match left.min_by_key(|name| glib_slot(name, map.len())) {
                    Some(name) => Err(refusal(format!("Parameter '{prefix}{name}' is unexpected"))),
                    None => Ok(()),
                }
            }
            Self::Options(options) => {
                let mut elements = options.elements().iter();
                match elements.find(|one| !known.contains_key(one.key.as_str())) {
                    Some(one) => Err(refusal(format!("Invalid parameter '{}'", one.key))),
                    None => Ok(()),
                }
            }
        }
    }
}

/// The slot of a name in a GLib hash table that was filled with `count` names and never shrank
/// (GLib 2.74 `ghash.c`): `g_str_hash`, times 11, modulo a prime by size.
fn glib_slot(name: &str, count: usize) -> u32 {
    let hash = name.bytes().fold(5381_u32, |hash, byte| {
        hash.wrapping_mul(33).wrapping_add(i32::from(byte.cast_signed()).cast_unsigned())
    });
    let prime = match count {
        0..=7 => 7,
        8..=15 => 13,
        16..=30 => 31,
        _ => 61,
    };
    hash.wrapping_mul(11) % prime
}

fn wrong_type(path: &str, expected: &str) -> Refusal {
    refusal(format!("Invalid parameter type for '{path}', expected: {expected}"))
}

/// Checks a JSON value; numbers come back as unsigned.
pub(crate) fn json(kind: Kind, value: &Value, path: &str) -> Result<Value, Refusal> {
    match kind {
        Kind::Any => Ok(value.clone()),
        Kind::Struct if value.is_object() => Ok(value.clone()),
        Kind::Struct => Err(wrong_type(path, "object")),
        Kind::Strings => {
            let items = value.as_array().ok_or_else(|| wrong_type(path, "array"))?;
            match items.iter().position(|item| !item.is_string()) {
                Some(at) => Err(wrong_type(&format!("{path}[{at}]"), "string")),
                None => Ok(value.clone()),
            }
        }
        Kind::Str if value.is_string() => Ok(value.clone()),
        Kind::Str => Err(wrong_type(path, "string")),
        Kind::Bool if value.is_boolean() => Ok(value.clone()),
        Kind::Bool => Err(wrong_type(path, "boolean")),
        Kind::Enum(words) => match value.as_str() {
            Some(text) => word(words, text, path),
            None => Err(wrong_type(path, "string")),
        },
        Kind::Int if value.is_i64() => Ok(value.clone()),
        Kind::Int => Err(wrong_type(path, "integer")),
        // A negative number counts as two's complement (QEMU 10.2.2
        // qapi/qobject-input-visitor.c:437-463).
        Kind::U32 | Kind::U64 => {
            match value.as_u64().or_else(|| value.as_i64().map(i64::cast_unsigned)) {
                Some(number) => in_range(kind, number, path),
                None => Err(refusal(format!("Parameter '{path}' expects uint64"))),
            }
        }
    }
}

fn option(kind: Kind, text: &str, path: &str) -> Result<Value, Refusal> {
    match kind {
        Kind::Str | Kind::Any | Kind::Struct | Kind::Strings => Ok(text.into()),
        Kind::Enum(words) => word(words, text, path),
        Kind::Bool => match boolean(text) {
            Some(flag) => Ok(flag.into()),
            None => Err(refusal(format!("Parameter '{path}' expects 'on' or 'off'"))),
        },
        Kind::Int => match text.parse::<i64>() {
            Ok(number) => Ok(number.into()),
            Err(_) => Err(refusal(format!("Parameter '{path}' expects an int64 value"))),
        },
        Kind::U32 | Kind::U64 => match number(text) {
            Some(number) => in_range(kind, number, path),
            None => Err(refusal(format!("Parameter '{path}' expects a uint64 value"))),
        },
    }
}

/// A refusal names a nested member by its own name alone.
fn word(words: &[&str], text: &str, path: &str) -> Result<Value, Refusal> {
    if words.contains(&text) {
        Ok(text.into())
    } else {
        let path = path.rsplit('.').next().unwrap_or(path);
        Err(refusal(format!("Parameter '{path}' does not accept value '{text}'")))
    }
}

fn in_range(kind: Kind, number: u64, path: &str) -> Result<Value, Refusal> {
    if kind == Kind::U32 && number > u64::from(u32::MAX) {
        return Err(refusal(format!("Parameter '{path}' expects uint32_t")));
    }
    Ok(number.into())
}

/// `strtoull` with base 0, without a sign.
fn number(text: &str) -> Option<u64> {
    let text = text.trim_start();
    let lower = text.to_ascii_lowercase();
    match lower.strip_prefix("0x") {
        // Rust's parser takes a sign after the prefix; strtoull does not.
        Some(hex) if hex.starts_with('+') => None,
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None if lower.len() > 1 && lower.starts_with('0') => u64::from_str_radix(&lower, 8).ok(),
        None if lower.starts_with('+') => None,
        None => lower.parse().ok(),
    }
}
