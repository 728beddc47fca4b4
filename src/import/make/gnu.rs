//! Makefiles as a shell's text: each recipe for each of its targets, in the order of the text.

use super::{
    continued,
    expand::{Value, Variables, stem},
    make_assignment,
};
use crate::import::{flag, shell};

/// Most rules, and most lines that `eval` makes.
const MOST_RULES: usize = 500;

/// A rule: what it makes of what, by which commands.
#[derive(Debug, Default)]
struct Rule {
    targets: Vec<String>,
    needs: Vec<String>,
    recipe: Vec<String>,
}

/// A makefile that is being read.
#[derive(Debug, Default)]
struct Makefile {
    set: Variables,
    rules: Vec<Rule>,
    /// Variables of targets: their names, the variable, how it is set, and its text.
    own: Vec<(Vec<String>, String, String, String)>,
    /// For each condition that is open: whether the branch is taken, and whether one was.
    open: Vec<(bool, bool)>,
    made: usize,
}

/// The recipes, with make's variables written out; without recipes, the variables that hold options.
pub(super) fn makefile(lines: &[&str], branches: &mut Vec<String>) -> String {
    let mut file = Makefile::default();
    file.lines(lines, branches);
    let mut out = file.recipes();
    if !flag::is_qemus(&out) {
        let values: Vec<Value> = file.set.values().cloned().collect();
        for value in values.iter().filter(|value| flag::is_qemus(&value.text)) {
            out += &file.set.expand(&value.text, 0);
            out.push('\n');
        }
    }
    out
}

/// The lines of a makefile that take something to a socket, or call what does: those of recipes and macros.
pub(in crate::import) fn talking(text: &str) -> Vec<&str> {
    let lines: Vec<&str> = text.lines().collect();
    let (mut found, mut at) = (Vec::new(), 0);
    let mut is_macro = false;
    while at < lines.len() {
        let (start, first) = (at, lines[at]);
        let line = continued(&lines, &mut at);
        is_macro = (is_macro || line.starts_with("define ")) && line != "endef";
        let calls = line.contains("$(call ") || line.contains("$(foreach ");
        if (first.starts_with('\t') || is_macro) && (calls || shell::has_talker(&line)) {
            found.extend(lines[start..at].iter().map(|line| line.trim()));
        }
    }
    found
}

impl Makefile {
    fn lines(&mut self, lines: &[&str], branches: &mut Vec<String>) {
        let mut at = 0;
        while at < lines.len() && self.made < MOST_RULES {
            let is_recipe = lines[at].starts_with('\t');
            if !is_recipe && self.defines(lines, &mut at) {
                continue;
            }
            let line = continued(lines, &mut at);
            if self.conditional(&line, branches) {
                continue;
            }
            if is_recipe {
                if let Some(rule) = self.rules.last_mut() {
                    rule.recipe.push(line);
                }
                continue;
            }
            if line.starts_with('#') || line.is_empty() {
                continue;
            }
            if let Some((name, operator, value)) = make_assignment(&line) {
                let value = value.split(" #").next().unwrap_or(value).trim();
                self.set.assign(name, operator, value);
            } else {
                self.rule(&line, branches);
            }
        }
    }

    /// `define NAME` up to `endef`.
    fn defines(&mut self, lines: &[&str], at: &mut usize) -> bool {
        let Some(name) = lines[*at].trim().strip_prefix("define ") else {
            return false;
        };
        let name = name.trim_end_matches([' ', '=', ':', '+', '?']).trim();
        let rest = &lines[*at + 1..];
        let Some(length) = rest.iter().position(|line| line.trim() == "endef") else {
            return false;
        };
        if self.open.iter().all(|(taken, _)| *taken) {
            let text = rest[..length].join("\n");
            self.set.put(name, Some(Value { text, is_simple: false }));
        }
        *at += length + 2;
        true
    }

    /// A line of a condition, or in a branch of one that is not taken.
    fn conditional(&mut self, line: &str, branches: &mut Vec<String>) -> bool {
        let word = line.split([' ', '(', '\t']).next().unwrap_or_default();
        match word {
            "ifeq" | "ifneq" | "ifdef" | "ifndef" => {
                let holds = self.holds(word, line[word.len()..].trim());
                if holds.is_none() {
                    branches.push(format!("where `{line}` holds"));
                }
                let holds = holds.unwrap_or(true);
                self.open.push((holds, holds));
                return true;
            }
            "else" => {
                if let Some(branch) = self.open.last_mut() {
                    *branch = (!branch.1, true);
                }
                return true;
            }
            "endif" => {
                self.open.pop();
                return true;
            }
            _ => {}
        }
        let is_left = self.open.iter().any(|(taken, _)| !taken);
        if is_left && !line.is_empty() {
            branches.push(format!("  not: {line}"));
        }
        is_left
    }

    /// Whether a condition holds; none where a side of it is not known.
    fn holds(&mut self, word: &str, rest: &str) -> Option<bool> {
        if word == "ifdef" || word == "ifndef" {
            let is_set = self.set.get(rest).is_some();
            return is_set.then_some(word == "ifdef");
        }
        let inner = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
        let (one, other) = match inner {
            Some(inner) => inner.rsplit_once(',')?,
            None => rest.split_once(' ')?,
        };
        let mut side = |text: &str| self.set.expand(text.trim().trim_matches(['"', '\'']), 0);
        let (one, other) = (side(one), side(other));
        let is_known = !one.contains('$') && !other.contains('$');
        is_known.then_some((one == other) == (word == "ifeq"))
    }

