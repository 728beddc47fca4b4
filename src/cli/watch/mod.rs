//! `run --watch`: what a change touches runs again.

mod change;
mod recorder;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use change::{Next, Watch};
use recorder::{Part, Print, Recorder};

use super::{CliError, ReachArgs, Stop, backends::Opened, output, reporting, run::RunArgs};
use crate::{
    diag::{Diagnose, Report},
    report::{ReportFiles, record::Collector},
    runner::{self, Exit, RunnerError, ScenarioFile},
    scenario::Scenario,
    snapshot::Mode,
    sys::Interrupt,
};

/// Runs what is selected, then again and again what a change touches, until it is interrupted.
pub(super) fn run(args: &RunArgs, mode: Mode) -> Result<Exit, Stop> {
    // No thread may run before.
    let opened = args.open()?;
    let interrupt = Interrupt::install().map_err(reporting::refused("catching signals"))?;
    let mut watch = Watch::new(interrupt).map_err(unwatched)?;
    let paths = args.suite.paths()?;
    for path in &paths {
        watch.add(path).map_err(unwatched)?;
    }
    let mut suite = Suite { reach: args.suite.reach, ..Suite::default() };
    let mut idle = false;
    let mut first = true;
    loop {
        if watch.take() == Next::End {
            return Ok(Exit::Interrupted);
        }
        let look = suite.look(&paths, mode);
        for path in &look.files {
            watch.add(path).map_err(unwatched)?;
        }
        if look.is_nothing() {
            if !std::mem::replace(&mut idle, true) {
                let files = suite.files();
                output::note(format_args!("waiting for a change of {files} files; Ctrl-C ends"));
            }
            match watch.wait() {
                Next::Look => continue,
                Next::End => return Ok(Exit::Interrupted),
            }
        }
        idle = false;
        if !look.reports.is_empty() {
            output::run_reports(args.format, &look.reports)?;
        }
        match carry_out(args, mode, &opened, interrupt, look.scenarios)? {
            Exit::Interrupted => return Ok(Exit::Interrupted),
            // Later a change of what is not selected is nothing to speak of.
            Exit::NothingSelected if first && look.reports.is_empty() => {
                output::reports(&[CliError::NothingSelected.report()]);
            }
            _ => {}
        }
        first = false;
    }
}

fn carry_out(
    args: &RunArgs,
    mode: Mode,
    opened: &Opened,
    interrupt: Interrupt,
    scenarios: Vec<Scenario>,
) -> Result<Exit, Stop> {
    let plan = args.plan_on(opened, mode, scenarios);
    if plan.cases.is_empty() {
        return Ok(Exit::NothingSelected);
    }
    let collector = Collector::new(args.facts());
    let files = ReportFiles::default();
    reporting::run_and_report(
        &plan,
        interrupt,
        args.reporters()?,
        args.recorded(),
        collector,
        files,
    )
}

fn unwatched(source: notify::Error) -> Stop {
    Stop {
        exit: Exit::Internal,
        reports: vec![CliError::Unwatched { reason: source.to_string() }.report()],
    }
}

/// What each scenario was made of when it was read last.
#[derive(Default)]
struct Suite {
    reach: ReachArgs,
    scenarios: BTreeMap<PathBuf, BTreeMap<Part, Print>>,
    /// What was wrong with the paths, so that it is reported once.
    wrong: Vec<String>,
}

/// What is new since the last look.
#[derive(Default)]
struct Look {
    /// Scenarios that changed themselves, or one of whose files changed.
    scenarios: Vec<Scenario>,
    reports: Vec<Report>,
    /// The files that those scenarios are made of.
    files: BTreeSet<PathBuf>,
}

impl Look {
    fn is_nothing(&self) -> bool {
        self.scenarios.is_empty() && self.reports.is_empty() && self.files.is_empty()
    }
}

impl Suite {
    /// Reads again what has changed.
    fn look(&mut self, paths: &[PathBuf], mode: Mode) -> Look {
        let mut look = Look::default();
        let found = match runner::find(paths) {
            Ok(found) => {
                self.wrong.clear();
                found
            }
            Err(errors) => {
                let wrong: Vec<String> = errors.iter().map(ToString::to_string).collect();
                if wrong != self.wrong {
                    look.reports = errors.iter().map(RunnerError::report).collect();
                    self.wrong = wrong;
                }
                return look;
            }
        };
        let there = |path: &PathBuf| found.iter().any(|file| file.path == *path);
        self.scenarios.retain(|path, _| there(path));
        for file in &found {
            let known = self.scenarios.get(&file.path);
            let changed = |(part, then): (&Part, &Print)| part.print(self.reach) != *then;
            if known.is_some_and(|parts| !parts.iter().any(changed)) {
                continue;
            }
            let (loaded, parts) = load(file, mode, self.reach);
            match loaded {
                Ok(scenario) => look.scenarios.push(scenario),
                Err(reports) => look.reports.extend(reports),
            }
            look.files.extend(parts.keys().map(Part::path));
            self.scenarios.insert(file.path.clone(), parts);
        }
        look
    }

