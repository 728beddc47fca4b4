//! All monitor commands of a text, in its order, whatever they stand in.

use std::{collections::BTreeMap, ops::Range};

use serde_json::Value;

use super::{
    Call,
    call::{self, Context},
    literal::Constants,
    object,
    text::{closed, line_at, opened, quoted, unescaped},
    tool::{self, Argument},
    verb,
};
use crate::import::{
    hmp,
    qmp::{self, Message},
};

/// Most commands of a text.
const MOST: usize = 10_000;
/// Most bytes of an object before the command in it that may say whose it is.
const MOST_BESIDE: usize = 400;
/// Most columns of a command that is named.
const SHOWN: usize = 160;

/// A command in a text.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) span: Range<usize>,
    /// None where only its name is understood.
    pub(super) call: Option<Call>,
    /// Its name, in QMP.
    pub(super) name: String,
    /// It is given there, and not only named.
    pub(super) is_given: bool,
    /// What stands around it and may name its machine.
    pub(super) near: String,
    /// QEMU's answer was this error: class and text.
    pub(super) error: Option<(Option<String>, String)>,
    /// As it is written.
    pub(super) written: String,
}

/// The commands of a text, in its order. `names` says whether a word before a command names a machine.
pub(super) fn find(text: &str, names: &dyn Fn(&str) -> bool) -> Vec<Found> {
    let constants = constants(text);
    let (found, taken) = (Vec::new(), Taken::default());
    let mut finder = Finder { text, constants: &constants, names, found, taken };
    finder.objects();
    finder.prompts();
    finder.tools();
    finder.strings();
    finder.marked();
    finder.methods();
    finder.lines();
    finder.mentions();
    let mut found = finder.found;
    found.sort_by_key(|one| one.span.start);
    announced(&mut found);
    answers(text, &mut found);
    found
}

/// Names of a text that have one string or number: `NAME = "x"`, `const name = 'x'`, `NAME=x`.
fn constants(text: &str) -> Constants {
    let (mut all, mut twice) = (Constants::new(), Vec::new());
    for whole in text.lines() {
        let line = whole.trim().trim_end_matches(';');
        let line =
            ["const ", "let ", "var ", "my ", "local ", "export ", "readonly ", "static ", "set "]
                .iter()
                .fold(line, |line, word| line.strip_prefix(word).unwrap_or(line));
        // `set NAME VALUE` of Tcl.
        let tcl = whole.trim().strip_prefix("set ").filter(|_| !line.contains('='));
        let tcl = tcl.and_then(|rest| rest.trim().split_once(char::is_whitespace));
        let Some((name, value)) = line.split_once('=').or(tcl) else {
            continue;
        };
        let name = name.trim_end_matches([' ', ':', '?']).trim_start_matches(['$', '%', '@']);
        let name = name.split([':', ' ']).next().unwrap_or(name);
        let name = name.rsplit('.').next().unwrap_or(name);
        let value = value.trim();
        let is_word =
            |word: &str| !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || c == '_');
        let plain = value.trim_matches(['"', '\'']);
        let is_plain = plain.chars().all(|c| c.is_ascii_alphanumeric() || "_-./:".contains(c));
        if is_word(name)
            && !plain.is_empty()
            && is_plain
            && !name.starts_with(|c: char| c.is_ascii_digit())
        {
            let is_quoted = plain.len() + 2 == value.len();
            let is_literal = is_quoted
                || value.parse::<f64>().is_ok()
                || !line.contains(" =") && !line.contains('(');
            if is_literal
                && all.insert(name.to_owned(), plain.to_owned()).is_some_and(|old| old != plain)
            {
                twice.push(name.to_owned());
            }
        }
    }
    for name in twice {
        all.remove(&name);
    }
    all
}

/// Most bytes between the name of a command in a log and the command itself.
const MOST_APART: usize = 300;

