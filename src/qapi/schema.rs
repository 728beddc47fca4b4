//! What the schema says (QEMU `qapi/qom.json`): types of object, their properties in the order in which
//! they are read, and what is known of each. The rows stand in `table`.

use serde_json::Value;

use super::{table::OBJECT_TYPES, visit::HEAD};
use crate::base::QemuVersion;

/// What a value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
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
    /// A list of strings.
    Strings,
}

/// What a `qom-set` of a property does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The object goes by the new value.
    Live,
    /// The value is shown, and nothing else changes.
    Shown,
}

/// A value's check in the QOM setter, beyond its type.
#[derive(Debug)]
pub(crate) struct Setter {
    /// The bucket of its name in the dictionary that the setters are run from: their order.
    pub(crate) bucket: u16,
    pub(crate) rule: Rule,
}

/// What a setter holds a value to.
#[derive(Debug)]
pub(crate) enum Rule {
    /// This, else the text.
    Holds { accepts: fn(&Value) -> bool, text: &'static str },
    /// A positive number of 32 bits, else the text, though the schema lets more pass.
    Positive32 { text: &'static str },
    /// A positive number, else the text; QEMU keeps 32 bits of it, whatever the setter is given.
    Cut32 { text: &'static str },
    /// A number up to this, else the text; QEMU takes its own default for 0.
    Weight { most: u64, default: u64, text: &'static str },
    /// The id or the path of an object of this type, or nothing.
    Link { to: &'static str },
}

/// A property, or an argument of a command.
#[derive(Debug)]
pub(crate) struct Property {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) required: bool,
    /// The versions that have it.
    pub(crate) exists: fn(QemuVersion) -> bool,
    /// What `qom-get` shows when it was not given.
    pub(crate) default: Default,
    pub(crate) effect: Effect,
    /// Its type in `qom-list`.
    pub(crate) qom_type: &'static str,
    pub(crate) setter: Option<Setter>,
    pub(crate) role: Role,
}

impl Property {
    /// The same property, whose value names something.
    pub(crate) const fn naming(self, role: Role) -> Self {
        Self { role, ..self }
    }
}

/// What the value of a property or of an argument is to everybody but the object itself: what it
/// names, and what becomes of it where a real QEMU is given it (see `backend::qemu`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Nothing beyond itself, and of no weight for the way of a frame.
    Plain,
    /// A value that decides which frames go on, where or when.
    Setting,
    /// The frames of a netdev that it is about: `rx`, `tx`, `all`.
    Queue,
    /// A filter's place in its chain: an end of it, or another filter.
    Position,
    /// On which side of that other filter it is.
    Side,
    /// The thing's own id, or that of something of the machine, whatever it is.
    Id,
    /// The netdev whose frames a filter sees, by its id.
    Filtered,
    /// Another netdev, by its id.
    Netdev(Flow),
    /// A chardev, by its id.
    Chardev(Flow),
    /// An iothread, by its id.
    Iothread,
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

/// What goes between an object and what it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Frames, to the object.
    In,
    /// Frames, from the object.
    Out,
    /// Messages, both ways.
    Messages,
}

impl Role {
    /// Whether the value is the id of something of the machine.
    #[must_use]
    pub const fn is_id(self) -> bool {
        let is_named = matches!(self, Self::Id | Self::Iothread);
        is_named || self.is_netdev() || self.is_chardev()
    }

    /// Whether the value names a netdev.
    #[must_use]
    pub const fn is_netdev(self) -> bool {
        matches!(self, Self::Filtered | Self::Netdev(_))
    }

    /// Whether the value names a chardev.
    #[must_use]
    pub const fn is_chardev(self) -> bool {
        matches!(self, Self::Chardev(_))
    }
}

/// A default value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Default {
    Str(&'static str),
    Bool(bool),
    Number(u64),
}

impl Default {
    pub(crate) fn value(self) -> Value {
        match self {
            Self::Str(text) => text.into(),
            Self::Bool(flag) => flag.into(),
            Self::Number(number) => number.into(),
        }
    }
}

/// A user-creatable type.
#[derive(Debug)]
pub(crate) struct ObjectType {
    pub(crate) name: &'static str,
    pub(crate) parent: &'static str,
    /// In the order of the schema, the base's first.
    pub(crate) properties: &'static [&'static [Property]],
    pub(crate) creation: Creation,
    pub(crate) exists: fn(QemuVersion) -> bool,
    /// Its number among the filters in `qom-list-types`, whose order is that of QEMU's hash table and
    /// so that of a build: of 7.2, of the 10.2 that was measured, and of Debian's 10.0 and 11.1. Types
    /// without a number come last.
    pub(crate) listed: (u8, u8, u8),
}

/// What creating an object of a type does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Creation {
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
    pub(crate) fn is_filter(&self) -> bool {
        self.creation == Creation::Filter
    }

    /// Whether some version's objects of this type have such a property.
    pub(crate) fn has(&self, name: &str) -> bool {
        let own = self.properties.iter().copied().flatten();
        HEAD.iter().chain(own).any(|property| property.name == name)
    }

    pub(crate) fn members(&self, version: QemuVersion) -> impl Iterator<Item = &'static Property> {
        let all = self.properties.iter().flat_map(|rows| rows.iter());
        all.filter(move |property| (property.exists)(version))
    }
}

