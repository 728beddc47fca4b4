use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use clap_complete::Shell;

use super::unwritable;
use crate::chore::ChoreError;

/// What the archives are filled with.
pub(super) struct Parts {
    pub(super) folder: PathBuf,
    pub(super) binary: PathBuf,
    /// Whether its debug information was taken out.
    pub(super) stripped: bool,
    pub(super) completions: PathBuf,
    pub(super) man: PathBuf,
}

impl Parts {
    pub(super) fn new(folder: &Path, binary: &Path) -> Result<Self, ChoreError> {
        let parts = Self {
            folder: folder.to_owned(),
            binary: folder.join("tapwright"),
            stripped: false,
            completions: folder.join("completions"),
            man: folder.join("man"),
        };
        copy(binary, &parts.binary)?;
        let stripped = strip(&parts.binary);
        completions(&parts.completions)?;
        manual(&parts.man)?;
        Ok(Self { stripped, ..parts })
    }
}

fn strip(binary: &Path) -> bool {
    Command::new("strip")
        .arg("--strip-debug")
        .arg(binary)
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn completions(folder: &Path) -> Result<(), ChoreError> {
    fs::create_dir_all(folder).map_err(|source| unwritable(folder, source))?;
    let mut command = tapwright::cli::command();
    for shell in [
        Shell::Bash,
        Shell::Elvish,
        Shell::Fish,
        Shell::PowerShell,
        Shell::Zsh,
    ] {
        clap_complete::generate_to(shell, &mut command, "tapwright", folder)
            .map_err(|source| unwritable(folder, source))?;
    }
    Ok(())
}

/// A page for the program and one for each command.
fn manual(folder: &Path) -> Result<(), ChoreError> {
    fs::create_dir_all(folder).map_err(|source| unwritable(folder, source))?;
    let command = tapwright::cli::command().disable_help_subcommand(true);
    clap_mangen::generate_to(command, folder).map_err(|source| unwritable(folder, source))
}

/// Copies a file with its mode, and makes the folder it goes to.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), ChoreError> {
    let folder = to.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(folder).map_err(|source| unwritable(folder, source))?;
    fs::copy(from, to)
        .map(drop)
        .map_err(|source| unwritable(to, source))
}

/// The files in a folder, in the order of their names.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>, ChoreError> {
    let entries = fs::read_dir(folder).and_then(|entries| {
        entries
            .map(|entry| Ok(entry?.path()))
            .collect::<std::io::Result<Vec<_>>>()
    });
    let mut files = entries.map_err(|source| ChoreError::Unreadable {
        path: folder.to_owned(),
        source,
    })?;
    files.retain(|path| path.is_file());
    files.sort();
    Ok(files)
}
