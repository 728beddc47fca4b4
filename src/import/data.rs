//! Argument lists in YAML and JSON: of a container, a pipeline, a playbook, a list that a program
//! printed.

use serde_json::{Map, Value};

use super::{
    data::template::Scope,
    flag,
    limit::MAX_BYTES,
    part,
    shell::{self, Shell},
};

mod template;

/// What a document has of QEMU's, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// The words of a command, and what they are called: the names and keys above them, the nearest last.
    Words(Vec<String>, Vec<String>),
    /// A text with command lines in it, and what it is called.
    Text(String, Vec<String>),
}

/// Keys that say what something is, and not whose it is.
const STRUCTURE: &[&str] = &[
    "args",
    "argv",
    "before_script",
    "build",
    "cmd",
    "cmdline",
    "command",
    "command_line",
    "commands",
    "config",
    "containers",
    "content",
    "data",
    "environment",
    "env",
    "exec",
    "files",
    "image",
    "jobs",
    "machines",
    "options",
    "params",
    "qemu",
    "run",
    "runcmd",
    "script",
    "services",
    "shell",
    "spec",
    "stages",
    "steps",
    "tasks",
    "template",
    "units",
    "user_data",
    "vars",
    "variables",
    "vms",
    "with",
    "write_files",
];

/// The machine that a command of a document is of: a part that a name above it says, else the nearest name
/// that is one word and no key of the document's form.
pub(super) fn machine_of(names: &[String]) -> Option<String> {
    let plain = |name: &&String| {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
            && !STRUCTURE.contains(&name.as_str())
    };
    // `pvm` is a part, and a name.
    let is_word = |name: &str| name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let part = names.iter().rev().find_map(|name| match part::in_words(name)? {
        _ if is_word(name) => Some(name.clone()),
        part => Some(part),
    });
    part.or_else(|| names.iter().rev().find(plain).cloned())
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
    let mut scope = Scope::of_inventory(text);
    for document in text.split("\n---") {
        if document.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
        {
            continue;
        }
        let value = parse(document)?;
        variables(&value, shell);
        walk(&value, &mut Vec::new(), &mut scope, &mut found);
    }
    for item in &mut found {
        if let Item::Words(words, _) = item {
            words.iter_mut().for_each(|word| *word = expanded(word, shell));
        }
    }
    // Prose with a colon is YAML too; what it says is not in it.
    let options = |text: &str| flag::tokens(text).filter(|word| flag::is_net(word)).count();
    let read: usize = found
        .iter()
        .map(|item| match item {
            Item::Words(words, _) => words.iter().map(|word| options(word)).sum(),
            Item::Text(text, _) => options(text),
        })
        .sum();
    let comments = text.lines().filter(|line| line.trim_start().starts_with('#'));
    let there = options(text) - comments.map(options).sum::<usize>();
    (read >= there && read > 0).then_some(found)
}

