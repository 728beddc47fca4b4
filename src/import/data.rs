//! Argument lists in YAML and JSON: of a container, a pipeline, a playbook, a list that a program
//! printed.

use serde_json::{Map, Value};

use super::{
    flag,
    limit::MAX_BYTES,
    shell::{self, Shell},
};

/// What a document has of QEMU's, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// The words of a command.
    Words(Vec<String>),
    /// A text with command lines in it, and what it is called.
    Text(String, Option<String>),
}

/// Keys of variables.
const VARIABLES: &[&str] = &["variables", "env", "environment", "vars", "defaults"];
/// Keys of lists that come before the list beside them.
const FIRST: &[&str] = &["entrypoint", "command", "executable", "program", "binary", "path"];

/// The items of a text that is YAML or JSON; none where it is another, or has none.
pub(super) fn read(text: &str, shell: &mut Shell) -> Option<Vec<Item>> {
    let mut lines = text.lines().map(str::trim_start);
    let first = lines.find(|line| !line.is_empty() && !line.starts_with(['#', '%']))?;
    let key = first.split(':').next().unwrap_or_default();
    let is_key = first.contains(':')
        && key.chars().all(|c| c.is_ascii_alphanumeric() || "_-.\"'/".contains(c))
        && !flag::is_program(key);
    if !(first.starts_with(['[', '{'])
        || first.starts_with("- ")
        || first.starts_with("---")
        || is_key)
    {
        return None;
    }
    let mut found = Vec::new();
    for document in text.split("\n---") {
        let value = parse(document)?;
        variables(&value, shell);
        walk(&value, None, &mut found);
    }
    // Prose with a colon is YAML too; what it says is not in it.
    let options = |text: &str| flag::tokens(text).filter(|word| flag::is_net(word)).count();
    let read: usize = found
        .iter()
        .map(|item| match item {
            Item::Words(words) => words.iter().map(|word| options(word)).sum(),
            Item::Text(text, _) => options(text),
        })
        .sum();
    let comments = text.lines().filter(|line| line.trim_start().starts_with('#'));
    let there = options(text) - comments.map(options).sum::<usize>();
    (read >= there && read > 0).then_some(found)
}

fn parse(text: &str) -> Option<Value> {
    if let Ok(value) = serde_json::from_str(text) {
        return Some(value);
    }
    let options = serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_nodes: 20_000,
            max_depth: 32,
            max_total_scalar_bytes: MAX_BYTES,
            max_merge_keys: 16,
        },
        alias_limits: serde_yaml::alias_limits! {
            max_total_replayed_events: 20_000,
            max_replay_stack_depth: 8,
        },
        with_snippet: false,
    };
    let value: Value = serde_yaml::from_str_with_options(text, options).ok()?;
    matches!(value, Value::Array(_) | Value::Object(_)).then_some(value)
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(named(text)),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(is) => Some(is.to_string()),
        _ => None,
    }
}

/// `{{ name }}` of a template is a variable.
fn named(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, inner)) = rest.split_once("{{") {
        out.push_str(before);
        let Some((name, after)) = inner.split_once("}}") else {
            rest = inner;
            out.push_str("{{");
            continue;
        };
        let name = name.split('|').next().unwrap_or_default().trim().trim_start_matches('.');
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        out += &format!("${{{}}}", name.chars().map(plain).collect::<String>());
        rest = after;
    }
    out + rest
}

/// Variables of the document, for the texts in it.
fn variables(value: &Value, shell: &mut Shell) {
    let Value::Object(map) = value else {
        if let Value::Array(list) = value {
            list.iter().for_each(|value| variables(value, shell));
        }
        return;
    };
    for (key, value) in map {
        if VARIABLES.contains(&key.as_str()) {
            match value {
                Value::Object(of) => {
                    for (name, value) in of {
                        if let Some(text) = scalar(value) {
                            shell.assign(name, vec![text]);
                        }
                    }
                }
                Value::Array(list) => {
                    for text in list.iter().filter_map(scalar) {
                        if let Some((name, _, value)) = shell::assignment(&text) {
                            shell.assign(name, vec![value.to_owned()]);
                        }
                    }
                }
                _ => {}
            }
        }
        variables(value, shell);
    }
}

