//! Python without its functions and loops: a call stands as the statements of the function, and a loop over
//! what the text has as its turns, one below the other. What is left are statements that put strings together.

use std::collections::{BTreeMap, BTreeSet};

use crate::import::flag;

mod text;

use text::{Statement, arguments, integer, is_word, literal, pairs, rename, statements};

/// Most turns of a loop.
const MAX_TURNS: usize = 64;
/// Deepest nesting of calls.
const MAX_DEPTH: usize = 8;
/// Most bytes that are written.
const MOST_WRITTEN: usize = 1 << 19;
/// Most bytes of a program, and of a list in it.
const MOST_READ: usize = 1 << 17;
const MOST_LISTED: usize = 1 << 14;
/// Most turns and calls in all.
const MAX_ENTERED: usize = 4096;

/// The statements, and remarks on loops that could not be unrolled. None where the text is no such program.
pub(in crate::import) fn unrolled(text: &str) -> Option<(String, Vec<String>)> {
    let is_head = |line: &str| {
        let line = line.trim();
        line.ends_with(':') && (line.starts_with("for ") || line.starts_with("def "))
    };
    if text.len() > MOST_READ || !text.lines().any(is_head) || !flag::is_qemus(text) {
        return None;
    }
    let all = statements(text)?;
    let mut unroller = Unroller::default();
    unroller.run(&all, 0, None);
    unroller.rest();
    (!unroller.is_full).then_some((unroller.out, unroller.remarks))
}

#[derive(Clone, Debug)]
struct Function {
    parameters: Vec<(String, Option<String>)>,
    body: Vec<Statement>,
}

#[derive(Debug, Default)]
struct Unroller {
    functions: BTreeMap<String, Function>,
    order: Vec<String>,
    called: BTreeSet<String>,
    /// Items of lists, and values of numbers, as they are written.
    lists: BTreeMap<String, Vec<String>>,
    numbers: BTreeMap<String, i64>,
    /// Members of mappings: `NAME["KEY"]` is a variable of its own.
    members: BTreeMap<String, Vec<String>>,
    calls: usize,
    out: String,
    remarks: Vec<String>,
    is_full: bool,
}

impl Unroller {
    fn write(&mut self, line: &str) {
        if self.out.len() + line.len() > MOST_WRITTEN {
            self.is_full = true;
            return;
        }
        self.out += line;
        self.out.push('\n');
    }

    /// Counts a turn of a loop, a call, or the value of one item.
    fn enters(&mut self) -> usize {
        self.calls += 1;
        self.is_full |= self.calls > MAX_ENTERED;
        self.calls
    }

    /// Runs statements; what they return is put into the variable `result`.
    fn run(&mut self, all: &[Statement], depth: usize, result: Option<&str>) {
        let mut at = 0;
        while at < all.len() && !self.is_full {
            let one = &all[at];
            let length = all[at + 1..].iter().take_while(|next| next.indent > one.indent).count();
            let body = &all[at + 1..at + 1 + length];
            at += 1 + length;
            let line = one.text.strip_prefix("async ").unwrap_or(&one.text);
            let head = line.strip_suffix(':').filter(|_| length > 0);
            if let Some(head) = head.and_then(|head| head.strip_prefix("def ")) {
                self.define(head, body);
            } else if let Some(head) = head.and_then(|head| head.strip_prefix("for ")) {
                self.turns(head, one, body, depth, result);
            } else if head.is_some() {
                self.run(body, depth, result);
            } else if let Some(value) = line.strip_prefix("return") {
                let value = self.inlined(value.trim(), depth);
                match result {
                    Some(name) => self.assign(name, &value),
                    None => self.write(&value),
                }
            } else if !line.starts_with(['@', '#']) {
                self.statement(line, depth);
                self.run(body, depth, result);
            }
        }
    }

    fn define(&mut self, head: &str, body: &[Statement]) {
        let Some((name, rest)) = head.split_once('(') else {
            return;
        };
        let inner = rest.rfind(')').map_or(rest, |end| &rest[..end]);
        let parameters = arguments(inner).into_iter().filter_map(|one| {
            let (name, default) = match one.split_once('=') {
                Some((name, default)) => (name.to_owned(), Some(default.trim().to_owned())),
                None => (one, None),
            };
            let name = name.split(':').next().unwrap_or_default().trim().to_owned();
            (is_word(&name) && name != "self").then_some((name, default))
        });
        let function = Function { parameters: parameters.collect(), body: body.to_vec() };
        let name = name.trim().to_owned();
        if self.functions.insert(name.clone(), function).is_none() {
            self.order.push(name);
        }
    }

