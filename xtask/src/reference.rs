//! docs/language.md: every key of the language, from its table, with a shipped scenario for each.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::Value;
use tapwright::{
    diag::Source,
    scenario::{Key, KeyMap, KeyType, key_table, tree},
};

use crate::chore::{ChoreError, root};

/// The scenarios that show every key.
const EXAMPLES: &str = "scenarios/language";

/// What stands above the tables.
const INTRODUCTION: &str = include_str!("reference/introduction.md");

/// The map and the key, to the example that has it.
type Uses = BTreeMap<(&'static str, &'static str), String>;

/// The whole page.
pub(crate) fn text() -> Result<String, ChoreError> {
    let examples = examples()?;
    let mut uses = Uses::new();
    let scenario = key_table()[0];
    for (name, text) in &examples {
        visit(&read(name, text)?, KeyType::Map(scenario), &mut |map, key| {
            uses.entry((map, key)).or_insert_with(|| name.clone());
        });
    }
    let mut page = INTRODUCTION.to_owned();
    for map in key_table() {
        page += &section(map, &uses);
    }
    page += "\n## Examples\n\nEach runs with the suite: `tapwright run scenarios/language`.\n";
    for (name, text) in &examples {
        let path = format!("{EXAMPLES}/{name}.yaml");
        // Writing to a String can't fail.
        let _ = write!(page, "\n### {name}\n\n```yaml shipped={path}\n{text}```\n");
    }
    Ok(page)
}

/// The examples by name, in the order of their names.
fn examples() -> Result<BTreeMap<String, String>, ChoreError> {
    let folder = root().join(EXAMPLES);
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| ChoreError::Unreadable { path, source }
    };
    let paths: Vec<PathBuf> = fs::read_dir(&folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .map_err(unreadable(&folder))?;
    let mut examples = BTreeMap::new();
    for path in paths {
        let is_scenario = path.extension().is_some_and(|extension| extension == "yaml");
        if let Some(name) = path.file_stem().filter(|_| is_scenario) {
            let text = fs::read_to_string(&path).map_err(unreadable(&path))?;
            examples.insert(name.to_string_lossy().into_owned(), text);
        }
    }
    Ok(examples)
}

fn read(name: &str, text: &str) -> Result<Value, ChoreError> {
    let source = Source { path: format!("{EXAMPLES}/{name}.yaml").into(), text: text.to_owned() };
    let path = source.path.clone();
    tree::read(&Arc::new(source)).map_err(|reports| ChoreError::Scenario {
        path,
        reason: reports.into_iter().map(|report| report.message).collect(),
    })
}

/// Tells of every key that a value has, by the kind of map that it stands in.
fn visit(value: &Value, kind: KeyType, tell: &mut dyn FnMut(&'static str, &'static str)) {
    match (kind, value) {
        (KeyType::Map(map), Value::Object(entries)) => {
            for key in map.keys {
                if let Some(value) = entries.get(key.name) {
                    tell(map.name, key.name);
                    visit(value, key.kind, tell);
                }
            }
        }
        (KeyType::Open(map, others), Value::Object(entries)) => {
            visit(value, KeyType::Map(map), tell);
            let keys = |name: &String| map.keys.iter().any(|key| key.name == name);
            for (_, value) in entries.iter().filter(|(name, _)| !keys(name)) {
                visit(value, *others, tell);
            }
        }
        (KeyType::Named(of), Value::Object(entries)) => {
            entries.values().for_each(|value| visit(value, *of, tell));
        }
        (KeyType::List(of), Value::Array(values)) => {
            values.iter().for_each(|value| visit(value, *of, tell));
        }
        (KeyType::Step, Value::Object(entries)) => {
            for map in key_table().into_iter().filter(|map| is_step(map)) {
                if entries.contains_key(map.keys[0].name) {
                    visit(value, KeyType::Map(map), tell);
                }
            }
        }
        (KeyType::Bytes, Value::Array(values)) => {
            values.iter().for_each(|value| visit(value, kind, tell));
        }
        (KeyType::Bytes, Value::Object(_)) => {
            for map in kind.maps() {
                visit(value, KeyType::Map(map), tell);
            }
        }
        (KeyType::OneOf(kinds), _) => kinds.iter().for_each(|kind| visit(value, *kind, tell)),
        _ => {}
    }
}

