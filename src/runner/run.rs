//! A run: every case of a plan, on each backend and as often as is asked for, held against its snapshot.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    io,
    os::fd::AsFd,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Lane, Plan, Planned, RunEvent, Totals,
    archive::{Archive, Record},
    attempt::Attempt,
    front::{Front, GRACE, late, not_started, unless_cut_short},
    judge::Comparison,
    pause::Watcher,
    plan::groups,
    pool::{End, Flow, Limits, Signal, Task},
    tally::{Came, Tally},
};
use crate::base::Profile;

/// As [`GRACE`], where a case may be held for a person to look at it.
const PAUSED: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Cases on one backend, once: what one thread does.
struct Execution {
    /// Each with its place in the plan.
    cases: Vec<(usize, Planned)>,
    /// Its place in the plan.
    lane: usize,
    /// Its place among the lanes of the cases.
    seat: usize,
    repeat: usize,
}

/// The executions that have begun and are not over, by the numbers of their tasks.
type Underway = Rc<RefCell<BTreeMap<usize, Arc<Execution>>>>;

/// The run in progress, as the dispatcher sees it.
struct Run<'a> {
    plan: &'a Plan,
    underway: Underway,
    /// The cases that have begun and are not over, by their places in the plan.
    tallies: BTreeMap<usize, Tally>,
    totals: Totals,
    archive: Arc<Archive>,
    listener: &'a mut dyn FnMut(RunEvent),
}

/// Carries the plan out and tells the listener, on this thread and in one order, what happens.
/// `interrupt` becomes readable when the run is to end early.
///
/// # Errors
/// When there is no descriptor or no thread left to tell of an interrupt, or what was accepted or proposed
/// can't be written, or may not outlive a loss of power.
pub fn run(
    plan: &Plan,
    interrupt: Option<&(impl AsFd + Send + Sync)>,
    listener: &mut dyn FnMut(RunEvent),
) -> io::Result<Totals> {
    let began = Instant::now();
    let limits = Limits {
        jobs: plan.jobs,
        timeout: plan.timeout,
        slow_after: plan.slow_after,
        grace: if plan.pause.is_some() { PAUSED } else { GRACE },
        // One at a time is told one after another.
        eager: !plan.fail_fast && plan.pause.is_none() && plan.jobs.get() > 1,
    };
    let front = Front::new(limits)?;
    let mut run = Run::new(plan, listener);
    run.tell(RunEvent::Started {
        cases: plan.cases.len(),
        backends: plan.lanes.iter().map(|lane| Arc::clone(&lane.name)).collect(),
        repeat: plan.repeat.get(),
        stand_ins: stand_ins(plan),
    });
    let tasks = run.tasks();
    front.run(interrupt, tasks, |signal| run.hear(signal))?;
    let archive = Arc::clone(&run.archive);
    let totals = run.finish();
    let kept = archive.finish();
    listener(RunEvent::Finished { totals, duration: began.elapsed() });
    kept.map_err(io::Error::other)?;
    Ok(totals)
}

impl<'a> Run<'a> {
    fn new(plan: &'a Plan, listener: &'a mut dyn FnMut(RunEvent)) -> Self {
        Self {
            plan,
            underway: Underway::default(),
            tallies: BTreeMap::new(),
            totals: Totals {
                selected: plan.cases.len(),
                unreferenced: plan.unreferenced,
                ..Totals::default()
            },
            archive: Arc::new(Archive::new(plan.mode, plan.scope, plan.out.clone())),
            listener,
        }
    }

