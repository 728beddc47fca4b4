//! QEMU's words: how `-object`, `-netdev` and `-chardev` are written, which ids there are, which types
//! of object with which properties, and how QEMU checks names and types of members before it makes
//! anything (phase 0), with its texts.
//!
//! | file | subject | read by |
//! |---|---|---|
//! | `option` | the syntax `a,key=value,flag`, `,,` for a comma | whoever reads such a string |
//! | `edit` | an option string whose elements are changed | `import` |
//! | `id` | what is an id | `machine`, `import` |
//! | `schema`, `table` | types, properties, versions | `machine`, `cli` |
//! | `visit` | members are read in the order of the schema, and the first wrong one is refused | `machine` |
//! | `object` | the text of one `-object`, read and visited | `machine`, `backend`, `cli` |

mod edit;
mod id;
mod object;
pub(crate) mod option;
mod schema;
mod table;
mod visit;

pub(crate) use edit::Options;
pub(crate) use id::{BAD_ID, id_wellformed};
pub(crate) use object::{HEAD, Spec, spec};
pub use object::{ObjectOption, OptionError};
pub(crate) use schema::{
    Creation, Default, Effect, Kind, ObjectType, Property, Rule, Setter, object_type,
};
pub use schema::{Role, object_types, properties_of};
pub(crate) use table::{OBJECT_TYPES, filter_types};
pub(crate) use visit::{Source, json, visit_members};

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
