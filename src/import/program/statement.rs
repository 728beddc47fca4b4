//! The statements of a program, of any language with brackets: what is not understood is passed over.

use super::{
    syntax::{DECLARING, Expr, MAX_DEPTH, Parser, Statement},
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
            | "unsafe" => {
                self.at += 1;
                self.skip_to(&["{", "\n", ";"]);
                if self.is("{") {
                    all.extend(self.block());
                }
                return;
            }
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
            "package" | "import" | "use" | "using" | "require" | "namespace"
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
        if self.is_type() {
            self.skip_to(&["{", ";", "\n"]);
            if self.is("{") {
                all.extend(self.block());
            }
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

    /// `public class Name {`, `impl Name {`: what stands in it is read as if it stood alone.
    pub(super) fn is_type(&self) -> bool {
        const TYPES: &[&str] =
            &["struct", "class", "enum", "interface", "impl", "type", "trait", "object"];
        let mut words = (0..4).map_while(|ahead| self.word(ahead).map(|word| (ahead, word)));
        let found = words.find(|(_, word)| TYPES.contains(word));
        found.is_some_and(|(ahead, _)| self.word(ahead + 1).is_some())
    }

    /// A statement with what may stand behind it: `... if $x;`, `... unless exists $y;`.
    pub(super) fn guarded(&mut self, statement: Statement, all: &mut Vec<Statement>) {
        let (holds, condition) = match self.word(0) {
            Some("if") => (true, true),
            Some("unless") => (false, true),
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
            while self.at < self.tokens.len()
                && !matches!(self.word(0), Some("end" | "else" | "elseif" | "elsif" | "until"))
            {
                let before = self.at;
                self.statement(&mut all);
                self.at += usize::from(self.at == before);
            }
            self.at += usize::from(self.word(0) == Some("end"));
        }
        self.brackets = brackets;
        self.depth -= 1;
        all
    }

    pub(super) fn for_loop(&mut self, all: &mut Vec<Statement>) {
        self.at += 1;
        let mut round = self.takes("(");
        let mut names = Vec::new();
        let start = self.at;
        while let Some(token) = self.peek(0) {
            match token {
                Token::Name(name) if matches!(name.as_str(), "in" | "of" | "range" | "as") => break,
                Token::Name(name) if DECLARING.contains(&name.as_str()) => {}
                Token::Name(name) => names.push(name.clone()),
                Token::Sign("," | ":=" | "[" | "]" | "&" | "*" | "=") => {}
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
            self.at += usize::from(self.word(0) == Some("range"));
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
                return all.push(Statement::For(names, list, body));
            }
        }
        if !over && let Some(counted) = self.counted(&names) {
            let body = self.body();
            return all.push(Statement::For(names, counted, body));
        }
        if !over {
            // A loop that counts, or one that is not understood: its body once.
            self.skip_to(&[")", "{", "\n"]);
            self.at += usize::from(self.is(")"));
            self.skip_to(&["{", "\n"]);
            let body = if self.is("{") { self.block() } else { Vec::new() };
            return all.push(Statement::For(names, Expr::Nothing, body));
        }
        let list = self.expr();
        if round {
            self.skip_to(&[")"]);
            self.at += 1;
        }
        // The last name of `for _, x` is the item.
        let body = self.body();
        all.push(Statement::For(names, list, body));
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
        let mut end = self.unary();
        if closed {
            end = Expr::Binary("+", Box::new(end), Box::new(Expr::Number(1)));
        }
        self.skip_to(&[")", "{"]);
        self.takes(")");
        Some(Expr::Call(Box::new(Expr::Name("range".to_owned())), vec![start, end]))
    }

    /// The body of a loop or a branch: a block, or one statement.
    pub(super) fn body(&mut self) -> Vec<Statement> {
        self.blanks();
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
        let brackets = std::mem::replace(&mut self.brackets, usize::MAX / 2);
        let lines = std::mem::replace(&mut self.lines, true);
        let value = self.expr();
        self.skip_to(&["{", ";", "\n"]);
        (self.brackets, self.lines) = (brackets, lines);
        value
    }

    /// `func name(a, b string) {`, `sub name {`, `static int name(char *a) {`, `function name(a) ... end`.
    pub(super) fn function(&mut self) -> Option<Statement> {
        let mark = self.at;
        let mut name = None;
        let mut keyword = false;
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
                Token::Name(word) => name = Some(word.clone()),
                // The receiver of a method of Go.
                Token::Sign("(") if keyword && name.is_none() => {
                    self.skip_after();
                    continue;
                }
                Token::Sign("*" | "&" | "<" | ">" | "-" | "::") | Token::Sign("[" | "]") => {}
                _ => break,
            }
            self.at += 1;
        }
        let is_definition =
            self.at > mark + 1 && name.is_some() && (self.is("(") || keyword && self.is("{"));
        if !is_definition {
            self.at = mark;
            return None;
        }
        let mut parameters = Vec::new();
        if self.is("(") {
            let start = self.at;
            self.skip_after();
            parameters =
                names_of(self.tokens.get(start + 1..self.at.saturating_sub(1)).unwrap_or_default());
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
                        "->" | ":"
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
        if self.is("{") {
            let body = self.block();
            return Some(Statement::Function(name?, parameters, body));
        }
        if keyword && self.lines {
            self.at = behind;
            if self.peek(0) == Some(&Token::End) {
                let body = self.block();
                return Some(Statement::Function(name?, parameters, body));
            }
        }
        self.at = mark;
        None
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

/// The names of parameters: of each the last, before a default; of Go and Rust the first.
fn names_of(tokens: &[Token]) -> Vec<String> {
    let mut names = Vec::new();
    let mut depth = 0i32;
    let mut part: Vec<&Token> = Vec::new();
    let mut flush = |part: &mut Vec<&Token>| {
        let until = part
            .iter()
            .position(|token| matches!(token, Token::Sign("=" | ":")))
            .unwrap_or(part.len());
        let words: Vec<&String> = part[..until]
            .iter()
            .filter_map(|token| match token {
                Token::Name(name) if !DECLARING.contains(&name.as_str()) => Some(name),
                _ => None,
            })
            .collect();
        // `char *const argv[]` ends in the name; `kernel string` begins with it.
        let typed_behind = matches!(
            words.last().map(|word| word.as_str()),
            Some("string" | "int" | "bool" | "error" | "Context" | "byte")
        );
        let name = if typed_behind { words.first() } else { words.last() };
        names.extend(name.map(|name| (*name).clone()));
        part.clear();
    };
    for token in tokens {
        match token {
            Token::Sign("(" | "[" | "<" | "{") => depth += 1,
            Token::Sign(")" | "]" | ">" | "}") => depth -= 1,
            Token::Sign(",") if depth == 0 => {
                flush(&mut part);
                continue;
            }
            _ => {}
        }
        if depth == 0 {
            part.push(token);
        }
    }
    flush(&mut part);
    names
}
