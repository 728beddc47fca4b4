//! Reads pcap and pcapng files into packets, and says where a broken file breaks. Scenarios and
//! `import` name such files.

use std::time::Duration;

use bytes::Bytes;
use pcap_file::{
    DataLink,
    pcap::{PcapParseError, PcapParser},
    pcapng::{Block, PcapNgParseError, PcapNgParser},
};

use super::{chain, guess::guess};

/// A pcapng file begins with this block type, the same in both byte orders.
const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// pcap's magic numbers: microseconds and nanoseconds, in both byte orders.
const PCAP_MAGICS: [[u8; 4]; 4] = [
    [0xa1, 0xb2, 0xc3, 0xd4],
    [0xd4, 0xc3, 0xb2, 0xa1],
    [0xa1, 0xb2, 0x3c, 0x4d],
    [0x4d, 0x3c, 0xb2, 0xa1],
];

pub const MAX_PACKETS: usize = 1_000_000;

const MAX_INTERFACES: usize = 4096;

/// Bytes before a packet's data in a pcap file.
const PCAP_RECORD: usize = 16;

/// The number of what stands before the first packet.
const HEADER: usize = 0;

/// A packet of a capture file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// What the file holds of it, from the Ethernet destination on.
    pub data: Bytes,
    /// Since 1970; zero where the file says nothing.
    pub time: Duration,
    /// Its length on the wire in bytes: more than `data` when the capture cut it off.
    pub original_len: usize,
}

impl Packet {
    /// Whether the capture cut it off, so that it can't be sent as it was.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.original_len > self.data.len()
    }
}

/// A capture file that can't be read. Packets count from 1, as Wireshark does; offsets are bytes
/// from the start of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Neither pcap nor pcapng.
    #[error("not a pcap or pcapng file: it {looks}")]
    NotACapture {
        /// What it is instead, without a word of what is in it.
        looks: &'static str,
    },
    /// More packets than are read.
    #[error("it has more than {most} packets")]
    TooMany { most: usize },
    /// The file ends inside something.
    #[error(
        "the file ends in {}, which begins at byte {offset}: {needed} bytes are needed and \
         {available} are left",
        place(*packet)
    )]
    Truncated {
        /// The packet that is read, or would come next; 0 for the file's header.
        packet: usize,
        /// Where its record or block begins.
        offset: usize,
        /// What it needs, as far as that is known.
        needed: usize,
        available: usize,
    },
    /// The file contradicts itself or its format.
    #[error("{} at byte {offset}: {cause}", place(*packet))]
    Malformed {
        /// The packet that is read, or would come next; 0 for the file's header.
        packet: usize,
        /// Where its record or block begins.
        offset: usize,
        cause: String,
    },
    /// The link type is not Ethernet.
    #[error(
        "{} at byte {offset} has the link type {link_type}: only Ethernet (1) can be used",
        place(*packet)
    )]
    LinkType {
        /// The packet that is read, or would come next; 0 for the file's header.
        packet: usize,
        /// Where its record or block begins.
        offset: usize,
        /// The number in the registry of link types of tcpdump.org.
        link_type: u32,
    },
}

fn place(packet: usize) -> String {
    match packet {
        HEADER => "the file's header".to_owned(),
        packet => format!("packet {packet}"),
    }
}

/// The packets of a pcap (microseconds or nanoseconds) or pcapng file, of either byte order.
///
/// Memory in use is in proportion to `file`, whatever lengths stand in it.
///
/// # Errors
/// When the file is of another kind, is cut off, contradicts itself, has more than [`MAX_PACKETS`],
/// or was not captured on Ethernet. Packets that the capture cut off are no error: see
/// [`Packet::is_cut`].
///
/// # Examples
/// ```
/// let file = std::fs::read("fixtures/pcaps/ping.pcap").expect("it is shipped");
/// let packets = tapwright::capture::read(&file).expect("a capture");
/// // An ARP request: to everybody, EtherType 0x0806.
/// assert_eq!(packets[0].data[..6], [0xff; 6]);
/// assert_eq!(packets[0].data[12..14], [0x08, 0x06]);
/// ```
pub fn read(file: &[u8]) -> Result<Vec<Packet>, ReadError> {
    read_at_most(file, MAX_PACKETS)
}

