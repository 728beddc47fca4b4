//! Commands that stand for themselves: in a line, in a cell of a table, as the item of a list, in a string of several
//! lines, behind a prompt, and those that a text only names.

use super::{
    Call, call::Context, find::Finder, literal::Constants, prompt::prompt, text::near, tool, verb,
};
use crate::import::{block, line};

/// Most times that one name is looked at in prose.
const MOST_NAMED: usize = 500;
/// Most words that are the arguments of a command in prose.
const MOST_ARGUMENTS: usize = 16;

impl Finder<'_> {
    /// Lines, cells of tables, items of lists and lines of strings that are a command.
    pub(super) fn lines(&mut self) {
        let text = self.text;
        let mut start = 0;
        let mut document = None;
        for whole in text.split_inclusive('\n') {
            let (from, line) = (start, whole.trim_end());
            start += whole.len();
            if document == Some(line.trim()) {
                document = None;
            }
            let is_told = document.is_some();
            document =
                document.or_else(|| block::document_mark(line).filter(|_| tool::is_talker(line)));
            for (at, cell) in cells(line) {
                self.cell(from + at, cell, line, is_told);
            }
        }
    }

    /// A cell of a line, or the whole of it, at its place in the text.
    fn cell(&mut self, at: usize, cell: &str, line: &str, is_told: bool) {
        let (typed, is_item) = unmarked(cell);
        let shift = cell.find(typed).unwrap_or(0);
        let span = at + shift..at + shift + typed.len();
        if typed.is_empty() || !self.is_free(&span) {
            return;
        }
        let name = typed.split(char::is_whitespace).next().unwrap_or(typed);
        let has_arguments = |name: &str, typed: &str| {
            (verb::is_distinct(name) || name == "migrate") && typed != name
        };
        if let Some(call) = verb::typed(typed, &Constants::new()) {
            // `stop` may be a word; in a table it is a command where a cell names a machine.
            let is_given = (is_told
                || has_arguments(name, typed)
                || line.trim_start().starts_with('|')
                || is_item && typed == name)
                && !self.is_comment(span.start);
            if is_given || verb::is_distinct(name) {
                let name = call.name.clone();
                self.add(span, Some(call), &name, line.to_owned(), is_given);
            }
            return;
        }
        let Some(found) = prompt(cell) else {
            return self.behind(span.start, typed);
        };
        let typed = cell[found.start..].trim_end().trim_end_matches(['"', '\'', '`']);
        let name = typed.split(char::is_whitespace).next().unwrap_or(typed);
        let call = verb::typed(typed, &Constants::new());
        let is_given = (found.is_typed || has_arguments(name, typed) || (self.names)(found.label))
            && !self.is_comment(at);
        let span = at + found.start..at + found.start + typed.len();
        if let Some(call) = call.filter(|_| is_given || verb::is_distinct(name)) {
            let name = call.name.clone();
            self.add(span, Some(call), &name, found.label.to_owned(), is_given);
        }
    }

    /// A command behind words that say where it goes: `Run QMP    vm1    object-del    id=f0`, `hmp a stop`.
    fn behind(&mut self, start: usize, typed: &str) {
        for (at, _) in typed.match_indices(' ') {
            let rest = typed[at..].trim_start();
            let begin = typed.len() - rest.len();
            let name = rest.split(char::is_whitespace).next().unwrap_or(rest);
            if name.is_empty() || !verb::names().any(|other| other == name) {
                continue;
            }
            let before = &typed[..at];
            let words = before.split_whitespace().count();
            let context = Context::of_line(before);
            let gives =
                context.gives() && words <= 5 && !before.contains(['.', ',', '(', '"', '\'']);
            if let Some(call) = verb::typed(rest, self.constants).filter(|_| gives) {
                let name = call.name.clone();
                return self.add(
                    start + begin..start + typed.len(),
                    Some(call),
                    &name,
                    before.to_owned(),
                    true,
                );
            }
        }
    }

    /// What is named, and no command of a form that is known.
    pub(super) fn mentions(&mut self) {
        let text = self.text;
        for name in verb::names().filter(|name| verb::is_distinct(name)) {
            for (at, _) in text.match_indices(name).take(MOST_NAMED) {
                let is_inside = |c: char| c.is_alphanumeric() || "_-/.".contains(c);
                let span = at..at + name.len();
                let behind = &text[span.end..];
                let goes_on = behind.starts_with(|c: char| c.is_alphanumeric() || "_-".contains(c));
                let before = &text[..at];
                let begins = ESCAPES.iter().any(|escape| before.ends_with(escape));
                // What QEMU has, as `query-commands` lists it.
                let is_listed = before.trim_end_matches(['"', ' ']).ends_with("\"name\":");
                let is_part = goes_on || before.ends_with(is_inside) && !begins;
                if is_part || is_listed || !self.is_free(&span) {
                    continue;
                }
                match argued(name, behind, text) {
                    Some((call, length, is_all)) => {
                        let (span, name) = (at..span.end + length, call.name.clone());
                        let is_given = begins && is_all;
                        self.add(span, Some(call), &name, String::new(), is_given);
                    }
                    None => self.add(span, None, name, String::new(), false),
                }
            }
        }
    }
}

