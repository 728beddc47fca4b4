//! Archives as the kernel unpacks them into its first root: cpio in the format "newc" (Linux
//! `Documentation/driver-api/early-userspace/buffer-format.rst`). Several may follow each other in one
//! image. The parts of a VM's image are made with it.

use super::VmError;

/// Types of files (`include/uapi/linux/stat.h`), with the mode that each is given.
const FOLDER: u32 = 0o040_755;
const FILE: u32 = 0o100_644;
const PROGRAM: u32 = 0o100_755;

/// What closes an archive.
const LAST: &str = "TRAILER!!!";

/// An archive that is being written. What is in a folder comes after the folder.
#[derive(Debug, Default)]
pub(super) struct Newc {
    bytes: Vec<u8>,
    /// Numbers of files, of which each has its own.
    files: u32,
}

impl Newc {
    pub(super) fn folder(&mut self, name: &str) -> Result<(), VmError> {
        self.entry(name, FOLDER, &[])
    }

    pub(super) fn file(&mut self, name: &str, data: &[u8]) -> Result<(), VmError> {
        self.entry(name, FILE, data)
    }

    pub(super) fn program(&mut self, name: &str, data: &[u8]) -> Result<(), VmError> {
        self.entry(name, PROGRAM, data)
    }

    pub(super) fn finish(mut self) -> Result<Vec<u8>, VmError> {
        self.entry(LAST, 0, &[])?;
        Ok(self.bytes)
    }

    fn entry(&mut self, name: &str, mode: u32, data: &[u8]) -> Result<(), VmError> {
        let too_large = || VmError::TooLarge { name: name.to_owned() };
        let size = u32::try_from(data.len()).map_err(|_| too_large())?;
        let name_size = u32::try_from(name.len() + 1).map_err(|_| too_large())?;
        self.files += 1;
        let links = if mode == FOLDER { 2 } else { 1 };
        // Number, mode, user, group, links, time, size, device, the device that it is, length of the
        // name, and a checksum that this format has not.
        let fields = [self.files, mode, 0, 0, links, 0, size, 0, 0, 0, 0, name_size, 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08X}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(data);
        self.pad();
        Ok(())
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_laid_out_as_the_kernel_documents_it() {
        let mut archive = Newc::default();
        archive.file("a", b"hello").unwrap();
        let bytes = archive.finish().unwrap();
        let header = "070701\
                      00000001000081A4000000000000000000000001\
                      00000000000000050000000000000000\
                      00000000000000000000000200000000";
        assert_eq!(header.len(), 110);
        // The name ends with a NUL at 112, the data begin at the next multiple of four.
        let expected = [header.as_bytes(), b"a\0hello\0\0\0"].concat();
        assert_eq!(bytes[..expected.len()], expected[..]);
        let rest = &bytes[expected.len()..];
        assert!(rest.starts_with(b"070701") && rest.len() % 4 == 0);
        assert_eq!(rest[110..120], LAST.as_bytes()[..]);
    }

    #[test]
    fn two_archives_follow_each_other() {
        let mut first = Newc::default();
        first.folder("etc").unwrap();
        first.program("etc/run", b"#!").unwrap();
        let first = first.finish().unwrap();
        assert_eq!(first.len() % 4, 0);
        assert!(first.windows(8).any(|window| window == b"000081ED"));
        assert!(first.windows(8).any(|window| window == b"000041ED"));
    }
}
