//! Two lists lined up, so that what is missing does not shift the rest. Read by the comparison of ports
//! and of steps.

use std::hash::Hash;

use similar::{Algorithm, DiffOp, capture_diff_slices};

/// Blocks up to this many things on a side are paired by likeness, larger ones by place.
const BLOCK: usize = 64;

/// What it costs to call a thing missing or extra. Two of them are dearer than a pair of things
/// that are alike, and cheaper than a pair of things that are not.
const GAP: usize = 3;

/// What a pair of things costs that have nothing to do with each other.
pub(super) const UNLIKE: usize = 2 * GAP + 1;

/// The dearest pair that is still a pair.
pub(super) const ALIKE: usize = 2 * GAP - 1;

/// A thing on either side, by its place; both where they belong together.
pub(super) type Pair = (Option<usize>, Option<usize>);

/// Lines two lists up, so that one that is missing does not shift all others. `cost` says how
/// unlike two things are: up to [`ALIKE`] for a pair, [`UNLIKE`] for none.
pub(super) fn align<K: Eq + Hash>(
    expected: &[K],
    actual: &[K],
    cost: impl Fn(usize, usize) -> usize,
) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for operation in capture_diff_slices(Algorithm::Myers, expected, actual) {
        match operation {
            DiffOp::Equal { old_index, new_index, len } => {
                pairs.extend((0..len).map(|n| (Some(old_index + n), Some(new_index + n))));
            }
            DiffOp::Delete { old_index, old_len, .. } => {
                pairs.extend((old_index..old_index + old_len).map(|n| (Some(n), None)));
            }
            DiffOp::Insert { new_index, new_len, .. } => {
                pairs.extend((new_index..new_index + new_len).map(|n| (None, Some(n))));
            }
            DiffOp::Replace { old_index, old_len, new_index, new_len } => {
                let block = match old_len.max(new_len) <= BLOCK {
                    true => cheapest(old_len, new_len, |a, b| cost(old_index + a, new_index + b)),
                    false => by_place(old_len, new_len),
                };
                pairs.extend(block.into_iter().map(|(a, b)| {
                    (a.map(|index| old_index + index), b.map(|index| new_index + index))
                }));
            }
        }
    }
    pairs
}

fn by_place(expected: usize, actual: usize) -> Vec<Pair> {
    (0..expected.max(actual))
        .map(|n| ((n < expected).then_some(n), (n < actual).then_some(n)))
        .collect()
}

/// The cheapest way to line up two short lists (Needleman and Wunsch).
fn cheapest(expected: usize, actual: usize, cost: impl Fn(usize, usize) -> usize) -> Vec<Pair> {
    let mut costs = vec![vec![0; actual + 1]; expected + 1];
    let pair_costs: Vec<Vec<usize>> =
        (0..expected).map(|a| (0..actual).map(|b| cost(a, b)).collect()).collect();
    for a in (0..=expected).rev() {
        for b in (0..=actual).rev() {
            let missing = (a < expected).then(|| GAP + costs[a + 1][b]);
            let extra = (b < actual).then(|| GAP + costs[a][b + 1]);
            let pair = (a < expected && b < actual).then(|| pair_costs[a][b] + costs[a + 1][b + 1]);
            costs[a][b] = [pair, missing, extra].into_iter().flatten().min().unwrap_or(0);
        }
    }
    let (mut a, mut b) = (0, 0);
    let mut pairs = Vec::new();
    while a < expected || b < actual {
        let paired =
            a < expected && b < actual && costs[a][b] == pair_costs[a][b] + costs[a + 1][b + 1];
        let missing = a < expected && costs[a][b] == GAP + costs[a + 1][b];
        pairs.push(((paired || missing).then_some(a), (paired || !missing).then_some(b)));
        a += usize::from(paired || missing);
        b += usize::from(paired || !missing);
    }
    pairs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lined_up(expected: &str, actual: &str) -> Vec<Pair> {
        let (left, right): (Vec<_>, Vec<_>) =
            (expected.chars().collect(), actual.chars().collect());
        let alike = |a: usize, b: usize| match left[a].eq_ignore_ascii_case(&right[b]) {
            true => 1,
            false => UNLIKE,
        };
        align(&left, &right, alike)
    }

    #[test]
    fn a_missing_one_does_not_shift_the_others() {
        assert_eq!(
            lined_up("abc", "aC"),
            [(Some(0), Some(0)), (Some(1), None), (Some(2), Some(1))]
        );
        assert_eq!(lined_up("b", "xB"), [(None, Some(0)), (Some(0), Some(1))]);
    }

    #[test]
    fn strangers_are_not_paired() {
        assert_eq!(lined_up("a", "z"), [(Some(0), None), (None, Some(0))]);
    }

    proptest! {
        #[test]
        fn everything_is_there_once_and_in_order(left in "[abAB]{0,12}", right in "[abAB]{0,12}") {
            let pairs = lined_up(&left, &right);
            let all = |length: usize| (0..length).collect::<Vec<_>>();
            let expected: Vec<_> = pairs.iter().filter_map(|pair| pair.0).collect();
            let actual: Vec<_> = pairs.iter().filter_map(|pair| pair.1).collect();
            prop_assert_eq!(expected, all(left.len()));
            prop_assert_eq!(actual, all(right.len()));
        }
    }
}
