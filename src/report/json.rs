use std::io::{self, Write};

use serde_json::{Map, Value, json};

use super::Reporter;
use crate::{
    base::Tag,
    diag::{Report, Severity, Source},
    record::{CheckpointCause, CheckpointRequest, Event, EventKind, Step, Transcript},
    runner::{CaseResult, Failure, Problem, RunEvent, Status},
    snapshot::Requests,
};

/// The version of the lines' shape, in the first line. A consumer of version 1 can read every later
/// line of version 1: members are added, never changed or removed.
pub const JSON_FORMAT: u32 = 1;

/// Which cases' explaining events are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Events {
    /// Those of failures.
    OfFailures,
    /// Those of every case.
    OfAll,
}

/// JSON lines: one object for each event, with a `type`.
#[derive(Debug)]
pub struct Json<W> {
    out: W,
    events: Events,
}

impl<W: Write> Json<W> {
    /// Writes to `out`.
    pub const fn new(out: W, events: Events) -> Self {
        Self { out, events }
    }

    fn case(&self, result: &CaseResult) -> Value {
        let mut line = json!({
            "type": "case-finished",
            "case": result.case.as_str(),
            "scenario": result.source.path.display().to_string(),
            "backend": result.backend,
            "status": word(&result.status),
            "seconds": result.duration.as_secs_f64(),
            "runs": { "passed": result.runs.passed, "failed": result.runs.failed },
        });
        detail(&mut line, result);
        if !result.agreement.is_empty() {
            line["agreement"] = result
                .agreement
                .iter()
                .map(super::agreement::pair)
                .collect();
        }
        if !result.notes.is_empty() {
            line["notes"] = json!(result.notes);
        }
        let failed = matches!(
            result.status,
            Status::Failed { .. } | Status::Internal { .. }
        );
        if let Some(transcript) = &result.transcript {
            line["profile"] = json!(transcript.profile.to_string());
            line["accounting"] = accounting(transcript);
            if failed || self.events == Events::OfAll {
                let requests = Requests::of(transcript);
                let steps = transcript.steps.iter();
                line["events"] = steps.flat_map(|step| events_of(step, &requests)).collect();
            }
        }
        line
    }
}

impl<W: Write> Reporter for Json<W> {
    fn event(&mut self, event: &RunEvent) -> io::Result<()> {
        let line = match event {
            RunEvent::Started {
                cases,
                backends,
                repeat,
            } => json!({
                "type": "run-started",
                "format": JSON_FORMAT,
                "tapwright": env!("CARGO_PKG_VERSION"),
                "cases": cases,
                "backends": backends,
                "repeat": repeat,
            }),
            RunEvent::CaseStarted { case } => {
                json!({ "type": "case-started", "case": case.as_str() })
            }
            RunEvent::CaseFinished(result) => self.case(result),
            RunEvent::Interrupted { running } => {
                json!({ "type": "interrupted", "running": running })
            }
            RunEvent::Finished { totals, duration } => json!({
                "type": "run-finished",
                "seconds": duration.as_secs_f64(),
                "selected": totals.selected,
                "passed": totals.passed,
                "known_bugs": totals.known_bugs,
                "failed": totals.failed,
                "flaky": totals.flaky,
                "skipped": totals.skipped,
                "pending": totals.pending,
                "proposed": totals.proposed,
                "invalid": totals.invalid,
                "internal": totals.internal,
                "unreferenced": totals.unreferenced,
                "interrupted": totals.interrupted,
                "exit_code": totals.exit().code(),
            }),
        };
        writeln!(self.out, "{line}")?;
        self.out.flush()
    }
}

