//! What waits for a review, and the snapshots that nobody uses. Read by the review.

use std::{
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
    format::{HEADING, ONLY, Section, SnapFile},
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
        let _held = file::lock(&self.snapshot);
        let pending = read(&pending_path(&self.snapshot), self.scope)?;
        let Some(pending) = pending else {
            return Ok(());
        };
        let empty = || SnapFile { header: pending.header.clone(), sections: Vec::new() };
        let mut file = read(&self.snapshot, self.scope)?.unwrap_or_else(empty);
        match &self.proposed {
            Some(section) => file.put(section.clone()),
            None => file.sections.retain(|section| section.name != self.section()),
        }
        let order: Vec<_> = pending.sections.iter().map(|section| section.name.clone()).collect();
        file.sort_by(&order);
        write(&self.snapshot, &file.text(), Care::Durable)?;
        settle_pending(&self.snapshot, &file, |name| name == self.section(), self.scope)
    }

    /// Drops the proposal.
    ///
    /// # Errors
    /// When a file can't be read or written.
    pub fn reject(&self) -> Result<(), SnapshotError> {
        let _held = file::lock(&self.snapshot);
        let pending = read(&pending_path(&self.snapshot), self.scope)?;
        let Some(pending) = pending else {
            return Ok(());
        };
        let empty = SnapFile { header: pending.header, sections: Vec::new() };
        let file = read(&self.snapshot, self.scope)?.unwrap_or(empty);
        settle_pending(&self.snapshot, &file, |name| name == self.section(), self.scope)
    }
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
        let Some(proposed) = read_ours(&path, scope)? else {
            continue;
        };
        let snapshot = path.with_extension("");
        let reviewed = read(&snapshot, scope)?;
        let reviewed = reviewed.map_or(Vec::new(), |file| file.sections);
        let stem = snapshot.with_extension("");
        let mut push = |name: &str, reviewed: Option<&Section>, proposed: Option<&Section>| {
            if reviewed != proposed {
                let (reviewed, proposed) = (reviewed.cloned(), proposed.cloned());
                let (id, snapshot) = (id(&stem, name), snapshot.clone());
                found.push(PendingSection { id, snapshot, reviewed, proposed, scope });
            }
        };
        for section in &proposed.sections {
            let before = reviewed.iter().find(|other| other.name == section.name);
            push(&section.name, before, Some(section));
        }
        for section in &reviewed {
            if proposed.section(&section.name).is_none() {
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
        let Some(file) = read_ours(&path, scope)? else {
            continue;
        };
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
        let gone = file.sections.into_iter().filter(|section| !names.contains(&section.name));
        found.extend(gone.map(|section| Unreferenced::Section {
            snapshot: snapshot.clone(),
            section: section.name,
        }));
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

/// Reads a file, or passes it over when it is a snapshot of another tool: no line of it is a
/// section's heading.
fn read_ours(path: &Path, scope: Scope) -> Result<Option<SnapFile>, SnapshotError> {
    let Some(text) = file::read_text(path, scope)? else {
        return Ok(None);
    };
    match SnapFile::parse(&text) {
        Ok(file) => Ok(Some(file).filter(|file| !file.sections.is_empty())),
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
