//! A QEMU's version, and the profile that models it best. The probe reads it from `query-version`.

use std::fmt;

use serde_json::Value;

use crate::base::{Profile, QemuVersion};

/// A QEMU's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// 7 of 7.2.22.
    pub major: u64,
    /// 2 of 7.2.22.
    pub minor: u64,
    /// 22 of 7.2.22.
    pub micro: u64,
}

impl Version {
    /// What `query-version` returned.
    pub(super) fn read(answer: &Value) -> Option<Self> {
        let qemu = answer.get("qemu")?;
        let number = |key: &str| qemu.get(key)?.as_u64();
        Some(Self { major: number("major")?, minor: number("minor")?, micro: number("micro")? })
    }

    /// Whether a profile was made after this very version.
    pub(super) const fn is_modelled(self) -> bool {
        matches!((self.major, self.minor), (7 | 10, 2))
    }

    /// Whether every profile was made after a newer one.
    pub(super) const fn is_before_all(self) -> bool {
        self.major < 7 || (self.major == 7 && self.minor < 2)
    }

    /// The profile that models it: the newest that is not newer, the oldest where there is none;
    /// the RFC's where its properties are there.
    pub(super) fn profile(self, has_in_netdev: bool) -> Profile {
        Profile::new(if has_in_netdev {
            QemuVersion::Rfc
        } else if (self.major, self.minor) >= (10, 2) {
            QemuVersion::Qemu102
        } else {
            QemuVersion::Qemu72
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.micro)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case(7, 2, false, "qemu-7.2")]
    #[case(6, 0, false, "qemu-7.2")]
    #[case(10, 1, false, "qemu-7.2")]
    #[case(10, 2, false, "qemu-10.2")]
    #[case(11, 0, false, "qemu-10.2")]
    #[case(10, 2, true, "rfc")]
    fn the_nearest_profile_below(
        #[case] major: u64,
        #[case] minor: u64,
        #[case] rfc: bool,
        #[case] name: &str,
    ) {
        let answer = json!({"qemu": {"major": major, "minor": minor, "micro": 1}, "package": ""});
        let version = Version::read(&answer).unwrap();
        assert_eq!(version.profile(rfc).to_string(), name);
        assert_eq!(version.is_before_all(), major == 6);
    }
}
