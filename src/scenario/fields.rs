//! The entries of a map, checked against its table of keys.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use super::{
    context::Context,
    fault::{self, Fault},
    key::{Key, KeyMap, KeyType},
    node::{Entry, Node, short},
    suggest::{list, nearest},
    value,
};
use crate::{base::MacAddr, diag::Span};

/// A map whose keys are all known. Getters take the type from the table; a value of another type is
/// reported and read as if it weren't there.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    context: &'a Context<'a>,
    keys: &'static KeyMap,
    entries: &'a [Entry],
    pub(crate) span: Span,
}

impl<'a> Fields<'a> {
    /// Checks that a node is a map, that its keys are known and that none is missing.
    pub(crate) fn open(
        context: &'a Context<'a>,
        node: &'a Node,
        keys: &'static KeyMap,
    ) -> Option<Self> {
        let fields = Self::open_loose(context, node, keys)?;
        let unknown = fields.entries.iter().filter(|entry| keys.key(&entry.key).is_none());
        for entry in unknown {
            if context.is_full() {
                break;
            }
            fields.unknown(entry, keys.names());
        }
        Some(fields)
    }

    /// The same for a map that has other names beside the keys; the caller checks those.
    pub(crate) fn open_loose(
        context: &'a Context<'a>,
        node: &'a Node,
        keys: &'static KeyMap,
    ) -> Option<Self> {
        let Some(entries) = node.map() else {
            context.fault(
                node.span,
                Fault::Type {
                    expected: format!("a map for {}", keys.name),
                    found: node.shown(),
                    help: Some(format!("its keys are {}", list(keys.names()))),
                },
            );
            return None;
        };
        let fields = Self { context, keys, entries, span: node.span };
        // A misspelt key is not missing too. Among many it is not looked for.
        const LOOKED_AT: usize = 100;
        let is_meant = |name: &str| {
            let unknown = entries.iter().filter(|entry| keys.key(&entry.key).is_none());
            let mut near =
                unknown.take(LOOKED_AT).filter_map(|one| nearest(&one.key, keys.names()));
            near.any(|near| near == name)
        };
        for key in keys.keys {
            let is_there = fields.entry(key.name).is_some();
            if key.required && !is_there && !is_meant(key.name) {
                context.fault(
                    node.span,
                    Fault::MissingKey { key: key.name, map: keys.name, doc: key.doc },
                );
            }
        }
        Some(fields)
    }

