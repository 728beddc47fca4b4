//! The command `minimise`: a failing scenario made small.

use std::{
    num::NonZeroU64,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    CliError, ReachArgs, Stop,
    backends::{self, BackendName, QemuArgs, Worlds},
    fuzz::{counted, refused, write, write_named},
    number::from_one,
    output::{self, Format},
};
use crate::{
    base::Profile,
    diag::Diagnose,
    format::Section,
    fuzz::{self, Budget, Court, Exhibit, Finding, Reviewed, Shrunk, Sizes},
    runner::{Exit, Pattern},
    scenario::{self, Case, Scenario, tree},
    snapshot,
    sys::Interrupt,
    terminal::visible,
};

/// Makes a failing scenario as small as it can be and still fail in the same way.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct MinimiseArgs {
    /// The scenario
    file: PathBuf,
    /// The failing case, if there are several: its name contains this text, or matches it as a
    /// pattern if it has * or ? [default: the first that fails]
    #[arg(short = 'k', long = "name", value_name = "PATTERN")]
    name: Option<String>,
    /// The backend that runs it
    #[arg(long, value_enum, default_value = "netns")]
    backend: BackendName,
    /// Run it on each of these backends; a difference between them is the failure
    #[arg(long, value_enum, value_name = "BACKENDS", value_delimiter = ',')]
    #[arg(conflicts_with = "backend")]
    agree: Vec<BackendName>,
    #[command(flatten)]
    qemu: QemuArgs,
    /// Run under this profile instead of the scenario's own
    #[arg(long, value_name = "NAME", value_parser = Profile::parse)]
    profile: Option<Profile>,
    /// Budget: a number of runs, or a time such as 60s
    #[arg(long, value_name = "RUNS|TIME", default_value = "5000", value_parser = budget)]
    budget: Budget,
    /// Longest time an execution may take
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = from_one::<NonZeroU64>)]
    timeout: NonZeroU64,
    /// The file to write the smaller scenario to [default: FILE.min.yaml beside it]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    #[command(flatten)]
    reach: ReachArgs,
}

/// `200` runs, or `30s`, `5m`.
fn budget(text: &str) -> Result<Budget, String> {
    let wrong = || format!("'{text}' is neither a number of runs nor a time such as 30s or 5m");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: usize = digits.parse().map_err(|_| wrong())?;
    let seconds = |each: u64| Budget {
        runs: usize::MAX,
        time: Some(Duration::from_secs(number as u64 * each)),
    };
    match &text[digits.len()..] {
        "" => Ok(Budget { runs: number, time: None }),
        "s" => Ok(seconds(1)),
        "m" => Ok(seconds(60)),
        _ => Err(wrong()),
    }
}

pub(super) fn run(args: &MinimiseArgs) -> Result<Exit, Stop> {
    args.qemu.one()?;
    let root = args.file.parent().unwrap_or(Path::new(""));
    let scenario = scenario::load(&args.file, root, args.reach.files()).map_err(Stop::invalid)?;
    let pattern = args.name.as_deref().map(Pattern::from);
    let chosen: Vec<(usize, Arc<Case>)> = scenario
        .cases
        .iter()
        .cloned()
        .enumerate()
        .filter(|(_, case)| pattern.as_ref().is_none_or(|pattern| pattern.matches(&case.id)))
        .collect();
    if chosen.is_empty() {
        return Ok(Exit::NothingSelected);
    }
    let names =
        if args.agree.is_empty() { std::slice::from_ref(&args.backend) } else { &args.agree };
    // No thread may run before: see `sys::isolate`.
    let opened = backends::open(names, &args.qemu, Worlds::Fresh)?;
    let qemu = opened.probed().filter(|_| !args.agree.is_empty());
    let qemu = qemu.map(|probed| probed.profile.clone());
    let interrupt = Interrupt::install().map_err(|error| refused("catching signals", error))?;
    let court = Court {
        lanes: opened.lanes,
        profile: args.profile.clone().or(qemu),
        timeout: Duration::from_secs(args.timeout.get()),
        interrupt: Some(interrupt),
        refusals: args.agree.is_empty(),
        snapshot: None,
    };
    let mut skipped = None;
    for (index, case) in chosen {
        let court = Court { snapshot: section(args, &scenario, &case), ..court.clone() };
        let tried =
            court.try_case(court.summon(Case::clone(&case)), scenario.probes).map_err(watch)?;
        if tried.interrupted {
            return Ok(Exit::Interrupted);
        }
        skipped = skipped.or(tried.skipped.first().map(|(_, reason)| reason.clone()));
        if let Some(finding) = tried.findings.first() {
            return minimise(args, &court, &scenario, (index, &case), finding);
        }
    }
    let error = match skipped {
        Some(reason) => CliError::Unavailable {
            reason: format!("the scenario did not run: {reason}"),
            remedy: None,
        },
        None => CliError::NothingFails,
    };
    let exit = match error {
        CliError::NothingFails => Exit::NothingSelected,
        _ => Exit::Unavailable,
    };
    Err(Stop { exit, reports: vec![error.report()] })
}

fn watch(error: std::io::Error) -> Stop {
    refused("watching for signals", error)
}

/// The reviewed record of a case, where it is of this profile and not a table of probes.
fn section(args: &MinimiseArgs, scenario: &Scenario, case: &Case) -> Option<String> {
    let own = args.profile.as_ref().is_none_or(|profile| *profile == case.profile);
    if !args.agree.is_empty() || scenario.probes || !own {
        return None;
    }
    snapshot::reviewed(&scenario.source.path, &case.id, &case.profile, args.reach.scope())
}

