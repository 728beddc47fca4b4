//! A pending section as a person sees it: packet by packet, else as text.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anstyle::Style;
use bytes::Bytes;
use similar::{ChangeTag, TextDiff};

use crate::{
    capture,
    compare::{Mismatch, What, compare_sections, hexdump, render},
    file::{self, Scope},
    record::SourceFrame,
    report::{painted, style},
    scenario,
    snapshot::PendingSection,
    terminal::{visible, visible_lines, visible_members},
    wording::Role,
};

/// What accepting does to the snapshot.
pub(super) fn change(section: &PendingSection) -> &'static str {
    match (&section.reviewed, &section.proposed) {
        (None, _) => "new",
        (Some(_), Some(_)) => "changed",
        (Some(_), None) => "removed",
    }
}

/// Packet by packet where both sides can be read so, else as text.
pub(super) fn drawn(section: &PendingSection) -> String {
    let (Some(reviewed), Some(proposed)) = (&section.reviewed, &section.proposed) else {
        return text(section);
    };
    if reviewed.profile != proposed.profile {
        let (before, after) = (visible(&reviewed.profile), visible(&proposed.profile));
        let profiles = format!("  profile   {before} -> {after}\n");
        return profiles + &text(section);
    }
    match mismatch(section) {
        Some(mismatch) if is_readable(&mismatch) => in_its_step(&visible_members(&mismatch, &[])),
        _ => text(section),
    }
}

/// The lines that differ; of what is on one side only, all.
pub(super) fn text(section: &PendingSection) -> String {
    match (&section.reviewed, &section.proposed) {
        (Some(reviewed), Some(proposed)) => text_diff(&reviewed.body, &proposed.body),
        (one, other) => {
            let only = one.as_ref().or(other.as_ref());
            only.map_or(String::new(), |section| visible_lines(&section.body))
        }
    }
}

/// The frames that differ, byte for byte.
pub(super) fn hex(section: &PendingSection) -> String {
    match mismatch(section) {
        Some(mismatch) if is_readable(&mismatch) => {
            painted(&hexdump(&visible_members(&mismatch, &[])))
        }
        _ => text(section),
    }
}

/// A failing case says its line; here the step has to say where it is, even where there is one.
fn in_its_step(mismatch: &Mismatch) -> String {
    let differences = &mismatch.differences;
    let steps = differences.iter().map(|difference| difference.step);
    let first = &differences[0];
    let drawn = painted(&render(mismatch));
    if steps.into_iter().all(|step| step == first.step) && !first.title.is_empty() {
        format!("  step {}: {}\n{drawn}", first.step, first.title)
    } else {
        drawn
    }
}

fn is_readable(mismatch: &Mismatch) -> bool {
    !mismatch.differences.iter().any(|one| matches!(one.what, What::Unreadable { .. }))
}

fn text_diff(reviewed: &str, proposed: &str) -> String {
    let diff = TextDiff::from_lines(reviewed, proposed);
    let mut unified = diff.unified_diff();
    let mut out = "--- reviewed\n+++ proposed\n".to_owned();
    for hunk in unified.context_radius(3).iter_hunks() {
        out += &format!("{}\n", hunk.header());
        for change in hunk.iter_changes() {
            let style = match change.tag() {
                ChangeTag::Delete => style(Role::Expected),
                ChangeTag::Insert => style(Role::Actual),
                ChangeTag::Equal => Style::new(),
            };
            let line = visible_lines(change.value().trim_end_matches('\n'));
            out += &format!("{style}{}{line}{style:#}\n", change.tag());
        }
    }
    out
}

/// How what was reviewed and what is proposed differ; none where one is missing, or where only what
/// explains differs.
pub(super) fn mismatch(section: &PendingSection) -> Option<Mismatch> {
    let (reviewed, proposed) = (section.reviewed.as_ref()?, section.proposed.as_ref()?);
    let captures = Captures::of(section);
    compare_sections(&reviewed.body, &proposed.body, &|source| captures.frame(source))
}

/// The captures that a snapshot names, each read once, as far as its scenario may have them.
struct Captures<'a> {
    snapshot: &'a Path,
    scope: Scope,
    read: RefCell<BTreeMap<PathBuf, Vec<Bytes>>>,
}

impl<'a> Captures<'a> {
    fn of(section: &'a PendingSection) -> Self {
        Self { snapshot: &section.snapshot, scope: section.scope, read: RefCell::default() }
    }

    /// A frame's bytes; none when the file is gone or may not be read: the review then shows text.
    fn frame(&self, source: &SourceFrame) -> Option<Bytes> {
        let mut files = self.read.borrow_mut();
        let packets = files.entry(source.file.to_path_buf()).or_insert_with(|| {
            let most = scenario::MAX_CAPTURED;
            let file = file::read_named(self.snapshot, &source.file, self.scope, most).ok();
            let packets = file.and_then(|file| capture::read(&file).ok()).unwrap_or_default();
            packets.packets.into_iter().map(|packet| packet.data).collect()
        });
        packets.get(source.number.checked_sub(1)?).cloned()
    }
}
