//! The commands that a text has with what they name, wherever they stand and whatever was made of them: those that
//! the scenario has not and no comment names are listed, so that none is lost in silence.

use std::collections::{BTreeMap, BTreeSet};

use super::text::near;

/// Commands that change the net layer, as both monitors call them.
const NAMES: &[&str] = &[
    "chardev-add",
    "chardev-remove",
    "device_add",
    "device_del",
    "migrate-incoming",
    "migrate_incoming",
    "netdev_add",
    "netdev_del",
    "object-add",
    "object-del",
    "object_add",
    "object_del",
    "qom-set",
    "set_link",
];

/// Most lines of a step.
const MOST_LINES: usize = 12;
/// Most bytes between the name of a command and the key of what it names.
const MOST_APART: usize = 300;
/// Most columns that are shown.
const SHOWN: usize = 120;

/// A command with what it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::import) struct Mention {
    /// As it is written.
    pub(in crate::import) shown: String,
    name: String,
    id: String,
}

/// The commands of a text that name something.
pub(in crate::import) fn mentions(text: &str) -> Vec<Mention> {
    let mut found: Vec<Mention> = Vec::new();
    let mut seen = BTreeSet::new();
    for name in NAMES {
        for (at, _) in text.match_indices(name) {
            let (before, behind) = (&text[..at], &text[at + name.len()..]);
            let goes_on = |c: char| c.is_alphanumeric() || "_-".contains(c);
            let is_escape = ["\\n", "\\r", "\\t"].iter().any(|escape| before.ends_with(escape));
            let is_inside = before.ends_with(|c: char| goes_on(c) || c == '/') && !is_escape;
            if is_inside || behind.starts_with(goes_on) {
                continue;
            }
            let Some(id) = id(near(behind, 0), text) else { continue };
            if seen.insert((plain(name), id.clone())) {
                let shown = format!("{name}{}", near(behind, 0).lines().next().unwrap_or_default());
                let shown = shown.chars().take(SHOWN).collect();
                found.push(Mention { shown, name: plain(name), id });
            }
        }
    }
    found
}

/// What a command names, by what stands behind its name.
fn id(behind: &str, text: &str) -> Option<String> {
    let between = |c: char| c.is_whitespace() || "\"'`\\,:({[".contains(c);
    let rest = behind.trim_start_matches(between);
    let is_keyed = ["arguments", "args", "params", "{", "id", "path", "name", "qom-type", "uri"];
    let end =
        rest.find(|c: char| c.is_whitespace() || "\"'`\\);|<}".contains(c)).unwrap_or(rest.len());
    let word = rest[..end].trim_end_matches([',', '.', ':']);
    let keyed = is_keyed
        .iter()
        .any(|key| rest.starts_with(key) && !rest[key.len()..].starts_with(char::is_alphanumeric));
    let id = if keyed || word.contains('=') {
        let end = rest.find("execute").unwrap_or(rest.len()).min(MOST_APART);
        value(near(rest, 0).get(..end).unwrap_or(word))?
    } else {
        let is_id = word.contains(|c: char| c.is_ascii_digit() || c == '/')
            || text.contains(&format!("id={word}"));
        is_id.then_some(word)?
    };
    let id = id.rsplit('/').next()?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.:".contains(c);
    (!id.is_empty() && id.chars().all(is_plain)).then(|| id.to_owned())
}

/// The value of the first key that names something.
fn value(text: &str) -> Option<&str> {
    const QUOTES: [char; 3] = ['"', '\'', '\\'];
    let keys = ["id", "path", "name", "uri"].iter().flat_map(|key| {
        let found = text.match_indices(key);
        found.filter_map(|(at, key)| {
            let is_key = !text[..at].ends_with(|c: char| c.is_alphanumeric() || "_-=".contains(c));
            let behind = text[at + key.len()..].trim_start_matches(['"', '\'', '\\', ' ']);
            let value = behind.strip_prefix([':', '=']).filter(|_| is_key)?;
            let value = value.trim_start_matches(['>', ' ']);
            // A letter before a quote is a string's kind, as in `f"b{n}"`.
            let behind = value.trim_start_matches(|c: char| c.is_ascii_alphabetic());
            let is_kind = value.len() - behind.len() <= 2 && behind.starts_with(QUOTES);
            let value = if is_kind { behind } else { value };
            Some((at, value.trim_start_matches(QUOTES)))
        })
    });
    let (_, value) = keys.min_by_key(|(at, _)| *at)?;
    let end = value.find(|c: char| c.is_whitespace() || "\"'`\\,);}|<".contains(c));
    Some(&value[..end.unwrap_or(value.len())])
}

