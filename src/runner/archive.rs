//! Holds records against their snapshots and keeps those of failed cases. The threads of a run share
//! one.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{
    Executed, Planned, RunnerError,
    capture::Captures,
    judge::{Comparison, may_record},
    planned::row,
    write_pcapng,
};
use crate::{
    base::CaseId,
    compare::{Mismatch, Rules},
    file::Scope,
    format::{self, ProbeTable},
    reading::Reading,
    scenario::Case,
    snapshot::{Content, Mode, Recorded, SnapshotError, Snapshots, State},
};

/// Where records are held against snapshots, and where their captures are kept.
pub(super) struct Archive {
    mode: Mode,
    captures: Captures,
    /// Cases whose snapshot has been dealt with in this run: a repeat writes nothing.
    seen: Mutex<BTreeSet<CaseId>>,
    /// Records that differ from their snapshots and were proposed.
    proposed: AtomicUsize,
    snapshots: Snapshots,
    accepting: Mutex<()>,
}

/// A record and the case it is of.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    pub(super) planned: &'a Planned,
    pub(super) executed: &'a Executed,
}

impl Record<'_> {
    fn rules(&self) -> Rules<'_> {
        let rules = &self.planned.case.snapshot;
        Rules { masks: &rules.masks, without: &rules.without }
    }
}

impl Archive {
    pub(super) fn new(mode: Mode, scope: Scope, out: PathBuf) -> Self {
        let (seen, proposed, accepting) = Default::default();
        let (captures, snapshots) = (Captures::new(out), Snapshots::new(mode, scope));
        Self { mode, captures, seen, proposed, snapshots, accepting }
    }

