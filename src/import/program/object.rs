//! Objects of a program: how they are made, their methods, and what functions and methods are given.

use std::{cell::RefCell, rc::Rc};

use super::{
    language::Quote,
    run::{MOST_COPIED, Run, Scope},
    start::{begins, words_hold},
    syntax::{Class, Expr, Function, Parameter, Takes},
    value::{Object, Value},
};
use crate::import::flag;

/// Most objects.
const MOST_OBJECTS: usize = 512;
/// Most classes above one another.
const MOST_BASES: usize = 8;
/// The field that has the words of an object's command, and the one with the variable that holds it.
const ARGV: &str = " argv";
pub(super) const VARIABLE: &str = " variable";
/// What constructors are called, beside the class itself.
const CONSTRUCTORS: &[&str] = &["__init__", "initialize", "constructor", "__construct"];

/// What a call is given.
#[derive(Clone, Debug, Default)]
pub(super) struct Arguments {
    pub(super) values: Vec<Value>,
    /// Those that are given with their names.
    pub(super) named: Vec<(String, Value)>,
}

impl Run<'_> {
    /// What stands in the brackets of a call.
    pub(super) fn arguments(&mut self, items: &[Expr]) -> Arguments {
        let mut given = Arguments::default();
        // `{a: 1}` is an object of its own in JavaScript.
        let joins = self.language.backtick != Quote::Dollar;
        let mut is_open = false;
        for item in items {
            let is_pair = matches!(item, Expr::Map(pairs) if pairs.len() == 1 && matches!(pairs[0].0, Expr::Name(_)));
            match item {
                Expr::Assign(target, "=", value) if matches!(**target, Expr::Name(_)) => {
                    let value = self.value(value);
                    if let Expr::Name(name) = &**target {
                        given.named.push((name.clone(), value));
                    }
                }
                Expr::Spread(inner) => match self.value(inner) {
                    Value::Map(map) => given.named.extend(map),
                    value => given.values.extend(value.items()),
                },
                item => match (self.value(item), given.values.last_mut()) {
                    (Value::Map(more), Some(Value::Map(map))) if is_open && is_pair && joins => {
                        map.extend(more);
                    }
                    (value, _) => given.values.push(value),
                },
            }
            is_open = is_pair;
        }
        given
    }

    /// The variables of a function that is entered.
    pub(super) fn entered(
        &mut self,
        function: &Rc<Function>,
        mut given: Arguments,
        this: Option<Rc<Object>>,
    ) -> Scope {
        let this = this.or_else(|| self.this());
        let mut scope = Scope { this, ..Scope::default() };
        let all = Value::List(given.values.clone());
        let mut parameters = function.parameters.as_slice();
        let put = |scope: &mut Scope, name: &str, value: Value| {
            scope.names.push(name.to_owned());
            scope.values.insert(name.to_owned(), value);
        };
        if let Some(object) = scope.this.clone() {
            if let Some(receiver) = &function.receiver {
                put(&mut scope, receiver, Value::Object(Rc::clone(&object)));
            }
            let own = ["self", "cls"];
            if let Some((first, rest)) = parameters.split_first()
                && own.contains(&first.name.as_str())
            {
                parameters = rest;
                put(&mut scope, &first.name, Value::Object(object));
            }
        }
        spread_last(parameters, &mut given);
        let mut values = given.values.into_iter();
        for parameter in parameters {
            let named = given.named.iter().position(|(name, _)| *name == parameter.name);
            let value = match (parameter.takes, named) {
                (Takes::Rest, _) => Value::List(values.by_ref().collect()),
                (Takes::Names, _) => continue,
                (Takes::One, Some(at)) => given.named.remove(at).1,
                (Takes::One, None) => match (values.next(), &parameter.default) {
                    (Some(value), _) => value,
                    (None, Some(default)) => self.value(default),
                    (None, None) => Value::Unknown(parameter.name.clone()),
                },
            };
            put(&mut scope, &parameter.name, value);
        }
        if let Some(rest) = parameters.iter().find(|one| one.takes == Takes::Names) {
            put(&mut scope, &rest.name, Value::Map(given.named));
        }
        // `@_` of Perl.
        scope.values.insert("_".to_owned(), all);
        scope
    }

    /// Learns a class, or more of one.
    pub(super) fn declare(&mut self, class: &Rc<Class>) {
        let mut whole =
            self.classes.get(&class.name).map_or_else(Class::default, |known| (**known).clone());
        whole.name.clone_from(&class.name);
        whole.bases.extend(class.bases.iter().cloned());
        whole.fields.extend(class.fields.iter().cloned());
        whole.methods.extend(class.methods.iter().cloned());
        self.classes.insert(class.name.clone(), Rc::new(whole));
        for (name, function) in &class.methods {
            self.functions.entry(name.clone()).or_insert_with(|| Rc::clone(function));
            if !is_constructor(name, &class.name) {
                self.order.push(name.clone());
            }
            self.define(&function.body);
            self.note_calls(name, &function.body);
        }
    }

    /// The class that has a method of this name.
    pub(super) fn class_with(&self, name: &str) -> Option<Rc<Class>> {
        let has = |class: &&Rc<Class>| class.methods.iter().any(|(method, _)| method == name);
        self.classes.values().find(has).cloned()
    }

    /// The objects of a class; where the program makes none, one of which nothing is known.
    pub(super) fn objects_of(&mut self, class: &Rc<Class>) -> Vec<Rc<Object>> {
        let is_one = |object: &&Rc<Object>| {
            object.class.name == class.name || object.class.bases.contains(&class.name)
        };
        let made: Vec<Rc<Object>> = self.made.iter().filter(is_one).cloned().collect();
        if !made.is_empty() {
            return made;
        }
        match self.instance(class, Arguments::default()) {
            Value::Object(object) => vec![object],
            _ => Vec::new(),
        }
    }

    /// A new object of a class.
    pub(super) fn instance(&mut self, class: &Rc<Class>, given: Arguments) -> Value {
        if self.made.len() >= MOST_OBJECTS {
            return Value::Unknown(class.name.clone());
        }
        let number = self.made.len();
        let object =
            Rc::new(Object { number, class: Rc::clone(class), fields: Default::default() });
        self.made.push(Rc::clone(&object));
        let constructor = self.line_of(class).iter().find_map(|class| {
            let of = |(name, _): &&(String, Rc<Function>)| is_constructor(name, &class.name);
            class.methods.iter().find(of).cloned()
        });
        let mut fields: Vec<(String, Option<Expr>)> = Vec::new();
        for class in self.line_of(class).iter().rev() {
            fields.extend(class.fields.iter().cloned());
        }
        match constructor {
            Some((name, function)) => {
                for (field, default) in fields {
                    if let Some(default) = default {
                        let value = self.value(&default);
                        object.set(&field, value);
                    }
                }
                if !self.language.indents && !self.language.symbols {
                    // `constructor(private name: string)`
                    let scope = self.entered(&function, given.clone(), Some(Rc::clone(&object)));
                    for (name, value) in scope.values.into_iter().filter(|(name, _)| name != "_") {
                        object.set(&name, value);
                    }
                }
                self.call(&name, &function, given, Some(Rc::clone(&object)));
            }
            None => {
                // A field of which nothing is said is empty, where others are.
                let is_any = !given.values.is_empty() || !given.named.is_empty();
                let empty = || is_any.then_some(Expr::Nothing);
                let parameter = |(name, default): (String, Option<Expr>)| Parameter {
                    name,
                    default: default.or_else(empty),
                    takes: Takes::One,
                };
                let parameters = fields.into_iter().map(parameter).collect();
                let function = Rc::new(Function { parameters, ..Function::default() });
                let scope = self.entered(&function, given, Some(Rc::clone(&object)));
                for name in &scope.names {
                    if let Some(value) = scope.values.get(name) {
                        object.set(name, value.clone());
                    }
                }
            }
        }
        Value::Object(object)
    }

    /// An object of a class that the text does not have: what it was given are its fields.
    pub(super) fn stranger(
        &mut self,
        name: &str,
        values: Vec<Value>,
        named: Vec<(String, Value)>,
    ) -> Value {
        if self.made.len() >= MOST_OBJECTS {
            return Value::Unknown(name.to_owned());
        }
        let numbered = (0..).map(|number: usize| number.to_string()).zip(values);
        let fields = RefCell::new(numbered.chain(named).collect());
        let class = Rc::new(Class { name: name.to_owned(), ..Class::default() });
        let object = Rc::new(Object { number: self.made.len(), class, fields });
        self.made.push(Rc::clone(&object));
        Value::Object(object)
    }

    /// Whether an object is of a class that the text does not have.
    pub(super) fn is_stranger(&self, object: &Object) -> bool {
        !self.classes.contains_key(&object.class.name)
    }

    /// Puts words behind the options of an object that starts a program, as `vm.add_args(...)` does.
    pub(super) fn add_words(&mut self, object: &Object, values: Vec<Value>) {
        let mut words = match object.get(ARGV) {
            Some(value) => value.items(),
            None => {
                let first = object.get("0").or_else(|| object.get("binary"));
                let program =
                    first.filter(|one| one.plain().is_some_and(|text| flag::is_program(&text)));
                vec![program.unwrap_or_else(|| Value::Text(object.class.name.clone()))]
            }
        };
        words.extend(values);
        let words = Value::List(words);
        self.copied = self.copied.saturating_add(words.size());
        if self.copied <= MOST_COPIED {
            object.set(ARGV, words);
        }
    }

    /// A class, and those above it, the nearest first.
    fn line_of(&self, class: &Rc<Class>) -> Vec<Rc<Class>> {
        let mut line = vec![Rc::clone(class)];
        let mut at = 0;
        while let Some(class) = line.get(at).cloned().filter(|_| line.len() < MOST_BASES) {
            for base in &class.bases {
                if let Some(base) = self.classes.get(base)
                    && !line.iter().any(|known| known.name == base.name)
                {
                    line.push(Rc::clone(base));
                }
            }
            at += 1;
        }
        line
    }

    /// A method of an object, and the name of its class.
    pub(super) fn method(&self, object: &Rc<Object>, name: &str) -> Option<Rc<Function>> {
        let class = self.classes.get(&object.class.name).unwrap_or(&object.class);
        let found = |class: &Rc<Class>| {
            let methods = class.methods.iter();
            methods.rev().find(|(method, _)| method == name).map(|(_, method)| Rc::clone(method))
        };
        self.line_of(class).iter().find_map(found)
    }

    /// What a method gives; none where there is no such method.
    pub(super) fn method_value(
        &mut self,
        object: &Rc<Object>,
        name: &str,
        given: Arguments,
    ) -> Option<Value> {
        let method = self.method(object, name)?;
        let value = self.call(name, &method, given, Some(Rc::clone(object)));
        // The command of the object, whoever starts it.
        let words = self.words(value.clone());
        if words_hold(&words) && begins(&words) {
            self.scopes.push(Scope { this: Some(Rc::clone(object)), ..Scope::default() });
            self.add(words, None);
            self.scopes.pop();
        }
        Some(value)
    }

    /// What the method above the one that is followed gives: `super(a)`, `super().name(a)`.
    pub(super) fn above(&mut self, name: Option<&str>, given: Arguments) -> Value {
        let Some(object) = self.this() else { return Value::Nothing };
        let method = self.line_of(&object.class).iter().skip(1).find_map(|class| {
            let is_it = |(method, _): &&(String, Rc<Function>)| match name {
                Some(name) => method == name,
                None => is_constructor(method, &class.name),
            };
            class.methods.iter().find(is_it).cloned()
        });
        match method {
            Some((name, function)) => self.call(&name, &function, given, Some(object)),
            None => Value::Nothing,
        }
    }

    /// A member of an object: a field, one that all objects of its class have, or a method that asks for nothing.
    pub(super) fn member_of(&mut self, object: &Rc<Object>, name: &str) -> Value {
        if let Some(value) = object.get(name) {
            return value;
        }
        let own = |class: &Rc<Class>| {
            let fields = class.fields.iter();
            fields.rev().find(|(field, _)| field == name).and_then(|(_, default)| default.clone())
        };
        if let Some(default) = self.line_of(&object.class).iter().find_map(own) {
            return self.value(&default);
        }
        let asks = |one: &Parameter| one.takes == Takes::One && one.default.is_none();
        match self.method(object, name) {
            Some(method)
                if method
                    .parameters
                    .iter()
                    .filter(|one| one.name != "self")
                    .all(|one| !asks(one)) =>
            {
                self.call(name, &method, Arguments::default(), Some(Rc::clone(object)))
            }
            _ => Value::Unknown(name.to_owned()),
        }
    }
}

fn is_constructor(name: &str, class: &str) -> bool {
    CONSTRUCTORS.contains(&name) || name == class
}

/// A map that is given last and has the names of parameters, or of what one takes that takes all names: its members
/// are given by name.
fn spread_last(parameters: &[Parameter], given: &mut Arguments) {
    let takes_all = parameters.iter().any(|one| one.takes == Takes::Names);
    let Some(Value::Map(map)) = given.values.last() else { return };
    let is_parameter = |(key, _): &(String, Value)| parameters.iter().any(|one| one.name == *key);
    if !map.is_empty() && (takes_all || map.iter().all(is_parameter)) {
        let map = map.clone();
        given.values.pop();
        given.named.extend(map);
    }
}
