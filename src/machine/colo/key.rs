//! The connection that a packet is of (QEMU 10.2.2 net/colo.c:100-139).

use super::{
    Headers,
    packet::{long, word},
};

/// Names a connection: VLANs, protocol, the two ends with their ports. All of it fits a number, so
/// that a look-up compares numbers. The order of keys means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::machine) struct Key(u128);

/// Protocols whose header begins with two ports: TCP, UDP, DCCP, ESP, SCTP, UDP-Lite. ESP has a
/// security parameter index there, which QEMU takes for ports.
pub(super) const fn has_ports(protocol: u8) -> bool {
    matches!(protocol, 6 | 17 | 33 | 50 | 132 | 136)
}

const AH: u8 = 51;

impl Key {
    /// The key from the sender's point of view. All packets of a protocol without ports between
    /// two hosts are one connection.
    pub(in crate::machine) fn of(data: &[u8], headers: &Headers) -> Option<Self> {
        Self::build(data, headers, ports(data, headers)?, false)
    }

    /// The key from the receiver's point of view: equal to [`Key::of`] the answer.
    pub(in crate::machine) fn of_answer(data: &[u8], headers: &Headers) -> Option<Self> {
        Self::build(data, headers, ports(data, headers)?, true)
    }

    /// [`Key::of`] a packet whose ports are unknown: all of its protocol between two hosts.
    pub(in crate::machine) fn of_hosts(data: &[u8], headers: &Headers) -> Option<Self> {
        Self::build(data, headers, (0, 0), false)
    }

    fn build(
        data: &[u8],
        headers: &Headers,
        (sport, dport): (u16, u16),
        reverse: bool,
    ) -> Option<Self> {
        let source = (long(data, headers.network + 12)?, sport);
        let destination = (long(data, headers.network + 16)?, dport);
        let (near, far) = if reverse { (destination, source) } else { (source, destination) };
        let end = |(address, port): (u32, u16)| u128::from(address) << 16 | u128::from(port);
        let link = u128::from(headers.vlans) << 8 | u128::from(headers.protocol);
        Some(Self(link << 96 | end(near) << 48 | end(far)))
    }
}

/// The two ports; zeros where the protocol has none.
fn ports(data: &[u8], headers: &Headers) -> Option<(u16, u16)> {
    let at = match headers.protocol {
        AH => Some(headers.transport + 4),
        protocol => has_ports(protocol).then_some(headers.transport),
    };
    match at {
        Some(at) => Some((word(data, at)?, word(data, at + 2)?)),
        None => Some((0, 0)),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    /// An IPv4 packet without a link header, as the table tests need it.
    fn packet(source: u32, destination: u32, protocol: u8, body: [u8; 8]) -> (Vec<u8>, Headers) {
        let mut data = vec![0; 12];
        data.extend(source.to_be_bytes());
        data.extend(destination.to_be_bytes());
        data.extend(body);
        let headers = Headers { ethernet: 0, network: 0, transport: 20, protocol, vlans: 0 };
        (data, headers)
    }

    fn key(source: u32, destination: u32, protocol: u8, body: [u8; 8]) -> Key {
        let (data, headers) = packet(source, destination, protocol, body);
        Key::of(&data, &headers).unwrap()
    }

    #[rstest]
    #[case::tcp(6, true)]
    #[case::udp(17, true)]
    #[case::dccp(33, true)]
    #[case::esp(50, true)]
    #[case::sctp(132, true)]
    #[case::udp_lite(136, true)]
    #[case::ah(51, false)]
    #[case::icmp(1, false)]
    #[case::gre(47, false)]
    fn ports_are_part_of_the_key(#[case] protocol: u8, #[case] parts: bool) {
        let one = key(1, 2, protocol, [0, 10, 0, 20, 0, 0, 0, 0]);
        let other = key(1, 2, protocol, [0, 11, 0, 20, 0, 0, 0, 0]);
        assert_eq!(one != other, parts);
        let later = key(1, 2, protocol, [0, 10, 0, 20, 0, 1, 0, 0]);
        assert_eq!(one != later, protocol == AH);
    }

    #[test]
    fn an_answer_has_the_same_key() {
        let asked = key(1, 2, 6, [0, 10, 0, 20, 0, 0, 0, 0]);
        let (data, headers) = packet(2, 1, 6, [0, 20, 0, 10, 9, 9, 9, 9]);
        assert_eq!(Key::of_answer(&data, &headers), Some(asked));
        assert_ne!(Key::of(&data, &headers), Some(asked));
    }

    #[test]
    fn every_part_tells_connections_apart() {
        let body = [0, 10, 0, 20, 0, 0, 0, 0];
        let (data, mut headers) = packet(1, 2, 6, body);
        headers.vlans = 5;
        let mut keys = [
            key(1, 2, 6, body),
            key(3, 2, 6, body),
            key(1, 3, 6, body),
            key(1, 2, 17, body),
            key(2, 1, 6, body),
            key(1, 2, 6, [0, 10, 0, 21, 0, 0, 0, 0]),
            Key::of(&data, &headers).unwrap(),
        ];
        keys.sort_unstable();
        assert!(keys.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
