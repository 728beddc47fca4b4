//! The command `fuzz`: draws scenarios, runs each on its backends, counts the results, and keeps
//! what was found.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Write},
    num::{NonZeroU64, NonZeroUsize},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::{
    CliError, Stop,
    backends::{self, BackendName, QemuArgs, Worlds},
    number::from_one,
    output::{self, Format},
};
use crate::{
    base::{CaseId, Profile},
    diag::Diagnose,
    file::{self, Care, Scope},
    fuzz::{self, Answers, Budget, Court, Exhibit, Finding, Outcomes, Sizes},
    runner::Exit,
    scenario,
    sys::Interrupt,
    terminal::{bar_target, visible},
};

/// Makes random scenarios, runs each on several backends and compares what can be observed.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct FuzzArgs {
    /// Run each scenario on each of these backends, and compare what can be observed
    #[arg(long, value_enum, value_name = "BACKENDS", value_delimiter = ',')]
    #[arg(default_value = "sim,netns")]
    agree: Vec<BackendName>,
    #[command(flatten)]
    qemu: QemuArgs,
    /// Seed of the random numbers: the same seed gives the same scenarios
    #[arg(long, value_name = "S", default_value = "1")]
    seed: u64,
    /// Number of scenarios
    #[arg(long, value_name = "N", default_value = "1000", value_parser = from_one::<NonZeroU64>)]
    cases: NonZeroU64,
    /// Number of the first scenario, from 1
    #[arg(long, value_name = "K", default_value = "1", value_parser = from_one::<NonZeroU64>)]
    first: NonZeroU64,
    /// Run under this profile instead of the scenarios' own
    #[arg(long, value_name = "NAME", value_parser = Profile::parse)]
    profile: Option<Profile>,
    /// Number of executions at once [default: the number of processors]
    #[arg(short = 'j', long, value_name = "N", value_parser = from_one::<NonZeroUsize>)]
    jobs: Option<NonZeroUsize>,
    /// Longest time an execution may take
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = from_one::<NonZeroU64>)]
    timeout: NonZeroU64,
    /// Most smaller scenarios to run while a failing one is reduced
    #[arg(long, value_name = "RUNS", default_value = "2000")]
    budget: usize,
    /// Directory for scenarios that fail
    #[arg(long, value_name = "DIRECTORY", default_value = ".")]
    out: PathBuf,
    /// Print the scenario with this number, from 1, and run nothing
    #[arg(long, value_name = "K", value_parser = from_one::<NonZeroU64>)]
    print: Option<NonZeroU64>,
    /// List the scenarios, one per line, and run nothing
    #[arg(long, conflicts_with = "print")]
    list: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

pub(super) fn run(args: &FuzzArgs) -> Result<Exit, Stop> {
    if let Some(number) = args.print {
        let tree = fuzz::scenario(args.seed, number.get());
        output::document(&scenario::write(&tree))?;
        return Ok(Exit::Success);
    }
    if args.list {
        output::print(&args.numbers().map(|number| args.entry(number)).collect::<String>())?;
        return Ok(Exit::Success);
    }
    let different = args.agree.iter().any(|name| *name != args.agree[0]);
    if !different {
        return Err(Stop::invalid(vec![CliError::AgreeWithItself.report()]));
    }
    args.qemu.one()?;
    // No thread may run before: see `sys::isolate`.
    let opened = backends::open(&args.agree, &args.qemu, Worlds::Fresh)?;
    let qemu = opened.probed().map(|probed| probed.profile.clone());
    let interrupt = Interrupt::install().map_err(|error| refused("catching signals", error))?;
    let court = Court {
        lanes: opened.lanes,
        profile: args.profile.clone().or(qemu),
        timeout: Duration::from_secs(args.timeout.get()),
        interrupt: Some(interrupt),
        refusals: false,
        snapshot: None,
    };
    Campaign::new(args, court).run()
}

impl FuzzArgs {
    fn numbers(&self) -> impl Iterator<Item = u64> {
        let first = self.first.get();
        first..first.saturating_add(self.cases.get())
    }

