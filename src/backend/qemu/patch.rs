//! Which version of the RFC a build has: a row for each interface that a version brought, with what
//! shows it. The probe asks a QEMU for these signs.

use crate::base::QemuVersion;

/// What shows that a build has a version of the RFC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// filter-redirector has this property.
    Property(&'static str),
    /// An object of the QAPI schema has this member.
    Member(&'static str),
    /// filter-redirector is not refused on a netdev with vhost.
    Vhost,
}

/// A version of the RFC, as a build shows it.
#[derive(Debug, PartialEq, Eq)]
pub struct Patch {
    pub sign: Sign,
    /// The profile that models it.
    pub version: QemuVersion,
    /// What was found, in words.
    pub found: &'static str,
}

/// Every version that can be told from the others; the first whose sign is there is it.
pub(super) static PATCHES: [Patch; 3] = [
    Patch {
        sign: Sign::Property("in_netdev"),
        version: QemuVersion::RfcV1,
        found: "its filter-redirector has in_netdev",
    },
    Patch {
        sign: Sign::Member("af-packet-mode"),
        version: QemuVersion::RfcV4,
        found: "its chardevs have af-packet-mode",
    },
    // The second version shows the same interface as the third.
    Patch {
        sign: Sign::Vhost,
        version: QemuVersion::RfcV3,
        found: "its filter-redirector takes a netdev with vhost, as that of rfc-v2 does: if it is \
                that one, --profile rfc-v2",
    },
];
