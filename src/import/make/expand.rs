//! GNU make's variables and functions (the manual of GNU make 4.4, chapters 6 and 8), as far as a text says what
//! they are: what a command would print stays a placeholder.

use std::collections::{BTreeMap, BTreeSet};

use super::plain;
use crate::import::limit::{MAX_DEPTH, MAX_WRITTEN};

/// Most words of a list that `foreach` goes through.
const MOST_WORDS: usize = 64;

/// A variable's text, and whether it was expanded where it was set.
#[derive(Clone, Debug, Default)]
pub(super) struct Value {
    pub(super) text: String,
    pub(super) is_simple: bool,
}

/// The variables of a makefile.
#[derive(Debug)]
pub(super) struct Variables {
    set: BTreeMap<String, Value>,
    /// Bytes that may still be written.
    budget: usize,
    /// The names that are set for single targets only: elsewhere they are empty.
    pub(super) of_targets: BTreeSet<String>,
    /// What `eval` was given.
    pub(super) evaluated: Vec<String>,
}

impl Default for Variables {
    fn default() -> Self {
        Self {
            set: BTreeMap::new(),
            budget: MAX_WRITTEN,
            of_targets: BTreeSet::new(),
            evaluated: Vec::new(),
        }
    }
}

impl Variables {
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.set.get(name)
    }

    /// Sets a variable; gives what it was.
    pub(super) fn put(&mut self, name: &str, value: Option<Value>) -> Option<Value> {
        match value {
            Some(value) => self.set.insert(name.to_owned(), value),
            None => self.set.remove(name),
        }
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Value> {
        self.set.values()
    }

    /// `NAME = value` and the like.
    pub(super) fn assign(&mut self, name: &str, operator: &str, value: &str) {
        let old = self.set.get(name).cloned();
        let is_simple = matches!(operator, ":=" | "::=")
            || operator == "+=" && old.as_ref().is_some_and(|old| old.is_simple);
        let value = if is_simple { self.expand(value, 0) } else { value.to_owned() };
        let value = match (operator, old) {
            ("?=", Some(_)) => return,
            ("+=", Some(old)) => Value { text: format!("{} {value}", old.text), ..old },
            _ => Value { text: value, is_simple },
        };
        self.budget = self.budget.saturating_sub(value.text.len());
        self.set.insert(name.to_owned(), value);
    }

    /// A text with its variables and functions written out; one that is not set is `${NAME}`.
    pub(super) fn expand(&mut self, text: &str, depth: usize) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            let Some(first) = after.chars().next() else {
                out.push('$');
                return out;
            };
            rest = match first {
                '$' => {
                    out.push('$');
                    &after[1..]
                }
                '(' | '{' => match inner(after) {
                    Some((inner, behind)) => {
                        out += &self.reference(inner, depth);
                        behind
                    }
                    None => {
                        out.push('$');
                        after
                    }
                },
                _ => {
                    let length = first.len_utf8();
                    out += &self.named(&after[..length], depth);
                    &after[length..]
                }
            };
        }
        out + rest
    }

    /// What stands in the brackets of `$(...)`.
    fn reference(&mut self, inner: &str, depth: usize) -> String {
        if depth >= MAX_DEPTH || inner.len() > self.budget {
            return format!("${{{}}}", plain(inner));
        }
        self.budget -= inner.len();
        if let Some((function, arguments)) = inner.split_once([' ', '\t'])
            && let Some(text) = self.function(function, arguments.trim_start(), depth + 1)
        {
            return text;
        }
        if let Some((name, change)) = inner.split_once(':')
            && let Some((from, to)) = change.split_once('=')
            && !name.contains(['$', ' '])
        {
            let list = self.named(name, depth + 1);
            let (from, to) = (self.expand(from, depth + 1), self.expand(to, depth + 1));
            let (from, to) = match from.contains('%') {
                true => (from, to),
                false => (format!("%{from}"), format!("%{to}")),
            };
            return each(&list, |word| patterned(word, &from, &to));
        }
        let name = self.expand(inner, depth + 1);
        self.named(&name, depth + 1)
    }

    /// What a variable holds.
    fn named(&mut self, name: &str, depth: usize) -> String {
        match self.set.get(name).cloned() {
            Some(value) if value.text.len() <= self.budget && depth < MAX_DEPTH => {
                self.budget -= value.text.len();
                match value.is_simple {
                    true => value.text,
                    false => self.expand(&value.text, depth + 1),
                }
            }
            None if self.of_targets.contains(name) => String::new(),
            // An argument that a call does not give is empty.
            None if !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit()) => String::new(),
            _ => {
                let automatic =
                    [("<", "prerequisite"), ("^", "prerequisites"), ("@", "target"), ("*", "stem")];
                match automatic.iter().find(|(mark, _)| *mark == name) {
                    Some((_, name)) => format!("${{{name}}}"),
                    None if name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') => {
                        format!("${{{}}}", plain(name))
                    }
                    None => format!("${name}"),
                }
            }
        }
    }

    /// A function's text; none where it is none that is known.
    fn function(&mut self, name: &str, given: &str, depth: usize) -> Option<String> {
        let list = arguments(given);
        let one = |shelf: &mut Self, at: usize| {
            list.get(at).map_or(String::new(), |text| shelf.expand(text, depth))
        };
        Some(match name {
            "call" => return Some(self.call(&list, depth)),
            "foreach" => return Some(self.foreach(&list, depth)),
            "eval" => {
                let text = self.expand(given, depth);
                self.evaluated.push(text);
                String::new()
            }
            "if" => match one(self, 0).trim().is_empty() {
                false => one(self, 1),
                true => one(self, 2),
            },
            "or" => (0..list.len()).map(|at| one(self, at)).find(|it| !it.is_empty())?,
            "value" => self.set.get(given.trim())?.text.clone(),
            "info" | "warning" | "error" => String::new(),
            "strip" => each(&one(self, 0), str::to_owned),
            "subst" => {
                let (from, to) = (one(self, 0), one(self, 1));
                let text = one(self, 2);
                (!from.is_empty()).then(|| text.replace(&from, &to))?
            }
            "patsubst" => {
                let (from, to) = (one(self, 0), one(self, 1));
                each(&one(self, 2), |word| patterned(word, from.trim(), to.trim()))
            }
            "addprefix" => {
                let prefix = one(self, 0);
                each(&one(self, 1), |word| format!("{prefix}{word}"))
            }
            "addsuffix" => {
                let suffix = one(self, 0);
                each(&one(self, 1), |word| format!("{word}{suffix}"))
            }
            "notdir" => {
                each(&one(self, 0), |word| word.rsplit('/').next().unwrap_or("").to_owned())
            }
            "word" => {
                let number: usize = one(self, 0).trim().parse().ok()?;
                let words = one(self, 1);
                words.split_whitespace().nth(number.checked_sub(1)?).unwrap_or("").to_owned()
            }
            "words" => one(self, 0).split_whitespace().count().to_string(),
            "firstword" => one(self, 0).split_whitespace().next().unwrap_or("").to_owned(),
            "lastword" => one(self, 0).split_whitespace().next_back().unwrap_or("").to_owned(),
            "shell" | "wildcard" => format!("${{{}}}", plain(given)),
            _ => return None,
        })
    }

    /// `$(call NAME,a,b)`: the variable with `$(1)`, `$(2)`, ... for its arguments.
    fn call(&mut self, list: &[&str], depth: usize) -> String {
        let name = list.first().map_or(String::new(), |name| self.expand(name.trim(), depth));
        let given: Vec<String> = list.iter().skip(1).map(|one| self.expand(one, depth)).collect();
        let outer: Vec<(String, Option<Value>)> = (1..10usize)
            .map(|number| {
                let value = given.get(number - 1).cloned();
                let value = value.map(|text| Value { text, is_simple: true });
                (number.to_string(), self.put(&number.to_string(), value))
            })
            .collect();
        // A variable that is expanded at once has no arguments, and one that is not set is a placeholder.
        let text = self.named(&name, depth);
        for (name, value) in outer {
            self.put(&name, value);
        }
        text
    }

    /// `$(foreach NAME,list,text)`.
    fn foreach(&mut self, list: &[&str], depth: usize) -> String {
        let [name, words, text] = list else {
            return String::new();
        };
        let (name, words) = (self.expand(name.trim(), depth), self.expand(words, depth));
        let outer = self.set.get(&name).cloned();
        let mut turns = Vec::new();
        for word in words.split_whitespace().take(MOST_WORDS) {
            self.put(&name, Some(Value { text: word.to_owned(), is_simple: true }));
            turns.push(self.expand(text, depth));
        }
        self.put(&name, outer);
        turns.join(" ")
    }
}

