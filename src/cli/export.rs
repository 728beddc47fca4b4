use std::path::{Path, PathBuf};

use super::{Stop, output};
use crate::{
    import,
    runner::{Exit, Pattern},
    scenario::{self, Disk, tree},
};

/// Prints a scenario as QEMU command lines and QMP commands.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ExportArgs {
    /// The scenario
    file: PathBuf,
    /// The case, where there are several: its name contains this, or matches it where it has * or ?
    /// [default: the first]
    #[arg(short = 'k', long = "name", value_name = "PATTERN")]
    name: Option<String>,
}

pub(super) fn run(args: &ExportArgs) -> Result<Exit, Stop> {
    let root = args.file.parent().unwrap_or(Path::new(""));
    let scenario = scenario::load(&args.file, root, &Disk).map_err(Stop::invalid)?;
    let pattern = args.name.as_deref().map(Pattern::from);
    let chosen = scenario.cases.iter().position(|case| {
        let mut pattern = pattern.iter();
        pattern.all(|pattern| pattern.matches(&case.id))
    });
    let Some(place) = chosen else {
        return Ok(Exit::NothingSelected);
    };
    let tree = match tree::combination(&scenario.source, place) {
        Some(tree) => tree,
        None => tree::read(&scenario.source).map_err(Stop::invalid)?,
    };
    output::print(&import::export(&tree))?;
    Ok(Exit::Success)
}
