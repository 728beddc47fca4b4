//! What is remarked on the cases of a suite. Read by `check`, and by what plans a run.

use crate::{
    diag::Report,
    scenario::{self, Case},
};

/// Most reports of a file, and most remarks: the rest is usually an echo of the first.
pub(super) const MAX_REPORTS: usize = 100;

/// What is remarked on cases, each remark once: the cases of a matrix usually share it.
pub(super) fn remarks<'a>(cases: impl Iterator<Item = &'a Case>) -> Vec<Report> {
    let mut all: Vec<Report> = Vec::new();
    add(&mut all, cases.flat_map(scenario::remarks));
    all
}

/// Adds remarks that are not there yet.
pub(super) fn add(all: &mut Vec<Report>, more: impl IntoIterator<Item = Report>) {
    for remark in more {
        if all.len() < MAX_REPORTS && !all.contains(&remark) {
            all.push(remark);
        }
    }
}
