//! Carries a case out in a world, step by step, and writes down what comes of it: the one executor
//! for all backends.

use std::{
    fmt::{self, Write},
    ops::ControlFlow,
    time::Instant,
};

use sha2::{Digest as _, Sha256};

use super::{Executed, Failure, FailureKind, account::account, expect::Ledger, title};
use crate::{
    backend::{Action, BackendError, Deadline, Settled, World},
    base::{MachineId, Tag},
    diag::Span,
    frame,
    reading::Reader,
    record::{Accounting, Answer, Deed, Item, Outcome, SentFrame, Step, Transcript},
    scenario::{Burst, Case, ExpectError, Expectations, Outgoing, Verb},
};

/// Runs a case in a world and returns its record and what was wrong, apart from the snapshot. The
/// world is taken down. The run ends at the first step that storms or passes the deadline.
#[must_use]
pub fn exec(
    case: &Case,
    world: Box<dyn World>,
    backend: &'static str,
    deadline: &Deadline,
) -> Executed {
    exec_and_look(case, world, backend, deadline, |_, _| {})
}

/// As [`exec`]; `look` is given the record and the world before that is taken down.
pub(super) fn exec_and_look(
    case: &Case,
    mut world: Box<dyn World>,
    backend: &'static str,
    deadline: &Deadline,
    look: impl FnOnce(&Executed, &mut dyn World),
) -> Executed {
    let mut run = Run::new(case, world.as_mut(), backend, deadline);
    if run.set_up(Refusals::Fail).is_continue() {
        for (index, step) in (1..).zip(&case.steps) {
            if run.step(index, step).is_break() {
                break;
            }
        }
    }
    run.check_whole_run();
    let mut executed = run.close();
    look(&executed, world.as_mut());
    let residue = world.finish();
    executed.in_doubt = residue.in_doubt;
    executed.reading.add_events(residue.events);
    let place = |kind| Failure { step: 0, span: Span::default(), kind };
    executed
        .failures
        .extend(residue.errors.into_iter().map(|error| place(FailureKind::Residue(error))));
    executed.reading.set_accounting(account(&executed.reading));
    let stopped = executed.failures.iter().any(|failure| failure.kind.ends_the_run());
    let count = executed.reading.transcript().accounting.unexplained;
    if count > 0 && !stopped {
        executed.failures.push(place(FailureKind::Unexplained { count }));
    }
    executed
}

/// Runs probes, cases without steps that differ only in their objects, one after another in one
/// world: each adds its objects, records the answers, and deletes what it made.
#[must_use]
pub fn exec_probes(
    cases: &[&Case],
    mut world: Box<dyn World>,
    backend: &'static str,
    deadline: &Deadline,
) -> Vec<Executed> {
    let mut executed: Vec<_> = cases
        .iter()
        .map(|case| {
            let mut run = Run::new(case, world.as_mut(), backend, deadline);
            if run.set_up(Refusals::AreTheData).is_continue() {
                run.remove_objects();
            }
            run.check_whole_run();
            run.close()
        })
        .collect();
    for one in &mut executed {
        one.reading.set_accounting(account(&one.reading));
    }
    let residue = world.finish();
    executed.iter_mut().for_each(|one| one.in_doubt = residue.in_doubt);
    if let Some(last) = executed.last_mut() {
        last.failures.extend(residue.errors.into_iter().map(|error| Failure {
            step: 0,
            span: Span::default(),
            kind: FailureKind::Residue(error),
        }));
    }
    executed
}

/// Probes of one scenario whose digests are the same can share a world: they differ in nothing but
/// their objects.
pub(super) fn world_digest(case: &Case) -> [u8; 32] {
    struct Digest(Sha256);
    impl fmt::Write for Digest {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.update(text);
            Ok(())
        }
    }
    let mut digest = Digest(Sha256::new());
    let world = (
        &case.profile,
        &case.namespaces,
        &case.links,
        &case.bridges,
        &case.routes,
        &case.machines,
        &case.netdevs,
        &case.chardevs,
        (&case.stacks, &case.impair),
    );
    // A digest takes everything.
    let written = write!(digest, "{world:?}");
    debug_assert!(written.is_ok(), "nothing of a case fails to print");
    digest.0.finalize().into()
}

