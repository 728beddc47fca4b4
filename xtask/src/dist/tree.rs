use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use clap_complete::Shell;

use super::{unwritable, version};
use crate::chore::{ChoreError, root};

/// What is packed as it is in the repository, so that links and commands of the documentation hold.
const DOCUMENTS: &[&str] = &[
    "README.md",
    "CHANGELOG.md",
    "docs",
    "scenarios",
    "fixtures/pcaps",
    "fixtures/qemu-cmdlines",
    "tapwright.toml",
];

/// What the archives are filled with.
pub(super) struct Parts {
    pub(super) folder: PathBuf,
    pub(super) binary: PathBuf,
    /// Whether its debug information was taken out.
    pub(super) stripped: bool,
    pub(super) completions: PathBuf,
    pub(super) man: PathBuf,
    /// The licences of the crates in the binary.
    pub(super) notices: PathBuf,
}

impl Parts {
    pub(super) fn new(folder: &Path, binary: &Path) -> Result<Self, ChoreError> {
        let parts = Self {
            folder: folder.to_owned(),
            binary: folder.join("tapwright"),
            stripped: false,
            completions: folder.join("completions"),
            man: folder.join("man"),
            notices: folder.join(super::notices::NAME),
        };
        copy(binary, &parts.binary)?;
        let stripped = strip(&parts.binary);
        completions(&parts.completions)?;
        manual(&parts.man)?;
        Ok(Self { stripped, ..parts })
    }
}

/// Symbols stay: without them a backtrace has no names.
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
    for shell in [Shell::Bash, Shell::Elvish, Shell::Fish, Shell::PowerShell, Shell::Zsh] {
        clap_complete::generate_to(shell, &mut command, "tapwright", folder)
            .map_err(|source| unwritable(folder, source))?;
    }
    Ok(())
}

/// A page for the program and one for each command.
fn manual(folder: &Path) -> Result<(), ChoreError> {
    fs::create_dir_all(folder).map_err(|source| unwritable(folder, source))?;
    let mut command = tapwright::cli::command().disable_help_subcommand(true);
    command.build();
    page(&command, folder).map_err(|source| unwritable(folder, source))
}

fn page(command: &clap::Command, folder: &Path) -> std::io::Result<()> {
    for below in command.get_subcommands().filter(|one| !one.is_hide_set()) {
        page(below, folder)?;
    }
    clap_mangen::Man::new(command.clone())
        .source(format!("tapwright {}", version()))
        .generate_to(folder)
        .map(drop)
}

/// Copies the documentation and what it names, as far as git knows the files: scratch stays here.
pub(super) fn documents(to: &Path) -> Result<(), ChoreError> {
    let known = Command::new("git")
        .args(["ls-files", "-z", "--"])
        .args(DOCUMENTS)
        .current_dir(root())
        .stderr(Stdio::null())
        .output();
    let known = known.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let known: Vec<PathBuf> =
        known.unwrap_or_default().split_terminator('\0').map(PathBuf::from).collect();
    // Sources without git have no scratch yet.
    let all = match known.is_empty() {
        true => DOCUMENTS.iter().map(PathBuf::from).collect(),
        false => known,
    };
    for path in all {
        let from = root().join(&path);
        if !from.is_dir() {
            copy(&from, &to.join(&path))?;
            continue;
        }
        for file in below(&from)? {
            let place = file.strip_prefix(root()).unwrap_or(&file);
            copy(&file, &to.join(place))?;
        }
    }
    Ok(())
}

/// Gives everything the modes of a release, whatever this machine's umask is.
pub(super) fn settle(folder: &Path) -> Result<(), ChoreError> {
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .map_err(|source| unwritable(path, source))
    };
    mode(folder, 0o755)?;
    for path in entries(folder)? {
        if path.is_dir() {
            settle(&path)?;
            continue;
        }
        let runs = fs::metadata(&path).is_ok_and(|one| one.permissions().mode() & 0o100 != 0);
        mode(&path, if runs { 0o755 } else { 0o644 })?;
    }
    Ok(())
}

/// Copies a file with its mode, and makes the folder it goes to.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(), ChoreError> {
    let folder = to.parent().unwrap_or(Path::new(""));
    fs::create_dir_all(folder).map_err(|source| unwritable(folder, source))?;
    fs::copy(from, to).map(drop).map_err(|source| unwritable(to, source))
}

/// The files in a folder, in the order of their names.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>, ChoreError> {
    let mut files = entries(folder)?;
    files.retain(|path| path.is_file());
    Ok(files)
}

/// The files in a folder and in those in it.
pub(super) fn below(folder: &Path) -> Result<Vec<PathBuf>, ChoreError> {
    let mut files = Vec::new();
    for path in entries(folder)? {
        if path.is_dir() {
            files.extend(below(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, ChoreError> {
    let entries = fs::read_dir(folder).and_then(|entries| {
        entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()
    });
    let mut entries =
        entries.map_err(|source| ChoreError::Unreadable { path: folder.to_owned(), source })?;
    entries.sort();
    Ok(entries)
}
