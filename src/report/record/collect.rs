//! The record of a run, made of its events. Read by whoever reports a run at its end.

use super::{RunFacts, RunRecord, Sums};
use crate::{report::Event, runner::RunEvent};

/// Makes the record of a run from its events.
#[derive(Debug)]
pub struct Collector {
    record: RunRecord,
}

impl Collector {
    /// Of a run that begins now, and of which this is known.
    #[must_use]
    pub fn new(facts: RunFacts) -> Self {
        Self { record: RunRecord::begun(facts) }
    }

    /// Takes the next event; the whole record when it was the last.
    pub fn event(&mut self, event: Event) -> Option<&RunRecord> {
        match event {
            RunEvent::Started { backends, repeat, .. } => {
                // None is opened where no case is selected, as may be in a shard.
                if !backends.is_empty() {
                    self.record.run.backends = backends.iter().map(ToString::to_string).collect();
                }
                self.record.run.repeat = repeat;
            }
            RunEvent::CaseFinished(case) => self.record.cases.push(*case),
            RunEvent::Finished { totals, duration } => {
                self.record.sums = Sums::new(&totals, duration.as_secs_f64());
                return Some(&self.record);
            }
            RunEvent::CaseStarted { .. }
            | RunEvent::CaseSlow { .. }
            | RunEvent::Interrupted { .. } => {}
        }
        None
    }

    /// What is known so far.
    pub const fn record(&mut self) -> &mut RunRecord {
        &mut self.record
    }
}
