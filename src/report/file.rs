//! The files that reports go to.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use super::{WantedReport, record::RunRecord};
use crate::file;

/// The files that reports go to. They are made before the run, so that a place that can't be written
/// is known before anything has run, and no report of an earlier run is taken for this one's: a file
/// that is empty belongs to a run that did not come to its end.
#[derive(Debug, Default)]
pub struct ReportFiles(Vec<(WantedReport, File)>);

/// A report that can't be written.
#[derive(Debug, thiserror::Error)]
#[error("the report '{}' can't be written: {source}", path.display())]
pub struct ReportError {
    /// Where it was to go.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl ReportFiles {
    /// Makes the files, and the directories that they are in.
    ///
    /// # Errors
    /// Every one that can't be made.
    pub fn create(wanted: &[WantedReport]) -> Result<Self, Vec<ReportError>> {
        let (mut files, mut errors) = (Vec::new(), Vec::new());
        for report in wanted {
            match create(&report.file()) {
                Ok(file) => files.push((report.clone(), file)),
                Err(source) => errors.push(report_error(report, source)),
            }
        }
        if errors.is_empty() { Ok(Self(files)) } else { Err(errors) }
    }

    /// Adds a report that goes behind what the file has, as GitHub wants its job summary.
    ///
    /// # Errors
    /// When the file can't be opened.
    pub fn append(&mut self, report: WantedReport) -> Result<(), ReportError> {
        let opened = file::append(&report.path);
        let file = opened.map_err(|source| report_error(&report, source))?;
        self.0.push((report, file));
        Ok(())
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes every report, though one of them can't be; those that can't are returned.
    pub fn write(&mut self, record: &RunRecord) -> Vec<ReportError> {
        let write = |report: &WantedReport, file: &mut File| {
            let mut out = BufWriter::new(file);
            report.kind.write(record, &mut out)?;
            out.flush()
        };
        self.0
            .iter_mut()
            .filter_map(|(report, file)| {
                let written = write(report, file);
                written.err().map(|source| report_error(report, source))
            })
            .collect()
    }
}

fn create(path: &Path) -> io::Result<File> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    file::create(path)
}

fn report_error(report: &WantedReport, source: io::Error) -> ReportError {
    ReportError { path: report.file(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Events, ReportKind, fixture, record::Collector};

    fn json(path: impl Into<PathBuf>) -> WantedReport {
        WantedReport { kind: ReportKind::Json, path: path.into() }
    }

    #[test]
    fn a_report_that_can_not_be_written_leaves_the_others_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/er/run.json");
        let mut files = ReportFiles::create(&[json("/dev/full"), json(&path)]).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"");
        let record = Collector::of(&fixture::run(), Events::OfFailures);
        let errors = files.write(&record);
        let failed: Vec<_> = errors.iter().map(|error| error.path.as_path()).collect();
        assert_eq!(failed, [Path::new("/dev/full")]);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(crate::report::record::read(&text).unwrap(), record);
    }

    #[test]
    fn what_a_file_has_stays_where_a_report_is_appended() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("summary.md");
        fs::write(&path, "before\n").unwrap();
        let mut files = ReportFiles::default();
        let kind = ReportKind::Markdown;
        let report = WantedReport { kind, path: path.clone() };
        files.append(report).unwrap();
        let record = Collector::of(&fixture::run(), Events::OfFailures);
        assert!(files.write(&record).is_empty());
        let text = fs::read_to_string(path).unwrap();
        assert!(text.starts_with("before\n### tapwright"), "{text}");
    }

    #[test]
    fn every_place_that_can_not_be_made_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let bad = [json(directory.path()), json(directory.path().join("a\0b"))];
        assert_eq!(ReportFiles::create(&bad).unwrap_err().len(), 2);
    }
}
