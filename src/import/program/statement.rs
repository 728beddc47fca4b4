//! The statements of a program, of any language with brackets: what is not understood is passed over.

use std::rc::Rc;

use super::{
    parameter::parameters,
    syntax::{Class, DECLARING, Expr, Function, MAX_DEPTH, Parser, Statement},
    token::Token,
};

impl Parser<'_> {
    pub(super) fn statement(&mut self, all: &mut Vec<Statement>) {
        let outer = std::mem::take(&mut self.terms);
        self.depth += 1;
        self.one_statement(all);
        self.depth -= 1;
        self.terms = outer;
    }

    fn one_statement(&mut self, all: &mut Vec<Statement>) {
        if self.depth > MAX_DEPTH
            || self.peek(0) == Some(&Token::End)
            || self.takes(";")
            || self.takes("}")
        {
            self.at += usize::from(self.peek(0) == Some(&Token::End));
            return;
        }
        let keyword = self.word(0).unwrap_or_default().to_owned();
        match keyword.as_str() {
            "for" | "foreach" => return self.for_loop(all),
            "if" | "unless" | "elif" | "elsif" | "elseif" => {
                self.at += 1;
                return self.choice(&keyword, all);
            }
            "while" | "until" | "loop" | "do" | "try" | "else" | "catch" | "finally" | "BEGIN"
            | "unsafe" | "begin" | "with" | "except"
                if !matches!(self.peek(1), Some(Token::Sign("=" | "." | "," | ")"))) =>
            {
                return self.passed_block(&keyword, all);
            }
            "async" => {
                self.at += 1;
                return self.one_statement(all);
            }
            "end" if self.language.ends => {
                self.at += 1;
                return;
            }
            "case" if self.language.symbols => return self.cases(all),
            "return" => {
                self.at += 1;
                let value = if self.is(";") || self.peek(0) == Some(&Token::End) {
                    Expr::Nothing
                } else {
                    self.expr()
                };
                return self.guarded(Statement::Return(value), all);
            }
            "next" | "continue" | "break" | "last" | "die" | "throw" | "exit" | "panic" => {
                self.at += 1;
                return self.guarded(Statement::Next, all);
            }
            "namespace" | "module" if self.word(1).is_some() => {
                self.at += 1;
                self.skip_to(&["{", ";", "\n"]);
                self.blanks();
                if self.is("{") {
                    all.extend(self.block());
                }
                return;
            }
            "package" | "import" | "use" | "using" | "require" | "from" | "global"
                if !self.is_at(1, "(") =>
            {
                return self.skip_to(&[";", "\n"]);
            }
            // `const (` of Go: each line an assignment.
            "const" | "var" | "param" if self.is_at(1, "(") => {
                self.at += 2;
                return self.declarations(all);
            }
            _ => {}
        }
        if self.class(all) {
            return;
        }
        if let Some(function) = self.function() {
            return all.push(function);
        }
        if let Some(block) = self.named_block() {
            return all.push(block);
        }
        let before = self.at;
        let value = self.expr();
        if self.at == before {
            self.at += 1;
            return;
        }
        self.guarded(Statement::Expr(value), all);
    }

    /// A block of which nothing is known but what stands in it. What is done where something fails is left out.
    fn passed_block(&mut self, keyword: &str, all: &mut Vec<Statement>) {
        self.at += 1;
        if keyword == "with" && self.language.indents {
            self.contexts(all);
        }
        self.skip_to(&["{", "\n", ";"]);
        let mut body = Vec::new();
        if self.is("{") || self.language.ends && self.peek(0) == Some(&Token::End) {
            body = self.block();
        }
        if !matches!(keyword, "except" | "catch") {
            all.extend(body);
        }
    }

    /// `with VALUE as NAME, VALUE as NAME {`
    fn contexts(&mut self, all: &mut Vec<Statement>) {
        loop {
            let value = self.expr_before_block_part();
            if self.word(0) == Some("as")
                && let Some(name) = self.word(1).map(str::to_owned)
            {
                self.at += 2;
                let target = Box::new(Expr::Name(name));
                all.push(Statement::Expr(Expr::Assign(target, "=", Box::new(value))));
            }
            if !self.takes(",") {
                return;
            }
        }
    }

    /// `case x` of Ruby, with a branch for each `when`.
    fn cases(&mut self, all: &mut Vec<Statement>) {
        self.at += 1;
        let subject = self.expr();
        self.blanks();
        let mut branches = Vec::new();
        while self.word(0) == Some("when") && self.at < self.tokens.len() {
            self.at += 1;
            let value = self.expr();
            self.skip_to(&["\n"]);
            let body = self.block();
            branches.push((value, body));
        }
        let mut other = Vec::new();
        if self.word(0) == Some("else") {
            self.at += 1;
            other = self.block();
        }
        for (value, body) in branches.into_iter().rev() {
            let same = Expr::Binary("==", Box::new(subject.clone()), Box::new(value));
            other = vec![Statement::If(same, body, other)];
        }
        all.extend(other);
    }

    /// A statement with what may stand behind it: `... if $x;`, `... unless exists $y;`.
    pub(super) fn guarded(&mut self, statement: Statement, all: &mut Vec<Statement>) {
        let (holds, condition) = match self.word(0) {
            Some("until" | "while") if self.language.symbols => {
                self.skip_to(&[";", "\n"]);
                (true, false)
            }
            Some("if") => (true, true),
            Some("unless") => (false, true),
            // `... for @list` of Perl.
            Some("for" | "foreach") if !self.lines => {
                self.at += 1;
                let list = self.expr();
                return all.push(Statement::For(0, vec!["_".to_owned()], list, vec![statement]));
            }
            _ => (true, false),
        };
        if !condition {
            return all.push(statement);
        }
        self.at += 1;
        let condition = self.expr();
        let condition = if holds { condition } else { Expr::Not(Box::new(condition)) };
        all.push(Statement::If(condition, vec![statement], Vec::new()));
    }

    /// Settings in round brackets, each of its line or divided by commas.
    pub(super) fn declarations(&mut self, all: &mut Vec<Statement>) {
        while self.at < self.tokens.len() && !self.takes(")") {
            // `[int]$Port = 1` of PowerShell.
            while self.is("[") {
                self.skip_after();
            }
            let before = self.at;
            let brackets = std::mem::replace(&mut self.brackets, 1);
            let value = self.expr();
            self.brackets = brackets;
            all.push(Statement::Expr(value));
            self.at += usize::from(self.at == before);
        }
    }

    pub(super) fn block(&mut self) -> Vec<Statement> {
        let mut all = Vec::new();
        self.depth += 1;
        let brackets = std::mem::take(&mut self.brackets);
        if self.takes("{") {
            while self.at < self.tokens.len() && !self.is("}") {
                let before = self.at;
                self.statement(&mut all);
                self.at += usize::from(self.at == before);
            }
            self.at += 1;
        } else {
            // `do ... end`, `then ... end`.
            self.up_to_end(&mut all);
            while matches!(self.word(0), Some("rescue" | "ensure")) {
                self.skip_to(&["\n"]);
                self.up_to_end(&mut Vec::new());
            }
            self.at += usize::from(self.word(0) == Some("end"));
        }
        self.brackets = brackets;
        self.depth -= 1;
        all
    }

    fn up_to_end(&mut self, all: &mut Vec<Statement>) {
        const ENDS: &[&str] =
            &["end", "else", "elseif", "elsif", "until", "when", "rescue", "ensure"];
        while self.at < self.tokens.len() && !self.word(0).is_some_and(|word| ENDS.contains(&word))
        {
            let before = self.at;
            self.statement(all);
            self.at += usize::from(self.at == before);
        }
    }

    pub(super) fn for_loop(&mut self, all: &mut Vec<Statement>) {
        let line = self.loops.get(&self.at).copied().unwrap_or(0);
        self.at += 1;
        let mut round = self.takes("(");
        let mut names = Vec::new();
        let start = self.at;
        while let Some(token) = self.peek(0) {
            match token {
                Token::Name(name) if matches!(name.as_str(), "in" | "of" | "range" | "as") => break,
                Token::Name(name) if DECLARING.contains(&name.as_str()) => {}
                Token::Name(name) => {
                    // A type in front of the name.
                    let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
                    if let Some(Token::Name(_) | Token::Sign("*" | "&")) = before
                        && !names.is_empty()
                    {
                        names.pop();
                    }
                    names.push(name.clone());
                }
                Token::Sign("," | ":=" | "[" | "]" | "&" | "*" | "=" | "{") => {}
                Token::Sign("}") if matches!(self.word(1), Some("of" | "in")) => {}
                // `for i, (name, port) in list`
                Token::Sign("(" | ")") if self.language.indents => {}
                // `for (String s : list)`, and Perl's list behind the name.
                Token::Sign(":") if round => break,
                Token::Sign("(") if self.at == start => {}
                // `for (i, name) in list`
                Token::Sign(")") if round && matches!(self.word(1), Some("in" | "of")) => {
                    round = false
                }
                _ => break,
            }
            self.at += 1;
        }
        let mut over = self.is("(") || matches!(self.peek(0), Some(Token::Words(_)));
        if matches!(self.word(0), Some("in" | "of" | "range" | "as")) || self.is(":") {
            let is_as = self.word(0) == Some("as");
            self.at += 1;
            let is_range = self.word(0) == Some("range") && !self.language.indents;
            self.at += usize::from(is_range);
            over = !is_as;
            if is_as {
                // `foreach ($list as $key => $value)`
                let list = names.pop().map_or(Expr::Nothing, Expr::Name);
                let mut names = Vec::new();
                while let Some(name) = self.word(0).map(str::to_owned) {
                    names.push(name);
                    self.at += 1;
                    self.takes("=>");
                }
                self.skip_to(&[")"]);
                self.at += 1;
                let body = self.body();
                return all.push(Statement::For(line, names, list, body));
            }
        }
        if !over && let Some(counted) = self.counted(&names) {
            let body = self.body();
            return all.push(Statement::For(line, names, counted, body));
        }
        if !over {
            // A loop that counts, or one that is not understood: its body once.
            self.skip_to(&[")", "{", "\n"]);
            self.at += usize::from(self.is(")"));
            self.skip_to(&["{", "\n"]);
            let body = if self.is("{") { self.block() } else { Vec::new() };
            return all.push(Statement::For(line, names, Expr::Nothing, body));
        }
        let list = self.expr();
        if round {
            self.skip_to(&[")"]);
            self.at += 1;
        }
        // The last name of `for _, x` is the item.
        let body = self.body();
        all.push(Statement::For(line, names, list, body));
    }

    /// `0; i < 2; i++)`, of which the names and `=` are read: the numbers that it counts.
    pub(super) fn counted(&mut self, names: &[String]) -> Option<Expr> {
        let mark = self.at;
        let start = self.unary();
        let is_counting = self.takes(";") && self.word(0) == names.last().map(String::as_str);
        self.at += 1;
        let closed = self.is("<=");
        if !(is_counting && (self.takes("<") || self.takes("<="))) {
            self.at = mark;
            return None;
        }
        let mut end = self.binary(3);
        if closed {
            end = Expr::Binary("+", Box::new(end), Box::new(Expr::Number(1)));
        }
        self.skip_to(&[")", "{"]);
        self.takes(")");
        Some(Expr::Call(Box::new(Expr::Name("range".to_owned())), vec![start, end]))
    }

    /// The body of a loop or a branch: a block, or one statement.
    pub(super) fn body(&mut self) -> Vec<Statement> {
        let is_line = self.peek(0) == Some(&Token::End);
        self.blanks();
        if is_line && self.language.symbols {
            return self.block();
        }
        if matches!(self.word(0), Some("do" | "then")) {
            self.at += 1;
            return self.block();
        }
        if self.is("{") {
            return self.block();
        }
        self.takes(":");
        let mut all = Vec::new();
        self.statement(&mut all);
        all
    }

    pub(super) fn choice(&mut self, keyword: &str, all: &mut Vec<Statement>) {
        self.depth += 1;
        let mut condition = self.expr_before_block();
        // `if err := f(); err != nil {`
        while self.takes(";") {
            all.push(Statement::Expr(condition));
            condition = self.expr_before_block();
        }
        if keyword == "unless" {
            condition = Expr::Not(Box::new(condition));
        }
        let then = self.body();
        let mark = self.at;
        self.blanks();
        let other = match self.word(0) {
            Some("else") => {
                self.at += 1;
                self.body()
            }
            Some("elsif" | "elseif" | "elif") if self.depth <= MAX_DEPTH => {
                self.at += 1;
                let mut inner = Vec::new();
                self.choice("if", &mut inner);
                inner
            }
            _ => {
                self.at = mark;
                Vec::new()
            }
        };
        self.depth -= 1;
        all.push(Statement::If(condition, then, other));
    }

    pub(super) fn expr_before_block(&mut self) -> Expr {
        let value = self.expr_before_block_part();
        self.skip_to(&["{", ";", "\n"]);
        value
    }

    /// An expression behind which a `{` opens a block.
    fn expr_before_block_part(&mut self) -> Expr {
        let brackets = std::mem::replace(&mut self.brackets, usize::MAX / 2);
        let lines = std::mem::replace(&mut self.lines, true);
        let value = self.expr();
        (self.brackets, self.lines) = (brackets, lines);
        value
    }

    /// `func name(a, b string) {`, `sub name {`, `static int name(char *a) {`, `function name(a) ... end`.
    pub(super) fn function(&mut self) -> Option<Statement> {
        let mark = self.at;
        let mut name = None;
        let mut keyword = false;
        let mut owner: Option<(String, String)> = None;
        while let Some(token) = self.peek(0) {
            match token {
                Token::Name(word)
                    if matches!(
                        word.as_str(),
                        "func" | "fn" | "sub" | "function" | "fun" | "def"
                    ) =>
                {
                    keyword = true;
                }
                // `def name a, b` of Ruby.
                Token::Name(_) if keyword && name.is_some() && self.language.symbols => break,
                Token::Name(word) => name = Some(word.clone()),
                // The receiver of a method of Go.
                Token::Sign("(") if keyword && name.is_none() => {
                    let start = self.at;
                    self.skip_after();
                    owner = self.receiver(start);
                    continue;
                }
                // `def self.name`, `function Guest:name`
                Token::Sign("." | ":") if keyword && name.is_some() && self.language.ends => {}
                Token::Sign("*" | "&" | "<" | ">" | "-" | "::") | Token::Sign("[" | "]") => {}
                _ => break,
            }
            self.at += 1;
        }
        let ends = self.language.symbols && keyword && self.at == mark + 2;
        let is_definition = self.at > mark + 1
            && name.is_some()
            && (self.is("(") || keyword && self.is("{") || ends);
        if !is_definition {
            self.at = mark;
            return None;
        }
        let mut given = Vec::new();
        if self.is("(") {
            let start = self.at;
            self.skip_after();
            let inner = self.tokens.get(start + 1..self.at.saturating_sub(1)).unwrap_or_default();
            given = parameters(inner, self.language);
        } else if self.language.symbols {
            // `def name a, b` of Ruby.
            let start = self.at;
            self.skip_to(&["\n", ";"]);
            given = parameters(&self.tokens[start..self.at], self.language);
        }
        // What it gives, and then its body.
        let behind = self.at;
        if matches!(self.word(0), Some("throws" | "const" | "noexcept")) {
            self.skip_to(&["{", ";"]);
        }
        while matches!(
            self.peek(0),
            Some(
                Token::Name(_)
                    | Token::Sign(
                        "->" | "."
                            | "|"
                            | ":"
                            | "<"
                            | ">"
                            | "*"
                            | "&"
                            | "("
                            | ")"
                            | ","
                            | "["
                            | "]"
                            | "::"
                            | "?"
                    )
            ) | Some(Token::End)
        ) {
            if !keyword && self.peek(0) != Some(&Token::End) || self.at - behind > 24 {
                break;
            }
            if self.peek(0) == Some(&Token::End) && !self.is_at(1, "{") {
                break;
            }
            self.at += 1;
        }
        self.blanks();
        let is_block = self.is("{");
        if !is_block && keyword && self.lines {
            self.at = behind;
        }
        let has_body = is_block || keyword && self.lines && self.peek(0) == Some(&Token::End);
        if !has_body {
            self.at = mark;
            return None;
        }
        let body = self.block();
        let (name, receiver) = (name?, owner.as_ref().map(|(receiver, _)| receiver.clone()));
        let function = Rc::new(Function { parameters: given, body, receiver });
        Some(match owner {
            Some((_, class)) => method_of(class, name, function),
            None => Statement::Function(name, function),
        })
    }

    /// `(g *Guest)` of Go, which begins at a token and ends here: what the object is called, and its type.
    fn receiver(&self, start: usize) -> Option<(String, String)> {
        let mut names = self.tokens.get(start..self.at)?.iter().filter_map(|token| match token {
            Token::Name(name) => Some(name.clone()),
            _ => None,
        });
        Some((names.next()?, names.next()?))
    }

    /// `task "qemu" {`, `env {`.
    pub(super) fn named_block(&mut self) -> Option<Statement> {
        let mut names = vec![self.word(0)?.to_owned()];
        let mut ahead = 1;
        while let Some(Token::Text(text, _)) = self.peek(ahead) {
            names.push(text.clone());
            ahead += 1;
        }
        if !self.is_at(ahead, "{") || !self.lines {
            return None;
        }
        self.at += ahead;
        let body = self.block();
        Some(Statement::Block(names, body))
    }
}

/// A method that stands outside of its class.
fn method_of(class: String, name: String, function: Rc<Function>) -> Statement {
    let methods = vec![(name, function)];
    Statement::Class(Rc::new(Class { name: class, methods, ..Class::default() }))
}
