//! Values that stand for what a text does not say. A variable that nothing sets is `${NAME}` in the options of
//! a paste; here each becomes a value that QEMU takes at its place, the same wherever the variable stands.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    flag,
    paste::{Paste, Piece},
};
use crate::qapi::plain_value_of;

/// Addresses for documentation (RFC 5737), ports that are assigned to nobody (RFC 6335, section 6), and
/// addresses of Ethernet that nobody bought (IEEE 802, locally administered).
const NETWORK: &str = "192.0.2";
const FIRST_PORT: usize = 49152;
const FIRST_OCTETS: &str = "02:00:00:00:00:00";
/// Most letters that a value keeps of its variable's name: the name of an interface has 15 with its number.
const MOST_OF_NAME: usize = 12;
/// Digits with which a port is whole, and a variable behind it is something else.
const WHOLE_PORT: usize = 4;

/// A value, and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StandIn {
    /// How the text writes it.
    pub(super) written: String,
    /// None where it was left out with nothing in its place.
    pub(super) value: Option<String>,
    /// The properties that have it, as they are now.
    properties: Vec<String>,
}

/// Letters of a value that stands in a text by chance.
const SHORT: usize = 3;

impl StandIn {
    /// Whether a text has it. It has not where its option is only named, or is another one's once more.
    pub(super) fn is_in(&self, text: &str) -> bool {
        match &self.value {
            Some(value) if value.len() >= SHORT => text.contains(value.as_str()),
            Some(_) => self.properties.iter().any(|property| text.contains(property.as_str())),
            None => true,
        }
    }
}

/// What must stand at a place. Of two that a variable needs, the later one fits both places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// More options, of which nothing is known.
    Nothing,
    Name,
    Fixed(&'static str),
    Number,
    Host,
    Network,
    Port,
    Digit,
    Octets(usize),
}

/// Puts a value in each open place of the options, and says what stands for what.
pub(super) fn fill(paste: &mut Paste) -> Vec<StandIn> {
    let mut needs: Vec<(String, Kind)> = Vec::new();
    let mut all = String::new();
    each(&mut paste.pieces, &mut |text, key| {
        all += text;
        for (name, kind) in places(text, key) {
            match needs.iter_mut().find(|(other, _)| *other == name) {
                Some((_, known)) => *known = kind.max(*known),
                None => needs.push((name, kind)),
            }
        }
        text.clone()
    });
    let mut values: BTreeMap<String, Option<String>> = BTreeMap::new();
    let (mut found, mut names): (Vec<StandIn>, Vec<String>) = Default::default();
    for (number, (name, kind)) in needs.into_iter().enumerate() {
        let value = value(kind, &name, number, &all);
        let written = paste.unset.iter().find(|(other, _)| *other == name);
        let written =
            written.map_or_else(|| format!("${{{name}}}"), |(_, written)| written.clone());
        found.push(StandIn { written, value: value.clone(), properties: Vec::new() });
        values.insert(name.clone(), value);
        names.push(format!("${{{name}}}"));
    }
    each(&mut paste.pieces, &mut |text, _| {
        for property in text.split(',') {
            for (one, name) in found.iter_mut().zip(&names) {
                if property.contains(name.as_str()) {
                    one.properties.push(filled(property, &values));
                }
            }
        }
        filled(text, &values)
    });
    found
}

/// Whether a place is still open: what the option is as a whole is not known.
pub(super) fn is_open(text: &str) -> bool {
    next(text).is_some()
}

/// Changes each text that options or commands have, given the key that it is the value of.
fn each(pieces: &mut [Piece], change: &mut dyn FnMut(&String, Option<&str>) -> String) {
    for piece in pieces {
        match piece {
            Piece::CommandLine { words, .. } => {
                for at in 1..words.len() {
                    let is_net = flag::is_net(&words[at - 1]) || words[at - 1].ends_with("-device");
                    if is_net {
                        words[at] = change(&words[at], None);
                    }
                }
            }
            Piece::Section(section) => section.text = change(&section.text, None),
            Piece::ObjectAdd(text) => *text = change(text, None),
            Piece::Command(_, args) => members(args, change),
            _ => {}
        }
    }
}

fn members(map: &mut Map<String, Value>, change: &mut dyn FnMut(&String, Option<&str>) -> String) {
    for (key, value) in map {
        match value {
            Value::String(text) => *text = change(text, Some(key)),
            Value::Object(map) => members(map, change),
            _ => {}
        }
    }
}

