//! How the values of fields are written and read: numbers, addresses, flags and bytes. Nothing is
//! lost either way.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::tcp_option;
use crate::{
    base::MacAddr,
    frame::hex::{hex_runs, parse_hex},
};

/// What stands for no bytes at all.
const NONE: &str = "none";

/// How a field's value is written. Rendering loses nothing, and [`Format::parse`] undoes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Decimal,
    Hex,
    Mac,
    Ipv4,
    Ipv6,
    /// Names for some numbers; the others are decimal.
    Named(&'static [(u32, &'static str)]),
    /// Names of bits, the lowest first; bits without a name are hexadecimal.
    Flags(&'static [&'static str]),
    TcpOptions,
    Bytes,
}

/// A field's number: of at most its last four bytes.
pub(super) fn number(bytes: &[u8], bits: Option<u32>) -> u32 {
    let all = bytes.iter().fold(0_u32, |all, byte| all << 8 | u32::from(*byte));
    bits.map_or(all, |bits| (all & bits) >> bits.trailing_zeros())
}

impl Format {
    pub(super) fn render(self, bytes: &[u8], bits: Option<u32>) -> String {
        let number = || number(bytes, bits);
        match self {
            Self::Decimal => number().to_string(),
            Self::Hex => {
                let digits = bits.map_or(bytes.len() * 2, |bits| {
                    bits.count_ones().div_ceil(4).try_into().unwrap_or(8)
                });
                format!("0x{:0digits$x}", number())
            }
            Self::Mac => bytes.try_into().map(MacAddr).map_or_else(|_| hex_runs(bytes), text),
            Self::Ipv4 => <[u8; 4]>::try_from(bytes)
                .map(Ipv4Addr::from)
                .map_or_else(|_| hex_runs(bytes), text),
            Self::Ipv6 => <[u8; 16]>::try_from(bytes)
                .map(Ipv6Addr::from)
                .map_or_else(|_| hex_runs(bytes), text),
            Self::Named(names) => names
                .iter()
                .find(|(value, _)| *value == number())
                .map_or_else(|| number().to_string(), |(_, name)| (*name).to_owned()),
            Self::Flags(names) => render_flags(number(), names),
            Self::TcpOptions if !bytes.is_empty() => tcp_option::render(bytes),
            Self::Bytes if !bytes.is_empty() => hex_runs(bytes),
            Self::TcpOptions | Self::Bytes => NONE.to_owned(),
        }
    }

    /// The bytes of a value: `len` of them for what has a fixed length. Bits outside `bits` are
    /// zero.
    pub(super) fn parse(self, text: &str, len: usize, bits: Option<u32>) -> Option<Vec<u8>> {
        let encode = |number: u32| encode(number, len, bits);
        match self {
            Self::Decimal => encode(text.parse().ok()?),
            Self::Hex => encode(u32::from_str_radix(text.strip_prefix("0x")?, 16).ok()?),
            Self::Mac => Some(text.parse::<MacAddr>().ok()?.0.to_vec()),
            Self::Ipv4 => Some(text.parse::<Ipv4Addr>().ok()?.octets().to_vec()),
            Self::Ipv6 => Some(text.parse::<Ipv6Addr>().ok()?.octets().to_vec()),
            Self::Named(names) => match names.iter().find(|(_, name)| *name == text) {
                Some((value, _)) => encode(*value),
                None => encode(text.parse().ok()?),
            },
            Self::Flags(names) => encode(parse_flags(text, names)?),
            Self::TcpOptions | Self::Bytes if text == NONE => Some(Vec::new()),
            Self::TcpOptions => tcp_option::parse(text).or_else(|| parse_hex(text).ok()),
            Self::Bytes => parse_hex(text).ok(),
        }
    }
}

fn text(value: impl ToString) -> String {
    value.to_string()
}

/// A number at its bits in `len` bytes, if it fits.
fn encode(number: u32, len: usize, bits: Option<u32>) -> Option<Vec<u8>> {
    let room = match bits {
        Some(bits) => bits,
        None => u32::MAX >> (32 - 8 * u32::try_from(len).ok()?),
    };
    let placed = u64::from(number) << room.trailing_zeros();
    let placed = u32::try_from(placed).ok().filter(|placed| placed & !room == 0)?;
    Some(placed.to_be_bytes()[4 - len..].to_vec())
}

/// `SYN,ACK`; `none` for zero.
pub(super) fn render_flags(value: u32, names: &[&str]) -> String {
    if value == 0 {
        return NONE.to_owned();
    }
    let mut parts: Vec<String> = names
        .iter()
        .enumerate()
        .filter(|(bit, _)| value >> bit & 1 == 1)
        .map(|(_, name)| (*name).to_owned())
        .collect();
    let rest = value >> names.len() << names.len();
    if rest != 0 {
        parts.push(format!("{rest:#x}"));
    }
    parts.join(",")
}

fn parse_flags(text: &str, names: &[&str]) -> Option<u32> {
    if text == NONE {
        return Some(0);
    }
    text.split(',').try_fold(0, |value, part| {
        let bit = match names.iter().position(|name| *name == part) {
            Some(bit) => 1_u32 << bit,
            None => u32::from_str_radix(part.strip_prefix("0x")?, 16).ok()?,
        };
        Some(value | bit)
    })
}