fn read_at_most(file: &[u8], most: usize) -> Result<Vec<Packet>, ReadError> {
    let magic = file.first_chunk::<4>();
    match magic {
        Some(&SECTION_HEADER) => read_pcapng(file, most),
        Some(magic) if PCAP_MAGICS.contains(magic) => read_pcap(file, most),
        _ => Err(ReadError::NotACapture { looks: guess(file) }),
    }
}

fn read_pcap(file: &[u8], most: usize) -> Result<Vec<Packet>, ReadError> {
    let (mut rest, parser) =
        PcapParser::new(file).map_err(|error| pcap_error((HEADER, 0), file, error))?;
    let link = parser.header().datalink;
    if link != DataLink::ETHERNET {
        return Err(ReadError::LinkType { packet: HEADER, offset: 0, link_type: link.into() });
    }
    let mut packets = Vec::new();
    while !rest.is_empty() {
        let here = (packets.len() + 1, file.len() - rest.len());
        let (after, packet) =
            parser.next_packet(rest).map_err(|error| pcap_error(here, rest, error))?;
        rest = after;
        if packets.len() == most {
            return Err(ReadError::TooMany { most });
        }
        packets.push(Packet {
            time: packet.timestamp(),
            original_len: to_usize(packet.orig_len()),
            data: Bytes::copy_from_slice(packet.data()),
        });
    }
    Ok(packets)
}

fn pcap_error((packet, offset): (usize, usize), rest: &[u8], error: PcapParseError) -> ReadError {
    match error {
        PcapParseError::IncompleteBuffer(needed, _) => {
            // Once the parser has a record's header, it counts from behind it.
            let behind = packet != HEADER && rest.len() >= PCAP_RECORD;
            let needed = needed.saturating_add(if behind { PCAP_RECORD } else { 0 });
            ReadError::Truncated { packet, offset, needed, available: rest.len() }
        }
        error @ PcapParseError::Validation(_) => {
            ReadError::Malformed { packet, offset, cause: chain(&error) }
        }
    }
}

fn read_pcapng(file: &[u8], most: usize) -> Result<Vec<Packet>, ReadError> {
    let (mut rest, mut parser) =
        PcapNgParser::new(file).map_err(|error| pcapng_error((HEADER, 0), error))?;
    let mut packets = Vec::new();
    while !rest.is_empty() {
        let here = (packets.len() + 1, file.len() - rest.len());
        let (after, block) = parser.next_block(rest).map_err(|error| pcapng_error(here, error))?;
        rest = after;
        if parser.interfaces().len() > MAX_INTERFACES {
            let (packet, offset) = here;
            let cause = format!("it has more than {MAX_INTERFACES} interfaces");
            return Err(ReadError::Malformed { packet, offset, cause });
        }
        let (interface, packet) = match block {
            Block::EnhancedPacket(block) => {
                (block.interface_id, packet(&block.data, block.timestamp, block.original_len))
            }
            // A simple packet has no time and belongs to the first interface.
            Block::SimplePacket(block) => {
                (0, packet(&block.data, Duration::ZERO, block.original_len))
            }
            Block::Packet(block) => (
                u32::from(block.interface_id),
                packet(&block.data, block.timestamp, block.original_len),
            ),
            _ => continue,
        };
        if packets.len() == most {
            return Err(ReadError::TooMany { most });
        }
        let link = parser.interfaces().get(to_usize(interface)).map(|interface| interface.linktype);
        match link {
            Some(DataLink::ETHERNET) => packets.push(packet),
            Some(link) => {
                let (packet, offset) = here;
                return Err(ReadError::LinkType { packet, offset, link_type: link.into() });
            }
            None => {
                let (packet, offset) = here;
                let cause = format!("there is no interface {interface}");
                return Err(ReadError::Malformed { packet, offset, cause });
            }
        }
    }
    Ok(packets)
}

fn packet(data: &[u8], time: Duration, original_len: u32) -> Packet {
    Packet { data: Bytes::copy_from_slice(data), time, original_len: to_usize(original_len) }
}

fn pcapng_error((packet, offset): (usize, usize), error: PcapNgParseError) -> ReadError {
    match error {
        PcapNgParseError::IncompleteBuffer(needed, available) => {
            ReadError::Truncated { packet, offset, needed, available }
        }
        error => ReadError::Malformed { packet, offset, cause: chain(&error) },
    }
}

fn to_usize(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
