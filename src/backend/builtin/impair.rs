//! Decides what an impairment does to each frame: loss, corruption, duplication, rate, delay and
//! reordering, from one seed. `traffic` has one stretch for each direction of an impaired port.

use std::time::Duration;

use bytes::Bytes;

use super::dice::Dice;
use crate::{
    base::{Frame, VirtualTime},
    record::Impaired,
    scenario::{Impairment, Share},
};

/// A bad stretch of network: decides what becomes of each frame that goes in.
///
/// In this order: loss, corruption, duplication, then rate and delay. A lost frame is not also
/// doubled; the second copy of a frame is like the first, goes right behind it, and takes its time
/// on the line. (Linux sends the copy through the whole stretch once more, and lets one of a frame
/// that is both doubled and lost through: `net/sched/sch_netem.c`, `netem_enqueue`.) A frame leaves
/// when the ones before it have been put on the line at `rate`, and arrives `delay` later, `jitter`
/// more or less; one that `reorder` picks arrives as soon as it has left. With jitter or reordering
/// frames may overtake each other, otherwise never.
///
/// Each frame takes six draws, whatever is set: with another loss the same frames are still the
/// delayed ones.
#[derive(Clone, Debug)]
pub(super) struct Stretch {
    impairment: Impairment,
    dice: Dice,
    /// When the line is free again.
    free: VirtualTime,
}

/// What becomes of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It ends here.
    Lost,
    /// It goes on at a time.
    Goes {
        /// As it goes on.
        frame: Frame,
        at: VirtualTime,
        /// Once, or once more right behind.
        copies: usize,
        /// What was done to it, in order.
        done: Vec<Impaired>,
    },
}

impl Stretch {
    pub(super) const fn new(impairment: Impairment) -> Self {
        Self { dice: Dice::new(impairment.seed), impairment, free: VirtualTime::ZERO }
    }

    pub(super) fn decide(&mut self, now: VirtualTime, frame: &Frame) -> Fate {
        let Impairment { loss, delay, jitter, reorder, duplicate, corrupt, rate, seed: _ } =
            self.impairment;
        let [lost, doubled, corrupted, bit, overtakes, swing] =
            std::array::from_fn(|_| self.dice.next());
        if picks(loss, lost) {
            return Fate::Lost;
        }
        let mut done = Vec::new();
        let mut frame = frame.clone();
        if picks(corrupt, corrupted) && !frame.data.is_empty() {
            let bit = below(bit, frame.data.len() * 8);
            frame.data = flip(&frame.data, bit);
            done.push(Impaired::Corrupted { bit });
        }
        let copies = 1 + usize::from(picks(duplicate, doubled));
        if copies > 1 {
            done.push(Impaired::Duplicated);
        }
        let mut leaves = now;
        if rate > 0 {
            leaves = self.free.max(now) + on_the_line(frame.data.len() * copies, rate);
            self.free = leaves;
        }
        let at = if picks(reorder, overtakes) {
            done.push(Impaired::Reordered);
            leaves
        } else {
            leaves + swung(delay, jitter, swing)
        };
        Fate::Goes { frame, at, copies, done }
    }
}

/// Whether a draw picks a frame of which this share is picked.
const fn picks(share: Share, draw: u64) -> bool {
    // The upper half of the draw, as a fraction of a million.
    ((draw >> 32) * 1_000_000) >> 32 < share.ppm() as u64
}

/// A draw as a number below a limit (Lemire, "Fast Random Integer Generation in an Interval").
fn below(draw: u64, limit: usize) -> usize {
    let scaled = (u128::from(draw) * limit as u128) >> 64;
    // It is below the limit.
    scaled as usize
}

fn flip(data: &Bytes, bit: usize) -> Bytes {
    let mut data = data.to_vec();
    if let Some(byte) = data.get_mut(bit / 8) {
        *byte ^= 0x80 >> (bit % 8);
    }
    data.into()
}

