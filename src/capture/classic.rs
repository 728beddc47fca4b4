//! Writes pcap files. The fixtures and the tests make such files; captures of runs are pcapng.

use std::{io::Write, time::Duration};

use pcap_file::{
    DataLink, Endianness,
    pcap::{PcapHeader, PcapPacket, PcapTsResolution, PcapWriteError, PcapWriter},
};

use super::{WriteError, chain};

/// What tcpdump writes as its limit of length: `MAXIMUM_SNAPLEN` (libpcap `pcap-int.h`).
const SNAPLEN: u32 = 262_144;

/// Writes a pcap file with microseconds, little endian whatever the machine, so that the same
/// packets always make the same file.
#[derive(Debug)]
pub struct ClassicWriter<W: Write> {
    inner: PcapWriter<W>,
    packets: usize,
}

impl<W: Write> ClassicWriter<W> {
    /// Begins an Ethernet capture.
    ///
    /// # Errors
    /// When `destination` refuses.
    pub fn new(destination: W) -> Result<Self, WriteError> {
        let header = PcapHeader {
            snaplen: SNAPLEN,
            datalink: DataLink::ETHERNET,
            ts_resolution: PcapTsResolution::MicroSecond,
            endianness: Endianness::Little,
            ..PcapHeader::default()
        };
        let inner =
            PcapWriter::with_header(destination, header).map_err(|error| write_error(0, error))?;
        Ok(Self { inner, packets: 0 })
    }

    /// Appends a packet. `time` counts from 1970 and loses what is below a microsecond.
    ///
    /// # Errors
    /// When the packet is longer than 262144 bytes, the time is past 2106, or the destination
    /// refuses.
    pub fn packet(&mut self, time: Duration, data: &[u8]) -> Result<(), WriteError> {
        self.packets += 1;
        let packet = self.packets;
        let unfit = |cause: String| WriteError::Packet { packet, cause };
        let len = u32::try_from(data.len()).map_err(|error| unfit(error.to_string()))?;
        let record = PcapPacket::new(time, len, data).map_err(|error| unfit(chain(&error)))?;
        self.inner.write_packet(&record).map_err(|error| write_error(packet, error))?;
        Ok(())
    }

    /// Gives the destination back. Nothing is held back: every packet has been written to it.
    #[must_use]
    pub fn into_inner(self) -> W {
        self.inner.into_inner()
    }
}

fn write_error(packet: usize, error: PcapWriteError) -> WriteError {
    match error {
        PcapWriteError::Io(error) | PcapWriteError::FieldWriteFailed(_, error) => {
            WriteError::Io(error)
        }
        error @ PcapWriteError::Validation(_) => {
            WriteError::Packet { packet, cause: chain(&error) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::read;

    #[test]
    fn what_is_written_is_read() {
        let mut writer = ClassicWriter::new(Vec::new()).unwrap();
        writer.packet(Duration::new(1, 2_999), &[1, 2, 3]).unwrap();
        let file = writer.into_inner();
        assert_eq!(file[..4], [0xd4, 0xc3, 0xb2, 0xa1]);
        let packets = read(&file).unwrap().packets;
        assert_eq!(
            (&packets[0].data[..], packets[0].time),
            (&[1, 2, 3][..], Duration::new(1, 2_000))
        );
        assert!(!packets[0].is_cut());
    }

    #[test]
    fn a_packet_that_no_reader_would_accept() {
        let mut writer = ClassicWriter::new(Vec::new()).unwrap();
        let error = writer.packet(Duration::ZERO, &[0; 262_145]).unwrap_err();
        assert!(matches!(error, WriteError::Packet { packet: 1, .. }), "{error}");
    }
}
