//! One diagnostic as data: code, severity, message, labels in a source, and help. Every part makes
//! them, and `render` draws them.

use std::{fmt, path::PathBuf, sync::Arc};

use super::Code;
use crate::terminal::visible;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// A text that positions point into.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    /// The path as the user gave it.
    pub path: PathBuf,
    pub text: String,
}

impl Source {
    /// Line and column of a byte, both from 1; the column counts characters.
    #[must_use]
    pub fn position(&self, byte: usize) -> (usize, usize) {
        let before = &self.text[..self.text.floor_char_boundary(byte)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        (line, before[line_start..].chars().count() + 1)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; nothing fails.
    Advice,
    /// Probably not what was meant; nothing fails.
    Warning,
    /// The scenario can't be used.
    Error,
}

/// A place in the source and what is to be said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    pub span: Span,
    /// What is wrong there; short.
    pub text: String,
}

/// One diagnostic: what was found, what was expected, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub code: Code,
    pub severity: Severity,
    /// What was found and what was expected.
    pub message: String,
    /// Where; the first is the place that an editor should jump to.
    pub labels: Vec<Label>,
    pub help: Option<String>,
    pub source: Option<Arc<Source>>,
}

/// What can be reported with a code.
pub trait Diagnose: std::error::Error {
    fn report(&self) -> Report;
}

impl Report {
    #[must_use]
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            message: readable(message.into()),
            labels: Vec::new(),
            help: None,
            source: None,
        }
    }

    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(readable(help.into()));
        self
    }

    #[must_use]
    pub fn at(mut self, source: &Arc<Source>, span: Span, text: impl Into<String>) -> Self {
        self.source = Some(Arc::clone(source));
        self.labels.push(Label { span, text: readable(text.into()) });
        self
    }
}

/// As much of a text as anybody reads: names and values of a file can be as long as the file.
fn readable(mut text: String) -> String {
    const MOST: usize = 2000;
    if text.len() > MOST {
        text.truncate(text.floor_char_boundary(MOST));
        text.push_str("...");
        text.shrink_to_fit();
    }
    text
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(source), Some(label)) = (&self.source, self.labels.first()) {
            let (line, column) = source.position(label.span.start);
            write!(f, "{}:{line}:{column}: ", visible(source.path.display()))?;
        }
        write!(f, "{}: {}", self.code, visible(&self.message))
    }
}

impl std::error::Error for Report {}
