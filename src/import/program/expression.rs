//! The expressions of a program, of any language with brackets.

use super::{
    behind::function,
    brackets::{listed, pairs, structures},
    language::Quote,
    syntax::{Clause, DECLARING, Expr, MAX_DEPTH, MAX_TERMS, Parser, Statement},
    token::Token,
};

/// Operators, those that bind least first.
const BINARY: &[&[&str]] = &[
    &["||", "??", "or", "?:", "//"],
    &["&&", "and"],
    &["==", "!=", "===", "!==", "<", ">", "<=", ">=", "eq", "ne", "=~", "in", "is"],
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
        if self.language.indents && self.word(0) == Some("lambda") {
            return self.lambda();
        }
        let start = self.at;
        let mut left = match self.targets() {
            Some(targets) => targets,
            None => self.choice_of(0),
        };
        if self.language.indents && self.word(0) == Some("if") {
            left = self.choice_behind(left);
        }
        self.typed(&left);
        for sign in ["=", "+=", ":=", ".=", "<<="] {
            let before = self.at;
            if self.takes(sign) {
                let sign = match sign {
                    "+=" | ".=" | "<<=" => "+=",
                    other => other,
                };
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
                if let Some(of) = self.type_in(start..before) {
                    right = structures(right, &of);
                }
                return Expr::Assign(Box::new(left), sign, Box::new(right));
            }
        }
        // Perl: `push @cmd, 'a', 'b'`.
        left
    }

    /// The structure that a declaration names.
    fn type_in(&self, tokens: std::ops::Range<usize>) -> Option<String> {
        self.tokens.get(tokens)?.iter().find_map(|token| match token {
            Token::Name(name) if self.types.contains(name) => Some(name.clone()),
            _ => None,
        })
    }

    /// `a, b` in front of a sign that gives them their values.
    fn targets(&mut self) -> Option<Expr> {
        if self.brackets > 0 || !self.is_at(1, ",") {
            return None;
        }
        let mut names = Vec::new();
        let mut ahead = 0;
        loop {
            names.push(Expr::Name(self.word(ahead)?.to_owned()));
            if !self.is_at(ahead + 1, ",") {
                break;
            }
            ahead += 2;
        }
        let sets = self.is_at(ahead + 1, "=") || self.is_at(ahead + 1, ":=");
        sets.then(|| self.at += ahead + 1)?;
        Some(Expr::List(names))
    }

    /// `VALUE if CONDITION else OTHER`, of which the value is read.
    fn choice_behind(&mut self, value: Expr) -> Expr {
        self.at += 1;
        let condition = self.choice_of(0);
        if self.word(0) != Some("else") {
            return value;
        }
        self.at += 1;
        let other = self.expr();
        Expr::Choice(Box::new(condition), Box::new(value), Box::new(other))
    }

    /// `lambda a, b: VALUE`
    fn lambda(&mut self) -> Expr {
        self.at += 1;
        let mut names = Vec::new();
        while self.at < self.tokens.len() && !self.takes(":") {
            names.extend(self.word(0).map(str::to_owned));
            self.at += 1;
        }
        let body = vec![Statement::Return(self.expr())];
        function(names, body)
    }

    /// `for NAMES in LIST if CONDITION`, as often as it stands behind a value.
    fn clauses(&mut self) -> Vec<Clause> {
        let mut clauses = Vec::new();
        while self.word(0) == Some("for") && self.at < self.tokens.len() {
            self.at += 1;
            let mut names = Vec::new();
            while self.at < self.tokens.len() && self.word(0) != Some("in") {
                names.extend(self.word(0).map(str::to_owned));
                self.at += 1;
            }
            self.at += 1;
            let list = self.choice_of(0);
            let mut conditions = Vec::new();
            while self.word(0) == Some("if") {
                self.at += 1;
                conditions.push(self.choice_of(0));
            }
            clauses.push(Clause { names, list, conditions });
        }
        clauses
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
                    Token::Sign("," | ":" | "{" | "}" | "[" | "]") => {}
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
        Some(function(names, body))
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
            // `not in`
            let denies = self.word(0) == Some("not") && self.word(1) == Some("in");
            self.at += usize::from(denies);
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
            let denies = denies || *sign == "is" && self.word(0) == Some("not");
            self.at += usize::from(denies && *sign == "is");
            self.blanks();
            let right = self.binary(level + 1);
            left = Expr::Binary(sign, Box::new(left), Box::new(right));
            if denies {
                left = Expr::Not(Box::new(left));
            }
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
        // `@{ $list }` of Perl.
        if self.is("@") && self.is_at(1, "{") {
            self.at += 2;
            self.takes("$");
            let value = self.expr();
            self.takes("}");
            return value;
        }
        // `#list` of Lua.
        if self.language.ends && self.takes("#") {
            let list = self.unary();
            let length = Expr::Text("length".to_owned(), Quote::Raw);
            let method = Expr::Member(Box::new(list), Box::new(length));
            return Expr::Call(Box::new(method), Vec::new());
        }
        if self.language.symbols && self.is("&") && self.is_at(1, ":") {
            return self.symbol_block();
        }
        let is_spread = self.is("...")
            || self.is("*")
                && (self.language.indents || self.language.symbols)
                && self.brackets > 0;
        if self.takes("&")
            || self.takes("*")
            || self.takes("\\")
            || self.takes("@")
            || self.takes("...")
        {
            let value = self.unary();
            return if is_spread { Expr::Spread(Box::new(value)) } else { value };
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
            let adjacent = self.language.indents && next_text && is_text(&value)
                || !self.lines
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

    /// `&:name` of Ruby: a block that calls this of what it is given.
    fn symbol_block(&mut self) -> Expr {
        let name = self.word(2).unwrap_or_default().to_owned();
        self.at += 3;
        let one = Expr::Name("it".to_owned());
        let method = Expr::Member(Box::new(one), Box::new(Expr::Text(name, Quote::Raw)));
        let call = Expr::Call(Box::new(method), Vec::new());
        function(vec!["it".to_owned()], vec![Statement::Return(call)])
    }

    /// Passes over `[string]any` of a map's type, if its members follow.
    fn is_map_type(&mut self) -> bool {
        let mark = self.at;
        self.skip_after();
        loop {
            match self.peek(0) {
                Some(Token::Name(name)) if name == "interface" && self.is_at(1, "{") => {
                    self.at += 3
                }
                Some(Token::Name(_) | Token::Sign("*" | "[" | "]" | ".")) => self.at += 1,
                Some(Token::Sign("{")) => return true,
                _ => {
                    self.at = mark;
                    return false;
                }
            }
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
            // A symbol of Ruby.
            Token::Sign(":") if self.language.symbols && self.word(1).is_some() => {
                let name = self.word(1).unwrap_or_default().to_owned();
                self.at += 2;
                return Expr::Text(name, Quote::Raw);
            }
            Token::Name(name) => return self.named(name),
            _ => return Expr::Nothing,
        };
        self.behind(value)
    }

    pub(super) fn named(&mut self, name: String) -> Expr {
        if DECLARING.contains(&name.as_str())
            && (matches!(self.peek(1), Some(Token::Name(_) | Token::Sign("*" | "(" | "<" | "[")))
                || self.arrows && self.is_at(1, "{"))
        {
            self.at += 1;
            // `const [a, b] = ...`, `const { a, b } = ...`
            if self.arrows && (self.is("[") || self.is("{")) {
                return self.list_or_map();
            }
            // Types: `static char *const x[]`, `List<String> x`.
            while self.takes("*") || self.takes("[") || self.takes("]") {}
            return self.unary();
        }
        self.at += 1;
        if name == "map" && self.is("[") && self.is_map_type() {
            return self.list_or_map();
        }
        // `push @list, a, b`, `print join(...)`: a call without brackets.
        let bare = !self.language.symbols
            && ["push", "unshift", "print", "puts", "echo", "exec", "system", "return", "say"]
                .contains(&name.as_str());
        if bare && !self.is("(") && !self.is("=") && !self.is(".") && !self.is("+=") {
            if self.is("{") {
                self.skip_after();
            }
            let mut items = vec![self.choice_of(0)];
            // `print $file ...`
            let is_file = name.starts_with("print") && matches!(items[0], Expr::Name(_));
            if is_file && matches!(self.peek(0), Some(Token::Name(_) | Token::Text(..))) {
                let file = items.remove(0);
                items.push(self.choice_of(0));
                let method = Expr::Member(Box::new(file), Box::new(Expr::Text(name, Quote::Raw)));
                return Expr::Call(Box::new(method), items);
            }
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
        // `new ArrayList<>()`
        if self.is("<>") && self.is_at(1, "(") {
            self.at += 1;
        }
        self.behind(Expr::Name(name))
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
            let value = self.item();
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

    /// `value`, `key: value`, `key => value`, `value for name in list`.
    fn item(&mut self) -> Expr {
        let mut value = self.expr();
        self.blanks();
        if self.takes("=>") || self.takes(":") {
            self.blanks();
            let right = self.expr();
            value = Expr::Map(vec![(value, right)]);
        }
        if self.takes("...") {
            value = Expr::Spread(Box::new(value));
        }
        match self.language.indents && self.word(0) == Some("for") {
            true => Expr::Each(Box::new(value), self.clauses()),
            false => value,
        }
    }

    pub(super) fn bare_item(&mut self) -> Expr {
        let value = self.expr();
        if self.takes("=>") || self.takes(":") {
            self.blanks();
            let right = self.expr();
            return Expr::Map(vec![(value, right)]);
        }
        value
    }

    /// `[a, b]`, `{a, b}`, `{k: v}`, `[]string{...}`.
    pub(super) fn list_or_map(&mut self) -> Expr {
        // `[]string{`, `[...]T{`
        let is_typed = self.is("[");
        if self.is("[")
            && !self.language.indents
            && (self.is_at(1, "]") || self.is_at(1, "..."))
            && matches!(self.peek(2), Some(Token::Name(_) | Token::Sign("*" | "{" | "]")))
        {
            let start = self.at;
            self.skip_to(&["{", "\n", ",", ")"]);
            let of = self.tokens[start..self.at].iter().rev().find_map(|token| match token {
                Token::Name(name) if self.types.contains(name) => Some(name.clone()),
                _ => None,
            });
            if let Some(of) = of.filter(|_| self.is("{")) {
                return self.list_of(&of);
            }
            while self.takes("[") || self.takes("]") || self.word(0).is_some() && !self.is("{") {
                self.at += usize::from(self.word(0).is_some());
            }
            if !self.is("{") {
                return Expr::List(Vec::new());
            }
        }
        let is_braced = self.is("{");
        let items = self.items();
        // A list of Lua, and one of Go behind its type, has braces, too.
        let is_list = is_typed || self.language.ends && !self.language.symbols;
        match items.is_empty() && is_braced && !is_list {
            true => Expr::Map(Vec::new()),
            false => listed(items, is_braced),
        }
    }

    /// `{{...}, {...}}`, of which each is a structure of this type.
    fn list_of(&mut self, of: &str) -> Expr {
        let items = self.items();
        structures(Expr::List(items), of)
    }
}
