//! The record of a run, made of its events. Read by whoever reports a run at its end.

use super::{RunFacts, RunRecord, Sums};
#[cfg(test)]
use crate::report::{Events, record::CaseRecord};
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

    /// The record of a whole run.
    #[cfg(test)]
    pub(in crate::report) fn of(run: &[Event], events: Events) -> RunRecord {
        let mut collector = Self::new(RunFacts::default());
        for event in run {
            let explaining = |case: Box<CaseRecord>| Box::new(case.explaining(events).into_owned());
            let _ = collector.event(event.clone().map(explaining));
        }
        "2026-01-02T03:04:05.678Z".clone_into(&mut collector.record.started);
        collector.record
    }
}
