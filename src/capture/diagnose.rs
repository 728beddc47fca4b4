use super::{ReadError, WriteError};
use crate::diag::{Code, Diagnose, Report};

/// Neither pcap nor pcapng.
const NOT_A_CAPTURE: Code = Code("TW-P004");

/// A capture that ends too early.
const TRUNCATED: Code = Code("TW-P005");

/// A capture that contradicts itself.
const MALFORMED: Code = Code("TW-P006");

/// A capture of something else than Ethernet.
const LINK_TYPE: Code = Code("TW-P007");

/// A capture that can't be written.
const WRITE: Code = Code("TW-P008");

impl Diagnose for ReadError {
    fn report(&self) -> Report {
        let (code, help) = match self {
            Self::NotACapture { .. } => (NOT_A_CAPTURE, "give a file of tcpdump or Wireshark"),
            Self::Truncated { .. } => (
                TRUNCATED,
                "the capture was still being written, or was cut off when it was copied; \
                 'editcap FILE NEW' keeps what is whole",
            ),
            Self::Malformed { .. } => (
                MALFORMED,
                "the file is damaged; see what 'capinfos FILE' says of it",
            ),
            Self::LinkType { .. } => (
                LINK_TYPE,
                "capture on an Ethernet interface: 'tcpdump -i any' and tunnels have other headers",
            ),
        };
        Report::error(code, self.to_string()).with_help(help)
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
    use crate::capture::{Writer, read};

    #[test]
    fn each_kind_of_error_has_its_code() {
        let mut other_link = vec![0; 24];
        other_link[..4].copy_from_slice(&[0xa1, 0xb2, 0xc3, 0xd4]);
        let codes: Vec<_> = [&b"text"[..], &other_link[..9], &other_link]
            .into_iter()
            .map(|file| read(file).unwrap_err().report().code)
            .collect();
        assert_eq!(codes, [NOT_A_CAPTURE, TRUNCATED, LINK_TYPE]);

        let mut lying = other_link;
        lying[23] = 1;
        lying.extend([0; 16]);
        let malformed = lying.len() - 5;
        lying[malformed] = 1;
        lying.push(0);
        assert_eq!(read(&lying).unwrap_err().report().code, MALFORMED);

        let mut writer = Writer::new(Vec::new(), &[]).unwrap();
        let error = writer
            .packet(0, std::time::Duration::ZERO, &[], None)
            .unwrap_err();
        assert_eq!(error.report().code, WRITE);
    }
}
