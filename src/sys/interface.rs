//! Names and numbers of the kernel's interfaces.

use std::{
    fmt, io, mem,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    str::FromStr,
};

use nix::{
    errno::Errno,
    libc,
    sys::socket::{AddressFamily, SockFlag, SockType, socket},
};

mod ioctl {
    use nix::libc::{SIOCETHTOOL, SIOCGIFFLAGS, SIOCGIFINDEX, SIOCGIFMTU, ifreq};

    nix::ioctl_readwrite_bad!(interface_index, SIOCGIFINDEX, ifreq);
    nix::ioctl_readwrite_bad!(interface_flags, SIOCGIFFLAGS, ifreq);
    nix::ioctl_readwrite_bad!(interface_mtu, SIOCGIFMTU, ifreq);
    nix::ioctl_readwrite_bad!(ethtool, SIOCETHTOOL, ifreq);
}

/// `struct ethtool_drvinfo` of Linux 6.18 `include/uapi/linux/ethtool.h`.
#[repr(C)]
struct DriverInfo {
    command: u32,
    driver: [u8; 32],
    version: [u8; 32],
    firmware: [u8; 32],
    bus: [u8; 32],
    rom: [u8; 32],
    reserved: [u8; 12],
    counts: [u32; 5],
}

/// `ETHTOOL_GDRVINFO`.
const GET_DRIVER_INFO: u32 = 3;

/// The name of a network interface that the kernel would accept: 1 to 15 bytes, neither `.` nor
/// `..`, without `/`, `:`, `%`, control characters and white space (Linux 6.18
/// `net/core/dev.c`, `dev_valid_name`; `%` is the kernel's place holder for a number).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceName(String);

/// The kernel would not take this as an interface's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not an interface name: 1 to 15 bytes without '/', ':', '%' and white space, not '.' \
     or '..'"
)]
pub struct InterfaceNameError(pub String);

impl InterfaceName {
    /// Most bytes of a name: `IFNAMSIZ` less the terminating NUL.
    pub const MAX: usize = libc::IFNAMSIZ - 1;

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name in the form of `struct ifreq`, padded with NUL.
    pub(super) fn to_ifr_name(&self) -> [libc::c_char; libc::IFNAMSIZ] {
        let mut field = [0; libc::IFNAMSIZ];
        for (to, from) in field.iter_mut().zip(self.0.bytes()) {
            *to = libc::c_char::from_ne_bytes([from]);
        }
        field
    }
}

impl FromStr for InterfaceName {
    type Err = InterfaceNameError;

