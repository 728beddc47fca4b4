//! The codes of frames, TW-P001 to TW-P003, and what each means. Errors of building and reading
//! frames are reported with them.

use super::{BuildError, HexError, PatchError};
use crate::diag::{Code, Diagnose, Explanation, Report};

const BUILD: Code = Code("TW-P001");

const HEX: Code = Code("TW-P002");

const PATCH: Code = Code("TW-P003");

pub const EXPLANATIONS: &[Explanation] = &[
    Explanation {
        code: BUILD,
        title: "a frame that can't be built",
        text: "The parts of a frame exclude each other, or a number doesn't fit its field. hex is a whole \
         frame and stands alone; udp, tcp and icmp need ipv4 or ipv6, icmpv6 needs ipv6; arp \
         carries nothing. Lengths and checksums are worked out unless they are given, and a given \
         one is used though it is wrong: so broken packets are made. What no field can say, hex can.",
    },
    Explanation {
        code: HEX,
        title: "not hexadecimal",
        text: "Bytes are written as two digits each. White space may stand between bytes but not within \
         one, and (5a*16) is 16 times the byte 5a.",
    },
    Explanation {
        code: PATCH,
        title: "changes that don't fit their frame",
        text: "A snapshot writes a frame that differs from a sent one in a few fields as that frame with \
         its changes: tcp.ack 4001 -> 5001. The field must be there and must have the value before \
         the arrow. When it has another, the snapshot was edited by hand or the sent frame is no \
         longer the same: run the scenario and review what it gives.",
    },
];

impl Diagnose for BuildError {
    fn report(&self) -> Report {
        let help = match self {
            Self::HexAndMore { .. } => "write the whole frame in hex, or leave hex out",
            Self::TransportWithoutIp { .. } => "add ipv4 or ipv6 to the frame",
            Self::ArpCarriesNothing { .. } => "send it in a frame of its own",
            Self::Icmpv6InIpv4 => "use icmp with ipv4, and icmpv6 with ipv6",
            Self::TooBig { .. } => "choose a smaller value; hex can hold any bytes",
            Self::TooLong { .. } => "a given length is used as it is, even a wrong one",
            Self::LongerThanPadding { .. } => "leave pad_to out: the frame needs no padding",
        };
        Report::error(BUILD, self.to_string()).with_help(help)
    }
}

impl Diagnose for HexError {
    fn report(&self) -> Report {
        Report::error(HEX, self.to_string())
            .with_help("two digits for each byte, spaces between bytes, (5a*16) for 16 times 5a")
    }
}

impl Diagnose for PatchError {
    fn report(&self) -> Report {
        Report::error(PATCH, self.to_string())
            .with_help("the text was changed by hand, or the frame it is based on is another one")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{parse_changes, parse_hex};

    #[test]
    fn reports_say_what_was_found_and_what_to_do() {
        let reports = [
            BuildError::TransportWithoutIp { transport: "udp" }.report(),
            parse_hex("0x").unwrap_err().report(),
            parse_changes("tcp.ack").unwrap_err().report(),
        ];
        let lines: Vec<_> = reports.iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "TW-P001: udp needs ipv4 or ipv6",
                "TW-P002: 'x' at character 1 is not a hexadecimal digit",
                "TW-P003: 'tcp.ack' is not of the form 'FIELD OLD -> NEW'",
            ]
        );
        assert!(reports.iter().all(|report| report.help.is_some()));
        assert!(
            reports.iter().map(|report| report.code).eq(EXPLANATIONS.iter().map(|row| row.code))
        );
    }
}
