//! The ways in which a case failed that ran several times. Used by the tally.

use super::{Failing, Problem, Status};

/// Adds a failed execution, from 1, to those that failed in the same way.
pub(super) fn add(ways: &mut Vec<Failing>, run: usize, status: &Status) {
    match ways.iter_mut().find(|way| is_same(&way.status, status)) {
        Some(way) => {
            way.times += 1;
            if run < way.first {
                way.first = run;
                way.status = status.clone();
            }
        }
        None => ways.push(Failing { first: run, times: 1, status: status.clone() }),
    }
}

/// The most frequent first, then the earliest: not as they happened to end.
pub(super) fn sort(ways: &mut [Failing]) {
    ways.sort_by_key(|way| (std::cmp::Reverse(way.times), way.first));
}

fn is_same(one: &Status, other: &Status) -> bool {
    match (one, other) {
        (Status::Failed { problems: one }, Status::Failed { problems: other }) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| same_problem(one, other))
        }
        (Status::Invalid(one), Status::Invalid(other)) => one == other,
        (Status::Internal { text: one }, Status::Internal { text: other }) => one == other,
        _ => false,
    }
}

/// What a disagreement says names the execution; what differs in it does not.
fn same_problem(one: &Problem, other: &Problem) -> bool {
    one.kind() == other.kind()
        && match (one.mismatch(), other.mismatch()) {
            (Some(one), Some(other)) => one.differences == other.differences,
            _ => one.to_string() == other.to_string(),
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{Difference, FramePair, Mismatch, What};

    fn disagrees(run: usize, step: usize) -> Status {
        let difference = Difference {
            step,
            title: "send".to_owned(),
            line: 3,
            port: None,
            what: What::StepNew,
            frames: FramePair::default(),
        };
        let second = format!("execution {run}");
        Status::Failed {
            problems: vec![Problem::Disagreement {
                first: "the first execution".to_owned(),
                second: second.clone(),
                mismatch: Mismatch {
                    expected: "the first execution".to_owned(),
                    actual: second,
                    differences: vec![difference],
                },
            }],
        }
    }

    #[test]
    fn executions_that_fail_alike_are_one_way_named_by_the_first() {
        let panics = Status::Internal { text: "an invariant broke".to_owned() };
        let mut ways = Vec::new();
        for (run, status) in
            [(3, &panics), (9, &disagrees(9, 1)), (4, &disagrees(4, 1)), (2, &disagrees(2, 2))]
        {
            add(&mut ways, run, status);
        }
        sort(&mut ways);
        let told: Vec<_> = ways.iter().map(|way| (way.times, way.first)).collect();
        assert_eq!(told, [(2, 4), (1, 2), (1, 3)]);
        assert!(matches!(ways[2].status, Status::Internal { .. }));
    }
}
