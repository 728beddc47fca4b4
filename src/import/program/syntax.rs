//! What a program is made of, statements and expressions, and how tokens are read one after the other.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use super::{
    language::{Language, Quote},
    token::Token,
};

/// Deepest nesting of brackets and blocks.
pub(super) const MAX_DEPTH: usize = 64;
/// Most operators, members and calls one behind the other in a statement: each stands in the next.
pub(super) const MAX_TERMS: usize = 300;

#[derive(Clone, Debug)]
pub(super) enum Expr {
    Text(String, Quote),
    Number(i64),
    Name(String),
    List(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
    Member(Box<Expr>, Box<Expr>),
    Call(Box<Expr>, Vec<Expr>),
    Binary(&'static str, Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    Choice(Box<Expr>, Box<Expr>, Box<Expr>),
    Assign(Box<Expr>, &'static str, Box<Expr>),
    Function(Rc<Function>),
    /// A value for each turn of the loops behind it.
    Each(Box<Expr>, Vec<Clause>),
    /// A list whose items stand in its place: `*args`, `...args`.
    Spread(Box<Expr>),
    Command(Vec<(String, Quote)>),
    Nothing,
}

/// `for NAMES in LIST if CONDITION` behind a value.
#[derive(Clone, Debug)]
pub(super) struct Clause {
    pub(super) names: Vec<String>,
    pub(super) list: Expr,
    pub(super) conditions: Vec<Expr>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Function {
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Vec<Statement>,
    /// What it calls the object that it is called on, where it says so.
    pub(super) receiver: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) default: Option<Expr>,
    pub(super) takes: Takes,
}

/// Which arguments a parameter takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Takes {
    One,
    /// All that are left.
    Rest,
    /// All names that no other parameter has.
    Names,
}

impl Parameter {
    pub(super) fn plain(name: String) -> Self {
        Self { name, default: None, takes: Takes::One }
    }
}

/// A class, a structure or a record.
#[derive(Clone, Debug, Default)]
pub(super) struct Class {
    pub(super) name: String,
    pub(super) bases: Vec<String>,
    /// What objects have from their beginning, in the order of a constructor's arguments.
    pub(super) fields: Vec<(String, Option<Expr>)>,
    pub(super) methods: Vec<(String, Rc<Function>)>,
}

#[derive(Clone, Debug)]
pub(super) enum Statement {
    Expr(Expr),
    /// The number of its line, where it is known, the names, and what it goes over.
    For(usize, Vec<String>, Expr, Vec<Statement>),
    /// Condition, as it is written, and both branches.
    If(Expr, Vec<Statement>, Vec<Statement>),
    Function(String, Rc<Function>),
    Class(Rc<Class>),
    Return(Expr),
    Next,
    /// A block with a name in front: `task "a" {`.
    Block(Vec<String>, Vec<Statement>),
}

/// The statements of a program; of tokens that begin a loop the line is known.
pub(super) fn parse(
    tokens: &[Token],
    loops: &BTreeMap<usize, usize>,
    language: &'static Language,
) -> Vec<Statement> {
    let mut parser = Parser::new(tokens, language);
    parser.loops.clone_from(loops);
    if language.is_value {
        return vec![Statement::Expr(parser.nix())];
    }
    parser.types = types(tokens);
    let mut all = Vec::new();
    while parser.at < tokens.len() {
        let before = parser.at;
        parser.statement(&mut all);
        parser.at += usize::from(parser.at == before);
    }
    all
}

/// The names of the classes and structures that a program declares.
fn types(tokens: &[Token]) -> BTreeSet<String> {
    let name = |token: &Token| match token {
        Token::Name(name) => Some(name.clone()),
        _ => None,
    };
    let is_kind = |token: &Token, kinds: &[&str]| matches!(token, Token::Name(name) if kinds.contains(&name.as_str()));
    let pairs = tokens.windows(2);
    let named = pairs.filter_map(|pair| {
        let behind = is_kind(&pair[0], &["class", "struct", "record"]);
        let before = is_kind(&pair[1], &["struct"]);
        if behind { name(&pair[1]) } else { name(&pair[0]).filter(|_| before) }
    });
    named.collect()
}

/// An expression that stands in a string.
pub(super) fn expression(tokens: &[Token], language: &'static Language) -> Expr {
    let mut parser = Parser::new(tokens, language);
    if language.is_value { parser.nix() } else { parser.expr() }
}

pub(super) struct Parser<'a> {
    pub(super) tokens: &'a [Token],
    pub(super) at: usize,
    pub(super) lines: bool,
    /// `(a) => ...` is a function.
    pub(super) arrows: bool,
    pub(super) depth: usize,
    pub(super) brackets: usize,
    /// How many operators, members and calls the statement has so far.
    pub(super) terms: usize,
    pub(super) language: &'static Language,
    /// The names of classes and structures.
    pub(super) types: BTreeSet<String>,
    /// The lines of the tokens that begin a loop.
    pub(super) loops: BTreeMap<usize, usize>,
}

/// Words that say what is declared, in front of its name.
pub(super) const DECLARING: &[&str] = &[
    "my",
    "our",
    "local",
    "let",
    "const",
    "var",
    "val",
    "static",
    "final",
    "auto",
    "mut",
    "public",
    "private",
    "protected",
    "export",
    "unsigned",
    "int",
    "char",
    "string",
    "String",
    "def",
    "new",
    "async",
    "await",
    "readonly",
    "constexpr",
    "inline",
    "pub",
    "#define",
    "extern",
    "long",
    "override",
    "internal",
    "bool",
    "void",
];

impl<'a> Parser<'a> {
    pub(super) fn new(tokens: &'a [Token], language: &'static Language) -> Self {
        Self {
            tokens,
            at: 0,
            lines: language.lines,
            arrows: language.backtick == Quote::Dollar,
            depth: 0,
            brackets: 0,
            terms: 0,
            language,
            types: BTreeSet::new(),
            loops: BTreeMap::new(),
        }
    }
}

impl Parser<'_> {
    pub(super) fn peek(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead)
    }

    pub(super) fn is(&self, sign: &str) -> bool {
        self.is_at(0, sign)
    }

    pub(super) fn is_at(&self, ahead: usize, sign: &str) -> bool {
        matches!(self.peek(ahead), Some(Token::Sign(one)) if *one == sign)
    }

    pub(super) fn word(&self, ahead: usize) -> Option<&str> {
        match self.peek(ahead) {
            Some(Token::Name(name)) => Some(name),
            _ => None,
        }
    }

    pub(super) fn takes(&mut self, sign: &str) -> bool {
        let is = self.is(sign);
        self.at += usize::from(is);
        is
    }

    /// Whether the statement may have one more operator, member or call.
    pub(super) fn one_more(&mut self) -> bool {
        self.terms += 1;
        self.terms < MAX_TERMS
    }

    pub(super) fn blanks(&mut self) {
        while self.peek(0) == Some(&Token::End) {
            self.at += 1;
        }
    }

    /// Passes over what stands up to a sign at this level.
    pub(super) fn skip_to(&mut self, signs: &[&str]) {
        let mut depth = 0usize;
        while let Some(token) = self.peek(0) {
            match token {
                Token::Sign(sign) if depth == 0 && signs.contains(sign) => return,
                Token::Sign("(" | "[" | "{") => depth += 1,
                Token::Sign(")" | "]" | "}") if depth == 0 => return,
                Token::Sign(")" | "]" | "}") => depth -= 1,
                Token::End if depth == 0 && signs.contains(&"\n") => return,
                _ => {}
            }
            self.at += 1;
        }
    }

    /// Passes over a bracket and all that stands in it.
    pub(super) fn skip_after(&mut self) {
        self.at += 1;
        self.skip_to(&[]);
        self.at += 1;
    }
}
