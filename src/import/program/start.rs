//! The commands that a program starts: what stands for itself, what lists are left, and what each is called.

use std::rc::Rc;

use super::{
    object::Arguments,
    run::{MOST_COPIED, Run, Scope},
    syntax::{Expr, MAX_DEPTH},
    value::{Object, Value},
};
use crate::import::flag;

/// A command that the program starts.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) words: Vec<String>,
    /// The number of the object that starts it.
    pub(super) owner: Option<usize>,
    /// The variable that holds it.
    pub(super) variable: Option<String>,
    /// A variable holds it to which more may be added.
    pub(super) may_grow: bool,
}

/// Most functions that give one another.
const MAX_APPLIED: usize = 4;

impl Run<'_> {
    /// Takes the command that a call gave a variable.
    pub(super) fn start_of(&mut self, target: &Expr) {
        if !matches!(target, Expr::Name(_) | Expr::Member(..)) {
            return;
        }
        let value = self.value(target);
        let words = self.words(value);
        if words_hold(&words) && begins(&words) {
            let variable = self.name_of(target);
            let owner = self.this().map(|object| object.number);
            self.add_started(Started { words, owner, variable, may_grow: true });
        }
    }

    fn name_of(&mut self, target: &Expr) -> Option<String> {
        match target {
            Expr::Name(name) => Some(name.clone()),
            Expr::Member(_, key) => self.value(key).plain(),
            _ => None,
        }
    }

    /// Calls the commands that were started while a variable got its value by the variable's name.
    pub(super) fn name_started(&mut self, from: usize, target: &Expr) {
        let Some(name) = self.name_of(target) else { return };
        if let [started] = &mut self.commands[from..] {
            started.variable.get_or_insert(name);
        }
    }

    fn begins_one(&mut self, value: &Value) -> bool {
        matches!(value, Value::List(_)) && begins(&self.words(value.clone()))
    }

    /// What a function gives whose arguments have defaults.
    pub(super) fn applied(&mut self, mut value: Value) -> Value {
        for _ in 0..MAX_APPLIED {
            let Value::Function(function) = value else { return value };
            value = self.call("", &function, Arguments::default(), None);
        }
        value
    }

    /// The commands that stand in a value, each called by the key that it has.
    pub(super) fn emit_named(&mut self, value: Value, name: Option<String>, depth: usize) {
        match value {
            Value::Map(map) if depth < MAX_DEPTH => {
                for (key, value) in map {
                    self.emit_named(value, Some(key), depth + 1);
                }
            }
            value => {
                let words = self.words(value);
                if words_hold(&words) {
                    self.add(words, name);
                }
            }
        }
    }

    /// Whether a value has an option of the net layer.
    pub(super) fn holds(&mut self, value: &Value) -> bool {
        match value {
            Value::Map(map) if self.language.is_value => {
                map.iter().any(|(_, value)| self.holds(value))
            }
            value => words_hold(&self.words(value.clone())),
        }
    }

    /// Lists of options that no command has.
    pub(super) fn leftover(&mut self, scope: &Scope) {
        let named = scope.names.iter();
        let named = named.filter_map(|name| Some((name.clone(), scope.values.get(name)?.clone())));
        self.leftover_values(named.collect());
    }

    pub(super) fn leftover_of(&mut self, object: &Rc<Object>) {
        let fields = object.fields.borrow().clone();
        self.scopes.push(Scope { this: Some(Rc::clone(object)), ..Scope::default() });
        self.leftover_values(fields);
        self.scopes.pop();
    }

    fn leftover_values(&mut self, values: Vec<(String, Value)>) {
        let mut lists: Vec<(String, Vec<String>)> = Vec::new();
        for (name, value) in values {
            match value {
                // Programs by their names.
                Value::Map(map) => {
                    let held = map.into_iter().map(|(key, value)| (key, self.words(value)));
                    let held: Vec<(String, Vec<String>)> = held.collect();
                    lists.extend(held.into_iter().filter(|(_, words)| begins(words)));
                }
                value => {
                    let words = self.words(value);
                    lists.push((name, words));
                }
            }
        }
        let holds = |(_, words): &(String, Vec<String>)| words_hold(words);
        let (with, without): (Vec<_>, Vec<_>) =
            lists.into_iter().filter(holds).partition(|(_, words)| begins(words));
        for (name, words) in with {
            self.add(words, Some(name));
        }
        let owner = self.this().map(|object| object.number);
        let fragment =
            |(name, words)| Started { words, owner, variable: Some(name), may_grow: false };
        self.fragments.extend(without.into_iter().map(fragment));
    }

    /// Lists of options that no command took.
    pub(super) fn add_fragments(&mut self) {
        for fragment in std::mem::take(&mut self.fragments) {
            self.add_whole(fragment);
        }
    }

    pub(super) fn emit(&mut self, value: Value) {
        // Several commands, which a loop gave.
        if let Value::List(items) = &value
            && items.clone().iter().filter(|item| self.begins_one(item)).count() > 1
        {
            return items.clone().into_iter().for_each(|item| self.emit(item));
        }
        let words = self.words(value);
        if words_hold(&words) {
            self.add(words, None);
        }
    }

    pub(super) fn add(&mut self, words: Vec<String>, variable: Option<String>) {
        let owner = self.this().map(|object| object.number);
        self.add_started(Started { words, owner, variable, may_grow: false });
    }

    fn add_started(&mut self, started: Started) {
        // What has no program may be part of a command that is started later.
        match begins(&apart(&started.words)) {
            true => self.add_whole(started),
            false => self.fragments.push(started),
        }
    }

    /// Takes a command, unless one has all of its options.
    fn add_whole(&mut self, started: Started) {
        let own = options(&started.words);
        let has = |all: &[String], part: &[String]| part.iter().all(|word| all.contains(word));
        let known = self.commands.iter_mut();
        let mut known = known.map(|known| (options(&known.words), known));
        match known.find(|(of_known, _)| has(of_known, &own)) {
            Some((_, known)) => known.variable = known.variable.take().or(started.variable),
            None => {
                // The same command, which has grown.
                let same = self
                    .commands
                    .iter_mut()
                    .find(|known| known.may_grow && has(&own, &options(&known.words)));
                match same {
                    Some(known) => known.words = started.words,
                    None => self.commands.push(started),
                }
            }
        }
    }

    pub(super) fn words(&mut self, value: Value) -> Vec<String> {
        self.copied = self.copied.saturating_add(value.size());
        if self.copied > MOST_COPIED {
            return Vec::new();
        }
        match value {
            Value::List(list) => list.into_iter().flat_map(|one| self.words(one)).collect(),
            Value::Text(text) => vec![text],
            Value::Number(number) => vec![number.to_string()],
            Value::Unknown(written) => vec![self.placeholder(&written, &written)],
            Value::Object(object) if self.is_stranger(&object) => {
                vec![self.placeholder(&object.class.name, &object.class.name)]
            }
            _ => Vec::new(),
        }
    }

    pub(super) fn placeholder(&mut self, name: &str, written: &str) -> String {
        let last = name.rsplit(['.', ':', '>', '$', '@', '/']).next().unwrap_or(name);
        let plain: String =
            last.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        self.shell.named(plain.trim_start_matches(|c: char| c.is_ascii_digit()), written)
    }

    /// The text that a value is in another.
    pub(super) fn text(&mut self, value: Value) -> String {
        match value {
            Value::Bool(is) => is.to_string(),
            other => self.words(other).join(" "),
        }
    }
}

