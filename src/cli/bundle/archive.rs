//! The files of a bundle and its tar.gz. `export --bundle` fills it.

use std::{
    collections::BTreeMap,
    io,
    path::{Component, Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use tar::{Builder, EntryType, Header};

/// Files of an archive, by their path in it; all of them below one folder.
#[derive(Debug, Default)]
pub(super) struct Archive(BTreeMap<PathBuf, Vec<u8>>);

impl Archive {
    pub(super) fn put(&mut self, path: impl Into<PathBuf>, content: impl Into<Vec<u8>>) {
        self.0.insert(path.into(), content.into());
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.keys().map(PathBuf::as_path)
    }

    /// The archive as a gzipped tar below `folder`. The same files give the same bytes: no time, no
    /// owner, one order. gzip, since every mail reader's machine opens it and the files are small.
    ///
    /// # Errors
    /// Where a path can't be stored.
    pub(super) fn bytes(&self, folder: &str) -> io::Result<Vec<u8>> {
        let mut archive = Builder::new(GzEncoder::new(Vec::new(), Compression::best()));
        for (path, content) in &self.0 {
            let mut header = Header::new_gnu();
            header.set_entry_type(EntryType::Regular);
            header.set_mode(0o644);
            header.set_uid(0);
            header.set_gid(0);
            header.set_mtime(0);
            header.set_size(content.len() as u64);
            archive.append_data(&mut header, Path::new(folder).join(path), content.as_slice())?;
        }
        archive.into_inner()?.finish()
    }
}

/// A path without `.` and `..`, as far as the text shows.
pub(super) fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

/// The innermost folder that all of these absolute paths are in.
pub(super) fn common<'a>(mut paths: impl Iterator<Item = &'a Path>) -> PathBuf {
    let first = paths.next().and_then(Path::parent);
    let first = first.unwrap_or(Path::new("/")).to_owned();
    paths.fold(first, |common, path| {
        let holds = |folder: &&Path| path.starts_with(folder);
        common.ancestors().find(holds).unwrap_or(Path::new("/")).to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_files_give_the_same_bytes() {
        let archive = |order: [&str; 2]| {
            let mut archive = Archive::default();
            for path in order {
                archive.put(path, path);
            }
            archive.bytes("x").unwrap()
        };
        assert_eq!(archive(["a", "b/c"]), archive(["b/c", "a"]));
    }

    #[test]
    fn files_keep_their_places_below_what_they_have_in_common() {
        let path = plain(Path::new("/s/scenarios/colo/../../fixtures/./a.pcap"));
        assert_eq!(path, Path::new("/s/fixtures/a.pcap"));
        let scenario = Path::new("/s/scenarios/colo/x.yaml");
        assert_eq!(common([scenario, &path].into_iter()), Path::new("/s"));
        assert_eq!(common([scenario].into_iter()), Path::new("/s/scenarios/colo"));
    }
}