    /// Functions that nothing calls: each is one of the program's ends.
    fn rest(&mut self) {
        for name in self.order.clone() {
            let Some(function) = self.functions.get(&name).cloned() else {
                continue;
            };
            let text: String = function.body.iter().map(|one| format!("{}\n", one.text)).collect();
            if self.called.contains(&name) || !flag::is_qemus(&text) {
                continue;
            }
            self.write("");
            for (name, default) in &function.parameters {
                if let Some(default) = default {
                    self.assign(name, default);
                }
            }
            self.run(&function.body, 1, None);
        }
    }

    fn turns(
        &mut self,
        head: &str,
        loop_: &Statement,
        body: &[Statement],
        depth: usize,
        result: Option<&str>,
    ) {
        let known = head.split_once(" in ").and_then(|(target, list)| {
            let items = self.items(list.trim()).filter(|items| items.len() <= MAX_TURNS)?;
            Some((target, items))
        });
        let Some((target, items)) = known else {
            let text: String = body.iter().map(|one| format!("{}\n", one.text)).collect();
            if flag::is_qemus(&text) {
                self.remarks.push(format!(
                    "line {}, `{}`: the text does not say over what; write its turns out and import again",
                    loop_.line, loop_.text
                ));
            }
            return self.run(body, depth, result);
        };
        for item in items {
            self.enters();
            self.bind(target, &item);
            self.run(body, depth, result);
        }
    }

    /// Gives the names of a target their parts of an item.
    fn bind(&mut self, target: &str, item: &str) {
        let target = target.trim();
        let target = target.strip_prefix('(').and_then(|it| it.strip_suffix(')')).unwrap_or(target);
        let names = arguments(target);
        if let [name] = names.as_slice() {
            return self.assign(name, item);
        }
        let parts = literal(item).unwrap_or_default();
        for (name, part) in names.iter().zip(parts) {
            self.bind(name, &part);
        }
    }

    fn assign(&mut self, name: &str, value: &str) {
        let name = name.trim();
        let items = self.items(value);
        match items {
            Some(items) => drop(self.lists.insert(name.to_owned(), items)),
            None => drop(self.lists.remove(name)),
        }
        match integer(value, &self.numbers) {
            Some(number) => drop(self.numbers.insert(name.to_owned(), number)),
            None => drop(self.numbers.remove(name)),
        }
        // A mapping's members, and those of a tuple, by what selects them.
        let mapping = pairs(value);
        let is_mapping = mapping.is_some();
        let members = mapping.or_else(|| {
            let parts = literal(value).filter(|_| !flag::is_qemus(value))?.into_iter().enumerate();
            Some(parts.map(|(at, part)| (at.to_string(), part)).collect())
        });
        if let Some(members) = members.filter(|_| !self.is_full) {
            let keys = members.iter().map(|(key, _)| key.clone()).collect();
            self.members.insert(name.to_owned(), keys);
            for (key, part) in members {
                let key: String =
                    key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
                self.assign(&format!("{name}__{key}"), &part);
            }
            // Its members say it all.
            if is_mapping {
                return;
            }
        }
        let number = self.numbers.get(name).map(i64::to_string);
        self.write(&format!("{name} = {}", number.as_deref().unwrap_or(value)));
    }

    fn statement(&mut self, line: &str, depth: usize) {
        let line = self.inlined(line, depth);
        let assigned = line.split_once('=').filter(|(name, rest)| {
            let name = name.split(':').next().unwrap_or_default().trim();
            is_word(name) && !rest.starts_with('=')
        });
        match assigned {
            Some((name, value)) => {
                let name = name.split(':').next().unwrap_or_default().to_owned();
                self.assign(&name, value.trim());
            }
            None => self.write(&line),
        }
    }

    /// A statement whose calls of the text's functions are variables that hold what they return.
    fn inlined(&mut self, line: &str, depth: usize) -> String {
        let line = self.selected(line);
        let mut line = self.comprehended(&line);
        let mut from = 0;
        while let Some((start, end, name)) = self.call(&line, from) {
            if depth >= MAX_DEPTH || self.is_full {
                return line;
            }
            let inner = line[start + name.len() + 1..end - 1].to_owned();
            let inner = self.inlined(&inner, depth + 1);
            let given = arguments(&inner);
            let result = format!("{name}_{}", self.enters());
            self.called.insert(name.clone());
            if let Some(function) = self.functions.get(&name).cloned() {
                self.enter(&function, &given, &result, depth);
            }
            // `self.name(...)`
            let before = line[..start].trim_end_matches("self.").to_owned();
            from = before.len() + result.len();
            line = format!("{before}{result}{}", &line[end..]);
        }
        line
    }

