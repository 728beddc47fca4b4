//! The tree with the values of one combination.

use std::borrow::Cow;

use super::{
    Values, is_name,
    reference::{Piece, part, pieces},
};
use crate::{
    diag::Span,
    qapi::{Element, Form, Options},
    scenario::{
        budget::Kind,
        context::Context,
        fault::Fault,
        node::{Entry, Node, Scalar, Text, Tree, short},
    },
};

/// What a string is part of.
#[derive(Clone, Copy)]
struct Setting {
    /// Prose says "null"; anywhere else a null inside a text is an error.
    prose: bool,
    /// Frames that are repeated are substituted twice; the escape is undone by the second pass.
    keep_escapes: bool,
    /// What is written stays as long as the case does, and is counted. Repeated frames are counted
    /// otherwise, before the first of them is written.
    stays: bool,
}

/// The root with the values of one combination and without `matrix`. Places stay those of the file.
/// None when that is too much.
pub(crate) fn substitute(context: &Context<'_>, root: &Node, values: Values<'_>) -> Option<Node> {
    let setting = Setting { prose: false, keep_escapes: false, stays: true };
    let mut entries = Vec::new();
    for entry in root.map().unwrap_or_default().iter().filter(|entry| entry.key != "matrix") {
        let nodes = 1 + size(&entry.value);
        if !context.take_of(entry.key_span, Kind::Nodes, nodes, || {
            format!("{nodes} under `{}`", short(&entry.key))
        }) {
            return None;
        }
        entries.extend(substitute_entry(context, entry, values, setting));
    }
    (!context.is_spent()).then_some(Node { span: root.span, tree: Tree::Map(entries) })
}

