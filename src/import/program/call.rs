//! What calls give: methods of objects, lists that grow, functions of the program, and then those of libraries.

use std::rc::Rc;

use super::{
    object::Arguments,
    run::Run,
    syntax::{Class, Expr, Function},
    value::Value,
};

/// Methods and functions that put their arguments behind a list.
const APPENDING: &[&str] = &[
    "append",
    "push",
    "add",
    "extend",
    "addAll",
    "push_back",
    "emplace_back",
    "arg",
    "args",
    "add_arg",
    "add_args",
    "addArgs",
    "insert",
    "AddRange",
    "Add",
    "addArgument",
    "unshift",
    "array_push",
];

impl Run<'_> {
    /// What a call gives.
    pub(super) fn called_value(&mut self, callee: &Expr, items: &[Expr]) -> Value {
        let (base, name) = match callee {
            Expr::Name(name) => (None, name.clone()),
            Expr::Member(base, key) => match &**key {
                Expr::Text(name, _) => (Some(&**base), name.clone()),
                _ => (None, String::new()),
            },
            _ => (None, String::new()),
        };
        if !matches!(callee, Expr::Name(_) | Expr::Member(..)) {
            let function = self.value(callee);
            let given = self.arguments(items);
            return match function {
                Value::Function(function) => self.call("", &function, given, None),
                _ => self.library("", None, None, given),
            };
        }
        if let Some(value) = self.of_class(callee, base, &name, items) {
            return value;
        }
        // What the call is of; a chain of appending calls is followed from its beginning.
        let chain = base.and_then(|base| root(base).filter(|root| !std::ptr::eq(*root, base)));
        let grows = chain.is_some_and(|root| !matches!(self.value(root), Value::Object(_)));
        let of = base.filter(|_| !grows).map(|base| self.value(base));
        if let (Some(base), Some(of)) = (base, &of)
            && let Some(value) = self.of_object(base, of, &name, items)
        {
            return value;
        }
        if let Some(Value::Object(object)) = &of
            && self.is_stranger(object)
            && let Some(option) = adds(&name)
        {
            let given = self.arguments(items).values;
            let words = option.map(|name| Value::Text(format!("-{name}"))).into_iter().chain(given);
            self.add_words(object, words.collect());
            return Value::Nothing;
        }
        if let Some(base) = base
            && APPENDING.contains(&name.as_str())
        {
            return self.appended(base, of, items);
        }
        if base.is_none() && matches!(name.as_str(), "push" | "array_push") {
            let values: Vec<Value> = items.iter().skip(1).map(|item| self.value(item)).collect();
            if let Some(first) = items.first() {
                self.append(first, values);
            }
            return Value::Nothing;
        }
        let given = self.arguments(items);
        let said = self.said.len();
        let function =
            match self.functions.get(&name).filter(|_| self.is_own(&name, base, of.as_ref())) {
                Some(function) => Some(Rc::clone(function)),
                None => match self.get(&name).filter(|_| base.is_none()) {
                    Some(Value::Function(function)) => Some(function),
                    _ => None,
                },
            };
        if let Some(function) = function {
            let value = self.called_by_name(&name, &function, given.clone());
            self.says_within(said, &name, base, items, &given);
            return value;
        }
        if self.says(&name, base, items, &given) {
            return Value::Unknown("answer".to_owned());
        }
        let of = match chain {
            Some(root) => Some(self.value(root)),
            None => of,
        };
        let value = self.library(&name, base, of, given.clone());
        if self.said.len() > said {
            self.says_within(said, &name, base, items, &given);
        }
        value
    }

    /// Whether a call is one of the program's own function, and not of a method of something else that is called
    /// alike.
    fn is_own(&self, name: &str, base: Option<&Expr>, of: Option<&Value>) -> bool {
        let is_type =
            |expr: &Expr| matches!(expr, Expr::Name(name) if self.classes.contains_key(name));
        match base {
            None => true,
            Some(base) => {
                matches!(of, None | Some(Value::Unknown(_) | Value::Class(_)))
                    && (self.class_with(name).is_none() || is_type(base))
            }
        }
    }

    /// A builder: `cmd.arg("-a").arg("b")`, a list that grows in one chain.
    fn appended(&mut self, base: &Expr, of: Option<Value>, items: &[Expr]) -> Value {
        let values: Vec<Value> = items.iter().map(|item| self.value(item)).collect();
        let Some(root) = root(base) else {
            let mut list = of.unwrap_or(Value::Nothing).items();
            list.extend(values);
            return Value::List(list);
        };
        let known = !matches!(self.value(root), Value::Unknown(_) | Value::Map(_));
        // `slices.append(list, ...)`, `table.insert(list, x)`
        if !known
            && let Some((first @ Expr::Name(_), _)) = items.split_first()
            && values.len() > 1
        {
            self.append(first, values[1..].to_vec());
            return Value::Nothing;
        }
        if of.is_none() {
            // The calls before it.
            self.value(base);
        }
        self.append(root, values);
        Value::Nothing
    }

    /// A function, or a method that is called without its object: one of the class that is followed, or of one of
    /// which nothing is known.
    pub(super) fn called_by_name(
        &mut self,
        name: &str,
        function: &Rc<Function>,
        given: Arguments,
    ) -> Value {
        match self.this() {
            Some(object) if self.method(&object, name).is_some() => {
                self.method_value(&object, name, given).unwrap_or(Value::Nothing)
            }
            _ => self.call(name, function, given, None),
        }
    }

    /// What a class gives that is called, or a method of the class above.
    fn of_class(
        &mut self,
        callee: &Expr,
        base: Option<&Expr>,
        name: &str,
        items: &[Expr],
    ) -> Option<Value> {
        let is_above = |expr: &Expr| matches!(expr, Expr::Name(name) if name == "super");
        match base {
            None if is_above(callee) => {
                let given = self.arguments(items);
                Some(self.above(None, given))
            }
            None => {
                let class = match self.get(name) {
                    Some(Value::Class(class)) => Some(class),
                    Some(_) => None,
                    None => self.classes.get(name).cloned(),
                }?;
                let given = self.arguments(items);
                Some(self.instance(&class, given))
            }
            Some(Expr::Call(callee, _)) if is_above(callee) => {
                let given = self.arguments(items);
                Some(self.above(Some(name), given))
            }
            Some(base) if is_above(base) => {
                let given = self.arguments(items);
                Some(self.above(Some(name), given))
            }
            Some(_) => None,
        }
    }

    /// What a method of an object gives, or a class that is called for a new one.
    fn of_object(&mut self, base: &Expr, of: &Value, name: &str, items: &[Expr]) -> Option<Value> {
        match of {
            Value::Class(class) if name == "new" && self.own_new(class).is_none() => {
                let given = self.arguments(items);
                Some(self.instance(class, given))
            }
            Value::Class(class) => {
                // A function of the class, which makes an object or not.
                let class = self.classes.get(&class.name).cloned()?;
                let (_, method) = class.methods.iter().find(|(method, _)| method == name)?;
                let given = self.arguments(items);
                Some(self.call(name, method, given, None))
            }
            Value::Object(object) => {
                let given = self.arguments(items);
                let said = self.said.len();
                let value = match object.get(name) {
                    Some(Value::Function(function)) => {
                        Some(self.call(name, &function, given.clone(), Some(Rc::clone(object))))
                    }
                    _ => self.method_value(object, name, given.clone()),
                };
                match value {
                    Some(value) => {
                        self.says_within(said, name, Some(base), items, &given);
                        Some(value)
                    }
                    None => {
                        let says = self.says(name, Some(base), items, &given);
                        says.then(|| Value::Unknown("answer".to_owned()))
                    }
                }
            }
            _ => None,
        }
    }

    /// The function that makes objects where the class has one of its own: `fn new(...)` of Rust.
    fn own_new(&self, class: &Rc<Class>) -> Option<Rc<Function>> {
        let class = self.classes.get(&class.name)?;
        class
            .methods
            .iter()
            .find(|(name, _)| name == "new")
            .map(|(_, function)| Rc::clone(function))
    }
}

/// The option that a method adds to a machine's, where it says which: `add_object`, and `add_args` of any.
fn adds(name: &str) -> Option<Option<&str>> {
    match name.strip_prefix("add_")? {
        "arg" | "args" => Some(None),
        option @ ("object" | "device" | "netdev" | "chardev" | "drive" | "nic") => {
            Some(Some(option))
        }
        _ => None,
    }
}

/// The variable at which a chain of appending calls begins.
fn root(expr: &Expr) -> Option<&Expr> {
    match expr {
        Expr::Name(_) => Some(expr),
        Expr::Call(callee, _) => match &**callee {
            Expr::Member(base, key) if matches!(&**key, Expr::Text(name, _) if APPENDING.contains(&name.as_str())) => {
                root(base)
            }
            _ => None,
        },
        Expr::Member(base, _) if matches!(**base, Expr::Name(_)) => Some(expr),
        _ => None,
    }
}
