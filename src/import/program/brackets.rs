//! What stands in brackets, as the list, the map or the structures that it is.

use super::syntax::Expr;

/// The list, or the map, that stands in brackets.
pub(super) fn listed(items: Vec<Expr>, is_braced: bool) -> Expr {
    let is_pair = |item: &Expr| {
        matches!(item, Expr::Map(one) if one.len() == 1) || matches!(item, Expr::Assign(..))
    };
    if !items.is_empty() && items.iter().all(is_pair) {
        return Expr::Map(items.into_iter().flat_map(pairs).collect());
    }
    // `{**a, "b": 1}`, `{ a: 1, b }`, `{a: b for c in d}`: all of them are a map.
    let is_part = |item: &Expr| match item {
        Expr::Each(value, _) => matches!(**value, Expr::Map(_)),
        Expr::Map(_) | Expr::Spread(_) => true,
        _ => false,
    };
    let is_shorthand = |item: &Expr| matches!(item, Expr::Name(_));
    let is_map = is_braced
        && items.iter().any(is_part)
        && items.iter().all(|item| is_part(item) || is_shorthand(item));
    if !is_map {
        return Expr::List(items);
    }
    let part = |item: Expr| match item {
        Expr::Name(name) => Expr::Map(vec![(Expr::Name(name.clone()), Expr::Name(name))]),
        Expr::Spread(inner) => *inner,
        other => other,
    };
    let parts = items.into_iter().map(part).collect();
    Expr::Call(Box::new(Expr::Name("dict".to_owned())), parts)
}

/// The members of a map in an item.
pub(super) fn pairs(item: Expr) -> Vec<(Expr, Expr)> {
    match item {
        Expr::Map(one) => one,
        Expr::Assign(key, _, value) => vec![(*key, *value)],
        _ => Vec::new(),
    }
}

/// A list of structures of a type, or one, of which the fields are written.
pub(super) fn structures(value: Expr, of: &str) -> Expr {
    let one = |item: Expr| match item {
        Expr::List(fields) => Expr::Call(Box::new(Expr::Name(of.to_owned())), fields),
        Expr::Map(_) => Expr::Call(Box::new(Expr::Name(of.to_owned())), vec![item]),
        other => other,
    };
    match value {
        Expr::List(items)
            if items.iter().any(|item| matches!(item, Expr::List(_) | Expr::Map(_))) =>
        {
            Expr::List(items.into_iter().map(one).collect())
        }
        other => other,
    }
}
