//! QMP's objects around their key: JSON in whatever quotes, values of programs, and YAML.

use std::ops::Range;

use serde_json::{Map, Value};

use super::{
    literal::{Constants, Literal},
    text::{closed, line_at, near, opened, unescaped},
};

/// Most bytes of an object in a string of a string.
const MOST_ESCAPED: usize = 4096;

/// The bytes of an object, its members, and whether a program computes one of them.
pub(super) type Object = (Range<usize>, Map<String, Value>, bool);

/// The object of the key at a place.
pub(super) fn object(text: &str, at: usize, constants: &Constants) -> Option<Object> {
    let Some(open) = opened(text, at, '{') else {
        return block(text, at);
    };
    let slashes = {
        let before = text[..at].trim_end_matches(['"', '\'']);
        before.len() - before.trim_end_matches('\\').len()
    };
    if slashes == 0 {
        let end = open + closed(near(text, open))?;
        let mut map = serde_json::from_str::<Map<String, Value>>(&text[open..end])
            .ok()
            .map(|map| (map, false));
        if map.is_none() {
            let mut literal = Literal::new(&text[open..end], constants);
            map = literal.map(0, '}').map(|map| (map, literal.is_open));
        }
        if map.is_none() {
            map = serde_yaml::from_str(&text[open..end]).ok().map(|map| (map, false));
        }
        let (map, is_open) = map?;
        return Some((open..end, map, is_open || has_mark(&text[open..end])));
    }
    let mut end = text.len().min(open + MOST_ESCAPED);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let (mut inner, mut places) = unescaped(&text[open..end]);
    let mut left = slashes / 2;
    while left > 0 {
        let (next, at) = unescaped(&inner);
        places = at.iter().map(|place| places[place - 1]).collect();
        inner = next;
        left /= 2;
    }
    let length = closed(&inner)?;
    let mut literal = Literal::new(&inner[..length], constants);
    let map = serde_json::from_str(&inner[..length]).ok().or_else(|| literal.map(0, '}'))?;
    let is_open = literal.is_open || has_mark(&inner[..length]);
    Some((open..open + places[length - 1], map, is_open))
}

/// A block of YAML that has the key.
fn block(text: &str, at: usize) -> Option<Object> {
    let first = line_at(text, at);
    let before = &text[first.start..at];
    if !before.chars().all(|c| " -\"'".contains(c)) {
        return None;
    }
    let column = before.trim_end_matches(['"', '\'']).len();
    let mut end = first.end;
    while let Some(rest) = text.get(end + 1..) {
        let line = rest.lines().next().unwrap_or_default();
        let indent = line.len() - line.trim_start().len();
        if line.trim().is_empty()
            || indent < column
            || indent == column && line.trim_start().starts_with("- ")
        {
            break;
        }
        end += 1 + line.len();
    }
    let block = format!("{}{}", " ".repeat(column), &text[first.start + column..end]);
    let map: Map<String, Value> = serde_yaml::from_str(&block).ok()?;
    Some((first.start + column..end, map, has_mark(&block)))
}

/// Whether a text has a mark that a program replaces.
fn has_mark(text: &str) -> bool {
    let marks = ["%s", "%d", "%p", "%i", "${", "{{", "\"$", "'$"];
    marks.iter().any(|mark| text.contains(mark))
}
