//! Frames that came in another order, in what was lined up. Read by the comparison of a port.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::Hash,
};

use super::align::{self, Pair};

/// Two lists lined up, with what stands in another place.
pub(super) struct LinedUp {
    pub(super) pairs: Vec<Pair>,
    /// What moved, by its place on the left, and where it is on the right. The two are a pair.
    pub(super) moved: BTreeMap<usize, usize>,
}

/// Lines two lists up; what has its equal elsewhere moved, where its key `counts`.
pub(super) fn line_up<K: Eq + Hash>(
    left: &[K],
    right: &[K],
    counts: impl Fn(&K) -> bool,
    cost: impl Fn(usize, usize) -> usize + Copy,
) -> LinedUp {
    let pairs = repeats_last(align::align(left, right, cost), left, right);
    let moved = moved(&pairs, left, right, counts);
    let pairs = without_moved(pairs, &moved, left, right, cost);
    LinedUp { pairs, moved }
}

/// Of things that are the same and of which one more came, or one fewer, the last is the one that
/// is extra or missing.
fn repeats_last<K: Eq>(mut pairs: Vec<Pair>, left: &[K], right: &[K]) -> Vec<Pair> {
    for next in 1..pairs.len() {
        let (Some(a), Some(b)) = pairs[next] else {
            continue;
        };
        match pairs[next - 1] {
            (None, Some(extra)) if left[a] == right[b] && right[extra] == right[b] => {
                pairs[next - 1] = (Some(a), Some(extra));
                pairs[next] = (None, Some(b));
            }
            (Some(missing), None) if left[a] == right[b] && left[missing] == left[a] => {
                pairs[next - 1] = (Some(missing), Some(b));
                pairs[next] = (Some(a), None);
            }
            _ => {}
        }
    }
    pairs
}

/// Things that came, but in another place: of those that are not lined up with their equal, each on
/// the left with the first of its key on the right, where the key `counts`.
fn moved<K: Eq + Hash>(
    pairs: &[Pair],
    left: &[K],
    right: &[K],
    counts: impl Fn(&K) -> bool,
) -> BTreeMap<usize, usize> {
    let differs = |pair: &&Pair| match **pair {
        (Some(a), Some(b)) => left[a] != right[b],
        _ => true,
    };
    let mut came: HashMap<&K, Vec<usize>> = HashMap::new();
    for b in pairs.iter().filter(differs).rev().filter_map(|pair| pair.1) {
        came.entry(&right[b]).or_default().push(b);
    }
    let mut moved = BTreeMap::new();
    for a in pairs.iter().filter(differs).filter_map(|pair| pair.0) {
        if let Some(b) = came.get_mut(&left[a]).filter(|_| counts(&left[a])) {
            moved.extend(b.pop().map(|b| (a, b)));
        }
    }
    moved
}

/// The pairs with what moved paired, and what is left between two equal ones lined up anew, behind
/// what moved from there.
fn without_moved<K: Eq + Hash>(
    pairs: Vec<Pair>,
    moved: &BTreeMap<usize, usize>,
    left: &[K],
    right: &[K],
    cost: impl Fn(usize, usize) -> usize,
) -> Vec<Pair> {
    if moved.is_empty() {
        return pairs;
    }
    let came: BTreeSet<usize> = moved.values().copied().collect();
    let mut all = Vec::new();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let flush = |all: &mut Vec<Pair>, ours: &mut Vec<usize>, theirs: &mut Vec<usize>| {
        let (from, to) = (std::mem::take(ours), std::mem::take(theirs));
        let keys = |places: &[usize], keys: &dyn Fn(usize) -> usize| -> Vec<usize> {
            places.iter().map(|place| keys(*place)).collect()
        };
        // Nothing that is left has its equal on the other side, so places do for keys.
        let (one, other) = (keys(&from, &|a| 2 * a), keys(&to, &|b| 2 * b + 1));
        let lined = align::align(&one, &other, |a, b| cost(from[a], to[b]));
        let back = |(a, b): Pair| (a.map(|a| from[a]), b.map(|b| to[b]));
        all.extend(lined.into_iter().map(back));
    };
    for pair in pairs {
        if let (Some(a), Some(b)) = pair
            && left[a] == right[b]
        {
            flush(&mut all, &mut ours, &mut theirs);
            all.push(pair);
            continue;
        }
        theirs.extend(pair.1.filter(|b| !came.contains(b)));
        if let Some(a) = pair.0 {
            match moved.get(&a) {
                Some(b) => all.push((Some(a), Some(*b))),
                None => ours.push(a),
            }
        }
    }
    flush(&mut all, &mut ours, &mut theirs);
    all
}

/// The places on the left whose partners stand on the other side of the pair `a`, `b`.
pub(super) fn passed(pairs: &[Pair], a: usize, b: usize) -> Vec<usize> {
    let mut passed: Vec<usize> = pairs
        .iter()
        .filter_map(|pair| Some((pair.0?, pair.1?)))
        .filter(|(other, came)| (*other < a) != (*came < b) && *other != a)
        .map(|(other, _)| other)
        .collect();
    passed.sort_unstable();
    passed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Pairs as text: `a=a`, `-a`, `+a`, and `>` where it moved.
    fn lined_up(expected: &str, actual: &str) -> String {
        let (left, right): (Vec<_>, Vec<_>) =
            (expected.chars().collect(), actual.chars().collect());
        let cost = |a: usize, b: usize| match left[a].eq_ignore_ascii_case(&right[b]) {
            true => 1,
            false => align::UNLIKE,
        };
        let LinedUp { pairs, moved } = line_up(&left, &right, |_| true, cost);
        let word = |pair: &Pair| match *pair {
            (Some(a), Some(b)) if moved.contains_key(&a) => format!("{}>{}", left[a], b + 1),
            (Some(a), Some(b)) => format!("{}={}", left[a], right[b]),
            (Some(a), None) => format!("-{}", left[a]),
            (None, Some(b)) => format!("+{}", right[b]),
            (None, None) => String::new(),
        };
        pairs.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_changed_places_is_not_taken_for_changed() {
        assert_eq!(lined_up("aA", "Aa"), "a=a A>1");
        assert_eq!(lined_up("xaAy", "xAaY"), "x=x a=a A>2 y=Y");
    }

    #[test]
    fn of_the_same_the_last_is_extra_or_missing() {
        assert_eq!(lined_up("ab", "aab"), "a=a +a b=b");
        assert_eq!(lined_up("aab", "ab"), "a=a -a b=b");
    }

    #[test]
    fn what_was_passed() {
        let pairs = [(Some(0), Some(1)), (Some(1), Some(0)), (Some(2), Some(2))];
        assert_eq!(passed(&pairs, 0, 1), [1]);
        assert_eq!(passed(&pairs, 2, 2), [0_usize; 0]);
    }

    proptest! {
        #[test]
        fn everything_is_there_once(left in "[abAB]{0,10}", right in "[abAB]{0,10}") {
            let words = lined_up(&left, &right);
            let words: Vec<_> = words.split(' ').filter(|word| !word.is_empty()).collect();
            let missing = words.iter().filter(|word| word.starts_with('-')).count();
            let extra = words.iter().filter(|word| word.starts_with('+')).count();
            let both = words.len() - missing - extra;
            prop_assert_eq!(missing + both, left.len());
            prop_assert_eq!(extra + both, right.len());
        }
    }
}
