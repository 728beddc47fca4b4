//! Reads pcap and pcapng files into packets, and says where a broken file breaks. Scenarios and
//! `import` name such files.

use std::{ops::Range, time::Duration};

use bytes::Bytes;
use pcap_file::{
    Endianness,
    pcap::{PcapParseError, PcapParser, PcapTsResolution},
    pcapng::{Block, PcapNgParseError, PcapNgParser},
};

use super::{chain, guess::guess, link::Link};

/// A pcapng file begins with this block type, the same in both byte orders.
const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// pcap's magic numbers: microseconds and nanoseconds, in both byte orders.
const PCAP_MAGICS: [[u8; 4]; 4] = [
    [0xa1, 0xb2, 0xc3, 0xd4],
    [0xd4, 0xc3, 0xb2, 0xa1],
    [0xa1, 0xb2, 0x3c, 0x4d],
    [0x4d, 0x3c, 0xb2, 0xa1],
];

/// Kuznetzov's magic numbers, and those of the format whose header is the same.
const KUZNETZOV: [([u8; 4], [u8; 4]); 2] = [
    ([0xa1, 0xb2, 0xcd, 0x34], [0xa1, 0xb2, 0xc3, 0xd4]),
    ([0x34, 0xcd, 0xb2, 0xa1], [0xd4, 0xc3, 0xb2, 0xa1]),
];

/// Bytes that Kuznetzov's format has behind a record's header: interface, protocol and packet type.
const KUZNETZOV_EXTRA: usize = 8;

/// The longest packet of a capture where the file does not hold it whole: libpcap's largest snap
/// length.
const LONGEST: usize = 262_144;

/// Bytes of Ethernet's frame check sequence.
const FCS: usize = 4;

pub const MAX_PACKETS: usize = 1_000_000;

const MAX_INTERFACES: usize = 4096;

/// Bytes of a pcap file's header.
const PCAP_HEADER: usize = 24;

/// Bytes before a packet's data in a pcap file.
const PCAP_RECORD: usize = 16;

/// The number of what stands before the first packet.
const HEADER: usize = 0;

/// What a capture file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capture {
    /// The packets, the first of which is number 1. The last may be one in which the file ends; it is
    /// cut.
    pub packets: Vec<Packet>,
    /// Why there are no more packets, when the file breaks off or contradicts itself behind them.
    pub broken: Option<ReadError>,
}

impl Capture {
    /// Whether the file ends where something more was to come, so that what it has is right.
    #[must_use]
    pub const fn breaks_off(&self) -> bool {
        matches!(self.broken, Some(ReadError::Truncated { .. }))
    }
}

/// A packet of a capture file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// What the file holds of it, as its link type has it; without the frame check sequence where the
    /// file says that there is one.
    pub data: Bytes,
    /// Since 1970; zero where the file says nothing.
    pub time: Duration,
    /// Its length on the wire in bytes: more than `data` when the capture cut it off.
    pub original_len: usize,
    pub link: Link,
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
}

fn place(packet: usize) -> String {
    match packet {
        HEADER => "the file's header".to_owned(),
        packet => format!("packet {packet}"),
    }
}

/// Reads a pcap (microseconds or nanoseconds, also Kuznetzov's) or pcapng file, of either byte order
/// and any link type.
///
/// Lengths that contradict each other are taken as tcpdump and tshark take them: a packet may be
/// longer than the file's snap length, and is not cut when it is longer than it was on the wire.
/// Memory in use is in proportion to `file`, whatever lengths stand in it.
///
/// # Errors
/// When the file is of another kind, ends in its header, or has more than [`MAX_PACKETS`]. What is
/// wrong behind the first packet is in [`Capture::broken`].
///
/// # Examples
/// ```
/// let file = std::fs::read("fixtures/pcaps/ping.pcap").expect("it is shipped");
/// let packets = tapwright::capture::read(&file).expect("a capture").packets;
/// // An ARP request: to everybody, EtherType 0x0806.
/// assert_eq!(packets[0].data[..6], [0xff; 6]);
/// assert_eq!(packets[0].data[12..14], [0x08, 0x06]);
/// ```
pub fn read(file: &[u8]) -> Result<Capture, ReadError> {
    read_at_most(file, MAX_PACKETS)
}