/// A diagnostic as an object: `type`, `code`, `severity`, `message`, `help`, `file`, `labels`.
#[must_use]
pub fn diagnostic(report: &Report) -> Value {
    let severity = match report.severity {
        Severity::Advice => "advice",
        Severity::Warning => "warning",
        Severity::Error => "error",
    };
    let mut line = json!({
        "type": "diagnostic",
        "code": report.code.0,
        "severity": severity,
        "message": report.message,
    });
    if let Some(help) = &report.help {
        line["help"] = json!(help);
    }
    if let Some(source) = &report.source {
        line["file"] = json!(source.path.display().to_string());
        line["labels"] = report
            .labels
            .iter()
            .map(|label| {
                let (from, to) = (
                    position(source, label.span.start),
                    position(source, label.span.end),
                );
                json!({ "start": from, "end": to, "text": label.text })
            })
            .collect();
    }
    line
}

fn position(source: &Source, byte: usize) -> Value {
    let (line, column) = source.position(byte);
    json!({ "line": line, "column": column })
}

const fn word(status: &Status) -> &'static str {
    match status {
        Status::Passed => "passed",
        Status::Accepted => "accepted",
        Status::KnownBug { .. } => "known-bug",
        Status::Pending => "pending",
        Status::Skipped { .. } => "skipped",
        Status::Failed { .. } => "failed",
        Status::Invalid(_) => "invalid",
        Status::Internal { .. } => "internal",
        Status::Interrupted => "interrupted",
    }
}

/// What goes with the status.
fn detail(line: &mut Value, result: &CaseResult) {
    match &result.status {
        Status::KnownBug { id } => line["known_bug"] = json!(id),
        Status::Skipped { reason } => line["reason"] = json!(reason),
        Status::Failed { problems } => {
            line["problems"] = problems
                .iter()
                .map(|one| problem(one, &result.source))
                .collect();
        }
        Status::Invalid(report) => line["diagnostic"] = diagnostic(report),
        Status::Internal { text } => line["panic"] = json!(text),
        Status::Passed | Status::Accepted | Status::Pending | Status::Interrupted => {}
    }
}

fn problem(problem: &Problem, source: &Source) -> Value {
    let mut object = json!({ "kind": problem.kind(), "message": problem.to_string() });
    if let Problem::Expectation(Failure { step, .. }) = problem {
        object["step"] = json!(step);
    }
    if let Some(line) = problem.line(source) {
        object["line"] = json!(line);
    }
    if let Some(mismatch) = problem.mismatch() {
        object["mismatch"] = json!(mismatch);
    }
    object
}

fn accounting(transcript: &Transcript) -> Value {
    let sums = transcript.accounting;
    json!({
        "sent": sums.sent,
        "arrivals": sums.arrivals,
        "dropped": sums.dropped,
        "unexplained": sums.unexplained,
    })
}

fn events_of<'t>(step: &'t Step, requests: &'t Requests<'t>) -> impl Iterator<Item = Value> + 't {
    step.events
        .iter()
        .map(|event| explaining(step.index, event, requests))
}

fn explaining(step: usize, event: &Event, requests: &Requests<'_>) -> Value {
    let mut object = Map::new();
    object.insert("step".to_owned(), json!(step));
    if let Some(tag) = event.tag {
        object.insert("frame".to_owned(), json!(tag.to_string()));
    }
    object.insert("place".to_owned(), json!(event.place.to_string()));
    let (kind, detail) = match &event.kind {
        EventKind::Seen { direction, data } => {
            if let Some(direction) = direction {
                object.insert("direction".to_owned(), json!(direction.to_string()));
            }
            ("seen", Some(("data", hex(data))))
        }
        EventKind::Consumed => ("consumed", None),
        EventKind::Released { fate, with } => {
            insert_tag(&mut object, "with", *with);
            ("released", Some(("fate", fate.to_string())))
        }
        EventKind::Spent { fate, with } => {
            insert_tag(&mut object, "with", *with);
            ("spent", Some(("fate", fate.to_string())))
        }
        EventKind::Checkpoint(request) => {
            checkpoint(&mut object, request, requests);
            ("checkpoint", None)
        }
        EventKind::Queued => ("queued", None),
        EventKind::Rewritten { field, old, new } => {
            object.insert("field".to_owned(), json!(field));
            object.insert("old".to_owned(), json!(old));
            object.insert("new".to_owned(), json!(new));
            ("rewritten", None)
        }
        EventKind::Dropped(reason) => ("dropped", Some(("reason", reason.to_string()))),
        EventKind::Impaired(done) => ("impaired", Some(("what", done.to_string()))),
        EventKind::Log(text) => ("log", Some(("text", text.clone()))),
        EventKind::Crash(text) => ("crash", Some(("text", text.clone()))),
        EventKind::Frozen => ("frozen", None),
        EventKind::Thawed => ("thawed", None),
        EventKind::Notice(text) => ("notice", Some(("text", text.clone()))),
    };
    object.insert("event".to_owned(), json!(kind));
    if let Some((name, value)) = detail {
        object.insert(name.to_owned(), json!(value));
    }
    Value::Object(object)
}

