//! Values that library functions make of others: maps, records, JSON, texts in other letters, and what the surroundings
//! say or holds where they say nothing.

use std::rc::Rc;

use super::{
    object::Arguments,
    run::Run,
    syntax::{Class, Expr},
    value::Value,
};

/// Functions that ask the surroundings for a value, and are given what holds where there is none.
const ASKING: &[&str] = &[
    "get",
    "getenv",
    "fetch",
    "env",
    "getOrDefault",
    "getProperty",
    "unwrap_or",
    "getOrElse",
    "orElse",
    "unwrap_or_else",
    "unwrap_or_default",
    "GetEnvironmentVariable",
    "setdefault",
    "dig",
];

impl Run<'_> {
    /// What the surroundings say, or holds where they say nothing: `os.environ.get("PORT", 4444)`.
    pub(super) fn asked(
        &mut self,
        name: &str,
        of: Option<&Value>,
        given: &Arguments,
    ) -> Option<Value> {
        let is_unknown = matches!(of, None | Some(Value::Unknown(_) | Value::Nothing));
        match name {
            // `parser.add_argument("--port", default=4444)`
            "add_argument" | "add_option" => {
                let long = given.values.iter().filter_map(Value::plain);
                let mut long = long.filter(|name| name.starts_with("--") || !name.starts_with('-'));
                let key = long.next_back()?.trim_start_matches('-').replace('-', "_");
                let default = given.named.iter().find(|(name, _)| name == "default");
                let value =
                    default.map_or_else(|| Value::Unknown(key.clone()), |(_, value)| value.clone());
                self.defaults.push((key, value));
                Some(Value::Nothing)
            }
            "parse_args" | "parse_known_args" => Some(Value::Map(self.defaults.clone())),
            // `string(name: 'PORT', defaultValue: '4444')` of Jenkins.
            "string" | "choice" | "booleanParam" => {
                let Some(Value::Map(map)) = given.values.last() else { return None };
                let get =
                    |key: &str| map.iter().find(|(name, _)| name == key).map(|(_, value)| value);
                let (key, value) = (get("name")?.plain()?, get("defaultValue")?.clone());
                let mut known = match self.get("params") {
                    Some(Value::Map(map)) => map,
                    _ => Vec::new(),
                };
                known.push((key, value));
                self.set("params", Value::Map(known));
                Some(Value::Nothing)
            }
            // `flag.Int("port", 4444, "...")` of Go.
            "Int" | "String" | "Bool" | "Duration" if given.values.len() == 3 => {
                given.values.get(1).cloned()
            }
            _ if ASKING.contains(&name) => {
                let default = given.values.last().filter(|_| {
                    given.values.len() > 1
                        || name.starts_with("unwrap")
                        || name.starts_with("or")
                        || name == "getOrElse"
                });
                let default = match default.cloned() {
                    Some(Value::Function(function)) => {
                        Some(self.call(name, &function, Arguments::default(), None))
                            .filter(|value| !matches!(value, Value::Nothing))
                    }
                    default => default,
                };
                match (of, given.values.first()) {
                    (Some(value @ (Value::Map(_) | Value::List(_))), Some(key))
                        if name != "env" =>
                    {
                        match value.member(key) {
                            Value::Nothing => Some(default.unwrap_or(Value::Nothing)),
                            value => Some(value),
                        }
                    }
                    (_, key) if is_unknown => default.or_else(|| match key? {
                        Value::Text(name) => Some(Value::Unknown(name.clone())),
                        _ => None,
                    }),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Values that functions make of others: maps, classes, JSON.
    pub(super) fn made_of(
        &mut self,
        name: &str,
        base: Option<&Expr>,
        of: Option<&Value>,
        given: &Arguments,
    ) -> Option<Value> {
        match name {
            // Of an array and of one of its items.
            "sizeof" | "ARRAY_SIZE" | "G_N_ELEMENTS" | "len" | "size" | "length" | "count" => {
                let one =
                    of.filter(|of| !matches!(of, Value::Unknown(_))).or(given.values.first())?;
                match one {
                    Value::List(list) => i64::try_from(list.len()).ok().map(Value::Number),
                    Value::Map(map) => i64::try_from(map.len()).ok().map(Value::Number),
                    _ if name == "sizeof" => Some(Value::Number(1)),
                    _ => None,
                }
            }
            "dict" | "merge" | "update" => {
                let parts = of.into_iter().chain(&given.values).cloned();
                let mut map: Vec<(String, Value)> = Vec::new();
                for part in parts {
                    merge(part, &mut map);
                }
                merge(Value::Map(given.named.clone()), &mut map);
                let map = Value::Map(map);
                if let (Some(base), "update") = (base, name) {
                    self.assign(base, "=", map);
                    return Some(Value::Nothing);
                }
                Some(map)
            }
            "zip" => {
                let lists = of.into_iter().filter(|of| !matches!(of, Value::Unknown(_)));
                let lists: Vec<Vec<Value>> =
                    lists.chain(&given.values).map(|list| list.clone().items()).collect();
                let length = lists.iter().map(Vec::len).min()?;
                let row = |at: usize| lists.iter().map(|list| list[at].clone()).collect();
                Some(Value::List((0..length).map(|at| Value::List(row(at))).collect()))
            }
            // `serde_json::json!({...})`
            "json" => given.values.first().filter(|one| matches!(one, Value::Map(_))).cloned(),
            "values" => {
                match of.filter(|of| !matches!(of, Value::Unknown(_))).or(given.values.first())? {
                    Value::Map(map) => {
                        Some(Value::List(map.iter().map(|(_, value)| value.clone()).collect()))
                    }
                    _ => None,
                }
            }
            "items" | "entries" | "each_pair"
                if given.values.iter().all(|one| !matches!(one, Value::Function(_))) =>
            {
                let map =
                    of.filter(|of| !matches!(of, Value::Unknown(_))).or(given.values.first())?;
                let Value::Map(map) = map else { return None };
                let pair = |(key, value): &(String, Value)| {
                    Value::List(vec![Value::Text(key.clone()), value.clone()])
                };
                Some(Value::List(map.iter().map(pair).collect()))
            }
            "namedtuple" | "Struct" | "new" => {
                let is_kind = name == "namedtuple"
                    || matches!(of, Some(Value::Unknown(written)) if written == "Struct");
                let fields = given.values.iter().skip(usize::from(name == "namedtuple"));
                let fields = fields.flat_map(|value| value.clone().items());
                let fields = fields.filter_map(|value| value.plain());
                let fields = fields.flat_map(|text| {
                    let names = text.split([' ', ',']).filter(|name| !name.is_empty());
                    names.map(|name| (name.to_owned(), None)).collect::<Vec<_>>()
                });
                let class = Class {
                    name: "record".to_owned(),
                    fields: fields.collect(),
                    ..Class::default()
                };
                is_kind.then(|| Value::Class(Rc::new(class)))
            }
            "dumps" | "stringify" | "generate" | "to_json" | "encode_json" | "json_encode"
            | "toJson" | "Marshal" | "encode" => {
                let named = Value::Map(given.named.clone());
                let value = given.values.first().or(of.filter(|of| matches!(of, Value::Map(_))));
                let value = value.unwrap_or(&named).clone();
                match value {
                    Value::Map(_) | Value::List(_) => {
                        Some(Value::Text(self.json(&value).to_string()))
                    }
                    _ => None,
                }
            }
            "shift" if given.values.is_empty() && matches!(of, None | Some(Value::List(_))) => {
                let list = if of.is_some() { None } else { self.get("_") };
                let Some(Value::List(mut list)) = list else { return None };
                let first = match list.is_empty() {
                    true => return Some(Value::Nothing),
                    false => list.remove(0),
                };
                self.set("_", Value::List(list));
                Some(first)
            }
            _ => None,
        }
    }
}

/// Puts the members of a map, or a list of maps or pairs, into another.
fn merge(part: Value, map: &mut Vec<(String, Value)>) {
    match part {
        Value::Map(more) => {
            for (key, value) in more {
                match map.iter_mut().find(|(known, _)| *known == key) {
                    Some(known) => known.1 = value,
                    None => map.push((key, value)),
                }
            }
        }
        Value::List(parts) => {
            for part in parts {
                match part {
                    Value::List(pair) if pair.len() == 2 => {
                        let key = pair[0].plain().unwrap_or_default();
                        merge(Value::Map(vec![(key, pair[1].clone())]), map);
                    }
                    part @ Value::Map(_) => merge(part, map),
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

/// What methods of a text, a list and a number give.
pub(super) fn of_text(name: &str, of: &Value, given: &[Value]) -> Option<Value> {
    let text = match of {
        Value::Text(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let first = given.first().and_then(Value::plain);
    let padded = |fill: char| {
        let width = first.as_deref()?.parse::<usize>().ok()?.min(64);
        let missing = width.saturating_sub(text.chars().count());
        Some(std::iter::repeat_n(fill, missing).collect::<String>() + &text)
    };
    let text = match name {
        "upper" | "upcase" | "touppercase" | "to_uppercase" | "toupper" => text.to_uppercase(),
        "lower" | "downcase" | "tolowercase" | "to_lowercase" | "tolower" => text.to_lowercase(),
        "zfill" => padded('0')?,
        "rjust" | "padstart" | "padleft" => {
            let fill = given.get(1).and_then(Value::plain).and_then(|text| text.chars().next());
            padded(fill.unwrap_or(' '))?
        }
        "replace" | "gsub" | "sub" if given.len() > 1 => {
            text.replace(first?.as_str(), given[1].plain()?.as_str())
        }
        "to_i" | "toint" | "int" | "parse" => return text.trim().parse().ok().map(Value::Number),
        _ => return None,
    };
    Some(Value::Text(text))
}
