//! QEMU's options, `a,key=value,...` or JSON, whose elements stay letter for letter.

use serde_json::{Map, Value};

use super::option;

/// An element of an option string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) key: String,
    /// As QEMU reads it.
    pub(crate) value: String,
    /// As it is written.
    pub(crate) raw: String,
}

/// The elements of an option string.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options(pub(crate) Vec<Item>);

impl Options {
    /// An option string; `implied` is the key of a first element without `=`.
    pub(crate) fn read(text: &str, implied: &str) -> Self {
        let elements = option::split(text).into_iter().map(|element| Item {
            raw: text[element.at..element.at + element.len].to_owned(),
            key: element.key.unwrap_or_else(|| implied.to_owned()),
            value: element.value,
        });
        // `a,,` at the end and an empty element say nothing.
        Self(elements.filter(|item| !item.raw.is_empty()).collect())
    }

    /// The option string that says what a JSON object does: the implied key first, inner objects
    /// with dots, lists by number.
    pub(crate) fn of_json(map: &Map<String, Value>, implied: &str) -> Self {
        let mut items = Vec::new();
        if let Some(Value::String(first)) = map.get(implied) {
            let raw = first.replace(',', ",,");
            let (key, value) = (implied.to_owned(), first.clone());
            items.push(Item { key, value, raw });
        }
        for (key, value) in map.iter().filter(|(key, _)| *key != implied) {
            flatten(key, value, &mut items);
        }
        Self(items)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        let mut items = self.0.iter().rev();
        items.find(|item| item.key == key).map(|item| item.value.as_str())
    }

    /// The id, where it is not empty.
    pub(crate) fn id(&self) -> Option<&str> {
        self.get("id").filter(|id| !id.is_empty())
    }

    /// Takes every element of this key out; gives how the last was written.
    pub(crate) fn remove(&mut self, key: &str) -> Option<String> {
        let last = self.0.iter().rev().find(|item| item.key == key)?.raw.clone();
        self.0.retain(|item| item.key != key);
        Some(last)
    }

    pub(crate) fn push(&mut self, key: &str, value: &str) {
        self.0.push(item(key, value));
    }

    /// Puts the element in the place of the one with its key, or last.
    pub(crate) fn set(&mut self, key: &str, value: &str) {
        match self.0.iter_mut().find(|item| item.key == key) {
            Some(old) => *old = item(key, value),
            None => self.push(key, value),
        }
    }

    pub(crate) fn text(&self) -> String {
        let raw: Vec<&str> = self.0.iter().map(|item| item.raw.as_str()).collect();
        raw.join(",")
    }
}

fn item(key: &str, value: &str) -> Item {
    Item {
        key: key.to_owned(),
        value: value.to_owned(),
        raw: format!("{key}={}", value.replace(',', ",,")),
    }
}

fn flatten(key: &str, value: &Value, items: &mut Vec<Item>) {
    match value {
        Value::Object(map) => {
            for (inner, value) in map {
                flatten(&format!("{key}.{inner}"), value, items);
            }
        }
        Value::Array(list) => {
            for (number, value) in list.iter().enumerate() {
                flatten(&format!("{key}.{number}"), value, items);
            }
        }
        Value::Bool(value) => items.push(item(key, if *value { "on" } else { "off" })),
        Value::String(text) => items.push(item(key, text)),
        Value::Number(number) => items.push(item(key, &number.to_string())),
        Value::Null => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_touched_stays_as_it_is_written() {
        let text = "socket,id=a,path=/x,,y,server,nowait";
        let mut options = Options::read(text, "backend");
        assert_eq!(options.text(), text);
        assert_eq!(options.get("path"), Some("/x,y"));
        assert_eq!(options.remove("wait").as_deref(), Some("nowait"));
        options.set("path", "z");
        assert_eq!(options.text(), "socket,id=a,path=z,server");
    }

    #[test]
    fn json_is_the_string_that_says_the_same() {
        let json =
            json!({"id": "a", "type": "tap", "vhost": false, "local": {"port": 1}, "q": [2]});
        let map = json.as_object().cloned().unwrap_or_default();
        let options = Options::of_json(&map, "type");
        assert_eq!(options.text(), "tap,id=a,vhost=off,local.port=1,q.0=2");
    }
}
