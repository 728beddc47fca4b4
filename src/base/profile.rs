//! Which QEMU is modelled: a version and the quirks that are mended. Scenarios choose one; the
//! machine asks it at each quirk.

use std::{collections::BTreeSet, fmt};

use super::{Interface, Quirk};

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
    /// 10.2, what QEMU commit 5193528b9f7c changed in filter-redirector, and `enable_when_stopped`.
    #[default]
    RfcV1,
    /// The RFC's second version: no property, a redirector on a vhost TAP uses `AF_PACKET` by itself.
    RfcV2,
    /// The RFC's third version, which has the interface of the second.
    RfcV3,
    /// The RFC's fourth version: `af-packet-mode` on a socket chardev.
    RfcV4,
    /// `rfc` with every quirk mended.
    Ideal,
}

impl QemuVersion {
    /// Every version, oldest first.
    pub const ALL: [Self; 9] = [
        Self::Qemu72,
        Self::Qemu100,
        Self::Qemu102,
        Self::Qemu111,
        Self::RfcV1,
        Self::RfcV2,
        Self::RfcV3,
        Self::RfcV4,
        Self::Ideal,
    ];

    /// Every name of a profile, in the order of [`QemuVersion::ALL`]. `rfc-v1` is `rfc` under the name
    /// that tells it from the later ones.
    pub const NAMES: &'static [&'static str] = &[
        "qemu-7.2",
        "qemu-10.0",
        "qemu-10.2",
        "qemu-11.1",
        "rfc",
        "rfc-v1",
        "rfc-v2",
        "rfc-v3",
        "rfc-v4",
        "ideal",
    ];

    /// The profile's name in a scenario.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Qemu72 => "qemu-7.2",
            Self::Qemu100 => "qemu-10.0",
            Self::Qemu102 => "qemu-10.2",
            Self::Qemu111 => "qemu-11.1",
            Self::RfcV1 => "rfc",
            Self::RfcV2 => "rfc-v2",
            Self::RfcV3 => "rfc-v3",
            Self::RfcV4 => "rfc-v4",
            Self::Ideal => "ideal",
        }
    }

    /// A second name of the profile, if it has one.
    #[must_use]
    pub const fn other_name(self) -> Option<&'static str> {
        match self {
            Self::RfcV1 => Some("rfc-v1"),
            _ => None,
        }
    }

    /// Every name of this profile, its own first.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name()).chain(self.other_name())
    }

    /// Which QEMU it is, and what it was measured on.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::Qemu72 => "QEMU 7.2, as Debian 12 ships it; measured on 7.2.22",
            Self::Qemu100 => "QEMU 10.0, as Debian 13 ships it; measured on 10.0.13",
            Self::Qemu102 => "QEMU 10.2; measured on 10.2.2",
            Self::Qemu111 => "QEMU 11.1, as Debian's unstable suite ships it; measured on 11.1.3",
            Self::RfcV1 => {
                "the RFC's first version: `in_netdev`, `out_netdev` and `enable_when_stopped` of \
                 filter-redirector, on the tree that it was made for (10.2 and commit 5193528b9f7c); the \
                 default"
            }
            Self::RfcV2 => {
                "the RFC's second version: no property, a redirector on a vhost TAP captures and injects by \
                 itself"
            }
            Self::RfcV3 => "the RFC's third version, which has the interface of the second",
            Self::RfcV4 => {
                "the RFC's fourth version: none of this in the filter, and `af-packet-mode` on a socket chardev"
            }
            Self::Ideal => "`rfc` with every quirk mended: what the documentation promises",
        }
    }

    /// The version of this name, be it its own or its other one.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|version| version.name() == name || version.other_name() == Some(name))
    }

    /// Every name of a profile, as a sentence lists them: "qemu-7.2, ... and ideal".
    #[must_use]
    pub fn listed() -> String {
        match Self::NAMES {
            [first @ .., last] => format!("{} and {last}", first.join(", ")),
            [] => String::new(),
        }
    }

    /// Whether this is a release of QEMU, and no tree with patches.
    #[must_use]
    pub const fn is_release(self) -> bool {
        matches!(self, Self::Qemu72 | Self::Qemu100 | Self::Qemu102 | Self::Qemu111)
    }

    /// Whether filter-redirector has `in_netdev`, `out_netdev` and `enable_when_stopped`.
    #[must_use]
    pub fn has_af_packet(self) -> bool {
        self.interface() == Some(Interface::Properties)
    }
}

