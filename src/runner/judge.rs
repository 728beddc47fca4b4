//! What a case came to, of its failures, its snapshot and its known bug.

use std::path::PathBuf;

use super::{Failure, FailureKind, Problem, Status};
use crate::{
    compare::Mismatch,
    scenario::{Case, KnownBug},
};

/// How a record compares with its snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    /// It is the same, but for what is masked.
    Matches,
    /// It is the new snapshot.
    Accepted,
    /// There is no snapshot; a pending one was written.
    Pending,
    /// There is no snapshot, and nothing may be written.
    Missing(PathBuf),
    /// It differs.
    Differs(Mismatch),
    /// The snapshot can't be read or written.
    Unusable(String),
    /// No snapshot is consulted.
    NotConsulted,
}

/// The known bug of a case, where its profile has it. A profile without one of its quirks is
/// another profile.
pub(super) fn known_bug(case: &Case) -> Option<&KnownBug> {
    let profile = case.profile.to_string();
    case.known_bug.as_ref().filter(|bug| bug.profiles.contains(&profile))
}

/// Whether a record may become a snapshot: only when everything else is as it should be, so that
/// nothing that fails its own expectations is ever offered for review.
pub(super) fn may_record(case: &Case, failures: &[Failure]) -> bool {
    match known_bug(case) {
        None => failures.is_empty(),
        Some(_) => !failures.is_empty() && failures.iter().all(is_expectation),
    }
}

/// What a case came to, from its failures and its snapshot.
pub(super) fn judge(case: &Case, failures: Vec<Failure>, comparison: Comparison) -> Status {
    let bug = known_bug(case);
    let cut_short = failures.iter().any(|failure| failure.kind.ends_the_run());
    let (expected, mut problems) = match bug {
        None => (Status::Passed, failures.into_iter().map(Problem::Expectation).collect()),
        Some(bug) => (Status::KnownBug { id: bug.id.clone() }, beside_the_bug(bug, failures)),
    };
    let status = match comparison {
        Comparison::Matches | Comparison::NotConsulted => expected,
        Comparison::Accepted => Status::Accepted,
        Comparison::Pending => Status::Pending,
        Comparison::Missing(path) => {
            problems.push(Problem::MissingSnapshot { path });
            expected
        }
        Comparison::Differs(mismatch) => {
            problems.push(match bug {
                Some(bug) if !cut_short => Problem::BugChanged { id: bug.id.clone(), mismatch },
                _ => Problem::Mismatch(mismatch),
            });
            expected
        }
        Comparison::Unusable(text) => {
            problems.push(Problem::Snapshot { text });
            expected
        }
    };
    if problems.is_empty() { status } else { Status::Failed { problems } }
}

/// Where a bug is known, what is expected must fail; nothing else may. What a run that was cut short
/// did not come to says nothing of the bug.
fn beside_the_bug(bug: &KnownBug, failures: Vec<Failure>) -> Vec<Problem> {
    let (expectations, others): (Vec<_>, Vec<_>) = failures.into_iter().partition(is_expectation);
    let gone = expectations.is_empty() && !others.iter().any(|failure| failure.kind.ends_the_run());
    let gone = gone.then(|| Problem::BugGone { id: bug.id.clone() });
    gone.into_iter().chain(others.into_iter().map(Problem::Expectation)).collect()
}

