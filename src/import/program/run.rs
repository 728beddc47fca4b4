//! A program is followed: what it puts into lists are the words of commands. Nothing of it is run.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use super::{
    language::Language,
    object::Arguments,
    reach::calls,
    start::Started,
    step::Said,
    syntax::{Class, Clause, Expr, Function, Statement},
    value::{Object, Value},
};
use crate::import::{flag, shell::Shell};

/// Most statements that are followed, turns of a loop, and calls in one another.
pub(super) const MAX_STATEMENTS: usize = 20_000;
pub(super) const MAX_TURNS: usize = 64;
const MAX_CALLS: usize = 16;
/// Most bytes that texts grow to.
pub(super) const MOST_WRITTEN: usize = 1 << 20;
/// Most bytes that variables are given in all: a list is written anew for each item that it gets.
pub(super) const MOST_COPIED: usize = 1 << 26;

pub(super) struct Run<'a> {
    pub(super) language: &'static Language,
    pub(super) shell: &'a mut Shell,
    pub(super) scopes: Vec<Scope>,
    pub(super) functions: BTreeMap<String, Rc<Function>>,
    pub(super) classes: BTreeMap<String, Rc<Class>>,
    /// The objects, in the order in which they are made.
    pub(super) made: Vec<Rc<Object>>,
    /// What programs are started with by default: `--port`, and its value.
    pub(super) defaults: Vec<(String, Value)>,
    /// Texts that were given to the call that a variable holds the result of.
    pub(super) given: BTreeMap<String, Vec<String>>,
    pub(super) last_given: Vec<String>,
    /// Commands of monitors.
    pub(super) said: Vec<Said>,
    pub(super) order: Vec<String>,
    pub(super) called: BTreeSet<String>,
    pub(super) steps: usize,
    pub(super) written: usize,
    pub(super) copied: usize,
    pub(super) commands: Vec<Started>,
    /// Lists of options without a program.
    pub(super) fragments: Vec<Started>,
    pub(super) branches: Vec<String>,
    pub(super) remarks: Vec<String>,
}

/// Variables, in the order in which they are set.
#[derive(Default)]
pub(super) struct Scope {
    pub(super) names: Vec<String>,
    pub(super) values: BTreeMap<String, Value>,
    /// The object whose method this is.
    pub(super) this: Option<Rc<Object>>,
}

/// How statements end.
pub(super) enum Flow {
    On,
    Next,
    Return(Value),
}

