//! Holds a failed case so that a person can look at its world.

use std::{path::PathBuf, sync::Arc};

use super::{
    Executed, Planned, RunnerError, Status,
    account::account,
    archive::{Archive, Record},
    capture,
    judge::{Comparison, judge},
};
use crate::{
    backend::{Deadline, Exposed, World},
    base::CaseId,
    file::Scope,
    snapshot::Mode,
};

/// Holds a case that failed.
pub trait Pause: Send + Sync {
    /// Called on the case's own thread, which is in the case's namespace, and whose world rests until
    /// this returns: at the latest when the deadline's alarm is raised.
    fn hold(&self, held: &Held, deadline: &Deadline);
}

/// A case that failed, in its world.
#[derive(Clone, Debug)]
pub struct Held {
    /// The case.
    pub case: CaseId,
    /// The backend.
    pub backend: &'static str,
    /// What is wrong, a line each.
    pub problems: Vec<String>,
    /// Its capture so far.
    pub capture: Result<PathBuf, String>,
    /// What can be seen from outside, or why nothing can.
    pub exposed: Result<Exposed, String>,
}

/// Looks at each record before its world is taken down. What comes to light only then, a frame that
/// nothing explains or an interface that can't be removed, holds nothing.
pub(super) struct Watcher {
    pause: Arc<dyn Pause>,
    planned: Planned,
    mode: Mode,
    scope: Scope,
    out: PathBuf,
}

impl Watcher {
    pub(super) const fn new(
        pause: Arc<dyn Pause>,
        planned: Planned,
        mode: Mode,
        scope: Scope,
        out: PathBuf,
    ) -> Self {
        Self { pause, planned, mode, scope, out }
    }

    pub(super) fn look(&self, executed: &Executed, world: &mut dyn World, deadline: &Deadline) {
        let mut executed = executed.clone();
        executed.reading.set_accounting(account(&executed.reading));
        let comparison = self.comparison(&executed);
        let case = &self.planned.case;
        let Status::Failed { problems } = judge(case, executed.failures.clone(), comparison) else {
            return;
        };
        self.pause.hold(
            &Held {
                case: case.id.clone(),
                backend: executed.reading.transcript().backend,
                problems: problems.iter().map(ToString::to_string).collect(),
                capture: self.capture(&executed).map_err(|error| error.to_string()),
                exposed: world.expose().map_err(|error| error.to_string()),
            },
            deadline,
        );
    }

    /// What the snapshot says. Nothing is written here; where a snapshot will be, there is nothing
    /// wrong.
    fn comparison(&self, executed: &Executed) -> Comparison {
        if self.mode == Mode::Accept {
            return Comparison::NotConsulted;
        }
        let record = Record { planned: &self.planned, executed };
        let archive = Archive::new(Mode::Check, self.scope, self.out.clone());
        match archive.compare(&[record]).pop() {
            Some(Comparison::Missing(_)) if self.mode != Mode::Check => Comparison::Pending,
            Some(comparison) => comparison,
            None => Comparison::NotConsulted,
        }
    }

    fn capture(&self, executed: &Executed) -> Result<PathBuf, RunnerError> {
        let archive = Archive::new(Mode::Check, self.scope, self.out.clone());
        archive.keep(&executed.reading, None)?;
        Ok(capture::path(&self.out, &executed.reading.transcript().case, None))
    }
}
