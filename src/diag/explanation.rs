//! What a code means, as a row of a table. Each part keeps its table, and `explain` searches all of
//! them.

use super::Code;

/// What a code means: a row of the table that the part that owns the code keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explanation {
    pub code: Code,
    pub title: &'static str,
    /// One paragraph: when it happens, why that is refused, what to do.
    pub text: &'static str,
}

impl Explanation {
    /// The row of a code in the tables of several parts.
    #[must_use]
    pub fn find(tables: &[&'static [Self]], code: &str) -> Option<&'static Self> {
        tables.iter().flat_map(|table| table.iter()).find(|row| row.code.0 == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: &[Explanation] =
        &[Explanation { code: Code("TW-S998"), title: "first", text: "The first." }];
    const MORE: &[Explanation] =
        &[Explanation { code: Code("TW-S999"), title: "second", text: "The second." }];

    #[test]
    fn a_row_is_found_in_any_table() {
        assert_eq!(
            Explanation::find(&[ROWS, MORE], "TW-S999").map(|row| row.title),
            Some("second")
        );
        assert_eq!(Explanation::find(&[ROWS], "TW-S999"), None);
    }
}
