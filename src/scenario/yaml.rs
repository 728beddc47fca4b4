//! YAML text to a tree of nodes, by one visitor.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::{
    Location, Spanned,
    options::{DuplicateKeyPolicy, MergeKeyPolicy, NonFiniteFloatPolicy},
};

use super::{
    context::{Context, MAX_BYTES},
    fault::Fault,
    node::{Entry, Node, Scalar, ScalarKind, Text, Tree, short},
};
use crate::diag::{Source, Span};

const MAX_NODES: usize = 20_000;
const MAX_DEPTH: usize = 32;
/// Most events that aliases may add to a file.
const MAX_REPLAYED: usize = 20_000;

/// Reads the one document of a source. What is wrong is reported to the context.
pub(crate) fn read(context: &Context<'_>) -> Option<Node> {
    let source = context.source();
    match serde_yaml::from_str_with_options::<Spanned<Raw>>(&source.text, options()) {
        Ok(raw) => Some(to_node(raw, context)),
        Err(error) => {
            context.fault(position(source, &error), syntax_fault(source, &error));
            None
        }
    }
}

fn options() -> serde_yaml::Options {
    serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_nodes: MAX_NODES,
            max_depth: MAX_DEPTH,
            max_total_scalar_bytes: MAX_BYTES,
            max_merge_keys: 0,
        },
        alias_limits: serde_yaml::alias_limits! {
            max_total_replayed_events: MAX_REPLAYED,
            max_replay_stack_depth: 8,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::AsOrdinary,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    }
}

/// The byte range of a location; the parser counts characters where it has no bytes.
fn byte_span(source: &Source, location: Location) -> Span {
    let span = location.span();
    if let (Some(start), Some(length)) = (span.byte_offset(), span.byte_len()) {
        let start = usize::try_from(start).unwrap_or(usize::MAX).min(source.text.len());
        let end = start.saturating_add(usize::try_from(length).unwrap_or(0));
        return Span { start, end: end.min(source.text.len()) };
    }
    let line = usize::try_from(location.line()).unwrap_or(1).max(1);
    let column = usize::try_from(location.column()).unwrap_or(1).max(1);
    let text = &source.text;
    let line_start: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let rest = &text[line_start..];
    let start = line_start
        + rest.char_indices().nth(column - 1).map_or(rest.trim_end().len(), |(at, _)| at);
    let width = text[start..].chars().next().filter(|c| *c != '\n').map_or(0, char::len_utf8);
    Span { start, end: start + width }
}

fn position(source: &Source, error: &serde_yaml::Error) -> Span {
    error.location().map_or_else(Span::default, |location| byte_span(source, location))
}

fn syntax_fault(source: &Source, error: &serde_yaml::Error) -> Fault {
    use serde_yaml::Error as Yaml;
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or(&text).to_owned();
    let at = position(source, error).start;
    let (number, _) = source.position(at);
    let line = source.text.lines().nth(number - 1).unwrap_or_default();
    match error {
        Yaml::MultipleDocuments { .. } => Fault::SeveralDocuments,
        Yaml::Budget { .. }
        | Yaml::AliasReplayLimitExceeded { .. }
        | Yaml::AliasExpansionLimitExceeded { .. }
        | Yaml::AliasReplayStackDepthExceeded { .. } => budget_fault(&text),
        Yaml::RecursiveReferencesRequireWeakTypes { .. } => Fault::Syntax {
            reason: "an alias stands inside the node that it names".to_owned(),
            help: "write the value out instead of `*name`".to_owned(),
        },
        // What happens inside an alias comes wrapped.
        Yaml::AliasError { .. } if text.contains("limit") || text.contains("budget") => {
            budget_fault(&text)
        }
        _ if text.contains("tag") => Fault::Tag { reason: text },
        _ => Fault::Syntax { help: syntax_help(line, &text), reason: text },
    }
}

fn budget_fault(text: &str) -> Fault {
    let reason = match text {
        _ if text.contains("Depth") || text.contains("depth") => "it is nested too deep",
        _ if text.contains("Nodes") => "it has too many nodes",
        _ if text.contains("alias") || text.contains("Alias") => "aliases repeat too much of it",
        _ => text,
    };
    let reason = reason.to_owned();
    Fault::Budget { nodes: MAX_NODES, depth: MAX_DEPTH, reason }
}

/// What usually lies behind a syntax error.
fn syntax_help(line: &str, reason: &str) -> String {
    if reason.contains("tabs") || line.starts_with('\t') {
        "indent with spaces: YAML allows no tabs there".to_owned()
    } else if line.contains("${") && line.contains('{') && !line.contains("\"${") {
        "inside `{ }` and `[ ]` write \"${name}\" with quotes: a brace ends a plain text there"
            .to_owned()
    } else if reason.contains("unclosed bracket") {
        "close the bracket, or quote the text if the bracket is part of it".to_owned()
    } else if reason.contains("illegal placement of ':'") {
        "a bracket or brace that was opened above is probably not closed".to_owned()
    } else if reason.contains("unclosed quote") {
        "close the quote; inside '...' a quote is written twice".to_owned()
    } else if reason.contains("escape") {
        "write '...' instead of \"...\": there a backslash is only a backslash".to_owned()
    } else if reason.contains("anchor") {
        "define the anchor with `&name` before it is used, or quote a text that begins with `*`"
            .to_owned()
    } else if reason.contains("mapping values") {
        "a text with `: ` in it needs quotes; a key must be as far in as the keys beside it"
            .to_owned()
    } else {
        "look at this line and the one before it: indentation, a missing `:`, `-`, quote or \
         bracket"
            .to_owned()
    }
}

