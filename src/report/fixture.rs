//! Runs for the tests of this part.

use std::{sync::Arc, time::Duration};

use crate::{
    base::{Profile, Tag},
    compare::{Difference, FieldDifference, FramePair, Mismatch, Trace, What},
    diag::{Code, Report, Source, Span},
    reading::Reading,
    record::{self, Accounting, Deed, DropReason, EventKind, Place, Step, Transcript},
    report::{
        Event, Events,
        record::{CaseRecord, Collector, RunFacts, RunRecord},
    },
    runner::{CaseResult, Failing, Failure, FailureKind, Problem, RunEvent, Runs, Status, Totals},
    scenario::{self, Case, Disk},
};

impl Collector {
    /// The record of a whole run.
    pub(in crate::report) fn of(run: &[Event], events: Events) -> RunRecord {
        let mut collector = Self::new(RunFacts::default());
        for event in run {
            let explaining = |case: Box<CaseRecord>| Box::new(case.explaining(events).into_owned());
            let _ = collector.event(event.clone().map(explaining));
        }
        let record = collector.record();
        "2026-01-02T03:04:05.678Z".clone_into(&mut record.started);
        record.clone()
    }
}

fn source() -> Arc<Source> {
    let text = "description: x\nsteps:\n  - send: hn0.guest\n  - expect: { out0: 2 }\n".to_owned();
    Arc::new(Source { path: "scenarios/colo/ack-rewrite.yaml".into(), text })
}

fn declared() -> Case {
    let text = "description: Acknowledgements are rewritten.\nnetdevs: { hn0: {} }\nchardevs: { \
                out0: {} }\nobjects: [\"filter-redirector,id=red0,netdev=hn0,queue=rx,outdev=out0\"]\n\
                steps:\n  - note: nothing\n"
        .to_owned();
    let source = Source { path: "scenarios/colo/ack-rewrite.yaml".into(), text };
    let parsed = scenario::parse(Arc::new(source), "colo/ack-rewrite", &Disk);
    (*parsed.expect("it is right").cases[0]).clone()
}

fn reading() -> Arc<Reading> {
    let event = record::Event {
        tag: Some(Tag::sent(1)),
        place: Place::Object("red0".into()),
        kind: EventKind::Dropped(DropReason::OutdevClosed),
    };
    let step = Step {
        index: 1,
        title: "send hn0.guest".to_owned(),
        deed: Deed::Sends("hn0.guest".into()),
        line: 3,
        events: vec![event],
        ..Step::default()
    };
    Arc::new(Reading::of(Transcript {
        case: "colo/ack-rewrite".into(),
        profile: Profile::default(),
        backend: "netns",
        ports: Vec::new(),
        steps: vec![step],
        accounting: Accounting { sent: 1, arrivals: 0, dropped: 1, unexplained: 0 },
        duration: Duration::from_millis(3),
    }))
}

fn finished(case: &str, status: Status) -> RunEvent {
    let failed = usize::from(matches!(status, Status::Failed { .. }));
    RunEvent::CaseFinished(Box::new(CaseResult {
        case: Arc::new(Case {
            id: case.into(),
            source: source(),
            tags: ["colo".to_owned()].into(),
            ..declared()
        }),
        backend: "netns".to_owned(),
        status,
        runs: Runs { passed: 1 - failed, failed },
        failing: Vec::new(),
        duration: Duration::from_millis(3),
        reading: Some(reading()),
        agreement: Vec::new(),
        notes: Vec::new(),
    }))
}

fn totals(results: &[RunEvent], totals: Totals) -> Totals {
    results.iter().fold(totals, |mut totals, event| {
        if let RunEvent::CaseFinished(result) = event {
            totals.add(result);
        }
        totals
    })
}

fn around(cases: Vec<RunEvent>, sum: Totals) -> Vec<RunEvent> {
    let started = RunEvent::Started {
        cases: sum.selected,
        backends: vec!["netns".into()],
        repeat: 1,
        stand_ins: Vec::new(),
    };
    let totals = totals(&cases, sum);
    let finished = RunEvent::Finished { totals, duration: Duration::from_millis(412) };
    std::iter::once(started).chain(cases).chain([finished]).collect()
}

