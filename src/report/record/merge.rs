//! The records of several runs, made into one. Used by `tapwright merge`.

use std::collections::BTreeMap;

use super::{CaseRecord, CaseStatus, RunRecord, ShardRecord, Sums};
use crate::runner::{Exit, Totals};

/// Several runs as one.
#[derive(Clone, Debug, PartialEq)]
pub struct Merged {
    /// As a single run would have been recorded: its sums, its exit code, its cases by name.
    pub record: RunRecord,
    /// What is odd about the runs.
    pub oddities: Vec<Oddity>,
}

/// What is odd about runs that are merged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Oddity {
    /// Shards of a suite that is not complete.
    #[error("{} of the run on {backends} {}", shards(missing), not_there(missing))]
    Missing {
        /// The backends of that run.
        backends: String,
        /// Which are not there.
        missing: Vec<ShardRecord>,
    },
    /// A shard that was run more than once.
    #[error("{shard} of the run on {backends} is there {} times: {}", files.len(), files.join(", "))]
    ShardTwice {
        /// The shard.
        shard: ShardRecord,
        /// The backends of that run.
        backends: String,
        /// Where.
        files: Vec<String>,
    },
    /// A case that is in several runs which are not the same shard.
    #[error("{case} [{backend}] is there {} times: {}", files.len(), files.join(", "))]
    CaseTwice {
        /// The case.
        case: String,
        /// What it ran on.
        backend: String,
        /// Where.
        files: Vec<String>,
    },
}

fn shards(missing: &[ShardRecord]) -> String {
    let names: Vec<String> = missing.iter().map(ShardRecord::to_string).collect();
    names.join(", ")
}

const fn not_there(missing: &[ShardRecord]) -> &'static str {
    if missing.len() == 1 { "is not there" } else { "are not there" }
}

/// A case on a backend, as a QEMU: what is one and the same in several runs.
type Key = (String, String, String);

/// Makes one run of several, each with the name of its file. A case that is in several of them counts
/// once, as if it had been repeated: it came to the worst that it came to. Runs on several backends
/// may be merged; each has its own shards.
#[must_use]
pub fn merge(runs: Vec<(String, RunRecord)>) -> Merged {
    let mut oddities = missing_shards(&runs);
    let twice = shards_twice(&runs);
    let mut totals = Totals::default();
    let mut exits = Vec::new();
    let mut seconds = 0.0;
    let mut merged = RunRecord::begun(runs.first().map_or_else(Default::default, |(_, run)| {
        super::RunFacts { partition: None, ..run.run.clone() }
    }));
    let mut cases: BTreeMap<Key, (CaseRecord, Vec<String>)> = BTreeMap::new();
    for (file, run) in runs {
        merged.started = merged.started.min(run.started);
        for backend in run.run.backends {
            if !merged.run.backends.contains(&backend) {
                merged.run.backends.push(backend);
            }
        }
        merged.run.repeat = merged.run.repeat.max(run.run.repeat);
        seconds += run.sums.seconds;
        totals.interrupted |= run.sums.totals.interrupted;
        totals.unreferenced = totals.unreferenced.max(run.sums.totals.unreferenced);
        totals.selected += run.sums.totals.selected;
        totals.proposed += run.sums.totals.proposed;
        if !run.diagnostics.is_empty() {
            totals.invalid += run.sums.totals.invalid;
            exits.push(Exit::from_code(run.sums.exit_code));
        }
        merged.diagnostics.extend(run.diagnostics);
        for case in run.cases {
            let key = (case.case.clone(), case.backend.clone(), case.profile.clone());
            match cases.get_mut(&key) {
                None => drop(cases.insert(key, (case, vec![file.clone()]))),
                Some((other, files)) => {
                    totals.selected = totals.selected.saturating_sub(1);
                    again(other, case);
                    files.push(file.clone());
                }
            }
        }
    }
    for (case, files) in cases.into_values() {
        count(&mut totals, &case);
        let told = twice.iter().any(|oddity| is_of(oddity, &files));
        if files.len() > 1 && !told {
            oddities.push(Oddity::CaseTwice {
                case: case.case.clone(),
                backend: case.backend.clone(),
                files,
            });
        }
        merged.cases.push(case);
    }
    oddities.extend(twice);
    exits.push(totals.exit());
    if oddities.iter().any(Oddity::is_error) {
        exits.push(Exit::Invalid);
    }
    merged.sums = Sums::new(&totals, seconds);
    merged.sums.exit_code = Exit::first_of(&exits).code();
    Merged { record: merged, oddities }
}