/// The frames of a repetition with its number for `${i}`.
pub(crate) fn count(context: &Context<'_>, frames: &Node, number: usize) -> Node {
    let values = Values { matrix: None, number: 0, counter: Some(number) };
    let setting = Setting { prose: false, keep_escapes: false, stays: false };
    substitute_node(context, frames, values, setting).unwrap_or_else(|| frames.clone())
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

/// Whether a key anywhere below a node has a reference.
pub(crate) fn has_reference_in_key(node: &Node) -> bool {
    match &node.tree {
        Tree::Scalar(_) => false,
        Tree::List(nodes) => nodes.iter().any(has_reference_in_key),
        Tree::Map(entries) => entries
            .iter()
            .any(|entry| entry.key.contains("${") || has_reference_in_key(&entry.value)),
    }
}

/// How many keys, values, lists and maps a node is made of.
fn size(node: &Node) -> usize {
    1 + match &node.tree {
        Tree::Scalar(_) => 0,
        Tree::List(nodes) => nodes.iter().map(size).sum(),
        Tree::Map(entries) => entries.iter().map(|entry| 1 + size(&entry.value)).sum::<usize>(),
    }
}

/// What it takes to write a node out: its keys and values, its references, and an eighth of its
/// text.
pub(crate) fn parts(node: &Node) -> usize {
    let of_text = |text: &str| 1 + text.len() / 8 + text.matches("${").count();
    match &node.tree {
        Tree::Scalar(scalar) => of_text(&scalar.text),
        Tree::List(nodes) => 1 + nodes.iter().map(parts).sum::<usize>(),
        Tree::Map(entries) => {
            let entry = |entry: &Entry| of_text(&entry.key) + parts(&entry.value);
            1 + entries.iter().map(entry).sum::<usize>()
        }
    }
}

/// None when the node is left out.
fn substitute_node(
    context: &Context<'_>,
    node: &Node,
    values: Values<'_>,
    setting: Setting,
) -> Option<Node> {
    let tree = match &node.tree {
        Tree::Scalar(scalar) => {
            Tree::Scalar(substitute_scalar(context, scalar, node.span, values, setting)?)
        }
        Tree::List(nodes) => Tree::List(
            nodes
                .iter()
                .filter_map(|node| substitute_node(context, node, values, setting))
                .collect(),
        ),
        Tree::Map(entries) => {
            let repeats = node.get("repeat").is_some();
            Tree::Map(
                entries
                    .iter()
                    .filter_map(|entry| {
                        let keep_escapes = setting.keep_escapes || repeats && entry.key == "frames";
                        substitute_entry(
                            context,
                            entry,
                            values,
                            Setting { keep_escapes, ..setting },
                        )
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
    setting: Setting,
) -> Option<Entry> {
    let prose = matches!(entry.key.as_str(), "description" | "note" | "reason");
    let key = substitute_key(context, &entry.key, entry.key_span, values, setting)?;
    let value = substitute_node(context, &entry.value, values, Setting { prose, ..setting })?;
    Some(Entry { key, key_span: entry.key_span, value })
}

fn substitute_key(
    context: &Context<'_>,
    key: &Text,
    span: Span,
    values: Values<'_>,
    setting: Setting,
) -> Option<Text> {
    if key.contains("${") {
        return substitute_text(context, key, span, values, setting).map(|key| key.text);
    }
    afford(context, span, setting, key.len(), (0, 0)).then(|| key.clone())
}

fn substitute_scalar(
    context: &Context<'_>,
    scalar: &Scalar,
    span: Span,
    values: Values<'_>,
    setting: Setting,
) -> Option<Scalar> {
    if scalar.text.contains("${") {
        return substitute_text(context, &scalar.text, span, values, setting);
    }
    afford(context, span, setting, scalar.text.len(), (0, 0)).then(|| scalar.clone())
}

/// Takes a text that is about to be written: its bytes, and those of them that so many references
/// stand for.
fn afford(
    context: &Context<'_>,
    span: Span,
    setting: Setting,
    length: usize,
    (references, referred): (usize, usize),
) -> bool {
    let factors = || match references {
        _ if references < 2 || referred < length / 2 => format!("{length} in this text"),
        _ => format!("{references} references x {}", referred / references),
    };
    !setting.stays || context.take_of(span, Kind::Text, length, factors)
}

fn substitute_text(
    context: &Context<'_>,
    text: &str,
    span: Span,
    values: Values<'_>,
    setting: Setting,
) -> Option<Scalar> {
    // A string that is one reference takes the value with its type, or is left out with it.
    if let Some(value) = whole(text).and_then(|name| values.get(name))
        && !(setting.prose && value.is_null())
    {
        return (!value.is_null()
            && afford(context, span, setting, value.text.len(), (1, value.text.len())))
        .then(|| Scalar { substituted: true, ..value.into_owned() });
    }
    let text = without_null_elements(text, values);
    // Every piece is known before the first byte is written.
    let (mut references, mut referred) = (0, 0);
    let mut written: Vec<Cow<'_, str>> = Vec::new();
    for piece in pieces(&text) {
        written.push(match piece {
            Piece::Literal(text) | Piece::Broken(text) => Cow::Borrowed(text),
            Piece::Escape if setting.keep_escapes => Cow::Borrowed("$${"),
            Piece::Escape => Cow::Borrowed("${"),
            Piece::Reference(name) => {
                references += 1;
                let value = match values.get(name) {
                    Some(value) if value.is_null() => {
                        if !setting.prose {
                            let at = part(context, span, &format!("${{{name}}}"));
                            context.fault(at, Fault::NullInText { name: short(name) });
                        }
                        Cow::Borrowed("null")
                    }
                    Some(Cow::Borrowed(value)) => Cow::Borrowed(value.text.as_str()),
                    Some(Cow::Owned(value)) => Cow::Owned(value.text.to_string()),
                    None => Cow::Owned(format!("${{{name}}}")),
                };
                referred += value.len();
                value
            }
        });
    }
    let length = written.iter().map(|piece| piece.len()).sum();
    afford(context, span, setting, length, (references, referred))
        .then(|| Scalar::text(written.concat()))
}

/// The name, when the text is one reference and nothing else.
fn whole(text: &str) -> Option<&str> {
    let name = text.strip_prefix("${")?.strip_suffix('}')?;
    is_name(name).then_some(name)
}

/// An option string without the elements `key=${name}` and `${name}` whose value is null.
fn without_null_elements<'t>(text: &'t str, values: Values<'_>) -> Cow<'t, str> {
    if !text.contains(',') {
        return Cow::Borrowed(text);
    }
    let is_null = |element: &Element| {
        let value = match element.form {
            Form::Pair => &element.value,
            Form::Implied | Form::Flag => &element.raw,
        };
        whole(value).and_then(|name| values.get(name)).is_some_and(|value| value.is_null())
    };
    let mut options = Options::read(text, "");
    if !options.elements().iter().any(is_null) {
        return Cow::Borrowed(text);
    }
    options.retain(|element| !is_null(element));
    Cow::Owned(options.text())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::scenario::matrix::{Axis, Matrix};
    use crate::scenario::node::ScalarKind;

    const PLAIN: Setting = Setting { prose: false, keep_escapes: false, stays: true };

    fn matrix() -> Matrix {
        let null = Scalar { text: "".into(), kind: ScalarKind::Null, substituted: false };
        let axis = |name: &str, values: Vec<Scalar>| Axis {
            name: name.to_owned(),
            span: Span::default(),
            values,
            stride: 1,
        };
        Matrix::new(vec![
            axis("queue", vec![Scalar::text("rx"), Scalar::text("tx")]),
            axis("dev", vec![Scalar::text("out0"), null]),
        ])
    }

    fn context() -> Context<'static> {
        let source =
            std::sync::Arc::new(crate::diag::Source { path: "x.yaml".into(), text: String::new() });
        Context::new(source, &crate::scenario::Disk)
    }

    #[test]
    fn the_last_name_runs_fastest() {
        let (context, matrix) = (context(), matrix());
        let names: Vec<_> = matrix
            .combinations()
            .filter_map(|values| values.pairs(&context))
            .map(|pairs| pairs.into_iter().map(|(_, value)| value).collect::<Vec<_>>())
            .map(|values| values.join("-"))
            .collect();
        assert_eq!(names, ["rx-out0", "rx-null", "tx-out0", "tx-null"]);
    }

    #[rstest]
    #[case("f,queue=${queue},outdev=${dev}", "f,queue=rx,outdev=out0", "f,queue=rx")]
    #[case("f,${dev},x=y", "f,out0,x=y", "f,x=y")]
    #[case("f,a=${dev},b=${dev}", "f,a=out0,b=out0", "f")]
    #[case("$${queue},${queue}", "${queue},rx", "${queue},rx")]
    #[case("f,p=a,,b,q=${dev}", "f,p=a,,b,q=out0", "f,p=a,,b")]
    fn an_element_that_is_null_is_left_out(
        #[case] text: &str,
        #[case] with: &str,
        #[case] without: &str,
    ) {
        let (context, matrix) = (context(), matrix());
        let mut all = matrix.combinations();
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