/// As reports take it, with all that explains the records.
fn recorded(run: Vec<RunEvent>) -> Vec<Event> {
    let record = |result: Box<CaseResult>| Box::new(CaseRecord::new(&result, Events::OfAll));
    run.into_iter().map(|event| event.map(record)).collect()
}

/// One case of each kind.
pub(super) fn run() -> Vec<Event> {
    let count = Failure {
        step: 2,
        span: Span { start: 47, end: 66 },
        kind: FailureKind::Count { port: "out0".into(), expected: 2, got: 1 },
    };
    let ack = FieldDifference {
        name: "tcp.ack".to_owned(),
        expected: "4001".to_owned(),
        actual: "5001".to_owned(),
        bytes: Some((42, 46)),
        remark: None,
    };
    let trace =
        Trace { last_right: "red0".to_owned(), step: 5, changed_in: Some("rew0".to_owned()) };
    let mismatch = Problem::Mismatch(Mismatch {
        expected: "snapshot".to_owned(),
        actual: "netns".to_owned(),
        differences: vec![Difference {
            step: 1,
            title: "send hn0.guest".to_owned(),
            line: 3,
            port: Some("secondary/hn0.guest".to_owned()),
            what: What::Frame {
                frame: 3,
                of: 7,
                sent: Some(2),
                fields: vec![ack],
                trace: Some(trace),
                came: 3,
                cause: None,
            },
            frames: FramePair::default(),
        }],
    });
    let mut flaky = finished(
        "colo/flaky",
        Status::Failed { problems: vec![Problem::Expectation(count.clone())] },
    );
    if let RunEvent::CaseFinished(result) = &mut flaky {
        result.runs = Runs { passed: 7, failed: 3 };
        result.failing = vec![Failing { first: 2, times: 3, status: result.status.clone() }];
        result.notes.push("'target/x.pcapng' can't be written: no space".to_owned());
    }
    let late = Failure { step: 0, span: Span::default(), kind: FailureKind::Late };
    let cases = vec![
        RunEvent::CaseStarted { case: "redirector/tx-outdev".into() },
        RunEvent::CaseSlow {
            case: "redirector/tx-outdev".into(),
            running: Duration::from_secs(10),
        },
        finished("redirector/tx-outdev", Status::Passed),
        finished("redirector/new", Status::Pending),
        finished("redirector/taken", Status::Accepted),
        finished("redirector/deaf", Status::KnownBug { id: "indev-deaf-after-close".into() }),
        finished("host/ping", Status::Skipped { reason: "sim has no host stack".into() }),
        flaky,
        finished(
            "colo/ack-rewrite",
            Status::Failed { problems: vec![mismatch, Problem::Expectation(count)] },
        ),
        finished("colo/late", Status::Failed { problems: vec![Problem::Expectation(late)] }),
        finished(
            "colo/gone",
            Status::Failed { problems: vec![Problem::BugGone { id: "b".into() }] },
        ),
        finished(
            "colo/invalid",
            Status::Invalid(Box::new(
                Report::error(Code("TW-N999"), "two TAPs are named tap0").with_help("rename one"),
            )),
        ),
        finished("colo/broken", Status::Internal { text: "index out of bounds".to_owned() }),
    ];
    recorded(around(
        cases,
        Totals { selected: 11, proposed: 1, unreferenced: 2, ..Totals::default() },
    ))
}

/// A run that was interrupted after its first case.
pub(super) fn interrupted() -> Vec<Event> {
    let cases = vec![
        finished("a", Status::Passed),
        RunEvent::Interrupted { running: 1 },
        finished("b", Status::Interrupted),
    ];
    recorded(around(
        cases,
        Totals { selected: 3, unreferenced: 1, interrupted: true, ..Totals::default() },
    ))
}
