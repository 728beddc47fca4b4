//! Everything that the kernel tells of a namespace, to be held against what it told when the namespace
//! was fresh. A world may be used again when nothing differs.

use std::{collections::BTreeMap, io};

use crate::sys::{Isolated, Netlink, link_settings, packet_sockets};

/// What can be told of a namespace, but for counters and ages, which nothing sets back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint {
    /// Links, addresses, routes, rules, neighbours, queueing: each message as it came.
    told: Vec<(u16, Vec<u8>)>,
    settings: Vec<Option<String>>,
    sockets: Vec<String>,
}

impl Fingerprint {
    /// Whether all is as in another, but for sockets that rest, each of which is there.
    pub(super) fn is(&self, other: &Self, resting: &[String]) -> bool {
        let Self { told, settings, sockets } = other;
        let (rest, own): (Vec<&String>, Vec<&String>) =
            self.sockets.iter().partition(|socket| resting.contains(socket));
        self.told == *told
            && self.settings == *settings
            && own.into_iter().eq(sockets)
            && rest.len() == resting.len()
    }
}

/// A kind of objects: the request and the answer of rtnetlink(7), bytes of the fixed part of an
/// answer, and its attributes that are counters or ages (Linux 6.18 `include/uapi/linux`).
struct Kind {
    request: u16,
    answer: u16,
    fixed: usize,
    passing: &'static [u16],
}

const NEW_LINK: u16 = 16;

const KINDS: &[Kind] = &[
    // IFLA_STATS, IFLA_STATS64.
    Kind { request: 18, answer: NEW_LINK, fixed: 16, passing: &[7, STATS64] },
    // RTM_GETADDR.
    Kind { request: 22, answer: 20, fixed: 8, passing: &[] },
    // RTM_GETROUTE: RTA_CACHEINFO.
    Kind { request: 26, answer: 24, fixed: 12, passing: &[12] },
    // RTM_GETNEIGH: NDA_CACHEINFO.
    Kind { request: 30, answer: 28, fixed: 12, passing: &[3] },
    // RTM_GETRULE.
    Kind { request: 34, answer: 32, fixed: 12, passing: &[] },
    // RTM_GETQDISC: TCA_STATS, TCA_XSTATS, TCA_STATS2.
    Kind { request: 38, answer: 36, fixed: 20, passing: &[3, 4, 7] },
];

const STATS64: u16 = 23;

/// `IFLA_AF_SPEC`, which holds what `/proc/sys/net/ipv4/conf` and `ipv6/conf` show of an interface.
const AF_SPEC: u16 = 26;
const AF_INET6: u16 = 10;

/// `IFLA_INET6_STATS`, `IFLA_INET6_CACHEINFO`, which has a time drawn anew now and then, and
/// `IFLA_INET6_ICMP6STATS`.
const INET6_PASSING: &[u16] = &[3, 5, 6];

/// Frames that each interface dropped instead of sending since it was made, by its number.
pub(super) type Drops = BTreeMap<u32, u64>;

impl Fingerprint {
    /// Of the namespace that the socket is in, in which the calling thread must be.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub(super) fn take(isolated: &Isolated, netlink: &Netlink) -> io::Result<(Self, Drops)> {
        let mut told = Vec::new();
        let mut drops = Drops::new();
        for Kind { request, answer, fixed, passing } in KINDS {
            // Of every family.
            netlink.dump(*request, &vec![0; *fixed], |kind, message| {
                let (head, attributes) = message.split_at((*fixed).min(message.len()));
                let mut kept = head.to_vec();
                for (name, payload) in Attributes(attributes) {
                    match name {
                        STATS64 if kind == NEW_LINK => {
                            drops.extend(number(head).zip(transmit_drops(payload)));
                        }
                        name if kind == *answer && passing.contains(&name) => {}
                        AF_SPEC if kind == NEW_LINK => keep_families(&mut kept, payload),
                        name => keep(&mut kept, name, payload),
                    }
                }
                told.push((kind, kept));
            })?;
        }
        let (settings, sockets) = (link_settings(isolated)?, packet_sockets(isolated)?);
        Ok((Self { told, settings, sockets }, drops))
    }
}

/// The number of an interface, `ifi_index`.
fn number(head: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(head.get(4..8)?.try_into().ok()?))
}

/// `tx_dropped` of `struct rtnl_link_stats64`.
fn transmit_drops(stats: &[u8]) -> Option<u64> {
    Some(u64::from_ne_bytes(stats.get(56..64)?.try_into().ok()?))
}

fn keep(to: &mut Vec<u8>, name: u16, payload: &[u8]) {
    to.extend(name.to_ne_bytes());
    to.extend(payload.len().to_ne_bytes());
    to.extend(payload);
}

fn keep_families(to: &mut Vec<u8>, payload: &[u8]) {
    for (family, settings) in Attributes(payload) {
        for (name, payload) in Attributes(settings) {
            if family != AF_INET6 || !INET6_PASSING.contains(&name) {
                keep(to, family, &name.to_ne_bytes());
                keep(to, name, payload);
            }
        }
    }
}

/// Attributes one after another, as netlink(7) has them: length, name, payload.
struct Attributes<'a>(&'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        /// The flags of a name: nested, and of network byte order.
        const FLAGS: u16 = 0xc000;
        let length = usize::from(u16::from_ne_bytes(self.0.get(..2)?.try_into().ok()?));
        let name = u16::from_ne_bytes(self.0.get(2..4)?.try_into().ok()?) & !FLAGS;
        let payload = self.0.get(4..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((name, payload))
    }
}

#[cfg(test)]
mod tests {
    use super::{Attributes, keep_families};

    fn attribute(name: u16, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(4 + payload.len()).unwrap();
        let mut bytes = [length.to_ne_bytes(), name.to_ne_bytes()].concat();
        bytes.extend(payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn attributes_are_read_to_the_end_and_not_beyond() {
        let bytes = [attribute(1, b"abc"), attribute(0x8002, b""), vec![9, 0]].concat();
        let read: Vec<_> = Attributes(&bytes).collect();
        assert_eq!(read, [(1, &b"abc"[..]), (2, &b""[..])]);
        assert_eq!(Attributes(&[3, 0, 1, 0]).next(), None, "shorter than its own header");
    }

    #[test]
    fn counters_of_ipv6_are_left_out_and_its_settings_are_not() {
        let kept = |settings: Vec<u8>| {
            let mut kept = Vec::new();
            keep_families(&mut kept, &attribute(10, &settings));
            kept
        };
        let with = |conf: &[u8], stats: &[u8]| [attribute(2, conf), attribute(3, stats)].concat();
        assert_eq!(kept(with(b"conf", b"1")), kept(with(b"conf", b"2")));
        assert_ne!(kept(with(b"conf", b"1")), kept(with(b"CONF", b"1")));
    }
}
