//! An object as it is written: its members by name, whether they stand in the text of `-object` or in
//! QMP's map. What an object names, and what each name is to it, is asked here.

use std::{borrow::Cow, collections::BTreeSet, ops::Range};

use serde_json::{Map, Value};

use super::{
    Options, Refusal, Role, Source, Spec,
    id::{BAD_ID, id_wellformed},
    object_type,
    option::is_help,
    reader::{self, Unreadable},
    refusal, role_of,
    schema::any_object_type,
    spec,
};
use crate::base::QemuVersion;

/// The key of a first element without one.
const IMPLIED: &str = "qom-type";

/// A type of which there are no objects, and which has properties all the same.
const ABSTRACT: &str = "netfilter";

/// The members of an object, as they are written. Nothing is judged before [`Properties::check`].
#[derive(Clone, Debug, PartialEq)]
pub struct Properties(Content);

#[derive(Clone, Debug, PartialEq)]
enum Content {
    Options(Options),
    Json(Map<String, Value>),
    /// The text begins as JSON does, and is not the JSON of an object.
    Unreadable(Unreadable),
}

/// A member of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Member<'a> {
    /// The property.
    pub name: &'a str,
    /// The value that counts, a text in an option string.
    pub value: Cow<'a, Value>,
    /// What the value names, whichever type has such a property; none where none has.
    pub role: Option<Role>,
    /// The object's own type has it, in some version.
    pub belongs: bool,
}

impl Member<'_> {
    /// The value, where it is a text: only a text names anything.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.value.as_str()
    }
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

impl Properties {
    /// The text of `-object`: an option string, or JSON (QEMU 10.2.2 `system/vl.c:1852-1884`).
    #[must_use]
    pub fn of_option(text: &str) -> Self {
        if !text.starts_with('{') {
            return Self(Content::Options(Options::read(text, IMPLIED)));
        }
        Self(match reader::read(text) {
            Ok(map) => Content::Json(map),
            Err(unreadable) => Content::Unreadable(unreadable),
        })
    }

    /// The arguments of QMP's `object-add`.
    #[must_use]
    pub fn of_map(map: Map<String, Value>) -> Self {
        Self(Content::Json(map))
    }