/// The next open place: its first byte, its name, and the byte behind it. `$${` is no place.
fn next(text: &str) -> Option<(usize, &str, usize)> {
    let mut from = 0;
    while let Some(at) = text[from..].find("${").map(|at| at + from) {
        let escaped = text[..at].ends_with('$');
        let inner = &text[at + 2..];
        match inner.find('}').filter(|_| !escaped) {
            Some(end) => return Some((at, &inner[..end], at + 3 + end)),
            None => from = at + 2,
        }
    }
    None
}

/// What each open place of a text needs. None where the text is nothing but a place, or says by it what it is.
fn places(text: &str, key: Option<&str>) -> Vec<(String, Kind)> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some((at, name, end)) = next(&text[from..]) {
        let (at, end) = (at + from, end + from);
        from = end;
        let is_json = text.starts_with('{') && text.contains('"');
        let separator = |c: char| c == ',' || is_json && "{}".contains(c);
        let start = match key {
            Some(_) => 0,
            // A `${` in front is no separator.
            None => text[..at].rfind(separator).map_or(0, |at| at + 1),
        };
        let stop = match key {
            Some(_) => text.len(),
            None => text[end..].find(separator).map_or(text.len(), |at| at + end),
        };
        let (before, after) = (&text[start..at], &text[end..stop]);
        let (own, before) = match (key, before.find(if is_json { ':' } else { '=' })) {
            (Some(key), _) => (Some(key), before),
            (None, Some(equals)) => (Some(&before[..equals]), &before[equals + 1..]),
            (None, None) => (None, before),
        };
        let quotes = ['"', '\'', ' '];
        let own = own.map(|own| own.trim_matches(quotes));
        let (before, after) = (before.trim_matches(quotes), after.trim_matches(quotes));
        let kind = match own {
            Some("qom-type" | "type" | "backend" | "driver") => continue,
            // `${TYPE},id=a`
            None if start == 0 && key.is_none() => continue,
            None => Kind::Nothing,
            Some(own) => kind(own, before, after),
        };
        found.push((name.to_owned(), kind));
    }
    found
}

/// What must stand in the value of this property, between these texts.
fn kind(key: &str, before: &str, after: &str) -> Kind {
    let whole = before.is_empty() && after.is_empty();
    match key.rsplit('.').next().unwrap_or(key) {
        "port" | "to" if whole => Kind::Port,
        "port" | "to" if before.len() >= WHOLE_PORT => Kind::Nothing,
        "port" | "to" => Kind::Digit,
        "host" | "localaddr" if whole || before.is_empty() && after.starts_with(':') => Kind::Host,
        "host" if before.is_empty() => Kind::Network,
        "host" => Kind::Digit,
        "listen" | "connect" | "udp" | "mcast" if before.ends_with(':') => Kind::Port,
        "listen" | "connect" | "udp" | "mcast" if before.is_empty() => Kind::Host,
        "listen" | "connect" | "udp" | "mcast" => Kind::Digit,
        "mac" | "macaddr" => {
            let literal = format!("{before}{after}");
            let known = literal.split(':').filter(|octet| !octet.is_empty()).count();
            Kind::Octets(6usize.saturating_sub(known).max(1))
        }
        "ifname" if !whole => Kind::Digit,
        "script" | "downscript" => Kind::Fixed("no"),
        "wait" | "telnet" | "tn3270" | "websocket" | "vhostforce" => Kind::Fixed("off"),
        "server" | "vhost" | "vnet_hdr" | "vnet-hdr-support" => Kind::Fixed("on"),
        "queues" | "hubid" | "vectors" => Kind::Fixed("1"),
        "reconnect" | "reconnect-ms" | "sndbuf" | "size" => Kind::Number,
        own => plain_value_of(own).map_or(Kind::Name, Kind::Fixed),
    }
}

