//! Packages of Debian's archive, fetched and unpacked without installing anything: what `cargo xtask
//! qemu` and `cargo xtask vm` are made of.
//!
//! `apt-get` fetches the packages and checks their signatures, with lists and an archive of its own and
//! the host's mirror, proxy and keyring; `dpkg-deb` unpacks them. No privileges are needed.

mod archive;
mod error;
mod unpack;

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

pub(crate) use archive::{Archive, Closure};
pub(crate) use error::ArchiveError;
pub(crate) use unpack::{remove_tree, unpack};

use crate::chore::target_folder;

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

/// A folder below target/ in which one call at a time is at work.
#[derive(Debug)]
pub(crate) struct Workplace {
    folder: PathBuf,
    _lock: File,
}

impl Workplace {
    /// Makes `target/KIND/SUITE`, and waits until no other call is at work there.
    ///
    /// # Errors
    /// When the folder can't be made or locked.
    pub(crate) fn of(kind: &str, suite: &str) -> Result<Self, ArchiveError> {
        let folder = std::path::absolute(target_folder().join(kind).join(suite))
            .map_err(|source| ArchiveError::file(Path::new("."), source))?;
        fs::create_dir_all(&folder).map_err(|source| ArchiveError::file(&folder, source))?;
        let lock = lock(&folder)?;
        Ok(Self { folder, _lock: lock })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Whether a text may be a suite's name: it becomes the name of a folder and a word of sources.list(5).
pub(crate) fn is_suite(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// Keeps another call out of the folder while this one is at work in it.
fn lock(folder: &Path) -> Result<File, ArchiveError> {
    let path = folder.join("lock");
    let failed = |source| ArchiveError::file(&path, source);
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
