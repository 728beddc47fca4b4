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

/// The versions that profiles were made after, oldest first.
const MODELLED: [((u64, u64), QemuVersion); 4] = [
    ((7, 2), QemuVersion::Qemu72),
    ((10, 0), QemuVersion::Qemu100),
    ((10, 2), QemuVersion::Qemu102),
    ((11, 1), QemuVersion::Qemu111),
];

/// The number of a release among all: a major version has three, from 0 to 2.
const fn release((major, minor): (u64, u64)) -> u64 {
    major.saturating_mul(3).saturating_add(minor)
}

impl Version {
    /// What `query-version` returned.
    pub(super) fn read(answer: &Value) -> Option<Self> {
        let qemu = answer.get("qemu")?;
        let number = |key: &str| qemu.get(key)?.as_u64();
        Some(Self { major: number("major")?, minor: number("minor")?, micro: number("micro")? })
    }

    /// Whether a profile was made after this very version.
    pub(super) fn is_modelled(self) -> bool {
        MODELLED.iter().any(|(number, _)| *number == (self.major, self.minor))
    }

    /// The profile that models it: that of the nearest release, the older one of two that are
    /// equally near; the RFC's where its properties are there.
    pub(super) fn profile(self, has_in_netdev: bool) -> Profile {
        let distance = |(number, _): &&((u64, u64), QemuVersion)| {
            release(*number).abs_diff(release((self.major, self.minor)))
        };
        let nearest = MODELLED.iter().min_by_key(distance);
        Profile::new(match nearest {
            Some((_, version)) if !has_in_netdev => *version,
            _ => QemuVersion::RfcV1,
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
    #[case(8, 2, false, "qemu-7.2")]
    #[case(9, 2, false, "qemu-10.0")]
    #[case(10, 0, false, "qemu-10.0")]
    #[case(10, 1, false, "qemu-10.0")]
    #[case(10, 2, false, "qemu-10.2")]
    #[case(11, 0, false, "qemu-10.2")]
    #[case(11, 1, false, "qemu-11.1")]
    #[case(12, 0, false, "qemu-11.1")]
    #[case(10, 2, true, "rfc")]
    fn the_nearest_profile(
        #[case] major: u64,
        #[case] minor: u64,
        #[case] rfc: bool,
        #[case] name: &str,
    ) {
        let answer = json!({"qemu": {"major": major, "minor": minor, "micro": 1}, "package": ""});
        let version = Version::read(&answer).unwrap();
        assert_eq!(version.profile(rfc).to_string(), name);
    }
}
