//! Packets of other link types as Ethernet frames. The numbers are those of tcpdump.org's registry
//! of link types; a scenario that sends such a capture with `as: ethernet` comes here.
//!
//! What a header says of addresses is kept. Addresses that it does not have are the caller's.

use std::fmt;

use bytes::Bytes;

mod ieee80211;

/// The longest payload whose length an IEEE 802.3 header can say.
const MAX_LENGTH: usize = 1500;

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const MPLS: u16 = 0x8847;
const PPPOE: u16 = 0x8864;

/// The LLC header of the protocols of OSI (ISO/IEC TR 9577).
const OSI: [u8; 3] = [0xfe, 0xfe, 0x03];

/// SNAP with the organisation of bridged frames (RFC 2427, section 4.2; RFC 2684, section 5.2).
const BRIDGED: [u8; 6] = [0xaa, 0xaa, 0x03, 0x00, 0x80, 0xc2];

/// A link type: `LINKTYPE_` of tcpdump.org's registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link(pub u32);

/// Addresses for a frame whose capture has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    pub destination: [u8; 6],
    pub source: [u8; 6],
}

/// Why a packet is no Ethernet frame and can't be made one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoFrame {
    /// Of this link type nothing is known.
    #[error("packets of {0} have nothing that Ethernet carries")]
    Unknown(Link),
    /// The packet ends within its headers.
    #[error("it ends within its {0} header")]
    Short(&'static str),
    /// It carries something that has no place in an Ethernet frame.
    #[error("{0}")]
    Carries(String),
}

impl Link {
    pub const ETHERNET: Self = Self(1);

    /// Whether packets of this link type begin as Ethernet frames do. The tags of switches (DSA)
    /// stand behind the addresses.
    #[must_use]
    pub const fn is_ethernet(self) -> bool {
        matches!(self.0, 1 | 281 | 283 | 284 | 285)
    }

    /// Whether some packets of this link type can be made Ethernet frames.
    #[must_use]
    pub fn is_convertible(self) -> bool {
        reader(self).is_some()
    }

    /// A packet of this link type as an Ethernet frame.
    ///
    /// # Errors
    /// When the packet carries nothing that Ethernet does, or ends within its headers.
    pub fn to_ethernet(self, data: &[u8], addresses: Addresses) -> Result<Bytes, NoFrame> {
        let read = reader(self).ok_or(NoFrame::Unknown(self))?;
        Ok(read(data)?.frame(addresses))
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match pcap_file::DataLink::from(self.0) {
            pcap_file::DataLink::Unknown(number) => write!(f, "link type {number}"),
            known => write!(f, "link type {} ({known:?})", self.0),
        }
    }
}

