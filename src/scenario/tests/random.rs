//! The loader never panics: it answers with a scenario or with reports that can be drawn.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use proptest::prelude::*;

use super::{EXAMPLES, Memory};
use crate::{
    diag::{Source, Style, render},
    file::FileError,
    scenario::{Files, load, parse},
};

/// One file, whatever is asked for.
struct Bytes(Vec<u8>);

impl Files for Bytes {
    fn scenario(&self, _: &Path) -> Result<Vec<u8>, FileError> {
        Ok(self.0.clone())
    }

    fn capture(&self, _: &Path, _: &Path, _: usize) -> Result<Vec<u8>, FileError> {
        Ok(self.0.clone())
    }
}

/// Every report is drawn, has a remedy, and points into its source.
fn check(text: String) -> Result<(), TestCaseError> {
    let length = text.len();
    let source = Arc::new(Source { path: PathBuf::from("suite/sub/x.yaml"), text });
    if let Err(reports) = parse(source, "sub/x", &Memory) {
        prop_assert!(!reports.is_empty());
        for report in &reports {
            prop_assert!(report.help.is_some());
            for label in &report.labels {
                prop_assert!(label.span.start <= label.span.end && label.span.end <= length);
            }
        }
        for style in [Style::Plain, Style::Fancy, Style::OneLine] {
            prop_assert!(!render(&reports, style).is_empty());
        }
    }
    Ok(())
}

/// What a careless hand does to a text: a range of its lines or characters goes, comes twice, or
/// something else comes in its place.
fn mutated() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        Just(String::new()),
        "[ -~]{1,4}",
        "[:\\[\\]{}\",$&*#|>\t\n-]{1,3}",
        any::<char>().prop_map(String::from),
        prop::sample::select(vec!["${", "${i}", "$${", "null", "[]", "{}", "-1", "99999999999"])
            .prop_map(String::from),
    ];
    let edit = (any::<prop::sample::Index>(), 0..12usize, pieces);
    (0..EXAMPLES.len(), prop::collection::vec(edit, 1..6)).prop_map(|(example, edits)| {
        let mut text: Vec<char> = EXAMPLES[example].1.chars().collect();
        for (at, length, piece) in edits {
            if text.is_empty() {
                break;
            }
            let start = at.index(text.len());
            let end = (start + length).min(text.len());
            text.splice(start..end, piece.chars());
        }
        text.into_iter().collect()
    })
}

/// A value of one example in the place of a value of another: right YAML, wrong types.
fn swapped() -> impl Strategy<Value = String> {
    let index = any::<prop::sample::Index>;
    let value =
        |line: &str| line.split_once(": ").map(|(key, value)| (key.to_owned(), value.to_owned()));
    (0..EXAMPLES.len(), index(), 0..EXAMPLES.len(), index()).prop_map(
        move |(to, line, from, other)| {
            let values: Vec<String> =
                EXAMPLES[from].1.lines().filter_map(value).map(|(_, value)| value).collect();
            let lines: Vec<&str> = EXAMPLES[to].1.lines().collect();
            let at = line.index(lines.len());
            let changed = value(lines[at]).map_or_else(
                || lines[at].to_owned(),
                |(key, _)| format!("{key}: {}", other.get(&values)),
            );
            let mut lines: Vec<String> = lines.into_iter().map(str::to_owned).collect();
            lines[at] = changed;
            lines.join("\n")
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let path = PathBuf::from("suite/x.yaml");
        if let Err(reports) = load(&path, "suite".as_ref(), &Bytes(bytes)) {
            prop_assert!(!render(&reports, Style::Plain).is_empty());
        }
    }

    #[test]
    fn random_texts_never_panic(text in "(?s).{0,200}") {
        check(text)?;
    }

    #[test]
    fn mutated_scenarios_never_panic(text in mutated()) {
        check(text)?;
    }

    #[test]
    fn values_in_the_wrong_place_never_panic(text in swapped()) {
        check(text)?;
    }
}