fn read_at_most(file: &[u8], most: usize) -> Result<Capture, ReadError> {
    let mut capture = Capture::default();
    let (mut decoder, mut at) = Decoder::begin(file)?;
    while at < file.len() {
        let step = match decoder.step(&file[at..], at) {
            Ok(step) => step,
            Err(error) => {
                capture.broken = Some(error);
                break;
            }
        };
        if let Some(found) = step.packet {
            if capture.packets.len() == most {
                return Err(ReadError::TooMany { most });
            }
            let data = Bytes::copy_from_slice(&file[at..][found.data]);
            let Found { time, original_len, link, .. } = found;
            capture.packets.push(Packet { data, time, original_len, link });
        }
        at += step.used;
        if step.broken.is_some() {
            capture.broken = step.broken;
            break;
        }
    }
    Ok(capture)
}

/// Reads a file one packet after the other, from as much of it as there is.
pub(super) struct Decoder {
    format: Format,
    packets: usize,
}

enum Format {
    Classic {
        endianness: Endianness,
        tick: Duration,
        link: Link,
        check_sequence: usize,
        /// Bytes behind a record's header.
        extra: usize,
    },
    Ng(Box<PcapNgParser>),
}

/// What stood at the beginning of the bytes that are left.
pub(super) struct Step {
    /// A packet; none where it was something else.
    pub(super) packet: Option<Found>,
    pub(super) used: usize,
    /// The packet is all that there is of it, and the file ends in it.
    pub(super) broken: Option<ReadError>,
}

/// A packet, and where it stands.
pub(super) struct Found {
    /// In the bytes that were given.
    pub(super) data: Range<usize>,
    pub(super) time: Duration,
    pub(super) original_len: usize,
    pub(super) link: Link,
}

impl Decoder {
    /// From the beginning of a file; and how long its header is.
    pub(super) fn begin(file: &[u8]) -> Result<(Self, usize), ReadError> {
        let (format, used) = match file.first_chunk::<4>() {
            Some(&SECTION_HEADER) => {
                let parsed = PcapNgParser::new(file);
                let (rest, parser) = parsed.map_err(|error| pcapng_error((HEADER, 0), error))?;
                (Format::Ng(Box::new(parser)), file.len() - rest.len())
            }
            Some(magic) if PCAP_MAGICS.contains(magic) => classic(file, 0)?,
            Some(magic)
                if let Some((_, usual)) = KUZNETZOV.iter().find(|(own, _)| own == magic) =>
            {
                let header = &file[4..file.len().min(PCAP_HEADER)];
                classic(&[&usual[..], header].concat(), KUZNETZOV_EXTRA)?
            }
            _ => return Err(ReadError::NotACapture { looks: guess(file) }),
        };
        Ok((Self { format, packets: 0 }, used))
    }

    /// What `rest`, which begins at the byte `offset` of the file and is not empty, begins with.
    ///
    /// # Errors
    /// [`ReadError::Truncated`] also where only `rest` ends, and the file goes on.
    pub(super) fn step(&mut self, rest: &[u8], offset: usize) -> Result<Step, ReadError> {
        let packet = self.packets + 1;
        let step = match &mut self.format {
            Format::Classic { endianness, tick, link, check_sequence, extra } => {
                let place = (packet, offset);
                classic_step(rest, place, (*endianness, *tick), (*link, *check_sequence), *extra)
            }
            Format::Ng(parser) => ng_step(parser, rest, (packet, offset)),
        }?;
        self.packets += usize::from(step.packet.is_some() && step.broken.is_none());
        Ok(step)
    }
}

fn classic(file: &[u8], extra: usize) -> Result<(Format, usize), ReadError> {
    let (rest, parser) =
        PcapParser::new(file).map_err(|error| pcap_error((HEADER, 0), file, error))?;
    let header = parser.header();
    let (link, check_sequence) = link_of(header.datalink.into());
    let tick = match header.ts_resolution {
        PcapTsResolution::MicroSecond => Duration::from_micros(1),
        PcapTsResolution::NanoSecond => Duration::from_nanos(1),
    };
    let endianness = header.endianness;
    let format = Format::Classic { endianness, tick, link, check_sequence, extra };
    Ok((format, file.len() - rest.len()))
}

