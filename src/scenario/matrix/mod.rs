//! The matrix: its combinations, and `${name}` in every string.

mod reference;
mod substitute;

pub(crate) use reference::check;
pub(crate) use substitute::{count, has_reference, substitute};

use super::{
    context::Context,
    fault::Fault,
    node::{Entry, Node, Scalar, short},
};
use crate::diag::Span;

/// Most cases of one file.
const MAX_CASES: usize = 10_000;
/// The number of the repetition inside a `send` with `repeat`.
const COUNTER: &str = "i";

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
        let reason = format!("it is {}", entry.value.shown());
        context.fault(entry.value.span, Fault::Matrix { reason, help: MATRIX_HELP });
        return Vec::new();
    };
    let axes: Vec<Axis> = entries.iter().filter_map(|entry| axis(context, entry)).collect();
    let cases = axes.iter().fold(1usize, |product, axis| product.saturating_mul(axis.values.len()));
    if cases > MAX_CASES {
        context.fault(entry.key_span, Fault::TooManyCases { cases, most: MAX_CASES });
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
    (!values.is_empty()).then(|| Axis { name: entry.key.clone(), span: entry.key_span, values })
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

/// Every combination, the last name running fastest; one without a matrix.
pub(crate) fn combinations(axes: &[Axis]) -> impl Iterator<Item = Values<'_>> {
    let cases: usize = axes.iter().map(|axis| axis.values.len()).product();
    (0..cases).map(|number| Values { axes, number, counter: None })
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
        let after: usize = self.axes[at + 1..].iter().map(|axis| axis.values.len()).product();
        let values = &self.axes[at].values;
        &values[self.number / after % values.len()]
    }

    fn get(self, name: &str) -> Option<Scalar> {
        if name == COUNTER {
            return self.counter.map(|counter| Scalar {
                text: counter.to_string(),
                kind: super::node::ScalarKind::Integer(i128::try_from(counter).unwrap_or(0)),
                substituted: true,
            });
        }
        let at = self.axes.iter().position(|axis| axis.name == name)?;
        Some(self.nth(at).clone())
    }
}
