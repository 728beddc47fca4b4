//! What a program says to monitors: calls that are given a command, and the machine that each is said to.

use serde_json::{Map, Value as Json, json};

use super::{
    object::{Arguments, VARIABLE},
    run::{PRINTING, Run},
    start::{Started, apart},
    syntax::Expr,
    value::Value,
};
use crate::import::{command, flag, machine, paste::Piece};

/// Most commands of monitors.
const MOST_SAID: usize = 2000;

/// A command, and what may name its machine, the nearest first.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) piece: Piece,
    hints: Vec<Hint>,
}

#[derive(Debug)]
enum Hint {
    /// The number of an object.
    Object(usize),
    /// A variable, a member, or a key.
    Name(String),
    Text(String),
}

impl Run<'_> {
    /// Takes a call if it gives a monitor a command; whether it does.
    pub(super) fn says(
        &mut self,
        name: &str,
        base: Option<&Expr>,
        items: &[Expr],
        given: &Arguments,
    ) -> bool {
        const SHOWING: &[&str] =
            &["console", "log", "logger", "logging", "LOG", "System", "fmt", "stderr", "stdout"];
        let shows = base.is_none_or(|base| SHOWING.iter().any(|one| shown(base).starts_with(one)));
        // What makes a message does not send it.
        const MAKING: &[&str] = &[
            "dict",
            "merge",
            "update",
            "dumps",
            "stringify",
            "generate",
            "encode_json",
            "json_encode",
            "encode",
            "Marshal",
            "to_json",
            "json",
        ];
        if MAKING.contains(&name) {
            return false;
        }
        let prints = PRINTING.contains(&name) && shows;
        if prints || self.said.len() >= MOST_SAID {
            return false;
        }
        let pieces = self.pieces(name, base, given);
        let is_any = !pieces.is_empty();
        for piece in pieces {
            let hints = self.hints(base, items, given);
            self.said.push(Said { piece, hints });
        }
        is_any
    }

    /// What a call of the program's own function says: the commands that it gave, or the one that it is given.
    pub(super) fn says_within(
        &mut self,
        from: usize,
        name: &str,
        base: Option<&Expr>,
        items: &[Expr],
        given: &Arguments,
    ) {
        if self.said.len() <= from {
            self.says(name, base, items, given);
            return;
        }
        for at in from..self.said.len() {
            let hints = self.hints(base, items, given);
            if let Some(said) = self.said.get_mut(at) {
                said.hints.extend(hints);
            }
        }
    }

    /// The commands of a call: those that it is given, or the one that it is called like.
    fn pieces(&mut self, name: &str, base: Option<&Expr>, given: &Arguments) -> Vec<Piece> {
        let callee = format!("{} {name}", base.map(shown).unwrap_or_default());
        let gives = command::gives(&callee);
        for (at, value) in given.values.iter().enumerate() {
            match value {
                Value::Map(map) if map.iter().any(|(key, _)| key == "execute") => {
                    return self.of_object_of_qmp(map).into_iter().collect();
                }
                Value::Text(text) => {
                    let text = text.trim();
                    let is_name = !text.contains(char::is_whitespace);
                    if text.starts_with('{') {
                        if let Some(piece) = of_json(text) {
                            return vec![piece];
                        }
                    } else if is_name && command::is_qmp(text) && (gives || text.contains('-')) {
                        return self.of_values(text, &given.values[at + 1..], &given.named);
                    } else if let Some(piece) = command::typed(text)
                        && (gives || text.contains(['_', '-']))
                    {
                        return vec![piece];
                    }
                }
                _ => {}
            }
        }
        let own = name.replace('_', "-");
        let own = if command::is_qmp(&own) { own } else { name.to_owned() };
        if given.values.is_empty() && given.named.iter().any(|(key, _)| key == "execute") {
            return self.of_object_of_qmp(&given.named).into_iter().collect();
        }
        match base.is_some() && command::is_qmp(&own) && own.contains(['_', '-']) {
            true => self.of_values(&own, &given.values, &given.named),
            false => Vec::new(),
        }
    }

    /// `{"execute": NAME, "arguments": {...}}`
    fn of_object_of_qmp(&mut self, map: &[(String, Value)]) -> Option<Piece> {
        let get = |key: &str| map.iter().find(|(name, _)| name == key).map(|(_, value)| value);
        let name = get("execute")?.plain().filter(|name| command::is_qmp(name))?;
        let arguments = match get("arguments").cloned() {
            Some(Value::Map(map)) => self.members(&map),
            _ => Map::new(),
        };
        command::of_qmp(&name, arguments)
    }

    /// A command whose arguments stand behind its name.
    fn of_values(&mut self, name: &str, values: &[Value], named: &[(String, Value)]) -> Vec<Piece> {
        const OWN: &[&str] = &["timeout", "conv_keys", "log", "check"];
        const HELD: &[&str] = &["arguments", "args", "params"];
        let mut arguments = Map::new();
        let mut positions = command::positions(name).iter();
        for value in values {
            match value {
                Value::Map(map) => {
                    let held = map.iter().find(|(key, _)| HELD.contains(&key.as_str()));
                    match held {
                        Some((_, Value::Map(inner))) => arguments.extend(self.members(inner)),
                        _ => arguments.extend(self.members(map)),
                    }
                }
                Value::Text(text) if text.trim_start().starts_with('{') => {
                    arguments.extend(
                        serde_json::from_str::<Map<String, Json>>(text).unwrap_or_default(),
                    );
                }
                Value::Nothing | Value::Function(_) | Value::Object(_) => {}
                value => {
                    if let Some(key) = positions.next() {
                        let value = match (*key, value.plain().as_deref()) {
                            ("up", Some("on")) => json!(true),
                            ("up", Some("off")) => json!(false),
                            _ => self.json(value),
                        };
                        arguments.insert((*key).to_owned(), value);
                    }
                }
            }
        }
        for (key, value) in named.iter().filter(|(key, _)| !OWN.contains(&key.as_str())) {
            match value {
                Value::Map(map) if HELD.contains(&key.as_str()) => {
                    arguments.extend(self.members(map))
                }
                value => {
                    let value = self.json(value);
                    arguments.insert(command::key(name, key), value);
                }
            }
        }
        command::of_qmp(name, arguments).into_iter().collect()
    }

    fn members(&mut self, map: &[(String, Value)]) -> Map<String, Json> {
        let known = map.iter().filter(|(_, value)| !matches!(value, Value::Nothing));
        let mut members = Map::new();
        for (key, value) in known {
            members.insert(key.clone(), self.json(value));
        }
        members
    }

    /// A value as JSON; what the text does not say is a placeholder.
    pub(super) fn json(&mut self, value: &Value) -> Json {
        match value {
            Value::Text(text) => json!(text),
            Value::Number(number) => json!(number),
            Value::Bool(is) => json!(is),
            Value::List(list) => Json::Array(list.iter().map(|one| self.json(one)).collect()),
            Value::Map(map) => Json::Object(self.members(map)),
            Value::Unknown(written) => json!(self.placeholder(written, written)),
            Value::Function(_) | Value::Class(_) | Value::Object(_) | Value::Nothing => Json::Null,
        }
    }

    /// What may name the machine of a call.
    fn hints(&mut self, base: Option<&Expr>, items: &[Expr], given: &Arguments) -> Vec<Hint> {
        let mut hints = Vec::new();
        if let Some(base) = base {
            self.hints_of(base, &mut hints);
        }
        for item in items.iter().filter(|item| matches!(item, Expr::Name(_) | Expr::Member(..))) {
            self.hints_of(item, &mut hints);
        }
        for value in &given.values {
            match value {
                Value::Text(text) => hints.push(Hint::Text(text.clone())),
                Value::Number(number) => hints.push(Hint::Text(number.to_string())),
                Value::Object(object) => hints.push(Hint::Object(object.number)),
                _ => {}
            }
        }
        hints.extend(self.this().map(|object| Hint::Object(object.number)));
        hints
    }

    fn hints_of(&mut self, expr: &Expr, hints: &mut Vec<Hint>) {
        match expr {
            Expr::Name(name) => match self.get(name) {
                Some(Value::Object(object)) => hints.push(Hint::Object(object.number)),
                value => {
                    let given = self.given.get(name).into_iter().flatten();
                    hints.extend(given.cloned().map(Hint::Text));
                    hints.push(Hint::Name(name.clone()));
                    hints.extend(value.and_then(|value| value.plain()).map(Hint::Text));
                }
            },
            Expr::Member(base, key) => {
                if let Some(text) = self.value(key).plain() {
                    hints.push(Hint::Name(text.clone()));
                    hints.push(Hint::Text(text));
                }
                match self.value(expr) {
                    Value::Object(object) => hints.push(Hint::Object(object.number)),
                    value => hints.extend(value.plain().map(Hint::Text)),
                }
                self.hints_of(base, hints);
            }
            Expr::Call(callee, _) => self.hints_of(callee, hints),
            _ => {}
        }
    }

    /// Learns which machines the text has, of which the program starts none.
    pub(super) fn know(&mut self, machines: &[(Option<String>, Vec<String>)]) {
        self.commands.extend(machines.iter().map(|(name, words)| Started {
            words: words.clone(),
            owner: None,
            variable: name.clone(),
            may_grow: false,
        }));
    }

    /// The machine of each command that is started, where there are several.
    pub(super) fn machines(&self) -> Vec<Option<String>> {
        let name = |at: usize| {
            let started = &self.commands[at];
            let words = apart(&started.words);
            let pairs = words.windows(2);
            let mut named = pairs.filter(|pair| flag::name(&pair[0]) == Some("name"));
            if let Some(name) = named.find_map(|pair| machine::name_of(&pair[1])) {
                return Some(name);
            }
            let owner = started.owner.and_then(|number| self.made.get(number));
            let own = ["name", "id", "hostname", "label", "role", "_name", "0", VARIABLE];
            let own = owner.and_then(|object| own.iter().find_map(|key| object.get(key)?.plain()));
            own.filter(|name| is_name(name)).or_else(|| started.variable.clone())
        };
        match self.commands.len() {
            0 | 1 => self.commands.iter().map(|_| None).collect(),
            all => (0..all).map(name).collect(),
        }
    }

    /// The commands of monitors, each with its machine; none where a machine of one of them is not known.
    pub(super) fn steps(&self) -> Option<Vec<(Option<String>, Piece)>> {
        let machines = self.machines();
        let several = machines.len() > 1;
        let step = |said: &Said| {
            let machine = said.hints.iter().find_map(|hint| self.machine_of(hint, &machines));
            (machine.is_some() || !several)
                .then(|| (machine.filter(|_| several), said.piece.clone()))
        };
        self.said.iter().map(step).collect()
    }

    fn machine_of(&self, hint: &Hint, machines: &[Option<String>]) -> Option<String> {
        match hint {
            Hint::Object(number) => {
                let mut owned = self.commands.iter().enumerate();
                let mut owned =
                    owned.by_ref().filter(|(_, started)| started.owner == Some(*number));
                let first = owned.next();
                if let Some((at, _)) = first.filter(|_| owned.next().is_none()) {
                    return machines.get(at).cloned().flatten();
                }
                let object = self.made.get(*number)?;
                let fields = object.fields.borrow();
                fields.iter().find_map(|(_, value)| match value {
                    Value::Object(inner) if inner.number != *number => {
                        let mut owned = self.commands.iter().zip(machines);
                        let is_own = |started: &Started| started.owner == Some(inner.number);
                        owned
                            .find(|(started, _)| is_own(started))
                            .and_then(|(_, name)| name.clone())
                    }
                    value => self.named_by(&value.plain()?, machines),
                })
            }
            Hint::Name(name) => {
                let is_held = |started: &Started| started.variable.as_deref() == Some(name);
                if let Some(at) = self.commands.iter().position(is_held) {
                    return machines.get(at).cloned().flatten();
                }
                self.named_by(name, machines).or_else(|| {
                    let parts = name.split(|c: char| !c.is_ascii_alphanumeric());
                    parts.filter(|part| !part.is_empty()).find_map(|part| {
                        let mut known = machines.iter().flatten();
                        known.find(|name| name.eq_ignore_ascii_case(part)).cloned()
                    })
                })
            }
            Hint::Text(text) => self.named_by(text, machines),
        }
    }

    /// The machine that is called like a text, or whose monitor listens there.
    fn named_by(&self, text: &str, machines: &[Option<String>]) -> Option<String> {
        let mut known = machines.iter().flatten();
        if let Some(name) = known.find(|name| name.eq_ignore_ascii_case(text)) {
            return Some(name.clone());
        }
        let place = text.rsplit_once(':').map_or(text, |(_, port)| port);
        let listens = |words: &[String]| {
            let words = apart(words);
            let pairs = words.windows(2).filter_map(|pair| machine::monitor(&pair[0], &pair[1]));
            let mut sockets = pairs.filter(|socket| !socket.is_empty());
            sockets.any(|socket| {
                socket == text || socket == place || text.ends_with(&format!("/{socket}"))
            })
        };
        let mut all = self.commands.iter().zip(machines);
        all.find(|(started, _)| listens(&started.words)).and_then(|(_, name)| name.clone())
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// The command of a text in JSON.
fn of_json(text: &str) -> Option<Piece> {
    let object: Map<String, Json> = serde_json::from_str(text).ok()?;
    let name = object.get("execute")?.as_str()?;
    let arguments = object.get("arguments").and_then(Json::as_object).cloned();
    command::of_qmp(name, arguments.unwrap_or_default())
}

/// The names of what a call is of.
fn shown(expr: &Expr) -> String {
    match expr {
        Expr::Name(name) => name.clone(),
        Expr::Member(base, key) => match &**key {
            Expr::Text(name, _) => format!("{} {name}", shown(base)),
            _ => shown(base),
        },
        Expr::Call(callee, _) => shown(callee),
        _ => String::new(),
    }
}
