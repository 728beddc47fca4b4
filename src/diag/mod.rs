//! Diagnostics: codes, positions and reports. Each part's error type implements [`Diagnose`]; only
//! this part knows how a report is drawn.

mod advice;
mod code;
mod excerpt;
mod explanation;
mod render;
mod report;
mod shell;

pub(crate) use advice::{Advice, errors};
pub use code::Code;
pub use explanation::Explanation;
pub use render::{Style, render};
pub use report::{Diagnose, Label, Report, Severity, Source, Span};
pub(crate) use shell::shell_word;
