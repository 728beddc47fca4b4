//! What stands behind a value in an expression: calls, members, indices, and blocks that a call is given.

use std::rc::Rc;

use super::{
    language::Quote,
    syntax::{Expr, Function, Parameter, Parser, Statement},
    token::Token,
};

impl Parser<'_> {
    /// What stands behind a value: calls, members, indices.
    pub(super) fn behind(&mut self, mut value: Expr) -> Expr {
        while self.one_more() {
            let mark = self.at;
            self.blanks();
            let continues = self.is(".")
                && matches!(self.peek(1), Some(Token::Name(_)))
                && matches!(self.peek(2), Some(Token::Sign("(")));
            if !continues {
                self.at = mark;
            }
            if self.is("!")
                && matches!(self.peek(1), Some(Token::Sign("(" | "[")))
                && matches!(value, Expr::Name(_) | Expr::Member(..))
            {
                self.at += 1;
                let items = self.items();
                value = Expr::Call(Box::new(value), items);
            } else if self.is("(")
                && matches!(value, Expr::Name(_) | Expr::Member(..) | Expr::Call(..))
            {
                let items = self.items();
                value = Expr::Call(Box::new(value), items);
            } else if (self.is(".") || self.is("::") || self.is("->") || self.is_method_of_lua())
                && matches!(self.peek(1), Some(Token::Name(_)))
            {
                let is_concat =
                    self.is(".") && !self.is_at(2, "(") && matches!(value, Expr::Text(..));
                if is_concat {
                    return value;
                }
                // `'...' . $x . '...'` of Perl: a string on either side.
                if self.is(".")
                    && matches!(self.peek(2), Some(Token::Sign(".")))
                    && matches!(self.peek(3), Some(Token::Text(..)))
                {
                    return value;
                }
                self.at += 1;
                let name = self.word(0).unwrap_or_default().to_owned();
                self.at += 1;
                value = Expr::Member(Box::new(value), Box::new(Expr::Text(name, Quote::Raw)));
            } else if self.is("->") && matches!(self.peek(1), Some(Token::Sign("{" | "["))) {
                self.at += 1;
            } else if self.is("[") && matches!(value, Expr::Name(_) | Expr::Member(..)) {
                let items = self.items();
                let index = items.into_iter().next().unwrap_or(Expr::Nothing);
                value = Expr::Member(Box::new(value), Box::new(index));
            } else if (self.word(0) == Some("do") || self.is("{")) && self.is_at(1, "|") {
                value = self.with_block(value, "|", 2);
            } else if self.is("{") && goes_over(&value)
                || self.language.symbols && self.is_block_of(&value)
            {
                value = self.with_plain_block(value);
            } else if self.language.symbols && self.begins_argument(&value) {
                value = Expr::Call(Box::new(value), self.bare_items());
            } else if self.is_closure() {
                value = self.with_block(value, "->", 1);
            } else if self.is("{") && self.is_subscript(&value) {
                self.at += 1;
                let is_variable = self.takes("$");
                let key = match self.peek(0).cloned() {
                    Some(Token::Name(name)) if !is_variable => {
                        self.at += 1;
                        Expr::Text(name, Quote::Raw)
                    }
                    _ => self.expr(),
                };
                self.takes("}");
                value = Expr::Member(Box::new(value), Box::new(key));
            } else if self.is("{") && self.is_literal_of(&value) {
                let literal = self.list_or_map();
                value = match value {
                    Expr::Name(name) if self.types.contains(&name) => {
                        let items = match literal {
                            Expr::List(items) => items,
                            other => vec![other],
                        };
                        Expr::Call(Box::new(Expr::Name(name)), items)
                    }
                    _ => literal,
                };
            } else {
                return value;
            }
        }
        value
    }

    /// `object:name(...)`
    fn is_method_of_lua(&self) -> bool {
        self.language.ends && !self.language.symbols && self.is(":") && self.is_at(2, "(")
    }

    /// Whether a block of Ruby without names stands here.
    fn is_block_of(&self, value: &Expr) -> bool {
        let is_do = self.word(0) == Some("do") && self.brackets < usize::MAX / 2;
        let is_braced = self.is("{") && matches!(value, Expr::Call(..));
        (is_do || is_braced) && matches!(value, Expr::Call(..) | Expr::Member(..) | Expr::Name(_))
    }

    fn with_plain_block(&mut self, value: Expr) -> Expr {
        self.at += usize::from(!self.is("{"));
        let body = self.block();
        called_with(value, function(Vec::new(), body))
    }

    /// Whether an argument of Ruby stands here that has no brackets around it.
    fn begins_argument(&self, value: &Expr) -> bool {
        const WORDS: &[&str] = &[
            "if", "unless", "while", "until", "do", "and", "or", "in", "not", "then", "rescue",
            "end", "for", "else", "is",
        ];
        let is_text = matches!(self.peek(0), Some(Token::Text(..) | Token::Words(_)));
        let is_symbol = self.is(":") && self.word(1).is_some() && !self.is_at(2, ":");
        let is_name = self.word(0).is_some_and(|word| !WORDS.contains(&word));
        let is_spread = self.is("*")
            && matches!(value, Expr::Name(name) if ["spawn", "system", "exec"].contains(&name.as_str()));
        matches!(value, Expr::Name(_) | Expr::Member(..))
            && (is_text || is_symbol || is_name || is_spread)
    }

    /// The arguments of a call without brackets, up to the end of its line.
    fn bare_items(&mut self) -> Vec<Expr> {
        let mut items = Vec::new();
        loop {
            let before = self.at;
            let inner = self.brackets.max(1);
            let outer = std::mem::replace(&mut self.brackets, inner);
            let lines = std::mem::replace(&mut self.lines, true);
            let item = self.bare_item();
            (self.brackets, self.lines) = (outer, lines);
            if self.at == before {
                return items;
            }
            items.push(item);
            if !self.takes(",") {
                return items;
            }
            self.blanks();
        }
    }

    /// `{ a, b -> ... }` of Groovy and Kotlin.
    pub(super) fn is_closure(&self) -> bool {
        let names = (1..8)
            .find(|ahead| !matches!(self.peek(*ahead), Some(Token::Name(_) | Token::Sign(","))));
        self.is("{") && names.is_some_and(|ahead| ahead > 1 && self.is_at(ahead, "->"))
    }

    /// `list.each do |x| ... end`: the block is the call's last argument.
    pub(super) fn with_block(&mut self, value: Expr, mark: &str, skipped: usize) -> Expr {
        let braced = self.is("{");
        self.at += skipped;
        let mut names = Vec::new();
        while self.at < self.tokens.len() && !self.takes(mark) {
            names.extend(self.word(0).map(str::to_owned));
            self.at += 1;
        }
        let mut body = Vec::new();
        if braced {
            while self.at < self.tokens.len() && !self.takes("}") {
                let before = self.at;
                self.statement(&mut body);
                self.at += usize::from(self.at == before);
            }
        } else {
            body = self.block();
        }
        called_with(value, function(names, body))
    }

    /// `$leg{$l}`, `$d->{mac}`: a key in braces, and nothing else.
    pub(super) fn is_subscript(&self, value: &Expr) -> bool {
        let from = 1 + usize::from(self.is_at(1, "$"));
        let one = matches!(self.peek(from), Some(Token::Name(_) | Token::Text(..)))
            && self.is_at(from + 1, "}");
        one && !self.lines && matches!(value, Expr::Name(_) | Expr::Member(..))
    }

    /// `[]string{`, `T{` of a literal, not the brace of a block.
    pub(super) fn is_literal_of(&self, value: &Expr) -> bool {
        let typed = match value {
            Expr::Name(name) => {
                matches!(name.as_str(), "string" | "map" | "table") || self.types.contains(name)
            }
            _ => false,
        };
        typed && self.brackets < usize::MAX / 2 && !self.language.indents
    }
}

/// Whether a value is a method that calls a block for each item, where the block names it `it`.
fn goes_over(value: &Expr) -> bool {
    const METHODS: &[&str] = &["forEach", "each", "map", "flatMap", "collect", "also", "apply"];
    matches!(value, Expr::Member(_, key) if matches!(&**key, Expr::Text(name, _) if METHODS.contains(&name.as_str())))
}

/// A function without a name.
pub(super) fn function(names: Vec<String>, body: Vec<Statement>) -> Expr {
    let parameters = names.into_iter().map(Parameter::plain).collect();
    Expr::Function(Rc::new(Function { parameters, body, receiver: None }))
}

/// A call whose last argument is a block.
fn called_with(value: Expr, block: Expr) -> Expr {
    match value {
        Expr::Call(callee, mut items) => {
            items.push(block);
            Expr::Call(callee, items)
        }
        other => Expr::Call(Box::new(other), vec![block]),
    }
}
