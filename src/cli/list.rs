//! The command `list`: the cases that `run` would run.

use std::time::Duration;

use serde_json::json;

use super::{
    Stop,
    output::{self, Format},
    suite::SuiteArgs,
};
use crate::{
    backend,
    runner::{self, Exit, Planned},
    scenario::Case,
    terminal::visible,
};

/// A case that lets the clock run for longer is marked.
const LONG: Duration = Duration::from_secs(1);

/// Lists cases.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    suite: SuiteArgs,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

pub(super) fn run(args: &ListArgs) -> Result<Exit, Stop> {
    let scenarios = args.suite.load()?;
    list(&runner::select(scenarios, &args.suite.selection(), None), args.format)
}

/// Prints the cases, in the order in which they run.
pub(super) fn list(cases: &[Planned], format: Format) -> Result<Exit, Stop> {
    let line = |planned: &Planned| match format {
        Format::Human => format!("{}{}\n", visible(&planned.case.id), in_real_time(&planned.case)),
        Format::Json => entry(&planned.case),
    };
    output::print(&cases.iter().map(line).collect::<String>())?;
    Ok(if cases.is_empty() { Exit::NothingSelected } else { Exit::Success })
}

/// What takes long on a QEMU, whose clock is the wall's.
fn in_real_time(case: &Case) -> String {
    match backend::advances(case) {
        span if span > LONG => format!("  (advances {span:?}, on qemu in real time)"),
        _ => String::new(),
    }
}

fn entry(case: &Case) -> String {
    let mut entry = json!({
        "type": "case",
        "case": case.id.as_str(),
        "scenario": case.source.path.display().to_string(),
        "description": case.description,
        "tags": case.tags,
        "profile": case.profile.to_string(),
    });
    let advances = backend::advances(case);
    if !advances.is_zero() {
        entry["advances_seconds"] = json!(advances.as_secs_f64());
    }
    output::json_line(&entry)
}
