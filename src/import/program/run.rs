//! A program is followed: what it puts into lists are the words of commands. Nothing of it is run.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use super::{
    language::Language,
    reach::calls,
    syntax::{Expr, Statement},
    value::Value,
};
use crate::import::{flag, shell::Shell};

/// Most statements that are followed, turns of a loop, and calls in one another.
pub(super) const MAX_STATEMENTS: usize = 20_000;
pub(super) const MAX_TURNS: usize = 64;
const MAX_CALLS: usize = 16;
/// Most bytes that texts grow to.
pub(super) const MOST_WRITTEN: usize = 1 << 20;
/// Most bytes that variables are given in all: a list is written anew for each item that it gets.
const MOST_COPIED: usize = 1 << 26;

pub(super) type Function = Rc<(Vec<String>, Vec<Statement>)>;

pub(super) struct Run<'a> {
    pub(super) language: &'static Language,
    pub(super) shell: &'a mut Shell,
    pub(super) scopes: Vec<Scope>,
    pub(super) functions: BTreeMap<String, Function>,
    pub(super) order: Vec<String>,
    pub(super) called: BTreeSet<String>,
    pub(super) steps: usize,
    pub(super) written: usize,
    pub(super) copied: usize,
    pub(super) commands: Vec<Vec<String>>,
    pub(super) branches: Vec<String>,
    pub(super) remarks: Vec<String>,
}

/// Variables, in the order in which they are set.
#[derive(Default)]
pub(super) struct Scope {
    pub(super) names: Vec<String>,
    pub(super) values: BTreeMap<String, Value>,
}

/// How statements end.
pub(super) enum Flow {
    On,
    Next,
    Return(Value),
}

const PRINTING: &[&str] = &[
    "print",
    "printf",
    "println",
    "puts",
    "echo",
    "log",
    "Println",
    "Printf",
    "warn",
    "info",
    "debug",
    "say",
    "perror",
    "eprintln",
    "console",
    "write",
    "WriteLine",
    "die",
];

impl<'a> Run<'a> {
    pub(super) fn new(language: &'static Language, shell: &'a mut Shell) -> Self {
        Self {
            language,
            shell,
            scopes: vec![Scope::default()],
            functions: BTreeMap::new(),
            order: Vec::new(),
            called: BTreeSet::new(),
            steps: 0,
            written: 0,
            copied: 0,
            commands: Vec::new(),
            branches: Vec::new(),
            remarks: Vec::new(),
        }
    }

    /// Follows a program, and then each function that nothing in it calls.
    pub(super) fn all(&mut self, statements: &[Statement]) {
        self.define(statements);
        self.statements(statements);
        for name in self.order.clone() {
            if !self.called.contains(&name)
                && let Some(function) = self.functions.get(&name).cloned()
            {
                let value = self.call(&name, &function, Vec::new());
                self.emit(value);
            }
        }
        if let Some(scope) = self.scopes.pop() {
            self.leftover(&scope);
        }
    }

    pub(super) fn define(&mut self, statements: &[Statement]) {
        for one in statements {
            match one {
                Statement::Function(name, parameters, body) => {
                    self.functions
                        .insert(name.clone(), Rc::new((parameters.clone(), body.clone())));
                    self.order.push(name.clone());
                    self.define(body);
                    calls(body, &mut self.called);
                }
                Statement::Block(_, body) => self.define(body),
                other => calls(std::slice::from_ref(other), &mut self.called),
            }
        }
    }

    pub(super) fn statements(&mut self, all: &[Statement]) -> Flow {
        for one in all {
            self.steps += 1;
            if self.steps > MAX_STATEMENTS {
                return Flow::On;
            }
            match self.statement(one) {
                Flow::On => {}
                other => return other,
            }
        }
        Flow::On
    }

    pub(super) fn statement(&mut self, one: &Statement) -> Flow {
        match one {
            Statement::Expr(expr) => {
                let value = self.value(expr);
                let prints = matches!(expr, Expr::Call(callee, _) if is_one_of(callee, PRINTING));
                if !matches!(expr, Expr::Assign(..) | Expr::Name(_)) && !prints {
                    self.emit(value);
                } else if let Expr::Assign(target, _, given) = expr
                    && matches!(**given, Expr::Command(_))
                {
                    // What a command that runs gives is its process.
                    let started = self.value(target);
                    self.emit(started);
                    self.assign(target, "=", Value::Unknown("process".to_owned()));
                }
            }
            Statement::For(names, list, body) => return self.turns(names, list, body),
            Statement::If(condition, then, other) => return self.choice(condition, then, other),
            Statement::Function(..) => {}
            Statement::Return(value) => return Flow::Return(self.value(value)),
            Statement::Next => return Flow::Next,
            Statement::Block(names, body) => self.block(names, body),
        }
        Flow::On
    }