    /// Reports a key that isn't among the known names.
    pub(crate) fn unknown<'n>(&self, entry: &Entry, names: impl Iterator<Item = &'n str> + Clone) {
        self.context.fault(
            entry.key_span,
            Fault::UnknownKey {
                key: short(&entry.key),
                map: self.keys.name,
                near: nearest(&entry.key, names.clone()),
                known: list(names),
            },
        );
    }

    pub(crate) fn context(&self) -> &'a Context<'a> {
        self.context
    }

    pub(crate) fn entries(&self) -> &'a [Entry] {
        self.entries
    }

    pub(crate) fn entry(&self, name: &str) -> Option<&'a Entry> {
        debug_assert!(self.keys.key(name).is_some(), "{} has no {name}", self.keys.name);
        self.entries.iter().find(|entry| entry.key == name)
    }

    pub(crate) fn node(&self, name: &str) -> Option<&'a Node> {
        self.entry(name).map(|entry| &entry.value)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.entry(name).is_some()
    }

    /// Where a key's value stands.
    pub(crate) fn span_of(&self, name: &str) -> Option<Span> {
        self.entries.iter().find(|entry| entry.key == name).map(|entry| entry.value.span)
    }

    /// Whether this kind of map can have a key.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.keys.key(name).is_some()
    }

    pub(crate) fn fault(&self, span: Span, fault: Fault) {
        self.context.fault(span, fault);
    }

    /// Reports two keys that exclude one another; true when both are there.
    pub(crate) fn conflict(&self, first: &str, second: &str, help: &'static str) -> bool {
        let (Some(one), Some(other)) = (self.entry(first), self.entry(second)) else {
            return false;
        };
        self.context.fault_with(
            other.key_span,
            Fault::Conflict { first: first.to_owned(), second: second.to_owned(), help },
            one.key_span,
            "excludes the other",
        );
        true
    }

    fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.key(name)
    }

    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let node = self.node(name)?;
        value::text(self.context, node).map(str::to_owned)
    }

    pub(crate) fn boolean(&self, name: &str) -> Option<bool> {
        value::boolean(self.context, self.node(name)?)
    }

    /// A number in the range that the table gives.
    pub(crate) fn integer<T: TryFrom<u64>>(&self, name: &str) -> Option<T> {
        let node = self.node(name)?;
        let KeyType::Integer(least, most) = self.key(name)?.kind else {
            return None;
        };
        let number = value::integer(self.context, node, name, least, most)?;
        T::try_from(number).ok()
    }

    pub(crate) fn choice(&self, name: &str) -> Option<&'static str> {
        let node = self.node(name)?;
        let KeyType::Choice(words) = self.key(name)?.kind else {
            return None;
        };
        value::choice(self.context, node, name, words)
    }

    pub(crate) fn duration(&self, name: &str) -> Option<Duration> {
        value::duration(self.context, self.node(name)?)
    }

    /// As [`Fields::boolean`]; without the key, what the table says.
    pub(crate) fn boolean_or_default(&self, name: &str) -> bool {
        self.boolean(name).unwrap_or_else(|| default(self.keys, name) == "true")
    }

    /// As [`Fields::integer`]; without the key, what the table says.
    pub(crate) fn integer_or_default<T: TryFrom<u64> + Default>(&self, name: &str) -> T {
        self.integer(name).unwrap_or_else(|| integer_default(self.keys, name))
    }

    /// As [`Fields::choice`]; without the key, what the table says.
    pub(crate) fn choice_or_default(&self, name: &str) -> &'static str {
        self.choice(name).unwrap_or_else(|| default(self.keys, name))
    }

    /// As [`Fields::duration`]; without the key, what the table says.
    pub(crate) fn duration_or_default(&self, name: &str) -> Duration {
        self.duration(name).unwrap_or_else(|| duration_default(self.keys, name))
    }

    pub(crate) fn mac(&self, name: &str) -> Option<MacAddr> {
        let text = value::text(self.context, self.node(name)?)?;
        let reason = || format!("\"{}\" is not a MAC address", short(text));
        text.parse().map_err(|_| self.bad(name, &reason(), MAC_HELP, fault::BAD_MAC)).ok()
    }

    pub(crate) fn ipv4(&self, name: &str) -> Option<Ipv4Addr> {
        let text = value::text(self.context, self.node(name)?)?;
        let reason = || format!("\"{}\" is not an IPv4 address", short(text));
        text.parse().map_err(|_| self.bad(name, &reason(), IPV4_HELP, fault::BAD_ADDRESS)).ok()
    }

    pub(crate) fn ipv6(&self, name: &str) -> Option<Ipv6Addr> {
        let text = value::text(self.context, self.node(name)?)?;
        let reason = || format!("\"{}\" is not an IPv6 address", short(text));
        text.parse().map_err(|_| self.bad(name, &reason(), IPV6_HELP, fault::BAD_ADDRESS)).ok()
    }

    fn bad(
        &self,
        name: &str,
        reason: &dyn std::fmt::Display,
        help: &'static str,
        code: crate::diag::Code,
    ) {
        if let Some(node) = self.node(name) {
            self.fault(node.span, Fault::Format { reason: reason.to_string(), help, code });
        }
    }

    /// The texts of a text or a list of texts, with their places.
    pub(crate) fn texts(&self, name: &str) -> Vec<(String, Span)> {
        let Some(node) = self.node(name) else {
            return Vec::new();
        };
        value::texts(self.context, node)
    }

    /// Addresses with their prefix.
    pub(crate) fn addresses(&self, name: &str) -> Vec<String> {
        self.texts(name)
            .into_iter()
            .filter(|(text, span)| value::is_network(self.context, text, *span))
            .map(|(text, _)| text)
            .collect()
    }
}

const MAC_HELP: &str = "write six two-digit hexadecimal octets: 52:54:00:12:34:56";
const IPV4_HELP: &str = "write four numbers up to 255: 10.0.0.1";
const IPV6_HELP: &str = "write an address such as fe80::1";

/// What holds without a key, as the table says it.
fn default(keys: &KeyMap, name: &str) -> &'static str {
    let default = keys.key(name).and_then(|key| key.default);
    debug_assert!(default.is_some(), "{} says no default of {name}", keys.name);
    default.unwrap_or_default()
}

/// The default of a key whose value is a whole number.
pub(crate) fn integer_default<T: TryFrom<u64> + Default>(keys: &KeyMap, name: &str) -> T {
    let number = value::parse_integer(default(keys, name));
    debug_assert!(number.is_some(), "{}: the default of {name} is no number", keys.name);
    let number = number.and_then(|number| u64::try_from(number).ok());
    number.and_then(|number| T::try_from(number).ok()).unwrap_or_default()
}

/// The default of a key whose value is a duration.
pub(crate) fn duration_default(keys: &KeyMap, name: &str) -> Duration {
    let duration = value::parse_duration(default(keys, name));
    debug_assert!(duration.is_some(), "{}: the default of {name} is no duration", keys.name);
    duration.unwrap_or_default()
}
