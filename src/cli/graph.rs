//! The command `graph`: a scenario's topology as a drawing.

use std::path::{Path, PathBuf};

use super::{ReachArgs, Stop, output};
use crate::{
    drawing::{self, Topology},
    runner::{Exit, Pattern},
    scenario,
};

/// Draws what a scenario declares, and how it is joined.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct GraphArgs {
    /// The scenario
    file: PathBuf,
    /// The case, if there are several: its name contains this text, or matches it as a pattern if
    /// it has * or ? [default: the first]
    #[arg(short = 'k', long = "name", value_name = "PATTERN")]
    name: Option<String>,
    /// Output format
    #[arg(long, value_enum, default_value_t = GraphFormat::Text)]
    format: GraphFormat,
    #[command(flatten)]
    reach: ReachArgs,
}

/// How a topology is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum GraphFormat {
    /// For a terminal
    Text,
    /// A Mermaid flowchart, which GitHub and GitLab render in Markdown
    Mermaid,
    /// For Graphviz
    Dot,
    /// A picture, as in the HTML report
    Svg,
}

pub(super) fn run(args: &GraphArgs) -> Result<Exit, Stop> {
    let root = args.file.parent().unwrap_or(Path::new(""));
    let scenario = scenario::load(&args.file, root, args.reach.files()).map_err(Stop::invalid)?;
    let pattern = args.name.as_deref().map(Pattern::from);
    let chosen = scenario.cases.iter().find(|case| {
        let mut pattern = pattern.iter();
        pattern.all(|pattern| pattern.matches(&case.id))
    });
    let Some(case) = chosen else {
        return Ok(Exit::NothingSelected);
    };
    let topology = Topology::of(case);
    output::print(&match args.format {
        GraphFormat::Text => drawing::text(&topology),
        GraphFormat::Mermaid => drawing::mermaid(&topology),
        GraphFormat::Dot => drawing::dot(&topology),
        GraphFormat::Svg => drawing::svg(&topology, case.id.as_str()),
    })?;
    Ok(Exit::Success)
}