    /// A block with a name: settings of `env` are its surroundings', `command` and `args` are a command.
    pub(super) fn block(&mut self, names: &[String], body: &[Statement]) {
        let kind = names.first().map(String::as_str).unwrap_or_default();
        self.scopes.push(Scope::default());
        let is_setting = |one: &&Statement| matches!(one, Statement::Block(names, _) if matches!(names[0].as_str(), "env" | "network" | "variables" | "locals"));
        for one in body.iter().filter(is_setting) {
            self.statement(one);
        }
        for one in body.iter().filter(|one| !is_setting(one)) {
            self.statement(one);
        }
        let Some(scope) = self.scopes.pop() else { return };
        if matches!(kind, "env" | "network" | "variables" | "locals" | "const" | "param") {
            for (name, value) in scope.values {
                self.set(&name, value);
            }
            return;
        }
        let setting =
            ["static", "default", "value", "to"].iter().find_map(|key| scope.values.get(*key));
        if let (Some(label), Some(value)) = (names.get(1), setting) {
            self.set(&format!("{kind}_{label}"), value.clone());
            return;
        }
        if let (Some(command), Some(args)) = (scope.values.get("command"), scope.values.get("args"))
        {
            self.emit(Value::List(vec![command.clone(), args.clone()]));
        }
        self.leftover(&scope);
    }

    pub(super) fn choice(
        &mut self,
        condition: &Expr,
        then: &[Statement],
        other: &[Statement],
    ) -> Flow {
        let value = self.value(condition);
        match value.holds() {
            Some(true) => return self.statements(then),
            Some(false) => return self.statements(other),
            None => {}
        }
        let ends = |body: &[Statement]| {
            matches!(body.last(), Some(Statement::Return(_) | Statement::Next))
        };
        let (then_is_end, other_is_end) = (ends(then), ends(other));
        let shown = match &value {
            Value::Unknown(written) => written.clone(),
            _ => String::new(),
        };
        if then_is_end && !holds_options(then) {
            return if other_is_end { Flow::On } else { self.statements(other) };
        }
        if other.is_empty() || holds_options(then) {
            self.branches.push(format!("where `{shown}` holds"));
            if let Flow::Return(value) = self.statements(then) {
                self.emit(value);
            }
            return Flow::On;
        }
        self.branches.push(format!("where `{shown}` is false"));
        self.statements(other)
    }

    pub(super) fn turns(&mut self, names: &[String], list: &Expr, body: &[Statement]) -> Flow {
        let items: Option<Vec<Value>> = match self.value(list) {
            Value::List(items) => Some(items),
            Value::Map(map) if names.len() > 1 => Some(
                map.into_iter()
                    .map(|(key, value)| Value::List(vec![Value::Text(key), value]))
                    .collect(),
            ),
            Value::Map(map) => Some(map.into_iter().map(|(key, _)| Value::Text(key)).collect()),
            _ => None,
        };
        let Some(items) = items.filter(|items| items.len() <= MAX_TURNS) else {
            for name in names {
                self.set(name, Value::Unknown(name.clone()));
            }
            if holds_options(body) {
                self.remarks.push(format!(
                    "a loop is not unrolled, that over {}: the text does not say over what",
                    names.join(", ")
                ));
            }
            return match self.statements(body) {
                Flow::Return(value) => Flow::Return(value),
                _ => Flow::On,
            };
        };
        for (number, item) in items.into_iter().enumerate() {
            self.bind(names, number, item);
            if let Flow::Return(value) = self.statements(body) {
                return Flow::Return(value);
            }
        }
        Flow::On
    }

    pub(super) fn bind(&mut self, names: &[String], number: usize, item: Value) {
        match (names, item) {
            ([name], item) => self.set(name, item),
            (names, Value::List(parts)) if parts.len() == names.len() => {
                for (name, part) in names.iter().zip(parts) {
                    self.set(name, part);
                }
            }
            ([index, name], item) => {
                self.set(index, Value::Number(i64::try_from(number).unwrap_or(0)));
                self.set(name, item);
            }
            (names, _) => {
                names.iter().for_each(|name| self.set(name, Value::Unknown(name.clone())))
            }
        }
    }

