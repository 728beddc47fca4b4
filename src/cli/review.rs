//! `tapwright review`: what waits for a review, packet by packet, and its acceptance.

mod ask;
mod shown;

use std::{
    collections::BTreeSet,
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::ReachArgs;
use crate::{
    snapshot::{self, PendingSection, SnapshotError, Unreferenced, pending, unreferenced},
    terminal::{json, visible},
};
use shown::{change, drawn, mismatch};

/// What is said where there is no terminal to ask at.
const NO_TERMINAL: &str = "\
there is no terminal to ask at: see one with --diff ID, decide with --accept ID and --reject ID
";

/// Review pending snapshots.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ReviewArgs {
    /// Scenarios, snapshots or directories to look in
    #[arg(default_value = ".")]
    pub paths: Vec<PathBuf>,
    /// List what is pending and stop
    #[arg(long)]
    pub list: bool,
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
    /// Show what one pending section would change
    #[arg(long, value_name = "ID")]
    pub diff: Option<String>,
    /// Take over what is pending under these ids; a scenario's id means all of its sections
    #[arg(long, value_name = "ID")]
    pub accept: Vec<String>,
    /// Take over everything that is pending
    #[arg(long, conflicts_with_all = ["accept", "reject_all"])]
    pub accept_all: bool,
    /// Drop what is pending under these ids
    #[arg(long, value_name = "ID")]
    pub reject: Vec<String>,
    /// Drop everything that is pending
    #[arg(long, conflicts_with = "reject")]
    pub reject_all: bool,
    /// List snapshots and sections that no scenario uses
    #[arg(long)]
    pub unreferenced: bool,
    /// Delete what --unreferenced lists
    #[arg(long, requires = "unreferenced")]
    pub delete: bool,
    /// How far files are looked for.
    #[command(flatten)]
    pub reach: ReachArgs,
}

/// Where a review happens.
pub struct Desk<'a> {
    /// What is shown.
    pub out: &'a mut dyn Write,
    /// The keys; none where no terminal is, then everything pending is only listed.
    pub keys: Option<&'a mut dyn Keys>,
    /// The sections that a scenario's file has; none where it can't be read.
    pub sections: &'a dyn Fn(&Path) -> Option<Vec<String>>,
}

/// Where keys come from.
pub trait Keys {
    /// The next key that is pressed; none when there will be no more.
    ///
    /// # Errors
    /// When the terminal can't be read.
    fn next_key(&mut self) -> io::Result<Option<char>>;
}

/// Reviews.
///
/// # Errors
/// When a file can't be read or written, or nothing pending has a given id.
pub fn run(args: &ReviewArgs, desk: Desk<'_>) -> Result<(), SnapshotError> {
    let Desk { out, keys, sections } = desk;
    if args.unreferenced {
        return unused(args, out, sections);
    }
    let waiting = pending(&args.paths, args.reach.scope())?;
    if args.accept_all || args.reject_all || !args.accept.is_empty() || !args.reject.is_empty() {
        return decide(args, &waiting, out);
    }
    if let Some(id) = &args.diff {
        return selected(&waiting, id)?.into_iter().try_for_each(|section| {
            let text = if args.json { line(&entry(section)) } else { drawn(section) };
            print(out, &text)
        });
    }
    match keys {
        _ if args.json => print(out, &line(&Value::from_iter(waiting.iter().map(entry)))),
        Some(keys) if !args.list => ask::ask(&waiting, out, keys),
        None if !args.list && !waiting.is_empty() => {
            list(&waiting, out)?;
            print(out, NO_TERMINAL)
        }
        _ => list(&waiting, out),
    }
}

/// Writes to the terminal or pipe.
fn print(out: &mut dyn Write, text: &str) -> Result<(), SnapshotError> {
    let failed = |source| SnapshotError::Write { path: "standard output".into(), source };
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(failed)
}

fn line(value: &Value) -> String {
    format!("{}\n", json(&value.to_string()))
}

fn list(waiting: &[PendingSection], out: &mut dyn Write) -> Result<(), SnapshotError> {
    for section in waiting {
        print(out, &format!("{:7} {}\n", change(section), visible(&section.id)))?;
    }
    print(out, &format!("{} pending\n", waiting.len()))
}