/// What a packet carries, and what its header says of addresses.
#[derive(Debug, PartialEq, Eq)]
struct Carried<'a> {
    kind: Kind<'a>,
    destination: Option<[u8; 6]>,
    source: Option<[u8; 6]>,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind<'a> {
    /// A payload with its EtherType, behind some bytes of a header.
    Type(u16, Vec<u8>, &'a [u8]),
    /// An LLC header and its payload.
    Llc(Vec<u8>, &'a [u8]),
    /// A whole Ethernet frame.
    Frame(&'a [u8]),
}

impl<'a> Carried<'a> {
    fn of(kind: Kind<'a>) -> Self {
        Self { kind, destination: None, source: None }
    }

    fn payload(ether_type: u16, data: &'a [u8]) -> Self {
        Self::of(Kind::Type(ether_type, Vec::new(), data))
    }

    fn between(self, source: &[u8], destination: &[u8]) -> Self {
        let address = |bytes: &[u8]| bytes.first_chunk::<6>().copied();
        Self { source: address(source), destination: address(destination), ..self }
    }

    fn frame(self, addresses: Addresses) -> Bytes {
        let mut frame = Vec::new();
        let mut header = || {
            frame.extend(self.destination.unwrap_or(addresses.destination));
            frame.extend(self.source.unwrap_or(addresses.source));
        };
        match self.kind {
            Kind::Frame(data) => frame.extend(data),
            Kind::Type(ether_type, inner, data) => {
                header();
                frame.extend(ether_type.to_be_bytes());
                frame.extend(inner);
                frame.extend(data);
            }
            Kind::Llc(inner, data) => {
                header();
                let length = inner.len() + data.len();
                // A longer one has no length there; 0x8870 says LLC of any length (IEEE 802.1AC).
                let length = if length <= MAX_LENGTH { length } else { 0x8870 };
                frame.extend(u16::try_from(length).unwrap_or(0x8870).to_be_bytes());
                frame.extend(inner);
                frame.extend(data);
            }
        }
        frame.into()
    }
}

type Reading<'a> = Result<Carried<'a>, NoFrame>;

/// How a packet of a link type is read.
fn reader(link: Link) -> Option<fn(&[u8]) -> Reading<'_>> {
    Some(match link.0 {
        0 => |data| by_family(data, null_family(data)),
        6 => token_ring,
        7 => |data| arcnet(data, 2),
        // The direction and fifteen bytes of a header that was compressed.
        8 => |data| raw_ip(rest(data, 16, "SLIP")?),
        9 | 50 => ppp,
        10 => fddi,
        12 | 14 | 101 | 228 | 229 => raw_ip,
        51 => |data| Ok(Carried::payload(PPPOE, data)),
        99 => |data| Ok(Carried::payload(word(data, 6, "Symantec")?, rest(data, 44, "Symantec")?)),
        100 => llc,
        104 => cisco_hdlc,
        105 => ieee80211::frame,
        107 => frame_relay,
        108 => |data| by_family(data, data.first_chunk().map(|family| u32::from_be_bytes(*family))),
        109 => |data| raw_ip(rest(data, 12, "ENC")?),
        113 => cooked,
        117 => pflog,
        119 => ieee80211::prism,
        122 => |data| {
            let carried = llc(rest(data, 16, "Fibre Channel")?)?;
            Ok(carried.between(&data[10..16], &data[2..8]))
        },
        127 => ieee80211::radiotap,
        129 => |data| arcnet(data, 4),
        138 => |data| Ok(Carried::payload(word(data, 16, "IEEE 1394")?, &data[18..])),
        143 => docsis,
        163 => ieee80211::avs,
        166 => |data| ppp_payload(rest(data, 2, "PPP")?),
        192 => ppi,
        204 => |data| ppp(rest(data, 1, "PPP")?),
        219 => |data| Ok(Carried::payload(MPLS, data)),
        226 => |data| raw_ip(rest(data, 24, "IPNET")?),
        239 => nflog,
        242 => |data| Ok(Carried::payload(word(data, 20, "IPoIB")?, rest(data, 24, "IPoIB")?)),
        258 => pktap,
        276 => cooked_2,
        282 => |data| Ok(Carried::of(Kind::Frame(rest(data, 4, "DSA")?))),
        _ if link.is_ethernet() => |data| Ok(Carried::of(Kind::Frame(data))),
        _ => return None,
    })
}

fn rest<'a>(data: &'a [u8], from: usize, header: &'static str) -> Result<&'a [u8], NoFrame> {
    data.get(from..).ok_or(NoFrame::Short(header))
}

fn byte(data: &[u8], at: usize, header: &'static str) -> Result<u8, NoFrame> {
    data.get(at).copied().ok_or(NoFrame::Short(header))
}

/// 16 bits in the order of the network.
fn word(data: &[u8], at: usize, header: &'static str) -> Result<u16, NoFrame> {
    let bytes = rest(data, at, header)?.first_chunk::<2>();
    bytes.map(|bytes| u16::from_be_bytes(*bytes)).ok_or(NoFrame::Short(header))
}

fn carries<T>(what: String) -> Result<T, NoFrame> {
    Err(NoFrame::Carries(what))
}

/// An IP packet, by its first four bits.
fn raw_ip(data: &[u8]) -> Reading<'_> {
    match data.first().map(|first| first >> 4) {
        Some(4) => Ok(Carried::payload(IPV4, data)),
        Some(6) => Ok(Carried::payload(IPV6, data)),
        Some(version) => carries(format!("it is neither IPv4 nor IPv6 but version {version}")),
        None => Err(NoFrame::Short("IP")),
    }
}

/// The family in front of a packet of a loopback interface is in the byte order of its host: one
/// that is small in neither order is taken as it stands.
fn null_family(data: &[u8]) -> Option<u32> {
    let bytes = *data.first_chunk::<4>()?;
    Some(u32::from_le_bytes(bytes).min(u32::from_be_bytes(bytes)))
}

