//! What a scenario is made of.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use crate::scenario::{Disk, Files};

/// The content of a file, or that there is none.
pub(super) type Print = Option<[u8; 32]>;

/// The content of a file as it is now.
pub(super) fn print(path: &Path) -> Print {
    std::fs::read(path).ok().map(|bytes| Sha256::digest(bytes).into())
}

/// The real files, and which were read and what was in them: what a scenario depends on.
#[derive(Debug, Default)]
pub(super) struct Recorder(RefCell<BTreeMap<PathBuf, Print>>);

impl Recorder {
    /// What was read.
    pub(super) fn into_files(self) -> BTreeMap<PathBuf, Print> {
        self.0.into_inner()
    }
}

impl Files for Recorder {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let read = Disk.read(path);
        let print = read.as_ref().ok().map(|bytes| Sha256::digest(bytes).into());
        self.0.borrow_mut().insert(path.to_owned(), print);
        read
    }
}
