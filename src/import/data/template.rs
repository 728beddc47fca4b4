//! What templates in YAML are filled with: `{{ name }}` of Jinja, with the variables that stand above it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// Deepest nesting of variables that name others.
const MAX_DEPTH: usize = 8;
/// Most bytes that a text grows to.
const MOST_FILLED: usize = 1 << 20;

/// The variables of a document's part.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope(BTreeMap<String, Value>);

impl Scope {
    /// What an inventory says of hosts, wherever it stands in the text: `node1 ansible_host=10.0.0.1`.
    pub(super) fn of_inventory(text: &str) -> Self {
        let mut hosts = Map::new();
        for line in text.lines().filter(|line| line.contains("ansible_host=")) {
            let mut words = line.trim_start_matches(['#', ' ', '\t']).split_whitespace();
            let Some(name) = words.next().filter(|name| !name.contains('=')) else {
                continue;
            };
            let settings = words.filter_map(|word| word.split_once('='));
            let settings = settings.map(|(key, value)| (key.to_owned(), json!(value)));
            hosts.insert(name.to_owned(), Value::Object(settings.collect()));
        }
        Self(BTreeMap::from([("hostvars".to_owned(), Value::Object(hosts))]))
    }

    pub(super) fn set(&mut self, variables: &Map<String, Value>) {
        self.0.extend(variables.iter().map(|(name, value)| (name.clone(), value.clone())));
    }

    /// What a text is that is one mark: a list, a mapping, or a text.
    pub(super) fn value(&self, text: &str) -> Option<Value> {
        let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
        let path = inner.split('|').next()?.trim();
        self.look_up(path).cloned()
    }

    /// A value with the marks of all its texts filled.
    pub(super) fn deep(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.value(text).unwrap_or_else(|| json!(self.fill(text))),
            Value::Array(list) => list.iter().map(|value| self.deep(value)).collect(),
            Value::Object(map) => {
                let members = map.iter().map(|(key, value)| (key.clone(), self.deep(value)));
                Value::Object(members.collect())
            }
            other => other.clone(),
        }
    }

    /// The text with its marks filled; one of which nothing is known is `${NAME}`.
    pub(super) fn fill(&self, text: &str) -> String {
        let mut budget = MOST_FILLED;
        self.filled(text, 0, &mut budget)
    }

    fn filled(&self, text: &str, depth: usize, budget: &mut usize) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, inner)) = rest.split_once("{{") {
            out.push_str(before);
            let Some((expression, after)) = inner.split_once("}}") else {
                rest = inner;
                out.push_str("{{");
                continue;
            };
            let known = self.text(expression, depth, budget).filter(|text| text.len() <= *budget);
            match known {
                Some(text) => {
                    *budget -= text.len();
                    out += &text;
                }
                None => out += &format!("${{{}}}", plain(expression)),
            }
            rest = after;
        }
        out + rest
    }

    /// What an expression gives: a variable, what selects in it, and filters; none where that is not known.
    fn text(&self, expression: &str, depth: usize, budget: &mut usize) -> Option<String> {
        let mut parts = expression.split('|').map(str::trim);
        let path = parts.next()?;
        let quoted = |text: &str| {
            let inner = text.strip_prefix(['\'', '"'])?.strip_suffix(['\'', '"'])?;
            Some(inner.to_owned())
        };
        let value = quoted(path).map(Value::from).or_else(|| self.look_up(path).cloned());
        let mut separator = " ".to_owned();
        let mut default = None;
        for filter in parts {
            let (name, argument) = filter.split_once('(').unwrap_or((filter, ""));
            let argument = argument.trim_end_matches(')').trim();
            let text = match argument.chars().next().filter(|c| ['\'', '"'].contains(c)) {
                Some(quote) => argument[1..].split(quote).next().unwrap_or_default().to_owned(),
                None => argument.split(',').next().unwrap_or_default().trim().to_owned(),
            };
            match name.trim() {
                "join" => separator = text,
                "default" | "d" => default = Some(text),
                _ => {}
            }
        }
        let Some(value) = value.filter(|_| depth < MAX_DEPTH) else {
            return default;
        };
        let mut one = |value: &Value| match value {
            Value::String(text) => Some(self.filled(text, depth + 1, budget)),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(is) => Some(is.to_string()),
            _ => None,
        };
        match &value {
            Value::Array(list) => {
                let items: Option<Vec<String>> = list.iter().map(one).collect();
                Some(items?.join(&separator))
            }
            value => one(value),
        }
    }

    /// `name`, `name.key`, `name['key']`, `name[0]`.
    fn look_up(&self, path: &str) -> Option<&Value> {
        let path = path.trim_start_matches('.').trim_start_matches("Values.");
        let mut keys = path.split(['.', '[', ']']).map(|key| key.trim_matches(['\'', '"', ' ']));
        let mut value = self.0.get(keys.next()?)?;
        for key in keys.filter(|key| !key.is_empty()) {
            value = match value {
                Value::Array(list) => list.get(key.parse::<usize>().ok()?)?,
                value => value.get(key)?,
            };
        }
        Some(value)
    }
}

/// The name of a placeholder.
fn plain(expression: &str) -> String {
    let name = expression.split('|').next().unwrap_or_default().trim().trim_start_matches('.');
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("id={{ id }}", "id=hn0")]
    #[case("{{ list | join(',') }}", "a,b-hn0")]
    #[case("{{ map.ip }}:{{ map['port'] | int }}", "10.0.0.1:9")]
    #[case("{{ hostvars['n'].ansible_host }}", "10.0.0.2")]
    #[case("{{ none | default('x') }}{{ none }}", "x${none}")]
    #[case("{{ loop }}", "${loop}")]
    fn marks_are_filled(#[case] text: &str, #[case] expected: &str) {
        let mut scope = Scope::of_inventory("#  n ansible_host=10.0.0.2\n");
        let set = json!({
            "id": "hn0", "list": ["a", "b-{{ id }}"], "map": { "ip": "10.0.0.1", "port": 9 },
            "loop": "{{ loop }}",
        });
        scope.set(set.as_object().unwrap());
        assert_eq!(scope.fill(text), expected);
    }
}
