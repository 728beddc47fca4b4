//! What is asked for: a version that a suite of Debian ships, or a suite.

use std::str::FromStr;

use super::QemuError;
use crate::debian::is_suite;

/// Versions of QEMU by the suites that ship them.
const SHIPPED: [(&str, &str); 3] = [("7.2", "bookworm"), ("10.0", "trixie"), ("11.1", "sid")];

/// A suite, and the version that it was chosen for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    suite: String,
    version: Option<&'static str>,
}

impl Wanted {
    pub(super) fn suite(&self) -> &str {
        &self.suite
    }

    /// What is to be said of a QEMU of another version than was asked for; `line` is the first of its
    /// `--version`.
    pub(super) fn moved_on(&self, line: &str) -> Option<String> {
        let wanted = self.version?;
        let number = number_of(line).unwrap_or(line);
        let same = number == wanted || number.starts_with(&format!("{wanted}."));
        let suite = &self.suite;
        (!same).then(|| {
            format!(
                "Debian's {suite} has QEMU {number} now, and no {wanted} any more: this is {number}"
            )
        })
    }
}

/// `11.1.3` of `QEMU emulator version 11.1.3 (Debian 1:11.1.3+ds-1)`.
fn number_of(line: &str) -> Option<&str> {
    line.split_once(" version ")?.1.split_whitespace().next()
}

impl FromStr for Wanted {
    type Err = QemuError;

    fn from_str(text: &str) -> Result<Self, QemuError> {
        if let Some((version, suite)) = SHIPPED.iter().find(|(version, _)| *version == text) {
            return Ok(Self { suite: (*suite).to_owned(), version: Some(version) });
        }
        if is_suite(text) {
            return Ok(Self { suite: text.to_owned(), version: None });
        }
        Err(QemuError::Name {
            text: text.to_owned(),
            known: SHIPPED.map(|(version, suite)| format!("{version} ({suite})")).join(", "),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SID: &str = "QEMU emulator version 11.1.3 (Debian 1:11.1.3+ds-1)";

    #[test]
    fn a_version_is_that_of_a_suite() {
        let wanted: Wanted = "11.1".parse().unwrap();
        assert_eq!(wanted.suite(), "sid");
        assert_eq!(wanted.moved_on(SID), None);
        let later = SID.replace("11.1.3", "11.10.0");
        let text = wanted.moved_on(&later).unwrap();
        assert!(text.contains("sid") && text.contains("11.10.0") && text.contains("no 11.1 "));
    }

    #[test]
    fn a_suite_has_whatever_version_it_has() {
        let wanted: Wanted = "forky".parse().unwrap();
        assert_eq!((wanted.suite(), wanted.moved_on(SID)), ("forky", None));
    }

    #[test]
    fn what_is_neither_is_refused_with_what_there_is() {
        for text in ["", "9.9", "../sid", "a b", "Sid", "sid/main", "-sid"] {
            let error = text.parse::<Wanted>().unwrap_err().to_string();
            assert!(error.contains("10.0 (trixie)"), "{text}: {error}");
        }
    }
}