/// Accepts and rejects what the arguments name. All ids are looked up before anything is written.
fn decide(
    args: &ReviewArgs,
    waiting: &[PendingSection],
    out: &mut dyn Write,
) -> Result<(), SnapshotError> {
    let named = |ids: &[String], all: bool| -> Result<Vec<&PendingSection>, SnapshotError> {
        if all {
            return Ok(waiting.iter().collect());
        }
        let found: Vec<_> =
            ids.iter().map(|id| selected(waiting, id)).collect::<Result<_, SnapshotError>>()?;
        Ok(found.concat())
    };
    let accepted = named(&args.accept, args.accept_all)?;
    let rejected = named(&args.reject, args.reject_all)?;
    let ids: BTreeSet<&str> = accepted.iter().map(|section| section.id.as_str()).collect();
    let rejected: Vec<_> =
        rejected.into_iter().filter(|section| !ids.contains(section.id.as_str())).collect();
    for (sections, decide, word) in [
        (&accepted, snapshot::accept as Decide, "accepted"),
        (&rejected, snapshot::reject as Decide, "rejected"),
    ] {
        for sections in sections.chunk_by(|one, other| one.snapshot == other.snapshot) {
            decide(sections)?;
            sections
                .iter()
                .try_for_each(|one| print(out, &format!("{word} {}\n", visible(&one.id))))?;
        }
    }
    Ok(())
}

/// What is done with the proposals of a file.
type Decide = fn(&[&PendingSection]) -> Result<(), SnapshotError>;

/// The pending sections that an id means: one by its whole id or by its end from a `/` on, as a
/// case is called; or all of a scenario.
fn selected<'w>(
    waiting: &'w [PendingSection],
    id: &str,
) -> Result<Vec<&'w PendingSection>, SnapshotError> {
    let means = |whole: &str| {
        whole == id || whole.strip_suffix(id).is_some_and(|before| before.ends_with('/'))
    };
    let by = |key: fn(&PendingSection) -> &str| -> Vec<&'w PendingSection> {
        waiting.iter().filter(|section| means(key(section))).collect()
    };
    let exact = by(|section| &section.id);
    let found = if exact.is_empty() {
        by(|section| section.id.split_once('@').map_or(section.id.as_str(), |(file, _)| file))
    } else {
        exact
    };
    if found.is_empty() {
        let pending = waiting.iter().map(|section| section.id.clone()).collect();
        return Err(SnapshotError::NotPending { id: id.to_owned(), pending });
    }
    Ok(found)
}

fn entry(section: &PendingSection) -> Value {
    serde_json::json!({
        "id": section.id,
        "snapshot": section.snapshot,
        "section": section.section(),
        "change": change(section),
        "mismatch": mismatch(section),
    })
}

fn unused(
    args: &ReviewArgs,
    out: &mut dyn Write,
    sections: &dyn Fn(&Path) -> Option<Vec<String>>,
) -> Result<(), SnapshotError> {
    let scope = args.reach.scope();
    let found = unreferenced(&args.paths, sections, scope)?;
    if args.delete {
        found.iter().try_for_each(|one| one.delete(scope))?;
    }
    if args.json {
        return print(out, &line(&Value::from_iter(found.iter().map(unused_entry))));
    }
    let verb = if args.delete { "deleted" } else { "unreferenced" };
    for one in &found {
        let text = match one {
            Unreferenced::File(path) => path.display().to_string(),
            Unreferenced::Unfinished(path) => format!("{} (half written)", path.display()),
            Unreferenced::Section { snapshot, section } => {
                format!("{}: section {section}", snapshot.display())
            }
        };
        print(out, &format!("{verb} {}\n", visible(text)))?;
    }
    print(out, &format!("{} {verb}\n", found.len()))
}

fn unused_entry(one: &Unreferenced) -> Value {
    match one {
        Unreferenced::File(path) => serde_json::json!({"kind": "file", "path": path}),
        Unreferenced::Unfinished(path) => serde_json::json!({"kind": "unfinished", "path": path}),
        Unreferenced::Section { snapshot, section } => {
            serde_json::json!({"kind": "section", "path": snapshot, "section": section})
        }
    }
}

#[cfg(test)]
mod tests;
