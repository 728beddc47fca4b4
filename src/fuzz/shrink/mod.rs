//! Makes a failing scenario smaller, as long as it fails in the same way: delta debugging over the
//! tree of the file (Zeller, Hildebrandt, "Simplifying and isolating failure-inducing input", IEEE
//! TSE 2002), with changes that know what a scenario is. The caller decides what failing is.

mod edit;
mod pass;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde_json::Value;

use edit::size;
use pass::PASSES;

/// How much may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Most candidates that are run.
    pub runs: usize,
    pub time: Option<Duration>,
}

/// What is known of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It fails in the same way.
    Fails,
    /// It doesn't, or not so.
    Differs,
    /// It is no scenario, which is known without a run.
    Invalid,
    /// Nothing more can be tried.
    Stop,
}

/// What was made of a scenario.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The smallest tree that fails in the same way.
    pub tree: Value,
    /// Candidates that were run.
    pub runs: usize,
    /// No single change makes it smaller. Otherwise the budget was spent, or it was stopped.
    pub complete: bool,
}

/// Makes a tree smaller that fails. The result fails too.
pub fn shrink(tree: Value, budget: Budget, mut judge: impl FnMut(&Value) -> Verdict) -> Shrunk {
    let mut search = Search {
        until: budget.time.map(|time| Instant::now() + time),
        most: budget.runs,
        runs: 0,
        rejected: BTreeSet::new(),
        stopped: false,
    };
    let mut shrunk = Shrunk { tree, runs: 0, complete: false };
    while !shrunk.complete && !search.stopped {
        shrunk.complete = true;
        for pass in PASSES {
            let mut index = 0;
            while let Some(edit) = pass(&shrunk.tree).get(index) {
                let candidate = edit.applied(&shrunk.tree);
                match candidate.filter(|candidate| size(candidate) < size(&shrunk.tree)) {
                    Some(candidate) if search.fails(&candidate, &mut judge) => {
                        shrunk.tree = candidate;
                        // What stands at this index now is another edit.
                        shrunk.complete = false;
                    }
                    _ => index += 1,
                }
                if search.stopped {
                    break;
                }
            }
        }
    }
    shrunk.complete &= !search.stopped;
    shrunk.runs = search.runs;
    shrunk
}

struct Search {
    until: Option<Instant>,
    most: usize,
    runs: usize,
    /// What was tried and did not fail, so that it is not tried again.
    rejected: BTreeSet<String>,
    stopped: bool,
}

impl Search {
    fn fails(&mut self, candidate: &Value, judge: &mut dyn FnMut(&Value) -> Verdict) -> bool {
        if self.stopped {
            return false;
        }
        let text = candidate.to_string();
        if self.rejected.contains(&text) {
            return false;
        }
        let late = self.until.is_some_and(|until| Instant::now() >= until);
        if late || self.runs >= self.most {
            self.stopped = true;
            return false;
        }
        let verdict = judge(candidate);
        self.runs += usize::from(verdict != Verdict::Invalid);
        match verdict {
            Verdict::Fails => true,
            Verdict::Differs | Verdict::Invalid => {
                self.rejected.insert(text);
                false
            }
            Verdict::Stop => {
                self.stopped = true;
                false
            }
        }
    }
}