/// How long these bytes take at this rate in bits per second, rounded up to a nanosecond.
fn on_the_line(bytes: usize, rate: u64) -> Duration {
    let nanos = (bytes as u128 * 8 * 1_000_000_000).div_ceil(u128::from(rate.max(1)));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// A delay with its jitter, never less than nothing.
fn swung(delay: Duration, jitter: Duration, draw: u64) -> Duration {
    let steps = jitter.as_nanos() * 2 + 1;
    // Jitter is at most a day, which is far below 2^64 ns.
    let offset = (u128::from(draw) * steps) >> 64;
    let offset = Duration::from_nanos(u64::try_from(offset).unwrap_or(u64::MAX));
    (delay + offset).saturating_sub(jitter)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(number: usize) -> Frame {
        Frame::plain(vec![number.to_le_bytes()[0]; 60 + number % 40])
    }

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    /// The fates of this many frames that all go in at once.
    fn fates(impairment: Impairment, count: usize) -> Vec<Fate> {
        let mut stretch = Stretch::new(impairment);
        (0..count).map(|number| stretch.decide(VirtualTime::ZERO, &frame(number))).collect()
    }

    #[test]
    fn without_an_impairment_nothing_happens() {
        for (number, fate) in fates(Impairment::default(), 100).into_iter().enumerate() {
            let expected = Fate::Goes {
                frame: frame(number),
                at: VirtualTime::ZERO,
                copies: 1,
                done: Vec::new(),
            };
            assert_eq!(fate, expected);
        }
    }

    /// Which frames a seed picks is part of every snapshot with an impairment in it.
    #[test]
    fn the_same_frames_are_lost_for_ever() {
        let impairment =
            Impairment { loss: Share::from_ppm(300_000), seed: 7, ..Impairment::default() };
        let lost: Vec<usize> = (1..)
            .zip(fates(impairment, 20))
            .filter_map(|(number, fate)| (fate == Fate::Lost).then_some(number))
            .collect();
        assert_eq!(lost, [7, 15, 17, 18]);
    }

    #[test]
    fn a_rate_lets_one_frame_after_the_other_on_the_line() {
        let impairment = Impairment { rate: 8_000, delay: ms(5), ..Impairment::default() };
        let mut stretch = Stretch::new(impairment);
        // 100 bytes at 8,000 bits a second take 100 ms.
        let frame = Frame::plain(vec![0; 100]);
        let mut at = |now| match stretch.decide(VirtualTime::ZERO + now, &frame) {
            Fate::Goes { at, .. } => at.elapsed(),
            Fate::Lost => Duration::MAX,
        };
        assert_eq!(at(ms(0)), ms(105));
        assert_eq!(at(ms(0)), ms(205));
        assert_eq!(at(ms(150)), ms(305));
        assert_eq!(at(ms(1000)), ms(1105));
    }

    #[test]
    fn jitter_is_uniform_around_the_delay_and_never_before_now() {
        for (draw, expected) in [(0, ms(4)), (1 << 63, ms(5)), (u64::MAX, ms(6))] {
            assert_eq!(swung(ms(5), ms(1), draw), expected);
        }
        assert_eq!(swung(ms(1), ms(5), 0), Duration::ZERO);
    }

    fn share() -> impl Strategy<Value = Share> {
        (0..=1_000_000u32).prop_map(Share::from_ppm)
    }

    prop_compose! {
        fn impairment()(
            loss in share(), duplicate in share(), corrupt in share(), reorder in share(),
            delay in 0..50u64, jitter in 0..50u64, rate in 0..10_000_000u64, seed in any::<u64>(),
        ) -> Impairment {
            let (delay, jitter) = (ms(delay), ms(jitter));
            Impairment { loss, delay, jitter, reorder, duplicate, corrupt, rate, seed }
        }
    }

    proptest! {
        #[test]
        fn frames_are_conserved(impairment in impairment(), count in 0..200usize) {
            let (mut lost, mut came, mut doubled, mut flipped) = (0, 0, 0, 0);
            for (number, fate) in fates(impairment, count).into_iter().enumerate() {
                match fate {
                    Fate::Lost => lost += 1,
                    Fate::Goes { frame: after, copies, done, .. } => {
                        came += copies;
                        doubled += usize::from(done.contains(&Impaired::Duplicated));
                        let before = frame(number).data;
                        let bits: u32 = before.iter().zip(&after.data)
                            .map(|(a, b)| (a ^ b).count_ones()).sum();
                        let is_flipped = done.iter()
                            .any(|done| matches!(done, Impaired::Corrupted { .. }));
                        prop_assert_eq!(bits, u32::from(is_flipped));
                        prop_assert_eq!(before.len(), after.data.len());
                        flipped += usize::from(is_flipped);
                    }
                }
            }
            prop_assert_eq!(count + doubled, came + lost);
            prop_assert!(impairment.corrupt > Share::default() || flipped == 0);
        }

        #[test]
        fn without_jitter_and_reordering_frames_stay_in_order(
            impairment in impairment(), gaps in prop::collection::vec(0..20u64, 0..100),
        ) {
            let calm = Impairment { jitter: ms(0), reorder: Share::default(), ..impairment };
            let mut stretch = Stretch::new(calm);
            let (mut now, mut last) = (VirtualTime::ZERO, VirtualTime::ZERO);
            for (number, gap) in gaps.into_iter().enumerate() {
                now = now + ms(gap);
                if let Fate::Goes { at, .. } = stretch.decide(now, &frame(number)) {
                    prop_assert!(at >= last && at >= now);
                    last = at;
                }
            }
        }

        #[test]
        fn one_property_does_not_change_the_dice_of_another(
            impairment in impairment(), other in share(),
        ) {
            let lossy = Impairment { duplicate: other, ..impairment };
            let lost = |impairment| fates(impairment, 50).into_iter()
                .map(|fate| fate == Fate::Lost).collect::<Vec<_>>();
            prop_assert_eq!(lost(impairment), lost(lossy));
        }

        #[test]
        fn a_share_is_what_it_says(ppm in 0..=1_000_000u32, seed in any::<u64>()) {
            let mut dice = Dice::new(seed);
            let picked = (0..10_000).filter(|_| picks(Share::from_ppm(ppm), dice.next())).count();
            // Five standard deviations of 10,000 draws are at most 250.
            let expected = ppm as usize / 100;
            prop_assert!(picked.abs_diff(expected) <= 250 + 1);
        }
    }
}
