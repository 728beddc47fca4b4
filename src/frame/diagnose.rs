use super::{BuildError, HexError, PatchError};
use crate::diag::{Code, Diagnose, Report};

/// A frame that can't be built.
const BUILD: Code = Code("TW-P001");

/// Not hexadecimal.
const HEX: Code = Code("TW-P002");

/// Changes that don't fit their frame.
const PATCH: Code = Code("TW-P003");

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
    }
}
