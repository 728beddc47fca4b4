//! The table of keys: what a map of the language may hold. It drives lowering, the messages for
//! unknown keys, the schema and the reference.

mod frame;
mod step;
mod topology;
mod traffic;

pub use step::QMP_VERBS;
pub use step::VERB_NAMES;
pub(crate) use step::{LONE_VERBS, verb_keys};

pub(crate) use frame::{
    ARP, BYTES, ETH, FRAME, ICMP, ICMPV6, IPV4, IPV6, TCP, TCP_OPTION, TIMESTAMPS, UDP, VLAN,
    VNET_HDR,
};
pub(crate) use step::{COLO, EXPECT, EXPECT_ERROR, EXPECT_PORT, MIGRATE};
pub(crate) use topology::{
    BRIDGE, CHARDEV, KNOWN_BUG, LINK, LINK_END, MACHINE, NETDEV, OWN_CHARDEV_KEYS, PROFILE, ROOT,
    ROUTE, SNAPSHOT, VHOST_MODELLED,
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
    /// Nothing: null.
    Nothing,
    /// A text, a number, a boolean or null.
    Scalar,
    /// A map whose keys and values are QEMU's.
    Arguments,
    /// A map of this kind.
    Map(&'static KeyMap),
    /// A map of this kind that also has free names, which lead to values of this type.
    Open(&'static KeyMap, &'static KeyType),
    /// A map from free names to values of this type.
    Named(&'static KeyType),
    /// A list of values of this type.
    List(&'static KeyType),
    /// A step: a map with one verb, or one of the words that are steps by themselves.
    Step,
    OneOf(&'static [KeyType]),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    pub name: &'static str,
    pub kind: KeyType,
    /// Whether the map is refused without it.
    pub required: bool,
    /// One line for the reference.
    pub doc: &'static str,
    /// What holds without it, where that is something.
    pub default: Option<&'static str>,
    /// The version of tapwright that first knew it.
    pub since: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyMap {
    /// Its name in messages, with an article: `a netdev`.
    pub name: &'static str,
    /// Its keys, in the order of the reference.
    pub keys: &'static [Key],
}

impl Key {
    /// The same key with what holds without it.
    const fn or(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }
}

impl KeyType {
    /// The kinds of map that a value of this type can be or hold, the verbs' steps left out.
    #[must_use]
    pub fn maps(self) -> Vec<&'static KeyMap> {
        match self {
            Self::Map(map) => vec![map],
            Self::Open(map, value) => [vec![map], value.maps()].concat(),
            Self::Named(value) | Self::List(value) => value.maps(),
            Self::OneOf(types) => types.iter().flat_map(|kind| kind.maps()).collect(),
            Self::Bytes => vec![&BYTES],
            _ => Vec::new(),
        }
    }
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

const fn key(name: &'static str, kind: KeyType, doc: &'static str) -> Key {
    Key { name, kind, required: false, doc, default: None, since: "0.1.0" }
}

/// A key that must be there.
const fn need(name: &'static str, kind: KeyType, doc: &'static str) -> Key {
    Key { name, kind, required: true, doc, default: None, since: "0.1.0" }
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
        &MIGRATE,
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
                for to in key.kind.maps() {
                    assert!(all.contains(to.name), "{}.{}", map.name, key.name);
                }
            }
        }
    }

    #[test]
    fn every_verb_has_keys() {
        for verb in VERB_NAMES {
            assert!(verb_keys(verb).is_some_and(|map| map.key(verb).is_some()), "{verb}");
        }
    }
}
