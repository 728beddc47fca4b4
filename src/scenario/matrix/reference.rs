//! `${name}` in the strings of a scenario: where references stand, and which lead nowhere.

use std::collections::BTreeSet;

use super::{COUNTER, Matrix, is_name};
use crate::{
    diag::Span,
    scenario::{
        context::Context,
        fault::Fault,
        node::{Node, Tree, short},
        suggest::{list, nearest},
    },
};

pub(super) enum Piece<'a> {
    Literal(&'a str),
    /// `$${`.
    Escape,
    /// `${name}`, with the whole reference.
    Reference(&'a str),
    /// `${` and what follows, when it is not a reference.
    Broken(&'a str),
}

pub(super) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            pieces.push(Piece::Literal(&rest[..at - 1]));
            pieces.push(Piece::Escape);
            rest = &rest[at + 2..];
            continue;
        }
        pieces.push(Piece::Literal(&rest[..at]));
        rest = &rest[at..];
        let end = rest.find('}').map_or(rest.len(), |end| end + 1);
        let name = rest[2..end].strip_suffix('}').unwrap_or("");
        pieces.push(if is_name(name) {
            Piece::Reference(name)
        } else {
            Piece::Broken(&rest[..end])
        });
        rest = &rest[end..];
    }
    pieces.push(Piece::Literal(rest));
    pieces
}

/// Reports references that nothing defines and names that nothing uses, each at its place.
pub(crate) fn check(context: &Context<'_>, root: &Node, matrix: &Matrix) {
    let mut used = BTreeSet::new();
    for entry in root.map().unwrap_or_default() {
        if entry.key != "matrix" {
            check_text(context, &entry.key, entry.key_span, matrix, false, &mut used);
            check_node(context, &entry.value, matrix, false, &mut used);
        }
    }
    for axis in matrix.axes.iter().filter(|axis| !used.contains(axis.name.as_str())) {
        context.fault(axis.span, Fault::UnusedVariable { name: axis.name.clone() });
    }
}

fn check_node<'a>(
    context: &Context<'_>,
    node: &'a Node,
    matrix: &Matrix,
    counting: bool,
    used: &mut BTreeSet<&'a str>,
) {
    match &node.tree {
        Tree::Scalar(scalar) => {
            check_text(context, &scalar.text, node.span, matrix, counting, used);
        }
        Tree::List(nodes) => {
            nodes.iter().for_each(|node| check_node(context, node, matrix, counting, used));
        }
        Tree::Map(entries) => {
            let repeats = node.get("repeat").is_some();
            for entry in entries {
                let counting = counting || repeats && entry.key == "frames";
                check_text(context, &entry.key, entry.key_span, matrix, counting, used);
                check_node(context, &entry.value, matrix, counting, used);
            }
        }
    }
}

fn check_text<'a>(
    context: &Context<'_>,
    text: &'a str,
    span: Span,
    matrix: &Matrix,
    counting: bool,
    used: &mut BTreeSet<&'a str>,
) {
    for piece in pieces(text) {
        if context.is_full() {
            return;
        }
        match piece {
            Piece::Literal(_) | Piece::Escape => {}
            Piece::Broken(found) => {
                let at = part(context, span, found);
                context.fault(at, Fault::BadReference { found: short(found) });
            }
            Piece::Reference(name) if matrix.has(name) => {
                used.insert(name);
            }
            Piece::Reference(COUNTER) if counting => {}
            Piece::Reference(name) => {
                let at = part(context, span, &format!("${{{name}}}"));
                let help = unknown_help(name, matrix);
                context.fault(at, Fault::UnknownVariable { name: short(name), help });
            }
        }
    }
}

fn unknown_help(name: &str, matrix: &Matrix) -> String {
    let names = || matrix.axes.iter().map(|axis| axis.name.as_str());
    if name == COUNTER {
        "`${i}` counts the repetitions of a `send`: it stands inside `frames`, beside `repeat`"
            .to_owned()
    } else if let Some(near) = nearest(name, names()) {
        format!("did you mean `${{{near}}}`?")
    } else if matrix.is_empty() {
        let name = short(name);
        format!("add `matrix: {{{name}: [...]}}`, or write `$${{` for a literal `${{`")
    } else {
        format!("the matrix has {}; `$${{` stands for a literal `${{`", list(names()))
    }
}

/// The place of a reference inside its scalar, where the scalar stands in the file as it reads.
pub(super) fn part(context: &Context<'_>, span: Span, reference: &str) -> Span {
    let source = &context.source().text;
    match source.get(span.start..span.end).and_then(|text| text.find(reference)) {
        Some(at) => Span { start: span.start + at, end: span.start + at + reference.len() },
        None => span,
    }
}
