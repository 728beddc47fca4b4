//! The tree with the values of one combination.

use super::{
    Values, is_name,
    reference::{Piece, part, pieces},
};
use crate::{
    diag::Span,
    scenario::{
        context::Context,
        fault::Fault,
        node::{Entry, Node, Scalar, Tree},
    },
};

/// What a string is part of.
#[derive(Clone, Copy)]
struct Place {
    /// Prose says "null"; anywhere else a null inside a text is an error.
    prose: bool,
    /// Frames that are repeated are substituted twice; the escape is undone by the second pass.
    keep_escapes: bool,
}

/// The root with the values of one combination and without `matrix`. Places stay those of the file.
pub(crate) fn substitute(context: &Context<'_>, root: &Node, values: Values<'_>) -> Node {
    let place = Place { prose: false, keep_escapes: false };
    let entries = root
        .map()
        .unwrap_or_default()
        .iter()
        .filter(|entry| entry.key != "matrix")
        .filter_map(|entry| substitute_entry(context, entry, values, place))
        .collect();
    Node { span: root.span, tree: Tree::Map(entries) }
}

/// The frames of a repetition with its number for `${i}`.
pub(crate) fn count(context: &Context<'_>, frames: &Node, number: usize) -> Node {
    let values = Values { axes: &[], number: 0, counter: Some(number) };
    let place = Place { prose: false, keep_escapes: false };
    substitute_node(context, frames, values, place).unwrap_or_else(|| frames.clone())
}

/// Whether any string of a node has a reference.
pub(crate) fn has_reference(node: &Node) -> bool {
    match &node.tree {
        Tree::Scalar(scalar) => scalar.text.contains("${"),
        Tree::List(nodes) => nodes.iter().any(has_reference),
        Tree::Map(entries) => {
            entries.iter().any(|entry| entry.key.contains("${") || has_reference(&entry.value))
        }
    }
}

/// None when the node is left out.
fn substitute_node(
    context: &Context<'_>,
    node: &Node,
    values: Values<'_>,
    place: Place,
) -> Option<Node> {
    let tree = match &node.tree {
        Tree::Scalar(scalar) => {
            Tree::Scalar(substitute_scalar(context, scalar, node.span, values, place)?)
        }
        Tree::List(nodes) => Tree::List(
            nodes.iter().filter_map(|node| substitute_node(context, node, values, place)).collect(),
        ),
        Tree::Map(entries) => {
            let repeats = node.get("repeat").is_some();
            Tree::Map(
                entries
                    .iter()
                    .filter_map(|entry| {
                        let keep_escapes = place.keep_escapes || repeats && entry.key == "frames";
                        substitute_entry(context, entry, values, Place { keep_escapes, ..place })
                    })
                    .collect(),
            )
        }
    };
    Some(Node { span: node.span, tree })
}

fn substitute_entry(
    context: &Context<'_>,
    entry: &Entry,
    values: Values<'_>,
    place: Place,
) -> Option<Entry> {
    let prose = matches!(entry.key.as_str(), "description" | "note" | "reason");
    let key = Scalar::text(entry.key.as_str());
    let key = substitute_scalar(context, &key, entry.key_span, values, place)?;
    let value = substitute_node(context, &entry.value, values, Place { prose, ..place })?;
    Some(Entry { key: key.text, key_span: entry.key_span, value })
}

fn substitute_scalar(
    context: &Context<'_>,
    scalar: &Scalar,
    span: Span,
    values: Values<'_>,
    place: Place,
) -> Option<Scalar> {
    if !scalar.text.contains("${") {
        return Some(scalar.clone());
    }
    // A string that is one reference takes the value with its type, or is left out with it.
    if let Some(value) = whole(&scalar.text).and_then(|name| values.get(name))
        && !(place.prose && value.is_null())
    {
        return (!value.is_null()).then_some(Scalar { substituted: true, ..value });
    }
    let text = without_null_elements(&scalar.text, values);
    let mut result = String::with_capacity(text.len());
    for piece in pieces(&text) {
        match piece {
            Piece::Literal(text) | Piece::Broken(text) => result.push_str(text),
            Piece::Escape if place.keep_escapes => result.push_str("$${"),
            Piece::Escape => result.push_str("${"),
            Piece::Reference(name) => match values.get(name) {
                Some(value) => {
                    if value.is_null() && !place.prose {
                        let at = part(context, span, &format!("${{{name}}}"));
                        context.fault(at, Fault::NullInText { name: name.to_owned() });
                    }
                    result.push_str(value.shown());
                }
                None => result.push_str(&format!("${{{name}}}")),
            },
        }
    }
    Some(Scalar::text(result))
}

/// The name, when the text is one reference and nothing else.
fn whole(text: &str) -> Option<&str> {
    let name = text.strip_prefix("${")?.strip_suffix('}')?;
    is_name(name).then_some(name)
}

/// An option string without the elements `key=${name}` and `${name}` whose value is null.
fn without_null_elements(text: &str, values: Values<'_>) -> String {
    if !text.contains(',') {
        return text.to_owned();
    }
    let is_null = |element: &str| {
        let value = element.split_once('=').map_or(element, |(_, value)| value);
        whole(value).and_then(|name| values.get(name)).is_some_and(|value| value.is_null())
    };
    text.split(',').filter(|element| !is_null(element)).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::scenario::matrix::{Axis, combinations};
    use crate::scenario::node::ScalarKind;

    const PLAIN: Place = Place { prose: false, keep_escapes: false };

    fn axes() -> Vec<Axis> {
        let null = Scalar { text: String::new(), kind: ScalarKind::Null, substituted: false };
        let axis = |name: &str, values: Vec<Scalar>| Axis {
            name: name.to_owned(),
            span: Span::default(),
            values,
        };
        vec![
            axis("queue", vec![Scalar::text("rx"), Scalar::text("tx")]),
            axis("dev", vec![Scalar::text("out0"), null]),
        ]
    }

    #[test]
    fn the_last_name_runs_fastest() {
        let axes = axes();
        let names: Vec<_> = combinations(&axes)
            .map(|values| values.pairs().into_iter().map(|(_, value)| value).collect::<Vec<_>>())
            .map(|values| values.join("-"))
            .collect();
        assert_eq!(names, ["rx-out0", "rx-null", "tx-out0", "tx-null"]);
    }

    #[rstest]
    #[case("f,queue=${queue},outdev=${dev}", "f,queue=rx,outdev=out0", "f,queue=rx")]
    #[case("f,${dev},x=y", "f,out0,x=y", "f,x=y")]
    #[case("f,a=${dev},b=${dev}", "f,a=out0,b=out0", "f")]
    #[case("$${queue},${queue}", "${queue},rx", "${queue},rx")]
    fn an_element_that_is_null_is_left_out(
        #[case] text: &str,
        #[case] with: &str,
        #[case] without: &str,
    ) {
        let source =
            std::sync::Arc::new(crate::diag::Source { path: "x.yaml".into(), text: String::new() });
        let context = Context::new(source, &crate::scenario::Disk);
        let axes = axes();
        let mut all = combinations(&axes);
        let mut next = |expected: &str| {
            let values = all.next().expect("a combination");
            let scalar = Scalar::text(text);
            let done = substitute_scalar(&context, &scalar, Span::default(), values, PLAIN);
            assert_eq!(done.expect("a text").text, expected);
        };
        next(with);
        next(without);
        assert!(context.is_clean());
    }
}
