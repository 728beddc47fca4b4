//! Writes pcapng files, one interface for each port. The runner writes the capture of each case
//! with it.

use std::{borrow::Cow, io::Write, time::Duration};

use pcap_file::{
    DataLink,
    pcapng::{
        PcapNgWriteError, PcapNgWriter,
        blocks::{
            enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption},
            interface_description::{
                InterfaceDescriptionBlock, InterfaceDescriptionOption, InterfaceTsResolution,
            },
            opt_common::CommonOption,
        },
    },
};

use super::{WriteError, chain};

/// Writes a pcapng file with nanoseconds, in the machine's byte order.
pub struct Writer<W: Write> {
    inner: PcapNgWriter<W>,
    interfaces: usize,
    packets: usize,
}

impl<W: Write> Writer<W> {
    /// Begins a file with these interfaces (`if_name`), all Ethernet and without a limit of length.
    ///
    /// # Errors
    /// When `destination` refuses.
    pub fn new(destination: W, interfaces: &[&str]) -> Result<Self, WriteError> {
        let mut inner = PcapNgWriter::new(destination).map_err(|error| write_error(0, error))?;
        for name in interfaces {
            let block = InterfaceDescriptionBlock {
                linktype: DataLink::ETHERNET,
                snaplen: 0,
                options: vec![
                    InterfaceDescriptionOption::IfName(Cow::Borrowed(option_text(name))),
                    InterfaceDescriptionOption::IfTsResol(InterfaceTsResolution::NANO),
                ],
            };
            inner.write_pcapng_block(block).map_err(|error| write_error(0, error))?;
        }
        Ok(Self { inner, interfaces: interfaces.len(), packets: 0 })
    }

    /// Appends a packet of an interface (by its place in the list given to [`Writer::new`]).
    /// `time` counts from 1970. A comment longer than an option's 65535 bytes is cut off.
    ///
    /// # Errors
    /// When there is no such interface, when the time is past 2554, or when the destination
    /// refuses; the file is then of no use.
    pub fn packet(
        &mut self,
        interface: usize,
        time: Duration,
        data: &[u8],
        comment: Option<&str>,
    ) -> Result<(), WriteError> {
        self.packets += 1;
        let packet = self.packets;
        let interfaces = self.interfaces;
        let unknown = || WriteError::Interface { packet, interface, interfaces };
        if interface >= interfaces {
            return Err(unknown());
        }
        let comment = comment.map(|comment| {
            EnhancedPacketOption::Common(CommonOption::Comment(Cow::Borrowed(option_text(comment))))
        });
        let block = EnhancedPacketBlock {
            interface_id: u32::try_from(interface).map_err(|_| unknown())?,
            timestamp: time,
            original_len: u32::try_from(data.len())
                .map_err(|error| WriteError::Packet { packet, cause: error.to_string() })?,
            data: Cow::Borrowed(data),
            options: comment.into_iter().collect(),
        };
        self.inner.write_pcapng_block(block).map_err(|error| write_error(packet, error))?;
        Ok(())
    }

    /// Gives the destination back. Nothing is held back: every packet has been written to it.
    #[must_use]
    pub fn into_inner(self) -> W {
        self.inner.into_inner()
    }
}

/// As much of a text as an option can hold.
fn option_text(text: &str) -> &str {
    &text[..text.floor_char_boundary(usize::from(u16::MAX))]
}

fn write_error(packet: usize, error: PcapNgWriteError) -> WriteError {
    match error {
        PcapNgWriteError::Io(error) => WriteError::Io(error),
        error => WriteError::Packet { packet, cause: chain(&error) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::read;

    #[test]
    fn what_is_written_is_read() {
        let mut writer = Writer::new(Vec::new(), &["hn0.guest", "hn0.host"]).unwrap();
        let time = Duration::new(3, 1_001);
        writer.packet(1, time, &[1, 2, 3], Some("[1] send hn0.guest")).unwrap();
        writer.packet(0, time * 2, &[], None).unwrap();
        let packets = read(&writer.into_inner()).unwrap().packets;
        assert_eq!(packets.len(), 2);
        assert_eq!((&packets[0].data[..], packets[0].time), (&[1, 2, 3][..], time));
        assert_eq!((packets[1].original_len, packets[1].time), (0, time * 2));
    }

    #[test]
    fn the_options_are_those_that_wireshark_reads() {
        let mut writer = Writer::new(Vec::new(), &["out0"]).unwrap();
        writer.packet(0, Duration::ZERO, &[0; 14], Some("step 1")).unwrap();
        let file = writer.into_inner();
        let find = |needle: &[u8]| file.windows(needle.len()).any(|window| window == needle);
        let option = |code: u16, value: &[u8]| {
            let len = u16::try_from(value.len()).unwrap();
            [&code.to_ne_bytes()[..], &len.to_ne_bytes(), value].concat()
        };
        assert!(find(&option(2, b"out0")), "if_name");
        assert!(find(&option(9, &[9])), "if_tsresol");
        assert!(find(&option(1, b"step 1")), "opt_comment");
    }

    #[test]
    fn a_long_comment_is_cut_between_characters() {
        let mut writer = Writer::new(Vec::new(), &["out0"]).unwrap();
        writer.packet(0, Duration::ZERO, &[1], Some(&"ä".repeat(40_000))).unwrap();
        assert_eq!(read(&writer.into_inner()).unwrap().packets.len(), 1);
    }

    #[test]
    fn an_interface_that_is_not_there() {
        let mut writer = Writer::new(Vec::new(), &["out0"]).unwrap();
        let error = writer.packet(1, Duration::ZERO, &[], None).unwrap_err();
        assert_eq!(error.to_string(), "packet 1 is of interface 1, and there are 1");
    }
}