/// Who asks for a checkpoint, and what for. Offsets count from the Ethernet header, times in
/// seconds of the machine's clock.
fn checkpoint(
    object: &mut Map<String, Value>,
    request: &CheckpointRequest,
    requests: &Requests<'_>,
) {
    let connection = &request.connection;
    object.insert(
        "connection".to_owned(),
        json!({
            "protocol": connection.protocol,
            "source": connection.source.to_string(),
            "destination": connection.destination.to_string(),
            "ports": connection.ports.map(|(from, to)| [from, to]),
        }),
    );
    let cause = match &request.cause {
        CheckpointCause::Bytes { primary, secondary } => {
            json!({"differs": "bytes", "primary": primary, "secondary": secondary})
        }
        CheckpointCause::Lengths { primary, secondary } => {
            json!({"differs": "lengths", "primary": primary, "secondary": secondary})
        }
        CheckpointCause::Acknowledges { primary, both } => {
            json!({"differs": "ack", "primary": primary, "both": both})
        }
        CheckpointCause::TimedOut(side) => json!({"timed_out": side.to_string()}),
        CheckpointCause::QueueFull(side) => json!({"queue_full": side.to_string()}),
    };
    object.insert("cause".to_owned(), cause);
    if let Some(field) = requests.field(request) {
        object.insert("field".to_owned(), json!(field));
    }
    if let Some(bytes) = requests.bytes(request) {
        object.insert("bytes".to_owned(), json!(bytes));
    }
    object.insert("text".to_owned(), json!(requests.describe(request)));
    insert_tag(object, "primary", request.primary);
    insert_tag(object, "secondary", request.secondary);
    let since = request.since.elapsed().as_secs_f64();
    object.insert("since".to_owned(), json!(since));
    object.insert("told".to_owned(), json!(request.told));
}

fn insert_tag(object: &mut Map<String, Value>, name: &str, tag: Option<Tag>) {
    if let Some(tag) = tag {
        object.insert(name.to_owned(), json!(tag.to_string()));
    }
}

fn hex(data: &[u8]) -> String {
    data.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    fn lines(events: Events) -> String {
        let mut json = Json::new(Vec::new(), events);
        for event in &fixture::run() {
            json.event(event).unwrap();
        }
        String::from_utf8(json.out).unwrap()
    }

    #[test]
    fn each_event_is_an_object_on_a_line() {
        let version = format!(r#""tapwright":"{}""#, env!("CARGO_PKG_VERSION"));
        insta::assert_snapshot!(
            lines(Events::OfFailures).replace(&version, r#""tapwright":"VERSION""#)
        );
    }

    #[test]
    fn every_line_is_json_with_a_type() {
        for line in lines(Events::OfAll).lines() {
            let value: Value = serde_json::from_str(line).unwrap();
            assert!(value["type"].is_string(), "{line}");
        }
    }

    #[test]
    fn explaining_events_come_with_failures_or_on_request() {
        let with_events = |events| {
            let lines = lines(events);
            lines
                .lines()
                .filter(|line| line.contains(r#""events":["#))
                .count()
        };
        assert_eq!(with_events(Events::OfFailures), 5);
        assert_eq!(with_events(Events::OfAll), 11);
    }
}