    fn entry(&self, number: u64) -> String {
        let tree = fuzz::scenario(self.seed, number);
        let sizes = Sizes::of(&tree);
        match self.format {
            Format::Human => format!(
                "{}: {} objects, {} steps, {} frames\n",
                name(self.seed, number),
                sizes.objects,
                sizes.steps,
                sizes.frames
            ),
            Format::Json => output::json_line(
                &json!({ "type": "case", "seed": self.seed, "case": number, "scenario": tree }),
            ),
        }
    }
}

/// The name of a random scenario, and of the file that keeps it.
fn name(seed: u64, number: u64) -> String {
    format!("fuzz-{seed}-{number}")
}

/// A run of many cases.
struct Campaign<'a> {
    args: &'a FuzzArgs,
    court: Court,
    counts: Counts,
    /// What went wrong: the case, and its findings.
    failed: BTreeMap<u64, Vec<Finding>>,
    began: Instant,
}

#[derive(Default)]
struct Counts {
    cases: usize,
    compared: usize,
    ran: Vec<usize>,
    /// Why cases were not compared, and how many.
    skipped: BTreeMap<String, usize>,
    answers: Answers,
}

impl<'a> Campaign<'a> {
    fn new(args: &'a FuzzArgs, court: Court) -> Self {
        let counts = Counts { ran: vec![0; court.lanes.len()], ..Counts::default() };
        Self { args, court, counts, failed: BTreeMap::new(), began: Instant::now() }
    }

    fn run(mut self) -> Result<Exit, Stop> {
        let mut interrupted = self.try_all()?;
        let mut kept = 0;
        let mut seen = BTreeSet::new();
        let failed = std::mem::take(&mut self.failed);
        for (number, findings) in &failed {
            let Some(finding) = findings.first() else {
                continue;
            };
            // One fault shows itself in many cases; the first of them is worth a look.
            if !seen.insert(without_numbers(finding)) {
                self.tell(*number, finding, None)?;
                continue;
            }
            if interrupted {
                self.tell(*number, finding, None)?;
                continue;
            }
            let file = self.keep(*number, finding)?;
            kept += usize::from(file.is_some());
            interrupted |= file.is_none();
            self.tell(*number, finding, file.as_ref())?;
        }
        self.summary(&failed, kept, interrupted)?;
        let internal = |finding: &Finding| finding.kind() == "internal";
        Ok(if interrupted {
            Exit::Interrupted
        } else if failed.values().flatten().any(internal) {
            Exit::Internal
        } else if !failed.is_empty() {
            Exit::Failed
        } else if self.counts.compared == 0 {
            Exit::Unavailable
        } else {
            Exit::Success
        })
    }

    fn try_all(&mut self) -> Result<bool, Stop> {
        let bar = bar(self.args.cases.get());
        let numbers = RefCell::new(Vec::new());
        let seed = self.args.seed;
        let invalid = RefCell::new(BTreeMap::new());
        let cases = self.args.numbers().filter_map(|number| {
            let tree = fuzz::scenario(seed, number);
            match fuzz::random_case(&tree, &name(seed, number)) {
                Ok(Some(case)) => {
                    numbers.borrow_mut().push(number);
                    Some(self.court.summon(case))
                }
                wrong => {
                    let text = wrong
                        .err()
                        .and_then(|reports| Some(reports.first()?.message.clone()))
                        .unwrap_or_else(|| "no case".to_owned());
                    let lane = "the generator".to_owned();
                    let finding = Finding::Internal { lane, text };
                    invalid.borrow_mut().insert(number, vec![finding]);
                    None
                }
            }
        });
        let jobs = self
            .args
            .jobs
            .or_else(|| thread::available_parallelism().ok())
            .unwrap_or(NonZeroUsize::MIN);
        let (mut counts, mut failed) = (std::mem::take(&mut self.counts), BTreeMap::new());
        let interrupted = self
            .court
            .try_all(jobs, cases, |index, outcomes| {
                bar.inc(1);
                counts.add(&outcomes, &self.court);
                if !outcomes.findings.is_empty() {
                    let number = numbers.borrow()[index];
                    bar.set_message(format!("{} failed", failed.len() + 1));
                    failed.insert(number, outcomes.findings);
                }
                true
            })
            .map_err(|error| refused("watching for signals", error))?;
        bar.finish_and_clear();
        failed.append(&mut invalid.into_inner());
        self.counts = counts;
        self.failed = failed;
        Ok(interrupted)
    }

