//! The matrix: its combinations, and `${name}` in every string.

mod reference;
mod substitute;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

pub(crate) use reference::check;
pub(crate) use substitute::{count, has_reference, has_reference_in_key, parts, substitute};

use super::{
    budget::Kind,
    context::Context,
    fault::Fault,
    node::{Entry, Node, Scalar, short},
};
use crate::diag::Span;

const MAX_CASES: usize = 10_000;
/// The number of the repetition inside a `send` with `repeat`.
const COUNTER: &str = "i";

struct Axis {
    name: String,
    span: Span,
    values: Vec<Scalar>,
    /// Combinations of the names behind it: the next value follows after this many.
    stride: usize,
}

/// Names and their values, in the order of the file.
#[derive(Default)]
pub(crate) struct Matrix {
    axes: Vec<Axis>,
    /// The index of each name in the list.
    indices: BTreeMap<String, usize>,
}

/// One combination: a value for each name, in order.
#[derive(Clone, Copy)]
pub(crate) struct Values<'a> {
    /// None for a repetition, which has only its counter.
    matrix: Option<&'a Matrix>,
    number: usize,
    /// The value of `${i}`, while a repetition is written out.
    counter: Option<usize>,
}

/// Reads `matrix`; an empty one without it.
pub(crate) fn read(context: &Context<'_>, root: &Node) -> Matrix {
    let Some(entry) = root.get("matrix") else {
        return Matrix::default();
    };
    let Some(entries) = entry.value.map().filter(|entries| !entries.is_empty()) else {
        let reason = format!("it is {}", entry.value.shown());
        context.fault(entry.value.span, Fault::Matrix { reason, help: MATRIX_HELP });
        return Matrix::default();
    };
    let axes: Vec<Axis> = entries.iter().filter_map(|entry| axis(context, entry)).collect();
    let cases = axes.iter().fold(1usize, |product, axis| product.saturating_mul(axis.values.len()));
    if cases > MAX_CASES {
        context.fault(entry.key_span, Fault::TooManyCases { cases, most: MAX_CASES });
        return Matrix::new(axes.into_iter().map(Axis::first_only).collect());
    }
    context.expect_cases(cases, entry.key_span);
    Matrix::new(axes)
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
        let reason = format!("`{}` is {}, not a list of values", entry.key, entry.value.shown());
        let reason = if entry.value.list().is_some() {
            format!("`{}` has no values", entry.key)
        } else {
            reason
        };
        context.fault(entry.value.span, Fault::Matrix { reason, help: MATRIX_HELP });
        return None;
    }
    let mut values: Vec<Scalar> = Vec::with_capacity(nodes.len());
    let mut shown = BTreeSet::new();
    for node in nodes {
        let Some(scalar) = node.scalar() else {
            let reason = format!("a value of `{}` is {}", entry.key, node.shown());
            let help = "values are texts, numbers, booleans or null";
            context.fault(node.span, Fault::Matrix { reason, help });
            continue;
        };
        if !shown.insert(scalar.shown()) {
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
        name: entry.key.to_string(),
        span: entry.key_span,
        values,
        stride: 1,
    })
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

impl Axis {
    fn first_only(mut self) -> Self {
        self.values.truncate(1);
        self
    }
}

impl Matrix {
    fn new(mut axes: Vec<Axis>) -> Self {
        let mut stride = 1;
        for axis in axes.iter_mut().rev() {
            axis.stride = stride;
            stride *= axis.values.len();
        }
        let names = axes.iter().map(|axis| axis.name.clone());
        Self { indices: names.zip(0..).collect(), axes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.axes.is_empty()
    }

    fn has(&self, name: &str) -> bool {
        self.indices.contains_key(name)
    }

    /// Every combination, the last name running fastest; one without a matrix.
    pub(crate) fn combinations(&self) -> impl Iterator<Item = Values<'_>> {
        let cases: usize = self.axes.iter().map(|axis| axis.values.len()).product();
        (0..cases).map(|number| Values { matrix: Some(self), number, counter: None })
    }
}

impl<'a> Values<'a> {
    /// Names and values, in order. Every case keeps them, and its name is made of them: none where
    /// that is too much.
    pub(crate) fn pairs(self, context: &Context<'_>) -> Option<Vec<(String, String)>> {
        let axes = self.matrix.map_or(&[][..], |matrix| &matrix.axes);
        let pairs = || axes.iter().map(|axis| (&axis.name, self.value(axis).shown(), axis.span));
        let longest = pairs().max_by_key(|(_, value, _)| value.len());
        let width = pairs().map(|(name, value, _)| name.len() + value.len()).sum();
        let at = longest.map(|(_, _, span)| span).unwrap_or_default();
        let afforded = context.take(at, Kind::Cases, 1)
            && context.take_of(at, Kind::Text, width, || format!("{width} in a case's name"));
        afforded.then(|| pairs().map(|(name, value, _)| (name.clone(), value.to_owned())).collect())
    }

    fn value(self, axis: &'a Axis) -> &'a Scalar {
        &axis.values[self.number / axis.stride % axis.values.len()]
    }

    fn get(self, name: &str) -> Option<Cow<'a, Scalar>> {
        if name == COUNTER {
            return self.counter.map(|counter| {
                Cow::Owned(Scalar {
                    text: counter.to_string().into(),
                    kind: super::node::ScalarKind::Integer(i128::try_from(counter).unwrap_or(0)),
                    substituted: true,
                })
            });
        }
        let matrix = self.matrix?;
        let axis = &matrix.axes[*matrix.indices.get(name)?];
        Some(Cow::Borrowed(self.value(axis)))
    }
}
