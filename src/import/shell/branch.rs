//! Branches: which are followed, and what stands in the others.

use std::rc::Rc;

use rable::{Node, NodeKind};

use super::{MAX_DEPTH, MAX_TURNS, Shell};
use crate::import::{flag, part};

impl Shell {
    /// `if`: the first branch that holds something of QEMU's, and what the others hold.
    fn branch(&mut self, condition: &str, then: &Node, other: Option<&Node>, source: &Rc<str>) {
        let condition = condition.split_whitespace().collect::<Vec<_>>().join(" ");
        let condition = condition.trim_end_matches(';').to_owned();
        let of = |node: &Node| flag::is_qemus(node.source_text(source));
        let (here, there) = (of(then), other.is_some_and(of));
        // `if [ "$1" = primary ]; then qemu ...; else qemu ...; fi` starts two machines.
        let role = part::in_words(&condition);
        if let (Some(role), Some(other), true, true) = (role, other, here, there) {
            let outer = self.part.replace(role.clone());
            self.node(then, source);
            self.part = part::other(&role);
            self.node(other, source);
            self.part = outer;
            return;
        }
        match other {
            Some(other) if there && !here => {
                self.branches.push(format!("where `{condition}` is false"));
                self.node(other, source);
            }
            _ => {
                if here || other.is_some() || then.source_text(source).contains('=') {
                    self.branches.push(format!("where `{condition}` holds"));
                }
                self.node(then, source);
                if let Some(other) = other {
                    self.aside(other.source_text(source));
                }
            }
        }
    }