impl Oddity {
    /// Whether the runs are not the whole of a run: no exit code can say that it passed.
    #[must_use]
    pub const fn is_error(&self) -> bool {
        matches!(self, Self::Missing { .. })
    }
}

/// Each suite that was split, and the files of each of its shards.
type Split = BTreeMap<(String, u64), BTreeMap<u64, Vec<String>>>;

fn split(runs: &[(String, RunRecord)]) -> Split {
    let mut split = Split::new();
    for (file, run) in runs {
        if let Some(ShardRecord { index, of }) = run.run.partition {
            let suite = split.entry((run.run.backends.join(","), of)).or_default();
            suite.entry(index).or_default().push(file.clone());
        }
    }
    split
}

fn missing_shards(runs: &[(String, RunRecord)]) -> Vec<Oddity> {
    let missing = |((backends, of), shards): ((String, u64), BTreeMap<u64, Vec<String>>)| {
        let missing: Vec<_> = (1..=of)
            .filter(|index| !shards.contains_key(index))
            .map(|index| ShardRecord { index, of })
            .collect();
        (!missing.is_empty()).then_some(Oddity::Missing { backends, missing })
    };
    split(runs).into_iter().filter_map(missing).collect()
}

fn shards_twice(runs: &[(String, RunRecord)]) -> Vec<Oddity> {
    let mut twice = Vec::new();
    for ((backends, of), shards) in split(runs) {
        for (index, files) in shards {
            if files.len() > 1 {
                twice.push(Oddity::ShardTwice {
                    shard: ShardRecord { index, of },
                    backends: backends.clone(),
                    files,
                });
            }
        }
    }
    twice
}

/// Whether a case is there several times because its shard is.
fn is_of(oddity: &Oddity, case: &[String]) -> bool {
    match oddity {
        Oddity::ShardTwice { files, .. } => case.iter().all(|file| files.contains(file)),
        _ => false,
    }
}

/// The case ran once more.
fn again(case: &mut CaseRecord, mut other: CaseRecord) {
    if weight(other.status) > weight(case.status) {
        std::mem::swap(case, &mut other);
    }
    case.seconds += other.seconds;
    case.runs.passed += other.runs.passed;
    case.runs.failed += other.runs.failed;
}

/// What a case came to that ran on two occasions: where it did run, and then the worst.
const fn weight(status: CaseStatus) -> u8 {
    match status {
        CaseStatus::Interrupted => 0,
        CaseStatus::Skipped => 1,
        CaseStatus::Passed => 2,
        CaseStatus::Accepted => 3,
        CaseStatus::KnownBug => 4,
        CaseStatus::Pending => 5,
        CaseStatus::Failed => 6,
        CaseStatus::Invalid => 7,
        CaseStatus::Internal => 8,
    }
}