/// Whether it is about what the scenario expects, and not about the run itself.
pub(super) fn is_expectation(failure: &Failure) -> bool {
    match failure.kind {
        FailureKind::Refused { .. }
        | FailureKind::ExpectedError { .. }
        | FailureKind::NoSuchError { .. }
        | FailureKind::Count { .. }
        | FailureKind::Frame { .. } => true,
        FailureKind::Storm { .. }
        | FailureKind::Late
        | FailureKind::Died { .. }
        | FailureKind::Unexplained { .. }
        | FailureKind::Backend(_)
        | FailureKind::Residue(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::{
        base::{Profile, QemuVersion, Quirk},
        diag::Span,
        runner::fixture,
    };

    fn count() -> Failure {
        let kind = FailureKind::Count { port: "out0".into(), expected: 2, got: 1 };
        Failure { step: 1, span: Span::default(), kind }
    }

    fn storm() -> Failure {
        let kind = FailureKind::Storm { cycle: vec!["f0".into()] };
        Failure { step: 1, span: Span::default(), kind }
    }

    fn died() -> Failure {
        let kind = FailureKind::Died { how: "signal 6".into(), last: Vec::new() };
        Failure { kind, ..storm() }
    }

    fn unexplained() -> Failure {
        let kind = FailureKind::Unexplained { count: 1 };
        Failure { kind, ..storm() }
    }

    fn buggy() -> Case {
        let mut case = fixture::case("a");
        case.profile = Profile::new(QemuVersion::Qemu102);
        case.known_bug = Some(KnownBug {
            id: "bug-1".into(),
            profiles: vec!["qemu-10.2".into()],
            reason: String::new(),
        });
        case
    }

    fn differs() -> Comparison {
        Comparison::Differs(Mismatch {
            expected: "snapshot".into(),
            actual: "sim".into(),
            differences: Vec::new(),
        })
    }

    fn short(status: &Status) -> String {
        match status {
            Status::Failed { problems } => {
                problems.iter().map(Problem::kind).collect::<Vec<_>>().join(" ")
            }
            Status::KnownBug { id } => format!("known {id}"),
            other => format!("{other:?}"),
        }
    }

    #[rstest]
    #[case(vec![], Comparison::Matches, "Passed")]
    #[case(vec![], Comparison::NotConsulted, "Passed")]
    #[case(vec![], Comparison::Accepted, "Accepted")]
    #[case(vec![], Comparison::Pending, "Pending")]
    #[case(vec![], Comparison::Missing("a.snap".into()), "missing-snapshot")]
    #[case(vec![], Comparison::Unusable("no".into()), "snapshot")]
    #[case(vec![], differs(), "mismatch")]
    #[case(vec![count()], Comparison::Matches, "expectation")]
    #[case(vec![count()], differs(), "expectation mismatch")]
    fn a_case_is_judged(
        #[case] failures: Vec<Failure>,
        #[case] comparison: Comparison,
        #[case] expected: &str,
    ) {
        assert_eq!(short(&judge(&fixture::case("a"), failures, comparison)), expected);
    }

    #[rstest]
    #[case(vec![count()], Comparison::Matches, "known bug-1")]
    #[case(vec![count()], Comparison::Accepted, "Accepted")]
    #[case(vec![count()], Comparison::Pending, "Pending")]
    #[case(vec![], Comparison::Matches, "bug-gone")]
    #[case(vec![], differs(), "bug-gone bug-changed")]
    #[case(vec![count()], differs(), "bug-changed")]
    #[case(vec![count(), storm()], Comparison::Matches, "expectation")]
    #[case(vec![storm()], Comparison::Matches, "expectation")]
    #[case(vec![storm()], differs(), "expectation mismatch")]
    #[case(vec![died()], Comparison::NotConsulted, "expectation")]
    #[case(vec![unexplained()], Comparison::Matches, "bug-gone expectation")]
    fn a_known_bug_must_be_there_as_its_snapshot_says(
        #[case] failures: Vec<Failure>,
        #[case] comparison: Comparison,
        #[case] expected: &str,
    ) {
        assert_eq!(short(&judge(&buggy(), failures, comparison)), expected);
    }

    #[test]
    fn a_bug_is_known_in_its_profiles_only() {
        let mut case = buggy();
        case.profile = case.profile.without([Quirk::IndevDeafAfterClose]);
        assert_eq!(short(&judge(&case, vec![count()], Comparison::Matches)), "expectation");
        assert_eq!(short(&judge(&case, vec![], Comparison::Matches)), "Passed");
    }

    #[rstest]
    #[case(fixture::case("a"), vec![], true)]
    #[case(fixture::case("a"), vec![count()], false)]
    #[case(buggy(), vec![], false)]
    #[case(buggy(), vec![count()], true)]
    #[case(buggy(), vec![count(), storm()], false)]
    fn only_a_record_that_is_as_it_should_be_may_become_a_snapshot(
        #[case] case: Case,
        #[case] failures: Vec<Failure>,
        #[case] expected: bool,
    ) {
        assert_eq!(may_record(&case, &failures), expected);
    }
}
