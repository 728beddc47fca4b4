//! Netdevs and chardevs as they are declared: maps under their ids, or QEMU's option strings.

use std::{borrow::Cow, collections::BTreeSet, ops::Range};

use crate::{
    diag::Span,
    qapi::{Options, boolean},
    scenario::{
        context::Context,
        fault::Fault,
        fields::Fields,
        key::{KeyMap, KeyType},
        node::{Entry, Node, Scalar, Tree, short},
        value,
    },
};

/// The kinds of option string that are read as maps.
pub(super) struct Kind {
    /// The keys of the map.
    pub(super) keys: &'static KeyMap,
    /// The key of a first element without `=`.
    pub(super) implied: &'static str,
    /// What is missing where there is no such element.
    pub(super) first: &'static str,
    /// What is declared, with its article.
    pub(super) thing: &'static str,
}

/// An option string as the map that says the same, so that one path lowers both, and its id.
fn map(
    context: &Context<'_>,
    kind: &Kind,
    text: &str,
    span: Span,
) -> Option<(Node, Option<String>)> {
    let options = Options::read(text, kind.implied);
    let id = options.get("id").map(str::to_owned);
    match options.elements().first() {
        Some(first) if first.key == kind.implied && !first.value.is_empty() => {}
        _ => {
            let reason = format!("it doesn't begin with {}", kind.first);
            context.fault(span, Fault::OptionString { reason });
            return None;
        }
    }
    let mut entries: Vec<Entry> = Vec::new();
    let mut given = BTreeSet::new();
    let place = places(context, text, span);
    // The last of several elements of one name counts.
    for element in options.elements().iter().rev() {
        let at = place(element.range());
        let key = element.key.clone();
        if key == "id" || !given.insert(key.clone()) {
            continue;
        }
        let is_flag = kind.keys.key(&key).is_some_and(|key| key.kind == KeyType::Bool);
        let value = match boolean(&element.value) {
            Some(true) if is_flag => "on".to_owned(),
            Some(false) if is_flag => "off".to_owned(),
            _ => element.value.clone(),
        };
        let value = Node { span: at, tree: Tree::Scalar(Scalar::text(value)) };
        entries.push(Entry { key: key.into(), key_span: at, value });
    }
    entries.reverse();
    let tree = Tree::Map(entries);
    Some((Node { span, tree }, id))
}

/// Where the parts of a string stand in the file, if it stands there as it reads.
pub(super) fn places(
    context: &Context<'_>,
    text: &str,
    span: Span,
) -> impl Fn(Range<usize>) -> Span {
    let written = context.source().text.get(span.start..span.end);
    let begin = written.and_then(|written| written.find(text)).map(|at| span.start + at);
    move |range| match begin {
        Some(begin) => Span { start: begin + range.start, end: begin + range.end },
        None => span,
    }
}

/// The things that a map from ids, or a list of option strings, declares: id, where it stands, and
/// its map. A thing may be an option string in either.
pub(super) fn all<'a>(
    fields: &Fields<'a>,
    key: &'static str,
    kind: &Kind,
    help: &'static str,
) -> Vec<(String, Span, Cow<'a, Node>)> {
    let context = fields.context();
    let Some(node) = fields.node(key) else {
        return Vec::new();
    };
    match &node.tree {
        Tree::Map(entries) => {
            entries.iter().filter_map(|entry| from_entry(context, kind, entry)).collect()
        }
        Tree::List(nodes) => {
            let mut all: Vec<(String, Span, Cow<'a, Node>)> = Vec::new();
            for node in nodes {
                let Some((id, map)) = from_item(context, key, kind, node) else {
                    continue;
                };
                if all.iter().any(|(other, ..)| *other == id) {
                    let id = id.clone();
                    let what = kind.thing;
                    context.fault(node.span, Fault::DuplicateId { id, what });
                    continue;
                }
                all.push((id, node.span, Cow::Owned(map)));
            }
            all
        }
        Tree::Scalar(_) => {
            value::mismatch(context, node, "a map or a list", Some(help.to_owned()));
            Vec::new()
        }
    }
}

/// `ID: {...}`, `ID:` or `ID: "socket,..."`.
fn from_entry<'a>(
    context: &Context<'_>,
    kind: &Kind,
    entry: &'a Entry,
) -> Option<(String, Span, Cow<'a, Node>)> {
    let (id, span) = (entry.key.to_string(), entry.key_span);
    if let Some(text) = entry.value.text() {
        let (node, other) = map(context, kind, text, entry.value.span)?;
        if let Some(other) = other.filter(|other| *other != id) {
            let reason = format!("id={} contradicts the key `{id}`", short(&other));
            context.fault(entry.value.span, Fault::OptionString { reason });
        }
        return Some((id, span, Cow::Owned(node)));
    }
    // `out0:` with nothing after it has every default.
    let node = if entry.value.is_null() {
        Cow::Owned(Node { span: entry.value.span, tree: Tree::Map(Vec::new()) })
    } else {
        Cow::Borrowed(&entry.value)
    };
    Some((id, span, node))
}

/// An option string in a list, which must have its id.
fn from_item(context: &Context<'_>, key: &str, kind: &Kind, node: &Node) -> Option<(String, Node)> {
    let Some(text) = node.text() else {
        let help = format!("write maps under their id: `{key}: {{ID: {{...}}}}`");
        value::mismatch(context, node, "an option string", Some(help));
        return None;
    };
    let (map, id) = map(context, kind, text, node.span)?;
    let Some(id) = id else {
        let reason = "it has no `id=`".to_owned();
        context.fault(node.span, Fault::OptionString { reason });
        return None;
    };
    Some((id, map))
}
