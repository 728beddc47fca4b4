//! Records as reports for people show them.

use std::borrow::Cow;

use super::{CaseRecord, RunRecord};
use crate::terminal::visible_members;

/// Members whose text has lines of its own; each other text is a value on a line.
const MULTILINE: &[&str] = &["description", "panic", "rendered", "text", "transcript"];

impl CaseRecord {
    /// As reports for people show it: no text of it acts on a terminal or ends its line. JSON has the
    /// texts themselves.
    #[must_use]
    pub fn visible(&self) -> Cow<'_, Self> {
        visible_members(self, MULTILINE)
    }
}

impl RunRecord {
    /// The same of all cases, and of what is said of the run.
    #[must_use]
    pub fn visible(&self) -> Cow<'_, Self> {
        visible_members(self, MULTILINE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Events, fixture, record::Collector};

    #[test]
    fn a_record_of_harmless_texts_is_shown_as_it_is() {
        let record = Collector::of(&fixture::run(), Events::OfAll);
        assert!(matches!(record.visible(), Cow::Borrowed(_)));
    }

    #[test]
    fn a_panic_keeps_its_lines_and_a_name_does_not() {
        let mut record = Collector::of(&fixture::run(), Events::OfAll);
        record.cases[0].case = "a\n::error::b".to_owned();
        record.cases[0].panic = Some("left: 1\nright: \u{1b}".to_owned());
        let shown = record.visible();
        assert_eq!(shown.cases[0].case, "a\\n::error::b");
        assert_eq!(shown.cases[0].panic.as_deref(), Some("left: 1\nright: \\u{1b}"));
        assert_eq!(shown.cases[1..], record.cases[1..]);
    }
}