    /// How many files are watched.
    fn files(&self) -> usize {
        let parts = self.scenarios.values().flat_map(BTreeMap::keys);
        parts.map(Part::path).collect::<BTreeSet<PathBuf>>().len()
    }
}

/// Reads a scenario, and what it is made of as it was just before.
fn load(
    file: &ScenarioFile,
    mode: Mode,
    reach: ReachArgs,
) -> (Result<Scenario, Vec<Report>>, BTreeMap<Part, Print>) {
    let recorder = Recorder::new(reach);
    // With --accept the run itself writes the snapshot.
    if mode != Mode::Accept {
        recorder.snapshot(file);
    }
    let loaded = file.load(&recorder);
    (loaded, recorder.into_parts())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const SCENARIO: &str = "description: x\nsteps:\n  - note: nothing\n";

    fn names(look: &Look) -> Vec<&str> {
        let names = look.scenarios.iter();
        names.map(|scenario| scenario.name.as_str()).collect()
    }

    #[test]
    fn a_look_finds_what_has_changed_since_the_last_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let paths = [directory.path().to_owned()];
        fs::write(path("a.yaml"), SCENARIO).unwrap();
        fs::write(path("b.yaml"), SCENARIO).unwrap();
        let mut suite = Suite::default();
        assert_eq!(names(&suite.look(&paths, Mode::Pending)), ["a", "b"]);
        assert!(suite.look(&paths, Mode::Pending).is_nothing());
        fs::write(path("b.yaml"), SCENARIO).unwrap();
        assert!(suite.look(&paths, Mode::Pending).is_nothing());
        fs::write(path("a.snap"), "x").unwrap();
        assert_eq!(names(&suite.look(&paths, Mode::Pending)), ["a"]);
        fs::write(path("b.yaml"), "descripton: x\n").unwrap();
        let look = suite.look(&paths, Mode::Pending);
        assert!(look.scenarios.is_empty() && !look.reports.is_empty());
        assert!(suite.look(&paths, Mode::Pending).is_nothing());
        fs::remove_file(path("b.yaml")).unwrap();
        assert!(suite.look(&paths, Mode::Pending).is_nothing());
        assert_eq!(suite.files(), 2);
    }

    #[test]
    fn what_may_not_be_read_is_reported_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join("suite").join(name);
        fs::create_dir(path("")).unwrap();
        fs::write(directory.path().join("b.pcap"), "x").unwrap();
        let text = "description: x\nnetdevs: {h: {}}\nsteps: [{send: h.guest, pcap: ../b.pcap}]\n";
        fs::write(path("a.yaml"), text).unwrap();
        std::os::unix::fs::symlink("../b.pcap", path("a.snap")).unwrap();
        let mut suite = Suite::default();
        let look = suite.look(&[path("")], Mode::Pending);
        assert_eq!(look.reports[0].code.0, "TW-S084");
        assert!(suite.look(&[path("")], Mode::Pending).is_nothing());
        assert_eq!(suite.files(), 3);
    }

    #[test]
    fn a_run_that_accepts_does_not_wake_itself() {
        let directory = tempfile::tempdir().unwrap();
        let paths = [directory.path().to_owned()];
        fs::write(directory.path().join("a.yaml"), SCENARIO).unwrap();
        let mut suite = Suite::default();
        suite.look(&paths, Mode::Accept);
        fs::write(directory.path().join("a.snap"), "x").unwrap();
        assert!(suite.look(&paths, Mode::Accept).is_nothing());
    }

    #[test]
    fn what_is_wrong_with_the_paths_is_told_once() {
        let mut suite = Suite::default();
        let gone = [PathBuf::from("/nowhere")];
        assert_eq!(suite.look(&gone, Mode::Pending).reports.len(), 1);
        assert!(suite.look(&gone, Mode::Pending).is_nothing());
    }
}