/// A packet behind the four bytes of an address family. AF_INET6 has the numbers of Linux, of NetBSD
/// and OpenBSD, of FreeBSD and of macOS.
fn by_family(data: &[u8], family: Option<u32>) -> Reading<'_> {
    let family = family.ok_or(NoFrame::Short("loopback"))?;
    of_family(family, rest(data, 4, "loopback")?)
}

fn of_family(family: u32, data: &[u8]) -> Reading<'_> {
    match family {
        2 => Ok(Carried::payload(IPV4, data)),
        10 | 24 | 28 | 30 => Ok(Carried::payload(IPV6, data)),
        7 => Ok(Carried::of(Kind::Llc(OSI.to_vec(), data))),
        16 => Ok(Carried::payload(0x809b, data)),
        23 => Ok(Carried::payload(0x8137, data)),
        // Some writers put an EtherType there.
        family if u16::try_from(family).is_ok_and(|family| family >= 0x0600) => {
            Ok(Carried::payload(u16::try_from(family).unwrap_or_default(), data))
        }
        family => carries(format!("it has the address family {family}")),
    }
}

/// LLC, whose SNAP becomes an EtherType and whose bridged frames are frames again.
fn llc(data: &[u8]) -> Reading<'_> {
    if data.len() < 3 {
        return Err(NoFrame::Short("LLC"));
    }
    match (data.first_chunk::<6>(), word(data, 6, "SNAP")) {
        (Some([0xaa, 0xaa, 0x03, 0, 0, 0 | 0xf8]), Ok(ether_type)) if ether_type >= 0x0600 => {
            Ok(Carried::payload(ether_type, &data[8..]))
        }
        // With the frame's check sequence behind it, and without (RFC 2684, section 5.2).
        (Some(&BRIDGED), Ok(kind @ (1 | 7))) => {
            let frame = rest(data, 10, "bridged Ethernet")?;
            let end = if kind == 1 { frame.len().saturating_sub(4) } else { frame.len() };
            Ok(Carried::of(Kind::Frame(&frame[..end])))
        }
        _ => Ok(Carried::of(Kind::Llc(Vec::new(), data))),
    }
}

/// Linux's `any` (SLL): packet type, hardware type, address, protocol.
fn cooked(data: &[u8]) -> Reading<'_> {
    let payload = rest(data, 16, "Linux cooked")?;
    let address = if word(data, 4, "Linux cooked")? == 6 { &data[6..12] } else { &[] };
    let kind = u8::try_from(word(data, 0, "Linux cooked")?).unwrap_or(u8::MAX);
    of_cooked(
        kind,
        word(data, 2, "Linux cooked")?,
        address,
        word(data, 14, "Linux cooked")?,
        payload,
    )
}

/// Linux's `any` of today (SLL2).
fn cooked_2(data: &[u8]) -> Reading<'_> {
    let payload = rest(data, 20, "Linux cooked")?;
    let address = if data[11] == 6 { &data[12..18] } else { &[] };
    of_cooked(
        data[10],
        word(data, 8, "Linux cooked")?,
        address,
        word(data, 0, "Linux cooked")?,
        payload,
    )
}

fn of_cooked<'a>(
    kind: u8,
    hardware: u16,
    source: &[u8],
    protocol: u16,
    payload: &'a [u8],
) -> Reading<'a> {
    /// `PACKET_BROADCAST` (packet(7)).
    const BROADCAST: u8 = 1;
    let destination: &[u8] = if kind == BROADCAST { &[0xff; 6] } else { &[] };
    let carried = match (hardware, protocol) {
        // Netlink's protocol is a family of netlink's own.
        (824, _) => return carries("it is a message of netlink".to_owned()),
        // An IEEE 802.3 frame of Novell without LLC.
        (_, 1) => Carried::of(Kind::Llc(Vec::new(), payload)),
        (_, 4) => llc(payload)?,
        (_, ether_type @ 0x0600..) => Carried::payload(ether_type, payload),
        (_, protocol) => return carries(format!("it has the protocol {protocol:#06x} of Linux")),
    };
    Ok(carried.between(source, destination))
}

