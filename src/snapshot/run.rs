//! The snapshot files of a run: each is read once, looked up by the names of its sections, and written
//! many sections at a time. The runner holds one for all of its threads.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    Content, Mode, Recorded, SnapshotError, State,
    file::{pending_path, read, snapshot_path},
    store::{News, check, record, section, secure, verdict},
};
use crate::{file::Scope, format::Section};

/// The snapshot files that a run has to do with. The cases of a scenario come one after another, so
/// that only the files of the last few are kept.
///
/// What is accepted or proposed is written at once while it is little, then whenever half as much again
/// has come together, and the rest by [`Snapshots::finish`]: the file of a scenario of many cases is
/// written a few times, and not once a case. A run that is killed loses what has not been written.
#[derive(Debug)]
pub struct Snapshots {
    mode: Mode,
    scope: Scope,
    /// The newest last.
    files: Mutex<VecDeque<Arc<Files>>>,
    /// The scenarios of which something was accepted.
    accepted: Mutex<BTreeSet<PathBuf>>,
    /// The first file that could not be written when it was put away.
    failed: Mutex<Option<SnapshotError>>,
}

/// A scenario's files.
#[derive(Debug)]
struct Files {
    scenario: PathBuf,
    /// The names of all sections that the scenario has, in order.
    order: Arc<[String]>,
    known: Mutex<Known>,
}

/// What is known of a scenario's files, and what is to be written.
#[derive(Debug, Default)]
struct Known {
    /// The sections that are reviewed, those that this run has accepted among them; none before the
    /// file is read.
    sections: Option<BTreeMap<String, Arc<Section>>>,
    /// Whether there is a file of proposals.
    has_proposals: bool,
    unsaved: Vec<News<'static>>,
    /// How many have been written.
    saved: usize,
}

impl Snapshots {
    /// Most files that are kept: more than scenarios are under way at once, on most machines.
    const KEPT: usize = 32;

    /// Of a run that does this with what it records; a file that is a link is followed as far as
    /// `scope` has it.
    #[must_use]
    pub fn new(mode: Mode, scope: Scope) -> Self {
        let (files, accepted, failed) = Default::default();
        Self { mode, scope, files, accepted, failed }
    }

    /// What a section came to. It is written as `mode` allows, which is that of the run or, for a record
    /// that is only compared, [`Mode::Check`]. `order` names every section that the scenario has.
    ///
    /// # Errors
    /// When the file can't be read, or this section can't be written.
    pub fn check(
        &self,
        scenario: &Path,
        recorded: &Recorded<'_>,
        order: &Arc<[String]>,
        mode: Mode,
    ) -> Result<State, SnapshotError> {
        let is_table = matches!(recorded.content, Content::Probes { .. });
        if is_table && (mode != Mode::Check || self.mode == Mode::Accept) {
            return self.check_table(scenario, recorded, order, mode);
        }
        let files = self.files_of(scenario, order);
        let stored = files.section(&recorded.section, self.scope)?;
        let state = verdict(recorded, stored.as_deref()).state;
        if mode != Mode::Check {
            self.note(&files, recorded, &state)?;
        }
        Ok(state)
    }

    /// Writes what is not written yet, and returns when all that was accepted would outlive a loss of
    /// power.
    ///
    /// # Errors
    /// When a file can't be written.
    pub fn finish(&self) -> Result<(), SnapshotError> {
        let mut failed = lock(&self.failed).take();
        for files in std::mem::take(&mut *lock(&self.files)) {
            let saved = self.save(&files, &mut lock(&files.known));
            failed = failed.or(saved.err());
        }
        match failed {
            Some(error) => Err(error),
            None => lock(&self.accepted).iter().try_for_each(|scenario| secure(scenario)),
        }
    }

    /// The rows of a table are merged with what the file has, and so written by themselves.
    fn check_table(
        &self,
        scenario: &Path,
        recorded: &Recorded<'_>,
        order: &[String],
        mode: Mode,
    ) -> Result<State, SnapshotError> {
        let recorded = std::slice::from_ref(recorded);
        let checked = check(scenario, recorded, order, mode, self.scope)?;
        let state = checked.verdicts.into_iter().next().map_or(State::New, |verdict| verdict.state);
        if mode == Mode::Accept && state != State::Matches {
            lock(&self.accepted).insert(scenario.to_owned());
        }
        Ok(state)
    }

