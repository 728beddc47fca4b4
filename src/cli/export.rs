//! The command `export`: a scenario as QEMU's command lines, or as a bundle.

use std::path::{Path, PathBuf};

use super::{
    ReachArgs, Stop,
    backends::{BackendName, QemuArgs},
    bundle::{Bundle, Recorder},
    output,
};
use crate::{
    import,
    runner::{Exit, Pattern},
    scenario::{self, tree},
};

/// Prints a scenario as QEMU command lines and QMP commands, or packs it for others.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ExportArgs {
    /// The scenario
    file: PathBuf,
    /// The case, if there are several: its name contains this text, or matches it as a pattern if
    /// it has * or ? [default: the first]
    #[arg(short = 'k', long = "name", value_name = "PATTERN")]
    name: Option<String>,
    /// Run the case, and pack the scenario, its captures and snapshot, the record, the packets, the
    /// command lines and instructions for running it again into one archive
    #[arg(long, value_name = "OUT.tar.gz", value_parser = archive)]
    bundle: Option<PathBuf>,
    /// With --bundle: the backend that runs the case
    #[arg(long, value_enum, default_value = "sim", requires = "bundle")]
    backend: BackendName,
    #[command(flatten)]
    qemu: QemuArgs,
    #[command(flatten)]
    reach: ReachArgs,
}

/// A file name says what is in the file.
fn archive(name: &str) -> Result<PathBuf, String> {
    if name.ends_with(".tar.gz") || name.ends_with(".tgz") {
        return Ok(PathBuf::from(name));
    }
    Err("a bundle is a .tar.gz".to_owned())
}

pub(super) fn run(args: &ExportArgs) -> Result<Exit, Stop> {
    args.qemu.one()?;
    let root = args.file.parent().unwrap_or(Path::new(""));
    let files = Recorder::new(args.reach);
    let scenario = scenario::load(&args.file, root, &files).map_err(Stop::invalid)?;
    let pattern = args.name.as_deref().map(Pattern::from);
    let chosen = scenario.cases.iter().position(|case| {
        let mut pattern = pattern.iter();
        pattern.all(|pattern| pattern.matches(&case.id))
    });
    let Some(index) = chosen else {
        return Ok(Exit::NothingSelected);
    };
    let tree = match tree::combination(&scenario.source, index) {
        Some(tree) => tree,
        None => tree::read(&scenario.source).map_err(Stop::invalid)?,
    };
    let Some(out) = &args.bundle else {
        output::document(&import::export(&tree))?;
        return Ok(Exit::Success);
    };
    let bundle = Bundle {
        scenario: &scenario,
        index,
        tree: &tree,
        files: &files,
        backend: args.backend,
        qemu: &args.qemu,
    };
    bundle.write(out)
}