/// Drops what a log says of a command before it has the command: `Sending command 'cont'`.
fn announced(found: &mut Vec<Found>) {
    let is_alone = |one: &Found| {
        one.call.as_ref().is_none_or(|call| call.args.is_empty() && call.option.is_none())
    };
    let mut at = 0;
    while at + 1 < found.len() {
        let (one, next) = (&found[at], &found[at + 1]);
        let is_near = next.span.start - one.span.start < MOST_APART;
        let is_object = next.written.contains("execute");
        let is_name = !one.written.contains("execute") && is_alone(one);
        if is_near && is_object && is_name && one.name == next.name {
            found.remove(at);
        } else {
            at += 1;
        }
    }
}

/// What QEMU answers below a command, if it is an error.
fn answers(text: &str, found: &mut [Found]) {
    for at in 0..found.len() {
        let next = found.get(at + 1).map_or(text.len(), |next| next.span.start);
        let end = line_at(text, found[at].span.end.min(text.len())).end;
        let between = text.get(end..next.max(end)).unwrap_or_default();
        // QMP does not answer what is typed for a person, and a reply has the id of its command.
        let is_human = text[..found[at].span.start].trim_end().ends_with("(qemu)");
        let command = text.get(found[at].span.clone()).unwrap_or_default();
        let is_its = |reply: &str| {
            let reply: Option<Value> = serde_json::from_str(reply).ok();
            let id = reply.and_then(|reply| reply.get("id")?.as_str().map(str::to_owned));
            id.is_none_or(|id| command.contains(&id))
        };
        let mut lines = between.lines().map(str::trim).filter(|line| !line.is_empty()).take(2);
        let error = |line: &str| {
            let escaped = line.contains("\\\"error\\\"").then(|| unescaped(line).0);
            let line = escaped.as_deref().unwrap_or(line);
            let begins = ["{\"error\"", "{'error'", "{\"id\"", "{ \"id\"", "{ \"error\""];
            if line.contains("error")
                && !is_human
                && let Some(at) = begins.iter().find_map(|begin| line.find(begin))
                && let Some(length) = closed(&line[at..])
                && is_its(&line[at..at + length])
                && let Some((Message::Error(class, text), _)) = qmp::read(&[&line[at..at + length]])
            {
                return Some((Some(class), text));
            }
            let plain = line.find("Error: ").map(|at| &line[at..])?;
            hmp::error(plain).map(|(class, text)| (class.map(str::to_owned), text.to_owned()))
        };
        if found[at].is_given && found[at].call.is_some() {
            found[at].error = lines.find_map(error);
        }
    }
}

pub(super) struct Finder<'a> {
    pub(super) text: &'a str,
    pub(super) constants: &'a Constants,
    /// Whether a text names a machine.
    pub(super) names: &'a dyn Fn(&str) -> bool,
    found: Vec<Found>,
    taken: Taken,
}

/// The bytes of a text that are a command's, by their beginnings: none of them overlap.
#[derive(Default)]
struct Taken(BTreeMap<usize, usize>);

impl Taken {
    fn has(&self, span: &Range<usize>) -> bool {
        let last = self.0.range(..span.end).next_back();
        last.is_some_and(|(start, end)| *end > span.start && *start < span.end)
    }

    fn add(&mut self, span: &Range<usize>) {
        let (mut start, mut end) = (span.start, span.end);
        while let Some((first, last)) = self.0.range(..end).next_back().map(|(a, b)| (*a, *b))
            && last > start
        {
            self.0.remove(&first);
            (start, end) = (start.min(first), end.max(last));
        }
        self.0.insert(start, end);
    }
}

