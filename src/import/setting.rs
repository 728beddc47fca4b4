//! Configurations of `name = value` lines, of which some hold options: Avocado-VT's Cartesian files, INI files.
//! `${name}` is what another line sets, `+=` goes on, and names that differ only in their ends are machines.

use std::collections::BTreeMap;

use super::{flag, limit::MAX_WRITTEN};

/// Deepest nesting of values that name others.
const MAX_DEPTH: usize = 4;

/// The options that each of several names holds, in their order, with the machine that the name is of.
pub(super) fn read(text: &str) -> Option<Vec<(Option<String>, String)>> {
    // A makefile, a shell's script.
    if text.contains("$(") {
        return None;
    }
    let mut values: BTreeMap<&str, String> = BTreeMap::new();
    let mut order: Vec<&str> = Vec::new();
    for line in text.lines().map(str::trim) {
        let is_comment = line.is_empty() || line.starts_with(['#', ';', '[']);
        let Some((name, adds, value)) = setting(line).filter(|_| !is_comment) else {
            // A program has calls.
            if !is_comment && (flag::is_qemus(line) || line.contains('(')) {
                return None;
            }
            continue;
        };
        let old = values.entry(name).or_default();
        if !adds {
            old.clear();
        }
        old.push_str(value);
        if !order.contains(&name) {
            order.push(name);
        }
    }
    let has_net = |name: &&&str| {
        values.get(**name).is_some_and(|value| value.split_whitespace().any(flag::is_net))
    };
    let holding: Vec<&str> = order.iter().filter(has_net).copied().collect();
    let adding = text.lines().any(|line| setting(line.trim()).is_some_and(|(_, adds, _)| adds));
    // One line of options is a shell's assignment, or a program's.
    if holding.is_empty() || !adding {
        return None;
    }
    let mut budget = MAX_WRITTEN;
    let items = holding.iter().map(|name| {
        let value = values.get(name).map(String::as_str).unwrap_or_default();
        (machine(name, &holding), filled(value, &values, 0, &mut budget))
    });
    Some(items.collect())
}

/// `name = value` and `name += "value"`, with blanks around the sign.
fn setting(line: &str) -> Option<(&str, bool, &str)> {
    let (name, value) = line.split_once(" = ").or_else(|| line.split_once(" += "))?;
    let adds = line[name.len()..].starts_with(" +=");
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let value = value.trim();
    let inner = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    let inner =
        inner.or_else(|| value.strip_prefix('\'').and_then(|value| value.strip_suffix('\'')));
    let plain = !value.contains(['"', '\'', '(', '[', '`']) && !value.contains("$(");
    let value = inner.or(plain.then_some(value))?;
    (!name.is_empty() && name.chars().all(is_name)).then_some((name, adds, value))
}

/// What a name has behind what it shares with the others.
fn machine(name: &str, all: &[&str]) -> Option<String> {
    let (stem, end) = name.rsplit_once('_')?;
    let shares = |other: &&str| {
        *other != name && other.rsplit_once('_').is_some_and(|(other, _)| other == stem)
    };
    (all.len() > 1 && all.iter().any(shares)).then(|| end.to_owned())
}

fn filled(text: &str, values: &BTreeMap<&str, String>, depth: usize, budget: &mut usize) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, inner)) = rest.split_once("${") {
        out.push_str(before);
        let known =
            inner.split_once('}').and_then(|(name, after)| Some((values.get(name)?, after)));
        match known.filter(|(value, _)| depth < MAX_DEPTH && value.len() <= *budget) {
            Some((value, after)) => {
                *budget -= value.len();
                out += &filled(value, values, depth + 1, budget);
                rest = after;
            }
            None => {
                out.push_str("${");
                rest = inner;
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_ends_of_their_own_are_machines() {
        let text = "ip = 10.0.0.1\nv = vnet_hdr_support=on\nx_a = \" -netdev tap,id=n\"\n\
                    x_a += \" -chardev socket,id=c,host=${ip}\"\nx_b = \" -nic user,${v},${w}\"\n";
        let expected = [
            (
                Some("a".to_owned()),
                " -netdev tap,id=n -chardev socket,id=c,host=10.0.0.1".to_owned(),
            ),
            (Some("b".to_owned()), " -nic user,vnet_hdr_support=on,${w}".to_owned()),
        ];
        assert_eq!(read(text).unwrap(), expected);
    }

    #[test]
    fn other_texts_are_none() {
        assert_eq!(read("NET = -netdev tap,id=$(ID)\nNET += -S\n"), None);
        assert_eq!(read("a = \"-netdev tap,id=a\"\n"), None);
        assert_eq!(read("qemu-system-arm -nic user\na += b\n"), None);
    }
}
