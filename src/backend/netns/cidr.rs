//! An address with its prefix length, read from text. The topology gives such addresses to
//! interfaces.

use std::net::IpAddr;

/// An address with the length of its network's prefix: `10.0.0.1/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    pub address: IpAddr,
    /// Bits of the network.
    pub prefix: u8,
}

impl Cidr {
    /// Reads `ADDRESS/BITS`; an address alone is a network of its own.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().ok()?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Some(longest), |text| text.parse().ok())?;
        (prefix <= longest).then_some(Self { address, prefix })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::Cidr;

    #[rstest]
    #[case("10.0.0.1/24", "10.0.0.1", 24)]
    #[case("10.0.0.1", "10.0.0.1", 32)]
    #[case("fd00::1/64", "fd00::1", 64)]
    #[case("fd00::1", "fd00::1", 128)]
    fn reads(#[case] text: &str, #[case] address: &str, #[case] prefix: u8) {
        assert_eq!(Cidr::parse(text), Some(Cidr { address: address.parse().unwrap(), prefix }));
    }

    #[rstest]
    #[case("10.0.0.1/33")]
    #[case("fd00::1/129")]
    #[case("10.0.0/24")]
    #[case("10.0.0.1/")]
    fn refuses(#[case] text: &str) {
        assert_eq!(Cidr::parse(text), None);
    }
}
