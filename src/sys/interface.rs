//! Names and numbers of the kernel's interfaces.

use std::{fmt, io, str::FromStr};

use nix::{libc, net::if_::if_nametoindex};

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
    /// ENODEV when there is none of this name.
    pub fn of(name: &InterfaceName) -> io::Result<Self> {
        Ok(Self(if_nametoindex(name.as_str())?))
    }

    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::InterfaceName;

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
