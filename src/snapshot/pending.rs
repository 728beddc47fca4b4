//! What waits for a review, and the snapshots that nobody uses. Read by the review.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    SnapshotError,
    file::{self, pending_path, read, write},
    store::settle_pending,
};
use crate::{
    file::{Care, Scope},
    format::{FormError, HEADING, ONLY, Section, SnapFile},
};

/// The endings of a scenario's file.
const SCENARIO: [&str; 2] = ["yaml", "yml"];

/// A section that waits for a review.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingSection {
    /// The snapshot's path without its extension, then, but for the section `case`, `@` and the
    /// section: `scenarios/redirector/queue@queue=tx`.
    pub id: String,
    /// The snapshot file.
    pub snapshot: PathBuf,
    /// As it was reviewed; none when it is new.
    pub reviewed: Option<Section>,
    /// As it is proposed; none when it would go.
    pub proposed: Option<Section>,
    /// How far its files, and what they name, may be looked for.
    pub scope: Scope,
}

/// Something that no scenario uses any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreferenced {
    /// A snapshot file, or a pending one, whose scenario is gone.
    File(PathBuf),
    /// What a writer left that was killed.
    Unfinished(PathBuf),
    /// A section whose case is gone.
    Section {
        /// The snapshot file.
        snapshot: PathBuf,
        /// The section.
        section: String,
    },
}

impl PendingSection {
    /// The section's name.
    #[must_use]
    pub fn section(&self) -> &str {
        let section = self.proposed.as_ref().or(self.reviewed.as_ref());
        section.map_or("", |section| &section.name)
    }

    /// Takes the proposal over; other sections stay as they are, reviewed or pending.
    ///
    /// # Errors
    /// When a file can't be read or written.
    pub fn accept(&self) -> Result<(), SnapshotError> {
        accept(&[self])
    }

    /// Drops the proposal.
    ///
    /// # Errors
    /// When a file can't be read or written.
    pub fn reject(&self) -> Result<(), SnapshotError> {
        reject(&[self])
    }
}

/// Takes proposals over. Those that stand beside one another and are of one file are written at once.
///
/// # Errors
/// When a file can't be read or written. The files before it are written.
pub fn accept(sections: &[&PendingSection]) -> Result<(), SnapshotError> {
    of_each_file(sections, |sections, mut file, pending| {
        let proposed = sections.iter().filter_map(|section| section.proposed.clone());
        file.put_all(proposed);
        let gone = sections.iter().filter(|section| section.proposed.is_none());
        let gone: BTreeSet<&str> = gone.map(|section| section.section()).collect();
        file.sections.retain(|section| !gone.contains(section.name.as_str()));
        let order: Vec<_> = pending.sections.iter().map(|section| section.name.clone()).collect();
        file.sort_by(&order);
        write(&sections[0].snapshot, &file.text(), Care::Durable)?;
        Ok(file)
    })
}

/// Drops proposals; those of one file as [`accept`] does.
///
/// # Errors
/// As [`accept`].
pub fn reject(sections: &[&PendingSection]) -> Result<(), SnapshotError> {
    of_each_file(sections, |_, file, _| Ok(file))
}

/// Gives the sections of each file to `decide`, with the file as it was reviewed and with all that is
/// proposed for it. The proposals of these sections are settled by what comes of it.
fn of_each_file(
    sections: &[&PendingSection],
    decide: impl Fn(&[&PendingSection], SnapFile, &SnapFile) -> Result<SnapFile, SnapshotError>,
) -> Result<(), SnapshotError> {
    for sections in sections.chunk_by(|one, other| one.snapshot == other.snapshot) {
        let PendingSection { snapshot, scope, .. } = sections[0];
        let _held = file::lock(snapshot);
        let Some(pending) = read(&pending_path(snapshot), *scope)? else {
            continue;
        };
        let empty = || SnapFile { header: pending.header.clone(), sections: Vec::new() };
        let reviewed = read(snapshot, *scope)?.unwrap_or_else(empty);
        let decided = decide(sections, reviewed, &pending)?;
        let names: BTreeSet<&str> = sections.iter().map(|section| section.section()).collect();
        settle_pending(snapshot, &decided, |name| names.contains(name), *scope)?;
    }
    Ok(())
}

impl Unreferenced {
    /// Deletes it.
    ///
    /// # Errors
    /// When a file can't be read or written.
    pub fn delete(&self, scope: Scope) -> Result<(), SnapshotError> {
        match self {
            Self::File(path) | Self::Unfinished(path) => file::remove(path),
            Self::Section { snapshot, section } => {
                let _held = file::lock(snapshot);
                let Some(mut file) = read(snapshot, scope)? else {
                    return Ok(());
                };
                file.sections.retain(|other| other.name != *section);
                if file.sections.is_empty() {
                    return file::remove(snapshot);
                }
                write(snapshot, &file.text(), Care::Durable)?;
                settle_pending(snapshot, &file, |name| name == section, scope)
            }
        }
    }
}