/// A value of this kind that stands nowhere in the text.
fn value(kind: Kind, name: &str, number: usize, all: &str) -> Option<String> {
    let is_free = |value: &String| !all.contains(value.as_str());
    let numbered = |of: &dyn Fn(usize) -> String| (0..).map(of).find(is_free);
    match kind {
        Kind::Nothing => None,
        Kind::Fixed(text) => Some(text.to_owned()),
        Kind::Number => Some("1000".to_owned()),
        Kind::Network => Some(NETWORK.to_owned()),
        Kind::Digit => Some((number % 10).to_string()),
        Kind::Host => numbered(&|at| format!("{NETWORK}.{}", number + at + 1)),
        Kind::Port => numbered(&|at| (FIRST_PORT + number + at).to_string()),
        Kind::Octets(count) => {
            let octets: Vec<&str> = FIRST_OCTETS.split(':').take(count - 1).collect();
            let last = format!("{:02x}", (number + 0x10) % 0x100);
            Some(octets.into_iter().chain([last.as_str()]).collect::<Vec<_>>().join(":"))
        }
        Kind::Name => {
            let plain: String =
                name.chars().filter(char::is_ascii_alphanumeric).take(MOST_OF_NAME).collect();
            let plain = plain.trim_start_matches(|c: char| c.is_ascii_digit()).to_lowercase();
            let plain = if plain.is_empty() { "value" } else { &plain };
            numbered(&|at| format!("{plain}{at}"))
        }
    }
}

/// The text with its values; one that has none goes with the comma in front of it.
fn filled(text: &str, values: &BTreeMap<String, Option<String>>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((at, name, end)) = next(rest) {
        out.push_str(&rest[..at]);
        match values.get(name) {
            Some(Some(value)) => out.push_str(value),
            Some(None) => {
                let is_alone = rest[end..].is_empty() || rest[end..].starts_with(',');
                if is_alone && out.ends_with(',') {
                    out.pop();
                }
            }
            None => out.push_str(&rest[at..end]),
        }
        rest = &rest[end..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("tap,id=a,ifname=${tapName}", "tap,id=a,ifname=tapname0")]
    #[case("socket,id=c,host=${H},port=${P}", "socket,id=c,host=192.0.2.1,port=49153")]
    #[case("e1000,netdev=a,mac=${M}", "e1000,netdev=a,mac=02:00:00:00:00:10")]
    #[case("e1000,netdev=a,mac=${OUI}:01", "e1000,netdev=a,mac=02:00:00:00:10:01")]
    #[case("e1000,netdev=a,mac=52:54:00:00:00:${n}", "e1000,netdev=a,mac=52:54:00:00:00:10")]
    #[case("tap,id=hn${i},ifname=tap${i}", "tap,id=hn0,ifname=tap0")]
    #[case("socket,id=c,port=9003${more}", "socket,id=c,port=9003")]
    #[case("socket,id=c,port=1${more}", "socket,id=c,port=10")]
    #[case("tap,id=a,${more}", "tap,id=a")]
    #[case("socket,id=c,path=${DIR}/x", "socket,id=c,path=dir0/x")]
    #[case(
        "filter-x,id=${f},netdev=n,queue=${q},file=/t/${f}",
        "filter-x,id=f0,netdev=n,queue=all,file=/t/f0"
    )]
    #[case(
        "{\"type\":\"tap\",\"id\":\"a\",\"ifname\":\"${T}\"}",
        "{\"type\":\"tap\",\"id\":\"a\",\"ifname\":\"t0\"}"
    )]
    #[case("${WHOLE}", "${WHOLE}")]
    #[case("${TYPE},id=a", "${TYPE},id=a")]
    #[case("socket,id=c,path=$${DIR}", "socket,id=c,path=$${DIR}")]
    fn open_places_are_filled(#[case] text: &str, #[case] expected: &str) {
        let words = vec!["-object".to_owned(), text.to_owned()];
        let pieces = vec![Piece::CommandLine { words, whole: true }];
        let mut paste = Paste { pieces, ..Paste::default() };
        fill(&mut paste);
        let Piece::CommandLine { words, .. } = &paste.pieces[0] else { unreachable!() };
        assert_eq!(words[1], expected);
    }

    #[test]
    fn a_variable_has_one_value_that_is_not_taken() {
        let words = "-chardev socket,id=a,port=${P} -netdev tap,id=id0 -object filter-x,id=${P},netdev=${id}";
        let words = words.split(' ').map(str::to_owned).collect();
        let mut paste = Paste {
            pieces: vec![Piece::CommandLine { words, whole: true }],
            unset: vec![("P".to_owned(), "$P".to_owned())],
            ..Paste::default()
        };
        let found = fill(&mut paste);
        let shown: Vec<_> =
            found.iter().map(|one| (one.written.as_str(), one.value.as_deref())).collect();
        assert_eq!(shown, [("$P", Some("49152")), ("${id}", Some("id1"))]);
    }
}