fn minimise(
    args: &MinimiseArgs,
    court: &Court,
    scenario: &Scenario,
    (index, case): (usize, &Case),
    finding: &Finding,
) -> Result<Exit, Stop> {
    let exhibit = Exhibit {
        path: &args.file,
        name: &scenario.name,
        case: &case.id,
        probe: scenario.probes,
        scope: args.reach.scope(),
    };
    let whole = tree::read(&scenario.source).map_err(Stop::invalid)?;
    let before = Sizes::of(&whole);
    let start = match tree::combination(&scenario.source, index) {
        Some(one) if still(court, exhibit, &one, finding)? => one,
        _ => whole,
    };
    if !still(court, exhibit, &start, finding)? {
        return Err(Stop { exit: Exit::Failed, reports: vec![CliError::Unsteady.report()] });
    }
    let shrunk = fuzz::minimise(court, exhibit, start, finding, args.budget).map_err(watch)?;
    let text = scenario::write(&shrunk.tree);
    let path = match &args.out {
        Some(path) => write_named(path, &text).map(|()| path.clone())?,
        None => {
            let path = args.file.with_extension("min.yaml");
            write(&path, &text)?;
            path
        }
    };
    let after = Sizes::of(&shrunk.tree);
    let reviewed = fuzz::reviewed(court, exhibit, &shrunk.tree, finding);
    let snapshot = match reviewed {
        Some(reviewed) => keep(&path, reviewed)?,
        None => None,
    };
    let told = Told {
        case,
        finding,
        shrunk: &shrunk,
        sizes: [before, after],
        path: &path,
        snapshot: snapshot.as_deref(),
    };
    output::print(&match args.format {
        Format::Human => told.human(),
        Format::Json => told.json(),
    })?;
    Ok(Exit::Success)
}

/// Writes the snapshot that the smaller scenario differs from beside it: without it nothing would
/// fail. A file that is not named as a scenario has none.
fn keep(scenario: &Path, reviewed: Reviewed) -> Result<Option<PathBuf>, Stop> {
    if !scenario.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
        output::note(format_args!(
            "no snapshot is written beside {}, since only that of a .yaml file is found again",
            visible(scenario.display())
        ));
        return Ok(None);
    }
    let Reviewed { section, profile, body } = reviewed;
    let section = Section { name: section, profile, body };
    let placed = snapshot::place(scenario, section);
    placed.map(Some).map_err(|error| Stop::invalid(vec![error.report()]))
}

fn still(
    court: &Court,
    exhibit: Exhibit<'_>,
    tree: &Value,
    finding: &Finding,
) -> Result<bool, Stop> {
    let outcomes = fuzz::reproduce(court, exhibit, tree).map_err(watch)?;
    Ok(outcomes.is_some_and(|outcomes| fuzz::shows(&outcomes, finding)))
}

struct Told<'a> {
    case: &'a Case,
    finding: &'a Finding,
    shrunk: &'a Shrunk,
    sizes: [Sizes; 2],
    path: &'a Path,
    /// The snapshot that was written beside it.
    snapshot: Option<&'a Path>,
}

impl Told<'_> {
    fn counts(&self) -> [(&'static str, usize, usize); 6] {
        let [before, after] = self.sizes;
        [
            ("step", before.steps, after.steps),
            ("frame", before.frames, after.frames),
            ("object", before.objects, after.objects),
            ("netdev", before.netdevs, after.netdevs),
            ("chardev", before.chardevs, after.chardevs),
            ("line", before.lines, after.lines),
        ]
    }

    fn human(&self) -> String {
        let left: Vec<String> = self
            .counts()
            .into_iter()
            .filter(|(_, before, _)| *before > 0)
            .map(|(what, before, after)| format!("{after} of {}", counted(before, what)))
            .collect();
        let beside = self.snapshot.map(|path| format!("{:12} {}\n", "", visible(path.display())));
        format!(
            "{:>12} {}: {}\n{:>12} {} left after {}{}\n{:12} {}\n{}",
            "Failing",
            visible(&self.case.id),
            visible(self.finding),
            "Minimised",
            left.join(", "),
            counted(self.shrunk.runs, "run"),
            if self.shrunk.complete { "" } else { "; the budget is spent, and it could be less" },
            "",
            visible(self.path.display()),
            beside.unwrap_or_default(),
        )
    }

    fn json(&self) -> String {
        let sizes: serde_json::Map<String, Value> = self
            .counts()
            .into_iter()
            .map(|(what, before, after)| {
                (format!("{what}s"), json!({ "before": before, "after": after }))
            })
            .collect();
        let line = json!({
            "type": "minimised", "case": self.case.id.as_str(), "kind": self.finding.kind(),
            "text": self.finding.to_string(), "file": self.path.display().to_string(),
            "snapshot": self.snapshot.map(|path| path.display().to_string()),
            "runs": self.shrunk.runs, "complete": self.shrunk.complete, "sizes": sizes,
        });
        output::json_line(&line)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("200", Some((200, None)))]
    #[case("30s", Some((usize::MAX, Some(30))))]
    #[case("2m", Some((usize::MAX, Some(120))))]
    #[case("", None)]
    #[case("s", None)]
    #[case("3h", None)]
    #[case("-1", None)]
    fn a_budget_is_runs_or_a_time(
        #[case] text: &str,
        #[case] expected: Option<(usize, Option<u64>)>,
    ) {
        let read = budget(text).ok();
        let expected =
            expected.map(|(runs, seconds)| Budget { runs, time: seconds.map(Duration::from_secs) });
        assert_eq!(read, expected);
    }
}
