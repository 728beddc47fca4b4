//! Classes, structures and records of a program: what they are called, their fields and their methods.

use std::rc::Rc;

use super::{
    parameter::{fields, parameters},
    syntax::{Class, Expr, Function, Parser, Statement},
    token::Token,
};

/// Words that begin the declaration of a type.
const KINDS: &[&str] =
    &["struct", "class", "enum", "interface", "impl", "type", "trait", "object", "record"];

/// Words that no method is called.
const NO_METHODS: &[&str] =
    &["if", "for", "while", "switch", "catch", "return", "foreach", "match"];

impl Parser<'_> {
    /// Reads the declaration of a type, if one begins here.
    pub(super) fn class(&mut self, all: &mut Vec<Statement>) -> bool {
        let mark = self.at;
        let mut words = (0..4).map_while(|ahead| Some((ahead, self.word(ahead)?.to_owned())));
        let found = words.find(|(_, word)| KINDS.contains(&word.as_str()));
        let Some((ahead, kind)) = found else { return false };
        let Some(name) = self.word(ahead + 1).map(str::to_owned) else { return false };
        self.at += ahead + 2;
        let mut class = Class { name, ..Class::default() };
        if kind == "impl" && self.word(0) == Some("for") {
            class.name = self.word(1).unwrap_or_default().to_owned();
        }
        let is_struct =
            matches!(kind.as_str(), "struct" | "record") || self.word(0) == Some("struct");
        match self.head(&mut class, is_struct) {
            Head::Body => {}
            Head::Alone => {
                all.push(Statement::Class(Rc::new(class)));
                return true;
            }
            Head::None => {
                self.at = mark;
                return false;
            }
        }
        if matches!(kind.as_str(), "enum" | "interface" | "trait") {
            all.extend(self.block());
            return true;
        }
        if is_struct && self.is("{") {
            let start = self.at;
            self.skip_after();
            let inner = self.tokens.get(start + 1..self.at.saturating_sub(1)).unwrap_or_default();
            if !inner.contains(&Token::Sign("(")) {
                let inner = fields(inner, self.language);
                class.fields.extend(inner.into_iter().map(|one| (one.name, one.default)));
                all.push(Statement::Class(Rc::new(class)));
                return true;
            }
            self.at = start;
        }
        self.members(&mut class, all);
        all.push(Statement::Class(Rc::new(class)));
        true
    }

    /// What stands between a type's name and its body.
    fn head(&mut self, class: &mut Class, is_struct: bool) -> Head {
        loop {
            match self.peek(0) {
                Some(Token::Sign("{")) => return Head::Body,
                Some(Token::Sign("(")) if is_struct && !self.lines && class.fields.is_empty() => {
                    // A function that gives such a structure, or a record.
                    let start = self.at;
                    self.skip_after();
                    let inner = self.tokens.get(start + 1..self.at.saturating_sub(1));
                    let inner = fields(inner.unwrap_or_default(), self.language);
                    class.fields.extend(inner.into_iter().map(|one| (one.name, one.default)));
                }
                Some(Token::Sign("(")) => {
                    let start = self.at;
                    self.skip_after();
                    let inner = self.tokens.get(start + 1..self.at.saturating_sub(1));
                    let inner = fields(inner.unwrap_or_default(), self.language);
                    if self.language.indents {
                        class.bases.extend(inner.into_iter().map(|one| one.name));
                    } else {
                        class.fields.extend(inner.into_iter().map(|one| (one.name, one.default)));
                    }
                }
                Some(Token::Sign("=" | "*")) if is_struct => return Head::None,
                Some(Token::Sign("=")) => {
                    self.skip_to(&[";", "\n"]);
                    return Head::Alone;
                }
                Some(Token::Sign(";")) | None => return Head::Alone,
                Some(Token::End) if self.language.ends => return Head::Body,
                Some(Token::End) => {
                    let opens = self.is_at(1, "{");
                    self.at += 1;
                    if self.lines && !opens {
                        return Head::Alone;
                    }
                }
                Some(Token::Name(name)) => {
                    class.bases.push(name.clone());
                    self.at += 1;
                }
                Some(_) => self.at += 1,
            }
        }
    }

    /// The body of a class. What is neither a field nor a method stands for itself.
    fn members(&mut self, class: &mut Class, all: &mut Vec<Statement>) {
        let is_braced = self.takes("{");
        self.depth += 1;
        let brackets = std::mem::take(&mut self.brackets);
        while self.at < self.tokens.len() {
            let ends = if is_braced { self.is("}") } else { self.word(0) == Some("end") };
            if ends {
                break;
            }
            let before = self.at;
            if self.annotated(class) {
                continue;
            }
            let is_static = (0..3).any(|ahead| self.word(ahead) == Some("static"));
            if let Some((name, method)) = self.short_method() {
                match is_static {
                    true => all.push(Statement::Function(name, method)),
                    false => class.methods.push((name, method)),
                }
                continue;
            }
            let mut body = Vec::new();
            self.statement(&mut body);
            self.at += usize::from(self.at == before);
            for one in body {
                match one {
                    Statement::Function(name, function) if !is_static => {
                        class.methods.push((name, function));
                    }
                    Statement::Expr(Expr::Name(name)) => class.fields.push((name, None)),
                    Statement::Expr(Expr::Assign(target, "=", value))
                        if matches!(*target, Expr::Name(_) | Expr::Binary(..)) =>
                    {
                        class.fields.extend(name_of(&target).map(|name| (name, Some(*value))));
                    }
                    other => all.push(other),
                }
            }
        }
        self.brackets = brackets;
        self.depth -= 1;
        self.at += 1;
    }

    /// `name: TYPE`, `private name: TYPE = VALUE`: a field.
    fn annotated(&mut self, class: &mut Class) -> bool {
        let words = (0..4).take_while(|ahead| self.word(*ahead).is_some()).count();
        if words == 0 || !self.is_at(words, ":") || self.language.symbols {
            return false;
        }
        let start = self.at;
        self.skip_to(&["\n", ";"]);
        let inner = self.tokens.get(start..self.at).unwrap_or_default();
        let field = parameters(inner, self.language).into_iter().next();
        class.fields.extend(field.map(|one| (one.name, one.default)));
        true
    }

    /// `name(a, b) {`, `async name(a): TYPE {`: a method without a word that says so.
    fn short_method(&mut self) -> Option<(String, Rc<Function>)> {
        if self.language.indents || self.language.ends {
            return None;
        }
        let words = (0..5).take_while(|ahead| self.word(*ahead).is_some()).count();
        let name = self.word(words.checked_sub(1)?)?.to_owned();
        if !self.is_at(words, "(") || NO_METHODS.contains(&name.as_str()) {
            return None;
        }
        let mark = self.at;
        self.at += words;
        let start = self.at;
        self.skip_after();
        let inner = self.tokens.get(start + 1..self.at.saturating_sub(1)).unwrap_or_default();
        let parameters = parameters(inner, self.language);
        // What it gives.
        let mut passed = 0;
        while !self.is("{") {
            let ends = match self.peek(0) {
                None | Some(Token::Sign(";" | "=" | "}")) => true,
                Some(Token::End) => !self.is_at(1, "{"),
                _ => false,
            };
            passed += 1;
            if ends || passed > MOST_PASSED {
                self.at = mark;
                return None;
            }
            self.at += 1;
        }
        let body = self.block();
        Some((name, Rc::new(Function { parameters, body, receiver: None })))
    }
}

/// The name in a declaration: `List<String> name`.
fn name_of(target: &Expr) -> Option<String> {
    match target {
        Expr::Name(name) => Some(name.clone()),
        Expr::Binary(_, _, name) => name_of(name),
        _ => None,
    }
}

/// Most tokens between a method's parameters and its body.
const MOST_PASSED: usize = 24;

/// What stands behind a type's name.
enum Head {
    Body,
    /// It has no body.
    Alone,
    /// It is no declaration of a type.
    None,
}
