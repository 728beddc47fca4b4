//! The command `conflicts`: which combinations of an object's properties QEMU takes.

use super::{CliError, Stop, output};
use crate::{
    base::Profile,
    conflict::{self, Summary, Survey},
    runner::Exit,
};

/// Says which combinations of properties an object takes, and which check refuses the others.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ConflictsArgs {
    /// The object's type: filter-redirector, filter-mirror, ..., colo-compare, or all [may be
    /// repeated]
    #[arg(long = "type", value_name = "TYPE", default_value = "filter-redirector")]
    #[arg(value_parser = known_type)]
    types: Vec<String>,
    /// The QEMU that is modelled; with several, only what differs is shown
    #[arg(long = "profile", value_name = "NAME", default_value = "rfc")]
    #[arg(value_parser = Profile::parse)]
    profiles: Vec<Profile>,
    /// Output format
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// How the combinations are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people at a terminal
    Text,
    /// For a mail, an issue or a wiki
    Markdown,
    /// One JSON object per combination
    Json,
}

/// Stands for every type.
const ALL: &str = "all";

fn known_type(name: &str) -> Result<String, String> {
    let types = conflict::types();
    if name == ALL || types.contains(&name) {
        return Ok(name.to_owned());
    }
    Err(format!("there are {} and {ALL}", types.join(", ")))
}

/// Each profile once. A comparison of one with itself has nothing to show, so it is said.
fn distinct(named: &[Profile]) -> Vec<Profile> {
    let mut profiles: Vec<Profile> = Vec::new();
    for profile in named {
        if profiles.contains(profile) {
            output::note(format_args!("the profile {profile} is named more than once"));
        } else {
            profiles.push(profile.clone());
        }
    }
    profiles
}

pub(super) fn run(args: &ConflictsArgs) -> Result<Exit, Stop> {
    let profiles = distinct(&args.profiles);
    let wanted = |kind: &&str| args.types.iter().any(|name| name == kind || name == ALL);
    let kinds = conflict::types().into_iter().filter(wanted);
    let mut parts = Vec::new();
    for table in kinds.flat_map(conflict::tables) {
        let survey = Survey::of(table, &profiles).map_err(|error| {
            Stop::internal(&CliError::System {
                what: "asking the machine",
                source: std::io::Error::other(error),
            })
        })?;
        let summary = Summary::of(&survey);
        parts.push(match args.format {
            Format::Text => conflict::text(&survey, &summary),
            Format::Markdown => conflict::markdown(&survey, &summary),
            Format::Json => conflict::json(&survey, &summary),
        });
    }
    let redirects = args.types.iter().any(|name| name == ALL || name == "filter-redirector");
    let rules = match args.format {
        Format::Text if redirects => conflict::rules_text(&profiles),
        Format::Markdown if redirects => conflict::rules_markdown(&profiles),
        _ => String::new(),
    };
    parts.extend(Some(rules).filter(|rules| !rules.is_empty()));
    let between = if args.format == Format::Json { "" } else { "\n" };
    output::print(&parts.join(between))?;
    Ok(Exit::Success)
}
