//! What is compressed in a distribution's kernel: the kernel itself, and its modules. The programs of the
//! formats do the work, as every Debian has them or can have them.

use std::{
    io::{Seek, Write},
    process::{Command, Stdio},
};

use super::VmError;

/// A format that kernels and modules are compressed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format {
    program: &'static str,
    package: &'static str,
    /// What a file of it begins with.
    magic: &'static [u8],
}

/// `lib/decompress.c` of Linux 6.18 has the kernel's list; what Debian does not use is left out.
const FORMATS: [Format; 4] = [
    Format { program: "xz", package: "xz-utils", magic: b"\xfd7zXZ\0" },
    Format { program: "zstd", package: "zstd", magic: b"\x28\xb5\x2f\xfd" },
    Format { program: "lz4", package: "lz4", magic: b"\x02\x21\x4c\x18" },
    Format { program: "gzip", package: "gzip", magic: b"\x1f\x8b\x08" },
];

impl Format {
    /// What something is compressed with.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        FORMATS.into_iter().find(|format| bytes.starts_with(format.magic))
    }

    /// Whether the last four bytes of what is compressed are the size of what was (RFC 1952, 2.3.1).
    pub(super) fn ends_with_its_size(self) -> bool {
        self.program == "gzip"
    }

    /// What was compressed.
    pub(super) fn expand(self, bytes: &[u8]) -> Result<Vec<u8>, VmError> {
        let Self { program, package, .. } = self;
        let mut input = tempfile::tempfile().map_err(VmError::Temporary)?;
        input.write_all(bytes).and_then(|()| input.rewind()).map_err(VmError::Temporary)?;
        let output = Command::new(program)
            .args(["-d", "-c", "-q"])
            .stdin(input)
            .stderr(Stdio::piped())
            .output()
            .map_err(|source| VmError::NoProgram { program, package, source })?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(VmError::Compressed { program, said })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_known_by_its_first_bytes() {
        assert_eq!(Format::of(b"\x1f\x8b\x08rest").map(|format| format.program), Some("gzip"));
        assert_eq!(Format::of(b"\x7fELF"), None);
        assert_eq!(Format::of(b""), None);
    }

    #[test]
    fn what_was_compressed_comes_back() {
        // `printf hello | gzip -n`
        let bytes =
            b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xcb\x48\xcd\xc9\xc9\x07\0\x86\xa6\x10\x36\x05\0\0\0";
        assert_eq!(Format::of(bytes).unwrap().expand(bytes).unwrap(), b"hello");
        let error = Format::of(bytes).unwrap().expand(&bytes[..12]).unwrap_err();
        assert!(error.to_string().starts_with("gzip: "), "{error}");
    }
}