    /// Compares records that ran in one world, and writes as the mode allows: those that fail
    /// their own expectations, and repeats, are only compared.
    pub(super) fn compare(&self, records: &[Record<'_>]) -> Vec<Comparison> {
        // A repeat is held against what the first has accepted.
        let accepting = || self.accepting.lock().unwrap_or_else(PoisonError::into_inner);
        let _accepting = (self.mode == Mode::Accept).then(accepting);
        let writes: Vec<bool> = records.iter().map(|record| self.writes(record)).collect();
        let mut comparisons = vec![Comparison::NotConsulted; records.len()];
        for (mode, writing) in [(self.mode, true), (Mode::Check, false)] {
            let chosen: Vec<usize> = (0..records.len())
                .filter(|at| records[*at].planned.consult && writes[*at] == writing)
                .collect();
            let batch: Vec<Record<'_>> = chosen.iter().map(|at| records[*at]).collect();
            for (at, comparison) in chosen.into_iter().zip(self.compare_batch(&batch, mode)) {
                if mode == Mode::Pending && matches!(comparison, Comparison::Differs(_)) {
                    self.proposed.fetch_add(1, Ordering::Relaxed);
                }
                comparisons[at] = comparison;
            }
        }
        comparisons
    }

    /// How many records were proposed in the place of what was reviewed.
    pub(super) fn proposed(&self) -> usize {
        self.proposed.load(Ordering::Relaxed)
    }

    /// Writes what is not written yet, and returns when all that was accepted would outlive a loss of
    /// power.
    pub(super) fn finish(&self) -> Result<(), SnapshotError> {
        self.snapshots.finish()
    }

    fn writes(&self, record: &Record<'_>) -> bool {
        let first = || {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.insert(record.planned.case.id.clone())
        };
        self.mode != Mode::Check
            && may_record(&record.planned.case, &record.executed.failures)
            && first()
    }

    fn compare_batch(&self, records: &[Record<'_>], mode: Mode) -> Vec<Comparison> {
        match records {
            [] => Vec::new(),
            [first, ..] => match &first.planned.facts.probes {
                Some(every) => {
                    let states = self.check_probes(first.planned, every, records, mode);
                    self.comparisons(records, states, mode)
                }
                None => self.compare_each(records, mode),
            },
        }
    }

    fn compare_each(&self, records: &[Record<'_>], mode: Mode) -> Vec<Comparison> {
        records
            .iter()
            .flat_map(|record| {
                let state = self.check_case(record, mode).map(|state| vec![state]);
                self.comparisons(&[*record], state, mode)
            })
            .collect()
    }

    fn comparisons(
        &self,
        records: &[Record<'_>],
        states: Result<Vec<State>, SnapshotError>,
        mode: Mode,
    ) -> Vec<Comparison> {
        match states {
            Ok(states) => records
                .iter()
                .zip(states)
                .map(|(record, state)| self.comparison(&record.planned.case, state, mode))
                .collect(),
            Err(error) => vec![Comparison::Unusable(error.to_string()); records.len()],
        }
    }

    fn comparison(&self, case: &Case, state: State, mode: Mode) -> Comparison {
        match (state, mode) {
            (State::Matches, _) => Comparison::Matches,
            (State::New | State::Differs(_), Mode::Accept) => Comparison::Accepted,
            (State::Differs(mismatch), _) => Comparison::Differs(mismatch),
            (State::New, Mode::Pending) => Comparison::Pending,
            // A repeat of what has been proposed, or a case that fails for another reason.
            (State::New, Mode::Check) if self.mode != Mode::Check => Comparison::Pending,
            (State::New, Mode::Check) => {
                Comparison::Missing(case.source.path.with_extension("snap"))
            }
        }
    }

    fn check_case(&self, record: &Record<'_>, mode: Mode) -> Result<State, SnapshotError> {
        let Planned { case, facts, .. } = record.planned;
        let recorded = Recorded {
            section: format::section_name(&case.id).to_owned(),
            profile: case.profile.clone(),
            content: Content::Record { reading: &record.executed.reading, rules: record.rules() },
        };
        self.snapshots.check(&case.source.path, &recorded, &facts.sections, mode)
    }

    /// One table holds all of a scenario's probes; each probe is told what its own row came to, and
    /// the first one what is in no row of this run.
    fn check_probes(
        &self,
        first: &Planned,
        every: &[Vec<String>],
        records: &[Record<'_>],
        mode: Mode,
    ) -> Result<Vec<State>, SnapshotError> {
        let columns = first.case.matrix.iter().map(|(name, _)| name.clone());
        let mut table = ProbeTable::new(columns);
        for record in records {
            table.push(row(&record.planned.case), record.executed.reading.transcript());
        }
        let recorded = Recorded {
            section: format::PROBES.to_owned(),
            profile: first.facts.profile.clone(),
            content: Content::Probes { table: &table, every },
        };
        let path = &first.case.source.path;
        Ok(match self.snapshots.check(path, &recorded, &first.facts.sections, mode)? {
            State::Differs(mismatch) => rows(records, mismatch),
            state => vec![state; records.len()],
        })
    }

    /// Writes the capture of a record. A probe has no steps and so no packets to keep.
    pub(super) fn keep(&self, reading: &Reading, variant: Option<&str>) -> Result<(), RunnerError> {
        let transcript = reading.transcript();
        if matches!(transcript.steps.as_slice(), [set_up] if set_up.arrivals.is_empty()) {
            return Ok(());
        }
        let path = self.captures.path(&transcript.case, variant);
        let bytes = write_pcapng(reading, Vec::new())
            .map_err(|source| RunnerError::Capture { path: path.clone(), source })?;
        self.captures.write(&path, &bytes)
    }
}

fn rows(records: &[Record<'_>], mut mismatch: Mismatch) -> Vec<State> {
    let mut states: Vec<State> = records
        .iter()
        .skip(1)
        .map(|record| {
            let title = title(&record.planned.case);
            let own = mismatch.differences.extract_if(.., |difference| difference.title == title);
            let differences: Vec<_> = own.collect();
            state(Mismatch { differences, ..mismatch.clone() })
        })
        .collect();
    states.insert(0, state(mismatch));
    states
}

fn state(mismatch: Mismatch) -> State {
    if mismatch.differences.is_empty() { State::Matches } else { State::Differs(mismatch) }
}

/// A probe's row as differences are titled.
fn title(case: &Case) -> String {
    let cells: Vec<String> =
        case.matrix.iter().map(|(name, value)| format!("{name}={value}")).collect();
    cells.join(",")
}
