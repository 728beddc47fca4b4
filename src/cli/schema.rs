//! The command `schema`: the JSON Schema of the language.

use super::{Stop, output};
use crate::{runner::Exit, scenario};

/// Prints the JSON Schema of the scenario language.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct SchemaArgs {}

pub(super) fn run(_: &SchemaArgs) -> Result<Exit, Stop> {
    output::print(&format!("{:#}\n", scenario::schema()))?;
    Ok(Exit::Success)
}
