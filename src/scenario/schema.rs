//! The table of keys as a JSON Schema, for editors.

use serde_json::{Map, Value, json};

use super::key::{self, Key, KeyMap, KeyType, VERB_NAMES, key_table};

/// A value of the matrix, or a part of one, in a text.
const REFERENCE: &str = r"\$\{";

/// The language as a JSON Schema, draft 7, which is what yaml-language-server takes.
///
/// It is made of the table of keys and knows what that knows: names, types, ranges and words. What
/// takes more (that a port is declared, that an id is free) only `check` knows. A text with a
/// reference, `${name}`, fits everywhere, because only its case has the value.
///
/// # Examples
/// ```
/// let schema = tapwright::scenario::schema();
/// assert!(schema["definitions"]["the-scenario"]["properties"]["netdevs"].is_object());
/// ```
#[must_use]
pub fn schema() -> Value {
    let mut definitions = Map::new();
    for map in key_table() {
        definitions.insert(name(map), of_map(map, None));
    }
    definitions.insert("step".to_owned(), step());
    definitions.insert("bytes".to_owned(), bytes());
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "tapwright scenario",
        "$ref": reference("the-scenario"),
        "definitions": definitions,
    })
}

/// `an end of a link` as the name of a definition: `an-end-of-a-link`.
fn name(map: &KeyMap) -> String {
    map.name.replace('`', "").replace(' ', "-")
}

fn reference(name: &str) -> String {
    format!("#/definitions/{name}")
}

/// A map that has these keys and no others, but for those that `others` allows.
fn of_map(map: &KeyMap, others: Option<KeyType>) -> Value {
    let properties: Map<String, Value> =
        map.keys.iter().map(|key| (key.name.to_owned(), of_key(key))).collect();
    let mut schema = json!({
        "title": map.name,
        "type": "object",
        "properties": properties,
        "patternProperties": { REFERENCE: {} },
        "additionalProperties": others.map_or(Value::Bool(false), of_type),
    });
    let required: Vec<&str> =
        map.keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// A key's value with what its hover shows.
fn of_key(key: &Key) -> Value {
    let mut description = key.doc.to_owned();
    if let Some(default) = key.default {
        description += &format!("\n\nBy default: {default}.");
    }
    description += &format!("\n\nSince {}.", key.since);
    let mut schema = of_type(key.kind);
    schema["description"] = Value::String(description);
    schema
}

fn of_type(kind: KeyType) -> Value {
    match kind {
        KeyType::Text | KeyType::Name => json!({ "type": "string" }),
        KeyType::Bool => words(&[json!(true), json!(false), json!("on"), json!("off")]),
        KeyType::Integer(least, most) => integer(least, most),
        KeyType::Duration => text(r"^[0-9]+(\.[0-9]+)?(ns|us|ms|s|m|min)$"),
        KeyType::Mac => text("^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$"),
        KeyType::Ipv4 => text(r"^[0-9]{1,3}(\.[0-9]{1,3}){3}$"),
        KeyType::Ipv6 => text(r"^[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*$"),
        KeyType::Choice(choices) => {
            let choices: Vec<Value> = choices.iter().map(|word| json!(word)).collect();
            words(&choices)
        }
        KeyType::Texts => json!({
            "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
        }),
        KeyType::Bytes => json!({ "$ref": reference("bytes") }),
        KeyType::Nothing => json!({ "type": "null" }),
        KeyType::Scalar => json!({ "type": ["string", "number", "boolean", "null"] }),
        KeyType::Arguments => json!({ "type": "object" }),
        KeyType::Map(map) => json!({ "$ref": reference(&name(map)) }),
        KeyType::Open(map, others) => of_map(map, Some(*others)),
        KeyType::Named(value) => json!({
            "type": "object",
            "additionalProperties": of_type(*value),
        }),
        KeyType::List(value) => json!({ "type": "array", "items": of_type(*value) }),
        KeyType::Step => json!({ "$ref": reference("step") }),
        KeyType::OneOf(types) => {
            json!({ "anyOf": types.iter().map(|kind| of_type(*kind)).collect::<Vec<_>>() })
        }
    }
}

/// A text of this form, or with a reference.
fn text(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": format!("{pattern}|{REFERENCE}") })
}

/// One of these, or a text with a reference.
fn words(words: &[Value]) -> Value {
    json!({ "anyOf": [{ "enum": words }, { "type": "string", "pattern": REFERENCE }] })
}

/// A number; its digits may stand in a text.
fn integer(least: u64, most: u64) -> Value {
    let mut schema = text("^(0x[0-9A-Fa-f]+|[0-9]+)$");
    schema["type"] = json!(["integer", "string"]);
    schema["minimum"] = json!(least);
    // JavaScript, which editors run, has no greater whole numbers.
    if most < 1 << 53 {
        schema["maximum"] = json!(most);
    }
    schema
}

fn step() -> Value {
    let steps = VERB_NAMES
        .iter()
        .filter_map(|verb| key::verb_keys(verb))
        .map(|map| json!({ "$ref": reference(&name(map)) }))
        .chain([json!({ "enum": key::LONE_VERBS })]);
    json!({ "title": "a step", "anyOf": steps.collect::<Vec<_>>() })
}

/// Text, a piece, or a list of both.
fn bytes() -> Value {
    let piece = json!({ "$ref": reference(&name(&key::BYTES)) });
    let text = json!({ "type": "string" });
    json!({
        "title": "bytes",
        "anyOf": [text, piece, { "type": "array", "items": { "anyOf": [text, piece] } }],
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn kinds_of_map_have_names_of_their_own() {
        let names: BTreeSet<String> = key_table().into_iter().map(name).collect();
        assert_eq!(names.len(), key_table().len());
        assert!(names.contains("an-end-of-a-link"), "{names:?}");
        assert!(names.contains("a-send-step"), "{names:?}");
    }

    #[test]
    fn every_key_is_there_with_its_documentation() {
        let schema = schema();
        for map in key_table() {
            for key in map.keys {
                let found = &schema["definitions"][name(map)]["properties"][key.name];
                let text = found["description"].as_str().unwrap_or_default();
                assert!(text.starts_with(key.doc), "{}.{}", map.name, key.name);
            }
        }
    }
}
