//! A dry run: cases on every backend, without snapshots. Used by random tests, by shrinking and by bundles.

use std::{collections::BTreeMap, io, num::NonZeroUsize, os::fd::AsFd, sync::Arc, time::Duration};

use super::{
    Attempt, Lane,
    front::{Front, GRACE, late, not_started, unless_cut_short},
    pool::{End, Flow, Limits, Signal, Task},
};
use crate::scenario::Case;

/// A case that is tried on every lane, without a snapshot.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The case.
    pub case: Arc<Case>,
    /// It is a probe: refusals are its data.
    pub probe: bool,
}

/// How trials run.
#[derive(Clone, Copy, Debug)]
pub struct TrialLimits {
    /// Executions at once.
    pub jobs: NonZeroUsize,
    /// How long an execution may take.
    pub timeout: Duration,
}

/// Tries cases on all lanes, each execution on a thread of its own, and tells, on this thread, what
/// came of each case: its place among the cases, and an attempt for each lane in their order. The
/// cases are asked for one by one, as there is room. No case begins after the listener says no.
/// Whether the trials were interrupted is returned.
///
/// # Errors
/// When there is no descriptor or no thread left to tell of an interrupt.
pub fn try_cases(
    lanes: &[Lane],
    limits: TrialLimits,
    cases: impl Iterator<Item = Trial>,
    interrupt: Option<&(impl AsFd + Send + Sync)>,
    mut listener: impl FnMut(usize, Vec<Attempt>) -> bool,
) -> io::Result<bool> {
    let front = Front::new(Limits {
        jobs: limits.jobs,
        timeout: limits.timeout,
        slow_after: None,
        grace: GRACE,
        eager: false,
    })?;
    let mut interrupted = false;
    let mut open: BTreeMap<usize, Vec<Option<Attempt>>> = BTreeMap::new();
    let tasks = cases.flat_map(|trial| lanes.iter().map(move |lane| task(lane, &trial)));
    front.run(interrupt, tasks, |signal| match signal {
        Signal::Started(_) | Signal::Slow { .. } => Flow::Go,
        Signal::Interrupted { .. } => {
            interrupted = true;
            Flow::Stop
        }
        Signal::Ended { task, end, .. } => {
            let (place, lane) = (task / lanes.len(), task % lanes.len());
            let attempts =
                open.entry(place).or_insert_with(|| lanes.iter().map(|_| None).collect());
            attempts[lane] = Some(attempt(end, interrupted));
            if attempts.iter().any(Option::is_none) {
                return Flow::Go;
            }
            let all = open.remove(&place).into_iter().flatten().flatten();
            if listener(place, all.collect()) { Flow::Go } else { Flow::Stop }
        }
    })?;
    Ok(interrupted)
}

fn task(lane: &Lane, trial: &Trial) -> Task<Attempt> {
    let (lane, trial) = (lane.clone(), trial.clone());
    Task {
        run: Box::new(move |deadline| {
            let cases = [trial.case];
            let mut attempts = lane.attempt(&cases, trial.probe, deadline, None);
            let none = || Attempt::Panicked("no record came of the case".to_owned());
            attempts.pop().unwrap_or_else(none)
        }),
    }
}

/// What an execution came to.
fn attempt(end: End<Attempt>, interrupted: bool) -> Attempt {
    let attempt = match end {
        End::Done(attempt) => attempt,
        End::Panicked(text) => Attempt::Panicked(text),
        End::Hung => late(),
        End::NotStarted(text) => not_started(&text),
    };
    unless_cut_short(attempt, interrupted)
}

#[cfg(test)]
mod tests {
    use std::io::PipeReader;

    use super::*;
    use crate::{
        backend::{Backend, BackendError, Capabilities, Missing, Sim, World},
        runner::fixture,
    };

    struct Broken;

    impl Backend for Broken {
        fn name(&self) -> &'static str {
            "broken"
        }

        fn probe(&self) -> Result<Capabilities, BackendError> {
            Ok(Capabilities::default())
        }

        fn open(&self, case: &Case) -> Result<Box<dyn World>, BackendError> {
            match case.id.as_str() {
                "panics" => panic!("an invariant broke"),
                _ => Err(BackendError::Missing(Missing("no TAPs".to_owned()))),
            }
        }
    }

    #[test]
    fn every_case_is_told_with_an_attempt_for_each_lane_until_the_listener_has_enough() {
        let lanes = [Lane::probe(Arc::new(Sim)), Lane::probe(Arc::new(Broken))];
        let limits = TrialLimits { jobs: NonZeroUsize::MIN, timeout: Duration::from_secs(600) };
        let cases = ["panics", "lacks", "never"]
            .into_iter()
            .map(|id| Trial { case: Arc::new(fixture::case(id)), probe: false });
        let mut told = Vec::new();
        let none = None::<&PipeReader>;
        let interrupted = try_cases(&lanes, limits, cases, none, |place, attempts| {
            let words: Vec<_> = attempts
                .iter()
                .map(|attempt| match attempt {
                    Attempt::Executed(_) => "ran",
                    Attempt::Skipped(reason) => reason,
                    Attempt::Panicked(text) => text,
                    _ => "?",
                })
                .collect();
            told.push(format!("{place} {}", words.join(", ")));
            place == 0
        });
        assert!(!interrupted.unwrap());
        assert_eq!(told, ["0 ran, an invariant broke", "1 ran, no TAPs"]);
    }
}
