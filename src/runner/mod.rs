//! Selection, scheduling, deadlines, and the one executor for all backends.

mod account;
mod archive;
mod attempt;
mod capture;
mod cases;
mod dry_run;
mod error;
mod event;
mod exec;
mod expect;
mod failing;
#[cfg(test)]
mod fixture;
mod front;
mod judge;
mod outcome;
mod pause;
mod pcapng;
mod plan;
mod planned;
mod pool;
mod problem;
mod run;
mod select;
mod suite;
mod tally;
mod threads;
mod title;
mod totals;

pub use attempt::{Attempt, Lane};
pub use cases::Cases;
pub use dry_run::{Trial, TrialLimits, try_cases};
pub use error::{EXPLANATIONS, RunnerError};
pub use event::{Agreement, CaseResult, Failing, RunEvent, Runs, Status, Verdict};
pub use exec::{exec, exec_probes};
pub use outcome::{Executed, Failure, FailureKind};
pub use pause::{Held, Pause};
pub use pcapng::write_pcapng;
pub use plan::{Plan, add_later, select, select_for, select_for_each};
pub use planned::{Facts, Planned, sections};
pub use problem::Problem;
pub use run::run;
pub use select::{ParsePartitionError, ParseTagError, Partition, Pattern, Selection, TagRule};
pub use suite::{ScenarioFile, find, load};
pub use totals::{Exit, Totals};