    fn from_str(text: &str) -> Result<Self, InterfaceNameError> {
        let forbidden =
            |byte: u8| matches!(byte, b'/' | b':' | b'%' | 0x7f) || byte <= b' ' || byte == 0xa0;
        let valid = (1..=Self::MAX).contains(&text.len())
            && !matches!(text, "." | "..")
            && !text.bytes().any(forbidden);
        if valid { Ok(Self(text.to_owned())) } else { Err(InterfaceNameError(text.to_owned())) }
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The kernel's number of an interface, in the namespace in which it was looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceIndex(u32);

impl InterfaceIndex {
    /// Looks a name up in the calling thread's network namespace.
    ///
    /// # Errors
    /// ENODEV when there is none of this name, EMFILE or ENFILE when there is no descriptor left to
    /// ask with. (`if_nametoindex` of glibc says ENOENT then.)
    pub fn of(name: &InterfaceName) -> io::Result<Self> {
        Self::asked(asked()?, name)
    }

    /// Looks a name up in the network namespace of a socket, whatever that is a socket of.
    ///
    /// # Errors
    /// ENODEV when there is none of this name.
    pub(super) fn asked(socket: impl AsFd, name: &InterfaceName) -> io::Result<Self> {
        let mut request = request(name);
        // SAFETY: the descriptor is open, and the kernel reads and writes an `ifreq` of this size.
        unsafe { ioctl::interface_index(socket.as_fd().as_raw_fd(), &raw mut request) }?;
        // SAFETY: SIOCGIFINDEX has written this member of the union (netdevice(7)).
        let index = unsafe { request.ifr_ifru.ifru_ifindex };
        Ok(Self(index.unsigned_abs()))
    }

    /// One that the kernel has told. A number is not given to another interface of its namespace.
    #[must_use]
    pub const fn told(index: u32) -> Self {
        Self(index)
    }

    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// Whether the interface of this name is up, of the calling thread's network namespace.
///
/// # Errors
/// ENODEV when there is none of this name.
pub fn is_up(name: &InterfaceName) -> io::Result<bool> {
    let asked = asked()?;
    let mut request = request(name);
    // SAFETY: the descriptor is open, and the kernel reads and writes an `ifreq` of this size.
    unsafe { ioctl::interface_flags(asked.as_raw_fd(), &raw mut request) }?;
    // SAFETY: SIOCGIFFLAGS has written this member of the union (netdevice(7)).
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    Ok(libc::c_int::from(flags) & libc::IFF_UP != 0)
}

/// The longest packet that the interface of this name takes, without its Ethernet header, in bytes.
///
/// # Errors
/// ENODEV when there is none of this name.
pub fn mtu(name: &InterfaceName) -> io::Result<usize> {
    let asked = asked()?;
    let mut request = request(name);
    // SAFETY: the descriptor is open, and the kernel reads and writes an `ifreq` of this size.
    unsafe { ioctl::interface_mtu(asked.as_raw_fd(), &raw mut request) }?;
    // SAFETY: SIOCGIFMTU has written this member of the union (netdevice(7)).
    let mtu = unsafe { request.ifr_ifru.ifru_mtu };
    Ok(usize::try_from(mtu).unwrap_or(0))
}

/// Whether the interface of this name is a TAP, of the calling thread's network namespace. One of
/// another driver, as macvtap, is none.
///
/// # Errors
/// ENODEV when there is none of this name.
pub fn is_tap(name: &InterfaceName) -> io::Result<bool> {
    let asked = asked()?;
    let mut info = DriverInfo {
        command: GET_DRIVER_INFO,
        driver: [0; 32],
        version: [0; 32],
        firmware: [0; 32],
        bus: [0; 32],
        rom: [0; 32],
        reserved: [0; 12],
        counts: [0; 5],
    };
    let mut request = request(name);
    request.ifr_ifru.ifru_data = (&raw mut info).cast();
    // SAFETY: the descriptor is open. The kernel reads and writes an `ifreq` of this size and, behind
    // its pointer, a `struct ethtool_drvinfo`, whose layout `DriverInfo` has; both live through the
    // call.
    match unsafe { ioctl::ethtool(asked.as_raw_fd(), &raw mut request) } {
        // What a TUN or TAP says (drivers/net/tun.c, `tun_get_drvinfo`).
        Ok(_) => Ok(info.driver.starts_with(b"tun\0") && info.bus.starts_with(b"tap\0")),
        Err(Errno::EOPNOTSUPP) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

/// Something to ask the kernel with.
fn asked() -> nix::Result<OwnedFd> {
    socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)
}

fn request(name: &InterfaceName) -> libc::ifreq {
    // SAFETY: all bytes zero are an `ifreq`: it holds numbers and a union of numbers and pointers
    // that nobody reads.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    request.ifr_name = name.to_ifr_name();
    request
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{InterfaceIndex, InterfaceName, is_tap, is_up, mtu};

    #[test]
    fn an_index_is_found_by_name_and_none_is_said_by_its_errno() {
        let index = |name: &str| InterfaceIndex::of(&name.parse().unwrap());
        assert_eq!(index("lo").unwrap().get(), 1);
        assert_eq!(index("no-such").unwrap_err().raw_os_error(), Some(nix::libc::ENODEV));
        assert!(!is_tap(&"lo".parse().unwrap()).unwrap());
        assert_eq!(mtu(&"lo".parse().unwrap()).unwrap(), 65536);
        assert!(is_up(&"no-such".parse().unwrap()).is_err());
    }

    #[rstest]
    #[case("tap0")]
    #[case("l0.a")]
    #[case("fifteen-bytes-x")]
    fn accepts(#[case] text: &str) {
        let name: InterfaceName = text.parse().unwrap();
        let field = name.to_ifr_name().map(|octet| octet.to_ne_bytes()[0]);
        assert_eq!(field[..text.len()], *text.as_bytes());
        assert!(field[text.len()..].iter().all(|octet| *octet == 0));
    }

    #[rstest]
    #[case("")]
    #[case(".")]
    #[case("..")]
    #[case("a/b")]
    #[case("a:1")]
    #[case("tap%d")]
    #[case("a b")]
    #[case("sixteen-bytes-xx")]
    #[case("a\0b")]
    fn refuses(#[case] text: &str) {
        assert_eq!(text.parse::<InterfaceName>().unwrap_err().0, text);
    }
}
