//! The reports that are made of a whole run, and where they go: `--report KIND=PATH`.

use std::{
    ffi::{OsStr, OsString},
    fmt,
    io::{self, Write},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::PathBuf,
};

use super::{html, junit, markdown, record::RunRecord, tap};
use crate::terminal::json;

/// A report that is made of a whole run, at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReportKind {
    /// A page for browsers, in a directory.
    Html,
    /// The record itself.
    Json,
    /// JUnit XML, as CI systems read it.
    Junit,
    /// The kernel's TAP, as kselftest prints it and KUnit's parser reads it.
    Ktap,
    /// GitHub's Markdown, as job summaries and comments show it.
    Markdown,
    /// The Test Anything Protocol, version 14, as prove and Meson read it.
    Tap,
}

impl ReportKind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Html, Self::Json, Self::Junit, Self::Ktap, Self::Markdown, Self::Tap];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Json => "json",
            Self::Junit => "junit",
            Self::Ktap => "ktap",
            Self::Markdown => "markdown",
            Self::Tap => "tap",
        }
    }

    /// Writes the report of a run.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write(self, record: &RunRecord, out: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Html => html::write(record, out),
            Self::Json => writeln!(out, "{}", json(&serde_json::to_string(record)?)),
            Self::Junit => junit::write(record, out),
            Self::Ktap => tap::write(record, tap::Dialect::Kernel, out),
            Self::Markdown => markdown::write(record, out),
            Self::Tap => {
                let reader = tap::Reader::of_the_environment();
                tap::write(record, tap::Dialect::Tap14(reader), out)
            }
        }
    }
}

/// A report and where it goes: `KIND=PATH`, a file or, of a page, a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedReport {
    /// Which.
    pub kind: ReportKind,
    /// Where.
    pub path: PathBuf,
}

impl WantedReport {
    /// The file that is written: a page has its own in the directory that is named.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        match self.kind {
            ReportKind::Html => self.path.join("index.html"),
            _ => self.path.clone(),
        }
    }
}

/// Not `KIND=PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseReportError(OsString);

impl fmt::Display for ParseReportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<&str> = ReportKind::ALL.map(ReportKind::name).to_vec();
        let text = self.0.display();
        write!(f, "'{text}' is no report: write KIND=PATH, with a KIND of {}", kinds.join(", "))
    }
}

impl std::error::Error for ParseReportError {}

impl TryFrom<OsString> for WantedReport {
    type Error = ParseReportError;

    /// A path need not be UTF-8.
    fn try_from(text: OsString) -> Result<Self, ParseReportError> {
        let split = || {
            let bytes = text.as_bytes();
            let at = bytes.iter().position(|byte| *byte == b'=')?;
            let (name, path) = (OsStr::from_bytes(&bytes[..at]), &bytes[at + 1..]);
            let kind = ReportKind::ALL.into_iter().find(|kind| name == kind.name())?;
            let path = PathBuf::from(OsString::from_vec(path.to_vec()));
            (!path.as_os_str().is_empty()).then_some(Self { kind, path })
        };
        split().ok_or_else(|| ParseReportError(text.clone()))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("json=a=b.json", ReportKind::Json, "a=b.json")]
    #[case("junit=/tmp/a", ReportKind::Junit, "/tmp/a")]
    fn a_report_is_a_kind_and_a_path(
        #[case] text: &str,
        #[case] kind: ReportKind,
        #[case] path: &str,
    ) {
        let path = path.into();
        assert_eq!(WantedReport::try_from(OsString::from(text)), Ok(WantedReport { kind, path }));
    }

    #[rstest]
    #[case("json")]
    #[case("json=")]
    #[case("=a.json")]
    #[case("yaml=a.yaml")]
    fn anything_else_is_refused_with_the_kinds_there_are(#[case] text: &str) {
        let error = WantedReport::try_from(OsString::from(text)).unwrap_err();
        for kind in ReportKind::ALL {
            assert!(error.to_string().contains(kind.name()), "{error}");
        }
    }

    #[test]
    fn a_path_need_not_be_utf_8() {
        let text = OsString::from_vec(b"json=\xff".to_vec());
        let wanted = WantedReport::try_from(text).unwrap();
        assert_eq!(wanted.path.as_os_str().as_bytes(), b"\xff");
    }
}