    /// Made one after another, as threads are free for them.
    fn tasks(&self) -> impl Iterator<Item = Task<Vec<Came>>> + use<'a> {
        let (plan, archive) = (self.plan, Arc::clone(&self.archive));
        let underway = Rc::clone(&self.underway);
        executions(plan).enumerate().map(move |(number, execution)| {
            let task = task(plan, &execution, &archive);
            underway.borrow_mut().insert(number, Arc::new(execution));
            task
        })
    }

    fn tell(&mut self, event: RunEvent) {
        (self.listener)(event);
    }

    fn hear(&mut self, signal: Signal<Vec<Came>>) -> Flow {
        match signal {
            Signal::Started(task) => {
                if let Some(execution) = self.execution(task) {
                    execution.cases.iter().for_each(|(place, planned)| self.begin(*place, planned));
                }
                Flow::Go
            }
            Signal::Slow { task, running } => {
                for (_, planned) in self.execution(task).iter().flat_map(|one| &one.cases) {
                    let case = planned.case.id.clone();
                    self.tell(RunEvent::CaseSlow { case, running });
                }
                Flow::Go
            }
            Signal::Interrupted { running } => {
                self.totals.interrupted = true;
                self.tell(RunEvent::Interrupted { running });
                Flow::Stop
            }
            Signal::Ended { task, end, duration } => {
                let execution = self.underway.borrow_mut().remove(&task);
                execution.map_or(Flow::Go, |execution| self.count(&execution, end, duration))
            }
        }
    }

    fn execution(&self, task: usize) -> Option<Arc<Execution>> {
        self.underway.borrow().get(&task).map(Arc::clone)
    }

    /// A case begins, unless one of its executions has begun before.
    fn begin(&mut self, place: usize, planned: &Planned) {
        if self.tallies.contains_key(&place) {
            return;
        }
        let lanes = planned.lanes(self.plan.lanes.len()).into_iter();
        let names = lanes.map(|lane| Arc::clone(&self.plan.lanes[lane].name)).collect();
        self.tallies.insert(place, Tally::new(planned.clone(), names, self.plan.repeat.get()));
        self.tell(RunEvent::CaseStarted { case: planned.case.id.clone() });
    }

    fn count(&mut self, execution: &Execution, end: End<Vec<Came>>, duration: Duration) -> Flow {
        let Execution { cases, seat, repeat, .. } = execution;
        let share = duration / u32::try_from(cases.len()).unwrap_or(u32::MAX).max(1);
        let all = self.came(end, cases.len(), share);
        let mut flow = Flow::Go;
        for ((place, _), came) in cases.iter().zip(all) {
            let Some(tally) = self.tallies.get_mut(place) else {
                continue;
            };
            let failed_before = tally.has_failed();
            let keep = &mut |reading: &_, variant: Option<&_>| {
                self.archive.keep(reading, variant).map_err(|error| error.to_string())
            };
            let result = tally.add(*repeat, *seat, came, keep);
            if self.plan.fail_fast && !failed_before && tally.has_failed() {
                flow = Flow::Stop;
            }
            if let Some(result) = result {
                self.tallies.remove(place);
                self.totals.add(&result);
                self.tell(RunEvent::CaseFinished(Box::new(result)));
            }
        }
        flow
    }

    /// What came of each of `cases` cases, each with its share of the time.
    fn came(&self, end: End<Vec<Came>>, cases: usize, share: Duration) -> Vec<Came> {
        let interrupted = self.totals.interrupted;
        let each = |attempt: &dyn Fn() -> Attempt| {
            (0..cases).map(|_| Came { duration: share, ..Came::of(attempt()) }).collect()
        };
        match end {
            End::Done(all) if all.len() == cases => {
                let one = |came: Came| {
                    let duration = match &came.attempt {
                        Attempt::Executed(executed) => executed.reading.transcript().duration,
                        _ => share,
                    };
                    let attempt = unless_cut_short(came.attempt, interrupted);
                    Came { attempt, duration, ..came }
                };
                all.into_iter().map(one).collect()
            }
            End::Done(all) => {
                let text = format!("{} records came of {cases} cases", all.len());
                each(&|| Attempt::Panicked(text.clone()))
            }
            End::Panicked(text) => each(&|| Attempt::Panicked(text.clone())),
            End::NotStarted(text) => each(&|| not_started(&text)),
            End::Hung => each(&|| unless_cut_short(late(), interrupted)),
        }
    }

    /// Tells what is known of cases that were cut short.
    fn finish(mut self) -> Totals {
        self.totals.proposed = self.archive.proposed();
        for mut tally in std::mem::take(&mut self.tallies).into_values() {
            if let Some(result) = tally.finish() {
                self.totals.add(&result);
                self.tell(RunEvent::CaseFinished(Box::new(result)));
            }
        }
        self.totals
    }
}

/// The QEMUs that are held against a profile which is not their own.
fn stand_ins(plan: &Plan) -> Vec<(Arc<str>, Profile)> {
    let stand_in = |lane: &Lane| Some((Arc::clone(&lane.name), lane.stand_in.clone()?));
    plan.lanes.iter().filter_map(stand_in).collect()
}

/// In the order in which they begin: all cases once before any is repeated, a case's backends side
/// by side.
fn executions(plan: &Plan) -> impl Iterator<Item = Execution> {
    (0..plan.repeat.get()).flat_map(move |repeat| {
        let mut first = 0;
        plan.cases.parts().flat_map(move |part| {
            let begin = first;
            first += part.len();
            executions_of(plan, &part, begin, repeat)
        })
    })
}

