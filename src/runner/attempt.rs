//! One execution of cases on one backend, and what it came to.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{Executed, Failure, FailureKind, exec::exec_and_look, exec_probes, pause::Watcher};
use crate::{
    backend::{Backend, BackendError, Capabilities, Deadline, World},
    base::{NetdevId, Profile},
    diag::{Report, Span},
    scenario::Case,
};

/// What one execution of a case on one backend came to.
#[derive(Debug)]
pub enum Attempt {
    /// It ran, as far as it went.
    Executed(Executed),
    /// This backend can't run it.
    Skipped(String),
    /// It can't be built as it is written.
    Invalid(Box<Report>),
    /// Its world could not be built, or it never ended.
    Failed(Failure),
    /// tapwright itself failed.
    Panicked(String),
    /// The run was interrupted.
    Interrupted,
}

/// A backend as the run knows it.
#[derive(Clone)]
pub struct Lane {
    /// Its name in this run: that of the backend, or where there are several QEMUs, of the QEMU.
    pub name: Arc<str>,
    /// The backend.
    pub backend: Arc<dyn Backend>,
    /// What it can do, or why it can do nothing.
    pub capabilities: Result<Capabilities, String>,
    /// The profile that a QEMU is held against which has none of its own, or is given another's.
    pub stand_in: Option<Profile>,
}

impl Lane {
    /// A backend by its own name, and what it can do.
    #[must_use]
    pub fn new(backend: Arc<dyn Backend>, capabilities: Result<Capabilities, String>) -> Self {
        Self { name: backend.name().into(), backend, capabilities, stand_in: None }
    }

    /// Asks the backend what it can do.
    #[must_use]
    pub fn probe(backend: Arc<dyn Backend>) -> Self {
        let capabilities = backend.probe().map_err(|error| error.to_string());
        Self::new(backend, capabilities)
    }

    /// Executes cases that share a world, one after the other in it; one attempt for each.
    pub(super) fn attempt(
        &self,
        cases: &[Arc<Case>],
        probes: bool,
        deadline: &Deadline,
        watch: Option<&Watcher>,
    ) -> Vec<Attempt> {
        let [first, ..] = cases else {
            return Vec::new();
        };
        if let Some(reason) = self.lacks(&first.requires) {
            return cases.iter().map(|_| Attempt::Skipped(reason.clone())).collect();
        }
        let taken: Vec<Result<(), String>> = cases
            .iter()
            .map(|case| self.backend.takes(case).map_err(|missing| missing.to_string()))
            .collect();
        let runs = cases.iter().zip(&taken).filter(|(_, taken)| taken.is_ok());
        let runs: Vec<Arc<Case>> = runs.map(|(case, _)| Arc::clone(case)).collect();
        let mut attempts = self.attempt_taken(&runs, probes, deadline, watch).into_iter();
        let attempts = taken.into_iter().filter_map(|taken| match taken {
            Ok(()) => attempts.next(),
            Err(reason) => Some(Attempt::Skipped(reason)),
        });
        attempts.collect()
    }

    fn attempt_taken(
        &self,
        cases: &[Arc<Case>],
        probes: bool,
        deadline: &Deadline,
        watch: Option<&Watcher>,
    ) -> Vec<Attempt> {
        // Each world, and the places of the cases that run in it.
        let mut worlds: Vec<(Arc<Case>, Vec<usize>)> = Vec::new();
        for (place, case) in cases.iter().enumerate() {
            let narrowed = self.backend.narrowed(case);
            let alike =
                |world: &&mut (Arc<Case>, Vec<usize>)| netdevs(&world.0).eq(netdevs(&narrowed));
            match worlds.iter_mut().find(alike) {
                Some((_, places)) => places.push(place),
                None => worlds.push((narrowed, vec![place])),
            }
        }
        let mut attempts: BTreeMap<usize, Attempt> = BTreeMap::new();
        for (world, places) in worlds {
            let here: Vec<Arc<Case>> =
                places.iter().map(|place| Arc::clone(&cases[*place])).collect();
            let came = self.attempt_in(&world, &here, probes, deadline, watch);
            attempts.extend(places.into_iter().zip(came));
        }
        attempts.into_values().collect()
    }

    /// Executes cases in the world that is built for one.
    fn attempt_in(
        &self,
        world: &Case,
        cases: &[Arc<Case>],
        probes: bool,
        deadline: &Deadline,
        watch: Option<&Watcher>,
    ) -> Vec<Attempt> {
        let all = |attempt: fn(String) -> Attempt, text: &str| {
            cases.iter().map(|_| attempt(text.to_owned())).collect()
        };
        let run = |world| execute(cases, probes, world, self.backend.name(), deadline, watch);
        let opened = self.backend.open(world);
        let opened = match opened.map(run) {
            Ok(executed) if executed.iter().any(|executed| executed.in_doubt) => {
                self.backend.open_fresh(world).map(run)
            }
            executed => executed,
        };
        match opened {
            Ok(executed) => executed.into_iter().map(Attempt::Executed).collect(),
            Err(BackendError::Missing(missing)) => all(Attempt::Skipped, &missing.to_string()),
            Err(error @ BackendError::Unavailable { .. }) => {
                all(Attempt::Skipped, &error.to_string())
            }
            Err(BackendError::Case(report)) => {
                cases.iter().map(|_| Attempt::Invalid(report.clone())).collect()
            }
            Err(error @ BackendError::System { .. }) => all(unbuilt, &error.to_string()),
        }
    }

    /// What a case requires and this backend has not.
    fn lacks(&self, requires: &BTreeSet<String>) -> Option<String> {
        let has = match &self.capabilities {
            Ok(capabilities) => &capabilities.has,
            Err(reason) => return Some(reason.clone()),
        };
        let lacking = requires.iter().find(|name| !has.contains(&name.as_str()))?;
        Some(format!("requires {lacking}, which {} has not here", self.backend.name()))
    }
}

/// The netdevs that a case's world has.
fn netdevs(case: &Case) -> impl Iterator<Item = &NetdevId> {
    case.netdevs.iter().map(|netdev| &netdev.id)
}

fn execute(
    cases: &[Arc<Case>],
    probes: bool,
    world: Box<dyn World>,
    backend: &'static str,
    deadline: &Deadline,
    watch: Option<&Watcher>,
) -> Vec<Executed> {
    match cases {
        [case] if !probes => {
            vec![exec_and_look(case, world, backend, deadline, |executed, world| {
                if let Some(watch) = watch {
                    watch.look(executed, world, deadline);
                }
            })]
        }
        cases => {
            let cases: Vec<&Case> = cases.iter().map(AsRef::as_ref).collect();
            exec_probes(&cases, world, backend, deadline)
        }
    }
}

fn unbuilt(text: String) -> Attempt {
    let kind = FailureKind::Backend(text);
    Attempt::Failed(Failure { step: 0, span: Span::default(), kind })
}