/// Everything pending in these files and below these directories, by path. A file that is a link is
/// followed as far as `scope` has it.
///
/// # Errors
/// When a directory or a file can't be read. A file of another kind of snapshot is passed over.
pub fn pending(paths: &[PathBuf], scope: Scope) -> Result<Vec<PendingSection>, SnapshotError> {
    let mut found = Vec::new();
    for path in files(paths, &|name| name.ends_with(".snap.new"))? {
        let Some(proposed) = read_ours(&path, scope, SnapFile::parse)? else {
            continue;
        };
        if proposed.sections.is_empty() {
            continue;
        }
        let snapshot = path.with_extension("");
        let reviewed = read(&snapshot, scope)?;
        let reviewed = reviewed.map_or(Vec::new(), |file| file.sections);
        let stem = snapshot.with_extension("");
        let before: BTreeMap<&str, &Section> =
            reviewed.iter().map(|section| (section.name.as_str(), section)).collect();
        let after = proposed.by_name();
        let mut push = |name: &str, reviewed: Option<&Section>, proposed: Option<&Section>| {
            if reviewed != proposed {
                let (reviewed, proposed) = (reviewed.cloned(), proposed.cloned());
                let (id, snapshot) = (id(&stem, name), snapshot.clone());
                found.push(PendingSection { id, snapshot, reviewed, proposed, scope });
            }
        };
        for section in &proposed.sections {
            push(&section.name, before.get(section.name.as_str()).copied(), Some(section));
        }
        for section in &reviewed {
            if !after.contains_key(section.name.as_str()) {
                push(&section.name, Some(section), None);
            }
        }
    }
    Ok(found)
}

/// Everything that no scenario uses: files without a scenario beside them, files half written, and
/// sections that `sections` does not name for a scenario's file (it says none where the scenario
/// can't be read; then nothing in it is called unreferenced).
///
/// # Errors
/// When a directory or a file can't be read.
pub fn unreferenced(
    paths: &[PathBuf],
    sections: &dyn Fn(&Path) -> Option<Vec<String>>,
    scope: Scope,
) -> Result<Vec<Unreferenced>, SnapshotError> {
    let mut found = Vec::new();
    let ours = |name: &str| name.ends_with(".snap") || name.ends_with(".snap.new");
    let unfinished = |name: &str| file::is_unfinished(Path::new(name));
    for path in files(paths, &|name| ours(name) || unfinished(name))? {
        if file::is_unfinished(&path) {
            found.push(Unreferenced::Unfinished(path));
            continue;
        }
        let Some(stored) = read_ours(&path, scope, SnapFile::names)? else {
            continue;
        };
        if stored.is_empty() {
            continue;
        }
        let pending = path.extension().is_some_and(|extension| extension == "new");
        let snapshot = if pending { path.with_extension("") } else { path.clone() };
        let candidates = SCENARIO.map(|extension| snapshot.with_extension(extension));
        let Some(scenario) = candidates.into_iter().find(|scenario| scenario.exists()) else {
            found.push(Unreferenced::File(path));
            continue;
        };
        let Some(names) = sections(&scenario).filter(|_| !pending) else {
            continue;
        };
        let names: BTreeSet<String> = names.into_iter().collect();
        let gone = stored.into_iter().filter(|section| !names.contains(section));
        found.extend(
            gone.map(|section| Unreferenced::Section { snapshot: snapshot.clone(), section }),
        );
    }
    Ok(found)
}

/// Files whose name is wanted, sorted; hidden directories and `target` are passed over.
fn files(paths: &[PathBuf], wanted: &dyn Fn(&str) -> bool) -> Result<Vec<PathBuf>, SnapshotError> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = paths.to_vec();
    while let Some(path) = open.pop() {
        let failed =
            |source: io::Error| SnapshotError::Read { path: path.clone(), source: source.into() };
        if !fs::metadata(&path).map_err(failed)?.is_dir() {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if wanted(&name) {
                found.push(path);
            } else if SCENARIO.iter().any(|extension| name.ends_with(extension)) {
                let snapshot = file::snapshot_path(&path);
                let both = [pending_path(&snapshot), snapshot];
                found.extend(both.into_iter().filter(|path| {
                    // A link to nowhere, too, is something that stands there.
                    path.symlink_metadata().is_ok()
                        && path.file_name().is_some_and(|n| wanted(&n.to_string_lossy()))
                }));
            }
            continue;
        }
        for entry in fs::read_dir(&path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let directory = entry.file_type().map_err(failed)?.is_dir();
            let passed_over = name.starts_with('.') || name == "target";
            if if directory { !passed_over } else { wanted(&name) } {
                open.push(entry.path());
            }
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// Reads what is wanted of a file, or passes it over when it is a snapshot of another tool: no line of it
/// is a section's heading.
fn read_ours<T>(
    path: &Path,
    scope: Scope,
    parse: fn(&str) -> Result<T, FormError>,
) -> Result<Option<T>, SnapshotError> {
    let Some(text) = file::read_text(path, scope)? else {
        return Ok(None);
    };
    match parse(&text) {
        Ok(read) => Ok(Some(read)),
        Err(error) => {
            let ours = text.lines().any(|line| line.starts_with(HEADING));
            if ours { Err(file::form(path, error)) } else { Ok(None) }
        }
    }
}

fn id(stem: &Path, section: &str) -> String {
    let stem = stem.display();
    if section == ONLY { stem.to_string() } else { format!("{stem}@{section}") }
}
