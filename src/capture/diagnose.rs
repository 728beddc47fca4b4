//! The codes of captures, TW-P004 to TW-P009, and what each means. Whoever reads or writes a
//! capture reports its errors with them.

use super::{NoFrame, ReadError, WriteError};
use crate::diag::{Code, Diagnose, Explanation, Report};

/// Neither pcap nor pcapng.
const NOT_A_CAPTURE: Code = Code("TW-P004");

const TRUNCATED: Code = Code("TW-P005");

const MALFORMED: Code = Code("TW-P006");

const LINK_TYPE: Code = Code("TW-P007");

/// A capture that can't be written.
const WRITE: Code = Code("TW-P008");

const TOO_MANY: Code = Code("TW-P009");

pub const EXPLANATIONS: &[Explanation] = &[
    Explanation {
        code: NOT_A_CAPTURE,
        title: "not a capture",
        text: "The file begins like neither pcap (microseconds or nanoseconds, either byte order) nor \
         pcapng. Compressed captures must be unpacked first.",
    },
    Explanation {
        code: TRUNCATED,
        title: "a capture that ends too early",
        text: "The file ends inside a packet: it was copied while it was written, its writer was killed, \
         or a length in it is wrong. Nothing of it is used, so that a scenario never sends a part \
         of what it means to send. 'editcap FILE NEW' writes what is whole.",
    },
    Explanation {
        code: MALFORMED,
        title: "a capture that contradicts itself",
        text: "A packet is longer than it was on the wire or than the file allows, a time is impossible, \
         or a block's two lengths differ. The message names the packet and its place in the file.",
    },
    Explanation {
        code: LINK_TYPE,
        title: "a packet that carries nothing for Ethernet",
        text: "tapwright sends Ethernet frames. Of a packet of another link type it takes what it \
         carries, where that is something that Ethernet carries too: not a management frame of a \
         wireless network, nor a message of USB.",
    },
    Explanation {
        code: WRITE,
        title: "a capture that can't be written",
        text: "The disk is full or the place is not writable, or a packet is longer or later than the \
         format can say.",
    },
    Explanation {
        code: TOO_MANY,
        title: "a capture of too many packets",
        text: "A capture that is read has at most 1,000,000 packets. 'editcap -r FILE NEW 1-1000' keeps \
         the first thousand of a longer one.",
    },
];

impl Diagnose for ReadError {
    fn report(&self) -> Report {
        let (code, help) = match self {
            Self::NotACapture { .. } => (NOT_A_CAPTURE, "give a file of tcpdump or Wireshark"),
            Self::TooMany { .. } => {
                (TOO_MANY, "keep the packets that are needed: 'editcap -r FILE NEW 1-1000'")
            }
            Self::Truncated { .. } => (
                TRUNCATED,
                "the capture was still being written, or was cut off when it was copied; \
                 'editcap FILE NEW' keeps what is whole",
            ),
            Self::Malformed { .. } => {
                (MALFORMED, "the file is damaged; see what 'capinfos FILE' says of it")
            }
        };
        Report::error(code, self.to_string()).with_help(help)
    }
}

impl Diagnose for NoFrame {
    fn report(&self) -> Report {
        let help =
            "capture on an Ethernet interface, or choose packets that carry something for it";
        Report::error(LINK_TYPE, self.to_string()).with_help(help)
    }
}

impl Diagnose for WriteError {
    fn report(&self) -> Report {
        Report::error(WRITE, self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{Link, Writer, read};

    #[test]
    fn each_kind_of_error_has_its_code() {
        let lying = ReadError::Malformed { packet: 1, offset: 24, cause: String::new() };
        let text = read(b"text").unwrap_err();
        let short = read(&[0xa1, 0xb2, 0xc3, 0xd4, 0]).unwrap_err();
        let mut codes: Vec<_> =
            [text, short, lying].iter().map(|error| error.report().code).collect();
        codes.push(NoFrame::Unknown(Link(189)).report().code);
        let mut writer = Writer::new(Vec::new(), &[]).unwrap();
        let error = writer.packet(0, std::time::Duration::ZERO, &[], None).unwrap_err();
        codes.push(error.report().code);
        codes.push(ReadError::TooMany { most: 1 }.report().code);
        assert_eq!(codes, EXPLANATIONS.iter().map(|row| row.code).collect::<Vec<_>>());
    }
}
