//! Settings that keep a fresh network namespace quiet.

use std::{fs, io, path::PathBuf};

use super::{InterfaceName, Isolated};

/// A setting of the calling thread's network namespace could not be changed.
#[derive(Debug, thiserror::Error)]
#[error("{path} can't be set to {value}: {source}", path = path.display())]
pub struct SysctlError {
    /// The file below `/proc/sys`.
    pub path: PathBuf,
    /// What was to be written.
    pub value: &'static str,
    pub source: io::Error,
}

/// What keeps interfaces quiet: nothing is sent that a scenario did not cause, and nothing depends on
/// how fast it runs. Names as in Linux 6.18 `Documentation/networking/ip-sysctl.rst`.
const QUIET_LINKS: &[(&str, &str)] = &[
    // Frames are handled by the processor that sent them, before the send returns.
    ("core/rps_default_mask", "0"),
    // No IPv6 unless a scenario gives an address; see `allow_ipv6`.
    ("ipv6/conf/default/disable_ipv6", "1"),
];

/// What keeps the host's stack quiet beyond that, where it has addresses.
const QUIET_STACK: &[(&str, &str)] = &[
    ("ipv6/conf/default/accept_dad", "0"),
    ("ipv6/conf/default/dad_transmits", "0"),
    ("ipv6/conf/default/autoconf", "0"),
    ("ipv6/conf/default/accept_ra", "0"),
    ("ipv6/conf/default/router_solicitations", "0"),
    ("ipv6/conf/default/ndisc_notify", "0"),
    // No link-local address is made up.
    ("ipv6/conf/default/addr_gen_mode", "1"),
    // The report about a multicast group can't be switched off. As MLDv1 it is sent before the call
    // that joins the group returns, and again after a random part of this time, in milliseconds: 24
    // days (Linux 6.18 net/ipv6/mcast.c, igmp6_join_group).
    ("ipv6/conf/default/force_mld_version", "1"),
    ("ipv6/conf/default/mldv1_unsolicited_report_interval", "2147483647"),
    ("ipv4/conf/default/arp_notify", "0"),
    // An unanswered ARP request is not repeated, and an answered one never verified.
    ("ipv4/neigh/default/mcast_solicit", "1"),
    ("ipv4/neigh/default/ucast_solicit", "1"),
    ("ipv4/neigh/default/delay_first_probe_time", "86400"),
    ("ipv6/neigh/default/mcast_solicit", "1"),
    ("ipv6/neigh/default/ucast_solicit", "1"),
    ("ipv6/neigh/default/delay_first_probe_time", "86400"),
    // Each ICMP error is answered, without a limit per second.
    ("ipv4/icmp_ratemask", "0"),
    ("ipv6/icmp/ratelimit", "0"),
];

/// Makes the calling thread's namespace quiet. It must hold no interface but `lo`.
pub(super) fn quieten() -> Result<(), SysctlError> {
    quieten_links()?;
    QUIET_STACK.iter().try_for_each(|(name, value)| write(name.into(), value))
}

/// As [`quieten`], where no interface will ever have an address.
pub(super) fn quieten_links() -> Result<(), SysctlError> {
    QUIET_LINKS.iter().try_for_each(|(name, value)| write(name.into(), value))
}

/// The settings of the calling thread's namespace that were made to keep its interfaces quiet, as they
/// are now; none where this kernel has not the setting.
///
/// # Errors
/// When a file can't be read.
pub fn link_settings(_: &Isolated) -> io::Result<Vec<Option<String>>> {
    let read = |(name, _): &(&str, &str)| match fs::read_to_string(
        PathBuf::from("/proc/sys/net").join(name),
    ) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    };
    QUIET_LINKS.iter().map(read).collect()
}

/// Whether the calling thread's namespace can be kept from handing frames to other processors,
/// whatever the host does (`net.core.rps_default_mask`, since Linux 6.3).
#[must_use]
pub fn has_rps_default_mask(_: &Isolated) -> bool {
    PathBuf::from("/proc/sys/net/core/rps_default_mask").exists()
}

/// Switches IPv6 on for one interface of the calling thread's namespace, still without
/// autoconfiguration and duplicate detection.
///
/// # Errors
/// When the setting can't be written.
pub fn allow_ipv6(_: &Isolated, interface: &InterfaceName) -> Result<(), SysctlError> {
    write(["ipv6/conf", interface.as_str(), "disable_ipv6"].iter().collect(), "0")
}

/// Writes below `/proc/sys/net`, which shows the *calling thread's* network namespace (unlike
/// `/proc/net`, which shows the main thread's). A setting that this kernel does not have, or hides
/// from user namespaces, is passed over.
fn write(name: PathBuf, value: &'static str) -> Result<(), SysctlError> {
    let path = PathBuf::from("/proc/sys/net").join(name);
    match fs::write(&path, value) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(SysctlError { path, value, source }),
        Ok(()) => Ok(()),
    }
}
