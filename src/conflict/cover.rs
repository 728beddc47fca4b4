//! Products of sets of values that tell outcomes apart: what a person reads instead of thousands of
//! rows.

/// A product: of each axis the values that are in it, a bit each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cube(pub(super) Vec<u32>);

/// Outcomes over every combination; the last axis varies fastest.
pub(super) struct Grid<'a> {
    shape: &'a [usize],
    /// None where there is no such combination.
    rows: &'a [Option<usize>],
    strides: Vec<usize>,
}

/// Products of an outcome, in the order in which they are told.
pub(super) type Decision = (usize, Vec<Cube>);

/// An outcome of more products than these is told in pieces, between others.
const MOST: usize = 5;

/// What a further product, or an outcome in pieces, costs the reader, in words.
const MORE: usize = 3;

impl<'a> Grid<'a> {
    pub(super) fn new(shape: &'a [usize], rows: &'a [Option<usize>]) -> Self {
        let mut strides = vec![1; shape.len()];
        for axis in (0..shape.len().saturating_sub(1)).rev() {
            strides[axis] = strides[axis + 1] * shape[axis + 1];
        }
        Self { shape, rows, strides }
    }

    /// Products in an order such that of each combination the first that holds it names its outcome;
    /// what is in none of them is `plain`. Next is always what can be said in the fewest words: an
    /// outcome whole, or a product of it.
    pub(super) fn decide(&self, plain: impl Fn(usize) -> bool) -> Vec<Decision> {
        let mut alive: Vec<bool> = self.rows.iter().map(Option::is_some).collect();
        let mut list: Vec<Decision> = Vec::new();
        loop {
            let open = self.rows.iter().zip(&alive).filter(|(_, alive)| **alive);
            let mut outcomes: Vec<usize> = open
                .filter_map(|(outcome, _)| *outcome)
                .filter(|outcome| !plain(*outcome))
                .collect();
            outcomes.sort_unstable();
            outcomes.dedup();
            let last = list.last().map(|(outcome, _)| *outcome);
            let next = outcomes
                .into_iter()
                .map(|outcome| self.told(outcome, &alive))
                .min_by_key(|(words, (outcome, _))| (*words, Some(*outcome) != last));
            let Some((_, (outcome, cubes))) = next else {
                return list;
            };
            for cube in &cubes {
                self.each(cube, |row| {
                    alive[row] = false;
                    true
                });
            }
            match list.last_mut().filter(|last| last.0 == outcome) {
                Some(last) => last.1.extend(cubes),
                None => list.push((outcome, cubes)),
            }
        }
    }

    /// What is left of an outcome, whole or the best product of it, and in how many words.
    fn told(&self, outcome: usize, alive: &[bool]) -> (usize, Decision) {
        let wanted = |row: usize| alive[row] && self.rows[row] == Some(outcome);
        let fits = |row: usize| !alive[row] || self.rows[row] == Some(outcome);
        let mut cubes = self.products(wanted, fits, MOST + 1);
        for cube in &mut cubes {
            self.trim(cube, alive);
        }
        cubes.sort_by_key(|cube| self.words(cube));
        let piece = cubes.first().map_or(0, |cube| self.words(cube));
        let whole = cubes.iter().map(|cube| self.words(cube) + MORE).sum();
        if cubes.len() > MOST || (cubes.len() > 1 && whole > piece + 2 * MORE) {
            cubes.truncate(1);
            return (piece + 2 * MORE, (outcome, cubes));
        }
        (whole, (outcome, cubes))
    }

    /// Leaves out values that only stand for what is decided already, where that does not leave the
    /// axis free.
    fn trim(&self, cube: &mut Cube, alive: &[bool]) {
        for axis in 0..self.shape.len() {
            if cube.0[axis] == (1 << self.shape[axis]) - 1 {
                continue;
            }
            for value in 0..self.shape[axis] {
                let mut slice = cube.clone();
                slice.0[axis] &= 1 << value;
                if slice.0[axis] != 0 && self.each(&slice, |row| !alive[row]) {
                    cube.0[axis] &= !(1 << value);
                }
            }
        }
    }

    /// The place of a combination among the rows.
    pub(super) fn row(&self, places: &[usize]) -> usize {
        places.iter().zip(&self.strides).map(|(at, by)| at * by).sum()
    }

    /// Products of combinations that fit, each as wide as it goes, until they hold all that are
    /// wanted or there are so many.
    pub(super) fn products(
        &self,
        wanted: impl Fn(usize) -> bool,
        fits: impl Fn(usize) -> bool,
        most: usize,
    ) -> Vec<Cube> {
        let mut open: Vec<bool> = (0..self.rows.len()).map(wanted).collect();
        let mut cubes = Vec::new();
        while let Some(seed) = open.iter().position(|open| *open) {
            if cubes.len() == most {
                break;
            }
            let axes = self.shape.len();
            let orders =
                (0..axes).map(|first| (0..axes).map(|at| (first + at) % axes).collect::<Vec<_>>());
            let best = orders
                .map(|order| self.widened(seed, &order, &fits))
                .min_by_key(|cube| (self.words(cube), self.unmet(cube, &open)));
            let Some(cube) = best else { break };
            self.each(&cube, |row| {
                open[row] = false;
                true
            });
            cubes.push(cube);
        }
        cubes
    }

    /// The product around a combination, widened axis by axis as far as everything in it fits.
    fn widened(&self, seed: usize, order: &[usize], fits: &impl Fn(usize) -> bool) -> Cube {
        let place = |axis: usize| seed / self.strides[axis] % self.shape[axis];
        let mut cube = Cube((0..self.shape.len()).map(|axis| 1 << place(axis)).collect());
        for &axis in order {
            for value in 0..self.shape[axis] {
                let mut slice = cube.clone();
                slice.0[axis] = 1 << value;
                if self.each(&slice, fits) {
                    cube.0[axis] |= 1 << value;
                }
            }
        }
        cube
    }

    /// How much there is to say of a product: less for an axis that is free or has one value, or
    /// any but the first.
    fn words(&self, cube: &Cube) -> usize {
        let words = |(mask, count): (&u32, &usize)| {
            let values = mask.count_ones() as usize;
            match values {
                all if all == *count => 0,
                1 => 2,
                most if most + 1 == *count && mask & 1 == 0 => 2,
                some => 3 + some,
            }
        };
        self.shape.iter().zip(&cube.0).map(|(n, m)| words((m, n))).sum()
    }

    /// How many of the combinations are not in it: fewer is better.
    fn unmet(&self, cube: &Cube, of: &[bool]) -> usize {
        let mut met = 0;
        self.each(cube, |row| {
            met += usize::from(of[row]);
            true
        });
        of.len() - met
    }

    /// Goes through a product while the visitor says so, and says whether it always did.
    fn each(&self, cube: &Cube, mut visit: impl FnMut(usize) -> bool) -> bool {
        let mut places: Vec<usize> = cube.0.iter().map(|m| m.trailing_zeros() as usize).collect();
        loop {
            let row: usize = places.iter().zip(&self.strides).map(|(at, by)| at * by).sum();
            if !visit(row) {
                return false;
            }
            let mut axis = self.shape.len();
            loop {
                if axis == 0 {
                    return true;
                }
                axis -= 1;
                let higher = cube.0[axis] >> (places[axis] + 1);
                if higher != 0 {
                    places[axis] += 1 + higher.trailing_zeros() as usize;
                    break;
                }
                places[axis] = cube.0[axis].trailing_zeros() as usize;
            }
        }
    }
}
