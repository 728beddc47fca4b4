//! A file that filter-dumps write, each at its own offset, and the bytes that its port has
//! reported.

use bytes::Bytes;

/// The content of a file, and whether it still has to be reported again.
#[derive(Debug, Default)]
pub(super) struct WrittenFile {
    content: Vec<u8>,
    /// Bytes that were reported have been overwritten since.
    overwritten: bool,
}

impl WrittenFile {
    /// Writes bytes at an offset, 0 for a file that was emptied. Returns those to report at once:
    /// the ones that follow everything reported so far.
    pub(super) fn write(&mut self, at: u64, data: Bytes) -> Option<Bytes> {
        // What was written fits into memory.
        let at = at as usize;
        if at == 0 {
            *self = Self::default();
        }
        if at == self.content.len() {
            self.content.extend_from_slice(&data);
            return (!self.overwritten).then_some(data);
        }
        let end = at + data.len();
        if self.content.get(at..end) == Some(&data[..]) {
            return None;
        }
        if self.content.len() < end {
            // What nobody wrote is a hole, which is read as zeros.
            self.content.resize(end, 0);
        }
        self.content[at..end].copy_from_slice(&data);
        self.overwritten = true;
        None
    }

    /// The whole file, where something in it was overwritten since the last time.
    pub(super) fn again(&mut self) -> Option<Bytes> {
        std::mem::take(&mut self.overwritten).then(|| Bytes::copy_from_slice(&self.content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(file: &mut WrittenFile, at: u64, data: &'static [u8]) -> Option<Bytes> {
        file.write(at, Bytes::from_static(data))
    }

    #[test]
    fn what_is_added_is_told_and_what_is_overwritten_is_told_again() {
        let mut file = WrittenFile::default();
        assert_eq!(write(&mut file, 0, b"head").as_deref(), Some(&b"head"[..]));
        assert_eq!(write(&mut file, 4, b"one").as_deref(), Some(&b"one"[..]));
        assert_eq!(write(&mut file, 4, b"one"), None);
        assert_eq!(file.again(), None, "the same bytes once more");
        assert_eq!(write(&mut file, 4, b"t"), None);
        assert_eq!(write(&mut file, 7, b"two"), None, "told with the rest");
        assert_eq!(file.again().as_deref(), Some(&b"headtnetwo"[..]));
        assert_eq!(file.again(), None);
        assert_eq!(write(&mut file, 10, b"!").as_deref(), Some(&b"!"[..]));
    }

    /// As measured on QEMU 7.2.22: a dump goes on where it was in a file that another has emptied.
    #[test]
    fn a_hole_is_zeros() {
        let mut file = WrittenFile::default();
        write(&mut file, 0, b"head");
        write(&mut file, 4, b"one");
        write(&mut file, 0, b"head");
        assert_eq!(write(&mut file, 7, b"two"), None);
        assert_eq!(file.again().as_deref(), Some(&b"head\0\0\0two"[..]));
    }
}
