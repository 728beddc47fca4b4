//! The text of a `-readconfig` file.

use crate::qapi::Options;

/// A section of it, as the words of the command line that say the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Section {
    /// `netdev`, `chardev`, `object`, `device`, ...
    pub(super) group: String,
    pub(super) text: String,
}

/// A section that begins in the first of these lines, and how many it takes.
pub(super) fn read(lines: &[&str]) -> Option<(Section, usize)> {
    let inner = lines.first()?.trim().strip_prefix('[')?.strip_suffix(']')?;
    let (group, id) = match inner.split_once(char::is_whitespace) {
        Some((group, id)) => (group, Some(unquoted(id.trim())?)),
        None => (inner, None),
    };
    let plain = |c: char| c.is_ascii_lowercase() || c == '-' || c == '_';
    if group.is_empty() || !group.chars().all(plain) {
        return None;
    }
    let mut map = serde_json::Map::new();
    if let Some(id) = id {
        map.insert("id".to_owned(), id.into());
    }
    let mut taken = 1;
    for line in &lines[1..] {
        let line = line.trim();
        if !line.is_empty() && !line.starts_with('#') {
            let Some((key, value)) = line.split_once('=') else {
                break;
            };
            let Some(value) = unquoted(value.trim()) else {
                break;
            };
            map.insert(key.trim().to_owned(), value.into());
        }
        taken += 1;
    }
    let implied = match group {
        "netdev" => "type",
        "chardev" => "backend",
        "object" => "qom-type",
        "device" => "driver",
        _ => "",
    };
    let section = Section { group: group.to_owned(), text: Options::of_json(&map, implied).text() };
    Some((section, taken))
}

fn unquoted(text: &str) -> Option<&str> {
    text.strip_prefix('"')?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_an_option_string() {
        let text = "[netdev \"hn0\"]\n  type = \"tap\"\n# no\n\n  vhost = \"off\"\n[x]";
        let lines: Vec<&str> = text.lines().collect();
        let section =
            Section { group: "netdev".to_owned(), text: "tap,id=hn0,vhost=off".to_owned() };
        assert_eq!(read(&lines), Some((section, 5)));
        assert_eq!(read(&["[PATCH 1/2] \"x\""]), None);
    }
}