impl fmt::Display for QemuVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The QEMU that a machine models: a version, less the quirks that a scenario switched off, and with
/// those of other versions that it switched on.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Profile {
    version: QemuVersion,
    with: BTreeSet<Quirk>,
    without: BTreeSet<Quirk>,
}

/// No profile has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown profile '{0}': there are {names}", names = QemuVersion::listed())]
pub struct ParseProfileError(pub String);

impl Profile {
    /// A version with all of its quirks.
    #[must_use]
    pub const fn new(version: QemuVersion) -> Self {
        Self { version, with: BTreeSet::new(), without: BTreeSet::new() }
    }

    /// The same version with these quirks mended.
    #[must_use]
    pub fn without(mut self, quirks: impl IntoIterator<Item = Quirk>) -> Self {
        self.without.extend(quirks);
        self
    }

    /// The same version with these quirks of other ones too.
    #[must_use]
    pub fn with(mut self, quirks: impl IntoIterator<Item = Quirk>) -> Self {
        self.with.extend(quirks);
        self
    }

    /// Reads a version's name.
    ///
    /// # Errors
    /// When no profile has this name.
    pub fn parse(name: &str) -> Result<Self, ParseProfileError> {
        QemuVersion::named(name).map(Self::new).ok_or_else(|| ParseProfileError(name.to_owned()))
    }

    /// The version, whose rules and texts are in force.
    #[must_use]
    pub const fn version(&self) -> QemuVersion {
        self.version
    }

    /// Whether this QEMU has the quirk.
    #[must_use]
    pub fn has(&self, quirk: Quirk) -> bool {
        let there = quirk.info().versions.contains(&self.version) || self.with.contains(&quirk);
        there && !self.without.contains(&quirk)
    }

    /// Why a quirk that this QEMU has is never seen in it, if that is so: another one comes first, or
    /// there is nothing that could have it.
    #[must_use]
    pub fn never_shows(&self, quirk: Quirk) -> Option<String> {
        let first = match quirk {
            Quirk::IndevKeepsHalfFrame => Some(Quirk::IndevDeafAfterClose),
            Quirk::CompareErrorCrashes => Some(Quirk::CompareErrorFreezes),
            Quirk::CompareErrorFreezes => Some(Quirk::CompareErrorCrashes),
            Quirk::DumpShortFrameAborts => Some(Quirk::DumpKeepsVnetHeader),
            _ => None,
        };
        if let Some(first) = first.filter(|first| self.has(*first)) {
            return Some(format!("{first}, which it has too, leaves it nothing to do"));
        }
        let captures = matches!(
            self.version.interface(),
            Some(Interface::Properties | Interface::OwnVhostTap)
        );
        (quirk == Quirk::CaptureHostToGuestOnly && !captures)
            .then(|| "no redirector of it has a packet socket".to_owned())
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.version)?;
        for quirk in &self.with {
            write!(f, " with {quirk}")?;
        }
        for quirk in &self.without {
            write!(f, " without {quirk}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quirk_can_be_mended_and_taken_over() {
        let (old, new) = (Quirk::IndevDeafAfterClose, Quirk::IndevKeepsHalfFrame);
        let profile = Profile::default().with([old]).without([new]);
        assert!(profile.has(old) && !profile.has(new));
        assert!(!Profile::default().has(old) && Profile::default().has(new));
        let text = "rfc with indev-deaf-after-close without indev-keeps-half-frame";
        assert_eq!(profile.to_string(), text);
    }

    #[test]
    fn every_name_is_that_of_a_version_and_every_version_has_its_name_listed() {
        for name in QemuVersion::NAMES {
            assert!(QemuVersion::named(name).is_some(), "{name}");
        }
        for version in QemuVersion::ALL {
            assert!(QemuVersion::NAMES.contains(&version.name()), "{version}");
            assert_eq!(QemuVersion::named(version.name()), Some(version));
        }
        assert_eq!(QemuVersion::named("rfc-v1"), Some(QemuVersion::default()));
    }

    #[test]
    fn an_unknown_profile_is_answered_with_every_name() {
        let error = Profile::parse("rfc-v5").unwrap_err().to_string();
        assert_eq!(
            error,
            "unknown profile 'rfc-v5': there are qemu-7.2, qemu-10.0, qemu-10.2, qemu-11.1, rfc, \
             rfc-v1, rfc-v2, rfc-v3, rfc-v4 and ideal"
        );
    }
}