    /// Lists what stands in a branch that isn't followed.
    fn aside(&mut self, text: &str) {
        if !self.afford(text.len()) {
            return;
        }
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && *line != "else");
        self.branches.extend(lines.map(|line| format!("  not: {line}")));
    }

    /// Whether a text has something of QEMU's, or calls a function of the paste that has.
    fn leads_to_qemu(&self, text: &str, depth: usize) -> bool {
        let calls = |text: &str| {
            let mut words = flag::tokens(text).take(MAX_TURNS);
            words.any(|word| {
                let mut functions = self.functions.iter();
                functions.any(|(name, body, source)| {
                    name == word && self.leads_to_qemu(body.source_text(source), depth + 1)
                })
            })
        };
        flag::is_qemus(text) || depth < MAX_DEPTH / 4 && calls(text)
    }

    /// `case`: the branch of the word where that is known, each where they are the machines of a
    /// setup, else the first that holds something of QEMU's.
    pub(super) fn case(&mut self, word: &Node, patterns: &[rable::CasePattern], source: &Rc<str>) {
        let subject = self.one(word);
        let bodies = patterns.iter().filter_map(|case| Some((case, case.body.as_ref()?)));
        let of_qemu: Vec<_> =
            bodies.filter(|(_, body)| self.leads_to_qemu(body.source_text(source), 0)).collect();
        let roles = of_qemu.iter().filter(|(case, _)| role(case, source).is_some()).count();
        if roles > 1 {
            return self.each_role(&of_qemu, source);
        }
        let is_called = !self.arguments.is_empty() && !subject.contains("${");
        let is_subject = |case: &rable::CasePattern| {
            let mut names = case.patterns.iter();
            names.any(|node| match &node.kind {
                NodeKind::Word { value, .. } => {
                    *value == subject
                        || value.trim_matches(['"', '\'']) == subject
                        || is_called && matches(value, &subject)
                }
                _ => false,
            })
        };
        let known = patterns.iter().find(|case| is_subject(case));
        if is_called && known.is_some_and(|case| case.body.is_none()) {
            return;
        }
        let known = known.and_then(|case| case.body.as_ref());
        let first = of_qemu.first().map(|(_, body)| *body);
        let first = first.or_else(|| patterns.iter().find_map(|case| case.body.as_ref()));
        let Some(taken) = known.or(first) else {
            return;
        };
        self.node(taken, source);
        if is_called && known.is_some() {
            return;
        }
        let of_qemu: Vec<&Node> = of_qemu.into_iter().map(|(_, body)| body).collect();
        for body in of_qemu.iter().filter(|body| !std::ptr::eq(**body, taken)) {
            self.branches.push(format!("of the cases of {subject}, the first"));
            self.aside(body.source_text(source));
        }
        let written = word.source_text(source).trim_matches('"').to_owned();
        let is_left = |case: &&rable::CasePattern| {
            let is = |body: &Node| {
                !std::ptr::eq(body, taken)
                    && !of_qemu.iter().any(|other| std::ptr::eq(*other, body))
            };
            case.body.as_ref().is_some_and(is)
        };
        for case in patterns.iter().filter(is_left) {
            self.another_call(&written, case, source);
        }
    }

    /// Follows each of the cases that are the machines of a setup.
    fn each_role(&mut self, cases: &[(&rable::CasePattern, &Node)], source: &Rc<str>) {
        let before = self.set.clone();
        for (case, body) in cases {
            let count = self.commands.len();
            self.set.clone_from(&before);
            let outer = std::mem::replace(&mut self.part, role(case, source));
            self.node(body, source);
            let starts = self.commands[count..].iter().flat_map(|command| &command.words);
            if !starts.into_iter().any(|word| flag::is_net(word) || flag::is_program(word)) {
                self.roles.push((self.part.clone(), self.set.clone()));
            }
            self.part = outer;
        }
    }

    /// Follows a case that is not taken for what it writes to monitors: the script may be called for it too.
    fn another_call(&mut self, subject: &str, case: &rable::CasePattern, source: &Rc<str>) {
        let Some(body) = &case.body else { return };
        if !self.leads_to_talk(body.source_text(source)) || !self.follow_aside(body, source) {
            return;
        }
        let name = |node: &Node| match &node.kind {
            NodeKind::Word { value, .. } => value.clone(),
            _ => node.source_text(source).to_owned(),
        };
        let names: Vec<String> = case.patterns.iter().map(name).collect();
        self.branches.push(format!(
            "`{}` of {subject}, below the others: another call of the script, and whether it comes is not in the text",
            names.join("|")
        ));
    }

    /// `if`: the branch that the condition decides on, else as [`Self::branch`] has it.
    pub(super) fn either(
        &mut self,
        condition: &str,
        then: &Node,
        other: Option<&Node>,
        source: &Rc<str>,
    ) {
        match (self.decided(condition), other) {
            (Some(true), _) => self.node(then, source),
            (Some(false), Some(other)) => self.node(other, source),
            (Some(false), None) => {}
            (None, _) => self.branch(condition, then, other, source),
        }
    }

    /// Follows what the condition of an `if` writes to monitors.
    pub(super) fn asked(&mut self, node: &Node, source: &Rc<str>) {
        if let NodeKind::If { condition, .. } = &node.kind {
            let count = self.commands.len();
            let branches = self.branches.len();
            self.node(condition, source);
            let asked = self.commands.split_off(count);
            self.commands.extend(asked.into_iter().filter(|command| command.talk.is_some()));
            self.branches.truncate(branches);
        }
    }

    /// Whether a condition of a function that is called holds: a comparison of what is known.
    fn decided(&mut self, condition: &str) -> Option<bool> {
        if self.arguments.is_empty() {
            return None;
        }
        let test = condition.trim().trim_end_matches(';').trim_end();
        let inner = test.strip_prefix("[[").and_then(|rest| rest.strip_suffix("]]"));
        let inner =
            inner.or_else(|| test.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')))?;
        if !inner.contains('$') || inner.contains(['&', '|', '(', '<', '>']) {
            return None;
        }
        let words = self.inner(inner);
        if words.iter().any(|word| word.contains("${")) {
            return None;
        }
        match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            [one, "=" | "==", other] => Some(matches(other, one)),
            [one, "!=", other] => Some(!matches(other, one)),
            ["-z"] => Some(true),
            ["-n"] => Some(false),
            ["-z", text] => Some(text.is_empty()),
            ["-n", text] => Some(!text.is_empty()),
            [one, "-gt", other] => Some(one.parse::<i64>().ok()? > other.parse().ok()?),
            [one, "-ge", other] => Some(one.parse::<i64>().ok()? >= other.parse().ok()?),
            [one, "-lt", other] => Some(one.parse::<i64>().ok()? < other.parse().ok()?),
            [one, "-eq", other] => Some(one.parse::<i64>().ok()? == other.parse::<i64>().ok()?),
            _ => None,
        }
    }
}

/// The machine of a setup that a case is for.
fn role(case: &rable::CasePattern, source: &Rc<str>) -> Option<String> {
    let text = |node: &Node| match &node.kind {
        NodeKind::Word { value, .. } => value.trim_matches(['"', '\'']).to_owned(),
        _ => node.source_text(source).to_owned(),
    };
    case.patterns.iter().find_map(|node| part::in_words(&text(node)))
}

/// Whether a word is one of those that a pattern with at most one star stands for.
fn matches(pattern: &str, word: &str) -> bool {
    let pattern = pattern.trim_matches(['"', '\'']);
    match pattern.split_once('*') {
        Some((before, after)) => {
            word.len() >= before.len() + after.len()
                && word.starts_with(before)
                && word.ends_with(after)
        }
        None => pattern == word,
    }
}
