//! One archive for a mail thread: a scenario with what it names, what came of it, and how to run it
//! again.

mod archive;
mod readme;

use std::{
    cell::RefCell,
    io::{self, Write},
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use archive::{Archive, common, plain};
use readme::Readme;
use serde_json::Value;

use super::{
    CliError, ReachArgs, Stop,
    backends::{self, BackendName, Opened, QemuArgs, Worlds},
};
use crate::{
    compare::{Mismatch, Rules},
    diag::Diagnose,
    file::{self, FileError, Scope},
    format, import,
    runner::{self, Attempt, Executed, Exit, Trial, TrialLimits},
    scenario::{Anywhere, Case, Disk, Files, Scenario},
    snapshot::{self, Content, Mode, Recorded, State},
    sys::Interrupt,
};

/// How long the run of a bundle may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What a bundle is made of.
pub(super) struct Bundle<'a> {
    pub(super) scenario: &'a Scenario,
    /// The case's index among those of the scenario.
    pub(super) index: usize,
    /// The case as a tree, its matrix put in.
    pub(super) tree: &'a Value,
    /// What was read of the scenario and with it.
    pub(super) files: &'a Recorder,
    pub(super) backend: BackendName,
    pub(super) qemu: &'a QemuArgs,
}

/// What makes the folder of a bundle the root of its scenario, wherever it is unpacked.
const MARK: (&str, &str) = (
    "tapwright.toml",
    "# This folder is a root: what its scenario names is looked for here, and nowhere above.\n",
);

#[derive(Debug)]
pub(super) struct Recorder {
    reach: ReachArgs,
    read: RefCell<Vec<Read>>,
}

/// A file that was read.
#[derive(Debug)]
struct Read {
    path: PathBuf,
    bytes: Vec<u8>,
    /// Why it is none of the scenario's own, where that was no matter.
    outside: Option<FileError>,
}

impl Recorder {
    pub(super) fn new(reach: ReachArgs) -> Self {
        Self { reach, read: RefCell::default() }
    }

    fn record(&self, path: PathBuf, bytes: &[u8], outside: Option<FileError>) {
        self.read.borrow_mut().push(Read { path, bytes: bytes.to_owned(), outside });
    }
}

impl Files for Recorder {
    fn scenario(&self, path: &Path) -> Result<Vec<u8>, FileError> {
        let bytes = self.reach.files().scenario(path)?;
        self.record(path.to_owned(), &bytes, None);
        Ok(bytes)
    }

    fn capture(&self, scenario: &Path, name: &Path, most: usize) -> Result<Vec<u8>, FileError> {
        let (bytes, outside) = match Disk.capture(scenario, name, most) {
            Err(error @ FileError::Outside { .. }) if self.reach.allow_outside => {
                (Anywhere.capture(scenario, name, most)?, Some(error))
            }
            read => (read?, None),
        };
        let path = scenario.parent().unwrap_or(Path::new("")).join(name);
        self.record(path, &bytes, outside);
        Ok(bytes)
    }
}

impl Bundle<'_> {
    /// Runs the case and writes the archive.
    ///
    /// # Errors
    /// When the case can't run, a file is in the way, or a capture has no place in an archive.
    pub(super) fn write(&self, out: &Path) -> Result<Exit, Stop> {
        let exists = || invalid(&CliError::Exists { path: out.to_owned() });
        if out.symlink_metadata().is_ok() {
            return Err(exists());
        }
        let mut archive = Archive::default();
        let scenario = self.sources(&mut archive)?;
        let opened = backends::open(&[self.backend], self.qemu, Worlds::Fresh)?;
        let mut case = self.scenario.cases[self.index].clone();
        if let Some(probed) = opened.probed() {
            Arc::make_mut(&mut case).profile = probed.profile.clone();
        }
        let executed = self.executed(&case, &opened)?;
        archive.put("record.txt", format::text(&executed.reading));
        let pcapng = runner::write_pcapng(&executed.reading, Vec::new());
        archive.put("record.pcapng", pcapng.map_err(|error| unwritable(out, error))?);
        archive.put("qemu.txt", import::export(self.tree));
        let snapshot = scenario.with_extension("snap");
        let files: Vec<String> = archive.paths().map(|path| path.display().to_string()).collect();
        let readme = Readme {
            case: &case,
            executed: &executed,
            probed: opened.probed(),
            scenario: &scenario,
            several: self.scenario.cases.len() > 1,
            reviewed: archive.paths().any(|path| path == snapshot),
            mismatch: self.mismatch(&case, &executed)?,
            files,
        };
        let readme = readme.text();
        archive.put("README.md", readme);
        let folder = scenario.file_stem().unwrap_or_default().to_string_lossy();
        archive.bytes(&folder).and_then(|bytes| file::create_new(out)?.write_all(&bytes)).map_err(
            |error| match error.kind() {
                io::ErrorKind::AlreadyExists => exists(),
                _ => unwritable(out, error),
            },
        )?;
        Ok(Exit::Success)
    }

    /// Puts in the scenario, the captures that it names and its snapshot, each where the scenario
    /// finds it, and what makes their folder a root; the scenario's own place is returned. What is
    /// outside of the scenario's root now is not put in, whatever may be read.
    fn sources(&self, archive: &mut Archive) -> Result<PathBuf, Stop> {
        let source = &self.scenario.source.path;
        let mut all: Vec<(PathBuf, Vec<u8>)> = Vec::new();
        for Read { path, bytes, outside } in self.files.read.take() {
            match outside {
                Some(source) => return Err(invalid(&CliError::NoPlace { path, source })),
                None => all.push((absolute(&path)?, bytes)),
            }
        }
        let path = source.with_extension("snap");
        match file::read_found(&path, Scope::Root, snapshot::MAX_BYTES) {
            Ok(bytes) => all.push((absolute(&path)?, bytes)),
            Err(error) if error.is_not_found() => {}
            Err(source @ FileError::Outside { .. }) => {
                return Err(invalid(&CliError::NoPlace { path, source }));
            }
            Err(source) => return Err(invalid(&CliError::Unreadable { path, source })),
        }
        let root = common(all.iter().map(|(path, _)| path.as_path()));
        let below = |path: &Path| path.strip_prefix(&root).unwrap_or(path).to_owned();
        for (path, bytes) in &all {
            archive.put(below(path), bytes.clone());
        }
        let (mark, text) = MARK;
        archive.put(mark, text);
        Ok(below(&absolute(source)?))
    }

    /// How the record differs from what was reviewed, where something was. The table of probes is
    /// of all cases at once, and this is one.
    fn mismatch(&self, case: &Case, executed: &Executed) -> Result<Option<Mismatch>, Stop> {
        if self.scenario.probes {
            return Ok(None);
        }
        let recorded = Recorded {
            section: format::section_name(&case.id).to_owned(),
            profile: executed.reading.transcript().profile.clone(),
            content: Content::Record {
                reading: &executed.reading,
                rules: Rules { masks: &case.snapshot.masks, without: &case.snapshot.without },
            },
        };
        let source = &self.scenario.source.path;
        let checked = snapshot::check(source, &[recorded], &[], Mode::Check, Scope::Root)
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

fn invalid(error: &CliError) -> Stop {
    Stop::invalid(vec![error.report()])
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
    Stop::system("running the scenario", source)
}
