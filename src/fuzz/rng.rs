//! The generator of random scenarios: one seed, the same numbers on every machine.

/// Where random scenarios come from: SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom
/// number generators", OOPSLA 2014). It is written out here because a seed must give the same
/// scenario whatever the versions of the libraries are, for as long as reports name seeds. What of that
/// holds when tapwright itself can draw more is said at [`Rng::weighted_growing`].
#[derive(Clone, Debug)]
pub(super) struct Rng(u64);

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Rng {
    /// The numbers of one case of a seed. Cases are independent of each other, so that any of them
    /// can be made alone.
    pub(super) const fn of(seed: u64, case: u64) -> Self {
        Self(mix(seed.wrapping_add(GOLDEN)) ^ mix(case.wrapping_mul(GOLDEN)))
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// A number below `end`; 0 where that is 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        scaled(self.next(), end)
    }

    /// A number from `first` to `last`.
    pub(super) fn within(&mut self, first: usize, last: usize) -> usize {
        first + self.below(last.saturating_sub(first) + 1)
    }

    /// True with this probability in percent.
    pub(super) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of several; none if there are none.
    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }

    pub(super) fn word(&mut self, from: &[&'static str]) -> &'static str {
        self.pick(from).copied().unwrap_or_default()
    }

    pub(super) fn number(&mut self, from: &[usize]) -> usize {
        self.pick(from).copied().unwrap_or_default()
    }

    /// One of several by weight; none where all weights are 0.
    pub(super) fn weighted<'a, T>(
        &mut self,
        from: &'a [T],
        weight: impl Fn(&T) -> usize,
    ) -> Option<&'a T> {
        let mut at = self.below(from.iter().map(&weight).sum());
        from.iter().find(|each| {
            let weight = weight(each);
            let here = at < weight;
            at = at.saturating_sub(weight);
            here
        })
    }

    /// One of several by weight, of a table that grows at its end; none where all weights are 0. The
    /// first `old` rows share the number that is drawn as [`Rng::weighted`] does. Each later row then
    /// takes over in its share of the draws, whatever was found before it: so a new row changes what
    /// it takes over and nothing else, and a seed that never draws it gives the same scenario as before.
    /// Where it is drawn, what follows in that scenario is another. An old row whose own draws change
    /// still changes every scenario that has it.
    pub(super) fn weighted_growing<'a, T>(
        &mut self,
        from: &'a [T],
        old: usize,
        weight: impl Fn(&T) -> usize,
    ) -> Option<&'a T> {
        let (old, later) = from.split_at(old.min(from.len()));
        let mut sum: usize = old.iter().map(&weight).sum();
        let mut found = self.weighted(old, &weight);
        let drawn = self.0;
        for (number, row) in (1..).zip(later) {
            let weight = weight(row);
            sum += weight;
            let own = mix(drawn ^ mix(number));
            if scaled(own, sum) < weight {
                found = Some(row);
            }
        }
        found
    }

    /// This many bytes in hexadecimal.
    pub(super) fn hex(&mut self, bytes: usize) -> String {
        (0..bytes).map(|_| format!("{:02x}", self.below(256))).collect()
    }
}

/// A number below `end` for one of 64 bits.
fn scaled(number: u64, end: usize) -> usize {
    let wide = u128::from(number) * end as u128;
    usize::try_from(wide >> 64).unwrap_or_default()
}

const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers that the generator's reference implementation gives (Vigna, splitmix64.c).
    #[test]
    fn the_numbers_are_those_of_the_reference() {
        let mut rng = Rng(1_234_567);
        let numbers = [rng.next(), rng.next(), rng.next()];
        assert_eq!(
            numbers,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn draws_stay_in_their_bounds_and_reach_them() {
        let mut rng = Rng::of(1, 1);
        let drawn: std::collections::BTreeSet<_> = (0..200).map(|_| rng.within(3, 6)).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [3, 4, 5, 6]);
        assert_eq!(rng.below(0), 0);
        assert!((0..50).all(|_| !rng.chance(0) && rng.chance(100)));
        let weighted: std::collections::BTreeSet<_> = (0..200)
            .filter_map(|_| rng.weighted(&[(1, 0), (2, 5), (3, 1)], |each| each.1))
            .map(|each| each.0)
            .collect();
        assert_eq!(weighted.into_iter().collect::<Vec<_>>(), [2, 3]);
        assert_eq!(rng.weighted(&[0usize, 0], |each| *each), None);
    }

    #[test]
    fn a_row_at_the_end_changes_only_the_draws_that_it_takes() {
        const OLD: [(&str, usize); 3] = [("a", 70), ("b", 20), ("c", 0)];
        const NEW: [(&str, usize); 5] = [OLD[0], OLD[1], OLD[2], ("d", 30), ("e", 10)];
        let mut taken = [0; 2];
        for case in 0..2000 {
            let (mut one, mut other, mut first) =
                (Rng::of(1, case), Rng::of(1, case), Rng::of(1, case));
            let old = one.weighted_growing(&OLD, 3, |row| row.1);
            let new = other.weighted_growing(&NEW, 3, |row| row.1).expect("a row");
            assert_eq!(old, first.weighted(&OLD, |row| row.1));
            match new.0 {
                "d" => taken[0] += 1,
                "e" => taken[1] += 1,
                _ => assert_eq!(old, Some(new)),
            }
            assert_eq!(one.next(), other.next());
        }
        // 30 and 10 of 130.
        assert!((400..520).contains(&taken[0]) && (110..200).contains(&taken[1]), "{taken:?}");
        assert_eq!(Rng::of(1, 1).weighted_growing(&[("c", 0), ("d", 0)], 1, |row| row.1), None);
        let only = Rng::of(1, 1).weighted_growing(&[("c", 0), ("d", 1)], 1, |row| row.1);
        assert_eq!(only.map(|row| row.0), Some("d"));
    }

    #[test]
    fn cases_of_a_seed_differ() {
        let first: std::collections::BTreeSet<_> =
            (0..100).map(|case| Rng::of(7, case).next()).collect();
        assert_eq!(first.len(), 100);
    }
}