/// What an object's refusal means where the scenario does not expect it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refusals {
    /// The case fails.
    Fail,
    /// It is what a probe asks for; the snapshot holds it.
    AreTheData,
}

/// A case that is being run.
struct Run<'a> {
    case: &'a Case,
    world: &'a mut dyn World,
    deadline: &'a Deadline,
    started: Instant,
    sent: u32,
    failures: Vec<Failure>,
    transcript: Transcript,
    /// Reads the transcript as it grows.
    reader: Reader,
    ledger: Ledger,
}

impl<'a> Run<'a> {
    fn new(
        case: &'a Case,
        world: &'a mut dyn World,
        backend: &'static str,
        deadline: &'a Deadline,
    ) -> Self {
        let transcript = Transcript {
            case: case.id.clone(),
            profile: case.profile.clone(),
            backend,
            ports: case.ports.clone(),
            steps: Vec::new(),
            accounting: Accounting::default(),
            duration: std::time::Duration::ZERO,
        };
        Self {
            case,
            world,
            deadline,
            started: Instant::now(),
            sent: 0,
            failures: Vec::new(),
            transcript,
            reader: Reader::new(&case.ports),
            ledger: Ledger::new(&case.snapshot.masks),
        }
    }

    /// Creates the objects. A refusal does not stop the next one.
    fn set_up(&mut self, refusals: Refusals) -> ControlFlow<()> {
        self.begin(0, "set-up".to_owned(), Deed::Other, Span::default());
        self.in_time(Span::default())?;
        self.settle(Span::default())?;
        for object in &self.case.objects {
            let answer = self.act(Action::ObjectAdd(object), object.span)?;
            if let Some(answer) = answer {
                let expected = object.id.as_ref().and_then(|id| {
                    let errors = &self.case.expect.errors;
                    errors.iter().find(|(expected, _)| expected == id)
                });
                if expected.is_some() || refusals == Refusals::Fail {
                    self.judge(&answer, expected.map(|(_, error)| error), object.span);
                }
                self.current().answers.push(answer);
            }
            self.settle(object.span)?;
        }
        ControlFlow::Continue(())
    }

    /// Deletes the objects that were created, the last one first.
    fn remove_objects(&mut self) {
        let case = self.case;
        let created: Vec<(MachineId, String)> = self
            .current()
            .answers
            .iter()
            .filter(|answer| matches!(answer.outcome, Outcome::Done(_)))
            .filter_map(|answer| case.owner(answer.subject.as_deref()?))
            .collect();
        for (machine, id) in created.into_iter().rev() {
            let mut args = serde_json::Map::new();
            args.insert("id".to_owned(), id.into());
            let delete = Action::Qmp { machine: &machine, command: "object-del", args: &args };
            let span = Span::default();
            match self.act(delete, span) {
                ControlFlow::Continue(Some(answer)) => self.judge(&answer, None, span),
                ControlFlow::Continue(None) => {}
                ControlFlow::Break(()) => return,
            }
            if self.settle(span).is_break() {
                return;
            }
        }
    }

    fn step(&mut self, index: usize, step: &crate::scenario::Step) -> ControlFlow<()> {
        self.begin(index, title::of(&step.verb), title::deed(&step.verb), step.span);
        let span = step.span;
        self.in_time(span)?;
        match &step.verb {
            Verb::Send { port, frames, burst, chunk } => {
                for outgoing in frames {
                    if !outgoing.after.is_zero() {
                        self.act(Action::Advance(outgoing.after), span)?;
                        self.settle(span)?;
                    }
                    let tag = self.number(port, outgoing);
                    let frame = &outgoing.frame;
                    self.act(Action::Send { port, frame, tag, chunk: *chunk }, span)?;
                    if *burst == Burst::OneAtATime {
                        self.settle(span)?;
                    }
                }
            }
            Verb::Write { port, data, chunk } => {
                self.current().written = Some(data.clone());
                self.act(Action::Write { port, data, chunk: *chunk }, span)?;
            }
            Verb::Qmp { machine, command, args } => {
                let action = Action::Qmp { machine, command, args };
                let answer = self.act(action, span)?;
                self.answered(answer, step.error.as_ref(), span);
            }
            Verb::ObjectAdd(object) => {
                let answer = self.act(Action::ObjectAdd(object), span)?;
                self.answered(answer, step.error.as_ref(), span);
            }
            Verb::Migrate { from, to } => {
                let answer = self.act(Action::Migrate { from, to }, span)?;
                self.answered(answer, step.error.as_ref(), span);
            }
            Verb::Expect(expected) => {
                self.wait_for(expected, span)?;
                let kinds = self.ledger.judge(expected, &self.reader);
                self.failures.extend(kinds.into_iter().map(|(span, kind)| Failure {
                    step: index,
                    span,
                    kind,
                }));
            }
            Verb::Client(client) => {
                self.act(Action::Client(client), span)?;
                self.settle(span)?;
                let answer = self.act(Action::ClientAnswer, span)?;
                self.answered(answer, step.error.as_ref(), span);
            }
            Verb::Note(_) => {}
            verb => {
                if let Some(action) = plain_action(verb) {
                    self.act(action, span)?;
                }
            }
        }
        self.settle(span)
    }

