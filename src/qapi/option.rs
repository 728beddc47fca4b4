//! QEMU's option strings, `a,key=value,flag`: read, changed and written (`get_opt_name_value` and
//! `get_opt_value`, QEMU 10.2.2 `util/qemu-option.c`; measured on 7.2.22). What is not changed stays
//! letter for letter.

use std::{collections::BTreeMap, ops::Range};

use serde_json::{Map, Value};

/// An element of an option string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) key: String,
    /// As QEMU reads it.
    pub(crate) value: String,
    /// As it is written.
    pub(crate) raw: String,
    pub(crate) form: Form,
    /// Where it begins in the string that was read, in bytes.
    at: usize,
}

/// How an element is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `key=value`.
    Pair,
    /// A first element without a key.
    Implied,
    /// A later element without a value: `name` is on, `noname` is off.
    Flag,
}

/// A word that asks for help (QEMU 10.2.2 `include/qemu/help_option.h`).
pub(super) fn is_help(word: &str) -> bool {
    matches!(word, "help" | "?")
}

/// An option string.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options(Vec<Element>);

impl Options {
    /// Splits a string at single commas; a double comma in a value is a comma. `implied` is the key
    /// of a first element without `=`.
    pub(crate) fn read(text: &str, implied: &str) -> Self {
        let mut elements = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            let name_len = rest.find(['=', ',']).unwrap_or(rest.len());
            let name = &rest[..name_len];
            let (form, key, value, len) = if rest[name_len..].starts_with('=') {
                let (value, len) = value(&rest[name_len + 1..]);
                (Form::Pair, name, value, name_len + 1 + len)
            } else if elements.is_empty() {
                let (value, len) = value(rest);
                (Form::Implied, implied, value, len)
            } else {
                let (key, value) =
                    name.strip_prefix("no").map_or((name, "on"), |positive| (positive, "off"));
                (Form::Flag, key, value.to_owned(), name_len)
            };
            let raw = rest[..len].to_owned();
            elements.push(Element { key: key.to_owned(), value, raw, form, at });
            at += len + 1;
        }
        Self(elements)
    }

    /// The option string that says what a JSON object does: the implied key first, inner objects
    /// with dots, lists by number.
    pub(crate) fn of_json(map: &Map<String, Value>, implied: &str) -> Self {
        let mut elements = Vec::new();
        if let Some(Value::String(first)) = map.get(implied) {
            elements.push(self::implied(implied, first));
        }
        for (key, value) in map.iter().filter(|(key, _)| *key != implied) {
            flatten(key, value, &mut elements);
        }
        Self(elements)
    }

    /// Without elements of no letters, as `,id=a` has one at its beginning.
    pub(crate) fn without_empty(mut self) -> Self {
        self.retain(|element| !element.raw.is_empty());
        self
    }

    /// Takes all other elements out.
    pub(crate) fn retain(&mut self, keep: impl FnMut(&Element) -> bool) {
        self.0.retain(keep);
    }

    pub(crate) fn elements(&self) -> &[Element] {
        &self.0
    }

    /// The keys, once for each element.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.0.iter().map(|element| element.key.clone()).collect()
    }

    /// The element that counts of those with this key: the last one, but of ids the first, which QEMU
    /// takes out before it reads the others (`opts_parse_id`; measured on 7.2.22).
    pub(crate) fn find(&self, key: &str) -> Option<&Element> {
        let mut given = self.0.iter().filter(|element| element.key == key);
        if key == "id" { given.next() } else { given.next_back() }
    }

    /// The elements that count, by their keys.
    pub(crate) fn counting(&self) -> BTreeMap<&str, &Element> {
        let mut counting = BTreeMap::new();
        for element in &self.0 {
            let key = element.key.as_str();
            if key == "id" {
                counting.entry(key).or_insert(element);
            } else {
                counting.insert(key, element);
            }
        }
        counting
    }

    /// The value that counts of those with this key.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.find(key).map(|element| element.value.as_str())
    }

    /// The id, where it is not empty.
    pub(crate) fn id(&self) -> Option<&str> {
        self.get("id").filter(|id| !id.is_empty())
    }

    /// Whether the flag of this key is given and on.
    pub(crate) fn is_on(&self, key: &str) -> bool {
        self.get(key).and_then(boolean) == Some(true)
    }

    /// What QEMU warns of while it reads the string. A flag that asks for help is none.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let flags = self.0.iter().filter(|element| element.form == Form::Flag);
        let flags = flags.filter(|element| !is_help(&element.raw));
        let warning = |Element { key, value, raw, .. }: &Element| {
            // The opposite of this one has a name of its own.
            let (key, value) = match (key.as_str(), value.as_str()) {
                ("delay", "on") => ("nodelay", "off"),
                ("delay", _) => ("nodelay", "on"),
                pair => pair,
            };
            format!(
                "short-form boolean option '{raw}' deprecated\nPlease use {key}={value} instead"
            )
        };
        flags.map(warning).collect()
    }

    /// Takes every element of this key out, and returns how the last one was written.
    pub(crate) fn remove(&mut self, key: &str) -> Option<String> {
        let last = self.0.iter().rev().find(|element| element.key == key)?.raw.clone();
        self.0.retain(|element| element.key != key);
        Some(last)
    }

    /// Takes the first element of a key out, and gives it as it was written.
    pub(crate) fn remove_first(&mut self, key: &str) -> Option<String> {
        let at = self.0.iter().position(|element| element.key == key)?;
        Some(self.0.remove(at).raw)
    }

    pub(crate) fn push(&mut self, key: &str, value: &str) {
        self.0.push(pair(key, value));
    }

    /// Puts the elements of another string before the one with this number, or at the end.
    pub(crate) fn insert(&mut self, at: usize, other: Self) {
        let at = at.min(self.0.len());
        self.0.splice(at..at, other.0);
    }

    /// Gives the key this value, in the first element that has it, or in a new one at the end. An
    /// implied element stays one.
    pub(crate) fn set(&mut self, key: &str, value: &str) {
        let Some(at) = self.0.iter().position(|element| element.key == key) else {
            return self.push(key, value);
        };
        self.0[at] = match self.0[at].form {
            Form::Implied => implied(key, value),
            Form::Pair | Form::Flag => pair(key, value),
        };
        let mut number = 0..;
        self.0.retain(|element| number.next() == Some(at) || element.key != key);
    }

    /// The string.
    pub(crate) fn text(&self) -> String {
        let raw: Vec<&str> = self.0.iter().map(|element| element.raw.as_str()).collect();
        raw.join(",")
    }
}

