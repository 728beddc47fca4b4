//! The files that a person or a scenario names: each is opened once, checked to be what is
//! expected, and sized before it is read; each that is written is whole or not there.
//!
//! - [`read`]: a file that a person named.
//! - [`read_input`], [`read_stdin`]: the same, where a shell's pipe does as well; [`open_input`]: to be read as it
//!   comes.
//! - [`read_found`], [`read_named`]: a file that a folder or a scenario brought along, which is not
//!   looked for outside of the scenario's [`Root`].
//! - [`replace()`], [`Folder`]: a file put in its place as a whole.
//! - [`create`], [`append`], [`create_new`]: a file that a person named, to be written.

mod create;
mod error;
mod kind;
mod read;
mod replace;
mod root;

pub use create::{append, create, create_new};
pub use error::{EXPLANATIONS, FileError};
pub use kind::Kind;
pub use read::{
    inside, is_stdin, open_input, read, read_found, read_input, read_named, read_stdin, text,
};
pub use replace::{Care, Folder, replace};
pub use root::{Root, Scope};
