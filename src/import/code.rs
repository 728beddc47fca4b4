//! Argument lists in programs: the strings of Python, C, Go, Rust, Perl, Nix, JavaScript, ... in the
//! order in which they are put together. No language is known whole: a statement is strings, lists and
//! names, `=`, `+=` and `.append()` put them into variables, and what is computed otherwise becomes a
//! placeholder.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    flag,
    shell::{self, Shell, Simple},
};

pub(super) mod format;
mod reader;
mod token;

use reader::Reader;
use token::Token;

/// Deepest nesting of brackets.
const MAX_DEPTH: usize = 32;
/// Most bytes that variables of a program write.
const MOST_WRITTEN: usize = 1 << 20;

/// Variables of a program.
#[derive(Debug, Default)]
pub(super) struct Code {
    set: BTreeMap<String, Vec<String>>,
    order: Vec<String>,
    used: BTreeSet<String>,
    /// Commands that were read, so that each is once.
    commands: BTreeSet<Vec<String>>,
    written: usize,
}

/// Whether the options of a text stand in strings of a program, not in a shell's words.
pub(super) fn is_code(text: &str) -> bool {
    let tokens = token::read(text);
    let mut strings = 0;
    for token in &tokens {
        if let Token::Text { text, .. } = token {
            strings += usize::from(has_option(text) || is_monitor(text));
        }
    }
    if strings == 0 {
        return false;
    }
    // The same text without its strings: an option or program there is a shell's.
    let bare: String = token::without_strings(text);
    let is_shell = bare.split_whitespace().any(|word| {
        let word = word.trim_matches(|c: char| "()[]{};,".contains(c));
        flag::is_net(word) || flag::is_program(word) && word.contains('-')
    });
    if is_shell {
        return false;
    }
    let assigned = bare.lines().any(|line| {
        let name = line.split('=').next().unwrap_or_default();
        line.contains('=') && !name.ends_with(' ') && shell::assignment(line.trim()).is_some()
    });
    let marks = [",", "[", "= ", "=> "];
    let punctuated = marks.iter().any(|mark| bare.contains(mark));
    let call = bare.contains('(') && !bare.contains("=(") && !bare.contains("$(");
    let alone = bare.chars().all(|c| c.is_whitespace() || c == '"');
    alone || punctuated || call && !assigned
}

/// Whether a string is a command of QMP's, `%s` and all.
fn is_monitor(text: &str) -> bool {
    let inner = text.trim_start().strip_prefix('{');
    let inner = inner.map(|inner| inner.trim_start_matches(['{', ' ', '\n', '"', '\'']));
    inner.is_some_and(|inner| inner.starts_with("execute"))
}

fn has_option(text: &str) -> bool {
    let mut words = text.split([' ', '\n', '\t', ';']);
    // `"qemu"` is a key of QMP's greeting.
    let is_program = |word: &str| flag::is_program(word) && word.contains('-');
    words.any(|word| flag::is_net(word) || is_program(word) || word == "-device")
}

impl Code {
    /// The commands of a program's text.
    pub(super) fn read(&mut self, text: &str, shell: &mut Shell) -> Vec<Simple> {
        let tokens = token::read(text);
        Reader::new(&tokens, self, shell).commands()
    }

    /// Variables that hold options and were never used.
    pub(super) fn rest(&mut self, shell: &mut Shell) -> Vec<Simple> {
        let order = std::mem::take(&mut self.order);
        let unused = order.into_iter().filter(|name| !self.used.contains(name));
        let values: Vec<Vec<String>> =
            unused.filter_map(|name| self.set.get(&name).cloned()).collect();
        let read = |words: Vec<String>| {
            let part = called(&words);
            let simple = command(words, shell)?;
            Some(Simple { part, ..simple })
        };
        values.into_iter().filter_map(read).collect()
    }

    fn set(&mut self, name: &str, words: Vec<String>, adds: bool) {
        self.written = self.written.saturating_add(words.iter().map(String::len).sum::<usize>());
        if self.written > MOST_WRITTEN {
            return;
        }
        let known = self.set.contains_key(name);
        let list = self.set.entry(name.to_owned()).or_default();
        if !adds {
            list.clear();
        }
        list.extend(words);
        if !known {
            self.order.push(name.to_owned());
        }
    }

    fn get(&mut self, name: &str) -> Option<Vec<String>> {
        let words = self.set.get(name)?.clone();
        self.written = self.written.saturating_add(words.iter().map(String::len).sum::<usize>());
        self.used.insert(name.to_owned());
        (self.written <= MOST_WRITTEN).then_some(words)
    }
}

/// The name that a machine's constructor was given before its options: `VM("a").add_args("-netdev", ...)`.
fn called(words: &[String]) -> Option<String> {
    let [name, option, ..] = words else {
        return None;
    };
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    let runs = words.iter().any(|word| flag::is_program(word));
    (is_name && !runs && flag::is_option(option)).then(|| name.clone())
}

/// The command of strings that are its words, or the text of several.
pub(super) fn command(words: Vec<String>, shell: &mut Shell) -> Option<Simple> {
    if !words.iter().any(|word| has_option(word)) {
        return None;
    }
    let mut split = Vec::new();
    for word in words {
        let mut number = 0;
        let word = format::fill(&word, &mut || {
            number += 1;
            shell.named(
                "",
                &format!("value {number} of {}", format::fill(&word, &mut || "%s".to_owned())),
            )
        });
        let blanks = word.contains([' ', '\n', '\t']);
        if blanks && has_option(&word) && !word.starts_with('{') {
            let text = word.replace("\\\n", " ").replace('\n', " ");
            let inner = shell::read(&text, shell);
            split.extend(inner.into_iter().flat_map(|command| command.words));
        } else if !word.trim().is_empty() {
            split.push(word.trim().to_owned());
        }
    }
    Some(Simple { words: split, ..Simple::default() })
}