/// Those of cases that follow one another in the plan, of which the first has this place.
fn executions_of(plan: &Plan, part: &[Planned], first: usize, repeat: usize) -> Vec<Execution> {
    groups(part)
        .into_iter()
        .flat_map(|group| {
            let lanes = group.first().map(|at| part[*at].lanes(plan.lanes.len()));
            let cases: Vec<_> =
                group.into_iter().map(|at| (first + at, part[at].clone())).collect();
            let lanes = lanes.unwrap_or_default().into_iter().enumerate();
            lanes.map(move |(seat, lane)| Execution { cases: cases.clone(), lane, seat, repeat })
        })
        .collect()
}

/// What a thread does: it executes the cases, holds their records against the snapshots, and keeps
/// the captures of which it is known already that they are kept.
fn task(plan: &Plan, execution: &Execution, archive: &Arc<Archive>) -> Task<Vec<Came>> {
    let here: Vec<Planned> = execution.cases.iter().map(|(_, planned)| planned.clone()).collect();
    let probes = here.iter().any(|planned| planned.facts.probes.is_some());
    let unasked = here.first().and_then(|planned| planned.unasked.clone());
    let lane = plan.lanes[execution.lane].clone();
    let watcher = match here.as_slice() {
        [planned] if !probes => plan.pause.as_ref().map(|pause| {
            let (mode, scope) = (plan.mode, plan.scope);
            Watcher::new(Arc::clone(pause), planned.clone(), mode, scope, plan.out.clone())
        }),
        _ => None,
    };
    let (archive, consults) = (Arc::clone(archive), execution.seat == 0);
    let alone = plan.repeat.get() == 1
        && here.first().is_some_and(|planned| planned.lanes(plan.lanes.len()).len() == 1);
    Task {
        run: Box::new(move |deadline| {
            let attempts = match unasked {
                Some(reason) => here.iter().map(|_| Attempt::Skipped(reason.clone())).collect(),
                None => {
                    let cases: Vec<_> =
                        here.iter().map(|planned| Arc::clone(&planned.case)).collect();
                    lane.attempt(&cases, probes, deadline, watcher.as_ref())
                }
            };
            let comparisons = if consults {
                compare(&archive, &here, &attempts)
            } else {
                vec![Comparison::NotConsulted; attempts.len()]
            };
            let kept = |attempt: &Attempt| match attempt {
                Attempt::Executed(executed) if alone => {
                    let kept = archive.keep(&executed.reading, None);
                    Some(kept.map_err(|error| error.to_string()))
                }
                _ => None,
            };
            let judged = attempts.into_iter().zip(comparisons).map(|(attempt, comparison)| Came {
                kept: kept(&attempt),
                comparison,
                ..Came::of(attempt)
            });
            judged.collect()
        }),
    }
}

