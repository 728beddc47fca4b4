//! A report that is written to a stream when the run is over. Used by `--format` of
//! junit, tap and ktap.

use std::io::{self, Write};

use super::{
    Event, ReportKind, Reporter,
    record::{Collector, RunFacts},
};
/// A report of the whole run, on a stream.
#[derive(Debug)]
pub struct AtEnd<W> {
    kind: ReportKind,
    out: W,
    collector: Collector,
}

impl<W: Write> AtEnd<W> {
    /// Writes to `out` when the run is over.
    pub fn new(kind: ReportKind, out: W, facts: RunFacts) -> Self {
        Self { kind, out, collector: Collector::new(facts) }
    }
}

impl<W: Write> Reporter for AtEnd<W> {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        let Some(record) = self.collector.event(event.clone()) else {
            return Ok(());
        };
        self.kind.write(record, &mut self.out)?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn nothing_is_written_before_the_end() {
        let mut at_end = AtEnd::new(ReportKind::Junit, Vec::new(), RunFacts::default());
        let mut run = fixture::run();
        let last = run.pop().unwrap();
        for event in &run {
            at_end.event(event).unwrap();
        }
        assert!(at_end.out.is_empty());
        at_end.event(&last).unwrap();
        assert!(at_end.out.starts_with(b"<?xml"));
    }
}
