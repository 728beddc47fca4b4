//! The text of snapshots, as pure functions: written for a review, and its observed half read back.
//!
//! - [`text()`] and [`parse()`]: a record as a section, and back.
//! - [`ProbeTable`]: the probes of a scenario as one table.
//! - [`SnapFile`]: a file's header and sections.

mod arrived;
mod error;
#[cfg(test)]
pub(crate) mod fixture;
mod line;
mod parse;
mod repeat;
mod section;
mod table;
#[cfg(test)]
mod tests;
mod title;
pub(crate) mod token;
mod write;

pub use error::{FormError, SectionError};
pub(crate) use line::parse_source;
pub use parse::{Resolve, parse};
pub(crate) use section::{HEADING, ONLY};
pub use section::{PROBES, Section, SnapFile, section_name};
pub(crate) use table::outcome_text;
pub use table::{ProbeRow, ProbeTable};
#[cfg(test)]
pub(crate) use title::deed;
pub use token::numbers;
pub(crate) use write::sha;
pub use write::text;
