//! Holds records against the snapshots on disk, proposes what is new, and accepts. Used by the run.

use std::{
    collections::BTreeSet,
    fs::File,
    path::{Path, PathBuf},
};

use super::{
    SnapshotError,
    file::{lock, pending_path, read, remove, snapshot_path, write},
};
use crate::{
    base::{CaseId, Profile},
    compare::{Difference, Mismatch, Rules, What, compare, compare_probes},
    file::{Care, Scope},
    format::{PROBES, ProbeTable, Section, SnapFile, section_name, text},
    reading::Reading,
};

/// What a run does with what it recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Compares, and never writes: for CI.
    Check,
    /// Compares, and proposes what is new or differs in a `.snap.new` beside the snapshot.
    Pending,
    /// Compares, and takes over what is new or differs.
    Accept,
}

/// What a run recorded for one section.
#[derive(Clone, Debug)]
pub struct Recorded<'a> {
    /// [`section_name`] of the case, or [`PROBES`](crate::format::PROBES).
    pub section: String,
    /// The QEMU that was modelled.
    pub profile: Profile,
    /// What was recorded.
    pub content: Content<'a>,
}

/// What a section holds.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// The record of a case.
    Record {
        /// The record.
        reading: &'a Reading,
        /// What is not compared.
        rules: Rules<'a>,
    },
    /// The records of probes.
    Probes {
        /// The table.
        table: &'a ProbeTable,
        /// The values of every probe of the scenario, in order, whether it ran or not.
        every: &'a [Vec<String>],
    },
}

/// What a section came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The section.
    pub section: String,
    /// What it came to.
    pub state: State,
}

/// What a section came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It matches what was reviewed.
    Matches,
    /// It does not.
    Differs(Mismatch),
    /// Nothing was reviewed yet.
    New,
}

/// What a scenario's snapshot file came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// For each recorded section, in the order given.
    pub verdicts: Vec<Verdict>,
    /// Sections whose case is gone.
    pub stale: Vec<String>,
    /// The pending file, when there is one now.
    pub pending: Option<PathBuf>,
}

/// Compares what was recorded with the scenario's snapshot file, and writes as `mode` allows.
/// `sections` names every section that the scenario has, in order, whether it ran or not: the
/// others in the file are stale. A section that matches stays as it was reviewed, letter for
/// letter; one that was not recorded is not touched. A file that is a link is followed as far as `scope`
/// has it. What is accepted may be lost with the power until `secure` was called.
///
/// # Errors
/// When a file can't be read or written.
pub fn check(
    scenario: &Path,
    recorded: &[Recorded<'_>],
    sections: &[String],
    mode: Mode,
    scope: Scope,
) -> Result<Checked, SnapshotError> {
    let path = snapshot_path(scenario);
    let _held = match mode {
        Mode::Check => None,
        Mode::Pending | Mode::Accept => lock(&path),
    };
    let reviewed = read(&path, scope)?;
    let stored = |recorded: &Recorded<'_>| {
        reviewed.as_ref().and_then(|file| file.section(&recorded.section))
    };
    let verdicts: Vec<_> =
        recorded.iter().map(|recorded| verdict(recorded, stored(recorded))).collect();
    let known: BTreeSet<&str> = sections.iter().map(String::as_str).collect();
    let kept = reviewed.iter().flat_map(|file| &file.sections);
    let gone = kept.filter(|section| !known.contains(section.name.as_str()));
    let stale = gone.map(|section| section.name.clone()).collect();
    let news: Vec<_> = recorded
        .iter()
        .zip(&verdicts)
        .map(|(recorded, verdict)| News::of(recorded, &verdict.state))
        .collect();
    write_news(scenario, reviewed.as_ref(), &news, sections, (mode, scope))?;
    let pending = Some(pending_path(&path)).filter(|path| path.exists());
    Ok(Checked { verdicts, stale, pending })
}

