//! Which QEMU is modelled: a version and the quirks that are mended. Scenarios choose one; the
//! machine asks it at each quirk.

use std::{collections::BTreeSet, fmt};

use super::Quirk;

/// Which QEMU's rules and texts are in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QemuVersion {
    /// QEMU 7.2, as Debian 12 ships it.
    Qemu72,
    /// QEMU 10.0, as Debian 13 ships it.
    Qemu100,
    /// QEMU 10.2.
    Qemu102,
    /// QEMU 11.1, as Debian's unstable suite ships it.
    Qemu111,
    /// The tree that the RFC's first version was made for, with its `in_netdev` and `out_netdev`: QEMU
    /// 10.2 and what QEMU commit 5193528b9f7c changed in filter-redirector.
    #[default]
    Rfc,
    /// `rfc` with every quirk mended.
    Ideal,
}

impl QemuVersion {
    /// Every version, oldest first.
    pub const ALL: [Self; 6] =
        [Self::Qemu72, Self::Qemu100, Self::Qemu102, Self::Qemu111, Self::Rfc, Self::Ideal];

    /// The profile's name in a scenario.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Qemu72 => "qemu-7.2",
            Self::Qemu100 => "qemu-10.0",
            Self::Qemu102 => "qemu-10.2",
            Self::Qemu111 => "qemu-11.1",
            Self::Rfc => "rfc",
            Self::Ideal => "ideal",
        }
    }

    /// Whether filter-redirector has `in_netdev` and `out_netdev`.
    #[must_use]
    pub const fn has_af_packet(self) -> bool {
        matches!(self, Self::Rfc | Self::Ideal)
    }
}

impl fmt::Display for QemuVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The QEMU that a machine models: a version, less the quirks that a scenario switched off.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Profile {
    version: QemuVersion,
    without: BTreeSet<Quirk>,
}

/// No profile has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown profile '{0}': there are qemu-7.2, qemu-10.0, qemu-10.2, qemu-11.1, rfc and ideal"
)]
pub struct ParseProfileError(pub String);

impl Profile {
    /// A version with all of its quirks.
    #[must_use]
    pub const fn new(version: QemuVersion) -> Self {
        Self { version, without: BTreeSet::new() }
    }

    /// The same version with these quirks mended.
    #[must_use]
    pub fn without(mut self, quirks: impl IntoIterator<Item = Quirk>) -> Self {
        self.without.extend(quirks);
        self
    }

    /// Reads a version's name.
    ///
    /// # Errors
    /// When no profile has this name.
    pub fn parse(name: &str) -> Result<Self, ParseProfileError> {
        QemuVersion::ALL
            .into_iter()
            .find(|version| version.name() == name)
            .map(Self::new)
            .ok_or_else(|| ParseProfileError(name.to_owned()))
    }

    /// The version, whose rules and texts are in force.
    #[must_use]
    pub const fn version(&self) -> QemuVersion {
        self.version
    }

    /// Whether this QEMU has the quirk.
    #[must_use]
    pub fn has(&self, quirk: Quirk) -> bool {
        quirk.info().versions.contains(&self.version) && !self.without.contains(&quirk)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.version)?;
        for quirk in &self.without {
            write!(f, " without {quirk}")?;
        }
        Ok(())
    }
}
