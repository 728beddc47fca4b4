use serde_json::json;

use super::{
    Stop,
    output::{self, Format},
    suite::SuiteArgs,
};
use crate::{
    runner::{self, Exit, Planned},
    scenario::Case,
};

/// Lists cases.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    suite: SuiteArgs,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

pub(super) fn run(args: &ListArgs) -> Result<Exit, Stop> {
    let scenarios = args.suite.load()?;
    list(
        &runner::select(&scenarios, &args.suite.selection(), None),
        args.format,
    )
}

/// Prints the cases, in the order in which they run.
pub(super) fn list(cases: &[Planned], format: Format) -> Result<Exit, Stop> {
    let line = |planned: &Planned| match format {
        Format::Human => format!("{}\n", planned.case.id),
        Format::Json => entry(&planned.case),
    };
    output::print(&cases.iter().map(line).collect::<String>())?;
    Ok(if cases.is_empty() {
        Exit::NothingSelected
    } else {
        Exit::Success
    })
}

fn entry(case: &Case) -> String {
    let entry = json!({
        "type": "case",
        "case": case.id.as_str(),
        "scenario": case.source.path.display().to_string(),
        "description": case.description,
        "tags": case.tags,
        "profile": case.profile.to_string(),
    });
    format!("{entry}\n")
}