/// Writes what is new of a scenario, where the mode is to write.
///
/// # Errors
/// When a file can't be read or written.
pub(super) fn record(
    scenario: &Path,
    news: &[News<'_>],
    order: &[String],
    mode: Mode,
    scope: Scope,
) -> Result<(), SnapshotError> {
    let path = snapshot_path(scenario);
    let _held = lock(&path);
    let reviewed = read(&path, scope)?;
    write_news(scenario, reviewed.as_ref(), news, order, (mode, scope))
}

fn write_news(
    scenario: &Path,
    reviewed: Option<&SnapFile>,
    news: &[News<'_>],
    order: &[String],
    (mode, scope): (Mode, Scope),
) -> Result<(), SnapshotError> {
    match mode {
        Mode::Check => Ok(()),
        Mode::Pending => {
            let path = pending_path(&snapshot_path(scenario));
            let earlier = read(&path, scope)?;
            propose(scenario, &path, reviewed, earlier, news, order)
        }
        Mode::Accept => accept(scenario, reviewed, news, order, scope),
    }
}

/// Returns when what was accepted of a scenario would outlive a loss of power: once for all of its cases,
/// since each wait for the disk takes longer than a case.
///
/// # Errors
/// When the system refuses.
pub(super) fn secure(scenario: &Path) -> Result<(), SnapshotError> {
    let path = snapshot_path(scenario);
    let secured = File::open(&path).and_then(|file| file.sync_all());
    secured.map_err(|source| SnapshotError::Write { path, source })
}

/// Writes a snapshot file that has this section and no other, in the place of what is there.
///
/// # Errors
/// When it can't be written.
pub fn place(scenario: &Path, section: Section) -> Result<PathBuf, SnapshotError> {
    let path = snapshot_path(scenario);
    let _held = lock(&path);
    let mut file = SnapFile::new(scenario);
    file.put(section);
    write(&path, &file.text(), Care::Durable)?;
    Ok(path)
}

/// The profile that a scenario's section was reviewed under, as it prints.
///
/// # Errors
/// When the file can't be read.
pub fn reviewed_profile(
    scenario: &Path,
    section: &str,
    scope: Scope,
) -> Result<Option<String>, SnapshotError> {
    let file = read(&snapshot_path(scenario), scope)?;
    Ok(file.and_then(|file| file.section(section).map(|section| section.profile.clone())))
}

/// The reviewed record of a case, where there is one of this profile that can be read.
#[must_use]
pub fn reviewed(scenario: &Path, case: &CaseId, profile: &Profile, scope: Scope) -> Option<String> {
    let file = read(&snapshot_path(scenario), scope).ok()??;
    let section = file.section(section_name(case))?;
    (section.profile == profile.to_string()).then(|| section.body.clone())
}

/// What a run found out of a section, as far as it is written.
#[derive(Debug)]
pub(super) enum News<'a> {
    /// The record is what was reviewed.
    Same(String),
    /// The record is another, or the first: the whole section.
    Whole(Section),
    /// Rows of the table of probes.
    Rows {
        recorded: &'a Recorded<'a>,
        /// Whether they are what was reviewed.
        same: bool,
    },
}

impl<'a> News<'a> {
    fn of(recorded: &'a Recorded<'a>, state: &State) -> Self {
        let same = *state == State::Matches;
        match recorded.content {
            Content::Record { .. } if same => Self::Same(recorded.section.clone()),
            Content::Record { .. } => Self::Whole(section(recorded, None)),
            Content::Probes { .. } => Self::Rows { recorded, same },
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Same(name) => name,
            Self::Whole(section) => &section.name,
            Self::Rows { recorded, .. } => &recorded.section,
        }
    }
}

/// What a section came to, of which this was reviewed.
pub(super) fn verdict(recorded: &Recorded<'_>, stored: Option<&Section>) -> Verdict {
    let section = recorded.section.clone();
    let Some(stored) = stored else {
        return Verdict { section, state: State::New };
    };
    let mismatch = match recorded.content {
        Content::Record { reading, rules } => compare(&stored.body, reading, rules),
        Content::Probes { table, every } => compare_probes(&stored.body, table, every),
    };
    let mismatch = with_profile(mismatch, &stored.profile, &recorded.profile.to_string());
    Verdict { section, state: mismatch.map_or(State::Matches, State::Differs) }
}

/// A section of another profile never matches.
fn with_profile(mismatch: Option<Mismatch>, reviewed: &str, run: &str) -> Option<Mismatch> {
    if reviewed == run {
        return mismatch;
    }
    let (expected, actual) = (reviewed.to_owned(), run.to_owned());
    let what = What::Value { name: "profile".to_owned(), expected, actual };
    let profile = Difference::of_record(what);
    let mut mismatch = mismatch.unwrap_or_else(|| Mismatch {
        expected: "snapshot".to_owned(),
        actual: "run".to_owned(),
        differences: Vec::new(),
    });
    mismatch.differences.insert(0, profile);
    Some(mismatch)
}

/// What was recorded, as a section; rows of probes that did not run are kept from `before`.
pub(super) fn section(recorded: &Recorded<'_>, before: Option<&Section>) -> Section {
    let body = match recorded.content {
        Content::Record { reading, .. } => text(reading),
        Content::Probes { table, every } => {
            let stored = before.and_then(|section| ProbeTable::parse(&section.body).ok());
            table.merged_into(&stored.unwrap_or_default(), every).text()
        }
    };
    Section { name: recorded.section.clone(), profile: recorded.profile.to_string(), body }
}

/// Writes the whole file as it would be after everything pending is accepted: what an earlier run
/// proposed for other sections stays proposed.
fn propose(
    scenario: &Path,
    path: &Path,
    reviewed: Option<&SnapFile>,
    earlier: Option<SnapFile>,
    news: &[News<'_>],
    order: &[String],
) -> Result<(), SnapshotError> {
    let stored = reviewed.map(SnapFile::by_name).unwrap_or_default();
    let before = earlier.as_ref().map(SnapFile::text);
    let base = earlier.or_else(|| reviewed.cloned());
    let mut proposed = base.unwrap_or_else(|| SnapFile::new(scenario));
    if let Some(reviewed) = reviewed {
        // An earlier proposal may be older than the snapshot: what was reviewed since is not
        // proposed away.
        let known = proposed.by_name();
        let missing = |section: &&Section| !known.contains_key(section.name.as_str());
        let missing: Vec<_> = reviewed.sections.iter().filter(missing).cloned().collect();
        proposed.sections.extend(missing);
    }
    let sections: Vec<_> = news
        .iter()
        .filter_map(|news| {
            let stored = stored.get(news.name()).copied();
            let section = match news {
                News::Same(_) => return stored.cloned(),
                News::Whole(section) => section.clone(),
                // Of a table that other runs have proposed rows of, these rows alone are known anew.
                News::Rows { recorded, .. } => section(recorded, proposed.section(news.name())),
            };
            Some(stored.filter(|stored| same(stored, &section)).cloned().unwrap_or(section))
        })
        .collect();
    proposed.put_all(sections);
    proposed.sort_by(order);
    if same_sections(reviewed, &proposed) {
        return if before.is_some() { remove(path) } else { Ok(()) };
    }
    let text = proposed.text();
    if before.is_some_and(|before| before == text) {
        Ok(())
    } else {
        write(path, &text, Care::Durable)
    }
}

/// Whether a proposal proposes nothing, but perhaps another order.
fn same_sections(reviewed: Option<&SnapFile>, proposed: &SnapFile) -> bool {
    let reviewed = reviewed.map_or(&[][..], |file| &file.sections);
    let proposed_by_name = proposed.by_name();
    reviewed.len() == proposed.sections.len()
        && reviewed
            .iter()
            .all(|section| proposed_by_name.get(section.name.as_str()) == Some(&section))
}

fn accept(
    scenario: &Path,
    reviewed: Option<&SnapFile>,
    news: &[News<'_>],
    order: &[String],
    scope: Scope,
) -> Result<(), SnapshotError> {
    let path = snapshot_path(scenario);
    let mut file = reviewed.cloned().unwrap_or_else(|| SnapFile::new(scenario));
    let changed: Vec<_> = news
        .iter()
        .filter_map(|news| match news {
            News::Same(_) | News::Rows { same: true, .. } => None,
            News::Whole(section) => Some(section.clone()),
            News::Rows { recorded, .. } => {
                let stored = reviewed.and_then(|file| file.section(news.name()));
                Some(section(recorded, stored))
            }
        })
        .collect();
    if !changed.is_empty() {
        file.put_all(changed);
        file.sort_by(order);
        write(&path, &file.text(), Care::Whole)?;
    }
    settle_recorded(&path, &file, news, scope)
}

/// Takes what was accepted out of the pending file. Of a table that is what ran; what is proposed
/// for its other rows stays so.
fn settle_recorded(
    snapshot: &Path,
    reviewed: &SnapFile,
    news: &[News<'_>],
    scope: Scope,
) -> Result<(), SnapshotError> {
    let path = pending_path(snapshot);
    let Some(mut pending) = read(&path, scope)? else {
        return Ok(());
    };
    let before = pending.text();
    let stored = reviewed.by_name();
    let (mut kept, mut gone) = (Vec::new(), BTreeSet::new());
    for news in news {
        let proposed = match news {
            News::Same(_) | News::Whole(_) => None,
            News::Rows { recorded, .. } => {
                pending.section(news.name()).map(|proposed| section(recorded, Some(proposed)))
            }
        };
        match (proposed, stored.get(news.name())) {
            (Some(proposed), Some(stored)) if !same(stored, &proposed) => kept.push(proposed),
            (_, Some(stored)) => kept.push((*stored).clone()),
            (_, None) => drop(gone.insert(news.name())),
        }
    }
    pending.put_all(kept);
    pending.sections.retain(|section| !gone.contains(section.name.as_str()));
    keep_pending(&path, reviewed, &pending, &before)
}

/// Whether two sections say the same; a table says so in any layout.
fn same(one: &Section, other: &Section) -> bool {
    let table = |section: &Section| ProbeTable::parse(&section.body);
    one == other
        || (one.name == PROBES
            && (&one.name, &one.profile) == (&other.name, &other.profile)
            && matches!((table(one), table(other)), (Ok(one), Ok(other)) if one == other))
}

/// Takes what is settled out of the pending file: those sections become what the snapshot has. A
/// pending file that proposes nothing any more is removed.
pub(super) fn settle_pending(
    snapshot: &Path,
    reviewed: &SnapFile,
    settled: impl Fn(&str) -> bool,
    scope: Scope,
) -> Result<(), SnapshotError> {
    let path = pending_path(snapshot);
    let Some(mut pending) = read(&path, scope)? else {
        return Ok(());
    };
    let before = pending.text();
    let kept = reviewed.by_name();
    pending
        .sections
        .retain(|section| !settled(&section.name) || kept.contains_key(section.name.as_str()));
    let settled = reviewed.sections.iter().filter(|section| settled(&section.name));
    pending.put_all(settled.cloned());
    keep_pending(&path, reviewed, &pending, &before)
}

fn keep_pending(
    path: &Path,
    reviewed: &SnapFile,
    pending: &SnapFile,
    before: &str,
) -> Result<(), SnapshotError> {
    if same_sections(Some(reviewed), pending) {
        return remove(path);
    }
    let text = pending.text();
    if text == before { Ok(()) } else { write(path, &text, Care::Durable) }
}
