//! Consumers of run events: they know nothing else of a run.

mod agreement;
mod at_end;
mod clock;
mod failure;
mod file;
#[cfg(test)]
mod fixture;
mod github;
mod html;
mod human;
mod json;
mod junit;
mod kind;
mod markdown;
mod paint;
mod progress;
pub mod record;
#[cfg(test)]
mod schema;
mod timeline;

use std::io;

pub use agreement::AgreementTable;
pub use at_end::AtEnd;
pub use file::{ReportError, ReportFiles};
pub use github::{Github, annotations};
pub use human::Human;
pub use json::{Events, JSON_FORMAT, Json, diagnostic};
pub use kind::{ParseReportError, ReportKind, WantedReport};
pub use paint::{painted, style};
pub use progress::Progress;
pub use timeline::{ArrivedPacket, Fate, FateKind, Said, SentPacket, Timeline, TimelineStep};

use crate::runner::RunEvent;

/// What is told of a run, as it happens.
pub trait Reporter {
    /// Takes the next event.
    ///
    /// # Errors
    /// When it can't be written.
    fn event(&mut self, event: &RunEvent) -> io::Result<()>;
}
