//! The text of `-object`: QEMU's option syntax or a JSON object (QEMU 10.2.2 `util/qemu-option.c`,
//! `system/vl.c:1852-1884`).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    ObjectType, Property, Refusal, Source,
    id::{BAD_ID, id_wellformed},
    object_type, refusal, table, visit_members,
};
use crate::base::QemuVersion;

/// What the text of one `-object` holds, syntax checked.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectOption {
    content: Content,
    /// What QEMU warns of while it reads the text.
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
enum Content {
    Json(Map<String, Value>),
    Options(Vec<(String, String)>),
}

/// A refusal in phase 0. On QEMU's standard error the option's own text stands before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct OptionError {
    /// The refusal.
    pub error: Refusal,
    /// What QEMU warned of before.
    pub warnings: Vec<String>,
}

impl ObjectOption {
    /// Reads the text as QEMU's option parser does, and checks names and types of its members.
    ///
    /// # Errors
    /// QEMU's refusal, without the option's text in front.
    pub fn check(text: &str, version: QemuVersion) -> Result<Self, OptionError> {
        let option = Self::parse(text)?;
        match option.spec(version) {
            Ok(_) => Ok(option),
            Err(error) => Err(OptionError { error, warnings: option.warnings }),
        }
    }

    /// What QMP's `object-add` would take for the same object: the text's members with the types of
    /// the schema.
    ///
    /// # Errors
    /// QEMU's refusal, without the option's text in front.
    pub fn members(text: &str, version: QemuVersion) -> Result<Map<String, Value>, OptionError> {
        let (spec, _) = Self::read(text, version)?;
        let mut members = Map::new();
        members.insert("qom-type".to_owned(), spec.kind.name.into());
        members.insert("id".to_owned(), spec.id.into());
        members.extend(spec.values.into_iter().map(|(name, value)| (name.to_owned(), value)));
        Ok(members)
    }

    /// Names and values as they are written, the type's as `qom-type`, whether they are known or
    /// not; empty where the syntax is wrong.
    #[must_use]
    pub fn written(text: &str) -> Vec<(String, String)> {
        match Self::parse(text).map(|option| option.content) {
            Ok(Content::Options(options)) => options,
            Ok(Content::Json(map)) => map
                .into_iter()
                .map(|(name, value)| (name, value.as_str().unwrap_or_default().to_owned()))
                .collect(),
            Err(_) => Vec::new(),
        }
    }

    /// Names and values, whatever they are, the type's as `qom-type`; none of a text that begins as
    /// JSON and is no JSON object.
    pub(crate) fn pairs(text: &str) -> Option<Vec<(String, Value)>> {
        if text.starts_with('{') {
            let map: Map<String, Value> = serde_json::from_str(text).ok()?;
            return Some(map.into_iter().collect());
        }
        let options = split(text, &mut Vec::new()).into_iter();
        Some(options.map(|(name, value)| (name, value.into())).collect())
    }

    fn parse(text: &str) -> Result<Self, OptionError> {
        let refuse = |desc: &str| OptionError { error: refusal(desc), warnings: Vec::new() };
        if text.starts_with('{') {
            let value: Value = serde_json::from_str(text)
                .map_err(|_| refuse("JSON parse error, expecting value"))?;
            return match value {
                Value::Object(map) => {
                    Ok(Self { content: Content::Json(map), warnings: Vec::new() })
                }
                _ => Err(refuse("Invalid parameter type for 'object', expected: object")),
            };
        }
        let mut warnings = Vec::new();
        let options = split(text, &mut warnings);
        let id = options.iter().find(|(name, _)| name == "id");
        if id.is_some_and(|(_, id)| !id_wellformed(id)) {
            return Err(OptionError { error: refusal(BAD_ID), warnings });
        }
        Ok(Self { content: Content::Options(options), warnings })
    }

    /// The object that the text asks for.
    pub(crate) fn read(
        text: &str,
        version: QemuVersion,
    ) -> Result<(Spec, Vec<String>), OptionError> {
        let option = Self::parse(text)?;
        match option.spec(version) {
            Ok(spec) => Ok((spec, option.warnings)),
            Err(error) => Err(OptionError { error, warnings: option.warnings }),
        }
    }

    /// The well-formed id that an option list gives; a JSON object is no option list.
    #[must_use]
    pub fn id_of(text: &str) -> Option<String> {
        match Self::parse(text).ok()?.content {
            Content::Json(_) => None,
            Content::Options(options) => {
                options.into_iter().find(|(name, _)| name == "id").map(|(_, id)| id)
            }
        }
    }

    fn spec(&self, version: QemuVersion) -> Result<Spec, Refusal> {
        match &self.content {
            Content::Json(map) => spec(Source::Json(map), version, false),
            Content::Options(options) => spec(Source::Options(options), version, true),
        }
    }
}

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
        Source::Options(options) => {
            let given = options.iter().rev().find(|(name, _)| name == "qom-type");
            given.ok_or_else(missing)?.1.as_str()
        }
    };
    object_type(name, version)
        .ok_or_else(|| refusal(format!("Parameter 'qom-type' does not accept value '{name}'")))
}

/// Splits at single commas; a double comma is a comma. The first item without `=` is the type, a
/// later one is a switch: `name` is on, `noname` is off.
fn split(text: &str, warnings: &mut Vec<String>) -> Vec<(String, String)> {
    let mut options = Vec::new();
    let mut rest = text;
    let mut first = true;
    while !rest.is_empty() {
        let (item, tail) = item(rest);
        rest = tail;
        let option = match item.split_once('=') {
            Some((name, value)) => (name.to_owned(), value.to_owned()),
            None if first => ("qom-type".to_owned(), item),
            None => {
                let (name, value) = match item.strip_prefix("no") {
                    Some(name) if !name.is_empty() => (name, "off"),
                    _ => (item.as_str(), "on"),
                };
                warnings.push(format!(
                    "short-form boolean option '{item}' deprecated\nPlease use {name}={value} \
                     instead"
                ));
                (name.to_owned(), value.to_owned())
            }
        };
        first = false;
        options.push(option);
    }
    options
}

fn item(text: &str) -> (String, &str) {
    let mut item = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(',') {
        item.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.strip_prefix(',') {
            Some(tail) => {
                item.push(',');
                rest = tail;
            }
            None => return (item, rest),
        }
    }
    item.push_str(rest);
    (item, "")
}
