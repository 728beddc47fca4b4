//! What a scenario is made of, and what was in it when it was read last. Read by the watch.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::{
    cli::ReachArgs,
    file::{self, FileError},
    runner::ScenarioFile,
    scenario::Files,
    snapshot,
};

/// The content of a file, or that there is none.
pub(super) type Print = Option<[u8; 32]>;

/// A file that a scenario is made of, and how it is read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// The scenario, and whether nobody has named it.
    Scenario {
        path: PathBuf,
        found: bool,
    },
    /// A capture that the scenario names, and how long it may be.
    Capture {
        scenario: PathBuf,
        name: PathBuf,
        most: usize,
    },
    Snapshot(PathBuf),
}

impl Part {
    pub(super) fn path(&self) -> PathBuf {
        match self {
            Self::Scenario { path, .. } | Self::Snapshot(path) => path.clone(),
            Self::Capture { scenario, name, .. } => {
                scenario.parent().unwrap_or(Path::new("")).join(name)
            }
        }
    }

    /// The content of the file as it is now.
    pub(super) fn print(&self, reach: ReachArgs) -> Print {
        print(&self.read(reach))
    }

    fn read(&self, reach: ReachArgs) -> Result<Vec<u8>, FileError> {
        match self {
            Self::Scenario { path, found: true } => reach.files().found(path),
            Self::Scenario { path, found: false } => reach.files().scenario(path),
            Self::Capture { scenario, name, most } => reach.files().capture(scenario, name, *most),
            Self::Snapshot(path) => file::read_found(path, reach.scope(), snapshot::MAX_BYTES),
        }
    }
}

fn print(read: &Result<Vec<u8>, FileError>) -> Print {
    read.as_ref().ok().map(|bytes| Sha256::digest(bytes).into())
}

/// The real files, and which were read and what was in them: what a scenario depends on.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    reach: ReachArgs,
    parts: RefCell<BTreeMap<Part, Print>>,
}

impl Recorder {
    pub(super) fn new(reach: ReachArgs) -> Self {
        Self { reach, ..Self::default() }
    }

    pub(super) fn into_parts(self) -> BTreeMap<Part, Print> {
        self.parts.into_inner()
    }

    /// Notes what is in a scenario's snapshot.
    pub(super) fn snapshot(&self, file: &ScenarioFile) {
        // That there is none is noted as well.
        drop(self.record(Part::Snapshot(snapshot::snapshot_path(&file.path))));
    }

    fn record(&self, part: Part) -> Result<Vec<u8>, FileError> {
        let read = part.read(self.reach);
        self.parts.borrow_mut().insert(part, print(&read));
        read
    }
}

impl Files for Recorder {
    fn scenario(&self, path: &Path) -> Result<Vec<u8>, FileError> {
        self.record(Part::Scenario { path: path.to_owned(), found: false })
    }

    fn found(&self, path: &Path) -> Result<Vec<u8>, FileError> {
        self.record(Part::Scenario { path: path.to_owned(), found: true })
    }

    fn capture(&self, scenario: &Path, name: &Path, most: usize) -> Result<Vec<u8>, FileError> {
        let (scenario, name) = (scenario.to_owned(), name.to_owned());
        self.record(Part::Capture { scenario, name, most })
    }
}
