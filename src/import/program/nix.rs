//! Expressions of Nix, where a function's arguments stand behind it without brackets, and the whole text is one
//! value: its functions, bindings and sets become those of the other languages.

use std::rc::Rc;

use super::{
    language::Quote,
    syntax::{Expr, Function, MAX_DEPTH, Parameter, Parser, Statement, Takes},
    token::Token,
};

/// Operators, those that bind least first.
const BINARY: &[&[&str]] = &[
    &["||", "->"],
    &["&&"],
    &["==", "!="],
    &["<", ">", "<=", ">="],
    &["//"],
    &["+", "-"],
    &["++"],
    &["*", "/"],
];

impl Parser<'_> {
    /// The value of a text.
    pub(super) fn nix(&mut self) -> Expr {
        if self.depth > MAX_DEPTH {
            self.at = self.tokens.len();
            return Expr::Nothing;
        }
        self.depth += 1;
        let value = self.nix_whole();
        self.depth -= 1;
        value
    }

    fn nix_whole(&mut self) -> Expr {
        match self.word(0) {
            Some("let") => {
                self.at += 1;
                let mut body = self.nix_bindings("in");
                body.push(Statement::Return(self.nix()));
                return called(Vec::new(), body);
            }
            Some("with" | "assert") => {
                self.at += 1;
                self.nix();
                self.takes(";");
                return self.nix();
            }
            Some("if") => {
                self.at += 1;
                let condition = self.nix();
                self.at += usize::from(self.word(0) == Some("then"));
                let one = self.nix();
                self.at += usize::from(self.word(0) == Some("else"));
                let other = self.nix();
                return Expr::Choice(Box::new(condition), Box::new(one), Box::new(other));
            }
            _ => {}
        }
        match self.nix_parameters() {
            Some(parameters) => {
                let body = vec![Statement::Return(self.nix())];
                Expr::Function(Rc::new(Function { parameters, body, receiver: None }))
            }
            None => self.nix_binary(0),
        }
    }

    /// `a: b:`, `{ a, b ? 1, ... }@all:`: the parameters of a function, where one begins.
    fn nix_parameters(&mut self) -> Option<Vec<Parameter>> {
        let mut parameters = Vec::new();
        loop {
            if self.word(0).is_some() && self.is_at(1, ":") {
                parameters.extend(self.word(0).map(|name| Parameter::plain(name.to_owned())));
                self.at += 2;
            } else if self.is("{") && self.is_pattern() {
                parameters.extend(self.nix_pattern());
            } else {
                return (!parameters.is_empty()).then_some(parameters);
            }
        }
    }

    /// Whether a brace begins the pattern of a function's argument: behind the closing one stands a `:`.
    fn is_pattern(&self) -> bool {
        let mut depth = 0usize;
        let mut ahead = 0;
        while let Some(token) = self.peek(ahead) {
            match token {
                Token::Sign("{" | "(" | "[") => depth += 1,
                Token::Sign("}" | ")" | "]") => {
                    depth -= 1;
                    if depth == 0 {
                        let behind = ahead + 1;
                        return self.is_at(behind, ":")
                            || self.is_at(behind, "@") && self.is_at(behind + 2, ":");
                    }
                }
                Token::Sign(";") => return false,
                _ => {}
            }
            ahead += 1;
        }
        false
    }

    fn nix_pattern(&mut self) -> Vec<Parameter> {
        self.at += 1;
        let mut parameters = Vec::new();
        while self.at < self.tokens.len() && !self.takes("}") {
            let before = self.at;
            if let Some(name) = self.word(0).map(str::to_owned) {
                self.at += 1;
                let default = if self.takes("?") { Some(self.nix()) } else { None };
                parameters.push(Parameter { name, default, takes: Takes::One });
            }
            self.takes(",");
            self.at += usize::from(self.at == before);
        }
        if self.takes("@") {
            self.at += 1;
        }
        self.takes(":");
        parameters
    }

    fn nix_binary(&mut self, level: usize) -> Expr {
        let Some(signs) = BINARY.get(level) else {
            return self.nix_applied();
        };
        let mut left = self.nix_binary(level + 1);
        loop {
            let found = signs.iter().find(|sign| self.is(sign));
            let Some(sign) = found.filter(|_| self.one_more()) else { return left };
            self.at += 1;
            let right = self.nix_binary(level + 1);
            left = match *sign {
                "//" => Expr::Call(Box::new(Expr::Name("merge".to_owned())), vec![left, right]),
                sign => Expr::Binary(sign, Box::new(left), Box::new(right)),
            };
        }
    }

    /// A function with what stands behind it.
    fn nix_applied(&mut self) -> Expr {
        if self.takes("!") {
            return Expr::Not(Box::new(self.nix_applied()));
        }
        let function = self.nix_selected();
        let mut items = Vec::new();
        while self.begins_value() && self.one_more() {
            items.push(self.nix_selected());
        }
        match items.is_empty() {
            true => function,
            false => Expr::Call(Box::new(function), items),
        }
    }

    fn begins_value(&self) -> bool {
        const WORDS: &[&str] = &["then", "else", "in", "or", "inherit"];
        match self.peek(0) {
            Some(Token::Text(..) | Token::Number(_)) => true,
            Some(Token::Name(name)) => !WORDS.contains(&name.as_str()),
            Some(Token::Sign("(" | "[" | "{")) => true,
            _ => false,
        }
    }

    /// `value.name.name or other`
    fn nix_selected(&mut self) -> Expr {
        let mut value = self.nix_primary();
        while self.is(".") && self.one_more() {
            self.at += 1;
            let key = match self.peek(0).cloned() {
                Some(Token::Name(name)) => Expr::Text(name, Quote::Raw),
                Some(Token::Text(text, quote)) => Expr::Text(text, quote),
                _ => return value,
            };
            self.at += 1;
            value = Expr::Member(Box::new(value), Box::new(key));
        }
        if self.word(0) == Some("or") {
            self.at += 1;
            let other = self.nix_selected();
            return Expr::Binary("or", Box::new(value), Box::new(other));
        }
        value
    }

    fn nix_primary(&mut self) -> Expr {
        let Some(token) = self.peek(0).cloned() else { return Expr::Nothing };
        self.at += 1;
        match token {
            Token::Text(text, quote) => Expr::Text(text, quote),
            Token::Number(number) => Expr::Number(number),
            Token::Sign("-") => self.nix_primary(),
            Token::Sign("(") => {
                let value = self.nix();
                self.skip_to(&[")"]);
                self.takes(")");
                value
            }
            Token::Sign("[") => {
                let mut items = Vec::new();
                while self.at < self.tokens.len() && !self.takes("]") {
                    let before = self.at;
                    items.push(self.nix_selected());
                    self.at += usize::from(self.at == before);
                }
                Expr::List(items)
            }
            Token::Sign("{") => self.nix_set(),
            Token::Name(name) if name == "rec" && self.is("{") => {
                self.at += 1;
                self.nix_set()
            }
            // `<nixpkgs>`, `./path`: what stands in other files.
            Token::Sign("<") => {
                self.skip_to(&[">"]);
                self.takes(">");
                Expr::Name("path".to_owned())
            }
            Token::Name(name) => Expr::Name(name),
            _ => Expr::Nothing,
        }
    }

    /// `{ a = 1; b.c = 2; inherit d; }`, of which the brace is read.
    fn nix_set(&mut self) -> Expr {
        let bindings = self.nix_bindings("}");
        let pair = |one| match one {
            Statement::Expr(Expr::Assign(key, _, value)) => Some((path_of(*key), *value)),
            _ => None,
        };
        Expr::Map(bindings.into_iter().filter_map(pair).collect())
    }

    /// Bindings up to a word or a sign.
    fn nix_bindings(&mut self, end: &str) -> Vec<Statement> {
        let mut all = Vec::new();
        while self.at < self.tokens.len() {
            if self.is(end) || self.word(0) == Some(end) {
                self.at += 1;
                return all;
            }
            let before = self.at;
            if self.word(0) == Some("inherit") {
                self.at += 1;
                if self.is("(") {
                    self.skip_after();
                }
                while let Some(name) = self.word(0).map(str::to_owned) {
                    self.at += 1;
                    let name = Expr::Name(name);
                    all.push(Statement::Expr(Expr::Assign(
                        Box::new(name.clone()),
                        "=",
                        Box::new(name),
                    )));
                }
                self.takes(";");
                continue;
            }
            let target = self.nix_selected();
            if self.takes("=") {
                let value = self.nix();
                all.push(Statement::Expr(Expr::Assign(Box::new(target), "=", Box::new(value))));
            }
            self.skip_to(&[";"]);
            self.takes(";");
            self.at += usize::from(self.at == before);
        }
        all
    }
}

/// Bindings and what holds with them, as a function that is called at once. A binding may use one below it.
fn called(parameters: Vec<Parameter>, body: Vec<Statement>) -> Expr {
    let is_binding = |one: &&Statement| matches!(one, Statement::Expr(_));
    let mut twice: Vec<Statement> = body.iter().filter(is_binding).cloned().collect();
    twice.extend(body);
    let function = Function { parameters, body: twice, receiver: None };
    Expr::Call(Box::new(Expr::Function(Rc::new(function))), Vec::new())
}

/// The key of a binding: its last name.
fn path_of(key: Expr) -> Expr {
    match key {
        Expr::Member(_, key) => *key,
        other => other,
    }
}
