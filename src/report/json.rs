//! The report for programs: JSON lines, one for each event.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use serde::Serialize;
use serde_json::Value;

use super::{
    Event, Reporter,
    record::{CaseRecord, DiagnosticRecord, Events, RunRecord, Sums},
};
use crate::{diag::Report, runner::RunEvent, terminal::json};

/// The version of the lines' shape, in the first line. A consumer of version 1 can read every later
/// line of version 1: members are added, never changed or removed.
pub const JSON_FORMAT: u32 = 1;

/// JSON lines: one object for each event, with a `type`.
#[derive(Debug)]
pub struct Json<W> {
    out: W,
    events: Events,
}

/// An event as it is told.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) enum Line<'a> {
    /// The run begins.
    RunStarted {
        /// The version of the lines' shape.
        format: u32,
        /// The version of tapwright.
        tapwright: String,
        /// Cases that were selected.
        cases: usize,
        /// The backends that each runs on.
        backends: Vec<String>,
        /// How often each runs.
        repeat: usize,
    },
    /// A case's first execution begins.
    CaseStarted {
        /// The case.
        case: String,
    },
    /// An execution of a case takes long; told again and again.
    CaseSlow {
        /// The case.
        case: String,
        /// For how long it has been running.
        seconds: f64,
    },
    /// A case is over, on every backend and with all its repeats.
    CaseFinished(Box<Cow<'a, CaseRecord>>),
    /// The run was interrupted.
    Interrupted {
        /// Executions that are being taken down.
        running: usize,
    },
    /// The run is over.
    RunFinished(Sums),
}

impl<W: Write> Json<W> {
    /// Writes to `out`.
    pub const fn new(out: W, events: Events) -> Self {
        Self { out, events }
    }

    /// Tells a run that is over: what is odd about it, its cases, what it came to.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn run(&mut self, record: &RunRecord) -> io::Result<()> {
        self.tell(&Line::RunStarted {
            format: JSON_FORMAT,
            tapwright: record.tapwright.clone(),
            cases: record.sums.totals.selected,
            backends: record.run.backends.clone(),
            repeat: record.run.repeat,
        })?;
        for diagnostic in &record.diagnostics {
            writeln!(self.out, "{}", json(&serde_json::to_string(diagnostic)?))?;
        }
        for case in &record.cases {
            self.tell(&Line::CaseFinished(Box::new(Cow::Borrowed(case))))?;
        }
        self.tell(&Line::RunFinished(record.sums))
    }

    fn tell(&mut self, line: &Line<'_>) -> io::Result<()> {
        writeln!(self.out, "{}", json(&serde_json::to_string(line)?))?;
        self.out.flush()
    }

    fn line<'e>(&self, event: &'e Event) -> Line<'e> {
        match event {
            RunEvent::Started { cases, backends, repeat, .. } => Line::RunStarted {
                format: JSON_FORMAT,
                tapwright: env!("CARGO_PKG_VERSION").to_owned(),
                cases: *cases,
                backends: backends.iter().map(ToString::to_string).collect(),
                repeat: *repeat,
            },
            RunEvent::CaseStarted { case } => Line::CaseStarted { case: case.to_string() },
            RunEvent::CaseSlow { case, running } => {
                Line::CaseSlow { case: case.to_string(), seconds: running.as_secs_f64() }
            }
            RunEvent::CaseFinished(case) => {
                Line::CaseFinished(Box::new(case.explaining(self.events)))
            }
            RunEvent::Interrupted { running } => Line::Interrupted { running: *running },
            RunEvent::Finished { totals, duration } => {
                Line::RunFinished(Sums::new(totals, duration.as_secs_f64()))
            }
        }
    }
}

impl<W: Write> Reporter for Json<W> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        let line = self.line(event);
        self.tell(&line)
    }
}

/// A diagnostic as an object: `type`, `code`, `severity`, `message`, `help`, `file`, `labels`,
/// `rendered`.
#[must_use]
pub fn diagnostic(report: &Report) -> Value {
    serde_json::json!(DiagnosticRecord::from(report))
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
            lines.lines().filter(|line| line.contains(r#""events":["#)).count()
        };
        assert_eq!(with_events(Events::OfFailures), 5);
        assert_eq!(with_events(Events::OfAll), 11);
    }
}
