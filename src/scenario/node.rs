//! The tree that YAML is read into: every node knows where it stands.

use std::{fmt, ops::Deref, rc::Rc};

use serde_json::{Map, Number, Value};

use crate::diag::Span;

/// A text of the tree. Those of which a combination of the matrix changes nothing are shared by the trees
/// of all cases.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Text(Rc<str>);

impl Text {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        *self.0 == **other
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) tree: Tree,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tree {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A scalar: its text as it was written, without quotes, and what YAML takes it for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scalar {
    pub(crate) text: Text,
    pub(crate) kind: ScalarKind,
    /// It is the value of a whole `${name}`: a number is then text too, where text is wanted.
    pub(crate) substituted: bool,
}

/// What YAML 1.2's core schema takes a scalar for; quoted ones are text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ScalarKind {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: Text,
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

impl Scalar {
    pub(crate) fn text(text: impl Into<Text>) -> Self {
        Self { text: text.into(), kind: ScalarKind::Text, substituted: false }
    }

    pub(crate) fn is_null(&self) -> bool {
        self.kind == ScalarKind::Null
    }

    /// The scalar as a part of a text or of a case's name.
    pub(crate) fn shown(&self) -> &str {
        if self.is_null() { "null" } else { &self.text }
    }
}

impl Node {
    pub(crate) fn scalar(&self) -> Option<&Scalar> {
        match &self.tree {
            Tree::Scalar(scalar) => Some(scalar),
            Tree::List(_) | Tree::Map(_) => None,
        }
    }

    /// The text, when it is text and nothing else.
    pub(crate) fn text(&self) -> Option<&str> {
        self.scalar().filter(|scalar| scalar.kind == ScalarKind::Text).map(|s| s.text.as_str())
    }

    pub(crate) fn list(&self) -> Option<&[Self]> {
        match &self.tree {
            Tree::List(nodes) => Some(nodes),
            Tree::Scalar(_) | Tree::Map(_) => None,
        }
    }

    pub(crate) fn map(&self) -> Option<&[Entry]> {
        match &self.tree {
            Tree::Map(entries) => Some(entries),
            Tree::Scalar(_) | Tree::List(_) => None,
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        self.scalar().is_some_and(Scalar::is_null)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.map()?.iter().find(|entry| entry.key == key)
    }

    /// The node in a message: `the number 5`, `a list`.
    pub(crate) fn shown(&self) -> String {
        let scalar = match &self.tree {
            Tree::Scalar(scalar) => scalar,
            Tree::List(nodes) if nodes.is_empty() => return "an empty list".to_owned(),
            Tree::List(nodes) => return format!("a list of {}", nodes.len()),
            Tree::Map(entries) if entries.is_empty() => return "an empty map".to_owned(),
            Tree::Map(_) => return "a map".to_owned(),
        };
        match scalar.kind {
            ScalarKind::Null => "nothing".to_owned(),
            ScalarKind::Bool(value) => format!("the boolean {value}"),
            ScalarKind::Integer(_) | ScalarKind::Float(_) => format!("the number {}", scalar.text),
            ScalarKind::Text => format!("the text \"{}\"", short(&scalar.text)),
        }
    }

    /// The node as JSON, with the types that YAML gave it.
    pub(crate) fn to_json(&self) -> Value {
        match &self.tree {
            Tree::List(nodes) => Value::Array(nodes.iter().map(Self::to_json).collect()),
            Tree::Map(entries) => Value::Object(json_map(entries)),
            Tree::Scalar(scalar) => match scalar.kind {
                ScalarKind::Null => Value::Null,
                ScalarKind::Bool(value) => Value::Bool(value),
                ScalarKind::Integer(value) => Number::from_i128(value)
                    .map_or_else(|| Value::String(scalar.text.to_string()), Value::Number),
                ScalarKind::Float(value) => Number::from_f64(value)
                    .map_or_else(|| Value::String(scalar.text.to_string()), Value::Number),
                ScalarKind::Text => Value::String(scalar.text.to_string()),
            },
        }
    }
}

/// A map as JSON, in the order of the file.
pub(crate) fn json_map(entries: &[Entry]) -> Map<String, Value> {
    entries.iter().map(|entry| (entry.key.to_string(), entry.value.to_json())).collect()
}

/// The beginning of a long text, on one line.
pub(crate) fn short(text: &str) -> String {
    const MOST: usize = 60;
    let one_line: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST + 1).collect();
    if one_line.chars().count() > MOST {
        let cut: String = one_line.chars().take(MOST).collect();
        format!("{cut}...")
    } else {
        one_line
    }
}