    /// Makes a case small and writes it; none after an interrupt.
    fn keep(&self, number: u64, finding: &Finding) -> Result<Option<Keep>, Stop> {
        let tree = fuzz::scenario(self.args.seed, number);
        let name = name(self.args.seed, number);
        let path = self.args.out.join(&name).with_extension("yaml");
        let case = &CaseId::from(name.as_str());
        let scope = Scope::Root;
        let exhibit = Exhibit { path: &path, name: &name, case, probe: false, scope };
        let watch = |error| refused("watching for signals", error);
        let budget = Budget { runs: self.args.budget, time: None };
        let before = Sizes::of(&tree);
        let shrunk = fuzz::minimise(&self.court, exhibit, tree, finding, budget).map_err(watch)?;
        let last = fuzz::reproduce(&self.court, exhibit, &shrunk.tree).map_err(watch)?;
        let Some(last) = last.filter(|last| !last.interrupted) else {
            return Ok(None);
        };
        let description = format!("Case {number} of seed {}: {finding}.", self.args.seed);
        let mut tree = fuzz::finished(shrunk.tree, description, &last.refusals);
        if let Some(profile) = &self.court.profile
            && tree.get("profile").is_none()
        {
            tree["profile"] = profile.to_string().into();
        }
        write(&path, &scenario::write(&tree))?;
        Ok(Some(Keep {
            path,
            runs: shrunk.runs,
            complete: shrunk.complete,
            before,
            after: Sizes::of(&tree),
            again: fuzz::shows(&last, finding),
        }))
    }

    fn tell(&self, number: u64, finding: &Finding, keep: Option<&Keep>) -> Result<(), Stop> {
        let text = match self.args.format {
            Format::Json => {
                let mut line = json!({
                    "type": "finding", "seed": self.args.seed, "case": number,
                    "kind": finding.kind(), "text": finding.to_string(),
                });
                if let Some(keep) = keep {
                    line["file"] = keep.path.display().to_string().into();
                    line["runs"] = keep.runs.into();
                    line["steady"] = keep.again.into();
                }
                output::json_line(&line)
            }
            Format::Human => {
                let how = keep.map_or_else(|| " (as before)\n".to_owned(), Keep::shown);
                format!("{:>12} case {number}: {}{how}", "FOUND", visible(finding))
            }
        };
        output::print(&text)
    }

    fn summary(
        &self,
        failed: &BTreeMap<u64, Vec<Finding>>,
        kept: usize,
        interrupted: bool,
    ) -> Result<(), Stop> {
        let counts = &self.counts;
        let lanes = self.court.lanes.iter().map(|lane| lane.backend.name());
        let ran: Vec<_> = lanes.zip(&counts.ran).collect();
        let text = match self.args.format {
            Format::Json => {
                let ran: serde_json::Map<String, Value> =
                    ran.into_iter().map(|(lane, ran)| (lane.to_owned(), (*ran).into())).collect();
                let line = json!({
                    "type": "finished", "seed": self.args.seed, "cases": counts.cases,
                    "compared": counts.compared, "runs": ran, "skipped": counts.skipped,
                    "made": counts.answers.made, "refused": counts.answers.refused,
                    "sent": counts.answers.sent, "failed": failed.len(), "kept": kept,
                    "interrupted": interrupted, "seconds": self.began.elapsed().as_secs_f64(),
                });
                output::json_line(&line)
            }
            Format::Human => {
                let ran: Vec<_> =
                    ran.into_iter().map(|(lane, ran)| format!("{lane} ran {ran}")).collect();
                let mut text = format!(
                    "{:>12} [{:>8.3}s] {} of seed {}: {} compared, {} not, {} failed{}\n",
                    "Summary",
                    self.began.elapsed().as_secs_f64(),
                    counted(counts.cases, "case"),
                    self.args.seed,
                    counts.compared,
                    counts.cases - counts.compared,
                    failed.len(),
                    if interrupted { ", interrupted" } else { "" },
                );
                text += &format!(
                    "{:12} {}; {} made, {} refused, {} sent\n",
                    "",
                    ran.join(", "),
                    counted(counts.answers.made, "object"),
                    counted(counts.answers.refused, "command"),
                    counted(counts.answers.sent, "frame"),
                );
                for (reason, times) in &counts.skipped {
                    text += &format!("{:12} not compared, {times}: {}\n", "", visible(reason));
                }
                text
            }
        };
        output::print(&text)
    }
}

