//! What a file may grow to: every product of what stands in it (values by references, cases by
//! nodes, repetitions by frames, ...) is counted as it is written out, before its memory is taken.
//! The context asks it; [`docs/limits.md`](../../docs/limits.md) has the numbers for users.

use std::cell::Cell;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Cases of a matrix.
    Cases,
    /// Bytes of text in the trees of all cases, references written out.
    Text,
    /// Keys, values, lists and maps of the trees of all cases.
    Nodes,
    /// Machines and what they and the host side are made of.
    Devices,
    /// Devices of a case by devices of the same case: each may look for each other one.
    Pairs,
    /// Elements of QEMU's option strings.
    Options,
    Steps,
    /// Frames that are sent or expected.
    Frames,
    /// Bytes of these frames and of what is written.
    Bytes,
    /// Keys, values and references of frames that are written out anew in each repetition, and
    /// eighths of their text.
    Repeated,
}

/// A kind's name, its own limit, and what one of it takes.
struct Row {
    kind: Kind,
    name: &'static str,
    most: usize,
    /// Bytes of memory that one of it takes, at most, until the file has been run.
    takes: usize,
}

/// In the order of [`Kind`].
static ROWS: [Row; 10] = [
    row(Kind::Cases, "cases", usize::MAX, 2048),
    row(Kind::Text, "bytes of text", 16 << 20, 2),
    row(Kind::Nodes, "keys and values", usize::MAX, 96),
    row(Kind::Devices, "devices", usize::MAX, 512),
    row(Kind::Pairs, "pairs of devices", 5_000_000, 0),
    row(Kind::Options, "options in strings", 500_000, 256),
    row(Kind::Steps, "steps", usize::MAX, 256),
    row(Kind::Frames, "frames", 1_000_000, 96),
    row(Kind::Bytes, "bytes of frames and writes", 64 << 20, 1),
    row(Kind::Repeated, "keys, values and references of repeated frames", 20_000_000, 0),
];

/// Most bytes of memory that all cases of a file take together, as [`Row::takes`] counts them.
pub(crate) const MEMORY: usize = 192 << 20;

const fn row(kind: Kind, name: &'static str, most: usize, takes: usize) -> Row {
    Row { kind, name, most, takes }
}

impl Kind {
    fn row(self) -> &'static Row {
        &ROWS[self as usize]
    }

    pub(crate) fn name(self) -> &'static str {
        self.row().name
    }

    /// Whether it is what passes the ports.
    pub(crate) fn is_traffic(self) -> bool {
        matches!(self, Self::Frames | Self::Bytes)
    }
}

/// How much there is of a kind.
#[derive(Default)]
struct Tally {
    /// In all cases so far.
    all: Cell<usize>,
    /// In the first case; none while that is being read.
    first: Cell<Option<usize>>,
    /// In the cases before this one.
    before: Cell<usize>,
}

/// What is left, for all cases of a file together.
pub(crate) struct Budget {
    tallies: [Tally; ROWS.len()],
    memory: Cell<usize>,
    spent: Cell<bool>,
}

/// A limit that would have been passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overrun {
    /// What grew: of a limit that several kinds share, the one that takes most of it.
    pub(crate) kind: Kind,
    /// How much of it one case has.
    pub(crate) per_case: usize,
    /// Its own limit; none where what all kinds take together is too much.
    pub(crate) most: Option<usize>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { tallies: Default::default(), memory: Cell::new(MEMORY), spent: Cell::new(false) }
    }
}

impl Budget {
    /// Whether a limit was passed. Nothing can be taken any more.
    pub(crate) fn is_spent(&self) -> bool {
        self.spent.get()
    }

    /// What comes next is another case's.
    pub(crate) fn next_case(&self) {
        for tally in &self.tallies {
            if tally.all.get() > 0 && tally.first.get().is_none() {
                tally.first.set(Some(tally.all.get()));
            }
            tally.before.set(tally.all.get());
        }
    }