/// A step's map begins with its verb.
fn is_step(map: &KeyMap) -> bool {
    map.name.ends_with(" step")
}

fn section(map: &KeyMap, uses: &Uses) -> String {
    let mut text = format!("\n## {}\n\n", heading(map));
    text += "| Key | Type | Default | Since | | Example |\n|---|---|---|---|---|---|\n";
    for key in map.keys {
        text += &row(key, uses.get(&(map.name, key.name)));
    }
    text
}

fn heading(map: &KeyMap) -> String {
    let mut letters = map.name.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

fn row(key: &Key, example: Option<&String>) -> String {
    let required = if key.required { " (required)" } else { "" };
    let example =
        example.map_or_else(String::new, |name| format!("[{name}](../{EXAMPLES}/{name}.yaml)"));
    format!(
        "| `{}`{required} | {} | {} | {} | {} | {example} |\n",
        key.name,
        shown(key.kind),
        key.default.unwrap_or_default(),
        key.since,
        key.doc,
    )
}

fn link(map: &KeyMap) -> String {
    let anchor: String = map
        .name
        .to_lowercase()
        .replace(' ', "-")
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c))
        .collect();
    format!("[{}](#{anchor})", map.name)
}

fn shown(kind: KeyType) -> String {
    match kind {
        KeyType::Text => "text".to_owned(),
        KeyType::Bool => "boolean".to_owned(),
        KeyType::Integer(least, u64::MAX) => format!("{least} and up"),
        KeyType::Integer(least, most) => format!("{least} to {most}"),
        KeyType::Duration => "duration".to_owned(),
        KeyType::Mac => "MAC address".to_owned(),
        KeyType::Ipv4 => "IPv4 address".to_owned(),
        KeyType::Ipv6 => "IPv6 address".to_owned(),
        KeyType::Choice(words) => {
            let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
            words.join(", ")
        }
        KeyType::Name => "name".to_owned(),
        KeyType::Texts => "text, or list of texts".to_owned(),
        KeyType::Bytes => "text, [a piece of bytes](#a-piece-of-bytes), or list of both".to_owned(),
        KeyType::Nothing => "nothing".to_owned(),
        KeyType::Scalar => "text, number, boolean or null".to_owned(),
        KeyType::Arguments => "QEMU's arguments".to_owned(),
        KeyType::Map(map) => link(map),
        KeyType::Open(map, others) => format!("{}; ports to {}", link(map), shown(*others)),
        KeyType::Named(of) => format!("names to {}", shown(*of)),
        KeyType::List(of) => format!("list of {}", shown(*of)),
        KeyType::Step => "steps".to_owned(),
        KeyType::OneOf(kinds) => {
            let kinds: Vec<String> = kinds.iter().map(|kind| shown(*kind)).collect();
            kinds.join(", or ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// TLS needs credentials, which no object of the machine makes.
    const SHOWN_NOWHERE: &[(&str, &str)] = &[("a chardev", "tls-creds")];

    #[test]
    fn every_key_has_an_example() {
        let mut used = std::collections::BTreeSet::new();
        for (name, text) in examples().unwrap() {
            let tree = read(&name, &text).unwrap();
            visit(&tree, KeyType::Map(key_table()[0]), &mut |map, key| {
                used.insert((map, key));
            });
        }
        let missing: Vec<_> = key_table()
            .into_iter()
            .flat_map(|map| map.keys.iter().map(|key| (map.name, key.name)))
            .filter(|key| !used.contains(key) && !SHOWN_NOWHERE.contains(key))
            // `- stop` is the word alone.
            .filter(|key| *key != ("a `stop` step", "stop"))
            // What every command takes is shown with one of them.
            .filter(|(map, key)| !(map.ends_with(" step") && ["machine", "error"].contains(key)))
            .collect();
        assert_eq!(missing, []);
    }
}
