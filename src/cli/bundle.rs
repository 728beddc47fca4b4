//! One archive for a mail thread: a scenario with what it names, what came of it, and how to run it
//! again.

mod archive;
mod readme;

use std::{
    cell::RefCell,
    fs, io,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use archive::{Archive, common, plain};
use readme::Readme;
use serde_json::Value;

use super::{
    CliError, Stop,
    lanes::{self, BackendName, Opened, QemuArgs},
};
use crate::{
    diag::Diagnose,
    import,
    runner::{self, Attempt, Executed, Exit, Trial, TrialLimits},
    scenario::{Case, Disk, Files, Scenario},
    snapshot::{self, Content, Mismatch, Mode, Recorded, Rules, State},
    sys::Interrupt,
};

/// How long the run of a bundle may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What a bundle is made of.
pub(super) struct Bundle<'a> {
    pub(super) scenario: &'a Scenario,
    /// The case's place among the scenario's.
    pub(super) place: usize,
    /// The case as a tree, its matrix put in.
    pub(super) tree: &'a Value,
    /// What was read of the scenario and with it.
    pub(super) files: &'a Recorder,
    pub(super) backend: BackendName,
    pub(super) qemu: &'a QemuArgs,
}

/// Remembers what was read.
#[derive(Debug, Default)]
pub(super) struct Recorder(RefCell<Vec<(PathBuf, Vec<u8>)>>);

impl Files for Recorder {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let bytes = Disk.read(path)?;
        self.0.borrow_mut().push((path.to_owned(), bytes.clone()));
        Ok(bytes)
    }
}

impl Bundle<'_> {
    /// Runs the case and writes the archive.
    ///
    /// # Errors
    /// When the case can't run, a file is in the way, or a capture has no place in an archive.
    pub(super) fn write(&self, out: &Path) -> Result<Exit, Stop> {
        if out.exists() {
            return Err(Stop::invalid(vec![CliError::Exists(out.to_owned()).report()]));
        }
        let mut archive = Archive::default();
        let scenario = self.sources(&mut archive)?;
        let opened = lanes::open(&[self.backend], self.qemu)?;
        let mut case = self.scenario.cases[self.place].clone();
        if let Some(probed) = &opened.probed {
            case.profile = probed.profile.clone();
        }
        let case = Arc::new(case);
        let executed = self.executed(&case, &opened)?;
        archive.put("record.txt", snapshot::text(&executed.reading));
        let pcapng = snapshot::write_pcapng(&executed.reading, Vec::new());
        archive.put("record.pcapng", pcapng.map_err(|error| unwritable(out, error))?);
        archive.put("qemu.txt", import::export(self.tree));
        let snapshot = scenario.with_extension("snap");
        let files: Vec<String> = archive.paths().map(|path| path.display().to_string()).collect();
        let readme = Readme {
            case: &case,
            executed: &executed,
            probed: opened.probed.as_ref(),
            scenario: &scenario,
            several: self.scenario.cases.len() > 1,
            reviewed: archive.paths().any(|path| path == snapshot),
            mismatch: self.mismatch(&case, &executed)?,
            files,
        };
        let readme = readme.text();
        archive.put("README.md", readme);
        let folder = scenario.file_stem().unwrap_or_default().to_string_lossy();
        archive
            .bytes(&folder)
            .and_then(|bytes| fs::write(out, bytes))
            .map_err(|error| unwritable(out, error))?;
        Ok(Exit::Success)
    }

    /// Puts in the scenario, the captures that it names and its snapshot, each where the scenario
    /// finds it; the scenario's own place is returned.
    fn sources(&self, archive: &mut Archive) -> Result<PathBuf, Stop> {
        let source = &self.scenario.source.path;
        let folder = source.parent().unwrap_or(Path::new(""));
        let read = self.files.0.borrow();
        if let Some((foreign, _)) = read.iter().find(|(path, _)| !path.starts_with(folder)) {
            let error = CliError::NoPlace(foreign.clone());
            return Err(Stop::invalid(vec![error.report()]));
        }
        let mut all: Vec<(PathBuf, Vec<u8>)> = Vec::new();
        for (path, bytes) in read.iter() {
            all.push((absolute(path)?, bytes.clone()));
        }
        let snapshot = source.with_extension("snap");
        match fs::read(&snapshot) {
            Ok(bytes) => all.push((absolute(&snapshot)?, bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let (path, source) = (snapshot, error);
                let error = CliError::Unreadable { path, source };
                return Err(Stop::invalid(vec![error.report()]));
            }
        }
        let root = common(all.iter().map(|(path, _)| path.as_path()));
        let below = |path: &Path| path.strip_prefix(&root).unwrap_or(path).to_owned();
        for (path, bytes) in &all {
            archive.put(below(path), bytes.clone());
        }
        Ok(below(&absolute(source)?))
    }

    /// How the record differs from what was reviewed, where something was. The table of probes is
    /// of all cases at once, and this is one.
    fn mismatch(&self, case: &Case, executed: &Executed) -> Result<Option<Mismatch>, Stop> {
        if self.scenario.probes {
            return Ok(None);
        }
        let recorded = Recorded {
            section: snapshot::section_name(&case.id).to_owned(),
            profile: executed.reading.transcript().profile.clone(),
            content: Content::Record {
                reading: &executed.reading,
                rules: Rules { masks: &case.snapshot.masks, without: &case.snapshot.without },
            },
        };
        let source = &self.scenario.source.path;
        let checked = snapshot::check(source, &[recorded], &[], Mode::Check)
            .map_err(|error| Stop::invalid(vec![error.report()]))?;
        let state = checked.verdicts.into_iter().next();
        Ok(state.and_then(|verdict| match verdict.state {
            State::Differs(mismatch) => Some(mismatch),
            State::Matches | State::New => None,
        }))
    }

    fn executed(&self, case: &Arc<Case>, opened: &Opened) -> Result<Executed, Stop> {
        let interrupt = Interrupt::install().map_err(refused)?;
        let trial = Trial { case: Arc::clone(case), probe: self.scenario.probes };
        let limits = TrialLimits { jobs: NonZeroUsize::MIN, timeout: TIMEOUT };
        let mut came = None;
        let trials = std::iter::once(trial);
        let lanes = &opened.lanes;
        runner::try_cases(lanes, limits, trials, Some(&interrupt), |_, attempts| {
            came = attempts.into_iter().next();
            true
        })
        .map_err(refused)?;
        let (exit, reason) = match came {
            Some(Attempt::Executed(executed)) => return Ok(executed),
            Some(Attempt::Interrupted) | None => return Err(interrupted()),
            Some(Attempt::Invalid(report)) => return Err(Stop::invalid(vec![*report])),
            Some(Attempt::Skipped(reason)) => (Exit::Unavailable, reason),
            Some(Attempt::Failed(failure)) => (Exit::Failed, failure.kind.to_string()),
            Some(Attempt::Panicked(text)) => (Exit::Internal, text),
        };
        let reason = format!("the scenario did not run: {reason}");
        let error = CliError::Unavailable { reason, remedy: None };
        Err(Stop { exit, reports: vec![error.report()] })
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Stop> {
    std::path::absolute(path).map(|path| plain(&path)).map_err(refused)
}

fn unwritable(path: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Stop {
    let (path, source) = (path.to_owned(), io::Error::other(source));
    Stop::invalid(vec![CliError::Unwritable { path, source }.report()])
}

fn interrupted() -> Stop {
    Stop { exit: Exit::Interrupted, reports: Vec::new() }
}

fn refused(source: io::Error) -> Stop {
    let what = "running the scenario";
    Stop::internal(&CliError::System { what, source })
}