pub(super) const PRINTING: &[&str] = &[
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
            classes: BTreeMap::new(),
            made: Vec::new(),
            defaults: Vec::new(),
            given: BTreeMap::new(),
            last_given: Vec::new(),
            said: Vec::new(),
            order: Vec::new(),
            called: BTreeSet::new(),
            steps: 0,
            written: 0,
            copied: 0,
            commands: Vec::new(),
            fragments: Vec::new(),
            branches: Vec::new(),
            remarks: Vec::new(),
        }
    }

    /// Follows a program, and then each function that nothing in it calls.
    pub(super) fn all(&mut self, statements: &[Statement]) {
        self.define(statements);
        calls(statements, &mut self.called);
        self.statements(statements);
        for name in self.order.clone() {
            if self.called.contains(&name) {
                continue;
            }
            if let Some(class) = self.class_with(&name) {
                for object in self.objects_of(&class) {
                    let value = self.method_value(&object, &name, Arguments::default());
                    self.emit(value.unwrap_or(Value::Nothing));
                }
            } else if let Some(function) = self.functions.get(&name).cloned() {
                let value = self.call(&name, &function, Arguments::default(), None);
                self.emit(value);
            }
        }
        for object in self.made.clone() {
            self.leftover_of(&object);
        }
        if let Some(scope) = self.scopes.pop() {
            self.leftover(&scope);
        }
        self.add_fragments();
    }

    pub(super) fn define(&mut self, statements: &[Statement]) {
        for one in statements {
            match one {
                Statement::Function(name, function) => {
                    self.functions.insert(name.clone(), Rc::clone(function));
                    self.order.push(name.clone());
                    self.define(&function.body);
                    self.note_calls(name, &function.body);
                }
                Statement::Class(class) => self.declare(class),
                Statement::Block(_, body) => self.define(body),
                _ => {}
            }
        }
    }

    /// Learns which functions another one calls.
    pub(super) fn note_calls(&mut self, name: &str, body: &[Statement]) {
        let mut called = BTreeSet::new();
        calls(body, &mut called);
        called.remove(name);
        self.called.extend(called);
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

    /// The statements of a function, of which the last may be what it gives.
    fn body(&mut self, all: &[Statement]) -> Flow {
        let last = all.split_last().filter(|_| self.language.last_is_value);
        let Some((Statement::Expr(value), rest)) = last else { return self.statements(all) };
        if matches!(value, Expr::Assign(..)) {
            return self.statements(all);
        }
        match self.statements(rest) {
            Flow::On => Flow::Return(self.value(value)),
            other => other,
        }
    }

    pub(super) fn statement(&mut self, one: &Statement) -> Flow {
        match one {
            Statement::Expr(expr) => {
                let started = self.commands.len();
                let value = self.value(expr);
                if let Expr::Assign(target, sign, given) = expr {
                    if matches!(**given, Expr::Call(..)) && *sign != "+=" {
                        self.start_of(target);
                    }
                    self.name_started(started, target);
                }
                let prints = matches!(expr, Expr::Call(callee, _) if is_one_of(callee, PRINTING));
                if self.language.is_value {
                    let value = self.applied(value);
                    self.emit_named(value, None, 0);
                } else if !matches!(expr, Expr::Assign(..) | Expr::Name(_)) && !prints {
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
            Statement::For(line, names, list, body) => {
                return self.turns(*line, names, list, body);
            }
            Statement::If(condition, then, other) => return self.choice(condition, then, other),
            Statement::Function(..) => {}
            Statement::Class(class) => {
                for (name, default) in &class.fields {
                    if let Some(default) = default {
                        let value = self.value(default);
                        self.set(name, value);
                    }
                }
            }
            Statement::Return(value) => return Flow::Return(self.value(value)),
            Statement::Next => return Flow::Next,
            Statement::Block(names, body) => self.block(names, body),
        }
        Flow::On
    }

    /// A block with a name: settings of `env` are its surroundings', `command` and `args` are a command.
    pub(super) fn block(&mut self, names: &[String], body: &[Statement]) {
        if self.block_for_each(names, body) {
            return;
        }
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
            if kind == "variable" {
                self.set(label, value.clone());
            }
            return;
        }
        if let (Some(command), Some(args)) = (scope.values.get("command"), scope.values.get("args"))
        {
            self.emit(Value::List(vec![command.clone(), args.clone()]));
        }
        self.leftover(&scope);
    }

    /// A block of HCL that stands once for each member of a map or a list; whether it is one.
    fn block_for_each(&mut self, names: &[String], body: &[Statement]) -> bool {
        let set = |one: &Statement| match one {
            Statement::Expr(Expr::Assign(target, _, value)) if matches!(&**target, Expr::Name(name) if name == "for_each") => {
                Some((**value).clone())
            }
            _ => None,
        };
        let Some(list) = body.iter().find_map(set) else { return false };
        let pairs = match self.value(&list) {
            Value::Map(map) => map,
            Value::List(list) => {
                list.into_iter().map(|one| (one.plain().unwrap_or_default(), one)).collect()
            }
            _ => return false,
        };
        let rest: Vec<Statement> = body.iter().filter(|one| set(one).is_none()).cloned().collect();
        for (key, value) in pairs.into_iter().take(MAX_TURNS) {
            let each = vec![("key".to_owned(), Value::Text(key)), ("value".to_owned(), value)];
            self.set("each", Value::Map(each));
            self.block(names, &rest);
        }
        true
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

    pub(super) fn turns(
        &mut self,
        line: usize,
        names: &[String],
        list: &Expr,
        body: &[Statement],
    ) -> Flow {
        let items = match (list, self.value(list)) {
            (Expr::Nothing, _) => None,
            (_, Value::Nothing) => Some(Vec::new()),
            (_, value) => items_of(value, names.len() > 1),
        };
        let Some(items) = items.filter(|items| items.len() <= MAX_TURNS) else {
            for name in names {
                self.set(name, Value::Unknown(name.clone()));
            }
            if holds_options(body) {
                let place = if line > 0 { format!("line {line}, ") } else { String::new() };
                self.remarks.push(format!(
                    "a loop is not unrolled, {place}that over {}: the text does not say over what",
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

    /// The values that an expression has in the turns of its loops.
    pub(super) fn each(&mut self, value: &Expr, clauses: &[Clause], out: &mut Vec<Value>) {
        self.steps += 1;
        if self.steps > MAX_STATEMENTS {
            return;
        }
        let Some((clause, inner)) = clauses.split_first() else {
            let value = self.value(value);
            return out.push(value);
        };
        let list = self.value(&clause.list);
        let items = items_of(list, clause.names.len() > 1);
        let items = items.filter(|items| items.len() <= MAX_TURNS).unwrap_or_else(|| {
            let unknown = clause.names.iter().map(|name| Value::Unknown(name.clone())).collect();
            vec![Value::List(unknown)]
        });
        for (number, item) in items.into_iter().enumerate() {
            self.bind(&clause.names, number, item);
            let is_left_out =
                |run: &mut Self, condition: &Expr| run.value(condition).holds() == Some(false);
            if !clause.conditions.iter().any(|condition| is_left_out(self, condition)) {
                self.each(value, inner, out);
            }
        }
    }

    pub(super) fn bind(&mut self, names: &[String], number: usize, item: Value) {
        match (names, item) {
            ([name], item) => self.set(name, item),
            (names, Value::List(parts)) if parts.len() == names.len() => {
                for (name, part) in names.iter().zip(parts) {
                    self.set(name, part);
                }
            }
            // `for i, (name, port) in ...`
            (names, Value::List(parts)) if flat(&parts).len() == names.len() => {
                for (name, part) in names.iter().zip(flat(&parts)) {
                    self.set(name, part);
                }
            }
            // `for (const { name, port } of ...)`
            (names, Value::Map(map))
                if names.iter().all(|name| map.iter().any(|(key, _)| key == name)) =>
            {
                for (key, value) in map {
                    self.set(&key, value);
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
        if let Some(object) = self.this()
            && (known.is_none() && object.get(name).is_some() || self.own_field(name).is_some())
        {
            return object.set(name, value);
        }
        let at = known.unwrap_or(self.scopes.len().saturating_sub(1));
        if let Some(scope) = self.scopes.get_mut(at)
            && scope.values.insert(name.to_owned(), value).is_none()
        {
            scope.names.push(name.to_owned());
        }
    }

    /// A field of the object whose method is followed, where the language needs no word in front of it.
    fn own_field(&self, name: &str) -> Option<Value> {
        let scope = self.scopes.last().filter(|scope| !scope.values.contains_key(name))?;
        let object = scope.this.as_ref().filter(|_| !self.language.names_object)?;
        object.get(name)
    }

    /// Sets a variable of the function that is followed, whatever stands outside of it.
    pub(super) fn set_here(&mut self, name: &str, value: Value) {
        match self.scopes.last_mut() {
            Some(scope) if !scope.values.contains_key(name) => {
                scope.names.push(name.to_owned());
                scope.values.insert(name.to_owned(), Value::Nothing);
            }
            _ => {}
        }
        self.set(name, value);
    }

    /// The object whose method is followed.
    pub(super) fn this(&self) -> Option<Rc<Object>> {
        self.scopes.last().and_then(|scope| scope.this.clone())
    }

    pub(super) fn get(&self, name: &str) -> Option<Value> {
        if let Some(value) = self.own_field(name) {
            return Some(value);
        }
        let found = self.scopes.iter().rev().find_map(|scope| scope.values.get(name));
        if found.is_some() {
            return found.cloned();
        }
        if let Some(object) = self.this() {
            match name {
                "self" | "this" => return Some(Value::Object(object)),
                name => {
                    if let Some(value) = object.get(name) {
                        return Some(value);
                    }
                }
            }
        }
        if !name.starts_with("NOMAD_") {
            return None;
        }
        // `NOMAD_PORT_mirror` of a block `port "mirror"`.
        let lower = name.to_lowercase();
        let all = self.scopes.iter().rev().flat_map(|scope| scope.values.iter());
        let mut all = all.filter(|(known, _)| known.contains('_') && known.len() > 4);
        all.find(|(known, _)| lower.ends_with(&format!("_{}", known.to_lowercase())))
            .map(|(_, value)| value.clone())
    }

    /// Calls a function, as a method where an object is given, with what it is given.
    pub(super) fn call(
        &mut self,
        name: &str,
        function: &Rc<Function>,
        given: Arguments,
        this: Option<Rc<Object>>,
    ) -> Value {
        if self.scopes.len() > MAX_CALLS {
            return Value::Nothing;
        }
        self.called.insert(name.to_owned());
        let scope = self.entered(function, given, this);
        self.scopes.push(scope);
        let flow = self.body(&function.body);
        let scope = self.scopes.pop();
        match flow {
            Flow::Return(value) => {
                if !self.holds(&value) {
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
}

/// The items that a loop goes over: those of a list, or the keys of a map, with their values for several names.
pub(super) fn items_of(value: Value, several: bool) -> Option<Vec<Value>> {
    match value {
        Value::List(items) => Some(items),
        Value::Map(map) if several => {
            let pair = |(key, value)| Value::List(vec![Value::Text(key), value]);
            Some(map.into_iter().map(pair).collect())
        }
        Value::Map(map) => Some(map.into_iter().map(|(key, _)| Value::Text(key)).collect()),
        _ => None,
    }
}

/// Parts, with the parts of those that are lists.
fn flat(parts: &[Value]) -> Vec<Value> {
    parts.iter().flat_map(|part| part.clone().items()).collect()
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
