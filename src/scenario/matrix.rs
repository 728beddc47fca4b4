//! The matrix: its combinations, and `${name}` in every string.

use std::collections::BTreeSet;

use super::{
    context::Context,
    fault::Fault,
    fields::{list, nearest},
    node::{Entry, Node, Scalar, Tree, short},
};
use crate::diag::Span;

/// Most cases of one file.
const MAX_CASES: usize = 10_000;
/// The number of the repetition inside a `send` with `repeat`.
pub(crate) const COUNTER: &str = "i";

/// A name and its values.
pub(crate) struct Axis {
    name: String,
    span: Span,
    values: Vec<Scalar>,
}

/// One combination: a value for each name, in order.
#[derive(Clone, Copy)]
pub(crate) struct Values<'a> {
    axes: &'a [Axis],
    number: usize,
    /// The value of `${i}`, while a repetition is written out.
    counter: Option<usize>,
}

/// Reads `matrix`; an empty one without it.
pub(crate) fn read(context: &Context<'_>, root: &Node) -> Vec<Axis> {
    let Some(entry) = root.get("matrix") else {
        return Vec::new();
    };
    let Some(entries) = entry.value.map().filter(|entries| !entries.is_empty()) else {
        let reason = format!("it is {}, not a map from names to lists", entry.value.shown());
        context.fault(
            entry.value.span,
            Fault::Matrix {
                reason,
                help: MATRIX_HELP,
            },
        );
        return Vec::new();
    };
    let axes: Vec<Axis> = entries
        .iter()
        .filter_map(|entry| axis(context, entry))
        .collect();
    let cases = axes.iter().fold(1usize, |product, axis| {
        product.saturating_mul(axis.values.len())
    });
    if cases > MAX_CASES {
        context.fault(
            entry.key_span,
            Fault::TooManyCases {
                cases,
                most: MAX_CASES,
            },
        );
        return axes.into_iter().map(Axis::first_only).collect();
    }
    axes
}

const MATRIX_HELP: &str = "write a map of lists: `matrix: {queue: [rx, tx]}`";

fn axis(context: &Context<'_>, entry: &Entry) -> Option<Axis> {
    if !is_name(&entry.key) || entry.key == COUNTER {
        context.fault(
            entry.key_span,
            Fault::BadId {
                id: short(&entry.key),
                what: "a matrix value",
                rule: "a name is made of letters, digits, `_` and `-`; `i` is the counter of \
                       `repeat`",
            },
        );
        return None;
    }
    let nodes = entry.value.list().unwrap_or_default();
    if nodes.is_empty() {
        let reason = format!(
            "`{}` is {}, not a list of values",
            entry.key,
            entry.value.shown()
        );
        let reason = if entry.value.list().is_some() {
            format!("`{}` has no values", entry.key)
        } else {
            reason
        };
        context.fault(
            entry.value.span,
            Fault::Matrix {
                reason,
                help: MATRIX_HELP,
            },
        );
        return None;
    }
    let mut values: Vec<Scalar> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let Some(scalar) = node.scalar() else {
            let reason = format!("a value of `{}` is {}", entry.key, node.shown());
            let help = "values are texts, numbers, booleans or null";
            context.fault(node.span, Fault::Matrix { reason, help });
            continue;
        };
        if values.iter().any(|other| other.shown() == scalar.shown()) {
            let id = format!("{}={}", entry.key, short(scalar.shown()));
            context.fault(node.span, Fault::DuplicateCase { id });
            continue;
        }
        if scalar.text.chars().any(char::is_control) {
            let reason = format!("a value of `{}` has a control character", entry.key);
            let help = "values are part of a case's name: keep them on one line";
            context.fault(node.span, Fault::Matrix { reason, help });
            continue;
        }
        values.push(scalar.clone());
    }
    (!values.is_empty()).then(|| Axis {
        name: entry.key.clone(),
        span: entry.key_span,
        values,
    })
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

impl Axis {
    fn first_only(mut self) -> Self {
        self.values.truncate(1);
        self
    }
}

/// Every combination, the last name running fastest; one without a matrix.
pub(crate) fn combinations(axes: &[Axis]) -> impl Iterator<Item = Values<'_>> {
    let cases: usize = axes.iter().map(|axis| axis.values.len()).product();
    (0..cases).map(|number| Values {
        axes,
        number,
        counter: None,
    })
}

