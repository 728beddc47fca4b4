//! A whole case: its interfaces, its objects, one frame, its record, and everything down again.

use std::sync::Arc;

use tapwright::{
    backend::{Backend, Deadline, Netns, Sim},
    diag::Source,
    runner::exec,
    scenario::{Case, Disk},
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
        goal: None,
    })
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