    /// The files of a scenario, which need not be read yet.
    fn files_of(&self, scenario: &Path, order: &Arc<[String]>) -> Arc<Files> {
        let mut all = lock(&self.files);
        if let Some(files) = all.iter().rev().find(|files| files.scenario == scenario) {
            return Arc::clone(files);
        }
        // One that a thread is about to use is not put away.
        let unused = all.iter().position(|files| Arc::strong_count(files) == 1);
        if all.len() >= Self::KEPT
            && let Some(oldest) = unused.and_then(|place| all.remove(place))
            && let Err(error) = self.save(&oldest, &mut lock(&oldest.known))
        {
            lock(&self.failed).get_or_insert(error);
        }
        let (scenario, order) = (scenario.to_owned(), Arc::clone(order));
        let files = Arc::new(Files { scenario, order, known: Mutex::default() });
        all.push_back(Arc::clone(&files));
        files
    }

    /// Keeps what is to be written of a section, and writes where enough has come together.
    fn note(
        &self,
        files: &Files,
        recorded: &Recorded<'_>,
        state: &State,
    ) -> Result<(), SnapshotError> {
        let whole = (*state != State::Matches).then(|| section(recorded, None));
        let mut known = lock(&files.known);
        let news = match whole {
            Some(section) => News::Whole(section),
            // What is proposed for it goes.
            None if known.has_proposals => News::Same(recorded.section.clone()),
            None => return Ok(()),
        };
        let before = match &news {
            News::Whole(section) if self.mode == Mode::Accept => {
                known.replace(&section.name, Some(Arc::new(section.clone())))
            }
            _ => None,
        };
        known.unsaved.push(news);
        if known.unsaved.len() < (known.saved / 2).max(1) {
            return Ok(());
        }
        self.save(files, &mut known).inspect_err(|_| {
            // The others are tried again; this one fails.
            if let Some(News::Whole(section)) = known.unsaved.pop()
                && self.mode == Mode::Accept
            {
                known.replace(&section.name, before);
            }
        })
    }

    fn save(&self, files: &Files, known: &mut Known) -> Result<(), SnapshotError> {
        if known.unsaved.is_empty() {
            return Ok(());
        }
        record(&files.scenario, &known.unsaved, &files.order, self.mode, self.scope)?;
        let is_new = |news: &News<'_>| matches!(news, News::Whole(_));
        if self.mode == Mode::Accept && known.unsaved.iter().any(is_new) {
            lock(&self.accepted).insert(files.scenario.clone());
        }
        known.saved += known.unsaved.len();
        known.unsaved.clear();
        known.has_proposals = files.proposals_exist();
        Ok(())
    }
}

impl Files {
    /// A section as it was reviewed, or accepted by this run.
    fn section(&self, name: &str, scope: Scope) -> Result<Option<Arc<Section>>, SnapshotError> {
        let mut known = lock(&self.known);
        if let Some(sections) = &known.sections {
            return Ok(sections.get(name).cloned());
        }
        let file = read(&snapshot_path(&self.scenario), scope)?;
        let sections = file.map_or_else(Vec::new, |file| file.sections).into_iter();
        let named = sections.map(|section| (section.name.clone(), Arc::new(section)));
        let found = known.sections.insert(named.collect()).get(name).cloned();
        known.has_proposals = self.proposals_exist();
        Ok(found)
    }

    fn proposals_exist(&self) -> bool {
        pending_path(&snapshot_path(&self.scenario)).exists()
    }
}

impl Known {
    /// Puts a section in the place of the one of its name, or takes that out; gives the earlier one.
    fn replace(&mut self, name: &str, section: Option<Arc<Section>>) -> Option<Arc<Section>> {
        let sections = self.sections.get_or_insert_default();
        match section {
            Some(section) => sections.insert(name.to_owned(), section),
            None => sections.remove(name),
        }
    }
}

/// What a thread has left that panicked is whole: each change is made in one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