/// Escapes of strings that end a line.
const ESCAPES: &[&str] = &["\\n", "\\r", "\\t"];

/// A command with the arguments that stand behind its name in prose or in a string, how long these are, and whether
/// nothing else stands there.
fn argued(name: &str, behind: &str, text: &str) -> Option<(Call, usize, bool)> {
    let segment = near(behind, 0);
    let ends = ["\n", "\"", "`", "</", "\\n", "\\r"];
    let end = ends.iter().filter_map(|mark| segment.find(mark)).min().unwrap_or(segment.len());
    let segment = &segment[..end];
    let words: Vec<&str> = segment.split_whitespace().take(MOST_ARGUMENTS).collect();
    let count = match name {
        _ if verb::is_qmp(name) && words.first()?.contains('=') && !words[0].contains(',') => {
            words.iter().take_while(|word| word.contains('=')).count()
        }
        "set_link" | "migrate_set_capability" => 2,
        "qom-set" => 3,
        _ if name.ends_with("_add") || name.ends_with("-add") => 1,
        "object_del" | "netdev_del" | "device_del" | "chardev-remove" => {
            let id = words.first()?.trim_end_matches(['.', ',', ';', ')', '\'']);
            let is_id =
                id.contains(|c: char| c.is_ascii_digit()) || text.contains(&format!("id={id}"));
            is_id.then_some(1)?
        }
        "migrate_incoming" => words.first()?.contains(':').then_some(1)?,
        _ => return None,
    };
    if count == 0 || words.len() < count {
        return None;
    }
    let mut rest = segment;
    for _ in 0..count {
        rest = rest.trim_start();
        rest = &rest[rest.find(char::is_whitespace).unwrap_or(rest.len())..];
    }
    let typed = segment[..segment.len() - rest.len()].trim_end_matches(['.', ',', ';', ')', '\'']);
    let call = verb::typed(&format!("{name} {}", typed.trim_start()), &Constants::new())?;
    Some((call, typed.len(), words.len() == count))
}

/// The cells of a line with their places: those of a table, and the lines of a string.
fn cells(line: &str) -> Vec<(usize, &str)> {
    let (mut cells, mut start) = (Vec::new(), 0);
    let bytes = line.as_bytes();
    for (at, byte) in line.bytes().enumerate() {
        let length = match byte {
            b'|' | b'\t' => 1,
            b'\\' if bytes.get(at + 1) == Some(&b'n') => 2,
            _ => continue,
        };
        if at >= start {
            cells.push((start, &line[start..at]));
            start = at + length;
        }
    }
    cells.push((start, &line[start..]));
    cells
}

/// A line without what marks it up, and whether it is the item of a list.
fn unmarked(line: &str) -> (&str, bool) {
    let mut rest = line.trim();
    rest = line::without_prompt(rest).trim_start_matches(['$', '#', '>', '%', ' ']);
    let number = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let item = ["- ", "* ", "+ ", "• "].iter().find_map(|mark| rest.strip_prefix(mark));
    let item = item.or_else(|| [". ", ") "].iter().find_map(|mark| number.strip_prefix(mark)));
    rest = item.unwrap_or(rest);
    let typed = rest.trim_matches(|c: char| c.is_whitespace() || "`\"'".contains(c));
    (typed, item.is_some())
}