    /// The body of a function, with names of its own.
    fn enter(&mut self, function: &Function, given: &[String], result: &str, depth: usize) {
        let mut names: BTreeSet<String> =
            function.parameters.iter().map(|(name, _)| name.clone()).collect();
        names.extend(function.body.iter().filter_map(|one| text::assigned(&one.text)));
        let own = |name: &str| names.contains(name).then(|| format!("{result}_{name}"));
        let mut at = 0;
        let mut values: Vec<(String, Option<String>)> = function.parameters.clone();
        for argument in given {
            let keyword = argument
                .split_once('=')
                .filter(|(name, rest)| is_word(name.trim()) && !rest.starts_with('='));
            match keyword {
                Some((name, value)) => {
                    let slot = values.iter_mut().find(|(other, _)| other == name.trim());
                    if let Some(slot) = slot {
                        slot.1 = Some(value.trim().to_owned());
                    }
                }
                None => {
                    if let Some(slot) = values.get_mut(at) {
                        slot.1 = Some(argument.clone());
                    }
                    at += 1;
                }
            }
        }
        for (name, value) in values {
            if let Some(value) = value {
                self.assign(&format!("{result}_{name}"), &value);
            }
        }
        let body: Vec<Statement> = function
            .body
            .iter()
            .map(|one| Statement { text: rename(&one.text, &own), ..one.clone() })
            .collect();
        self.run(&body, depth + 1, Some(result));
    }

    /// The first call of a function of the text behind a place: its bytes and its name.
    fn call(&self, line: &str, from: usize) -> Option<(usize, usize, String)> {
        let outside = text::outside(line);
        let mut found: Option<(usize, String)> = None;
        for name in self.functions.keys() {
            let places =
                line.match_indices(&format!("{name}(")).map(|(at, _)| at).collect::<Vec<_>>();
            let is_call = |at: &usize| {
                let before = line[..*at].trim_end_matches("self.");
                *at >= from
                    && outside[*at]
                    && !before.ends_with(|c: char| c.is_alphanumeric() || "_.".contains(c))
            };
            if let Some(at) = places.into_iter().find(is_call)
                && found.as_ref().is_none_or(|(other, _)| at < *other)
            {
                found = Some((at, name.clone()));
            }
        }
        let (start, name) = found?;
        let length = text::closing(&line[start + name.len()..])?;
        Some((start, start + name.len() + length, name))
    }

    /// `NAME["KEY"]` as the variable that holds it.
    fn selected(&self, line: &str) -> String {
        let mut line = line.to_owned();
        if !line.contains('[') {
            return line;
        }
        for (name, keys) in &self.members {
            for key in keys {
                let plain: String =
                    key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
                for written in [
                    format!("{name}[\"{key}\"]"),
                    format!("{name}['{key}']"),
                    format!("{name}[{key}]"),
                ] {
                    if line.contains(&written) && line.len() < MOST_WRITTEN / 64 {
                        line = line.replace(&written, &format!("{name}__{plain}"));
                    }
                }
            }
        }
        line
    }

    /// `[VALUE for NAME in LIST]` as the list that it is.
    fn comprehended(&mut self, line: &str) -> String {
        let outside = text::outside(line);
        let Some(at) = line.match_indices(" for ").map(|(at, _)| at).find(|at| outside[*at]) else {
            return line.to_owned();
        };
        // The innermost bracket that is open there.
        let holds = |open: &usize| {
            let length = text::closing(&line[*open..]);
            *open < at && outside[*open] && length.is_some_and(|length| open + length > at)
        };
        let mut brackets = line.match_indices(['[', '(']).map(|(open, _)| open);
        let Some(open) = brackets.rfind(holds) else {
            return line.to_owned();
        };
        let Some(length) = text::closing(&line[open..]) else {
            return line.to_owned();
        };
        let (value, rest) = (&line[open + 1..at], &line[at + 5..open + length - 1]);
        let known = rest
            .split_once(" in ")
            .filter(|(_, list)| !list.contains(" if ") && !list.contains(" for "));
        let items = known.and_then(|(target, list)| Some((target, self.items(list.trim())?)));
        let Some((target, items)) = items.filter(|(_, items)| items.len() <= MAX_TURNS) else {
            return line.to_owned();
        };
        let names: BTreeSet<String> =
            arguments(target.trim_matches(['(', ')'])).into_iter().collect();
        let mut values = Vec::new();
        for item in items {
            let number = self.enters();
            let own = |name: &str| names.contains(name).then(|| format!("{name}_{number}"));
            self.bind(&rename(target, &own), &item);
            values.push(self.selected(&rename(value, &own)));
        }
        format!("{}[{}]{}", &line[..open], values.join(", "), &line[open + length..])
    }

    /// The items of a list, as they are written.
    fn items(&self, list: &str) -> Option<Vec<String>> {
        let items = self.listed(list)?;
        (items.iter().map(String::len).sum::<usize>() <= MOST_LISTED).then_some(items)
    }

