//! A diagnostic as JSON members.

use serde::{Deserialize, Serialize};

use crate::diag::{self, Report, Severity, Source, Style};

/// A diagnostic, of a scenario or of the environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DiagnosticRecord {
    /// Always `diagnostic`.
    #[serde(rename = "type")]
    pub kind: DiagnosticType,
    /// Its stable code.
    pub code: String,
    /// How much it matters.
    pub severity: SeverityRecord,
    /// What was found and what was expected.
    pub message: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The file that the labels point into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Where; the first is the place that an editor should jump to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<LabelRecord>,
    /// The whole as it is drawn for people, in plain ASCII.
    #[serde(default)]
    pub rendered: String,
}

/// The `type` of a diagnostic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum DiagnosticType {
    /// What every diagnostic is.
    Diagnostic,
}

/// How much a diagnostic matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum SeverityRecord {
    /// Worth knowing.
    Advice,
    /// Probably not what was meant.
    Warning,
    /// It can't go on.
    Error,
}

/// A place in the file and what is to be said of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LabelRecord {
    /// The first character.
    pub start: PositionRecord,
    /// Behind the last one.
    pub end: PositionRecord,
    /// What is wrong there.
    pub text: String,
}

/// A place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PositionRecord {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
}

impl From<&Report> for DiagnosticRecord {
    fn from(report: &Report) -> Self {
        let source = report.source.as_deref();
        let label = |source: &Source, label: &diag::Label| LabelRecord {
            start: position(source, label.span.start),
            end: position(source, label.span.end),
            text: label.text.clone(),
        };
        Self {
            kind: DiagnosticType::Diagnostic,
            code: report.code.0.to_owned(),
            severity: match report.severity {
                Severity::Advice => SeverityRecord::Advice,
                Severity::Warning => SeverityRecord::Warning,
                Severity::Error => SeverityRecord::Error,
            },
            message: report.message.clone(),
            help: report.help.clone(),
            file: source.map(|source| source.path.display().to_string()),
            labels: source.map_or_else(Vec::new, |source| {
                report.labels.iter().map(|one| label(source, one)).collect()
            }),
            rendered: diag::render(std::slice::from_ref(report), Style::Plain),
        }
    }
}

impl DiagnosticRecord {
    /// The line that an editor should jump to.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.labels.first().map(|label| label.start.line)
    }
}

fn position(source: &Source, byte: usize) -> PositionRecord {
    let (line, column) = source.position(byte);
    PositionRecord { line, column }
}