/// The type of this name, in this version.
pub(crate) fn object_type(name: &str, version: QemuVersion) -> Option<&'static ObjectType> {
    OBJECT_TYPES.iter().find(|kind| kind.name == name && (kind.exists)(version))
}

/// The names of the types that objects may have, in this version.
pub fn object_types(version: QemuVersion) -> impl Iterator<Item = &'static str> + Clone {
    let types = OBJECT_TYPES.iter();
    types.filter(move |kind| (kind.exists)(version)).map(|kind| kind.name)
}

/// The filters of a version, in the order of `qom-list-types implements=netfilter`.
pub(crate) fn filter_types(version: QemuVersion) -> Vec<&'static str> {
    let is_listed = |kind: &&ObjectType| kind.is_filter() && (kind.exists)(version);
    let mut filters: Vec<&ObjectType> = OBJECT_TYPES.iter().filter(is_listed).collect();
    filters.sort_by_key(|kind| match version {
        QemuVersion::Qemu72 => kind.listed.0,
        QemuVersion::Qemu100 | QemuVersion::Qemu111 => kind.listed.2,
        _ => kind.listed.1,
    });
    filters.iter().map(|kind| kind.name).collect()
}

/// Whether a version lacks a type that another one has.
#[must_use]
pub fn lacks_type(name: &str, version: QemuVersion) -> bool {
    any_object_type(name).is_some_and(|kind| !(kind.exists)(version))
}

/// Every property of every type, in the order of the tables; one that several types have comes several
/// times.
fn every_property() -> impl Iterator<Item = &'static Property> {
    HEAD.iter()
        .chain(OBJECT_TYPES.iter().flat_map(|kind| kind.properties.iter().copied().flatten()))
}

/// What the property of this name is, in whatever type has it; none where no type of any version has.
#[must_use]
pub fn role_of(name: &str) -> Option<Role> {
    every_property().find(|property| property.name == name).map(|property| property.role)
}

/// A value that the property of this name takes, for one who writes it and does not know which was meant:
/// its default where that is a word. None where no type has it, or where it names something.
#[must_use]
pub fn plain_value_of(name: &str) -> Option<&'static str> {
    let property = every_property().find(|property| property.name == name)?;
    match (&property.kind, &property.default) {
        (Kind::Bool, _) => Some("on"),
        (Kind::U32 | Kind::U64 | Kind::Int, _) => Some("1000"),
        (_, Default::Str(text)) if !text.is_empty() => Some(*text),
        _ => None,
    }
}

/// The type of this name, of some version.
pub(crate) fn any_object_type(name: &str) -> Option<&'static ObjectType> {
    OBJECT_TYPES.iter().find(|kind| kind.name == name)
}

/// Whether objects of this type do here what they do in QEMU; none where no version has the type.
#[must_use]
pub fn is_modelled(kind: &str) -> Option<bool> {
    let kind = any_object_type(kind)?;
    Some(kind.creation != Creation::NotBuilt)
}

/// Whether a property of this name is only in versions whose filters reach netdevs beside their chain
/// (the RFC's).
#[must_use]
pub fn needs_af_packet(name: &str) -> bool {
    let mut rows = every_property().filter(|property| property.name == name).peekable();
    let is_new = |property: &Property| {
        QemuVersion::ALL
            .iter()
            .all(|version| (property.exists)(*version) == version.has_af_packet())
    };
    rows.peek().is_some() && rows.all(is_new)
}

/// The names of a type's properties, in this version; none where there is no such type.
#[must_use]
pub fn properties_of(name: &str, version: QemuVersion) -> Option<Vec<&'static str>> {
    let kind = object_type(name, version)?;
    Some(kind.members(version).map(|member| member.name).collect())
}
