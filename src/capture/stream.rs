//! A capture that is read while it goes by, in memory that does not grow with it. Read by the comparison of
//! captures.

use std::{
    io::{self, Read},
    ops::Range,
    time::Duration,
};

use super::{
    Link, ReadError,
    read::{Decoder, Found},
};

/// Bytes that are read at once.
const READ: usize = 1 << 20;

/// The longest block of a pcapng file, as Wireshark has it (`wiretap/pcapng.c`, `MAX_BLOCK_SIZE`).
const LONGEST: usize = 16 << 20;

/// A packet of a capture that goes by. Its data is gone when the next one is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketRef<'c> {
    /// What the file holds of it, as its link type has it.
    pub data: &'c [u8],
    /// Since 1970; zero where the file says nothing.
    pub time: Duration,
    /// Its length on the wire in bytes.
    pub original_len: usize,
    pub link: Link,
}

/// A capture ends before its end.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Read(#[from] ReadError),
}

/// A pcap or pcapng capture, packet by packet. What is wrong with one is said where [`super::read`] says it,
/// after the packets before it.
pub struct Stream<R> {
    source: R,
    buffer: Vec<u8>,
    /// What is read and not yet decoded, in the buffer.
    rest: Range<usize>,
    /// Where `rest` begins in the file.
    offset: usize,
    ended: bool,
    decoder: Decoder,
    /// The file ends in the packet before.
    broken: Option<ReadError>,
}

impl<R: Read> Stream<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// When there is none that is pcap's or pcapng's.
    pub fn new(mut source: R) -> Result<Self, StreamError> {
        let mut buffer = Vec::new();
        loop {
            let ended = fill(&mut source, &mut buffer, READ)?;
            match Decoder::begin(&buffer) {
                Err(ReadError::Truncated { .. }) if !ended && buffer.len() < LONGEST => {}
                Err(error) => return Err(error.into()),
                Ok((decoder, used)) => {
                    let rest = used..buffer.len();
                    let broken = None;
                    return Ok(Self { source, buffer, rest, offset: used, ended, decoder, broken });
                }
            }
        }
    }

    /// The next packet; none at the end.
    ///
    /// # Errors
    /// When the file can't be read, ends in something, or contradicts itself.
    pub fn next_packet(&mut self) -> Result<Option<PacketRef<'_>>, StreamError> {
        let Some(Found { data, time, original_len, link }) = self.find()? else {
            return Ok(None);
        };
        Ok(Some(PacketRef { data: &self.buffer[data], time, original_len, link }))
    }

    /// Where the next packet stands in the buffer.
    fn find(&mut self) -> Result<Option<Found>, StreamError> {
        if let Some(error) = self.broken.take() {
            return Err(error.into());
        }
        loop {
            if self.rest.is_empty() && (self.ended || !self.more()?) {
                return Ok(None);
            }
            let step = match self.decoder.step(&self.buffer[self.rest.clone()], self.offset) {
                Ok(step) if step.broken.is_none() || self.ended => step,
                Err(error) if self.ended => return Err(error.into()),
                Ok(_) | Err(ReadError::Truncated { .. }) if self.rest.len() > LONGEST => {
                    let text =
                        format!("the block at byte {} is longer than {LONGEST} bytes", self.offset);
                    return Err(io::Error::new(io::ErrorKind::InvalidData, text).into());
                }
                Err(error) if self.rest.len() > LONGEST => return Err(error.into()),
                // It may be the buffer that ends there, and not the file.
                Ok(_) | Err(_) => {
                    self.more()?;
                    continue;
                }
            };
            let start = self.rest.start;
            self.rest.start += step.used;
            self.offset += step.used;
            self.broken = step.broken;
            if let Some(found) = step.packet {
                let data = start + found.data.start..start + found.data.end;
                return Ok(Some(Found { data, ..found }));
            }
        }
    }

    /// Reads on, and says whether there was more.
    fn more(&mut self) -> io::Result<bool> {
        self.buffer.copy_within(self.rest.clone(), 0);
        self.buffer.truncate(self.rest.len());
        let before = self.buffer.len();
        self.ended = fill(&mut self.source, &mut self.buffer, READ)?;
        self.rest = 0..self.buffer.len();
        Ok(self.buffer.len() > before)
    }
}

/// Reads up to `most` bytes behind those that are there, and says whether the source has ended.
fn fill(source: &mut impl Read, buffer: &mut Vec<u8>, most: usize) -> io::Result<bool> {
    let wanted = u64::try_from(most).unwrap_or(u64::MAX);
    let read = source.take(wanted).read_to_end(buffer)?;
    Ok(read < most)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use bytes::Bytes;

    use super::*;
    use crate::capture::{self, Capture, Packet};

    /// A source that gives a few bytes at a time.
    struct Slow<'d>(&'d [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(out.len());
            self.0.read(&mut out[..count])
        }
    }

    fn packets(mut stream: Stream<impl Read>) -> (Vec<Packet>, String) {
        let mut found = Vec::new();
        loop {
            match stream.next_packet() {
                Ok(Some(PacketRef { data, time, original_len, link })) => {
                    let data = Bytes::copy_from_slice(data);
                    found.push(Packet { data, time, original_len, link });
                }
                Ok(None) => return (found, String::new()),
                Err(error) => return (found, error.to_string()),
            }
        }
    }

    /// Whatever `read` makes of a file, or of its first bytes, the stream makes of it too.
    #[test]
    fn a_stream_reads_what_a_file_has() {
        let mut files = 0;
        for folder in ["fixtures/pcaps", "tests/bad_input"] {
            for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap() {
                let path = entry.unwrap().path();
                let end = path.extension().and_then(|end| end.to_str());
                if !matches!(end, Some("pcap" | "pcapng")) {
                    continue;
                }
                let whole = fs::read(&path).unwrap();
                for length in [whole.len(), whole.len() / 2, whole.len().saturating_sub(3)] {
                    let file = &whole[..length];
                    let streamed = match Stream::new(Slow(file, 7)) {
                        Ok(stream) => packets(stream),
                        Err(error) => (Vec::new(), error.to_string()),
                    };
                    let read = match capture::read(file) {
                        Ok(Capture { packets, broken }) => {
                            (packets, broken.map(|error| error.to_string()).unwrap_or_default())
                        }
                        Err(error) => (Vec::new(), error.to_string()),
                    };
                    assert_eq!(streamed, read, "{} {length}", path.display());
                }
                files += 1;
            }
        }
        assert!(files > 10, "{files}");
    }
}
