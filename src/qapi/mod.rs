//! QEMU's words, read once: how `-object`, `-netdev` and `-chardev` are written, which ids there are,
//! which types of object with which properties, what each property's value is to others (its [`Role`]),
//! and how QEMU checks names and types of members before it makes anything (phase 0), with its texts.
//!
//! An object of a scenario is read once, into [`Properties`], where the scenario is lowered. Whoever
//! wants to know which chardevs or netdevs an object names asks for its members and their roles; no other
//! part has a list of properties or types.
//!
//! | file | subject | read by |
//! |---|---|---|
//! | `option` | the syntax `a,key=value,flag`, `,,` for a comma; changing and writing it | whoever has such a string |
//! | `id` | what is an id | `machine`, `import` |
//! | `properties` | an object as it is written, its members by name | `scenario`, `backend`, `drawing`, `import`, `cli` |
//! | `reader` | JSON as QEMU reads it, and its texts for mistakes | `properties` |
//! | `schema`, `table` | types, properties, their roles, versions | everybody |
//! | `visit` | phase 0: members are read in the order of the schema, and the first wrong one is refused | `machine` |

mod id;
mod option;
mod properties;
mod reader;
mod schema;
mod table;
mod visit;

pub(crate) use id::{BAD_ID, id_wellformed};
pub(crate) use option::{Element, Form, Options, boolean};
pub use properties::{Member, OptionError, Properties};
pub(crate) use schema::{
    Creation, Default, Effect, Kind, ObjectType, Property, Rule, Setter, any_object_type,
    filter_types, object_type,
};
pub use schema::{
    Flow, Role, is_modelled, lacks_type, needs_af_packet, object_types, plain_value_of,
    properties_of, role_of,
};
pub(crate) use table::OBJECT_TYPES;
pub(crate) use visit::{HEAD, Source, Spec, json, spec, visit_members};

/// A refusal in phase 0: the text of a `GenericError`, letter for letter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{desc}")]
pub struct Refusal {
    /// QEMU's text.
    pub desc: String,
}

fn refusal(desc: impl Into<String>) -> Refusal {
    Refusal { desc: desc.into() }
}

#[cfg(test)]
mod tests;