/// PPP, perhaps in HDLC-like framing (RFC 1662), or Cisco's HDLC, which begins otherwise.
fn ppp(data: &[u8]) -> Reading<'_> {
    match data {
        [0xff, 0x03, payload @ ..] => ppp_payload(payload),
        [0x0f | 0x8f, 0x00, ..] => cisco_hdlc(data),
        payload => ppp_payload(payload),
    }
}

/// From PPP's protocol field on, whose first byte is left out when it is zero (RFC 1661, section 6.5).
fn ppp_payload(data: &[u8]) -> Reading<'_> {
    let (protocol, payload) = match data {
        [first, payload @ ..] if first & 1 == 1 => (u16::from(*first), payload),
        [first, second, payload @ ..] => (u16::from_be_bytes([*first, *second]), payload),
        _ => return Err(NoFrame::Short("PPP")),
    };
    Ok(match protocol {
        0x0021 => Carried::payload(IPV4, payload),
        0x0057 => Carried::payload(IPV6, payload),
        0x0281 => Carried::payload(MPLS, payload),
        0x0283 => Carried::payload(0x8848, payload),
        0x0029 => Carried::payload(0x809b, payload),
        0x002b => Carried::payload(0x8137, payload),
        0x0023 => Carried::of(Kind::Llc(OSI.to_vec(), payload)),
        // A bridged frame of Ethernet: flags and the type of its MAC stand before it (RFC 3518).
        0x0031 if payload.get(1) == Some(&1) => {
            Carried::of(Kind::Frame(rest(payload, 2, "bridged Ethernet")?))
        }
        // Everything else travels over Ethernet in a session of PPPoE (RFC 2516), here the first.
        _ => {
            let length = u16::try_from(payload.len() + 2).unwrap_or(u16::MAX).to_be_bytes();
            let header = [&[0x11, 0, 0, 1], &length[..], &protocol.to_be_bytes()].concat();
            Carried::of(Kind::Type(PPPOE, header, payload))
        }
    })
}

fn cisco_hdlc(data: &[u8]) -> Reading<'_> {
    let payload = rest(data, 4, "HDLC")?;
    Ok(match word(data, 2, "HDLC")? {
        0xfefe => Carried::of(Kind::Llc(OSI.to_vec(), payload)),
        ether_type @ 0x0600.. => Carried::payload(ether_type, payload),
        protocol => return carries(format!("it has the protocol {protocol:#06x} of HDLC")),
    })
}

/// Frame relay: an address of two to four bytes, then a protocol by RFC 2427, or Cisco's EtherType.
fn frame_relay(data: &[u8]) -> Reading<'_> {
    let address = data.iter().take(4).position(|byte| byte & 1 == 1);
    let header = address.ok_or(NoFrame::Short("frame relay"))? + 1;
    let behind = rest(data, header, "frame relay")?;
    let [0x03, network @ ..] = behind else {
        let ether_type = word(behind, 0, "frame relay")?;
        return match ether_type {
            0x0600.. => Ok(Carried::payload(ether_type, &behind[2..])),
            _ => carries("it is a message of frame relay itself".to_owned()),
        };
    };
    let network = network.strip_prefix(&[0]).unwrap_or(network);
    match network {
        [0xcc, payload @ ..] => Ok(Carried::payload(IPV4, payload)),
        [0x8e, payload @ ..] => Ok(Carried::payload(IPV6, payload)),
        [0x81..=0x83, ..] => Ok(Carried::of(Kind::Llc(OSI.to_vec(), network))),
        [0x80, 0, 0x80, 0xc2, 0, kind @ (1 | 7), frame @ ..] => {
            let end = if *kind == 1 { frame.len().saturating_sub(4) } else { frame.len() };
            Ok(Carried::of(Kind::Frame(&frame[..end])))
        }
        [0x80, 0, 0, 0, high, low, payload @ ..] => {
            Ok(Carried::payload(u16::from_be_bytes([*high, *low]), payload))
        }
        [protocol, ..] => carries(format!("it has the protocol {protocol:#04x} of frame relay")),
        [] => Err(NoFrame::Short("frame relay")),
    }
}

fn fddi(data: &[u8]) -> Reading<'_> {
    let payload = rest(data, 13, "FDDI")?;
    match data[0] & 0xf0 {
        0x50 => Ok(llc(payload)?.between(&data[7..13], &data[1..7])),
        _ => carries("it is a frame of FDDI itself".to_owned()),
    }
}