    fn listed(&self, list: &str) -> Option<Vec<String>> {
        let list = list.trim();
        if let Some(items) = self.lists.get(list) {
            return Some(items.clone());
        }
        if let Some(inner) = list.strip_suffix(".items()") {
            let keys = self.members.get(inner)?;
            return Some(keys.iter().map(|key| format!("(\"{key}\", {inner}__{key})")).collect());
        }
        if let Some(text) = list.strip_suffix(".split()") {
            let inner = text.trim_matches(['"', '\'']);
            return Some(inner.split_whitespace().map(|word| format!("\"{word}\"")).collect());
        }
        if let Some((name, _)) = list.split_once('(').filter(|(name, _)| is_word(name)) {
            let length = text::closing(&list[name.len()..])?;
            if name.len() + length != list.len() {
                return None;
            }
            let inner = arguments(&list[name.len() + 1..list.len() - 1]);
            let number = |at: usize| integer(inner.get(at)?, &self.numbers);
            return match (name, inner.as_slice()) {
                ("range", [_]) => {
                    Some((0..number(0)?).take(MAX_TURNS + 1).map(|n| n.to_string()).collect())
                }
                ("range", [_, _]) => Some(
                    (number(0)?..number(1)?).take(MAX_TURNS + 1).map(|n| n.to_string()).collect(),
                ),
                ("enumerate", [items, ..]) => {
                    let start = inner.get(1).map_or(Some(0), |start| {
                        integer(start.trim_start_matches("start="), &self.numbers)
                    })?;
                    let items = self.items(items)?.into_iter();
                    Some((start..).zip(items).map(|(at, item)| format!("({at}, {item})")).collect())
                }
                ("zip", [one, other]) => {
                    let (one, other) = (self.items(one)?, self.items(other)?);
                    let both = one.into_iter().zip(other);
                    Some(both.map(|(one, other)| format!("({one}, {other})")).collect())
                }
                ("list" | "tuple" | "sorted", [items]) => self.items(items),
                _ => None,
            };
        }
        if list.starts_with(['[', '(']) {
            return literal(list);
        }
        self.members.get(list).map(|keys| keys.iter().map(|key| format!("\"{key}\"")).collect())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::a_loop(
        "for i in range(2):\n    cmd += [\"-netdev\", f\"tap,id=n{i}\"]\n",
        "i = 0\ncmd += [\"-netdev\", f\"tap,id=n{i}\"]\ni = 1\ncmd += [\"-netdev\", f\"tap,id=n{i}\"]\n"
    )]
    #[case::pairs_of_a_list(
        "N = [(\"a\", 1),\n     (\"b\", 2)]\nfor name, port in N:\n    x(\"-netdev\", name)\n",
        "name = \"a\"\nport = 1\nx(\"-netdev\", name)\nname = \"b\"\nport = 2\nx(\"-netdev\", name)\n"
    )]
    #[case::a_function(
        "def nic(n, base=\"5\"):\n    return [\"-device\", \"e1000,netdev=%s\" % n]\ncmd = nic(\"a\")\n",
        "nic_1_n = \"a\"\nnic_1_base = \"5\"\nnic_1 = [\"-device\", \"e1000,netdev=%s\" % nic_1_n]\ncmd = nic_1\n"
    )]
    #[case::members(
        "D = {\"id\": \"a\"}\nfor d in [D]:\n    pass\nx = \"-netdev\", D['id']\n",
        "x = \"-netdev\", D__id\n"
    )]
    #[case::a_comprehension(
        "for _ in [1]:\n    x = [f\"-nic tap,id={n}\" for n in (\"a\", \"b\")]\n",
        "x = [f\"-nic tap,id={n_2}\", f\"-nic tap,id={n_3}\"]\n"
    )]
    #[case::not_called(
        "def primary():\n    return [\"qemu-system-arm\", \"-nic\", \"user\"]\n",
        "\n[\"qemu-system-arm\", \"-nic\", \"user\"]\n"
    )]
    fn programs_are_statements(#[case] text: &str, #[case] expected: &str) {
        let (out, remarks) = unrolled(text).unwrap();
        assert!(out.ends_with(expected), "{out}");
        assert_eq!(remarks, [""; 0]);
    }

    #[test]
    fn an_unknown_list_is_named() {
        let (out, remarks) = unrolled("x = 1\nfor n in names():\n    a(\"-netdev\", n)\n").unwrap();
        assert!(out.contains("a(\"-netdev\", n)"), "{out}");
        assert_eq!(remarks.len(), 1);
        assert!(remarks[0].starts_with("line 2, `for n in names():`: "), "{remarks:?}");
    }
}
