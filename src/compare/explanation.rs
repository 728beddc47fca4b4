//! What explains a record, against what explained it when it was reviewed. The objects of `sim` and
//! `netns` say the same of the same, to the letter; a real QEMU can't be asked.

use std::collections::BTreeMap;

use super::{
    frame_pair::FramePair,
    mismatch::{Difference, What},
};

/// Backends whose objects are built in.
const BUILT_IN: [&str; 2] = ["sim", "netns"];

/// Whether what this backend explains is as much to be relied on as what came out.
pub(super) fn is_compared(backend: &str) -> bool {
    BUILT_IN.contains(&backend)
}

/// Where the explaining lines of two sections differ, step by step, and the sums at their end. Both
/// record the same of what could be observed.
pub(super) fn differences(expected: &str, actual: &str) -> Vec<Difference> {
    let (expected, actual) = (by_step(expected), by_step(actual));
    let mut steps: Vec<_> = expected.keys().chain(actual.keys()).copied().collect();
    steps.sort_unstable();
    steps.dedup();
    let none = Vec::new();
    let differing = steps.into_iter().filter_map(|at| {
        let lines = |of: &BTreeMap<_, Vec<String>>| of.get(&at).unwrap_or(&none).clone();
        let (expected, actual) = (lines(&expected), lines(&actual));
        (expected != actual).then(|| difference(at, &expected, &actual))
    });
    differing.collect()
}

/// A step's number and title.
type Step<'t> = (usize, &'t str);

/// The sums are the last step's.
fn by_step(section: &str) -> BTreeMap<Step<'_>, Vec<String>> {
    let mut steps: BTreeMap<Step<'_>, Vec<String>> = BTreeMap::new();
    let mut at = (0, "");
    for line in section.lines() {
        if let Some(explaining) = line.strip_prefix("    ~ ") {
            steps.entry(at).or_default().push(explaining.to_owned());
        } else if line.starts_with("accounted: ") {
            steps.entry(at).or_default().push(line.to_owned());
        } else if let Some((index, title)) =
            line.strip_prefix('[').and_then(|rest| rest.split_once("] "))
        {
            at = (index.parse().unwrap_or_default(), title);
        }
    }
    steps
}

/// The lines that only one side has; all of them where it is their order that differs.
fn difference((step, title): Step<'_>, expected: &[String], actual: &[String]) -> Difference {
    let (mut gone, mut new) = (less(expected, actual), less(actual, expected));
    if gone.is_empty() && new.is_empty() {
        (gone, new) = (expected.to_vec(), actual.to_vec());
    }
    Difference {
        step,
        title: title.to_owned(),
        line: 0,
        port: None,
        what: What::Explained { gone, new },
        frames: FramePair::default(),
    }
}

/// The lines of one side without those of the other.
fn less(lines: &[String], others: &[String]) -> Vec<String> {
    let mut others = others.to_vec();
    let mut left = lines.to_vec();
    left.retain(|line| match others.iter().position(|other| other == line) {
        Some(at) => {
            others.swap_remove(at);
            false
        }
        None => true,
    });
    left
}