fn classic_step(
    rest: &[u8],
    (packet, offset): (usize, usize),
    (endianness, tick): (Endianness, Duration),
    (link, check_sequence): (Link, usize),
    extra: usize,
) -> Result<Step, ReadError> {
    let truncated = |needed| ReadError::Truncated { packet, offset, needed, available: rest.len() };
    let record = Record::read(rest, endianness).ok_or_else(|| truncated(PCAP_RECORD))?;
    let start = PCAP_RECORD + extra;
    let available = rest.len().saturating_sub(start);
    let whole = to_usize(record.included);
    if whole > available.max(LONGEST) {
        let cause = format!("its length is {whole} bytes, which no capture has");
        return Err(ReadError::Malformed { packet, offset, cause });
    }
    let broken = (available < whole).then(|| truncated(start.saturating_add(whole)));
    let held = whole.min(available);
    if held == 0 && broken.is_some() {
        return Err(truncated(start.saturating_add(whole)));
    }
    let time = Duration::from_secs(record.seconds.into()) + tick * record.fraction;
    // Of a packet that was cut it is the end that is missing.
    let original_len = to_usize(record.original).max(whole).saturating_sub(check_sequence);
    let start = start.min(rest.len());
    let data = start..start + held.min(original_len);
    let packet = Some(Found { data, time, original_len, link });
    Ok(Step { packet, used: start + held, broken })
}

fn ng_step(
    parser: &mut PcapNgParser,
    rest: &[u8],
    (packet, offset): (usize, usize),
) -> Result<Step, ReadError> {
    let next = parser.next_block(rest);
    let (after, block) = next.map_err(|error| pcapng_error((packet, offset), error))?;
    let malformed = |cause| ReadError::Malformed { packet, offset, cause };
    if parser.interfaces().len() > MAX_INTERFACES {
        return Err(malformed(format!("it has more than {MAX_INTERFACES} interfaces")));
    }
    let used = rest.len() - after.len();
    let (interface, data, time, original_len) = match &block {
        Block::EnhancedPacket(block) => {
            (block.interface_id, &block.data, block.timestamp, block.original_len)
        }
        // A simple packet has no time and belongs to the first interface.
        Block::SimplePacket(block) => (0, &block.data, Duration::ZERO, block.original_len),
        Block::Packet(block) => {
            (u32::from(block.interface_id), &block.data, block.timestamp, block.original_len)
        }
        _ => return Ok(Step { packet: None, used, broken: None }),
    };
    let interface = to_usize(interface);
    let Some(known) = parser.interfaces().get(interface) else {
        return Err(malformed(format!("there is no interface {interface}")));
    };
    // A block's data is part of the block.
    let start = data.as_ptr().addr().saturating_sub(rest.as_ptr().addr()).min(used);
    let packet = Found {
        data: start..used.min(start + data.len()),
        time,
        original_len: to_usize(original_len),
        link: Link(known.linktype.into()),
    };
    Ok(Step { packet: Some(packet), used, broken: None })
}

/// What stands before a packet in a pcap file.
struct Record {
    seconds: u32,
    fraction: u32,
    included: u32,
    original: u32,
}

impl Record {
    /// The record at the beginning of `rest`.
    fn read(rest: &[u8], endianness: Endianness) -> Option<Self> {
        let header = rest.first_chunk::<PCAP_RECORD>()?;
        let mut words = header.as_chunks::<4>().0.iter().map(|word| match endianness {
            Endianness::Big => u32::from_be_bytes(*word),
            Endianness::Little => u32::from_le_bytes(*word),
        });
        let mut next = || words.next().unwrap_or_default();
        Some(Self { seconds: next(), fraction: next(), included: next(), original: next() })
    }
}

/// The link type of a pcap file's header, and how many bytes of a frame check sequence stand behind
/// each packet: four where the header says that there is one and the packets are Ethernet's (pcap
/// file format, draft-ietf-opsawg-pcap, section 4).
fn link_of(word: u32) -> (Link, usize) {
    const PRESENT: u32 = 0x0400_0000;
    const LENGTH: u32 = 0xf000_0000;
    let link = Link(word & 0xffff);
    let says_so = word & PRESENT != 0 && word & LENGTH != 0;
    (link, if says_so && link == Link::ETHERNET { FCS } else { 0 })
}

fn pcap_error((packet, offset): (usize, usize), rest: &[u8], error: PcapParseError) -> ReadError {
    match error {
        PcapParseError::IncompleteBuffer(needed, _) => {
            ReadError::Truncated { packet, offset, needed, available: rest.len() }
        }
        error @ PcapParseError::Validation(_) => {
            ReadError::Malformed { packet, offset, cause: chain(&error) }
        }
    }
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
