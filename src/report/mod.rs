//! Consumers of run events: they know nothing else of a run.

mod agreement;
mod clock;
#[cfg(test)]
mod fixture;
mod human;
mod json;
mod progress;

use std::io;

pub use agreement::AgreementTable;
pub use human::Human;
pub use json::{Events, JSON_FORMAT, Json, diagnostic};
pub use progress::Progress;

use crate::runner::RunEvent;

/// What is told of a run, as it happens.
pub trait Reporter {
    /// Takes the next event.
    ///
    /// # Errors
    /// When it can't be written.
    fn event(&mut self, event: &RunEvent) -> io::Result<()>;
}
