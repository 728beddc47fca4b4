//! Properties as data: which types of object there are, which properties each has, in which order
//! they are checked, and with which texts (QEMU `qapi/qom.json`, `qom/object_interfaces.c`).

mod option;
mod table;
mod visit;

use std::collections::BTreeMap;

use serde_json::Value;

pub(super) use option::{BAD_ID, HEAD, spec};
pub use option::{ObjectOption, OptionError};
pub(super) use table::{OBJECT_TYPES, filter_types};
pub(super) use visit::{Source, visit_members};

use super::{
    core::{Core, generic, not_found},
    filter::{CLASSES, FilterClass},
};
use crate::{base::QemuVersion, record::CommandError};

/// The class of tapwright's own refusals: QEMU would have done more here.
pub const NOT_BUILT: &str = "NotBuilt";

/// What a value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Str,
    Bool,
    /// One of these words.
    Enum(&'static [&'static str]),
    U32,
    U64,
    /// A whole number of either sign.
    Int,
    /// Anything.
    Any,
    /// A nested object.
    Struct,
}

/// What a `qom-set` of a property does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// The object goes by the new value.
    Live,
    /// The value is shown, and nothing else changes.
    Shown,
}

/// A value's check in the QOM setter, beyond its type.
#[derive(Debug)]
pub(super) struct Setter {
    /// The bucket of its name in the dictionary that the setters are run from: their order.
    pub(super) bucket: u16,
    pub(super) rule: Rule,
}

/// What a setter holds a value to.
#[derive(Debug)]
pub(super) enum Rule {
    /// This, else the text.
    Holds { accepts: fn(&Value) -> bool, text: &'static str },
    /// A positive number of 32 bits, else the text, though the schema lets more pass.
    Positive32 { text: &'static str },
    /// A positive number, else the text; QEMU keeps 32 bits of it, whatever the setter is given.
    Cut32 { text: &'static str },
    /// The id or the path of an object of this type, or nothing.
    Link { to: &'static str },
}

impl Setter {
    /// QEMU's refusal of a value, when it refuses it.
    pub(super) fn check(&self, name: &str, value: &Value, core: &Core) -> Result<(), CommandError> {
        let fits = match &self.rule {
            Rule::Holds { accepts, text } => accepts(value).then_some(()).ok_or(*text),
            Rule::Positive32 { text } => {
                visit::json(Kind::U32, value, name)?;
                (value.as_u64() != Some(0)).then_some(()).ok_or(*text)
            }
            Rule::Cut32 { text } => (value.as_u64() != Some(0)).then_some(()).ok_or(*text),
            Rule::Link { to } => return self.check_link(name, value, core, to),
        };
        fits.map_err(generic)
    }

    /// What the getter shows of a value that was taken.
    pub(super) fn shown(&self, value: Value) -> Value {
        match &self.rule {
            Rule::Cut32 { .. } => value.as_u64().map_or(value, |wide| (wide as u32).into()),
            Rule::Link { .. } => match value.as_str() {
                None | Some("") => value,
                Some(path) if path.starts_with('/') => value,
                Some(id) => format!("/objects/{id}").into(),
            },
            Rule::Holds { .. } | Rule::Positive32 { .. } => value,
        }
    }

    /// A link's target has to be there (QEMU 10.2.2 qom/object.c:1907-1977).
    fn check_link(
        &self,
        name: &str,
        value: &Value,
        core: &Core,
        to: &str,
    ) -> Result<(), CommandError> {
        let path = value.as_str().unwrap_or_default();
        if path.is_empty() {
            return Ok(());
        }
        let id = path.strip_prefix("/objects/").unwrap_or(path);
        let target = core.object_of(id).and_then(|key| core.objects.get(&key));
        match target {
            None => Err(not_found(format!("Device '{path}' not found"))),
            Some(target) if target.kind.name == to => Ok(()),
            Some(_) => Err(generic(format!("Invalid parameter type for '{name}', expected: {to}"))),
        }
    }
}

/// A property, or an argument of a command.
#[derive(Debug)]
pub(super) struct Property {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) required: bool,
    /// The versions that have it.
    pub(super) exists: fn(QemuVersion) -> bool,
    /// What `qom-get` shows when it was not given.
    pub(super) default: Default,
    pub(super) effect: Effect,
    /// Its type in `qom-list`.
    pub(super) qom_type: &'static str,
    pub(super) setter: Option<Setter>,
    pub(super) role: Role,
}

impl Property {
    /// The same property, whose value names something.
    pub(super) const fn naming(self, role: Role) -> Self {
        Self { role, ..self }
    }
}

/// What the value of a property or of an argument names. It decides what becomes of the value where
/// a real QEMU is given it: see `backend::qemu`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Nothing beyond itself: a number, a switch, a word, a place in a chain.
    Plain,
    /// A netdev, a chardev or an object of the machine, by its id.
    Id,
    /// An object of the machine, by its QOM path.
    ObjectPath,
    /// A property of an object, by its name.
    Property,
    /// A value for the property that another argument names.
    PropertyValue,
    /// A file that is read.
    ReadFile,
    /// A file that is written.
    WriteFile,
    /// The address of a socket.
    Socket,
}

/// A default value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Default {
    Str(&'static str),
    Bool(bool),
    Number(u64),
}

impl Default {
    pub(super) fn value(self) -> Value {
        match self {
            Self::Str(text) => text.into(),
            Self::Bool(flag) => flag.into(),
            Self::Number(number) => number.into(),
        }
    }
}

/// A user-creatable type.
#[derive(Debug)]
pub(super) struct ObjectType {
    pub(super) name: &'static str,
    pub(super) parent: &'static str,
    /// In the order of the schema, the base's first.
    pub(super) properties: &'static [&'static [Property]],
    pub(super) creation: Creation,
    pub(super) exists: fn(QemuVersion) -> bool,
}

/// What creating an object of a type does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Creation {
    /// The filter base's checks, then those of the class, where it is built.
    Filter,
    /// The checks of colo-compare.
    Compare,
    /// Nothing: the object only exists.
    Inert,
    /// Not built.
    NotBuilt,
}

