//! The expressions of a program, of any language with brackets.

use super::{
    language::Quote,
    syntax::{DECLARING, Expr, MAX_DEPTH, MAX_TERMS, Parser, Statement},
    token::Token,
};

/// Operators, those that bind least first.
const BINARY: &[&[&str]] = &[
    &["||", "??", "or", "?:"],
    &["&&", "and"],
    &["==", "!=", "===", "!==", "<", ">", "<=", ">=", "eq", "ne", "=~"],
    &["+", ".", "..", "++", "<>", "<<", "-", "&", "|", "~"],
    &["*", "/", "%"],
];

impl Parser<'_> {
    pub(super) fn expr(&mut self) -> Expr {
        if self.depth > MAX_DEPTH {
            self.at += 1;
            return Expr::Nothing;
        }
        self.depth += 1;
        let value = self.assignment();
        self.depth -= 1;
        value
    }

    pub(super) fn assignment(&mut self) -> Expr {
        if let Some(function) = self.arrow() {
            return function;
        }
        let left = self.choice_of(0);
        self.typed(&left);
        for sign in ["=", "+=", ":=", ".=", "<<="] {
            if self.takes(sign) {
                let sign = if matches!(sign, "+=" | ".=" | "<<=") { "+=" } else { "=" };
                self.blanks();
                let mut right = self.expr();
                // `$args += '-a', 'b'`
                if self.brackets == 0 && self.is(",") {
                    let mut items = vec![right];
                    while self.takes(",") {
                        self.blanks();
                        items.push(self.expr());
                    }
                    right = Expr::List(items);
                }
                return Expr::Assign(Box::new(left), sign, Box::new(right));
            }
        }
        // Perl: `push @cmd, 'a', 'b'`.
        left
    }

    /// Passes over the type of `NAME: TYPE = ...`.
    pub(super) fn typed(&mut self, left: &Expr) {
        if !matches!(left, Expr::Name(_)) || !self.is(":") || self.brackets > 0 {
            return;
        }
        let ahead = (1..12).find(|ahead| {
            !matches!(
                self.peek(*ahead),
                Some(Token::Name(_) | Token::Sign("&" | "<" | ">" | "[" | "]" | "::" | "?" | ","))
            )
        });
        if let Some(ahead) = ahead.filter(|ahead| self.is_at(*ahead, "=")) {
            self.at += ahead;
        }
    }

    /// `(a, b) => value`, `a => { ... }` of JavaScript.
    pub(super) fn arrow(&mut self) -> Option<Expr> {
        if !self.arrows {
            return None;
        }
        let mut ahead = 0;
        let mut names = Vec::new();
        if self.is("(") {
            ahead = 1;
            while !self.is_at(ahead, ")") {
                match self.peek(ahead)? {
                    Token::Name(name) => names.push(name.clone()),
                    Token::Sign("," | ":") => {}
                    _ => return None,
                }
                ahead += 1;
            }
        } else {
            names.push(self.word(0)?.to_owned());
        }
        if !self.is_at(ahead + 1, "=>") {
            return None;
        }
        self.at += ahead + 2;
        let body = match self.is("{") {
            true => self.block(),
            false => vec![Statement::Return(self.expr())],
        };
        Some(Expr::Function(names, body))
    }

    pub(super) fn choice_of(&mut self, level: usize) -> Expr {
        let value = self.binary(level);
        if self.brackets < usize::MAX / 2 && self.is("?") {
            self.at += 1;
            self.blanks();
            let one = self.expr();
            self.blanks();
            if self.takes(":") {
                self.blanks();
                let other = self.expr();
                return Expr::Choice(Box::new(value), Box::new(one), Box::new(other));
            }
            return value;
        }
        value
    }

    pub(super) fn binary(&mut self, level: usize) -> Expr {
        let Some(signs) = BINARY.get(level) else {
            return self.unary();
        };
        let mut left = self.binary(level + 1);
        loop {
            let mark = self.at;
            if self.brackets > 0 || !self.lines {
                self.blanks();
            } else if self.peek(0) == Some(&Token::End)
                && matches!(self.peek(1), Some(Token::Sign("+" | ".." | "||" | "&&")))
            {
                self.at += 1;
            }
            let sign = match self.peek(0) {
                Some(Token::Sign(sign)) => signs.iter().find(|one| *one == sign),
                Some(Token::Name(name)) => signs.iter().find(|one| **one == name),
                _ => None,
            };
            let Some(sign) = sign.filter(|_| self.terms < MAX_TERMS) else {
                self.at = mark;
                return left;
            };
            self.terms += 1;
            self.at += 1;
            self.blanks();
            let right = self.binary(level + 1);
            left = Expr::Binary(sign, Box::new(left), Box::new(right));
        }
    }

    pub(super) fn unary(&mut self) -> Expr {
        if self.depth > MAX_DEPTH {
            return Expr::Nothing;
        }
        self.depth += 1;
        let value = self.one_unary();
        self.depth -= 1;
        value
    }

    fn one_unary(&mut self) -> Expr {
        if self.takes("!") {
            return Expr::Not(Box::new(self.unary()));
        }
        match self.word(0) {
            Some("not") => {
                self.at += 1;
                return Expr::Not(Box::new(self.unary()));
            }
            Some("exists" | "defined") => {
                self.at += 1;
                return self.unary();
            }
            _ => {}
        }
        if self.takes("-") {
            return match self.unary() {
                Expr::Number(number) => Expr::Number(-number),
                other => other,
            };
        }
        if self.takes("&")
            || self.takes("*")
            || self.takes("\\")
            || self.takes("@")
            || self.takes("...")
        {
            return self.unary();
        }
        let mut value = self.primary();
        loop {
            // Literals one behind the other are one; macros between them, too.
            let mark = self.at;
            if self.brackets > 0 || !self.lines {
                self.blanks();
            }
            let is_text = |expr: &Expr| {
                matches!(expr, Expr::Text(..)) || matches!(expr, Expr::Binary("", ..))
            };
            let next_text = matches!(self.peek(0), Some(Token::Text(..)));
            let next_name = matches!(self.peek(0), Some(Token::Name(name)) if name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'));
            let adjacent = !self.lines
                && (next_text
                    && (is_text(&value) || matches!(value, Expr::Name(_) | Expr::Call(..)))
                    || next_name && is_text(&value));
            if adjacent && self.one_more() {
                let right = self.primary();
                value = Expr::Binary("", Box::new(value), Box::new(right));
                continue;
            }
            self.at = mark;
            return value;
        }
    }

    pub(super) fn primary(&mut self) -> Expr {
        let Some(token) = self.peek(0).cloned() else {
            return Expr::Nothing;
        };
        let value = match token {
            Token::Text(text, quote) => {
                self.at += 1;
                Expr::Text(text, quote)
            }
            Token::Number(number) => {
                self.at += 1;
                Expr::Number(number)
            }
            Token::Words(words) => {
                self.at += 1;
                Expr::List(words.into_iter().map(|word| Expr::Text(word, Quote::Raw)).collect())
            }
            Token::Command(words) => {
                self.at += 1;
                Expr::Command(words)
            }
            Token::Sign("(") => {
                let mut items = self.items();
                let all_pairs = items.iter().all(|item| matches!(item, Expr::Map(_)));
                match items.len() {
                    1 if !all_pairs => items.remove(0),
                    n if n > 0 && all_pairs => {
                        Expr::Map(items.into_iter().flat_map(pairs).collect())
                    }
                    _ => Expr::List(items),
                }
            }
            Token::Sign("[" | "{") => self.list_or_map(),
            Token::Name(name) => return self.named(name),
            _ => return Expr::Nothing,
        };
        self.behind(value)
    }

    pub(super) fn named(&mut self, name: String) -> Expr {
        if DECLARING.contains(&name.as_str())
            && matches!(self.peek(1), Some(Token::Name(_) | Token::Sign("*" | "(" | "<" | "[")))
        {
            self.at += 1;
            // Types: `static char *const x[]`, `List<String> x`.
            while self.takes("*") || self.takes("[") || self.takes("]") {}
            return self.unary();
        }
        self.at += 1;
        // `push @list, a, b`, `print join(...)`: a call without brackets.
        let bare = ["push", "unshift", "print", "puts", "echo", "exec", "system", "return", "say"]
            .contains(&name.as_str());
        if bare && !self.is("(") && !self.is("=") && !self.is(".") && !self.is("+=") {
            if self.is("{") {
                self.skip_after();
            }
            let mut items = vec![self.choice_of(0)];
            while self.takes(",") {
                self.blanks();
                items.push(self.choice_of(0));
            }
            return Expr::Call(Box::new(Expr::Name(name)), items);
        }
        // `int x = 1`, `ProcessBuilder pb = ...`: a type in front of a name.
        if let Some(Token::Name(_)) = self.peek(0)
            && matches!(self.peek(1), Some(Token::Sign("=" | "[" | ";" | ":=")))
            && !["in", "of", "if", "unless", "or", "and", "eq", "ne"]
                .contains(&self.word(0).unwrap_or_default())
        {
            return self.unary();
        }
        self.behind(Expr::Name(name))
    }

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
                && matches!(value, Expr::Name(_))
            {
                self.at += 1;
                let items = self.items();
                value = Expr::Call(Box::new(value), items);
            } else if self.is("(")
                && matches!(value, Expr::Name(_) | Expr::Member(..) | Expr::Call(..))
            {
                let items = self.items();
                value = Expr::Call(Box::new(value), items);
            } else if (self.is(".") || self.is("::") || self.is("->"))
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
                value = self.list_or_map();
            } else {
                return value;
            }
        }
        value
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
        let function = Expr::Function(names, body);
        match value {
            Expr::Call(callee, mut items) => {
                items.push(function);
                Expr::Call(callee, items)
            }
            other => Expr::Call(Box::new(other), vec![function]),
        }
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
            Expr::Name(name) => matches!(name.as_str(), "string" | "map" | "table"),
            _ => false,
        };
        typed && self.brackets < usize::MAX
    }

    /// What stands in round or square brackets, divided by commas.
    pub(super) fn items(&mut self) -> Vec<Expr> {
        self.at += 1;
        let outer = std::mem::replace(&mut self.brackets, 1);
        self.depth += 1;
        let mut items = Vec::new();
        while self.at < self.tokens.len() {
            self.blanks();
            if self.takes(")") || self.takes("]") || self.takes("}") {
                break;
            }
            if self.takes(",") || self.takes(";") {
                continue;
            }
            let before = self.at;
            let mut value = self.expr();
            self.blanks();
            // `key: value`, `key => value`.
            if self.takes("=>") || self.takes(":") {
                self.blanks();
                let right = self.expr();
                value = Expr::Map(vec![(value, right)]);
            }
            if self.at == before {
                self.at += 1;
            } else {
                items.push(value);
            }
        }
        self.depth -= 1;
        self.brackets = outer;
        items
    }

    /// `[a, b]`, `{a, b}`, `{k: v}`, `[]string{...}`.
    pub(super) fn list_or_map(&mut self) -> Expr {
        // `[]string{`, `[...]T{`
        if self.is("[")
            && (self.is_at(1, "]") || self.is_at(1, "..."))
            && matches!(self.peek(2), Some(Token::Name(_) | Token::Sign("*" | "{" | "]")))
        {
            self.skip_to(&["{", "\n", ",", ")"]);
            while self.takes("[") || self.takes("]") || self.word(0).is_some() && !self.is("{") {
                self.at += usize::from(self.word(0).is_some());
            }
            if !self.is("{") {
                return Expr::List(Vec::new());
            }
        }
        let items = self.items();
        let is_pair = |item: &Expr| {
            matches!(item, Expr::Map(one) if one.len() == 1) || matches!(item, Expr::Assign(..))
        };
        match !items.is_empty() && items.iter().all(is_pair) {
            true => Expr::Map(items.into_iter().flat_map(pairs).collect()),
            false => Expr::List(items),
        }
    }
}

fn pairs(item: Expr) -> Vec<(Expr, Expr)> {
    match item {
        Expr::Map(one) => one,
        Expr::Assign(key, _, value) => vec![(*key, *value)],
        _ => Vec::new(),
    }
}
