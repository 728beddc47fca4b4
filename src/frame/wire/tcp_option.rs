//! TCP's options as text and as bytes. The field `tcp.options` and scenarios write them so.

use bytes::Bytes;

use crate::frame::{
    hex::{hex_runs, parse_hex},
    spec::TcpOption,
};

/// IANA "TCP Option Kind Numbers".
const END: u8 = 0;
const NOP: u8 = 1;
const MSS: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
const TIMESTAMPS: u8 = 8;

/// Options as they stand in the header, without filling.
pub(in crate::frame) fn encode(options: &[TcpOption]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for option in options {
        match option {
            TcpOption::End => bytes.push(END),
            TcpOption::Nop => bytes.push(NOP),
            TcpOption::Mss(size) => {
                bytes.extend([MSS, 4]);
                bytes.extend(size.to_be_bytes());
            }
            TcpOption::WindowScale(shift) => bytes.extend([WINDOW_SCALE, 3, *shift]),
            TcpOption::SackPermitted => bytes.extend([SACK_PERMITTED, 2]),
            TcpOption::Sack(blocks) => {
                // More than 31 blocks don't fit the length's byte, nor, by far, the header.
                bytes.extend([SACK, u8::try_from(2 + 8 * blocks.len()).unwrap_or(u8::MAX)]);
                for (left, right) in blocks {
                    bytes.extend(left.to_be_bytes());
                    bytes.extend(right.to_be_bytes());
                }
            }
            TcpOption::Timestamps { value, echo } => {
                bytes.extend([TIMESTAMPS, 10]);
                bytes.extend(value.to_be_bytes());
                bytes.extend(echo.to_be_bytes());
            }
            TcpOption::Raw(raw) => bytes.extend_from_slice(raw),
        }
    }
    bytes
}

/// Options of a header. What follows END, and what has no room for its own length, is raw.
fn decode(mut bytes: &[u8]) -> Vec<TcpOption> {
    let mut options = Vec::new();
    while let Some((&kind, rest)) = bytes.split_first() {
        match kind {
            END => options.push(TcpOption::End),
            NOP => options.push(TcpOption::Nop),
            _ => {
                let len = rest.first().map_or(0, |len| usize::from(*len));
                if len < 2 || len > bytes.len() {
                    options.push(TcpOption::Raw(Bytes::copy_from_slice(bytes)));
                    break;
                }
                let (option, after) = bytes.split_at(len);
                options.push(decode_one(kind, option));
                bytes = after;
                continue;
            }
        }
        bytes = rest;
    }
    options
}

/// One option, with its kind and length.
fn decode_one(kind: u8, option: &[u8]) -> TcpOption {
    let long = |word: &[u8]| word.iter().fold(0, |all, byte| all << 8 | u32::from(*byte));
    let (_, body) = option.split_at(2);
    match (kind, body) {
        (MSS, [high, low]) => TcpOption::Mss(u16::from_be_bytes([*high, *low])),
        (WINDOW_SCALE, [shift]) => TcpOption::WindowScale(*shift),
        (SACK_PERMITTED, []) => TcpOption::SackPermitted,
        (SACK, blocks) if !blocks.is_empty() && blocks.len() % 8 == 0 => TcpOption::Sack(
            blocks.chunks_exact(8).map(|block| (long(&block[..4]), long(&block[4..]))).collect(),
        ),
        (TIMESTAMPS, times) if times.len() == 8 => {
            TcpOption::Timestamps { value: long(&times[..4]), echo: long(&times[4..]) }
        }
        _ => TcpOption::Raw(Bytes::copy_from_slice(option)),
    }
}

/// `mss:1460,sack-ok,ts:1:2,nop,wscale:7`.
pub(super) fn render(bytes: &[u8]) -> String {
    let texts: Vec<String> = decode(bytes).iter().map(render_one).collect();
    texts.join(",")
}

fn render_one(option: &TcpOption) -> String {
    match option {
        TcpOption::End => "end".to_owned(),
        TcpOption::Nop => "nop".to_owned(),
        TcpOption::Mss(size) => format!("mss:{size}"),
        TcpOption::WindowScale(shift) => format!("wscale:{shift}"),
        TcpOption::SackPermitted => "sack-ok".to_owned(),
        TcpOption::Sack(blocks) => {
            let edges: Vec<String> =
                blocks.iter().map(|(left, right)| format!("{left}-{right}")).collect();
            format!("sack:{}", edges.join(":"))
        }
        TcpOption::Timestamps { value, echo } => format!("ts:{value}:{echo}"),
        TcpOption::Raw(raw) => format!("raw:{}", hex_runs(raw)),
    }
}

/// The inverse of [`render`].
pub(super) fn parse(text: &str) -> Option<Vec<u8>> {
    let options: Option<Vec<TcpOption>> = text.split(',').map(parse_one).collect();
    options.map(|options| encode(&options))
}

fn parse_one(text: &str) -> Option<TcpOption> {
    let (name, value) = text.split_once(':').unwrap_or((text, ""));
    Some(match name {
        "end" if value.is_empty() => TcpOption::End,
        "nop" if value.is_empty() => TcpOption::Nop,
        "sack-ok" if value.is_empty() => TcpOption::SackPermitted,
        "mss" => TcpOption::Mss(value.parse().ok()?),
        "wscale" => TcpOption::WindowScale(value.parse().ok()?),
        "sack" => {
            let edge = |block: &str| {
                let (left, right) = block.split_once('-')?;
                Some((left.parse().ok()?, right.parse().ok()?))
            };
            TcpOption::Sack(value.split(':').map(edge).collect::<Option<_>>()?)
        }
        "ts" => {
            let (value, echo) = value.split_once(':')?;
            TcpOption::Timestamps { value: value.parse().ok()?, echo: echo.parse().ok()? }
        }
        "raw" => TcpOption::Raw(parse_hex(value).ok()?.into()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What Linux sends in a SYN.
    #[test]
    fn the_options_of_a_syn() {
        let bytes = [
            0x02, 0x04, 0x05, 0xb4, 0x04, 0x02, 0x08, 0x0a, 0, 0, 0, 9, 0, 0, 0, 0, 0x01, 0x03,
            0x03, 0x07,
        ];
        assert_eq!(render(&bytes), "mss:1460,sack-ok,ts:9:0,nop,wscale:7");
        assert_eq!(parse("mss:1460,sack-ok,ts:9:0,nop,wscale:7").unwrap(), bytes);
    }

    #[test]
    fn an_option_longer_than_the_header_is_raw() {
        assert_eq!(render(&[1, 5, 10, 0]), "nop,raw:050a00");
    }

    #[test]
    fn sack_blocks() {
        let bytes = [5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4];
        assert_eq!(render(&bytes), "sack:1-2:3-4");
    }

    proptest! {
        #[test]
        fn text_and_back(bytes in prop::collection::vec(prop_oneof![0_u8..12, any::<u8>()], 1..40)) {
            prop_assert_eq!(parse(&render(&bytes)).unwrap(), bytes);
        }
    }
}