    pub(super) fn set(&mut self, name: &str, value: Value) {
        self.copied = self.copied.saturating_add(value.size());
        let value = if self.copied > MOST_COPIED { Value::Nothing } else { value };
        let known = self.scopes.iter().rposition(|scope| scope.values.contains_key(name));
        let at = known.unwrap_or(self.scopes.len().saturating_sub(1));
        if let Some(scope) = self.scopes.get_mut(at)
            && scope.values.insert(name.to_owned(), value).is_none()
        {
            scope.names.push(name.to_owned());
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<Value> {
        let found = self.scopes.iter().rev().find_map(|scope| scope.values.get(name));
        if found.is_some() {
            return found.cloned();
        }
        // `NOMAD_PORT_mirror` of a block `port "mirror"`.
        let lower = name.to_lowercase();
        let all = self.scopes.iter().rev().flat_map(|scope| scope.values.iter());
        let mut all = all.filter(|(known, _)| known.contains('_') && known.len() > 4);
        all.find(|(known, _)| lower.ends_with(&format!("_{}", known.to_lowercase())))
            .map(|(_, value)| value.clone())
    }

    pub(super) fn call(&mut self, name: &str, function: &Function, given: Vec<Value>) -> Value {
        if self.scopes.len() > MAX_CALLS {
            return Value::Nothing;
        }
        self.called.insert(name.to_owned());
        let mut scope = Scope::default();
        let mut given = given.into_iter();
        for parameter in &function.0 {
            let value = given.next().unwrap_or_else(|| Value::Unknown(parameter.clone()));
            scope.names.push(parameter.clone());
            scope.values.insert(parameter.clone(), value);
        }
        self.scopes.push(scope);
        let flow = self.statements(&function.1);
        let scope = self.scopes.pop();
        match flow {
            Flow::Return(value) => {
                if !words_hold(&self.words(value.clone())) {
                    scope.iter().for_each(|scope| self.leftover(scope));
                }
                value
            }
            _ => {
                scope.iter().for_each(|scope| self.leftover(scope));
                Value::Nothing
            }
        }
    }

    /// Lists of options that no command has.
    pub(super) fn leftover(&mut self, scope: &Scope) {
        let lists = scope.names.iter().filter_map(|name| scope.values.get(name).cloned());
        let lists: Vec<Vec<String>> = lists
            .filter(|value| !matches!(value, Value::Map(_)))
            .map(|value| self.words(value))
            .collect();
        let (with, without): (Vec<_>, Vec<_>) =
            lists.into_iter().filter(|words| words_hold(words)).partition(|words| begins(words));
        for words in with.into_iter().chain(without) {
            self.add(words);
        }
    }

    pub(super) fn emit(&mut self, value: Value) {
        let words = self.words(value);
        if words_hold(&words) {
            self.add(words);
        }
    }

    pub(super) fn add(&mut self, words: Vec<String>) {
        let options = |words: &[String]| -> Vec<String> {
            words.iter().filter(|word| word.contains('=') || word.contains(' ')).cloned().collect()
        };
        let own = options(&words);
        let is_known = |known: &Vec<String>| {
            let known = options(known);
            own.iter().all(|word| known.contains(word))
        };
        if !self.commands.iter().any(is_known) {
            self.commands.push(words);
        }
    }

    pub(super) fn words(&mut self, value: Value) -> Vec<String> {
        match value {
            Value::List(list) => list.into_iter().flat_map(|one| self.words(one)).collect(),
            Value::Text(text) => vec![text],
            Value::Number(number) => vec![number.to_string()],
            Value::Unknown(written) => vec![self.placeholder(&written, &written)],
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

/// Whether words hold an option of the net layer, alone or in a text.
pub(super) fn words_hold(words: &[String]) -> bool {
    words.iter().any(|word| {
        flag::is_net(word) || word.split([' ', '\n']).any(flag::is_net) && word.contains(' ')
    })
}

/// Whether words begin with a program of QEMU's.
fn begins(words: &[String]) -> bool {
    words.iter().take(4).any(|word| word.split(' ').any(flag::is_program))
}

/// Whether statements have a text with an option.
fn holds_options(statements: &[Statement]) -> bool {
    let text = format!("{statements:?}");
    text.len() < MOST_WRITTEN && flag::is_qemus(&text)
}

fn is_one_of(callee: &Expr, names: &[&str]) -> bool {
    match callee {
        Expr::Name(name) => names.contains(&name.as_str()),
        Expr::Member(base, key) => {
            matches!(&**key, Expr::Text(name, _) if names.contains(&name.as_str()))
                || is_one_of(base, names)
        }
        _ => false,
    }
}