    /// The members, each name once, in the order in which they are first written.
    #[must_use]
    pub fn members(&self) -> Vec<Member<'_>> {
        let kind = self.qom_type().and_then(any_object_type);
        let member = |name, value| {
            let belongs = kind.is_some_and(|kind| kind.has(name));
            Member { name, value, role: role_of(name), belongs }
        };
        match &self.0 {
            Content::Unreadable(_) => Vec::new(),
            Content::Json(map) => {
                map.iter().map(|(name, value)| member(name, Cow::Borrowed(value))).collect()
            }
            Content::Options(options) => {
                let counting = options.counting();
                let mut given = BTreeSet::new();
                let names = options.elements().iter().map(|element| element.key.as_str());
                names
                    .filter(|name| given.insert(*name))
                    .filter_map(|name| Some((name, counting.get(name)?)))
                    .map(|(name, element)| member(name, Cow::Owned(element.value.clone().into())))
                    .collect()
            }
        }
    }

    /// All that is written, also what does not count; none where nothing can be read.
    #[must_use]
    pub fn written(&self) -> Option<Vec<(String, Value)>> {
        match &self.0 {
            Content::Unreadable(_) => None,
            Content::Json(map) => {
                Some(map.iter().map(|(name, value)| (name.clone(), value.clone())).collect())
            }
            Content::Options(options) => {
                let elements = options.elements().iter();
                Some(elements.map(|one| (one.key.clone(), one.value.clone().into())).collect())
            }
        }
    }

    /// A member's value that counts, where it is a text.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        match &self.0 {
            Content::Unreadable(_) => None,
            Content::Json(map) => map.get(name)?.as_str(),
            Content::Options(options) => options.get(name),
        }
    }

    /// A member's value that counts as a text, also a number's and a flag's; a nested value has none.
    #[must_use]
    pub fn shown(&self, name: &str) -> Option<String> {
        match &self.0 {
            Content::Json(map) => match map.get(name)? {
                Value::String(text) => Some(text.clone()),
                value @ (Value::Bool(_) | Value::Number(_)) => Some(value.to_string()),
                _ => None,
            },
            Content::Options(_) | Content::Unreadable(_) => self.get(name).map(str::to_owned),
        }
    }

    /// Whether a flag is given and on.
    #[must_use]
    pub fn is_on(&self, name: &str) -> bool {
        match &self.0 {
            Content::Unreadable(_) => false,
            Content::Json(map) => map.get(name) == Some(&Value::Bool(true)),
            Content::Options(options) => options.is_on(name),
        }
    }

    /// The type that is asked for.
    #[must_use]
    pub fn qom_type(&self) -> Option<&str> {
        self.get(IMPLIED)
    }

    /// The id, where it is not empty.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.get("id").filter(|id| !id.is_empty())
    }

    /// The text of the first member with this role.
    #[must_use]
    pub fn with(&self, role: Role) -> Option<&str> {
        match &self.0 {
            Content::Unreadable(_) => None,
            Content::Json(map) => {
                let mut members = map.iter().filter(|(name, _)| role_of(name) == Some(role));
                members.next()?.1.as_str()
            }
            Content::Options(options) => {
                let mut elements = options.elements().iter();
                options.get(&elements.find(|element| role_of(&element.key) == Some(role))?.key)
            }
        }
    }

    /// Where the element stands that gives a member its value, in bytes of an option string.
    #[must_use]
    pub fn range(&self, name: &str) -> Option<Range<usize>> {
        match &self.0 {
            Content::Options(options) => options.find(name).map(|element| element.range()),
            Content::Json(_) | Content::Unreadable(_) => None,
        }
    }

    /// Gives a member this value.
    pub fn set(&mut self, name: &str, value: &str) {
        match &mut self.0 {
            Content::Options(options) => options.set(name, value),
            Content::Json(map) => drop(map.insert(name.to_owned(), value.into())),
            Content::Unreadable(_) => {}
        }
    }

    /// The text of `-object` that says this; none where nothing can be read. An option string that was
    /// not changed is the one that was read.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match &self.0 {
            Content::Options(options) => Some(options.text()),
            Content::Json(map) => Some(Value::Object(map.clone()).to_string()),
            Content::Unreadable(_) => None,
        }
    }

    /// The id that the list of options knows; a JSON object is in no such list.
    #[must_use]
    pub fn option_id(&self) -> Option<&str> {
        match &self.0 {
            Content::Options(options) => options.get("id").filter(|id| id_wellformed(id)),
            Content::Json(_) | Content::Unreadable(_) => None,
        }
    }

    /// Whether QEMU prints the properties of a type, or the types, and ends, instead of making anything:
    /// what it warns of before that; none where it makes an object or refuses to. JSON has no help.
    #[must_use]
    pub fn help(&self, version: QemuVersion) -> Option<Vec<String>> {
        let Content::Options(options) = &self.0 else {
            return None;
        };
        let kind = options.get(IMPLIED)?;
        let bad_id = options.get("id").is_some_and(|id| !id_wellformed(id));
        let known = kind == ABSTRACT || object_type(kind, version).is_some();
        let asks = is_help(kind) || (known && options.keys().iter().any(|key| is_help(key)));
        (asks && !bad_id).then(|| options.warnings())
    }

    /// Phase 0: reads the members as QEMU does, and checks their names and types. Returns what QEMU
    /// warns of meanwhile.
    ///
    /// # Errors
    /// QEMU's refusal, without the option's text in front.
    pub fn check(&self, version: QemuVersion) -> Result<Vec<String>, OptionError> {
        self.spec(version).map(|(_, warnings)| warnings)
    }

    /// What QMP's `object-add` would take for the same object: the members with the types of the
    /// schema.
    ///
    /// # Errors
    /// QEMU's refusal, without the option's text in front.
    pub fn qmp(&self, version: QemuVersion) -> Result<Map<String, Value>, OptionError> {
        let (spec, _) = self.spec(version)?;
        let mut members = Map::new();
        members.insert(IMPLIED.to_owned(), spec.kind.name.into());
        members.insert("id".to_owned(), spec.id.into());
        members.extend(spec.values.into_iter().map(|(name, value)| (name.to_owned(), value)));
        Ok(members)
    }

    /// The object that is asked for, and what QEMU warns of.
    pub(crate) fn spec(&self, version: QemuVersion) -> Result<(Spec, Vec<String>), OptionError> {
        let silent = |error| OptionError { error, warnings: Vec::new() };
        match &self.0 {
            Content::Unreadable(unreadable) => Err(silent(unreadable.refusal(version))),
            Content::Json(map) => {
                let spec = spec(Source::Json(map), version, false).map_err(silent)?;
                Ok((spec, Vec::new()))
            }
            Content::Options(options) => {
                let warnings = options.warnings();
                let read = match options.get("id") {
                    Some(id) if !id_wellformed(id) => Err(refusal(BAD_ID)),
                    _ => spec(Source::Options(options), version, true),
                };
                match read {
                    Ok(spec) => Ok((spec, warnings)),
                    Err(error) => Err(OptionError { error, warnings }),
                }
            }
        }
    }
}