fn walk(value: &Value, name: Option<&str>, found: &mut Vec<Item>) {
    match value {
        Value::String(text) if flag::is_qemus(text) && text.contains(char::is_whitespace) => {
            found.push(Item::Text(named(text), name.map(str::to_owned)));
        }
        Value::Array(list) => match words(list) {
            Some(words) => found.push(Item::Words(words)),
            None => list.iter().for_each(|value| walk(value, name, found)),
        },
        Value::Object(map) => object(map, name, found),
        _ => {}
    }
}

/// A mapping: the lists of a program and of its arguments are one command.
fn object(map: &Map<String, Value>, name: Option<&str>, found: &mut Vec<Item>) {
    let list = |key: &str| match map.get(key)? {
        Value::Array(list) => list.iter().map(scalar).collect::<Option<Vec<_>>>(),
        other => scalar(other).filter(|text| !text.contains(' ')).map(|text| vec![text]),
    };
    let keys: Vec<&str> = map.keys().map(String::as_str).collect();
    let has_options = |words: &Vec<String>| words.iter().any(|word| flag::is_net(word));
    let mut first: Option<(&str, Vec<String>)> = None;
    for key in FIRST {
        if let Some(words) = list(key).filter(|words| !has_options(words))
            && words.iter().any(|word| flag::is_program(word))
        {
            first = Some((key, words));
        }
    }
    for key in keys {
        let words = list(key).filter(has_options);
        match (words, &first) {
            (Some(words), Some((_, program))) => {
                found.push(Item::Words(program.iter().cloned().chain(words).collect()));
            }
            (Some(words), None) => found.push(Item::Words(words)),
            (None, Some((taken, _))) if *taken == key && map.len() > 1 => {}
            (None, _) => {
                // `netdev: tap,id=hn0` of a map of options.
                let value = &map[key];
                let title = map.get("name").and_then(Value::as_str).or(name);
                walk(value, Some(title.unwrap_or(key)), found);
            }
        }
    }
}

/// The words that a list is, if one of them is an option.
fn words(list: &[Value]) -> Option<Vec<String>> {
    let words: Vec<String> = list.iter().map(scalar).collect::<Option<_>>()?;
    let one = |word: &String| flag::is_net(word);
    let begins = |word: &String| flag::is_option(word.split([' ', '=']).next().unwrap_or_default());
    // `- -netdev tap,id=hn0`: an option and its value in one item.
    (words.iter().any(one)
        || words.iter().filter(|word| flag::is_qemus(word)).all(begins) && words.iter().any(begins))
    .then_some(words)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("[\"qemu-system-x86_64\", \"-nic\", \"user\"]", "qemu-system-x86_64 -nic user")]
    #[case(
        "command: [qemu-system-x86_64]\nargs:\n  - -netdev\n  - \"tap,id={{ net }}\"",
        "qemu-system-x86_64 -netdev tap,id=${net}"
    )]
    #[case(
        "run:\n  script:\n    - \"true\"\n    - qemu-system-x86_64 -nic user\n",
        "? qemu-system-x86_64 -nic user"
    )]
    #[case("a: |\n  -netdev tap,id=a\n  -m 1\n", "? -netdev tap,id=a\n-m 1\n")]
    #[case("hello: world", "none")]
    #[case("Note: use -netdev tap,id=a\nand so on -nic user", "none")]
    fn documents_have_commands(#[case] text: &str, #[case] expected: &str) {
        let items = read(text, &mut Shell::default()).unwrap_or_default();
        let shown: Vec<String> = items
            .iter()
            .map(|item| match item {
                Item::Words(words) => words.join(" "),
                Item::Text(text, _) => format!("? {text}"),
            })
            .collect();
        let shown = if shown.is_empty() { "none".to_owned() } else { shown.join("|") };
        assert_eq!(shown, expected);
    }
}
