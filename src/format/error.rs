//! What can be wrong with the text of a snapshot.

/// What is wrong with a line.
pub(super) type Reason = String;

/// A section of a snapshot can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the section, '{text}': {reason}")]
pub struct SectionError {
    /// From 1, within the section.
    pub line: usize,
    /// What stands there.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

impl SectionError {
    pub(super) fn at(line: usize, text: &str, reason: String) -> Self {
        Self { line, text: text.trim().chars().take(60).collect(), reason }
    }
}

/// A file is no snapshot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct FormError {
    /// From 1.
    pub line: usize,
    /// What is wrong there.
    pub reason: &'static str,
}