fn count(totals: &mut Totals, case: &CaseRecord) {
    match case.status {
        CaseStatus::Passed | CaseStatus::Accepted => totals.passed += 1,
        CaseStatus::KnownBug => {
            totals.passed += 1;
            totals.known_bugs += 1;
        }
        CaseStatus::Failed => {
            totals.failed += 1;
            totals.flaky += usize::from(case.runs.flaky());
        }
        CaseStatus::Pending => totals.pending += 1,
        CaseStatus::Skipped => totals.skipped += 1,
        CaseStatus::Invalid => totals.invalid += 1,
        CaseStatus::Internal => totals.internal += 1,
        CaseStatus::Interrupted => {}
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{
        diag::{Code, Report},
        report::{Events, fixture, record::Collector},
    };

    /// A run on netns of these cases, with the totals that go with them.
    fn run(shard: Option<(u64, u64)>, cases: &[(&str, CaseStatus)]) -> RunRecord {
        let mut record = Collector::of(&fixture::interrupted(), Events::OfFailures);
        let one = record.cases[0].clone();
        record.run.partition = shard.map(|(index, of)| ShardRecord { index, of });
        record.cases = cases
            .iter()
            .map(|(name, status)| {
                let failed = usize::from(*status >= CaseStatus::Failed);
                let mut case = one.clone();
                case.case = (*name).to_owned();
                case.status = *status;
                (case.runs.passed, case.runs.failed) = (1 - failed, failed);
                case
            })
            .collect();
        let mut totals = Totals { selected: cases.len(), ..Totals::default() };
        record.cases.iter().for_each(|case| count(&mut totals, case));
        record.sums = Sums::new(&totals, 1.5);
        record
    }

    fn merged(runs: Vec<RunRecord>) -> (Merged, Vec<String>) {
        let named = (1..).map(|number| format!("{number}.json")).zip(runs);
        let merged = merge(named.collect());
        let oddities = merged.oddities.iter().map(Oddity::to_string).collect();
        (merged, oddities)
    }

    use CaseStatus::{Failed, Internal, Passed, Pending, Skipped};

    #[rstest]
    #[case(&[("a", Passed)], &[("b", Passed)], 0)]
    #[case(&[("a", Passed)], &[("b", Failed)], 1)]
    #[case(&[("a", Skipped)], &[("b", Passed)], 0)]
    #[case(&[("a", Skipped)], &[("b", Skipped)], 3)]
    #[case(&[("a", Passed)], &[], 0)]
    #[case(&[], &[], 4)]
    #[case(&[("a", Failed)], &[("b", Internal)], 70)]
    #[case(&[("a", Pending)], &[("b", Failed)], 1)]
    fn the_exit_code_is_that_of_one_run(
        #[case] first: &[(&str, CaseStatus)],
        #[case] second: &[(&str, CaseStatus)],
        #[case] code: u8,
    ) {
        let runs = vec![run(Some((1, 2)), first), run(Some((2, 2)), second)];
        let (merged, oddities) = merged(runs);
        let both = [first, second].concat();
        let single = run(None, &both);
        assert_eq!(merged.record.sums.exit_code, code);
        assert_eq!(single.sums.exit_code, code);
        assert_eq!(merged.record.cases, single.cases);
        assert_eq!(oddities, [""; 0]);
    }

    #[test]
    fn a_shard_that_is_not_there_is_named_and_nothing_passed() {
        let runs = vec![run(Some((1, 4)), &[("a", Passed)]), run(Some((3, 4)), &[("b", Passed)])];
        let (merged, oddities) = merged(runs);
        assert_eq!(oddities, ["hash:2/4, hash:4/4 of the run on netns are not there"]);
        assert_eq!(merged.record.sums.exit_code, 2);
    }

    #[test]
    fn a_shard_that_ran_twice_is_named_and_its_cases_count_once() {
        let runs = vec![
            run(Some((1, 1)), &[("a", Passed), ("b", Passed)]),
            run(Some((1, 1)), &[("a", Passed), ("b", Failed)]),
        ];
        let (merged, oddities) = merged(runs);
        assert_eq!(oddities, ["hash:1/1 of the run on netns is there 2 times: 1.json, 2.json"]);
        let sums = merged.record.sums;
        assert_eq!((sums.totals.selected, sums.totals.passed, sums.totals.failed), (2, 1, 1));
        assert_eq!((sums.totals.flaky, sums.exit_code), (1, 1));
        assert!((merged.record.cases[1].seconds - 0.006).abs() < 1e-9);
    }

    #[test]
    fn a_case_of_two_runs_is_named() {
        let runs = vec![run(None, &[("a", Skipped)]), run(None, &[("a", Passed)])];
        let (merged, oddities) = merged(runs);
        assert_eq!(oddities, ["a [netns] is there 2 times: 1.json, 2.json"]);
        assert_eq!(merged.record.cases[0].status, Passed);
        assert_eq!(merged.record.sums.exit_code, 0);
    }

    #[test]
    fn each_backend_has_its_own_shards_and_its_own_cases() {
        let mut sim = run(Some((1, 2)), &[("a", Passed)]);
        sim.run.backends = vec!["sim".to_owned()];
        sim.cases[0].backend = "sim".to_owned();
        let runs = vec![run(None, &[("a", Passed)]), sim];
        let (merged, oddities) = merged(runs);
        assert_eq!(oddities, ["hash:2/2 of the run on sim is not there"]);
        assert_eq!(merged.record.run.backends, ["netns", "sim"]);
        assert_eq!(merged.record.sums.totals.passed, 2);
    }

    #[rstest]
    #[case(Exit::Invalid, 2)]
    #[case(Exit::Unavailable, 3)]
    fn a_shard_in_which_nothing_ran_is_not_passed_over(#[case] exit: Exit, #[case] code: u8) {
        let mut stopped = run(Some((2, 2)), &[]);
        let why = Report::error(Code("TW-N999"), "no");
        stopped.stop(exit, vec![(&why).into()]);
        let (merged, _) = merged(vec![run(Some((1, 2)), &[("a", Passed)]), stopped]);
        assert_eq!(merged.record.sums.exit_code, code);
        assert_eq!(merged.record.diagnostics.len(), 1);
    }
}