impl ObjectType {
    pub(super) fn is_filter(&self) -> bool {
        self.creation == Creation::Filter
    }

    pub(super) fn members(&self, version: QemuVersion) -> impl Iterator<Item = &'static Property> {
        let all = self.properties.iter().flat_map(|rows| rows.iter());
        all.filter(move |property| (property.exists)(version))
    }

    pub(super) fn class(&self) -> Option<&'static FilterClass> {
        CLASSES.iter().copied().find(|class| class.name == self.name)
    }
}

/// The type of this name, in this version.
pub(super) fn object_type(name: &str, version: QemuVersion) -> Option<&'static ObjectType> {
    OBJECT_TYPES.iter().find(|kind| kind.name == name && (kind.exists)(version))
}

/// The names of the types that objects may have, in this version.
pub fn object_types(version: QemuVersion) -> impl Iterator<Item = &'static str> + Clone {
    let types = OBJECT_TYPES.iter();
    types.filter(move |kind| (kind.exists)(version)).map(|kind| kind.name)
}

/// The names of a type's properties, in this version; none where there is no such type.
#[must_use]
pub fn properties_of(name: &str, version: QemuVersion) -> Option<Vec<&'static str>> {
    let kind = object_type(name, version)?;
    Some(kind.members(version).map(|member| member.name).collect())
}

/// An object to be made, after phase 0: every member has its type and nothing is unknown.
#[derive(Debug)]
pub(super) struct Spec {
    pub(super) kind: &'static ObjectType,
    pub(super) id: String,
    /// What was given, by name.
    pub(super) values: BTreeMap<&'static str, Value>,
    pub(super) by_option: bool,
}

impl Spec {
    /// A string that was given.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name)?.as_str()
    }

    /// A boolean; absent is false.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.values.get(name).and_then(Value::as_bool).unwrap_or_default()
    }

    /// Runs the setters in QEMU's order: by the hash buckets of the names, not as they were given.
    pub(super) fn run_setters(&self, core: &Core) -> Result<(), CommandError> {
        let members = self.kind.members(core.profile.version());
        let given = |member: &'static Property| {
            let value = self.values.get(member.name)?;
            Some((member.setter.as_ref()?, member.name, value))
        };
        let mut given: Vec<_> = members.filter_map(given).collect();
        given.sort_by_key(|(setter, ..)| setter.bucket);
        given.into_iter().try_for_each(|(setter, name, value)| setter.check(name, value, core))
    }

    /// The refusal of an object whose class is not built.
    pub(super) fn not_built(&self) -> CommandError {
        CommandError {
            class: NOT_BUILT.to_owned(),
            desc: format!(
                "tapwright has no {} yet; QEMU got past its own checks here",
                self.kind.name
            ),
        }
    }
}

/// Checks the value of a `qom-set`. `cuts` says whether a setter of QEMU's that keeps 32 bits takes
/// more of them.
pub(super) fn value_of(
    member: &Property,
    given: &Value,
    cuts: bool,
) -> Result<Value, CommandError> {
    let cut = Some(&member.setter).filter(|_| cuts).and_then(Option::as_ref);
    if cut.is_some_and(|setter| matches!(setter.rule, Rule::Cut32 { .. })) {
        return visit::json(Kind::U64, given, member.name);
    }
    // The QOM setter of `insert` takes any string and checks it itself (QEMU 10.2.2
    // net/filter.c:184-203).
    match (member.kind, &member.setter) {
        (Kind::Enum(_), Some(_)) => visit::json(Kind::Str, given, member.name),
        (kind, _) => visit::json(kind, given, member.name),
    }
}

/// Whether QEMU takes a text as an id (`id_wellformed`, QEMU 10.2.2 `util/id.c`).
pub(super) fn id_wellformed(id: &str) -> bool {
    let mut chars = id.chars();
    chars.next().is_some_and(|first| first.is_ascii_alphabetic())
        && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))
}

#[cfg(test)]
mod tests;