    /// Waits for what is expected, as long as the expectation allows.
    fn wait_for(&mut self, expected: &Expectations, span: Span) -> ControlFlow<()> {
        let Some(within) = expected.within else {
            return ControlFlow::Continue(());
        };
        let until = self.deadline.or_at(Instant::now() + within);
        while !self.ledger.satisfied(expected, &self.reader) {
            self.in_time(span)?;
            if until.passed() {
                break;
            }
            let waited = self.world.wait(&until);
            self.collect();
            match self.check(waited, span)? {
                None => break,
                Some(Settled::Died(how)) => {
                    let kind = self.death(how);
                    self.fail(span, kind);
                    return ControlFlow::Break(());
                }
                Some(_) => {}
            }
        }
        ControlFlow::Continue(())
    }

    /// Ends the run when its own time is up.
    fn in_time(&mut self, span: Span) -> ControlFlow<()> {
        if self.deadline.passed() {
            self.fail(span, FailureKind::Late);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    /// Numbers a frame and writes it down as sent.
    fn number(&mut self, port: &crate::base::PortId, outgoing: &Outgoing) -> Tag {
        self.sent += 1;
        let tag = Tag::sent(self.sent);
        self.current().sent.push(SentFrame {
            tag,
            port: port.clone(),
            frame: outgoing.frame.clone(),
            source: outgoing.source.clone(),
        });
        tag
    }

    fn answered(&mut self, answer: Option<Answer>, expected: Option<&ExpectError>, span: Span) {
        if let Some(answer) = answer {
            self.judge(&answer, expected, span);
            self.current().answers.push(answer);
        }
    }

    /// Holds an answer against what is expected of it.
    fn judge(&mut self, answer: &Answer, expected: Option<&ExpectError>, span: Span) {
        let kind = match (expected, &answer.outcome) {
            (None, Outcome::Refused(_) | Outcome::Aborts(_)) => {
                FailureKind::Refused { answer: answer.clone() }
            }
            (Some(expected), outcome) if !expected.is_met_by(outcome) => {
                FailureKind::ExpectedError {
                    answer: answer.clone(),
                    expected: expected.to_string(),
                }
            }
            _ => return,
        };
        self.fail(span, kind);
    }

    fn fail(&mut self, span: Span, kind: FailureKind) {
        let step = self.transcript.steps.last().map_or(0, |step| step.index);
        self.failures.push(Failure { step, span, kind });
    }

    fn begin(&mut self, index: usize, title: String, deed: Deed, span: Span) {
        let line = self.case.source.position(span.start).0;
        self.transcript.steps.push(Step { index, title, deed, line, ..Step::default() });
    }

    fn current(&mut self) -> &mut Step {
        if self.transcript.steps.is_empty() {
            self.begin(0, "set-up".to_owned(), Deed::Other, Span::default());
        }
        let last = self.transcript.steps.len() - 1;
        &mut self.transcript.steps[last]
    }

    fn act(&mut self, action: Action<'_>, span: Span) -> ControlFlow<(), Option<Answer>> {
        let acted = self.world.act(action);
        self.check(acted, span)
    }

    fn settle(&mut self, span: Span) -> ControlFlow<()> {
        let settled = self.world.settle(self.deadline);
        self.collect();
        let kind = match self.check(settled, span)? {
            Settled::Idle => return ControlFlow::Continue(()),
            Settled::Storm(cycle) => FailureKind::Storm { cycle },
            Settled::Late => FailureKind::Late,
            Settled::Died(how) => self.death(how),
        };
        self.fail(span, kind);
        ControlFlow::Break(())
    }

    /// How QEMU died, and what it did last.
    fn death(&self, how: String) -> FailureKind {
        const LAST: usize = 3;
        let arrivals = self.transcript.steps.iter().flat_map(|step| {
            let arrivals = step.arrivals.iter();
            arrivals.map(move |arrival| (step.index, arrival))
        });
        let mut last: Vec<String> = arrivals
            .map(|(step, arrival)| {
                let what = match &arrival.item {
                    Item::Frame(frame) => frame::summary(&frame.data),
                    Item::Bytes(bytes) => format!("{} bytes", bytes.len()),
                    Item::Eof => "end of file".to_owned(),
                };
                format!("step {step}: {} <- {what}", arrival.port)
            })
            .collect();
        last.drain(..last.len().saturating_sub(LAST));
        FailureKind::Died { how, last }
    }

    /// Ends the run when the world itself failed.
    fn check<T>(&mut self, result: Result<T, BackendError>, span: Span) -> ControlFlow<(), T> {
        match result {
            Ok(value) => ControlFlow::Continue(value),
            Err(error) => {
                self.fail(span, FailureKind::Backend(error.to_string()));
                ControlFlow::Break(())
            }
        }
    }

    /// Writes down what came out.
    fn collect(&mut self) {
        let observed = self.world.observe();
        let clock = self.world.now();
        // What guests and clients sent by themselves is numbered behind the scenario's frames.
        let count = u32::try_from(observed.sent.len()).unwrap_or(u32::MAX);
        self.sent = self.sent.saturating_add(count);
        let step = self.current();
        step.sent.extend(observed.sent);
        step.arrivals.extend(observed.arrivals);
        step.events.extend(observed.events);
        step.answers.extend(observed.answers);
        step.clock = clock;
        self.reader.read(&self.transcript.steps);
    }

    /// Holds the whole run against the scenario's own `expect`.
    fn check_whole_run(&mut self) {
        let failures =
            Ledger::new(&self.case.snapshot.masks).judge(&self.case.expect, &self.reader);
        self.failures.extend(failures.into_iter().map(|(span, kind)| Failure {
            step: 0,
            span,
            kind,
        }));
        for (object, error) in &self.case.expect.errors {
            let about = |answer: &Answer| answer.subject.as_deref() == Some(object.as_str());
            if !self.transcript.steps.iter().any(|step| step.answers.iter().any(about)) {
                self.failures.push(Failure {
                    step: 0,
                    span: error.span,
                    kind: FailureKind::NoSuchError { object: object.clone() },
                });
            }
        }
    }

    /// The record as far as it goes: what is still on its way, and so the accounting, is known only
    /// when the world has been taken down.
    fn close(mut self) -> Executed {
        self.transcript.duration = self.started.elapsed();
        let reading = self.reader.finish(self.transcript);
        Executed { reading, failures: self.failures, in_doubt: false }
    }
}

/// The verbs that are one action without an answer.
fn plain_action(verb: &Verb) -> Option<Action<'_>> {
    Some(match verb {
        Verb::ChardevOpen(port) => Action::ChardevOpen(port),
        Verb::ChardevClose { port, half } => Action::ChardevClose { port, half: *half },
        Verb::ChardevStall(port) => Action::ChardevStall(port),
        Verb::ChardevResume(port) => Action::ChardevResume(port),
        Verb::LinkSet(change) => Action::LinkSet(change),
        Verb::LinkDel(port) => Action::LinkDel(port),
        Verb::Colo { event, machine } => Action::Colo { event: *event, machine: machine.as_ref() },
        Verb::Advance(span) => Action::Advance(*span),
        Verb::Impair(changes) => Action::Impair(changes),
        _ => return None,
    })
}
