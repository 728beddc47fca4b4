//! Which combinations of properties each object takes, and which check refuses the others first: the
//! machine is asked for every combination of a table's values, each on a machine of its own, and
//! what it answered is told in as few lines as hold for all of them.

mod cover;
mod json;
mod markdown;
mod object;
mod rules;
mod summary;
mod survey;
mod text;
mod word;

pub use json::json;
pub use markdown::markdown;
pub use object::{Axis, Cell, ObjectTable, WORLD, tables, types};
pub use rules::{rules_markdown, rules_text};
pub use summary::{Rule, Summary};
pub use survey::{Reply, Survey};
pub use text::text;

#[cfg(test)]
mod tests;
