//! Which functions the statements of a program call.

use std::collections::BTreeSet;

use super::syntax::{Expr, Statement};

/// The names that statements call.
pub(super) fn calls(statements: &[Statement], found: &mut BTreeSet<String>) {
    for one in statements {
        match one {
            Statement::Expr(expr) | Statement::Return(expr) => called(expr, found),
            Statement::For(_, _, list, body) => {
                called(list, found);
                calls(body, found);
            }
            Statement::If(condition, then, other) => {
                called(condition, found);
                calls(then, found);
                calls(other, found);
            }
            Statement::Block(_, body) => calls(body, found),
            Statement::Class(class) => {
                class.methods.iter().for_each(|(_, method)| calls(&method.body, found));
            }
            Statement::Function(..) | Statement::Next => {}
        }
    }
}

fn called(expr: &Expr, found: &mut BTreeSet<String>) {
    match expr {
        Expr::Call(callee, items) => {
            match &**callee {
                Expr::Name(name) => drop(found.insert(name.clone())),
                Expr::Member(base, key) => {
                    if let Expr::Text(name, _) = &**key {
                        found.insert(name.clone());
                    }
                    called(base, found);
                }
                other => called(other, found),
            }
            items.iter().for_each(|item| called(item, found));
        }
        Expr::List(items) => items.iter().for_each(|item| called(item, found)),
        Expr::Map(pairs) => pairs.iter().for_each(|(_, value)| called(value, found)),
        Expr::Binary(_, one, other) | Expr::Assign(one, _, other) | Expr::Member(one, other) => {
            called(one, found);
            called(other, found);
        }
        Expr::Not(one) | Expr::Spread(one) => called(one, found),
        Expr::Each(value, clauses) => {
            called(value, found);
            clauses.iter().for_each(|clause| called(&clause.list, found));
        }
        Expr::Choice(condition, one, other) => {
            [condition, one, other].into_iter().for_each(|one| called(one, found))
        }
        Expr::Function(function) => calls(&function.body, found),
        Expr::Text(..) | Expr::Number(_) | Expr::Name(_) | Expr::Command(_) | Expr::Nothing => {}
    }
}