/// What stands in the brackets that a text begins with, and what stands behind them.
fn inner(text: &str) -> Option<(&str, &str)> {
    let (open, close) = if text.starts_with('(') { ('(', ')') } else { ('{', '}') };
    let mut depth = 0usize;
    for (at, c) in text.char_indices() {
        if c == open {
            depth += 1;
        } else if c == close {
            depth -= 1;
            if depth == 0 {
                return Some((&text[1..at], &text[at + 1..]));
            }
        }
    }
    None
}

/// The arguments of a function, of which brackets hold commas together.
fn arguments(text: &str) -> Vec<&str> {
    let (mut list, mut start, mut depth) = (Vec::new(), 0, 0usize);
    for (at, c) in text.char_indices() {
        match c {
            '(' | '{' => depth += 1,
            ')' | '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                list.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    list.push(&text[start..]);
    list
}

fn each(list: &str, change: impl Fn(&str) -> String) -> String {
    list.split_whitespace().map(change).collect::<Vec<_>>().join(" ")
}

/// The word with what `%` stands for in another pattern, where it is of the first.
pub(super) fn patterned(word: &str, from: &str, to: &str) -> String {
    match stem(word, from) {
        Some(stem) => to.replacen('%', stem, 1),
        None => word.to_owned(),
    }
}

/// What `%` stands for in a word of a pattern.
pub(super) fn stem<'a>(word: &'a str, pattern: &str) -> Option<&'a str> {
    let (before, after) = pattern.split_once('%')?;
    word.strip_prefix(before)?.strip_suffix(after)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("$(call f,x,y z)", "<x|y z>")]
    #[case("$(call f,a$(,)b)", "<a,b|>")]
    #[case("$(foreach v,a b,$(v)1)", "a1 b1")]
    #[case("$(if $(E),x,y) $(if $(L),x,y)", "y x")]
    #[case("$(subst b,c,$(L)) $(patsubst %b,%d,$(L))", "a c a d")]
    #[case("$(L:%=-%) $(addprefix p,$(L)) $(addsuffix s,$(L))", "-a -b pa pb as bs")]
    #[case("$(word 2,$(L)) $(firstword $(L)) $(words $(L))", "b a 2")]
    #[case("$(P_$(N)) ${N} $N $$x $(unset) $(shell id -u)", "9 q q $x ${unset} ${id__u}")]
    fn functions_are_written_out(#[case] text: &str, #[case] expected: &str) {
        let mut set = Variables::default();
        for (name, operator, value) in [
            ("f", "=", "<$(1)|$(2)>"),
            (",", ":=", ","),
            ("L", "=", "a b"),
            ("E", "=", ""),
            ("N", ":=", "q"),
            ("P_q", "=", "9"),
        ] {
            set.assign(name, operator, value);
        }
        assert_eq!(set.expand(text, 0), expected);
    }
}
