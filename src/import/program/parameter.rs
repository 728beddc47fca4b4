//! The parameters of functions, and the fields of structures: names with types on either side, and defaults.

use super::{
    language::Language,
    syntax::{DECLARING, Parameter, Parser, Takes},
    token::Token,
};

/// Types that stand behind the name.
const TYPES_BEHIND: &[&str] =
    &["string", "int", "bool", "error", "Context", "byte", "any", "uint16"];

/// The parameters of a function, as they stand in its brackets.
pub(super) fn parameters(tokens: &[Token], language: &'static Language) -> Vec<Parameter> {
    let parts = divided(tokens, &|token| *token == Token::Sign(","));
    parts.into_iter().flat_map(|part| one(part, language)).collect()
}

/// The fields of a structure, as they stand in its braces, each of its line.
pub(super) fn fields(tokens: &[Token], language: &'static Language) -> Vec<Parameter> {
    let divides = |token: &Token| matches!(token, Token::Sign("," | ";") | Token::End);
    let parts = divided(tokens, &divides);
    parts.into_iter().flat_map(|part| one(part, language)).collect()
}

/// What stands between the tokens that divide, outside of brackets.
fn divided<'a>(tokens: &'a [Token], divides: &dyn Fn(&Token) -> bool) -> Vec<&'a [Token]> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0i32, 0);
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Sign("(" | "[" | "<" | "{") => depth += 1,
            Token::Sign(")" | "]" | ">" | "}") => depth -= 1,
            token if depth == 0 && divides(token) => {
                parts.push(&tokens[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&tokens[start..]);
    parts
}

/// One parameter, or those that stand in a pattern: `{ name, port = 1 }`.
fn one(part: &[Token], language: &'static Language) -> Vec<Parameter> {
    let blank = part.iter().take_while(|token| **token == Token::End).count();
    let part = &part[blank..];
    if part.first() == Some(&Token::Sign("{"))
        && let Some(end) = part.iter().position(|token| *token == Token::Sign("}"))
    {
        return parameters(&part[1..end], language);
    }
    let default = part.iter().position(|token| *token == Token::Sign("="));
    let typed = part.iter().position(|token| *token == Token::Sign(":"));
    let until = default.into_iter().chain(typed).min().unwrap_or(part.len());
    let words: Vec<&String> = part[..until]
        .iter()
        .filter_map(|token| match token {
            Token::Name(name) if !DECLARING.contains(&name.as_str()) => Some(name),
            _ => None,
        })
        .collect();
    // `char *const argv[]` ends in the name; `kernel string` begins with it.
    let is_behind = |word: &&&String| TYPES_BEHIND.contains(&word.as_str());
    let name = match words.last().filter(is_behind) {
        Some(_) => words.first(),
        None => words.last(),
    };
    let Some(name) = name else { return Vec::new() };
    // `id: 1` of Ruby, where nothing has a type.
    let value = default.or(typed.filter(|_| language.symbols)).map(|at| &part[at + 1..]);
    let value = value.filter(|value| !value.is_empty());
    let default = value.map(|value| Parser::new(value, language).expr());
    let stars = part.iter().take_while(|token| **token == Token::Sign("*")).count();
    let takes = match stars {
        _ if part.contains(&Token::Sign("...")) => Takes::Rest,
        1 if language.indents || language.symbols => Takes::Rest,
        2 if language.indents || language.symbols => Takes::Names,
        _ => Takes::One,
    };
    vec![Parameter { name: (*name).clone(), default, takes }]
}