/// A word with `$(NAME)` of Kubernetes as the value that the document gives it, or as `${NAME}`.
fn expanded(word: &str, shell: &Shell) -> String {
    let mut out = String::new();
    let mut rest = word;
    while let Some((before, inner)) = rest.split_once("$(") {
        out.push_str(before);
        let is_name = |name: &&str| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        match inner.split_once(')').filter(|(name, _)| is_name(name)) {
            Some((name, after)) => {
                match shell.value(name) {
                    Some(value) => out += &value.join(" "),
                    None => out += &format!("${{{name}}}"),
                }
                rest = after;
            }
            None => {
                out.push_str("$(");
                rest = inner;
            }
        }
    }
    out + rest
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

/// A scalar's text, with what it names of the scope.
fn scalar(value: &Value, scope: &Scope) -> Option<String> {
    match value {
        Value::String(text) => Some(scope.fill(text)),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(is) => Some(is.to_string()),
        _ => None,
    }
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
                        if let Some(text) = scalar(value, &Scope::default()) {
                            shell.assign(name, vec![text]);
                        }
                    }
                }
                Value::Array(list) => {
                    // `env:` of Kubernetes: `- { name: A, value: b }`
                    for one in list {
                        let text = |key: &str| scalar(one.get(key)?, &Scope::default());
                        if let (Some(name), Some(value)) = (text("name"), text("value")) {
                            shell.assign(&name, vec![value]);
                        }
                    }
                    for text in list.iter().filter_map(|value| scalar(value, &Scope::default())) {
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

fn walk(value: &Value, names: &mut Vec<String>, scope: &mut Scope, found: &mut Vec<Item>) {
    match value {
        Value::String(text) if text.contains(char::is_whitespace) => {
            let text = scope.fill(text);
            if flag::is_qemus(&text) {
                found.push(Item::Text(text, names.clone()));
            }
        }
        Value::Array(list) => match words(list, scope) {
            Some(words) => found.push(Item::Words(words, names.clone())),
            None => list.iter().for_each(|value| walk(value, names, scope, found)),
        },
        Value::Object(map) => {
            let depth = names.len();
            let title = |map: &Map<String, Value>, key: &str| {
                map.get(key).and_then(Value::as_str).map(str::to_owned)
            };
            let metadata = map.get("metadata").and_then(Value::as_object);
            names.extend(metadata.and_then(|map| title(map, "name")));
            let titles = ["name", "hostname", "container_name", "vm", "host", "hosts"];
            names.extend(titles.iter().rev().filter_map(|key| title(map, key)));
            let outer = scope.clone();
            for key in VARIABLES {
                if let Some(Value::Object(set)) = map.get(*key) {
                    scope.set(set);
                }
            }
            object(map, names, scope, found);
            *scope = outer;
            names.truncate(depth);
        }
        _ => {}
    }
}

/// A mapping: the lists of a program and of its arguments are one command.
fn object(
    map: &Map<String, Value>,
    names: &mut Vec<String>,
    scope: &mut Scope,
    found: &mut Vec<Item>,
) {
    let list = |key: &str, scope: &Scope| match map.get(key)? {
        Value::Array(list) => {
            list.iter().map(|value| scalar(value, scope)).collect::<Option<Vec<_>>>()
        }
        other => scalar(other, scope).filter(|text| !text.contains(' ')).map(|text| vec![text]),
    };
    let keys: Vec<&str> = map.keys().map(String::as_str).collect();
    let has_options = |words: &Vec<String>| words.iter().any(|word| flag::is_net(word));
    let mut first: Option<(&str, Vec<String>)> = None;
    for key in FIRST {
        if let Some(words) = list(key, scope).filter(|words| !has_options(words))
            && words.iter().any(|word| flag::is_program(word))
        {
            first = Some((key, words));
        }
    }
    for key in keys {
        let words = list(key, scope).filter(has_options);
        match (words, &first) {
            (Some(words), Some((_, program))) => {
                let words = program.iter().cloned().chain(words).collect();
                found.push(Item::Words(words, names.clone()));
            }
            (Some(words), None) => {
                names.push(key.to_owned());
                found.push(Item::Words(words, names.clone()));
                names.pop();
            }
            (None, Some((taken, _))) if *taken == key && map.len() > 1 => {}
            (None, _) => {
                // `netdev: tap,id=hn0` of a map of options.
                // A key says more than the title of what stands beside it.
                names.push(key.to_owned());
                walk(&map[key], names, scope, found);
                names.pop();
            }
        }
    }
}

/// The words that a list is, if one of them is an option.
fn words(list: &[Value], scope: &Scope) -> Option<Vec<String>> {
    let words: Vec<String> =
        list.iter().map(|value| scalar(value, scope)).collect::<Option<_>>()?;
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
    #[case(
        "- vars:\n    ip: 10.0.0.1\n    net:\n      - -netdev tap,id=a\n      - -chardev socket,id=c,host={{ ip }}\n  shell: qemu-system-arm {{ net | join(' ') }} -S\n- vars: { ip: 1 }\n  argv: [qemu-system-arm, -nic, \"tap,ip={{ ip }}\"]\n",
        "-netdev tap,id=a -chardev socket,id=c,host=10.0.0.1|? qemu-system-arm -netdev tap,id=a -chardev socket,id=c,host=10.0.0.1 -S|qemu-system-arm -nic tap,ip=1"
    )]
    #[case(
        "env:\n  - { name: T, value: t0 }\nargs: [qemu-system-arm, -nic, \"tap,ifname=$(T),script=$(S)\"]",
        "qemu-system-arm -nic tap,ifname=t0,script=${S}"
    )]
    #[case("hello: world", "none")]
    #[case("Note: use -netdev tap,id=a\nand so on -nic user", "none")]
    fn documents_have_commands(#[case] text: &str, #[case] expected: &str) {
        let items = read(text, &mut Shell::default()).unwrap_or_default();
        let shown: Vec<String> = items
            .iter()
            .map(|item| match item {
                Item::Words(words, _) => words.join(" "),
                Item::Text(text, _) => format!("? {text}"),
            })
            .collect();
        let shown = if shown.is_empty() { "none".to_owned() } else { shown.join("|") };
        assert_eq!(shown, expected);
    }
}
