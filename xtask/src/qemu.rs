//! `cargo xtask qemu`: a QEMU as Debian ships it, unpacked below `target/qemu` with all its libraries,
//! and a launcher that starts it. Nothing is installed, and no privileges are needed.
//!
//! [`crate::debian`] fetches and unpacks the packages. Each step leaves nothing half done that
//! the next call takes for whole: the tree gets its name when it is complete, and the launcher is
//! written last.

pub(crate) mod compare;
mod error;
mod launcher;
mod tree;
mod wanted;

use std::path::{Path, PathBuf};

pub(crate) use error::QemuError;
use launcher::Launcher;
use tree::Tree;
use wanted::Wanted;

use crate::debian::{Archive, Closure, Source, Workplace};

/// The Debian package that has QEMU for PCs.
const PACKAGES: &[&str] = &["qemu-system-x86"];

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// 7.2, 10.0 or 11.1, which Debian's suites bookworm, trixie and sid have; or another suite.
    #[arg(default_value = "11.1", value_name = "VERSION|SUITE")]
    wanted: Wanted,
    /// Fetches what the suite has now, also where one is there.
    #[arg(long)]
    update: bool,
    #[command(flatten)]
    source: Source,
}

/// A QEMU that runs.
#[derive(Clone, Debug)]
pub(crate) struct Provided {
    pub(crate) launcher: PathBuf,
    /// The first line of its `--version`.
    pub(crate) version: String,
    /// What is to be said where this is another version than the one that was asked for.
    pub(crate) moved_on: Option<String>,
}

/// Makes what was asked for, and prints the launcher's path.
///
/// # Errors
/// Whatever keeps it from running.
pub(crate) fn run(arguments: &Arguments) -> Result<(), QemuError> {
    let Arguments { wanted, update, source } = arguments;
    let provided = provide(wanted, *update, source)?;
    anstream::eprintln!("xtask: {}", provided.version);
    if let Some(text) = &provided.moved_on {
        anstream::eprintln!("xtask: WARNING: {text}");
    }
    anstream::println!("{}", provided.launcher.display());
    Ok(())
}

/// One that is there and runs, unless it is to be an `update`; else a new one.
///
/// # Errors
/// Whatever keeps it from running.
pub(crate) fn provide(
    wanted: &Wanted,
    update: bool,
    source: &Source,
) -> Result<Provided, QemuError> {
    let workplace = Workplace::of("qemu", wanted.suite())?;
    let folder = workplace.folder();
    let launcher = Launcher::of(folder);
    let there = if update { None } else { runs(&launcher) };
    let version = match there {
        Some(version) => version,
        None => make(folder, wanted, source, &launcher)?,
    };
    let moved_on = wanted.moved_on(&version);
    Ok(Provided { launcher: launcher.path().to_owned(), version, moved_on })
}

/// What a launcher that is there says of its version; none where there is none, or it does not run,
/// which is said.
fn runs(launcher: &Launcher) -> Option<String> {
    if !launcher.path().exists() {
        return None;
    }
    match launcher.version() {
        Ok(version) => Some(version),
        Err(error) => {
            anstream::eprintln!("xtask: {error}; it is made again");
            None
        }
    }
}

fn make(
    folder: &Path,
    wanted: &Wanted,
    source: &Source,
    launcher: &Launcher,
) -> Result<String, QemuError> {
    let archive = Archive::new(folder, wanted.suite(), PACKAGES, Closure::Everything)?;
    let packages = archive.fetch(source)?;
    let new = Tree::unpack(folder, &packages)?;
    // What is there is left alone until everything else has come to a good end.
    launcher.remove()?;
    let tree = new.replace(folder)?;
    launcher.write(&tree, wanted.suite())?;
    let version = launcher.version().inspect_err(|_| {
        // The next call begins anew.
        drop(launcher.remove());
    })?;
    archive.remove()?;
    Ok(version)
}