impl Element {
    /// Where it stands in the string that was read, in bytes.
    pub(crate) fn range(&self) -> Range<usize> {
        self.at..self.at + self.raw.len()
    }
}

/// A flag's value, as QEMU reads it (QEMU 10.2.2 `qapi/qapi-util.c`, `qapi_bool_parse`).
pub(crate) fn boolean(value: &str) -> Option<bool> {
    match value {
        "on" | "yes" | "true" | "y" => Some(true),
        "off" | "no" | "false" | "n" => Some(false),
        _ => None,
    }
}

/// The value up to the next single comma, with doubled ones made one, and its length as written.
fn value(text: &str) -> (String, usize) {
    let mut value = String::new();
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        if letter == ',' && letters.next_if(|(_, next)| *next == ',').is_none() {
            return (value, at);
        }
        value.push(letter);
    }
    (value, text.len())
}

fn pair(key: &str, value: &str) -> Element {
    Element {
        key: key.to_owned(),
        value: value.to_owned(),
        raw: format!("{key}={}", value.replace(',', ",,")),
        form: Form::Pair,
        at: 0,
    }
}

fn implied(key: &str, value: &str) -> Element {
    Element { raw: value.replace(',', ",,"), form: Form::Implied, ..pair(key, value) }
}

fn flatten(key: &str, value: &Value, elements: &mut Vec<Element>) {
    match value {
        Value::Object(map) => {
            for (inner, value) in map {
                flatten(&format!("{key}.{inner}"), value, elements);
            }
        }
        Value::Array(list) => {
            for (number, value) in list.iter().enumerate() {
                flatten(&format!("{key}.{number}"), value, elements);
            }
        }
        Value::Bool(value) => elements.push(pair(key, if *value { "on" } else { "off" })),
        Value::String(text) => elements.push(pair(key, text)),
        Value::Number(number) => elements.push(pair(key, &number.to_string())),
        Value::Null => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    // Measured on QEMU 7.2.22, with -object and -chardev.
    #[rstest]
    #[case("socket,id=a,server,nowait", "[socket] id=a server=on wait=off")]
    #[case("socket,path=/a,,b,id=c", "[socket] path=/a,b id=c")]
    #[case("id=a", "id=a")]
    #[case("id=a,socket", "id=a socket=on")]
    #[case("socket,nodelay", "[socket] delay=off")]
    #[case("a,,b=c,d=e", "[a,b=c] d=e")]
    #[case("a,x,,y=3", "[a] x=on =on y=3")]
    #[case("a,no", "[a] =off")]
    #[case("a,id=b,", "[a] id=b")]
    #[case("a,id=b,,", "[a] id=b,")]
    #[case("a=b=c", "a=b=c")]
    #[case("", "")]
    #[case(",", "[]")]
    #[case(",id=a", "[] id=a")]
    fn strings_are_split(#[case] text: &str, #[case] expected: &str) {
        let shown: Vec<String> = Options::read(text, "implied")
            .elements()
            .iter()
            .map(|Element { key, value, form, .. }| match form {
                Form::Implied => format!("[{value}]"),
                Form::Pair | Form::Flag => format!("{key}={value}"),
            })
            .collect();
        assert_eq!(shown.join(" "), expected);
    }

    #[test]
    fn the_last_value_counts_but_the_first_id() {
        let options = Options::read("f,id=a,queue=rx,id=b,queue=tx", "qom-type");
        assert_eq!(options.get("queue"), Some("tx"));
        assert_eq!(options.id(), Some("a"));
        for (key, element) in options.counting() {
            assert_eq!(options.find(key), Some(element));
        }
    }

    #[test]
    fn a_flag_is_deprecated() {
        let warnings = Options::read("a,server,nowait,nodelay,no", "backend").warnings();
        let expected = [("server", "server=on"), ("nowait", "wait=off"), ("nodelay", "nodelay=on")];
        let expected = expected.into_iter().chain([("no", "=off")]).map(|(flag, pair)| {
            format!("short-form boolean option '{flag}' deprecated\nPlease use {pair} instead")
        });
        assert_eq!(warnings, expected.collect::<Vec<_>>());
    }

    #[test]
    fn what_is_not_touched_stays_as_it_is_written() {
        let text = "socket,id=a,path=/x,,y,server,nowait";
        let mut options = Options::read(text, "backend");
        assert_eq!(options.text(), text);
        assert_eq!(options.get("path"), Some("/x,y"));
        assert_eq!(options.remove("wait").as_deref(), Some("nowait"));
        options.set("path", "z");
        assert_eq!(options.text(), "socket,id=a,path=z,server");
        options.set("backend", "pty,x");
        assert_eq!(options.text(), "pty,,x,id=a,path=z,server");
    }

    #[test]
    fn of_several_values_one_is_left() {
        let mut options = Options::read("a,k=1,l=2,k=3", "implied");
        options.set("k", "4");
        assert_eq!(options.text(), "a,k=4,l=2");
    }

    #[test]
    fn json_is_the_string_that_says_the_same() {
        let json =
            json!({"id": "a", "type": "tap", "vhost": false, "local": {"port": 1}, "q": [2]});
        let map = json.as_object().cloned().unwrap_or_default();
        let options = Options::of_json(&map, "type");
        assert_eq!(options.text(), "tap,id=a,vhost=off,local.port=1,q.0=2");
    }

    proptest! {
        #[test]
        fn every_letter_is_in_an_element_or_between_two(text in "[a,=é]{0,12}") {
            let options = Options::read(&text, "implied");
            let joined = options.text();
            prop_assert!(text.strip_prefix(&joined).is_some_and(|rest| matches!(rest, "" | ",")));
            for element in options.elements() {
                prop_assert_eq!(&text[element.range()], element.raw.as_str());
            }
        }

        #[test]
        fn what_is_written_reads_back(
            pairs in prop::collection::vec(("[a-m]{1,3}", "[a,=n o]{0,5}"), 0..4),
        ) {
            let mut options = Options::default();
            for (key, value) in &pairs {
                options.push(key, value);
            }
            let text = options.text();
            let again = Options::read(&text, "implied");
            let read = again.elements().iter();
            let read: Vec<_> = read.map(|one| (one.key.clone(), one.value.clone())).collect();
            prop_assert_eq!(read, pairs);
        }
    }
}