    /// `target: needs`, `target: NAME = value`, or what a function makes.
    fn rule(&mut self, line: &str, branches: &mut Vec<String>) {
        let colon = colon(line);
        let Some(colon) = colon else {
            self.set.expand(line, 0);
            let evaluated = std::mem::take(&mut self.set.evaluated);
            for text in evaluated {
                self.made += 1;
                let lines: Vec<&str> = text.lines().collect();
                self.lines(&lines, branches);
            }
            return;
        };
        let (targets, rest) = (&line[..colon], line[colon + 1..].trim_start_matches(':'));
        let list = |text: String| text.split_whitespace().map(str::to_owned).collect();
        let targets: Vec<String> = list(self.set.expand(targets, 0));
        if let Some((name, operator, value)) = make_assignment(rest.trim()) {
            self.set.of_targets.insert(name.to_owned());
            let own = (targets, name.to_owned(), operator.to_owned(), value.to_owned());
            self.own.push(own);
            return;
        }
        let (rest, command) = rest.split_once(';').unwrap_or((rest, ""));
        // `a b: %: needs` is a pattern's rule for its targets.
        let needs = rest.split_once(':').map_or(rest, |(_, needs)| needs);
        let needs = self.set.expand(needs, 0);
        let recipe = (!command.is_empty()).then(|| command.trim().to_owned());
        self.made += 1;
        self.rules.push(Rule { targets, needs: list(needs), recipe: recipe.into_iter().collect() });
    }

    /// The commands of all recipes.
    fn recipes(&mut self) -> String {
        let rules = std::mem::take(&mut self.rules);
        let wanted: Vec<&String> = rules.iter().flat_map(|rule| &rule.needs).collect();
        let mut out = String::new();
        for rule in rules.iter().filter(|rule| !rule.recipe.is_empty()) {
            let is_own =
                |name: &String| self.own.iter().any(|(targets, ..)| targets.contains(name));
            let text = rule.recipe.join("\n");
            let is_each = ["$@", "$(@", "$*", "$(*"].iter().any(|mark| text.contains(mark))
                || rule.targets.iter().any(is_own);
            let mut targets: Vec<(String, String)> = Vec::new();
            for target in &rule.targets {
                let of_pattern = wanted
                    .iter()
                    .filter_map(|name| Some(((*name).clone(), stem(name, target)?.to_owned())));
                let of_pattern: Vec<(String, String)> = of_pattern.collect();
                match target.contains('%') && !of_pattern.is_empty() {
                    true => targets.extend(of_pattern),
                    false => targets.push((target.clone(), String::new())),
                }
            }
            targets.dedup();
            let count = if is_each { targets.len() } else { 1 };
            for (target, stem) in targets.iter().take(count.min(MOST_RULES)) {
                out += &self.recipe(rule, target, stem);
            }
        }
        out
    }

    /// The commands that make a target.
    fn recipe(&mut self, rule: &Rule, target: &str, stem: &str) -> String {
        let needs: Vec<String> =
            rule.needs.iter().map(|name| name.replacen('%', stem, 1)).collect();
        let first = needs.first().cloned().unwrap_or_default();
        let mut put: Vec<(&str, Option<String>)> = vec![("@", Some(target.to_owned()))];
        if target.contains('%') {
            put[0].1 = None;
        }
        put.push(("*", (!stem.is_empty()).then(|| stem.to_owned())));
        put.push(("<", (!first.is_empty() && !first.contains('$')).then_some(first)));
        put.push(("^", (!needs.is_empty()).then(|| needs.join(" "))));
        let mut outer: Vec<(String, Option<Value>)> = Vec::new();
        for (name, text) in put {
            let value = text.map(|text| Value { text, is_simple: true });
            outer.push((name.to_owned(), self.set.put(name, value)));
        }
        for (targets, name, operator, value) in self.own.clone() {
            let is_its = |one: &String| {
                one == target || one.contains('%') && super::expand::stem(target, one).is_some()
            };
            if targets.iter().any(is_its) {
                outer.push((name.clone(), self.set.get(&name).cloned()));
                self.set.assign(&name, &operator, &value);
            }
        }
        let mut out = String::new();
        for line in &rule.recipe {
            let text = self.set.expand(line, 0);
            let lines: Vec<&str> = text.lines().collect();
            let mut at = 0;
            while at < lines.len() {
                let line = continued(&lines, &mut at);
                out += line.trim_start_matches(['@', '-', '+', ' ', '\t']);
                out.push('\n');
            }
        }
        for (name, value) in outer.into_iter().rev() {
            self.set.put(&name, value);
        }
        out
    }
}

/// Where the targets of a rule end.
fn colon(line: &str) -> Option<usize> {
    let mut depth = 0usize;
    for (at, c) in line.char_indices() {
        match c {
            '(' | '{' => depth += 1,
            ')' | '}' => depth = depth.saturating_sub(1),
            ':' if depth == 0 => return Some(at),
            _ => {}
        }
    }
    None
}
