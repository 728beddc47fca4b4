//! The checks behind a survey, in the order in which they fire. Every form of `conflicts` begins
//! with them.

use super::{
    Cell, ObjectTable, Survey,
    cover::{Cube, Grid},
};

/// A survey in few lines.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Axes whose value never matters.
    pub indifferent: Vec<bool>,
    /// Of each combination the first that holds it says what comes of it; what none holds is
    /// accepted, or, where profiles are compared, the same under all of them.
    pub rules: Vec<Rule>,
    /// What is accepted, by itself; empty where profiles are compared.
    pub accepted: Vec<Vec<u32>>,
    /// How many combinations are, or are the same.
    pub plain: usize,
}

/// A check: what it looks at, and what comes of it.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The outcome's place in the survey.
    pub outcome: usize,
    /// Products of values, of each axis a bit for each value, and of each pair of axes bit 1 for
    /// the same and bit 0 for not: the check fires in any of them.
    pub when: Vec<Vec<u32>>,
    /// How many combinations it decides.
    pub decides: usize,
}

impl Summary {
    /// Reads a survey.
    #[must_use]
    pub fn of(survey: &Survey) -> Self {
        let table = &survey.table;
        let indifferent = survey.indifferent();
        // Without the axes that never matter, and with those that tell whether two name the same.
        let kept: Vec<usize> = (0..table.axes.len()).filter(|axis| !indifferent[*axis]).collect();
        let counts = kept.iter().map(|axis| table.axes[*axis].values.len());
        let shape: Vec<usize> = counts.chain(table.pairs.iter().map(|_| 2)).collect();
        let everything = Grid::new(&shape, &[]);
        let mut rows = vec![None; shape.iter().product()];
        for (row, outcome) in survey.rows.iter().enumerate() {
            let all = table.places(row);
            let places: Vec<usize> =
                kept.iter().map(|axis| all[*axis]).chain(table.same(&all)).collect();
            rows[everything.row(&places)] = Some(*outcome);
        }
        let grid = Grid::new(&shape, &rows);
        let widen = |cube: &Cube| {
            let mut given = cube.0.iter().copied();
            let axes = table.axes.iter().zip(&indifferent);
            let mut whole: Vec<u32> = axes
                .map(|(axis, free)| match free {
                    true => (1 << axis.values.len()) - 1,
                    false => given.next().unwrap_or_default(),
                })
                .collect();
            whole.extend(given);
            whole
        };
        let decisions = grid.decide(|outcome| survey.is_plain(outcome));
        let rules = decisions.into_iter().map(|(outcome, cubes)| Rule {
            outcome,
            when: cubes.iter().map(widen).collect(),
            decides: 0,
        });
        let is_plain = |outcome: &usize| survey.is_plain(*outcome);
        let accepted = if survey.profiles.len() == 1 {
            let wanted = |row: usize| rows[row].as_ref().is_some_and(is_plain);
            let fits = |row: usize| rows[row].as_ref().is_none_or(is_plain);
            grid.products(wanted, fits, usize::MAX)
        } else {
            Vec::new()
        };
        let rules = rules.collect();
        let accepted = accepted.iter().map(widen).collect();
        let mut summary = Self { indifferent, rules, accepted, plain: 0 };
        for row in 0..survey.rows.len() {
            match summary.decides(survey, row) {
                Some(rule) => summary.rules[rule].decides += 1,
                None => summary.plain += 1,
            }
        }
        summary
    }

    /// The rule that decides a combination; none for what is plain.
    #[must_use]
    pub fn decides(&self, survey: &Survey, row: usize) -> Option<usize> {
        let holds = |rule: &Rule| rule.when.iter().any(|cube| survey.table.holds(cube, row));
        self.rules.iter().position(holds)
    }
}

impl ObjectTable {
    /// Whether a product holds a combination.
    #[must_use]
    pub fn holds(&self, cube: &[u32], row: usize) -> bool {
        let places = self.places(row);
        let same = self.same(&places);
        let mut pairs = cube.iter().zip(places.into_iter().chain(same));
        pairs.all(|(mask, place)| mask >> place & 1 == 1)
    }

    /// Of each pair of axes 1 where a combination's values are set and the same, else 0.
    fn same(&self, places: &[usize]) -> Vec<usize> {
        let cell = |axis: usize| self.axes[axis].values[places[axis]];
        let pairs = self.pairs.iter();
        pairs
            .map(|(one, other)| (cell(*one), cell(*other)))
            .map(|(one, other)| usize::from(one == other && one != Cell::Unset))
            .collect()
    }
}