/// What the snapshot says of each attempt that left a record.
fn compare(archive: &Archive, here: &[Planned], attempts: &[Attempt]) -> Vec<Comparison> {
    let mut comparisons = vec![Comparison::NotConsulted; attempts.len()];
    let records: Vec<(usize, Record<'_>)> = here
        .iter()
        .zip(attempts)
        .enumerate()
        .filter_map(|(at, (planned, attempt))| match attempt {
            Attempt::Executed(executed) => Some((at, Record { planned, executed })),
            _ => None,
        })
        .collect();
    let batch: Vec<_> = records.iter().map(|(_, record)| *record).collect();
    for ((at, _), comparison) in records.iter().zip(archive.compare(&batch)) {
        comparisons[*at] = comparison;
    }
    comparisons
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroUsize, sync::Mutex};

    use super::*;
    use crate::{
        backend::{Backend, BackendError, Capabilities, Missing, World},
        diag::{Code, Report},
        file::Scope,
        runner::{Status, fixture},
        scenario::Case,
        snapshot::Mode,
    };

    /// Opens no world; how it fails is said by the case's name.
    struct Fake {
        /// What a case that hangs waits for.
        held: Mutex<io::PipeReader>,
    }

    impl Backend for Fake {
        fn name(&self) -> &'static str {
            "fake"
        }

        fn probe(&self) -> Result<Capabilities, BackendError> {
            Ok(Capabilities { has: vec!["tap"] })
        }

        fn open(&self, case: &Case) -> Result<Box<dyn World>, BackendError> {
            match case.id.as_str() {
                "panics" => panic!("an invariant broke"),
                "hangs" => {
                    io::Read::read(&mut *self.held.lock().unwrap(), &mut [0]).unwrap();
                    Err(BackendError::Missing(Missing("nothing".to_owned())))
                }
                "invalid" => {
                    Err(BackendError::Case(Box::new(Report::error(Code("TW-N999"), "twice"))))
                }
                "refused" => Err(BackendError::System {
                    what: "making tap0".to_owned(),
                    source: io::Error::other("no"),
                }),
                _ => Err(BackendError::Missing(Missing("no TAPs".to_owned()))),
            }
        }
    }

    /// What is told of these cases, one after the other, and what the run came to. The case that
    /// hangs does so until the run is over.
    fn told(cases: &[&str], change: impl FnOnce(&mut Plan)) -> (Vec<String>, Totals) {
        told_until(&planned(cases), change, None::<&io::PipeReader>)
    }

    fn planned(cases: &[&str]) -> Vec<Planned> {
        cases.iter().map(|id| fixture::planned(id)).collect()
    }

    fn told_until(
        cases: &[Planned],
        change: impl FnOnce(&mut Plan),
        interrupt: Option<&(impl AsFd + Send + Sync)>,
    ) -> (Vec<String>, Totals) {
        let (held, _release) = io::pipe().unwrap();
        let out = tempfile::tempdir().unwrap();
        let mut plan = Plan {
            cases: cases.to_vec().into(),
            lanes: vec![Lane::probe(Arc::new(Fake { held: Mutex::new(held) }))],
            mode: Mode::Check,
            scope: Scope::Root,
            repeat: NonZeroUsize::MIN,
            jobs: NonZeroUsize::MIN,
            timeout: Duration::from_secs(600),
            slow_after: None,
            fail_fast: false,
            out: out.path().to_owned(),
            pause: None,
            unreferenced: 0,
        };
        change(&mut plan);
        let mut lines = Vec::new();
        let totals = run(&plan, interrupt, &mut |event| match event {
            RunEvent::CaseFinished(result) => lines.push(format!("{} {}", result.case.id, {
                match &result.status {
                    Status::Failed { problems } => problems[0].to_string(),
                    Status::Internal { text } => format!("internal: {text}"),
                    Status::Invalid(report) => format!("invalid: {}", report.message),
                    Status::Skipped { reason } => format!("skipped: {reason}"),
                    other => format!("{other:?}"),
                }
            })),
            RunEvent::Interrupted { running } => lines.push(format!("interrupted {running}")),
            _ => {}
        })
        .unwrap();
        (lines, totals)
    }

    #[test]
    fn whatever_a_case_does_the_next_one_runs() {
        let (lines, totals) = told(&["panics", "invalid", "refused", "missing"], |_| {});
        assert_eq!(
            lines,
            [
                "panics internal: an invariant broke",
                "invalid invalid: twice",
                "refused making tap0: no",
                "missing skipped: no TAPs",
            ]
        );
        let counted = (totals.internal, totals.invalid, totals.failed, totals.skipped);
        assert_eq!((counted, totals.exit().code()), ((1, 1, 1, 1), 70));
    }

    #[test]
    fn nothing_begins_after_a_failure_when_that_is_wished() {
        let (lines, totals) = told(&["refused", "missing"], |plan| plan.fail_fast = true);
        assert_eq!(lines, ["refused making tap0: no"]);
        assert_eq!((totals.selected, totals.run()), (2, 1));
    }

    #[test]
    fn what_a_case_requires_and_the_backend_has_not_is_said() {
        let mut cases = planned(&["missing"]);
        Arc::make_mut(&mut cases[0].case).requires.insert("vhost".to_owned());
        let (lines, totals) = told_until(&cases, |_| {}, None::<&io::PipeReader>);
        assert_eq!(lines, ["missing skipped: requires vhost, which fake has not here"]);
        assert_eq!(totals.exit().code(), 3);
    }

    #[test]
    fn a_case_that_hangs_is_given_up_after_an_interrupt() {
        let (interrupt, writer) = io::pipe().unwrap();
        io::Write::write_all(&mut &writer, b"!").unwrap();
        let (lines, totals) = told_until(&planned(&["hangs", "missing"]), |_| {}, Some(&interrupt));
        assert_eq!(lines, ["interrupted 1", "hangs Interrupted"]);
        assert_eq!(totals.exit().code(), 130);
    }
}
