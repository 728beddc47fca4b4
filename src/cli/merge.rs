//! The command `merge`: the records of several runs as one.

use std::path::{Path, PathBuf};

use super::{
    CliError, Stop,
    output::{self, RunFormat},
    reporting, run,
};
use crate::{
    diag::{Diagnose, Report},
    file::{self, FileError},
    report::{
        ReportFiles, WantedReport,
        record::{self, DiagnosticRecord, Oddity, RunRecord},
    },
    runner::Exit,
};

/// Most bytes of a record.
const MAX_BYTES: usize = 1 << 30;

/// Makes one run of several.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct MergeArgs {
    /// Records that `run --report json=FILE` wrote
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Write a report of the combined run; may be repeated [kinds: html, json, junit, ktap,
    /// markdown, tap]
    #[arg(long = "report", value_name = "KIND=PATH", value_parser = run::report_parser())]
    reports: Vec<WantedReport>,
    /// Output format
    #[arg(long, value_enum, default_value_t = RunFormat::Human)]
    format: RunFormat,
}

pub(super) fn run(args: &MergeArgs) -> Result<Exit, Stop> {
    let (mut runs, mut unreadable) = (Vec::new(), Vec::new());
    for path in &args.files {
        match read(path) {
            Ok(run) => runs.push((path.display().to_string(), run)),
            Err(error) => unreadable.push(error.report()),
        }
    }
    // Read first: a report may go to where one of the files is.
    let mut files = ReportFiles::create(&args.reports).map_err(reporting::not_reported)?;
    if args.format == RunFormat::Github {
        reporting::summarise(&mut files)?;
    }
    let record::Merged { mut record, oddities } = record::merge(runs);
    if !unreadable.is_empty() {
        let exits = [Exit::Invalid, Exit::from_code(record.sums.exit_code)];
        record.sums.exit_code = Exit::first_of(&exits).code();
    }
    let mut reports = unreadable;
    reports.extend(oddities.into_iter().map(odd));
    let diagnostics = reports.iter().map(DiagnosticRecord::from);
    record.diagnostics.extend(diagnostics);
    let unwritten = files.write(&record);
    let mut exit = Exit::from_code(record.sums.exit_code);
    if !unwritten.is_empty() {
        exit = Exit::first_of(&[exit, Exit::Internal]);
    }
    reports.extend(unwritten.into_iter().map(|error| CliError::from(error).report()));
    output::whole(args.format, &record)?;
    output::reports(&reports);
    Ok(exit)
}

fn read(path: &Path) -> Result<RunRecord, CliError> {
    let text = file::read_input(path, MAX_BYTES).and_then(file::text);
    let text = text.map_err(|source| match source {
        // Most often a pcapng or an archive: what is wrong is not the system's affair.
        FileError::NotText => {
            CliError::NotARecord { path: path.to_owned(), source: record::ReadRecordError::NotText }
        }
        source => CliError::Unreadable { path: path.to_owned(), source },
    })?;
    record::read(&text).map_err(|source| CliError::NotARecord { path: path.to_owned(), source })
}

fn odd(oddity: Oddity) -> Report {
    CliError::Merged { source: oddity }.report()
}