/// The words of a command, also of one that is a text.
pub(super) fn apart(words: &[String]) -> Vec<String> {
    let parts = |word: &String| match word.contains(' ') && flag::is_qemus(word) {
        true => {
            word.split_whitespace().map(|part| part.trim_matches(['"', '\'']).to_owned()).collect()
        }
        false => vec![word.clone()],
    };
    words.iter().flat_map(parts).collect()
}

/// The words that tell a command from others: options' values, and its name.
fn options(words: &[String]) -> Vec<String> {
    let words = &apart(words);
    let is_name = |at: usize| at > 0 && words[at - 1] == "-name";
    let all = words.iter().enumerate();
    let all = all.filter(|(at, word)| word.contains('=') || word.contains(' ') || is_name(*at));
    all.map(|(_, word)| word.clone()).collect()
}

/// Whether words hold an option of the net layer, alone or in a text.
pub(super) fn words_hold(words: &[String]) -> bool {
    words.iter().any(|word| {
        flag::is_net(word) || word.split([' ', '\n']).any(flag::is_net) && word.contains(' ')
    })
}

/// Whether words begin with a program of QEMU's.
pub(super) fn begins(words: &[String]) -> bool {
    words.iter().take(4).any(|word| word.split(' ').any(flag::is_program))
}