/// A token ring's frame, with a route where the highest bit of its source says so (IEEE 802.5).
fn token_ring(data: &[u8]) -> Reading<'_> {
    let payload = rest(data, 14, "token ring")?;
    if data[1] & 0xc0 != 0x40 {
        return carries("it is a frame of the token ring itself".to_owned());
    }
    let route = match data[8] & 0x80 {
        0 => 0,
        _ => usize::from(byte(payload, 0, "token ring")? & 0x1f),
    };
    let mut source = [0; 6];
    source.copy_from_slice(&data[8..14]);
    source[0] &= 0x7f;
    Ok(llc(rest(payload, route, "token ring")?)?.between(&source, &data[2..8]))
}

/// ARCNET: addresses of one byte and the type, which stands at `at` (RFC 1201; RFC 1051 for the
/// older ones, which have no number of the packet behind it).
fn arcnet(data: &[u8], at: usize) -> Reading<'_> {
    let (ether_type, header) = match byte(data, at, "ARCNET")? {
        212 => (IPV4, 4),
        213 => (0x0806, 4),
        196 => (IPV6, 4),
        240 => (IPV4, 1),
        241 => (0x0806, 1),
        kind => return carries(format!("it has the type {kind} of ARCNET")),
    };
    Ok(Carried::payload(ether_type, rest(data, at + header, "ARCNET")?))
}

/// OpenBSD's log of packets: its own length, then the address family.
fn pflog(data: &[u8]) -> Reading<'_> {
    let length = usize::from(byte(data, 0, "PFLOG")?).next_multiple_of(4);
    of_family(byte(data, 1, "PFLOG")?.into(), rest(data, length, "PFLOG")?)
}

/// A packet of a cable modem: a header of its own, then an Ethernet frame.
fn docsis(data: &[u8]) -> Reading<'_> {
    let control = byte(data, 0, "DOCSIS")?;
    if control >> 6 != 0 {
        return carries("it is a frame of DOCSIS itself".to_owned());
    }
    let extended = if control & 1 == 1 { usize::from(byte(data, 1, "DOCSIS")?) } else { 0 };
    Ok(Carried::of(Kind::Frame(rest(data, 6 + extended, "DOCSIS")?)))
}

/// Per-packet information: a header of a length that it tells, then a packet of another link type.
fn ppi(data: &[u8]) -> Reading<'_> {
    let Some([_, _, low, high, link @ ..]) = data.first_chunk::<8>() else {
        return Err(NoFrame::Short("PPI"));
    };
    let length = usize::from(u16::from_le_bytes([*low, *high]));
    inner(u32::from_le_bytes(*link), rest(data, length.max(8), "PPI")?)
}

/// macOS's capture of several interfaces: a header of a length that it tells, then a packet of
/// another link type.
fn pktap(data: &[u8]) -> Reading<'_> {
    let number = |at: usize| {
        let bytes = data.get(at..).and_then(|data| data.first_chunk::<4>());
        bytes.map(|bytes| u32::from_le_bytes(*bytes)).ok_or(NoFrame::Short("PKTAP"))
    };
    let length = usize::try_from(number(0)?).unwrap_or(usize::MAX);
    inner(number(8)?, rest(data, length.max(12), "PKTAP")?)
}

/// A packet within a packet; not within that again.
fn inner(link: u32, data: &[u8]) -> Reading<'_> {
    match reader(Link(link)) {
        Some(read) if !matches!(link, 192 | 258) => read(data),
        _ => Err(NoFrame::Unknown(Link(link))),
    }
}

/// Netfilter's log: attributes, one of them the packet (`NFULA_PAYLOAD`, 9).
fn nflog(data: &[u8]) -> Reading<'_> {
    let family = byte(data, 0, "NFLOG")?;
    let mut attributes = rest(data, 4, "NFLOG")?;
    while let Some([low, high, kind, more]) = attributes.first_chunk::<4>() {
        let length = usize::from(u16::from_le_bytes([*low, *high]));
        let value = attributes.get(4..length).ok_or(NoFrame::Short("NFLOG"))?;
        if u16::from_le_bytes([*kind, *more]) & 0x7fff == 9 {
            return match family {
                2 | 10 => of_family(family.into(), value),
                _ => raw_ip(value),
            };
        }
        attributes = attributes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    carries("it logs no packet".to_owned())
}

#[cfg(test)]
mod tests;
