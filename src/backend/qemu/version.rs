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

    /// Reads `7.2.22`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let numbers: Option<Vec<u64>> = text.split('.').map(|number| number.parse().ok()).collect();
        match numbers?[..] {
            [major, minor, micro] => Some(Self { major, minor, micro }),
            _ => None,
        }
    }

    /// Whether a profile was made after this very version.
    #[must_use]
    pub fn is_modelled(self) -> bool {
        MODELLED.iter().any(|(number, _)| *number == (self.major, self.minor))
    }

    /// The profile that models it: that of the nearest release, the older one of two that are
    /// equally near.
    #[must_use]
    pub fn profile(self) -> Profile {
        let distance = |(number, _): &&((u64, u64), QemuVersion)| {
            release(*number).abs_diff(release((self.major, self.minor)))
        };
        let nearest = MODELLED.iter().min_by_key(distance);
        Profile::new(nearest.map_or_else(QemuVersion::default, |(_, version)| *version))
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
    #[case(7, 2, "qemu-7.2")]
    #[case(6, 0, "qemu-7.2")]
    #[case(8, 2, "qemu-7.2")]
    #[case(9, 2, "qemu-10.0")]
    #[case(10, 0, "qemu-10.0")]
    #[case(10, 1, "qemu-10.0")]
    #[case(10, 2, "qemu-10.2")]
    #[case(11, 0, "qemu-10.2")]
    #[case(11, 1, "qemu-11.1")]
    #[case(12, 0, "qemu-11.1")]
    fn the_nearest_profile(#[case] major: u64, #[case] minor: u64, #[case] name: &str) {
        let answer = json!({"qemu": {"major": major, "minor": minor, "micro": 1}, "package": ""});
        let version = Version::read(&answer).unwrap();
        assert_eq!(version.profile().to_string(), name);
    }
}
