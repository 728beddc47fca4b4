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
    /// What was read of it, and when it had been changed last then.
    read: u64,
    changed: Option<SystemTime>,
}

impl DumpFile {
    pub(super) fn new(port: PortId, path: PathBuf) -> Self {
        Self { port, path, read: 0, changed: None }
    }

    /// What was written since it was last read; from the beginning when it was made anew.
    pub(super) fn read(&mut self) -> io::Result<Vec<u8>> {
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
        self.changed = changed;
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(self.read))?;
        file.read_to_end(&mut bytes)?;
        self.read += bytes.len() as u64;
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
}
