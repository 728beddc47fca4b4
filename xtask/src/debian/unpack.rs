//! Unpacks packages into a folder, and takes such a folder away again.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    archive,
    error::{About, ArchiveError},
};

/// Unpacks packages into a new `root`, which is emptied first.
///
/// # Errors
/// When there is no room, or a package is broken: the next call fetches that one again.
pub(crate) fn unpack(root: &Path, packages: &[PathBuf]) -> Result<(), ArchiveError> {
    remove_tree(root)?;
    fs::create_dir(root).map_err(|error| ArchiveError::file(root, error))?;
    anstream::eprintln!("xtask: unpacking {} packages", packages.len());
    for package in packages {
        let mut command = Command::new("dpkg-deb");
        command.arg("--extract").arg(package).arg(root);
        let said = archive::output(("dpkg-deb", "dpkg"), &mut command)?;
        if said.succeeded {
            continue;
        }
        let command = format!("dpkg-deb --extract {}", package.display());
        let about = About { command: &command, folder: root, ..About::default() };
        let error = ArchiveError::said_by(about, &said.err);
        if !matches!(error, ArchiveError::Full { .. }) {
            drop(fs::remove_file(package));
        }
        return Err(error);
    }
    Ok(())
}

/// Takes a tree away, where it is.
///
/// # Errors
/// When it stays.
pub(crate) fn remove_tree(path: &Path) -> Result<(), ArchiveError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(ArchiveError::file(path, error))
        }
        _ => Ok(()),
    }
}