impl Counts {
    fn add(&mut self, outcomes: &Outcomes, court: &Court) {
        self.cases += 1;
        self.compared += usize::from(outcomes.ran.len() == court.lanes.len());
        for lane in &outcomes.ran {
            self.ran[*lane] += 1;
        }
        if let Some((index, reason)) = outcomes.skipped.first() {
            let lane = court.lanes[*index].backend.name();
            let reason = format!("{lane}: {}", general(reason));
            *self.skipped.entry(reason).or_default() += 1;
        }
        self.answers.made += outcomes.answers.made;
        self.answers.refused += outcomes.answers.refused;
        self.answers.sent += outcomes.answers.sent;
    }
}

/// A reason without the names of one scenario.
fn general(reason: &str) -> &str {
    match reason.split_once(": ") {
        Some((_, general)) => general,
        None => reason,
    }
}

/// A finding's text, the numbers of ids taken out.
fn without_numbers(finding: &Finding) -> String {
    finding.to_string().chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// What was kept of a case.
struct Keep {
    path: PathBuf,
    runs: usize,
    complete: bool,
    before: Sizes,
    after: Sizes,
    /// Whether the smaller scenario failed again when it was run a second time.
    again: bool,
}

impl Keep {
    fn shown(&self) -> String {
        format!(
            "\n{:12} {} of {} lines after {}{}{}\n{:12} {}\n",
            "",
            self.after.lines,
            self.before.lines,
            counted(self.runs, "run"),
            if self.complete { "" } else { ", could be less" },
            if self.again { "" } else { "; it does not fail every time" },
            "",
            visible(self.path.display()),
        )
    }
}

fn bar(cases: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(cases), bar_target());
    // A template that is refused would leave indicatif's own style, which is as good.
    if let Ok(style) = ProgressStyle::with_template("{prefix:>12} [{bar:30}] {pos}/{len} {msg}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.with_prefix("Fuzzing")
}

pub(super) fn counted(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

/// Writes a scenario to where the command wants it, its directory too where that is missing.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Stop> {
    let written =
        with_folder(path).and_then(|()| file::replace(path, text.as_bytes(), Care::Durable));
    written.map_err(|source| unwritable(path, source))
}

/// The same where a person wants it.
pub(super) fn write_named(path: &Path, text: &str) -> Result<(), Stop> {
    let made = with_folder(path).and_then(|()| file::create(path));
    let written = made.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|source| unwritable(path, source))
}

/// Makes the directory of a file where that is missing.
pub(super) fn with_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => fs::create_dir_all(parent),
        _ => Ok(()),
    }
}

pub(super) fn unwritable(path: &Path, source: io::Error) -> Stop {
    let path = path.to_owned();
    Stop::invalid(vec![CliError::Unwritable { path, source }.report()])
}

pub(super) fn refused(what: &'static str, source: io::Error) -> Stop {
    Stop::system(what, source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_in_two_cases_is_one() {
        let finding = |port: &str| Finding::Broken { lane: port.to_owned(), kind: "late" };
        assert_eq!(without_numbers(&finding("in12")), without_numbers(&finding("in3")));
        assert_ne!(without_numbers(&finding("in")), without_numbers(&finding("out")));
        assert_eq!(general("netdev hn0: no driver"), "no driver");
    }
}