    /// Takes this many of a kind.
    ///
    /// # Errors
    /// If fewer are left: then nothing is left, of any kind.
    pub(crate) fn take(&self, kind: Kind, count: usize) -> Result<(), Overrun> {
        let tally = &self.tallies[kind as usize];
        let all = tally.all.get().saturating_add(count);
        tally.all.set(all);
        let row = kind.row();
        let left = self.memory.get().checked_sub(count.saturating_mul(row.takes));
        self.memory.set(left.unwrap_or(0));
        if all <= row.most && left.is_some() && !self.spent.get() {
            return Ok(());
        }
        self.spent.set(true);
        let most = (all > row.most).then_some(row.most);
        let kind = if most.is_some() { kind } else { self.largest() };
        Err(Overrun { kind, per_case: self.per_case(kind), most })
    }

    /// The kind that takes most of the memory.
    fn largest(&self) -> Kind {
        let taken = |row: &Row| self.tallies[row.kind as usize].all.get().saturating_mul(row.takes);
        ROWS.iter().max_by_key(|row| taken(row)).map_or(Kind::Nodes, |row| row.kind)
    }

    /// For an unfinished case it is the count so far, unless the first case had more.
    fn per_case(&self, kind: Kind) -> usize {
        let tally = &self.tallies[kind as usize];
        let this = tally.all.get() - tally.before.get();
        tally.first.get().unwrap_or(0).max(this)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn rows_stand_in_the_order_of_the_kinds() {
        for (at, row) in ROWS.iter().enumerate() {
            assert_eq!(row.kind as usize, at, "{}", row.name);
        }
    }

    #[rstest]
    #[case::text(Kind::Text, 16 << 20)]
    #[case::pairs(Kind::Pairs, 5_000_000)]
    #[case::frames(Kind::Frames, 1_000_000)]
    #[case::bytes(Kind::Bytes, 64 << 20)]
    #[case::repeated(Kind::Repeated, 20_000_000)]
    #[case::cases(Kind::Cases, MEMORY / 2048)]
    #[case::nodes(Kind::Nodes, MEMORY / 96)]
    #[case::devices(Kind::Devices, MEMORY / 512)]
    #[case::options(Kind::Options, 500_000)]
    #[case::steps(Kind::Steps, MEMORY / 256)]
    fn the_last_that_fits_is_taken_and_the_next_is_not(#[case] kind: Kind, #[case] most: usize) {
        let budget = Budget::default();
        assert_eq!(budget.take(kind, most - 1), Ok(()));
        assert_eq!(budget.take(kind, 1), Ok(()));
        let overrun = budget.take(kind, 1).expect_err("one more than the limit");
        assert_eq!((overrun.kind, overrun.per_case), (kind, most + 1));
        assert!(overrun.most.is_none_or(|limit| limit == most));
        assert!(budget.is_spent() && budget.take(Kind::Steps, 0).is_err());
    }

    #[test]
    fn kinds_share_the_memory_and_the_one_with_most_of_it_is_named() {
        let budget = Budget::default();
        budget.take(Kind::Frames, 1_000_000).expect("96 of 192 MB");
        budget.take(Kind::Bytes, 64 << 20).expect("160 of 192 MB");
        let overrun = budget.take(Kind::Nodes, 1 << 20).expect_err("96 MB more");
        assert_eq!((overrun.kind, overrun.most), (Kind::Nodes, None));
    }

    #[test]
    fn a_case_has_as_much_as_the_first_had() {
        let budget = Budget::default();
        budget.take(Kind::Pairs, 1_000_000).expect("the first case");
        budget.next_case();
        for _ in 0..4 {
            budget.take(Kind::Pairs, 1_000_000).expect("as many in each");
            budget.next_case();
        }
        let overrun = budget.take(Kind::Pairs, 7).expect_err("the sixth case");
        assert_eq!((overrun.per_case, overrun.most), (1_000_000, Some(5_000_000)));
    }

    #[test]
    fn numbers_without_bounds_are_refused() {
        let budget = Budget::default();
        assert!(budget.take(Kind::Frames, usize::MAX).is_err());
        let budget = Budget::default();
        assert!(budget.take(Kind::Nodes, usize::MAX).is_err());
    }
}
