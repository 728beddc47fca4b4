//! Telling a run: while it goes on, in files at its end, and when it can't begin.

use std::{env, io};

use super::{
    CliError, Stop,
    output::{self, RunFormat},
};
use crate::{
    diag::{Diagnose, Report},
    report::{
        self, Event, Events, ReportError, ReportFiles, ReportKind, Reporter, WantedReport,
        record::{CaseRecord, Collector, DiagnosticRecord, RunRecord},
    },
    runner::{self, Exit, Plan},
    sys::Interrupt,
};

pub(super) const STDOUT: &str = "writing to standard output";
pub(super) const AGREE_TABLE: &str = "--agree-table";

/// A reporter, until it can't write.
pub(super) struct GuardedReporter {
    reporter: Box<dyn Reporter>,
    /// What it writes to.
    what: &'static str,
    error: Option<io::Error>,
}

impl GuardedReporter {
    pub(super) const fn new(reporter: Box<dyn Reporter>, what: &'static str) -> Self {
        Self { reporter, what, error: None }
    }

    fn event(&mut self, event: &Event) {
        if self.error.is_none() {
            self.error = self.reporter.event(event).err();
        }
    }

    /// What is wrong with it. A reader that went away wants to know no more, and that is no failure.
    fn report(self) -> Option<Report> {
        let error = self.error?;
        let what = self.what;
        (error.kind() != io::ErrorKind::BrokenPipe).then(|| {
            let error = CliError::System { what, source: error };
            error.report()
        })
    }
}

/// Runs a plan and reports it. The record of a case is made once, with the `events` that somebody asked
/// for. A reporter that fails stops neither the run nor the others.
pub(super) fn run_and_report(
    plan: &Plan,
    interrupt: Interrupt,
    mut reporters: Vec<GuardedReporter>,
    events: Events,
    mut collector: Collector,
    mut files: ReportFiles,
) -> Result<Exit, Stop> {
    let mut unwritten = Vec::new();
    let totals = runner::run(plan, Some(&interrupt), &mut |event| {
        let event = event.map(|result| Box::new(CaseRecord::new(&result, events)));
        reporters.iter_mut().for_each(|reporter| reporter.event(&event));
        if !files.is_empty()
            && let Some(record) = collector.event(event)
        {
            unwritten = files.write(record);
        }
    })
    .map_err(refused("the run"))?;
    let mut reports: Vec<Report> =
        reporters.into_iter().filter_map(GuardedReporter::report).collect();
    reports.extend(unwritten.into_iter().map(|error| CliError::from(error).report()));
    if reports.is_empty() {
        return Ok(totals.exit());
    }
    let exit = if totals.interrupted { Exit::Interrupted } else { Exit::Internal };
    Err(Stop { exit, reports })
}

/// Nothing ran: why is told in the reports too, so that whoever reads only those knows.
pub(super) fn stopped(
    mut stop: Stop,
    format: RunFormat,
    record: &mut RunRecord,
    files: &mut ReportFiles,
) -> Result<Exit, Stop> {
    let diagnostics = stop.reports.iter().map(DiagnosticRecord::from).collect();
    record.stop(stop.exit, diagnostics);
    let unwritten = files.write(record);
    stop.reports.extend(unwritten.into_iter().map(|error| CliError::from(error).report()));
    match format {
        RunFormat::Json => diagnosed(&stop),
        RunFormat::Junit | RunFormat::Tap | RunFormat::Ktap => {
            output::whole(format, record)?;
            Err(stop)
        }
        RunFormat::Github => {
            output::commands(&report::annotations(record, None))?;
            Err(stop)
        }
        RunFormat::Human => Err(stop),
    }
}

/// The summary of a GitHub job is a file that the variable names, and that earlier commands of the
/// same step may have written to.
pub(super) fn summarise(files: &mut ReportFiles) -> Result<(), Stop> {
    let Some(path) = env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    let summary = WantedReport { kind: ReportKind::Markdown, path: path.into() };
    files.append(summary).map_err(|error| not_reported(vec![error]))
}

/// The reports can't be written where they are wanted.
pub(super) fn not_reported(errors: Vec<ReportError>) -> Stop {
    let report = |error| CliError::from(error).report();
    Stop::invalid(errors.into_iter().map(report).collect())
}

/// What is wrong, on standard output, as whoever asked for JSON reads it.
fn diagnosed(stop: &Stop) -> Result<Exit, Stop> {
    output::run_reports(RunFormat::Json, &stop.reports)?;
    Ok(stop.exit)
}

/// The system refused something that every run needs.
pub(super) fn refused(what: &'static str) -> impl Fn(io::Error) -> Stop {
    move |source| Stop::system(what, source)
}