/// A node as the visitor meets it; its place is outside.
enum Raw {
    Scalar(ScalarKind, Option<String>),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<Raw>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a scalar, a list or a map")
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Scalar(ScalarKind::Text, Some(text.to_owned())))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Scalar(ScalarKind::Bool(value), None))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Scalar(ScalarKind::Integer(value.into()), None))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Scalar(ScalarKind::Integer(value.into()), None))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Scalar(ScalarKind::Float(value), None))
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(ScalarKind::Null, None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = access.next_element()? {
            nodes.push(node);
        }
        Ok(Raw::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

fn to_node(raw: Spanned<Raw>, context: &Context<'_>) -> Node {
    let span = byte_span(context.source(), raw.defined);
    let tree = match raw.value {
        Raw::Scalar(kind, text) => Tree::Scalar(to_scalar(kind, text, span, context.source())),
        Raw::List(nodes) => {
            Tree::List(nodes.into_iter().map(|node| to_node(node, context)).collect())
        }
        Raw::Map(entries) => {
            let mut merged = Vec::new();
            let mut own = Vec::new();
            for (key, value) in entries {
                let Some(entry) = to_entry(key, value, context) else {
                    continue;
                };
                if is_merge_key(&entry, context.source()) {
                    context.fault(entry.key_span, Fault::MergeKey);
                    merged.extend(merged_entries(entry.value));
                } else {
                    own.push(entry);
                }
            }
            // What the key was to bring is not missing too.
            merged.retain(|entry: &Entry| own.iter().all(|other| other.key != entry.key));
            own.extend(merged);
            Tree::Map(own)
        }
    };
    Node { span: tree_span(&tree, span), tree }
}

fn to_scalar(kind: ScalarKind, text: Option<String>, span: Span, source: &Source) -> Scalar {
    let text = text.map_or_else(
        || match kind {
            ScalarKind::Null => "".into(),
            // The text as it was written: `0x88b5`, `1e3`.
            _ => source.text.get(span.start..span.end).unwrap_or_default().trim().into(),
        },
        Text::from,
    );
    Scalar { text, kind, substituted: false }
}

/// The parser gives a container only its first byte; a label reads better on its first line.
fn tree_span(tree: &Tree, span: Span) -> Span {
    match tree {
        Tree::Map(entries) => match entries.first() {
            Some(entry) if span.start == span.end => entry.key_span,
            _ => span,
        },
        Tree::List(_) | Tree::Scalar(_) => span,
    }
}

fn to_entry(key: Spanned<Raw>, value: Spanned<Raw>, context: &Context<'_>) -> Option<Entry> {
    let key_span = byte_span(context.source(), key.defined);
    let value = to_node(value, context);
    match key.value {
        Raw::Scalar(kind, text) if kind != ScalarKind::Null => {
            let key = to_scalar(kind, text, key_span, context.source()).text;
            Some(Entry { key, key_span, value })
        }
        Raw::Scalar(..) | Raw::List(_) | Raw::Map(_) => {
            context.fault(key_span, Fault::KeyNotText);
            None
        }
    }
}

/// `<<`, which YAML 1.1 has; in quotes it is a key like any other.
fn is_merge_key(entry: &Entry, source: &Source) -> bool {
    let Span { start, end } = entry.key_span;
    entry.key == "<<" && !source.text.get(start..end).is_some_and(|text| text.contains(['"', '\'']))
}

/// The entries of a map, or of several, the first of each name.
fn merged_entries(value: Node) -> Vec<Entry> {
    let mut entries: Vec<Entry> = match value.tree {
        Tree::Map(entries) => entries,
        Tree::List(nodes) => nodes.into_iter().flat_map(merged_entries).collect(),
        Tree::Scalar(_) => Vec::new(),
    };
    let mut seen = BTreeSet::new();
    entries.retain(|entry| seen.insert(entry.key.clone()));
    entries
}

/// Reports keys that stand twice in a map, anywhere in the tree, and keeps the first of each.
pub(crate) fn drop_duplicates(node: &mut Node, context: &Context<'_>) {
    match &mut node.tree {
        Tree::Scalar(_) => {}
        Tree::List(nodes) => nodes.iter_mut().for_each(|node| drop_duplicates(node, context)),
        Tree::Map(entries) => {
            let mut first: BTreeMap<Text, Span> = BTreeMap::new();
            entries.retain(|entry| {
                let Some(at) = first.get(&entry.key) else {
                    first.insert(entry.key.clone(), entry.key_span);
                    return true;
                };
                let fault = Fault::DuplicateKey { key: short(&entry.key) };
                context.fault_with(entry.key_span, fault, *at, "the first stands here");
                false
            });
            entries.iter_mut().for_each(|entry| drop_duplicates(&mut entry.value, context));
        }
    }
}
