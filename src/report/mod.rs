//! What people and programs are told of a run: by its events as it happens, or by its record when it is
//! over.

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
mod otherwise;
mod paint;
mod progress;
pub mod record;
#[cfg(test)]
mod schema;
mod tap;
mod timeline;
mod why;

use std::io;

pub use agreement::AgreementTable;
pub use at_end::AtEnd;
pub use file::{ReportError, ReportFiles};
pub use github::{Github, annotations};
pub use human::Human;
pub use json::{JSON_FORMAT, Json, diagnostic};
pub use kind::{ParseReportError, ReportKind, WantedReport};
pub use paint::{painted, style};
pub use progress::Progress;
pub use record::Events;
pub use timeline::{ArrivedPacket, Fate, FateKind, Remark, SentPacket, Timeline, TimelineStep};
pub(crate) use why::Whys;
pub use why::{StationRecord, WhyRecord};

use crate::runner::RunEvent;

/// What happens in a run, as reports take it: the record of a case that is over is made once, for all.
pub type Event = RunEvent<Box<record::CaseRecord>>;

/// What is told of a run, as it happens.
pub trait Reporter {
    /// Takes the next event.
    ///
    /// # Errors
    /// When it can't be written.
    fn event(&mut self, event: &Event) -> io::Result<()>;
}