impl<'a> Values<'a> {
    /// Names and values, in order.
    pub(crate) fn pairs(self) -> Vec<(String, String)> {
        self.axes
            .iter()
            .enumerate()
            .map(|(at, axis)| (axis.name.clone(), self.nth(at).shown().to_owned()))
            .collect()
    }

    /// The value of the axis at a place: the digits of the number, the last axis first.
    fn nth(self, at: usize) -> &'a Scalar {
        let after: usize = self.axes[at + 1..]
            .iter()
            .map(|axis| axis.values.len())
            .product();
        let values = &self.axes[at].values;
        &values[self.number / after % values.len()]
    }

    fn get(self, name: &str) -> Option<Scalar> {
        if name == COUNTER {
            return self.counter.map(|counter| Scalar {
                text: counter.to_string(),
                kind: super::node::ScalarKind::Integer(i128::try_from(counter).unwrap_or(0)),
            });
        }
        let at = self.axes.iter().position(|axis| axis.name == name)?;
        Some(self.nth(at).clone())
    }
}

/// A piece of a string.
enum Piece<'a> {
    Literal(&'a str),
    /// `$${`.
    Escape,
    /// `${name}`, with the whole reference.
    Reference(&'a str),
    /// `${` and what follows, when it is not a reference.
    Broken(&'a str),
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
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
pub(crate) fn check(context: &Context<'_>, root: &Node, axes: &[Axis]) {
    let mut used = BTreeSet::new();
    for entry in root.map().unwrap_or_default() {
        if entry.key != "matrix" {
            check_text(context, &entry.key, entry.key_span, axes, false, &mut used);
            check_node(context, &entry.value, axes, false, &mut used);
        }
    }
    for axis in axes.iter().filter(|axis| !used.contains(&axis.name)) {
        context.fault(
            axis.span,
            Fault::UnusedVariable {
                name: axis.name.clone(),
            },
        );
    }
}

fn check_node(
    context: &Context<'_>,
    node: &Node,
    axes: &[Axis],
    counting: bool,
    used: &mut BTreeSet<String>,
) {
    match &node.tree {
        Tree::Scalar(scalar) => {
            check_text(context, &scalar.text, node.span, axes, counting, used);
        }
        Tree::List(nodes) => {
            nodes
                .iter()
                .for_each(|node| check_node(context, node, axes, counting, used));
        }
        Tree::Map(entries) => {
            let repeats = node.get("repeat").is_some();
            for entry in entries {
                let counting = counting || repeats && entry.key == "frames";
                check_text(context, &entry.key, entry.key_span, axes, counting, used);
                check_node(context, &entry.value, axes, counting, used);
            }
        }
    }
}

fn check_text(
    context: &Context<'_>,
    text: &str,
    span: Span,
    axes: &[Axis],
    counting: bool,
    used: &mut BTreeSet<String>,
) {
    for piece in pieces(text) {
        match piece {
            Piece::Literal(_) | Piece::Escape => {}
            Piece::Broken(found) => {
                let at = part(context, span, found);
                context.fault(
                    at,
                    Fault::BadReference {
                        found: short(found),
                    },
                );
            }
            Piece::Reference(name) if axes.iter().any(|axis| axis.name == name) => {
                used.insert(name.to_owned());
            }
            Piece::Reference(COUNTER) if counting => {}
            Piece::Reference(name) => {
                let at = part(context, span, &format!("${{{name}}}"));
                let help = unknown_help(name, axes);
                context.fault(
                    at,
                    Fault::UnknownVariable {
                        name: name.to_owned(),
                        help,
                    },
                );
            }
        }
    }
}

fn unknown_help(name: &str, axes: &[Axis]) -> String {
    let names = || axes.iter().map(|axis| axis.name.as_str());
    if name == COUNTER {
        "`${i}` counts the repetitions of a `send`: it stands inside `frames`, beside `repeat`"
            .to_owned()
    } else if let Some(near) = nearest(name, names()) {
        format!("did you mean `${{{near}}}`?")
    } else if axes.is_empty() {
        format!("add `matrix: {{{name}: [...]}}`, or write `$${{` for a literal `${{`")
    } else {
        format!(
            "the matrix has {}; `$${{` stands for a literal `${{`",
            list(names())
        )
    }
}

/// The place of a reference inside its scalar, where the scalar stands in the file as it reads.
fn part(context: &Context<'_>, span: Span, reference: &str) -> Span {
    let source = &context.source().text;
    match source
        .get(span.start..span.end)
        .and_then(|text| text.find(reference))
    {
        Some(at) => Span {
            start: span.start + at,
            end: span.start + at + reference.len(),
        },
        None => span,
    }
}

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
    let place = Place {
        prose: false,
        keep_escapes: false,
    };
    let entries = root
        .map()
        .unwrap_or_default()
        .iter()
        .filter(|entry| entry.key != "matrix")
        .filter_map(|entry| substitute_entry(context, entry, values, place))
        .collect();
    Node {
        span: root.span,
        tree: Tree::Map(entries),
    }
}

/// The frames of a repetition with its number for `${i}`.
pub(crate) fn count(context: &Context<'_>, frames: &Node, number: usize) -> Node {
    let values = Values {
        axes: &[],
        number: 0,
        counter: Some(number),
    };
    let place = Place {
        prose: false,
        keep_escapes: false,
    };
    substitute_node(context, frames, values, place).unwrap_or_else(|| frames.clone())
}

/// Whether any string of a node has a reference.
pub(crate) fn has_reference(node: &Node) -> bool {
    match &node.tree {
        Tree::Scalar(scalar) => scalar.text.contains("${"),
        Tree::List(nodes) => nodes.iter().any(has_reference),
        Tree::Map(entries) => entries
            .iter()
            .any(|entry| entry.key.contains("${") || has_reference(&entry.value)),
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
        Tree::Scalar(scalar) => Tree::Scalar(substitute_scalar(
            context, scalar, node.span, values, place,
        )?),
        Tree::List(nodes) => Tree::List(
            nodes
                .iter()
                .filter_map(|node| substitute_node(context, node, values, place))
                .collect(),
        ),
        Tree::Map(entries) => {
            let repeats = node.get("repeat").is_some();
            Tree::Map(
                entries
                    .iter()
                    .filter_map(|entry| {
                        let keep_escapes = place.keep_escapes || repeats && entry.key == "frames";
                        substitute_entry(
                            context,
                            entry,
                            values,
                            Place {
                                keep_escapes,
                                ..place
                            },
                        )
                    })
                    .collect(),
            )
        }
    };
    Some(Node {
        span: node.span,
        tree,
    })
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
    Some(Entry {
        key: key.text,
        key_span: entry.key_span,
        value,
    })
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
        return (!value.is_null()).then_some(value);
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
                        context.fault(
                            at,
                            Fault::NullInText {
                                name: name.to_owned(),
                            },
                        );
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
        whole(value)
            .and_then(|name| values.get(name))
            .is_some_and(|value| value.is_null())
    };
    text.split(',')
        .filter(|element| !is_null(element))
        .collect::<Vec<_>>()
        .join(",")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::scenario::node::ScalarKind;

    const PLAIN: Place = Place {
        prose: false,
        keep_escapes: false,
    };

    fn axes() -> Vec<Axis> {
        let null = Scalar {
            text: String::new(),
            kind: ScalarKind::Null,
        };
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
            .map(|values| {
                values
                    .pairs()
                    .into_iter()
                    .map(|(_, value)| value)
                    .collect::<Vec<_>>()
            })
            .map(|values| values.join("-"))
            .collect();
        assert_eq!(names, ["rx-out0", "rx-null", "tx-out0", "tx-null"]);
    }

    #[rstest]
    #[case(
        "f,queue=${queue},outdev=${dev}",
        "f,queue=rx,outdev=out0",
        "f,queue=rx"
    )]
    #[case("f,${dev},x=y", "f,out0,x=y", "f,x=y")]
    #[case("f,a=${dev},b=${dev}", "f,a=out0,b=out0", "f")]
    #[case("$${queue},${queue}", "${queue},rx", "${queue},rx")]
    fn an_element_that_is_null_is_left_out(
        #[case] text: &str,
        #[case] with: &str,
        #[case] without: &str,
    ) {
        let source = std::sync::Arc::new(crate::diag::Source {
            path: "x.yaml".into(),
            text: String::new(),
        });
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
