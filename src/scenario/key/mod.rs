//! The table of keys: what a map of the language may hold. It drives lowering, the messages for
//! unknown keys, the schema and the reference.

mod frame;
mod step;
mod topology;
mod traffic;

pub use step::VERB_NAMES;
pub(crate) use step::{QMP_VERBS, verb_keys};

pub(crate) use frame::{
    ARP, BYTES, ETH, FRAME, ICMP, ICMPV6, IPV4, IPV6, TCP, TCP_OPTION, TIMESTAMPS, UDP, VLAN,
    VNET_HDR,
};
pub(crate) use step::{COLO, EXPECT, EXPECT_ERROR, EXPECT_PORT};
pub(crate) use topology::{
    BRIDGE, CHARDEV, KNOWN_BUG, LINK, LINK_END, MACHINE, NETDEV, OWN_CHARDEV_KEYS, PROFILE, ROOT,
    ROUTE, SNAPSHOT,
};
pub(crate) use traffic::{CALL, CLIENT, GUEST, IMPAIR, IMPAIRMENT, SERVICE};

/// The type of a key's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    /// Text.
    Text,
    /// `true`, `false`, and QEMU's `on` and `off`.
    Bool,
    /// A whole number from the first to the second, both allowed.
    Integer(u64, u64),
    /// A number with a unit: `3s`, `200ms`.
    Duration,
    /// Six hexadecimal octets with colons.
    Mac,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A name declared elsewhere in the scenario, or a new one.
    Name,
    /// Text, or a list of texts.
    Texts,
    /// Bytes: text, `{hex}`, `{fill, len}`, or a list of these.
    Bytes,
    /// A map of this kind.
    Map(&'static KeyMap),
    /// A list of maps of this kind.
    Maps(&'static KeyMap),
    /// A map from free names to maps of this kind.
    Named(&'static KeyMap),
    /// Several forms; the documentation of the key says which.
    Any,
}

/// A key of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// As it is written.
    pub name: &'static str,
    /// What its value is.
    pub kind: KeyType,
    /// Whether the map is refused without it.
    pub required: bool,
    /// One line for the reference.
    pub doc: &'static str,
    /// The version of tapwright that first knew it.
    pub since: &'static str,
}

/// A kind of map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyMap {
    /// Its name in messages, with an article: `a netdev`.
    pub name: &'static str,
    /// Its keys, in the order of the reference.
    pub keys: &'static [Key],
}

impl KeyMap {
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// The names of its keys, for messages.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> + Clone + use<> {
        self.keys.iter().map(|key| key.name)
    }
}

/// An optional key.
const fn key(name: &'static str, kind: KeyType, doc: &'static str) -> Key {
    Key {
        name,
        kind,
        required: false,
        doc,
        since: "0.1.0",
    }
}

/// A key that must be there.
const fn need(name: &'static str, kind: KeyType, doc: &'static str) -> Key {
    Key {
        name,
        kind,
        required: true,
        doc,
        since: "0.1.0",
    }
}

const U8: KeyType = KeyType::Integer(0, 0xff);
const U16: KeyType = KeyType::Integer(0, 0xffff);
const U32: KeyType = KeyType::Integer(0, 0xffff_ffff);

/// Every kind of map of the language: the root first, then the maps it leads to, then each verb's
/// step.
#[must_use]
pub fn key_table() -> Vec<&'static KeyMap> {
    let mut maps = vec![
        &ROOT,
        &PROFILE,
        &LINK,
        &LINK_END,
        &BRIDGE,
        &ROUTE,
        &MACHINE,
        &NETDEV,
        &CHARDEV,
        &GUEST,
        &SERVICE,
        &CLIENT,
        &CALL,
        &IMPAIR,
        &IMPAIRMENT,
        &SNAPSHOT,
        &KNOWN_BUG,
        &COLO,
        &EXPECT,
        &EXPECT_ERROR,
        &EXPECT_PORT,
        &FRAME,
        &VNET_HDR,
        &ETH,
        &VLAN,
        &ARP,
        &IPV4,
        &IPV6,
        &ICMP,
        &ICMPV6,
        &UDP,
        &TCP,
        &TCP_OPTION,
        &TIMESTAMPS,
        &BYTES,
    ];
    maps.extend(VERB_NAMES.iter().filter_map(|verb| verb_keys(verb)));
    maps
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn keys_of_a_map_are_unique_and_documented() {
        for map in key_table() {
            let names: BTreeSet<_> = map.names().collect();
            assert_eq!(names.len(), map.keys.len(), "{}", map.name);
            assert!(map.keys.iter().all(|key| key.doc.len() > 4), "{}", map.name);
        }
    }

    #[test]
    fn every_map_that_a_key_leads_to_is_in_the_table() {
        let all: BTreeSet<_> = key_table().iter().map(|map| map.name).collect();
        for map in key_table() {
            for key in map.keys {
                if let KeyType::Map(to) | KeyType::Maps(to) | KeyType::Named(to) = key.kind {
                    assert!(all.contains(to.name), "{}.{}", map.name, key.name);
                }
            }
        }
    }

    #[test]
    fn every_verb_has_keys() {
        for verb in VERB_NAMES {
            assert!(
                verb_keys(verb).is_some_and(|map| map.key(verb).is_some()),
                "{verb}"
            );
        }
    }
}
