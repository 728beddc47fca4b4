//! Files that QEMU writes into the case's folder: what is added to them is what comes out there.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::PathBuf,
    time::SystemTime,
};

use crate::base::PortId;

/// Bytes of a pcap file's header, which a new file of filter-dump consists of.
const HEADER: u64 = 24;

#[derive(Debug)]
pub(super) struct DumpFile {
    pub(super) port: PortId,
    path: PathBuf,
    /// How many bytes of it were read, and when it had been changed last then.
    read: u64,
    changed: Option<SystemTime>,
}

impl DumpFile {
    pub(super) fn new(port: PortId, path: PathBuf) -> Self {
        Self { port, path, read: 0, changed: None }
    }

    /// What was written since it was last read; from the beginning when it was made anew.
    pub(super) fn read(&mut self) -> io::Result<Vec<u8>> {
        self.read_after(|| {})
    }

    /// Does something between looking at the file and reading it, as QEMU may.
    fn read_after(&mut self, meanwhile: impl FnOnce()) -> io::Result<Vec<u8>> {
        let mut file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            opened => opened?,
        };
        let metadata = file.metadata()?;
        let changed = metadata.modified().ok();
        // Emptied and given a header once more, it can be as long as it was.
        let anew = metadata.len() == HEADER && changed != self.changed;
        if metadata.len() < self.read || anew {
            self.read = 0;
        }
        meanwhile();
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(self.read))?;
        file.read_to_end(&mut bytes)?;
        self.read += bytes.len() as u64;
        // What was written after the first look has been read too, and is no reason to read it again.
        let after = file.metadata()?;
        self.changed = if after.len() == self.read { after.modified().ok() } else { changed };
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_added_is_read_and_a_new_file_from_its_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.pcap");
        let mut file = DumpFile::new("x.pcap".into(), path.clone());
        assert!(file.read().unwrap().is_empty());
        fs::write(&path, b"header").unwrap();
        assert_eq!(file.read().unwrap(), b"header");
        assert!(file.read().unwrap().is_empty());
        fs::write(&path, b"header, record").unwrap();
        assert_eq!(file.read().unwrap(), b", record");
        fs::write(&path, b"again").unwrap();
        assert_eq!(file.read().unwrap(), b"again");
    }

    #[test]
    fn a_header_that_is_written_after_the_look_is_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.pcap");
        let header = [7; HEADER as usize];
        fs::write(&path, b"").unwrap();
        let past = SystemTime::UNIX_EPOCH;
        File::options().write(true).open(&path).unwrap().set_modified(past).unwrap();
        let mut file = DumpFile::new("x.pcap".into(), path.clone());
        let first = file.read_after(|| fs::write(&path, header).unwrap()).unwrap();
        assert_eq!(first, header);
        assert!(file.read().unwrap().is_empty());
        fs::write(&path, header).unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(past).unwrap();
        assert_eq!(file.read().unwrap(), header, "emptied and given a header once more");
    }
}
