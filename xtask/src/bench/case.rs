//! A whole case: its interfaces, its objects, one frame, its record, and everything down again; on the
//! kernel beside the model in memory, and beside a bare namespace.

use std::{num::NonZeroUsize, sync::Arc, thread};

use nix::sched::{CloneFlags, unshare};
use tapwright::{
    backend::{Backend, Deadline, Netns, Sim},
    diag::Source,
    runner::exec,
    scenario::{Case, Disk},
    sys::{InterfaceName, Isolated, Tap, TapHeader},
};

use super::{
    BenchError, Lab,
    lap::{Lap, Row, timed},
};

const CASES: u32 = 20;

pub(super) const SCENARIO: &str = "description: one frame through a redirector
netdevs: {hn0: {type: tap}}
chardevs: {r0: {}}
objects:
  - filter-redirector,id=f0,netdev=hn0,queue=tx,outdev=r0
steps:
  - send: hn0.host
    frames: [{hex: '525400123456 020000000001 88b5 00'}]
";

pub(super) fn row(lab: &Lab) -> Result<Row, BenchError> {
    let case = Arc::new(parse(SCENARIO)?);
    let netns = Netns::new(lab.isolated()?.clone());
    Ok(Row {
        subject: ("netns", cases(netns, Arc::clone(&case))),
        baseline: ("sim", cases(Sim, case)),
        of: "case",
        count: CASES,
        baseline_count: CASES,
    })
}

/// Two TAPs and a frame.
const TWO_TAPS: &str = "description: one frame beside a redirector
netdevs: {hn0: {type: tap, ifname: tap0}, hn1: {type: tap, ifname: tap1}}
chardevs: {r0: {}}
objects:
  - filter-redirector,id=f0,netdev=hn0,queue=tx,outdev=r0
steps:
  - send: hn0.host
    frames: [{hex: '525400123456 020000000001 88b5 00'}]
";

/// Namespaces of a lap.
const WORLDS: u32 = 200;

/// Cases in fresh worlds, each beside the least that a fresh world takes.
pub(super) fn fresh(lab: &Lab) -> Result<Row, BenchError> {
    worlds(lab, "netns, fresh worlds", Netns::new(lab.isolated()?.clone()))
}

/// Cases in worlds that are used again.
pub(super) fn recycled(lab: &Lab) -> Result<Row, BenchError> {
    worlds(lab, "netns, used worlds", Netns::recycling(lab.isolated()?.clone()))
}

fn worlds(lab: &Lab, name: &'static str, backend: Netns) -> Result<Row, BenchError> {
    let isolated = lab.isolated()?.clone();
    let case = parse(TWO_TAPS)?;
    Ok(Row {
        subject: (name, Box::new(move || on_all(&|| run(&backend, &case)))),
        baseline: ("a namespace with two TAPs", Box::new(move || on_all(&|| bare(&isolated)))),
        of: "case",
        count: WORLDS,
        baseline_count: WORLDS,
    })
}

/// Does it as often as there are worlds in a lap, on a thread for each processor.
fn on_all(
    once: &(impl Fn() -> Result<(), BenchError> + Sync),
) -> Result<std::time::Duration, BenchError> {
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let share =
        |at: usize| (WORLDS as usize * (at + 1) / threads) - (WORLDS as usize * at / threads);
    timed(|| {
        thread::scope(|scope| {
            let started: Vec<_> = (0..threads)
                .map(|at| scope.spawn(move || (0..share(at)).try_for_each(|_| once())))
                .collect();
            let mut ended = started.into_iter().map(thread::ScopedJoinHandle::join);
            ended.try_for_each(|ended| {
                ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
        })
    })
}

/// A namespace with two TAPs, which is dropped when the thread makes the next one.
fn bare(isolated: &Isolated) -> Result<(), BenchError> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(|errno| BenchError::Wrong(errno.to_string()))?;
    for name in ["tap0", "tap1"] {
        let name: InterfaceName =
            name.parse().map_err(|error: tapwright::sys::InterfaceNameError| {
                BenchError::Wrong(error.to_string())
            })?;
        Tap::create(isolated, &name, TapHeader::None, true)
            .map_err(|error| BenchError::Wrong(error.to_string()))?;
    }
    Ok(())
}

fn cases(backend: impl Backend + 'static, case: Arc<Case>) -> Lap {
    Box::new(move || {
        timed(|| {
            for _ in 0..CASES {
                run(&backend, &case)?;
            }
            Ok(())
        })
    })
}

/// Runs a case, which must have nothing to complain of.
pub(super) fn run(backend: &dyn Backend, case: &Case) -> Result<(), BenchError> {
    let world = backend.open(case)?;
    let executed = exec(case, world, backend.name(), &Deadline::NEVER);
    match executed.failures.first() {
        None => Ok(()),
        Some(failure) => Err(BenchError::Wrong(format!("{failure:?}"))),
    }
}

/// The one case of a scenario.
pub(super) fn parse(text: &str) -> Result<Case, BenchError> {
    let source = Source { path: "bench.yaml".into(), text: text.to_owned() };
    let wrong = |what: String| BenchError::Scenario(what);
    let scenario = tapwright::scenario::parse(Arc::new(source), "bench", &Disk)
        .map_err(|reports| wrong(format!("{reports:?}")))?;
    let mut cases = scenario.cases;
    let case = cases.pop().ok_or_else(|| wrong("it has no case".to_owned()))?;
    Ok(Arc::unwrap_or_clone(case))
}
