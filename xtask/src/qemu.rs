//! `cargo xtask qemu`: a QEMU as Debian ships it, unpacked below `target/qemu` with all its libraries,
//! and a launcher that starts it. Nothing is installed, and no privileges are needed.
//!
//! `apt-get` fetches the packages and checks their signatures, with lists and an archive of its own and
//! the host's mirror, proxy and keyring; `dpkg-deb` unpacks them. Each step leaves nothing half done that
//! the next call takes for whole: the tree gets its name when it is complete, and the launcher is
//! written last.

mod archive;
pub(crate) mod compare;
mod error;
mod launcher;
mod tree;
mod wanted;

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use archive::Archive;
pub(crate) use error::QemuError;
use launcher::Launcher;
use tree::Tree;
use wanted::Wanted;

use crate::chore::target_folder;

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

/// Where packages come from.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Source {
    /// The archive; by default this machine's own, then <http://deb.debian.org/debian>.
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
    /// The keys that the archive is signed with; by default those of debian-archive-keyring.
    #[arg(long, value_name = "FILE")]
    keyring: Option<PathBuf>,
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
    let folder = std::path::absolute(target_folder().join("qemu").join(wanted.suite()))
        .map_err(|source| QemuError::file(Path::new("."), source))?;
    fs::create_dir_all(&folder).map_err(|source| QemuError::file(&folder, source))?;
    let _lock = lock(&folder)?;
    let launcher = Launcher::of(&folder);
    let there = if update { None } else { runs(&launcher) };
    let version = match there {
        Some(version) => version,
        None => make(&folder, wanted, source, &launcher)?,
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
    let archive = Archive::new(folder, wanted.suite())?;
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

/// Keeps another call out of the folder while this one is at work in it.
fn lock(folder: &Path) -> Result<File, QemuError> {
    let path = folder.join("lock");
    let failed = |source| QemuError::file(&path, source);
    let file = File::create(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            anstream::eprintln!("xtask: another call is at work in {}", folder.display());
            file.lock().map_err(failed)?;
        }
        Err(TryLockError::Error(source)) => return Err(failed(source)),
    }
    Ok(file)
}