fn plain(name: &str) -> String {
    name.replace('_', "-")
}

/// Those that a scenario's text does not have, and names in no comment.
pub(in crate::import) fn missing<'a>(mentions: &'a [Mention], text: &str) -> Vec<&'a Mention> {
    if mentions.is_empty() {
        return Vec::new();
    }
    let mut has: BTreeSet<(String, &str)> = BTreeSet::new();
    let lines: Vec<&str> = text.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        for name in NAMES.iter().filter(|name| line.contains(**name)) {
            let more = lines[at + 1..].iter().take(MOST_LINES);
            let more =
                more.take_while(|line| line.starts_with("      ") || line.starts_with("#    "));
            for line in std::iter::once(line).chain(more) {
                let words =
                    line.split(|c: char| !(c.is_ascii_alphanumeric() || "_-.:".contains(c)));
                has.extend(words.map(|word| (plain(name), word.trim_end_matches([':', '.']))));
            }
        }
    }
    // A NIC is called by its netdev in a scenario, which a comment says.
    let nics: BTreeMap<&str, String> = lines.iter().filter_map(|line| nic(line)).collect();
    let is_there = |one: &&Mention| {
        let of = |id: &str| has.contains(&(one.name.clone(), id));
        of(&one.id) || nics.get(one.id.as_str()).is_some_and(|port| of(port))
    };
    mentions.iter().filter(|one| !is_there(one)).collect()
}

/// The id of a NIC that a comment names, and its port in a scenario.
fn nic(line: &str) -> Option<(&str, String)> {
    let (device, netdev) = line.split_once(" is the guest's side of ")?;
    let id = device.split(',').find_map(|item| item.strip_prefix("id="))?;
    Some((id, format!("{}.guest", netdev.trim())))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("(qemu) object_del f0", "object-del f0")]
    #[case("x\\nobject_add filter-dump,id=d,netdev=n\\n", "object-add d")]
    #[case("{\"execute\": \"object-del\", \"arguments\": {\"id\": \"f\"}}", "object-del f")]
    #[case(
        "{\\\"execute\\\": \\\"set_link\\\", \\\"arguments\\\": {\\\"name\\\": \\\"n\\\"",
        "set-link n"
    )]
    #[case("vm.qmp('qom-set', path='/objects/f', property='status')", "qom-set f")]
    #[case("mon.object_del('f0')", "object-del f0")]
    #[case("qom-set /objects/f status off", "qom-set f")]
    #[case("vm.cmd('object-del', {'id': f'b{n}'})", "")]
    #[case("vm.cmd('object-del', {'id': r'b1'})", "object-del b1")]
    #[case("object_del the filter", "")]
    #[case("the object-add of x-object-add", "")]
    fn commands_name_something(#[case] text: &str, #[case] expected: &str) {
        let found = mentions(text);
        let shown: Vec<String> =
            found.iter().map(|one| format!("{} {}", one.name, one.id)).collect();
        assert_eq!(shown.join("|"), expected);
    }

    #[test]
    fn a_nic_is_called_by_its_netdev() {
        let said = mentions("set_link e0 off");
        let comment = "#   -device e1000,id=e0,netdev=n0 is the guest's side of n0\n";
        let step = "  - set_link: { name: n0.guest, up: false }\n";
        assert!(missing(&said, &format!("{comment}{step}")).is_empty());
        assert_eq!(missing(&said, comment).len(), 1);
    }

    #[rstest]
    #[case("steps:\n  - object-del: f0\n", true)]
    #[case("steps:\n  - object-del:\n      id: f0\n", true)]
    #[case("#   no step for object_del f0: the text only mentions it\n", true)]
    #[case("objects:\n  - filter-dump,id=f0\n", false)]
    fn what_is_named_is_there(#[case] text: &str, #[case] expected: bool) {
        assert_eq!(missing(&mentions("object_del f0"), text).is_empty(), expected);
    }
}