impl Finder<'_> {
    /// Whether a place is in a line that a program skips.
    pub(super) fn is_comment(&self, at: usize) -> bool {
        let line = self.text[line_at(self.text, at)].trim_start();
        let marks = ["//", "/*", "# ", "#\t", "-- ", ";;", "<!--"];
        // `# virsh ...` is typed by root.
        marks.iter().any(|mark| line.starts_with(mark)) && !line.contains("qemu-monitor-command")
    }

    pub(super) fn is_free(&self, span: &Range<usize>) -> bool {
        self.taken.0.len() < MOST && !self.taken.has(span)
    }

    pub(super) fn add(
        &mut self,
        span: Range<usize>,
        call: Option<Call>,
        name: &str,
        near: String,
        is_given: bool,
    ) {
        self.taken.add(&span);
        if call.as_ref().is_some_and(Call::asks)
            || name.starts_with("query-")
            || name.starts_with("guest-")
        {
            return;
        }
        let lacks =
            |call: &Call| call.args.is_empty() && call.option.is_none() && verb::needs(&call.name);
        let is_given = is_given && !call.as_ref().is_some_and(lacks);
        let written = self.text[span.clone()].split_whitespace().collect::<Vec<_>>().join(" ");
        let written: String = written.chars().take(SHOWN).collect();
        let name = name.to_owned();
        self.found.push(Found { span, call, name, is_given, near, error: None, written });
    }

    fn argument(&mut self, from: usize, argument: Argument) {
        let span = from + argument.start..from + argument.end;
        if self.is_free(&span) {
            let name = argument.call.as_ref().map_or(String::new(), |call| call.name.clone());
            if !name.is_empty() {
                self.add(span, argument.call, &name, argument.near, true);
            }
        }
    }

    /// QMP's objects: `{"execute": "stop"}`, in whatever quotes, and as blocks of YAML.
    fn objects(&mut self) {
        let text = self.text;
        let mut seen: Vec<(Value, Call)> = Vec::new();
        for word in ["execute", "exec-oob"] {
            for (at, _) in text.match_indices(word) {
                let is_inside = |c: char| c.is_alphanumeric() || "_-".contains(c);
                let behind = &text[at + word.len()..];
                let is_key =
                    behind.trim_start_matches(['\\', '"', '\'', ' ', '`']).starts_with([':', '=']);
                if text[..at].ends_with(is_inside) || behind.starts_with(is_inside) || !is_key {
                    continue;
                }
                let Some((span, map, is_open)) = object::object(text, at, self.constants) else {
                    continue;
                };
                let name =
                    map.get("execute").or_else(|| map.get("exec-oob")).and_then(Value::as_str);
                let Some(name) =
                    name.filter(|name| !name.contains(char::is_whitespace)).map(str::to_owned)
                else {
                    continue;
                };
                if !self.is_free(&span) {
                    continue;
                }
                let arguments = map.get("arguments").and_then(Value::as_object).cloned();
                let call = Call::of_qmp(&name, arguments.unwrap_or_default());
                let call = Call { is_open: call.is_open | is_open, ..call };
                // A log may write one message twice.
                if let Some(id) = map.get("id") {
                    let one = (id.clone(), call.clone());
                    if seen.contains(&one) {
                        self.taken.add(&span);
                        continue;
                    }
                    seen.push(one);
                }
                let context = Context::of(text, span.start);
                let siblings = opened(text, span.start, '{').map(|open| &text[open..span.start]);
                let siblings = siblings.filter(|siblings| siblings.len() < MOST_BESIDE);
                let near = format!(
                    "{} {} {}",
                    siblings.unwrap_or_default(),
                    context.callee,
                    context.before
                );
                let name = call.name.clone();
                self.add(span, Some(call), &name, near, true);
            }
        }
    }

    /// What is typed behind a prompt.
    fn prompts(&mut self) {
        let text = self.text;
        for (at, prompt) in text.match_indices("(qemu)").chain(text.match_indices("(QEMU)")) {
            let line = line_at(text, at);
            let start = at + prompt.len();
            let rest = &text[start..line.end];
            let before = text[..at].chars().next_back();
            let end = match before.filter(|c| "\"'`".contains(*c)) {
                Some(quote) => rest.find(quote).unwrap_or(rest.len()),
                None => rest
                    .find("</")
                    .or_else(|| {
                        rest.find(" |")
                            .filter(|_| text[line.start..at].trim_start().starts_with('|'))
                    })
                    .unwrap_or(rest.len()),
            };
            let typed = rest[..end].trim().trim_end_matches("\\n").trim_end_matches("\\r").trim();
            let span = start..start + end;
            let is_command = typed.starts_with(|c: char| c.is_ascii_alphabetic());
            if is_command
                && self.is_free(&span)
                && let Some(call) = verb::typed(typed, &Constants::new())
            {
                let name = call.name.clone();
                self.add(span, Some(call), &name, String::new(), true);
            }
        }
    }

    /// Arguments of other programs.
    fn tools(&mut self) {
        let text = self.text;
        let virsh = "qemu-monitor-command";
        for (at, _) in text.match_indices(virsh) {
            if let Some(argument) = tool::of_virsh(text, at + virsh.len(), self.constants) {
                self.argument(0, argument);
            }
        }
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let bare = line.trim_end_matches('\n');
            for argument in
                [tool::of_pipe(bare, self.constants), tool::of_qom(bare)].into_iter().flatten()
            {
                self.argument(start, argument);
            }
            start += line.len();
        }
    }

    /// Strings that are a command, or its name with its arguments behind it.
    fn strings(&mut self) {
        let text = self.text;
        for (at, _) in text.match_indices(['"', '\'', '`']) {
            let first = text[at + 1..].trim_start_matches(['"', '\'', '`', ' ']);
            if !first.starts_with(|c: char| c.is_ascii_lowercase()) {
                continue;
            }
            let name =
                first.split(|c: char| !(c.is_ascii_alphanumeric() || "-_".contains(c))).next();
            let Some(name) = name.filter(|name| verb::is_name(name)) else {
                continue;
            };
            let Some((inside, end)) = quoted(text, at) else {
                continue;
            };
            let span = at..end;
            if !self.is_free(&span) {
                continue;
            }
            let inside = inside.trim();
            let context = Context::of(text, at);
            let near = format!("{} {}", context.callee, context.before);
            let is_name = inside == name;
            if let Some(call) = verb::typed(inside, self.constants).filter(|_| !is_name) {
                let name = call.name.clone();
                let is_given = !context.compares() && !self.is_comment(at);
                self.add(span, Some(call), &name, near, is_given);
            } else if is_name
                && context.gives()
                && (verb::is_qmp(name) || verb::typed(name, self.constants).is_some())
            {
                let called = call::call(text, name, end, &context, self.constants);
                let typed = || verb::typed(name, self.constants).map(|call| (call, end));
                match called.filter(|_| verb::is_qmp(name)).or_else(typed) {
                    Some((call, end)) => {
                        let name = call.name.clone();
                        let is_given = !self.is_comment(at);
                        self.add(at..end.max(at + 1), Some(call), &name, near, is_given);
                    }
                    None => self.add(span, None, name, near, true),
                }
            }
        }
    }

    /// What wikis mark as code: `{{object_del m0}}`.
    fn marked(&mut self) {
        let text = self.text;
        for (at, mark) in text.match_indices("{{") {
            let start = at + mark.len();
            let line = &text[start..line_at(text, start).end];
            let Some(end) = line.find("}}") else { continue };
            let span = start..start + end;
            if let Some(call) = verb::typed(&line[..end], &Constants::new())
                && verb::is_distinct(&call.name)
                && self.is_free(&span)
            {
                let name = call.name.clone();
                self.add(span, Some(call), &name, String::new(), true);
            }
        }
    }

    /// Functions that have a command's name.
    fn methods(&mut self) {
        let text = self.text;
        for name in verb::names().filter(|name| verb::is_distinct(name)) {
            let written = name.replace('-', "_");
            for (at, _) in text.match_indices(&format!(".{written}(")) {
                let qmp = written.replace('_', "-");
                let qmp = if verb::is_qmp(&qmp) { qmp } else { name.to_owned() };
                if let Some((call, end)) =
                    call::method(text, &qmp, at + 1 + written.len(), self.constants)
                {
                    let context = Context::of(text, at + 2 + written.len());
                    let span = at + 1..end;
                    if self.is_free(&span) {
                        let is_given = !self.is_comment(at);
                        self.add(span, Some(call), &qmp, context.callee, is_given);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let one = |found: Found| match found.call {
            Some(call) if !found.is_given || call.is_open => format!("? {}", call.name),
            Some(call) => match call.option {
                Some(option) => format!("object_add {option}"),
                None => format!("{} {}", call.name, Value::Object(call.args)),
            },
            None => format!("? {}", found.name),
        };
        find(text, &|_| false).into_iter().map(one).collect()
    }

    #[rstest]
    #[case::nested(
        "[{\"vm\": \"a\", \"qmp\": {\"execute\": \"object-del\", \"arguments\": {\"id\": \"f\"}}}]",
        "object-del {\"id\":\"f\"}"
    )]
    #[case::escaped("\"{\\\"execute\\\": \\\"stop\\\"}\\r\\n\"", "stop {}")]
    #[case::escaped_twice("x \\\"{\\\\\\\"execute\\\\\\\": \\\\\\\"stop\\\\\\\"}\\\" y", "stop {}")]
    #[case::yaml(
        "- vm: a\n  qmp:\n    execute: object-del\n    arguments: {id: f}\n",
        "object-del {\"id\":\"f\"}"
    )]
    #[case::javascript(
        "qmp({execute: 'object-del', arguments: {id: 'f'}})",
        "object-del {\"id\":\"f\"}"
    )]
    #[case::prompt_in_a_log("12:00:01 [a] (qemu) object_del f\n", "object-del {\"id\":\"f\"}")]
    #[case::prompt_alone("expect \"(qemu) \"\nsend \"stop\\r\"\n", "stop {}")]
    #[case::shell_of_qmp("(QEMU) object-del id=f\n", "object-del {\"id\":\"f\"}")]
    #[case::in_prose("first ``object-del id=f2``, then", "object-del {\"id\":\"f2\"}")]
    #[case::robot("    Run QMP    vm1    object-del    id=f0\n", "object-del {\"id\":\"f0\"}")]
    #[case::a_helper("hmp a stop\n", "stop {}")]
    #[case::a_table("| 1 | a | `stop` |\n", "stop {}")]
    #[case::a_method(
        "vm.monitor.qom_set('/objects/f', 'status', 'off')",
        "qom-set {\"path\":\"/objects/f\",\"property\":\"status\",\"value\":\"off\"}"
    )]
    #[case::a_wiki("# On *a*: {{object_del f}}\n", "object-del {\"id\":\"f\"}")]
    #[case::a_string_of_lines("x: \"then\\nobject_del f0\\nstop\"", "object-del {\"id\":\"f0\"}")]
    #[case::prose("then we use object_add to make it", "? object_add")]
    #[case::a_list_of_commands(
        "{\"return\": [{\"name\": \"object-add\"}, {\"name\": \"stop\"}]}",
        ""
    )]
    #[case::stop_in_prose("It does not stop, and \"cont\" is a word.", "")]
    #[case::agent("{\"execute\": \"guest-ping\"} {\"execute\": \"query-status\"}", "")]
    #[case::written_twice(
        "W {\"execute\": \"stop\", \"id\": \"libvirt-1\"}\nS {\"execute\": \"stop\", \"id\": \"libvirt-1\"}\n",
        "stop {}"
    )]
    fn commands_are_found(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(shown(text).join("|"), expected);
    }

    #[test]
    fn an_error_is_the_answer_of_the_command_above_it() {
        let found = find("x (qemu) object_del f\ny Error: no f\n", &|_| false);
        assert_eq!(found[0].error, Some((None, "no f".to_owned())));
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(\\{\"execute\": |\"stop\"|\\}|'|\"|\\\\|object_del |f0|\\(qemu\\) |\n|virsh qemu-monitor-command |--hmp |é|- |\\(|\\)|\\.object_add\\(|execute: |,|=){0,24}") {
            find(&text, &|_| false);
        }
    }
}
